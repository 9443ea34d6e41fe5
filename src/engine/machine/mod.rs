//! (filled by its room)

pub mod envelope;
