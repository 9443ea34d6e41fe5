//! Run loop: one task per run, which owns the run's state.
//!
//! The driver turns commands and finished activities into inputs, has the machine decide, commits
//! the resulting facts, applies them, and then starts the activity that the new state requires. It
//! exits when the run is paused or has ended; a resume starts a new driver from the journal. There
//! is no separate recovery path: a driver that finds nothing running starts what is missing.
//! `decisions` handles answers at gates, `stopping` pause and abort, `storing` the commits.

mod artifact_pick;
mod commit;
mod decisions;
mod revision;
mod stopping;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

use super::attempt::{self, PhaseAttempt};
use super::context::EngineContext;
use super::machine::{AttemptOutcome, MachineInput, PhasePlan, RunActivity, wanted};
use super::run_files::RunDefinitions;
use crate::engine::agent::AgentStop;
use crate::engine::agent::recorder::close_lost_calls;
use crate::engine::api::{CommandAnswer, CommandSender};
use crate::engine::run::attachments::CommitAttachments;
use crate::engine::workspace::worktree::RunWorkspace;
use crate::model::error::{Code, Failure, Result};
use crate::model::event::JournalEvent;
use crate::model::id::{PhaseKey, RunId};
use crate::model::record::RunRecord;
use crate::model::run_state::RunState;
use crate::model::state::{PauseReason, RunStatus};
pub use decisions::OperatorDecision;
pub use revision::ArtifactRevision;
use stopping::StopInProgress;
pub use stopping::{RequestedStop, ThreadSuccessor, requested_stop};

/// Command to the driver of one run.
pub enum DriverCmd {
    /// Start the run: it is first in its thread's queue.
    Start,
    /// Resume the paused run.
    Resume {
        who: CommandSender,
        reply: ReplySender,
    },
    /// Pause at the next checkpoint, or when `grace` is over.
    Pause {
        reason: PauseReason,
        /// Time allowed for reaching the next checkpoint.
        grace: Duration,
        /// Answered when the run is paused.
        reply: Option<ReplySender>,
    },
    /// Abort the run.
    Abort {
        who: CommandSender,
        reason: String,
        /// Whether to reset worktree and branch to their state before the run.
        roll_back: bool,
        /// Answered when the run has ended.
        reply: ReplySender,
    },
    /// Hand the thread over to a queued run.
    HandOver {
        to: ThreadSuccessor,
        /// Time allowed for reaching the next checkpoint.
        grace: Duration,
    },
    /// Apply a decision to the pending approval.
    Decide {
        decision: OperatorDecision,
        reply: ReplySender,
    },
    /// Use a fork's artifact for the phase that is waiting for approval.
    Pick {
        fork: RunId,
        by: String,
        reply: ReplySender,
    },
    /// Replace the content under approval with the operator's edited version.
    Revise {
        revision: ArtifactRevision,
        reply: ReplySender,
    },
}

/// Reply channel of a command.
pub type ReplySender = oneshot::Sender<Result<CommandAnswer>>;

/// Owner of one run's state; see the module documentation.
pub struct RunDriver {
    context: Arc<EngineContext>,
    files: Arc<RunDefinitions>,
    state: RunState,
    commands: mpsc::Receiver<DriverCmd>,
    running: Option<RunningActivity>,
    stopping: Option<StopInProgress>,
    /// The last attempt this driver started. Its turns are stored by the attempt recorder and
    /// are not yet applied to `state`.
    started_attempt: Option<(PhaseKey, u32)>,
    /// Events the attempt stored, as far as they are known here; they need not be read again.
    stored: Vec<JournalEvent>,
    /// Workspace opened by the last commit, for the attempt that follows it.
    workspace: Option<Arc<RunWorkspace>>,
    /// The run that took over the thread.
    successor: Option<RunId>,
}

/// What a driver returns when it exits.
pub struct DriverExit {
    /// Commands that arrived too late for this driver.
    pub late_commands: mpsc::Receiver<DriverCmd>,
    /// The run that took over the thread and has started.
    pub successor: Option<RunId>,
}

