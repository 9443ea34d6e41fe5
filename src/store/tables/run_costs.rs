//! What runs cost, for lists and for looking ahead: sums that the projection keeps with each run.

use crate::model::error::Result;
use crate::model::money::NanoUsd;
use crate::model::record::CostLine;
use crate::store::tables::columns;
use rusqlite::{Connection, Row};

/// So many runs are looked at, the newest ones.
const RUNS: u32 = 50;

/// What the newest completed runs of a workflow cost; only real ones whose every call has a known price.
///
/// # Errors
/// What the database says.
pub fn of_workflow(conn: &Connection, workflow: &str) -> Result<Vec<NanoUsd>> {
    let mut query = conn.prepare_cached(&format!(
        "SELECT cost_nano FROM runs WHERE workflow = ?1 AND state = 'completed' AND rehearsal = 0 AND unknown_calls = 0 \
         ORDER BY created_at_ms DESC, id DESC LIMIT {RUNS}"
    ))?;
    Ok(query
        .query_map([workflow], |found| found.get(0).map(NanoUsd))?
        .collect::<rusqlite::Result<_>>()?)
}

/// What the settled calls of each run cost, the newest run first; the label is the run's id.
///
/// # Errors
/// What the database says.
pub fn by_run(conn: &Connection) -> Result<Vec<CostLine>> {
    let mut query = conn.prepare_cached(
        "SELECT run_id AS label, count(*) AS calls, coalesce(sum(cost_nano), 0) AS cost_nano, sum(cost_nano IS NULL) AS unknown_calls, \
         sum(tokens_input) AS tokens_input, sum(tokens_output) AS tokens_output, sum(tokens_cached) AS tokens_cached, \
         sum(tokens_reasoning) AS tokens_reasoning FROM ledger WHERE status <> 'open' GROUP BY run_id ORDER BY run_id DESC",
    )?;
    let read = |found: &Row<'_>| {
        Ok(CostLine {
            label: found.get("label")?,
            calls: columns::count(found, "calls")?,
            tokens: columns::tokens(found)?,
            cost: columns::cost(found)?,
        })
    };
    Ok(query
        .query_map([], read)?
        .collect::<rusqlite::Result<_>>()?)
}

#[cfg(test)]
mod tests {
    use super::super::runs;
    use super::*;
    use crate::model::event::RunFact;
    use crate::model::time::Timestamp;
    use crate::store::journal;
    use crate::store::tests::fixture;

    #[test]
    fn only_completed_runs_with_known_prices_tell_what_a_workflow_costs() {
        let conn = fixture::memory();
        for (at, ended, rehearsal, unknown) in [
            (1, true, false, 0),
            (2, true, false, 0),
            (3, false, false, 0),
            (4, true, true, 0),
            (5, true, false, 1),
        ] {
            let lane = format!("lane{at}");
            let run = runs::RunInsert {
                created_at: Timestamp(at),
                rehearsal,
                ..fixture::new_run(&lane)
            };
            runs::insert(&conn, &run).unwrap();
            let mut facts = vec![fixture::created(&["spec"]), fixture::started()];
            facts.extend(ended.then_some(RunFact::RunCompleted {}));
            journal::append(&conn, run.id, &facts, Timestamp(at)).unwrap();
            let sql = "UPDATE runs SET cost_nano = ?2 * 10, unknown_calls = ?3 WHERE id = ?1";
            conn.execute(sql, (run.id.to_string(), at, unknown))
                .unwrap();
        }
        assert_eq!(
            of_workflow(&conn, "development@1").unwrap(),
            [NanoUsd(20), NanoUsd(10)]
        );
        assert_eq!(of_workflow(&conn, "bugfix@1").unwrap(), []);
    }
}
