//! Draws the cost, doctor and settings screens.

pub mod cost;
pub mod doctor;
pub mod settings;
