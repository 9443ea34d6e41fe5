//! A repository's catalog in `.phasedeck/`: workflows, personas and artifact schemas.
//!
//! Its author is not the operator. All files are therefore read once, within limits and without
//! following links, and identified by one hash. They are used only if the operator has allowed that
//! hash. The bytes in use are those that were hashed, even if the files change later. Nothing else
//! in the folder is read; settings belong to the operator.
//!
//! Requesting and storing consent is left to [`trust`](crate::engine::trust).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;

use super::load::{JSON, YAML};
use super::yaml::MAX_BYTES;
use crate::engine::workspace::confined_fs;
use crate::engine::workspace::confined_fs::ConfinedFsError;
use crate::model::error::{Code, Failure, Result, SourcePlace};
use crate::model::hash::ContentHash;
use crate::model::persona::{Persona, ToolPermission, mcp_tool};

/// The folder at the top of a repository.
pub const FOLDER: &str = ".phasedeck";
/// Maximum number of files.
pub const MAX_FILES: usize = 200;
/// How deep `artifacts/` is searched: a namespace and its schemas.
const LEVELS: usize = 2;
/// Tools whose effects are not limited to the worktree.
const REACHES_OUT: &str = "execute";

/// Snapshot of the files in a repository's `.phasedeck/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryCatalog {
    /// Root of the repository.
    pub top: PathBuf,
    /// Hash of all files, to which consent applies.
    pub hash: ContentHash,
    /// By path beneath the folder, with `/`.
    pub(super) files: BTreeMap<String, String>,
    /// Files that could not be read and are excluded.
    pub(super) problems: Vec<Failure>,
}

impl RepositoryCatalog {
    /// Reads the catalog of the repository at this root; `None` if it has none.
    ///
    /// # Errors
    /// `usage_invalid` when `.phasedeck` is no folder of its own or holds more than [`MAX_FILES`];
    /// `io_failed` when it cannot be read.
    pub fn of(top: &Path) -> Result<Option<Self>> {
        let place = top.join(FOLDER);
        let refused = |obstacle: &ConfinedFsError| at(&place, Code::UsageInvalid, obstacle);
        let folder = match open(top) {
            Ok(Some(folder)) => folder,
            Ok(None) => return Ok(None),
            Err(obstacle) => return Err(refused(&obstacle)),
        };
        let mut found = DiscoveredFile {
            place: place.clone(),
            ..DiscoveredFile::default()
        };
        for (kind, endings, levels, code) in [
            ("workflows", YAML, 1, Code::WorkflowInvalid),
            ("personas", YAML, 1, Code::PersonaInvalid),
            ("artifacts", JSON, LEVELS, Code::SchemaInvalid),
        ] {
            match confined_fs::folder(&folder, [kind]) {
                Ok(dir) => found.collect(&dir, kind, endings, levels, code)?,
                Err(ConfinedFsError::Missing) => {}
                Err(obstacle) => found.problems.push(at(&place.join(kind), code, &obstacle)),
            }
        }
        if found.files.is_empty() && found.problems.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self {
            top: top.to_owned(),
            hash: identity(&found.files)?,
            files: found.files,
            problems: found.problems,
        }))
    }

    /// The paths beneath `.phasedeck/`, in order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The files of one kind: the path to tell of, and the text.
    pub(super) fn texts(&self, kind: &str) -> impl Iterator<Item = (PathBuf, &str)> {
        let of_kind = self
            .files
            .iter()
            .filter(move |(path, _)| path.split('/').next() == Some(kind));
        of_kind.map(|(path, text)| (self.top.join(FOLDER).join(path), text.as_str()))
    }
}

/// A persona that a repository brings never reaches out of its worktree unasked, whatever its file says.
pub(super) fn held(mut persona: Persona) -> Persona {
    for tool in &persona.tools {
        if (tool == REACHES_OUT || mcp_tool(tool).is_some())
            && persona.permission(tool) == ToolPermission::Auto
        {
            persona
                .permissions
                .insert(tool.clone(), ToolPermission::Ask);
        }
    }
    persona
}

