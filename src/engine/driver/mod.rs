//! The loop of one run: one task that owns the run's state.
//!
//! It turns what happens (commands, ends of activities) into inputs, has the machine decide, commits
//! the facts, folds them in, and then starts the activity that the new state wants, if it is not
//! running. It ends when the run rests (paused) or is over; going on later is a new driver, made from
//! the journal. There is no separate recovery: a driver that finds nothing running starts what is
//! missing. What an answer at a gate goes through before it counts is beside it, in `decisions.rs`.

mod decisions;
mod picking;
mod revision;
mod stopping;
mod storing;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

pub use decisions::Answered;
pub use revision::Revision;
use stopping::Stopping;
pub use stopping::{AskedStop, Successor, asked_stop};

use super::agent::Stop;
use super::agent::desk::close_lost_calls;
use super::api::{Answer, Sender};
use super::attempt::{self, Attempt};
use super::beside::Beside;
use super::context::Context;
use super::machine::{Activity, Input, Outcome, Plan, wanted};
use super::run_files::RunFiles;
use super::worktree::Workspace;
use crate::model::error::{Code, Failure, Result};
use crate::model::event::Event;
use crate::model::id::{PhaseKey, RunId};
use crate::model::record::RunRecord;
use crate::model::run_state::RunState;
use crate::model::state::{PauseReason, RunStatus};

/// Something for one run.
pub enum Order {
    /// Its turn in the line of its thread has come.
    Begin,
    /// Go on.
    Resume {
        /// Who said so, by which way.
        who: Sender,
        /// Where the answer goes.
        reply: Reply,
    },
    /// Rest at the next checkpoint, or when the time is over.
    Pause {
        /// Why.
        reason: PauseReason,
        /// How long the next checkpoint may take.
        grace: Duration,
        /// Where the answer goes, when the run rests.
        reply: Option<Reply>,
    },
    /// End.
    Abort {
        /// Who said so, by which way.
        who: Sender,
        /// In their words.
        reason: String,
        /// Whether worktree and branch go back to where they were before it.
        roll_back: bool,
        /// Where the answer goes, when it has ended.
        reply: Reply,
    },
    /// Leave the thread to a run that waits for it.
    GiveWay {
        /// To whom.
        to: Successor,
        /// How long the next checkpoint may take.
        grace: Duration,
    },
    /// Answer the question that waits.
    Decide {
        /// The answer.
        decision: Answered,
        /// Where what became of it goes.
        reply: Reply,
    },
    /// Take the artifact of a fork for the phase that waits.
    Pick {
        /// The fork.
        fork: RunId,
        /// Who takes it.
        by: String,
        /// Where what became of it goes.
        reply: Reply,
    },
    /// Put the operator's own content in place of what is asked about.
    Revise {
        /// The content.
        revision: Revision,
        /// Where what became of it goes.
        reply: Reply,
    },
}

/// Where the answer to an order goes.
pub type Reply = oneshot::Sender<Result<Answer>>;

/// One run's owner.
pub struct Driver {
    context: Arc<Context>,
    files: Arc<RunFiles>,
    state: RunState,
    orders: mpsc::Receiver<Order>,
    running: Option<Running>,
    stopping: Option<Stopping>,
    /// The last attempt that this driver began. Its turns are stored by its desk and not folded here.
    begun: Option<(PhaseKey, u32)>,
    /// What its turns stored, as far as it is known here: it need not be read again.
    stored: Vec<Event>,
    /// What the last commit found, for the attempt that follows it.
    workspace: Option<Arc<Workspace>>,
    /// Who got the thread.
    handed_to: Option<RunId>,
}

/// What the owner of a run leaves.
pub struct Rest {
    /// Orders that came too late for it.
    pub late: mpsc::Receiver<Order>,
    /// The run that got the thread and has begun.
    pub handed_to: Option<RunId>,
}

/// How an activity ended.
struct Ended {
    input: Input,
    /// What is stored together with it.
    beside: Beside,
    /// The folder as it was found for a commit. No agent works until the next attempt begins, which needs
    /// not look for it again.
    workspace: Option<Arc<Workspace>>,
}

