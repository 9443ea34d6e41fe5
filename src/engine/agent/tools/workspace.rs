//! The worktree as the tools see it: one open folder [from which every file is reached](beneath),
//! what can be read, replaced, listed and searched in it, and the words where something cannot.
//!
//! What was opened is checked after opening, not before, so a path that is swapped in between can
//! only make the call fail.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::fs::{Dir, Metadata};

use super::ToolError;
use super::path::{WorktreePath, refused};
use crate::engine::workspace::confined_fs;
use crate::engine::workspace::confined_fs::ConfinedFsError;
use crate::engine::workspace::write_quota::WriteQuota;
use crate::model::error::Result;
use crate::model::worktree_path;

/// The largest file that is read or written, in bytes.
pub(super) const MAX_FILE_BYTES: u64 = 10 * 1024 * 1024;

/// Folders that hold what tools make and fetch; a search passes them by unless it begins there.
const HEAVY: [&str; 10] = [
    "target",
    "node_modules",
    ".venv",
    "venv",
    "__pycache__",
    ".mypy_cache",
    ".pytest_cache",
    ".tox",
    ".gradle",
    ".next",
];

const MAX_WALKED: usize = 50_000;
const MAX_DEPTH: usize = 64;

/// One open worktree.
pub(super) struct ToolWorkspace {
    root: Arc<Dir>,
    names: Vec<PathBuf>,
    growth: Option<Arc<WriteQuota>>,
}

/// What a folder holds under one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum EntryKind {
    /// A folder.
    Folder,
    /// A regular file.
    File,
    /// A link, a pipe, a device: nothing a tool touches.
    Other,
}

/// The files beneath a folder, sorted.
pub(super) struct WalkedTree {
    /// Regular files.
    pub files: Vec<WorktreePath>,
    /// Whether there were too many to look at.
    pub cut: bool,
}

impl ToolWorkspace {
    /// Opens the worktree.
    ///
    /// # Errors
    /// `worktree_missing` when there is no such folder, `io_failed` when it cannot be opened.
    pub(super) fn open(worktree: &Path) -> Result<Self> {
        let root = confined_fs::open_worktree(worktree)?;
        let mut names = vec![worktree.to_path_buf()];
        names.extend(worktree.canonicalize().ok().filter(|real| real != worktree));
        Ok(Self {
            root: Arc::new(root),
            names,
            growth: None,
        })
    }

    /// The same worktree for other hands.
    pub(super) fn again(&self) -> Self {
        Self {
            root: Arc::clone(&self.root),
            names: self.names.clone(),
            growth: self.growth.clone(),
        }
    }

    /// Has what is written counted there.
    pub(super) fn count(&mut self, growth: Arc<WriteQuota>) {
        self.growth = Some(growth);
    }

    /// Has what is written to this folder counted too.
    pub(super) fn count_also(&self, folder: &Path) {
        if let Some(growth) = &self.growth {
            growth.add_folder(folder);
        }
    }

    /// The worktree's folder, absolute.
    pub(super) fn folder(&self) -> &Path {
        &self.names[0]
    }

    /// Reads a path as an agent wrote it.
    ///
    /// # Errors
    /// A refusal by the grammar.
    pub(super) fn path(&self, text: &str) -> Result<WorktreePath, ToolError> {
        WorktreePath::parse(text, &self.names).map_err(ToolError::Refused)
    }

    /// Whether a regular file lies at `path`.
    pub(super) fn has_file(&self, path: &str) -> bool {
        let found = self.path(path).and_then(|path| self.kind(&path));
        matches!(found, Ok(Some(EntryKind::File)))
    }

    /// What lies at `path`; absent when nothing does.
    ///
    /// # Errors
    /// A refusal when a link stands above it; words when it cannot be looked at.
    pub(super) fn kind(&self, path: &WorktreePath) -> Result<Option<EntryKind>, ToolError> {
        let Some((parents, name)) = path.split() else {
            return Ok(Some(EntryKind::Folder));
        };
        let Some(dir) = self.folder_of(path, parents)? else {
            return Ok(None);
        };
        match dir.symlink_metadata(name) {
            Ok(metadata) => Ok(Some(kind_of(&metadata))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ToolError::io(path, &error)),
        }
    }

