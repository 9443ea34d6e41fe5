//! What all drivers of one host share: the store, the contents, the backends, and the news channel.
//!
//! A fact becomes real in the journal, in a committed transaction; it is told here, and only afterwards.

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

/// How many signals a slow screen may be behind before it is told to read the archive.
const SIGNALS_KEPT: usize = 4096;

/// Pause between two tries to store facts while the disk is full or the database is held by others.
const STORE_RETRY: Duration = Duration::from_secs(5);

/// What all drivers of one host share.
pub struct Context {
    /// The database.
    pub store: Store,
    /// Artifact contents.
    pub contents: Contents,
    /// Folders.
    pub paths: Paths,
    /// Settings.
    pub settings: Settings,
    /// By the name that personas give.
    pub backends: Backends,
    /// Takes secrets out of what is written down and shown.
    pub redactor: Arc<Redactor>,
    /// News for screens.
    pub signals: broadcast::Sender<Signal>,
    /// Told when something found no room on the disk.
    pub full: Arc<Notify>,
    /// The places to work.
    pub slots: Slots,
    /// Schemas that runs share.
    pub schemas: SharedSchemas,
}

impl Context {
    /// Puts together what drivers share.
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

    /// Stores facts of a run in one transaction and, when they are on disk, tells them. Waits out a full
    /// disk or a held database, because what has happened already must not be forgotten.
    ///
    /// # Errors
    /// What the store says, except that it has no room or no turn at the moment.
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

    /// Does a job of the store whose events are told afterwards; tries again while the disk is full or
    /// the database is held, and says so to `waits` each time.
    ///
    /// # Errors
    /// As [`append_patiently`](Self::append_patiently).
    pub async fn store_patiently<F>(&self, job: F, waits: impl Fn(&str)) -> Result<Vec<Event>>
    where
        F: FnOnce(&rusqlite::Transaction<'_>) -> Result<Vec<Event>> + Clone + Send + 'static,
    {
        loop {
            match self.store.write(job.clone()).await {
                Err(failure) if failure.code == Code::DiskFull && self.make_room() => {
                    waits(&format!(
                        "cannot store: {} - everything rests until there is space",
                        failure.message
                    ));
                }
                Err(failure) if matches!(failure.code, Code::DiskFull | Code::DbLocked) => {
                    tracing::warn!(%failure, "cannot store; trying again");
                    waits(&format!(
                        "cannot store: {} - trying again every {} s",
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

    /// Reads from the database, away from the async threads.
    ///
    /// # Errors
    /// What the database says, and those of `work`.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = self.store.clone();
        blocking(move || store.read(work)).await
    }

    /// Gives the ballast back and has everything rest; says whether that made room.
    fn make_room(&self) -> bool {
        self.full.notify_one();
        ballast::release(self.store.path())
    }

    /// Tells stored events to whoever watches.
    pub fn tell(&self, events: &[Event]) {
        for event in events {
            // No receiver is no error: nobody watches.
            let _ = self.signals.send(Signal::Event(Arc::new(event.clone())));
        }
    }

    /// Shows a piece of an agent's text to whoever watches.
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

    /// Where files of a run go that were in the way.
    #[must_use]
    pub fn aside(&self, run_id: RunId) -> PathBuf {
        self.paths.run(run_id).join("aside")
    }
}

/// The channel that carries news to screens, of a host or of whoever is attached to one.
#[must_use]
pub fn news_channel() -> broadcast::Sender<Signal> {
    broadcast::channel(SIGNALS_KEPT).0
}

/// Runs blocking work apart from the async threads. Where the runtime ends before the work has begun
/// this never ends: that a host goes away is no failure of a run, and must not be stored as one.
///
/// # Errors
/// What the work says; `internal` when it panicked.
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
        // Has the only place, so that the other is still waiting for it when the runtime ends.
        runtime.spawn(blocking(move || {
            begun.send(()).map_err(Failure::internal)?;
            end.recv().map_err(Failure::internal)
        }));
        begin.recv().unwrap();
        runtime.spawn(async move { failed.send(blocking(|| Ok(())).await) });
        runtime.shutdown_background();
        drop(ended);
        assert!(failure.recv().is_err(), "nobody was told of a failure");
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
            let (tried, said) = (Arc::new(AtomicU32::new(0)), AtomicU32::new(0));
            let counted = Arc::clone(&tried);
            let job =
                move |_: &rusqlite::Transaction<'_>| match counted.fetch_add(1, Ordering::SeqCst) {
                    0 | 1 => Err(Failure::new(code, "not now")),
                    _ => Ok(Vec::new()),
                };
            let stored = context.store_patiently(job, |words| {
                assert_eq!(words, "cannot store: not now - trying again every 5 s");
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
