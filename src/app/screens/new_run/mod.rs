//! The form of a new run: its fields, its draft, the start preview and the start.

pub mod draft;
pub(crate) mod start;
pub mod state;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod trust;
pub(crate) mod update;
