//! What an agent program may reach on this machine while it works: the fence of one life of a program.
//!
//! It writes beneath the worktree, a temp folder of its own, and the folders where programs of its kind
//! keep their settings, logins and sessions. It reads what tools need, its own installation, and the
//! repository's objects. Nothing of this is taken from the worktree, which an agent can change.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::engine::agent::program::AgentLaunch;
use crate::engine::sandbox::ProgramSandbox;
use crate::model::error::{Code, Failure, Result};

/// A place where a program keeps what is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnedPath {
    /// A folder in the home.
    Home(&'static str),
    /// A file in the home; it is not made.
    HomeFile(&'static str),
    /// The folder that a variable names, else this one in the home.
    Named(&'static str, &'static str),
    /// A folder of this name among those for settings, data, state and caches.
    Everywhere(&'static str),
}

/// The folders that [`OwnedPath::Everywhere`] means: the variable that names them, and where they are without it.
const XDG: [(&str, &str); 4] = [
    ("XDG_CONFIG_HOME", ".config"),
    ("XDG_DATA_HOME", ".local/share"),
    ("XDG_STATE_HOME", ".local/state"),
    ("XDG_CACHE_HOME", ".cache"),
];
/// Files of the home that git and package managers read; none of them holds keys.
const READABLE: [&str; 3] = [".gitconfig", ".config/git/config", ".config/git/ignore"];
/// Variables that name files with certificates.
const CERTIFICATES: [&str; 2] = ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"];

/// What a program sees of the variables that matter here.
struct EnvironmentVariables(BTreeMap<OsString, OsString>);

impl EnvironmentVariables {
    fn folder(&self, name: &str) -> Option<PathBuf> {
        self.0
            .get(&OsString::from(name))
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    }
}

/// What a fence is made of, beside the program itself.
pub struct SandboxPaths<'a> {
    /// Where programs of its kind keep what is their own.
    pub own: &'a [OwnedPath],
    /// What the settings add to that.
    pub more: &'a [String],
    /// Where it works.
    pub worktree: &'a Path,
    /// Its folder for temporary files.
    pub temp: &'a Path,
    /// Where the repository's refs and objects lie.
    pub repository: Option<&'a Path>,
    /// What a program may look for beside the worktree: there it finds what is there, or that it is hidden.
    pub looked_for: &'a [PathBuf],
}

/// The fence of a program. Its own folders are made where they are not there yet:
/// what is not there cannot be opened to it.
#[must_use]
pub fn fence(launch: &AgentLaunch, grounds: &SandboxPaths<'_>) -> ProgramSandbox {
    let variables = EnvironmentVariables(launch.variables().into_iter().collect());
    let home = variables.folder("HOME");
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    for place in grounds.own {
        match place {
            OwnedPath::Home(name) => folders.extend(home.as_ref().map(|home| home.join(name))),
            OwnedPath::HomeFile(name) => files.extend(home.as_ref().map(|home| home.join(name))),
            OwnedPath::Named(variable, name) => {
                folders.extend(
                    variables
                        .folder(variable)
                        .or_else(|| home.as_ref().map(|home| home.join(name))),
                );
            }
            OwnedPath::Everywhere(name) => {
                folders.extend(XDG.iter().filter_map(|(variable, usual)| {
                    Some(
                        variables
                            .folder(variable)
                            .or_else(|| home.as_ref().map(|home| home.join(usual)))?
                            .join(name),
                    )
                }))
            }
        }
    }
    files.extend(
        grounds
            .more
            .iter()
            .filter_map(|path| named(path, home.as_deref())),
    );
    for folder in &folders {
        // One that cannot be made cannot be written by the program either, which will say so.
        let _ = std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder);
    }
    let writable = [grounds.worktree, grounds.temp]
        .map(Path::to_path_buf)
        .into_iter()
        .chain(folders)
        .chain(files)
        .collect();
    let mut readable = installation(&launch.program, home.as_deref());
    readable.extend(
        home.iter()
            .flat_map(|home| READABLE.iter().map(move |name| home.join(name))),
    );
    readable.extend(
        CERTIFICATES
            .iter()
            .filter_map(|name| variables.folder(name)),
    );
    readable.extend_from_slice(grounds.looked_for);
    readable.extend(grounds.repository.map(Path::to_path_buf));
    ProgramSandbox {
        writable,
        readable,
        ..ProgramSandbox::default()
    }
}

