//! Where a run works: a git worktree on a branch of its own, or a plain folder.

use std::path::{Path, PathBuf};

use crate::model::error::{Failure, Result};
use crate::model::id::RunId;

/// The operator's repository.
#[derive(Clone, Debug)]
pub struct Repo {}

/// What a run begins from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// The branch, without `refs/heads/`; absent when a commit or tag was named, or HEAD is detached.
    pub branch: Option<String>,
    /// The commit's whole id.
    pub commit: String,
}

impl Repo {
    /// The repository that `dir` lies in; `None` when it lies in none.
    ///
    /// # Errors
    /// `git_failed`; a repository without a commit is one.
    pub async fn discover(dir: &Path) -> Result<Option<Self>> {
        let _ = dir;
        Err(Failure::internal("not built"))
    }

    /// The commit that `base` names; the repository's current one when absent.
    ///
    /// # Errors
    /// `usage_invalid` when there is no such commit; `git_failed`.
    pub async fn resolve(&self, base: Option<&str>) -> Result<Base> {
        let _ = base;
        Err(Failure::internal("not built"))
    }
}

/// A git worktree on branch `phasedeck/<run>`.
#[derive(Clone, Debug)]
pub struct Worktree {
    path: PathBuf,
    branch: String,
}

impl Worktree {
    /// Makes the worktree at `path` from `commit`; again after a crash in the middle, with the same result.
    ///
    /// # Errors
    /// `git_failed`, `io_failed`.
    pub async fn create(repo: &Repo, run: RunId, commit: &str, path: &Path) -> Result<Self> {
        let _ = (repo, run, commit, path);
        Err(Failure::internal("not built"))
    }

    /// Opens the worktree of a run that goes on; a folder that is gone is made again from the branch.
    ///
    /// # Errors
    /// `worktree_missing` when folder and branch are gone; `git_failed`, `io_failed`.
    pub async fn open(repo: &Repo, run: RunId, path: &Path) -> Result<Self> {
        let _ = (repo, run, path);
        Err(Failure::internal("not built"))
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.path
    }

    /// The branch, without `refs/heads/`.
    #[must_use]
    pub fn branch(&self) -> &str {
        &self.branch
    }

    /// The commit that the worktree stands on.
    ///
    /// # Errors
    /// `git_failed`.
    pub async fn head(&self) -> Result<String> {
        Err(Failure::internal("not built"))
    }

    /// Commits everything in the worktree, and `forced` paths even if ignored.
    ///
    /// # Errors
    /// `git_failed`, also when the worktree is no longer on its branch.
    pub async fn commit(&self, message: &str, trailers: &[(&str, &str)], forced: &[&str]) -> Result<String> {
        let _ = (message, trailers, forced);
        Err(Failure::internal("not built"))
    }
}

/// Where a run works.
#[derive(Clone, Debug)]
pub enum Workspace {
    /// A git worktree; each phase is a commit.
    Git(Worktree),
    /// A plain folder; nothing is committed.
    Plain(PathBuf),
}

impl Workspace {
    /// Makes (or opens) a plain folder.
    ///
    /// # Errors
    /// `io_failed`.
    pub fn plain(path: &Path) -> Result<Self> {
        crate::engine::paths::create_private_dir(path)?;
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

    /// Commits, where there is git; see [`Worktree::commit`].
    ///
    /// # Errors
    /// As [`Worktree::commit`].
    pub async fn commit(&self, message: &str, trailers: &[(&str, &str)], forced: &[&str]) -> Result<Option<String>> {
        match self {
            Self::Git(worktree) => worktree.commit(message, trailers, forced).await.map(Some),
            Self::Plain(_) => Ok(None),
        }
    }
}

/// Makes a small repository to try a workflow on.
///
/// # Errors
/// `git_failed`, `io_failed`.
pub async fn make_demo_repo(dir: &Path) -> Result<()> {
    let _ = dir;
    Err(Failure::internal("not built"))
}
