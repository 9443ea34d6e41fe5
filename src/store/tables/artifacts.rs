//! The stored versions of artifacts, read. The rows come from the journal, the contents lie elsewhere.

use crate::model::error::Result;
use crate::model::id::{PhaseKey, RunId, SchemaId};
use crate::model::record::ArtifactRecord;
use crate::store::tables::columns;
use rusqlite::Connection;

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
            version: columns::count(row, "version")?,
            attempt: columns::count(row, "attempt")?,
            path: row.get("path")?,
            schema: SchemaId(row.get("schema_id")?),
            sha256: columns::hash(row, "sha256")?,
            bytes: columns::large(row, "bytes")?,
            valid: row.get("valid")?,
            errors: columns::named(row, "errors", |text| serde_json::from_str(text).ok())?,
            at: columns::at(row, "at_ms")?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
