//! `phasedeck pause` and `phasedeck abort`.

use crate::cli::args::{AbortArgs, SingleRunArgs};
use crate::cli::context::CommandContext;
use crate::cli::exit::ExitStatus;
use crate::cli::output::streams::CommandOutcome;
use crate::engine::api::EngineCommand;
use crate::model::id::RunId;
use crate::model::state::RunStatus;
use schemars::JsonSchema;
use serde::Serialize;

/// `phasedeck pause`.
///
/// # Errors
/// `run_not_found`, `run_already_terminal`; what the engine answers.
pub fn pause(setup: &CommandContext, args: &SingleRunArgs) -> CommandOutcome {
    send(setup, &args.run, args.json, RunStatus::Paused, |run_id| {
        EngineCommand::Pause { run_id }
    })
}

/// `phasedeck abort`.
///
/// # Errors
/// As [`pause`].
pub fn abort(setup: &CommandContext, args: &AbortArgs) -> CommandOutcome {
    let (reason, rollback) = (args.text.clone(), args.rollback);
    let command = |run_id| {
        if rollback {
            EngineCommand::RollBack { run_id, reason }
        } else {
            EngineCommand::Abort { run_id, reason }
        }
    };
    send(setup, &args.run, args.json, RunStatus::Aborted, command)
}

/// What became of it, for scripts.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Receipt")]
pub struct StopReceipt {
    /// Which run.
    run_id: RunId,
    /// Where it is to go.
    asked: RunStatus,
    /// Where it stands now; it goes on to its next checkpoint first.
    state: String,
}

fn send(
    setup: &CommandContext,
    text: &str,
    json: bool,
    goal: RunStatus,
    command: impl FnOnce(RunId) -> EngineCommand,
) -> CommandOutcome {
    setup.find(text)?;
    let session = setup.brief_session()?;
    let sent = setup.find(text).and_then(|(archive, run)| {
        // Becoming the host has paused it already where its own host had died.
        let there = goal == RunStatus::Paused && archive.run(run)?.state == goal.as_str();
        if !there {
            session.send(command(run))?;
        }
        Ok((archive, run))
    });
    let ended = session.end();
    let (archive, run) = sent?;
    ended?;
    let state = archive.run(run)?.state;
    if json {
        setup.out.object(&StopReceipt {
            run_id: run,
            asked: goal,
            state,
        })?;
    } else if state == goal.as_str() {
        setup
            .out
            .print(&format!("run {} is {goal}\n", run.short()))?;
    } else {
        setup.out.print(&format!(
            "run {} will be {goal} at its next checkpoint\n",
            run.short()
        ))?;
    }
    Ok(ExitStatus::Done)
}
