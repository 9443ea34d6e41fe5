//! What a run was begun with, read back: its workflow, its personas, its schemas. Nothing is looked
//! up in files and nothing is bound anew.

use rusqlite::Connection;

use super::definitions::{self, DefinitionKind};
use super::{bindings, runs};
use crate::model::error::{Code, Failure, Result};
use crate::model::id::{RunId, SchemaId};
use crate::model::persona::{Persona, RoleBinding};
use crate::model::workflow::Workflow;

/// The workflow of a run.
///
/// # Errors
/// `run_not_found`; `template_load_failed` when its text is missing or malformed.
pub fn workflow(conn: &Connection, run: RunId) -> Result<Workflow> {
    let record = runs::get(conn, run)?;
    let refuse = |why: &str| {
        Failure::new(Code::TemplateLoadFailed, format!("the stored workflow {} of run {run} {why}", record.workflow))
            .hint("the run cannot go on; start a new one, and put back a backup if runs before it are hit too")
    };
    let text = definitions::get(conn, DefinitionKind::Workflow, &record.workflow_hash)?
        .ok_or_else(|| refuse("is missing"))?;
    serde_json::from_str(&text).map_err(|e| refuse(&format!("cannot be read: {e}")))
}

/// The bindings of a run with their personas, ordered by role.
///
/// # Errors
/// `run_metadata_missing` when the run has none; `persona_load_failed` naming the persona whose text
/// is missing or malformed.
pub fn personas(conn: &Connection, run: RunId) -> Result<Vec<(RoleBinding, Persona)>> {
    let bound = bindings::of_run(conn, run)?;
    if bound.is_empty() {
        runs::get(conn, run)?;
        return Err(Failure::new(
            Code::RunMetadataMissing,
            format!("run {run} has no bindings stored"),
        )
        .hint("the run cannot go on; start a new one"));
    }
    bound
        .into_iter()
        .map(|binding| persona(conn, run, &binding).map(|persona| (binding, persona)))
        .collect()
}

/// The schema that `id` means for a run.
///
/// # Errors
/// `schema_not_found` when the run has none of that name, or its text is missing or malformed.
pub fn schema(conn: &Connection, run: RunId, id: &SchemaId) -> Result<serde_json::Value> {
    let refuse = |why: &str| {
        Failure::new(
            Code::SchemaNotFound,
            format!("the stored schema '{id}' of run {run} {why}"),
        )
        .hint("the run cannot go on; start a new one")
    };
    let known = bindings::schemas_of_run(conn, run)?;
    let (_, hash) = known
        .into_iter()
        .find(|(schema, _)| schema == id)
        .ok_or_else(|| refuse("is not there"))?;
    let text = definitions::get(conn, DefinitionKind::Schema, &hash)?
        .ok_or_else(|| refuse("is missing"))?;
    serde_json::from_str(&text).map_err(|e| refuse(&format!("cannot be read: {e}")))
}

/// The persona of a binding, as it was frozen.
///
/// # Errors
/// `persona_load_failed` when its text is missing or malformed.
pub fn persona(conn: &Connection, run: RunId, binding: &RoleBinding) -> Result<Persona> {
    let refuse = |why: &str| {
        Failure::new(
            Code::PersonaLoadFailed,
            format!(
                "the stored persona {} of role '{}' in run {run} {why}",
                binding.persona, binding.role
            ),
        )
        .hint("the run cannot go on; start a new one")
    };
    let text = definitions::get(conn, DefinitionKind::Persona, &binding.persona_hash)?
        .ok_or_else(|| refuse("is missing"))?;
    serde_json::from_str(&text).map_err(|e| refuse(&format!("cannot be read: {e}")))
}
