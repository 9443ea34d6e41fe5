//! Who may write as the host: a claim in the database, raised by every host that takes the data folder
//! over, and held against in every transaction of the one that made it.
//!
//! The lock in the data folder keeps hosts apart as long as nobody removes its file. Whoever does lets
//! two of them in, and only the database knows both: the newer one has raised the claim in a
//! transaction, so the next transaction of the older one finds that it is not its own, stores nothing,
//! and never writes again. Who writes beside a host (a command for the inbox, a consent) makes no claim.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior};
use serde::{Deserialize, Serialize};

use super::failpoint::{self, Step};
use super::{open, retry};
use crate::model::error::{Code, Failure, Result};
use crate::model::time::Timestamp;

/// The row of `meta` that has the claim.
const KEY: &str = "host";

/// Which host it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// One more than that of the host before it.
    pub epoch: u64,
    /// Who it is.
    #[serde(flatten)]
    pub who: Claimant,
    /// Since when it is the host.
    pub since: Timestamp,
}

/// Who claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claimant {
    /// The process.
    pub pid: u32,
    /// The device of the lock's file that it holds.
    pub lock_device: u64,
    /// The inode of that file.
    pub lock_inode: u64,
}

/// A claim that was made, as its row has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed(String);

/// Raises the claim.
///
/// # Errors
/// What the database says; the claim is as it was then.
pub fn claim(conn: &Connection, who: Claimant) -> Result<Claimed> {
    let tx = retry::transient(|| Transaction::new_unchecked(conn, TransactionBehavior::Immediate))?;
    let epoch = holder(&tx)?.map_or(0, |before| before.epoch) + 1;
    let text = serde_json::to_string(&Claim {
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
    retry::transient(|| tx.execute_batch("COMMIT"))?;
    failpoint::committed();
    Ok(Claimed(text))
}

/// Who has the claim; nobody in a database that never had a host, and what cannot be read counts as that.
///
/// # Errors
/// What the database says.
pub fn holder(conn: &Connection) -> Result<Option<Claim>> {
    Ok(row(conn)?.and_then(|text| serde_json::from_str(&text).ok()))
}

fn row(conn: &Connection) -> Result<Option<String>> {
    let mut query = conn.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    Ok(query.query_row([KEY], |row| row.get(0)).optional()?)
}

impl Claimed {
    /// Whether it still holds.
    ///
    /// # Errors
    /// What the database says.
    pub fn holds(&self, conn: &Connection) -> Result<bool> {
        Ok(row(conn)?.as_ref() == Some(&self.0))
    }

    /// As [`holds`](Self::holds); it must.
    ///
    /// # Errors
    /// `session_manager_already_running` naming the host that has taken over; what the database says.
    pub fn check(&self, conn: &Connection) -> Result<()> {
        if self.holds(conn)? {
            Ok(())
        } else {
            Err(overtaken(holder(conn)?.as_ref()))
        }
    }
}

fn overtaken(by: Option<&Claim>) -> Failure {
    let who = by.map_or_else(String::new, |by| {
        format!(" (process {}, since {})", by.who.pid, by.since)
    });
    let message = format!(
        "another phasedeck has taken over this data folder{who}; this one stores nothing any more"
    );
    Failure::new(Code::SessionManagerAlreadyRunning, message)
        .hint("was host.lock removed? end this one; `phasedeck` attaches to the other, where the runs go on")
}

/// The last host of a database file, read before anything of it is touched; nobody where there is none.
///
/// # Errors
/// What the database says.
pub fn last_host(path: &Path) -> Result<Option<Claim>> {
    if !path.exists() {
        return Ok(None);
    }
    let conn = open::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let tables: i64 = conn.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE name = 'meta'",
        [],
        |row| row.get(0),
    )?;
    if tables == 0 { Ok(None) } else { holder(&conn) }
}

#[cfg(test)]
mod tests {
    use super::super::{Store, fixture};
    use super::*;

    fn process(pid: u32) -> Claimant {
        Claimant {
            pid,
            lock_device: 1,
            lock_inode: u64::from(pid),
        }
    }

    #[test]
    fn each_claim_is_one_more_and_ends_the_one_before() {
        let conn = fixture::memory();
        assert_eq!(holder(&conn).unwrap(), None);
        let first = claim(&conn, process(7)).unwrap();
        assert_eq!(
            holder(&conn).unwrap().map(|claim| (claim.epoch, claim.who)),
            Some((1, process(7)))
        );
        first.check(&conn).unwrap();
        let second = claim(&conn, process(8)).unwrap();
        assert_eq!(
            holder(&conn).unwrap().map(|claim| (claim.epoch, claim.who)),
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
            let mine = claim(&conn, process(7)).unwrap();
            conn.execute_batch(spoil).unwrap();
            assert_eq!(
                mine.check(&conn).unwrap_err().code,
                Code::SessionManagerAlreadyRunning,
                "{spoil}"
            );
            claim(&conn, process(7)).unwrap().check(&conn).unwrap();
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
