//! Writes one file beneath a worktree, whole or not at all, and never through a link.

use std::io::Write;
use std::path::{Component, Path};

use cap_fs_ext::DirExt;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use uuid::Uuid;

use crate::model::error::{Code, Failure, Result};

/// Writes `bytes` to `path` beneath `worktree`; folders above it are made.
///
/// # Errors
/// `path_outside_worktree` when the path leaves the worktree, goes through a link or names something
/// that is no file; `io_failed` or `disk_full` naming the path. What was there is as it was then.
pub fn write(worktree: &Path, path: &str, bytes: &[u8]) -> Result<()> {
    let names = names(path)?;
    let Some((name, folders)) = names.split_last() else { return Err(outside(path, "it names no file")) };
    let io = |error: std::io::Error| Failure::io(format!("cannot write {path}"), &error);
    let mut dir = Dir::open_ambient_dir(worktree, ambient_authority()).map_err(io)?;
    for folder in folders {
        dir = enter(&dir, folder, path)?;
    }
    match dir.symlink_metadata(name) {
        Ok(metadata) if !metadata.is_file() => return Err(outside(path, "a link or folder stands there")),
        _ => {}
    }
    let temporary = format!(".{}.tmp", Uuid::new_v4().simple());
    let written = replace(&dir, &temporary, name, bytes);
    if written.is_err() {
        // The file may not exist; the error that counts is the one before.
        let _ = dir.remove_file(&temporary);
    }
    written.map_err(io)
}

fn replace(dir: &Dir, temporary: &str, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = dir.create(temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    dir.rename(temporary, dir, name)?;
    dir.open(".")?.sync_all()
}

fn enter(dir: &Dir, folder: &str, path: &str) -> Result<Dir> {
    match dir.create_dir(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(Failure::io(format!("cannot make the folder of {path}"), &error));
        }
        _ => {}
    }
    dir.open_dir_nofollow(folder).map_err(|_| outside(path, &format!("'{folder}' is not a folder")))
}

fn names(path: &str) -> Result<Vec<&str>> {
    let component = |component| match component {
        Component::Normal(name) => name.to_str().filter(|name| !name.eq_ignore_ascii_case(".git")),
        _ => None,
    };
    let names: Option<Vec<&str>> = Path::new(path).components().filter(|part| *part != Component::CurDir).map(component).collect();
    names.ok_or_else(|| outside(path, "only names beneath the worktree are allowed, and none of them `.git`"))
}

fn outside(path: &str, why: &str) -> Failure {
    Failure::new(Code::PathOutsideWorktree, format!("'{path}' cannot be written: {why}"))
        .hint("name the artifact by a path within the worktree, and keep links out of its way")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_with_its_folders_and_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "a/b/spec.json", b"first").unwrap();
        write(dir.path(), "./a/b/spec.json", b"second").unwrap();
        assert_eq!(std::fs::read(dir.path().join("a/b/spec.json")).unwrap(), b"second");
        assert_eq!(std::fs::read_dir(dir.path().join("a/b")).unwrap().count(), 1, "no temporary file stays");
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_written_outside_the_worktree_or_through_a_link() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(elsewhere.path(), dir.path().join("out")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path().join("target"), dir.path().join("link.json")).unwrap();
        std::fs::create_dir(dir.path().join("folder")).unwrap();
        for path in ["../x", "/etc/x", "out/x", "link.json", "folder", "", ".", ".git/config", "a/.GIT/x", "a/../../x"] {
            let failure = write(dir.path(), path, b"x").unwrap_err();
            assert_eq!(failure.code, Code::PathOutsideWorktree, "{path}: {failure}");
        }
        assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_worktree_that_is_gone_is_named() {
        assert_eq!(write(Path::new("/nonexistent-worktree"), "x", b"").unwrap_err().code, Code::IoFailed);
    }
}
