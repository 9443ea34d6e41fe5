//! A run's worktree: made once, found again, made again where only the folder is gone.
//!
//! Making one takes several steps, and the program may die between any two. Git writes a reason into
//! the worktree's lock while it is being made; it is taken away after everything is on disk. So a
//! worktree with that reason is half made, and is made anew. What was in the way is moved aside.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::program::Git;
use super::repo::Repo;
use crate::engine::paths::create_private_dir;
use crate::model::error::{Code, Failure, Result};
use crate::model::id::RunId;
use crate::store::failpoint::Step;

// Where we left the run's branch; a ref of the worktree alone, so that it goes with it.
pub(super) const LAST_COMMIT: &str = "refs/worktree/phasedeck/last";
const BEING_MADE: &str = "phasedeck: being made";
// How often adding a worktree is tried while others are being added, and the first pause; later ones are longer.
const ADD_TRIES: u32 = 6;
const ADD_PAUSE: Duration = Duration::from_millis(20);

/// A git worktree on branch `phasedeck/<run>`.
#[derive(Clone, Debug)]
pub struct Worktree {
    pub(super) path: PathBuf,
    pub(super) branch: String,
    // The worktree's own git folder, beneath that of the repository; never what `.git` in `path` says.
    pub(super) git_dir: PathBuf,
    pub(super) git: Git,
}

impl Worktree {
    /// Makes the worktree at `path` from `commit`; called again after a crash in the middle, it ends
    /// with the same result.
    ///
    /// # Errors
    /// `git_failed`, `io_failed`, `disk_full`; it can be called again then.
    pub async fn create(repo: &Repo, run: RunId, commit: &str, path: &Path) -> Result<Self> {
        let branch = branch_of(run);
        make_branch(repo, &branch, commit).await?;
        Self::find_or_make(repo, branch, path).await
    }

    /// Opens the worktree of a run that goes on; a folder that is gone is made again from the branch.
    ///
    /// # Errors
    /// `worktree_missing` when the branch is gone too; `git_failed`, `io_failed`, `disk_full`.
    pub async fn open(repo: &Repo, run: RunId, path: &Path) -> Result<Self> {
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

    /// The worktree of a run as it is; `None` where its folder or git's part of it is gone.
    ///
    /// # Errors
    /// `io_failed`.
    pub(super) fn find(repo: &Repo, run: RunId, path: &Path) -> Result<Option<Self>> {
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

    /// The commit that the run's branch stands on.
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

    async fn find_or_make(repo: &Repo, branch: String, path: &Path) -> Result<Self> {
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

/// The name of the branch that belongs to a run.
#[must_use]
pub fn branch_of(run: RunId) -> String {
    format!("phasedeck/{run}")
}

async fn make_branch(repo: &Repo, branch: &str, commit: &str) -> Result<()> {
    // The empty old value: it must not be there yet.
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

async fn make(repo: &Repo, branch: &str, path: &Path) -> Result<PathBuf> {
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
        // Before it begins, git reads every other worktree, also one that another git is writing just now.
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

// Git does not wait until checked-out files are on disk; after a power loss they would be empty, and
// empty they would be committed.
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

// Whatever is at `path` is kept under another name beside it, and git forgets the worktree that was there.
async fn clear_the_way(repo: &Repo, path: &Path, is_known: bool) -> Result<()> {
    if path.symlink_metadata().is_ok() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let aside = path.with_file_name(format!("{name}.aside-{}", uuid::Uuid::now_v7().simple()));
        Step::WorktreeAside
            .around(|| std::fs::rename(path, &aside))
            .map_err(|e| Failure::io(format!("cannot move {} aside", path.display()), &e))?;
        tracing::warn!(from = %path.display(), to = %aside.display(), "a worktree that cannot be used was moved aside");
    }
    if is_known {
        // Twice: also when it is locked.
        let args = ["worktree", "remove", "--force", "--force"].map(OsStr::new);
        repo.git
            .run(&[&args[..], &[path.as_os_str()]].concat())
            .await?;
    }
    Ok(())
}

// The path as git writes it: absolute, with its folder resolved, also when it is itself not there.
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

// Git numbers the folders of worktrees that have one name; which one is ours is written in it.
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
