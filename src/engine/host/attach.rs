//! Access to a host in another process: commands go through the inbox, events come from the
//! database.
//!
//! A command is stored as a row with the sender's token before it is executed, and its answer is
//! stored beside it, so the two processes need not be alive at the same time. Events are delivered
//! by reading what was stored since the last poll. Streamed agent text is not delivered this way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::lock::live_host;
use crate::engine::api::{
    CommandAnswer, CommandRequest, CommandSender, EngineCommand, EnginePort, EngineSignal,
};
use crate::engine::blocking::blocking;
use crate::engine::host::change_watcher::ChangeWatcher;
use crate::engine::journal_writer::signal_channel;
use crate::engine::paths::InstallPaths;
use crate::engine::run::context::EngineContext;
use crate::model::error::{Code, Failure, Result};
use crate::model::id::{ClientToken, RunId};
use crate::model::record::InboxRecord;
use crate::model::state::ApprovalStatus;
use crate::model::time::Timestamp;
use crate::store::journal::events;
use crate::store::tables::{approvals, inbox, run_list};
use crate::store::{Reader, Store};
use tokio::sync::{broadcast, mpsc};

/// Poll interval while waiting for an answer.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Time after which the sender is told that the command is stored but not yet answered.
const ANSWER_WAIT: Duration = Duration::from_secs(60);
/// The host is checked at every n-th poll for an answer.
const HOST_CHECK_EVERY: u32 = 4;
/// Number of consecutive checks without a host that are tolerated: one host may be handing over to
/// another.
const MAX_HOST_ABSENCES: u32 = 5;
/// Overlap of consecutive polls for changed runs, in case the clocks differ.
const OVERLAP_MS: i64 = 60_000;
/// Maximum number of events read per query.
const EVENT_PAGE_LEN: u32 = 2048;

/// Connects to the host of `paths` in another process.
///
/// # Errors
/// Errors of opening the database for reading.
pub fn attach(paths: &InstallPaths, runtime: &tokio::runtime::Handle) -> Result<EnginePort> {
    let reader = Reader::open(&paths.database())?;
    // Before the port exists: the port delivers every event that its owner may not have found in
    // the archive.
    let news = EventCursor::at_now(&reader)?;
    let (requests, incoming) = mpsc::channel(64);
    let signals = signal_channel();
    runtime.spawn(forward_commands(paths.clone(), incoming));
    runtime.spawn(poll_events(paths.clone(), reader, news, signals.clone()));
    Ok(EnginePort::new(requests, signals))
}

async fn forward_commands(paths: InstallPaths, mut incoming: mpsc::Receiver<CommandRequest>) {
    while let Some(request) = incoming.recv().await {
        let paths = paths.clone();
        tokio::spawn(async move {
            let CommandRequest {
                command,
                sender,
                token,
                reply,
            } = request;
            let answer = match store_command(&paths, command, sender, token).await {
                Ok(()) => wait_for_answer(&paths, token).await,
                Err(failure) => Err(failure),
            };
            let _ = reply.send(answer);
        });
    }
}

async fn store_command(
    paths: &InstallPaths,
    command: EngineCommand,
    sender: CommandSender,
    token: ClientToken,
) -> Result<()> {
    let paths = paths.clone();
    blocking(move || {
        let command = make_idempotent(
            Reader::open(&paths.database())?.connection(),
            command,
            token,
        )?;
        let run = command.run_id();
        let command = serde_json::to_string(&command).map_err(Failure::internal)?;
        let new = inbox::NewCommand {
            token,
            by: sender.by,
            via: sender.via,
            command,
            run,
        };
        write_alongside_host(&paths, move |tx| {
            inbox::insert(tx, &new, Timestamp::now()).map(drop)
        })
    })
    .await
}

