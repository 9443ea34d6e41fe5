//! A read-only connection of its own, which never waits for the writer.

use std::path::Path;

use rusqlite::Connection;

use crate::model::error::{Failure, Result};

/// A read-only connection. One per thread.
#[derive(Debug)]
pub struct Reader {
    conn: Connection,
}

impl Reader {
    /// Opens an existing database for reading.
    ///
    /// # Errors
    /// `io_failed` when there is none; `db_newer_schema`; `db_corrupt`.
    pub fn open(path: &Path) -> Result<Self> {
        let _ = path;
        Err(Failure::internal("not built"))
    }

    /// The connection, for the reading functions of this room.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.conn
    }

    /// Changes whenever another connection has committed.
    ///
    /// # Errors
    /// What the database says.
    pub fn data_version(&self) -> Result<i64> {
        Ok(self.conn.pragma_query_value(None, "data_version", |row| row.get(0))?)
    }
}
