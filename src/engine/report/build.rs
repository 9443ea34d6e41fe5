//! From rows to a report: which row says what.

use super::costs;
use super::shape::{
    AbortReport, ArtifactReport, DecisionReport, ErrorReport, EventReport, PhaseReport, RunReport,
    RunsReport, SeatReport, UnresolvedKind, UnresolvedReport,
};
use crate::model::event::{JournalEvent, RunFact};
use crate::model::hash::ContentHash;
use crate::model::persona::{RoleBinding, SeatChange};
use crate::model::record::{ApprovalRecord, ArtifactRecord, LedgerRecord, RunRecord};
use crate::model::run_state::{PhaseState, RunState};
use crate::model::state::{ApprovalStatus, PhaseStatus};
use crate::model::workflow::Workflow;

/// The version of the report's shape.
const VERSION: u32 = 1;
/// Events at the end of a report.
const LAST_EVENTS: usize = 20;

impl RunsReport {
    /// Builds the report of a run from its rows. Of `last_events` (oldest first) the last 20 count.
    #[must_use]
    #[expect(
        clippy::too_many_arguments,
        reason = "each is one kind of row; a struct of them would be made once, here"
    )]
    pub fn build(
        run: &RunRecord,
        state: &RunState,
        workflow: Option<&Workflow>,
        bindings: &[RoleBinding],
        artifacts: &[ArtifactRecord],
        approvals: &[ApprovalRecord],
        ledger: &[LedgerRecord],
        last_events: &[JournalEvent],
    ) -> Self {
        Self {
            report_version: VERSION,
            rehearsal: run.rehearsal,
            run: the_run(run, state),
            error: error(run, state),
            aborted: last_events
                .iter()
                .rev()
                .find_map(|event| abort(&event.fact)),
            unresolved: unresolved(state, approvals, ledger),
            bindings: bindings
                .iter()
                .map(seat)
                .chain(state.reseated.iter().map(new_seat))
                .collect(),
            phases: state
                .phases
                .iter()
                .map(|phase| the_phase(phase, state, workflow))
                .collect(),
            artifacts: artifacts.iter().map(artifact).collect(),
            decisions: approvals.iter().map(decision).collect(),
            costs: costs::of(state, ledger),
            last_events: last_events
                .iter()
                .skip(last_events.len().saturating_sub(LAST_EVENTS))
                .map(event)
                .collect(),
        }
    }
}

fn the_run(run: &RunRecord, state: &RunState) -> RunReport {
    let sum = |of: fn(&PhaseState, crate::model::time::Timestamp) -> u64| {
        state
            .phases
            .iter()
            .map(|phase| of(phase, state.last_at))
            .sum()
    };
    RunReport {
        id: run.id.to_string(),
        workflow: run.workflow.clone(),
        workflow_hash: run.workflow_hash.to_string(),
        thread: run.thread.to_string(),
        state: state.status.to_string(),
        requirements: run.requirements.clone(),
        repo: run.repo.clone(),
        base_branch: run.base_branch.clone(),
        base_commit: run.base_commit.clone(),
        branch: run.branch.clone(),
        created_at: run.created_at,
        started_at: run.started_at,
        ended_at: run.ended_at.or(state.ended_at),
        elapsed_ms: state.last_at.since_ms(run.created_at),
        working_ms: sum(PhaseState::working_ms_at),
        waiting_ms: sum(PhaseState::waiting_ms_at),
    }
}

fn error(run: &RunRecord, state: &RunState) -> Option<ErrorReport> {
    if let Some((code, message, hint)) = &state.error {
        return Some(ErrorReport {
            code: code.to_string(),
            message: message.clone(),
            hint: hint.clone(),
        });
    }
    let code = run.error_code.clone()?;
    Some(ErrorReport {
        code,
        message: run.error_message.clone().unwrap_or_default(),
        hint: run.error_hint.clone().unwrap_or_default(),
    })
}

fn abort(fact: &RunFact) -> Option<AbortReport> {
    let RunFact::RunAborted { by, via, reason } = fact else {
        return None;
    };
    Some(AbortReport {
        by: by.clone(),
        via: *via,
        reason: reason.clone(),
    })
}

