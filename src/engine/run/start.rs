//! Starts a run: finds its workflow, binds its roles, and stores all its definitions.
//!
//! All of this is one transaction with the facts that the run exists and has started. The first
//! attempt creates the worktree afterwards, under a path that the run's row already contains, so a
//! crash in between leaves nothing unknown.

use super::context::EngineContext;
use super::machine::{MachineInput, PhasePlan, decide};
use crate::engine::api::StartRun;
use crate::engine::catalog::Catalog;
use crate::engine::catalog::bind::{BindRequest, PersonaCandidate, bind};
use crate::engine::catalog::trust;
use crate::engine::workspace::worktree::{BaseCommit, GitRepository, branch_of};
use crate::model::error::{Code, Failure, Result};
use crate::model::event::{JournalEvent, RunFact};
use crate::model::hash::ContentHash;
use crate::model::id::{RunId, SchemaId, ThreadId};
use crate::model::persona::{Persona, RoleBinding, binding_hash};
use crate::model::record::RunOrigin;
use crate::model::run_state::RunState;
use crate::model::state::Strategy;
use crate::model::time::Timestamp;
use crate::model::workflow::Workflow;
use crate::store::journal;
use crate::store::tables::definitions;
use crate::store::tables::definitions::DefinitionKind;
use crate::store::tables::{bindings, consents, runs, threads};
use std::collections::BTreeMap;
use std::path::Path;

/// A run that was stored.
pub struct StartedRun {
    pub run_id: RunId,
    /// Its first events; empty if it existed already.
    pub events: Vec<JournalEvent>,
    /// Whether the idempotency key had already started it.
    pub existing: bool,
}

/// Rows of a new run.
pub(in crate::engine) struct PreparedRun {
    pub(in crate::engine) run_id: RunId,
    pub(in crate::engine) new: runs::RunInsert,
    pub(in crate::engine) plan: PhasePlan,
    pub(in crate::engine) workflow_hash: ContentHash,
    pub(in crate::engine) definitions: Vec<(DefinitionKind, ContentHash, String, String)>,
    pub(in crate::engine) schemas: Vec<(SchemaId, ContentHash)>,
    pub(in crate::engine) binding_hash: ContentHash,
    /// Facts carried over from another run.
    pub(in crate::engine) carried: Vec<RunFact>,
}

/// Stores a new run and its first facts.
///
/// # Errors
/// All problems of the binding at once, or the first other one: `workflow_not_found`,
/// `workflow_invalid`, `no_persona_for_role`, `persona_consent_required`, `backend_unavailable`,
/// `unknown_role`, `schema_not_found`, `git_failed`, `thread_busy`, `idempotency_conflict`. Nothing
/// is stored then.
pub async fn start(context: &EngineContext, request: StartRun) -> Result<StartedRun> {
    check_request(&request)?;
    let base = resolve_base(&request).await?;
    let prepared = prepare(context, &request, base)?;
    store(context, prepared).await
}

fn check_request(request: &StartRun) -> Result<()> {
    if request.requirements.trim().is_empty() {
        return Err(
            Failure::new(Code::UsageInvalid, "the run has no requirements")
                .hint("describe the task with -m TEXT, -r FILE, or -r - for standard input"),
        );
    }
    Ok(())
}

async fn resolve_base(request: &StartRun) -> Result<Option<(GitRepository, BaseCommit)>> {
    let Some(dir) = &request.repo else {
        return Ok(None);
    };
    let Some(repo) = GitRepository::discover(dir).await? else {
        return Err(Failure::new(
            Code::GitFailed,
            format!("{} is not in a git repository", dir.display()),
        )
        .hint(
            "run `git init` there, name another with --repo, or use --no-git for a plain directory",
        ));
    };
    let base = repo.resolve(request.base.as_deref()).await?;
    Ok(Some((repo, base)))
}

fn prepare(
    context: &EngineContext,
    request: &StartRun,
    base: Option<(GitRepository, BaseCommit)>,
) -> Result<PreparedRun> {
    let run_id = RunId::new();
    let catalog = trust::catalog(&context.paths, base.as_ref().map(|(repo, _)| repo.dir()));
    let found = catalog.workflow(&request.workflow)?;
    let workflow = Workflow::clone(&found.item);
    let workflow_hash = found.hash;
    let bound = bind_roles(context, request, &catalog, &workflow)?;
    let mut frozen = vec![(
        DefinitionKind::Workflow,
        workflow_hash.clone(),
        workflow.versioned_name().to_string(),
        as_json(&workflow)?,
    )];
    for (binding, persona) in &bound {
        frozen.push((
            DefinitionKind::Persona,
            binding.persona_hash.clone(),
            binding.persona.to_string(),
            as_json(persona)?,
        ));
    }
    let mut schemas = BTreeMap::new();
    for expected in workflow
        .phases
        .iter()
        .filter_map(|phase| phase.expected_artifact.as_ref())
    {
        let schema = catalog.schema(&expected.schema)?;
        frozen.push((
            DefinitionKind::Schema,
            schema.hash.clone(),
            expected.schema.to_string(),
            schema.item.value.to_string(),
        ));
        schemas.insert(expected.schema.clone(), schema.hash);
    }
    check_scenarios(request, &workflow)?;
    let bindings: Vec<RoleBinding> = bound.into_iter().map(|(binding, _)| binding).collect();
    let thread = request
        .thread
        .clone()
        .unwrap_or_else(|| default_thread(run_id, base.as_ref()));
    let plan = PhasePlan {
        thread,
        rehearsal: request.options.rehearse,
        workflow,
        bindings,
    };
    Ok(PreparedRun {
        run_id,
        new: new_run(context, run_id, request, base, &plan, &workflow_hash)?,
        binding_hash: binding_hash(&plan.bindings).map_err(Failure::internal)?,
        plan,
        workflow_hash,
        definitions: frozen,
        schemas: schemas.into_iter().collect(),
        carried: Vec::new(),
    })
}

