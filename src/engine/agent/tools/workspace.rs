//! The worktree as a capability: every file is reached from one open folder, part by part, and no
//! symbolic link is ever followed.
//!
//! What was opened is checked after opening, not before: a regular file, with one link, of bounded
//! size. A path that is swapped in between can therefore only make the call fail. Files are replaced
//! as a whole: a new file beside the old one, synced, renamed over it.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use cap_fs_ext::{DirExt, FollowSymlinks, MetadataExt, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, Metadata, OpenOptions};

use super::Trouble;
use super::path::{WorktreePath, refused};
use crate::model::error::{Code, Failure, Result};
use crate::model::worktree_path;

/// The largest file that is read or written, in bytes.
pub(super) const MAX_FILE_BYTES: u64 = 10 * 1024 * 1024;

/// Folders that hold what tools make and fetch; a search passes them by unless it begins there.
const HEAVY: [&str; 10] =
    ["target", "node_modules", ".venv", "venv", "__pycache__", ".mypy_cache", ".pytest_cache", ".tox", ".gradle", ".next"];

const MAX_WALKED: usize = 50_000;
const MAX_DEPTH: usize = 64;

/// One open worktree.
pub(super) struct Workspace {
    root: Dir,
    names: Vec<PathBuf>,
}

/// What a folder holds under one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A folder.
    Folder,
    /// A regular file.
    File,
    /// A link, a pipe, a device: nothing a tool touches.
    Other,
}

/// The files beneath a folder, sorted.
pub(super) struct Walked {
    /// Regular files.
    pub files: Vec<WorktreePath>,
    /// Whether there were too many to look at.
    pub cut: bool,
}

