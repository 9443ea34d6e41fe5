//! `phasedeck resume`: goes on with a paused run.

use super::args::Resume;
use super::console;
use super::headless::drive;
use super::out::Outcome;
use super::setup::Setup;
use crate::engine::api::{Command, RunFilter};
use crate::model::error::{Code, Failure, Result};
use crate::model::id::RunId;
use crate::model::state::RunStatus;

/// Resumes the named run, or the newest that is paused.
///
/// # Errors
/// `run_not_found`; what the engine answers.
pub fn resume(setup: &Setup, args: &Resume) -> Outcome {
    if !args.drive.headless {
        console::require_terminal()?;
    }
    let named = args.run.as_deref().map(|text| setup.find(text).map(|(_, run)| run)).transpose()?;
    let session = setup.session()?;
    let resumed = named.map_or_else(|| newest_paused(setup), Ok).and_then(|run| {
        let (archive, _) = setup.find(&run.to_string())?;
        let from = archive.last_seq(run)? + 1;
        // A run that the new host took up by itself, or that another host works on, needs no push.
        let state = RunStatus::parse(&archive.run(run)?.state);
        if !matches!(state, Some(RunStatus::Created | RunStatus::Executing | RunStatus::AwaitingApproval)) {
            session.send(Command::Resume { run_id: run })?;
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

fn newest_paused(setup: &Setup) -> Result<RunId> {
    let filter = RunFilter { states: vec![RunStatus::Paused.to_string()], limit: Some(1), ..RunFilter::default() };
    let runs = setup.archive_if_any()?.map_or_else(|| Ok(Vec::new()), |archive| archive.runs(&filter))?;
    runs.first().map(|run| run.id).ok_or_else(|| {
        Failure::new(Code::RunNotFound, "no run is paused").hint("`phasedeck runs` lists all; start one with `phasedeck run`")
    })
}
