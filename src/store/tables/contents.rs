//! Small contents by their hash: what artifacts and prompts hold, up to [`SMALL`] bytes.
//!
//! A content is stored in the transaction whose facts name it, so it is on disk exactly when they
//! are and costs no flush of its own. Larger ones are files; those are the engine's to keep, and a
//! [`StoredContent`] of one says no more than its hash. What is read is held against its hash by whoever reads.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};

use crate::model::error::Result;
use crate::model::hash::ContentHash;

/// The most bytes that lie in the database. Beyond about this a file is the quicker place, and the log
/// would be filled by few of them.
pub const SMALL: usize = 64 * 1024;

/// A content that facts are about to name. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredContent {
    sha256: ContentHash,
    bytes: Option<Arc<[u8]>>,
}

impl StoredContent {
    /// One that is to be stored with the facts that name it; `sha256` is its hash.
    #[must_use]
    pub fn small(sha256: ContentHash, bytes: &[u8]) -> Self {
        Self {
            sha256,
            bytes: Some(bytes.into()),
        }
    }

    /// One that lies in a file already.
    #[must_use]
    pub fn in_file(sha256: ContentHash) -> Self {
        Self {
            sha256,
            bytes: None,
        }
    }

    /// Its hash.
    #[must_use]
    pub fn sha256(&self) -> &ContentHash {
        &self.sha256
    }

    /// Stores it, unless it is there or lies in a file. A row that was damaged is made good.
    ///
    /// # Errors
    /// What the database says.
    pub fn store(&self, tx: &Connection) -> Result<()> {
        if let Some(bytes) = &self.bytes {
            tx.prepare_cached(
                "INSERT INTO contents (sha256, bytes) VALUES (?1, ?2) \
                 ON CONFLICT (sha256) DO UPDATE SET bytes = excluded.bytes WHERE bytes <> excluded.bytes",
            )?
            .execute((self.sha256.as_str(), &bytes[..]))?;
        }
        Ok(())
    }
}

/// The stored bytes under a hash, if any.
///
/// # Errors
/// What the database says.
pub fn get(conn: &Connection, hash: &ContentHash) -> Result<Option<Vec<u8>>> {
    let mut query = conn.prepare_cached("SELECT bytes FROM contents WHERE sha256 = ?1")?;
    Ok(query
        .query_row([hash.as_str()], |row| row.get(0))
        .optional()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::fixture;

    #[test]
    fn a_content_is_stored_once_and_made_good_where_it_was_damaged() {
        let conn = fixture::memory();
        let (hash, changes) = (ContentHash::from_bytes(b"same"), |conn: &Connection| {
            conn.changes()
        });
        let content = StoredContent::small(hash.clone(), b"same");
        content.store(&conn).unwrap();
        assert_eq!(
            (get(&conn, &hash).unwrap().unwrap(), changes(&conn)),
            (b"same".to_vec(), 1)
        );
        content.store(&conn).unwrap();
        assert_eq!(changes(&conn), 0);
        conn.execute("UPDATE contents SET bytes = x'00'", [])
            .unwrap();
        content.store(&conn).unwrap();
        assert_eq!(get(&conn, &hash).unwrap().unwrap(), b"same");
    }

    #[test]
    fn what_lies_in_a_file_leaves_no_row_and_what_is_undone_neither() {
        let conn = fixture::memory();
        let hash = ContentHash::from_bytes(b"x");
        StoredContent::in_file(hash.clone()).store(&conn).unwrap();
        assert_eq!(get(&conn, &hash).unwrap(), None);
        conn.execute_batch("SAVEPOINT job").unwrap();
        StoredContent::small(hash.clone(), b"x")
            .store(&conn)
            .unwrap();
        conn.execute_batch("ROLLBACK TO job; RELEASE job").unwrap();
        assert_eq!(get(&conn, &hash).unwrap(), None);
    }
}
