//! Runs derived from another run: a retry of a run that has ended, and a fork at a gate.
//!
//! Phases before the first one to run again are skipped, their artifacts are carried over by
//! content, and the worktree starts at the commit of the last of them. Workflow, personas and
//! schemas are the frozen ones of the parent run. A fork ends with the phase that it runs again and
//! has no gate; whether its artifact is used is decided at the gate of the parent.

use super::context::EngineContext;
use super::machine::PhasePlan;
use super::run_files::{RunDefinitions, load_definitions};
use super::start::{self, PreparedRun, StartedRun};
use crate::engine::api::{ForkRun, RetryRun, StartRun};
use crate::engine::artifact::file;
use crate::engine::blocking::blocking;
use crate::engine::catalog::trust;
use crate::engine::workspace::worktree::{branch_of, copy_tree};
use crate::model::error::{Code, Failure, Result};
use crate::model::event::{ArtifactRef, RunFact, SkipReason};
use crate::model::hash::ContentHash;
use crate::model::id::{PhaseKey, RunId, ThreadId};
use crate::model::persona::{RoleBinding, binding_hash};
use crate::model::record::{RunOptions, RunOrigin, RunRecord};
use crate::model::run_state::RunState;
use crate::model::state::PhaseStatus;
use crate::model::time::Timestamp;
use crate::model::workflow::Workflow;
use crate::store::Reader;
use crate::store::journal::events;
use crate::store::tables::definitions::DefinitionKind;
use crate::store::tables::{bindings, runs};
use std::path::Path;

/// The run that the new run is derived from.
struct ParentRun {
    record: RunRecord,
    state: RunState,
    files: RunDefinitions,
    schemas: Vec<(crate::model::id::SchemaId, ContentHash)>,
}

/// Parameters of a derived run.
struct DerivedRun {
    origin: RunOrigin,
    /// Index of the first phase to run again.
    from: usize,
    thread: ThreadId,
    options: RunOptions,
    plan: PhasePlan,
    definitions: Vec<(DefinitionKind, ContentHash, String, String)>,
    start: Option<runs::StartKey>,
}

/// Starts a new run with the valid artifacts of one that has ended.
///
/// # Errors
/// `run_not_found`; `illegal_transition` if the run has not ended; `usage_invalid` if it cannot be
/// retried from that phase; `thread_busy`; `worktree_missing`. Nothing is stored then.
pub async fn retry(context: &EngineContext, request: RetryRun) -> Result<StartedRun> {
    let digest = ContentHash::from_canonical_json(&request).map_err(Failure::internal)?;
    let parent = load(context, request.run_id).await?;
    if !parent.state.status.is_terminal() {
        let message = format!(
            "run {} has not ended; its state is {}",
            request.run_id.short(),
            parent.state.status
        );
        return Err(
            Failure::new(Code::IllegalTransition, message).hint("resume it, or abort it first")
        );
    }
    let from = first_phase_to_run(&parent.state, request.from.as_ref())?;
    let options = RunOptions {
        strategy: request.strategy,
        ..parent.record.options.clone()
    };
    let plan = parent.files.plan.clone();
    let origin = RunOrigin {
        retried_from: Some(request.run_id),
        ..RunOrigin::default()
    };
    let start = request
        .idempotency_key
        .map(|key| runs::StartKey { key, digest });
    let thread = parent.record.thread.clone();
    start_derived(
        context,
        parent,
        DerivedRun {
            origin,
            from,
            thread,
            options,
            plan,
            definitions: Vec::new(),
            start,
        },
    )
    .await
}

