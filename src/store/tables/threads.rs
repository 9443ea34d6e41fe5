//! Lanes and lines: who holds a thread, who waits for it, which stops are under way, and which
//! worktrees have still to go back. None of it is an event; all of it survives the host.

use crate::model::error::Result;
use crate::model::id::{RunId, ThreadId};
use crate::model::state::Strategy;
use crate::store::tables::columns;
use rusqlite::{Connection, OptionalExtension};

/// The first in the line of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuedRun {
    /// Who waits.
    pub run: RunId,
    /// How it asks for the thread.
    pub strategy: Strategy,
    /// Who holds the thread; `None` when it is free.
    pub holder: Option<RunId>,
}

/// The run that holds a thread, if one does.
///
/// # Errors
/// What the database says.
pub fn holder(conn: &Connection, thread: &ThreadId) -> Result<Option<RunId>> {
    let mut query = conn.prepare_cached(
        "SELECT id FROM runs WHERE thread = ?1 AND state IN ('executing', 'awaiting_approval')",
    )?;
    Ok(query
        .query_row([thread.as_str()], |row| columns::parsed(row, "id"))
        .optional()?)
}

/// The first in the line of each thread that somebody waits for: who takes the thread from its holder
/// stands before those who wait until it is free, and each kind stands in the order of coming.
///
/// # Errors
/// What the database says.
pub fn first_in_line(conn: &Connection) -> Result<Vec<QueuedRun>> {
    let mut query = conn.prepare_cached(
        "SELECT id, strategy, (SELECT h.id FROM runs h WHERE h.thread = runs.thread AND h.state IN ('executing', 'awaiting_approval')) \
         AS holder, thread FROM runs WHERE state = 'created' AND strategy <> 'reject' ORDER BY thread, created_at_ms, id",
    )?;
    let rows = query.query_map([], |row| {
        let text = |column: &str| row.get::<_, Option<String>>(column);
        let id = text("id")?.and_then(|id| id.parse().ok());
        let strategy = text("strategy")?
            .and_then(|name| Strategy::parse(&name))
            .unwrap_or(Strategy::Enqueue);
        let holder = text("holder")?.and_then(|id| id.parse().ok());
        Ok((
            row.get::<_, String>("thread")?,
            id.map(|run| QueuedRun {
                run,
                strategy,
                holder,
            }),
        ))
    })?;
    let mut first: Vec<(String, QueuedRun)> = Vec::new();
    for row in rows {
        // Who cannot be read holds up nobody behind it.
        let (thread, Some(waiter)) = row? else {
            continue;
        };
        match first.last_mut() {
            Some((last, first)) if *last == thread => {
                if first.strategy == Strategy::Enqueue && waiter.strategy != Strategy::Enqueue {
                    *first = waiter;
                }
            }
            _ => first.push((thread, waiter)),
        }
    }
    Ok(first.into_iter().map(|(_, waiter)| waiter).collect())
}

/// Whether anybody waits for a thread.
///
/// # Errors
/// What the database says.
pub fn is_waited_for(conn: &Connection, thread: &ThreadId) -> Result<bool> {
    let mut query = conn.prepare_cached("SELECT 1 FROM runs WHERE thread = ?1 AND state = 'created' AND strategy <> 'reject' LIMIT 1")?;
    Ok(query.exists([thread.as_str()])?)
}

/// Notes that a stop of a run was asked for, as text of the engine's; it is cleared when the run rests.
///
/// # Errors
/// What the database says.
pub fn set_stop(tx: &Connection, run: RunId, stop: Option<&str>) -> Result<()> {
    tx.prepare_cached(
        "UPDATE runs SET stop = ?2 WHERE id = ?1 AND state IN ('executing', 'awaiting_approval')",
    )?
    .execute((run.to_string(), stop))?;
    Ok(())
}

/// The stop of a run that was asked for and has not ended.
///
/// # Errors
/// What the database says.
pub fn stop_of(conn: &Connection, run: RunId) -> Result<Option<String>> {
    let mut query = conn.prepare_cached("SELECT stop FROM runs WHERE id = ?1")?;
    Ok(query
        .query_row([run.to_string()], |row| row.get("stop"))
        .optional()?
        .flatten())
}

/// Notes how far the going back of a run's worktree is: `asked`, `done`, or why it could not.
///
/// # Errors
/// What the database says.
pub fn set_rollback(tx: &Connection, run: RunId, words: &str) -> Result<()> {
    tx.prepare_cached("UPDATE runs SET rollback = ?2 WHERE id = ?1")?
        .execute((run.to_string(), words))?;
    Ok(())
}

/// The runs whose worktree has still to go back.
///
/// # Errors
/// What the database says.
pub fn to_roll_back(conn: &Connection) -> Result<Vec<RunId>> {
    let mut query =
        conn.prepare_cached("SELECT id FROM runs WHERE rollback = 'asked' ORDER BY id")?;
    let rows = query.query_map([], |row| row.get::<_, String>("id"))?;
    Ok(rows.filter_map(|id| id.ok()?.parse().ok()).collect())
}

