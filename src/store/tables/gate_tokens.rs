//! Tokens that answer one question each. Only their digests are stored.

use crate::model::error::Result;
use crate::model::hash::ContentHash;
use crate::model::id::{RequestId, RunId};
use crate::model::time::Timestamp;
use crate::store::tables::columns;
use rusqlite::{Connection, OptionalExtension};

/// What a token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateToken {
    /// Of which run.
    pub run_id: RunId,
    /// Which question it answers; a question is answered once, so the token is good for one answer.
    pub request_id: RequestId,
    /// The content that the question was about.
    pub artifact_sha256: Option<ContentHash>,
    /// Until when it can be used.
    pub expires_at: Timestamp,
}

/// Keeps a token by the digest of its text, and forgets those whose time is over.
///
/// # Errors
/// What the database says.
pub fn insert(
    tx: &Connection,
    digest: &ContentHash,
    token: &GateToken,
    now: Timestamp,
) -> Result<()> {
    tx.prepare_cached("DELETE FROM gate_tokens WHERE expires_at_ms < ?1")?
        .execute([now.0 - KEPT_AFTER_EXPIRY_MS])?;
    tx.prepare_cached("INSERT INTO gate_tokens (digest, run_id, request_id, artifact_sha256, expires_at_ms) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute((
            digest.as_str(),
            token.run_id.to_string(),
            token.request_id.to_string(),
            token.artifact_sha256.as_ref().map(ContentHash::as_str),
            token.expires_at.0,
        ))?;
    Ok(())
}

/// An expired token is remembered for a week, so that its user is told why it is refused.
const KEPT_AFTER_EXPIRY_MS: i64 = 7 * 24 * 3_600_000;

/// The token with this digest.
///
/// # Errors
/// What the database says.
pub fn find(conn: &Connection, digest: &ContentHash) -> Result<Option<GateToken>> {
    let mut query = conn.prepare_cached("SELECT run_id, request_id, artifact_sha256, expires_at_ms FROM gate_tokens WHERE digest = ?1")?;
    let found = query.query_row([digest.as_str()], |row| {
        Ok(GateToken {
            run_id: columns::parsed(row, "run_id")?,
            request_id: columns::parsed(row, "request_id")?,
            artifact_sha256: row
                .get::<_, Option<String>>("artifact_sha256")?
                .map(ContentHash),
            expires_at: columns::at(row, "expires_at_ms")?,
        })
    });
    Ok(found.optional()?)
}
