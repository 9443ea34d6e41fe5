//! Finds events in a journal of any length, forward and backward, a bounded piece of work at a time.
//!
//! The index of words names the blocks in which all wanted letters occur; only those are read, and
//! each event in them is held against what is wanted. What lies behind the last block, and a search
//! by words of less than three letters, is read block by block. An answer says which part of the
//! journal it has looked through, so that whoever asks can go on where it ends.

use super::events::{self, StoredEvent};
use crate::model::error::Result;
use crate::model::event::JournalEvent;
use crate::model::event_filter::{EventCondition, EventFilter, words};
use crate::model::id::RunId;
use crate::store::journal::segments;
use crate::store::journal::segments::BLOCK;
use crate::store::tables::columns;
use rusqlite::{Connection, OptionalExtension};

/// Blocks that are read for one answer at most.
const BLOCKS: usize = 24;
/// Conditions on the index for one word at most; more letters narrow it no further.
const LETTERS: usize = 12;

const HOLDS: &str =
    "SELECT id FROM journal_blocks WHERE run_id = ?1 AND last_seq >= ?2 ORDER BY last_seq LIMIT 1";
const AFTER: &str = "SELECT b.first_seq, b.last_seq FROM journal_words CROSS JOIN journal_blocks b ON b.id = journal_words.rowid \
     WHERE journal_words MATCH ?1 AND journal_words.rowid >= ?2 AND b.run_id = ?3 ORDER BY journal_words.rowid LIMIT ?4";
const BEFORE: &str = "SELECT b.first_seq, b.last_seq FROM journal_words CROSS JOIN journal_blocks b ON b.id = journal_words.rowid \
     WHERE journal_words MATCH ?1 AND journal_words.rowid <= ?2 AND b.run_id = ?3 ORDER BY journal_words.rowid DESC LIMIT ?4";

/// A stretch of a journal that was looked through, and what was wanted of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventMatches {
    /// What was wanted, in order.
    pub events: Vec<JournalEvent>,
    /// The first event that was looked at.
    pub from: u64,
    /// The last event that was looked at; less than `from` when there was none.
    pub to: u64,
}

/// At most `limit` wanted events from `from` on.
///
/// # Errors
/// `run_not_found`; `db_corrupt` naming an event that cannot be read; what the database says.
pub fn after(
    conn: &Connection,
    run: RunId,
    wanted: &EventFilter,
    from: u64,
    limit: usize,
) -> Result<EventMatches> {
    let from = from.max(1);
    let end = events::last_seq(conn, run)?;
    let mut pieces = TextPieces::new(conn, run, wanted, limit)?;
    let (mut found, mut at) = (Vec::new(), from);
    for _ in 0..BLOCKS {
        if at > end || found.len() >= limit {
            break;
        }
        let (first, last) = pieces.after(at, end)?;
        at = last + 1;
        for stored in pieces.read(first, last)? {
            if found.len() >= limit {
                at = stored.seq;
                break;
            }
            if pieces.fits(&stored) {
                at = stored.seq + 1;
                found.push(stored.event(run)?);
            }
        }
        if found.len() < limit {
            at = at.max(last + 1);
        }
    }
    Ok(EventMatches {
        events: found,
        from,
        to: at - 1,
    })
}

/// At most `limit` wanted events before `before`, the last ones.
///
/// # Errors
/// As [`after`].
pub fn before(
    conn: &Connection,
    run: RunId,
    wanted: &EventFilter,
    before: u64,
    limit: usize,
) -> Result<EventMatches> {
    let to = before.saturating_sub(1).min(events::last_seq(conn, run)?);
    let mut pieces = TextPieces::new(conn, run, wanted, limit)?;
    let (mut found, mut at) = (Vec::new(), to);
    for _ in 0..BLOCKS {
        if at == 0 || found.len() >= limit {
            break;
        }
        let (first, last) = pieces.before(at)?;
        at = first.saturating_sub(1);
        for stored in pieces.read(first, last)?.into_iter().rev() {
            if found.len() >= limit {
                at = stored.seq;
                break;
            }
            if pieces.fits(&stored) {
                found.push(stored.event(run)?);
            }
        }
    }
    found.reverse();
    Ok(EventMatches {
        events: found,
        from: at + 1,
        to,
    })
}

