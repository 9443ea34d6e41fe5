//! Draws one run: its panes, arranged by the size of the terminal.

pub mod cost;
pub mod events;
pub mod panes;
pub mod phases;
pub mod screen;
pub mod transcript;
pub mod validation;