/// What is there of the files that a repository brings along for a program, all of it within the worktree.
///
/// # Errors
/// `backend_unavailable` for one that leads out of it: what lies there is not the repository's to hide.
pub fn brought_along<'a>(
    worktree: &Path,
    names: impl Iterator<Item = &'a str>,
) -> Result<Vec<PathBuf>> {
    let root = really(worktree)?;
    let (found, out): (Vec<_>, Vec<_>) =
        there(&root, names).partition(|(_, real)| leads_within(real, &root));
    match out.into_iter().next() {
        None => Ok(found.into_iter().map(|(_, real)| real).collect()),
        Some((name, real)) => {
            let words = format!(
                "'{name}' of the repository leads out of it, to {}",
                real.display()
            );
            Err(Failure::new(Code::BackendUnavailable, words)
                .hint("the agent program would take it for its settings; remove it from the run's worktree, then approve"))
        }
    }
}

/// The same in the operator's own checkout of the repository, which some programs look into from a worktree
/// of it. What leads out of it is the operator's own doing.
#[must_use]
pub fn in_the_checkout<'a>(
    repository: Option<&Path>,
    names: impl Iterator<Item = &'a str>,
) -> Vec<PathBuf> {
    let checkout = repository
        .filter(|folder| folder.ends_with(".git"))
        .and_then(Path::parent);
    let Some(root) = checkout.and_then(|checkout| really(checkout).ok()) else {
        return Vec::new();
    };
    there(&root, names)
        .map(|(_, real)| real)
        .filter(|real| leads_within(real, &root))
        .collect()
}

fn really(folder: &Path) -> Result<PathBuf> {
    folder
        .canonicalize()
        .map_err(|error| Failure::io("the worktree cannot be looked at", &error))
}

/// What is there of `names` in a folder, as it really is. A link that leads nowhere is not there.
fn there<'a>(
    root: &Path,
    names: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = (&'a str, PathBuf)> {
    names.filter_map(|name| Some((name, root.join(name).canonicalize().ok()?)))
}

fn leads_within(real: &Path, root: &Path) -> bool {
    real != root && real.starts_with(root)
}

/// A path of the settings.
fn named(path: &str, home: Option<&Path>) -> Option<PathBuf> {
    match path.strip_prefix("~/") {
        Some(rest) => home.map(|home| home.join(rest)),
        None => Some(PathBuf::from(path)).filter(|path| path.is_absolute()),
    }
}

