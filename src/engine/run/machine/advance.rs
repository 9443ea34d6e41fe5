//! Facts that follow from the state alone: the next gate, a repair, the next phase, the end.
//!
//! Each fact is applied to a copy of the state ([`AdvanceContext`]) as it is produced, so later facts are
//! decided on the resulting state. This module sees no inputs; `decide.rs` handles them on the same
//! copy and then calls `advance`.

use uuid::Uuid;

use super::plan::PhasePlan;
use crate::model::error::{Code, Result};
use crate::model::event::{AttemptCause, JournalEvent, RunFact};
use crate::model::id::{GateKey, PhaseKey, RequestId, RoleId, SessionId};
use crate::model::run_state::{PhaseState, RunState};
use crate::model::state::{Decision, PhaseStatus, RunStatus, Via};
use crate::model::time::Timestamp;
use crate::model::workflow::PhaseDefinition;

/// A copy of the state to which facts are applied as they are produced.
pub(super) struct AdvanceContext<'a> {
    pub(super) plan: &'a PhasePlan,
    pub(super) state: RunState,
    pub(super) at: Timestamp,
    pub(super) facts: Vec<RunFact>,
}

impl AdvanceContext<'_> {
    pub(super) fn push(&mut self, fact: RunFact) -> Result<()> {
        let event = JournalEvent {
            run_id: self.state.run_id,
            seq: self.state.last_seq + 1,
            at: self.at,
            fact,
        };
        self.state.apply(&event)?;
        self.facts.push(event.fact);
        Ok(())
    }

    /// Adds the facts that follow from the state until the run has to wait.
    pub(super) fn advance(&mut self) -> Result<()> {
        while self.state.status == RunStatus::Executing {
            let before = self.facts.len();
            match self.state.current().cloned() {
                None => self.push(RunFact::RunCompleted {})?,
                Some(phase) => self.advance_phase(&phase)?,
            }
            if self.facts.len() == before {
                break;
            }
        }
        Ok(())
    }

    fn advance_phase(&mut self, phase: &PhaseState) -> Result<()> {
        let gates = self.plan.gates(&phase.key);
        let next_gate = gates.get(phase.gates_passed as usize).cloned();
        match (phase.status, phase.decided) {
            (PhaseStatus::Pending, _) => self.begin(phase, AttemptCause::First),
            (PhaseStatus::Validating, _) if !phase.errors.is_empty() || phase.missing => {
                self.repair_or_fail(phase)
            }
            (PhaseStatus::Validating, _)
            | (PhaseStatus::AwaitingApproval, Some(Decision::Approve)) => match next_gate {
                Some(gate) => self.ask(&phase.key, gate),
                None => Ok(()),
            },
            (PhaseStatus::AwaitingApproval, Some(Decision::RequestChanges)) => {
                self.begin(phase, AttemptCause::ChangesRequested)
            }
            (PhaseStatus::AwaitingApproval, Some(Decision::Reject)) => {
                self.reject(phase.key.clone(), "the operator", &phase.comment)
            }
            (PhaseStatus::AwaitingApproval, Some(Decision::Abort)) => {
                self.push(RunFact::RunAborted {
                    by: "the operator".to_owned(),
                    via: Via::Engine,
                    reason: phase.comment.clone(),
                })
            }
            (PhaseStatus::Failed, _) => self.fail_run(
                Code::Internal,
                format!("phase {} failed before the run could", phase.key),
                "start a new run",
            ),
            _ => Ok(()),
        }
    }

    fn begin(&mut self, phase: &PhaseState, cause: AttemptCause) -> Result<()> {
        let Some(definition) = self.plan.phase(&phase.key).cloned() else {
            let message = format!("the workflow has no phase '{}'", phase.key);
            return self.fail_run(
                Code::TemplateLoadFailed,
                message,
                "the stored workflow was changed from outside",
            );
        };
        let attempt = phase.attempt + 1;
        self.open_session(&definition)?;
        let persona = self.plan.persona(&definition, &self.state);
        self.push(RunFact::PhaseStarted {
            phase_key: phase.key.clone(),
            attempt,
            role: definition.role.clone(),
            persona,
            cause,
        })?;
        if let Some(expected) = definition.expected_artifact {
            let (path, schema) = (expected.path, expected.schema);
            self.push(RunFact::ArtifactExpected {
                phase_key: phase.key.clone(),
                attempt,
                path,
                schema,
            })?;
        }
        if cause == AttemptCause::Repair {
            self.push(RunFact::PromptRepaired {
                phase_key: phase.key.clone(),
                attempt,
                errors: phase.errors.clone(),
            })?;
        }
        Ok(())
    }

    /// A dry run calls no model, so it has no agent session.
    fn open_session(&mut self, phase: &PhaseDefinition) -> Result<()> {
        if self.plan.rehearsal || self.state.sessions.contains_key(&phase.role) {
            return Ok(());
        }
        let backend = self
            .plan
            .binding(&phase.role)
            .map(|binding| binding.backend.clone())
            .unwrap_or_default();
        self.push(RunFact::SessionStarted {
            session_id: self.session(&phase.role),
            role: phase.role.clone(),
            backend,
            ordinal: 1,
        })
    }

    fn repair_or_fail(&mut self, phase: &PhaseState) -> Result<()> {
        let limit = self
            .plan
            .phase(&phase.key)
            .map_or(0, |definition| definition.max_repairs);
        if phase.repairs < limit {
            return self.begin(phase, AttemptCause::Repair);
        }
        let (reason, what) = if phase.missing {
            (Code::ArtifactTimeoutExhausted, "gave no artifact")
        } else {
            (Code::ArtifactInvalidAfterRepair, "gave no valid artifact")
        };
        let last = phase.errors.first().map(|e| {
            format!(
                ": {}{}{}",
                e.pointer,
                if e.pointer.is_empty() { "" } else { " " },
                e.message
            )
        });
        let message = format!(
            "phase {} {what} in {} attempts{}",
            phase.key,
            phase.attempt,
            last.unwrap_or_default()
        );
        self.push(RunFact::PhaseFailed {
            phase_key: phase.key.clone(),
            reason,
            message: message.clone(),
        })?;
        self.fail_run(reason, message, "look at the attempts with `phasedeck show`, then start a new run with a better prompt or persona")
    }

    pub(super) fn ask(&mut self, phase_key: &PhaseKey, gate: GateKey) -> Result<()> {
        let artifact = self
            .state
            .phase(phase_key)
            .and_then(|phase| phase.artifact.clone());
        let request_id = self.next_request();
        let (artifact_sha256, artifact_version) = artifact.map(|a| (a.sha256, a.version)).unzip();
        self.push(RunFact::ApprovalRequested {
            request_id,
            phase_key: Some(phase_key.clone()),
            gate,
            artifact_sha256,
            artifact_version,
            question: None,
        })
    }

    pub(super) fn reject(&mut self, phase_key: PhaseKey, by: &str, comment: &str) -> Result<()> {
        let message = format!("{by} rejected {phase_key}: {comment}");
        self.push(RunFact::PhaseFailed {
            phase_key,
            reason: Code::ApprovalRejected,
            message: message.clone(),
        })?;
        self.fail_run(
            Code::ApprovalRejected,
            message,
            "start a new run with what you learned",
        )
    }

    pub(super) fn fail_run(&mut self, code: Code, message: String, hint: &str) -> Result<()> {
        self.push(RunFact::RunFailed {
            code,
            message,
            hint: hint.to_owned(),
        })
    }

    /// Derive ids from the journal, so that repeating a decision produces the same ids.
    pub(super) fn next_request(&self) -> RequestId {
        RequestId(Uuid::new_v5(
            &self.state.run_id.0,
            format!("approval:{}", self.state.approvals + 1).as_bytes(),
        ))
    }

    pub(super) fn session(&self, role: &RoleId) -> SessionId {
        SessionId(Uuid::new_v5(
            &self.state.run_id.0,
            format!("session:{role}").as_bytes(),
        ))
    }
}
