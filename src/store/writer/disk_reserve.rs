//! Reserved disk space: a file next to the database that is deleted when the disk is full, so that
//! the store can still record that all runs pause. It is created again when there is space.

use crate::store::failpoint::Step;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Size of the reserve, in bytes.
pub const RESERVE_BYTES: u64 = 16 * 1024 * 1024;

/// Free bytes that must remain after the reserve is created.
const MIN_FREE_AFTER: u64 = RESERVE_BYTES;

/// Returns the path of the reserve file.
#[must_use]
pub fn file(database: &Path) -> PathBuf {
    database.with_file_name("ballast")
}

/// Returns the bytes available to this user on the database's file system, or `None` if `statvfs`
/// fails.
#[must_use]
pub fn free_bytes(database: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(database.parent()?).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Creates the reserve if there is enough space. Returns whether it exists.
#[must_use]
pub fn allocate_reserve(database: &Path) -> bool {
    let path = file(database);
    if std::fs::metadata(&path).is_ok_and(|meta| meta.len() == RESERVE_BYTES) {
        return true;
    }
    if free_bytes(database).is_some_and(|free| free < RESERVE_BYTES + MIN_FREE_AFTER) {
        return false;
    }
    let made = Step::Ballast.around(|| fill(&path));
    if made.is_err() {
        let _ = std::fs::remove_file(&path);
    }
    made.is_ok()
}

/// Deletes the reserve. Returns whether there was one.
#[must_use]
pub fn release(database: &Path) -> bool {
    Step::Ballast
        .around(|| std::fs::remove_file(file(database)))
        .is_ok()
}

/// Allocates real blocks: deleting a sparse file would free no space.
fn fill(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    if allocate(&file) {
        return Ok(());
    }
    let zeros = vec![0; 1024 * 1024];
    (0..RESERVE_BYTES / zeros.len() as u64).try_for_each(|_| file.write_all(&zeros))
}

#[cfg(target_os = "linux")]
fn allocate(file: &File) -> bool {
    rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, RESERVE_BYTES).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn allocate(_file: &File) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ballast_takes_real_space_and_gives_it_back() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("phasedeck.db");
        assert!(allocate_reserve(&database) && allocate_reserve(&database));
        let meta = std::fs::metadata(file(&database)).unwrap();
        assert_eq!(meta.len(), RESERVE_BYTES);
        assert!(std::os::unix::fs::MetadataExt::blocks(&meta) * 512 >= RESERVE_BYTES);
        assert!(release(&database));
        assert!(!release(&database));
    }
}
