//! A run's workspace: a git worktree on its own branch, or a plain folder.
//!
//! [`GitRepository`] is the operator's repository, opened once at the start. [`GitWorktree`] is a checkout of
//! it on branch `phasedeck/<run>`, where each phase becomes a commit. Git runs as a program with as
//! few features as possible; `program` lists what is disabled and why. The agents' tools enforce
//! what may be changed in the folder. `removal` removes worktrees and branches of finished runs.

use std::path::{Path, PathBuf};

pub use self::checkout::{GitWorktree, branch_of};
pub use self::demo::make_demo_repo;
pub use self::removal::BranchState;
pub use self::replace::{WorktreeReplacement, copy_tree};
pub use self::repo::{BaseCommit, GitRepository};
use crate::engine::paths::create_private_dir;
use crate::model::error::Result;

pub mod base_file;
mod changes;
mod checkout;
mod commit;
mod demo;
mod program;
mod removal;
mod replace;
mod repo;

/// Workspace of a run.
#[derive(Clone, Debug)]
pub enum RunWorkspace {
    /// A git worktree; each phase is a commit.
    Git(GitWorktree),
    /// A plain folder; nothing is committed.
    Plain(PathBuf),
}

impl RunWorkspace {
    /// Creates a plain folder, or opens an existing one.
    ///
    /// # Errors
    /// `io_failed`.
    pub fn plain(path: &Path) -> Result<Self> {
        create_private_dir(path)?;
        Ok(Self::Plain(path.to_path_buf()))
    }

    /// Returns the folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        match self {
            Self::Git(worktree) => worktree.root(),
            Self::Plain(path) => path,
        }
    }

    /// Returns the folder with the repository's refs and objects; `None` for a plain folder.
    #[must_use]
    pub fn repository(&self) -> Option<&Path> {
        match self {
            Self::Git(worktree) => worktree.git_dir.ancestors().nth(2),
            Self::Plain(_) => None,
        }
    }

    /// Returns the run's branch, without `refs/heads/`; `None` for a plain folder.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        match self {
            Self::Git(worktree) => Some(worktree.branch()),
            Self::Plain(_) => None,
        }
    }

    /// Returns the commit that the run's branch points to; `None` for a plain folder.
    ///
    /// # Errors
    /// `git_failed`.
    pub async fn head(&self) -> Result<Option<String>> {
        match self {
            Self::Git(worktree) => worktree.head().await.map(Some),
            Self::Plain(_) => Ok(None),
        }
    }

    /// Commits the folder; see [`GitWorktree::commit`]. Returns `None` for a plain folder.
    ///
    /// # Errors
    /// As [`GitWorktree::commit`].
    pub async fn commit(
        &self,
        message: &str,
        trailers: &[(&str, &str)],
        forced: &[&str],
    ) -> Result<Option<String>> {
        match self {
            Self::Git(worktree) => worktree.commit(message, trailers, forced).await.map(Some),
            Self::Plain(_) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests;
