//! Where a run works: a git worktree on a branch of its own, or a plain folder.
//!
//! [`Repo`] is the operator's repository, found once at the start; [`Worktree`] is a checkout of it on
//! branch `phasedeck/<run>`, in which each phase becomes a commit. Git is run as a program, and as
//! little of it as can be: `program` says what is switched off and why. What agents may touch in the
//! folder is for their tools to hold; `removal` takes away what ended runs leave.

use std::path::{Path, PathBuf};

pub use self::checkout::{Worktree, branch_of};
pub use self::demo::make_demo_repo;
pub use self::removal::Standing;
pub use self::replace::{Replacement, copy_tree};
pub use self::repo::{Base, Repo};
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

/// Where a run works.
#[derive(Clone, Debug)]
pub enum Workspace {
    /// A git worktree; each phase is a commit.
    Git(Worktree),
    /// A plain folder; nothing is committed.
    Plain(PathBuf),
}

impl Workspace {
    /// Makes a plain folder, or opens the one that is there.
    ///
    /// # Errors
    /// `io_failed`.
    pub fn plain(path: &Path) -> Result<Self> {
        create_private_dir(path)?;
        Ok(Self::Plain(path.to_path_buf()))
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        match self {
            Self::Git(worktree) => worktree.root(),
            Self::Plain(path) => path,
        }
    }

    /// Where the repository's refs and objects lie; `None` in a plain folder.
    #[must_use]
    pub fn repository(&self) -> Option<&Path> {
        match self {
            Self::Git(worktree) => worktree.git_dir.ancestors().nth(2),
            Self::Plain(_) => None,
        }
    }

    /// The run's branch, without `refs/heads/`; `None` in a plain folder.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        match self {
            Self::Git(worktree) => Some(worktree.branch()),
            Self::Plain(_) => None,
        }
    }

    /// The commit that the run's branch stands on; `None` in a plain folder.
    ///
    /// # Errors
    /// `git_failed`.
    pub async fn head(&self) -> Result<Option<String>> {
        match self {
            Self::Git(worktree) => worktree.head().await.map(Some),
            Self::Plain(_) => Ok(None),
        }
    }

    /// Commits, where there is git; see [`Worktree::commit`]. `None` in a plain folder.
    ///
    /// # Errors
    /// As [`Worktree::commit`].
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
