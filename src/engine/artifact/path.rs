//! The grammar of artifact paths: what may be named at all, before any file is looked at.
//!
//! The same rule holds when a workflow is read and when a file is. That a path stays beneath the
//! worktree on disk, links and all, is for [`file`](super::file) to hold.

use crate::model::error::{Code, Failure, Result};

const MAX_COMPONENTS: usize = 64;
const MAX_COMPONENT_BYTES: usize = 200;

/// Checks that `path` is one that an artifact may have: relative, with `/` between its parts, without
/// `.`, `..`, `.git` in any spelling, backslashes, control or invisible characters; at most 64 parts of
/// at most 200 bytes.
///
/// # Errors
/// `path_outside_worktree` naming the path and the rule it breaks.
pub fn check_path(path: &str) -> Result<()> {
    let Some(broken) = broken_rule(path) else { return Ok(()) };
    let mut shown: String = path.escape_debug().take(120).collect();
    if shown.len() < path.len() {
        shown.push('…');
    }
    Err(Failure::new(Code::PathOutsideWorktree, format!("'{shown}' is not a path for an artifact: {broken}"))
        .hint("use a path beneath the worktree, such as docs/spec.json"))
}

fn broken_rule(path: &str) -> Option<&'static str> {
    if path.is_empty() {
        return Some("it is empty");
    }
    if path.starts_with('/') {
        return Some("it is absolute");
    }
    if path.contains('\\') {
        return Some("it has a backslash");
    }
    if path.chars().any(char::is_control) {
        return Some("it has control characters");
    }
    if path.chars().any(is_invisible) {
        return Some("it has invisible characters");
    }
    if path.split('/').count() > MAX_COMPONENTS {
        return Some("it has more than 64 parts");
    }
    path.split('/').find_map(broken_component)
}

fn broken_component(part: &str) -> Option<&'static str> {
    match part {
        "" => Some("a part of it is empty"),
        "." | ".." => Some("'.' and '..' are not allowed"),
        _ if part.len() > MAX_COMPONENT_BYTES => Some("a part of it is longer than 200 bytes"),
        _ if is_git_folder(part) => Some("the folder .git is not the agent's"),
        _ if part.starts_with(['-', '~', ' ']) => Some("a part of it begins with '-', '~' or a space"),
        _ if part.ends_with(['.', ' ']) => Some("a part of it ends with '.' or a space"),
        _ => None,
    }
}

// File systems that fold case, or drop trailing dots, spaces and what follows a colon, would find
// `.git` under these names; `git~1` is its short name on some.
fn is_git_folder(part: &str) -> bool {
    let name = part.split(':').next().unwrap_or(part).trim_end_matches(['.', ' ']).to_lowercase();
    name == ".git" || name == "git~1"
}

// Zero-width, direction and tag characters: people do not see them, and some file systems drop them.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_that_teams_use_are_fine() {
        for path in
            ["spec.json", "docs/spec.json", "a/b/c.md", ".github/plan.json", ".gitignore", "docs/ünï.json", "..a/b", "a b.md", "x/git"]
        {
            assert_eq!(check_path(path), Ok(()), "{path}");
        }
        assert_eq!(check_path(&vec!["a"; 64].join("/")), Ok(()));
        assert_eq!(check_path(&"a".repeat(200)), Ok(()));
    }

    #[test]
    fn every_broken_rule_is_named() {
        let table: &[(&str, &str)] = &[
            ("", "it is empty"),
            ("/etc/passwd", "it is absolute"),
            ("..", "'.' and '..' are not allowed"),
            ("a/../../b", "'.' and '..' are not allowed"),
            ("./a", "'.' and '..' are not allowed"),
            ("a//b", "a part of it is empty"),
            ("a/", "a part of it is empty"),
            ("a\\..\\b", "it has a backslash"),
            ("a\nb", "it has control characters"),
            ("a\0b", "it has control characters"),
            ("a\u{85}b", "it has control characters"),
            (".g\u{200c}it/config", "it has invisible characters"),
            ("a\u{202e}nosj.b", "it has invisible characters"),
            (".git/config", "the folder .git is not the agent's"),
            ("a/.GIT/hooks/x", "the folder .git is not the agent's"),
            (".Git", "the folder .git is not the agent's"),
            (".git./x", "the folder .git is not the agent's"),
            (".git /x", "the folder .git is not the agent's"),
            (".git::$INDEX_ALLOCATION/x", "the folder .git is not the agent's"),
            ("GIT~1/config", "the folder .git is not the agent's"),
            ("-rf", "a part of it begins with '-', '~' or a space"),
            ("~/x", "a part of it begins with '-', '~' or a space"),
            ("a./b", "a part of it ends with '.' or a space"),
        ];
        for (path, rule) in table {
            let failure = check_path(path).unwrap_err();
            assert_eq!(failure.code, Code::PathOutsideWorktree);
            assert_eq!(failure.message, format!("'{}' is not a path for an artifact: {rule}", path.escape_debug()));
        }
        assert!(check_path(&vec!["a"; 65].join("/")).unwrap_err().message.ends_with("it has more than 64 parts"));
        assert!(check_path(&"ä".repeat(101)).unwrap_err().message.ends_with("longer than 200 bytes"));
    }

    proptest! {
        #[test]
        fn an_accepted_path_never_leaves_the_folder_it_is_joined_to(path in "[a.~:/ \\\\git-]{0,12}") {
            if check_path(&path).is_ok() {
                let parts = std::path::Path::new(&path).components();
                prop_assert!(parts.into_iter().all(|part| matches!(part, std::path::Component::Normal(name) if name != ".git")));
            }
        }
    }
}
