//! Calls to models as a conversation: reserved, answered, settled, or void. Each step is one job of
//! the caller's, together with the ledger row that pays for it and the event that tells of it.

use rusqlite::Connection;

use super::{ledger, row};
use crate::model::error::{Code, Failure, Result};
use crate::model::event::{CallStatus, Tokens, ToolOutcome};
use crate::model::id::{PhaseKey, RunId, TurnId};
use crate::model::money::NanoUsd;
use crate::model::record::{ToolRecord, TurnRecord, TurnStatus};
use crate::model::time::Timestamp;

/// A call that is about to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTurn {
    /// Which; also its ledger row.
    pub id: TurnId,
    /// Of which run.
    pub run_id: RunId,
    /// Of which phase.
    pub phase_key: PhaseKey,
    /// In which attempt.
    pub attempt: u32,
    /// From 1 within the attempt.
    pub number: u32,
    /// Who calls.
    pub persona: String,
    /// Which model is asked.
    pub model: String,
    /// What is set aside; absent when the price is unknown.
    pub reserved: Option<NanoUsd>,
}

/// What an answered call used and cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// How it ended.
    pub status: CallStatus,
    /// What it used.
    pub tokens: Tokens,
    /// What it cost; absent when unknown.
    pub cost: Option<NanoUsd>,
    /// Whether the cost is the reserve, because the true one was not told.
    pub estimated: bool,
    /// From request to last byte.
    pub latency_ms: u64,
    /// The provider's name for the request.
    pub provider_request_id: Option<String>,
}

/// How a call came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFailure {
    /// `Failed` or `Unknown`.
    pub status: CallStatus,
    /// Why.
    pub code: Code,
    /// From request to failure.
    pub latency_ms: u64,
    /// What is charged for it; absent when unknown.
    pub charge: Option<NanoUsd>,
    /// Whether the charge is the reserve.
    pub estimated: bool,
}

/// What a tool said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolResult {
    /// The engine's own id, unique within the turn.
    pub call_id: String,
    /// The text the model gets.
    pub result: String,
    /// How it ended.
    pub outcome: ToolOutcome,
    /// How long it took.
    pub duration_ms: u64,
}

/// Stores that a call is about to be sent: the turn, and its open ledger row.
///
/// # Errors
/// `internal` when the number is taken by a turn that is not void; what the database says.
pub fn reserve(tx: &Connection, turn: &NewTurn, now: Timestamp) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO turns (id, run_id, phase_key, attempt, number, status, at_ms) VALUES (?1, ?2, ?3, ?4, ?5, 'reserved', ?6)",
    )?
    .execute((turn.id.to_string(), turn.run_id.to_string(), turn.phase_key.as_str(), turn.attempt, turn.number, now.0))?;
    ledger::open_row(tx, turn, now)
}

/// Stores a whole answer, the tools it wants (engine's call id, tool, arguments) and what it cost.
/// Without tools the turn is settled at once.
///
/// # Errors
/// `internal` when the turn is not reserved; what the database says.
pub fn answered(
    tx: &Connection,
    turn: TurnId,
    answer: &str,
    tools: &[(String, String, String)],
    settlement: &Settlement,
    now: Timestamp,
) -> Result<()> {
    let to = if tools.is_empty() { TurnStatus::Settled } else { TurnStatus::Answered };
    step(tx, turn, TurnStatus::Reserved, to, Some(answer))?;
    let mut insert =
        tx.prepare_cached("INSERT INTO tool_calls (turn_id, position, call_id, tool, arguments) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (position, (call_id, tool, arguments)) in (0_i64..).zip(tools) {
        insert.execute((turn.to_string(), position, call_id, tool, arguments))?;
    }
    ledger::settle(tx, turn, settlement, None, now)
}

/// Stores that a call came to nothing: the turn is void, the ledger keeps what it may have cost.
///
/// # Errors
/// `internal` when the turn is not reserved; what the database says.
pub fn failed(tx: &Connection, turn: TurnId, failure: &CallFailure, now: Timestamp) -> Result<()> {
    step(tx, turn, TurnStatus::Reserved, TurnStatus::Void, None)?;
    let settlement = Settlement {
        status: failure.status,
        tokens: Tokens::default(),
        cost: failure.charge,
        estimated: failure.estimated,
        latency_ms: failure.latency_ms,
        provider_request_id: None,
    };
    ledger::settle(tx, turn, &settlement, Some(failure.code), now)
}

