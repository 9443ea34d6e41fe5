//! The hash chain of a run's journal: computed with each append, and walked again to verify.
//!
//! A link is the SHA-256 of the link before and of the row itself, every field with its length, so
//! that no two rows give the same bytes. It shows edits, losses and insertions anywhere but at the
//! end; what was cut off at the end shows against the run's row and the anchor outside the database.
//! Who can rewrite everything, the anchor included, is not found out.

use std::fmt;

use crate::model::error::Result;
use crate::model::id::RunId;
use crate::store::tables::{columns, runs};
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub(in crate::store) const WALK: &str = "SELECT seq, at_ms, type, phase_key, idempotency_key, payload, chain FROM events WHERE run_id = ?1 ORDER BY seq";

pub(in crate::store) const LINK: &str = "SELECT chain FROM events WHERE run_id = ?1 AND seq = ?2";

/// One link: what an event's row and everything before it hash to.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(rename = "Link")]
pub struct ChainHash(pub [u8; 32]);

impl From<ChainHash> for String {
    fn from(link: ChainHash) -> Self {
        hex::encode(link.0)
    }
}

impl TryFrom<String> for ChainHash {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> std::result::Result<Self, Self::Error> {
        let mut link = [0; 32];
        hex::decode_to_slice(text, &mut link).map(|()| Self(link))
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// The fields of an event's row that its link vouches for.
#[derive(Clone, Copy, Debug)]
pub struct ChainedRow<'a> {
    /// Of which run.
    pub run_id: &'a str,
    /// Its number.
    pub seq: i64,
    /// Its moment.
    pub at_ms: i64,
    /// Its type.
    pub kind: &'a str,
    /// Its phase, where it has one.
    pub phase_key: Option<&'a str>,
    /// What makes writing it twice harmless.
    pub key: &'a str,
    /// What it says.
    pub payload: &'a str,
}

impl ChainedRow<'_> {
    /// The link of this row after `before`.
    #[must_use]
    pub fn link(&self, before: ChainHash) -> ChainHash {
        let mut hash = Sha256::new();
        hash.update(before.0);
        hash.update(self.seq.to_be_bytes());
        hash.update(self.at_ms.to_be_bytes());
        hash.update([u8::from(self.phase_key.is_some())]);
        for text in [
            self.run_id,
            self.kind,
            self.phase_key.unwrap_or_default(),
            self.key,
            self.payload,
        ] {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        }
        ChainHash(hash.finalize().into())
    }
}

/// What walking a run's journal found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ChainWalk {
    /// Events that were read.
    pub events: u64,
    /// Events from before there was a chain.
    pub unchained: u64,
    /// The last link.
    pub head: Option<ChainHash>,
    /// Everything that is wrong, in the order it was met; at most a handful.
    pub problems: Vec<String>,
}

/// Problems of one run that are told; the first is what matters.
const TOLD: usize = 8;

impl ChainWalk {
    fn wrong(&mut self, words: String) {
        if self.problems.len() < TOLD {
            self.problems.push(words);
        }
    }
}

/// Walks a run's journal: numbers without gaps, times that never go back, every link, and the end
/// against the run's row.
///
/// # Errors
/// `run_not_found`; what the database says.
pub fn walk(conn: &Connection, run: RunId) -> Result<ChainWalk> {
    let id = run.to_string();
    let mut ends =
        conn.prepare_cached("SELECT last_seq, chain, chained_from FROM runs WHERE id = ?1")?;
    let ends = ends
        .query_row([&id], |row| {
            Ok((
                columns::large(row, "last_seq")?,
                link(row)?,
                columns::large(row, "chained_from")?,
            ))
        })
        .optional()?;
    let (last_seq, head, chained_from) = ends.ok_or_else(|| runs::not_found(&id))?;
    let mut walk = ChainWalk::default();
    let (mut before, mut at) = (ChainHash::default(), i64::MIN);
    let mut query = conn.prepare_cached(WALK)?;
    let mut rows = query.query([&id])?;
    while let Some(stored) = rows.next()? {
        let (seq, at_ms): (i64, i64) = (stored.get("seq")?, stored.get("at_ms")?);
        let expected = walk.events + 1;
        if u64::try_from(seq) != Ok(expected) {
            walk.wrong(format!("event {expected} is missing; event {seq} follows"));
        }
        if at_ms < at {
            walk.wrong(format!("event {seq} is older than the one before it"));
        }
        (walk.events, at) = (u64::try_from(seq).unwrap_or(0), at_ms);
        let (kind, phase, key, payload): (String, Option<String>, String, String) = (
            stored.get("type")?,
            stored.get("phase_key")?,
            stored.get("idempotency_key")?,
            stored.get("payload")?,
        );
        let row = ChainedRow {
            run_id: &id,
            seq,
            at_ms,
            kind: &kind,
            phase_key: phase.as_deref(),
            key: &key,
            payload: &payload,
        };
        match link(stored)? {
            None if walk.events < chained_from => walk.unchained += 1,
            None => walk.wrong(format!("event {seq} ({kind}) has no link")),
            Some(found) => {
                if found != row.link(before) {
                    walk.wrong(format!(
                        "event {seq} ({kind}) is not what was stored, or the one before it is not"
                    ));
                }
                before = found;
                walk.head = Some(found);
            }
        }
    }
    if walk.events != last_seq {
        walk.wrong(format!(
            "the run's row knows {last_seq} events, the journal has {}",
            walk.events
        ));
    }
    if walk.head != head {
        walk.wrong("the journal does not end where the run's row says".to_owned());
    }
    Ok(walk)
}