struct Running {
    /// Ends with its owner: a second owner must never meet work of the first.
    task: AbortOnDropHandle<Ended>,
    stop: Stop,
    what: Activity,
}

impl Order {
    /// Answers that it cannot be followed.
    pub(super) fn refuse(self, failure: &Failure) {
        match self {
            Self::Resume { reply, .. }
            | Self::Abort { reply, .. }
            | Self::Decide { reply, .. }
            | Self::Pick { reply, .. }
            | Self::Revise { reply, .. }
            | Self::Pause {
                reply: Some(reply), ..
            } => {
                let _ = reply.send(Err(failure.clone()));
            }
            Self::Begin | Self::GiveWay { .. } | Self::Pause { reply: None, .. } => {}
        }
    }
}

impl Driver {
    /// An owner for a run, from its journal.
    #[must_use]
    pub fn new(
        context: Arc<Context>,
        files: Arc<RunFiles>,
        state: RunState,
        orders: mpsc::Receiver<Order>,
    ) -> Self {
        Self {
            context,
            files,
            state,
            orders,
            running: None,
            stopping: None,
            begun: None,
            stored: Vec::new(),
            workspace: None,
            handed_to: None,
        }
    }

    /// Works until the run rests or is over. Orders that are still waiting then are left to the next owner.
    pub async fn run(mut self) -> Rest {
        if let Err(failure) = self.work().await {
            tracing::error!(run = %self.state.run_id, %failure, "the driver stopped");
            self.give_up(&failure).await;
        }
        self.rest()
    }

    fn rest(mut self) -> Rest {
        self.orders.close();
        Rest {
            late: self.orders,
            handed_to: self.handed_to,
        }
    }

    /// A run that cannot be driven is not left looking alive: it rests where a person sees it, if that
    /// much can be stored, and whoever waits for it learns why.
    async fn give_up(&mut self, failure: &Failure) {
        if let Some(Stopping::Pause { replies, .. } | Stopping::Abort { replies, .. }) =
            self.stopping.take()
        {
            replies
                .into_iter()
                .for_each(|reply| drop(reply.send(Err(failure.clone()))));
        }
        while let Ok(order) = self.orders.try_recv() {
            order.refuse(failure);
        }
        // What is ordered from now on may have seen the pause; it is for the next owner.
        if let Err(failure) = self.input(Input::Pause(PauseReason::Crashed)).await {
            tracing::error!(run = %self.run_id(), %failure, "could not store that it rests");
        }
    }

    fn run_id(&self) -> RunId {
        self.state.run_id
    }

    fn plan(&self) -> &Plan {
        &self.files.plan
    }

    async fn work(&mut self) -> Result<()> {
        if self.state.status == RunStatus::Executing {
            // What a crash left half-way is carried on by the rules that would have done it.
            self.input(Input::Continue).await?;
        }
        loop {
            if self.running.is_none()
                && let Some(why) = self.context.journal.store.stop()
            {
                return Err(why);
            }
            self.start_what_is_wanted();
            if self.running.is_none() && self.rests() {
                match self.orders.try_recv() {
                    Ok(order) => {
                        self.take(order).await;
                        continue;
                    }
                    Err(_) => return Ok(()),
                }
            }
            tokio::select! {
                ended = ended(&mut self.running) => self.activity_ended(ended).await?,
                order = self.orders.recv() => match order {
                    Some(order) => self.take(order).await,
                    // Nobody can reach this run any more: the host is going away.
                    None => return Ok(()),
                },
            }
        }
    }

    fn rests(&self) -> bool {
        self.state.status.is_terminal()
            || matches!(self.state.status, RunStatus::Paused | RunStatus::Created)
    }

