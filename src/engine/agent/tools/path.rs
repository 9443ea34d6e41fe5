//! Paths as agents write them: what is meant beneath the worktree becomes parts, anything else a
//! refusal by the [grammar](worktree_path). Whether the parts exist, and are what they seem, is the
//! workspace's work.

use std::path::PathBuf;

use crate::model::error::{Code, Failure, Result};
use crate::model::worktree_path;

/// A path beneath the worktree: plain names only, none of them special. No parts: the worktree itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct WorktreePath {
    parts: Vec<String>,
}

impl WorktreePath {
    /// Reads what an agent wrote. An absolute path counts when it lies beneath one of `roots`, the
    /// names by which the worktree is known.
    ///
    /// # Errors
    /// `path_outside_worktree` naming the path and what is wrong with it.
    pub(super) fn parse(text: &str, roots: &[PathBuf]) -> Result<Self> {
        let relative =
            beneath_roots(text, roots).ok_or_else(|| refused(text, "lies outside the worktree"))?;
        let parts: Vec<String> = relative
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".")
            .map(str::to_owned)
            .collect();
        if !parts.is_empty() {
            worktree_path::check(&parts.join("/")).map_err(|fault| refused(text, &fault))?;
        }
        Ok(Self { parts })
    }

    /// The folders above, and the last name; absent for the worktree itself.
    pub(super) fn split(&self) -> Option<(&[String], &str)> {
        self.parts
            .split_last()
            .map(|(name, parents)| (parents, name.as_str()))
    }

    /// All parts in order.
    pub(super) fn parts(&self) -> &[String] {
        &self.parts
    }

    /// Relative to the worktree, with `/`; `.` for the worktree itself.
    pub(super) fn shown(&self) -> String {
        if self.parts.is_empty() {
            ".".to_owned()
        } else {
            self.parts.join("/")
        }
    }

    /// The path of something within this folder.
    pub(super) fn join(&self, name: &str) -> Self {
        let mut parts = self.parts.clone();
        parts.push(name.to_owned());
        Self { parts }
    }
}

/// A refusal of `path`, as the agent and the journal get it.
pub(super) fn refused(path: &str, fault: &str) -> Failure {
    let shown: String = path.chars().take(200).collect();
    Failure::new(
        Code::PathOutsideWorktree,
        format!("path '{}' {fault}", shown.escape_debug()),
    )
    .hint("name a regular file or folder in the worktree, relative to it, such as 'src/lib.rs'")
}

fn beneath_roots<'a>(text: &'a str, roots: &[PathBuf]) -> Option<&'a str> {
    if !text.starts_with('/') {
        return Some(text);
    }
    roots.iter().find_map(|root| {
        let rest = text.strip_prefix(root.to_str()?)?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String> {
        WorktreePath::parse(
            text,
            &[
                PathBuf::from("/work/tree"),
                PathBuf::from("/private/work/tree"),
            ],
        )
        .map(|path| path.shown())
    }

    #[test]
    fn plain_paths_become_parts_beneath_the_worktree() {
        for (text, shown) in [
            ("src/lib.rs", "src/lib.rs"),
            ("./src//lib.rs/", "src/lib.rs"),
            ("", "."),
            (".", "."),
            ("/work/tree", "."),
            ("/work/tree/a/b", "a/b"),
            ("/private/work/tree/a", "a"),
            (".gitignore", ".gitignore"),
            (".github/workflows/a.yml", ".github/workflows/a.yml"),
            ("backup~", "backup~"),
            ("größe/数.txt", "größe/数.txt"),
        ] {
            assert_eq!(parse(text).unwrap(), shown, "{text}");
        }
    }

    #[test]
    fn everything_that_could_lead_out_is_refused() {
        let long = "x".repeat(201);
        let deep = "a/".repeat(65);
        for text in [
            "..",
            "a/../b",
            "../tree/a",
            "/",
            "/etc/passwd",
            "/work/treehouse/a",
            "/work",
            "~/x",
            "~root",
            "a\\b",
            "a\0b",
            "a\nb",
            "a\u{202e}b",
            "-rf",
            "a/ b",
            "a./b",
            "a /b",
            ".git",
            ".git/config",
            "a/.GIT/x",
            ".Git ",
            ".git.",
            ".g\u{200c}it",
            "git~1",
            "GIT~2/x",
            ".git::$INDEX_ALLOCATION",
            &long,
            &deep,
        ] {
            let failure = parse(text).unwrap_err();
            assert_eq!(failure.code, Code::PathOutsideWorktree, "{text:?}");
            assert!(!failure.hint.is_empty());
        }
    }
}
