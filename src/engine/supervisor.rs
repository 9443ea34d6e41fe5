//! Supervisor: owns all drivers. It receives requests, finds or starts the run's driver, and passes
//! the command on.
//!
//! The supervisor is one task and never waits for a run. Slow steps (starting and loading runs) are
//! separate tasks that report back by message, so one slow repository delays no other run.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};

use super::api::{Answer, Command, Request, Sender, Signal};
use super::context::Context;
use super::crash_card::{self, Settle};
use super::driver::{self, Answered, Driver, Order, Reply, Rest, Revision, Successor};
use super::offspring;
use super::run_files::{RunFiles, load_files};
use super::start::{self, Started};
use crate::model::error::{Code, Failure, Result};
use crate::model::id::{ClientToken, RunId};
use crate::model::record::RunRecord;
use crate::model::run_state::RunState;
use crate::model::state::{PauseReason, Strategy, Via};
use crate::store::threads::{self, Waiter};
use crate::store::{Reader, events, runs};

/// Number of answers kept for commands that are delivered twice.
const ANSWERS_KEPT: usize = 1024;
/// Maximum number of commands queued for one run.
const ORDERS_WAITING: usize = 1024;
/// Maximum number of runs loaded concurrently; each uses a database connection while it loads.
const LOADING_AT_ONCE: usize = 16;
/// Time a cancelled activity gets to end before a drain abandons it.
const LAST_MOMENTS: Duration = Duration::from_secs(5);

/// Message to the supervisor.
pub enum Call {
    Request(Request),
    /// Pause everything and exit; answered when nothing is running any more.
    Drain {
        /// Time for running work to reach its next checkpoint.
        grace: Duration,
        /// Receives the runs that were active when the drain started.
        done: oneshot::Sender<Vec<RunId>>,
    },
    /// The disk is full: pause all runs.
    NoSpace,
    /// The store is permanently closed: cancel all work.
    Stopped(Failure),
    /// Disk space is available again: resume the runs that were paused for lack of it.
    SpaceAgain,
    /// Do not wait for checkpoints in the current drain, or in the next one.
    Hurry,
    /// The time limit of the drain is over.
    LeaveBehind,
    /// A start has finished; take up the run that it created, if any.
    StartOver(Option<RunId>),
    /// Start the driver of a run that recovery resumed.
    TakeUp(RunId),
    /// A driver exited.
    Ended(RunId, Rest),
    /// The first run in the queue of each thread.
    Lines(Result<Vec<Waiter>>),
    /// A run was loaded from the database.
    Loaded(RunId, Result<Box<Loaded>>),
}

/// A run as loaded from the database.
pub struct Loaded {
    record: RunRecord,
    state: RunState,
    /// The run's stored definitions, or why they cannot be read.
    files: Result<RunFiles>,
}

/// Owner of all drivers; see the module documentation.
pub struct Supervisor {
    context: Arc<Context>,
    calls: mpsc::Receiver<Call>,
    own: mpsc::Sender<Call>,
    runs: BTreeMap<RunId, Owner>,
    answers: Answers,
    loading: Arc<Semaphore>,
    /// Number of starts in progress.
    starting: usize,
    hurried: bool,
    drain: Option<oneshot::Sender<Vec<RunId>>>,
    /// Runs that were active when the drain started.
    drained: Vec<RunId>,
    /// Whether queued runs are started when their turn comes.
    begins: bool,
    /// `Some` while the queues are being read; `true` if they may have changed since.
    reading: Option<bool>,
    /// Why the store is closed, once it is.
    stopped: Option<Failure>,
}

enum Owner {
    /// Its rows are being read; these commands wait.
    Loading(Vec<Order>),
    Driven(mpsc::Sender<Order>),
}

impl Supervisor {
    /// Creates a supervisor that serves `calls`; `own` is the sending end of the same channel. With
    /// `begins` false (a host that exists only to store one command) queued runs are not started.
    #[must_use]
    pub fn new(
        context: Arc<Context>,
        calls: mpsc::Receiver<Call>,
        own: mpsc::Sender<Call>,
        begins: bool,
    ) -> Self {
        let loading = Arc::new(Semaphore::new(LOADING_AT_ONCE));
        let runs = BTreeMap::new();
        let answers = Answers::default();
        Self {
            context,
            calls,
            own,
            runs,
            answers,
            loading,
            starting: 0,
            hurried: false,
            drain: None,
            drained: Vec::new(),
            begins,
            reading: None,
            stopped: None,
        }
    }

