//! Brings a database to the current schema: one IMMEDIATE transaction a step, version number last,
//! and a backup before the first step on a database that has something in it.

use std::path::Path;

use super::{backup, open};
use crate::model::error::{Code, Failure, Result};
use crate::model::time::Timestamp;
use crate::store::failpoint;
use crate::store::failpoint::Step;
use crate::store::writer::database_file;
use rusqlite::{Connection, Transaction, TransactionBehavior};

/// Step `n` (from 0) leads to schema `n + 1`. A step that has landed is never edited.
const STEPS: &[&str] = &[
    include_str!("../schema/0001_first.sql"),
    include_str!("../schema/0002_threads.sql"),
    include_str!("../schema/0003_chain.sql"),
    include_str!("../schema/0004_search.sql"),
    include_str!("../schema/0005_money.sql"),
    include_str!("../schema/0006_sessions.sql"),
    include_str!("../schema/0007_notices.sql"),
    include_str!("../schema/0008_contents.sql"),
];

/// The schema of this program.
#[expect(clippy::cast_possible_wrap, reason = "a handful of steps")]
pub const CURRENT: i64 = STEPS.len() as i64;

/// The schema of a database; 0 when it has none yet.
///
/// # Errors
/// What the database says.
pub fn version(conn: &Connection) -> Result<i64> {
    Ok(conn.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Brings the database to [`CURRENT`].
///
/// # Errors
/// `db_newer_schema`; what the database says. After an error the database has its old schema, or
/// that of a whole step.
pub fn to_current(conn: &Connection, path: &Path) -> Result<()> {
    through(conn, path, STEPS)
}

/// Brings a database to the schema that the `steps`-th step leads to, as a program of that time did.
#[cfg(test)]
pub(in crate::store) fn to_schema(conn: &Connection, steps: usize) -> Result<()> {
    STEPS[..steps]
        .iter()
        .zip(1..)
        .try_for_each(|(step, to)| apply(conn, step, to))
}

/// The refusal of a database by a newer program.
pub fn newer(path: &Path, found: i64) -> Failure {
    Failure::new(
        Code::DbNewerSchema,
        format!(
            "{} has schema {found}; this phasedeck knows schemas up to {CURRENT}",
            path.display()
        ),
    )
    .hint("use the newer phasedeck that wrote it; nothing was changed")
}

fn through(conn: &Connection, path: &Path, steps: &[&str]) -> Result<()> {
    let found = version(conn)?;
    let current = i64::try_from(steps.len()).map_err(Failure::internal)?;
    if found > current {
        return Err(newer(path, found));
    }
    if found > 0 && found < current {
        back_up(conn, path, found)?;
    }
    for (step, to) in steps.iter().zip(1..) {
        apply(conn, step, to)?;
    }
    Ok(())
}

/// Another process may have taken the step meanwhile, so the version is read again under the lock.
fn apply(conn: &Connection, step: &str, to: i64) -> Result<()> {
    let tx = Transaction::new_unchecked(conn, TransactionBehavior::Immediate)?;
    if version(&tx)? >= to {
        return Ok(tx.rollback()?);
    }
    tx.execute_batch(step)?;
    if to == 1 {
        let uuid = uuid::Uuid::new_v4().to_string();
        let insert = "INSERT INTO meta (key, value) VALUES ('uuid', ?1), ('created_at_ms', ?2)";
        tx.execute(insert, (uuid, Timestamp::now().0.to_string()))?;
        tx.pragma_update(None, "application_id", open::APPLICATION_ID)?;
    }
    tx.pragma_update(None, "user_version", to)?;
    Step::Commit.before();
    tx.commit()?;
    failpoint::committed();
    Ok(())
}

fn back_up(conn: &Connection, path: &Path, found: i64) -> Result<()> {
    let folder = database_file::backups(path);
    database_file::private_folder(&folder)?;
    // Of two that begin in the same moment each makes its own.
    let copy = folder.join(format!(
        "pre-v{}-{}-{}.db",
        found + 1,
        Timestamp::now().0,
        uuid::Uuid::new_v4().simple()
    ));
    backup::write(conn, &copy)?;
    database_file::sync_folder(&copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database() -> (tempfile::TempDir, std::path::PathBuf, Connection) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("phasedeck.db");
        let conn = open::writer(&path).unwrap();
        (dir, path, conn)
    }

    fn oldest() -> (tempfile::TempDir, std::path::PathBuf, Connection) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("phasedeck.db");
        let conn = Connection::open(&path).unwrap();
        through(&conn, &path, &STEPS[..1]).unwrap();
        (dir, path, conn)
    }

    #[test]
    fn an_older_schema_is_backed_up_and_taken_through_each_step() {
        let (_dir, path, conn) = oldest();
        let steps = [
            STEPS[0],
            "CREATE TABLE second (x INTEGER) STRICT;",
            "CREATE TABLE third (x INTEGER) STRICT;",
        ];
        through(&conn, &path, &steps).unwrap();
        assert_eq!(version(&conn).unwrap(), 3);
        conn.execute_batch("SELECT x FROM second; SELECT x FROM third")
            .unwrap();
        let backups: Vec<_> = std::fs::read_dir(database_file::backups(&path))
            .unwrap()
            .map(|e| e.unwrap())
            .collect();
        assert_eq!(backups.len(), 1);
        assert!(
            backups[0]
                .file_name()
                .to_string_lossy()
                .starts_with("pre-v2-")
        );
        let copy = Connection::open(backups[0].path()).unwrap();
        assert_eq!(version(&copy).unwrap(), 1);
        assert_eq!(
            copy.query_row("SELECT count(*) FROM meta", [], |r| r.get::<_, i64>(0)),
            Ok(2)
        );
    }

    #[test]
    fn a_database_of_the_first_schema_is_brought_to_the_current_one_with_its_runs() {
        let (_dir, path, conn) = oldest();
        conn.execute_batch(
            "INSERT INTO runs (id, workflow, workflow_hash, thread, state, requirements, created_at_ms, updated_at_ms, last_seq) \
             VALUES ('01930000-0000-7000-8000-0000deadbeef', 'dev@1', 'h', 't', 'paused', 'words', 1, 1, 1); \
             INSERT INTO events (run_id, seq, at_ms, type, idempotency_key, payload) \
             VALUES ('01930000-0000-7000-8000-0000deadbeef', 1, 1, 'run.started', 'run.started', '{\"workflow\":\"dev@1\",\"thread\":\"t\"}')",
        )
        .unwrap();
        to_current(&conn, &path).unwrap();
        assert_eq!(version(&conn).unwrap(), CURRENT);
        let run = crate::store::tables::runs::get(
            &conn,
            "01930000-0000-7000-8000-0000deadbeef".parse().unwrap(),
        )
        .unwrap();
        assert_eq!(
            (run.state.as_str(), run.requirements.as_str(), run.last_seq),
            ("paused", "words", 1)
        );
        assert_eq!(
            crate::store::journal::events::from(&conn, run.id, 1, 9)
                .unwrap()
                .len(),
            1
        );
        assert!(
            crate::store::journal::chain::walk(&conn, run.id)
                .unwrap()
                .problems
                .is_empty(),
            "what is older than the chain is not judged"
        );
    }

    #[test]
    fn many_that_open_an_old_database_at_once_bring_it_up_together() {
        let (_dir, path, conn) = oldest();
        drop(conn);
        let barrier = std::sync::Barrier::new(8);
        let open = || {
            barrier.wait();
            open::writer(&path).map(|conn| version(&conn).unwrap())
        };
        let versions: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert_eq!(versions, vec![Ok(CURRENT); 8]);
        for copy in std::fs::read_dir(database_file::backups(&path)).unwrap() {
            let copy = Connection::open(copy.unwrap().path()).unwrap();
            assert_eq!(
                copy.query_row("PRAGMA quick_check", [], |row| row.get::<_, String>(0))
                    .as_deref(),
                Ok("ok")
            );
        }
    }

    #[test]
    fn a_step_that_fails_leaves_the_schema_before_it() {
        let (_dir, path, conn) = oldest();
        let steps = [
            STEPS[0],
            "CREATE TABLE second (x INTEGER) STRICT; CREATE TABLE runs (x INTEGER);",
        ];
        assert!(through(&conn, &path, &steps).is_err());
        assert_eq!(version(&conn).unwrap(), 1);
        assert!(conn.execute_batch("SELECT * FROM second").is_err());
        assert!(conn.is_autocommit());
    }

    #[test]
    fn opening_a_current_database_again_changes_and_backs_up_nothing() {
        let (_dir, path, conn) = database();
        let uuid = |conn: &Connection| {
            conn.query_row("SELECT value FROM meta WHERE key = 'uuid'", [], |r| {
                r.get::<_, String>(0)
            })
            .unwrap()
        };
        let before = uuid(&conn);
        drop(conn);
        let conn = open::writer(&path).unwrap();
        assert_eq!(uuid(&conn), before);
        assert!(!database_file::backups(&path).exists());
    }
}
