//! Sandbox for whole programs, such as an ACP agent with its own folders and keys.
//!
//! Programs need the network and their own folders, so their rules are weaker than those of
//! commands. They may write beneath the worktree and the named folders, read what tools need, and
//! open no socket of another program. Masked paths appear empty or absent. This binary runs itself
//! again with a hidden verb, restricts itself, then executes the program.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use super::SandboxProtection;

/// Hidden verb of the process that executes a sandboxed program.
pub(super) const FENCED: &str = "__fenced";
/// Processes and threads that a program may add to those the user already runs.
#[cfg(target_os = "linux")]
const MAX_MORE_PROCESSES: u64 = 2048;
const NO_PROGRAM: u8 = 127;
const OPEN: &str = "open";
const CLOSED: &str = "closed";

/// Access rights of a program, besides the common readable paths. Missing folders are ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramSandbox {
    /// Only mask paths; otherwise the program has all rights of the operator.
    pub open: bool,
    /// File mounted over masked documents; it contains an empty document.
    pub blank: PathBuf,
    /// Full access beneath these paths.
    pub writable: Vec<PathBuf>,
    /// Read and execute access beneath these paths.
    pub readable: Vec<PathBuf>,
    /// Masked paths.
    pub hidden: Vec<PathBuf>,
}

impl ProgramSandbox {
    /// Encodes the arguments with which this binary executes `program` in the sandbox. Without a
    /// program it prints the protections in force.
    #[must_use]
    pub fn to_args(&self, program: Option<&OsStr>, args: &[OsString]) -> Vec<OsString> {
        let lists = [&self.writable, &self.readable, &self.hidden];
        let counts = lists.map(|list| OsString::from(list.len().to_string()));
        let folders = lists
            .into_iter()
            .flatten()
            .map(|path| path.clone().into_os_string());
        let mode = [
            OsString::from(FENCED),
            if self.open { OPEN } else { CLOSED }.into(),
            self.blank.clone().into(),
        ];
        let program = program.into_iter().map(OsStr::to_owned);
        mode.into_iter()
            .chain(counts)
            .chain(folders)
            .chain(program)
            .chain(args.iter().cloned())
            .collect()
    }

    /// Decodes the arguments of [`words`](Self::words) and returns the remaining ones.
    fn from_args(words: &[OsString]) -> Option<(Self, &[OsString])> {
        let [mode, blank, counts @ ..] = words else {
            return None;
        };
        let (counts, mut rest) = counts.split_at_checked(3)?;
        let mut lists = [Vec::new(), Vec::new(), Vec::new()];
        for (list, count) in lists.iter_mut().zip(counts) {
            let (paths, after) = rest.split_at_checked(count.to_str()?.parse().ok()?)?;
            (*list, rest) = (paths.iter().map(PathBuf::from).collect(), after);
        }
        let [writable, readable, hidden] = lists;
        Some((
            Self {
                open: mode == OPEN,
                blank: blank.into(),
                writable,
                readable,
                hidden,
            },
            rest,
        ))
    }
}

/// Confines this process, then executes the program or prints the protections in force.
pub(super) fn serve(words: &[OsString]) -> Option<u8> {
    let (fence, rest) = ProgramSandbox::from_args(words)?;
    let stands = fence.stand();
    let Some((program, args)) = rest.split_first() else {
        let protection = stands.unwrap_or_else(|missing| SandboxProtection {
            missing,
            ..SandboxProtection::default()
        });
        let text = serde_json::to_string(&protection).unwrap_or_default();
        return Some(u8::from(
            std::io::stdout().write_all(text.as_bytes()).is_err(),
        ));
    };
    if let Err(words) = stands {
        let _ = writeln!(
            std::io::stderr(),
            "the repository's settings cannot be hidden from {}: {words}",
            program.display()
        );
        return Some(NO_PROGRAM);
    }
    let error = Command::new(program).args(args).exec();
    let _ = writeln!(
        std::io::stderr(),
        "cannot run {}: {error}",
        program.display()
    );
    Some(NO_PROGRAM)
}

impl ProgramSandbox {
    /// Applies all restrictions. A path that cannot be masked is an error, because settings can
    /// execute code.
    #[cfg(target_os = "linux")]
    fn stand(&self) -> Result<SandboxProtection, String> {
        use super::{rules, sockets};
        use crate::engine::sandbox::{child, masking};
        let hides = masking::mask(&self.hidden, &self.blank);
        if self.open {
            return hides.map(|()| SandboxProtection::default());
        }
        child::limit(MAX_MORE_PROCESSES, None);
        let reach = rules::AccessRules {
            writable: &self.writable,
            readable: &self.readable,
            tcp: true,
        };
        let (files, missing) = child::ruleset_status(rules::restrict_self(reach));
        let protection = SandboxProtection {
            files,
            sockets: sockets::deny_sockets(),
            hides: hides.is_ok(),
            missing,
            ..SandboxProtection::default()
        };
        child::drop_capabilities();
        hides.map(|()| protection)
    }

    #[cfg(not(target_os = "linux"))]
    fn stand(&self) -> Result<SandboxProtection, String> {
        let missing = "this system has no Landlock".to_owned();
        if self.hidden.is_empty() {
            Ok(SandboxProtection {
                missing,
                ..SandboxProtection::default()
            })
        } else {
            Err(missing)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_fence_is_what_is_read() {
        let os = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        for (writable, readable, hidden, program, args) in [
            (
                vec!["/w", "/t"],
                vec!["/r"],
                vec!["/w/.x"],
                Some("/bin/x"),
                vec!["-a", "3"],
            ),
            (vec![], vec![], vec![], None, vec![]),
            (vec!["7"], vec!["2", "1"], vec!["0"], Some("0"), vec![]),
        ] {
            let paths = |words: &[&str]| words.iter().map(PathBuf::from).collect::<Vec<_>>();
            let (writable, readable, hidden) = (paths(&writable), paths(&readable), paths(&hidden));
            let fence = ProgramSandbox {
                open: hidden.is_empty(),
                blank: "/b".into(),
                writable,
                readable,
                hidden,
            };
            let words = fence.to_args(program.map(OsStr::new), &os(&args));
            let rest = [program.into_iter().collect::<Vec<_>>(), args].concat();
            assert_eq!(
                ProgramSandbox::from_args(&words[1..]),
                Some((fence, &os(&rest)[..]))
            );
        }
        for nonsense in [
            &["open"][..],
            &["open", "/b", "1", "0", "0"],
            &["open", "/b", "x", "0", "0"],
            &["open", "/b", "2", "0", "0", "/a"],
        ] {
            assert_eq!(
                ProgramSandbox::from_args(&os(nonsense)),
                None,
                "{nonsense:?}"
            );
        }
    }
}
