//! The command line: one file a subcommand, human and JSON output, settings.

pub mod args;
pub mod nearest;
pub mod settings;
