//! Moves the rows along with the journal: what lists and screens read without folding.
//!
//! The rules are those of [`RunState::apply`](crate::model::run_state::RunState::apply); a property
//! test holds the rows against the fold for random journals, and [`rebuild`] makes the same rows
//! from nothing. The run's own row is read once, moved in memory ([`Head`]) and written once for a
//! whole append.

mod approval;
mod artifact;
mod head;
mod phase;
mod session;
#[cfg(test)]
mod tests;

use rusqlite::Connection;

pub(super) use self::head::Head;
use super::events;
use crate::model::error::{Failure, Result};
use crate::model::event::{Event, Fact};
use crate::model::id::RunId;
use crate::model::state::{ApprovalStatus, Decision, PhaseStatus, RunStatus};

/// Takes one new event into the rows.
pub(super) fn apply(tx: &Connection, head: &mut Head, event: &Event) -> Result<()> {
    match &event.fact {
        Fact::RunCreated { phases, .. } => {
            head.created(event.at, phases.len());
            phase::insert_all(tx, head, phases)?;
        }
        Fact::RunStarted { .. } => head.start(event)?,
        Fact::RunPaused { reason, .. } => head.pause(*reason, event)?,
        Fact::RunResumed { .. } => {
            let waits = approval::pending_has_phase(tx, head.run_id)?;
            head.resume(waits, event)?;
        }
        Fact::RunCompleted {} => end(tx, head, RunStatus::Completed, event)?,
        Fact::RunFailed {
            code,
            message,
            hint,
        } => {
            head.error = Some((code.as_str().to_owned(), message.clone(), hint.clone()));
            end(tx, head, RunStatus::Failed, event)?;
        }
        Fact::RunAborted { .. } => end(tx, head, RunStatus::Aborted, event)?,

        Fact::PhaseStarted {
            phase_key, attempt, ..
        } => phase::started(tx, head, phase_key, *attempt, event)?,
        Fact::PhaseCompleted {
            phase_key, commit, ..
        } => phase::completed(tx, head, phase_key, commit.as_deref(), event)?,
        Fact::PhaseFailed { phase_key, .. } => {
            phase::enter(tx, head, phase_key, PhaseStatus::Failed, event)?
        }
        Fact::ArtifactTimeout { phase_key, .. } => {
            phase::enter(tx, head, phase_key, PhaseStatus::Validating, event)?
        }

        Fact::ArtifactExpected {
            phase_key,
            path,
            schema,
            ..
        } => artifact::expected(tx, head, phase_key, path, schema)?,
        Fact::ArtifactValidated {
            phase_key,
            attempt,
            artifact,
            ..
        } => {
            phase::enter(tx, head, phase_key, PhaseStatus::Validating, event)?;
            artifact::validated(tx, phase_key, *attempt, artifact, event)?;
        }
        Fact::ArtifactInvalid { phase_key, .. } => {
            phase::enter(tx, head, phase_key, PhaseStatus::Validating, event)?;
            artifact::invalid(tx, event)?;
        }
        Fact::ArtifactChanged { phase_key, .. } => {
            approval::close_pending(tx, head, ApprovalStatus::Superseded)?;
            head.question_withdrawn();
            phase::enter(tx, head, phase_key, PhaseStatus::Validating, event)?;
        }

        Fact::ApprovalRequested { phase_key, .. } => {
            if let Some(key) = phase_key {
                head.enter(RunStatus::AwaitingApproval, event)?;
                phase::enter(tx, head, key, PhaseStatus::AwaitingApproval, event)?;
            }
            approval::requested(tx, head, event)?;
        }
        Fact::ApprovalResolved {
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
        Fact::LlmCalled {
            phase_key,
            tokens,
            cost,
            ..
        } => {
            head.called(tokens, *cost);
            phase::called(tx, head, phase_key, *cost, event)?;
        }
        Fact::SessionStarted { .. }
        | Fact::SessionRecovered { .. }
        | Fact::SessionFailed { .. } => session::apply(tx, event)?,

        Fact::PhaseSkipped { phase_key, .. } => phase::skipped(tx, head, phase_key, event)?,
        Fact::PromptSent { .. }
        | Fact::PromptRepaired { .. }
        | Fact::ArtifactWarned { .. }
        | Fact::AgentAdapted { .. }
        | Fact::PersonasChanged { .. }
        | Fact::ClockSkewed { .. }
        | Fact::CommandsConfined { .. }
        | Fact::ToolCalled { .. }
        | Fact::ToolDenied { .. }
        | Fact::LlmRepaired { .. }
        | Fact::LlmRetried { .. }
        | Fact::BudgetWarned { .. }
        | Fact::BudgetExceeded { .. } => {}
    }
    (head.last_seq, head.updated_at) = (event.seq, event.at);
    Ok(())
}

/// The refusal of a second, different answer to a question, saying who was first.
pub(super) fn answered_already(tx: &Connection, run: RunId, fact: &Fact) -> Result<Failure> {
    match fact {
        Fact::ApprovalResolved { request_id, .. } => approval::too_late(tx, run, *request_id),
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
    let mut head = Head::load(tx, run)?.blank();
    events::for_each(journal, run, |event| apply(tx, &mut head, &event))?;
    head.save(tx)
}

fn end(tx: &Connection, head: &mut Head, to: RunStatus, event: &Event) -> Result<()> {
    head.end(to, event)?;
    let left_open = if to == RunStatus::Aborted {
        ApprovalStatus::Aborted
    } else {
        ApprovalStatus::Superseded
    };
    approval::close_pending(tx, head, left_open)
}
