//! Replaces the content of a run's folder and moves its branch, atomically.
//!
//! The new content is written completely beside the folder first, so that errors occur before
//! anything changes. Two renames then swap the folders, and one git transaction moves the refs. The
//! previous folder is kept under another name, and commits that leave the branch are kept under a
//! separate ref.

use std::path::{Path, PathBuf};

use super::RunWorkspace;
use super::checkout::{GitWorktree, LAST_COMMIT};
use crate::engine::paths::create_private_dir;
use crate::model::error::{Failure, Result};
use crate::model::id::RunId;
use crate::store::failpoint::Step;

/// Prepared content that will replace a run's folder.
#[derive(Debug)]
pub struct WorktreeReplacement {
    root: PathBuf,
    fresh: tempfile::TempDir,
    moves: Option<RenameSteps>,
}

#[derive(Debug)]
struct RenameSteps {
    worktree: GitWorktree,
    commands: String,
    index: tempfile::TempDir,
}

impl RunWorkspace {
    /// Prepares the rollback of the folder and the branch to `base`; without git, an empty folder.
    /// Changes nothing yet.
    ///
    /// # Errors
    /// `git_failed` if the worktree or the branch is no longer as the run left it;
    /// `worktree_missing`, `io_failed`, `disk_full`.
    pub async fn going_back(&self, run: RunId, base: Option<&str>) -> Result<WorktreeReplacement> {
        let root = self.root().to_path_buf();
        let fresh = beside(&root)?;
        let (Self::Git(worktree), Some(base)) = (self, base) else {
            return Ok(WorktreeReplacement {
                root,
                fresh,
                moves: None,
            });
        };
        let tip = worktree.own_tip().await?.commit;
        let index = worktree.fill(fresh.path(), base).await?;
        let kept = if tip == base {
            String::new()
        } else {
            format!("update refs/phasedeck/rolled-back/{run} {tip}\n")
        };
        let commands = format!(
            "{kept}update refs/heads/{} {base} {tip}\nupdate {LAST_COMMIT} {base}\n",
            worktree.branch
        );
        Ok(WorktreeReplacement {
            root,
            fresh,
            moves: Some(RenameSteps {
                worktree: worktree.clone(),
                commands,
                index,
            }),
        })
    }

    /// Prepares the content of `commit`, or of another plain folder; the branch does not move.
    ///
    /// # Errors
    /// `git_failed`, `io_failed`, `disk_full`.
    pub async fn content_of(
        &self,
        commit: Option<&str>,
        folder: &Path,
    ) -> Result<WorktreeReplacement> {
        let root = self.root().to_path_buf();
        let fresh = beside(&root)?;
        match (self, commit) {
            (Self::Git(worktree), Some(commit)) => drop(worktree.fill(fresh.path(), commit).await?),
            _ => copy_tree(folder, fresh.path())?,
        }
        Ok(WorktreeReplacement {
            root,
            fresh,
            moves: None,
        })
    }
}

impl GitWorktree {
    /// Writes the files of `commit` into `dir` as the future worktree folder; returns its index.
    async fn fill(&self, dir: &Path, commit: &str) -> Result<tempfile::TempDir> {
        let index = tempfile::Builder::new()
            .prefix("phasedeck-index-")
            .tempdir_in(&self.git_dir)
            .map_err(|e| Failure::io(format!("cannot write in {}", self.git_dir.display()), &e))?;
        let git = self
            .git
            .at(&self.git_dir, dir)
            .with_index(&index.path().join("index"));
        git.run(&["read-tree", commit]).await?;
        git.run(&["checkout-index", "--all", "--force"]).await?;
        let pointer = dir.join(".git");
        let text = format!("gitdir: {}\n", self.git_dir.display());
        std::fs::write(&pointer, text)
            .map_err(|e| Failure::io(format!("cannot write {}", pointer.display()), &e))?;
        super::checkout::make_durable(dir.to_path_buf()).await?;
        Ok(index)
    }
}

impl WorktreeReplacement {
    /// Swaps the folders and moves the refs.
    ///
    /// # Errors
    /// `git_failed`, `io_failed`; folder and branch are unchanged then.
    pub async fn put_in_place(self) -> Result<()> {
        let Self { root, fresh, moves } = self;
        let aside = root.with_file_name(format!(
            "{}.aside-{}",
            name_of(&root),
            uuid::Uuid::now_v7().simple()
        ));
        let failed = |doing: &str, error: std::io::Error| {
            Failure::io(format!("cannot {doing} {}", root.display()), &error)
        };
        let was_there = root.symlink_metadata().is_ok();
        if was_there {
            std::fs::rename(&root, &aside).map_err(|e| failed("move aside", e))?;
        }
        let back = || {
            if was_there {
                std::fs::rename(&aside, &root)
            } else {
                Ok(())
            }
        };
        // From here on the temporary folder must not be deleted: it becomes the run's folder.
        let fresh = fresh.keep();
        if let Err(error) = Step::WorktreeReplaced.around(|| std::fs::rename(&fresh, &root)) {
            back().map_err(|e| failed("bring back", e))?;
            return Err(failed("replace", error));
        }
        let Some(RenameSteps {
            worktree,
            commands,
            index,
        }) = moves
        else {
            return Ok(());
        };
        if let Err(failure) = worktree
            .git
            .run_with(
                &["update-ref", "-m", "phasedeck: roll back", "--stdin"],
                commands.as_bytes(),
            )
            .await
        {
            std::fs::rename(&root, &fresh)
                .and_then(|()| back())
                .map_err(|e| failed("bring back", e))?;
            return Err(failure);
        }
        worktree.replace_index(&index.path().join("index"));
        Ok(())
    }
}

fn beside(root: &Path) -> Result<tempfile::TempDir> {
    let folder = root
        .parent()
        .ok_or_else(|| Failure::internal(format!("{} cannot be a worktree", root.display())))?;
    create_private_dir(folder)?;
    let prefix = format!("{}.fresh-", name_of(root));
    let made = tempfile::Builder::new().prefix(&prefix).tempdir_in(folder);
    made.map_err(|e| Failure::io(format!("cannot make a folder in {}", folder.display()), &e))
}

fn name_of(root: &Path) -> String {
    root.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Copies files, folders and symbolic links without following links; skips other file types.
///
/// # Errors
/// `io_failed`, `disk_full`.
pub fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    let failed = |path: &Path, error: std::io::Error| {
        Failure::io(format!("cannot copy {}", path.display()), &error)
    };
    create_private_dir(to)?;
    let mut folders = vec![(from.to_path_buf(), to.to_path_buf())];
    while let Some((from, to)) = folders.pop() {
        for entry in std::fs::read_dir(&from).map_err(|e| failed(&from, e))? {
            let entry = entry.map_err(|e| failed(&from, e))?;
            let (path, place) = (entry.path(), to.join(entry.file_name()));
            let kind = entry.file_type().map_err(|e| failed(&path, e))?;
            let copied = match () {
                () if kind.is_dir() => {
                    folders.push((path.clone(), place.clone()));
                    std::fs::create_dir_all(&place)
                }
                () if kind.is_file() => std::fs::copy(&path, &place).map(drop),
                () if kind.is_symlink() => std::fs::read_link(&path)
                    .and_then(|target| std::os::unix::fs::symlink(target, &place)),
                () => Ok(()),
            };
            copied.map_err(|e| failed(&path, e))?;
        }
    }
    Ok(())
}
