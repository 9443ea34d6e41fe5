//! Writes to the journal and publishes what was written, in that order.
//!
//! A fact takes effect when its transaction is committed; subscribers are notified only afterwards.
//! Drivers, the supervisor and the recorder of an attempt write through one of these. It knows the store
//! and the channel of signals, not what a run means.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, broadcast};

use super::api::{EngineSignal, TextChunk, TextKind};
use super::blocking::blocking;
use crate::model::error::{Code, Result};
use crate::model::event::{JournalEvent, RunFact};
use crate::model::id::{PhaseKey, RunId};
use crate::model::time::Timestamp;
use crate::store::writer::disk_reserve;
use crate::store::{Store, journal};

/// Capacity of the signal channel; a receiver that falls behind further must read the archive.
const SIGNALS_KEPT: usize = 4096;

/// Delay between two attempts to store facts while the disk is full or the database is locked.
const STORE_RETRY: Duration = Duration::from_secs(5);

/// The store of a host, and the channel on which its commits are published. Cheap to clone.
#[derive(Clone)]
pub struct JournalWriter {
    /// The database.
    pub store: Store,
    signals: broadcast::Sender<EngineSignal>,
    disk_full: Arc<Notify>,
}

impl JournalWriter {
    /// A writer with a channel of its own.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            store,
            signals: signal_channel(),
            disk_full: Arc::default(),
        }
    }

    /// Appends facts of a run in one transaction and publishes the events after the commit. Retries
    /// while the disk is full or the database is locked: what has happened must not be lost.
    ///
    /// # Errors
    /// Errors of the store, except a full disk or a locked database.
    pub async fn append_with_retry(
        &self,
        run_id: RunId,
        facts: Vec<RunFact>,
        waits: impl Fn(&str),
    ) -> Result<Vec<JournalEvent>> {
        if facts.is_empty() {
            return Ok(Vec::new());
        }
        self.write_with_retry(
            move |tx| journal::append(tx, run_id, &facts, Timestamp::now()),
            waits,
        )
        .await
    }

    /// Runs a write job and publishes the events it returns. Retries while the disk is full or the
    /// database is locked, and reports each retry to `waits`.
    ///
    /// # Errors
    /// Same as [`append_patiently`](Self::append_patiently).
    pub async fn write_with_retry<F>(
        &self,
        job: F,
        waits: impl Fn(&str),
    ) -> Result<Vec<JournalEvent>>
    where
        F: FnOnce(&rusqlite::Transaction<'_>) -> Result<Vec<JournalEvent>> + Clone + Send + 'static,
    {
        loop {
            match self.store.write(job.clone()).await {
                // Released space is used at once, without waiting; the next failure then waits.
                Err(failure) if failure.code == Code::DiskFull && self.release_disk_reserve() => {
                    waits(&format!(
                        "cannot store: {} - all runs are paused until there is space",
                        failure.message
                    ));
                }
                Err(failure) if matches!(failure.code, Code::DiskFull | Code::DbLocked) => {
                    tracing::warn!(%failure, "cannot store; retrying");
                    waits(&format!(
                        "cannot store: {} - retrying every {} s",
                        failure.message,
                        STORE_RETRY.as_secs()
                    ));
                    tokio::time::sleep(STORE_RETRY).await;
                }
                stored => {
                    let events = stored?;
                    self.publish_events(&events);
                    return Ok(events);
                }
            }
        }
    }

    /// Reads from the database on a blocking thread.
    ///
    /// # Errors
    /// Errors of the database and of `work`.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = self.store.clone();
        blocking(move || store.read(work)).await
    }

    /// Asks for all runs to be paused and releases the reserved disk space. Returns whether there
    /// was any.
    fn release_disk_reserve(&self) -> bool {
        self.disk_full.notify_one();
        disk_reserve::release(self.store.path())
    }

    /// Publishes events that are stored.
    pub fn publish_events(&self, events: &[JournalEvent]) {
        for event in events {
            self.publish(EngineSignal::Event(Arc::new(event.clone())));
        }
    }

    /// Publishes a piece of an agent's text. It is not durable: the turn that it belongs to is.
    pub fn publish_text(
        &self,
        run_id: RunId,
        phase_key: &PhaseKey,
        attempt: u32,
        kind: TextKind,
        text: &str,
    ) {
        self.publish(EngineSignal::Text(TextChunk {
            run_id,
            phase_key: phase_key.clone(),
            attempt,
            kind,
            text: text.into(),
        }));
    }

    /// Publishes a signal to every subscriber.
    pub fn publish(&self, signal: EngineSignal) {
        // No receiver is no error: no screen is open.
        let _ = self.signals.send(signal);
    }

    /// Everything that is published from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<EngineSignal> {
        self.signals.subscribe()
    }

    /// The sending end of the channel, for a port.
    #[must_use]
    pub fn signals(&self) -> broadcast::Sender<EngineSignal> {
        self.signals.clone()
    }

    /// Waits until a write found no room on the disk.
    pub async fn disk_is_full(&self) {
        self.disk_full.notified().await;
    }
}

/// Creates the signal channel of a host or of a port attached to one.
#[must_use]
pub fn signal_channel() -> broadcast::Sender<EngineSignal> {
    broadcast::channel(SIGNALS_KEPT).0
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::model::error::Failure;

    #[tokio::test(start_paused = true)]
    async fn a_full_disk_is_waited_out_and_said_and_other_faults_are_not() {
        let home = tempfile::tempdir().unwrap();
        let database = home.path().join("phasedeck.db");
        let writer = JournalWriter::new(Store::open(&database).unwrap());
        for (code, tries, ok) in [
            (Code::DiskFull, 3, true),
            (Code::DbLocked, 3, true),
            (Code::DbCorrupt, 1, false),
        ] {
            let (tried, said) = (Arc::new(AtomicU32::new(0)), AtomicU32::new(0));
            let counted = Arc::clone(&tried);
            let job =
                move |_: &rusqlite::Transaction<'_>| match counted.fetch_add(1, Ordering::SeqCst) {
                    0 | 1 => Err(Failure::new(code, "not now")),
                    _ => Ok(Vec::new()),
                };
            let stored = writer.write_with_retry(job, |words| {
                assert_eq!(words, "cannot store: not now - retrying every 5 s");
                said.fetch_add(1, Ordering::SeqCst);
            });
            assert_eq!(stored.await.is_ok(), ok, "{code}");
            assert_eq!(
                (tried.load(Ordering::SeqCst), said.load(Ordering::SeqCst)),
                (tries, tries - 1),
                "{code}"
            );
        }
    }
}
