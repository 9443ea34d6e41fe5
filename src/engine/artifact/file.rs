//! Artifact files in a worktree, reached by capability.

use std::path::{Path, PathBuf};

use crate::model::error::{Failure, Result};

/// Checks that `path` is one that an artifact may have.
///
/// # Errors
/// `path_outside_worktree` naming the path and the rule.
pub fn check_path(path: &str) -> Result<()> {
    let _ = path;
    Err(Failure::internal("not built"))
}

/// The whole content of a file beneath `worktree`; `None` when there is no file. Blocks on the disk.
///
/// # Errors
/// `artifact_too_large` beyond `max_bytes`; `path_outside_worktree` for anything but a plain file of
/// one link and our own beneath the worktree; `io_failed`.
pub fn read(worktree: &Path, path: &str, max_bytes: u64) -> Result<Option<Vec<u8>>> {
    let _ = (worktree, path, max_bytes);
    Err(Failure::internal("not built"))
}

/// Moves whatever is at `path` into `aside_dir` under a new name that begins with `label`.
///
/// # Errors
/// `path_outside_worktree` when a parent is a link; `io_failed`.
pub fn move_aside(worktree: &Path, path: &str, aside_dir: &Path, label: &str) -> Result<Option<PathBuf>> {
    let _ = (worktree, path, aside_dir, label);
    Err(Failure::internal("not built"))
}

/// Writes `bytes` to `path` beneath `worktree`, durably, in place of whatever file is there.
///
/// # Errors
/// `path_outside_worktree` when a parent is a link; `io_failed`, `disk_full`.
pub fn restore(worktree: &Path, path: &str, bytes: &[u8]) -> Result<()> {
    let _ = (worktree, path, bytes);
    Err(Failure::internal("not built"))
}
