//! The one thread that writes.

use std::path::{Path, PathBuf};

use rusqlite::Transaction;

use super::reader::Reader;
use crate::model::error::{Failure, Result};

/// The way to the writer. Cheap to clone; the thread ends with the last clone.
#[derive(Clone, Debug)]
pub struct Store {
    path: PathBuf,
}

impl Store {
    /// Opens the database, makes it when there is none yet, and migrates it.
    ///
    /// # Errors
    /// `db_corrupt`, `db_newer_schema` (no byte is changed), `db_locked`, `disk_full`, `io_failed`.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self { path: path.to_path_buf() })
    }

    /// Runs `job` in the next transaction and returns when that is on disk. A job's error undoes that
    /// job alone.
    ///
    /// # Errors
    /// The job's own; what the database says; `internal` when the job panicked.
    pub async fn write<T, F>(&self, job: F) -> Result<T>
    where
        F: FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        drop(job);
        Err(Failure::internal("not built"))
    }

    /// As [`write`](Self::write), for threads outside an async runtime.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_blocking<T, F>(&self, job: F) -> Result<T>
    where
        F: FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        drop(job);
        Err(Failure::internal("not built"))
    }

    /// A reader of this database.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn reader(&self) -> Result<Reader> {
        Reader::open(&self.path)
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Finishes what is queued, folds the log into the database file, and ends the thread.
    ///
    /// # Errors
    /// What the database says; everything acknowledged is on disk all the same.
    pub async fn close(&self) -> Result<()> {
        Err(Failure::internal("not built"))
    }
}
