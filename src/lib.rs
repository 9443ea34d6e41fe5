//! Phasedeck: a terminal console from which an operator runs agent workflows phase by phase.
//!
//! The rooms, and who may know whom (`tests/it/layers.rs` holds it):
//!
//! ```text
//! cli, app::shell → ui → app → engine::api → model
//!                        engine → store → model
//!                        engine::machine → model only
//! ```
//!
//! - [`model`]: ids, workflows, personas, facts, and the fold from facts to a state. No IO.
//! - [`store`]: SQLite behind one owner thread; readers of their own.
//! - [`engine`]: executes runs. The console and the command line know it by [`engine::api`].
//! - [`app`]: what the operator sees and can do; no IO, no drawing.
//! - [`ui`]: drawing with ratatui; changes nothing.
//! - [`cli`]: one file a subcommand.

pub mod app;
pub mod cli;
pub mod engine;
pub mod model;
pub mod store;
pub mod ui;
