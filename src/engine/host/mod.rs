//! The process that owns a data directory and executes its runs; and how others reach it.
//!
//! [`Host::start`] takes the lock before it opens anything, recovers what the last host left, and
//! then serves commands: from its own process through a [`Port`], from others through the inbox in
//! the database. It works on a runtime of its own, so that nothing it does delays a key press.
//! [`attach`] gives a `Port` of the same make whose other end is that inbox.

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

/// Calls that may wait for the supervisor.
const CALLS_WAITING: usize = 256;

/// Threads for work that waits for the disk. Each keeps memory of its own, and more of them do not make
/// the disk quicker.
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
    /// Becomes the host: lock, database, recovery, service.
    ///
    /// # Errors
    /// `network_file_system` and `session_manager_already_running` before anything is read or changed; what opening the
    /// database says; `config_invalid` for settings a backend cannot work with.
    pub fn start(paths: &Paths, settings: &Settings) -> Result<Self> {
        Self::begin(paths, settings, true)
    }

    /// As [`start`](Self::start), to store one command: nothing that waits in line begins.
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
        let mut notices = anchor::check(paths, &context.journal.store.reader()?)?;
        notices.extend(full);
        notices.extend(remote);
        notices.iter().for_each(|words| tracing::warn!("{words}"));
        let Recovered {
            going_on,
            reports,
            to_roll_back,
        } = recovery::recover(&context, &runtime)?;
        let (calls, serving) = mpsc::channel(CALLS_WAITING + going_on.len());
        for run_id in going_on {
            // First of all calls, so that no drain overtakes them; there is room for each.
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
            tracing::info!(files = ?swept, "unfinished files of hosts that were killed were taken away");
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

    /// The way to this host's engine.
    #[must_use]
    pub fn port(&self) -> Port {
        self.port.clone()
    }

    /// What the operator should know of how the data was found; empty where all is as it was left.
    #[must_use]
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// The runtime the engine works on.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.runtime.handle().clone()
    }

    /// Waits until this host can store nothing any more, and says why: another has taken the data folder
    /// over, or the disk failed. Its work has been told to end then; what is left is to end the process.
    pub fn stopped(&self) -> impl Future<Output = Failure> + Send + use<> {
        let store = self.context.journal.store.clone();
        async move { store.stopped().await }
    }

    /// Something that shortens a drain that is under way, from another thread.
    pub fn hurry(&self) -> impl Fn() + Send + Sync + 'static {
        let calls = self.calls.clone();
        move || {
            let _ = calls.try_send(Call::Hurry);
        }
    }

    /// Pauses everything, waits until nothing is running any more, and gives the data directory back.
    /// In-flight work gets `grace` to reach its next checkpoint and a moment to end; what has not ended
    /// then is left as a crash leaves it.
    ///
    /// # Errors
    /// What closing the database says; everything acknowledged is on disk all the same.
    pub fn shutdown(self, grace: Duration) -> Result<()> {
        self.leave(grace, HandOver::Nothing).map(drop)
    }

    /// As [`shutdown`](Self::shutdown), and leaves word for the next host to go on with what `over` says.
    /// Says how many runs that are.
    ///
    /// # Errors
    /// As [`shutdown`](Self::shutdown).
    pub fn leave(self, grace: Duration, over: HandOver) -> Result<usize> {
        let (done, drained) = oneshot::channel();
        let asked = self.calls.blocking_send(Call::Drain { grace, done });
        // The supervisor drops the sender only when it is gone itself; then nothing runs either.
        let paused = if asked.is_ok() {
            self.runtime.block_on(drained).unwrap_or_default()
        } else {
            Vec::new()
        };
        self.tellers.finish(&self.runtime);
        self.runtime.shutdown_timeout(Duration::from_secs(5));
        let handed = handover::leave_word(&self.context, paused, over)
            .inspect_err(
                |failure| tracing::error!(%failure, "could not hand over; the runs are paused"),
            )
            .unwrap_or_default();
        let anchor =
            || anchor::Keeper::new(&self.context.paths).and_then(|mut keeper| keeper.keep());
        if let (None, Err(failure)) = (self.context.journal.store.stop(), anchor()) {
            tracing::warn!(%failure, "the anchor is behind the database");
        }
        let closed = self.context.journal.store.close_blocking();
        drop(self.lock);
        closed.map(|()| handed)
    }
}

