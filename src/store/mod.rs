//! SQLite behind one owner thread, and readers of their own.
//!
//! [`Store`] takes jobs and acknowledges each after the COMMIT that holds it; [`Reader`] reads what
//! is committed and never waits for the writer. Facts go in by [`journal`], which moves the rows
//! along in the same transaction; the other files are one table group each, typed functions over a
//! connection. The store knows the model and nothing above it.

pub mod approvals;
pub mod artifacts;
pub mod audit;
pub mod backup;
pub mod ballast;
pub mod bindings;
pub mod blocks;
pub mod chain;
pub mod consents;
pub mod contents;
pub mod conversation;
pub mod definitions;
#[cfg(test)]
mod documented;
pub mod error;
pub mod events;
pub mod failpoint;
pub mod fence;
mod file;
#[cfg(test)]
pub(crate) mod fixture;
pub mod forecast;
pub mod frozen;
pub mod gate_tokens;
#[cfg(test)]
mod golden;
pub mod inbox;
mod job;
pub mod journal;
pub mod ledger;
mod migrate;
pub mod notices;
mod open;
mod owner;
pub mod phases;
#[cfg(test)]
mod plans;
pub mod projection;
mod reader;
mod retry;
mod row;
pub mod run_costs;
pub mod run_list;
pub mod run_page;
pub mod runs;
pub mod search;
pub mod sessions;
pub mod threads;
pub mod transfer;
pub mod turns;

pub use open::identity;
pub use owner::Store;
pub use reader::Reader;
