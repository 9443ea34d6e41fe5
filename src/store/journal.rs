//! Appends facts to the journal of a run and moves the rows along, in one transaction.

use rusqlite::Connection;

use crate::model::error::{Failure, Result};
use crate::model::event::{Event, Fact};
use crate::model::id::RunId;
use crate::model::time::Timestamp;

/// Appends facts, and projects each new event to the rows.
///
/// Returns the events that are new; a fact that was written before is skipped. After an error the
/// transaction must not be committed (a job of the store rolls back by itself).
///
/// # Errors
/// `run_not_found`; `run_already_terminal` when the run has ended; `illegal_transition` when a fact
/// cannot follow; `thread_busy` when another run holds the thread; `approval_already_resolved`;
/// `internal` when a different fact has the same key.
pub fn append(tx: &Connection, run_id: RunId, facts: &[Fact], now: Timestamp) -> Result<Vec<Event>> {
    let _ = (tx, run_id, facts, now);
    Err(Failure::internal("not built"))
}
