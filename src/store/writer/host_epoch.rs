//! Host epoch: a fencing token in the database. Each host that takes over the data folder advances
//! it, and every transaction of a host checks that its own epoch is still the current one.
//!
//! The lock file excludes a second host only while the file exists. If it is removed, a second host
//! can start, and only the database is shared by both. The newer host has advanced the epoch in a
//! transaction, so the next transaction of the older host finds a foreign epoch, stores nothing,
//! and never writes again. Processes that write but are not the host (inbox, consents) have none.

use std::path::Path;

use super::open;
use crate::model::error::{Code, Failure, Result};
use crate::model::time::Timestamp;
use crate::store::failpoint;
use crate::store::failpoint::Step;
use crate::store::writer::busy_retry;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior};
use serde::{Deserialize, Serialize};

/// Key of the row in `meta`.
const KEY: &str = "host";

/// The host epoch and the host that owns it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostEpoch {
    /// One more than the epoch of the previous host.
    pub epoch: u64,
    #[serde(flatten)]
    pub who: HostIdentity,
    pub since: Timestamp,
}

/// Identity of a host process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostIdentity {
    pub pid: u32,
    /// Device number of the lock file that it has locked.
    pub lock_device: u64,
    /// Inode number of the lock file.
    pub lock_inode: u64,
}

/// The fencing token of this host: the exact text of its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FencingToken(String);

/// Advances the host epoch and returns the token of the new host.
///
/// # Errors
/// Database errors. The epoch is then unchanged.
pub fn advance_epoch(conn: &Connection, who: HostIdentity) -> Result<FencingToken> {
    let tx =
        busy_retry::transient(|| Transaction::new_unchecked(conn, TransactionBehavior::Immediate))?;
    let epoch = current_host(&tx)?.map_or(0, |before| before.epoch) + 1;
    let text = serde_json::to_string(&HostEpoch {
        epoch,
        who,
        since: Timestamp::now(),
    })
    .map_err(Failure::internal)?;
    tx.execute(
        "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2",
        (KEY, &text),
    )?;
    Step::Commit.before();
    busy_retry::transient(|| tx.execute_batch("COMMIT"))?;
    failpoint::committed();
    Ok(FencingToken(text))
}

/// Returns the current host. `None` if the database never had one or the row cannot be parsed.
///
/// # Errors
/// Database errors.
pub fn current_host(conn: &Connection) -> Result<Option<HostEpoch>> {
    Ok(row(conn)?.and_then(|text| serde_json::from_str(&text).ok()))
}

fn row(conn: &Connection) -> Result<Option<String>> {
    let mut query = conn.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    Ok(query.query_row([KEY], |row| row.get(0)).optional()?)
}

impl FencingToken {
    /// Returns whether this token is still the current one.
    ///
    /// # Errors
    /// Database errors.
    pub fn is_current(&self, conn: &Connection) -> Result<bool> {
        Ok(row(conn)?.as_ref() == Some(&self.0))
    }

    /// Like [`holds`](Self::holds), but fails if the token has been superseded.
    ///
    /// # Errors
    /// `session_manager_already_running` naming the new host; database errors.
    pub fn check(&self, conn: &Connection) -> Result<()> {
        if self.is_current(conn)? {
            Ok(())
        } else {
            Err(superseded_by(current_host(conn)?.as_ref()))
        }
    }
}

fn superseded_by(by: Option<&HostEpoch>) -> Failure {
    let who = by.map_or_else(String::new, |by| {
        format!(" (process {}, since {})", by.who.pid, by.since)
    });
    let message = format!(
        "another phasedeck has taken over this data folder{who}; this one stores nothing any more"
    );
    Failure::new(Code::SessionManagerAlreadyRunning, message)
        .hint("was host.lock removed? end this one; `phasedeck` attaches to the other, where the runs go on")
}

/// Returns the last host of a database file without modifying it; `None` if there is no database.
///
/// # Errors
/// Database errors.
pub fn last_host(path: &Path) -> Result<Option<HostEpoch>> {
    if !path.exists() {
        return Ok(None);
    }
    let conn = open::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let tables: i64 = conn.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE name = 'meta'",
        [],
        |row| row.get(0),
    )?;
    if tables == 0 {
        Ok(None)
    } else {
        current_host(&conn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::tests::fixture;

    fn process(pid: u32) -> HostIdentity {
        HostIdentity {
            pid,
            lock_device: 1,
            lock_inode: u64::from(pid),
        }
    }

    #[test]
    fn each_claim_is_one_more_and_ends_the_one_before() {
        let conn = fixture::memory();
        assert_eq!(current_host(&conn).unwrap(), None);
        let first = advance_epoch(&conn, process(7)).unwrap();
        assert_eq!(
            current_host(&conn)
                .unwrap()
                .map(|claim| (claim.epoch, claim.who)),
            Some((1, process(7)))
        );
        first.check(&conn).unwrap();
        let second = advance_epoch(&conn, process(8)).unwrap();
        assert_eq!(
            current_host(&conn)
                .unwrap()
                .map(|claim| (claim.epoch, claim.who)),
            Some((2, process(8)))
        );
        second.check(&conn).unwrap();
        let refused = first.check(&conn).unwrap_err();
        assert_eq!(refused.code, Code::SessionManagerAlreadyRunning);
        assert!(refused.message.contains("process 8, since "), "{refused}");
    }

    #[test]
    fn a_claim_that_somebody_removed_or_spoiled_holds_for_nobody_and_the_next_one_does() {
        let conn = fixture::memory();
        for spoil in [
            "DELETE FROM meta WHERE key = 'host'",
            "UPDATE meta SET value = 'x' WHERE key = 'host'",
        ] {
            let mine = advance_epoch(&conn, process(7)).unwrap();
            conn.execute_batch(spoil).unwrap();
            assert_eq!(
                mine.check(&conn).unwrap_err().code,
                Code::SessionManagerAlreadyRunning,
                "{spoil}"
            );
            advance_epoch(&conn, process(7))
                .unwrap()
                .check(&conn)
                .unwrap();
        }
    }

    #[test]
    fn the_last_host_is_known_of_a_closed_database_and_nobody_of_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("phasedeck.db");
        assert_eq!(last_host(&path).unwrap(), None);
        std::fs::write(&path, b"").unwrap();
        assert_eq!(last_host(&path).unwrap(), None);
        Store::open_as_host(&path, process(9))
            .unwrap()
            .close_blocking()
            .unwrap();
        assert_eq!(
            last_host(&path).unwrap().map(|claim| claim.who),
            Some(process(9))
        );
    }
}
