//! The database as a file: made private, looked at before SQLite sees it, vouched for by a marker.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::error::corrupt;
use crate::model::error::{Failure, Result};

const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Makes sure that there is a file worth opening; `true` when it is new or never had anything in it.
///
/// # Errors
/// `db_corrupt` for a file that is lost, empty, cut or no database; `io_failed`.
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
        Err(e) => Err(Failure::io(format!("cannot look at {}", path.display()), &e)),
        Ok(meta) if meta.len() == 0 && must_exist => Err(lost(path, "is empty")),
        Ok(meta) if meta.len() == 0 => Ok(true),
        Ok(meta) => check_header(path, meta.len()).map(|()| false),
    }
}

/// Holds the database's identity against the marker, and writes the marker when there is none.
///
/// # Errors
/// `db_corrupt` when the marker speaks of another database; `io_failed`.
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
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => write_marker(&marker, uuid).and_then(|()| sync_folder(path)),
        Err(e) => Err(Failure::io(format!("cannot read {}", marker.display()), &e)),
    }
}

/// Makes the names in the database's folder survive a power loss.
///
/// # Errors
/// `io_failed`.
pub fn sync_folder(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|f| f.sync_all()).map_err(|e| Failure::io(format!("cannot sync folder {}", folder.display()), &e))
}

/// The folder for backups made before a migration.
pub fn backups(path: &Path) -> PathBuf {
    path.with_file_name("backups")
}

/// Makes a folder that only its owner can enter.
///
/// # Errors
/// `io_failed` naming the folder.
pub fn private_folder(folder: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|e| Failure::io(format!("cannot make folder {}", folder.display()), &e))
}

/// The file that says that the database must exist.
pub fn marker(path: &Path) -> PathBuf {
    path.with_extension("initialised")
}

fn create(path: &Path) -> Result<()> {
    if let Some(folder) = path.parent() {
        private_folder(folder)?;
    }
    private_file(path).map(drop)
}

/// The log and the shared memory that SQLite puts beside a database inherit its mode.
fn private_file(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|e| Failure::io(format!("cannot make {}", path.display()), &e))
}

fn write_marker(marker: &Path, uuid: &str) -> Result<()> {
    let mut file = private_file(marker)?;
    let written = writeln!(file, "{uuid}").and_then(|()| file.sync_all());
    written.map_err(|e| Failure::io(format!("cannot write {}", marker.display()), &e))
}

fn check_header(path: &Path, len: u64) -> Result<()> {
    let mut header = [0_u8; 100];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    match read {
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Err(cut(path)),
        Err(e) => return Err(Failure::io(format!("cannot read {}", path.display()), &e)),
        Ok(()) => {}
    }
    if header[..16] != *MAGIC {
        return Err(corrupt(format!("{} is not a database", path.display())));
    }
    // While a log waits to be folded in, the file may rightly be shorter than its header says.
    let log = std::fs::metadata(with_suffix(path, "-wal")).map_or(0, |meta| meta.len());
    if log == 0 && len < expected_len(&header) { Err(cut(path)) } else { Ok(()) }
}

/// Page size times pages, where the header vouches for the count.
fn expected_len(header: &[u8; 100]) -> u64 {
    let word = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let page_size = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        size => u64::from(size),
    };
    let counted_by_last_writer = word(24) == word(92);
    if counted_by_last_writer { page_size * u64::from(word(28)) } else { page_size }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn lost(path: &Path, how: &str) -> Failure {
    corrupt(format!("the database {} {how}, although it was there before", path.display()))
}

fn cut(path: &Path) -> Failure {
    corrupt(format!("the database {} was cut off", path.display()))
}
