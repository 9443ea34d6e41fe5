//! The rows of conversations with agents.

use rusqlite::Connection;

use crate::model::error::Result;
use crate::model::event::{JournalEvent, RunFact};
use crate::model::id::{RoleId, SessionId};
use crate::model::state::SessionStatus;

pub(super) fn apply(tx: &Connection, event: &JournalEvent) -> Result<()> {
    match &event.fact {
        RunFact::SessionStarted {
            session_id,
            role,
            backend,
            ordinal,
        } => upsert(
            tx,
            event,
            *session_id,
            role,
            Some(backend),
            *ordinal,
            SessionStatus::Ready,
        ),
        RunFact::SessionRecovered {
            session_id,
            role,
            ordinal,
        } => upsert(
            tx,
            event,
            *session_id,
            role,
            None,
            *ordinal,
            SessionStatus::Ready,
        ),
        RunFact::SessionFailed {
            session_id,
            role,
            ordinal,
            ..
        } => upsert(
            tx,
            event,
            *session_id,
            role,
            None,
            *ordinal,
            SessionStatus::FailedNeedsHuman,
        ),
        _ => Ok(()),
    }
}

/// Where no event has named the backend, the run's binding does.
fn upsert(
    tx: &Connection,
    event: &JournalEvent,
    id: SessionId,
    role: &RoleId,
    backend: Option<&str>,
    ordinal: u32,
    state: SessionStatus,
) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO sessions (id, run_id, role, backend, state, ordinal, started_at_ms, updated_at_ms) \
         VALUES (?1, ?2, ?3, coalesce(?4, (SELECT backend FROM bindings WHERE run_id = ?2 AND role = ?3), ''), ?5, ?6, ?7, ?7) \
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, ordinal = excluded.ordinal, updated_at_ms = excluded.updated_at_ms",
    )?
    .execute((id.to_string(), event.run_id.to_string(), role.as_str(), backend, state.as_str(), ordinal, event.at.0))?;
    Ok(())
}
