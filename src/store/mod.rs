//! SQLite storage: one writer thread and any number of readers.
//!
//! [`Store`] runs write jobs and acknowledges each after its COMMIT. [`Reader`] reads committed
//! state and never waits for the writer. [`journal`] appends facts and updates the projection
//! in the same transaction. The other modules are typed functions over a connection, one table
//! group each. The store depends on the model only.

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
