//! The host: the process that locks a data directory and executes its runs.
//!
//! [`Host::start`] takes the lock before it opens anything, recovers what the previous host left,
//! and then serves commands: from its own process through a [`Port`], from other processes through
//! the inbox in the database. The engine has its own runtime, so its work never delays keyboard
//! input. [`attach`] returns a `Port` of the same type for another process; its requests go to the
//! inbox.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Handle, Runtime};
use tokio::sync::{broadcast, mpsc, oneshot};

use self::doorbell::Doorbell;
pub use self::lock::{HostInfo, HostLock, live_host};
use self::recovery::Recovered;
use self::tellers::Tellers;
use super::agent::Backend;
use super::agent::acp::Acp;
use super::agent::openai::{Models, OpenAi, Prices};
use super::agent::rehearsal::Rehearsal;
use super::anchor;
use super::api::{Port, Request, Signal};
use super::blocking::blocking;
use super::context::Context;
use super::paths::Paths;
use super::supervisor::{Call, Supervisor};
use super::{rollback, slots};
use crate::model::error::{Failure, Result};
use crate::model::hash::ContentHash;
use crate::model::settings::Settings;
use crate::model::time::Timestamp;
use crate::store::{Reader, Store, consents, inbox};

mod attach;
mod backups;
mod doorbell;
mod handover;
mod lock;
mod recovery;
mod remote;
mod space;
mod sweep;
mod tellers;

pub use attach::{attach, write_beside};
pub use handover::HandOver;

/// Capacity of the supervisor's message channel, in addition to the runs to take up.
const CALLS_WAITING: usize = 256;

/// Threads for blocking work. Each one uses memory of its own, and more of them do not make the
/// disk faster.
const BLOCKING: usize = 32;

/// The host of a data directory.
pub struct Host {
    context: Arc<Context>,
    runtime: Runtime,
    calls: mpsc::Sender<Call>,
    port: Port,
    notices: Vec<String>,
    tellers: Tellers,
    lock: HostLock,
}

impl Host {
    /// Becomes the host: takes the lock, opens the database, recovers, and starts serving.
    ///
    /// # Errors
    /// `network_file_system` and `session_manager_already_running`, before anything is read or
    /// changed; errors of opening the database; `config_invalid` for settings that a backend
    /// rejects.
    pub fn start(paths: &Paths, settings: &Settings) -> Result<Self> {
        Self::begin(paths, settings, true)
    }

