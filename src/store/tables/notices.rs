//! How far the events of each run were told outside the console.

use rusqlite::{Connection, OptionalExtension};

use crate::model::error::Result;
use crate::model::id::RunId;

/// The last event of a run that was told; 0 when none was.
///
/// # Errors
/// What the database says.
pub fn last(conn: &Connection, run: RunId) -> Result<u64> {
    let mut query = conn.prepare_cached("SELECT seq FROM notices WHERE run_id = ?1")?;
    let seq: Option<i64> = query
        .query_row([run.to_string()], |row| row.get(0))
        .optional()?;
    Ok(seq.and_then(|seq| u64::try_from(seq).ok()).unwrap_or(0))
}

/// Keeps that everything up to `seq` was told; never goes back.
///
/// # Errors
/// What the database says.
pub fn advance(tx: &Connection, run: RunId, seq: u64) -> Result<()> {
    let sql = "INSERT INTO notices (run_id, seq) VALUES (?1, ?2) ON CONFLICT (run_id) DO UPDATE SET seq = max(seq, excluded.seq)";
    tx.prepare_cached(sql)?
        .execute((run.to_string(), crate::store::tables::columns::stored(seq)))?;
    Ok(())
}

/// Runs with events that were not told: those that go on, and ended ones of which something was told.
///
/// # Errors
/// What the database says.
pub fn behind(conn: &Connection) -> Result<Vec<RunId>> {
    let sql = "SELECT r.id FROM runs r LEFT JOIN notices n ON n.run_id = r.id \
               WHERE (n.seq IS NOT NULL OR r.state NOT IN ('completed', 'failed', 'aborted')) AND r.last_seq > coalesce(n.seq, 0) \
               ORDER BY r.updated_at_ms";
    let mut query = conn.prepare_cached(sql)?;
    let rows = query.query_map([], |row| crate::store::tables::columns::parsed(row, "id"))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
