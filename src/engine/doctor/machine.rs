//! Checks of the machine: the terminal, the disk and its file system, and the kernel's sandbox
//! support.

use std::path::Path;

use rustix::termios::tcgetwinsize;

use super::{CheckEnvironment, CheckFindings, block_on, size};
use crate::engine::sandbox::{SandboxLauncher, SandboxProtection};
use crate::model::terminal::is_colourless;

const MIB: u64 = 1024 * 1024;
/// Below this amount of free space, writes will soon fail.
const TOO_LITTLE: u64 = 100 * MIB;
/// Below this amount of free space, worktrees may not fit.
const LITTLE: u64 = 1024 * MIB;

pub(super) fn terminal(_: &CheckEnvironment, found: &mut CheckFindings) {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let term = variable("TERM").unwrap_or_default();
    match variable("TERM") {
        None => found.warn(
            "type",
            "TERM is not set",
            "set TERM to the type of your terminal, such as xterm-256color",
        ),
        Some(term) if term == "dumb" => found.warn(
            "type",
            "TERM is dumb: the console cannot be displayed",
            "use the commands, or set TERM",
        ),
        Some(term) => found.ok(
            "type",
            if variable("TMUX").is_some() {
                format!("{term}, in tmux")
            } else {
                term
            },
        ),
    }
    found.ok(
        "colours",
        colours(
            variable("NO_COLOR").is_some(),
            &variable("COLORTERM").unwrap_or_default(),
            &term,
        ),
    );
    match tcgetwinsize(std::io::stdout()) {
        Ok(at) if at.ws_col >= 80 && at.ws_row >= 20 => {
            found.ok("size", format!("{}x{}", at.ws_col, at.ws_row))
        }
        Ok(at) => found.warn(
            "size",
            format!("{}x{}", at.ws_col, at.ws_row),
            "80x24 shows more; below 40x10 the console only shows a message",
        ),
        Err(_) => found.warn(
            "size",
            "standard output is not a terminal",
            "the console needs a terminal; the commands do not",
        ),
    }
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| variable(name))
        .unwrap_or_default();
    if locale
        .to_ascii_lowercase()
        .replace('-', "")
        .contains("utf8")
    {
        found.ok("characters", locale);
    } else {
        let told = if locale.is_empty() {
            "no locale is set".to_owned()
        } else {
            format!("the locale {locale} is not UTF-8")
        };
        found.warn(
            "characters",
            told,
            "set LANG to a UTF-8 locale, or use --ascii",
        );
    }
}

fn colours(unwanted: bool, colorterm: &str, term: &str) -> &'static str {
    if unwanted {
        "none: NO_COLOR is set"
    } else if matches!(colorterm, "truecolor" | "24bit") || term.ends_with("-direct") {
        "16 million"
    } else if term.contains("256color") {
        "256"
    } else if term.is_empty() || is_colourless(term) {
        "none"
    } else {
        "16"
    }
}

pub(super) fn disk(patient: &CheckEnvironment, found: &mut CheckFindings) {
    for (name, folder) in [
        ("data", &patient.paths.data),
        ("state", &patient.paths.state),
    ] {
        let there = folder
            .ancestors()
            .find(|above| above.exists())
            .unwrap_or(Path::new("/"));
        free_space(name, there, found);
        file_system(name, there, found);
        writable(name, folder, there, found);
    }
}

