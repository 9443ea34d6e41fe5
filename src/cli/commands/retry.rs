//! `phasedeck retry`: starts a new run that reuses the valid artifacts of a finished one.
use super::console;
use crate::cli::args::RetryArgs;
use crate::cli::context::CommandContext;
use crate::cli::headless::drive;
use crate::cli::output::streams::CommandOutcome;
use crate::engine::api::{CommandAnswer, EngineCommand, RetryRun};
use crate::model::error::Failure;

/// Starts the new run, in the console or without a screen.
///
/// # Errors
/// `run_not_found`; what the engine answers.
pub fn retry(setup: &CommandContext, args: &RetryArgs) -> CommandOutcome {
    if !args.drive.headless {
        console::require_terminal()?;
    }
    let (_, run_id) = setup.find(&args.run)?;
    let session = setup.session()?;
    let request = RetryRun {
        run_id,
        from: args.from.clone(),
        strategy: args.strategy,
        idempotency_key: args.idempotency_key.clone(),
    };
    let started = session
        .send(EngineCommand::Retry(Box::new(request)))
        .and_then(|answer| match answer {
            CommandAnswer::Started { run_id, .. } => Ok(run_id),
            other => Err(Failure::internal(format!(
                "a retry was answered with {other:?}"
            ))),
        });
    match started {
        Err(failure) => {
            session.end()?;
            Err(failure.into())
        }
        Ok(run) if args.drive.headless => {
            setup.out.note(&format!(
                "run {run} goes on from what run {} made",
                run_id.short()
            ));
            drive(setup, session, run, 1, args.drive)
        }
        Ok(run) => console::open(setup, session, Some(run)),
    }
}
