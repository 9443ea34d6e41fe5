//! Supervisor: owns all drivers. It receives requests, finds or starts the run's driver, and passes
//! the command on.
//!
//! The supervisor is one task and never waits for a run. Slow steps (starting and loading runs) are
//! separate tasks that report back by message, so one slow repository delays no other run.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::context::EngineContext;
use super::crash_card::{self, CallResolution};
use super::driver::{
    self, ArtifactRevision, DriverCmd, DriverExit, OperatorDecision, ReplySender, RunDriver,
    ThreadSuccessor,
};
use super::run_files::{RunDefinitions, load_definitions};
use super::start::{self, StartedRun};
use crate::engine::api::{
    CommandAnswer, CommandRequest, CommandSender, EngineCommand, EngineSignal,
};
use crate::engine::run::derive;
use crate::model::error::{Code, Failure, Result};
use crate::model::id::{ClientToken, RunId};
use crate::model::record::RunRecord;
use crate::model::run_state::RunState;
use crate::model::state::{PauseReason, Strategy, Via};
use crate::store::Reader;
use crate::store::journal::events;
use crate::store::tables::runs;
use crate::store::tables::threads;
use crate::store::tables::threads::QueuedRun;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Number of answers kept for commands that are delivered twice.
const ANSWERS_KEPT: usize = 1024;
/// Maximum number of commands queued for one run.
const COMMAND_QUEUE_LEN: usize = 1024;
/// Maximum number of runs loaded concurrently; each uses a database connection while it loads.
const MAX_CONCURRENT_LOADS: usize = 16;
/// Time a cancelled activity gets to end before a drain abandons it.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// Message to the supervisor.
pub enum SupervisorMsg {
    Request(CommandRequest),
    /// Pause everything and exit; answered when nothing is running any more.
    Drain {
        /// Time for running work to reach its next checkpoint.
        grace: Duration,
        /// Receives the runs that were active when the drain started.
        done: oneshot::Sender<Vec<RunId>>,
    },
    /// The disk is full: pause all runs.
    DiskFull,
    /// The store is permanently closed: cancel all work.
    StoreClosed(Failure),
    /// Disk space is available again: resume the runs that were paused for lack of it.
    DiskSpaceAvailable,
    /// Do not wait for checkpoints in the current drain, or in the next one.
    ShortenDrain,
    /// The time limit of the drain is over.
    DrainTimeout,
    /// A start has finished; take up the run that it created, if any.
    StartFinished(Option<RunId>),
    /// Start the driver of a run that recovery resumed.
    Adopt(RunId),
    /// A driver exited.
    DriverExited(RunId, DriverExit),
    /// The first run in the queue of each thread.
    QueueHeads(Result<Vec<QueuedRun>>),
    /// A run was loaded from the database.
    RunLoaded(RunId, Result<Box<StoredRun>>),
}

/// A run as loaded from the database.
pub struct StoredRun {
    record: RunRecord,
    state: RunState,
    /// The run's stored definitions, or why they cannot be read.
    files: Result<RunDefinitions>,
}

/// Owner of all drivers; see the module documentation.
pub struct Supervisor {
    context: Arc<EngineContext>,
    inbox: mpsc::Receiver<SupervisorMsg>,
    self_tx: mpsc::Sender<SupervisorMsg>,
    drivers: BTreeMap<RunId, DriverHandle>,
    answers: AnswerCache,
    loading: Arc<Semaphore>,
    /// Number of starts in progress.
    starting: usize,
    drain_shortened: bool,
    drain: Option<oneshot::Sender<Vec<RunId>>>,
    /// Runs that were active when the drain started.
    drained: Vec<RunId>,
    /// Whether queued runs are started when their turn comes.
    starts_queued: bool,
    /// `Some` while the queues are being read; `true` if they may have changed since.
    reading_queues: Option<bool>,
    /// Why the store is closed, once it is.
    stopped: Option<Failure>,
}

enum DriverHandle {
    /// Its rows are being read; these commands wait.
    Loading(Vec<DriverCmd>),
    Driven(mpsc::Sender<DriverCmd>),
}

