//! Draws the picker of interrupted runs and the crash card.

pub mod crash_card;
pub mod screen;
