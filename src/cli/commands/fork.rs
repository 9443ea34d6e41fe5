//! `phasedeck fork` and `pick`: repeat the phase at a gate with other personas, and choose the
//! artifact to use.

use super::artifact::unified;
use super::run::unique_pairs;
use crate::cli::args::{ForkArgs, HeadlessArgs, PickArgs};
use crate::cli::context::CommandContext;
use crate::cli::exit::ExitStatus;
use crate::cli::headless::drive;
use crate::cli::output::streams::CommandOutcome;
use crate::cli::output::style::{OutputStyle, StatusGlyph};
use crate::cli::output::table::{TableCell, TextTable};
use crate::engine::api::{CommandAnswer, EngineCommand, ForkCandidate, ForkRun, RunArchive};
use crate::model::error::{Code, Failure, Result};
use crate::model::id::RunId;
use crate::model::time::human_duration;
use schemars::JsonSchema;
use serde::Serialize;

/// `phasedeck fork`: begins the fork; where nobody hosts, drives it to its end.
///
/// # Errors
/// `run_not_found`; what the engine answers.
pub fn fork(setup: &CommandContext, args: &ForkArgs) -> CommandOutcome {
    let (_, run_id) = setup.find(&args.run)?;
    let personas = unique_pairs("--persona", &args.persona)?;
    let session = setup.session()?;
    let request = ForkRun {
        run_id,
        personas,
        idempotency_key: args.idempotency_key.clone(),
    };
    let fork = match session.send(EngineCommand::Fork(Box::new(request))) {
        Ok(CommandAnswer::Started { run_id, .. }) => run_id,
        other => {
            session.end()?;
            return Err(other
                .err()
                .unwrap_or_else(|| Failure::internal("a fork was answered with something else"))
                .into());
        }
    };
    setup.out.note(&format!(
        "fork {fork} of run {}; compare with `phasedeck pick {}`",
        run_id.short(),
        run_id.short()
    ));
    if session.hosts() {
        let how = HeadlessArgs {
            headless: true,
            json: args.json,
            ..HeadlessArgs::default()
        };
        return drive(setup, session, fork, 1, how);
    }
    session.end()?;
    if args.json {
        setup.out.object(&ForkResult { run_id, fork })?;
    }
    Ok(ExitStatus::Done)
}

/// A run and a fork of it, for scripts.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Forked")]
pub struct ForkResult {
    /// The run at whose gate it tries another persona.
    run_id: RunId,
    /// The fork, a run of its own.
    fork: RunId,
}

/// `phasedeck pick`: shows what can be picked, or takes the artifact of a fork.
///
/// # Errors
/// `run_not_found`; what the engine answers.
pub fn pick(setup: &CommandContext, args: &PickArgs) -> CommandOutcome {
    let (archive, run_id) = setup.find(&args.run)?;
    let Some(text) = &args.fork else {
        let candidates = archive.candidates(run_id)?;
        if candidates.is_empty() {
            let message = format!(
                "run {} has no phase at a gate with an artifact",
                run_id.short()
            );
            return Err(Failure::new(Code::NoPendingApproval, message)
                .hint("`phasedeck show` says what it does")
                .into());
        }
        if args.json {
            setup.out.document(&candidates)?;
        } else {
            setup.out.print(&compared(&candidates, setup.out.style))?;
            if let [first, others @ ..] = candidates.as_slice() {
                for other in others.iter().filter(|_| args.diff) {
                    setup
                        .out
                        .print(&difference(&archive, first, other, setup.out.style)?)?;
                }
            }
        }
        return Ok(ExitStatus::Done);
    };
    let fork = archive.find(text)?;
    let session = setup.brief_session()?;
    let sent = session.send(EngineCommand::Pick { run_id, fork });
    let ended = session.end();
    sent?;
    ended?;
    let line = format!(
        "run {}: took the artifact of fork {}; its gate asks about it now\n",
        run_id.short(),
        fork.short()
    );
    if args.json {
        setup.out.object(&ForkResult { run_id, fork })?
    } else {
        setup.out.print(&line)?
    }
    Ok(ExitStatus::Done)
}

fn compared(candidates: &[ForkCandidate], style: OutputStyle) -> String {
    let mut table = TextTable::new(&[
        "RUN", "STATE", "PERSONA", "VERDICT", "HASH", "BYTES", "COST", "CALLS", "TIME",
    ]);
    for candidate in candidates {
        let mark = crate::model::state::RunStatus::parse(&candidate.state)
            .map_or(StatusGlyph::Unknown, StatusGlyph::from_run_status);
        let artifact = candidate.artifact.as_ref();
        table.row(vec![
            TableCell::new(candidate.run_id.short()),
            TableCell::new(format!("{} {}", style.glyph(mark), candidate.state)).tone(mark.tone()),
            TableCell::new(candidate.persona.as_deref().unwrap_or_default()),
            TableCell::new(artifact.map_or("none yet", |artifact| {
                if artifact.valid { "valid" } else { "invalid" }
            })),
            TableCell::new(
                artifact
                    .map(|artifact| artifact.sha256.short().to_owned())
                    .unwrap_or_default(),
            ),
            TableCell::new(
                artifact
                    .map(|artifact| artifact.bytes.to_string())
                    .unwrap_or_default(),
            )
            .right(),
            TableCell::new(candidate.cost.to_string()).right(),
            TableCell::new(candidate.calls.to_string()).right(),
            TableCell::new(human_duration(candidate.working_ms)).right(),
        ]);
    }
    table.render(0, style)
}

fn difference(
    archive: &RunArchive,
    first: &ForkCandidate,
    other: &ForkCandidate,
    style: OutputStyle,
) -> Result<String> {
    let read = |candidate: &ForkCandidate| match &candidate.artifact {
        Some(artifact) => archive.content(&artifact.sha256),
        None => Ok(Vec::new()),
    };
    Ok(unified(
        &read(first)?,
        &read(other)?,
        &first.run_id.short(),
        &other.run_id.short(),
        style,
    ))
}
