//! Decides which facts an input produces in a state.
//!
//! Each input first produces its own facts. [`AdvanceContext::advance`] then adds the facts that follow
//! from the resulting state, until the run has to wait. Because `advance` depends only on the
//! state, the same rules continue an interrupted run.

use super::SESSION_RECOVERY_GATE;
use super::advance::AdvanceContext;
use super::answer::{GateAnswer, resolved};
use super::input::{AttemptOutcome, MachineInput};
use super::plan::PhasePlan;
use crate::engine::run::machine::activity::passed;
use crate::model::error::{Code, ErrorClass, Failure, Result};
use crate::model::event::{ArtifactError, ArtifactRef, LongWait, PersonaPick, RunFact, SkipReason};
use crate::model::hash::ContentHash;
use crate::model::id::{GateKey, PhaseKey};
use crate::model::question::{BUDGET_GATE, GateQuestion, TOOL_PERMISSION_GATE};
use crate::model::resumable::{ResumeRefusal, refusal};
use crate::model::run_state::RunState;
use crate::model::state::{Decision, PauseReason, PhaseStatus, RunStatus, Via};
use crate::model::time::Timestamp;

/// Maximum number of errors in an event; the next prompt validates the content again and lists all.
const ERRORS_IN_EVENT: usize = 5;

/// Returns the facts that `input` produces, in order. Late inputs produce none.
///
/// # Errors
/// The reason why the operator's request is rejected: `run_already_terminal`,
/// `no_pending_approval`, `approval_already_resolved`, `artifact_changed`, `usage_invalid`,
/// `illegal_transition`. The state is unchanged.
pub fn decide(
    plan: &PhasePlan,
    state: &RunState,
    input: MachineInput,
    at: Timestamp,
) -> Result<Vec<RunFact>> {
    let mut scratch = AdvanceContext {
        plan,
        state: state.clone(),
        at,
        facts: Vec::new(),
    };
    match input {
        MachineInput::Start => scratch.start()?,
        MachineInput::Resume { by, via } => scratch.resume(&by, via)?,
        MachineInput::Continue => {}
        MachineInput::Pause(reason) => scratch.pause(reason)?,
        MachineInput::Abort { by, via, reason } => scratch.abort(&by, via, &reason)?,
        MachineInput::Decide {
            request_id,
            action,
            comment,
            by,
            via,
            reviewed,
            scope,
            raise,
            seats,
        } => {
            let open = scratch.answerable(request_id, action, &comment, reviewed.as_ref())?;
            if action == Decision::Approve {
                scratch.unlocks(&open, raise, &seats)?;
            }
            scratch.resolve(
                &open,
                GateAnswer {
                    action,
                    comment: &comment,
                    by: &by,
                    via,
                    scope,
                    raise,
                    seats,
                },
            )?;
        }
        MachineInput::ContentChanged { found, replacement } => {
            scratch.content_changed(found, replacement, None, None)?
        }
        MachineInput::Revised {
            request_id,
            artifact,
            by,
        } => {
            scratch.answerable(Some(request_id), Decision::Abort, "", None)?;
            scratch.content_changed(
                Some(artifact.sha256.clone()),
                Some(artifact),
                Some(by),
                None,
            )?;
        }
        MachineInput::Picked {
            artifact,
            picked,
            by,
        } => {
            scratch.content_changed(
                Some(artifact.sha256.clone()),
                Some(artifact),
                Some(by),
                Some(picked),
            )?;
        }
        MachineInput::AttemptEnded {
            phase_key,
            attempt,
            outcome,
        } => {
            let current = state
                .current()
                .filter(|phase| phase.key == phase_key && phase.attempt == attempt);
            if current.is_some_and(|phase| phase.status == PhaseStatus::Running)
                && !state.status.is_terminal()
            {
                scratch.attempt_ended(phase_key, attempt, outcome)?;
            }
        }
        MachineInput::Committed { phase_key, commit } => {
            if state
                .current()
                .is_some_and(|phase| phase.key == phase_key && passed(plan, phase))
            {
                scratch.complete(phase_key, commit)?;
            }
        }
        MachineInput::CommitFailed { phase_key, failure } => {
            if state
                .current()
                .is_some_and(|phase| phase.key == phase_key && passed(plan, phase))
            {
                scratch.needs_person(&phase_key, &failure)?;
            }
        }
    }
    scratch.advance()?;
    Ok(scratch.facts)
}

