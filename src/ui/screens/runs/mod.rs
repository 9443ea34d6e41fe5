//! Draws the list of runs, the card of the selected one, and the empty list.

pub mod card;
pub mod list;
pub mod welcome;
