//! Rollback: resets the worktree and branch of a run to their state before the run.
//!
//! [`prepare`] does everything that can fail and changes nothing. Then the end of the run is stored
//! together with a marker, and [`finish`] makes the change. If the host dies in between, the marker
//! remains and the next host calls [`redo`].

use std::path::Path;

use super::attempt::open_workspace;
use super::context::EngineContext;
use crate::engine::workspace::worktree::{GitRepository, WorktreeReplacement};
use crate::model::error::{Failure, Result};
use crate::model::id::RunId;
use crate::model::record::RunRecord;
use crate::store::Reader;
use crate::store::tables::{runs, threads};

/// Prepares the rollback of a run; `None` if it never had a worktree. Changes nothing.
///
/// # Errors
/// `worktree_missing`, `git_failed`, `io_failed`, `disk_full`: the rollback is not possible.
pub async fn prepare(
    context: &EngineContext,
    record: &RunRecord,
) -> Result<Option<WorktreeReplacement>> {
    let path = context.paths.worktree(record.id);
    if let Some(dir) = &record.repo {
        let repo = GitRepository::discover(Path::new(dir)).await?;
        let begun = match &repo {
            Some(repo) => repo.has_branch_of(record.id).await?,
            None => true,
        };
        if !begun && !path.exists() {
            return Ok(None);
        }
    } else if !path.exists() {
        return Ok(None);
    }
    let workspace = open_workspace(context, record, false).await?;
    workspace
        .going_back(record.id, record.base_commit.as_deref())
        .await
        .map(Some)
}

/// Performs a prepared rollback and records the result.
///
/// # Errors
/// Why worktree and branch are unchanged.
pub async fn finish(
    context: &EngineContext,
    run: RunId,
    prepared: Option<WorktreeReplacement>,
) -> Result<()> {
    let done = match prepared {
        Some(replacement) => replacement.put_in_place().await,
        None => Ok(()),
    };
    let words = match &done {
        Ok(()) => "done".to_owned(),
        Err(failure) => failure.message.clone(),
    };
    context
        .journal
        .store
        .write(move |tx| threads::set_rollback(tx, run, &words))
        .await?;
    done.map_err(|failure| {
        let message = format!(
            "run {} is aborted, but its worktree and branch were not rolled back: {}",
            run.short(),
            failure.message
        );
        Failure { message, ..failure }
    })
}

/// Performs the rollbacks that a previous host left unfinished.
pub async fn finish_pending(context: &EngineContext, runs: Vec<RunId>) {
    for run in runs {
        let again = async {
            let record = runs::get(Reader::open(&context.paths.database())?.connection(), run)?;
            let prepared = prepare(context, &record).await;
            match prepared {
                Ok(prepared) => finish(context, run, prepared).await,
                Err(failure) => {
                    let words = failure.message.clone();
                    context
                        .journal
                        .store
                        .write(move |tx| threads::set_rollback(tx, run, &words))
                        .await
                        .and(Err(failure))
                }
            }
        };
        if let Err(failure) = again.await {
            tracing::error!(%run, %failure, "could not roll back");
        }
    }
}
