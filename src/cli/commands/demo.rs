//! `phasedeck demo`: starts a demo run, in the console or headless.
use super::console;
use super::run::{start, unique_pairs};
use crate::cli::args::DemoArgs;
use crate::cli::context::CommandContext;
use crate::cli::headless::drive;
use crate::cli::output::streams::CommandOutcome;
use crate::engine::api::{StartRun, prepare_demo};
use crate::model::error::Result;

/// Makes the repository, starts the run, opens the console on it or drives it.
///
/// # Errors
/// `not_a_terminal`; what making the repository or the engine says.
pub fn demo(setup: &CommandContext, args: &DemoArgs) -> CommandOutcome {
    if !args.drive.headless {
        console::require_terminal()?;
    }
    let session = setup.session()?;
    let started = session
        .block_on(request(setup, args))
        .and_then(|request| start(&session, request));
    match started {
        Err(failure) => {
            session.end()?;
            Err(failure.into())
        }
        Ok((run, _)) if args.drive.headless => {
            setup
                .out
                .note(&format!("demo run {run}: rehearsed, no model is asked"));
            drive(setup, session, run, 1, args.drive)
        }
        Ok((run, _)) => console::open(setup, session, Some(run)),
    }
}

async fn request(setup: &CommandContext, args: &DemoArgs) -> Result<StartRun> {
    let scenarios = unique_pairs("--scenario", &args.scenario)?;
    let mut request = prepare_demo(&setup.paths).await?;
    request.options.scenarios = scenarios;
    Ok(request)
}
