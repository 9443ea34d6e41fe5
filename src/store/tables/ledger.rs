//! What calls to models cost: one row a call, open from before it is sent until it is settled.
//!
//! The totals of a run are not summed up from here but kept by the projection of `llm.called`, which
//! the caller appends in the same job that settles the row; a test holds the two sums equal.

use super::turns::{NewTurn, TurnSettlement};
use crate::model::error::{Code, Failure, Result};
use crate::model::event::CallStatus;
use crate::model::id::{PhaseKey, RunId, TurnId};
use crate::model::money::NanoUsd;
use crate::model::record::{CostLine, LedgerRecord};
use crate::model::time::Timestamp;
use crate::store::tables::columns;
use rusqlite::{Connection, OptionalExtension as _, Row};

const COLUMNS: &str = "turn_id, run_id, phase_key, attempt, persona, model, status, reserved_nano, cost_nano, estimated, tokens_input, \
     tokens_output, tokens_cached, tokens_reasoning, latency_ms, error_code, provider_request_id, at_ms";

/// What to group costs by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CostGrouping {
    /// Phase key, in the order of their first calls.
    Phase,
    /// Model name, in the order of their names.
    Model,
    /// Day in UTC as `YYYY-MM-DD`, oldest first.
    Day,
}

/// The calls of a run, oldest first.
///
/// # Errors
/// What the database says.
pub fn of_run(conn: &Connection, run: RunId) -> Result<Vec<LedgerRecord>> {
    let mut query = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM ledger WHERE run_id = ?1 ORDER BY at_ms, turn_id"
    ))?;
    Ok(query
        .query_map([run.to_string()], read)?
        .collect::<rusqlite::Result<_>>()?)
}

/// The call of a turn, with the turn's number within its attempt.
///
/// # Errors
/// What the database says.
pub fn of_turn(conn: &Connection, turn: TurnId) -> Result<Option<(u32, LedgerRecord)>> {
    let mut query = conn.prepare_cached(&format!(
        "SELECT {COLUMNS}, (SELECT number FROM turns WHERE turns.id = turn_id) AS number FROM ledger WHERE turn_id = ?1"
    ))?;
    Ok(query
        .query_row([turn.to_string()], |row| {
            Ok((row.get("number")?, read(row)?))
        })
        .optional()?)
}

/// What settled calls cost, in groups; of one run, or of all.
///
/// # Errors
/// What the database says.
pub fn costs(conn: &Connection, run: Option<RunId>, by: CostGrouping) -> Result<Vec<CostLine>> {
    let (label, order) = match by {
        CostGrouping::Phase => ("phase_key", "min(at_ms), label"),
        CostGrouping::Model => ("model", "label"),
        CostGrouping::Day => ("strftime('%Y-%m-%d', at_ms / 1000, 'unixepoch')", "label"),
    };
    let only = if run.is_some() {
        "run_id = ?1"
    } else {
        "?1 IS NULL"
    };
    let mut query = conn.prepare_cached(&format!(
        "SELECT {label} AS label, count(*) AS calls, coalesce(sum(cost_nano), 0) AS cost_nano, \
         sum(cost_nano IS NULL) AS unknown_calls, sum(tokens_input) AS tokens_input, sum(tokens_output) AS tokens_output, \
         sum(tokens_cached) AS tokens_cached, sum(tokens_reasoning) AS tokens_reasoning \
         FROM ledger WHERE status <> 'open' AND {only} GROUP BY label ORDER BY {order}"
    ))?;
    let rows = query.query_map([run.map(|run| run.to_string())], |row| {
        Ok(CostLine {
            label: row.get("label")?,
            calls: columns::count(row, "calls")?,
            tokens: columns::tokens(row)?,
            cost: columns::cost(row)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// What a run has spent and set aside. Its own sum is read, so that it costs the same at every call.
///
/// # Errors
/// What the database says.
pub fn spent_by_run(conn: &Connection, run: RunId) -> Result<NanoUsd> {
    let mut query = conn.prepare_cached(
        "SELECT cost_nano + coalesce((SELECT sum(reserved_nano) FROM ledger WHERE run_id = ?1 AND status = 'open'), 0) \
         FROM runs WHERE id = ?1",
    )?;
    Ok(NanoUsd(
        query.query_row([run.to_string()], |row| row.get(0))?,
    ))
}

/// The tokens that an attempt has used, sent and received together, since the operator's last word: those of the
/// turns with the same stretch as the one that is to follow.
///
/// # Errors
/// What the database says.
pub fn tokens_of_stretch(conn: &Connection, next: &NewTurn) -> Result<u64> {
    let mut query = conn.prepare_cached(
        "SELECT coalesce(sum(tokens_input + tokens_output), 0) AS used FROM ledger JOIN turns ON turns.id = turn_id \
         WHERE ledger.run_id = ?1 AND ledger.phase_key = ?2 AND ledger.attempt = ?3 AND stretch = ?4",
    )?;
    let of = (
        next.run_id.to_string(),
        next.phase_key.as_str(),
        next.attempt,
        next.stretch,
    );
    Ok(query.query_row(of, |row| columns::large(row, "used"))?)
}

/// What all runs have spent and set aside since a moment.
///
/// # Errors
/// What the database says.
pub fn spent_since(conn: &Connection, since: Timestamp) -> Result<NanoUsd> {
    let mut query = conn.prepare_cached(
        "SELECT coalesce(sum(CASE status WHEN 'open' THEN reserved_nano ELSE cost_nano END), 0) FROM ledger WHERE at_ms >= ?1",
    )?;
    Ok(NanoUsd(query.query_row([since.0], |row| row.get(0))?))
}

/// What all runs of a workflow, of whatever version, have spent and set aside.
///
/// # Errors
/// What the database says.
pub fn spent_by_workflow(conn: &Connection, name: &str) -> Result<NanoUsd> {
    let mut query = conn.prepare_cached(
        "SELECT coalesce(sum(cost_nano + coalesce((SELECT sum(reserved_nano) FROM ledger \
         WHERE ledger.run_id = runs.id AND status = 'open'), 0)), 0) FROM runs WHERE workflow >= ?1 AND workflow < ?2",
    )?;
    // Every version: what stands between `name@` and the character after `@`.
    Ok(NanoUsd(query.query_row(
        [format!("{name}@"), format!("{name}A")],
        |row| row.get(0),
    )?))
}

/// The calls of a run that were never settled, oldest first.
pub(in crate::store) fn open_of_run(conn: &Connection, run: RunId) -> Result<Vec<LedgerRecord>> {
    let mut query = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM ledger WHERE run_id = ?1 AND status = 'open' ORDER BY at_ms, turn_id"
    ))?;
    Ok(query
        .query_map([run.to_string()], read)?
        .collect::<rusqlite::Result<_>>()?)
}

/// Opens the row of a call before it is sent.
pub(in crate::store) fn open_row(tx: &Connection, turn: &NewTurn, now: Timestamp) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO ledger (turn_id, run_id, phase_key, attempt, persona, model, status, reserved_nano, at_ms) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'open', ?7, ?8)",
    )?
    .execute((
        turn.id.to_string(),
        turn.run_id.to_string(),
        turn.phase_key.as_str(),
        turn.attempt,
        &turn.persona,
        &turn.model,
        turn.reserved.map(|money| money.0),
        now.0,
    ))?;
    Ok(())
}