/// Notes the places of those who wait for a place to work; `None` for who has one.
///
/// # Errors
/// What the database says.
pub fn set_lines(tx: &Connection, places: &[(RunId, Option<u32>)]) -> Result<()> {
    let mut update = tx.prepare_cached("UPDATE runs SET line = ?2 WHERE id = ?1")?;
    for (run, place) in places {
        update.execute((run.to_string(), place))?;
    }
    Ok(())
}

/// Nobody waits for a place to work: the host that counted them is gone.
///
/// # Errors
/// What the database says.
pub fn clear_lines(tx: &Connection) -> Result<()> {
    tx.prepare_cached("UPDATE runs SET line = NULL WHERE line IS NOT NULL")?
        .execute([])?;
    Ok(())
}

/// The forks of a run, oldest first.
///
/// # Errors
/// What the database says.
pub fn forks(conn: &Connection, run: RunId) -> Result<Vec<RunId>> {
    let mut query = conn
        .prepare_cached("SELECT id FROM runs WHERE forked_from = ?1 ORDER BY created_at_ms, id")?;
    let rows = query.query_map([run.to_string()], |row| row.get::<_, String>("id"))?;
    Ok(rows.filter_map(|id| id.ok()?.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::super::run_list;
    use super::super::runs::{self, RunInsert};
    use super::*;
    use crate::model::record::RunOptions;
    use crate::model::time::Timestamp;
    use crate::store::journal;
    use crate::store::tests::fixture;
    use crate::store::tests::fixture::BEGIN;

    fn waits(conn: &Connection, thread: &str, strategy: Strategy, at: i64) -> RunId {
        let options = RunOptions {
            strategy: Some(strategy),
            ..RunOptions::default()
        };
        let run = RunInsert {
            options,
            created_at: Timestamp(at),
            ..fixture::new_run(thread)
        };
        runs::insert(conn, &run).unwrap();
        run.id
    }

    #[test]
    fn the_first_of_each_line_is_told_with_who_holds_the_thread() {
        let conn = fixture::memory();
        let held = fixture::insert_run(&conn, "a");
        journal::append(
            &conn,
            held,
            &[fixture::created(&["spec"]), fixture::started()],
            BEGIN,
        )
        .unwrap();
        let [first, second] = [2_000, 3_000].map(|at| waits(&conn, "a", Strategy::Interrupt, at));
        let alone = waits(&conn, "b", Strategy::Enqueue, 1);
        waits(&conn, "c", Strategy::Reject, 1);
        // Who waits was here first, and stands behind who takes the thread all the same.
        let waits_first = waits(&conn, "a", Strategy::Enqueue, 1_500);
        let lines = [
            QueuedRun {
                run: first,
                strategy: Strategy::Interrupt,
                holder: Some(held),
            },
            QueuedRun {
                run: alone,
                strategy: Strategy::Enqueue,
                holder: None,
            },
        ];
        assert_eq!(first_in_line(&conn).unwrap(), lines);
        assert_eq!(
            (
                holder(&conn, &"a".into()).unwrap(),
                holder(&conn, &"b".into()).unwrap()
            ),
            (Some(held), None)
        );
        assert_eq!(
            ["a", "b", "c"].map(|thread| is_waited_for(&conn, &thread.into()).unwrap()),
            [true, true, false]
        );
        let places = run_list::list(&conn, &[], Some("a"), None)
            .unwrap()
            .into_iter()
            .map(|run| (run.id, run.line));
        assert_eq!(
            places.collect::<Vec<_>>(),
            [
                (second, Some(2)),
                (first, Some(1)),
                (waits_first, Some(3)),
                (held, None)
            ]
        );
    }

    #[test]
    fn a_stop_is_over_when_the_run_rests() {
        let conn = fixture::memory();
        let run = fixture::insert_run(&conn, "a");
        set_stop(&conn, run, Some("early")).unwrap();
        assert_eq!(stop_of(&conn, run).unwrap(), None, "nothing of it runs");
        journal::append(
            &conn,
            run,
            &[fixture::created(&["spec"]), fixture::started()],
            BEGIN,
        )
        .unwrap();
        set_stop(&conn, run, Some("pause")).unwrap();
        journal::append(&conn, run, &[fixture::phase_started("spec", 1)], BEGIN).unwrap();
        assert_eq!(stop_of(&conn, run).unwrap().as_deref(), Some("pause"));
        journal::append(
            &conn,
            run,
            &[crate::model::event::RunFact::RunCompleted {}],
            BEGIN,
        )
        .unwrap();
        assert_eq!(stop_of(&conn, run).unwrap(), None);
    }

    #[test]
    fn places_to_work_are_told_and_forgotten() {
        let conn = fixture::memory();
        let [a, b] = ["a", "b"].map(|thread| fixture::insert_run(&conn, thread));
        set_lines(&conn, &[(a, Some(1)), (b, Some(2))]).unwrap();
        let lines = || [a, b].map(|run| runs::get(&conn, run).unwrap().line);
        assert_eq!(lines(), [Some(1), Some(2)]);
        set_lines(&conn, &[(a, None), (b, Some(1))]).unwrap();
        assert_eq!(lines(), [None, Some(1)]);
        clear_lines(&conn).unwrap();
        assert_eq!(lines(), [None, None]);
    }
}
