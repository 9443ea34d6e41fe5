//! Reads the plan of every statement that this room's sources hold, so that no append, page or list
//! ever begins to read whole tables. Statements that do so on purpose are named here.

use super::fixture;
use crate::store::journal;
use crate::store::journal::events;
use crate::store::tables::run_list;
use rusqlite::Connection;

const SOURCES: &[&str] = &[
    include_str!("../tables/approvals.rs"),
    include_str!("../tables/artifacts.rs"),
    include_str!("../tables/bindings.rs"),
    include_str!("../journal/segments.rs"),
    include_str!("../tables/consents.rs"),
    include_str!("../tables/definitions.rs"),
    include_str!("../journal/events.rs"),
    include_str!("../tables/inbox.rs"),
    include_str!("../journal.rs"),
    include_str!("../tables/ledger.rs"),
    include_str!("../tables/phases.rs"),
    include_str!("../projection/approval.rs"),
    include_str!("../projection/artifact.rs"),
    include_str!("../projection/head.rs"),
    include_str!("../projection/phase.rs"),
    include_str!("../projection/session.rs"),
    include_str!("../tables/run_list.rs"),
    include_str!("../tables/runs.rs"),
    include_str!("../journal/search.rs"),
    include_str!("../tables/sessions.rs"),
    include_str!("../tables/threads.rs"),
    include_str!("../tables/turns.rs"),
];

/// Small or whole by nature: every run once at start (from an index), every consent, a part of an id, the newest run by an index with a limit,
/// and lists that walk a partial index holding nothing but their answer.
const READ_WHOLE: &[&str] = &[
    "SELECT persona_hash FROM consents",
    "SELECT id, workflow, state FROM runs WHERE instr",
    "SELECT id FROM runs ORDER BY created_at_ms DESC, id DESC LIMIT 1",
    "SELECT id FROM runs WHERE state IN ('completed', 'failed', 'aborted') AND report_path IS NULL",
    "SELECT * FROM runs WHERE state NOT IN ('completed', 'failed', 'aborted')",
    "SELECT * FROM approval_requests WHERE state = 'pending' ORDER BY",
    "SELECT token, sent_by, via, command, answer, created_at_ms, run_seq FROM inbox WHERE answered_at_ms IS NULL",
    "SELECT id, strategy, (SELECT h.id FROM runs h",
    "UPDATE runs SET line = NULL WHERE line IS NOT NULL",
    "SELECT id FROM runs WHERE rollback = 'asked'",
    "SELECT id, report_path FROM runs WHERE report_path IS NOT NULL",
    "SELECT id, last_seq FROM runs",
    "SELECT EXISTS (SELECT 1 FROM consents WHERE persona = ?1)",
];

fn statements() -> Vec<String> {
    let literal = regex::Regex::new(r#""((?:SELECT|UPDATE|INSERT)\s[^"]*)""#).unwrap();
    let folded = regex::Regex::new(r"\\\n\s*").unwrap();
    let production = SOURCES
        .iter()
        .map(|source| source.split("#[cfg(test)]").next().unwrap());
    let found = production.flat_map(|source| {
        literal
            .captures_iter(source)
            .map(|found| found[1].to_owned())
            .collect::<Vec<_>>()
    });
    let plain = found.map(|sql| folded.replace_all(&sql, "").replace("{COLUMNS}", "*"));
    plain.filter(|sql| !sql.contains('{')).collect()
}

fn plan(conn: &Connection, sql: &str) -> String {
    let mut query = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let parameters = vec![rusqlite::types::Null; query.parameter_count()];
    let rows = query
        .query_map(rusqlite::params_from_iter(parameters), |row| {
            row.get::<_, String>("detail")
        })
        .unwrap();
    rows.map(Result::unwrap).collect::<Vec<_>>().join("; ")
}

#[test]
fn no_statement_reads_a_whole_table_unless_it_is_named_here() {
    let conn = fixture::memory();
    let statements = statements();
    assert!(
        statements.len() > 50,
        "only {} statements were found",
        statements.len()
    );
    for sql in statements
        .iter()
        .filter(|sql| !READ_WHOLE.iter().any(|known| sql.starts_with(known)))
    {
        let plan = plan(&conn, sql);
        assert!(
            !plan.contains("SCAN")
                || plan.contains("SCAN json_each")
                || plan.contains("SCAN journal_words VIRTUAL TABLE INDEX"),
            "{sql}: {plan}"
        );
        assert!(
            !plan.contains("TEMP B-TREE") || sql.contains("FROM artifacts a"),
            "{sql}: {plan}"
        );
    }
}

#[test]
fn lists_that_walk_an_index_walk_the_one_made_for_them() {
    let conn = fixture::memory();
    for (start, index) in [
        (READ_WHOLE[2], "runs_newest"),
        (READ_WHOLE[3], "runs_without_report"),
        (READ_WHOLE[4], "runs_not_ended"),
        (READ_WHOLE[5], "approval_requests_waiting"),
        (READ_WHOLE[6], "inbox_open"),
        (READ_WHOLE[7], "runs_in_line"),
        (READ_WHOLE[8], "runs_waiting_for_place"),
        (READ_WHOLE[9], "runs_to_roll_back"),
    ] {
        let sql = statements()
            .into_iter()
            .find(|sql| sql.starts_with(start))
            .unwrap();
        let plan = plan(&conn, &sql);
        assert!(
            plan.contains(index) && !plan.contains("TEMP B-TREE"),
            "{sql}: {plan}"
        );
    }
}

#[test]
fn appends_and_pages_find_their_rows_by_key() {
    let conn = fixture::memory();
    for (sql, want) in [
        (journal::BY_KEY, "(run_id=? AND idempotency_key=?)"),
        (events::FROM, "USING PRIMARY KEY (run_id=? AND seq>?)"),
        (events::BEFORE, "USING PRIMARY KEY (run_id=? AND seq<?)"),
        (events::FILTERED, "USING PRIMARY KEY (run_id=? AND seq>?)"),
        (events::ALL, "USING PRIMARY KEY (run_id=?)"),
        (
            run_list::MOVED,
            "USING COVERING INDEX runs_moved (updated_at_ms>?)",
        ),
    ] {
        let plan = plan(&conn, sql);
        assert!(plan.contains(want), "{sql}: {plan}");
    }
    assert_eq!(
        plan(&conn, journal::INSERT),
        "",
        "an append reads nothing but its keys"
    );
}

#[test]
fn the_list_of_runs_comes_out_of_an_index_in_order() {
    let conn = fixture::memory();
    for (by_state, by_thread, index) in [
        (false, false, "runs_newest"),
        (true, false, "runs_newest"),
        (false, true, "runs_newest_of_thread (thread=?)"),
        (true, true, "runs_newest_of_thread (thread=?)"),
    ] {
        let plan = plan(&conn, &run_list::list_sql(by_state, by_thread));
        assert!(
            plan.contains(&format!("USING INDEX {index}")) && !plan.contains("TEMP B-TREE"),
            "{plan}"
        );
    }
}
