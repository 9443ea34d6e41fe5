//! Invariants that must hold after every kill, and at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use phasedeck::engine::api::{RunArchive, RunQuery};
use phasedeck::engine::host::verify;
use phasedeck::model::event::{CallStatus, JournalEvent, RunFact};
use phasedeck::model::record::RunRecord;
use phasedeck::model::run_state::RunState;
use phasedeck::model::state::{PhaseStatus, RunStatus};

use crate::CrashResult;
use crate::model::{CrashModel, TurnKey};
use crate::story::{CrashHome, CrashStory, git};

/// Observations after earlier kills that must never change.
#[derive(Default)]
pub struct Observations {
    /// For each stored turn, the number of its requests when it was first seen.
    stored: BTreeMap<TurnKey, usize>,
}

/// Violated invariants; empty if all hold.
pub type Violations = Vec<String>;

/// Checks the invariants that hold after every kill.
pub fn after_kill(
    home: &CrashHome,
    model: &CrashModel,
    memory: &mut Observations,
) -> CrashResult<Violations> {
    let mut broken = Violations::new();
    let Some(archive) = open(home) else {
        // Killed before the database was ready; nothing can have been acknowledged.
        broken.extend(
            promises(home)
                .first()
                .map(|line| format!("'{line}' was acknowledged, but there is no database")),
        );
        return Ok(broken);
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let verdict = runtime.block_on(verify::verify(&home.paths(), None))?;
    for check in verdict
        .database
        .iter()
        .chain(verdict.runs.iter().flat_map(|run| &run.checks))
    {
        broken.extend(
            check
                .problems
                .iter()
                .map(|problem| format!("verify, {}: {problem}", check.name)),
        );
    }
    let runs = archive.runs(&RunQuery::default())?;
    if runs.len() > home.story.ends().len() {
        broken.push(format!(
            "{} runs for {} keys",
            runs.len(),
            home.story.ends().len()
        ));
    }
    broken.extend(promises_kept(home, &archive)?);
    for run in &runs {
        let events = archive.events(run.id, 1, 100_000)?;
        broken.extend(one_run(run, &events)?);
        if home.story.over_http() {
            broken.extend(stored_turns(model, memory, run, &events));
        }
    }
    broken.extend(
        model
            .malformed()
            .into_iter()
            .map(|words| format!("the provider would reject: {words}")),
    );
    broken.extend(modes(&home.paths().data)?);
    Ok(broken)
}

/// Checks a disk after a power loss: everything acknowledged is present and intact.
pub fn after_power_loss(image: &CrashHome) -> CrashResult<Violations> {
    if promises(image).is_empty() {
        return Ok(Violations::new());
    }
    let archive = match RunArchive::open(&image.paths()) {
        Ok(archive) => archive,
        Err(failure) => return Ok(vec![format!("the database cannot be opened: {failure}")]),
    };
    let mut broken = match promises_kept(image, &archive) {
        Ok(broken) => broken,
        Err(error) => return Ok(vec![format!("cannot be read: {error}")]),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let verdict = match runtime.block_on(verify::verify(&image.paths(), None)) {
        Ok(verdict) => verdict,
        Err(failure) => return Ok(vec![format!("cannot be verified: {failure}")]),
    };
    for check in verdict
        .database
        .iter()
        .chain(verdict.runs.iter().flat_map(|run| &run.checks))
    {
        broken.extend(
            check
                .problems
                .iter()
                .map(|problem| format!("verify, {}: {problem}", check.name)),
        );
    }
    Ok(broken)
}

/// Checks the invariants that hold when every run has ended and the host has shut down.
pub fn at_end(home: &CrashHome, model: &CrashModel) -> CrashResult<Violations> {
    let mut broken = Violations::new();
    let Some(archive) = open(home) else {
        return Ok(vec!["there is no database at the end".to_owned()]);
    };
    let mut runs = archive.runs(&RunQuery::default())?;
    runs.sort_by_key(|run| run.thread.as_str().to_owned());
    let ends: Vec<String> = runs.iter().map(|run| run.state.clone()).collect();
    let wanted: Vec<String> = home.story.ends().iter().map(ToString::to_string).collect();
    if ends != wanted {
        let why: Vec<_> = runs
            .iter()
            .filter_map(|run| run.error_message.clone())
            .collect();
        broken.push(format!(
            "the runs ended as {ends:?} instead of {wanted:?}: {why:?}"
        ));
    }
    for run in &runs {
        let report = run.report_path.clone().unwrap_or_default();
        for extension in ["json", "md"] {
            if !Path::new(&format!("{report}.{extension}")).exists() {
                broken.push(format!("run {} has no report .{extension}", run.id));
            }
        }
        let open = archive
            .ledger(run.id)?
            .iter()
            .filter(|row| row.status.is_none())
            .count();
        if open > 0 {
            broken.push(format!("{open} calls of run {} are still open", run.id));
        }
        if home.story.over_http() {
            broken.extend(money(model, &archive, run)?);
            broken.extend(tools(home, &archive, run)?);
        }
        if home.story == CrashStory::HttpGit && run.state == RunStatus::Completed.as_str() {
            broken.extend(commits(home, run)?);
        }
    }
    Ok(broken)
}

fn open(home: &CrashHome) -> Option<RunArchive> {
    if home.paths().database().exists() {
        RunArchive::open(&home.paths()).ok()
    } else {
        None
    }
}

fn promises(home: &CrashHome) -> Vec<String> {
    std::fs::read_to_string(home.acks())
        .unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Everything acknowledged is present.
fn promises_kept(home: &CrashHome, archive: &RunArchive) -> CrashResult<Violations> {
    let mut broken = Violations::new();
    let mut started: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in promises(home) {
        let words: Vec<&str> = line.split(' ').collect();
        let kept = match words[..] {
            ["started", key, run] => {
                started
                    .entry(key.to_owned())
                    .or_default()
                    .insert(run.to_owned());
                archive.run(run.parse()?).is_ok()
            }
            ["event", run, seq, kind] => {
                let events = archive.events(run.parse()?, seq.parse()?, 1)?;
                events
                    .first()
                    .is_some_and(|event| event.seq.to_string() == seq && event.fact.kind() == kind)
            }
            ["decided", run, request, action] => {
                archive.approvals(run.parse()?)?.iter().any(|asked| {
                    asked.id.to_string() == request
                        && asked.state == resolves_to(action).unwrap_or(asked.state)
                })
            }
            ["aborted", run] => archive.run(run.parse()?)?.state == RunStatus::Aborted.as_str(),
            _ => true,
        };
        if !kept {
            broken.push(format!("'{line}' was acknowledged and is missing"));
        }
    }
    broken.extend(
        started
            .into_iter()
            .filter(|(_, runs)| runs.len() > 1)
            .map(|(key, runs)| format!("key {key} started {runs:?}")),
    );
    Ok(broken)
}

fn resolves_to(action: &str) -> Option<phasedeck::model::state::ApprovalStatus> {
    phasedeck::model::state::Decision::parse(action)
        .map(phasedeck::model::state::Decision::resolves_to)
}

/// Checks the journal of one run.
fn one_run(run: &RunRecord, events: &[JournalEvent]) -> CrashResult<Violations> {
    let mut broken = Violations::new();
    let state = RunState::fold(run.id, events)?;
    let ends = events
        .iter()
        .filter(|event| event.fact.key() == "run.ended")
        .count();
    if ends != usize::from(state.status.is_terminal()) {
        broken.push(format!(
            "run {} has {ends} ends and is {}",
            run.id, state.status
        ));
    }
    let keys: BTreeSet<String> = events.iter().map(|event| event.fact.key()).collect();
    if keys.len() != events.len() {
        broken.push(format!("run {} has a fact twice", run.id));
    }
    let mut asked: BTreeMap<String, usize> = BTreeMap::new();
    let mut done: BTreeSet<String> = BTreeSet::new();
    for event in events {
        match &event.fact {
            RunFact::ApprovalResolved { request_id, .. } => {
                *asked.entry(request_id.to_string()).or_default() += 1
            }
            RunFact::PhaseCompleted { phase_key, .. } => {
                let twice = !done.insert(phase_key.to_string());
                broken.extend(twice.then(|| format!("phase {phase_key} was completed twice")));
            }
            RunFact::PhaseStarted { phase_key, .. }
                if phase_key.as_str() == "second" && !done.contains("first") =>
            {
                broken.push("the second phase started before the first was completed".to_owned());
            }
            RunFact::LlmCalled { phase_key, .. } if done.contains(phase_key.as_str()) => {
                broken.push(format!(
                    "phase {phase_key} continued after it was completed"
                ));
            }
            _ => {}
        }
    }
    broken.extend(
        asked
            .into_iter()
            .filter(|(_, answers)| *answers > 1)
            .map(|(id, answers)| format!("approval {id} has {answers} decisions")),
    );
    for phase in &state.phases {
        if phase.status == PhaseStatus::Completed && phase.artifact.is_none() {
            broken.push(format!(
                "phase {} is completed without an artifact",
                phase.key
            ));
        }
    }
    Ok(broken)
}

/// A turn whose answer is stored is never requested again.
fn stored_turns(
    model: &CrashModel,
    memory: &mut Observations,
    run: &RunRecord,
    events: &[JournalEvent],
) -> Violations {
    let asked = model.asked();
    let mut broken = Violations::new();
    for event in events {
        if let RunFact::LlmCalled {
            phase_key,
            attempt,
            turn,
            status: CallStatus::Ok,
            ..
        } = &event.fact
        {
            let turn: TurnKey = (run.id.to_string(), phase_key.to_string(), *attempt, *turn);
            let now = asked.get(&turn).copied().unwrap_or(0);
            let then = *memory.stored.entry(turn.clone()).or_insert(now);
            if now > then {
                broken.push(format!(
                    "turn {turn:?} was stored and requested again ({then}, now {now} times)"
                ));
            }
        }
    }
    broken
}

/// The ledger never contains less than the provider may bill: a row with its price for each
/// request.
fn money(model: &CrashModel, archive: &RunArchive, run: &RunRecord) -> CrashResult<Violations> {
    let mut rows: BTreeMap<TurnKey, usize> = BTreeMap::new();
    let mut broken = Violations::new();
    for event in archive.events(run.id, 1, 100_000)? {
        if let RunFact::LlmCalled {
            phase_key,
            attempt,
            turn,
            cost,
            status,
            ..
        } = event.fact
        {
            *rows
                .entry((run.id.to_string(), phase_key.to_string(), attempt, turn))
                .or_default() += 1;
            if status == CallStatus::Unknown && cost.is_some_and(|cost| cost.0 == 0) {
                broken.push(format!(
                    "a call of turn {turn} with unknown outcome was charged nothing"
                ));
            }
        }
    }
    for (turn, asked) in model.asked() {
        let known = rows.get(&turn).copied().unwrap_or(0);
        if turn.0 == run.id.to_string() && asked > known {
            broken.push(format!(
                "turn {turn:?} was requested {asked} times, the ledger has {known}"
            ));
        }
    }
    Ok(broken)
}

/// A tool with effects was started at most as often as the journal says.
fn tools(home: &CrashHome, archive: &RunArchive, run: &RunRecord) -> CrashResult<Violations> {
    let points = std::fs::read_to_string(home.points())?;
    let begun = points
        .lines()
        .filter(|line| *line == "tool.write_file:before")
        .count();
    let told = archive.events(run.id, 1, 100_000)?;
    let told = told
        .iter()
        .filter(
            |event| matches!(&event.fact, RunFact::ToolCalled { tool, .. } if tool == "write_file"),
        )
        .count();
    Ok(if begun > told {
        vec![format!(
            "write_file was started {begun} times, the journal says {told}"
        )]
    } else {
        Vec::new()
    })
}

/// There is one commit per phase, in order.
fn commits(home: &CrashHome, run: &RunRecord) -> CrashResult<Violations> {
    let range = format!("main..{}", run.branch.clone().unwrap_or_default());
    let log = git(
        &home.dir.path().join("project"),
        &[
            "log",
            "--format=%(trailers:key=Phasedeck-Phase,valueonly)%x00",
            &range,
        ],
    )?;
    let mut phases: Vec<&str> = log
        .split('\0')
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    phases.reverse();
    Ok(if phases == ["first", "second"] {
        Vec::new()
    } else {
        vec![format!("the commits are {phases:?}")]
    })
}

/// Files of an installation are readable by their owner only.
fn modes(data: &Path) -> CrashResult<Violations> {
    let mut broken = Violations::new();
    for entry in std::fs::read_dir(data)? {
        let entry = entry?;
        // SQLite may delete a file between listing and reading.
        let Ok(meta) = entry.metadata() else { continue };
        let mode = meta.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            broken.push(format!("{} has mode {mode:o}", entry.path().display()));
        }
    }
    Ok(broken)
}
