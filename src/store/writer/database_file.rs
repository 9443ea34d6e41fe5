//! The database file: created with private permissions, checked before SQLite opens it, and
//! identified by a marker file.

use crate::model::error::{Failure, Result};
use crate::store::error::corrupt;
use crate::store::failpoint::Step;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Open handles of the database files this process has read, by device and inode.
///
/// POSIX advisory locks belong to the process and inode: closing any handle of a file releases all
/// of the process's locks on it. SQLite uses such locks. If they were released, the next process to
/// close the database would take itself for the last one and delete the WAL of a live writer. A
/// handle therefore stays open as long as its file has a name.
static HEADER_HANDLES: Mutex<BTreeMap<(u64, u64), File>> = Mutex::new(BTreeMap::new());

/// Checks the database file, or creates it. Returns `true` if it is new or empty.
///
/// # Errors
/// `db_corrupt` for a file that is missing, empty, truncated or not a database; `io_failed`.
pub fn prepare(path: &Path) -> Result<bool> {
    let must_exist = marker(path).exists();
    match std::fs::metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            if must_exist {
                return Err(missing_database(path, "is gone"));
            }
            create(path)?;
            Ok(true)
        }
        Err(e) => Err(Failure::io(
            format!("cannot look at {}", path.display()),
            &e,
        )),
        Ok(meta) if meta.len() == 0 && must_exist => Err(missing_database(path, "is empty")),
        Ok(meta) if meta.len() == 0 => Ok(true),
        Ok(_) => check_header(path).map(|()| false),
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
    let made = Step::DatabaseMade.around(|| private_file(path));
    let file = match made {
        // Another process was faster; SQLite's locks decide which of them writes the schema.
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        made => made.map_err(|e| Failure::io(format!("cannot make {}", path.display()), &e))?,
    };
    retain_handle(file).map_err(|e| Failure::io(format!("cannot look at {}", path.display()), &e))
}

fn retain_handle(file: File) -> std::io::Result<()> {
    let meta = file.metadata()?;
    let mut kept = HEADER_HANDLES
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    kept.insert((meta.dev(), meta.ino()), file);
    Ok(())
}

/// Reads the header. The handle stays open; see [`LOOKED_INTO`].
fn read_header(path: &Path) -> std::io::Result<[u8; 100]> {
    let mut kept = HEADER_HANDLES
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
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
fn private_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
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

/// Refuses a file that is no database, or shorter than its header says.
fn check_header(path: &Path) -> Result<()> {
    check_header_pausing(path, || {})
}

/// [`check_header`], with a pause after each reading, in which a test changes the file.
///
/// A file that looks cut off is refused only when a second look sees exactly the same. Another
/// process may commit or checkpoint between two readings of one look: page 1 is written before
/// the file has grown, and the log is removed after that, so that one look can join a header from
/// after the checkpoint with a length from before it. A checkpoint leaves a file that is as long as
/// its header says, so two equal looks cannot both come from the middle of one.
fn check_header_pausing(path: &Path, mut pause: impl FnMut()) -> Result<()> {
    let mut look = FileLook::take(path, &mut pause)?;
    for _ in 0..MAX_LOOKS {
        if !look.is_cut_off() {
            return look.check_magic(path);
        }
        let second = FileLook::take(path, &mut pause)?;
        if second == look {
            return look.check_magic(path).and(Err(truncated(path)));
        }
        look = second;
    }
    // The file changes faster than it can be looked at: it is in use, and SQLite will judge it.
    Ok(())
}

/// How often a file that looks cut off and keeps changing is looked at.
const MAX_LOOKS: u32 = 64;

/// What was read of a database file without a lock, one value after the other.
#[derive(PartialEq, Eq)]
struct FileLook {
    /// `None` where the file is shorter than a header.
    header: Option<[u8; 100]>,
    len: u64,
    log_len: u64,
}

impl FileLook {
    fn take(path: &Path, pause: &mut impl FnMut()) -> Result<Self> {
        let failed = |e: &std::io::Error| Failure::io(format!("cannot read {}", path.display()), e);
        let header = match read_header(path) {
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => None,
            Err(e) => return Err(failed(&e)),
            Ok(header) => Some(header),
        };
        pause();
        let len = std::fs::metadata(path).map_err(|e| failed(&e))?.len();
        pause();
        let log_len = std::fs::metadata(log(path)).map_or(0, |meta| meta.len());
        pause();
        Ok(Self {
            header,
            len,
            log_len,
        })
    }

    fn check_magic(&self, path: &Path) -> Result<()> {
        match self.header {
            Some(header) if header[..16] != *MAGIC => {
                Err(corrupt(format!("{} is not a database", path.display())))
            }
            _ => Ok(()),
        }
    }

    fn is_cut_off(&self) -> bool {
        let Some(header) = &self.header else {
            return true;
        };
        // Before a checkpoint of the WAL, the file may be shorter than its header says.
        header[..16] == *MAGIC && self.log_len == 0 && self.len < expected_len(header)
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

fn missing_database(path: &Path, how: &str) -> Failure {
    corrupt(format!(
        "the database {} {how}, although it was there before",
        path.display()
    ))
}

fn truncated(path: &Path) -> Failure {
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
        type DamageFn = fn(&mut Vec<u8>);
        let cases: [(&str, DamageFn); 6] = [
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
    fn a_checkpoint_between_two_readings_is_no_damage() {
        for paused_at in 1..=3 {
            let (_dir, path) = closed_database();
            let mut writer = Some(Connection::open(&path).unwrap());
            let commit = |conn: &Connection| {
                conn.execute_batch(
                    "CREATE TABLE IF NOT EXISTS filler (x);
                     INSERT INTO filler VALUES (zeroblob(100000))",
                )
                .unwrap();
            };
            let mut pauses = 0;
            let checked = check_header_pausing(&path, || {
                pauses += 1;
                if pauses == paused_at {
                    // The last connection to close folds the log into the file and removes it.
                    let writer = writer.take().unwrap();
                    commit(&writer);
                    writer.close().unwrap();
                }
            });
            assert!(checked.is_ok(), "paused at {paused_at}: {checked:?}");
        }
    }

    /// The readings of one look joined wrongly, as a checkpoint by another process can do it: the header
    /// is new, the length old, the log gone again.
    #[test]
    fn a_look_that_joins_two_moments_is_taken_again() {
        let (_dir, path) = closed_database();
        let whole = std::fs::read(&path).unwrap();
        let short = whole.len() - 4096;
        let file = || OpenOptions::new().write(true).open(&path).unwrap();
        for grown_at in 2..=4 {
            file().set_len(short as u64).unwrap();
            let mut pauses = 0;
            let checked = check_header_pausing(&path, || {
                pauses += 1;
                if pauses == grown_at {
                    file().write_all_at(&whole[short..], short as u64).unwrap();
                }
            });
            assert!(checked.is_ok(), "grown at {grown_at}: {checked:?}");
        }
        file().set_len(short as u64).unwrap();
        assert_eq!(check_header(&path).unwrap_err().code, Code::DbCorrupt);
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
                        .contains(&format!("up to {}", crate::store::writer::migrate::CURRENT)),
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
