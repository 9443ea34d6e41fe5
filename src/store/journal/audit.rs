//! Holds what is stored against itself: rows against the journal that they follow from, totals
//! against the ledger that they sum up. Reads only; what it says is for a person.

use std::path::Path;

use crate::model::error::Result;
use crate::model::id::RunId;
use crate::store::projection;
use crate::store::tables::columns;
use crate::store::writer::migrate;
use rusqlite::Connection;
use rusqlite::types::Value;

/// The tables that follow from a journal, with the column that names the run.
const FOLLOWING: &[(&str, &str)] = &[
    ("runs", "id"),
    ("run_phases", "run_id"),
    ("approval_requests", "run_id"),
    ("artifacts", "run_id"),
    ("sessions", "run_id"),
];

/// Differences of one run that are told.
const TOLD: usize = 8;

/// A place where the rows of runs are made again from nothing, beside the database.
pub struct AuditMirror(Connection);

impl AuditMirror {
    /// An empty mirror, in memory.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn new() -> Result<Self> {
        let conn = Connection::open_in_memory()?;
        migrate::to_current(&conn, Path::new("mirror"))?;
        // Rows of other tables are not copied; what refers to them is not judged here.
        conn.pragma_update(None, "foreign_keys", false)?;
        Ok(Self(conn))
    }

    /// Where the rows of a run differ from what its journal says; empty where they agree.
    ///
    /// # Errors
    /// What the database says; `illegal_transition` and `db_corrupt` for a journal that cannot be read back.
    pub fn differences(&self, conn: &Connection, run: RunId) -> Result<Vec<String>> {
        let id = run.to_string();
        self.0.execute_batch("SAVEPOINT one")?;
        let copied = copy_rows(conn, &self.0, "runs", "id", &id)
            .and_then(|()| copy_rows(conn, &self.0, "bindings", "run_id", &id));
        let found = copied
            .and_then(|()| projection::rebuild_from(conn, &self.0, run))
            .and_then(|()| {
                FOLLOWING
                    .iter()
                    .map(|(table, column)| differing(conn, &self.0, table, column, &id))
                    .collect::<Result<Vec<_>>>()
            });
        self.0.execute_batch("ROLLBACK TO one; RELEASE one")?;
        let mut words: Vec<String> = found?.into_iter().flatten().collect();
        words.truncate(TOLD);
        Ok(words)
    }
}

/// Rows that a rebuild leans on: of the run itself what no event tells, and who sits in its seats.
fn copy_rows(
    from: &Connection,
    to: &Connection,
    table: &str,
    column: &str,
    id: &str,
) -> Result<()> {
    let mut query = from.prepare_cached(&format!("SELECT * FROM {table} WHERE {column} = ?1"))?;
    let names: Vec<String> = query.column_names().map(str::to_owned).collect();
    let places: Vec<String> = (1..=names.len()).map(|at| format!("?{at}")).collect();
    let mut insert = to.prepare_cached(&format!(
        "INSERT INTO {table} ({}) VALUES ({})",
        names.join(", "),
        places.join(", ")
    ))?;
    let mut rows = query.query([id])?;
    while let Some(row) = rows.next()? {
        let values = (0..names.len())
            .map(|at| row.get::<_, Value>(at))
            .collect::<rusqlite::Result<Vec<_>>>()?;
        insert.execute(rusqlite::params_from_iter(values))?;
    }
    Ok(())
}

fn differing(
    stored: &Connection,
    made: &Connection,
    table: &str,
    column: &str,
    id: &str,
) -> Result<Vec<String>> {
    let (stored, made) = (
        rows(stored, table, column, id)?,
        rows(made, table, column, id)?,
    );
    if stored.len() != made.len() {
        return Ok(vec![format!(
            "{table} has {} rows of this run, the journal makes {}",
            stored.len(),
            made.len()
        )]);
    }
    let pairs = stored
        .iter()
        .zip(&made)
        .flat_map(|(stored, made)| stored.iter().zip(made));
    let wrong = pairs.filter(|(stored, made)| stored != made);
    Ok(wrong
        .map(|((name, stored), (_, made))| {
            format!(
                "{table}.{name} is {}, the journal says {}",
                column_text(stored),
                column_text(made)
            )
        })
        .collect())
}

