//! Which personas the operator has agreed to use, by the hash of what was agreed to.

use std::collections::BTreeSet;

use rusqlite::Connection;

use crate::model::error::Result;
use crate::model::hash::ContentHash;
use crate::model::time::Timestamp;

/// Keeps that `by` agreed to a persona; the first time counts.
///
/// # Errors
/// What the database says.
pub fn give(tx: &Connection, persona: &str, hash: &ContentHash, by: &str, now: Timestamp) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO consents (persona_hash, persona, given_by, at_ms) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (persona_hash) DO NOTHING",
    )?
    .execute((hash.as_str(), persona, by, now.0))?;
    Ok(())
}

/// Every persona that was agreed to.
///
/// # Errors
/// What the database says.
pub fn all(conn: &Connection) -> Result<BTreeSet<ContentHash>> {
    let mut query = conn.prepare_cached("SELECT persona_hash FROM consents")?;
    let rows = query.query_map([], |row| row.get(0).map(ContentHash))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