impl Workspace {
    /// Opens the worktree.
    ///
    /// # Errors
    /// `worktree_missing` when there is no such folder, `io_failed` when it cannot be opened.
    pub(super) fn open(worktree: &Path) -> Result<Self> {
        let root = Dir::open_ambient_dir(worktree, ambient_authority()).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => {
                Failure::new(Code::WorktreeMissing, format!("the worktree {} is gone", worktree.display()))
                    .hint("resume the run: its worktree is made again from its branch")
            }
            _ => Failure::io(format!("cannot open the worktree {}", worktree.display()), &error),
        })?;
        let mut names = vec![worktree.to_path_buf()];
        names.extend(worktree.canonicalize().ok().filter(|real| real != worktree));
        Ok(Self { root, names })
    }

    /// Reads a path as an agent wrote it.
    ///
    /// # Errors
    /// A refusal by the grammar.
    pub(super) fn path(&self, text: &str) -> Result<WorktreePath, Trouble> {
        WorktreePath::parse(text, &self.names).map_err(Trouble::Refused)
    }

    /// Whether a regular file lies at `path`.
    pub(super) fn has_file(&self, path: &str) -> bool {
        let found = self.path(path).and_then(|path| self.kind(&path));
        matches!(found, Ok(Some(Kind::File)))
    }

    /// What lies at `path`; absent when nothing does.
    ///
    /// # Errors
    /// A refusal when a link stands above it; words when it cannot be looked at.
    pub(super) fn kind(&self, path: &WorktreePath) -> Result<Option<Kind>, Trouble> {
        let Some((parents, name)) = path.split() else { return Ok(Some(Kind::Folder)) };
        let Some(dir) = self.folder_of(path, parents)? else { return Ok(None) };
        match dir.symlink_metadata(name) {
            Ok(metadata) => Ok(Some(kind_of(&metadata))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Trouble::io(path, &error)),
        }
    }

    /// Reads a whole file.
    ///
    /// # Errors
    /// A refusal for links, pipes and devices; words for a folder, a file too large or not there.
    pub(super) fn read(&self, path: &WorktreePath) -> Result<Vec<u8>, Trouble> {
        let Some((parents, name)) = path.split() else { return Err(is_folder(path)) };
        let dir = self.folder_of(path, parents)?.ok_or_else(|| missing(path))?;
        let file = open_checked(&dir, name, path)?;
        let mut bytes = Vec::new();
        // The file may grow after it was measured: never more than the limit and one byte is read.
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| Trouble::io(path, &error))?;
        if bytes.len() as u64 > MAX_FILE_BYTES { Err(too_large(path)) } else { Ok(bytes) }
    }

    /// Puts `content` at `path`, whole or not at all, making the folders above. Says whether a file
    /// was there before; its mode is kept.
    ///
    /// # Errors
    /// A refusal for links, pipes and devices; words for a folder, too much content or a full disk.
    pub(super) fn write(&self, path: &WorktreePath, content: &[u8]) -> Result<bool, Trouble> {
        if content.len() as u64 > MAX_FILE_BYTES {
            return Err(Trouble::Fault(format!("the content for '{}' is {} bytes; the limit is 10 MiB", path.shown(), content.len())));
        }
        let Some((parents, name)) = path.split() else { return Err(is_folder(path)) };
        let dir = self.made_folder(path, parents)?;
        let before = match open_checked(&dir, name, path) {
            Ok(file) => Some(file.metadata().map_err(|error| Trouble::io(path, &error))?),
            Err(Trouble::Missing(_)) => None,
            Err(Trouble::TooLarge(_)) => Some(dir.symlink_metadata(name).map_err(|error| Trouble::io(path, &error))?),
            Err(trouble) => return Err(trouble),
        };
        replace(&dir, name, content, before.as_ref()).map_err(|error| Trouble::io(path, &error))?;
        Ok(before.is_some())
    }

    /// The names in a folder, folders first, each group sorted; git's own is left out.
    ///
    /// # Errors
    /// A refusal when a link stands in the way; words when it is no folder or not there.
    pub(super) fn list(&self, path: &WorktreePath) -> Result<Vec<(Kind, String)>, Trouble> {
        let dir = self.folder_of(path, path.parts())?.ok_or_else(|| missing(path))?;
        let mut names = names_in(&dir).map_err(|error| Trouble::io(path, &error))?;
        names.sort();
        Ok(names)
    }

    /// Every regular file beneath a folder, without git's own and the heavy folders.
    ///
    /// # Errors
    /// As [`list`](Self::list), for the folder it begins in; what cannot be read below is left out.
    pub(super) fn walk(&self, from: &WorktreePath) -> Result<Walked, Trouble> {
        let top = self.folder_of(from, from.parts())?.ok_or_else(|| missing(from))?;
        let (mut files, mut folders, mut seen, mut cut) = (Vec::new(), Vec::new(), 0, false);
        // Folders wait as paths, not open: a wide worktree would use up the process's files.
        let mut next = Some((from.clone(), top));
        while let Some((path, dir)) = next {
            for (kind, name) in names_in(&dir).unwrap_or_default() {
                seen += 1;
                let below = path.join(&name);
                match kind {
                    _ if seen > MAX_WALKED || below.parts().len() > MAX_DEPTH => cut = true,
                    Kind::File => files.push(below),
                    Kind::Folder if !HEAVY.contains(&name.as_str()) => folders.push(below),
                    Kind::Folder | Kind::Other => {}
                }
            }
            next = self.next_folder(&mut folders);
        }
        files.sort_by(|a, b| a.parts().cmp(b.parts()));
        Ok(Walked { files, cut })
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
    fn folder_of(&self, path: &WorktreePath, parts: &[String]) -> Result<Option<Dir>, Trouble> {
        let mut dir = self.root.try_clone().map_err(|error| Trouble::io(path, &error))?;
        for part in parts {
            dir = match dir.open_dir_nofollow(part) {
                Ok(next) => next,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(no_folder(&dir, part, path, &error)),
            };
        }
        Ok(Some(dir))
    }

    fn made_folder(&self, path: &WorktreePath, parts: &[String]) -> Result<Dir, Trouble> {
        let mut dir = self.root.try_clone().map_err(|error| Trouble::io(path, &error))?;
        for part in parts {
            match dir.create_dir(part) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(Trouble::io(path, &error)),
                Ok(()) | Err(_) => {}
            }
            dir = dir.open_dir_nofollow(part).map_err(|error| no_folder(&dir, part, path, &error))?;
        }
        Ok(dir)
    }
}

