//! SQLite storage: one writer thread and any number of readers.
//!
//! [`Store`] runs write jobs and acknowledges each after its COMMIT. [`Reader`] reads committed
//! state and never waits for the writer. [`journal`] appends facts and updates the projection
//! in the same transaction. The other modules are typed functions over a connection, one table
//! group each. The store depends on the model only.

pub mod error;
pub mod failpoint;
pub mod journal;
pub mod projection;
mod reader;
pub mod tables;
#[cfg(test)]
pub mod tests;
pub mod writer;

pub use crate::store::writer::open::identity;
pub use crate::store::writer::thread::Store;
pub use reader::Reader;
