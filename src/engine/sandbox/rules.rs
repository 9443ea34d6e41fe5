//! Landlock rules: which files a confined process may read and write.
//!
//! Reading is an allow-list as well, because API keys are files. In the home folder only the data
//! of compilers, package managers and interpreters is readable. Shared temporary folders are
//! denied, and of the devices only those without state are allowed.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

/// Newest Landlock ABI requested; an older kernel enforces the subset it supports.
const NEWEST: ABI = ABI::V6;
/// Denied folders beneath the root, besides the one that contains the home folder.
const CLOSED: &[&str] = &["/dev", "/home", "/root", "/tmp", "/media", "/mnt"];
/// Readable paths in the home folder.
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
/// Environment variables that name tool folders.
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

/// Access rights of a confined process.
#[derive(Clone, Copy, Debug)]
pub(super) struct AccessRules<'a> {
    /// Full access beneath these paths.
    pub writable: &'a [PathBuf],
    /// Additional readable paths.
    pub readable: &'a [PathBuf],
    pub tcp: bool,
}

/// Restricts this process and its descendants; returns whether the kernel enforces the rules.
///
/// # Errors
/// The error of the Landlock system calls.
pub(super) fn restrict_self(reach: AccessRules<'_>) -> Result<bool, RulesetError> {
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

/// Returns whether the kernel supports TCP rules, by creating a ruleset that requires them.
pub(super) fn has_tcp() -> bool {
    let made = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessNet::from_all(ABI::V4));
    made.and_then(Ruleset::create).is_ok()
}

/// Returns the readable paths: everything beneath the root that is not denied, and tool data in the
/// home folder.
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
