//! Appends facts to the journal of a run and moves the rows along, in one transaction.
//!
//! An append costs the same at event 1 and at event 1,000,000: the run's row, found by its primary
//! key, says the last number and the last moment; the event goes in at the end of the run's part of
//! one tree, its key into another (a descent each, whose depth grows by one with every few hundred
//! times more rows); the projection touches rows by primary key alone. Nothing counts, nothing
//! scans; a test reads the query plans.
//!
//! What the facts of a run are, and which may follow which, is the model's and the engine's
//! business. The projection refuses what the fold would refuse, so that no journal is ever stored
//! that cannot be read back.

use rusqlite::{Connection, OptionalExtension};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::projection::{self, Head};
use super::{events, row};
use crate::model::error::{Code, Failure, Result};
use crate::model::event::{Event, Fact};
use crate::model::id::RunId;
use crate::model::time::Timestamp;

pub(super) const INSERT: &str = "INSERT INTO events (run_id, seq, at_ms, type, phase_key, idempotency_key, payload) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (run_id, idempotency_key) DO NOTHING";

pub(super) const BY_KEY: &str = "SELECT type, payload FROM events WHERE run_id = ?1 AND idempotency_key = ?2";

/// Appends facts, and projects each new event to the rows.
///
/// Returns the events that are new; a fact that was written before is skipped. After an error the
/// transaction must not be committed (a job of the store rolls back by itself).
///
/// # Errors
/// `run_not_found`; `run_already_terminal` when the run has ended; `illegal_transition` when a fact
/// cannot follow; `thread_busy` when another run holds the thread; `approval_already_resolved` and
/// `no_pending_approval` for an answer that comes too late; `internal` when a different fact has the
/// same key.
pub fn append(tx: &Connection, run_id: RunId, facts: &[Fact], now: Timestamp) -> Result<Vec<Event>> {
    let mut head = Head::load(tx, run_id)?;
    let mut stored = Vec::with_capacity(facts.len());
    for fact in facts {
        if head.status.is_terminal() {
            refuse_unless_known(tx, &head, fact)?;
            continue;
        }
        let event = Event { run_id, seq: head.last_seq + 1, at: now.max(head.updated_at), fact: fact.clone() };
        if insert(tx, &event)? {
            projection::apply(tx, &mut head, &event)?;
            stored.push(event);
        } else {
            refuse_unless_known(tx, &head, fact)?;
        }
    }
    if !stored.is_empty() {
        head.save(tx)?;
    }
    Ok(stored)
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// `false` when the key is taken.
fn insert(tx: &Connection, event: &Event) -> Result<bool> {
    let text = serde_json::to_string(&event.fact).map_err(Failure::internal)?;
    let wire: Wire<'_> = serde_json::from_str(&text).map_err(Failure::internal)?;
    let added = tx.prepare_cached(INSERT)?.execute((
        event.run_id.to_string(),
        row::stored(event.seq),
        event.at.0,
        event.fact.kind(),
        event.fact.phase_key().map(|key| key.as_str()),
        event.fact.key(),
        wire.payload.get(),
    ))?;
    Ok(added == 1)
}

/// The same fact again is harmless; anything else under its key, or after the end, is refused.
fn refuse_unless_known(tx: &Connection, head: &Head, fact: &Fact) -> Result<()> {
    let (run, key) = (head.run_id, fact.key());
    let mut query = tx.prepare_cached(BY_KEY)?;
    let known = query.query_row((run.to_string(), &key), |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let known = known.map(|(kind, payload): (String, String)| events::fact(&kind, &payload)).transpose().map_err(Failure::internal)?;
    match known {
        Some(known) if known == *fact => Ok(()),
        Some(_) if key != "run.ended" => Err(Failure::internal(format!("run {run} has a different fact under the key '{key}'"))),
        _ => Err(Failure::new(Code::RunAlreadyTerminal, format!("run {run} has ended ({}); {} was not stored", head.status, fact.kind()))
            .hint("`phasedeck show` tells how it ended; start a new run to go on")),
    }
}
