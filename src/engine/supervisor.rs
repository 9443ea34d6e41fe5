//! The owner of all drivers: takes requests in, finds or makes the run's owner, hands the order on.
//!
//! One task. It never waits for a run: what takes time (starting, loading) happens in tasks of its
//! own that come back as messages, so that one slow repository delays nobody else.

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

/// How many answers are remembered for commands that are delivered twice.
const ANSWERS_KEPT: usize = 1024;
/// Orders that may wait for one run.
const ORDERS_WAITING: usize = 1024;
/// Runs whose rows are read at the same time; each holds a database connection meanwhile.
const LOADING_AT_ONCE: usize = 16;
/// How long work that was told to end may take to do so before a drain leaves it behind.
const LAST_MOMENTS: Duration = Duration::from_secs(5);

/// Something for the supervisor.
pub enum Call {
    /// An operator's command.
    Request(Request),
    /// Pause everything and end; the answer comes when nothing is running any more.
    Drain {
        /// How long in-flight work may take to reach its next checkpoint.
        grace: Duration,
        /// Where the answer goes.
        done: oneshot::Sender<Vec<RunId>>,
    },
    /// The disk is full: everything rests.
    NoSpace,
    /// Nothing can be stored any more, and never will be: everything that works is told to end.
    Stopped(Failure),
    /// There is space again: what rested for want of it goes on.
    SpaceAgain,
    /// The drain that is under way, or the one that comes next, waits for no checkpoint.
    Hurry,
    /// The drain has waited long enough.
    LeaveBehind,
    /// A start is over; the run that it made is to be taken up.
    StartOver(Option<RunId>),
    /// Take up a run that was found going on at start-up.
    TakeUp(RunId),
    /// A driver ended, and left this.
    Ended(RunId, Rest),
    /// Who is the first in the line of each thread.
    Lines(Result<Vec<Waiter>>),
    /// A run was loaded from its rows.
    Loaded(RunId, Result<Box<Loaded>>),
}

/// A run as its rows tell it.
pub struct Loaded {
    record: RunRecord,
    state: RunState,
    /// Why they cannot be read, where they cannot.
    files: Result<RunFiles>,
}

/// The owner of all drivers.
pub struct Supervisor {
    context: Arc<Context>,
    calls: mpsc::Receiver<Call>,
    own: mpsc::Sender<Call>,
    runs: BTreeMap<RunId, Owner>,
    answers: Answers,
    loading: Arc<Semaphore>,
    /// Starts that are under way.
    starting: usize,
    hurried: bool,
    drain: Option<oneshot::Sender<Vec<RunId>>>,
    /// Runs that the drain found at work.
    drained: Vec<RunId>,
    /// Whether runs that wait in line begin when their turn comes.
    begins: bool,
    /// The lines are being read; and whether they may have changed since.
    reading: Option<bool>,
    /// Why nothing can be stored any more, once that is so.
    stopped: Option<Failure>,
}

enum Owner {
    /// Its rows are being read; these orders wait.
    Loading(Vec<Order>),
    /// Its driver works.
    Driven(mpsc::Sender<Order>),
}

