//! Moves the rows along with the journal: what lists and screens read without folding.
//!
//! The rules are those of [`RunState::apply`](crate::model::run_state::RunState::apply); a property
//! test holds the rows against the fold for random journals, and [`rebuild`] makes the same rows
//! from nothing. The run's own row is read once, moved in memory ([`RunHead`]) and written once for a
//! whole append.

mod approval;
mod artifact;
mod head;
mod phase;
mod session;
#[cfg(test)]
mod tests;

use rusqlite::Connection;

pub(super) use self::head::RunHead;
use crate::model::error::{Failure, Result};
use crate::model::event::{JournalEvent, RunFact};
use crate::model::id::RunId;
use crate::model::state::{ApprovalStatus, Decision, PhaseStatus, RunStatus};
use crate::store::journal::events;

/// Takes one new event into the rows.
pub(super) fn apply(tx: &Connection, head: &mut RunHead, event: &JournalEvent) -> Result<()> {
    match &event.fact {
        RunFact::RunCreated { phases, .. } => {
            head.created(event.at, phases.len());
            phase::insert_all(tx, head, phases)?;
        }
        RunFact::RunStarted { .. } => head.start(event)?,
        RunFact::RunPaused { reason, .. } => head.pause(*reason, event)?,
        RunFact::RunResumed { .. } => {
            let waits = approval::pending_has_phase(tx, head.run_id)?;
            head.resume(waits, event)?;
        }
        RunFact::RunCompleted {} => end(tx, head, RunStatus::Completed, event)?,
        RunFact::RunFailed {
            code,
            message,
            hint,
        } => {
            head.error = Some((code.as_str().to_owned(), message.clone(), hint.clone()));
            end(tx, head, RunStatus::Failed, event)?;
        }
        RunFact::RunAborted { .. } => end(tx, head, RunStatus::Aborted, event)?,

        RunFact::PhaseStarted {
            phase_key, attempt, ..
        } => phase::started(tx, head, phase_key, *attempt, event)?,
        RunFact::PhaseCompleted {
            phase_key, commit, ..
        } => phase::completed(tx, head, phase_key, commit.as_deref(), event)?,
        RunFact::PhaseFailed { phase_key, .. } => {
            phase::enter(tx, head, phase_key, PhaseStatus::Failed, event)?
        }
        RunFact::ArtifactTimeout { phase_key, .. } => {
            phase::enter(tx, head, phase_key, PhaseStatus::Validating, event)?
        }

        RunFact::ArtifactExpected {
            phase_key,
            path,
            schema,
            ..
        } => artifact::expected(tx, head, phase_key, path, schema)?,
        RunFact::ArtifactValidated {
            phase_key,
            attempt,
            artifact,
            ..
        } => {
            phase::enter(tx, head, phase_key, PhaseStatus::Validating, event)?;
            artifact::validated(tx, phase_key, *attempt, artifact, event)?;
        }
        RunFact::ArtifactInvalid { phase_key, .. } => {
            phase::enter(tx, head, phase_key, PhaseStatus::Validating, event)?;
            artifact::invalid(tx, event)?;
        }
        RunFact::ArtifactChanged { phase_key, .. } => {
            approval::close_pending(tx, head, ApprovalStatus::Superseded)?;
            head.question_withdrawn();
            phase::enter(tx, head, phase_key, PhaseStatus::Validating, event)?;
        }

        RunFact::ApprovalRequested { phase_key, .. } => {
            if let Some(key) = phase_key {
                head.enter(RunStatus::AwaitingApproval, event)?;
                phase::enter(tx, head, key, PhaseStatus::AwaitingApproval, event)?;
            }
            approval::requested(tx, head, event)?;
        }
        RunFact::ApprovalResolved {
            phase_key,
            action,
            scope,
            ..
        } => {
            approval::resolved(tx, head, event)?;
            head.question_answered(event)?;
            if let (Some(key), true) = (phase_key, scope.is_some() && *action != Decision::Abort) {
                // A question within an attempt was answered: the attempt goes on.
                phase::enter(tx, head, key, PhaseStatus::Running, event)?;
            } else if let Some(key) = phase_key {
                phase::must_exist(tx, head, key, event)?;
            }
        }
        RunFact::LlmCalled {
            phase_key,
            tokens,
            cost,
            ..
        } => {
            head.called(tokens, *cost);
            phase::called(tx, head, phase_key, *cost, event)?;
        }
        RunFact::SessionStarted { .. }
        | RunFact::SessionRecovered { .. }
        | RunFact::SessionFailed { .. } => session::apply(tx, event)?,

        RunFact::PhaseSkipped { phase_key, .. } => phase::skipped(tx, head, phase_key, event)?,
        RunFact::PromptSent { .. }
        | RunFact::PromptRepaired { .. }
        | RunFact::ArtifactWarned { .. }
        | RunFact::AgentAdapted { .. }
        | RunFact::PersonasChanged { .. }
        | RunFact::ClockSkewed { .. }
        | RunFact::CommandsConfined { .. }
        | RunFact::ToolCalled { .. }
        | RunFact::ToolDenied { .. }
        | RunFact::LlmRepaired { .. }
        | RunFact::LlmRetried { .. }
        | RunFact::BudgetWarned { .. }
        | RunFact::BudgetExceeded { .. } => {}
    }
    (head.last_seq, head.updated_at) = (event.seq, event.at);
    Ok(())
}

/// The refusal of a second, different answer to a question, saying who was first.
pub(super) fn answered_already(tx: &Connection, run: RunId, fact: &RunFact) -> Result<Failure> {
    match fact {
        RunFact::ApprovalResolved { request_id, .. } => approval::too_late(tx, run, *request_id),
        other => Ok(Failure::internal(format!(
            "{} answers no question",
            other.kind()
        ))),
    }
}

/// Makes the rows of a run anew from its journal.
///
/// # Errors
/// As [`append`](super::journal::append).
pub fn rebuild(tx: &Connection, run: RunId) -> Result<()> {
    for table in ["sessions", "approval_requests", "artifacts", "run_phases"] {
        tx.execute(
            &format!("DELETE FROM {table} WHERE run_id = ?1"),
            [run.to_string()],
        )?;
    }
    rebuild_from(tx, tx, run)
}

/// Makes the rows of a run in `tx`, where it has none but its own, from the journal in `journal`.
pub(super) fn rebuild_from(journal: &Connection, tx: &Connection, run: RunId) -> Result<()> {
    let mut head = RunHead::load(tx, run)?.blank();
    events::for_each(journal, run, |event| apply(tx, &mut head, &event))?;
    head.save(tx)
}

fn end(tx: &Connection, head: &mut RunHead, to: RunStatus, event: &JournalEvent) -> Result<()> {
    head.end(to, event)?;
    let left_open = if to == RunStatus::Aborted {
        ApprovalStatus::Aborted
    } else {
        ApprovalStatus::Superseded
    };
    approval::close_pending(tx, head, left_open)
}
