//! Sandboxed child: restricts itself, then executes the command.
//!
//! Each protection applies where the kernel supports it. Without a command, the child prints which
//! protections are in force. File rules are in `rules`, the socket filter in `sockets`.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use rustix::process::{
    Resource, Rlimit, Signal, getuid, set_parent_process_death_signal, setrlimit,
};
use rustix::thread::{CapabilitySet, CapabilitySets, UnshareFlags, set_capabilities};

use super::{SandboxProtection, rules, sockets};

/// Maximum size of a file, in bytes.
const MAX_FILE: u64 = 1 << 30;
const MAX_OPEN: u64 = 1024;
/// Processes and threads that a command may add to those the user already runs.
pub(super) const MAX_MORE_PROCESSES: u64 = 512;
const NO_COMMAND: u8 = 126;

/// Confines this process, then executes the command or prints the protections in force.
pub(super) fn serve(worktree: &Path, temp: &Path, command: Option<&OsString>) -> u8 {
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    limit(MAX_MORE_PROCESSES, Some(MAX_OPEN));
    let protection = confine(worktree, temp);
    drop_capabilities();
    let Some(command) = command else {
        let text = serde_json::to_string(&protection).unwrap_or_default();
        return u8::from(std::io::stdout().write_all(text.as_bytes()).is_err());
    };
    let error = Command::new("/bin/sh").arg("-c").arg(command).exec();
    let _ = writeln!(std::io::stderr(), "/bin/sh: {error}");
    NO_COMMAND
}

/// Drops all capabilities, because `CAP_SYS_PTRACE` would expose API keys in other processes.
/// Landlock has set `no_new_privs`, so `exec` cannot regain them.
pub(super) fn drop_capabilities() {
    let none = CapabilitySet::empty();
    let _ = set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    );
}

/// Sets resource limits for this process and its descendants.
pub(super) fn limit(more_processes: u64, open: Option<u64>) {
    let most = |resource, most| {
        let _ = setrlimit(
            resource,
            Rlimit {
                current: Some(most),
                maximum: Some(most),
            },
        );
    };
    most(Resource::Core, 0);
    most(Resource::Fsize, MAX_FILE);
    if let Some(open) = open {
        most(Resource::Nofile, open);
    }
    most(Resource::Nproc, running() + more_processes);
}

/// Counts the threads of this user, which the kernel counts against `RLIMIT_NPROC`.
fn running() -> u64 {
    let own = getuid().as_raw();
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return 0;
    };
    let threads = |entry: std::fs::DirEntry| {
        let status = std::fs::read_to_string(entry.path().join("status")).ok()?;
        let field = |name: &str| {
            status.lines().find_map(|line| {
                line.strip_prefix(name)?
                    .split_whitespace()
                    .next()?
                    .parse::<u64>()
                    .ok()
            })
        };
        (field("Uid:")? == u64::from(own))
            .then(|| field("Threads:"))
            .flatten()
    };
    entries.flatten().filter_map(threads).sum()
}

fn confine(worktree: &Path, temp: &Path) -> SandboxProtection {
    let network = without_network();
    let writable = [worktree.to_path_buf(), temp.to_path_buf()];
    let (files, missing) = ruleset_status(rules::restrict_self(rules::AccessRules {
        writable: &writable,
        readable: &[],
        tcp: false,
    }));
    SandboxProtection {
        files,
        network,
        tcp: files && rules::has_tcp(),
        sockets: sockets::deny_sockets(),
        hides: false,
        missing,
    }
}

/// Returns whether file rules are enforced and, if not, the reason.
pub(super) fn ruleset_status(kept: Result<bool, landlock::RulesetError>) -> (bool, String) {
    match kept {
        Ok(true) => (true, String::new()),
        Ok(false) => (false, "this kernel has no Landlock".to_owned()),
        Err(error) => (false, format!("Landlock: {error}")),
    }
}

/// Moves this single-threaded process into an empty network namespace.
#[expect(
    deprecated,
    reason = "marked so for the flag that parts the file table, which is not used"
)]
fn without_network() -> bool {
    let (user, group) = (getuid().as_raw(), rustix::process::getgid().as_raw());
    if rustix::thread::unshare(UnshareFlags::NEWNET).is_ok() {
        return true;
    }
    if rustix::thread::unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNET).is_err() {
        return false;
    }
    let _ = std::fs::write("/proc/self/setgroups", "deny");
    let _ = std::fs::write("/proc/self/uid_map", format!("{user} {user} 1"));
    let _ = std::fs::write("/proc/self/gid_map", format!("{group} {group} 1"));
    true
}
