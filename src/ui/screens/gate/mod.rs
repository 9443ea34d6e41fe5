//! Draws the approval gate and its answers.

pub mod answers;
pub mod screen;
