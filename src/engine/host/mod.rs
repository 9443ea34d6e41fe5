//! The process that owns a data directory and executes its runs; and how others reach it.
//!
//! [`Host::start`] takes the lock before it opens anything, recovers what the last host left, and
//! then serves commands: from its own process through a [`Port`], from others through the inbox in
//! the database. It works on a runtime of its own, so that nothing it does delays a key press.
//! [`attach`] gives a `Port` of the same make whose other end is that inbox.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Handle, Runtime};
use tokio::sync::{mpsc, oneshot};

pub use self::lock::{HostInfo, HostLock, live_host};
use self::recovery::Recovered;
use self::tellers::Tellers;
use super::agent::Backend;
use super::agent::openai::{OpenAi, Prices};
use super::agent::rehearsal::Rehearsal;
use super::api::{Port, Request};
use super::context::{Context, blocking};
use super::paths::Paths;
use super::supervisor::{Call, Supervisor};
use crate::model::error::{Failure, Result};
use crate::model::hash::ContentHash;
use crate::model::settings::Settings;
use crate::model::time::Timestamp;
use crate::store::{Reader, Store, consents, inbox};

mod attach;
mod lock;
mod recovery;
mod tellers;

pub use attach::{attach, write_beside};

/// How often the host looks whether another process left a command.
const INBOX_LOOK: Duration = Duration::from_millis(50);
/// Calls that may wait for the supervisor.
const CALLS_WAITING: usize = 256;

/// The host of a data directory.
pub struct Host {
    context: Arc<Context>,
    runtime: Runtime,
    calls: mpsc::Sender<Call>,
    port: Port,
    tellers: Tellers,
    lock: HostLock,
}

impl Host {
    /// Becomes the host: lock, database, recovery, service.
    ///
    /// # Errors
    /// `session_manager_already_running` before anything is read or changed; what opening the
    /// database says; `config_invalid` for settings a backend cannot work with.
    pub fn start(paths: &Paths, settings: &Settings) -> Result<Self> {
        let lock = HostLock::take(paths)?;
        let store = Store::open(&paths.database())?;
        let context = Arc::new(Context::new(store, paths.clone(), settings.clone(), backends(settings)?));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("engine")
            .enable_all()
            .build()
            .map_err(|error| Failure::io("cannot start the engine's threads", &error))?;
        let Recovered { going_on, reports } = recovery::recover(&context, &runtime)?;
        let (calls, serving) = mpsc::channel(CALLS_WAITING + going_on.len());
        for run_id in going_on {
            // First of all calls, so that no drain overtakes them; there is room for each.
            let _ = calls.try_send(Call::TakeUp(run_id));
        }
        runtime.spawn(Supervisor::new(Arc::clone(&context), serving, calls.clone()).run());
        runtime.spawn(recovery::write_reports(Arc::clone(&context), reports));
        let tellers = Tellers::start(&context, &runtime);
        let port = Port::new(relay(&runtime, calls.clone()), context.signals.clone());
        runtime.spawn(serve_inbox(Arc::clone(&context), port.clone()));
        Ok(Self { context, runtime, calls, port, tellers, lock })
    }

    /// The way to this host's engine.
    #[must_use]
    pub fn port(&self) -> Port {
        self.port.clone()
    }

    /// The runtime the engine works on.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.runtime.handle().clone()
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
        let (done, drained) = oneshot::channel();
        let asked = self.calls.blocking_send(Call::Drain { grace, done });
        if asked.is_ok() {
            // The supervisor drops the sender only when it is gone itself; then nothing runs either.
            let _ = self.runtime.block_on(drained);
        }
        self.tellers.finish(&self.runtime);
        self.runtime.shutdown_timeout(Duration::from_secs(5));
        let closed = self.context.store.close_blocking();
        drop(self.lock);
        closed
    }
}

fn backends(settings: &Settings) -> Result<Vec<Arc<dyn Backend>>> {
    let prices = Prices::new(&settings.prices)?;
    Ok(vec![Arc::new(OpenAi::new(&settings.openai, prices)?), Arc::new(Rehearsal::new(settings.rehearsal.pace_ms))])
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
    let mut looked_at = None;
    let mut taken = BTreeSet::new();
    let mut ticks = tokio::time::interval(INBOX_LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let Some(mut reader) = open_reader(&context).await else { return };
    loop {
        ticks.tick().await;
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
    blocking(move || Reader::open(&path)).await.inspect_err(|failure| tracing::error!(%failure, "no reader for the inbox")).ok()
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
    attach::write_beside(paths, move |tx| consents::give(tx, &persona, &hash, &by, Timestamp::now()))
}