fn open(top: &Path) -> Result<Option<Dir>, ConfinedFsError> {
    let top = match Dir::open_ambient_dir(top, cap_std::ambient_authority()) {
        Ok(top) => top,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match confined_fs::folder(&top, [FOLDER]) {
        Ok(folder) => Ok(Some(folder)),
        Err(ConfinedFsError::Missing) => Ok(None),
        Err(obstacle) => Err(obstacle),
    }
}

/// Names and bytes; the same in every clone, and never the hash of anything else.
fn identity(files: &BTreeMap<String, String>) -> Result<ContentHash> {
    let hashes: BTreeMap<&str, ContentHash> = files
        .iter()
        .map(|(path, text)| (path.as_str(), ContentHash::from_bytes(text.as_bytes())))
        .collect();
    ContentHash::from_canonical_json(&serde_json::json!({ "brought_by_repository": hashes }))
        .map_err(Failure::internal)
}

#[derive(Default)]
struct DiscoveredFile {
    place: PathBuf,
    files: BTreeMap<String, String>,
    problems: Vec<Failure>,
}

impl DiscoveredFile {
    fn collect(
        &mut self,
        dir: &Dir,
        path: &str,
        endings: &[&str],
        levels: usize,
        code: Code,
    ) -> Result<()> {
        let place = self.place.join(path);
        let unreadable =
            |e: std::io::Error| Failure::io(format!("cannot read folder {}", place.display()), &e);
        for entry in dir.entries().map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name();
            let is_folder = entry.file_type().map_err(unreadable)?.is_dir();
            let Some(name) = name.to_str() else {
                self.problems.push(
                    Failure::new(code, format!("a name in {} is not UTF-8", place.display()))
                        .hint("rename the file"),
                );
                continue;
            };
            let beneath = format!("{path}/{name}");
            if is_folder && levels > 1 {
                match confined_fs::folder(dir, [name]) {
                    Ok(inner) => self.collect(&inner, &beneath, endings, levels - 1, code)?,
                    Err(obstacle) => self.problems.push(at(&place.join(name), code, &obstacle)),
                }
            } else if !is_folder
                && Path::new(name)
                    .extension()
                    .and_then(|e| e.to_str())
                    .is_some_and(|ending| endings.contains(&ending))
            {
                self.read(dir, name, beneath, code);
            }
            if self.files.len() + self.problems.len() > MAX_FILES {
                let message = format!("{} holds more than {MAX_FILES} files", self.place.display());
                return Err(Failure::new(Code::UsageInvalid, message)
                    .hint("nothing of it is used; keep there only what runs need"));
            }
        }
        Ok(())
    }

    fn read(&mut self, dir: &Dir, name: &str, path: String, code: Code) {
        let read = confined_fs::read_plain(dir, name, MAX_BYTES as u64)
            .map_err(|obstacle| at(&self.place.join(&path), code, &obstacle));
        let text = read.and_then(|bytes| {
            String::from_utf8(bytes).map_err(|_| {
                let place = SourcePlace {
                    file: self.place.join(&path).display().to_string(),
                    ..SourcePlace::default()
                };
                Failure::new(code, "the file is not UTF-8 text")
                    .hint("save it as UTF-8")
                    .at(place)
            })
        });
        match text {
            Ok(text) => drop(self.files.insert(path, text)),
            Err(failure) => self.problems.push(failure),
        }
    }
}

