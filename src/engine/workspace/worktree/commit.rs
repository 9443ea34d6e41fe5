//! Commits the contents of a worktree: exactly one commit with trailers for each phase.
//!
//! Uses git plumbing, so that nothing but these steps runs: read the branch's tree into a private
//! index, add the differences, write the tree, write the commit, move the branch if it still points
//! to the expected commit. The agent's index is not read, and is replaced at the end. The private
//! index is kept for the next commit: its stat data spares reading unchanged files again. A crash
//! before the refs move leaves only unreachable objects.

use std::path::Path;

use super::changes::{NestedRepositories, changed_paths};
use super::checkout::{GitWorktree, LAST_COMMIT};
use super::program::GitCommand;
use crate::model::error::{Code, Failure, Result};
use crate::store::failpoint::Step;
use crate::store::failpoint::planted::{self, Bug};

// `*` marks the branch that HEAD is on. NUL separates the fields, because none can contain it.
const TIP_FORMAT: &str = "--format=%(HEAD)%00%(refname)%00%(objectname)%00%(tree)%00%(contents)%00";

// Stored beside the index of the worktree.
const KEPT_INDEX: &str = "phasedeck-index";

impl GitWorktree {
    /// Commits everything in the worktree that is not ignored, and `forced` paths even if they are
    /// ignored. Creates a commit even if nothing changed. If the branch's last commit already ends
    /// with exactly these trailers, returns that commit, so a repeated call does nothing.
    ///
    /// # Errors
    /// `git_failed`, also if the worktree is no longer on its branch or the branch no longer
    /// contains the run's commits; `worktree_missing` if the folder is missing. Nothing is
    /// committed then.
    /// run's commits; `worktree_missing` when its folder is gone. Nothing is committed then.
    pub async fn commit(
        &self,
        message: &str,
        trailers: &[(&str, &str)],
        forced: &[&str],
    ) -> Result<String> {
        let tip = self.own_tip().await?;
        let trailers = trailer_block(trailers);
        if !trailers.is_empty()
            && last_paragraph(&tip.message) == trailers
            && !planted::is(Bug::CommitTwice)
        {
            return Ok(tip.commit);
        }
        let index = self.index_folder()?;
        let tree = self.write_tree(index.path(), &tip, forced).await?;
        let text = format!("{}\n\n{trailers}", subject_and_body(message));
        let commit = self
            .git
            .run_with(
                &["commit-tree", &tree, "-p", &tip.commit, "-F", "-"],
                text.trim_end().as_bytes(),
            )
            .await?;
        self.move_branch(&tip.commit, &commit).await?;
        self.replace_index(&index.path().join("index"));
        Ok(commit)
    }

    /// Returns whether the folder matches the branch's last commit, apart from ignored files. A
    /// folder that is no longer on its branch is not clean.
    ///
    /// # Errors
    /// `git_failed`, `io_failed`.
    pub(super) async fn is_clean(&self) -> Result<bool> {
        let Ok(tip) = self.own_tip().await else {
            return Ok(false);
        };
        let index = self.index_folder()?;
        Ok(self.write_tree(index.path(), &tip, &[]).await? == tip.tree)
    }

    fn index_folder(&self) -> Result<tempfile::TempDir> {
        let made = tempfile::Builder::new()
            .prefix("phasedeck-index-")
            .tempdir_in(&self.git_dir);
        made.map_err(|e| Failure::io(format!("cannot write in {}", self.git_dir.display()), &e))
    }

    async fn write_tree(&self, dir: &Path, tip: &BranchTip, forced: &[&str]) -> Result<String> {
        let index = dir.join("index");
        let git = self.git.with_index(&index);
        self.read_tip(&git, &index, tip).await?;
        let nested = NestedRepositories {
            root: &self.path,
            git_dir: &self.git_dir,
            no_index: &dir.join("none"),
            git: &self.git,
        };
        let changed = changed_paths(&git, &nested, forced).await?;
        if changed.is_empty() {
            return Ok(tip.tree.clone());
        }
        git.run_with(
            &[
                "update-index",
                "--add",
                "--remove",
                "--replace",
                "-z",
                "--stdin",
            ],
            &changed,
        )
        .await?;
        git.run(&["write-tree"]).await
    }

    // The tip's tree, with the known stat data of the files.
    async fn read_tip(&self, git: &GitCommand, index: &Path, tip: &BranchTip) -> Result<()> {
        let kept = self.git_dir.join(KEPT_INDEX);
        // Hard-link the index to keep its modification time: git uses it to detect files that
        // changed within the timestamp granularity of the last check ("racily clean").
        if std::fs::hard_link(&kept, index).is_ok() {
            match git.run(&["read-tree", "-m", &tip.commit]).await {
                Ok(_) => {
                    keep(index, &kept);
                    return Ok(());
                }
                Err(error) => tracing::info!(%error, "all files of the worktree are read again"),
            }
            let removed = Step::WorktreeIndex.around(|| std::fs::remove_file(index));
            removed.map_err(|e| Failure::io(format!("cannot remove {}", index.display()), &e))?;
        }
        git.run(&["read-tree", &tip.commit]).await?;
        // Exit code 1 means that files differ; those are handled next.
        git.attempt(&["update-index", "-q", "--refresh"], b"")
            .await?;
        keep(index, &kept);
        Ok(())
    }

