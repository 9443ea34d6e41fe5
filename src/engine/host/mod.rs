//! The host: the process that locks a data directory and executes its runs.
//!
//! [`Host::start`] takes the lock before it opens anything, recovers what the previous host left,
//! and then serves commands: from its own process through a [`EnginePort`], from other processes through
//! the inbox in the database. The engine has its own runtime, so its work never delays keyboard
//! input. [`attach`] returns a `EnginePort` of the same type for another process; its requests go to the
//! inbox.

pub mod integrity_checkpoint;
pub mod transfer;
pub mod verify;

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub use self::lock::{HostLock, LockHolder, live_host};
use self::recovery::RecoveredRuns;
use super::agent::Backend;
use super::agent::acp::AcpBackend;
use super::agent::rehearsal::RehearsalBackend;
use super::api::{CommandRequest, EnginePort, EngineSignal};
use super::blocking::blocking;
use super::paths::InstallPaths;
use crate::engine::agent::chat_completions::{ModelList, OpenAi, PriceTable};
use crate::engine::host::change_watcher::ChangeWatcher;
use crate::engine::host::outbound_workers::OutboundWorkers;
use crate::engine::run::context::EngineContext;
use crate::engine::run::supervisor::{Supervisor, SupervisorMsg};
use crate::engine::run::{concurrency, rollback};
use crate::model::error::{Failure, Result};
use crate::model::hash::ContentHash;
use crate::model::settings::AppSettings;
use crate::model::time::Timestamp;
use crate::store::tables::{consents, inbox};
use crate::store::{Reader, Store};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{broadcast, mpsc, oneshot};

mod attach;
mod backups;
mod change_watcher;
mod cleanup;
mod disk_space;
mod handover;
mod lock;
mod network_fs;
mod outbound_workers;
mod recovery;

pub use attach::{attach, write_alongside_host};
pub use handover::HandoverScope;

/// Capacity of the supervisor's message channel, in addition to the runs to take up.
const MESSAGE_QUEUE_LEN: usize = 256;

/// Threads for blocking work. Each one uses memory of its own, and more of them do not make the
/// disk faster.
const MAX_BLOCKING_THREADS: usize = 32;

/// The host of a data directory.
pub struct EngineHost {
    context: Arc<EngineContext>,
    runtime: Runtime,
    calls: mpsc::Sender<SupervisorMsg>,
    port: EnginePort,
    notices: Vec<String>,
    tellers: OutboundWorkers,
    lock: HostLock,
}

impl EngineHost {
    /// Becomes the host: takes the lock, opens the database, recovers, and starts serving.
    ///
    /// # Errors
    /// `network_file_system` and `session_manager_already_running`, before anything is read or
    /// changed; errors of opening the database; `config_invalid` for settings that a backend
    /// rejects.
    pub fn start(paths: &InstallPaths, settings: &AppSettings) -> Result<Self> {
        Self::start_with(paths, settings, true)
    }

