//! The picker of interrupted runs at startup.

pub mod state;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod update;