/// Stretches of a journal that may hold what is wanted.
struct TextPieces<'a> {
    conn: &'a Connection,
    run: RunId,
    wanted: &'a EventFilter,
    /// The question to the index; none where it cannot help.
    letters: Option<String>,
    /// The last event that lies in a block.
    through: u64,
    /// Events that are read at once where the index does not help.
    stretch: u64,
    /// Blocks that the index has named, the next one last.
    named: Vec<(u64, u64)>,
}

impl<'a> TextPieces<'a> {
    fn new(
        conn: &'a Connection,
        run: RunId,
        wanted: &'a EventFilter,
        limit: usize,
    ) -> Result<Self> {
        let through = segments::through(conn, run)?;
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        let stretch = if wanted.is_all() { limit } else { BLOCK };
        Ok(Self {
            conn,
            run,
            wanted,
            letters: question(wanted),
            through,
            stretch,
            named: Vec::new(),
        })
    }

    /// The next stretch that begins at `at` or later; what lies between holds nothing.
    fn after(&mut self, at: u64, end: u64) -> Result<(u64, u64)> {
        let Some(letters) = self.letters.clone().filter(|_| at <= self.through) else {
            return Ok((at, end.min(at.saturating_add(self.stretch - 1))));
        };
        if self.named.is_empty() {
            self.named = self.query(AFTER, &letters, at)?;
        }
        let rest = (self.through + 1, end.min(self.through + self.stretch));
        Ok(self
            .named
            .pop()
            .map_or(rest, |(first, last)| (first.max(at), last)))
    }

    /// The next stretch that ends at `at` or earlier.
    fn before(&mut self, at: u64) -> Result<(u64, u64)> {
        let Some(letters) = self.letters.clone() else {
            return Ok(((at + 1).saturating_sub(self.stretch).max(1), at));
        };
        if at > self.through {
            return Ok((
                (at + 1).saturating_sub(self.stretch).max(self.through + 1),
                at,
            ));
        }
        if self.named.is_empty() {
            self.named = self.query(BEFORE, &letters, at)?;
        }
        Ok(self
            .named
            .pop()
            .map_or((1, 0), |(first, last)| (first, last.min(at))))
    }

    /// The next blocks in which all wanted letters occur.
    fn query(&self, sql: &str, letters: &str, at: u64) -> Result<Vec<(u64, u64)>> {
        let run = self.run.to_string();
        let id: Option<i64> = self
            .conn
            .prepare_cached(HOLDS)?
            .query_row((&run, columns::stored(at)), |row| row.get(0))
            .optional()?;
        let mut query = self.conn.prepare_cached(sql)?;
        let limit = i64::try_from(BLOCKS).unwrap_or(i64::MAX);
        let rows = query.query_map((letters, id, run, limit), |row| {
            Ok((
                columns::large(row, "first_seq")?,
                columns::large(row, "last_seq")?,
            ))
        })?;
        let mut named = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        named.reverse();
        Ok(named)
    }

    fn read(&self, first: u64, last: u64) -> Result<Vec<StoredEvent>> {
        let mut read = Vec::new();
        events::for_range(self.conn, self.run, first, last, |stored| {
            read.push(stored);
            Ok(())
        })?;
        Ok(read)
    }

    fn fits(&self, stored: &StoredEvent) -> bool {
        if self.wanted.is_all() {
            return true;
        }
        let words = if self.wanted.terms().next().is_some() {
            words(&stored.kind, &stored.payload)
        } else {
            String::new()
        };
        self.wanted
            .matches_text(&stored.kind, stored.phase.as_deref(), &words)
    }
}

/// What the index is asked; none when no condition has three letters.
fn question(wanted: &EventFilter) -> Option<String> {
    let all = |parts: Vec<String>| (!parts.is_empty()).then(|| parts.join(" AND "));
    let of = |condition: &EventCondition| match condition {
        EventCondition::Word(text) | EventCondition::Phase(text) => all(letters(text)),
        EventCondition::Kinds(starts) => {
            let each: Option<Vec<String>> = starts
                .iter()
                .map(|start| all(letters(start)).map(|part| format!("({part})")))
                .collect();
            each.map(|each| format!("({})", each.join(" OR ")))
        }
    };
    all(wanted.conditions().iter().filter_map(of).collect())
}

/// The letters of a word, three at a time, as the index has them.
fn letters(word: &str) -> Vec<String> {
    let chars: Vec<char> = word.chars().collect();
    let threes = chars
        .windows(3)
        .filter(|three| !three.contains(&'\0'))
        .take(LETTERS);
    threes
        .map(|three| {
            format!(
                "\"{}\"",
                three.iter().collect::<String>().replace('"', "\"\"")
            )
        })
        .collect()
}