    /// Like [`start`](Self::start), but only to store one command: queued runs are not started.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_for_one_command(paths: &InstallPaths, settings: &AppSettings) -> Result<Self> {
        Self::start_with(paths, settings, false)
    }

    fn start_with(paths: &InstallPaths, settings: &AppSettings, begins: bool) -> Result<Self> {
        let remote = network_fs::check(&paths.data, settings.host.allow_network_fs)?;
        let lock = HostLock::acquire(paths)?;
        lock.reject_orphaned_host(paths)?;
        // The time of the lock file, not of this process's clock: it is compared with other files'
        // times.
        let begun = std::fs::metadata(paths.lock())
            .and_then(|meta| meta.modified())
            .unwrap_or(std::time::UNIX_EPOCH);
        let (store, full) = disk_space::open_store(&paths.database(), lock.identity()?)?;
        let backends = backends(settings, prices(settings, paths)?)?;
        let context = Arc::new(EngineContext::new(
            store,
            paths.clone(),
            settings.clone(),
            backends,
        ));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(MAX_BLOCKING_THREADS)
            .thread_name("engine")
            .enable_all()
            .build()
            .map_err(|error| Failure::io("cannot start the engine's threads", &error))?;
        // Compared before recovery appends anything to the journals.
        let mut notices = integrity_checkpoint::check(paths, &context.journal.store.reader()?)?;
        notices.extend(full);
        notices.extend(remote);
        for notice in &notices {
            tracing::warn!("{notice}");
        }
        let RecoveredRuns {
            to_resume: going_on,
            reports,
            to_roll_back,
        } = recovery::recover(&context, &runtime)?;
        let (calls, serving) = mpsc::channel(MESSAGE_QUEUE_LEN + going_on.len());
        for run_id in going_on {
            // Queued before any other message, so that a drain cannot overtake them. The capacity
            // above includes them.
            let _ = calls.try_send(SupervisorMsg::Adopt(run_id));
        }
        runtime.spawn(Supervisor::new(Arc::clone(&context), serving, calls.clone(), begins).run());
        runtime.spawn(concurrency::store_queue_positions(Arc::clone(&context)));
        let shared = Arc::clone(&context);
        runtime.spawn(async move { rollback::finish_pending(&shared, to_roll_back).await });
        let shared = Arc::clone(&context);
        runtime.spawn(async move {
            recovery::write_reports(Arc::clone(&shared), reports).await;
            recovery::rewrite_missing_reports(Arc::clone(&shared)).await;
            let swept =
                blocking(move || Ok(cleanup::remove_unfinished_files(&shared.paths, begun))).await;
            tracing::info!(files = ?swept, "removed unfinished files of previous hosts");
        });
        for backend in context.backends.all().filter(|_| begins) {
            let backend = Arc::clone(backend);
            runtime.spawn(async move { backend.in_background().await });
        }
        let tellers = OutboundWorkers::start(&context, &runtime);
        let port = EnginePort::new(
            forward_requests(&runtime, calls.clone()),
            context.journal.signals(),
        );
        runtime.spawn(serve_inbox(Arc::clone(&context), port.clone()));
        runtime.spawn(disk_space::watch_space(Arc::clone(&context), calls.clone()));
        runtime.spawn(backups::run_daily(Arc::clone(&context)));
        runtime.spawn(forward_store_closed(
            context.journal.store.clone(),
            calls.clone(),
        ));
        runtime.spawn(publish_database_lock(
            context.journal.store.clone(),
            context.journal.signals(),
        ));
        runtime.spawn(write_checkpoints(
            context.journal.store.clone(),
            integrity_checkpoint::CheckpointWriter::new(paths)?,
            context.journal.subscribe(),
        ));
        Ok(Self {
            context,
            runtime,
            calls,
            port,
            notices,
            tellers,
            lock,
        })
    }

    /// Returns a port to this host's engine.
    #[must_use]
    pub fn port(&self) -> EnginePort {
        self.port.clone()
    }

    /// Returns what the operator should know about the state in which the data was found.
    #[must_use]
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Returns a handle to the engine's runtime.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.runtime.handle().clone()
    }

    /// Waits until the store is closed for good, and returns why: another host has taken over the
    /// data directory, or the disk failed. All work has been cancelled by then; the process should
    /// exit.
    pub fn store_closed(&self) -> impl Future<Output = Failure> + Send + use<> {
        let store = self.context.journal.store.clone();
        async move { store.stopped().await }
    }

    /// Returns a function that shortens a drain from another thread.
    pub fn drain_shortener(&self) -> impl Fn() + Send + Sync + 'static {
        let calls = self.calls.clone();
        move || {
            let _ = calls.try_send(SupervisorMsg::ShortenDrain);
        }
    }

    /// Pauses all runs, waits until nothing is running, and releases the data directory. Running
    /// work gets `grace` to reach its next checkpoint and a few seconds to exit; what has not
    /// exited then is left as a crash would leave it.
    ///
    /// # Errors
    /// Errors of closing the database. Everything that was acknowledged is on disk even then.
    pub fn shutdown(self, grace: Duration) -> Result<()> {
        self.hand_over(grace, HandoverScope::NoRuns).map(drop)
    }

    /// Like [`shutdown`](Self::shutdown), and requests that the next host resume the runs selected
    /// by `over`. Returns their number.
    ///
    /// # Errors
    /// As [`shutdown`](Self::shutdown).
    pub fn hand_over(self, grace: Duration, over: HandoverScope) -> Result<usize> {
        let (done, drained) = oneshot::channel();
        let asked = self
            .calls
            .blocking_send(SupervisorMsg::Drain { grace, done });
        // The supervisor drops the sender only when it exits itself; then nothing is running
        // either.
        let paused = if asked.is_ok() {
            self.runtime.block_on(drained).unwrap_or_default()
        } else {
            Vec::new()
        };
        self.tellers.finish(&self.runtime);
        self.runtime.shutdown_timeout(Duration::from_secs(5));
        // The order matters: requests for the next host are stored while this one still holds the
        // lock, the checkpoint follows the last write, and the lock is released after the database
        // is closed.
        let handed = handover::store_resume_requests(&self.context, paused, over)
            .inspect_err(
                |failure| tracing::error!(%failure, "could not hand over the runs; they stay paused"),
            )
            .unwrap_or_default();
        let anchor = || {
            integrity_checkpoint::CheckpointWriter::new(&self.context.paths)
                .and_then(|mut keeper| keeper.write_if_changed())
        };
        if let (None, Err(failure)) = (self.context.journal.store.stop_reason(), anchor()) {
            tracing::warn!(%failure, "could not update the integrity checkpoint");
        }
        let closed = self.context.journal.store.close_blocking();
        drop(self.lock);
        closed.map(|()| handed)
    }
}

/// Returns model prices: those in the settings take precedence over the provider's last known list.
///
/// # Errors
/// `config_invalid` for an invalid price.
pub(crate) fn prices(settings: &AppSettings, paths: &InstallPaths) -> Result<PriceTable> {
    let models = ModelList::kept(&paths.model_cache(), &settings.openai.base_url);
    Ok(PriceTable::new(&settings.prices)?.knowing(models))
}

