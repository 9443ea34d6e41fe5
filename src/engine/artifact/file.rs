//! Artifact files in a worktree: read, move aside, write, restore.
//!
//! Every file is accessed [from the worktree's open folder](crate::engine::beneath), without
//! following links. Files that an agent left behind are moved aside, never deleted. All functions
//! block on the disk.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::engine::paths::create_private_dir;
use crate::engine::workspace::confined_fs;
use crate::engine::workspace::confined_fs::ConfinedFsError;
use crate::model::error::{Code, Failure, Result};
use crate::model::worktree_path;
use crate::store::failpoint::Step;
use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};

/// How much of a worktree's `.env` is looked at, in bytes.
const ENV_FILE_BYTES: u64 = 64 * 1024;

/// The worktree's `.env`, read for the secrets in it alone; `None` where there is none that can be read.
#[must_use]
pub fn env(worktree: &Path) -> Option<Vec<u8>> {
    read(worktree, ".env", ENV_FILE_BYTES).ok().flatten()
}

/// The whole content of a file beneath `worktree`; `None` when there is no file.
///
/// # Errors
/// `artifact_too_large` beyond `max_bytes`; `path_outside_worktree` for anything but a plain file of
/// one link and our own, beneath the worktree without links on the way; `worktree_missing`; `io_failed`.
pub fn read(worktree: &Path, path: &str, max_bytes: u64) -> Result<Option<Vec<u8>>> {
    let Some((folder, name)) = open_parent(worktree, path)? else {
        return Ok(None);
    };
    match confined_fs::read_plain(&folder, name, max_bytes) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(ConfinedFsError::Missing) => Ok(None),
        Err(ConfinedFsError::TooLarge(bytes)) => Err(Failure::new(
            Code::ArtifactTooLarge,
            format!("'{path}' has {bytes} bytes or more; the limit is {max_bytes}"),
        )
        .hint("let the agent write less, or raise engine.max_artifact_bytes")),
        Err(obstacle) => Err(refused(path, "read", &obstacle)),
    }
}

/// Moves whatever is at `path` into `aside_dir`, under a new name that begins with `label`, and
/// returns where it is now; `None` when nothing was there. Works across file systems for files and links.
///
/// # Errors
/// `path_outside_worktree` when a folder on the way is a link; `io_failed`. It stays where it was then.
pub fn move_aside(
    worktree: &Path,
    path: &str,
    aside_dir: &Path,
    label: &str,
) -> Result<Option<PathBuf>> {
    let Some((folder, name)) = open_parent(worktree, path)? else {
        return Ok(None);
    };
    create_private_dir(aside_dir)?;
    let fail = |e: std::io::Error| {
        Failure::io(
            format!("cannot move '{path}' aside to {}", aside_dir.display()),
            &e,
        )
    };
    let aside = Dir::open_ambient_dir(aside_dir, ambient_authority()).map_err(fail)?;
    let new_name = aside_name(label, name);
    match folder.rename(name, &aside, &new_name) {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) if e.kind() == ErrorKind::CrossesDevices => {
            carry_over(&folder, name, path, &aside, &new_name)?
        }
        Err(e) => return Err(fail(e)),
    }
    confined_fs::sync_folder(&aside)
        .and_then(|()| confined_fs::sync_folder(&folder))
        .map_err(fail)?;
    Ok(Some(aside_dir.join(new_name)))
}

/// Writes `bytes` to `path` beneath `worktree` as an agent may: whole and durably, in place of a plain
/// file or of none; folders on the way are made.
///
/// # Errors
/// `path_outside_worktree` when a folder on the way is a link, or a link or folder lies at `path`;
/// `worktree_missing`; `io_failed`, `disk_full`. The old file is untouched then.
pub fn write(worktree: &Path, path: &str, bytes: &[u8]) -> Result<()> {
    let (folder, name) = make_parent(worktree, path)?;
    match confined_fs::open_plain(&folder, name) {
        Ok(_) | Err(ConfinedFsError::Missing) => replace(&folder, name, path, bytes),
        Err(obstacle) => Err(refused(path, "write", &obstacle)),
    }
}

/// Writes `bytes` to `path` beneath `worktree`, durably, in place of whatever file or link is there;
/// folders on the way are made.
///
/// # Errors
/// `path_outside_worktree` when a folder on the way is a link; `worktree_missing`; `io_failed`,
/// `disk_full`. The old file is untouched then.
pub fn restore(worktree: &Path, path: &str, bytes: &[u8]) -> Result<()> {
    let (folder, name) = make_parent(worktree, path)?;
    replace(&folder, name, path, bytes)
}

