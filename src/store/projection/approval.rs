//! The rows of questions to the operator. One answer wins, by a guarded update.

use rusqlite::{Connection, OptionalExtension};

use super::RunHead;
use crate::model::error::{Code, Failure, Result};
use crate::model::event::{JournalEvent, RunFact};
use crate::model::id::{PhaseKey, RequestId, RunId};
use crate::model::question::PermissionScope;
use crate::model::state::ApprovalStatus;
use crate::model::time::Timestamp;

/// Stores a new question; one that still waited gives way to it.
pub(super) fn requested(tx: &Connection, head: &mut RunHead, event: &JournalEvent) -> Result<()> {
    let RunFact::ApprovalRequested {
        request_id,
        phase_key,
        gate,
        artifact_sha256,
        artifact_version,
        question,
    } = &event.fact
    else {
        return Ok(());
    };
    close_pending(tx, head, ApprovalStatus::Superseded)?;
    let question = question
        .as_ref()
        .map(serde_json::to_string)
        .transpose()
        .map_err(Failure::internal)?;
    tx.prepare_cached(
        "INSERT INTO approval_requests (id, run_id, phase_key, gate, artifact_sha256, artifact_version, requested_at_ms, \
         question) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute((
        request_id.to_string(),
        head.run_id.to_string(),
        phase_key.as_ref().map(PhaseKey::as_str),
        gate.as_str(),
        artifact_sha256.as_ref().map(|hash| hash.as_str()),
        artifact_version,
        event.at.0,
        question,
    ))?;
    head.pending = Some((gate.clone(), event.at));
    Ok(())
}

/// Stores the answer, if the question still waits.
///
/// # Errors
/// `approval_already_resolved` saying who was first; `no_pending_approval` for a question never asked.
pub(super) fn resolved(tx: &Connection, head: &mut RunHead, event: &JournalEvent) -> Result<()> {
    let RunFact::ApprovalResolved {
        request_id,
        action,
        comment,
        by,
        via,
        scope,
        raise,
        ..
    } = &event.fact
    else {
        return Ok(());
    };
    let comment = Some(comment.as_str()).filter(|words| !words.is_empty());
    let changed = tx
        .prepare_cached(
            "UPDATE approval_requests SET state = ?3, resolved_at_ms = ?4, comment = ?5, resolved_by = ?6, via = ?7, \
             scope = ?8, raise_nano = ?9 \
             WHERE id = ?1 AND run_id = ?2 AND state = 'pending'",
        )?
        .execute((
            request_id.to_string(),
            head.run_id.to_string(),
            action.resolves_to().as_str(),
            event.at.0,
            comment,
            by,
            via.as_str(),
            scope.map(PermissionScope::as_str),
            raise.map(|raise| raise.0),
        ))?;
    if changed != 1 {
        return Err(too_late(tx, head.run_id, *request_id)?);
    }
    head.pending = None;
    Ok(())
}

/// Whether a question about a phase waits.
pub(super) fn pending_has_phase(tx: &Connection, run: RunId) -> Result<bool> {
    let mut query =
        tx.prepare_cached("SELECT 1 FROM approval_requests WHERE run_id = ?1 AND state = 'pending' AND phase_key IS NOT NULL")?;
    Ok(query.exists([run.to_string()])?)
}

/// Closes the question that waits, if any, without an answer.
pub(super) fn close_pending(tx: &Connection, head: &mut RunHead, to: ApprovalStatus) -> Result<()> {
    if head.pending.take().is_some() {
        tx.prepare_cached(
            "UPDATE approval_requests SET state = ?2 WHERE run_id = ?1 AND state = 'pending'",
        )?
        .execute((head.run_id.to_string(), to.as_str()))?;
    }
    Ok(())
}

/// Why an answer is not taken: who was first, or that the question was never asked.
pub(super) fn too_late(tx: &Connection, run: RunId, request: RequestId) -> Result<Failure> {
    let mut query =
        tx.prepare_cached("SELECT gate, state, resolved_by, via, resolved_at_ms FROM approval_requests WHERE id = ?1 AND run_id = ?2")?;
    let known = query.query_row((request.to_string(), run.to_string()), |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, Option<String>>(2)?,
            row.get(3)?,
            row.get(4)?,
        ))
    });
    let Some((gate, state, by, via, at)) = known.optional()? else {
        return Ok(Failure::new(
            Code::NoPendingApproval,
            format!("run {run} never asked question {request}"),
        )
        .hint("`phasedeck show` tells what the run waits for"));
    };
    let words = match (by, via, at) {
        (Some(by), Some::<String>(via), Some::<i64>(at)) => {
            format!(
                "'{gate}' of run {run} was already {state} by {by} ({via}) at {}",
                Timestamp(at)
            )
        }
        _ => format!("'{gate}' of run {run} is no longer open: it was {state}"),
    };
    Ok(Failure::new(Code::ApprovalAlreadyResolved, words)
        .hint("nothing was changed; the first answer counts"))
}