impl Supervisor {
    /// Creates a supervisor that serves `calls`; `own` is the sending end of the same channel. With
    /// `begins` false (a host that exists only to store one command) queued runs are not started.
    #[must_use]
    pub fn new(
        context: Arc<EngineContext>,
        calls: mpsc::Receiver<SupervisorMsg>,
        own: mpsc::Sender<SupervisorMsg>,
        begins: bool,
    ) -> Self {
        let loading = Arc::new(Semaphore::new(MAX_CONCURRENT_LOADS));
        let runs = BTreeMap::new();
        let answers = AnswerCache::default();
        Self {
            context,
            inbox: calls,
            self_tx: own,
            drivers: runs,
            answers,
            loading,
            starting: 0,
            drain_shortened: false,
            drain: None,
            drained: Vec::new(),
            starts_queued: begins,
            reading_queues: None,
            stopped: None,
        }
    }

    /// Serves messages until drained.
    pub async fn run(mut self) {
        self.read_queues();
        while let Some(call) = self.inbox.recv().await {
            match call {
                SupervisorMsg::Request(request) => self.request(request),
                SupervisorMsg::Drain { grace, done } => self.begin_drain(grace, done),
                SupervisorMsg::DiskFull => self.pause_all(PauseReason::DiskFull, Duration::ZERO),
                SupervisorMsg::StoreClosed(why) => self.stop(why),
                SupervisorMsg::DiskSpaceAvailable => self.resume_after_disk_full(),
                SupervisorMsg::ShortenDrain => self.shorten_drain(),
                SupervisorMsg::DrainTimeout => self.abandon_runs(),
                SupervisorMsg::Adopt(run_id) => self.adopt(run_id),
                SupervisorMsg::StartFinished(run_id) => {
                    self.starting -= 1;
                    if let Some(run_id) = run_id {
                        self.adopt(run_id);
                    }
                    self.read_queues();
                }
                SupervisorMsg::QueueHeads(first) => self.start_queued(first),
                SupervisorMsg::DriverExited(run_id, rest) => self.driver_ended(run_id, rest),
                SupervisorMsg::RunLoaded(run_id, loaded) => self.loaded(run_id, loaded),
            }
            // A start in progress may still create a run, which must be paused as well.
            if self.drain.is_some() && self.drivers.is_empty() && self.starting == 0 {
                if let Some(done) = self.drain.take() {
                    let _ = done.send(std::mem::take(&mut self.drained));
                }
                return;
            }
        }
    }

    fn request(&mut self, request: CommandRequest) {
        let CommandRequest {
            command,
            sender,
            token,
            reply,
        } = request;
        if self.drain.is_some() {
            let _ = reply.send(Err(host_going_away()));
            return;
        }
        if let Some(why) = &self.stopped {
            let _ = reply.send(Err(why.clone()));
            return;
        }
        // Registered only now: a refusal above is not kept, so the next host may execute the
        // command.
        let Some(reply) = self.answers.register(token, reply) else {
            return;
        };
        match command {
            EngineCommand::Start(request) => self.spawn_start(reply, move |context| async move {
                start::start(&context, *request).await
            }),
            EngineCommand::Retry(request) => self.spawn_start(reply, move |context| async move {
                derive::retry(&context, *request).await
            }),
            EngineCommand::Fork(request) => self.spawn_start(reply, move |context| async move {
                derive::fork(&context, *request).await
            }),
            EngineCommand::Pick { run_id, fork } => self.send_command(
                run_id,
                Some(DriverCmd::Pick {
                    fork,
                    by: sender.by,
                    reply,
                }),
            ),
            EngineCommand::Resume { run_id } => {
                self.send_command(run_id, Some(DriverCmd::Resume { who: sender, reply }))
            }
            EngineCommand::Pause { run_id } => {
                let grace =
                    Duration::from_secs(self.context.settings.engine.shutdown_grace_seconds);
                self.send_command(
                    run_id,
                    Some(DriverCmd::Pause {
                        reason: PauseReason::Operator,
                        grace,
                        reply: Some(reply),
                    }),
                );
            }
            EngineCommand::Abort { run_id, reason } => {
                self.send_command(
                    run_id,
                    Some(DriverCmd::Abort {
                        who: sender,
                        reason,
                        roll_back: false,
                        reply,
                    }),
                );
            }
            EngineCommand::RollBack { run_id, reason } => {
                self.send_command(
                    run_id,
                    Some(DriverCmd::Abort {
                        who: sender,
                        reason,
                        roll_back: true,
                        reply,
                    }),
                );
            }
            EngineCommand::Settle {
                run_id,
                call_id,
                how,
            } => self.resolve_call(run_id, call_id, how, reply),
            EngineCommand::Decide {
                run_id,
                request_id,
                action,
                comment,
                artifact_sha256,
                scope,
                raise_nano_usd: raise,
                personas,
            } => {
                let CommandSender { by, via } = sender;
                let decision = OperatorDecision {
                    request_id,
                    action,
                    comment,
                    by,
                    via,
                    reviewed: artifact_sha256,
                    scope,
                    raise,
                    personas,
                };
                self.send_command(run_id, Some(DriverCmd::Decide { decision, reply }));
            }
            EngineCommand::Revise {
                run_id,
                request_id,
                content,
            } => {
                let revision = ArtifactRevision {
                    request_id,
                    content,
                    by: sender.by,
                };
                self.send_command(run_id, Some(DriverCmd::Revise { revision, reply }));
            }
        }
    }

