//! Removes what finished runs leave in the operator's repository: worktree and branch.
//!
//! [`GitRepository::standing`] reports what would be lost. [`GitRepository::remove`] removes it and returns the
//! branch's last commit, so that it can be restored. The caller selects the runs and obtains the
//! operator's consent.

use std::ffi::OsStr;
use std::path::Path;

use super::checkout::{GitWorktree, branch_of};
use super::repo::GitRepository;
use crate::model::error::{Failure, Result};
use crate::model::id::RunId;

/// What removing a run's worktree and branch would lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BranchState {
    /// Neither worktree nor branch exists.
    Gone,
    /// Another branch contains every commit, and the folder has no other changes.
    Merged,
    /// The branch has commits that no other branch contains.
    Unmerged,
    /// The folder has uncommitted changes, or cannot be compared with its branch.
    Uncommitted,
}

impl GitRepository {
    /// Returns what removing the worktree at `path` and the branch of `run` would lose.
    ///
    /// # Errors
    /// `git_failed`, `io_failed`.
    pub async fn standing(&self, run: RunId, path: &Path) -> Result<BranchState> {
        let branch = branch_of(run);
        let there = path.symlink_metadata().is_ok();
        if !self.branch_exists(&branch).await? {
            return Ok(if there {
                BranchState::Uncommitted
            } else {
                BranchState::Gone
            });
        }
        if there && !self.is_clean(run, path).await? {
            return Ok(BranchState::Uncommitted);
        }
        Ok(if self.is_elsewhere(&branch).await? {
            BranchState::Merged
        } else {
            BranchState::Unmerged
        })
    }

    /// Removes the worktree at `path` and the branch of `run`, even if work is lost. Returns the
    /// branch's last commit; `None` if there was no branch.
    ///
    /// # Errors
    /// `git_failed`, `io_failed`; a second call removes what is left.
    pub async fn remove(&self, run: RunId, path: &Path) -> Result<Option<String>> {
        if GitWorktree::find(self, run, path)?.is_some() {
            // Git requires `--force` twice to remove a locked worktree.
            let args = ["worktree", "remove", "--force", "--force"].map(OsStr::new);
            self.git
                .run(&[&args[..], &[path.as_os_str()]].concat())
                .await?;
        } else if path.symlink_metadata().is_ok() {
            std::fs::remove_dir_all(path)
                .map_err(|e| Failure::io(format!("cannot remove {}", path.display()), &e))?;
        }
        let branch = branch_of(run);
        if !self.branch_exists(&branch).await? {
            return Ok(None);
        }
        let reference = format!("refs/heads/{branch}");
        let commit = self.git.run(&["rev-parse", "--verify", &reference]).await?;
        self.git
            .run(&[
                "update-ref",
                "-m",
                "phasedeck: clean",
                "-d",
                &reference,
                &commit,
            ])
            .await?;
        Ok(Some(commit))
    }

    async fn is_clean(&self, run: RunId, path: &Path) -> Result<bool> {
        match GitWorktree::find(self, run, path)? {
            Some(worktree) => worktree.is_clean().await,
            None => Ok(false),
        }
    }

    /// Returns whether a branch other than those of runs contains the branch's last commit.
    async fn is_elsewhere(&self, branch: &str) -> Result<bool> {
        let reference = format!("refs/heads/{branch}");
        let args = [
            "for-each-ref",
            "--format=%(refname)",
            "--contains",
            &reference,
            "refs/heads",
            "refs/remotes",
        ];
        let holders = self.git.run(&args).await?;
        Ok(holders
            .lines()
            .any(|holder| !holder.starts_with("refs/heads/phasedeck/")))
    }
}
