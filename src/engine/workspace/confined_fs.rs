//! Capability-based access to files beneath an open worktree.
//!
//! An agent may change its worktree at any time, including during these calls. Each folder is
//! therefore opened from its parent without following links, files are checked by their open
//! handle, and opening a pipe never blocks. Files are replaced atomically: write a new file, sync
//! it, rename it over the old one. [`worktree_path`](crate::model::worktree_path) decides which
//! paths are allowed. All functions block on the disk.

use std::io::{Error, ErrorKind, Read, Write};
use std::path::Path;

use cap_fs_ext::{DirExt, FollowSymlinks, MetadataExt, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, Metadata, OpenOptions};
use rustix::io::Errno;

use crate::model::error::{Code, Failure, Result as Failing};
use crate::store::failpoint::Step;

/// Why a file beneath a folder cannot be accessed.
#[derive(Debug)]
pub(crate) enum ConfinedFsError {
    /// The path does not exist.
    Missing,
    /// This path component is a symbolic link.
    Link(String),
    /// This path component is not a folder.
    NoFolder(String),
    /// The path is a folder.
    Folder,
    /// Not a regular file with a single link owned by us; contains the reason as a sentence ending.
    NotPlain(&'static str),
    /// The file exceeds the size limit: it has at least this many bytes.
    TooLarge(u64),
    /// IO error.
    Io(Error),
}

impl From<Error> for ConfinedFsError {
    fn from(error: Error) -> Self {
        Self::Io(error)
    }
}

/// Opens a worktree.
///
/// # Errors
/// `worktree_missing` if the folder does not exist, `io_failed` if it cannot be opened.
pub(crate) fn open_worktree(worktree: &Path) -> Failing<Dir> {
    Dir::open_ambient_dir(worktree, ambient_authority()).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Failure::new(
            Code::WorktreeMissing,
            format!("the worktree {} is gone", worktree.display()),
        )
        .hint("resume the run: its worktree is made again from its branch"),
        _ => Failure::io(
            format!("cannot open the worktree {}", worktree.display()),
            &error,
        ),
    })
}

/// Opens the folder at `parts`.
///
/// # Errors
/// `Missing`, `Link`, `NoFolder`, `Io`.
pub(crate) fn folder<'a>(
    root: &Dir,
    parts: impl IntoIterator<Item = &'a str>,
) -> Result<Dir, ConfinedFsError> {
    parts
        .into_iter()
        .try_fold(root.try_clone()?, |dir, part| enter(&dir, part))
}

/// Opens the folder at `parts` and durably creates missing folders.
///
/// # Errors
/// `Link`, `NoFolder`, `Io`; some folders may have been created then.
pub(crate) fn made_folder<'a>(
    root: &Dir,
    parts: impl IntoIterator<Item = &'a str>,
) -> Result<Dir, ConfinedFsError> {
    parts.into_iter().try_fold(root.try_clone()?, |dir, part| {
        match dir.create_dir(part) {
            Ok(()) => sync_folder(&dir)?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.into()),
        }
        enter(&dir, part)
    })
}

fn enter(dir: &Dir, part: &str) -> Result<Dir, ConfinedFsError> {
    dir.open_dir_nofollow(part)
        .map_err(|error| match dir.symlink_metadata(part) {
            _ if error.kind() == ErrorKind::NotFound => ConfinedFsError::Missing,
            Ok(metadata) if metadata.is_symlink() => ConfinedFsError::Link(part.to_owned()),
            Ok(metadata) if !metadata.is_dir() => ConfinedFsError::NoFolder(part.to_owned()),
            // The path may have changed since the failed open.
            _ if matches!(
                Errno::from_io_error(&error),
                Some(Errno::NOTDIR | Errno::LOOP)
            ) =>
            {
                ConfinedFsError::NoFolder(part.to_owned())
            }
            _ => ConfinedFsError::Io(error),
        })
}

