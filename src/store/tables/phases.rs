//! Queries on `run_phases`. The projection writes the rows.

use crate::model::error::Result;
use crate::model::id::{PhaseKey, RunId};
use crate::model::record::PhaseRecord;
use crate::model::state::PhaseStatus;
use crate::store::tables::columns;
use rusqlite::Connection;

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
            position: columns::count(row, "position")?,
            state: columns::named(row, "state", PhaseStatus::parse)?,
            attempt: columns::count(row, "attempt")?,
            artifact_sha256: columns::hash_option(row, "artifact_sha256")?,
            artifact_path: row.get("artifact_path")?,
            commit: row.get("commit_hash")?,
            started_at: columns::at_option(row, "started_at_ms")?,
            ended_at: columns::at_option(row, "ended_at_ms")?,
            cost: columns::cost(row)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
