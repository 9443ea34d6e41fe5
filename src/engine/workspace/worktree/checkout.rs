//! A run's worktree: created once, reopened later, recreated if only the folder is missing.
//!
//! Creation takes several steps, and the process may die between any two. Git writes a lock reason
//! into the worktree while it is being created; the lock is removed only after all files are
//! durable. A worktree with that reason is therefore incomplete and is created again. Existing
//! files at the path are moved aside.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::program::GitCommand;
use super::repo::GitRepository;
use crate::engine::paths::create_private_dir;
use crate::model::error::{Code, Failure, Result};
use crate::model::id::RunId;
use crate::store::failpoint::Step;

// Last commit we made on the run's branch. A per-worktree ref, so removing the worktree removes it.
pub(super) const LAST_COMMIT: &str = "refs/worktree/phasedeck/last";
const BEING_MADE: &str = "phasedeck: being made";
// Number of attempts to add a worktree while others are being added, and the first pause; later
// pauses are longer.
const ADD_TRIES: u32 = 6;
const ADD_PAUSE: Duration = Duration::from_millis(20);

/// A git worktree on branch `phasedeck/<run>`.
#[derive(Clone, Debug)]
pub struct GitWorktree {
    pub(super) path: PathBuf,
    pub(super) branch: String,
    // The worktree's git folder inside the repository's git folder. The `.git` file in `path` is
    // never used, because an agent can rewrite it.
    pub(super) git_dir: PathBuf,
    pub(super) git: GitCommand,
}

impl GitWorktree {
    /// Creates the worktree at `path` from `commit`. After a crash, a second call completes it with
    /// the same result.
    ///
    /// # Errors
    /// `git_failed`, `io_failed`, `disk_full`; the call can be repeated.
    pub async fn create(
        repo: &GitRepository,
        run: RunId,
        commit: &str,
        path: &Path,
    ) -> Result<Self> {
        let branch = branch_of(run);
        make_branch(repo, &branch, commit).await?;
        Self::find_or_make(repo, branch, path).await
    }

    /// Opens the worktree of a resumed run. A missing folder is recreated from the branch.
    ///
    /// # Errors
    /// `worktree_missing` if the branch is missing too; `git_failed`, `io_failed`, `disk_full`.
    pub async fn open(repo: &GitRepository, run: RunId, path: &Path) -> Result<Self> {
        let branch = branch_of(run);
        if !repo.branch_exists(&branch).await? {
            let folder = if path.is_dir() {
                "there, but"
            } else {
                "gone, and"
            };
            let message = format!(
                "the run's folder {} is {folder} its branch {branch} is gone",
                path.display()
            );
            return Err(Failure::new(Code::WorktreeMissing, message)
                .hint(format!("bring the branch back (`git reflog`, `git branch {branch} COMMIT`) and resume, or start a new run")));
        }
        Self::find_or_make(repo, branch, path).await
    }

    /// Returns a run's worktree without repairing it; `None` if its folder or git metadata is
    /// missing.
    ///
    /// # Errors
    /// `io_failed`.
    pub(super) fn find(repo: &GitRepository, run: RunId, path: &Path) -> Result<Option<Self>> {
        if !path.is_dir() {
            return Ok(None);
        }
        let path = settled(path)?;
        let found = find_git_dir(&repo.common_dir, &path);
        Ok(found.map(|git_dir| Self {
            git: repo.git.at(&git_dir, &path),
            path,
            branch: branch_of(run),
            git_dir,
        }))
    }

    /// Returns the folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.path
    }

    /// Returns the branch, without `refs/heads/`.
    #[must_use]
    pub fn branch(&self) -> &str {
        &self.branch
    }

    /// Returns the commit that the run's branch points to.
    ///
    /// # Errors
    /// `git_failed`.
    pub async fn head(&self) -> Result<String> {
        self.git
            .run(&[
                "rev-parse",
                "--verify",
                &format!("refs/heads/{}^{{commit}}", self.branch),
            ])
            .await
    }

    async fn find_or_make(repo: &GitRepository, branch: String, path: &Path) -> Result<Self> {
        let path = settled(path)?;
        let mut git_dir = find_git_dir(&repo.common_dir, &path);
        if !git_dir
            .as_deref()
            .is_some_and(|dir| path.is_dir() && !is_half_made(dir))
        {
            clear_the_way(repo, &path, git_dir.is_some()).await?;
            git_dir = Some(make(repo, &branch, &path).await?);
        }
        let git_dir =
            git_dir.ok_or_else(|| Failure::internal("a worktree without a git folder"))?;
        let git = repo.git.at(&git_dir, &path);
        Ok(Self {
            path,
            branch,
            git_dir,
            git,
        })
    }
}

/// Returns the name of a run's branch.
#[must_use]
pub fn branch_of(run: RunId) -> String {
    format!("phasedeck/{run}")
}

