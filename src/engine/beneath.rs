//! Files beneath an open worktree, reached by capability and never by name alone.
//!
//! An agent may do anything to its worktree, also while these functions run. So each folder on the
//! way is opened from the one above it without following links, a file is judged by its open handle
//! and not by its name, and nothing waits for a pipe. Files are replaced as a whole: a new file
//! beside the old one, synced, renamed over it. Which paths may be named at all is
//! [`worktree_path`](crate::model::worktree_path)'s work. Everything here blocks on the disk.

use std::io::{Error, ErrorKind, Read, Write};
use std::path::Path;

use cap_fs_ext::{DirExt, FollowSymlinks, MetadataExt, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, Metadata, OpenOptions};
use rustix::io::Errno;

use crate::model::error::{Code, Failure, Result as Failing};
use crate::store::failpoint::Step;

/// Why something beneath a folder cannot be had.
#[derive(Debug)]
pub(crate) enum Obstacle {
    /// Nothing lies there.
    Missing,
    /// On the way lies a symbolic link of this name.
    Link(String),
    /// On the way lies something of this name that is no folder.
    NoFolder(String),
    /// It is a folder.
    Folder,
    /// It is no plain file of one name and our own: why, as the rest of a sentence.
    NotPlain(&'static str),
    /// It is larger than asked for: at least this many bytes.
    TooLarge(u64),
    /// The disk says no.
    Io(Error),
}

impl From<Error> for Obstacle {
    fn from(error: Error) -> Self {
        Self::Io(error)
    }
}

/// Opens a worktree.
///
/// # Errors
/// `worktree_missing` when there is no such folder, `io_failed` when it cannot be opened.
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

/// The folder that `parts` lead to.
///
/// # Errors
/// `Missing`, `Link`, `NoFolder`, `Io`.
pub(crate) fn folder<'a>(
    root: &Dir,
    parts: impl IntoIterator<Item = &'a str>,
) -> Result<Dir, Obstacle> {
    parts
        .into_iter()
        .try_fold(root.try_clone()?, |dir, part| enter(&dir, part))
}

/// The folder that `parts` lead to; those that are missing are made, durably.
///
/// # Errors
/// `Link`, `NoFolder`, `Io`; some of the folders may be made then.
pub(crate) fn made_folder<'a>(
    root: &Dir,
    parts: impl IntoIterator<Item = &'a str>,
) -> Result<Dir, Obstacle> {
    parts.into_iter().try_fold(root.try_clone()?, |dir, part| {
        match dir.create_dir(part) {
            Ok(()) => sync_folder(&dir)?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.into()),
        }
        enter(&dir, part)
    })
}

fn enter(dir: &Dir, part: &str) -> Result<Dir, Obstacle> {
    dir.open_dir_nofollow(part)
        .map_err(|error| match dir.symlink_metadata(part) {
            _ if error.kind() == ErrorKind::NotFound => Obstacle::Missing,
            Ok(metadata) if metadata.is_symlink() => Obstacle::Link(part.to_owned()),
            Ok(metadata) if !metadata.is_dir() => Obstacle::NoFolder(part.to_owned()),
            // Something else may lie there by now than what was in the way.
            _ if matches!(
                Errno::from_io_error(&error),
                Some(Errno::NOTDIR | Errno::LOOP)
            ) =>
            {
                Obstacle::NoFolder(part.to_owned())
            }
            _ => Obstacle::Io(error),
        })
}

/// Opens a plain file for reading: no link, no pipe, one name, our own.
///
/// # Errors
/// `Missing`, `Folder`, `NotPlain`, `Io`.
pub(crate) fn open_plain(dir: &Dir, name: &str) -> Result<(File, Metadata), Obstacle> {
    let mut options = OpenOptions::new();
    // Without `nonblock`, opening a pipe would wait for its other end for ever.
    options.read(true).follow(FollowSymlinks::No).nonblock(true);
    let file = match dir.open_with(name, &options) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(Obstacle::Missing),
        Err(error) => return Err(what_is_there(dir, name).unwrap_or(Obstacle::Io(error))),
    };
    let metadata = file.metadata()?;
    match oddity(&metadata) {
        Some(obstacle) => Err(obstacle),
        None => Ok((file, metadata)),
    }
}

fn oddity(metadata: &Metadata) -> Option<Obstacle> {
    if metadata.is_dir() {
        Some(Obstacle::Folder)
    } else if !metadata.is_file() {
        Some(Obstacle::NotPlain("is a pipe or a device"))
    } else if MetadataExt::nlink(metadata) != 1 {
        Some(Obstacle::NotPlain("has a second name (a hard link)"))
    } else if cap_std::fs::MetadataExt::uid(metadata) != rustix::process::geteuid().as_raw() {
        Some(Obstacle::NotPlain("belongs to another user"))
    } else {
        None
    }
}

fn what_is_there(dir: &Dir, name: &str) -> Option<Obstacle> {
    let metadata = dir.symlink_metadata(name).ok()?;
    if metadata.is_symlink() {
        Some(Obstacle::NotPlain("is a symbolic link"))
    } else if metadata.is_dir() {
        Some(Obstacle::Folder)
    } else if metadata.is_file() {
        None
    } else {
        Some(Obstacle::NotPlain("is a socket, a pipe or a device"))
    }
}

/// The whole content of a plain file.
///
/// # Errors
/// As [`open_plain`]; `TooLarge` beyond `max_bytes`.
pub(crate) fn read_plain(dir: &Dir, name: &str, max_bytes: u64) -> Result<Vec<u8>, Obstacle> {
    let (file, metadata) = open_plain(dir, name)?;
    if metadata.len() > max_bytes {
        return Err(Obstacle::TooLarge(metadata.len()));
    }
    // It may grow after it was measured: never more than the limit and one byte is read.
    let mut bytes = Vec::new();
    file.take(max_bytes.saturating_add(1))
        .read_to_end(&mut bytes)?;
    let read = bytes.len() as u64;
    if read > max_bytes {
        Err(Obstacle::TooLarge(read))
    } else {
        Ok(bytes)
    }
}

/// Puts `bytes` at `name`, whole or not at all and durably, in place of whatever file or link is
/// there; `mode_of` is a file whose mode the new one gets. They are written as `temporary` first: what
/// a crash left under that name is taken away.
///
/// # Errors
/// What the disk says; what was there is as it was then.
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
        // Left behind, it would become part of the commit; the error that counts is the first one.
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

/// Makes the names in a folder durable.
///
/// # Errors
/// What the disk says.
pub(crate) fn sync_folder(dir: &Dir) -> std::io::Result<()> {
    // The handle itself may be one for walking alone; syncing needs one that was opened for reading.
    let synced = dir.open(".")?.sync_all();
    Step::FileWritten.after();
    synced
}
