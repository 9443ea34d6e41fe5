//! Checks that git is installed and recent enough.

use std::process::{Command, Stdio};

use super::{CheckEnvironment, CheckFindings};
use crate::engine::agent::acp::presets::on_path;

/// First version that respects `GIT_ATTR_SOURCE`.
const OBEYS_ATTR_SOURCE: (u32, u32) = (2, 41);

pub(super) fn program(_: &CheckEnvironment, found: &mut CheckFindings) {
    let Some(path) = on_path("git") else {
        return found.fail(
            "program",
            "git is not on PATH",
            "install git; runs in plain directories work without it",
        );
    };
    let told = Command::new(&path)
        .arg("--version")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let text = told
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default();
    match version(&text) {
        None => found.fail("program", format!("{} does not report its version", path.display()), "reinstall git"),
        Some(version) if version < OBEYS_ATTR_SOURCE => found.warn(
            "program",
            format!("{text} ({}) ignores GIT_ATTR_SOURCE", path.display()),
            "update git to 2.41 or later: with older versions, attributes in a worktree can change how files are stored",
        ),
        Some(_) => found.ok("program", format!("{text} ({})", path.display())),
    }
}

fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text
        .split(|c: char| !c.is_ascii_digit())
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_version_output_is_parsed() {
        for (text, read) in [
            ("git version 2.39.5", Some((2, 39))),
            ("git version 2.41.0.windows.1", Some((2, 41))),
            ("git version 2.50.1 (Apple Git-155)", Some((2, 50))),
            ("no", None),
            ("", None),
        ] {
            assert_eq!(version(text), read, "{text}");
        }
    }
}
