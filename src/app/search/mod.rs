//! Search in events, texts and lists: patterns, incremental search, fuzzy matching.

pub mod events;
pub(crate) mod events_update;
pub mod fuzzy;
pub mod incremental;
pub mod pattern;
pub mod text;
#[cfg(test)]
pub(crate) mod text_tests;
pub(crate) mod text_update;
