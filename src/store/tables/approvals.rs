//! Questions to the operator, read. The rows come from the journal.

use crate::model::error::Result;
use crate::model::id::{GateKey, PhaseKey, RequestId, RunId};
use crate::model::money::NanoUsd;
use crate::model::question::PermissionScope;
use crate::model::record::ApprovalRecord;
use crate::model::state::{ApprovalStatus, Via};
use crate::store::tables::columns;
use rusqlite::{Connection, OptionalExtension as _, Row};

const COLUMNS: &str = "id, run_id, phase_key, gate, state, artifact_sha256, artifact_version, requested_at_ms, resolved_at_ms, comment, \
     resolved_by, via, question, scope, raise_nano";

/// The questions of a run, in the order they were asked.
///
/// # Errors
/// What the database says.
pub fn of_run(conn: &Connection, run: RunId) -> Result<Vec<ApprovalRecord>> {
    let mut query = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM approval_requests WHERE run_id = ?1 ORDER BY requested_at_ms, id"
    ))?;
    Ok(query
        .query_map([run.to_string()], read)?
        .collect::<rusqlite::Result<_>>()?)
}

/// Everything that waits for the operator, oldest first.
///
/// # Errors
/// What the database says.
pub fn pending(conn: &Connection) -> Result<Vec<ApprovalRecord>> {
    let mut query =
        conn.prepare_cached(&format!("SELECT {COLUMNS} FROM approval_requests WHERE state = 'pending' ORDER BY requested_at_ms, id"))?;
    Ok(query
        .query_map([], read)?
        .collect::<rusqlite::Result<_>>()?)
}

/// One question.
///
/// # Errors
/// What the database says.
pub fn get(conn: &Connection, id: RequestId) -> Result<Option<ApprovalRecord>> {
    let mut query = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM approval_requests WHERE id = ?1"
    ))?;
    Ok(query.query_row([id.to_string()], read).optional()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<ApprovalRecord> {
    Ok(ApprovalRecord {
        id: columns::parsed(row, "id")?,
        run_id: columns::parsed(row, "run_id")?,
        phase_key: row.get::<_, Option<String>>("phase_key")?.map(PhaseKey),
        gate: GateKey(row.get("gate")?),
        state: columns::named(row, "state", ApprovalStatus::parse)?,
        artifact_sha256: columns::hash_option(row, "artifact_sha256")?,
        artifact_version: row.get("artifact_version")?,
        requested_at: columns::at(row, "requested_at_ms")?,
        resolved_at: columns::at_option(row, "resolved_at_ms")?,
        comment: row.get("comment")?,
        resolved_by: row.get("resolved_by")?,
        via: row
            .get::<_, Option<String>>("via")?
            .and_then(|via| Via::parse(&via)),
        question: row
            .get::<_, Option<String>>("question")?
            .and_then(|text| serde_json::from_str(&text).ok()),
        scope: row
            .get::<_, Option<String>>("scope")?
            .and_then(|scope| PermissionScope::parse(&scope)),
        raise: row.get::<_, Option<i64>>("raise_nano")?.map(NanoUsd),
    })
}
