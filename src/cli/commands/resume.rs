//! `phasedeck resume`: resumes a paused run.
use super::console;
use crate::cli::args::ResumeArgs;
use crate::cli::context::CommandContext;
use crate::cli::engine_connection::CliConnection;
use crate::cli::headless::drive;
use crate::cli::output::streams::CommandOutcome;
use crate::engine::api::{CallResolution, EngineCommand, RunArchive, RunQuery, UnknownOutcome};
use crate::model::error::{Code, Failure, Result};
use crate::model::id::RunId;
use crate::model::state::RunStatus;

/// Resumes the named run, or the newest that is paused.
///
/// # Errors
/// `run_not_found`; what the engine answers.
pub fn resume(setup: &CommandContext, args: &ResumeArgs) -> CommandOutcome {
    if !args.drive.headless {
        console::require_terminal()?;
    }
    let named = args
        .run
        .as_deref()
        .map(|text| setup.find(text).map(|(_, run)| run))
        .transpose()?;
    let session = setup.session()?;
    let resumed = named
        .map_or_else(|| newest_paused(setup), Ok)
        .and_then(|run| {
            let (archive, _) = setup.find(&run.to_string())?;
            let from = archive.last_seq(run)? + 1;
            // A run that the new host took up by itself, or that another host works on, needs no push.
            let state = RunStatus::parse(&archive.run(run)?.state);
            if !matches!(
                state,
                Some(RunStatus::Created | RunStatus::Executing | RunStatus::AwaitingApproval)
            ) {
                resolve_unknown_calls(&session, &archive, run, args)?;
                session.send(EngineCommand::Resume { run_id: run })?;
            }
            Ok((run, from))
        });
    match resumed {
        Err(failure) => {
            session.end()?;
            Err(failure.into())
        }
        Ok((run, from)) if args.drive.headless => drive(setup, session, run, from, args.drive),
        Ok((run, _)) => console::open(setup, session, Some(run)),
    }
}

/// Says what becomes of the tool calls that a crash left unsure, before the agent goes on.
fn resolve_unknown_calls(
    session: &CliConnection,
    archive: &RunArchive,
    run: RunId,
    args: &ResumeArgs,
) -> Result<()> {
    let all: Vec<String> = archive
        .crash_card(run)?
        .into_iter()
        .flat_map(|card| card.unsure)
        .filter_map(call_of)
        .collect();
    for (calls, how) in [
        (&args.redo, CallResolution::Redo),
        (&args.done, CallResolution::Done),
        (&args.skip, CallResolution::Skip),
    ] {
        for call in calls {
            let named: Vec<String> = if call == "all" {
                all.clone()
            } else {
                vec![call.clone()]
            };
            for call_id in named {
                session.send(EngineCommand::Settle {
                    run_id: run,
                    call_id,
                    how,
                })?;
            }
        }
    }
    Ok(())
}

fn call_of(unsure: UnknownOutcome) -> Option<String> {
    match unsure {
        UnknownOutcome::Tool { call_id, .. } => Some(call_id),
        UnknownOutcome::Bill { .. } => None,
    }
}

fn newest_paused(setup: &CommandContext) -> Result<RunId> {
    let filter = RunQuery {
        states: vec![RunStatus::Paused.to_string()],
        limit: Some(1),
        ..RunQuery::default()
    };
    let runs = setup
        .archive_if_any()?
        .map_or_else(|| Ok(Vec::new()), |archive| archive.runs(&filter))?;
    runs.first().map(|run| run.id).ok_or_else(|| {
        Failure::new(Code::RunNotFound, "no run is paused")
            .hint("`phasedeck runs` lists all; start one with `phasedeck run`")
    })
}