    /// Serves messages until drained.
    pub async fn run(mut self) {
        self.serve_lines();
        while let Some(call) = self.calls.recv().await {
            match call {
                Call::Request(request) => self.request(request),
                Call::Drain { grace, done } => self.begin_drain(grace, done),
                Call::NoSpace => self.pause_all(PauseReason::DiskFull, Duration::ZERO),
                Call::Stopped(why) => self.stop(why),
                Call::SpaceAgain => self.go_on_with_space(),
                Call::Hurry => self.hurry(),
                Call::LeaveBehind => self.leave_behind(),
                Call::TakeUp(run_id) => self.take_up(run_id),
                Call::StartOver(run_id) => {
                    self.starting -= 1;
                    if let Some(run_id) = run_id {
                        self.take_up(run_id);
                    }
                    self.serve_lines();
                }
                Call::Lines(first) => self.lines(first),
                Call::Ended(run_id, rest) => self.driver_ended(run_id, rest),
                Call::Loaded(run_id, loaded) => self.loaded(run_id, loaded),
            }
            // A start in progress may still create a run, which must be paused as well.
            if self.drain.is_some() && self.runs.is_empty() && self.starting == 0 {
                if let Some(done) = self.drain.take() {
                    let _ = done.send(std::mem::take(&mut self.drained));
                }
                return;
            }
        }
    }