/// Where a program and what it is made of lie: its folder, as it is named and as it really is, and the
/// whole tree of packages or the environment that it is part of.
fn installation(program: &Path, home: Option<&Path>) -> Vec<PathBuf> {
    let real = program
        .canonicalize()
        .unwrap_or_else(|_| program.to_path_buf());
    let mut found = Vec::new();
    for path in [program, &real] {
        let packages = path
            .ancestors()
            .filter(|folder| folder.ends_with("node_modules"))
            .last();
        let environment = path
            .ancestors()
            .skip(1)
            .find(|folder| folder.join("pyvenv.cfg").is_file());
        let folder = path.parent();
        // The home itself is never opened by way of a program that lies in it.
        let fits = |folder: &&Path| home.is_none_or(|home| !home.starts_with(folder));
        let around = [packages, environment, folder]
            .into_iter()
            .flatten()
            .filter(fits)
            .map(Path::to_path_buf);
        found.extend(around.chain([path.to_path_buf()]));
    }
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(program: &Path, env: &[(&str, &Path)]) -> AgentLaunch {
        let env = env
            .iter()
            .map(|(name, path)| ((*name).to_owned(), path.to_string_lossy().into_owned()))
            .collect();
        AgentLaunch {
            program: program.to_path_buf(),
            args: Vec::new(),
            env,
            pass_env: Vec::new(),
            fence: None,
        }
    }

    #[test]
    fn a_program_writes_its_worktree_and_what_is_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let (home, data) = (dir.path().join("home"), dir.path().join("data"));
        let launch = launch(
            Path::new("/usr/bin/env"),
            &[
                ("HOME", &home),
                ("XDG_DATA_HOME", &data),
                ("MINE", &dir.path().join("mine")),
            ],
        );
        let own = [
            OwnedPath::Home(".a"),
            OwnedPath::HomeFile(".a.json"),
            OwnedPath::Named("MINE", ".b"),
            OwnedPath::Named("NOT_SET_HERE", ".c"),
            OwnedPath::Everywhere("e"),
        ];
        let more = [
            "~/.more".to_owned(),
            "/srv/more".to_owned(),
            "relative".to_owned(),
        ];
        let (worktree, temp, repository) = (
            Path::new("/w"),
            Path::new("/t"),
            Some(Path::new("/repo/.git")),
        );
        let fence = fence(
            &launch,
            &SandboxPaths {
                own: &own,
                more: &more,
                worktree,
                temp,
                repository,
                looked_for: &[],
            },
        );
        let written = fence.writable;
        let has = |path: PathBuf| written.contains(&path);
        assert!(
            has("/w".into())
                && has("/t".into())
                && has("/srv/more".into())
                && has(home.join(".more"))
        );
        assert!(
            has(home.join(".a"))
                && has(home.join(".a.json"))
                && has(dir.path().join("mine"))
                && has(home.join(".c"))
        );
        assert!(has(data.join("e")), "{written:?}");
        assert!(
            home.join(".a").is_dir()
                && !home.join(".a.json").exists()
                && !home.join(".more").exists()
        );
        assert!(
            written
                .iter()
                .all(|path| *path != home && !path.ends_with("relative")),
            "{written:?}"
        );
        assert!(
            fence.readable.contains(&PathBuf::from("/repo/.git"))
                && fence.readable.contains(&PathBuf::from("/usr/bin"))
        );
    }

    #[test]
    fn an_installation_is_the_packages_around_a_program_and_never_the_home() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        for folder in [
            "lib/node_modules/tool/node_modules/inner/dist",
            "bin",
            "venv/bin",
        ] {
            std::fs::create_dir_all(home.join(folder)).unwrap();
        }
        let script = home.join("lib/node_modules/tool/node_modules/inner/dist/run.js");
        std::fs::write(&script, "").unwrap();
        std::fs::write(home.join("venv/pyvenv.cfg"), "").unwrap();
        std::os::unix::fs::symlink(&script, home.join("bin/tool")).unwrap();
        let found = installation(&home.join("bin/tool"), Some(&home));
        assert!(
            found.contains(&home.join("lib/node_modules")) && found.contains(&home.join("bin")),
            "{found:?}"
        );
        assert!(
            installation(&home.join("venv/bin/tool"), Some(&home)).contains(&home.join("venv"))
        );
        let alone = installation(&home.join("tool"), Some(&home));
        assert_eq!(
            alone,
            [home.join("tool")],
            "a program that lies in the home opens itself alone"
        );
    }

    #[test]
    fn what_a_repository_brings_along_is_found_within_it_and_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("tools")).unwrap();
        std::fs::write(root.join("settings.json"), "{}").unwrap();
        for (name, to) in [
            (".inside", "tools"),
            (".nowhere", "not-there"),
            (".outside", "/usr"),
            (".self", "."),
        ] {
            std::os::unix::fs::symlink(to, root.join(name)).unwrap();
        }
        let found = |name: &str| brought_along(&root, [name].into_iter());
        assert_eq!(
            found("settings.json").unwrap(),
            [root.join("settings.json")]
        );
        assert_eq!(found(".inside").unwrap(), [root.join("tools")]);
        assert_eq!(found(".nowhere").unwrap(), Vec::<PathBuf>::new());
        for out in [".outside", ".self", "../.."] {
            assert_eq!(
                found(out).unwrap_err().code,
                Code::BackendUnavailable,
                "{out}"
            );
        }
        std::fs::create_dir(root.join(".git")).unwrap();
        let checkout = in_the_checkout(
            Some(&root.join(".git")),
            ["settings.json", ".outside", "gone"].into_iter(),
        );
        assert_eq!(checkout, [root.join("settings.json")]);
        assert!(
            in_the_checkout(Some(&root.join("bare")), ["settings.json"].into_iter()).is_empty()
                && in_the_checkout(None, [].into_iter()).is_empty()
        );
    }
}