fn free_space(name: &str, folder: &Path, found: &mut CheckFindings) {
    let name = format!("{name}: free space");
    let Ok(stat) = rustix::fs::statvfs(folder) else {
        return found.warn(
            &name,
            format!("cannot determine the free space of {}", folder.display()),
            "check with df",
        );
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let text = format!("{} free in {}", size(free), folder.display());
    match free {
        ..TOO_LITTLE => found.fail(
            &name,
            text,
            "free some disk space: runs are paused when nothing can be stored",
        ),
        TOO_LITTLE..LITTLE => found.warn(
            &name,
            text,
            "free some disk space: each run has its own worktree",
        ),
        _ => found.ok(&name, text),
    }
}

/// The database needs a local disk: locks and shared memory do not work across a network, and a
/// file system in memory is lost with the machine.
fn file_system(name: &str, folder: &Path, found: &mut CheckFindings) {
    let name = format!("{name}: file system");
    let Ok(stat) = rustix::fs::statfs(folder) else {
        return;
    };
    match classify(stat.f_type as u64) {
        FileSystemKind::Local => found.ok(&name, "local disk"),
        FileSystemKind::Memory => found.warn(
            &name,
            "in memory",
            "set PHASEDECK_HOME to a directory on a disk: all data is lost at the next restart",
        ),
        FileSystemKind::Network(what) => found.warn(
            &name,
            format!(
                "{what}: a network file system, on which locks and shared memory are not reliable"
            ),
            "set PHASEDECK_HOME to a directory on a local disk",
        ),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum FileSystemKind {
    Local,
    Memory,
    Network(&'static str),
}

/// Classifies a file system by its `statfs(2)` type number.
fn classify(number: u64) -> FileSystemKind {
    match number & 0xffff_ffff {
        0x6969 => FileSystemKind::Network("NFS"),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => FileSystemKind::Network("SMB"),
        0x0102_1997 => FileSystemKind::Network("9P"),
        0x00c3_6400 => FileSystemKind::Network("Ceph"),
        0x5346_414f => FileSystemKind::Network("AFS"),
        0x0bd0_0bd0 => FileSystemKind::Network("Lustre"),
        0x0102_1994 | 0x8584_58f6 => FileSystemKind::Memory,
        _ => FileSystemKind::Local,
    }
}

fn writable(name: &str, folder: &Path, there: &Path, found: &mut CheckFindings) {
    let name = format!("{name}: directory");
    let access = rustix::fs::access(
        there,
        rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK,
    );
    match access {
        Ok(()) if there == folder => found.ok(&name, folder.display().to_string()),
        Ok(()) => found.ok(
            &name,
            format!("{} is created when needed", folder.display()),
        ),
        Err(error) => {
            let message = format!("{} is not writable: {error}", there.display());
            found.fail(
                &name,
                message,
                "change its permissions, or set PHASEDECK_HOME to a directory of your own",
            );
        }
    }
}

/// Checks the sandbox by applying it: a child process confines itself and reports what worked.
pub(super) fn sandbox(_: &CheckEnvironment, found: &mut CheckFindings) {
    let kernel = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    let told = block_on(SandboxLauncher::current_program().probe()).unwrap_or_default();
    commands(&told, &kernel, found);
    let programs = block_on(SandboxLauncher::current_program().probe_program()).unwrap_or_default();
    if programs.programs_confined() && programs.hides {
        return found.ok("agent programs", programs.describe_program());
    }
    let hides = if programs.hides {
        ""
    } else {
        "; a repository's settings cannot be hidden from them"
    };
    let advice = "use agent programs only on repositories you trust, or use a kernel with Landlock and user namespaces";
    found.warn(
        "agent programs",
        format!("{}{hides}", programs.describe_program()),
        advice,
    );
}

fn commands(told: &SandboxProtection, kernel: &str, found: &mut CheckFindings) {
    let words = format!("{}; kernel {kernel}", told.describe());
    if told.confined() {
        return found.ok("commands", words);
    }
    let advice = "file tools are confined without it; allow `execute` only for personas you trust, or use kernel 6.7 or later with Landlock";
    found.warn("commands", words, advice);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::doctor::{CheckStatus, Subject};

    #[test]
    fn a_file_system_is_known_by_its_number() {
        for (number, kind) in [
            (0x6969, FileSystemKind::Network("NFS")),
            (0xff53_4d42, FileSystemKind::Network("SMB")),
            (0xffff_ffff_ff53_4d42, FileSystemKind::Network("SMB")),
            (0x0102_1994, FileSystemKind::Memory),
            (0xef53, FileSystemKind::Local),
            (0x794c_7630, FileSystemKind::Local),
        ] {
            assert_eq!(classify(number), kind, "{number:x}");
        }
    }

    #[test]
    fn sandbox_protection_is_reported_and_its_absence_warns() {
        for (protection, verdict, words) in [
            (
                SandboxProtection {
                    files: true,
                    network: true,
                    sockets: true,
                    ..SandboxProtection::default()
                },
                CheckStatus::Ok,
                "confined: writes only its worktree, no network; kernel 6.8",
            ),
            (
                SandboxProtection {
                    files: true,
                    missing: "no namespaces".to_owned(),
                    ..SandboxProtection::default()
                },
                CheckStatus::Warning,
                "not confined: writes only its worktree, network open, can reach sockets of other programs (no namespaces); kernel 6.8",
            ),
        ] {
            let mut found = CheckFindings {
                subject: Subject::Sandbox,
                checks: Vec::new(),
            };
            commands(&protection, "6.8", &mut found);
            assert_eq!(
                (found.checks[0].verdict, found.checks[0].found.as_str()),
                (verdict, words)
            );
        }
    }

    #[test]
    fn colours_follow_the_terminal_variables() {
        for (unwanted, colorterm, term, told) in [
            (true, "truecolor", "xterm-256color", "none: NO_COLOR is set"),
            (false, "truecolor", "xterm", "16 million"),
            (false, "", "xterm-256color", "256"),
            (false, "", "linux", "16"),
            (false, "", "dumb", "none"),
            (false, "", "xterm-mono", "none"),
        ] {
            assert_eq!(colours(unwanted, colorterm, term), told, "{term}");
        }
    }
}
