//! Questions to the operator, read. The rows come from the journal.

use rusqlite::{Connection, Row};

use super::row;
use crate::model::error::Result;
use crate::model::id::{GateKey, PhaseKey, RunId};
use crate::model::record::ApprovalRecord;
use crate::model::state::{ApprovalStatus, Via};

const COLUMNS: &str = "id, run_id, phase_key, gate, state, artifact_sha256, artifact_version, requested_at_ms, resolved_at_ms, comment, \
     resolved_by, via";

/// The questions of a run, in the order they were asked.
///
/// # Errors
/// What the database says.
pub fn of_run(conn: &Connection, run: RunId) -> Result<Vec<ApprovalRecord>> {
    let mut query =
        conn.prepare_cached(&format!("SELECT {COLUMNS} FROM approval_requests WHERE run_id = ?1 ORDER BY requested_at_ms, id"))?;
    Ok(query.query_map([run.to_string()], read)?.collect::<rusqlite::Result<_>>()?)
}

/// Everything that waits for the operator, oldest first.
///
/// # Errors
/// What the database says.
pub fn pending(conn: &Connection) -> Result<Vec<ApprovalRecord>> {
    let mut query =
        conn.prepare_cached(&format!("SELECT {COLUMNS} FROM approval_requests WHERE state = 'pending' ORDER BY requested_at_ms, id"))?;
    Ok(query.query_map([], read)?.collect::<rusqlite::Result<_>>()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<ApprovalRecord> {
    Ok(ApprovalRecord {
        id: row::parsed(row, "id")?,
        run_id: row::parsed(row, "run_id")?,
        phase_key: row.get::<_, Option<String>>("phase_key")?.map(PhaseKey),
        gate: GateKey(row.get("gate")?),
        state: row::named(row, "state", ApprovalStatus::parse)?,
        artifact_sha256: row::hash_option(row, "artifact_sha256")?,
        artifact_version: row.get("artifact_version")?,
        requested_at: row::at(row, "requested_at_ms")?,
        resolved_at: row::at_option(row, "resolved_at_ms")?,
        comment: row.get("comment")?,
        resolved_by: row.get("resolved_by")?,
        via: row.get::<_, Option<String>>("via")?.and_then(|via| Via::parse(&via)),
    })
}
