//! Puts other content into a run's folder, and its branch elsewhere: all of it, or nothing.
//!
//! The new content is made whole beside the folder first; what can fail fails there. Then two renames
//! put it in place, and one transaction of git moves the refs. What was in the folder is kept beside
//! it under another name, and commits that a branch leaves are kept under a ref of their own.

use std::path::{Path, PathBuf};

use super::Workspace;
use super::checkout::{LAST_COMMIT, Worktree};
use crate::engine::paths::create_private_dir;
use crate::model::error::{Failure, Result};
use crate::model::id::RunId;
use crate::store::failpoint::Step;

/// Content that lies ready to take the place of a run's folder.
#[derive(Debug)]
pub struct Replacement {
    root: PathBuf,
    fresh: tempfile::TempDir,
    moves: Option<Moves>,
}

#[derive(Debug)]
struct Moves {
    worktree: Worktree,
    commands: String,
    index: tempfile::TempDir,
}

impl Workspace {
    /// Makes ready what brings the folder and the branch back to `base`, an empty folder where there is
    /// no git. Changes nothing yet.
    ///
    /// # Errors
    /// `git_failed` where the worktree or the branch is no longer as the run left it; `worktree_missing`,
    /// `io_failed`, `disk_full`.
    pub async fn going_back(&self, run: RunId, base: Option<&str>) -> Result<Replacement> {
        let root = self.root().to_path_buf();
        let fresh = beside(&root)?;
        let (Self::Git(worktree), Some(base)) = (self, base) else {
            return Ok(Replacement {
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
        Ok(Replacement {
            root,
            fresh,
            moves: Some(Moves {
                worktree: worktree.clone(),
                commands,
                index,
            }),
        })
    }

    /// Makes ready the content of `commit`, or of another plain folder; the branch stays where it is.
    ///
    /// # Errors
    /// `git_failed`, `io_failed`, `disk_full`.
    pub async fn content_of(&self, commit: Option<&str>, folder: &Path) -> Result<Replacement> {
        let root = self.root().to_path_buf();
        let fresh = beside(&root)?;
        match (self, commit) {
            (Self::Git(worktree), Some(commit)) => drop(worktree.fill(fresh.path(), commit).await?),
            _ => copy_tree(folder, fresh.path())?,
        }
        Ok(Replacement {
            root,
            fresh,
            moves: None,
        })
    }
}

impl Worktree {
    /// Writes the files of `commit` into `dir`, ready to be this worktree's folder; gives the index of it.
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

impl Replacement {
    /// Puts the content in place and moves the refs.
    ///
    /// # Errors
    /// `git_failed`, `io_failed`; folder and branch are as they were then.
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
        // Kept from here on: its place is the run's.
        let fresh = fresh.keep();
        if let Err(error) = Step::WorktreeReplaced.around(|| std::fs::rename(&fresh, &root)) {
            back().map_err(|e| failed("bring back", e))?;
            return Err(failed("replace", error));
        }
        let Some(Moves {
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

/// Copies files, folders and links as they are; nothing is followed, and what is neither is left out.
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