    fn spawn_start<F>(
        &mut self,
        reply: ReplySender,
        store: impl FnOnce(Arc<EngineContext>) -> F + Send + 'static,
    ) where
        F: Future<Output = Result<StartedRun>> + Send,
    {
        self.starting += 1;
        let context = Arc::clone(&self.context);
        let own = self.self_tx.clone();
        tokio::spawn(async move {
            let started = store(context).await;
            let new = started
                .as_ref()
                .ok()
                .filter(|started| !started.existing)
                .map(|started| started.run_id);
            // Take the run up before answering: a client that knows the run is started may send it
            // commands at once.
            let _ = own.send(SupervisorMsg::StartFinished(new)).await;
            let _ = reply.send(started.map(|started| CommandAnswer::Started {
                run_id: started.run_id,
                existing: started.existing,
            }));
        });
    }

    /// Records the outcome of a call that a crash left unknown. Refused while the run has a driver.
    fn resolve_call(
        &self,
        run_id: RunId,
        call_id: String,
        how: CallResolution,
        reply: ReplySender,
    ) {
        if self.drivers.contains_key(&run_id) {
            let message = format!("run {} is active", run_id.short());
            let _ = reply.send(Err(
                Failure::new(Code::IllegalTransition, message).hint("pause it first")
            ));
            return;
        }
        let context = Arc::clone(&self.context);
        // A driver may start before this is stored; the transaction therefore checks the state
        // itself.
        tokio::spawn(async move {
            let stored = context
                .journal
                .write_with_retry(
                    move |tx| crash_card::resolve_call(tx, run_id, &call_id, how),
                    |_| {},
                )
                .await;
            let _ = reply.send(stored.map(|_| CommandAnswer::Accepted { run_id }));
        });
    }

    /// Starts the driver of a run; during a drain, one that pauses it immediately.
    fn adopt(&mut self, run_id: RunId) {
        let draining = self.drain.is_some();
        self.send_command(
            run_id,
            draining.then_some(DriverCmd::Pause {
                reason: PauseReason::Shutdown,
                grace: Duration::ZERO,
                reply: None,
            }),
        );
    }

    fn send_command(&mut self, run_id: RunId, order: Option<DriverCmd>) {
        match self.drivers.get_mut(&run_id) {
            Some(DriverHandle::Loading(waiting)) => waiting.extend(order),
            Some(DriverHandle::Driven(orders)) => {
                let Some(order) = order else { return };
                // A driver that has just exited returns its channel in `Ended`; load its run again.
                match orders.try_send(order) {
                    Ok(()) => {}
                    Err(mpsc::error::TrySendError::Full(order)) => order.refuse(
                        &Failure::internal("too many commands are queued for this run"),
                    ),
                    Err(mpsc::error::TrySendError::Closed(order)) => self.load(run_id, vec![order]),
                }
            }
            None => self.load(run_id, order.into_iter().collect()),
        }
    }

    fn load(&mut self, run_id: RunId, orders: Vec<DriverCmd>) {
        self.drivers.insert(run_id, DriverHandle::Loading(orders));
        let context = Arc::clone(&self.context);
        let own = self.self_tx.clone();
        let loading = Arc::clone(&self.loading);
        tokio::spawn(async move {
            let _permit = loading.acquire_owned().await;
            let shared = Arc::clone(&context);
            let loaded = context.journal.read(move |conn| {
                let record = runs::get(conn, run_id)?;
                let state = events::state(conn, run_id)?;
                // A run that has ended can be answered for even if its definitions are unreadable.
                let files = load_definitions(conn, record.clone());
                let files = files.map(|mut files| {
                    shared.schemas.deduplicate(&mut files);
                    files
                });
                if state.status.is_terminal() && files.is_err() {
                    return Err(super::machine::ended(&state));
                }
                Ok(Box::new(StoredRun {
                    record,
                    state,
                    files,
                }))
            });
            let loaded = loaded.await;
            let _ = own.send(SupervisorMsg::RunLoaded(run_id, loaded)).await;
        });
    }

