//! Which persona fills which seat of a run, and which frozen schemas the run uses. Written once.

use crate::model::error::Result;
use crate::model::hash::ContentHash;
use crate::model::id::{RoleId, RunId, SchemaId};
use crate::model::persona::RoleBinding;
use crate::store::tables::columns;
use rusqlite::Connection;

/// Freezes the bindings of a run.
///
/// # Errors
/// What the database says; `internal` when a role of the run is bound already.
pub fn insert(
    tx: &Connection,
    run: RunId,
    bindings: &[RoleBinding],
    binding_hash: &ContentHash,
) -> Result<()> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO bindings (run_id, role, persona, persona_hash, backend, model, binding_hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for binding in bindings {
        insert.execute((
            run.to_string(),
            binding.role.as_str(),
            binding.persona.to_string(),
            binding.persona_hash.as_str(),
            &binding.backend,
            &binding.model,
            binding_hash.as_str(),
        ))?;
    }
    Ok(())
}

/// The bindings of a run, ordered by role; empty when it has none.
///
/// # Errors
/// What the database says.
pub fn of_run(conn: &Connection, run: RunId) -> Result<Vec<RoleBinding>> {
    let mut query =
        conn.prepare_cached("SELECT role, persona, persona_hash, backend, model FROM bindings WHERE run_id = ?1 ORDER BY role")?;
    let rows = query.query_map([run.to_string()], |row| {
        Ok(RoleBinding {
            role: RoleId(row.get("role")?),
            persona: columns::named(row, "persona", |text| text.parse().ok())?,
            persona_hash: columns::hash(row, "persona_hash")?,
            backend: row.get("backend")?,
            model: row.get("model")?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Notes which frozen text a schema id means for this run.
///
/// # Errors
/// What the database says.
pub fn insert_schema(
    tx: &Connection,
    run: RunId,
    schema: &SchemaId,
    hash: &ContentHash,
) -> Result<()> {
    tx.prepare_cached("INSERT INTO run_schemas (run_id, schema_id, hash) VALUES (?1, ?2, ?3)")?
        .execute((run.to_string(), schema.as_str(), hash.as_str()))?;
    Ok(())
}

/// The schemas of a run, ordered by id.
///
/// # Errors
/// What the database says.
pub fn schemas_of_run(conn: &Connection, run: RunId) -> Result<Vec<(SchemaId, ContentHash)>> {
    let mut query = conn.prepare_cached(
        "SELECT schema_id, hash FROM run_schemas WHERE run_id = ?1 ORDER BY schema_id",
    )?;
    let rows = query.query_map([run.to_string()], |row| {
        Ok((SchemaId(row.get("schema_id")?), columns::hash(row, "hash")?))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
