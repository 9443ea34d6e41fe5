//! Reads journals: pages forward and backward, by filter, and folded to a state.

use crate::model::error::{Failure, Result};
use crate::model::event::{JournalEvent, RunFact};
use crate::model::id::{PhaseKey, RunId};
use crate::model::run_state::RunState;
use crate::model::time::Timestamp;
use crate::store::error;
use crate::store::journal::segments;
use crate::store::tables::{columns, runs};
use rusqlite::{Connection, OptionalExtension, Row};

pub(in crate::store) const FROM: &str = "SELECT seq, at_ms, type, phase_key, payload FROM events WHERE run_id = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3";
pub(in crate::store) const BEFORE: &str = "SELECT seq, at_ms, type, phase_key, payload FROM events WHERE run_id = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3";
pub(in crate::store) const FILTERED: &str = "SELECT seq, at_ms, type, phase_key, payload FROM events WHERE run_id = ?1 AND seq >= ?2 \
     AND (?4 IS NULL OR type IN (SELECT value FROM json_each(?4))) AND (?5 IS NULL OR phase_key = ?5) ORDER BY seq LIMIT ?3";
pub(in crate::store) const RANGE: &str = "SELECT seq, at_ms, type, phase_key, payload FROM events WHERE run_id = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq";
pub(in crate::store) const ALL: &str =
    "SELECT seq, at_ms, type, phase_key, payload FROM events WHERE run_id = ?1 ORDER BY seq";

/// At most `limit` events from `from_seq` on, in order.
///
/// # Errors
/// `db_corrupt` naming an event that cannot be read; what the database says.
pub fn from(conn: &Connection, run: RunId, from_seq: u64, limit: u32) -> Result<Vec<JournalEvent>> {
    let mut query = conn.prepare_cached(FROM)?;
    let rows = query.query_map(
        (run.to_string(), columns::stored(from_seq), limit),
        StoredEvent::read,
    )?;
    rows.map(|stored| stored?.event(run)).collect()
}

/// The page of at most `limit` events that ends just before `seq`, in order.
///
/// # Errors
/// As [`from`].
pub fn before(conn: &Connection, run: RunId, seq: u64, limit: u32) -> Result<Vec<JournalEvent>> {
    let mut query = conn.prepare_cached(BEFORE)?;
    let rows = query.query_map(
        (run.to_string(), columns::stored(seq), limit),
        StoredEvent::read,
    )?;
    let mut page = rows
        .map(|stored| stored?.event(run))
        .collect::<Result<Vec<_>>>()?;
    page.reverse();
    Ok(page)
}

/// At most `limit` events from `from_seq` on, of these types (all where empty) and of this phase.
///
/// # Errors
/// As [`from`].
pub fn filtered(
    conn: &Connection,
    run: RunId,
    kinds: &[String],
    phase: Option<&PhaseKey>,
    from_seq: u64,
    limit: u32,
) -> Result<Vec<JournalEvent>> {
    let kinds = if kinds.is_empty() {
        None
    } else {
        Some(serde_json::to_string(kinds).map_err(Failure::internal)?)
    };
    let mut query = conn.prepare_cached(FILTERED)?;
    let rows = query.query_map(
        (
            run.to_string(),
            columns::stored(from_seq),
            limit,
            kinds,
            phase.map(PhaseKey::as_str),
        ),
        StoredEvent::read,
    )?;
    rows.map(|stored| stored?.event(run)).collect()
}

/// The number of the run's last event; 0 before the first.
///
/// # Errors
/// `run_not_found`; what the database says.
pub fn last_seq(conn: &Connection, run: RunId) -> Result<u64> {
    let mut query = conn.prepare_cached("SELECT last_seq FROM runs WHERE id = ?1")?;
    let seq = query
        .query_row([run.to_string()], |row| columns::large(row, "last_seq"))
        .optional()?;
    seq.ok_or_else(|| runs::not_found(&run.to_string()))
}

/// Hands over every event of a run in order, one at a time.
///
/// # Errors
/// As [`from`]; what `each` says, at once.
pub fn for_each(
    conn: &Connection,
    run: RunId,
    mut each: impl FnMut(JournalEvent) -> Result<()>,
) -> Result<()> {
    let mut query = conn.prepare_cached(ALL)?;
    for stored in query.query_map([run.to_string()], StoredEvent::read)? {
        each(stored?.event(run)?)?;
    }
    Ok(())
}

/// What the run's journal folds to.
///
/// # Errors
/// As [`from`]; `illegal_transition` for a journal that no engine can have written.
pub fn state(conn: &Connection, run: RunId) -> Result<RunState> {
    state_at(conn, run, u64::MAX)
}

/// What the run's journal folds to up to and with event `seq`, from the last stored state before it.
///
/// # Errors
/// As [`state`].
pub fn state_at(conn: &Connection, run: RunId, seq: u64) -> Result<RunState> {
    let mut state = segments::state_before(conn, run, seq)?.unwrap_or_else(|| RunState::new(run));
    for_range(conn, run, state.last_seq + 1, seq, |stored| {
        state.apply(&stored.event(run)?)
    })?;
    Ok(state)
}

/// Hands over what is stored of the events `from` to `to`, in order.
pub(in crate::store) fn for_range(
    conn: &Connection,
    run: RunId,
    from: u64,
    to: u64,
    mut each: impl FnMut(StoredEvent) -> Result<()>,
) -> Result<()> {
    let mut query = conn.prepare_cached(RANGE)?;
    for stored in query.query_map(
        (run.to_string(), columns::stored(from), columns::stored(to)),
        StoredEvent::read,
    )? {
        each(stored?)?;
    }
    Ok(())
}

/// The fact that was stored as this type and payload.
pub(in crate::store) fn fact(kind: &str, payload: &str) -> serde_json::Result<RunFact> {
    let kind = serde_json::to_string(kind)?;
    serde_json::from_str(&format!("{{\"type\":{kind},\"payload\":{payload}}}"))
}

/// A row of the journal, not read yet.
pub(in crate::store) struct StoredEvent {
    pub(in crate::store) seq: u64,
    at: Timestamp,
    pub(in crate::store) kind: String,
    pub(in crate::store) phase: Option<String>,
    pub(in crate::store) payload: String,
}

impl StoredEvent {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            seq: columns::large(row, "seq")?,
            at: columns::at(row, "at_ms")?,
            kind: row.get("type")?,
            phase: row.get("phase_key")?,
            payload: row.get("payload")?,
        })
    }

    pub(in crate::store) fn event(self, run_id: RunId) -> Result<JournalEvent> {
        let Self {
            seq,
            at,
            kind,
            payload,
            ..
        } = self;
        let fact = fact(&kind, &payload).map_err(|e| {
            error::corrupt(format!(
                "event {seq} of run {run_id} ({kind}) cannot be read: {e}"
            ))
        })?;
        Ok(JournalEvent {
            run_id,
            seq,
            at,
            fact,
        })
    }
}
