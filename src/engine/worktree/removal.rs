//! Takes away what ended runs leave in the operator's repository: worktree and branch.
//!
//! [`Repo::standing`] says whether anything would be lost by it; [`Repo::remove`] does it, and says
//! which commit the branch stood on, so that it can be brought back. Which runs, and whether the
//! operator meant it, is the caller's to know.

use std::ffi::OsStr;
use std::path::Path;

use super::checkout::{Worktree, branch_of};
use super::repo::Repo;
use crate::model::error::{Failure, Result};
use crate::model::id::RunId;

/// What would be lost with a run's worktree and branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is there any more.
    Gone,
    /// Every commit is in another branch too, and the folder holds nothing else.
    Merged,
    /// Commits that no other branch has.
    Unmerged,
    /// The folder holds changes that are in no commit, or cannot be compared with its branch.
    Uncommitted,
}

impl Repo {
    /// What would be lost with the worktree at `path` and the branch of `run`.
    ///
    /// # Errors
    /// `git_failed`, `io_failed`.
    pub async fn standing(&self, run: RunId, path: &Path) -> Result<Standing> {
        let branch = branch_of(run);
        let there = path.symlink_metadata().is_ok();
        if !self.branch_exists(&branch).await? {
            return Ok(if there {
                Standing::Uncommitted
            } else {
                Standing::Gone
            });
        }
        if there && !self.is_clean(run, path).await? {
            return Ok(Standing::Uncommitted);
        }
        Ok(if self.is_elsewhere(&branch).await? {
            Standing::Merged
        } else {
            Standing::Unmerged
        })
    }

    /// Removes the worktree at `path` and the branch of `run`, whatever they hold. The commit the
    /// branch stood on; `None` when there was no branch.
    ///
    /// # Errors
    /// `git_failed`, `io_failed`; what is left can be removed by calling it again.
    pub async fn remove(&self, run: RunId, path: &Path) -> Result<Option<String>> {
        if Worktree::find(self, run, path)?.is_some() {
            // Twice: also when it is locked.
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
        match Worktree::find(self, run, path)? {
            Some(worktree) => worktree.is_clean().await,
            None => Ok(false),
        }
    }

    /// Whether the branch's last commit is in any branch that is not a run's own.
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