fn replace(folder: &Dir, name: &str, path: &str, bytes: &[u8]) -> Result<()> {
    // A fixed name, so that the next write removes a leftover of a crash before it can be
    // committed.
    let temporary = format!(
        ".{}.phasedeck-new",
        name.chars().take(40).collect::<String>()
    );
    confined_fs::replace(folder, name, bytes, &temporary, None)
        .map_err(|e| Failure::io(format!("cannot write '{path}'"), &e))
}

// The folder that holds the file, and the file's name in it; `None` when a folder on the way is missing.
fn open_parent<'a>(worktree: &Path, path: &'a str) -> Result<Option<(Dir, &'a str)>> {
    check_path(path)?;
    let (parents, name) = split(path);
    match confined_fs::folder(&confined_fs::open_worktree(worktree)?, parents) {
        Ok(folder) => Ok(Some((folder, name))),
        Err(ConfinedFsError::Missing) => Ok(None),
        Err(obstacle) => Err(refused(path, "reach", &obstacle)),
    }
}

fn make_parent<'a>(worktree: &Path, path: &'a str) -> Result<(Dir, &'a str)> {
    check_path(path)?;
    let (parents, name) = split(path);
    let folder = confined_fs::made_folder(&confined_fs::open_worktree(worktree)?, parents)
        .map_err(|o| refused(path, "reach", &o))?;
    Ok((folder, name))
}

fn split(path: &str) -> (impl Iterator<Item = &str>, &str) {
    let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
    (parents.split('/').filter(|part| !part.is_empty()), name)
}

fn check_path(path: &str) -> Result<()> {
    let Err(why) = worktree_path::check(path) else {
        return Ok(());
    };
    let mut shown: String = path.escape_debug().take(120).collect();
    if shown.len() < path.len() {
        shown.push('…');
    }
    Err(Failure::new(
        Code::PathOutsideWorktree,
        format!("'{shown}' is not a path for an artifact: it {why}"),
    )
    .hint("use a path beneath the worktree, such as docs/spec.json"))
}

fn refused(path: &str, verb: &str, obstacle: &ConfinedFsError) -> Failure {
    match obstacle {
        ConfinedFsError::Missing => not_plain(path, "went away"),
        ConfinedFsError::Link(part) | ConfinedFsError::NoFolder(part) => not_plain(
            path,
            &format!("lies beneath '{part}', which is a link or a file and not a folder"),
        ),
        ConfinedFsError::Folder => not_plain(path, "is a folder"),
        ConfinedFsError::NotPlain(why) => not_plain(path, why),
        ConfinedFsError::TooLarge(bytes) => not_plain(path, &format!("has {bytes} bytes or more")),
        ConfinedFsError::Io(error) => Failure::io(format!("cannot {verb} '{path}'"), error),
    }
}

fn not_plain(path: &str, what: &str) -> Failure {
    Failure::new(Code::PathOutsideWorktree, format!("'{path}' {what}"))
        .hint("an artifact must be a plain file inside the worktree")
}

fn aside_name(label: &str, name: &str) -> String {
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') {
            c
        } else {
            '-'
        }
    };
    let label: String = label.chars().map(safe).take(80).collect();
    let name: String = name.chars().map(safe).take(80).collect();
    format!("{label}-{}-{name}", uuid::Uuid::now_v7().simple())
}

// A rename cannot cross file systems: copy, sync the copy, then remove the original.
fn carry_over(folder: &Dir, name: &str, path: &str, aside: &Dir, new_name: &str) -> Result<()> {
    let fail =
        |e: std::io::Error| Failure::io(format!("cannot move '{path}' to another file system"), &e);
    let meta = folder.symlink_metadata(name).map_err(fail)?;
    if meta.is_symlink() {
        let target = folder.read_link_contents(name).map_err(fail)?;
        aside.symlink_contents(target, new_name).map_err(fail)?;
    } else if meta.is_file() {
        let nofollow = |options: &mut OpenOptions| options.follow(FollowSymlinks::No).clone();
        let mut from = folder
            .open_with(name, &nofollow(OpenOptions::new().read(true)))
            .map_err(fail)?;
        let mut to = aside
            .open_with(
                new_name,
                &nofollow(OpenOptions::new().write(true).create_new(true)),
            )
            .map_err(fail)?;
        std::io::copy(&mut from, &mut to)
            .and_then(|_| to.sync_all())
            .map_err(fail)?;
    } else {
        return Err(not_plain(
            path,
            "is neither a file nor a link, and cannot be moved to another file system",
        ));
    }
    Step::FileAside
        .around(|| folder.remove_file(name))
        .map_err(fail)
}

#[cfg(test)]
mod tests;
