//! The grammar of paths that an agent may name: what it wrote becomes parts beneath the worktree,
//! or a refusal. Whether the parts exist, and are what they seem, is the workspace's work.

use std::path::PathBuf;

use crate::model::error::{Code, Failure, Result};

const MAX_PARTS: usize = 64;
const MAX_PART_BYTES: usize = 200;

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
        let relative = beneath_roots(text, roots).ok_or_else(|| refused(text, "lies outside the worktree"))?;
        let mut parts = Vec::new();
        for part in relative.split('/').filter(|part| !part.is_empty() && *part != ".") {
            if let Some(fault) = fault_of(part, parts.is_empty()) {
                return Err(refused(text, fault));
            }
            parts.push(part.to_owned());
        }
        if parts.len() > MAX_PARTS { Err(refused(text, "has more than 64 parts")) } else { Ok(Self { parts }) }
    }

    /// The folders above, and the last name; absent for the worktree itself.
    pub(super) fn split(&self) -> Option<(&[String], &str)> {
        self.parts.split_last().map(|(name, parents)| (parents, name.as_str()))
    }

    /// All parts in order.
    pub(super) fn parts(&self) -> &[String] {
        &self.parts
    }

    /// Relative to the worktree, with `/`; `.` for the worktree itself.
    pub(super) fn shown(&self) -> String {
        if self.parts.is_empty() { ".".to_owned() } else { self.parts.join("/") }
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
    Failure::new(Code::PathOutsideWorktree, format!("path '{}' {fault}", shown.escape_debug()))
        .hint("name a regular file or folder in the worktree, relative to it, such as 'src/lib.rs'")
}

/// Whether a name is the repository's own folder in any spelling that some file system takes for it.
pub(super) fn is_git_name(name: &str) -> bool {
    let visible: String = name.chars().filter(|c| !is_ignorable(*c)).flat_map(char::to_lowercase).collect();
    let stem = visible.split(':').next().unwrap_or_default().trim_end_matches(['.', ' ']);
    stem == ".git" || stem.strip_prefix("git~").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
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

fn fault_of(part: &str, first: bool) -> Option<&'static str> {
    let faults: [(bool, &'static str); 8] = [
        (part == "..", "has '..' in it"),
        (part.contains('\\'), "has a backslash in it"),
        (part.chars().any(|c| c.is_control() || is_ignorable(c)), "has control or invisible characters in it"),
        (is_git_name(part), "belongs to git, which agents do not touch"),
        (part.len() > MAX_PART_BYTES, "has a name longer than 200 bytes"),
        (part.starts_with(['-', ' ']), "has a name that begins with a dash or a space"),
        (part.ends_with(['.', ' ']), "has a name that ends with a dot or a space"),
        (first && part.starts_with('~'), "begins with '~'"),
    ];
    faults.into_iter().find_map(|(is, fault)| is.then_some(fault))
}

/// Characters that some file systems drop or that no reader can see.
fn is_ignorable(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String> {
        WorktreePath::parse(text, &[PathBuf::from("/work/tree"), PathBuf::from("/private/work/tree")]).map(|path| path.shown())
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