    // One transaction moves both refs: the branch, and our record of its last commit.
    async fn move_branch(&self, from: &str, to: &str) -> Result<()> {
        let branch = &self.branch;
        let moves = format!("update refs/heads/{branch} {to} {from}\nupdate {LAST_COMMIT} {to}\n");
        self.git
            .run_with(
                &["update-ref", "-m", "phasedeck: commit", "--stdin"],
                moves.as_bytes(),
            )
            .await
            .map(|_| ())
    }

    // Makes `git status` in the worktree correct. Only a convenience: the next commit does not read
    // this index.
    pub(super) fn replace_index(&self, index_file: &Path) {
        if let Err(error) =
            Step::WorktreeIndex.around(|| std::fs::rename(index_file, self.git_dir.join("index")))
        {
            tracing::warn!(%error, "the worktree's index is out of date");
        }
    }

    // Returns the branch's last commit if the worktree is on the branch and the branch still
    // contains our last commit. Commits that an agent added on top are kept.
    pub(super) async fn own_tip(&self) -> Result<BranchTip> {
        if !self.path.is_dir() {
            let message = format!("the worktree {} is gone", self.path.display());
            return Err(Failure::new(Code::WorktreeMissing, message)
                .hint("resume the run: the folder is made again from its branch"));
        }
        let branch = format!("refs/heads/{}", self.branch);
        let listed = self
            .git
            .run(&["for-each-ref", TIP_FORMAT, &branch, LAST_COMMIT])
            .await?;
        let fields: Vec<&str> = listed.split('\0').collect();
        let mut last = None;
        let mut tip = None;
        for fields in fields.chunks_exact(5) {
            let &[head, name, commit, tree, message] = fields else {
                continue;
            };
            if name == LAST_COMMIT {
                last = Some(commit);
            } else if name == branch {
                let is_head = head.ends_with('*');
                tip = Some((
                    is_head,
                    BranchTip {
                        commit: commit.to_owned(),
                        tree: tree.to_owned(),
                        message: message.to_owned(),
                    },
                ));
            }
        }
        let Some((true, tip)) = tip else {
            return Err(self.not_on_branch(tip.is_some()).await?);
        };
        match last {
            Some(last) if last != tip.commit => self.require_contains(&tip.commit, last).await?,
            _ => {}
        }
        Ok(tip)
    }

    async fn require_contains(&self, tip: &str, last: &str) -> Result<()> {
        let args = ["merge-base", "--is-ancestor", last, tip];
        let answer = self.git.attempt(&args, b"").await?;
        match answer.code {
            0 => Ok(()),
            1 => {
                let message = format!(
                    "the branch '{}' was reset or rewritten: commit {last} of the run is no longer in it",
                    self.branch
                );
                let place = self.path.display();
                Err(Failure::new(Code::GitFailed, message).hint(format!(
                    "look at what was done in {place}, then go back with `git reset --soft {last}` there (files stay as they are) and resume the run"
                )))
            }
            _ => Err(answer.failure(&args)),
        }
    }

    async fn not_on_branch(&self, has_branch: bool) -> Result<Failure> {
        let (path, branch) = (self.path.display(), &self.branch);
        if !has_branch {
            return Ok(Failure::new(
                Code::GitFailed,
                format!("the run's branch '{branch}' is gone"),
            )
            .hint(format!(
                "bring it back (`git reflog`, `git branch {branch} COMMIT`) and resume the run"
            )));
        }
        let head = self
            .git
            .attempt(&["symbolic-ref", "--quiet", "HEAD"], b"")
            .await?;
        let found = match head.text().strip_prefix("refs/heads/") {
            Some(other) if head.code == 0 => format!("on branch '{other}'"),
            _ => format!(
                "on no branch (HEAD is at '{}')",
                self.git
                    .attempt(&["rev-parse", "--verify", "--quiet", "HEAD"], b"")
                    .await?
                    .text()
            ),
        };
        Ok(Failure::new(Code::GitFailed, format!("the worktree {path} is {found} and no longer on '{branch}'"))
            .hint(format!("look at what was done there, then go back with `git switch {branch}` in that folder and resume the run")))
    }
}

// Saves the index before changed files are added, so that it has no stat data for them: a second
// change within the same second would have the same timestamp. Only an optimization; without it all
// files are read.
fn keep(index: &Path, kept: &Path) {
    let _there_is_none = Step::WorktreeIndex.around(|| std::fs::remove_file(kept));
    if let Err(error) = std::fs::hard_link(index, kept) {
        tracing::info!(%error, "the next commit reads all files of the worktree again");
    }
}

pub(super) struct BranchTip {
    pub(super) commit: String,
    tree: String,
    message: String,
}

fn subject_and_body(message: &str) -> String {
    let clean: String = message.chars().filter(|c| *c != '\0').collect();
    if clean.trim().is_empty() {
        return "Work of phasedeck".to_owned();
    }
    // A line of dashes would end the message for programs that parse it as mail, which hides the
    // trailers.
    clean
        .trim()
        .lines()
        .map(|line| {
            if line.starts_with("---") {
                format!(" {line}")
            } else {
                line.to_owned()
            }
        })
        .collect::<Vec<_>>()
        .join("\n")
}

fn trailer_block(trailers: &[(&str, &str)]) -> String {
    let one_line = |text: &str| {
        text.split(|c: char| c.is_control())
            .collect::<Vec<_>>()
            .join(" ")
            .trim()
            .to_owned()
    };
    trailers
        .iter()
        .map(|(key, value)| format!("{key}: {}", one_line(value)).trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

fn last_paragraph(commit: &str) -> &str {
    let commit = commit.trim_end();
    commit.rsplit_once("\n\n").map_or(commit, |(_, last)| last)
}
