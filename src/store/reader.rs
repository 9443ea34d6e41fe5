//! A read-only connection that never waits for the writer.
//!
//! Each query sees the state committed when it began. No read transaction outlives a query, so a
//! reader does not block checkpoints of the WAL.

use std::path::Path;

use crate::model::error::{Code, Failure, Result};
use crate::store::writer::{migrate, open};
use rusqlite::{Connection, OpenFlags};

/// A read-only connection. One per thread.
#[derive(Debug)]
pub struct Reader {
    conn: Connection,
}

impl Reader {
    /// Opens an existing database for reading. Creates and changes nothing.
    ///
    /// # Errors
    /// `io_failed` when there is none or it is not ready; `db_newer_schema`; `db_corrupt`.
    pub fn open(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Err(Failure::new(
                Code::IoFailed,
                format!("there is no database at {}", path.display()),
            )
            .hint("it is made by the first `phasedeck run`"));
        }
        let conn = open::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        conn.pragma_update(None, "query_only", true)?;
        open::check_identity(&conn, path)?;
        if migrate::version(&conn)? < migrate::CURRENT {
            return Err(Failure::new(
                Code::IoFailed,
                format!("{} is not of this phasedeck's schema yet", path.display()),
            )
            .hint("start `phasedeck` once; it brings the database up to date"));
        }
        Ok(Self { conn })
    }

    /// Returns the connection, for the query functions of the store.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.conn
    }

    /// Returns `PRAGMA data_version`, which changes when another connection commits. Reads no table.
    ///
    /// # Errors
    /// Database errors.
    pub fn data_version(&self) -> Result<i64> {
        Ok(self
            .conn
            .pragma_query_value(None, "data_version", |row| row.get(0))?)
    }
}