/// Closes the row of a call.
pub(in crate::store) fn settle(
    tx: &Connection,
    turn: TurnId,
    settlement: &TurnSettlement,
    code: Option<Code>,
    now: Timestamp,
) -> Result<()> {
    let changed = tx
        .prepare_cached(
            "UPDATE ledger SET status = ?2, cost_nano = ?3, estimated = ?4, tokens_input = ?5, tokens_output = ?6, tokens_cached = ?7, \
             tokens_reasoning = ?8, latency_ms = ?9, provider_request_id = ?10, error_code = ?11, settled_at_ms = ?12 \
             WHERE turn_id = ?1 AND status = 'open'",
        )?
        .execute((
            turn.to_string(),
            status_name(settlement.status),
            settlement.cost.map(|money| money.0),
            settlement.estimated,
            columns::stored(settlement.tokens.input),
            columns::stored(settlement.tokens.output),
            columns::stored(settlement.tokens.cached),
            columns::stored(settlement.tokens.reasoning),
            columns::stored(settlement.latency_ms),
            &settlement.provider_request_id,
            code.map(Code::as_str),
            now.0,
        ))?;
    if changed == 1 {
        Ok(())
    } else {
        Err(Failure::internal(format!(
            "the ledger row of turn {turn} is not open"
        )))
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<LedgerRecord> {
    Ok(LedgerRecord {
        turn_id: columns::parsed(row, "turn_id")?,
        run_id: columns::parsed(row, "run_id")?,
        phase_key: PhaseKey(row.get("phase_key")?),
        attempt: columns::count(row, "attempt")?,
        persona: row.get("persona")?,
        model: row.get("model")?,
        status: columns::wire(&row.get::<_, String>("status")?),
        reserved: columns::money(row, "reserved_nano")?,
        cost: columns::money(row, "cost_nano")?,
        estimated: row.get("estimated")?,
        tokens: columns::tokens(row)?,
        latency_ms: columns::large(row, "latency_ms")?,
        error_code: row
            .get::<_, Option<String>>("error_code")?
            .and_then(|code| Code::parse(&code)),
        provider_request_id: row.get("provider_request_id")?,
        at: columns::at(row, "at_ms")?,
    })
}

fn status_name(status: CallStatus) -> &'static str {
    match status {
        CallStatus::Ok => "ok",
        CallStatus::Failed => "failed",
        CallStatus::Unknown => "unknown",
    }
}
