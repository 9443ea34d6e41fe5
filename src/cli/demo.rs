//! `phasedeck demo`: a run to try everything on, without a key and without a server.
//!
//! The repository is made in a folder of its own in the data folder, not among temporary files: a
//! demo whose process was killed is offered again, and goes on.

use super::args::Demo;
use super::console;
use super::headless::drive;
use super::out::Outcome;
use super::run::{each_once, start};
use super::setup::Setup;
use crate::engine::api::StartRun;
use crate::engine::paths::create_private_dir;
use crate::engine::worktree::make_demo_repo;
use crate::model::error::Result;
use crate::model::id::{RunId, ThreadId};
use crate::model::record::RunOptions;

const WORKFLOW: &str = "development@1";

const REQUIREMENTS: &str = "Add a shopping cart to the shop: articles can be put in and taken out, \
the total is shown with tax, and an empty cart says so.";

/// Makes the repository, starts the run, opens the console on it or drives it.
///
/// # Errors
/// `not_a_terminal`; what making the repository or the engine says.
pub fn demo(setup: &Setup, args: &Demo) -> Outcome {
    if !args.drive.headless {
        console::require_terminal()?;
    }
    let session = setup.session()?;
    let started = session.block_on(request(setup, args)).and_then(|request| start(&session, request));
    match started {
        Err(failure) => {
            session.end()?;
            Err(failure.into())
        }
        Ok((run, _)) if args.drive.headless => {
            setup.out.note(&format!("demo run {run}: rehearsed, no model is asked"));
            drive(setup, session, run, 1, args.drive)
        }
        Ok((run, _)) => console::open(setup, session, Some(run)),
    }
}

async fn request(setup: &Setup, args: &Demo) -> Result<StartRun> {
    let scenarios = each_once("--scenario", &args.scenario)?;
    let name = RunId::new().short();
    let repo = setup.paths.data.join("demo").join(&name).join("shop");
    create_private_dir(&repo)?;
    make_demo_repo(&repo).await?;
    Ok(StartRun {
        workflow: WORKFLOW.to_owned(),
        repo: Some(repo),
        requirements: REQUIREMENTS.to_owned(),
        thread: Some(ThreadId(format!("demo-{name}"))),
        options: RunOptions { rehearse: true, scenarios, ..RunOptions::default() },
        ..StartRun::default()
    })
}
