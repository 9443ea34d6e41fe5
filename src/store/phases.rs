//! Queries on `run_phases`. The projection writes the rows.

use rusqlite::Connection;

use super::row;
use crate::model::error::Result;
use crate::model::id::{PhaseKey, RunId};
use crate::model::record::PhaseRecord;
use crate::model::state::PhaseStatus;

/// Returns the phases of a run, in order.
///
/// # Errors
/// Database errors.
pub fn of_run(conn: &Connection, run: RunId) -> Result<Vec<PhaseRecord>> {
    let mut query = conn.prepare_cached(
        "SELECT phase_key, position, state, attempt, artifact_sha256, artifact_path, commit_hash, started_at_ms, ended_at_ms, \
         cost_nano, unknown_calls FROM run_phases WHERE run_id = ?1 ORDER BY position",
    )?;
    let rows = query.query_map([run.to_string()], |row| {
        Ok(PhaseRecord {
            phase_key: PhaseKey(row.get("phase_key")?),
            position: row::count(row, "position")?,
            state: row::named(row, "state", PhaseStatus::parse)?,
            attempt: row::count(row, "attempt")?,
            artifact_sha256: row::hash_option(row, "artifact_sha256")?,
            artifact_path: row.get("artifact_path")?,
            commit: row.get("commit_hash")?,
            started_at: row::at_option(row, "started_at_ms")?,
            ended_at: row::at_option(row, "ended_at_ms")?,
            cost: row::cost(row)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
