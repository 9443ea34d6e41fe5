//! Copies of the database for bad days: one a day in which something was stored, the last seven kept.
//!
//! A copy is made by SQLite from one moment of the database, beside living writers, under another name,
//! and gets its own when it is on disk. Putting one back is the operator's: stop every phasedeck, move the
//! damaged files away, copy a backup to the database's name, start. What came after it is missing then,
//! which the anchor tells.

use std::path::{Path, PathBuf};

use super::open;
use crate::model::error::{Failure, Result};
use crate::model::time::Timestamp;
use crate::store::failpoint::Step;
use crate::store::writer::{database_file, disk_reserve};
use rusqlite::{Connection, OpenFlags};

/// Copies that are kept.
const KEPT: usize = 7;
/// How the names of daily copies begin.
const DAILY: &str = "daily-";

/// Where copies lie.
#[must_use]
pub fn folder(path: &Path) -> PathBuf {
    database_file::backups(path)
}

/// Makes the copy of this day, unless it is there, nothing was stored since the last one, or there is no
/// room for it; takes away the oldest ones. Says where the new one lies. Blocks for as long as it takes to
/// write the whole database.
///
/// # Errors
/// What the database says; `io_failed`.
pub fn daily(path: &Path, now: Timestamp) -> Result<Option<PathBuf>> {
    let folder = database_file::backups(path);
    database_file::private_folder(&folder)?;
    let day: String = now.to_string().chars().take("2026-01-31".len()).collect();
    let copy = folder.join(format!("{DAILY}{day}.db"));
    if copy.exists() || !stored_since(path, kept(&folder).last()) || !has_room(path) {
        return Ok(None);
    }
    let conn = open::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let unfinished = folder.join(format!(".tmp-{}", uuid::Uuid::new_v4().simple()));
    write(&conn, &unfinished).inspect_err(|_| drop(std::fs::remove_file(&unfinished)))?;
    let named = Step::DatabaseBackup.around(|| std::fs::rename(&unfinished, &copy));
    named.map_err(|e| Failure::io(format!("cannot name the backup {}", copy.display()), &e))?;
    database_file::sync_folder(&copy)?;
    let all = kept(&folder);
    for old in all.iter().take(all.len().saturating_sub(KEPT)) {
        // One that cannot be removed is tried again tomorrow.
        let _ = Step::DatabaseBackup.around(|| std::fs::remove_file(old));
    }
    Ok(Some(copy))
}

/// Writes what a connection sees to a new file of this user's alone, and forces it to disk.
///
/// # Errors
/// What the database says; `io_failed`.
pub(in crate::store) fn write(conn: &Connection, copy: &Path) -> Result<()> {
    Step::DatabaseBackup.before();
    conn.execute("VACUUM INTO ?1", [copy.to_string_lossy()])?;
    std::fs::set_permissions(copy, std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .map_err(|e| Failure::io(format!("cannot make {} private", copy.display()), &e))?;
    std::fs::File::open(copy)
        .and_then(|f| f.sync_all())
        .map_err(|e| Failure::io(format!("cannot sync {}", copy.display()), &e))?;
    Step::DatabaseBackup.after();
    Ok(())
}

/// The daily copies, oldest first.
fn kept(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|file| file.path());
    let is_daily = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(DAILY))
    };
    let mut found: Vec<PathBuf> = files.filter(is_daily).collect();
    found.sort();
    found
}

fn stored_since(path: &Path, last: Option<&PathBuf>) -> bool {
    let at = |path: &Path| {
        std::fs::metadata(path)
            .and_then(|meta| meta.modified())
            .ok()
    };
    let Some(copied) = last.and_then(|last| at(last)) else {
        return true;
    };
    [path.to_path_buf(), database_file::log(path)]
        .iter()
        .filter_map(|file| at(file))
        .any(|stored| stored > copied)
}

/// Room for the copy, and as much again left for what is being worked on.
fn has_room(path: &Path) -> bool {
    let bytes: u64 = [path.to_path_buf(), database_file::log(path)]
        .iter()
        .filter_map(|file| std::fs::metadata(file).ok())
        .map(|meta| meta.len())
        .sum();
    disk_reserve::free_bytes(path).is_none_or(|free| free > 2 * bytes + disk_reserve::RESERVE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::hash::ContentHash;
    use crate::store::tables::consents;
    use crate::store::{Reader, Store};

    const DAY_MS: i64 = 86_400_000;

    /// Has a copy be made a minute before or after now, which its file system may not tell apart.
    fn date(copy: &Path, later: bool) {
        let (now, minute) = (
            std::fs::metadata(copy).unwrap().modified().unwrap(),
            std::time::Duration::from_secs(60),
        );
        let file = std::fs::File::options().write(true).open(copy).unwrap();
        file.set_modified(if later { now + minute } else { now - minute })
            .unwrap();
    }

    #[test]
    fn a_copy_is_made_each_day_in_which_something_was_stored_and_the_last_seven_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("phasedeck.db");
        let store = Store::open(&path).unwrap();
        let first = daily(&path, Timestamp(0)).unwrap().unwrap();
        assert!(first.ends_with("backups/daily-1970-01-01.db"), "{first:?}");
        assert_eq!(
            daily(&path, Timestamp(1)).unwrap(),
            None,
            "this day has its copy"
        );
        date(&first, true);
        assert_eq!(
            daily(&path, Timestamp(DAY_MS)).unwrap(),
            None,
            "nothing was stored since"
        );
        date(&first, false);
        date(&first, false);
        for day in 1..=9 {
            let name = format!("persona-{day}");
            store
                .write_blocking(move |tx| {
                    consents::insert(
                        tx,
                        &name,
                        &ContentHash::from_bytes(name.as_bytes()),
                        "kim",
                        Timestamp(1),
                    )
                })
                .unwrap();
            let copy = daily(&path, Timestamp(day * DAY_MS)).unwrap().unwrap();
            let reader = Reader::open(&copy).unwrap();
            assert_eq!(
                consents::all(reader.connection()).unwrap().len(),
                usize::try_from(day).unwrap()
            );
            assert_eq!(
                std::os::unix::fs::PermissionsExt::mode(
                    &std::fs::metadata(&copy).unwrap().permissions()
                ) & 0o777,
                0o600
            );
            date(&copy, false);
        }
        let folder = database_file::backups(&path);
        let names: Vec<_> = kept(&folder)
            .iter()
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(
            (names.len(), names[0].as_str(), names[6].as_str()),
            (7, "daily-1970-01-04.db", "daily-1970-01-10.db")
        );
        let files = std::fs::read_dir(&folder).unwrap().filter(|file| {
            file.as_ref()
                .unwrap()
                .path()
                .extension()
                .is_some_and(|end| end == "db")
        });
        assert_eq!(files.count(), 7, "nothing unfinished lies there");
    }
}