    fn request(&mut self, request: Request) {
        let Request {
            command,
            sender,
            token,
            reply,
        } = request;
        if self.drain.is_some() {
            let _ = reply.send(Err(going_away()));
            return;
        }
        if let Some(why) = &self.stopped {
            let _ = reply.send(Err(why.clone()));
            return;
        }
        // Registered only now: a refusal above is not kept, so the next host may execute the
        // command.
        let Some(reply) = self.answers.once(token, reply) else {
            return;
        };
        match command {
            Command::Start(request) => self.begin(reply, move |context| async move {
                start::start(&context, *request).await
            }),
            Command::Retry(request) => self.begin(reply, move |context| async move {
                offspring::retry(&context, *request).await
            }),
            Command::Fork(request) => self.begin(reply, move |context| async move {
                offspring::fork(&context, *request).await
            }),
            Command::Pick { run_id, fork } => self.order(
                run_id,
                Some(Order::Pick {
                    fork,
                    by: sender.by,
                    reply,
                }),
            ),
            Command::Resume { run_id } => {
                self.order(run_id, Some(Order::Resume { who: sender, reply }))
            }
            Command::Pause { run_id } => {
                let grace =
                    Duration::from_secs(self.context.settings.engine.shutdown_grace_seconds);
                self.order(
                    run_id,
                    Some(Order::Pause {
                        reason: PauseReason::Operator,
                        grace,
                        reply: Some(reply),
                    }),
                );
            }
            Command::Abort { run_id, reason } => {
                self.order(
                    run_id,
                    Some(Order::Abort {
                        who: sender,
                        reason,
                        roll_back: false,
                        reply,
                    }),
                );
            }
            Command::RollBack { run_id, reason } => {
                self.order(
                    run_id,
                    Some(Order::Abort {
                        who: sender,
                        reason,
                        roll_back: true,
                        reply,
                    }),
                );
            }
            Command::Settle {
                run_id,
                call_id,
                how,
            } => self.settle(run_id, call_id, how, reply),
            Command::Decide {
                run_id,
                request_id,
                action,
                comment,
                artifact_sha256,
                scope,
                raise_nano_usd: raise,
                personas,
            } => {
                let Sender { by, via } = sender;
                let decision = Answered {
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
                self.order(run_id, Some(Order::Decide { decision, reply }));
            }
            Command::Revise {
                run_id,
                request_id,
                content,
            } => {
                let revision = Revision {
                    request_id,
                    content,
                    by: sender.by,
                };
                self.order(run_id, Some(Order::Revise { revision, reply }));
            }
        }
    }

    fn begin<F>(&mut self, reply: Reply, store: impl FnOnce(Arc<Context>) -> F + Send + 'static)
    where
        F: Future<Output = Result<Started>> + Send,
    {
        self.starting += 1;
        let context = Arc::clone(&self.context);
        let own = self.own.clone();
        tokio::spawn(async move {
            let started = store(context).await;
            let new = started
                .as_ref()
                .ok()
                .filter(|started| !started.existing)
                .map(|started| started.run_id);
            // Take the run up before answering: a client that knows the run is started may send it
            // commands at once.
            let _ = own.send(Call::StartOver(new)).await;
            let _ = reply.send(started.map(|started| Answer::Started {
                run_id: started.run_id,
                existing: started.existing,
            }));
        });
    }

    /// Records the outcome of a call that a crash left unknown. Refused while the run has a driver.
    fn settle(&self, run_id: RunId, call_id: String, how: Settle, reply: Reply) {
        if self.runs.contains_key(&run_id) {
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
                .store_patiently(
                    move |tx| crash_card::settle(tx, run_id, &call_id, how),
                    |_| {},
                )
                .await;
            let _ = reply.send(stored.map(|_| Answer::Accepted { run_id }));
        });
    }

    /// Starts the driver of a run; during a drain, one that pauses it immediately.
    fn take_up(&mut self, run_id: RunId) {
        let draining = self.drain.is_some();
        self.order(
            run_id,
            draining.then_some(Order::Pause {
                reason: PauseReason::Shutdown,
                grace: Duration::ZERO,
                reply: None,
            }),
        );
    }

    fn order(&mut self, run_id: RunId, order: Option<Order>) {
        match self.runs.get_mut(&run_id) {
            Some(Owner::Loading(waiting)) => waiting.extend(order),
            Some(Owner::Driven(orders)) => {
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

    fn load(&mut self, run_id: RunId, orders: Vec<Order>) {
        self.runs.insert(run_id, Owner::Loading(orders));
        let context = Arc::clone(&self.context);
        let own = self.own.clone();
        let loading = Arc::clone(&self.loading);
        tokio::spawn(async move {
            let _permit = loading.acquire_owned().await;
            let shared = Arc::clone(&context);
            let loaded = context.journal.read(move |conn| {
                let record = runs::get(conn, run_id)?;
                let state = events::state(conn, run_id)?;
                // A run that has ended can be answered for even if its definitions are unreadable.
                let files = load_files(conn, record.clone());
                let files = files.map(|mut files| {
                    shared.schemas.share(&mut files);
                    files
                });
                if state.status.is_terminal() && files.is_err() {
                    return Err(super::machine::ended(&state));
                }
                Ok(Box::new(Loaded {
                    record,
                    state,
                    files,
                }))
            });
            let loaded = loaded.await;
            let _ = own.send(Call::Loaded(run_id, loaded)).await;
        });
    }

    fn loaded(&mut self, run_id: RunId, loaded: Result<Box<Loaded>>) {
        let waiting = match self.runs.remove(&run_id) {
            Some(Owner::Loading(waiting)) => waiting,
            // Abandoned by a drain in the meantime.
            other => {
                self.runs.extend(other.map(|owner| (run_id, owner)));
                return;
            }
        };
        let Loaded {
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
        let (orders, inbox) = mpsc::channel(ORDERS_WAITING);
        for order in waiting {
            if let Err(error) = orders.try_send(order) {
                error.into_inner().refuse(&Failure::internal(
                    "too many commands are queued for this run",
                ));
            }
        }
        let context = Arc::clone(&self.context);
        let own = self.own.clone();
        tokio::spawn(async move {
            let rest = match files {
                Ok(files) => {
                    Driver::new(context, Arc::new(files), state, inbox)
                        .run()
                        .await
                }
                Err(failure) => {
                    driver::own_unreadable(context, record, state, failure, inbox).await
                }
            };
            let _ = own.send(Call::Ended(run_id, rest)).await;
        });
        self.runs.insert(run_id, Owner::Driven(orders));
    }

    fn driver_ended(
        &mut self,
        run_id: RunId,
        Rest {
            mut late,
            handed_to,
        }: Rest,
    ) {
        // A later command may already have replaced the closed entry (see `order`); keep that one.
        if matches!(self.runs.get(&run_id), Some(Owner::Driven(orders)) if orders.is_closed()) {
            self.runs.remove(&run_id);
        }
        while let Ok(order) = late.try_recv() {
            match order {
                // The run is already paused, and its thread is free.
                Order::Pause { reply: None, .. } | Order::GiveWay { .. } => {}
                order => self.order(run_id, Some(order)),
            }
        }
        if let Some(successor) = handed_to {
            self.take_up(successor);
        }
        self.serve_lines();
    }

    /// Reads the head of each thread's queue. Called whenever a thread may have become free or a
    /// run may have been queued.
    fn serve_lines(&mut self) {
        if self.drain.is_some() || self.stopped.is_some() || !self.begins {
            return;
        }
        // One read at a time; changes during a read cause exactly one more.
        if let Some(again) = &mut self.reading {
            *again = true;
            return;
        }
        self.reading = Some(false);
        let context = Arc::clone(&self.context);
        let own = self.own.clone();
        tokio::spawn(async move {
            let first = context.journal.read(threads::first_in_line).await;
            let _ = own.send(Call::Lines(first)).await;
        });
    }

    fn lines(&mut self, first: Result<Vec<Waiter>>) {
        let again = self.reading.take().unwrap_or_default();
        let first = first
            .inspect_err(|failure| tracing::error!(%failure, "could not read the queues"))
            .unwrap_or_default();
        let grace = Duration::from_secs(self.context.settings.engine.shutdown_grace_seconds);
        if self.drain.is_some() || self.stopped.is_some() {
            return;
        }
        for Waiter {
            run,
            strategy,
            holder,
        } in first
        {
            let to = Successor {
                run,
                roll_back: strategy == Strategy::Rollback,
            };
            match (holder, strategy) {
                (None, _) => self.order(run, Some(Order::Begin)),
                // Sent at every read of the queues; a driver that is already stopping ignores it.
                (Some(holder), Strategy::Interrupt) => {
                    self.order(holder, Some(Order::GiveWay { to, grace }))
                }
                (Some(holder), Strategy::Rollback) => self.order(
                    holder,
                    Some(Order::GiveWay {
                        to,
                        grace: Duration::ZERO,
                    }),
                ),
                (Some(_), Strategy::Enqueue | Strategy::Reject) => {}
            }
        }
        if again {
            self.serve_lines();
        }
    }

    fn begin_drain(&mut self, grace: Duration, done: oneshot::Sender<Vec<RunId>>) {
        let grace = if self.hurried { Duration::ZERO } else { grace };
        self.drain = Some(done);
        self.drained = self.runs.keys().copied().collect();
        self.pause_all(PauseReason::Shutdown, grace);
        self.leave_behind_after(grace);
    }

    fn hurry(&mut self) {
        self.hurried = true;
        if self.drain.is_some() {
            self.pause_all(PauseReason::Shutdown, Duration::ZERO);
            self.leave_behind_after(Duration::ZERO);
        }
    }

    /// Bounds a drain: neither a full disk nor an unresponsive activity may block shutdown.
    fn leave_behind_after(&self, grace: Duration) {
        let own = self.own.clone();
        tokio::spawn(async move {
            tokio::time::sleep(grace + LAST_MOMENTS).await;
            let _ = own.send(Call::LeaveBehind).await;
        });
    }

    /// Abandons what is still running, as a crash would; the next start recovers it.
    fn leave_behind(&mut self) {
        tracing::error!(runs = ?self.runs.keys().collect::<Vec<_>>(), "runs did not stop in time");
        self.runs.clear();
        self.starting = 0;
    }

    fn pause_all(&mut self, reason: PauseReason, grace: Duration) {
        let live: Vec<RunId> = self.runs.keys().copied().collect();
        for run_id in live {
            self.order(
                run_id,
                Some(Order::Pause {
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
        self.context.journal.publish(Signal::Host(false));
    }

    /// Resumes the runs that were paused for lack of disk space.
    fn go_on_with_space(&mut self) {
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
            self.order(
                run.id,
                Some(Order::Resume {
                    who: Sender::of_process(Via::Engine),
                    reply,
                }),
            );
        }
    }
}

fn going_away() -> Failure {
    Failure::new(Code::HostGoingAway, "the host is shutting down")
        .hint("all progress is stored; repeat the command when the host has exited")
}

/// Recent answers by client token, so that a command delivered twice acts once.
#[derive(Default)]
struct Answers {
    known: BTreeMap<ClientToken, Arc<tokio::sync::Mutex<Option<Result<Answer>>>>>,
    order: VecDeque<ClientToken>,
}

impl Answers {
    /// Registers a command and returns the reply channel for its execution. Returns `None` for a
    /// repeated delivery, which gets the answer of the first one.
    fn once(&mut self, token: ClientToken, reply: Reply) -> Option<Reply> {
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
            let answer: Result<Answer> = answer.await.unwrap_or_else(|_| Err(going_away()));
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
