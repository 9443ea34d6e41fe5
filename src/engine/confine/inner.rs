//! The process that becomes the command: it takes everything away from itself first.
//!
//! Each protection is taken where the kernel has it; which ones it has is printed when there is no
//! command to become. Reading is an allow-list too, because the operator's keys are files: the home
//! folder is closed but for what compilers and package managers keep there.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError,
    RulesetStatus, Scope, path_beneath_rules,
};
use rustix::process::{Resource, Rlimit, Signal, getuid, set_parent_process_death_signal, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, UnshareFlags, set_capabilities};

use super::Protection;

/// The newest interface that is asked for; an older kernel gives what it has.
const NEWEST: ABI = ABI::V6;
/// What a file may grow to, in bytes.
const MAX_FILE: u64 = 1 << 30;
const MAX_OPEN: u64 = 1024;
/// How many processes and threads a command may have beside those that the user has already.
const MAX_MORE_PROCESSES: u64 = 512;
const NO_COMMAND: u8 = 126;
/// What may be read of a home folder, besides the worktree.
const READABLE_AT_HOME: &[&str] = &[
    ".cargo/bin",
    ".cargo/registry",
    ".cargo/git",
    ".cargo/env",
    ".rustup",
    ".local/bin",
    ".local/lib",
    ".local/share/uv",
    ".nvm",
    ".pyenv",
    ".rbenv",
    ".sdkman",
    ".npm",
    ".m2/repository",
    ".gradle/caches",
    "go",
    ".bun/bin",
    ".deno/bin",
    ".volta",
];
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// Confines this process, then becomes the command, or says what is in force.
pub(super) fn serve(worktree: &Path, temp: &Path, command: Option<&OsString>) -> u8 {
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    limit();
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
fn drop_capabilities() {
    let none = CapabilitySet::empty();
    let _ = set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none });
}

fn limit() {
    let most = |resource, most| {
        let _ = setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    };
    most(Resource::Core, 0);
    most(Resource::Fsize, MAX_FILE);
    most(Resource::Nofile, MAX_OPEN);
    most(Resource::Nproc, running() + MAX_MORE_PROCESSES);
}

/// Threads of this user, which the kernel counts against the limit.
fn running() -> u64 {
    let own = getuid().as_raw();
    let Ok(entries) = std::fs::read_dir("/proc") else { return 0 };
    let threads = |entry: std::fs::DirEntry| {
        let status = std::fs::read_to_string(entry.path().join("status")).ok()?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse::<u64>().ok());
        (field("Uid:")? == u64::from(own)).then(|| field("Threads:")).flatten()
    };
    entries.flatten().filter_map(threads).sum()
}

fn confine(worktree: &Path, temp: &Path) -> Protection {
    let network = without_network();
    let (files, tcp, missing) = match landlocked(worktree, temp) {
        Ok(true) => (true, true, String::new()),
        Ok(false) => (false, false, "this kernel has no Landlock".to_owned()),
        Err(error) => (false, false, format!("Landlock: {error}")),
    };
    Protection { files, network, tcp: tcp && has_tcp_rules(), missing }
}

/// Leaves the network behind: this process has one thread, and nothing of it is shared with any.
#[expect(deprecated, reason = "marked so for the flag that parts the file table, which is not used")]
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

/// Whether the kernel knows rules about TCP: a set that insists on them can be made.
fn has_tcp_rules() -> bool {
    let made = Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(AccessNet::from_all(ABI::V4));
    made.and_then(Ruleset::create).is_ok()
}

fn landlocked(worktree: &Path, temp: &Path) -> Result<bool, RulesetError> {
    let (all, read) = (AccessFs::from_all(NEWEST), AccessFs::from_read(NEWEST));
    let device = AccessFs::ReadFile | AccessFs::WriteFile;
    let status = Ruleset::default()
        .handle_access(all)?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .add_rules(path_beneath_rules(readable(), read))?
        .add_rules(path_beneath_rules(DEVICES, device))?
        .add_rules(path_beneath_rules([worktree, temp], all))?
        .restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

/// Everything beneath the root but homes and shared temp folders, and of the home what tools need.
fn readable() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    let homes = home.as_ref().and_then(|home| home.components().nth(1)).map(|first| Path::new("/").join(first));
    let closed = |path: &Path| {
        Some(path) == homes.as_deref() || ["/home", "/root", "/tmp", "/media", "/mnt"].iter().any(|name| path == Path::new(name))
    };
    let roots = std::fs::read_dir("/").into_iter().flatten().flatten().map(|entry| entry.path()).filter(|path| !closed(path));
    let at_home = home.iter().flat_map(|home| READABLE_AT_HOME.iter().map(move |name| home.join(name)));
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo = cargo.iter().flat_map(|cargo| ["bin", "registry", "git"].iter().map(move |name| cargo.join(name)));
    let named = ["RUSTUP_HOME", "GOROOT", "JAVA_HOME", "NVM_DIR", "PYENV_ROOT", "VIRTUAL_ENV"].iter();
    roots.chain(at_home).chain(cargo).chain(named.filter_map(std::env::var_os).map(PathBuf::from)).filter(|path| path.exists()).collect()
}
