//! Lists runs and finds one by what a person types.

use super::runs;
use crate::model::error::{Code, Failure, Result};
use crate::model::id::RunId;
use crate::model::record::RunRecord;
use crate::model::time::Timestamp;
use crate::store::tables::columns;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

/// How many runs an ambiguous text names before it only counts.
const NAMED: usize = 8;

pub(in crate::store) const MOVED: &str =
    "SELECT id, last_seq FROM runs WHERE updated_at_ms >= ?1 ORDER BY updated_at_ms, id";

/// The runs in these states (all where empty) and of this thread, newest first.
///
/// # Errors
/// What the database says.
pub fn list(
    conn: &Connection,
    states: &[String],
    thread: Option<&str>,
    limit: Option<u32>,
) -> Result<Vec<RunRecord>> {
    let states = if states.is_empty() {
        None
    } else {
        Some(serde_json::to_string(states).map_err(Failure::internal)?)
    };
    let sql = list_sql(states.is_some(), thread.is_some());
    let limit = limit.map_or(-1, i64::from);
    let texts = [states, thread.map(str::to_owned)]
        .into_iter()
        .flatten()
        .map(Value::Text);
    let values = std::iter::once(Value::Integer(limit)).chain(texts);
    let mut query = conn.prepare_cached(&sql)?;
    Ok(query
        .query_map(params_from_iter(values), runs::read)?
        .collect::<rusqlite::Result<_>>()?)
}

/// Only conditions that are asked for: an index is of no use to one that may be absent.
pub(in crate::store) fn list_sql(by_state: bool, by_thread: bool) -> String {
    let mut conditions = Vec::new();
    if by_state {
        conditions.push("state IN (SELECT value FROM json_each(?2))");
    }
    if by_thread {
        conditions.push(if by_state {
            "thread = ?3"
        } else {
            "thread = ?2"
        });
    }
    let filter = if conditions.is_empty() {
        String::new()
    } else {
        format!("WHERE {} ", conditions.join(" AND "))
    };
    format!(
        "SELECT {} FROM runs {filter}ORDER BY created_at_ms DESC, id DESC LIMIT ?1",
        runs::COLUMNS
    )
}

/// The last event number of every run that has an event since `since`, oldest change first.
///
/// # Errors
/// What the database says.
pub fn moved(conn: &Connection, since: Timestamp) -> Result<Vec<(RunId, u64)>> {
    let mut query = conn.prepare_cached(MOVED)?;
    let rows = query.query_map([since.0], |row| {
        Ok((
            columns::parsed(row, "id")?,
            columns::large(row, "last_seq")?,
        ))
    })?;
    Ok(rows
        .filter_map(|row| row.inspect_err(runs::unreadable).ok())
        .collect())
}

/// The run that `text` means: a whole id, a part that only one id has (dashes may be left out), or
/// `@last` for the newest.
///
/// # Errors
/// `run_not_found`; `run_ambiguous` naming the runs that fit.
pub fn find(conn: &Connection, text: &str) -> Result<RunId> {
    let wanted = text.trim().to_ascii_lowercase();
    if wanted == "@last" {
        let mut query = conn
            .prepare_cached("SELECT id FROM runs ORDER BY created_at_ms DESC, id DESC LIMIT 1")?;
        let newest = query
            .query_row([], |row| columns::parsed(row, "id"))
            .optional()?;
        return newest.ok_or_else(|| runs::not_found(text));
    }
    if let Ok(id) = wanted.parse::<RunId>() {
        return runs::get(conn, id).map(|run| run.id);
    }
    if wanted.is_empty() {
        return Err(runs::not_found(text));
    }
    let mut query = conn.prepare_cached(
        "SELECT id, workflow, state FROM runs WHERE instr(id, ?1) > 0 OR instr(replace(id, '-', ''), ?1) > 0 \
         ORDER BY created_at_ms DESC, id DESC",
    )?;
    let rows = query.query_map([&wanted], |row| {
        Ok((
            columns::parsed::<RunId>(row, "id")?,
            format!(
                "{} ({}, {})",
                row.get_ref("id")?.as_str()?,
                text_of(row, "workflow")?,
                text_of(row, "state")?
            ),
        ))
    })?;
    let fitting: Vec<(RunId, String)> = rows.collect::<rusqlite::Result<_>>()?;
    match fitting.as_slice() {
        [] => Err(runs::not_found(text)),
        [(id, _)] => Ok(*id),
        several => Err(ambiguous(text, several)),
    }
}

fn text_of(row: &rusqlite::Row<'_>, column: &str) -> rusqlite::Result<String> {
    row.get(column)
}

fn ambiguous(text: &str, fitting: &[(RunId, String)]) -> Failure {
    let named: Vec<&str> = fitting
        .iter()
        .take(NAMED)
        .map(|(_, words)| words.as_str())
        .collect();
    let more = fitting.len() - named.len();
    let rest = if more > 0 {
        format!(", and {more} more")
    } else {
        String::new()
    };
    Failure::new(
        Code::RunAmbiguous,
        format!(
            "'{text}' fits {} runs: {}{rest}",
            fitting.len(),
            named.join(", ")
        ),
    )
    .hint("type more of the id")
}

