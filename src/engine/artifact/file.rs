//! Artifact files in a worktree, reached by capability and never by name alone.
//!
//! An agent may do anything to its worktree, also while these functions run. So each folder on the
//! way is opened from the one above it without following links, the file is judged by its open
//! handle, and nothing waits for a pipe. What an agent left behind is moved aside, never deleted.
//! Everything here blocks on the disk.

use std::ffi::OsStr;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use cap_fs_ext::{DirExt, FollowSymlinks, MetadataExt, OpenOptionsFollowExt};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, Metadata, OpenOptions, OpenOptionsExt};

use crate::engine::paths::create_private_dir;
use crate::model::error::{Code, Failure, Result};
use crate::model::worktree_path;

/// The whole content of a file beneath `worktree`; `None` when there is no file.
///
/// # Errors
/// `artifact_too_large` beyond `max_bytes`; `path_outside_worktree` for anything but a plain file of
/// one link and our own, beneath the worktree without links on the way; `io_failed`.
pub fn read(worktree: &Path, path: &str, max_bytes: u64) -> Result<Option<Vec<u8>>> {
    let Some((folder, name)) = open_parent(worktree, path)? else { return Ok(None) };
    let Some(file) = open_plain(&folder, name, path)? else { return Ok(None) };
    let too_large = |bytes: u64| {
        Failure::new(Code::ArtifactTooLarge, format!("'{path}' has {bytes} bytes or more; the limit is {max_bytes}"))
            .hint("let the agent write less, or raise engine.max_artifact_bytes")
    };
    let length = file.metadata().map_err(|e| Failure::io(format!("cannot read '{path}'"), &e))?.len();
    if length > max_bytes {
        return Err(too_large(length));
    }
    // It may grow while it is read.
    let mut bytes = Vec::new();
    file.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| Failure::io(format!("cannot read '{path}'"), &e))?;
    let read = bytes.len() as u64;
    if read > max_bytes { Err(too_large(read)) } else { Ok(Some(bytes)) }
}

/// Moves whatever is at `path` into `aside_dir`, under a new name that begins with `label`, and
/// returns where it is now; `None` when nothing was there. Works across file systems for files and links.
///
/// # Errors
/// `path_outside_worktree` when a folder on the way is a link; `io_failed`. It stays where it was then.
pub fn move_aside(worktree: &Path, path: &str, aside_dir: &Path, label: &str) -> Result<Option<PathBuf>> {
    let Some((folder, name)) = open_parent(worktree, path)? else { return Ok(None) };
    create_private_dir(aside_dir)?;
    let fail = |e: std::io::Error| Failure::io(format!("cannot move '{path}' aside to {}", aside_dir.display()), &e);
    let aside = Dir::open_ambient_dir(aside_dir, ambient_authority()).map_err(fail)?;
    let new_name = aside_name(label, name);
    match folder.rename(name, &aside, &new_name) {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) if e.kind() == ErrorKind::CrossesDevices => carry_over(&folder, name, path, &aside, &new_name)?,
        Err(e) => return Err(fail(e)),
    }
    sync_dir(&aside).and_then(|()| sync_dir(&folder)).map_err(fail)?;
    Ok(Some(aside_dir.join(new_name)))
}

/// Writes `bytes` to `path` beneath `worktree`, durably, in place of whatever file or link is there;
/// folders on the way are made.
///
/// # Errors
/// `path_outside_worktree` when a folder on the way is a link; `io_failed`, `disk_full`. The old file
/// is untouched then.
pub fn restore(worktree: &Path, path: &str, bytes: &[u8]) -> Result<()> {
    let (folder, name) = make_parent(worktree, path)?;
    let fail = |e: std::io::Error| Failure::io(format!("cannot write '{path}' in {}", worktree.display()), &e);
    // Always the same name: what a crash left is taken away the next time instead of being committed.
    let temp = format!(".{}.phasedeck-new", name.to_string_lossy().chars().take(40).collect::<String>());
    match folder.remove_file(&temp) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(fail(e)),
        _ => {}
    }
    write_and_rename(&folder, &temp, name, bytes).map_err(|e| {
        let _ = folder.remove_file(&temp);
        fail(e)
    })
}

fn write_and_rename(folder: &Dir, temp: &str, name: &OsStr, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = folder.open_with(temp, OpenOptions::new().write(true).create_new(true).follow(FollowSymlinks::No))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    folder.rename(temp, folder, name)?;
    sync_dir(folder)
}

// The handle of a folder is for walking alone; its names are made durable through a handle for reading.
fn sync_dir(dir: &Dir) -> std::io::Result<()> {
    dir.open(".")?.sync_all()
}

// The folder that holds the file, and the file's name in it; `None` when a folder on the way is missing.
fn open_parent<'a>(worktree: &Path, path: &'a str) -> Result<Option<(Dir, &'a OsStr)>> {
    check_path(path)?;
    let mut dir = open_root(worktree)?;
    let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
    for part in parents.split('/').filter(|part| !part.is_empty()) {
        dir = match dir.open_dir_nofollow(part) {
            Ok(next) => next,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(no_folder(path, part, &e)),
        };
    }
    Ok(Some((dir, OsStr::new(name))))
}

