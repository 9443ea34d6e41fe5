//! Output of the commands: streams, tables, colors, event lines, JSON formats.

pub mod event_line;
pub mod formats;
pub(crate) mod gate;
pub mod streams;
pub mod style;
pub(crate) mod summary;
pub mod table;
