//! Phasedeck: a terminal console from which an operator runs agent workflows phase by phase.
//!
//! The layers and what each may import (`tests/it/layers.rs` checks it):
//!
//! ```text
//! cli, console → ui → app → engine::api → model
//!                     engine → store → model
//!                     engine::run::machine → model only
//! ```
//!
//! - [`model`]: ids, workflows, personas, events, and the fold from events to a state. No IO.
//! - [`store`]: SQLite behind one writer thread, with separate readers.
//! - [`engine`]: executes runs. The console and the command line use it through [`engine::api`].
//! - [`app`]: the state of the console and how messages change it. No IO, no drawing.
//! - [`ui`]: draws with ratatui; changes nothing.
//! - [`console`]: the one event loop with the terminal.
//! - [`cli`]: arguments, settings, one file per command.

#[cfg(not(target_os = "linux"))]
compile_error!("phasedeck runs on Linux and WSL2 only; docs/adr/0007-linux-only.md says why");

pub mod app;
pub mod cli;
pub mod console;
pub mod engine;
pub mod model;
pub mod store;
pub mod ui;
