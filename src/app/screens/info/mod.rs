//! The cost, doctor and settings screens: they only show something.

pub mod state;
pub(crate) mod update;