/// Result of an activity.
struct ActivityResult {
    input: MachineInput,
    /// Rows committed in the same transaction.
    attachments: CommitAttachments,
    /// The workspace that a commit opened. No agent runs until the next attempt starts, so that
    /// attempt can use it without opening it again.
    workspace: Option<Arc<RunWorkspace>>,
}

struct RunningActivity {
    /// Aborted when its driver is dropped: a second driver must never run beside work of the
    /// first.
    task: AbortOnDropHandle<ActivityResult>,
    stop: AgentStop,
    what: RunActivity,
}

impl DriverCmd {
    /// Answers the command with `failure`.
    pub(in crate::engine) fn refuse(self, failure: &Failure) {
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
            Self::Start | Self::HandOver { .. } | Self::Pause { reply: None, .. } => {}
        }
    }
}

impl RunDriver {
    /// Creates the driver of a run from its journal state.
    #[must_use]
    pub fn new(
        context: Arc<EngineContext>,
        files: Arc<RunDefinitions>,
        state: RunState,
        orders: mpsc::Receiver<DriverCmd>,
    ) -> Self {
        Self {
            context,
            files,
            state,
            commands: orders,
            running: None,
            stopping: None,
            started_attempt: None,
            stored: Vec::new(),
            workspace: None,
            successor: None,
        }
    }

    /// Runs until the run is paused or has ended. Commands still queued then are left to the
    /// next driver.
    pub async fn run(mut self) -> DriverExit {
        if let Err(failure) = self.work().await {
            tracing::error!(run = %self.state.run_id, %failure, "driver failed");
            self.pause_failed(&failure).await;
        }
        self.into_exit()
    }

    fn into_exit(mut self) -> DriverExit {
        self.commands.close();
        DriverExit {
            late_commands: self.commands,
            successor: self.successor,
        }
    }

    /// Pauses a run that cannot be driven, so that it does not look active, if that much can be
    /// stored; everyone waiting for an answer gets `failure`.
    async fn pause_failed(&mut self, failure: &Failure) {
        if let Some(StopInProgress::Pause { replies, .. } | StopInProgress::Abort { replies, .. }) =
            self.stopping.take()
        {
            for reply in replies {
                let _ = reply.send(Err(failure.clone()));
            }
        }
        while let Ok(order) = self.commands.try_recv() {
            order.refuse(failure);
        }
        // Commands sent from here on may already be based on the pause; they go to the next
        // driver.
        if let Err(failure) = self.input(MachineInput::Pause(PauseReason::Crashed)).await {
            tracing::error!(run = %self.run_id(), %failure, "could not store the pause");
        }
    }

    fn run_id(&self) -> RunId {
        self.state.run_id
    }

    fn plan(&self) -> &PhasePlan {
        &self.files.plan
    }

