//! Conversations with agents, read. The rows come from the journal's `session.…` events.

use rusqlite::Connection;

use super::row;
use crate::model::error::Result;
use crate::model::id::{RoleId, RunId};
use crate::model::record::SessionRecord;
use crate::model::state::SessionStatus;

/// The conversations of a run, oldest first.
///
/// # Errors
/// What the database says.
pub fn of_run(conn: &Connection, run: RunId) -> Result<Vec<SessionRecord>> {
    let mut query =
        conn.prepare_cached("SELECT id, run_id, role, backend, state FROM sessions WHERE run_id = ?1 ORDER BY started_at_ms, id")?;
    let rows = query.query_map([run.to_string()], |row| {
        Ok(SessionRecord {
            id: row::parsed(row, "id")?,
            run_id: row::parsed(row, "run_id")?,
            role: RoleId(row.get("role")?),
            backend: row.get("backend")?,
            state: row::named(row, "state", SessionStatus::parse)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
