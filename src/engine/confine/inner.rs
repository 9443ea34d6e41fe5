//! The process that becomes the command: it takes everything away from itself first.
//!
//! Each protection is taken where the kernel has it; which ones it has is printed when there is no
//! command to become. Which files it may reach is told in `rules`, which sockets in `sockets`.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use rustix::process::{
    Resource, Rlimit, Signal, getuid, set_parent_process_death_signal, setrlimit,
};
use rustix::thread::{CapabilitySet, CapabilitySets, UnshareFlags, set_capabilities};

use super::{Protection, rules, sockets};

/// What a file may grow to, in bytes.
const MAX_FILE: u64 = 1 << 30;
const MAX_OPEN: u64 = 1024;
/// How many processes and threads a command may have beside those that the user has already.
pub(super) const MAX_MORE_PROCESSES: u64 = 512;
const NO_COMMAND: u8 = 126;

/// Confines this process, then becomes the command, or says what is in force.
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

/// What an administrator may do beyond others goes: with it the keys in other processes could be read.
/// Landlock has seen to it that becoming the command gives nothing back.
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

/// Bounds what this process and all that it begins may use.
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

/// Threads of this user, which the kernel counts against the limit.
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

fn confine(worktree: &Path, temp: &Path) -> Protection {
    let network = without_network();
    let writable = [worktree.to_path_buf(), temp.to_path_buf()];
    let (files, missing) = kept(rules::keep_within(rules::Reach {
        writable: &writable,
        readable: &[],
        tcp: false,
    }));
    Protection {
        files,
        network,
        tcp: files && rules::has_tcp(),
        sockets: sockets::take_away(),
        hides: false,
        missing,
    }
}

/// Whether the files are kept, and why not.
pub(super) fn kept(kept: Result<bool, landlock::RulesetError>) -> (bool, String) {
    match kept {
        Ok(true) => (true, String::new()),
        Ok(false) => (false, "this kernel has no Landlock".to_owned()),
        Err(error) => (false, format!("Landlock: {error}")),
    }
}

/// Leaves the network behind: this process has one thread, and nothing of it is shared with any.
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
