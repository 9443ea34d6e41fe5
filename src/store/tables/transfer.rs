//! The rows of one run as plain values, out of one database and into another.
//!
//! What is a projection of the journal is not taken along: it is made anew from the events, so that
//! an imported run is as sound as its journal. Columns go by name; one that this schema does not
//! know is refused, never dropped.

use std::collections::BTreeSet;

use crate::model::error::{Code, Failure, Result};
use crate::model::id::RunId;
use crate::store::projection;
use rusqlite::types::{Value as Sql, ValueRef};
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use serde_json::{Map, Value, json};

/// A row by its columns' names.
pub type TransferRow = Map<String, Value>;

/// Each table with the rows of a run in it, in the order in which they can be put back.
const TABLES: &[(&str, &str)] = &[
    (
        "definitions",
        "hash IN (SELECT workflow_hash FROM runs WHERE id = ?1 UNION SELECT persona_hash FROM bindings WHERE run_id = ?1 \
         UNION SELECT hash FROM run_schemas WHERE run_id = ?1 \
         UNION SELECT seat.value ->> 'persona_hash' FROM events, json_each(payload, '$.seats') AS seat \
         WHERE events.run_id = ?1 AND events.type = 'personas.changed')",
    ),
    ("runs", "id = ?1"),
    ("bindings", "run_id = ?1"),
    ("run_schemas", "run_id = ?1"),
    ("events", "run_id = ?1 ORDER BY seq"),
    ("turns", "run_id = ?1 ORDER BY at_ms, id"),
    (
        "tool_calls",
        "turn_id IN (SELECT id FROM turns WHERE run_id = ?1) ORDER BY turn_id, position",
    ),
    ("ledger", "run_id = ?1 ORDER BY at_ms, turn_id"),
    ("agent_sessions", "run_id = ?1"),
    (
        "session_prompts",
        "turn_id IN (SELECT id FROM turns WHERE run_id = ?1)",
    ),
    (
        "session_transcript",
        "turn_id IN (SELECT id FROM turns WHERE run_id = ?1) ORDER BY turn_id, position",
    ),
];

/// What holds only on the machine the run was made on.
const ONLY_THERE: &[&str] = &[
    "repo",
    "worktree",
    "report_path",
    "start_key",
    "start_digest",
    "line",
    "stop",
    "rollback",
    "retried_from",
    "forked_from",
];

/// Hands every row of a run to `take`, with the name of its table.
///
/// # Errors
/// What the database says, and what `take` does.
pub fn rows(
    conn: &Connection,
    run: RunId,
    mut take: impl FnMut(&'static str, TransferRow) -> Result<()>,
) -> Result<()> {
    for (table, which) in TABLES {
        let mut query = conn.prepare(&format!("SELECT * FROM {table} WHERE {which}"))?;
        let names: Vec<String> = query.column_names().map(str::to_owned).collect();
        let mut found = query.query([run.to_string()])?;
        while let Some(row) = found.next()? {
            let values = names
                .iter()
                .enumerate()
                .map(|(at, name)| Ok((name.clone(), plain(row.get_ref(at)?))));
            take(table, values.collect::<rusqlite::Result<_>>()?)?;
        }
    }
    Ok(())
}

/// Puts the rows of a run back, in the order they came out, and makes its other rows from its journal.
///
/// # Errors
/// `usage_invalid` for a run that is here already, and for a table or column that this schema does not
/// know; what the journal or the database says.
pub fn insert_rows(tx: &Connection, run: RunId, all: &[(String, TransferRow)]) -> Result<()> {
    if tx
        .query_row(
            "SELECT 1 FROM runs WHERE id = ?1",
            [run.to_string()],
            |_| Ok(()),
        )
        .optional()?
        .is_some()
    {
        return Err(
            Failure::new(Code::UsageInvalid, format!("run {run} is here already"))
                .hint("look at it with `phasedeck show`"),
        );
    }
    let after_journal = |table: &str| {
        matches!(
            table,
            "agent_sessions" | "session_prompts" | "session_transcript"
        )
    };
    for (table, row) in all.iter().filter(|(table, _)| !after_journal(table)) {
        insert(tx, table, row)?;
    }
    projection::rebuild(tx, run)?;
    for (table, row) in all.iter().filter(|(table, _)| after_journal(table)) {
        insert(tx, table, row)?;
    }
    Ok(())
}

fn insert(tx: &Connection, table: &str, row: &TransferRow) -> Result<()> {
    let foreign = |what: String| {
        Failure::new(Code::UsageInvalid, what)
            .hint("import it with the phasedeck that exported it, or a newer one")
    };
    if !TABLES.iter().any(|(known, _)| *known == table) {
        return Err(foreign(format!(
            "the file has rows of a table '{table}', which this version does not know"
        )));
    }
    let known: BTreeSet<String> = columns(tx, table)?;
    if let Some(name) = row.keys().find(|name| !known.contains(*name)) {
        return Err(foreign(format!(
            "the file has a column '{table}.{name}', which this version does not know"
        )));
    }
    let names: Vec<&str> = row.keys().map(String::as_str).collect();
    let marks = vec!["?"; names.len()].join(", ");
    let values = row.iter().map(|(name, value)| {
        if ONLY_THERE.contains(&name.as_str()) {
            Ok(Sql::Null)
        } else {
            stored(value)
        }
    });
    let values: Vec<Sql> = values.collect::<Result<_>>()?;
    // Texts are kept by hash: one that is here is the same one.
    let or = if table == "definitions" {
        "OR IGNORE "
    } else {
        ""
    };
    let sql = format!(
        "INSERT {or}INTO {table} ({}) VALUES ({marks})",
        names.join(", ")
    );
    tx.prepare_cached(&sql)?.execute(params_from_iter(values))?;
    Ok(())
}

fn columns(conn: &Connection, table: &str) -> Result<BTreeSet<String>> {
    let mut query = conn.prepare_cached("SELECT name FROM pragma_table_info(?1)")?;
    let names = query.query_map([table], |row| row.get(0))?;
    Ok(names.collect::<rusqlite::Result<_>>()?)
}

fn plain(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => json!(number),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned().into(),
        ValueRef::Blob(bytes) => json!({ "hex": hex::encode(bytes) }),
    }
}

fn stored(value: &Value) -> Result<Sql> {
    let strange = || {
        Failure::new(
            Code::UsageInvalid,
            format!("the file has a value that no column holds: {value}"),
        )
        .hint("export it again")
    };
    match value {
        Value::Null => Ok(Sql::Null),
        Value::String(text) => Ok(Sql::Text(text.clone())),
        Value::Number(number) => number
            .as_i64()
            .map(Sql::Integer)
            .or_else(|| number.as_f64().map(Sql::Real))
            .ok_or_else(strange),
        Value::Object(object) => match object.get("hex").and_then(Value::as_str).map(hex::decode) {
            Some(Ok(bytes)) => Ok(Sql::Blob(bytes)),
            _ => Err(strange()),
        },
        Value::Bool(_) | Value::Array(_) => Err(strange()),
    }
}