/// Starts a run that executes the phase at the gate again with other personas.
///
/// # Errors
/// `run_not_found`; `no_pending_approval` if the run is not waiting for approval of an artifact;
/// `usage_invalid` without another persona for the phase; errors of binding. Nothing is stored
/// then.
pub async fn fork(context: &EngineContext, request: ForkRun) -> Result<StartedRun> {
    let digest = ContentHash::from_canonical_json(&request).map_err(Failure::internal)?;
    let parent = load(context, request.run_id).await?;
    let waiting = parent
        .state
        .approval
        .as_ref()
        .filter(|open| open.artifact_sha256.is_some())
        .and_then(|open| open.phase_key.clone());
    let key = waiting.ok_or_else(|| {
        Failure::new(
            Code::NoPendingApproval,
            format!(
                "run {} is not waiting for approval of an artifact",
                request.run_id.short()
            ),
        )
        .hint("a fork tries another persona while an artifact is waiting for approval")
    })?;
    let (workflow, hash) = truncate_workflow(&parent.files.plan.workflow, &key)?;
    let mut definitions = vec![(
        DefinitionKind::Workflow,
        hash,
        workflow.versioned_name().to_string(),
        start::as_json(&workflow)?,
    )];
    let bound = rebind_roles(context, &parent, &key, &request, &mut definitions)?;
    let plan = PhasePlan {
        workflow,
        bindings: bound,
        ..parent.files.plan.clone()
    };
    let from = parent
        .state
        .phases
        .iter()
        .position(|phase| phase.key == key)
        .unwrap_or_default();
    let origin = RunOrigin {
        forked_from: Some(request.run_id),
        forked_phase: Some(key),
        ..RunOrigin::default()
    };
    let options = RunOptions {
        strategy: None,
        ..parent.record.options.clone()
    };
    let start = request
        .idempotency_key
        .map(|key| runs::StartKey { key, digest });
    // A thread of its own, since the parent holds the other one.
    let thread = ThreadId(format!(
        "fork:{}",
        &uuid::Uuid::new_v4().simple().to_string()[..12]
    ));
    start_derived(
        context,
        parent,
        DerivedRun {
            origin,
            from,
            thread,
            options,
            plan,
            definitions,
            start,
        },
    )
    .await
}

async fn load(context: &EngineContext, run: RunId) -> Result<ParentRun> {
    let path = context.paths.database();
    blocking(move || {
        let reader = Reader::open(&path)?;
        let record = runs::get(reader.connection(), run)?;
        let state = events::state(reader.connection(), run)?;
        let schemas = bindings::schemas_of_run(reader.connection(), run)?;
        let files = load_definitions(reader.connection(), record.clone())?;
        Ok(ParentRun {
            record,
            state,
            files,
            schemas,
        })
    })
    .await
}