/// Rejects scenarios for phases that do not exist; they would have no effect.
fn check_scenarios(request: &StartRun, workflow: &Workflow) -> Result<()> {
    let Some(unknown) = request
        .options
        .scenarios
        .keys()
        .find(|key| workflow.phase(key).is_none())
    else {
        return Ok(());
    };
    let phases: Vec<&str> = workflow
        .phases
        .iter()
        .map(|phase| phase.key.as_str())
        .collect();
    let message = format!(
        "--scenario names phase '{unknown}', which {} does not have",
        workflow.versioned_name()
    );
    Err(Failure::new(Code::UsageInvalid, message)
        .hint(format!("its phases: {}", phases.join(", "))))
}

pub(in crate::engine) fn bind_roles(
    context: &EngineContext,
    request: &StartRun,
    catalog: &Catalog,
    workflow: &Workflow,
) -> Result<Vec<(RoleBinding, Persona)>> {
    let given = context.journal.store.read(consents::all)?;
    let personas: Vec<_> = catalog
        .personas
        .iter()
        .map(|entry| PersonaCandidate {
            persona: &entry.item,
            hash: &entry.hash,
        })
        .collect();
    let availability =
        |persona: &Persona| context.backends.named(&persona.backend)?.available(persona);
    let rehearse = request.options.rehearse;
    let asked = BindRequest {
        workflow,
        personas: &personas,
        availability: &availability,
        consents: &given,
        overrides: &request.personas,
        rehearse,
    };
    let mut bindings = bind(&asked).map_err(Failure::together)?;
    let mut bound = Vec::new();
    for binding in &mut bindings {
        let persona = catalog.persona(&binding.persona.to_string())?;
        if !rehearse {
            binding.model = context
                .backends
                .named(&binding.backend)?
                .model(&persona.item);
        }
        bound.push((binding.clone(), Persona::clone(&persona.item)));
    }
    Ok(bound)
}

pub(in crate::engine) fn as_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(Failure::internal)
}

/// Returns the thread of repository and base branch. Runs in plain directories get a thread of
/// their own, so they never wait for each other.
pub(in crate::engine) fn default_thread(
    run_id: RunId,
    base: Option<&(GitRepository, BaseCommit)>,
) -> ThreadId {
    ThreadId(match base {
        Some((repo, base)) => {
            let name = repo.dir().file_name().map_or_else(
                || "repo".to_owned(),
                |name| name.to_string_lossy().into_owned(),
            );
            let branch = base
                .branch
                .clone()
                .unwrap_or_else(|| base.commit.chars().take(8).collect());
            let place = ContentHash::from_bytes(repo.identity().as_os_str().as_encoded_bytes());
            format!("{name}:{branch}#{}", &place.short()[..4])
        }
        None => format!("folder:{}", run_id.short()),
    })
}

fn new_run(
    context: &EngineContext,
    run_id: RunId,
    request: &StartRun,
    base: Option<(GitRepository, BaseCommit)>,
    plan: &PhasePlan,
    workflow_hash: &ContentHash,
) -> Result<runs::RunInsert> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    // A second start with the same key must have the same digest.
    let digest = ContentHash::from_canonical_json(request).map_err(Failure::internal)?;
    let (repo, base_branch, base_commit) = match base {
        Some((repo, base)) => (Some(text(repo.dir())), base.branch, Some(base.commit)),
        None => (None, None, None),
    };
    let place = runs::RunLocation {
        branch: repo.as_ref().map(|_| branch_of(run_id)),
        repo,
        base_branch,
        base_commit,
        worktree: Some(text(&context.paths.worktree(run_id))),
    };
    Ok(runs::RunInsert {
        id: run_id,
        workflow: plan.workflow.versioned_name(),
        workflow_hash: workflow_hash.clone(),
        thread: plan.thread.clone(),
        requirements: request.requirements.clone(),
        place,
        rehearsal: plan.rehearsal,
        options: request.options.clone(),
        start: request
            .idempotency_key
            .clone()
            .map(|key| runs::StartKey { key, digest }),
        origin: RunOrigin::default(),
        created_at: Timestamp::now(),
    })
}

