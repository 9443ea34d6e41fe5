//! The outcome of the gate on the screen, from an event or from the stored rows.
//!
//! The same fact can arrive twice, as a signal and in a query result, and a row can be read before
//! its fact arrives. A fact is applied once and takes precedence over a row.

use crate::app::screens::gate::question;
use crate::app::screens::gate::state::{DecisionStep, GateReceipt, GateView};
use crate::app::screens::run::state::LoadedRun;
use crate::app::state::AppState;
use crate::model::event::{JournalEvent, PersonaPick, RunFact};
use crate::model::id::{PhaseKey, RequestId};
use crate::model::record::ApprovalRecord;
use crate::model::state::ApprovalStatus;
use std::sync::Arc;

/// Applies an event of the run whose gate is open.
pub fn on_event(state: &mut AppState, event: &JournalEvent) {
    let Some(gate) = state
        .gate
        .as_mut()
        .filter(|gate| gate.run_id == event.run_id && gate.told < event.seq)
    else {
        return;
    };
    gate.told = event.seq;
    match &event.fact {
        RunFact::ApprovalResolved {
            request_id,
            action,
            comment,
            by,
            via,
            scope,
            raise,
            phase_key,
            ..
        } if *request_id == gate.request_id => {
            let ours = gate.sent == Some(*action);
            gate.stage = DecisionStep::Receipt(GateReceipt {
                action: action.resolves_to().to_string(),
                came_to: question::describe_effect(
                    *scope,
                    *raise,
                    phase_key.as_ref().map(PhaseKey::as_str),
                ),
                by: format!("{by} ({via})"),
                at: event.at,
                comment: comment.clone(),
                ours,
                top: 0,
            });
        }
        RunFact::PersonasChanged { request_id, seats } if *request_id == gate.request_id => {
            if let (DecisionStep::Receipt(receipt), Some(seat)) = (&mut gate.stage, seats.first()) {
                let phases: Vec<&str> = seats.iter().map(|seat| seat.phase_key.as_str()).collect();
                receipt.came_to += &format!(
                    ": {} continues with {};",
                    seat.binding.persona,
                    phases.join(", ")
                );
            }
        }
        RunFact::ArtifactChanged {
            request_id,
            by,
            picked,
            ..
        } if *request_id == gate.request_id => {
            let ours = revised_here(gate);
            let told = by.as_ref().map(|by| brought(by, picked.as_ref()));
            gate.stage = DecisionStep::Receipt(GateReceipt {
                action: ApprovalStatus::Superseded.to_string(),
                came_to: String::new(),
                by: told.unwrap_or_else(|| "a change on disk after validation".to_owned()),
                at: event.at,
                comment: String::new(),
                ours,
                top: 0,
            });
            state.wants_gate |= ours;
        }
        RunFact::RunCompleted {} | RunFact::RunFailed { .. } | RunFact::RunAborted { .. }
            if gate.is_open() =>
        {
            gate.stage = DecisionStep::Receipt(GateReceipt {
                action: "closed".to_owned(),
                came_to: String::new(),
                by: format!("the run ended ({})", event.fact.kind()),
                at: event.at,
                comment: String::new(),
                ours: false,
                top: 0,
            });
        }
        _ => {}
    }
}

/// Whether the other version in its place was brought by this console; a row may have said so before the fact.
fn revised_here(gate: &GateView) -> bool {
    matches!(gate.stage, DecisionStep::Revising { .. })
        || matches!(&gate.stage, DecisionStep::Receipt(receipt) if receipt.ours)
}

/// Describes who replaced the artifact, and with what.
fn brought(by: &str, picked: Option<&PersonaPick>) -> String {
    let what = match picked {
        Some(picked) => format!(
            "the version of fork {} by {}",
            picked.fork.short(),
            picked.persona
        ),
        None => "an edited version".to_owned(),
    };
    format!("{by} with {what}; it needs approval")
}

/// Applies the stored decisions of the run, by which the gate may already be decided.
pub fn on_approvals(state: &mut AppState) {
    let (Some(gate), Some(run)) = (&mut state.gate, &state.run) else {
        return;
    };
    let Some(known) = run
        .live_run()
        .filter(|known| known.state.run_id == gate.run_id)
    else {
        return;
    };
    if matches!(gate.stage, DecisionStep::Receipt(_)) {
        return;
    }
    let found = known
        .details
        .approvals
        .iter()
        .find(|a| a.id == gate.request_id && a.state != ApprovalStatus::Pending);
    let Some(record) = found else { return };
    let sent = gate
        .sent
        .is_some_and(|action| action.resolves_to() == record.state);
    let ours = sent || matches!(gate.stage, DecisionStep::Revising { .. });
    let facts: Vec<Arc<JournalEvent>> = run
        .tail
        .events()
        .filter(|event| is_about(&event.fact, record.id))
        .cloned()
        .collect();
    gate.stage = DecisionStep::Receipt(receipt_from(record, known, ours));
    facts.iter().for_each(|event| on_event(state, event));
}

fn is_about(fact: &RunFact, request: RequestId) -> bool {
    match fact {
        RunFact::ApprovalResolved { request_id, .. }
        | RunFact::PersonasChanged { request_id, .. }
        | RunFact::ArtifactChanged { request_id, .. } => *request_id == request,
        _ => false,
    }
}

fn receipt_from(record: &ApprovalRecord, known: &LoadedRun, ours: bool) -> GateReceipt {
    let via = record
        .via
        .map(|via| format!(" ({via})"))
        .unwrap_or_default();
    let phase = record
        .phase_key
        .as_ref()
        .and_then(|key| known.state.phase(key));
    let by = match (&record.resolved_by, phase) {
        (Some(by), _) => format!("{by}{via}"),
        (None, Some(phase)) if record.state == ApprovalStatus::Superseded => {
            match (&phase.revised_by, &phase.picked) {
                (Some(by), picked) => brought(by, picked.as_ref()),
                (None, Some(picked)) => brought("somebody", Some(picked)),
                (None, None) => "the engine".to_owned(),
            }
        }
        _ => "the engine".to_owned(),
    };
    GateReceipt {
        action: record.state.to_string(),
        came_to: question::describe_effect(
            record.scope,
            record.raise,
            record.phase_key.as_ref().map(PhaseKey::as_str),
        ),
        by,
        at: record.resolved_at.unwrap_or(record.requested_at),
        comment: record.comment.clone().unwrap_or_default(),
        ours,
        top: 0,
    }
}
