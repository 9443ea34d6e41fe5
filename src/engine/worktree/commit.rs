//! Commits what is in a worktree: every phase one commit, with its trailers, once.
//!
//! By git's plumbing, one step after the other, so that nothing but these steps happens: read the
//! branch's tree into an index of our own, add what is in the folder, write the tree, write the
//! commit, move the branch if it is still where it was. The agent's own index plays no part and is
//! replaced at the end. Whoever dies in between leaves objects that nobody sees.

use std::path::Path;

use super::checkout::Worktree;
use super::program::Git;
use crate::model::error::{Code, Failure, Result};

impl Worktree {
    /// Commits everything in the worktree that is not ignored, and `forced` paths even if they are;
    /// commits also when nothing changed. When the branch's last commit ends with exactly these
    /// trailers already, that commit is the answer.
    ///
    /// # Errors
    /// `git_failed`, also when the worktree is no longer on its branch; `worktree_missing` when its
    /// folder is gone. Nothing is committed then.
    pub async fn commit(&self, message: &str, trailers: &[(&str, &str)], forced: &[&str]) -> Result<String> {
        self.require_own_branch().await?;
        let head = self.head().await?;
        let trailers = trailer_block(trailers);
        if !trailers.is_empty() && last_paragraph(&self.git.run(&["cat-file", "commit", &head]).await?) == trailers {
            return Ok(head);
        }
        let index = tempfile::Builder::new()
            .prefix("phasedeck-index-")
            .tempdir_in(&self.git_dir)
            .map_err(|e| Failure::io(format!("cannot write in {}", self.git_dir.display()), &e))?;
        let index_file = index.path().join("index");
        let tree = self.write_tree(&self.git.with_index(&index_file), &head, forced).await?;
        let text = format!("{}\n\n{trailers}", subject_and_body(message));
        let commit = self.git.run_with(&["commit-tree", &tree, "-p", &head, "-F", "-"], text.trim_end().as_bytes()).await?;
        self.git.run(&["update-ref", "-m", "phasedeck: commit", &format!("refs/heads/{}", self.branch), &commit, &head]).await?;
        self.replace_index(&index_file);
        Ok(commit)
    }

    async fn write_tree(&self, git: &Git, head: &str, forced: &[&str]) -> Result<String> {
        git.run(&["read-tree", head]).await?;
        hide_submodules(git).await?;
        git.run(&["add", "--all"]).await?;
        let forced: Vec<&str> = forced.iter().copied().filter(|path| self.path.join(path).symlink_metadata().is_ok()).collect();
        if !forced.is_empty() {
            git.run(&[&["add", "--force", "--"], &forced[..]].concat()).await?;
        }
        git.run(&["write-tree"]).await
    }

    // So that `git status` in the worktree shows what is true. Only a convenience: the next commit does not read it.
    fn replace_index(&self, index_file: &Path) {
        if let Err(error) = std::fs::rename(index_file, self.git_dir.join("index")) {
            tracing::warn!(%error, "the worktree's index is out of date");
        }
    }

    async fn require_own_branch(&self) -> Result<()> {
        if !self.path.is_dir() {
            let message = format!("the worktree {} is gone", self.path.display());
            return Err(Failure::new(Code::WorktreeMissing, message).hint("resume the run: the folder is made again from its branch"));
        }
        let head = self.git.attempt(&["symbolic-ref", "--quiet", "HEAD"], b"").await?;
        let found = match head.text.strip_prefix("refs/heads/") {
            Some(branch) if head.code == 0 && branch == self.branch => return Ok(()),
            Some(branch) if head.code == 0 => format!("on branch '{branch}'"),
            _ => {
                let at = self.git.attempt(&["rev-parse", "--verify", "--quiet", "HEAD"], b"").await?;
                format!("on no branch (HEAD is at '{}')", at.text)
            }
        };
        let message = format!("the worktree {} is {found} and no longer on '{}'", self.path.display(), self.branch);
        Err(Failure::new(Code::GitFailed, message)
            .hint(format!("look at what was done there, then go back with `git switch {}` in that folder and resume the run", self.branch)))
    }
}

// Git looks into a submodule's folder by running itself there, with the settings that it finds there,
// and these an agent can write. What is marked so is left as the last commit has it.
async fn hide_submodules(git: &Git) -> Result<()> {
    let entries = git.run(&["ls-files", "--stage", "-z"]).await?;
    let submodules = entries.split('\0').filter(|entry| entry.starts_with("160000 ")).filter_map(|entry| entry.split_once('\t'));
    let paths: String = submodules.map(|(_, path)| format!("{path}\0")).collect();
    if !paths.is_empty() {
        git.run_with(&["update-index", "--skip-worktree", "-z", "--stdin"], paths.as_bytes()).await?;
    }
    Ok(())
}

fn subject_and_body(message: &str) -> String {
    let clean: String = message.chars().filter(|c| *c != '\0').collect();
    if clean.trim().is_empty() { "Work of phasedeck".to_owned() } else { clean.trim().to_owned() }
}

fn trailer_block(trailers: &[(&str, &str)]) -> String {
    let one_line = |text: &str| text.split(|c: char| c.is_control()).collect::<Vec<_>>().join(" ").trim().to_owned();
    trailers.iter().map(|(key, value)| format!("{key}: {}", one_line(value))).collect::<Vec<_>>().join("\n")
}

fn last_paragraph(commit: &str) -> &str {
    let commit = commit.trim_end();
    commit.rsplit_once("\n\n").map_or(commit, |(_, last)| last)
}