    fn start_what_is_wanted(&mut self) {
        if self.running.is_some()
            || self.stopping.is_some()
            || self.context.journal.store.stop().is_some()
        {
            return;
        }
        let Some(what) = wanted(self.plan(), &self.state) else {
            return;
        };
        let stop = Stop::default();
        let (context, files, state) = (
            Arc::clone(&self.context),
            Arc::clone(&self.files),
            self.state.clone(),
        );
        let task = match what.clone() {
            Activity::Attempt { phase_key, attempt } => {
                let (stop, workspace) = (stop.clone(), self.workspace.take());
                let this = (phase_key.clone(), attempt);
                let taken_up = self.begun.as_ref() == Some(&this);
                self.begun = Some(this);
                let made = Attempt {
                    context,
                    files,
                    state,
                    phase_key: phase_key.clone(),
                    taken_up,
                    stop,
                    workspace,
                }
                .make();
                tokio::spawn(async move {
                    let (outcome, beside) = made.await;
                    Ended {
                        input: Input::AttemptEnded {
                            phase_key,
                            attempt,
                            outcome,
                        },
                        beside,
                        workspace: None,
                    }
                })
            }
            Activity::Commit { phase_key } => tokio::spawn(async move {
                match commit(&context, &files, &state, &phase_key).await {
                    Ok((commit, workspace)) => Ended {
                        input: Input::Committed { phase_key, commit },
                        beside: Beside::default(),
                        workspace: Some(workspace),
                    },
                    Err(failure) => Ended {
                        input: Input::CommitFailed { phase_key, failure },
                        beside: Beside::default(),
                        workspace: None,
                    },
                }
            }),
        };
        self.running = Some(Running {
            task: AbortOnDropHandle::new(task),
            stop,
            what,
        });
    }

    async fn activity_ended(&mut self, ended: Result<Ended, tokio::task::JoinError>) -> Result<()> {
        let running = self.running.take();
        let Ended {
            input,
            beside,
            workspace,
        } = match (ended, running) {
            (Ok(ended), _) => ended,
            (Err(error), Some(Running { what, .. })) => Ended {
                input: panicked(what, &error),
                beside: Beside::default(),
                workspace: None,
            },
            (Err(error), None) => return Err(Failure::internal(error)),
        };
        self.workspace = workspace;
        // Work that we stopped did not fail: it goes on from its last checkpoint.
        let input = match (input, &self.stopping) {
            (
                Input::AttemptEnded {
                    phase_key,
                    attempt,
                    outcome: Outcome::Failed(_) | Outcome::TimedOut { .. },
                },
                Some(_),
            ) => Input::AttemptEnded {
                phase_key,
                attempt,
                outcome: Outcome::Stopped,
            },
            (input, _) => input,
        };
        if let Input::AttemptEnded {
            outcome: Outcome::Failed(_) | Outcome::Stopped | Outcome::TimedOut { .. },
            ..
        } = &input
        {
            let run_id = self.run_id();
            self.context
                .journal
                .store_patiently(
                    move |tx| close_lost_calls(tx, run_id),
                    |words| self.note(words),
                )
                .await?;
        }
        self.input_with(input, beside).await?;
        self.finish_stopping().await
    }

    async fn take(&mut self, order: Order) {
        match order {
            Order::Begin => self.begin().await,
            Order::Resume { who, reply } => {
                let input = Input::Resume {
                    by: who.by,
                    via: who.via,
                };
                let done = if self.stopping.is_some() {
                    Err(self.is_stopping())
                } else {
                    self.input(input).await
                };
                let _ = reply.send(done.map(|()| Answer::Accepted {
                    run_id: self.run_id(),
                }));
            }
            Order::Pause {
                reason,
                grace,
                reply,
            } => self.pause(reason, grace, reply).await,
            Order::Abort {
                who,
                reason,
                roll_back,
                reply,
            } => self.abort(who, reason, roll_back, reply).await,
            Order::GiveWay { to, grace } => self.give_way_to(to, grace).await,
            Order::Decide { decision, reply } => {
                let answer = if self.stopping.is_some() {
                    Err(self.is_stopping())
                } else {
                    self.decided(decision).await
                };
                let _ = reply.send(answer);
            }
            Order::Pick { fork, by, reply } => {
                let answer = if self.stopping.is_some() {
                    Err(self.is_stopping())
                } else {
                    self.picked(fork, by).await
                };
                let _ = reply.send(answer);
            }
            Order::Revise { revision, reply } => {
                let answer = if self.stopping.is_some() {
                    Err(self.is_stopping())
                } else {
                    self.revised(revision).await
                };
                let _ = reply.send(answer);
            }
        }
    }

