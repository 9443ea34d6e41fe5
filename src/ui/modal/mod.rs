//! Draws what is in front of a screen: confirmations, help and palette, the reader.

pub mod confirm;
pub mod help;
pub mod reader;
