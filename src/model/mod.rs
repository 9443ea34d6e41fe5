//! The ground floor: plain data and the pure rules that read it.
//!
//! Ids, money, time, the files an operator writes (workflows, personas), the facts a run is made of
//! and the fold that turns them into a state. Nothing here does IO, knows SQLite, a runtime or a
//! terminal; everything else in the house may use it.

pub mod error;
pub mod event;
pub mod event_filter;
pub mod forecast;
pub mod hash;
pub mod id;
pub mod money;
pub mod persona;
mod phase_state;
pub mod question;
pub mod record;
pub mod resumable;
pub mod run_state;
pub mod safe_text;
pub mod settings;
pub mod state;
pub mod status_glyph;
pub mod suggest;
pub mod terminal;
pub mod time;
pub mod workflow;
pub mod worktree_path;
