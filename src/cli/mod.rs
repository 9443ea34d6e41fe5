//! The command line: one file a subcommand, human and JSON output, settings.

pub mod args;
pub mod event_line;
pub mod exit;
pub mod nearest;
pub mod out;
pub mod settings;
pub mod style;
pub mod table;
pub mod watch;