    async fn work(&mut self) -> Result<()> {
        if self.state.status == RunStatus::Executing {
            // A crash between two transactions is continued by the rules that would
            // have run next.
            self.input(MachineInput::Continue).await?;
        }
        loop {
            if self.running.is_none()
                && let Some(why) = self.context.journal.store.stop_reason()
            {
                return Err(why);
            }
            self.start_activity();
            if self.running.is_none() && self.is_idle() {
                // Commands already queued are handled here, so that a resume right after a pause
                // needs no new driver. Later ones are returned to the supervisor in `DriverExit::late`.
                match self.commands.try_recv() {
                    Ok(order) => {
                        self.handle_command(order).await;
                        continue;
                    }
                    Err(_) => return Ok(()),
                }
            }
            tokio::select! {
                ended = wait_for_activity(&mut self.running) => self.activity_ended(ended).await?,
                order = self.commands.recv() => match order {
                    Some(order) => self.handle_command(order).await,
                    // All senders are gone: the host is shutting down.
                    None => return Ok(()),
                },
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.state.status.is_terminal()
            || matches!(self.state.status, RunStatus::Paused | RunStatus::Created)
    }

    fn start_activity(&mut self) {
        if self.running.is_some()
            || self.stopping.is_some()
            || self.context.journal.store.stop_reason().is_some()
        {
            return;
        }
        let Some(what) = wanted(self.plan(), &self.state) else {
            return;
        };
        let stop = AgentStop::default();
        let context = Arc::clone(&self.context);
        let files = Arc::clone(&self.files);
        let state = self.state.clone();
        let task = match what.clone() {
            RunActivity::Attempt { phase_key, attempt } => {
                let stop = stop.clone();
                let workspace = self.workspace.take();
                let this = (phase_key.clone(), attempt);
                let taken_up = self.started_attempt.as_ref() == Some(&this);
                self.started_attempt = Some(this);
                let made = PhaseAttempt {
                    context,
                    files,
                    state,
                    phase_key: phase_key.clone(),
                    taken_up,
                    stop,
                    workspace,
                }
                .run();
                tokio::spawn(async move {
                    let (outcome, beside) = made.await;
                    ActivityResult {
                        input: MachineInput::AttemptEnded {
                            phase_key,
                            attempt,
                            outcome,
                        },
                        attachments: beside,
                        workspace: None,
                    }
                })
            }
            RunActivity::Commit { phase_key } => tokio::spawn(async move {
                match commit(&context, &files, &state, &phase_key).await {
                    Ok((commit, workspace)) => ActivityResult {
                        input: MachineInput::Committed { phase_key, commit },
                        attachments: CommitAttachments::default(),
                        workspace: Some(workspace),
                    },
                    Err(failure) => ActivityResult {
                        input: MachineInput::CommitFailed { phase_key, failure },
                        attachments: CommitAttachments::default(),
                        workspace: None,
                    },
                }
            }),
        };
        self.running = Some(RunningActivity {
            task: AbortOnDropHandle::new(task),
            stop,
            what,
        });
    }

    async fn activity_ended(
        &mut self,
        ended: Result<ActivityResult, tokio::task::JoinError>,
    ) -> Result<()> {
        let running = self.running.take();
        let ActivityResult {
            input,
            attachments: beside,
            workspace,
        } = match (ended, running) {
            (Ok(ended), _) => ended,
            (Err(error), Some(RunningActivity { what, .. })) => ActivityResult {
                input: panic_input(what, &error),
                attachments: CommitAttachments::default(),
                workspace: None,
            },
            (Err(error), None) => return Err(Failure::internal(error)),
        };
        self.workspace = workspace;
        // Work that we stopped did not fail: it resumes from its last checkpoint.
        let input = match (input, &self.stopping) {
            (
                MachineInput::AttemptEnded {
                    phase_key,
                    attempt,
                    outcome: AttemptOutcome::Failed(_) | AttemptOutcome::TimedOut { .. },
                },
                Some(_),
            ) => MachineInput::AttemptEnded {
                phase_key,
                attempt,
                outcome: AttemptOutcome::Stopped,
            },
            (input, _) => input,
        };
        // An attempt that broke off may leave calls open. They are closed before the outcome is
        // stored: until then their turn numbers are taken and their cost is not charged.
        if let MachineInput::AttemptEnded {
            outcome:
                AttemptOutcome::Failed(_) | AttemptOutcome::Stopped | AttemptOutcome::TimedOut { .. },
            ..
        } = &input
        {
            let run_id = self.run_id();
            self.context
                .journal
                .write_with_retry(
                    move |tx| close_lost_calls(tx, run_id),
                    |message| self.note(message),
                )
                .await?;
        }
        // The outcome first, then the stop: a pause must not discard a finished attempt.
        self.input_with(input, beside).await?;
        self.finish_stopping().await
    }

    async fn handle_command(&mut self, order: DriverCmd) {
        match order {
            DriverCmd::Start => self.start_run().await,
            DriverCmd::Resume { who, reply } => {
                let input = MachineInput::Resume {
                    by: who.by,
                    via: who.via,
                };
                let done = if self.stopping.is_some() {
                    Err(self.stopping_failure())
                } else {
                    self.input(input).await
                };
                let _ = reply.send(done.map(|()| CommandAnswer::Accepted {
                    run_id: self.run_id(),
                }));
            }
            DriverCmd::Pause {
                reason,
                grace,
                reply,
            } => self.pause(reason, grace, reply).await,
            DriverCmd::Abort {
                who,
                reason,
                roll_back,
                reply,
            } => self.abort(who, reason, roll_back, reply).await,
            DriverCmd::HandOver { to, grace } => self.request_hand_over(to, grace).await,
            DriverCmd::Decide { decision, reply } => {
                let answer = if self.stopping.is_some() {
                    Err(self.stopping_failure())
                } else {
                    self.apply_decision(decision).await
                };
                let _ = reply.send(answer);
            }
            DriverCmd::Pick { fork, by, reply } => {
                let answer = if self.stopping.is_some() {
                    Err(self.stopping_failure())
                } else {
                    self.pick_artifact(fork, by).await
                };
                let _ = reply.send(answer);
            }
            DriverCmd::Revise { revision, reply } => {
                let answer = if self.stopping.is_some() {
                    Err(self.stopping_failure())
                } else {
                    self.apply_revision(revision).await
                };
                let _ = reply.send(answer);
            }
        }
    }

    /// Starts a queued run. If another run took the thread first, it stays queued.
    async fn start_run(&mut self) {
        if self.state.status != RunStatus::Created {
            return;
        }
        match self.input(MachineInput::Start).await {
            Err(failure) if failure.code != Code::ThreadBusy => {
                tracing::error!(run = %self.run_id(), %failure, "could not start a queued run");
                // It must not block the runs queued behind it.
                self.pause(PauseReason::Crashed, Duration::ZERO, None).await;
            }
            _ => {}
        }
    }

    fn stopping_failure(&self) -> Failure {
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
                crate::engine::api::TextKind::Note,
                text,
            );
        }
    }
}

