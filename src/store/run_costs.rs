//! What runs cost, for lists and for looking ahead: sums that the projection keeps with each run.

use rusqlite::{Connection, Row};

use super::row;
use crate::model::error::Result;
use crate::model::money::NanoUsd;
use crate::model::record::CostLine;

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
    Ok(query.query_map([workflow], |found| found.get(0).map(NanoUsd))?.collect::<rusqlite::Result<_>>()?)
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
            calls: row::count(found, "calls")?,
            tokens: row::tokens(found)?,
            cost: row::cost(found)?,
        })
    };
    Ok(query.query_map([], read)?.collect::<rusqlite::Result<_>>()?)
}