/// What models cost: the settings, and over them what the provider said when it was last asked.
///
/// # Errors
/// `config_invalid` for a price that is none.
pub(crate) fn prices(settings: &Settings, paths: &Paths) -> Result<Prices> {
    let models = Models::kept(&paths.models(), &settings.openai.base_url);
    Ok(Prices::new(&settings.prices)?.knowing(models))
}

/// Every way to have work done, as these settings say.
///
/// # Errors
/// `config_invalid` for settings that a backend cannot work with.
pub(crate) fn backends(settings: &Settings, prices: Prices) -> Result<Vec<Arc<dyn Backend>>> {
    Ok(vec![
        Arc::new(OpenAi::new(&settings.openai, prices)?.with_servers(settings.mcp.clone())),
        Arc::new(Acp::new(settings)),
        Arc::new(Rehearsal::new(settings.rehearsal.pace_ms)),
    ])
}

/// Who can store nothing must not work on, and refuses what it is asked.
async fn tell_of_stop(store: Store, calls: mpsc::Sender<Call>) {
    let why = store.stopped().await;
    tracing::error!(failure = %why, "nothing can be stored any more");
    let _ = calls.send(Call::Stopped(why)).await;
}

/// Nothing is begun that could not be stored, and the runs go on when the other lets go: only the operator
/// has to know.
async fn tell_of_hold(store: Store, signals: broadcast::Sender<Signal>) {
    let mut held = store.held();
    while held.changed().await.is_ok() {
        let held = *held.borrow_and_update();
        tracing::warn!(held, "another process holds the database");
        let _ = signals.send(Signal::Held(held));
    }
}

/// The anchor belongs to the host: one that was overtaken leaves it alone.
async fn keep_anchor(store: Store, keeper: anchor::Keeper, news: broadcast::Receiver<Signal>) {
    tokio::select! {
        biased;
        _ = store.stopped() => {}
        () = keeper.run(news) => {}
    }
}

/// Ports speak in requests, the supervisor in calls.
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

/// Takes up commands that other processes left. A command stays open until its answer is stored, so
/// one that was being served when the host died is served again; its token and the run's own rules
/// make that harmless.
async fn serve_inbox(context: Arc<Context>, port: Port) {
    let (mut looked_at, mut first) = (None, true);
    let mut taken = BTreeSet::new();
    // Before the first look, so that nothing falls between the two.
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
                tracing::warn!(%failure, "could not look into the inbox");
                continue;
            }
        };
        looked_at = Some(version);
        let Some(open) = open else { continue };
        // Also a host at rest learns that another has taken over: by any commit of that one.
        if !context
            .journal
            .store
            .holds(reader.connection())
            .unwrap_or(true)
        {
            let _ = context.journal.store.write(|_| Ok(())).await;
            return;
        }
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

/// Reads the open commands, or nothing where nothing was written since `looked_at`; gives the reader back.
async fn look(reader: Reader, looked_at: Option<i64>) -> (Reader, Found) {
    let version = reader.data_version();
    let found = match version {
        Ok(version) if Some(version) == looked_at => Ok((version, None)),
        Ok(version) => inbox::open(reader.connection()).map(|open| (version, Some(open))),
        Err(failure) => Err(failure),
    };
    (reader, found)
}

/// Records that the operator agrees to use a persona, by its hash. Works beside a live host too: it
/// is one row, and SQLite takes writers in turn.
///
/// # Errors
/// What opening or writing the database says.
pub fn give_consent(paths: &Paths, persona: &str, hash: &ContentHash, by: &str) -> Result<()> {
    let (persona, hash, by) = (persona.to_owned(), hash.clone(), by.to_owned());
    attach::write_beside(paths, move |tx| {
        consents::give(tx, &persona, &hash, &by, Timestamp::now())
    })
}