    /// Like [`start`](Self::start), but only to store one command: queued runs are not started.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_briefly(paths: &Paths, settings: &Settings) -> Result<Self> {
        Self::begin(paths, settings, false)
    }

    fn begin(paths: &Paths, settings: &Settings, begins: bool) -> Result<Self> {
        let remote = remote::check(&paths.data, settings.host.allow_network_fs)?;
        let lock = HostLock::take(paths)?;
        lock.look_for_others(paths)?;
        // The time of the lock file, not of this process's clock: it is compared with other files'
        // times.
        let begun = std::fs::metadata(paths.lock())
            .and_then(|meta| meta.modified())
            .unwrap_or(std::time::UNIX_EPOCH);
        let (store, full) = space::open(&paths.database(), lock.claimant()?)?;
        let backends = backends(settings, prices(settings, paths)?)?;
        let context = Arc::new(Context::new(
            store,
            paths.clone(),
            settings.clone(),
            backends,
        ));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(BLOCKING)
            .thread_name("engine")
            .enable_all()
            .build()
            .map_err(|error| Failure::io("cannot start the engine's threads", &error))?;
        // Compared before recovery appends anything to the journals.
        let mut notices = anchor::check(paths, &context.journal.store.reader()?)?;
        notices.extend(full);
        notices.extend(remote);
        for notice in &notices {
            tracing::warn!("{notice}");
        }
        let Recovered {
            going_on,
            reports,
            to_roll_back,
        } = recovery::recover(&context, &runtime)?;
        let (calls, serving) = mpsc::channel(CALLS_WAITING + going_on.len());
        for run_id in going_on {
            // Queued before any other message, so that a drain cannot overtake them. The capacity
            // above includes them.
            let _ = calls.try_send(Call::TakeUp(run_id));
        }
        runtime.spawn(Supervisor::new(Arc::clone(&context), serving, calls.clone(), begins).run());
        runtime.spawn(slots::keep_lines(Arc::clone(&context)));
        let shared = Arc::clone(&context);
        runtime.spawn(async move { rollback::redo(&shared, to_roll_back).await });
        let shared = Arc::clone(&context);
        runtime.spawn(async move {
            recovery::write_reports(Arc::clone(&shared), reports).await;
            recovery::mend_reports(Arc::clone(&shared)).await;
            let swept = blocking(move || Ok(sweep::unfinished_files(&shared.paths, begun))).await;
            tracing::info!(files = ?swept, "removed unfinished files of previous hosts");
        });
        for backend in context.backends.all().filter(|_| begins) {
            let backend = Arc::clone(backend);
            runtime.spawn(async move { backend.in_background().await });
        }
        let tellers = Tellers::start(&context, &runtime);
        let port = Port::new(relay(&runtime, calls.clone()), context.journal.signals());
        runtime.spawn(serve_inbox(Arc::clone(&context), port.clone()));
        runtime.spawn(space::watch(Arc::clone(&context), calls.clone()));
        runtime.spawn(backups::keep(Arc::clone(&context)));
        runtime.spawn(tell_of_stop(context.journal.store.clone(), calls.clone()));
        runtime.spawn(tell_of_hold(
            context.journal.store.clone(),
            context.journal.signals(),
        ));
        runtime.spawn(keep_anchor(
            context.journal.store.clone(),
            anchor::Keeper::new(paths)?,
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
    pub fn port(&self) -> Port {
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
    pub fn stopped(&self) -> impl Future<Output = Failure> + Send + use<> {
        let store = self.context.journal.store.clone();
        async move { store.stopped().await }
    }

    /// Returns a function that shortens a drain from another thread.
    pub fn hurry(&self) -> impl Fn() + Send + Sync + 'static {
        let calls = self.calls.clone();
        move || {
            let _ = calls.try_send(Call::Hurry);
        }
    }

    /// Pauses all runs, waits until nothing is running, and releases the data directory. Running
    /// work gets `grace` to reach its next checkpoint and a few seconds to exit; what has not
    /// exited then is left as a crash would leave it.
    ///
    /// # Errors
    /// Errors of closing the database. Everything that was acknowledged is on disk even then.
    pub fn shutdown(self, grace: Duration) -> Result<()> {
        self.leave(grace, HandOver::Nothing).map(drop)
    }

    /// Like [`shutdown`](Self::shutdown), and requests that the next host resume the runs selected
    /// by `over`. Returns their number.
    ///
    /// # Errors
    /// As [`shutdown`](Self::shutdown).
    pub fn leave(self, grace: Duration, over: HandOver) -> Result<usize> {
        let (done, drained) = oneshot::channel();
        let asked = self.calls.blocking_send(Call::Drain { grace, done });
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
        let handed = handover::leave_word(&self.context, paused, over)
            .inspect_err(
                |failure| tracing::error!(%failure, "could not hand over the runs; they stay paused"),
            )
            .unwrap_or_default();
        let anchor =
            || anchor::Keeper::new(&self.context.paths).and_then(|mut keeper| keeper.keep());
        if let (None, Err(failure)) = (self.context.journal.store.stop(), anchor()) {
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
pub(crate) fn prices(settings: &Settings, paths: &Paths) -> Result<Prices> {
    let models = Models::kept(&paths.models(), &settings.openai.base_url);
    Ok(Prices::new(&settings.prices)?.knowing(models))
}

/// Creates all backends from the settings.
///
/// # Errors
/// `config_invalid` for settings that a backend rejects.
pub(crate) fn backends(settings: &Settings, prices: Prices) -> Result<Vec<Arc<dyn Backend>>> {
    Ok(vec![
        Arc::new(OpenAi::new(&settings.openai, prices)?.with_servers(settings.mcp.clone())),
        Arc::new(Acp::new(settings)),
        Arc::new(Rehearsal::new(settings.rehearsal.pace_ms)),
    ])
}

/// Tells the supervisor when the store is closed for good: without it, work must end and requests
/// must be refused.
async fn tell_of_stop(store: Store, calls: mpsc::Sender<Call>) {
    let why = store.stopped().await;
    tracing::error!(failure = %why, "the store is closed");
    let _ = calls.send(Call::Stopped(why)).await;
}

/// Signals when another process locks or unlocks the database. Commits wait until it is unlocked,
/// so only the operator needs to know.
async fn tell_of_hold(store: Store, signals: broadcast::Sender<Signal>) {
    let mut held = store.held();
    while held.changed().await.is_ok() {
        let held = *held.borrow_and_update();
        tracing::warn!(held, "database locked by another process");
        let _ = signals.send(Signal::Held(held));
    }
}

/// Maintains the integrity checkpoint until the store is closed: a host that was replaced must not
/// touch it.
async fn keep_anchor(store: Store, keeper: anchor::Keeper, news: broadcast::Receiver<Signal>) {
    tokio::select! {
        biased;
        _ = store.stopped() => {}
        () = keeper.run(news) => {}
    }
}

/// Forwards the requests of ports to the supervisor as messages.
fn relay(runtime: &Runtime, calls: mpsc::Sender<Call>) -> mpsc::Sender<Request> {
    let (requests, mut incoming) = mpsc::channel(CALLS_WAITING);
    runtime.spawn(async move {
        while let Some(request) = incoming.recv().await {
            if calls.send(Call::Request(request)).await.is_err() {
                return;
            }
        }
    });
    requests
}

/// Executes commands from other processes. A command stays open until its answer is stored, so one
/// that was in progress when the host died is executed again; its token and the rules of the run
/// make that harmless.
async fn serve_inbox(context: Arc<Context>, port: Port) {
    let mut looked_at = None;
    let mut first = true;
    let mut taken = BTreeSet::new();
    // Created before the first read, so that no change is missed in between.
    let mut bell = Doorbell::new(&context.paths);
    let Some(mut reader) = open_reader(&context).await else {
        return;
    };
    loop {
        if !std::mem::take(&mut first) {
            bell.rung().await;
        }
        let (back, found) = look(reader, looked_at).await;
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
            .holds(reader.connection())
            .unwrap_or(true)
        {
            let _ = context.journal.store.write(|_| Ok(())).await;
            return;
        }
        // A command stays open while it is executed; it must not be started again meanwhile.
        taken.retain(|token| open.iter().any(|row| row.token == *token));
        for row in open {
            if taken.insert(row.token) {
                tokio::spawn(attach::serve(Arc::clone(&context), port.clone(), row));
            }
        }
    }
}

async fn open_reader(context: &Context) -> Option<Reader> {
    let path = context.paths.database();
    blocking(move || Reader::open(&path))
        .await
        .inspect_err(|failure| tracing::error!(%failure, "no reader for the inbox"))
        .ok()
}

type Found = Result<(i64, Option<Vec<crate::model::record::InboxRecord>>)>;

/// Reads the open commands, or `None` if the database is unchanged since `looked_at`; returns the
/// reader as well.
async fn look(reader: Reader, looked_at: Option<i64>) -> (Reader, Found) {
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
pub fn give_consent(paths: &Paths, persona: &str, hash: &ContentHash, by: &str) -> Result<()> {
    let persona = persona.to_owned();
    let hash = hash.clone();
    let by = by.to_owned();
    attach::write_beside(paths, move |tx| {
        consents::give(tx, &persona, &hash, &by, Timestamp::now())
    })
}
