//! The rows of artifact versions, valid or not, and what a phase is expected to make.

use super::RunHead;
use crate::model::error::{Failure, Result};
use crate::model::event::{ArtifactRef, JournalEvent, RunFact};
use crate::model::id::{PhaseKey, SchemaId};
use crate::store::tables::columns;
use rusqlite::{Connection, OptionalExtension};

const INSERT: &str = "INSERT INTO artifacts (run_id, phase_key, version, attempt, path, schema_id, sha256, bytes, valid, errors, at_ms) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

pub(super) fn expected(
    tx: &Connection,
    head: &RunHead,
    key: &PhaseKey,
    path: &str,
    schema: &SchemaId,
) -> Result<()> {
    tx.prepare_cached("UPDATE run_phases SET expected_path = ?3, expected_schema = ?4 WHERE run_id = ?1 AND phase_key = ?2")?.execute((
        head.run_id.to_string(),
        key.as_str(),
        path,
        schema.as_str(),
    ))?;
    Ok(())
}

pub(super) fn validated(
    tx: &Connection,
    key: &PhaseKey,
    attempt: u32,
    artifact: &ArtifactRef,
    event: &JournalEvent,
) -> Result<()> {
    let run = event.run_id.to_string();
    tx.prepare_cached("UPDATE run_phases SET artifact_sha256 = ?3, artifact_path = ?4 WHERE run_id = ?1 AND phase_key = ?2")?.execute((
        &run,
        key.as_str(),
        artifact.sha256.as_str(),
        &artifact.path,
    ))?;
    tx.prepare_cached(INSERT)?.execute((
        &run,
        key.as_str(),
        artifact.version,
        attempt,
        &artifact.path,
        artifact.schema.as_str(),
        artifact.sha256.as_str(),
        columns::stored(artifact.bytes),
        true,
        "[]",
        event.at.0,
    ))?;
    Ok(())
}

/// A version only where there was content: an attempt without a file leaves no row.
pub(super) fn invalid(tx: &Connection, event: &JournalEvent) -> Result<()> {
    let RunFact::ArtifactInvalid {
        phase_key,
        attempt,
        path,
        version,
        sha256: Some(sha256),
        bytes,
        errors,
        ..
    } = &event.fact
    else {
        return Ok(());
    };
    let run = event.run_id.to_string();
    let mut query = tx.prepare_cached(
        "SELECT expected_schema FROM run_phases WHERE run_id = ?1 AND phase_key = ?2",
    )?;
    let schema: Option<String> = query
        .query_row((&run, phase_key.as_str()), |row| row.get(0))
        .optional()?
        .flatten();
    let errors = serde_json::to_string(errors).map_err(Failure::internal)?;
    tx.prepare_cached(INSERT)?.execute((
        &run,
        phase_key.as_str(),
        version,
        attempt,
        path,
        schema.unwrap_or_default(),
        sha256.as_str(),
        columns::stored(*bytes),
        false,
        errors,
        event.at.0,
    ))?;
    Ok(())
}
