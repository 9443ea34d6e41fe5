//! The database file: created with private permissions, checked before SQLite opens it, and
//! identified by a marker file.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::error::corrupt;
use super::failpoint::Step;
use crate::model::error::{Failure, Result};

const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Open handles of the database files this process has read, by device and inode.
///
/// POSIX advisory locks belong to the process and inode: closing any handle of a file releases all
/// of the process's locks on it. SQLite uses such locks. If they were released, the next process to
/// close the database would take itself for the last one and delete the WAL of a live writer. A
/// handle therefore stays open as long as its file has a name.
static LOOKED_INTO: Mutex<BTreeMap<(u64, u64), File>> = Mutex::new(BTreeMap::new());

/// Checks the database file, or creates it. Returns `true` if it is new or empty.
///
/// # Errors
/// `db_corrupt` for a file that is missing, empty, truncated or not a database; `io_failed`.
pub fn prepare(path: &Path) -> Result<bool> {
    let must_exist = marker(path).exists();
    match std::fs::metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            if must_exist {
                return Err(lost(path, "is gone"));
            }
            create(path)?;
            Ok(true)
        }
        Err(e) => Err(Failure::io(
            format!("cannot look at {}", path.display()),
            &e,
        )),
        Ok(meta) if meta.len() == 0 && must_exist => Err(lost(path, "is empty")),
        Ok(meta) if meta.len() == 0 => Ok(true),
        Ok(meta) => check_header(path, meta.len()).map(|()| false),
    }
}

/// Compares the database's identity with the marker. Writes the marker if there is none.
///
/// # Errors
/// `db_corrupt` if the marker names another database; `io_failed`.
pub fn check_marker(path: &Path, uuid: &str) -> Result<()> {
    let marker = marker(path);
    match std::fs::read_to_string(&marker) {
        Ok(known) if known.trim() == uuid => Ok(()),
        Ok(known) => Err(corrupt(format!(
            "{} is not the database that belongs here ({} is, says {})",
            path.display(),
            known.trim(),
            marker.display()
        ))
        .hint("if you put this database there on purpose, remove that file and start again")),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            write_marker(&marker, uuid).and_then(|()| sync_folder(path))
        }
        Err(e) => Err(Failure::io(format!("cannot read {}", marker.display()), &e)),
    }
}

/// Syncs the database's folder, so that its directory entries survive a power loss.
///
/// # Errors
/// `io_failed`.
pub fn sync_folder(path: &Path) -> Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let synced = Step::DatabaseFolder.around(|| File::open(folder).and_then(|f| f.sync_all()));
    synced.map_err(|e| Failure::io(format!("cannot sync folder {}", folder.display()), &e))
}

/// Returns the folder of the daily and pre-migration backups.
pub fn backups(path: &Path) -> PathBuf {
    path.with_file_name("backups")
}

/// Creates a folder with mode 0700.
///
/// # Errors
/// `io_failed` naming the folder.
pub fn private_folder(folder: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(folder)
        .map_err(|e| Failure::io(format!("cannot make folder {}", folder.display()), &e))
}

/// Returns the path of the marker file. If it exists, the database must exist too.
pub fn marker(path: &Path) -> PathBuf {
    path.with_extension("initialised")
}

fn create(path: &Path) -> Result<()> {
    if let Some(folder) = path.parent() {
        private_folder(folder)?;
    }
    Step::DatabaseMade
        .around(|| private_file(path))
        .and_then(|file| {
            keep(file).map_err(|e| Failure::io(format!("cannot look at {}", path.display()), &e))
        })
}

fn keep(file: File) -> std::io::Result<()> {
    let meta = file.metadata()?;
    let mut kept = LOOKED_INTO.lock().unwrap_or_else(PoisonError::into_inner);
    kept.insert((meta.dev(), meta.ino()), file);
    Ok(())
}

/// Reads the header. The handle stays open; see [`LOOKED_INTO`].
fn read_header(path: &Path) -> std::io::Result<[u8; 100]> {
    let mut kept = LOOKED_INTO.lock().unwrap_or_else(PoisonError::into_inner);
    kept.retain(|_, file| file.metadata().is_ok_and(|meta| meta.nlink() > 0));
    let meta = std::fs::metadata(path)?;
    let file = match kept.entry((meta.dev(), meta.ino())) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(place) => place.insert(File::open(path)?),
    };
    let mut header = [0; 100];
    file.read_exact_at(&mut header, 0)?;
    Ok(header)
}

/// Creates the file with mode 0600. SQLite gives the `-wal` and `-shm` files the same mode.
fn private_file(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .map_err(|e| Failure::io(format!("cannot make {}", path.display()), &e))
}

/// Writes the marker atomically: another process may read it, or this one be killed, at any time.
fn write_marker(marker: &Path, uuid: &str) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(marker.parent().unwrap_or(marker))?;
        writeln!(file, "{uuid}")?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(marker) {
            // Another process wrote the marker of the same database first.
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error.error),
            Ok(_) => Ok(()),
        }
    };
    let written = Step::DatabaseMarker.around(write);
    written.map_err(|e| Failure::io(format!("cannot write {}", marker.display()), &e))
}

