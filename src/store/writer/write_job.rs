//! Jobs of the writer thread: type-erased closures, each run in a savepoint of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::Transaction;
use tokio::sync::oneshot;

use crate::model::error::{Failure, Result};

/// A type-erased job. Without a transaction it does not run and only fails.
pub(in crate::store) type WriteJob =
    Box<dyn FnOnce(Option<&Transaction<'_>>) -> FinishedJob + Send>;

/// A job that has run and waits for the commit of its group.
pub(in crate::store) struct FinishedJob {
    pub(in crate::store) failure: Option<Failure>,
    pub(in crate::store) reply: Box<dyn FnOnce(Result<()>) + Send>,
}

/// Erases the types of a job. The reply is deferred until the group has committed or failed.
pub(in crate::store) fn wrap<T, F>(job: F) -> (WriteJob, oneshot::Receiver<Result<T>>)
where
    F: FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    T: Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    let work: WriteJob = Box::new(move |tx| {
        let outcome = tx.map_or_else(|| Err(closed()), |tx| in_savepoint(tx, job));
        let failure = outcome.as_ref().err().cloned();
        // The caller may have dropped its future; the write is committed anyway.
        let answer = move |fate: Result<()>| drop(reply.send(fate.and(outcome)));
        FinishedJob {
            failure,
            reply: Box::new(answer),
        }
    });
    (work, answer)
}

fn in_savepoint<T>(
    tx: &Transaction<'_>,
    job: impl FnOnce(&Transaction<'_>) -> Result<T>,
) -> Result<T> {
    tx.prepare_cached("SAVEPOINT job")?.execute([])?;
    let outcome = catch_unwind(AssertUnwindSafe(|| job(tx)))
        .unwrap_or_else(|panic| Err(panicked(panic.as_ref())));
    // On a full disk SQLite rolls back the whole transaction, and the savepoint no longer exists.
    if tx.is_autocommit() {
        return outcome;
    }
    match outcome {
        Ok(value) => {
            tx.prepare_cached("RELEASE job")?.execute([])?;
            Ok(value)
        }
        Err(failure) => {
            tx.execute_batch("ROLLBACK TO job; RELEASE job")?;
            Err(failure)
        }
    }
}

/// Returns the error of a closed store.
pub(in crate::store) fn closed() -> Failure {
    Failure::internal("the store is closed")
        .hint("start phasedeck again; everything acknowledged is there")
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Failure {
    Failure::internal(format!(
        "a job of the store panicked: {}",
        panic_message(panic)
    ))
}

/// Returns the message of a panic.
pub(in crate::store) fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without words")
}