#[cfg(test)]
mod tests {
    use super::super::runs::RunInsert;
    use super::*;
    use crate::store::journal;
    use crate::store::tests::fixture;
    use crate::store::tests::fixture::BEGIN;

    fn run_at(conn: &Connection, id: &str, thread: &str, at: i64) -> RunId {
        let run = RunInsert {
            id: id.parse().unwrap(),
            created_at: Timestamp(at),
            ..fixture::new_run(thread)
        };
        runs::insert(conn, &run).unwrap();
        run.id
    }

    fn three(conn: &Connection) -> [RunId; 3] {
        [
            run_at(conn, "01930000-0000-7000-8000-0000aaaa1111", "one", 10),
            run_at(conn, "01930000-0000-7000-8000-0000bbbb1111", "two", 20),
            run_at(conn, "01930000-0000-7000-8000-0000cccc2222", "one", 20),
        ]
    }

    fn ids(runs: &[RunRecord]) -> Vec<RunId> {
        runs.iter().map(|run| run.id).collect()
    }

    #[test]
    fn lists_are_newest_first_and_stable_when_times_tie() {
        let conn = fixture::memory();
        let [old, tie, newest] = three(&conn);
        assert_eq!(
            ids(&list(&conn, &[], None, None).unwrap()),
            [newest, tie, old]
        );
        assert_eq!(
            ids(&list(&conn, &[], None, Some(2)).unwrap()),
            [newest, tie]
        );
        assert_eq!(
            ids(&list(&conn, &[], Some("one"), None).unwrap()),
            [newest, old]
        );
        journal::append(
            &conn,
            tie,
            &[fixture::created(&["spec"]), fixture::started()],
            BEGIN,
        )
        .unwrap();
        let states = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            ids(&list(&conn, &states(&["executing", "failed"]), None, None).unwrap()),
            [tie]
        );
        assert_eq!(
            ids(&list(&conn, &states(&["created"]), Some("one"), Some(1)).unwrap()),
            [newest]
        );
    }

    #[test]
    fn a_row_of_a_newer_program_still_lists() {
        let conn = fixture::memory();
        let [old, ..] = three(&conn);
        let sql = "UPDATE runs SET state = 'hibernating', pause_reason = 'winter', options = '?', cost_nano = -1, last_seq = -1, calls = -1";
        conn.execute(&format!("{sql} WHERE id = ?1"), [old.to_string()])
            .unwrap();
        let all = list(&conn, &[], None, None).unwrap();
        assert_eq!(
            (
                all.len(),
                all[2].state.as_str(),
                all[2].pause_reason.as_deref()
            ),
            (3, "hibernating", Some("winter"))
        );
        assert_eq!(
            journal::append(&conn, old, &[fixture::started()], BEGIN)
                .unwrap_err()
                .code,
            Code::DbCorrupt
        );
    }

    #[test]
    fn a_run_is_found_by_what_a_person_types() {
        let conn = fixture::memory();
        assert_eq!(find(&conn, "@last").unwrap_err().code, Code::RunNotFound);
        let [old, tie, newest] = three(&conn);
        for (text, want) in [
            ("@last", newest),
            ("aaaa1111", old),
            (" BBBB ", tie),
            ("80000000cccc", newest),
            ("01930000-0000-7000-8000-0000aaaa1111", old),
            (
                "0193000000007000800000 00bbbb1111"
                    .replace(' ', "")
                    .as_str(),
                tie,
            ),
        ] {
            assert_eq!(find(&conn, text), Ok(want), "{text}");
        }
        for nobody in ["", "dddd", "%", "01930000-0000-7000-8000-0000dddd1111"] {
            let refused = find(&conn, nobody).unwrap_err();
            assert_eq!(refused.code, Code::RunNotFound, "{nobody}");
            assert!(!refused.hint.is_empty());
        }
        let several = find(&conn, "1111").unwrap_err();
        assert_eq!(several.code, Code::RunAmbiguous);
        assert!(
            several.message.contains(&old.to_string())
                && several.message.contains(&tie.to_string()),
            "{several}"
        );
        assert!(!several.message.contains(&newest.to_string()), "{several}");
    }

    #[test]
    fn only_runs_that_moved_are_told() {
        let conn = fixture::memory();
        let [old, tie, _] = three(&conn);
        journal::append(&conn, tie, &[fixture::created(&["spec"])], Timestamp(100)).unwrap();
        journal::append(
            &conn,
            old,
            &[fixture::created(&["spec"]), fixture::started()],
            Timestamp(200),
        )
        .unwrap();
        assert_eq!(moved(&conn, Timestamp(100)).unwrap(), [(tie, 1), (old, 2)]);
        assert_eq!(moved(&conn, Timestamp(201)).unwrap(), []);
    }
}
