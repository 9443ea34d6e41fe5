//! Journals as each landed schema had them, folded by the code of today: the same state, for ever.
//!
//! `golden/000N.jsonl` is what a program of schema N stored of one run: its events, a line each, with their
//! links since there is a chain. A new schema comes with a journal of its own that has what was new with
//! it; one that has landed is never edited. A snapshot may gain what is new in a state; where anything else
//! of it changes, stored runs are read differently than they were.

use crate::model::event::RunFact;
use crate::model::id::RunId;
use crate::model::run_state::RunState;
use crate::store::journal::audit::AuditMirror;
use crate::store::journal::{chain, events};
use crate::store::projection;
use crate::store::tables::runs;
use crate::store::writer::migrate;
use rusqlite::Connection;
use serde_json::Value;

const JOURNALS: &[&str] = &[
    include_str!("../golden/0001.jsonl"),
    include_str!("../golden/0002.jsonl"),
    include_str!("../golden/0003.jsonl"),
    include_str!("../golden/0004.jsonl"),
    include_str!("../golden/0005.jsonl"),
    include_str!("../golden/0006.jsonl"),
    include_str!("../golden/0007.jsonl"),
    include_str!("../golden/0008.jsonl"),
];

fn run_of(schema: usize) -> RunId {
    format!("01930000-0000-7000-8000-00000000{schema:04}")
        .parse()
        .unwrap()
}

fn lines(journal: &str) -> Vec<Value> {
    journal
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A database of this schema with its run, brought to the schema of today.
fn brought_up(schema: usize) -> Connection {
    let conn = Connection::open_in_memory().unwrap();
    conn.pragma_update(None, "foreign_keys", true).unwrap();
    migrate::to_schema(&conn, schema).unwrap();
    let (run, journal) = (run_of(schema).to_string(), lines(JOURNALS[schema - 1]));
    let begun = journal[0]["at_ms"].as_i64().unwrap();
    conn.execute(
        "INSERT INTO runs (id, workflow, workflow_hash, thread, requirements, created_at_ms, updated_at_ms, last_seq) \
         VALUES (?1, 'development@1', 'h', 'lane', 'make it', ?2, ?2, ?3)",
        (&run, begun, i64::try_from(journal.len()).unwrap()),
    )
    .unwrap();
    for (event, seq) in journal.iter().zip(1..) {
        let text = |name: &str| event[name].as_str();
        let (at, link) = (
            event["at_ms"].as_i64(),
            text("chain").map(|link| hex::decode(link).unwrap()),
        );
        let row = (
            &run,
            seq,
            at,
            text("type"),
            text("phase_key"),
            text("idempotency_key"),
            text("payload"),
        );
        let sql =
            "INSERT INTO events (run_id, seq, at_ms, type, phase_key, idempotency_key, payload";
        match link {
            None => conn
                .execute(&format!("{sql}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"), row)
                .unwrap(),
            Some(link) => {
                conn.execute("UPDATE runs SET chain = ?2 WHERE id = ?1", (&run, &link))
                    .unwrap();
                let row = (row.0, row.1, row.2, row.3, row.4, row.5, row.6, &link);
                conn.execute(
                    &format!("{sql}, chain) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"),
                    row,
                )
                .unwrap()
            }
        };
    }
    migrate::to_schema(&conn, JOURNALS.len()).unwrap();
    conn
}

#[test]
fn every_landed_schema_has_a_journal() {
    assert_eq!(
        i64::try_from(JOURNALS.len()).unwrap(),
        migrate::CURRENT,
        "a new schema comes with golden/000N.jsonl"
    );
}

#[test]
fn a_journal_of_each_landed_schema_folds_to_the_state_it_always_had() {
    for schema in 1..=JOURNALS.len() {
        let (conn, run) = (brought_up(schema), run_of(schema));
        let whole = events::from(&conn, run, 1, 10_000).unwrap();
        let state = RunState::fold(run, &whole).unwrap();
        assert_eq!(
            events::state(&conn, run).unwrap(),
            state,
            "schema {schema}: by the database and by the journal alone"
        );
        assert_eq!(
            chain::walk(&conn, run).unwrap().problems,
            Vec::<String>::new(),
            "schema {schema}"
        );
        insta::assert_snapshot!(
            format!("schema_{schema:04}"),
            serde_json::to_string_pretty(&state).unwrap()
        );
    }
}

#[test]
fn the_rows_of_a_run_of_each_landed_schema_can_be_made_from_its_journal() {
    let mirror = AuditMirror::new().unwrap();
    for schema in 1..=JOURNALS.len() {
        let (conn, run) = (brought_up(schema), run_of(schema));
        projection::rebuild(&conn, run).unwrap();
        assert_eq!(
            mirror.differences(&conn, run).unwrap(),
            Vec::<String>::new(),
            "schema {schema}"
        );
        let state = events::state(&conn, run).unwrap();
        assert_eq!(
            runs::get(&conn, run).unwrap().state,
            state.status.as_str(),
            "schema {schema}"
        );
    }
}

/// What a fact is stored under, and how it is written, stays too: else the same fact could come twice.
#[test]
fn each_stored_fact_has_the_key_and_the_payload_that_it_always_had() {
    for (journal, schema) in JOURNALS.iter().zip(1..) {
        for line in lines(journal) {
            let payload: Value = serde_json::from_str(line["payload"].as_str().unwrap()).unwrap();
            let typed = serde_json::json!({ "type": line["type"], "payload": payload });
            let fact: RunFact = serde_json::from_value(typed.clone())
                .unwrap_or_else(|e| panic!("schema {schema}: {e} in {line}"));
            assert_eq!(fact.key(), line["idempotency_key"], "schema {schema}");
            assert_eq!(
                serde_json::to_value(&fact).unwrap(),
                typed,
                "schema {schema}"
            );
        }
    }
}