type NamedColumns = Vec<(String, Value)>;

fn rows(conn: &Connection, table: &str, column: &str, id: &str) -> Result<Vec<NamedColumns>> {
    let mut query = conn.prepare_cached(&format!(
        "SELECT * FROM {table} WHERE {column} = ?1 ORDER BY 1, 2, 3"
    ))?;
    let names: Vec<String> = query.column_names().map(str::to_owned).collect();
    let read = |row: &rusqlite::Row<'_>| {
        names
            .iter()
            .enumerate()
            .map(|(at, name)| Ok((name.clone(), row.get::<_, Value>(at)?)))
            .collect::<rusqlite::Result<NamedColumns>>()
    };
    Ok(query
        .query_map([id], read)?
        .collect::<rusqlite::Result<_>>()?)
}

fn column_text(value: &Value) -> String {
    match value {
        Value::Null => "absent".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) => format!("'{}'", text.chars().take(60).collect::<String>()),
        Value::Blob(bytes) => hex::encode(bytes.get(..8).unwrap_or(bytes)),
    }
}

/// Where the totals of a run and of its phases differ from its ledger; and calls that are still open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditTotals {
    /// Rows of the ledger.
    pub calls: u64,
    /// Calls that were sent and not settled.
    pub open: u64,
    /// What differs, in words.
    pub problems: Vec<String>,
}

