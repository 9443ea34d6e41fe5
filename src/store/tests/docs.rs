//! Holds `docs/database.md` against the database: every table, column, index and trigger is there and
//! nothing else is, and every example query runs and finds something.

use std::collections::BTreeSet;

use rusqlite::Connection;

use super::fixture::{self, BEGIN};
use crate::model::event::{CallStatus, TokenUsage};
use crate::model::id::RequestId;
use crate::model::money::NanoUsd;
use crate::model::state::Decision;
use crate::store::journal;
use crate::store::tables::turns;
use crate::store::tables::turns::{NewTurn, TurnSettlement};

const DOCS: &str = include_str!("../../../docs/database.md");

fn names(conn: &Connection, sql: &str) -> BTreeSet<String> {
    let mut query = conn.prepare(sql).unwrap();
    query
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

/// The first text in back-ticks of every line that begins with `start`.
fn ticked(text: &str, start: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| {
            line.strip_prefix(start)?
                .split_once('`')
                .map(|(name, _)| name.to_owned())
        })
        .collect()
}

fn sections() -> Vec<(&'static str, &'static str)> {
    let tables = DOCS
        .split_once("## Tables\n")
        .unwrap()
        .1
        .split_once("\n## ")
        .unwrap()
        .0;
    tables
        .split("### `")
        .skip(1)
        .map(|section| section.split_once("`\n").unwrap())
        .collect()
}

#[test]
fn the_documented_tables_and_columns_are_those_of_the_database() {
    let conn = fixture::memory();
    let documented: BTreeSet<String> = sections()
        .iter()
        .map(|(table, _)| (*table).to_owned())
        .collect();
    assert_eq!(
        documented,
        names(&conn, "SELECT name FROM sqlite_schema WHERE type = 'table'")
    );
    for (table, section) in sections() {
        let columns = names(
            &conn,
            &format!("SELECT name FROM pragma_table_info('{table}')"),
        );
        assert_eq!(ticked(section, "| `"), columns, "{table}");
    }
}

#[test]
fn every_index_is_documented_under_its_table_and_every_trigger_is_named() {
    let conn = fixture::memory();
    for (table, section) in sections() {
        let sql = format!(
            "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = '{table}' AND sql IS NOT NULL"
        );
        assert_eq!(ticked(section, "- Index `"), names(&conn, &sql), "{table}");
    }
    for trigger in names(
        &conn,
        "SELECT name FROM sqlite_schema WHERE type = 'trigger'",
    ) {
        assert!(DOCS.contains(&format!("`{trigger}`")), "{trigger}");
    }
}

#[test]
fn every_index_says_in_the_schema_which_query_it_serves() {
    let schema = include_str!("../schema/0001_first.sql");
    let lines: Vec<&str> = schema.lines().collect();
    for (before, line) in lines.iter().zip(lines.iter().skip(1)) {
        let is_index = line.starts_with("CREATE INDEX") || line.starts_with("CREATE UNIQUE INDEX");
        assert!(!is_index || before.starts_with("-- "), "{line}");
    }
}

#[test]
fn every_example_query_runs_and_finds_something() {
    let conn = fixture::memory();
    for (thread, answer) in [("one", None), ("two", Some(Decision::Approve))] {
        let run = fixture::insert_run(&conn, thread);
        let id = RequestId::new();
        let turn = NewTurn {
            reserved: Some(NanoUsd(9)),
            ..fixture::new_turn(run, 1)
        };
        let mut facts = vec![
            fixture::created(&["spec"]),
            fixture::started(),
            fixture::phase_started("spec", 1),
        ];
        facts.extend([
            fixture::phase_started("spec", 2),
            fixture::requested(id, Some("spec")),
        ]);
        facts.extend(answer.map(|action| fixture::resolved(id, Some("spec"), action, "kim")));
        journal::append(&conn, run, &facts, BEGIN).unwrap();
        turns::reserve(&conn, &turn, BEGIN).unwrap();
        let settlement = TurnSettlement {
            status: CallStatus::Ok,
            tokens: TokenUsage::default(),
            cost: None,
            estimated: false,
            latency_ms: 1,
            provider_request_id: None,
        };
        turns::answered(&conn, turn.id, "{}", &[], &settlement, BEGIN).unwrap();
    }
    let examples: Vec<&str> = DOCS
        .split("```sql\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap())
        .collect();
    assert_eq!(examples.len(), 5);
    for example in examples {
        let mut query = conn.prepare(example).unwrap();
        assert!(
            query.query([]).unwrap().next().unwrap().is_some(),
            "{example}"
        );
    }
}
