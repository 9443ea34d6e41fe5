//! Opens the writing connection: looks before it touches, sets what the promises rest on, migrates.
//!
//! The order matters. A file that is not ours, damaged or too new must be refused before a byte of
//! it changes, so its header is read plainly first, and SQLite is kept from folding the log into it
//! until the schema is known to be ours. A marker file beside the database, written once the first
//! schema is on disk, says that a database must exist: a lost or emptied one is never made anew.

use std::path::Path;
use std::time::Duration;

use super::migrate;
use crate::model::error::{Code, Failure, Result};
use crate::store::failpoint::planted;
use crate::store::failpoint::planted::Bug;
use crate::store::writer::database_file;
use crate::store::{error, failpoint};
use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

/// Marks the file as ours ("phdk"); tools such as `file` show it.
pub(in crate::store) const APPLICATION_ID: i64 = 0x7068_646b;

/// How long a lock of another process is waited for.
pub(in crate::store) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Pages the writer keeps, in KiB (SQLite wants it negative): enough for the upper levels of every tree.
const CACHE_KIB: i64 = -16 * 1024;

/// The first SQLite without the bug that could damage a database when its log was restarted.
const OLDEST_SQLITE: i32 = 3_051_003;

/// Opens or makes the database, ready for the owner thread.
pub(in crate::store) fn writer(path: &Path) -> Result<Connection> {
    check_library(rusqlite::version_number())?;
    let fresh = database_file::prepare(path)?;
    let mut conn = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    failpoint::watch(&mut conn);
    check_identity(&conn, path)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    configure(&conn)?;
    if planted::is(Bug::SynchronousNormal) {
        conn.pragma_update(None, "synchronous", "normal")?;
    }
    if planted::is(Bug::MarkerFirst) && fresh {
        database_file::check_marker(path, "soon")?;
    }
    migrate::to_current(&conn, path)?;
    let uuid = identity(&conn)?;
    if planted::is(Bug::MarkerFirst) && fresh {
        std::fs::write(database_file::marker(path), &uuid)
            .map_err(|e| Failure::io("planted", &e))?;
    }
    database_file::check_marker(path, &uuid)?;
    if fresh {
        database_file::sync_folder(path)?;
    }
    Ok(conn)
}

/// Opens a connection that leaves the database file as it is, also when it is closed.
pub(in crate::store) fn connect(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let conn = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // Else a statement whose plan could hang on what is bound is compiled anew each time something is.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.pragma_update(None, "cell_size_check", true)?;
    conn.pragma_update_and_check(None, "mmap_size", 0, |_| Ok(()))
        .optional()?;
    conn.set_prepared_statement_cache_capacity(128);
    Ok(conn)
}

/// Refuses a database that is not ours or too new. Changes nothing.
pub(in crate::store) fn check_identity(conn: &Connection, path: &Path) -> Result<()> {
    let version = migrate::version(conn)?;
    let application: i64 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let ours = application == APPLICATION_ID || (application == 0 && version == 0 && tables == 0);
    if !ours {
        return Err(error::corrupt(format!(
            "{} is a database, but not one of phasedeck's",
            path.display()
        )));
    }
    if version > migrate::CURRENT {
        Err(migrate::newer(path, version))
    } else {
        Ok(())
    }
}

fn configure(conn: &Connection) -> Result<()> {
    demand(conn, "journal_mode", "wal", "wal")?;
    demand(conn, "synchronous", "full", "2")?;
    demand(conn, "foreign_keys", "on", "1")?;
    for (name, value) in [
        ("wal_autocheckpoint", 1000),
        ("journal_size_limit", 64 * 1024 * 1024),
    ] {
        conn.pragma_update_and_check(None, name, value, |_| Ok(()))?;
    }
    conn.pragma_update(None, "cache_size", CACHE_KIB)?;
    // What a job's savepoint keeps for undoing it would else go to a temporary file, made and removed for each job.
    conn.pragma_update(None, "temp_store", "memory")?;
    // Only macOS tells "handed to the disk" from "on the disk"; elsewhere these change nothing.
    for name in ["fullfsync", "checkpoint_fullfsync"] {
        conn.pragma_update(None, name, true)?;
    }
    Ok(())
}

/// Sets a pragma and reads it back: SQLite answers a setting it cannot grant with the old one.
fn demand(conn: &Connection, name: &str, value: &str, want: &str) -> Result<()> {
    conn.execute_batch(&format!("PRAGMA {name} = {value}"))?;
    let got = pragma(conn, name)?;
    if got == want {
        return Ok(());
    }
    Err(Failure::new(
        Code::IoFailed,
        format!("the database cannot be used safely here: {name} is '{got}', not '{want}'"),
    )
    .hint("put the data folder on a local disk"))
}

fn pragma(conn: &Connection, name: &str) -> rusqlite::Result<String> {
    conn.pragma_query_value(None, name, |row| {
        Ok(match row.get_ref(0)? {
            ValueRef::Integer(number) => number.to_string(),
            other => other.as_str()?.to_owned(),
        })
    })
}

/// The identity that a database got when it was made.
///
/// # Errors
/// `db_corrupt` when it has none.
pub fn identity(conn: &Connection) -> Result<String> {
    let uuid = conn
        .query_row("SELECT value FROM meta WHERE key = 'uuid'", [], |row| {
            row.get(0)
        })
        .optional()?;
    uuid.ok_or_else(|| error::corrupt("the database has lost its identity"))
}

fn check_library(version: i32) -> Result<()> {
    if version >= OLDEST_SQLITE {
        return Ok(());
    }
    Err(Failure::new(
        Code::Internal,
        format!("built with SQLite {version}, which can damage a database; {OLDEST_SQLITE} or newer is needed"),
    )
    .hint("use a build with the bundled SQLite"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_with_the_log_restart_bug_is_refused() {
        assert!(check_library(3_051_002).is_err());
        assert!(check_library(3_051_003).is_ok());
        assert!(check_library(rusqlite::version_number()).is_ok());
    }

    #[test]
    fn the_pragmas_that_the_promises_rest_on_are_set() {
        let dir = tempfile::tempdir().unwrap();
        let conn = writer(&dir.path().join("data/phasedeck.db")).unwrap();
        for (name, want) in [
            ("journal_mode", "wal"),
            ("synchronous", "2"),
            ("foreign_keys", "1"),
            ("trusted_schema", "0"),
            ("cell_size_check", "1"),
            ("wal_autocheckpoint", "1000"),
            ("journal_size_limit", "67108864"),
            ("application_id", &APPLICATION_ID.to_string()),
            ("busy_timeout", "5000"),
            ("cache_size", "-16384"),
            ("temp_store", "2"),
            ("locking_mode", "normal"),
            ("user_version", &super::super::migrate::CURRENT.to_string()),
        ] {
            assert_eq!(pragma(&conn, name).as_deref(), Ok(want), "{name}");
        }
        assert!(conn.db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE).unwrap());
    }
}
