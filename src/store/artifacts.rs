//! The stored versions of artifacts, read. The rows come from the journal, the contents lie elsewhere.

use rusqlite::Connection;

use super::row;
use crate::model::error::Result;
use crate::model::id::{PhaseKey, RunId, SchemaId};
use crate::model::record::ArtifactRecord;

/// Every version of every artifact of a run: phases in order, versions from 1.
///
/// # Errors
/// What the database says.
pub fn of_run(conn: &Connection, run: RunId) -> Result<Vec<ArtifactRecord>> {
    let mut query = conn.prepare_cached(
        "SELECT phase_key, version, a.attempt, path, schema_id, sha256, bytes, valid, errors, at_ms \
         FROM artifacts a LEFT JOIN run_phases p USING (run_id, phase_key) WHERE run_id = ?1 ORDER BY p.position, phase_key, version",
    )?;
    let rows = query.query_map([run.to_string()], |row| {
        Ok(ArtifactRecord {
            phase_key: PhaseKey(row.get("phase_key")?),
            version: row::count(row, "version")?,
            attempt: row::count(row, "attempt")?,
            path: row.get("path")?,
            schema: SchemaId(row.get("schema_id")?),
            sha256: row::hash(row, "sha256")?,
            bytes: row::large(row, "bytes")?,
            valid: row.get("valid")?,
            errors: row::named(row, "errors", |text| serde_json::from_str(text).ok())?,
            at: row::at(row, "at_ms")?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
