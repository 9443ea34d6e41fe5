//! Draws the form of a new run and its summary.

pub mod form;
pub(crate) mod summary;