impl Supervisor {
    /// A supervisor that serves `calls`; `own` is the sending end of the same channel. Where it is there
    /// for a moment only, nothing that waits in line `begins`.
    #[must_use]
    pub fn new(
        context: Arc<Context>,
        calls: mpsc::Receiver<Call>,
        own: mpsc::Sender<Call>,
        begins: bool,
    ) -> Self {
        let loading = Arc::new(Semaphore::new(LOADING_AT_ONCE));
        let (runs, answers) = (BTreeMap::new(), Answers::default());
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

    /// Serves until it was drained.
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
                    run_id.into_iter().for_each(|run_id| self.take_up(run_id));
                    self.serve_lines();
                }
                Call::Lines(first) => self.lines(first),
                Call::Ended(run_id, rest) => self.driver_ended(run_id, rest),
                Call::Loaded(run_id, loaded) => self.loaded(run_id, loaded),
            }
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
        let (context, own) = (Arc::clone(&self.context), self.own.clone());
        tokio::spawn(async move {
            let started = store(context).await;
            let new = started
                .as_ref()
                .ok()
                .filter(|started| !started.existing)
                .map(|started| started.run_id);
            // Taken up before the answer: who is told that it runs can order it about at once.
            let _ = own.send(Call::StartOver(new)).await;
            let _ = reply.send(started.map(|started| Answer::Started {
                run_id: started.run_id,
                existing: started.existing,
            }));
        });
    }

    /// What a crash left unsure is settled while nobody works on the run.
    fn settle(&self, run_id: RunId, call_id: String, how: Settle, reply: Reply) {
        if self.runs.contains_key(&run_id) {
            let message = format!("run {} is being worked on", run_id.short());
            let _ = reply.send(Err(
                Failure::new(Code::IllegalTransition, message).hint("pause it first")
            ));
            return;
        }
        let context = Arc::clone(&self.context);
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

    /// Gives a run that goes on an owner; while everything is being paused, one that pauses it.
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
                // A driver that has just ended gives the channel back as `Ended`; its run is loaded anew then.
                match orders.try_send(order) {
                    Ok(()) => {}
                    Err(mpsc::error::TrySendError::Full(order)) => {
                        order.refuse(&Failure::internal("too many orders wait for this run"))
                    }
                    Err(mpsc::error::TrySendError::Closed(order)) => self.load(run_id, vec![order]),
                }
            }
            None => self.load(run_id, order.into_iter().collect()),
        }
    }

    fn load(&mut self, run_id: RunId, orders: Vec<Order>) {
        self.runs.insert(run_id, Owner::Loading(orders));
        let (context, own, place) = (
            Arc::clone(&self.context),
            self.own.clone(),
            Arc::clone(&self.loading),
        );
        tokio::spawn(async move {
            let _place = place.acquire_owned().await;
            let shared = Arc::clone(&context);
            let loaded = context.journal.read(move |conn| {
                let record = runs::get(conn, run_id)?;
                let state = events::state(conn, run_id)?;
                // An ended run answers for itself, whatever became of its files.
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
                tracing::warn!(run = %run_id, %failure, "a run could not be loaded");
                waiting.into_iter().for_each(|order| order.refuse(&failure));
                return;
            }
        };
        if waiting.is_empty() && !state.status.holds_thread() {
            return;
        }
        let (orders, inbox) = mpsc::channel(ORDERS_WAITING);
        for order in waiting {
            if let Err(error) = orders.try_send(order) {
                error
                    .into_inner()
                    .refuse(&Failure::internal("too many orders wait for this run"));
            }
        }
        let (context, own) = (Arc::clone(&self.context), self.own.clone());
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
        if matches!(self.runs.get(&run_id), Some(Owner::Driven(orders)) if orders.is_closed()) {
            self.runs.remove(&run_id);
        }
        while let Ok(order) = late.try_recv() {
            match order {
                // It rests already; that is all a pause for the drain asks for.
                Order::Pause { reply: None, .. } | Order::GiveWay { .. } => {}
                order => self.order(run_id, Some(order)),
            }
        }
        handed_to
            .into_iter()
            .for_each(|run_id| self.take_up(run_id));
        self.serve_lines();
    }

    /// Looks who waits for a thread. Called whenever a thread may have become free, or somebody came.
    fn serve_lines(&mut self) {
        if self.drain.is_some() || self.stopped.is_some() || !self.begins {
            return;
        }
        if let Some(again) = &mut self.reading {
            *again = true;
            return;
        }
        self.reading = Some(false);
        let (context, own) = (Arc::clone(&self.context), self.own.clone());
        tokio::spawn(async move {
            let first = context.journal.read(threads::first_in_line).await;
            let _ = own.send(Call::Lines(first)).await;
        });
    }

    fn lines(&mut self, first: Result<Vec<Waiter>>) {
        let again = self.reading.take().unwrap_or_default();
        let first = first
            .inspect_err(|failure| tracing::error!(%failure, "could not read who waits"))
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

    /// Nothing may hold a drain for ever: not a full disk, not work that does not hear.
    fn leave_behind_after(&self, grace: Duration) {
        let own = self.own.clone();
        tokio::spawn(async move {
            tokio::time::sleep(grace + LAST_MOMENTS).await;
            let _ = own.send(Call::LeaveBehind).await;
        });
    }

    /// What is left behind is as a crash leaves it; the next start takes care of it.
    fn leave_behind(&mut self) {
        tracing::error!(runs = ?self.runs.keys().collect::<Vec<_>>(), "did not stop in time");
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

    /// What works ends at once. Whoever watches is told that nobody hosts the runs here any more.
    fn stop(&mut self, why: Failure) {
        self.stopped = Some(why);
        self.pause_all(PauseReason::Crashed, Duration::ZERO);
        self.context.journal.publish(Signal::Host(false));
    }

    /// Goes on with the runs that rest for want of space.
    fn go_on_with_space(&mut self) {
        let waiting = Reader::open(&self.context.paths.database())
            .and_then(|reader| runs::non_terminal(reader.connection()));
        let waiting = waiting.unwrap_or_else(|failure| {
            tracing::error!(%failure, "could not find the runs that rest for want of space");
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
    Failure::new(Code::HostGoingAway, "this host is shutting down")
        .hint("everything is stored; give the command again when it has ended")
}

/// Answers that were given, so that a command that is delivered twice acts once.
#[derive(Default)]
struct Answers {
    known: BTreeMap<ClientToken, Arc<tokio::sync::Mutex<Option<Result<Answer>>>>>,
    order: VecDeque<ClientToken>,
}

impl Answers {
    /// The place where the first answer goes; none for a command that was delivered before, whose
    /// answer is the first one's.
    fn once(&mut self, token: ClientToken, reply: Reply) -> Option<Reply> {
        if let Some(slot) = self.known.get(&token) {
            let slot = Arc::clone(slot);
            tokio::spawn(async move {
                let answer = slot.lock().await.clone();
                let _ = reply.send(
                    answer.unwrap_or_else(|| Err(Failure::internal("the first delivery was lost"))),
                );
            });
            return None;
        }
        let slot = Arc::new(tokio::sync::Mutex::new(None));
        // A fresh lock is free; the second delivery waits behind it for the first one's answer.
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