/// Creates all backends from the settings.
///
/// # Errors
/// `config_invalid` for settings that a backend rejects.
pub(crate) fn backends(
    settings: &AppSettings,
    prices: PriceTable,
) -> Result<Vec<Arc<dyn Backend>>> {
    Ok(vec![
        Arc::new(OpenAi::new(&settings.openai, prices)?.with_servers(settings.mcp.clone())),
        Arc::new(AcpBackend::new(settings)),
        Arc::new(RehearsalBackend::new(settings.rehearsal.pace_ms)),
    ])
}

/// Tells the supervisor when the store is closed for good: without it, work must end and requests
/// must be refused.
async fn forward_store_closed(store: Store, calls: mpsc::Sender<SupervisorMsg>) {
    let why = store.stopped().await;
    tracing::error!(failure = %why, "the store is closed");
    let _ = calls.send(SupervisorMsg::StoreClosed(why)).await;
}

/// Signals when another process locks or unlocks the database. Commits wait until it is unlocked,
/// so only the operator needs to know.
async fn publish_database_lock(store: Store, signals: broadcast::Sender<EngineSignal>) {
    let mut held = store.is_blocked();
    while held.changed().await.is_ok() {
        let held = *held.borrow_and_update();
        tracing::warn!(held, "database locked by another process");
        let _ = signals.send(EngineSignal::DatabaseLocked(held));
    }
}

/// Maintains the integrity checkpoint until the store is closed: a host that was replaced must not
/// touch it.
async fn write_checkpoints(
    store: Store,
    keeper: integrity_checkpoint::CheckpointWriter,
    news: broadcast::Receiver<EngineSignal>,
) {
    tokio::select! {
        biased;
        _ = store.stopped() => {}
        () = keeper.run(news) => {}
    }
}

/// Forwards the requests of ports to the supervisor as messages.
fn forward_requests(
    runtime: &Runtime,
    calls: mpsc::Sender<SupervisorMsg>,
) -> mpsc::Sender<CommandRequest> {
    let (requests, mut incoming) = mpsc::channel(MESSAGE_QUEUE_LEN);
    runtime.spawn(async move {
        while let Some(request) = incoming.recv().await {
            if calls.send(SupervisorMsg::Request(request)).await.is_err() {
                return;
            }
        }
    });
    requests
}

/// Executes commands from other processes. A command stays open until its answer is stored, so one
/// that was in progress when the host died is executed again; its token and the rules of the run
/// make that harmless.
async fn serve_inbox(context: Arc<EngineContext>, port: EnginePort) {
    let mut looked_at = None;
    let mut first = true;
    let mut taken = BTreeSet::new();
    // Created before the first read, so that no change is missed in between.
    let mut bell = ChangeWatcher::new(&context.paths);
    let Some(mut reader) = open_reader(&context).await else {
        return;
    };
    loop {
        if !std::mem::take(&mut first) {
            bell.changed().await;
        }
        let (back, found) = read_inbox(reader, looked_at).await;
        reader = back;
        let (version, open) = match found {
            Ok(found) => found,
            Err(failure) => {
                tracing::warn!(%failure, "could not read the inbox");
                continue;
            }
        };
        looked_at = Some(version);
        let Some(open) = open else { continue };
        // An idle host detects by this read that another one has taken over. The empty write makes
        // the store notice it and close.
        if !context
            .journal
            .store
            .is_current_host(reader.connection())
            .unwrap_or(true)
        {
            let _ = context.journal.store.write(|_| Ok(())).await;
            return;
        }
        // A command stays open while it is executed; it must not be started again meanwhile.
        taken.retain(|token| open.iter().any(|row| row.token == *token));
        for row in open {
            if taken.insert(row.token) {
                tokio::spawn(attach::execute_command(
                    Arc::clone(&context),
                    port.clone(),
                    row,
                ));
            }
        }
    }
}

async fn open_reader(context: &EngineContext) -> Option<Reader> {
    let path = context.paths.database();
    blocking(move || Reader::open(&path))
        .await
        .inspect_err(|failure| tracing::error!(%failure, "no reader for the inbox"))
        .ok()
}

type InboxRead = Result<(i64, Option<Vec<crate::model::record::InboxRecord>>)>;

/// Reads the open commands, or `None` if the database is unchanged since `looked_at`; returns the
/// reader as well.
async fn read_inbox(reader: Reader, looked_at: Option<i64>) -> (Reader, InboxRead) {
    let version = reader.data_version();
    let found = match version {
        Ok(version) if Some(version) == looked_at => Ok((version, None)),
        Ok(version) => inbox::open(reader.connection()).map(|open| (version, Some(open))),
        Err(failure) => Err(failure),
    };
    (reader, found)
}

/// Records that the operator allows a persona, identified by its hash. Works beside a running host:
/// it is one row, and SQLite serializes writers.
///
/// # Errors
/// Errors of opening or writing the database.
pub fn give_consent(
    paths: &InstallPaths,
    persona: &str,
    hash: &ContentHash,
    by: &str,
) -> Result<()> {
    let persona = persona.to_owned();
    let hash = hash.clone();
    let by = by.to_owned();
    attach::write_alongside_host(paths, move |tx| {
        consents::insert(tx, &persona, &hash, &by, Timestamp::now())
    })
}