/// The link of one event; `None` where there is no such event, or none yet had a link.
///
/// # Errors
/// What the database says.
pub fn link_of(conn: &Connection, run: RunId, seq: u64) -> Result<Option<ChainHash>> {
    let found = conn
        .prepare_cached(LINK)?
        .query_row((run.to_string(), columns::stored(seq)), link)
        .optional()?;
    Ok(found.flatten())
}

/// Where a journal ends: its last number and link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainEnd {
    /// Of which run.
    pub run_id: RunId,
    /// The number of its last event.
    pub seq: u64,
    /// Its link.
    pub link: ChainHash,
}

/// The ends of the journals that moved at `since` or later, latest last, at most `limit`.
///
/// # Errors
/// What the database says.
pub fn ends(
    conn: &Connection,
    since: crate::model::time::Timestamp,
    limit: u32,
) -> Result<Vec<ChainEnd>> {
    let mut query = conn.prepare_cached(
        "SELECT id, last_seq, chain FROM runs WHERE updated_at_ms >= ?1 AND chain IS NOT NULL ORDER BY updated_at_ms DESC, id DESC LIMIT ?2",
    )?;
    let rows = query.query_map((since.0, limit), |row| {
        Ok((
            columns::parsed(row, "id")?,
            columns::large(row, "last_seq")?,
            link(row)?,
        ))
    })?;
    let mut ends = Vec::new();
    for end in rows {
        let (run_id, seq, link) = end?;
        ends.extend(link.map(|link| ChainEnd { run_id, seq, link }));
    }
    ends.reverse();
    Ok(ends)
}

/// The column `chain`.
pub(in crate::store) fn link(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<ChainHash>> {
    Ok(row.get::<_, Option<[u8; 32]>>("chain")?.map(ChainHash))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::journal;
    use crate::store::tests::fixture;
    use crate::store::tests::fixture::BEGIN;

    fn begun(conn: &Connection) -> RunId {
        let run = fixture::insert_run(conn, "lane");
        let facts = [
            fixture::created(&["spec"]),
            fixture::started(),
            fixture::phase_started("spec", 1),
        ];
        journal::append(conn, run, &facts, BEGIN).unwrap();
        journal::append(conn, run, &[fixture::phase_started("spec", 2)], BEGIN).unwrap();
        run
    }

    /// As somebody does who has the file and SQLite.
    fn meddle(conn: &Connection, sql: &str) {
        conn.execute_batch(
            "DROP TRIGGER events_are_never_changed; DROP TRIGGER events_are_never_deleted",
        )
        .unwrap();
        conn.execute_batch(sql).unwrap();
    }

    #[test]
    fn an_untouched_journal_is_whole() {
        let conn = fixture::memory();
        let walk = walk(&conn, begun(&conn)).unwrap();
        assert_eq!((walk.events, walk.unchained, walk.problems), (4, 0, vec![]));
        assert!(walk.head.is_some());
    }

    #[test]
    fn every_kind_of_meddling_is_noticed_and_named() {
        for (sql, words) in [
            (
                "UPDATE events SET payload = replace(payload, 'architect', 'archivist') WHERE seq = 3",
                "event 3 (phase.started) is not what",
            ),
            (
                "UPDATE events SET at_ms = at_ms + 1 WHERE seq = 2",
                "event 2 (run.started) is not what was stored",
            ),
            (
                "UPDATE events SET phase_key = NULL WHERE seq = 3",
                "event 3 (phase.started) is not what was stored",
            ),
            (
                "UPDATE events SET idempotency_key = 'other' WHERE seq = 3",
                "event 3 (phase.started) is not what was stored",
            ),
            (
                "UPDATE events SET type = 'run.resumed' WHERE seq = 2",
                "event 2 (run.resumed) is not what was stored",
            ),
            (
                "DELETE FROM events WHERE seq = 2",
                "event 2 is missing; event 3 follows",
            ),
            (
                "DELETE FROM events WHERE seq = 4",
                "the run's row knows 4 events, the journal has 3",
            ),
            (
                "DELETE FROM events WHERE seq = 4; UPDATE runs SET last_seq = 3",
                "the journal does not end where the run's row says",
            ),
            (
                "UPDATE events SET chain = NULL WHERE seq = 3",
                "event 3 (phase.started) has no link",
            ),
            (
                "UPDATE events SET chain = randomblob(32) WHERE seq = 1",
                "event 1 (run.created) is not what was stored",
            ),
        ] {
            let conn = fixture::memory();
            let run = begun(&conn);
            meddle(&conn, sql);
            let found = walk(&conn, run).unwrap().problems;
            assert!(
                found.first().is_some_and(|first| first.starts_with(words)),
                "{sql}: {found:?}"
            );
        }
    }

    #[test]
    fn a_journal_from_before_the_chain_goes_on_with_one() {
        let conn = fixture::memory();
        let run = begun(&conn);
        meddle(
            &conn,
            "UPDATE events SET chain = NULL; UPDATE runs SET chain = NULL, chained_from = last_seq + 1",
        );
        journal::append(&conn, run, &[fixture::phase_started("spec", 3)], BEGIN).unwrap();
        let walk = walk(&conn, run).unwrap();
        assert_eq!((walk.events, walk.unchained, walk.problems), (5, 4, vec![]));
    }

    #[test]
    fn fields_cannot_flow_into_each_other() {
        let row = ChainedRow {
            run_id: "r",
            seq: 1,
            at_ms: 1,
            kind: "ab",
            phase_key: None,
            key: "c",
            payload: "{}",
        };
        let shifted = ChainedRow {
            kind: "a",
            key: "bc",
            ..row
        };
        let empty_phase = ChainedRow {
            phase_key: Some(""),
            ..row
        };
        let links = [row, shifted, empty_phase].map(|row| row.link(ChainHash::default()));
        assert!(links[0] != links[1] && links[0] != links[2] && links[1] != links[2]);
    }
}