    /// Reads a whole file.
    ///
    /// # Errors
    /// A refusal for links, pipes and devices; words for a folder, a file too large or not there.
    pub(super) fn read(&self, path: &WorktreePath) -> Result<Vec<u8>, ToolError> {
        let Some((parents, name)) = path.split() else {
            return Err(is_folder(path));
        };
        let dir = self
            .folder_of(path, parents)?
            .ok_or_else(|| missing(path))?;
        confined_fs::read_plain(&dir, name, MAX_FILE_BYTES).map_err(|obstacle| told(path, obstacle))
    }

    /// Puts `content` at `path`, whole or not at all, making the folders above. Says whether a file
    /// was there before; its mode is kept.
    ///
    /// # Errors
    /// A refusal for links, pipes and devices; words for a folder, too much content or a full disk.
    pub(super) fn write(&self, path: &WorktreePath, content: &[u8]) -> Result<bool, ToolError> {
        if content.len() as u64 > MAX_FILE_BYTES {
            return Err(ToolError::Fault(format!(
                "the content for '{}' is {} bytes; the limit is 10 MiB",
                path.shown(),
                content.len()
            )));
        }
        let Some((parents, name)) = path.split() else {
            return Err(is_folder(path));
        };
        self.no_twin(path)?;
        let dir = confined_fs::made_folder(&self.root, parents.iter().map(String::as_str))
            .map_err(|obstacle| told(path, obstacle))?;
        let before = match confined_fs::open_plain(&dir, name) {
            Ok((_, metadata)) => Some(metadata),
            Err(ConfinedFsError::Missing) => None,
            Err(obstacle) => return Err(told(path, obstacle)),
        };
        // A name of its own for each call: a tool that nobody waits for any more may still be writing.
        let temporary = format!(".phasedeck-{}.tmp", uuid::Uuid::new_v4().simple());
        confined_fs::replace(&dir, name, content, &temporary, before.as_ref())
            .map_err(|error| ToolError::io(path, &error))?;
        if let Some(growth) = &self.growth {
            growth.add_written(
                (content.len() as u64).saturating_sub(before.as_ref().map_or(0, Metadata::len)),
            );
        }
        Ok(before.is_some())
    }

    /// Keeps new names apart from those that are there: what differs in capitals only is one file on some systems.
    fn no_twin(&self, path: &WorktreePath) -> Result<(), ToolError> {
        let mut dir = self
            .root
            .try_clone()
            .map_err(|error| ToolError::io(path, &error))?;
        for part in path.parts() {
            if dir.symlink_metadata(part).is_err() {
                let names = names_in(&dir).unwrap_or_default();
                let twin = names
                    .into_iter()
                    .find(|(_, name)| worktree_path::differ_in_case_only(name, part));
                return twin.map_or(Ok(()), |(_, name)| Err(is_twin(path, part, &name)));
            }
            // What stands in the way is told by whoever goes that way.
            let Ok(next) = confined_fs::folder(&dir, [part.as_str()]) else {
                return Ok(());
            };
            dir = next;
        }
        Ok(())
    }

    /// The names in a folder, folders first, each group sorted; git's own is left out.
    ///
    /// # Errors
    /// A refusal when a link stands in the way; words when it is no folder or not there.
    pub(super) fn list(&self, path: &WorktreePath) -> Result<Vec<(EntryKind, String)>, ToolError> {
        let dir = self
            .folder_of(path, path.parts())?
            .ok_or_else(|| missing(path))?;
        let mut names = names_in(&dir).map_err(|error| ToolError::io(path, &error))?;
        names.sort();
        Ok(names)
    }