/// Why something is not read.
fn at(path: &Path, code: Code, obstacle: &ConfinedFsError) -> Failure {
    let place = SourcePlace {
        file: path.display().to_string(),
        ..SourcePlace::default()
    };
    let message = match obstacle {
        ConfinedFsError::Io(error) => {
            return Failure::io(format!("cannot read {}", path.display()), error);
        }
        ConfinedFsError::Missing => "is gone".to_owned(),
        ConfinedFsError::Link(name) => {
            format!("'{name}' is a symbolic link, which is not followed")
        }
        ConfinedFsError::NoFolder(name) => format!("'{name}' is no folder"),
        ConfinedFsError::Folder => "is a folder".to_owned(),
        ConfinedFsError::NotPlain(why) => (*why).to_owned(),
        ConfinedFsError::TooLarge(_) => format!("the file is larger than {} KiB", MAX_BYTES / 1024),
    };
    Failure::new(code, message)
        .hint("what a repository brings is read from plain files in plain folders")
        .at(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(FOLDER).join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }

    fn brought(dir: &tempfile::TempDir) -> RepositoryCatalog {
        RepositoryCatalog::of(dir.path()).unwrap().unwrap()
    }

    #[test]
    fn a_repository_without_the_folder_or_with_other_files_alone_brings_nothing() {
        assert_eq!(RepositoryCatalog::of(repository(&[]).path()).unwrap(), None);
        assert_eq!(
            RepositoryCatalog::of(
                repository(&[("config.toml", "x = 1"), ("notes.md", "x")]).path()
            )
            .unwrap(),
            None
        );
        assert_eq!(
            RepositoryCatalog::of(Path::new("/nonexistent/shop")).unwrap(),
            None
        );
    }

    #[test]
    fn the_identity_is_of_names_and_bytes_and_the_same_in_every_clone() {
        let files = [
            ("workflows/a.yaml", "a"),
            ("artifacts/team/note@1.json", "{}"),
        ];
        let (one, two) = (repository(&files), repository(&files));
        assert_eq!(brought(&one).hash, brought(&two).hash);
        assert_eq!(
            brought(&one).paths().collect::<Vec<_>>(),
            ["artifacts/team/note@1.json", "workflows/a.yaml"]
        );
        for changed in [
            &[
                ("workflows/a.yaml", "b"),
                ("artifacts/team/note@1.json", "{}"),
            ][..],
            &[
                ("workflows/b.yaml", "a"),
                ("artifacts/team/note@1.json", "{}"),
            ],
            &[("workflows/a.yaml", "a")],
        ] {
            assert_ne!(
                brought(&one).hash,
                brought(&repository(changed)).hash,
                "{changed:?}"
            );
        }
    }

    #[test]
    fn links_pipes_and_giants_are_told_and_not_read() {
        let dir = repository(&[("workflows/good.yaml", "a")]);
        let folder = dir.path().join(FOLDER);
        std::fs::write(dir.path().join("secret.yaml"), "key").unwrap();
        std::os::unix::fs::symlink("../../secret.yaml", folder.join("workflows/link.yaml"))
            .unwrap();
        std::os::unix::fs::symlink("/etc", folder.join("personas")).unwrap();
        std::fs::hard_link(
            dir.path().join("secret.yaml"),
            folder.join("workflows/hard.yaml"),
        )
        .unwrap();
        std::fs::write(
            folder.join("workflows/huge.yaml"),
            vec![b'a'; MAX_BYTES + 1],
        )
        .unwrap();
        let brought = brought(&dir);
        assert_eq!(brought.paths().collect::<Vec<_>>(), ["workflows/good.yaml"]);
        let mut told: Vec<String> = brought
            .problems
            .iter()
            .map(|failure| failure.message.clone())
            .collect();
        told.sort();
        assert_eq!(
            told,
            [
                "'personas' is a symbolic link, which is not followed",
                "has a second name (a hard link)",
                "is a symbolic link",
                "the file is larger than 256 KiB",
            ]
        );
    }

    #[test]
    fn a_folder_that_is_a_link_or_overflows_is_refused_as_a_whole() {
        let elsewhere = repository(&[("workflows/a.yaml", "a")]);
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path().join(FOLDER), dir.path().join(FOLDER)).unwrap();
        assert_eq!(
            RepositoryCatalog::of(dir.path()).unwrap_err().code,
            Code::UsageInvalid
        );
        let many: Vec<String> = (0..=MAX_FILES)
            .map(|n| format!("workflows/{n}.yaml"))
            .collect();
        let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "a")).collect();
        assert_eq!(
            RepositoryCatalog::of(repository(&many).path())
                .unwrap_err()
                .code,
            Code::UsageInvalid
        );
        assert!(
            RepositoryCatalog::of(repository(&many[..MAX_FILES]).path())
                .unwrap()
                .is_some()
        );
    }

    #[test]
    fn what_reaches_out_of_the_worktree_asks() {
        let tools = ["read_file", "execute", "mcp:tracker", "mcp:tracker/close"];
        let text = "name: a\nversion: 1\nbackend: openai\ntools: [read_file, execute, 'mcp:tracker', 'mcp:tracker/close']\n\
                    permissions: {execute: auto, 'mcp:tracker/close': deny}\n";
        let persona = held(super::super::persona::read(text, "a.yaml").unwrap());
        let permissions = tools.map(|tool| persona.permission(tool));
        assert_eq!(
            permissions,
            [
                ToolPermission::Auto,
                ToolPermission::Ask,
                ToolPermission::Ask,
                ToolPermission::Deny
            ]
        );
    }
}