/// Sums the ledger of a run and holds it against the totals.
///
/// # Errors
/// What the database says.
pub fn totals(conn: &Connection, run: RunId) -> Result<AuditTotals> {
    const SUMS: &str = "SELECT count(*) AS calls, coalesce(sum(status = 'open'), 0) AS open, \
         coalesce(sum(CASE WHEN status <> 'open' THEN cost_nano END), 0) AS cost_nano, \
         coalesce(sum(status <> 'open' AND cost_nano IS NULL), 0) AS unknown_calls, \
         coalesce(sum(CASE WHEN status <> 'open' THEN tokens_input END), 0) AS tokens_input, \
         coalesce(sum(CASE WHEN status <> 'open' THEN tokens_output END), 0) AS tokens_output FROM ledger WHERE run_id = ?1";
    let id = run.to_string();
    let sums = |sql: &str| -> Result<Vec<i64>> {
        let read = |row: &rusqlite::Row<'_>| {
            [
                "cost_nano",
                "unknown_calls",
                "tokens_input",
                "tokens_output",
            ]
            .iter()
            .map(|c| row.get(*c))
            .collect()
        };
        Ok(conn.prepare_cached(sql)?.query_row([&id], read)?)
    };
    let ledger = sums(SUMS)?;
    let mut found = conn.prepare_cached(SUMS)?.query_row([&id], |r| {
        Ok(AuditTotals {
            calls: columns::large(r, "calls")?,
            open: columns::large(r, "open")?,
            problems: Vec::new(),
        })
    })?;
    let run_row = sums(
        "SELECT cost_nano, unknown_calls, tokens_input, tokens_output FROM runs WHERE id = ?1",
    )?;
    let names = [
        "cost",
        "calls of unknown cost",
        "input tokens",
        "output tokens",
    ];
    for ((name, ledger), total) in names.iter().zip(&ledger).zip(&run_row) {
        if ledger != total {
            found.problems.push(format!(
                "the run's {name} is {total}, its ledger sums up to {ledger}"
            ));
        }
    }
    let phases: (i64, i64) = conn
        .prepare_cached("SELECT coalesce(sum(cost_nano), 0), coalesce(sum(unknown_calls), 0) FROM run_phases WHERE run_id = ?1")?
        .query_row([&id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if (phases.0, phases.1) != (ledger[0], ledger[1]) {
        found.problems.push(format!(
            "the phases cost {} with {} unknown, the ledger {} with {}",
            phases.0, phases.1, ledger[0], ledger[1]
        ));
    }
    Ok(found)
}

/// What SQLite itself finds wrong with the file and with references between rows.
///
/// # Errors
/// What the database says.
pub fn file(conn: &Connection) -> Result<Vec<String>> {
    let mut words: Vec<String> = Vec::new();
    for line in conn
        .prepare("PRAGMA integrity_check(8)")?
        .query_map([], |row| row.get::<_, String>(0))?
    {
        words.extend(Some(line?).filter(|line| line != "ok"));
    }
    for line in conn
        .prepare("PRAGMA foreign_key_check")?
        .query_map([], |row| row.get::<_, String>(0))?
    {
        words.push(format!("a row of {} refers to nothing", line?));
    }
    words.truncate(TOLD);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::error::Code;
    use crate::model::event::RunFact;
    use crate::model::id::RequestId;
    use crate::store::journal;
    use crate::store::tests::fixture;
    use crate::store::tests::fixture::BEGIN;

    #[test]
    fn rows_that_follow_from_the_journal_agree_and_changed_ones_are_named() {
        let conn = fixture::memory();
        let run = fixture::insert_run(&conn, "lane");
        let asked = fixture::requested(RequestId::new(), Some("spec"));
        journal::append(
            &conn,
            run,
            &[
                fixture::created(&["spec", "plan"]),
                fixture::started(),
                fixture::phase_started("spec", 1),
                asked,
            ],
            BEGIN,
        )
        .unwrap();
        let mirror = AuditMirror::new().unwrap();
        assert_eq!(
            mirror.differences(&conn, run).unwrap(),
            Vec::<String>::new()
        );
        for (sql, words) in [
            (
                "UPDATE runs SET state = 'completed'",
                "runs.state is 'completed', the journal says 'awaiting_approval'",
            ),
            (
                "UPDATE run_phases SET attempt = 7 WHERE phase_key = 'spec'",
                "run_phases.attempt is 7, the journal says 1",
            ),
            (
                "UPDATE approval_requests SET state = 'approved'",
                "approval_requests.state is 'approved', the journal says 'pending'",
            ),
            (
                "DELETE FROM run_phases WHERE phase_key = 'plan'",
                "run_phases has 1 rows of this run, the journal makes 2",
            ),
        ] {
            conn.execute_batch("SAVEPOINT t").unwrap();
            conn.execute_batch(sql).unwrap();
            assert_eq!(
                mirror
                    .differences(&conn, run)
                    .unwrap()
                    .first()
                    .map(String::as_str),
                Some(words),
                "{sql}"
            );
            conn.execute_batch("ROLLBACK TO t; RELEASE t").unwrap();
        }
        conn.execute_batch("UPDATE runs SET cost_nano = 5").unwrap();
        assert_eq!(
            totals(&conn, run).unwrap().problems,
            ["the run's cost is 5, its ledger sums up to 0"]
        );
    }

    #[test]
    fn a_session_whose_backend_only_the_binding_names_is_no_difference() {
        let conn = fixture::memory();
        let run = fixture::insert_run(&conn, "lane");
        let sql = "INSERT INTO bindings (run_id, role, persona, persona_hash, backend, binding_hash) VALUES (?1, 'architect', 'ada@1', 'h', 'acp', 'h')";
        conn.execute(sql, [run.to_string()]).unwrap();
        let (session_id, role) = (crate::model::id::SessionId::new(), "architect".into());
        let lost = RunFact::SessionFailed {
            session_id,
            role,
            ordinal: 1,
            code: Code::AgentLoopDetected,
            message: "again".to_owned(),
        };
        journal::append(
            &conn,
            run,
            &[
                fixture::created(&["spec"]),
                fixture::started(),
                fixture::phase_started("spec", 1),
                lost,
            ],
            BEGIN,
        )
        .unwrap();
        assert_eq!(
            conn.query_row("SELECT backend FROM sessions", [], |row| row
                .get::<_, String>(0))
                .unwrap(),
            "acp"
        );
        assert_eq!(
            AuditMirror::new().unwrap().differences(&conn, run).unwrap(),
            Vec::<String>::new()
        );
    }
}