    fn loaded(&mut self, run_id: RunId, loaded: Result<Box<StoredRun>>) {
        let waiting = match self.drivers.remove(&run_id) {
            Some(DriverHandle::Loading(waiting)) => waiting,
            // Abandoned by a drain in the meantime.
            other => {
                self.drivers.extend(other.map(|owner| (run_id, owner)));
                return;
            }
        };
        let StoredRun {
            record,
            state,
            files,
        } = match loaded {
            Ok(loaded) => *loaded,
            Err(failure) => {
                tracing::warn!(run = %run_id, %failure, "could not load a run");
                for order in waiting {
                    order.refuse(&failure);
                }
                return;
            }
        };
        if waiting.is_empty() && !state.status.holds_thread() {
            return;
        }
        let (orders, inbox) = mpsc::channel(COMMAND_QUEUE_LEN);
        for order in waiting {
            if let Err(error) = orders.try_send(order) {
                error.into_inner().refuse(&Failure::internal(
                    "too many commands are queued for this run",
                ));
            }
        }
        let context = Arc::clone(&self.context);
        let own = self.self_tx.clone();
        tokio::spawn(async move {
            let rest = match files {
                Ok(files) => {
                    RunDriver::new(context, Arc::new(files), state, inbox)
                        .run()
                        .await
                }
                Err(failure) => {
                    driver::drive_unreadable(context, record, state, failure, inbox).await
                }
            };
            let _ = own.send(SupervisorMsg::DriverExited(run_id, rest)).await;
        });
        self.drivers.insert(run_id, DriverHandle::Driven(orders));
    }

    fn driver_ended(
        &mut self,
        run_id: RunId,
        DriverExit {
            late_commands: mut late,
            successor: handed_to,
        }: DriverExit,
    ) {
        // A later command may already have replaced the closed entry (see `order`); keep that one.
        if matches!(self.drivers.get(&run_id), Some(DriverHandle::Driven(orders)) if orders.is_closed())
        {
            self.drivers.remove(&run_id);
        }
        while let Ok(order) = late.try_recv() {
            match order {
                // The run is already paused, and its thread is free.
                DriverCmd::Pause { reply: None, .. } | DriverCmd::HandOver { .. } => {}
                order => self.send_command(run_id, Some(order)),
            }
        }
        if let Some(successor) = handed_to {
            self.adopt(successor);
        }
        self.read_queues();
    }

    /// Reads the head of each thread's queue. Called whenever a thread may have become free or a
    /// run may have been queued.
    fn read_queues(&mut self) {
        if self.drain.is_some() || self.stopped.is_some() || !self.starts_queued {
            return;
        }
        // One read at a time; changes during a read cause exactly one more.
        if let Some(again) = &mut self.reading_queues {
            *again = true;
            return;
        }
        self.reading_queues = Some(false);
        let context = Arc::clone(&self.context);
        let own = self.self_tx.clone();
        tokio::spawn(async move {
            let first = context.journal.read(threads::first_in_line).await;
            let _ = own.send(SupervisorMsg::QueueHeads(first)).await;
        });
    }

    fn start_queued(&mut self, first: Result<Vec<QueuedRun>>) {
        let again = self.reading_queues.take().unwrap_or_default();
        let first = first
            .inspect_err(|failure| tracing::error!(%failure, "could not read the queues"))
            .unwrap_or_default();
        let grace = Duration::from_secs(self.context.settings.engine.shutdown_grace_seconds);
        if self.drain.is_some() || self.stopped.is_some() {
            return;
        }
        for QueuedRun {
            run,
            strategy,
            holder,
        } in first
        {
            let to = ThreadSuccessor {
                run,
                roll_back: strategy == Strategy::Rollback,
            };
            match (holder, strategy) {
                (None, _) => self.send_command(run, Some(DriverCmd::Start)),
                // Sent at every read of the queues; a driver that is already stopping ignores it.
                (Some(holder), Strategy::Interrupt) => {
                    self.send_command(holder, Some(DriverCmd::HandOver { to, grace }))
                }
                (Some(holder), Strategy::Rollback) => self.send_command(
                    holder,
                    Some(DriverCmd::HandOver {
                        to,
                        grace: Duration::ZERO,
                    }),
                ),
                (Some(_), Strategy::Enqueue | Strategy::Reject) => {}
            }
        }
        if again {
            self.read_queues();
        }
    }