/// Stores a run with its first facts. If its thread is held, the run starts, is queued or is
/// refused according to its strategy.
pub(in crate::engine) async fn store(
    context: &EngineContext,
    prepared: PreparedRun,
) -> Result<StartedRun> {
    let started = context.journal.store.write(move |tx| {
        // Checked in the same transaction as the insert: of two concurrent starts with one key, the
        // second must find the run of the first.
        if let Some(existing) = find_existing(tx, &prepared.new)? {
            return Ok(StartedRun {
                run_id: existing,
                events: Vec::new(),
                existing: true,
            });
        }
        let now = Timestamp::now();
        runs::insert(tx, &prepared.new)?;
        for (kind, hash, name, content) in &prepared.definitions {
            definitions::insert(tx, *kind, hash, name, content)?;
        }
        bindings::insert(
            tx,
            prepared.run_id,
            &prepared.plan.bindings,
            &prepared.binding_hash,
        )?;
        for (id, hash) in &prepared.schemas {
            bindings::insert_schema(tx, prepared.run_id, id, hash)?;
        }
        let begins = may_start(tx, &prepared)?;
        let events = journal::append(
            tx,
            prepared.run_id,
            &first_facts(&prepared, begins, now)?,
            now,
        )?;
        Ok(StartedRun {
            run_id: prepared.run_id,
            events,
            existing: false,
        })
    });
    let started = started.await?;
    // Signalled only after the commit.
    context.journal.publish_events(&started.events);
    Ok(started)
}

/// Returns whether the run starts at once; otherwise it is queued.
///
/// # Errors
/// `thread_busy` for a run that is not to be queued.
fn may_start(tx: &rusqlite::Connection, prepared: &PreparedRun) -> Result<bool> {
    let thread = &prepared.plan.thread;
    let strategy = prepared.new.options.strategy.unwrap_or(Strategy::Reject);
    let holder = threads::holder(tx, thread)?;
    match (strategy, holder) {
        (Strategy::Reject, Some(holder)) => Err(thread_busy(
            thread,
            &format!("held by run {}", holder.short()),
        )),
        (Strategy::Reject, None) if threads::is_waited_for(tx, thread)? => {
            Err(thread_busy(thread, "reserved for queued runs"))
        }
        (Strategy::Reject, None) => Ok(true),
        (_, Some(_)) => Ok(false),
        (_, None) => {
            // The thread is free, but a run that was queued earlier goes first. The new run's row
            // is inserted already, so it is part of the queue.
            let first = threads::first_in_line(tx)?
                .into_iter()
                .any(|waiter| waiter.run == prepared.run_id);
            Ok(first)
        }
    }
}

fn thread_busy(thread: &ThreadId, why: &str) -> Failure {
    Failure::new(Code::ThreadBusy, format!("the thread '{thread}' is {why}"))
        .hint("wait for it with --strategy enqueue, take it with interrupt or rollback, or name another with --thread")
}

fn find_existing(tx: &rusqlite::Connection, new: &runs::RunInsert) -> Result<Option<RunId>> {
    let Some(start) = &new.start else {
        return Ok(None);
    };
    match runs::by_start_key(tx, &start.key)? {
        Some((run_id, digest)) if digest == start.digest => Ok(Some(run_id)),
        Some((run_id, _)) => {
            let message = format!(
                "key '{}' has already started run {} with different options",
                start.key,
                run_id.short()
            );
            Err(Failure::new(Code::IdempotencyConflict, message)
                .hint("use another --idempotency-key, or the same options"))
        }
        None => Ok(None),
    }
}

/// Facts of a new run: its creation, what it carries over, and its start.
fn first_facts(prepared: &PreparedRun, begins: bool, now: Timestamp) -> Result<Vec<RunFact>> {
    let created = RunFact::RunCreated {
        workflow: prepared.plan.workflow.versioned_name(),
        workflow_hash: prepared.workflow_hash.clone(),
        thread: prepared.plan.thread.clone(),
        phases: prepared
            .plan
            .workflow
            .phases
            .iter()
            .map(|phase| phase.key.clone())
            .collect(),
        rehearsal: prepared.plan.rehearsal,
    };
    let mut state = RunState::new(prepared.run_id);
    let mut facts = vec![created];
    facts.extend(prepared.carried.iter().cloned());
    for (fact, seq) in facts.iter().zip(1..) {
        state.apply(&JournalEvent {
            run_id: prepared.run_id,
            seq,
            at: now,
            fact: fact.clone(),
        })?;
    }
    if begins {
        facts.extend(decide(&prepared.plan, &state, MachineInput::Start, now)?);
    }
    Ok(facts)
}
