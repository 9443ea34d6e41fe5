//! Finds secrets in an artifact and reports them to its reviewer. The artifact is not changed.
//!
//! Searches for the secrets of settings and backends, the values of the worktree's `.env` that are
//! not plain words, and text in the shape of provider keys.

use std::path::Path;

use super::file;
use crate::engine::redact::Redactor;

/// Maximum number of reported lines.
const NAMED: usize = 5;

/// Describes the secrets in a text without revealing them; `None` if there are none. Blocks on the
/// disk.
#[must_use]
pub fn told(redactor: &Redactor, worktree: &Path, text: &str) -> Option<String> {
    let env = file::env(worktree);
    let lines = match env {
        None => redactor.lines_with_secrets(text),
        Some(env) => redactor
            .clone()
            .knowing_env_file(telling(&env).as_bytes())
            .lines_with_secrets(text),
    };
    let named: Vec<String> = lines.iter().take(NAMED).map(ToString::to_string).collect();
    match (lines.len(), named.join(", ")) {
        (0, _) => None,
        (1, line) => Some(format!("what looks like a secret on line {line}")),
        (count, lines) if count > NAMED => Some(format!(
            "what look like secrets on {count} lines: {lines} and others"
        )),
        (_, lines) => Some(format!("what look like secrets on lines {lines}")),
    }
}

/// Returns the lines of an `.env` file whose values contain letters and digits. A plain word such
/// as `production` would match everywhere.
fn telling(env: &[u8]) -> String {
    let env = String::from_utf8_lossy(env);
    let value = |line: &str| {
        line.split_once('=')
            .map(|(_, value)| value.to_owned())
            .unwrap_or_default()
    };
    let mixed = |value: &str| {
        value.contains(|c: char| c.is_ascii_digit())
            && value.contains(|c: char| c.is_ascii_alphabetic())
    };
    env.lines()
        .filter(|line| mixed(&value(line)))
        .fold(String::new(), |all, line| all + line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_told_by_their_lines_and_never_by_their_value() {
        let tree = tempfile::tempdir().unwrap();
        let redactor = Redactor::default().knowing(["canary-secret".to_owned()]);
        let of = |text: &str| told(&redactor, tree.path(), text);
        assert_eq!(of("all is well in production with pass-word-1"), None);
        std::fs::write(
            tree.path().join(".env"),
            "MODE=production\nPASS=pass-word-1\n",
        )
        .unwrap();
        assert_eq!(of("all is well in production"), None);
        assert_eq!(
            of("in production\nwith pass-word-1").unwrap(),
            "what looks like a secret on line 2"
        );
        assert_eq!(
            of("canary-secret\n\ncanary-secret").unwrap(),
            "what look like secrets on lines 1, 3"
        );
        assert_eq!(
            of(&"canary-secret\n".repeat(9)).unwrap(),
            "what look like secrets on 9 lines: 1, 2, 3, 4, 5 and others"
        );
    }
}
