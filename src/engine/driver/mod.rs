//! Run loop: one task per run, which owns the run's state.
//!
//! The driver turns commands and finished activities into inputs, has the machine decide, commits
//! the resulting facts, applies them, and then starts the activity that the new state requires. It
//! exits when the run is paused or has ended; a resume starts a new driver from the journal. There
//! is no separate recovery path: a driver that finds nothing running starts what is missing.
//! `decisions` handles answers at gates, `stopping` pause and abort, `storing` the commits.

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

/// Command to the driver of one run.
pub enum Order {
    /// Start the run: it is first in its thread's queue.
    Begin,
    /// Resume the paused run.
    Resume { who: Sender, reply: Reply },
    /// Pause at the next checkpoint, or when `grace` is over.
    Pause {
        reason: PauseReason,
        /// Time allowed for reaching the next checkpoint.
        grace: Duration,
        /// Answered when the run is paused.
        reply: Option<Reply>,
    },
    /// Abort the run.
    Abort {
        who: Sender,
        reason: String,
        /// Whether to reset worktree and branch to their state before the run.
        roll_back: bool,
        /// Answered when the run has ended.
        reply: Reply,
    },
    /// Hand the thread over to a queued run.
    GiveWay {
        to: Successor,
        /// Time allowed for reaching the next checkpoint.
        grace: Duration,
    },
    /// Apply a decision to the pending approval.
    Decide { decision: Answered, reply: Reply },
    /// Use a fork's artifact for the phase that is waiting for approval.
    Pick {
        fork: RunId,
        by: String,
        reply: Reply,
    },
    /// Replace the content under approval with the operator's edited version.
    Revise { revision: Revision, reply: Reply },
}

/// Reply channel of a command.
pub type Reply = oneshot::Sender<Result<Answer>>;

/// Owner of one run's state; see the module documentation.
pub struct Driver {
    context: Arc<Context>,
    files: Arc<RunFiles>,
    state: RunState,
    orders: mpsc::Receiver<Order>,
    running: Option<Running>,
    stopping: Option<Stopping>,
    /// The last attempt this driver started. Its turns are stored by the attempt recorder and
    /// are not yet applied to `state`.
    begun: Option<(PhaseKey, u32)>,
    /// Events the attempt stored, as far as they are known here; they need not be read again.
    stored: Vec<Event>,
    /// Workspace opened by the last commit, for the attempt that follows it.
    workspace: Option<Arc<Workspace>>,
    /// The run that took over the thread.
    handed_to: Option<RunId>,
}

/// What a driver returns when it exits.
pub struct Rest {
    /// Commands that arrived too late for this driver.
    pub late: mpsc::Receiver<Order>,
    /// The run that took over the thread and has started.
    pub handed_to: Option<RunId>,
}

/// Result of an activity.
struct Ended {
    input: Input,
    /// Rows committed in the same transaction.
    beside: Beside,
    /// The workspace that a commit opened. No agent runs until the next attempt starts, so that
    /// attempt can use it without opening it again.
    workspace: Option<Arc<Workspace>>,
}

struct Running {
    /// Aborted when its driver is dropped: a second driver must never run beside work of the
    /// first.
    task: AbortOnDropHandle<Ended>,
    stop: Stop,
    what: Activity,
}

impl Order {
    /// Answers the command with `failure`.
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
    /// Creates the driver of a run from its journal state.
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

    /// Runs until the run is paused or has ended. Commands still queued then are left to the
    /// next driver.
    pub async fn run(mut self) -> Rest {
        if let Err(failure) = self.work().await {
            tracing::error!(run = %self.state.run_id, %failure, "driver failed");
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

    /// Pauses a run that cannot be driven, so that it does not look active, if that much can be
    /// stored; everyone waiting for an answer gets `failure`.
    async fn give_up(&mut self, failure: &Failure) {
        if let Some(Stopping::Pause { replies, .. } | Stopping::Abort { replies, .. }) =
            self.stopping.take()
        {
            for reply in replies {
                let _ = reply.send(Err(failure.clone()));
            }
        }
        while let Ok(order) = self.orders.try_recv() {
            order.refuse(failure);
        }
        // Commands sent from here on may already be based on the pause; they go to the next
        // driver.
        if let Err(failure) = self.input(Input::Pause(PauseReason::Crashed)).await {
            tracing::error!(run = %self.run_id(), %failure, "could not store the pause");
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
            // A crash between two transactions is continued by the rules that would
            // have run next.
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
                // Commands already queued are handled here, so that a resume right after a pause
                // needs no new driver. Later ones are returned to the supervisor in `Rest::late`.
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
                    // All senders are gone: the host is shutting down.
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
        let context = Arc::clone(&self.context);
        let files = Arc::clone(&self.files);
        let state = self.state.clone();
        let task = match what.clone() {
            Activity::Attempt { phase_key, attempt } => {
                let stop = stop.clone();
                let workspace = self.workspace.take();
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
        // Work that we stopped did not fail: it resumes from its last checkpoint.
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
        // An attempt that broke off may leave calls open. They are closed before the outcome is
        // stored: until then their turn numbers are taken and their cost is not charged.
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
                    |message| self.note(message),
                )
                .await?;
        }
        // The outcome first, then the stop: a pause must not discard a finished attempt.
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

    /// Starts a queued run. If another run took the thread first, it stays queued.
    async fn begin(&mut self) {
        if self.state.status != RunStatus::Created {
            return;
        }
        match self.input(Input::Start).await {
            Err(failure) if failure.code != Code::ThreadBusy => {
                tracing::error!(run = %self.run_id(), %failure, "could not start a queued run");
                // It must not block the runs queued behind it.
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

    fn note(&self, text: &str) {
        if let Some(phase) = self.state.current() {
            self.context.journal.publish_text(
                self.run_id(),
                &phase.key,
                phase.attempt,
                super::api::TextKind::Note,
                text,
            );
        }
    }
}

/// Owns a run whose stored definitions cannot be read: it can only be paused or aborted. Every
/// other command is refused with `why`.
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
        tracing::error!(run = %owner.run_id(), failure = %why, "the run cannot continue");
        if let Err(failure) = owner.input(Input::Pause(PauseReason::Crashed)).await {
            tracing::error!(run = %owner.run_id(), %failure, "could not store the pause");
        }
    }
    while let Ok(order) = owner.orders.try_recv() {
        match order {
            Order::Abort { .. } => owner.take(order).await,
            // It can never start, and must not block the runs queued behind it.
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

/// Maps a panic in an activity to a failed activity: the run stops where an operator can retry it,
/// and other runs are not affected.
fn panicked(what: Activity, error: &tokio::task::JoinError) -> Input {
    let failure = Failure::new(
        Code::SessionRecoveryRequired,
        format!("internal error in phasedeck: {error}"),
    )
    .hint("approve to retry from the last stored turn");
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
