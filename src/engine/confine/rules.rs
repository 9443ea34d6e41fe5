//! Which files a confined process may read and write, told to the kernel.
//!
//! Reading is an allow-list too, because the operator's keys are files: the home folder is closed but
//! for what compilers, package managers and interpreters keep there, shared temp folders are closed,
//! and of the devices only those without memory are there.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

/// The newest interface that is asked for; an older kernel gives what it has.
const NEWEST: ABI = ABI::V6;
/// What is closed of the root, beside the folder that the home lies in.
const CLOSED: &[&str] = &["/dev", "/home", "/root", "/tmp", "/media", "/mnt"];
/// What may be read of a home folder, besides what is named.
const READABLE_AT_HOME: &[&str] = &[
    ".asdf",
    ".bun",
    ".cargo/bin",
    ".cargo/registry",
    ".cargo/git",
    ".cargo/env",
    ".deno/bin",
    ".gradle/caches",
    ".local/bin",
    ".local/lib",
    ".local/share/fnm",
    ".local/share/mise",
    ".local/share/pnpm",
    ".local/share/uv",
    ".m2/repository",
    ".npm",
    ".npm-global",
    ".nvm",
    ".pyenv",
    ".rbenv",
    ".rustup",
    ".sdkman",
    ".volta",
    "go",
];
/// Variables that name folders of tools.
const NAMED: &[&str] = &[
    "RUSTUP_HOME",
    "GOROOT",
    "JAVA_HOME",
    "NVM_DIR",
    "PYENV_ROOT",
    "VIRTUAL_ENV",
];
const DEVICES: &[&str] = &[
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
];

/// What a process may reach.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach<'a> {
    /// Beneath these it may do everything.
    pub writable: &'a [PathBuf],
    /// These it may read, besides what everybody may.
    pub readable: &'a [PathBuf],
    /// Whether it may use TCP.
    pub tcp: bool,
}

/// Keeps this process and all that it begins within reach; says whether the kernel does.
///
/// # Errors
/// What the kernel says.
pub(super) fn keep_within(reach: Reach<'_>) -> Result<bool, RulesetError> {
    let (all, read) = (AccessFs::from_all(NEWEST), AccessFs::from_read(NEWEST));
    let device = AccessFs::ReadFile | AccessFs::WriteFile;
    let rules = Ruleset::default().handle_access(all)?;
    let rules = if reach.tcp {
        rules
    } else {
        rules.handle_access(AccessNet::from_all(NEWEST))?
    };
    let status = rules
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .add_rules(path_beneath_rules(readable(), read))?
        .add_rules(path_beneath_rules(reach.readable, read))?
        .add_rules(path_beneath_rules(DEVICES, device))?
        .add_rules(path_beneath_rules(reach.writable, all))?
        .restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

/// Whether the kernel knows rules about TCP: a set that insists on them can be made.
pub(super) fn has_tcp() -> bool {
    let made = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessNet::from_all(ABI::V4));
    made.and_then(Ruleset::create).is_ok()
}

/// Everything beneath the root but what is closed, and of the home what tools need.
fn readable() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .filter(|home| home.is_absolute());
    let homes = home
        .as_ref()
        .and_then(|home| home.components().nth(1))
        .map(|first| Path::new("/").join(first));
    let closed = |path: &Path| {
        Some(path) == homes.as_deref() || CLOSED.iter().any(|name| path == Path::new(name))
    };
    let roots = std::fs::read_dir("/")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| !closed(path));
    let at_home = home
        .iter()
        .flat_map(|home| READABLE_AT_HOME.iter().map(move |name| home.join(name)));
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo = cargo.iter().flat_map(|cargo| {
        ["bin", "registry", "git"]
            .iter()
            .map(move |name| cargo.join(name))
    });
    let named = NAMED.iter().filter_map(std::env::var_os).map(PathBuf::from);
    roots
        .chain(at_home)
        .chain(cargo)
        .chain(named)
        .chain([PathBuf::from("/home/linuxbrew")])
        .filter(|path| path.exists())
        .collect()
}