fn check_header(path: &Path, len: u64) -> Result<()> {
    let header = match read_header(path) {
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Err(cut(path)),
        Err(e) => return Err(Failure::io(format!("cannot read {}", path.display()), &e)),
        Ok(header) => header,
    };
    if header[..16] != *MAGIC {
        return Err(corrupt(format!("{} is not a database", path.display())));
    }
    // Before a checkpoint of the WAL, the file may be shorter than its header says.
    let log = std::fs::metadata(log(path)).map_or(0, |meta| meta.len());
    if log == 0 && len < expected_len(&header) {
        Err(cut(path))
    } else {
        Ok(())
    }
}

/// Page size times page count. The count at offset 28 is valid only if the change counter (24)
/// equals version-valid-for (92); see the SQLite file format.
fn expected_len(header: &[u8; 100]) -> u64 {
    let word = |at: usize| {
        u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    let page_size = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        size => u64::from(size),
    };
    let counted_by_last_writer = word(24) == word(92);
    if counted_by_last_writer {
        page_size * u64::from(word(28))
    } else {
        page_size
    }
}

/// Returns the path of the write-ahead log.
pub fn log(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn lost(path: &Path, how: &str) -> Failure {
    corrupt(format!(
        "the database {} {how}, although it was there before",
        path.display()
    ))
}

fn cut(path: &Path) -> Failure {
    corrupt(format!("the database {} was cut off", path.display()))
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::model::error::Code;
    use crate::store::{Reader, Store};

    fn closed_database() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("phasedeck.db");
        drop(Store::open(&path).unwrap());
        (dir, path)
    }

    fn damage(path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut bytes = std::fs::read(path).unwrap();
        change(&mut bytes);
        std::fs::write(path, &bytes).unwrap();
        bytes
    }

    #[test]
    fn a_damaged_file_is_refused_and_not_one_byte_of_it_changes() {
        type Damage = fn(&mut Vec<u8>);
        let cases: [(&str, Damage); 6] = [
            ("empty", Vec::clear),
            ("shorter than a header", |bytes| bytes.truncate(50)),
            ("half", |bytes| bytes.truncate(bytes.len() / 2)),
            ("one page short", |bytes| bytes.truncate(bytes.len() - 4096)),
            ("another magic", |bytes| bytes[0] = b'X'),
            ("a torn schema page", |bytes| bytes[100..4096].fill(0xAA)),
        ];
        for (name, change) in cases {
            let (_dir, path) = closed_database();
            let before = damage(&path, change);
            assert_eq!(
                Store::open(&path).unwrap_err().code,
                Code::DbCorrupt,
                "{name}"
            );
            assert_eq!(std::fs::read(&path).unwrap(), before, "{name}");
        }
    }

    #[test]
    fn a_lost_database_is_not_made_anew() {
        let (_dir, path) = closed_database();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(Store::open(&path).unwrap_err().code, Code::DbCorrupt);
        assert!(!path.exists());
    }

    #[test]
    fn a_newer_schema_is_refused_naming_both_versions_and_not_one_byte_changes() {
        let (_dir, path) = closed_database();
        let conn = Connection::open(&path).unwrap();
        conn.pragma_update(None, "user_version", 9999).unwrap();
        conn.close().unwrap();
        let before = std::fs::read(&path).unwrap();
        for refused in [
            Store::open(&path).unwrap_err(),
            Reader::open(&path).unwrap_err(),
        ] {
            assert_eq!(refused.code, Code::DbNewerSchema);
            assert!(
                refused.message.contains("schema 9999")
                    && refused
                        .message
                        .contains(&format!("up to {}", crate::store::migrate::CURRENT)),
                "{refused}"
            );
        }
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn somebody_elses_database_is_refused_and_not_one_byte_changes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("phasedeck.db");
        Connection::open(&path)
            .unwrap()
            .execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)")
            .unwrap();
        let before = std::fs::read(&path).unwrap();
        let refused = Store::open(&path).unwrap_err();
        assert_eq!(refused.code, Code::DbCorrupt);
        assert!(
            refused.message.contains("not one of phasedeck's"),
            "{refused}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn another_database_of_ours_in_its_place_is_noticed() {
        let (_dir, path) = closed_database();
        let (_other_dir, other) = closed_database();
        std::fs::copy(&other, &path).unwrap();
        let refused = Store::open(&path).unwrap_err();
        assert_eq!(refused.code, Code::DbCorrupt);
        std::fs::remove_file(marker(&path)).unwrap();
        drop(Store::open(&path).unwrap());
        assert!(marker(&path).exists());
    }

    #[test]
    fn a_creation_that_a_crash_cut_short_begins_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("phasedeck.db");
        std::fs::write(&path, b"").unwrap();
        drop(Store::open(&path).unwrap());
        drop(Reader::open(&path).unwrap());
    }

    #[test]
    fn a_reader_makes_no_database() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("phasedeck.db");
        assert_eq!(Reader::open(&path).unwrap_err().code, Code::IoFailed);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