fn make_parent<'a>(worktree: &Path, path: &'a str) -> Result<(Dir, &'a OsStr)> {
    check_path(path)?;
    let mut dir = open_root(worktree)?;
    let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
    for part in parents.split('/').filter(|part| !part.is_empty()) {
        match dir.create_dir(part) {
            Ok(()) => sync_dir(&dir).map_err(|e| no_folder(path, part, &e))?,
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) => return Err(no_folder(path, part, &e)),
        }
        dir = dir.open_dir_nofollow(part).map_err(|e| no_folder(path, part, &e))?;
    }
    Ok((dir, OsStr::new(name)))
}

fn check_path(path: &str) -> Result<()> {
    let Err(why) = worktree_path::check(path) else { return Ok(()) };
    let mut shown: String = path.escape_debug().take(120).collect();
    if shown.len() < path.len() {
        shown.push('…');
    }
    Err(Failure::new(Code::PathOutsideWorktree, format!("'{shown}' is not a path for an artifact: it {why}"))
        .hint("use a path beneath the worktree, such as docs/spec.json"))
}

fn open_root(worktree: &Path) -> Result<Dir> {
    Dir::open_ambient_dir(worktree, ambient_authority())
        .map_err(|e| Failure::io(format!("cannot open the worktree {}", worktree.display()), &e))
}

fn open_plain(folder: &Dir, name: &OsStr, path: &str) -> Result<Option<File>> {
    // Without NONBLOCK, opening a pipe would wait for somebody to write to it.
    let nonblock = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let mut options = OpenOptions::new();
    options.read(true).follow(FollowSymlinks::No).custom_flags(nonblock);
    let file = match folder.open_with(name, &options) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) if e.kind() == ErrorKind::PermissionDenied => return Err(Failure::io(format!("cannot read '{path}'"), &e)),
        Err(e) => return Err(not_plain(path, &what_is_there(folder, name, &e))),
    };
    let meta = file.metadata().map_err(|e| Failure::io(format!("cannot read '{path}'"), &e))?;
    match oddity(&meta) {
        Some(what) => Err(not_plain(path, what)),
        None => Ok(Some(file)),
    }
}

fn oddity(meta: &Metadata) -> Option<&'static str> {
    if meta.is_dir() {
        Some("is a folder")
    } else if !meta.is_file() {
        Some("is a pipe or a device")
    } else if MetadataExt::nlink(meta) != 1 {
        Some("has a second name (a hard link)")
    } else if cap_std::fs::MetadataExt::uid(meta) != rustix::process::geteuid().as_raw() {
        Some("belongs to another user")
    } else {
        None
    }
}

fn what_is_there(folder: &Dir, name: &OsStr, error: &std::io::Error) -> String {
    match folder.symlink_metadata(name) {
        Ok(meta) if meta.is_symlink() => "is a symbolic link".to_owned(),
        Ok(meta) if !meta.is_file() && !meta.is_dir() => "is a socket, a pipe or a device".to_owned(),
        _ => format!("cannot be opened: {error}"),
    }
}

fn not_plain(path: &str, what: &str) -> Failure {
    Failure::new(Code::PathOutsideWorktree, format!("'{path}' {what}")).hint("an artifact must be a plain file inside the worktree")
}

fn no_folder(path: &str, part: &str, error: &std::io::Error) -> Failure {
    use rustix::io::Errno;
    if matches!(Errno::from_io_error(error), Some(Errno::NOTDIR | Errno::LOOP)) {
        return not_plain(path, &format!("lies beneath '{part}', which is a link or a file and not a folder"));
    }
    Failure::io(format!("cannot open folder '{part}' of '{path}'"), error)
}

fn aside_name(label: &str, name: &OsStr) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
    let label: String = label.chars().map(safe).take(80).collect();
    let name: String = name.to_string_lossy().chars().map(safe).take(80).collect();
    format!("{label}-{}-{name}", uuid::Uuid::now_v7().simple())
}

// A rename cannot cross file systems: copy, make the copy durable, then take the old one away.
fn carry_over(folder: &Dir, name: &OsStr, path: &str, aside: &Dir, new_name: &str) -> Result<()> {
    let fail = |e: std::io::Error| Failure::io(format!("cannot move '{path}' to another file system"), &e);
    let meta = folder.symlink_metadata(name).map_err(fail)?;
    if meta.is_symlink() {
        let target = folder.read_link_contents(name).map_err(fail)?;
        aside.symlink_contents(target, new_name).map_err(fail)?;
    } else if meta.is_file() {
        let nofollow = |options: &mut OpenOptions| options.follow(FollowSymlinks::No).clone();
        let mut from = folder.open_with(name, &nofollow(OpenOptions::new().read(true))).map_err(fail)?;
        let mut to = aside.open_with(new_name, &nofollow(OpenOptions::new().write(true).create_new(true))).map_err(fail)?;
        std::io::copy(&mut from, &mut to).and_then(|_| to.sync_all()).map_err(fail)?;
    } else {
        return Err(not_plain(path, "is neither a file nor a link, and cannot be moved to another file system"));
    }
    folder.remove_file(name).map_err(fail)
}

#[cfg(test)]
mod tests;