    fn begin_drain(&mut self, grace: Duration, done: oneshot::Sender<Vec<RunId>>) {
        let grace = if self.drain_shortened {
            Duration::ZERO
        } else {
            grace
        };
        self.drain = Some(done);
        self.drained = self.drivers.keys().copied().collect();
        self.pause_all(PauseReason::Shutdown, grace);
        self.limit_drain(grace);
    }

    fn shorten_drain(&mut self) {
        self.drain_shortened = true;
        if self.drain.is_some() {
            self.pause_all(PauseReason::Shutdown, Duration::ZERO);
            self.limit_drain(Duration::ZERO);
        }
    }

    /// Bounds a drain: neither a full disk nor an unresponsive activity may block shutdown.
    fn limit_drain(&self, grace: Duration) {
        let own = self.self_tx.clone();
        tokio::spawn(async move {
            tokio::time::sleep(grace + CANCEL_TIMEOUT).await;
            let _ = own.send(SupervisorMsg::DrainTimeout).await;
        });
    }

    /// Abandons what is still running, as a crash would; the next start recovers it.
    fn abandon_runs(&mut self) {
        tracing::error!(runs = ?self.drivers.keys().collect::<Vec<_>>(), "runs did not stop in time");
        self.drivers.clear();
        self.starting = 0;
    }

    fn pause_all(&mut self, reason: PauseReason, grace: Duration) {
        let live: Vec<RunId> = self.drivers.keys().copied().collect();
        for run_id in live {
            self.send_command(
                run_id,
                Some(DriverCmd::Pause {
                    reason,
                    grace,
                    reply: None,
                }),
            );
        }
    }

    /// Cancels all work and signals that this process no longer hosts the runs.
    fn stop(&mut self, why: Failure) {
        self.stopped = Some(why);
        self.pause_all(PauseReason::Crashed, Duration::ZERO);
        self.context
            .journal
            .publish(EngineSignal::HostPresence(false));
    }

    /// Resumes the runs that were paused for lack of disk space.
    fn resume_after_disk_full(&mut self) {
        let waiting = Reader::open(&self.context.paths.database())
            .and_then(|reader| runs::non_terminal(reader.connection()));
        let waiting = waiting.unwrap_or_else(|failure| {
            tracing::error!(%failure, "could not find the runs paused by the full disk");
            Vec::new()
        });
        for run in waiting
            .into_iter()
            .filter(|run| run.pause_reason.as_deref() == Some(PauseReason::DiskFull.as_str()))
        {
            let (reply, _nobody) = oneshot::channel();
            self.send_command(
                run.id,
                Some(DriverCmd::Resume {
                    who: CommandSender::from_process(Via::Engine),
                    reply,
                }),
            );
        }
    }
}

fn host_going_away() -> Failure {
    Failure::new(Code::HostGoingAway, "the host is shutting down")
        .hint("all progress is stored; repeat the command when the host has exited")
}

/// Recent answers by client token, so that a command delivered twice acts once.
#[derive(Default)]
struct AnswerCache {
    known: BTreeMap<ClientToken, Arc<tokio::sync::Mutex<Option<Result<CommandAnswer>>>>>,
    order: VecDeque<ClientToken>,
}

impl AnswerCache {
    /// Registers a command and returns the reply channel for its execution. Returns `None` for a
    /// repeated delivery, which gets the answer of the first one.
    fn register(&mut self, token: ClientToken, reply: ReplySender) -> Option<ReplySender> {
        if let Some(slot) = self.known.get(&token) {
            let slot = Arc::clone(slot);
            tokio::spawn(async move {
                let answer = slot.lock().await.clone();
                let _ =
                    reply.send(answer.unwrap_or_else(|| {
                        Err(Failure::internal("the first delivery was dropped"))
                    }));
            });
            return None;
        }
        let slot = Arc::new(tokio::sync::Mutex::new(None));
        // The lock is new and therefore free. It is held until the answer is known, so a repeated
        // delivery waits on it.
        let Ok(mut held) = Arc::clone(&slot).try_lock_owned() else {
            return Some(reply);
        };
        let (first, answer) = oneshot::channel();
        tokio::spawn(async move {
            let answer: Result<CommandAnswer> =
                answer.await.unwrap_or_else(|_| Err(host_going_away()));
            *held = Some(answer.clone());
            let _ = reply.send(answer);
        });
        self.known.insert(token, slot);
        self.order.push_back(token);
        if self.order.len() > ANSWERS_KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        Some(first)
    }
}