fn unresolved(
    state: &RunState,
    approvals: &[ApprovalRecord],
    ledger: &[LedgerRecord],
) -> Vec<UnresolvedReport> {
    let pending = approvals
        .iter()
        .filter(|approval| approval.state == ApprovalStatus::Pending)
        .map(|approval| {
            let phase_key = approval.phase_key.as_ref().map(ToString::to_string);
            UnresolvedReport {
                kind: UnresolvedKind::PendingApproval,
                phase_key,
                what: format!("the question '{}' was never answered", approval.gate),
            }
        });
    let unknown = ledger
        .iter()
        .filter(|call| call.cost.is_none())
        .map(|call| {
            let how = if call.status.is_none() {
                "is still open"
            } else {
                "has no known price"
            };
            let what = format!("call {} to {} {how}", call.turn_id, call.model);
            UnresolvedReport {
                kind: UnresolvedKind::UnknownCost,
                phase_key: Some(call.phase_key.to_string()),
                what,
            }
        });
    let phases = state.phases.iter().filter_map(|phase| {
        let (kind, what) = match phase.status {
            PhaseStatus::Pending => (
                UnresolvedKind::PhaseNotReached,
                format!("phase '{}' was not reached", phase.key),
            ),
            PhaseStatus::Completed | PhaseStatus::Skipped | PhaseStatus::Failed => return None,
            other => (
                UnresolvedKind::PhaseUnfinished,
                format!(
                    "phase '{}' was left {}",
                    phase.key,
                    other.as_str().replace('_', " ")
                ),
            ),
        };
        Some(UnresolvedReport {
            kind,
            phase_key: Some(phase.key.to_string()),
            what,
        })
    });
    pending.chain(unknown).chain(phases).collect()
}

fn seat(binding: &RoleBinding) -> SeatReport {
    SeatReport {
        role: binding.role.to_string(),
        persona: binding.persona.to_string(),
        persona_hash: binding.persona_hash.to_string(),
        backend: binding.backend.clone(),
        model: binding.model.clone(),
        phase_key: None,
        instead_of: None,
    }
}

fn new_seat(new: &SeatChange) -> SeatReport {
    SeatReport {
        phase_key: Some(new.phase_key.to_string()),
        instead_of: Some(new.was.to_string()),
        ..seat(&new.binding)
    }
}

fn the_phase(phase: &PhaseState, state: &RunState, workflow: Option<&Workflow>) -> PhaseReport {
    let planned = workflow.and_then(|workflow| workflow.phase(&phase.key));
    PhaseReport {
        key: phase.key.to_string(),
        title: planned
            .map(|planned| planned.title.clone())
            .filter(|title| !title.is_empty()),
        risk: planned.map(|planned| planned.risk),
        role: planned.map(|planned| planned.role.to_string()),
        persona: phase.made_by().map(ToString::to_string),
        state: phase.status,
        attempts: phase.attempt,
        started_at: phase.started_at,
        ended_at: phase.ended_at,
        working_ms: phase.working_ms_at(state.last_at),
        waiting_ms: phase.waiting_ms_at(state.last_at),
        artifact_path: phase
            .artifact
            .as_ref()
            .map(|artifact| artifact.path.clone()),
        artifact_sha256: phase
            .artifact
            .as_ref()
            .map(|artifact| artifact.sha256.to_string()),
        commit: phase.commit.clone(),
    }
}

fn artifact(row: &ArtifactRecord) -> ArtifactReport {
    ArtifactReport {
        phase_key: row.phase_key.to_string(),
        version: row.version,
        attempt: row.attempt,
        path: row.path.clone(),
        schema: row.schema.to_string(),
        sha256: row.sha256.to_string(),
        bytes: row.bytes,
        valid: row.valid,
        errors: row.errors.clone(),
        at: row.at,
    }
}

fn decision(row: &ApprovalRecord) -> DecisionReport {
    DecisionReport {
        request_id: row.id.to_string(),
        phase_key: row.phase_key.as_ref().map(ToString::to_string),
        gate: row.gate.to_string(),
        state: row.state,
        comment: row.comment.clone().filter(|comment| !comment.is_empty()),
        by: row.resolved_by.clone(),
        via: row.via,
        artifact_sha256: row.artifact_sha256.as_ref().map(ContentHash::to_string),
        artifact_version: row.artifact_version,
        requested_at: row.requested_at,
        resolved_at: row.resolved_at,
        waited_ms: row.resolved_at.map(|at| at.since_ms(row.requested_at)),
    }
}

fn event(event: &JournalEvent) -> EventReport {
    let payload = serde_json::to_value(&event.fact)
        .ok()
        .and_then(|mut fact| fact.get_mut("payload").map(serde_json::Value::take));
    EventReport {
        seq: event.seq,
        at: event.at,
        kind: event.fact.kind().to_owned(),
        payload: payload.unwrap_or_default(),
    }
}