/// Makes a command idempotent, since it is executed again after a crash: a start gets a key by
/// which it finds the run it created, and a decision is bound to the approval that is pending now,
/// so that it cannot apply to the next one.
fn make_idempotent(
    conn: &rusqlite::Connection,
    mut command: EngineCommand,
    token: ClientToken,
) -> Result<EngineCommand> {
    command.ensure_idempotency_key(|| format!("token:{token}"));
    if let EngineCommand::Decide {
        run_id,
        request_id: request_id @ None,
        ..
    } = &mut command
    {
        let asked = approvals::of_run(conn, *run_id)?;
        *request_id = asked
            .iter()
            .find(|asked| asked.state == ApprovalStatus::Pending)
            .map(|asked| asked.id);
    }
    Ok(command)
}

async fn wait_for_answer(paths: &InstallPaths, token: ClientToken) -> Result<CommandAnswer> {
    let path = paths.database();
    let reader = blocking(move || Reader::open(&path)).await?;
    let deadline = tokio::time::Instant::now() + ANSWER_WAIT;
    let mut ticks = tokio::time::interval(POLL_INTERVAL);
    let mut alone = 0;
    let mut looks = 0_u32;
    while tokio::time::Instant::now() < deadline {
        ticks.tick().await;
        looks += 1;
        if looks.is_multiple_of(HOST_CHECK_EVERY) {
            alone = if live_host(paths)?.is_none() {
                alone + 1
            } else {
                0
            };
        }
        if let Some(Some(answer)) = inbox::answer_of(reader.connection(), token)? {
            let answer: Result<CommandAnswer> = serde_json::from_str::<StoredAnswer>(&answer)
                .map_err(Failure::internal)?
                .into();
            return answer;
        }
        // The answer was checked once more after the last check of the host.
        if alone > MAX_HOST_ABSENCES {
            return Err(Failure::new(
                Code::HostGoingAway,
                "the host is gone; the command is stored, and the next host will execute it",
            )
            .hint("start `phasedeck` or `phasedeck host`; repeating the command is harmless"));
        }
    }
    Err(Failure::new(
        Code::PaneBrieflyUnresponsive,
        "the host has not answered yet; the command is stored and will be executed",
    )
    .hint("check with `phasedeck show` in a moment; repeating the command is harmless"))
}

/// An answer as stored in the inbox.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredAnswer {
    Ok(CommandAnswer),
    Err(Failure),
}

impl From<StoredAnswer> for Result<CommandAnswer> {
    fn from(stored: StoredAnswer) -> Self {
        match stored {
            StoredAnswer::Ok(answer) => Ok(answer),
            StoredAnswer::Err(failure) => Err(failure),
        }
    }
}

/// Executes one command from another process and stores the answer beside it.
pub(super) async fn execute_command(
    context: Arc<EngineContext>,
    port: EnginePort,
    row: InboxRecord,
) {
    let sender = CommandSender {
        by: row.by,
        via: row.via,
    };
    let answer = match serde_json::from_str::<EngineCommand>(&row.command) {
        Ok(command) => match earlier_answer(&context, &command, row.run_seq).await {
            Some(answer) => Ok(answer),
            None => port.send(command, sender, row.token).await,
        },
        Err(error) => Err(Failure::internal(format!(
            "a command in the inbox cannot be read: {error}"
        ))),
    };
    let stored = match answer {
        // Not executed: left for the next host.
        Err(failure) if failure.code == Code::HostGoingAway => return,
        Ok(answer) => StoredAnswer::Ok(answer),
        Err(failure) => StoredAnswer::Err(failure),
    };
    let Ok(text) = serde_json::to_string(&stored) else {
        return;
    };
    let answered = context
        .journal
        .store
        .write(move |tx| inbox::answer(tx, row.token, &text, Timestamp::now()))
        .await;
    if let Err(failure) = answered {
        tracing::error!(%failure, "could not store an answer; the command will be executed again");
    }
}