    /// Its turn in the line has come. Where somebody was faster it stays in line.
    async fn begin(&mut self) {
        if self.state.status != RunStatus::Created {
            return;
        }
        match self.input(Input::Start).await {
            Err(failure) if failure.code != Code::ThreadBusy => {
                tracing::error!(run = %self.run_id(), %failure, "a run in line could not begin");
                // It must not hold up who stands behind it.
                self.pause(PauseReason::Crashed, Duration::ZERO, None).await;
            }
            _ => {}
        }
    }

    fn is_stopping(&self) -> Failure {
        Failure::new(
            Code::IllegalTransition,
            format!("run {} is being stopped", self.run_id().short()),
        )
        .hint("try again in a moment")
    }

    fn note(&self, words: &str) {
        if let Some(phase) = self.state.current() {
            self.context.journal.publish_text(
                self.run_id(),
                &phase.key,
                phase.attempt,
                super::api::TextKind::Note,
                words,
            );
        }
    }
}

/// Owns a run whose frozen plan cannot be read: it cannot go on, only rest or be ended. Everything
/// else is refused with `why`.
pub(super) async fn own_unreadable(
    context: Arc<Context>,
    record: RunRecord,
    state: RunState,
    why: Failure,
    orders: mpsc::Receiver<Order>,
) -> Rest {
    let plan = Plan::unreadable(record.thread.clone());
    let files = RunFiles {
        record,
        plan,
        personas: Vec::new(),
        schemas: Vec::new(),
    };
    let mut owner = Driver::new(context, Arc::new(files), state, orders);
    if matches!(
        owner.state.status,
        RunStatus::Executing | RunStatus::AwaitingApproval
    ) {
        tracing::error!(run = %owner.run_id(), failure = %why, "the run cannot go on");
        if let Err(failure) = owner.input(Input::Pause(PauseReason::Crashed)).await {
            tracing::error!(run = %owner.run_id(), %failure, "could not store that it rests");
        }
    }
    while let Ok(order) = owner.orders.try_recv() {
        match order {
            Order::Abort { .. } => owner.take(order).await,
            // It can never begin, and must not hold up who stands behind it.
            Order::Begin => {
                owner
                    .pause(PauseReason::Crashed, Duration::ZERO, None)
                    .await
            }
            order => order.refuse(&why),
        }
    }
    owner.rest()
}

async fn ended(running: &mut Option<Running>) -> Result<Ended, tokio::task::JoinError> {
    match running {
        Some(running) => (&mut running.task).await,
        None => std::future::pending().await,
    }
}

/// A panic in an activity is ours; the run stops where a person can go on, and the others never notice.
fn panicked(what: Activity, error: &tokio::task::JoinError) -> Input {
    let failure = Failure::new(
        Code::SessionRecoveryRequired,
        format!("a defect of phasedeck stopped the work: {error}"),
    )
    .hint("approve tries again from the last stored turn");
    match what {
        Activity::Attempt { phase_key, attempt } => Input::AttemptEnded {
            phase_key,
            attempt,
            outcome: Outcome::Failed(failure),
        },
        Activity::Commit { phase_key } => Input::CommitFailed { phase_key, failure },
    }
}

async fn commit(
    context: &Arc<Context>,
    files: &RunFiles,
    state: &RunState,
    phase_key: &PhaseKey,
) -> Result<(Option<String>, Arc<Workspace>)> {
    let (Some(phase), Some(progress)) = (files.plan.phase(phase_key), state.phase(phase_key))
    else {
        return Err(Failure::internal(format!("no phase '{phase_key}'")));
    };
    let workspace = Arc::new(attempt::open_workspace(context, &files.record, false).await?);
    if let Some(artifact) = &progress.artifact {
        attempt::restore_validated(context, &workspace, artifact).await?;
    }
    Ok((
        attempt::commit(files, &workspace, phase, progress).await?,
        workspace,
    ))
}