async fn make_branch(repo: &GitRepository, branch: &str, commit: &str) -> Result<()> {
    // An empty old value makes `update-ref` fail if the ref exists.
    let made = repo
        .git
        .run(&[
            "update-ref",
            "-m",
            "phasedeck: begin",
            &format!("refs/heads/{branch}"),
            commit,
            "",
        ])
        .await;
    let Err(failure) = made else { return Ok(()) };
    if repo.branch_exists(branch).await? {
        return Ok(());
    }
    if repo.branch_exists("phasedeck").await? {
        let message = "the branch 'phasedeck' stands in the way of the run's branch 'phasedeck/…'";
        return Err(
            Failure::new(Code::GitFailed, message).hint("rename it: git branch -m phasedeck NAME")
        );
    }
    Err(failure)
}

async fn make(repo: &GitRepository, branch: &str, path: &Path) -> Result<PathBuf> {
    let add = [
        "worktree", "add", "--quiet", "--lock", "--reason", BEING_MADE,
    ];
    let args: Vec<&OsStr> = add
        .iter()
        .map(OsStr::new)
        .chain([path.as_os_str(), branch.as_ref()])
        .collect();
    let mut tries = 1;
    while let Err(failure) = repo.git.run(&args).await {
        // Before adding a worktree, git reads all others, including one that a concurrent git
        // process has only partly written.
        if tries == ADD_TRIES || !failure.message.contains("/commondir") {
            return Err(failure);
        }
        tokio::time::sleep(ADD_PAUSE * tries).await;
        tries += 1;
    }
    make_durable(path.to_path_buf()).await?;
    let git_dir = find_git_dir(&repo.common_dir, path).ok_or_else(|| {
        Failure::new(
            Code::GitFailed,
            format!("git made no worktree at {}", path.display()),
        )
        .hint("resume the run")
    })?;
    let head = format!("refs/heads/{branch}");
    repo.git
        .at(&git_dir, path)
        .run(&["update-ref", LAST_COMMIT, &head])
        .await?;
    let lock = git_dir.join("locked");
    Step::WorktreeUnlock
        .around(|| std::fs::remove_file(&lock))
        .map_err(|e| Failure::io(format!("cannot remove {}", lock.display()), &e))?;
    Ok(git_dir)
}

// Git does not sync checked-out files. After a power loss they could be empty and would then be
// committed as empty files.
pub(super) async fn make_durable(path: PathBuf) -> Result<()> {
    let sync = move || -> std::io::Result<()> {
        Step::WorktreeSync.before();
        let dir = std::fs::File::open(&path)?;
        #[cfg(target_os = "linux")]
        rustix::fs::syncfs(&dir)?;
        Step::WorktreeSync.around(|| dir.sync_all())
    };
    tokio::task::spawn_blocking(sync)
        .await
        .map_err(Failure::internal)?
        .map_err(|e| Failure::io("cannot make the worktree durable", &e))
}

// Renames whatever exists at `path` and removes git's record of the previous worktree.
async fn clear_the_way(repo: &GitRepository, path: &Path, is_known: bool) -> Result<()> {
    if path.symlink_metadata().is_ok() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let aside = path.with_file_name(format!("{name}.aside-{}", uuid::Uuid::now_v7().simple()));
        Step::WorktreeAside
            .around(|| std::fs::rename(path, &aside))
            .map_err(|e| Failure::io(format!("cannot move {} aside", path.display()), &e))?;
        tracing::warn!(from = %path.display(), to = %aside.display(), "a worktree that cannot be used was moved aside");
    }
    if is_known {
        // Git requires `--force` twice to remove a locked worktree.
        let args = ["worktree", "remove", "--force", "--force"].map(OsStr::new);
        repo.git
            .run(&[&args[..], &[path.as_os_str()]].concat())
            .await?;
    }
    Ok(())
}

// Returns the path as git records it: absolute, with its parent folder resolved, even if the path
// does not exist.
fn settled(path: &Path) -> Result<PathBuf> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Failure::internal(format!(
            "{} cannot be a worktree",
            path.display()
        )));
    };
    create_private_dir(folder)?;
    let folder = folder
        .canonicalize()
        .map_err(|e| Failure::io(format!("cannot find {}", folder.display()), &e))?;
    Ok(folder.join(name))
}

// Git appends numbers to worktree folders with equal names; the `gitdir` file in each identifies
// ours.
fn find_git_dir(common_dir: &Path, path: &Path) -> Option<PathBuf> {
    let pointer = path.join(".git");
    let all = std::fs::read_dir(common_dir.join("worktrees")).ok()?;
    let is_ours = |dir: &PathBuf| {
        std::fs::read(dir.join("gitdir"))
            .is_ok_and(|text| OsStr::from_bytes(text.trim_ascii_end()) == pointer)
    };
    all.filter_map(|entry| Some(entry.ok()?.path()))
        .find(is_ours)
}

fn is_half_made(git_dir: &Path) -> bool {
    let reason = std::fs::read_to_string(git_dir.join("locked")).unwrap_or_default();
    reason.trim_end() == BEING_MADE
        || reason.trim_end() == "initializing"
        || !git_dir.join("HEAD").exists()
}
