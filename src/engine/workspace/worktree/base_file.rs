//! Reads a file from a run's base commit, for readers that execute no runs.

use std::path::Path;

use super::repo::GitRepository;
use crate::model::error::{Code, Failure, Result};

/// Returns the file's bytes, or `None` if the commit has no such file. Blocks on git.
///
/// # Errors
/// `worktree_missing` if the repository is gone; `git_failed`.
pub fn read(repo: &str, commit: &str, path: &str) -> Result<Option<Vec<u8>>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::io("cannot run git", &e))?;
    runtime.block_on(async {
        let Some(found) = GitRepository::discover(Path::new(repo)).await? else {
            return Err(Failure::new(
                Code::WorktreeMissing,
                format!("the repository {repo} is gone"),
            )
            .hint("bring it back to where it was"));
        };
        found.file_at(commit, path).await
    })
}