/// Stores what the tools of a turn said, which makes the turn a checkpoint.
///
/// # Errors
/// `internal` when the turn is not answered or a call id is not of this turn; what the database says.
pub fn tools_done(tx: &Connection, turn: TurnId, results: &[ToolResult]) -> Result<()> {
    step(tx, turn, TurnStatus::Answered, TurnStatus::Settled, None)?;
    let mut update =
        tx.prepare_cached("UPDATE tool_calls SET result = ?3, outcome = ?4, duration_ms = ?5 WHERE turn_id = ?1 AND call_id = ?2")?;
    for done in results {
        let outcome = outcome_name(done.outcome);
        let changed = update.execute((turn.to_string(), &done.call_id, &done.result, outcome, row::stored(done.duration_ms)))?;
        if changed != 1 {
            return Err(Failure::internal(format!("turn {turn} never called '{}'", done.call_id)));
        }
    }
    Ok(())
}

/// The turns of one attempt that are part of the conversation, in order.
///
/// # Errors
/// What the database says.
pub fn of_attempt(conn: &Connection, run: RunId, phase: &PhaseKey, attempt: u32) -> Result<Vec<TurnRecord>> {
    let mut query = conn.prepare_cached(
        "SELECT id, phase_key, attempt, number, status, answer, at_ms FROM turns \
         WHERE run_id = ?1 AND phase_key = ?2 AND attempt = ?3 AND status <> 'void' ORDER BY number",
    )?;
    let rows = query.query_map((run.to_string(), phase.as_str(), attempt), |row| {
        Ok(TurnRecord {
            id: row::parsed(row, "id")?,
            phase_key: PhaseKey(row.get("phase_key")?),
            attempt: row::count(row, "attempt")?,
            number: row::count(row, "number")?,
            status: row::named(row, "status", row::wire)?,
            answer: row.get("answer")?,
            tools: Vec::new(),
            at: row::at(row, "at_ms")?,
        })
    })?;
    let mut turns: Vec<TurnRecord> = rows.collect::<rusqlite::Result<_>>()?;
    for turn in &mut turns {
        turn.tools = tools_of(conn, turn.id)?;
    }
    Ok(turns)
}

/// The calls of a run that were sent and never settled, oldest first: what a crash leaves.
///
/// # Errors
/// What the database says.
pub fn open(conn: &Connection, run: RunId) -> Result<Vec<crate::model::record::LedgerRecord>> {
    ledger::open_of_run(conn, run)
}

fn tools_of(conn: &Connection, turn: TurnId) -> Result<Vec<ToolRecord>> {
    let mut query = conn.prepare_cached("SELECT call_id, tool, arguments, result FROM tool_calls WHERE turn_id = ?1 ORDER BY position")?;
    let rows = query.query_map([turn.to_string()], |row| {
        Ok(ToolRecord {
            call_id: row.get("call_id")?,
            tool: row.get("tool")?,
            arguments: row.get("arguments")?,
            result: row.get("result")?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn step(tx: &Connection, turn: TurnId, from: TurnStatus, to: TurnStatus, answer: Option<&str>) -> Result<()> {
    let changed = tx
        .prepare_cached("UPDATE turns SET status = ?3, answer = coalesce(?4, answer) WHERE id = ?1 AND status = ?2")?
        .execute((turn.to_string(), status_name(from), status_name(to), answer))?;
    if changed == 1 {
        return Ok(());
    }
    Err(Failure::internal(format!("turn {turn} cannot become {}: it is not {}", status_name(to), status_name(from))))
}

fn status_name(status: TurnStatus) -> &'static str {
    match status {
        TurnStatus::Reserved => "reserved",
        TurnStatus::Answered => "answered",
        TurnStatus::Settled => "settled",
        TurnStatus::Void => "void",
    }
}

fn outcome_name(outcome: ToolOutcome) -> &'static str {
    match outcome {
        ToolOutcome::Ok => "ok",
        ToolOutcome::Error => "error",
        ToolOutcome::Unknown => "unknown",
    }
}