/// Returns the answer of a command that was already executed by a host that died before it could
/// answer. A run that has been resumed (or paused) since the command was stored must not be resumed
/// again.
async fn earlier_answer(
    context: &EngineContext,
    command: &EngineCommand,
    run_seq: Option<u64>,
) -> Option<CommandAnswer> {
    let kinds: &[&str] = match command {
        EngineCommand::Resume { .. } => &["run.resumed", "run.started"],
        EngineCommand::Pause { .. } => &["run.paused"],
        EngineCommand::Pick { .. } => &["artifact.changed"],
        _ => return None,
    };
    let run_id = command.run_id()?;
    let from = run_seq? + 1;
    let path = context.paths.database();
    let kinds: Vec<_> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
    let found = blocking(move || {
        events::filtered(
            Reader::open(&path)?.connection(),
            run_id,
            &kinds,
            None,
            from,
            1,
        )
    })
    .await;
    found
        .is_ok_and(|found| !found.is_empty())
        .then_some(CommandAnswer::Accepted { run_id })
}

/// Position up to which events have been delivered.
struct EventCursor {
    seen: BTreeMap<RunId, u64>,
    since: Timestamp,
    version: Option<i64>,
}

impl EventCursor {
    fn at_now(reader: &Reader) -> Result<Self> {
        // The version is read first: a commit in between then causes one more poll, which finds
        // nothing new.
        let version = reader.data_version()?;
        let since = with_overlap(Timestamp::now());
        let seen = run_list::moved(reader.connection(), Timestamp(0))?
            .into_iter()
            .collect();
        Ok(Self {
            seen,
            since,
            version: Some(version),
        })
    }
}

/// Rows carry the writer's clock, read before the commit. The overlap is harmless, because events
/// that were delivered are skipped.
fn with_overlap(looked: Timestamp) -> Timestamp {
    Timestamp(looked.0 - OVERLAP_MS)
}

async fn poll_events(
    paths: InstallPaths,
    reader: Reader,
    mut news: EventCursor,
    signals: broadcast::Sender<EngineSignal>,
) {
    let mut bell = ChangeWatcher::new(&paths);
    let mut hosted = true;
    loop {
        publish_host_presence(&paths, &mut hosted, &signals);
        bell.changed().await;
        let now = reader.data_version().ok();
        if now == news.version {
            continue;
        }
        match publish_events(&reader, &mut news, &signals) {
            Ok(()) => news.version = now,
            Err(failure) => tracing::warn!(%failure, "could not read new events"),
        }
    }
}

fn publish_host_presence(
    paths: &InstallPaths,
    hosted: &mut bool,
    signals: &broadcast::Sender<EngineSignal>,
) {
    // A lock that cannot be checked does not count as released.
    let there = !matches!(live_host(paths), Ok(None));
    if std::mem::replace(hosted, there) != there {
        let _ = signals.send(EngineSignal::HostPresence(there));
    }
}

fn publish_events(
    reader: &Reader,
    news: &mut EventCursor,
    signals: &broadcast::Sender<EngineSignal>,
) -> Result<()> {
    let looked = Timestamp::now();
    for (run_id, last_seq) in run_list::moved(reader.connection(), news.since)? {
        let told = news.seen.entry(run_id).or_insert(0);
        while *told < last_seq {
            let page = events::from(reader.connection(), run_id, *told + 1, EVENT_PAGE_LEN)?;
            let Some(last) = page.last() else { break };
            *told = last.seq;
            for event in page {
                let _ = signals.send(EngineSignal::Event(Arc::new(event)));
            }
        }
    }
    news.since = with_overlap(looked);
    Ok(())
}

/// Runs one write transaction beside a running host; SQLite serializes the writers.
pub fn write_alongside_host<T: Send + 'static>(
    paths: &InstallPaths,
    write: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<T> + Send + 'static,
) -> Result<T> {
    paths.create()?;
    let store = Store::open(&paths.database())?;
    let written = store.write_blocking(write);
    let closed = store.close_blocking();
    let value = written?;
    closed.map(|()| value)
}