/// Opens a file for reading and checks what was opened: nothing before the open can be trusted.
fn open_checked(dir: &Dir, name: &str, path: &WorktreePath) -> Result<File, Trouble> {
    let mut options = OpenOptions::new();
    // Without `nonblock`, opening a pipe would wait for its other end for ever.
    options.read(true).follow(FollowSymlinks::No).nonblock(true);
    let file = match dir.open_with(name, &options) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(missing(path)),
        Err(error) => return Err(not_a_file(dir, name, path).unwrap_or_else(|| Trouble::io(path, &error))),
    };
    let metadata = file.metadata().map_err(|error| Trouble::io(path, &error))?;
    match kind_of(&metadata) {
        Kind::Folder => Err(is_folder(path)),
        Kind::Other => Err(Trouble::Refused(refused(&path.shown(), "is no regular file"))),
        Kind::File if metadata.nlink() != 1 => Err(Trouble::Refused(refused(&path.shown(), "has another name elsewhere (a hard link)"))),
        Kind::File if metadata.len() > MAX_FILE_BYTES => Err(too_large(path)),
        Kind::File => Ok(file),
    }
}

fn replace(dir: &Dir, name: &str, content: &[u8], before: Option<&Metadata>) -> std::io::Result<()> {
    let fresh = format!(".phasedeck-{}.tmp", uuid::Uuid::new_v4().simple());
    let written = (|| {
        let mut file = dir.open_with(&fresh, OpenOptions::new().write(true).create_new(true))?;
        file.write_all(content)?;
        if let Some(before) = before {
            file.set_permissions(before.permissions())?;
        }
        file.sync_all()?;
        dir.rename(&fresh, dir, name)
    })();
    if written.is_err() {
        // Left behind, it would become part of the commit; the error that counts is the first one.
        let _ = dir.remove_file(&fresh);
    }
    written?;
    // The handle itself may be one that only names the folder; syncing needs one that was opened.
    dir.open(".")?.sync_all()
}

fn names_in(dir: &Dir) -> std::io::Result<Vec<(Kind, String)>> {
    let mut names = Vec::new();
    for entry in dir.entries()? {
        let entry = entry?;
        // A name that is no UTF-8 cannot be said in JSON, so no tool could ask for it.
        let Ok(name) = entry.file_name().into_string() else { continue };
        if worktree_path::is_git(&name) {
            continue;
        }
        let kind = entry.file_type()?;
        let kind = if kind.is_dir() {
            Kind::Folder
        } else if kind.is_file() {
            Kind::File
        } else {
            Kind::Other
        };
        names.push((kind, name));
    }
    Ok(names)
}

fn kind_of(metadata: &Metadata) -> Kind {
    if metadata.is_dir() {
        Kind::Folder
    } else if metadata.is_file() {
        Kind::File
    } else {
        Kind::Other
    }
}

fn no_folder(dir: &Dir, part: &str, path: &WorktreePath, error: &std::io::Error) -> Trouble {
    match dir.symlink_metadata(part) {
        Ok(metadata) if metadata.is_symlink() => Trouble::Refused(refused(&path.shown(), "passes through a symbolic link")),
        Ok(metadata) if !metadata.is_dir() => Trouble::Fault(format!("'{part}' in '{}' is no folder", path.shown())),
        _ => Trouble::io(path, error),
    }
}

fn not_a_file(dir: &Dir, name: &str, path: &WorktreePath) -> Option<Trouble> {
    let metadata = dir.symlink_metadata(name).ok()?;
    match kind_of(&metadata) {
        Kind::Folder => Some(is_folder(path)),
        Kind::File => None,
        Kind::Other if metadata.is_symlink() => Some(Trouble::Refused(refused(&path.shown(), "is a symbolic link"))),
        Kind::Other => Some(Trouble::Refused(refused(&path.shown(), "is no regular file"))),
    }
}

fn missing(path: &WorktreePath) -> Trouble {
    Trouble::Missing(format!("'{}' does not exist", path.shown()))
}

fn is_folder(path: &WorktreePath) -> Trouble {
    Trouble::Fault(format!("'{}' is a folder; list it with ls", path.shown()))
}

fn too_large(path: &WorktreePath) -> Trouble {
    Trouble::TooLarge(format!("'{}' is larger than the limit of 10 MiB", path.shown()))
}

#[cfg(test)]
mod tests;