/// Opens a regular file for reading; rejects links, pipes, files with several links and foreign
/// owners.
///
/// # Errors
/// `Missing`, `Folder`, `NotPlain`, `Io`.
pub(crate) fn open_plain(dir: &Dir, name: &str) -> Result<(File, Metadata), ConfinedFsError> {
    let mut options = OpenOptions::new();
    // Without `nonblock`, opening a pipe would block until its other end is opened.
    options.read(true).follow(FollowSymlinks::No).nonblock(true);
    let file = match dir.open_with(name, &options) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(ConfinedFsError::Missing),
        Err(error) => return Err(what_is_there(dir, name).unwrap_or(ConfinedFsError::Io(error))),
    };
    let metadata = file.metadata()?;
    match oddity(&metadata) {
        Some(obstacle) => Err(obstacle),
        None => Ok((file, metadata)),
    }
}

fn oddity(metadata: &Metadata) -> Option<ConfinedFsError> {
    if metadata.is_dir() {
        Some(ConfinedFsError::Folder)
    } else if !metadata.is_file() {
        Some(ConfinedFsError::NotPlain("is a pipe or a device"))
    } else if MetadataExt::nlink(metadata) != 1 {
        Some(ConfinedFsError::NotPlain("has a second name (a hard link)"))
    } else if cap_std::fs::MetadataExt::uid(metadata) != rustix::process::geteuid().as_raw() {
        Some(ConfinedFsError::NotPlain("belongs to another user"))
    } else {
        None
    }
}

fn what_is_there(dir: &Dir, name: &str) -> Option<ConfinedFsError> {
    let metadata = dir.symlink_metadata(name).ok()?;
    if metadata.is_symlink() {
        Some(ConfinedFsError::NotPlain("is a symbolic link"))
    } else if metadata.is_dir() {
        Some(ConfinedFsError::Folder)
    } else if metadata.is_file() {
        None
    } else {
        Some(ConfinedFsError::NotPlain("is a socket, a pipe or a device"))
    }
}

/// Reads a whole regular file.
///
/// # Errors
/// As [`open_plain`]; `TooLarge` beyond `max_bytes`.
pub(crate) fn read_plain(
    dir: &Dir,
    name: &str,
    max_bytes: u64,
) -> Result<Vec<u8>, ConfinedFsError> {
    let (file, metadata) = open_plain(dir, name)?;
    if metadata.len() > max_bytes {
        return Err(ConfinedFsError::TooLarge(metadata.len()));
    }
    // The file may grow after `stat`, so read at most one byte beyond the limit.
    let mut bytes = Vec::new();
    file.take(max_bytes.saturating_add(1))
        .read_to_end(&mut bytes)?;
    let read = bytes.len() as u64;
    if read > max_bytes {
        Err(ConfinedFsError::TooLarge(read))
    } else {
        Ok(bytes)
    }
}

/// Atomically and durably replaces the file or link at `name` with `bytes`. The new file gets the
/// mode of `mode_of`. It is written as `temporary` first; a leftover of that name from a crash is
/// removed.
///
/// # Errors
/// IO errors; the previous file is unchanged then.
pub(crate) fn replace(
    dir: &Dir,
    name: &str,
    bytes: &[u8],
    temporary: &str,
    mode_of: Option<&Metadata>,
) -> std::io::Result<()> {
    Step::FileWritten.before();
    match dir.remove_file(temporary) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = write_and_rename(dir, name, bytes, temporary, mode_of);
    if written.is_err() {
        // A leftover would become part of the commit. Report the first error, not that of the
        // cleanup.
        let _ = dir.remove_file(temporary);
    }
    written
}

fn write_and_rename(
    dir: &Dir,
    name: &str,
    bytes: &[u8],
    temporary: &str,
    mode_of: Option<&Metadata>,
) -> std::io::Result<()> {
    let mut file = dir.open_with(
        temporary,
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .follow(FollowSymlinks::No),
    )?;
    file.write_all(bytes)?;
    if let Some(before) = mode_of {
        file.set_permissions(before.permissions())?;
    }
    file.sync_all()?;
    Step::FileWritten.around(|| dir.rename(temporary, dir, name))?;
    sync_folder(dir)
}

/// Makes the directory entries of a folder durable.
///
/// # Errors
/// IO errors.
pub(crate) fn sync_folder(dir: &Dir) -> std::io::Result<()> {
    // The handle may be `O_PATH`, which cannot be synced; open one for reading.
    let synced = dir.open(".")?.sync_all();
    Step::FileWritten.after();
    synced
}