impl AdvanceContext<'_> {
    fn start(&mut self) -> Result<()> {
        if self.state.status != RunStatus::Created {
            return Err(self.not_now("started"));
        }
        self.begin_run()
    }

    fn begin_run(&mut self) -> Result<()> {
        self.push(RunFact::RunStarted {
            workflow: self.plan.workflow.versioned_name(),
            thread: self.plan.thread.clone(),
        })
    }

    fn resume(&mut self, by: &str, via: Via) -> Result<()> {
        match refusal(self.state.status, None) {
            Some(ResumeRefusal::Active(_)) => return Ok(()),
            Some(_) => return Err(self.not_now("resumed")),
            None if self.state.status == RunStatus::Created => return self.start(),
            // The run was paused while queued for its thread, so it has not started yet.
            None if self.state.paused_from == Some(RunStatus::Created) => return self.begin_run(),
            None => {}
        }
        // Resuming also answers a pending approval that asks whether to resume.
        if let Some(open) = self
            .state
            .approval
            .clone()
            .filter(|open| open.phase_key.is_none())
        {
            // The settings may allow more now. If they do not, the next call asks for approval
            // again.
            let money = open
                .question
                .as_deref()
                .is_some_and(|asked| asked.budget().is_some());
            let words = if money {
                "tried again without a raise"
            } else {
                "resumed"
            };
            self.push(resolved(
                &open,
                &GateAnswer::plain(Decision::Approve, words, by, via),
            ))?;
        }
        self.go_on()
    }

    pub(super) fn go_on(&mut self) -> Result<()> {
        let failed: Vec<_> = self
            .state
            .sessions
            .iter()
            .filter(|(_, s)| s.failed)
            .map(|(role, s)| (role.clone(), s.clone()))
            .collect();
        for (role, session) in failed {
            self.push(RunFact::SessionRecovered {
                session_id: session.id,
                role,
                ordinal: session.ordinal + 1,
            })?;
        }
        let ordinal = self.state.resumes + 1;
        self.push(RunFact::RunResumed {
            ordinal,
            from_state: self.state.paused_from.unwrap_or(RunStatus::Executing),
        })?;
        let done: Vec<_> = self
            .state
            .phases
            .iter()
            .filter(|p| p.status == PhaseStatus::Completed)
            .map(|p| p.key.clone())
            .collect();
        for phase_key in done {
            self.push(RunFact::PhaseSkipped {
                phase_key,
                ordinal,
                reason: SkipReason::AlreadyCompleted,
            })?;
        }
        Ok(())
    }

    fn pause(&mut self, reason: PauseReason) -> Result<()> {
        match self.state.status {
            RunStatus::Paused => Ok(()),
            // A queued run has nothing to interrupt; it leaves the queue only at an operator's
            // request.
            RunStatus::Created
                if !matches!(reason, PauseReason::Operator | PauseReason::Crashed) =>
            {
                Ok(())
            }
            status if status.is_terminal() => Err(self.not_now("paused")),
            from_state => self.push(RunFact::RunPaused {
                ordinal: self.state.pauses + 1,
                reason,
                from_state,
            }),
        }
    }

    fn abort(&mut self, by: &str, via: Via, reason: &str) -> Result<()> {
        if self.state.status.is_terminal() {
            return Err(self.not_now("aborted"));
        }
        if let Some(open) = self.state.approval.clone() {
            self.push(resolved(
                &open,
                &GateAnswer::plain(Decision::Abort, reason, by, via),
            ))?;
        }
        self.push(RunFact::RunAborted {
            by: by.to_owned(),
            via,
            reason: reason.to_owned(),
        })
    }

    /// The artifact on disk differs. `by` is its source, and its author unless it was `picked` from
    /// a fork.
    fn content_changed(
        &mut self,
        found: Option<ContentHash>,
        replacement: Option<ArtifactRef>,
        by: Option<String>,
        picked: Option<PersonaPick>,
    ) -> Result<()> {
        let Some(open) = self.state.approval.clone() else {
            return Ok(());
        };
        let (Some(phase_key), Some(expected)) = (open.phase_key, open.artifact_sha256) else {
            return Ok(());
        };
        let attempt = self
            .state
            .phase(&phase_key)
            .map_or(0, |phase| phase.attempt);
        let restored = replacement.is_none();
        let request_id = open.request_id;
        self.push(RunFact::ArtifactChanged {
            phase_key: phase_key.clone(),
            request_id,
            expected,
            found,
            restored,
            by: by.clone(),
            picked: picked.clone(),
        })?;
        match replacement {
            Some(artifact) => {
                let by = by.filter(|_| picked.is_none());
                self.push(RunFact::ArtifactValidated {
                    phase_key,
                    attempt,
                    artifact,
                    by,
                })
            }
            None => Ok(()),
        }
    }

    fn attempt_ended(
        &mut self,
        phase_key: PhaseKey,
        attempt: u32,
        outcome: AttemptOutcome,
    ) -> Result<()> {
        let path = || {
            self.plan
                .phase(&phase_key)
                .and_then(|p| p.expected_artifact.as_ref())
                .map(|a| a.path.clone())
                .unwrap_or_default()
        };
        let versions = self
            .state
            .phase(&phase_key)
            .map_or(0, |phase| phase.versions);
        match outcome {
            AttemptOutcome::Valid(artifact) => self.push(RunFact::ArtifactValidated {
                phase_key,
                attempt,
                artifact,
                by: None,
            }),
            AttemptOutcome::Invalid {
                sha256,
                bytes,
                mut errors,
                errors_total,
            } => {
                errors.truncate(ERRORS_IN_EVENT);
                let version = versions + u32::from(sha256.is_some());
                self.push(RunFact::ArtifactInvalid {
                    path: path(),
                    phase_key,
                    attempt,
                    version,
                    sha256,
                    bytes,
                    errors,
                    errors_total,
                })
            }
            AttemptOutcome::Missing => {
                let message = format!("the agent ended its turn without writing {}", path());
                let errors = vec![ArtifactError {
                    pointer: String::new(),
                    message,
                }];
                self.push(RunFact::ArtifactInvalid {
                    path: path(),
                    phase_key,
                    attempt,
                    version: versions,
                    sha256: None,
                    bytes: 0,
                    errors,
                    errors_total: 1,
                })
            }
            AttemptOutcome::TimedOut { seconds } => self.push(RunFact::ArtifactTimeout {
                phase_key,
                attempt,
                seconds,
            }),
            AttemptOutcome::Done { commit } => match self.plan.gates(&phase_key).first().cloned() {
                Some(gate) => self.ask(&phase_key, gate),
                None => self.complete(phase_key, commit),
            },
            AttemptOutcome::Asks(question) => self.ask_about(
                Some(phase_key),
                TOOL_PERMISSION_GATE,
                GateQuestion::Tool(*question),
            ),
            AttemptOutcome::Waits(wait) => {
                let LongWait {
                    turn_id,
                    tries,
                    status,
                    code,
                    wait_ms,
                    until,
                } = wait;
                self.push(RunFact::LlmRetried {
                    phase_key,
                    turn_id,
                    r#try: tries,
                    status,
                    code,
                    wait_ms,
                    until: Some(until),
                })
            }
            AttemptOutcome::OverBudget(question) => {
                self.pause(PauseReason::Budget)?;
                self.ask_about(None, BUDGET_GATE, GateQuestion::Budget(question))
            }
            AttemptOutcome::Stopped => Ok(()),
            AttemptOutcome::Failed(failure) if failure.class() == ErrorClass::Fatal => {
                self.push(RunFact::PhaseFailed {
                    phase_key,
                    reason: failure.code,
                    message: failure.message.clone(),
                })?;
                self.fail_run(failure.code, failure.message, &failure.hint)
            }
            AttemptOutcome::Failed(failure) => self.needs_person(&phase_key, &failure),
        }
    }

    /// Pauses the run so that a person can fix the problem and resume.
    fn needs_person(&mut self, phase_key: &PhaseKey, failure: &Failure) -> Result<()> {
        let Some(role) = self.plan.phase(phase_key).map(|phase| phase.role.clone()) else {
            return Ok(());
        };
        let ordinal = self
            .state
            .sessions
            .get(&role)
            .map_or(0, |session| session.ordinal)
            + 1;
        let message = format!("{} ({})", failure.message, failure.hint);
        self.push(RunFact::SessionFailed {
            session_id: self.session(&role),
            role,
            ordinal,
            code: failure.code,
            message,
        })?;
        self.pause(PauseReason::SessionRecovery)?;
        let request_id = self.next_request();
        let gate = GateKey::from(SESSION_RECOVERY_GATE);
        self.push(RunFact::ApprovalRequested {
            request_id,
            phase_key: None,
            gate,
            artifact_sha256: None,
            artifact_version: None,
            question: None,
        })
    }

    /// Opens an approval that concerns no artifact.
    fn ask_about(
        &mut self,
        phase_key: Option<PhaseKey>,
        gate: &str,
        question: GateQuestion,
    ) -> Result<()> {
        let (request_id, question) = (self.next_request(), Some(Box::new(question)));
        let gate = GateKey::from(gate);
        self.push(RunFact::ApprovalRequested {
            request_id,
            phase_key,
            gate,
            artifact_sha256: None,
            artifact_version: None,
            question,
        })
    }

    fn complete(&mut self, phase_key: PhaseKey, commit: Option<String>) -> Result<()> {
        let Some(phase) = self.state.phase(&phase_key) else {
            return Ok(());
        };
        let (attempts, duration_ms) = (phase.attempt, phase.working_ms_at(self.at));
        self.push(RunFact::PhaseCompleted {
            phase_key,
            attempts,
            duration_ms,
            commit,
        })
    }

    pub(super) fn not_now(&self, what: &str) -> Failure {
        if self.state.status.is_terminal() {
            ended(&self.state)
        } else {
            let run = self.state.run_id.short();
            Failure::new(
                Code::IllegalTransition,
                format!(
                    "run {run} cannot be {what} while it is {}",
                    self.state.status
                ),
            )
            .hint(format!("`phasedeck show {run}` says what it does"))
        }
    }
}

/// Explains why a finished run accepts no commands.
#[must_use]
pub fn ended(state: &RunState) -> Failure {
    Failure::new(
        Code::RunAlreadyTerminal,
        format!(
            "run {} has ended: it is {}",
            state.run_id.short(),
            state.status
        ),
    )
    .hint("an ended run stays as it is; start a new one")
}
