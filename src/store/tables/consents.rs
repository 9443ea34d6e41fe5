//! What the operator has agreed to use, by the hash of what was agreed to: personas, and what repositories bring.

use std::collections::BTreeSet;

use rusqlite::Connection;

use crate::model::error::Result;
use crate::model::hash::ContentHash;
use crate::model::time::Timestamp;

/// Keeps that `by` agreed to a persona, or to what a repository brings; the first time counts.
///
/// # Errors
/// What the database says.
pub fn insert(
    tx: &Connection,
    persona: &str,
    hash: &ContentHash,
    by: &str,
    now: Timestamp,
) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO consents (persona_hash, persona, given_by, at_ms) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (persona_hash) DO NOTHING",
    )?
    .execute((hash.as_str(), persona, by, now.0))?;
    Ok(())
}

/// Everything that was agreed to.
///
/// # Errors
/// What the database says.
pub fn all(conn: &Connection) -> Result<BTreeSet<ContentHash>> {
    let mut query = conn.prepare_cached("SELECT persona_hash FROM consents")?;
    let rows = query.query_map([], |row| row.get(0).map(ContentHash))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Whether anything was agreed to under this name.
///
/// # Errors
/// What the database says.
pub fn given_as(conn: &Connection, name: &str) -> Result<bool> {
    Ok(conn
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM consents WHERE persona = ?1)")?
        .query_row([name], |row| row.get(0))?)
}

/// Forgets what was agreed to under this name, and this hash. Says whether there was anything.
///
/// # Errors
/// What the database says.
pub fn take_back(tx: &Connection, name: &str, hash: Option<&ContentHash>) -> Result<bool> {
    let mut query =
        tx.prepare_cached("DELETE FROM consents WHERE persona = ?1 OR persona_hash = ?2")?;
    Ok(query.execute((name, hash.map(ContentHash::as_str)))? > 0)
}