/// Owns a run whose stored definitions cannot be read: it can only be paused or aborted. Every
/// other command is refused with `why`.
pub(in crate::engine) async fn drive_unreadable(
    context: Arc<EngineContext>,
    record: RunRecord,
    state: RunState,
    why: Failure,
    orders: mpsc::Receiver<DriverCmd>,
) -> DriverExit {
    let plan = PhasePlan::unreadable(record.thread.clone());
    let files = RunDefinitions {
        record,
        plan,
        personas: Vec::new(),
        schemas: Vec::new(),
    };
    let mut owner = RunDriver::new(context, Arc::new(files), state, orders);
    if matches!(
        owner.state.status,
        RunStatus::Executing | RunStatus::AwaitingApproval
    ) {
        tracing::error!(run = %owner.run_id(), failure = %why, "the run cannot continue");
        if let Err(failure) = owner.input(MachineInput::Pause(PauseReason::Crashed)).await {
            tracing::error!(run = %owner.run_id(), %failure, "could not store the pause");
        }
    }
    while let Ok(order) = owner.commands.try_recv() {
        match order {
            DriverCmd::Abort { .. } => owner.handle_command(order).await,
            // It can never start, and must not block the runs queued behind it.
            DriverCmd::Start => {
                owner
                    .pause(PauseReason::Crashed, Duration::ZERO, None)
                    .await
            }
            order => order.refuse(&why),
        }
    }
    owner.into_exit()
}

async fn wait_for_activity(
    running: &mut Option<RunningActivity>,
) -> Result<ActivityResult, tokio::task::JoinError> {
    match running {
        Some(running) => (&mut running.task).await,
        None => std::future::pending().await,
    }
}

/// Maps a panic in an activity to a failed activity: the run stops where an operator can retry it,
/// and other runs are not affected.
fn panic_input(what: RunActivity, error: &tokio::task::JoinError) -> MachineInput {
    let failure = Failure::new(
        Code::SessionRecoveryRequired,
        format!("internal error in phasedeck: {error}"),
    )
    .hint("approve to retry from the last stored turn");
    match what {
        RunActivity::Attempt { phase_key, attempt } => MachineInput::AttemptEnded {
            phase_key,
            attempt,
            outcome: AttemptOutcome::Failed(failure),
        },
        RunActivity::Commit { phase_key } => MachineInput::CommitFailed { phase_key, failure },
    }
}

async fn commit(
    context: &Arc<EngineContext>,
    files: &RunDefinitions,
    state: &RunState,
    phase_key: &PhaseKey,
) -> Result<(Option<String>, Arc<RunWorkspace>)> {
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
