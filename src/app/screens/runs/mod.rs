//! The list of runs: pages, selection, filter, and who holds a thread.

pub mod filter;
pub mod state;
pub mod thread_status;
pub(crate) mod update;
