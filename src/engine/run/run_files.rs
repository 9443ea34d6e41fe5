//! Definitions of a run: its record, and the frozen plan, personas and schemas.
//!
//! They are loaded from the run's rows alone, once per driver; later changes of catalog files do
//! not affect the run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use super::machine::PhasePlan;
use crate::engine::artifact::schema::CompiledSchema;
use crate::model::error::{Code, Failure, Result};
use crate::model::hash::ContentHash;
use crate::model::id::SchemaId;
use crate::model::persona::{Persona, RoleBinding};
use crate::model::record::RunRecord;
use crate::model::workflow::PhaseDefinition;
use crate::store::tables::{bindings, run_definitions};
use rusqlite::Connection;

/// Definitions that do not change while a run is executed.
pub struct RunDefinitions {
    /// The run's row as of its start.
    pub record: RunRecord,
    /// The frozen plan.
    pub plan: PhasePlan,
    /// The frozen personas, by the hash in the binding.
    pub personas: Vec<(ContentHash, Persona)>,
    /// The frozen schemas.
    pub schemas: Vec<Arc<FrozenSchema>>,
}

/// A schema frozen for a run.
pub struct FrozenSchema {
    pub id: SchemaId,
    /// Hash under which it is stored.
    hash: ContentHash,
    /// The JSON schema.
    pub value: Arc<serde_json::Value>,
    /// Compiled on first use; a run validates with the same few schemas again and again.
    compiled: OnceLock<CompiledSchema>,
}

/// Schemas shared by active runs that were started with the same definition. A compiled schema is
/// the largest object that a run keeps in memory.
#[derive(Default)]
pub struct SharedSchemas {
    known: Mutex<BTreeMap<(SchemaId, ContentHash), Weak<FrozenSchema>>>,
}

impl SharedSchemas {
    /// Replaces schemas in `files` with identical ones of other runs.
    pub fn deduplicate(&self, files: &mut RunDefinitions) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, schema| schema.strong_count() > 0);
        for schema in &mut files.schemas {
            let key = (schema.id.clone(), schema.hash.clone());
            match known.get(&key).and_then(Weak::upgrade) {
                Some(same) => *schema = same,
                None => {
                    known.insert(key, Arc::downgrade(schema));
                }
            }
        }
    }
}

impl RunDefinitions {
    /// Returns the frozen schema with this name.
    ///
    /// # Errors
    /// `schema_not_found` if the run was stored without it.
    pub fn schema(&self, id: &SchemaId) -> Result<Arc<serde_json::Value>> {
        self.find_schema(id).map(|schema| Arc::clone(&schema.value))
    }

    /// Returns whether the run works in a plain directory, without git.
    #[must_use]
    pub fn in_plain_directory(&self) -> bool {
        self.record.repo.is_none() || self.record.base_commit.is_none()
    }

    /// Returns the frozen schema with this name, compiled.
    pub(in crate::engine) fn compiled(&self, id: &SchemaId) -> Result<CompiledSchema> {
        let schema = self.find_schema(id)?;
        match schema.compiled.get() {
            Some(compiled) => Ok(compiled.clone()),
            None => CompiledSchema::compile(id, &schema.value)
                .map(|compiled| schema.compiled.get_or_init(|| compiled).clone()),
        }
    }

    fn find_schema(&self, id: &SchemaId) -> Result<&FrozenSchema> {
        self.schemas
            .iter()
            .map(|schema| &**schema)
            .find(|schema| schema.id == *id)
            .ok_or_else(|| {
                Failure::new(
                    Code::SchemaNotFound,
                    format!(
                        "run {} was stored without schema {id}",
                        self.record.id.short()
                    ),
                )
                .hint("its database rows were changed externally; start a new run")
            })
    }

    /// Returns the persona bound to the role of a phase.
    pub(in crate::engine) fn persona_for(
        &self,
        phase: &PhaseDefinition,
    ) -> Result<(&RoleBinding, &Persona)> {
        let binding = self.plan.binding(&phase.role);
        let persona = binding.and_then(|b| {
            self.personas
                .iter()
                .find(|(hash, _)| *hash == b.persona_hash)
        });
        match (binding, persona) {
            (Some(binding), Some((_, persona))) => Ok((binding, persona)),
            _ => Err(Failure::new(
                Code::RunMetadataMissing,
                format!(
                    "run {} has no persona bound to role '{}'",
                    self.record.id.short(),
                    phase.role
                ),
            )
            .hint("start a new run; bindings are never guessed")),
        }
    }
}

/// Loads the definitions of a run, from its rows alone.
///
/// # Errors
/// `run_not_found`, `run_metadata_missing`, `template_load_failed`, `persona_load_failed`,
/// `schema_not_found`.
pub fn load_definitions(conn: &Connection, record: RunRecord) -> Result<RunDefinitions> {
    let bound = run_definitions::personas(conn, record.id)?;
    let workflow = run_definitions::workflow(conn, record.id)?;
    let mut schemas = Vec::new();
    for (id, hash) in bindings::schemas_of_run(conn, record.id)? {
        let schema = run_definitions::schema(conn, record.id, &id)?;
        schemas.push(Arc::new(FrozenSchema {
            id,
            hash,
            value: Arc::new(schema),
            compiled: OnceLock::new(),
        }));
    }
    let plan = PhasePlan {
        workflow,
        bindings: bound.iter().map(|(binding, _)| binding.clone()).collect(),
        thread: record.thread.clone(),
        rehearsal: record.rehearsal,
    };
    let personas = bound
        .into_iter()
        .map(|(binding, persona)| (binding.persona_hash, persona))
        .collect();
    Ok(RunDefinitions {
        record,
        plan,
        personas,
        schemas,
    })
}
