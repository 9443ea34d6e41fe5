//! Disk space that is kept for bad times: a file of zeros beside the database, taken away when the disk
//! is full, so that there is room to store that everything stops, and made again when there is space.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::failpoint::Step;

/// How much is kept, in bytes.
pub const BYTES: u64 = 16 * 1024 * 1024;

/// Space that must be left beside the ballast for it to be made: as much again.
const SPARE: u64 = BYTES;

/// The file.
#[must_use]
pub fn file(database: &Path) -> PathBuf {
    database.with_file_name("ballast")
}

/// Bytes that are free for this user on the disk of the database; `None` where nobody tells.
#[must_use]
pub fn free_bytes(database: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(database.parent()?).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Makes the ballast, where there is room for it and as much again; says whether it is there.
#[must_use]
pub fn keep(database: &Path) -> bool {
    let path = file(database);
    if std::fs::metadata(&path).is_ok_and(|meta| meta.len() == BYTES) {
        return true;
    }
    if free_bytes(database).is_some_and(|free| free < BYTES + SPARE) {
        return false;
    }
    let made = Step::Ballast.around(|| fill(&path));
    if made.is_err() {
        let _ = std::fs::remove_file(&path);
    }
    made.is_ok()
}

/// Gives the space back; says whether there was any.
#[must_use]
pub fn release(database: &Path) -> bool {
    Step::Ballast
        .around(|| std::fs::remove_file(file(database)))
        .is_ok()
}

/// Real blocks: a file with holes would give nothing back.
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
    (0..BYTES / zeros.len() as u64).try_for_each(|_| file.write_all(&zeros))
}

#[cfg(target_os = "linux")]
fn allocate(file: &File) -> bool {
    rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, BYTES).is_ok()
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
        assert!(keep(&database) && keep(&database));
        let meta = std::fs::metadata(file(&database)).unwrap();
        assert_eq!(meta.len(), BYTES);
        assert!(std::os::unix::fs::MetadataExt::blocks(&meta) * 512 >= BYTES);
        assert!(release(&database));
        assert!(!release(&database));
    }
}
