//! The demo: a dry run in a repository of its own, without an API key or a model server.
//!
//! The repository is created in the data directory instead of a temporary one, so that a demo whose
//! process was killed can be resumed.
use crate::engine::api::StartRun;
use crate::engine::paths::{InstallPaths, create_private_dir};
use crate::engine::workspace::worktree::make_demo_repo;
use crate::model::error::Result;
use crate::model::id::{RunId, ThreadId};
use crate::model::record::RunOptions;

const WORKFLOW: &str = "development@1";

const REQUIREMENTS: &str = "Add a shopping cart to the shop: articles can be put in and taken out, \
the total is shown with tax, and an empty cart says so.";

/// Creates the repository and returns the request that starts the run.
///
/// # Errors
/// `git_failed`, `io_failed`.
pub async fn prepare(paths: &InstallPaths) -> Result<StartRun> {
    let name = RunId::new().short();
    let repo = paths.data.join("demo").join(&name).join("shop");
    create_private_dir(&repo)?;
    make_demo_repo(&repo).await?;
    Ok(StartRun {
        workflow: WORKFLOW.to_owned(),
        repo: Some(repo),
        requirements: REQUIREMENTS.to_owned(),
        thread: Some(ThreadId(format!("demo-{name}"))),
        options: RunOptions {
            rehearse: true,
            ..RunOptions::default()
        },
        ..StartRun::default()
    })
}
