//! State shared by all drivers of a host: store, contents, backends, and the signal channel.
//!
//! A fact takes effect when its transaction is committed; it is signalled only afterwards.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, broadcast};

use super::agent::{Backend, Backends};
use super::api::{Signal, TextChunk, TextKind};
use super::artifact::contents::Contents;
use super::paths::Paths;
use super::redact::Redactor;
use super::run_files::SharedSchemas;
use super::slots::Slots;
use crate::model::error::{Code, Failure, Result};
use crate::model::event::{Event, Fact};
use crate::model::id::{PhaseKey, RunId};
use crate::model::settings::Settings;
use crate::model::time::Timestamp;
use crate::store::{Store, ballast, journal};

/// Capacity of the signal channel; a receiver that falls behind further must read the archive.
const SIGNALS_KEPT: usize = 4096;

/// Delay between two attempts to store facts while the disk is full or the database is locked.
const STORE_RETRY: Duration = Duration::from_secs(5);

/// State shared by all drivers of a host.
pub struct Context {
    pub store: Store,
    /// Artifact contents by hash.
    pub contents: Contents,
    pub paths: Paths,
    pub settings: Settings,
    /// Backends by the name that personas use.
    pub backends: Backends,
    /// Removes secrets from everything that is stored or displayed.
    pub redactor: Arc<Redactor>,
    pub signals: broadcast::Sender<Signal>,
    /// Notified when a write failed for lack of disk space.
    pub full: Arc<Notify>,
    /// Run concurrency limit.
    pub slots: Slots,
    /// Compiled schemas shared by runs.
    pub schemas: SharedSchemas,
}

impl Context {
    /// Creates the shared state of a host.
    #[must_use]
    pub fn new(
        store: Store,
        paths: Paths,
        settings: Settings,
        backends: Vec<Arc<dyn Backend>>,
    ) -> Self {
        Self {
            store,
            contents: Contents::new(paths.contents()),
            backends: backends.into_iter().collect(),
            redactor: Arc::new(Redactor::of(&settings)),
            signals: news_channel(),
            full: Arc::default(),
            slots: Slots::new(settings.engine.max_concurrent_runs),
            schemas: SharedSchemas::default(),
            paths,
            settings,
        }
    }

    /// Stores facts of a run in one transaction and signals them when they are on disk. Waits while
    /// the disk is full or the database is locked, since what has already happened must be
    /// recorded.
    ///
    /// # Errors
    /// Errors of the store, except a full disk and a locked database.
    pub async fn append_patiently(
        &self,
        run_id: RunId,
        facts: Vec<Fact>,
        waits: impl Fn(&str),
    ) -> Result<Vec<Event>> {
        if facts.is_empty() {
            return Ok(Vec::new());
        }
        self.store_patiently(
            move |tx| journal::append(tx, run_id, &facts, Timestamp::now()),
            waits,
        )
        .await
    }

    /// Runs a write job and signals the events it returns. Retries while the disk is full or the
    /// database is locked, and reports each retry to `waits`.
    ///
    /// # Errors
    /// Same as [`append_patiently`](Self::append_patiently).
    pub async fn store_patiently<F>(&self, job: F, waits: impl Fn(&str)) -> Result<Vec<Event>>
    where
        F: FnOnce(&rusqlite::Transaction<'_>) -> Result<Vec<Event>> + Clone + Send + 'static,
    {
        loop {
            match self.store.write(job.clone()).await {
                // Released space is used at once, without waiting; the next failure then waits.
                Err(failure) if failure.code == Code::DiskFull && self.make_room() => {
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
                    self.tell(&events);
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

    /// Requests that all runs be paused and releases the reserved disk space. Returns whether there
    /// was any.
    fn make_room(&self) -> bool {
        self.full.notify_one();
        ballast::release(self.store.path())
    }

    /// Signals stored events.
    pub fn tell(&self, events: &[Event]) {
        for event in events {
            // Sending fails only if there is no receiver.
            let _ = self.signals.send(Signal::Event(Arc::new(event.clone())));
        }
    }

    /// Signals a fragment of an agent's live output.
    pub fn text(
        &self,
        run_id: RunId,
        phase_key: &PhaseKey,
        attempt: u32,
        kind: TextKind,
        text: &str,
    ) {
        let chunk = TextChunk {
            run_id,
            phase_key: phase_key.clone(),
            attempt,
            kind,
            text: text.into(),
        };
        let _ = self.signals.send(Signal::Text(chunk));
    }

    /// Returns the directory for files of a run that were moved aside.
    #[must_use]
    pub fn aside(&self, run_id: RunId) -> PathBuf {
        self.paths.run(run_id).join("aside")
    }
}

/// Creates the signal channel of a host or of a port attached to one.
#[must_use]
pub fn news_channel() -> broadcast::Sender<Signal> {
    broadcast::channel(SIGNALS_KEPT).0
}

/// Runs blocking work on a blocking thread. If the runtime shuts down before the work has started,
/// the future never completes: the shutdown of the host is not a failure of a run and must not be
/// stored as one.
///
/// # Errors
/// Errors of the work; `internal` if it panicked.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_cancelled() => std::future::pending().await,
        Err(error) => Err(Failure::internal(format!("a worker panicked: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn work_that_the_end_of_the_host_cut_off_did_not_fail() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (ended, end) = std::sync::mpsc::channel::<()>();
        let (begun, begin) = std::sync::mpsc::channel();
        let (failed, failure) = std::sync::mpsc::channel();
        // Occupies the only thread, so that the second job is still queued when the runtime ends.
        runtime.spawn(blocking(move || {
            begun.send(()).map_err(Failure::internal)?;
            end.recv().map_err(Failure::internal)
        }));
        begin.recv().unwrap();
        runtime.spawn(async move { failed.send(blocking(|| Ok(())).await) });
        runtime.shutdown_background();
        drop(ended);
        assert!(failure.recv().is_err(), "no failure was reported");
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_disk_is_waited_out_and_said_and_other_faults_are_not() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::beneath(home.path());
        paths.create().unwrap();
        let context = Context::new(
            Store::open(&paths.database()).unwrap(),
            paths,
            Settings::default(),
            Vec::new(),
        );
        for (code, tries, ok) in [
            (Code::DiskFull, 3, true),
            (Code::DbLocked, 3, true),
            (Code::DbCorrupt, 1, false),
        ] {
            let tried = Arc::new(AtomicU32::new(0));
            let said = AtomicU32::new(0);
            let counted = Arc::clone(&tried);
            let job =
                move |_: &rusqlite::Transaction<'_>| match counted.fetch_add(1, Ordering::SeqCst) {
                    0 | 1 => Err(Failure::new(code, "not now")),
                    _ => Ok(Vec::new()),
                };
            let stored = context.store_patiently(job, |words| {
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