    /// Every regular file beneath a folder, without git's own and the heavy folders.
    ///
    /// # Errors
    /// As [`list`](Self::list), for the folder it begins in; what cannot be read below is left out.
    pub(super) fn walk(&self, from: &WorktreePath) -> Result<WalkedTree, ToolError> {
        let top = self
            .folder_of(from, from.parts())?
            .ok_or_else(|| missing(from))?;
        let (mut files, mut folders, mut seen, mut cut) = (Vec::new(), Vec::new(), 0, false);
        // Folders wait as paths, not open: a wide worktree would use up the process's files.
        let mut next = Some((from.clone(), top));
        while let Some((path, dir)) = next {
            for (kind, name) in names_in(&dir).unwrap_or_default() {
                seen += 1;
                let below = path.join(&name);
                match kind {
                    _ if seen > MAX_WALKED || below.parts().len() > MAX_DEPTH => cut = true,
                    EntryKind::File => files.push(below),
                    EntryKind::Folder if !HEAVY.contains(&name.as_str()) => folders.push(below),
                    EntryKind::Folder | EntryKind::Other => {}
                }
            }
            next = self.next_folder(&mut folders);
        }
        files.sort_by(|a, b| a.parts().cmp(b.parts()));
        Ok(WalkedTree { files, cut })
    }

    /// The last of `folders` that can still be opened.
    fn next_folder(&self, folders: &mut Vec<WorktreePath>) -> Option<(WorktreePath, Dir)> {
        while let Some(path) = folders.pop() {
            if let Ok(Some(dir)) = self.folder_of(&path, path.parts()) {
                return Some((path, dir));
            }
        }
        None
    }

    /// The folder that `parts` lead to; absent when one of them is not there.
    fn folder_of(&self, path: &WorktreePath, parts: &[String]) -> Result<Option<Dir>, ToolError> {
        match confined_fs::folder(&self.root, parts.iter().map(String::as_str)) {
            Ok(dir) => Ok(Some(dir)),
            Err(ConfinedFsError::Missing) => Ok(None),
            Err(obstacle) => Err(told(path, obstacle)),
        }
    }
}

fn names_in(dir: &Dir) -> std::io::Result<Vec<(EntryKind, String)>> {
    let mut names = Vec::new();
    for entry in dir.entries()? {
        let entry = entry?;
        // A name that is no UTF-8 cannot be said in JSON, so no tool could ask for it.
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if worktree_path::is_git(&name) {
            continue;
        }
        let kind = entry.file_type()?;
        let kind = if kind.is_dir() {
            EntryKind::Folder
        } else if kind.is_file() {
            EntryKind::File
        } else {
            EntryKind::Other
        };
        names.push((kind, name));
    }
    Ok(names)
}

fn kind_of(metadata: &Metadata) -> EntryKind {
    if metadata.is_dir() {
        EntryKind::Folder
    } else if metadata.is_file() {
        EntryKind::File
    } else {
        EntryKind::Other
    }
}

fn told(path: &WorktreePath, obstacle: ConfinedFsError) -> ToolError {
    match obstacle {
        ConfinedFsError::Missing => missing(path),
        ConfinedFsError::Link(_) => {
            ToolError::Refused(refused(&path.shown(), "passes through a symbolic link"))
        }
        ConfinedFsError::NoFolder(part) => {
            ToolError::Fault(format!("'{part}' in '{}' is no folder", path.shown()))
        }
        ConfinedFsError::Folder => is_folder(path),
        ConfinedFsError::NotPlain(why) => ToolError::Refused(refused(&path.shown(), why)),
        ConfinedFsError::TooLarge(_) => ToolError::Fault(format!(
            "'{}' is larger than the limit of 10 MiB",
            path.shown()
        )),
        ConfinedFsError::Io(error) => ToolError::io(path, &error),
    }
}

fn is_twin(path: &WorktreePath, part: &str, name: &str) -> ToolError {
    ToolError::Fault(format!(
        "'{part}' in '{}' differs from '{name}', which is there, in capitals only; on some systems they are one",
        path.shown()
    ))
}

fn missing(path: &WorktreePath) -> ToolError {
    ToolError::Fault(format!("'{}' does not exist", path.shown()))
}

fn is_folder(path: &WorktreePath) -> ToolError {
    ToolError::Fault(format!("'{}' is a folder; list it with ls", path.shown()))
}

#[cfg(test)]
mod tests;