/// Returns the index of the first phase to run again: the named one, or the first not completed.
fn first_phase_to_run(state: &RunState, named: Option<&PhaseKey>) -> Result<usize> {
    let is_done = |status| matches!(status, PhaseStatus::Completed | PhaseStatus::Skipped);
    let open = state
        .phases
        .iter()
        .position(|phase| !is_done(phase.status))
        .unwrap_or(state.phases.len());
    let keys = || {
        state
            .phases
            .iter()
            .take(open + 1)
            .map(|phase| phase.key.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let Some(named) = named else {
        if open < state.phases.len() {
            return Ok(open);
        }
        let message = format!("all phases of run {} are completed", state.run_id.short());
        return Err(Failure::new(Code::UsageInvalid, message).hint(format!(
            "choose with --from which phase to run again: {}",
            keys()
        )));
    };
    match state.phases.iter().position(|phase| phase.key == *named) {
        Some(at) if at <= open => Ok(at),
        Some(_) => {
            let message = format!(
                "phase '{named}' of run {} comes after a phase that is not completed",
                state.run_id.short()
            );
            Err(Failure::new(Code::UsageInvalid, message)
                .hint(format!("retry from one of: {}", keys())))
        }
        None => {
            let message = format!("run {} has no phase '{named}'", state.run_id.short());
            Err(Failure::new(Code::UsageInvalid, message)
                .hint(format!("retry from one of: {}", keys())))
        }
    }
}

/// Returns the workflow of a fork: it ends with the phase `key`, which has no gate.
fn truncate_workflow(workflow: &Workflow, key: &PhaseKey) -> Result<(Workflow, ContentHash)> {
    let mut cut = workflow.clone();
    let at = cut
        .phases
        .iter()
        .position(|phase| phase.key == *key)
        .unwrap_or_default();
    cut.phases.truncate(at + 1);
    if let Some(phase) = cut.phases.last_mut() {
        phase.gates = Some(Vec::new());
    }
    let hash = cut.hash().map_err(Failure::internal)?;
    Ok((cut, hash))
}

/// Returns the bindings of a fork: those of the parent, with the requested personas.
fn rebind_roles(
    context: &EngineContext,
    parent: &ParentRun,
    key: &PhaseKey,
    request: &ForkRun,
    definitions: &mut Vec<(DefinitionKind, ContentHash, String, String)>,
) -> Result<Vec<RoleBinding>> {
    let plan = &parent.files.plan;
    let Some(role) = plan.phase(key).map(|phase| phase.role.clone()) else {
        return Err(Failure::internal(format!("no phase '{key}'")));
    };
    if !request.personas.contains_key(&role) {
        let message = format!("no persona is given for {key}; its role is '{role}'");
        return Err(Failure::new(Code::UsageInvalid, message)
            .hint(format!("name another persona: --persona {role}=NAME")));
    }
    let mut seats = plan.workflow.clone();
    seats
        .roles
        .retain(|seat| request.personas.contains_key(&seat.id));
    let asked = StartRun {
        personas: request.personas.clone(),
        options: parent.record.options.clone(),
        ..StartRun::default()
    };
    let catalog = trust::catalog_of_run(&context.paths, &parent.record);
    let mut bound = plan.bindings.clone();
    for (binding, persona) in start::bind_roles(context, &asked, &catalog, &seats)? {
        let name = binding.persona.to_string();
        definitions.push((
            DefinitionKind::Persona,
            binding.persona_hash.clone(),
            name,
            start::as_json(&persona)?,
        ));
        bound.retain(|known| known.role != binding.role);
        bound.push(binding);
    }
    bound.sort_by(|a, b| a.role.cmp(&b.role));
    Ok(bound)
}

async fn start_derived(
    context: &EngineContext,
    parent: ParentRun,
    plans: DerivedRun,
) -> Result<StartedRun> {
    let run_id = RunId::new();
    let kept = &parent.state.phases[..plans.from];
    let artifacts: Vec<ArtifactRef> = kept
        .iter()
        .filter_map(|phase| phase.artifact.clone())
        .collect();
    let mut carried = Vec::new();
    for phase in kept {
        if let Some(artifact) = phase.artifact.clone() {
            let artifact = ArtifactRef {
                version: 1,
                ..artifact
            };
            carried.push(RunFact::ArtifactValidated {
                phase_key: phase.key.clone(),
                attempt: 0,
                artifact,
                by: phase.revised_by.clone(),
            });
        }
        carried.push(RunFact::PhaseSkipped {
            phase_key: phase.key.clone(),
            ordinal: 0,
            reason: SkipReason::AlreadyCompleted,
        });
    }
    let base_commit = kept
        .iter()
        .rev()
        .find_map(|phase| phase.commit.clone())
        .or_else(|| parent.record.base_commit.clone());
    let folder = context.paths.worktree(run_id);
    let from = parent
        .files
        .in_plain_directory()
        .then(|| context.paths.worktree(parent.record.id));
    // Before the run is stored: a crash in between leaves an unused directory, and never a run
    // without its files.
    carry_over_files(context, from, folder.clone(), artifacts).await?;
    let workflow_hash = plans.plan.workflow.hash().map_err(Failure::internal)?;
    let plan = PhasePlan {
        thread: plans.thread.clone(),
        ..plans.plan
    };
    let prepared = PreparedRun {
        run_id,
        new: runs::RunInsert {
            id: run_id,
            workflow: plan.workflow.versioned_name(),
            workflow_hash: workflow_hash.clone(),
            thread: plans.thread,
            requirements: parent.record.requirements.clone(),
            place: runs::RunLocation {
                branch: parent.record.repo.as_ref().map(|_| branch_of(run_id)),
                repo: parent.record.repo.clone(),
                base_branch: parent.record.base_branch.clone(),
                base_commit,
                worktree: Some(folder.to_string_lossy().into_owned()),
            },
            rehearsal: plan.rehearsal,
            options: plans.options,
            start: plans.start,
            origin: plans.origin,
            created_at: Timestamp::now(),
        },
        binding_hash: binding_hash(&plan.bindings).map_err(Failure::internal)?,
        plan,
        workflow_hash,
        definitions: plans.definitions,
        schemas: parent.schemas,
        carried,
    };
    start::store(context, prepared).await
}

/// Checks that every carried artifact is stored. In a plain directory the files are copied as well;
/// with git they are in the commit that the new branch starts at.
async fn carry_over_files(
    context: &EngineContext,
    from: Option<std::path::PathBuf>,
    to: std::path::PathBuf,
    kept: Vec<ArtifactRef>,
) -> Result<()> {
    let contents = context.contents.clone();
    let read = move |conn: &rusqlite::Connection| {
        let bytes: Vec<_> = kept
            .iter()
            .map(|artifact| contents.get(conn, &artifact.sha256))
            .collect::<Result<_>>()?;
        Ok((kept, bytes))
    };
    let (kept, bytes) = context.journal.read(read).await?;
    blocking(move || {
        let Some(from) = from else { return Ok(()) };
        if !from.is_dir() {
            return Err(directory_missing(&from));
        }
        copy_tree(&from, &to)?;
        kept.iter()
            .zip(bytes)
            .try_for_each(|(artifact, bytes)| file::restore(&to, &artifact.path, &bytes))
    })
    .await
}

fn directory_missing(folder: &Path) -> Failure {
    Failure::new(
        Code::WorktreeMissing,
        format!("the directory {} of the run is missing", folder.display()),
    )
    .hint("restore it, or start a new run")
}
