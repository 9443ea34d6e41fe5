//! Blocks of the journal: which words occur in each, and what the run was at its end.
//!
//! Every [`BLOCK`] events of a run, the append that completes a block stores it in its own
//! transaction: one document for the index of words, one folded state. So a journal of any length is
//! searched block by block ([`search`](super::search)) and folded from the block before
//! ([`events::state_at`]), and an append in between costs what it did. What comes after the last
//! block is short enough to be read.
//!
//! Blocks are made from the journal alone. Those that are missing (events from before there were
//! blocks) or were folded by another program are made by [`SegmentBacklog`] while the writer has nothing
//! else to do; until then whoever reads goes without.

use std::collections::{HashSet, VecDeque};

use rusqlite::{Connection, OptionalExtension, Row};

use super::events::{self, StoredEvent};
use crate::model::error::{Failure, Result};
use crate::model::event_filter;
use crate::model::id::RunId;
use crate::model::run_state::{FOLD, RunState};
use crate::store::tables::columns;

/// Events in a block.
pub const BLOCK: u64 = 512;

/// Marks a block whose state is still to be folded.
const NOT_FOLDED: u32 = 0;

const LAST: &str =
    "SELECT last_seq FROM journal_blocks WHERE run_id = ?1 ORDER BY last_seq DESC LIMIT 1";
const STATE: &str = "SELECT state FROM journal_blocks WHERE run_id = ?1 AND last_seq <= ?2 AND fold = ?3 ORDER BY last_seq DESC LIMIT 1";
const STATE_AT: &str = "SELECT fold, state FROM journal_blocks WHERE run_id = ?1 AND last_seq = ?2";
const INSERT: &str = "INSERT INTO journal_blocks (run_id, first_seq, last_seq, fold, state) VALUES (?1, ?2, ?3, ?4, ?5)";
const INSERT_WORDS: &str = "INSERT INTO journal_words (rowid, words) VALUES (?1, ?2)";
const REFOLD: &str =
    "UPDATE journal_blocks SET fold = ?3, state = ?4 WHERE run_id = ?1 AND last_seq = ?2";
const OLDER: &str = "SELECT run_id, first_seq, last_seq FROM journal_blocks WHERE fold < ?1";
const NEWER: &str = "SELECT run_id, first_seq, last_seq FROM journal_blocks WHERE fold > ?1";

/// The last event that lies in a block; 0 before the first block.
///
/// # Errors
/// What the database says.
pub fn through(conn: &Connection, run: RunId) -> Result<u64> {
    let mut query = conn.prepare_cached(LAST)?;
    Ok(query
        .query_row([run.to_string()], |row| columns::large(row, "last_seq"))
        .optional()?
        .unwrap_or(0))
}

/// The last stored state that is not behind event `seq`.
///
/// # Errors
/// What the database says.
pub(in crate::store) fn state_before(
    conn: &Connection,
    run: RunId,
    seq: u64,
) -> Result<Option<RunState>> {
    let mut query = conn.prepare_cached(STATE)?;
    let text: Option<Option<String>> = query
        .query_row((run.to_string(), columns::stored(seq), FOLD), |row| {
            row.get(0)
        })
        .optional()?;
    // A state that cannot be read is no loss: the journal is.
    Ok(text
        .flatten()
        .and_then(|text| serde_json::from_str(&text).ok()))
}

/// Stores the blocks that the events `before` (excluded) to `after` have completed.
///
/// # Errors
/// What the database says.
pub(in crate::store) fn keep_up(
    tx: &Connection,
    run: RunId,
    before: u64,
    after: u64,
) -> Result<()> {
    let (known, complete) = (before / BLOCK * BLOCK, after / BLOCK * BLOCK);
    // Where blocks are missing, the backlog makes them in order.
    if complete > known && through(tx, run)? == known {
        for first in (known + 1..complete).step_by(usize::try_from(BLOCK).unwrap_or(usize::MAX)) {
            add(tx, run, first)?;
        }
    }
    Ok(())
}

/// Stores the block that begins with event `first`.
fn add(tx: &Connection, run: RunId, first: u64) -> Result<()> {
    let last = first + BLOCK - 1;
    let mut folding = SegmentFold::before(tx, run, first)?;
    let mut words = HashSet::new();
    events::for_range(tx, run, first, last, |stored| {
        words.extend(
            event_filter::words(&stored.kind, &stored.payload)
                .split_whitespace()
                .map(str::to_owned),
        );
        folding.push(run, stored);
        Ok(())
    })?;
    let (fold, state) = folding.stored()?;
    tx.prepare_cached(INSERT)?.execute((
        run.to_string(),
        columns::stored(first),
        columns::stored(last),
        fold,
        state,
    ))?;
    let id = tx.last_insert_rowid();
    let words: Vec<String> = words.into_iter().collect();
    tx.prepare_cached(INSERT_WORDS)?
        .execute((id, words.join(" ")))?;
    Ok(())
}

/// The state of a block while it is folded.
enum SegmentFold {
    /// The block before is not folded.
    NotYet,
    /// A journal that no engine can have written: whoever folds it is told.
    Never,
    /// So far.
    To(Box<RunState>),
}

impl SegmentFold {
    fn before(tx: &Connection, run: RunId, first: u64) -> Result<Self> {
        if first == 1 {
            return Ok(Self::To(Box::new(RunState::new(run))));
        }
        let mut query = tx.prepare_cached(STATE_AT)?;
        let read = |row: &Row<'_>| {
            Ok((
                columns::count(row, "fold")?,
                row.get::<_, Option<String>>("state")?,
            ))
        };
        Ok(
            match query
                .query_row((run.to_string(), columns::stored(first - 1)), read)
                .optional()?
            {
                Some((FOLD, None)) => Self::Never,
                Some((FOLD, Some(text))) => {
                    serde_json::from_str(&text).map_or(Self::Never, Self::To)
                }
                _ => Self::NotYet,
            },
        )
    }

    fn push(&mut self, run: RunId, stored: StoredEvent) {
        if let Self::To(state) = self
            && stored
                .event(run)
                .and_then(|event| state.apply(&event))
                .is_err()
        {
            *self = Self::Never;
        }
    }

    fn stored(self) -> Result<(u32, Option<String>)> {
        Ok(match self {
            Self::NotYet => (NOT_FOLDED, None),
            Self::Never => (FOLD, None),
            Self::To(state) => (
                FOLD,
                Some(serde_json::to_string(&state).map_err(Failure::internal)?),
            ),
        })
    }
}

/// Blocks that are to be made or folded anew, one at a time.
#[derive(Debug, Default)]
pub(in crate::store) struct SegmentBacklog {
    looked: bool,
    missing: VecDeque<RunId>,
    stale: VecDeque<(RunId, u64, u64)>,
}

impl SegmentBacklog {
    /// Does one piece of what is left; whether anything was.
    pub(in crate::store) fn step(&mut self, tx: &Connection) -> Result<bool> {
        if !std::mem::replace(&mut self.looked, true) {
            self.missing = missing(tx)?;
        }
        if let Some(run) = self.missing.front().copied() {
            let first = through(tx, run)? + 1;
            if events::last_seq(tx, run)? < first + BLOCK - 1 {
                self.missing.pop_front();
            } else {
                add(tx, run, first)?;
            }
            return Ok(true);
        }
        if self.stale.is_empty() {
            self.stale = stale(tx)?;
        }
        let Some((run, first, last)) = self.stale.pop_front() else {
            return Ok(false);
        };
        let mut folding = SegmentFold::before(tx, run, first)?;
        events::for_range(tx, run, first, last, |stored| {
            folding.push(run, stored);
            Ok(())
        })?;
        // Blocks come in order, so the one before is folded; a gap in them would never be.
        let (_, state) = folding.stored()?;
        tx.prepare_cached(REFOLD)?.execute((
            run.to_string(),
            columns::stored(last),
            FOLD,
            state,
        ))?;
        Ok(true)
    }
}

/// Runs with events that should lie in a block and do not.
fn missing(tx: &Connection) -> Result<VecDeque<RunId>> {
    let mut query = tx.prepare("SELECT id, last_seq FROM runs")?;
    let rows = query.query_map([], |row| {
        Ok((
            columns::parsed(row, "id")?,
            columns::large(row, "last_seq")?,
        ))
    })?;
    let mut missing = VecDeque::new();
    for found in rows {
        let (run, last): (RunId, u64) = found?;
        if last >= BLOCK && through(tx, run)? < last / BLOCK * BLOCK {
            missing.push_back(run);
        }
    }
    Ok(missing)
}

fn stale(tx: &Connection) -> Result<VecDeque<(RunId, u64, u64)>> {
    let mut stale: Vec<(RunId, u64, u64)> = Vec::new();
    for sql in [OLDER, NEWER] {
        let mut query = tx.prepare(sql)?;
        let read = |row: &Row<'_>| {
            Ok((
                columns::parsed(row, "run_id")?,
                columns::large(row, "first_seq")?,
                columns::large(row, "last_seq")?,
            ))
        };
        query
            .query_map([FOLD], read)?
            .try_for_each(|found| found.map(|found| stale.push(found)))?;
    }
    stale.sort_unstable();
    Ok(stale.into())
}

#[cfg(test)]
mod tests {
    use super::super::search;
    use super::*;
    use crate::model::event::{CallStatus, JournalEvent, RunFact, TokenUsage, ToolOutcome};
    use crate::model::event_filter::EventFilter;
    use crate::model::id::TurnId;
    use crate::model::money::NanoUsd;
    use crate::store::journal;
    use crate::store::tests::fixture;
    use crate::store::tests::fixture::BEGIN;

    fn tool(target: &str) -> RunFact {
        RunFact::ToolCalled {
            phase_key: "spec".into(),
            turn_id: TurnId::new(),
            call_id: "c".to_owned(),
            tool: "read_file".to_owned(),
            target: target.to_owned(),
            outcome: ToolOutcome::Ok,
            duration_ms: 1,
        }
    }

    /// A run of so many events with a call at every tenth, and some rare ones.
    fn long_run(conn: &Connection, lane: &str, events: u64) -> RunId {
        let run = fixture::insert_run(conn, lane);
        let mut facts = vec![
            fixture::created(&["spec", "plan"]),
            fixture::started(),
            fixture::phase_started("spec", 1),
        ];
        for seq in 4..=events {
            facts.push(match seq {
                600 | 1300 => tool("src/Needle.rs"),
                _ if seq % 10 == 0 => fixture::called(
                    TurnId::new(),
                    "spec",
                    TokenUsage::default(),
                    Some(NanoUsd(5)),
                ),
                _ => tool("src/hay.rs"),
            });
        }
        facts
            .chunks(100)
            .for_each(|some| drop(journal::append(conn, run, some, BEGIN).unwrap()));
        run
    }

    fn plain_fold(conn: &Connection, run: RunId, seq: u64) -> RunState {
        let all = events::from(conn, run, 1, u32::MAX).unwrap();
        RunState::fold(run, all.iter().filter(|event| event.seq <= seq)).unwrap()
    }

    fn blocks(conn: &Connection) -> Vec<(u64, u64, u32, Option<String>)> {
        let mut query = conn
            .prepare("SELECT * FROM journal_blocks ORDER BY run_id, last_seq")
            .unwrap();
        let read = |row: &Row<'_>| {
            Ok((
                columns::large(row, "first_seq")?,
                columns::large(row, "last_seq")?,
                columns::count(row, "fold")?,
                row.get("state")?,
            ))
        };
        query
            .query_map([], read)
            .unwrap()
            .map(Result::unwrap)
            .collect()
    }

    #[test]
    fn a_state_from_the_block_before_is_the_state_of_the_whole_fold() {
        let conn = fixture::memory();
        let run = long_run(&conn, "lane", 1400);
        assert_eq!(
            blocks(&conn)
                .iter()
                .map(|b| (b.0, b.1, b.2))
                .collect::<Vec<_>>(),
            [(1, 512, FOLD), (513, 1024, FOLD)]
        );
        for seq in [0, 1, 3, 511, 512, 513, 1024, 1025, 1399, 1400] {
            assert_eq!(
                events::state_at(&conn, run, seq).unwrap(),
                plain_fold(&conn, run, seq),
                "{seq}"
            );
        }
        assert_eq!(
            events::state(&conn, run).unwrap(),
            plain_fold(&conn, run, 1400)
        );
        // It is read from there: what lies before is not looked at again.
        conn.execute_batch(
            "DROP TRIGGER events_are_never_deleted; DELETE FROM events WHERE seq <= 1024",
        )
        .unwrap();
        assert_eq!(events::state(&conn, run).unwrap().last_seq, 1400);
    }

    #[test]
    fn a_stored_state_is_as_the_number_of_its_fold_says() {
        let run: RunId = "01930000-0000-7000-8000-0000deadbeef".parse().unwrap();
        let call = fixture::called(
            "01930000-0000-7000-8000-00000000cc01".parse().unwrap(),
            "spec",
            TokenUsage::default(),
            None,
        );
        let request = "01930000-0000-7000-8000-0000000000a1".parse().unwrap();
        let facts = [
            fixture::created(&["spec"]),
            fixture::started(),
            fixture::phase_started("spec", 1),
            call,
        ];
        let facts = facts
            .into_iter()
            .chain([fixture::requested(request, Some("spec"))]);
        let events: Vec<JournalEvent> = (1..)
            .zip(facts)
            .map(|(seq, fact)| JournalEvent {
                run_id: run,
                seq,
                at: BEGIN,
                fact,
            })
            .collect();
        let state = serde_json::to_string_pretty(&RunState::fold(run, &events).unwrap()).unwrap();
        // Where this differs, raise `FOLD`: states stored by the old one are then folded anew.
        insta::assert_snapshot!(format!("fold_{FOLD}"), state);
    }

    #[test]
    fn one_append_may_complete_several_blocks_and_an_undone_one_leaves_none() {
        let conn = fixture::memory();
        let run = long_run(&conn, "lane", 3);
        conn.execute_batch("SAVEPOINT s").unwrap();
        let facts: Vec<RunFact> = (0..1100).map(|_| tool("a")).collect();
        journal::append(&conn, run, &facts, BEGIN).unwrap();
        assert_eq!(blocks(&conn).len(), 2);
        conn.execute_batch("ROLLBACK TO s; RELEASE s").unwrap();
        assert_eq!((blocks(&conn).len(), through(&conn, run).unwrap()), (0, 0));
        journal::append(&conn, run, &facts, BEGIN).unwrap();
        assert_eq!(through(&conn, run).unwrap(), 1024);
    }

    fn work_off(conn: &Connection) -> usize {
        let mut backlog = SegmentBacklog::default();
        (0..).find(|_| !backlog.step(conn).unwrap()).unwrap()
    }

    #[test]
    fn the_backlog_makes_what_is_missing_and_folds_anew_what_another_program_folded() {
        let conn = fixture::memory();
        let (one, two) = (long_run(&conn, "one", 1400), long_run(&conn, "two", 700));
        let made = blocks(&conn);
        assert_eq!(work_off(&conn), 0);
        conn.execute_batch("DELETE FROM journal_blocks; INSERT INTO journal_words (journal_words) VALUES ('delete-all')").unwrap();
        // An append must not make a block while those before it are missing.
        let facts: Vec<RunFact> = (0..200).map(|_| tool("late")).collect();
        journal::append(&conn, one, &facts, BEGIN).unwrap();
        assert_eq!(blocks(&conn), []);
        assert_eq!(
            events::state(&conn, one).unwrap(),
            plain_fold(&conn, one, 1600)
        );
        assert!(work_off(&conn) >= 4);
        let (again, mut want) = (blocks(&conn), made);
        let third = again.iter().find(|block| block.0 == 1025).unwrap().clone();
        want.insert(if one < two { 2 } else { 3 }, third);
        assert_eq!(again, want);

        conn.execute(
            "UPDATE journal_blocks SET fold = ?1, state = '{\"old\":1}'",
            [FOLD + 1],
        )
        .unwrap();
        let more: Vec<RunFact> = (0..400).map(|_| tool("later")).collect();
        journal::append(&conn, two, &more, BEGIN).unwrap();
        assert_eq!(
            events::state(&conn, two).unwrap(),
            plain_fold(&conn, two, 1100)
        );
        assert_eq!(
            blocks(&conn)
                .iter()
                .filter(|b| b.2 == NOT_FOLDED && b.3.is_none())
                .count(),
            1
        );
        assert_eq!(work_off(&conn), 5);
        assert!(blocks(&conn).iter().all(|b| b.2 == FOLD && b.3.is_some()));
        assert_eq!(
            events::state(&conn, two).unwrap(),
            plain_fold(&conn, two, 1100)
        );
    }

    fn seqs(page: &search::EventMatches) -> (Vec<u64>, u64, u64) {
        (
            page.events.iter().map(|event| event.seq).collect(),
            page.from,
            page.to,
        )
    }

    #[test]
    fn a_rare_word_is_found_in_both_directions_and_the_answer_says_how_far_it_looked() {
        let conn = fixture::memory();
        let other = long_run(&conn, "other", 1100);
        let run = long_run(&conn, "lane", 1400);
        let needle = EventFilter::parse("NEEDLE type:tool. phase:spec");
        for (from, limit, want) in [
            (1, 9, (vec![600, 1300], 1, 1400)),
            (600, 1, (vec![600], 600, 600)),
            (601, 9, (vec![1300], 601, 1400)),
            (1301, 9, (vec![], 1301, 1400)),
            (1401, 9, (vec![], 1401, 1400)),
        ] {
            assert_eq!(
                seqs(&search::after(&conn, run, &needle, from, limit).unwrap()),
                want,
                "after {from}"
            );
        }
        for (before, limit, want) in [
            (1401, 9, (vec![600, 1300], 1, 1400)),
            (1401, 1, (vec![1300], 1300, 1400)),
            (1300, 1, (vec![600], 600, 1299)),
            (600, 9, (vec![], 1, 599)),
            (1, 9, (vec![], 1, 0)),
        ] {
            let (seqs, from, to) =
                seqs(&search::before(&conn, run, &needle, before, limit).unwrap());
            assert_eq!((seqs, to), (want.0, want.2), "before {before}");
            assert!(from <= want.1 && from >= 1, "before {before}: {from}");
        }
        assert_eq!(
            seqs(&search::after(&conn, other, &needle, 1, 9).unwrap()).0,
            [600]
        );
    }

    #[test]
    fn what_the_index_says_is_what_reading_every_event_says() {
        let conn = fixture::memory();
        let run = long_run(&conn, "lane", 1400);
        let all = events::from(&conn, run, 1, u32::MAX).unwrap();
        for typed in [
            "",
            "needle",
            "ne",
            "needle.rs read",
            "type:run.",
            "type:run.,phase.",
            "phase:spec type:llm",
            "phase:plan",
            "\"",
            "nothing",
        ] {
            let wanted = EventFilter::parse(typed);
            let want: Vec<&JournalEvent> =
                all.iter().filter(|event| wanted.matches(event)).collect();
            let (mut forward, mut at) = (Vec::new(), 1);
            while at <= 1400 {
                let page = search::after(&conn, run, &wanted, at, 37).unwrap();
                assert!(page.to >= page.from && page.events.len() <= 37);
                (at, forward) = (page.to + 1, [forward, page.events].concat());
            }
            assert_eq!(forward.iter().collect::<Vec<_>>(), want, "{typed}");
            let (mut backward, mut at) = (Vec::new(), 1401);
            while at > 1 {
                let page = search::before(&conn, run, &wanted, at, 37).unwrap();
                assert!(page.to >= page.from);
                (at, backward) = (page.from, [page.events, backward].concat());
            }
            assert_eq!(backward, forward, "{typed}");
        }
    }

    #[test]
    fn a_journal_without_stored_blocks_is_looked_through_in_pieces() {
        let conn = fixture::memory();
        let run = long_run(&conn, "lane", 40);
        let call = |status| RunFact::LlmCalled {
            phase_key: "spec".into(),
            attempt: 1,
            turn_id: TurnId::new(),
            turn: 1,
            model: "m".to_owned(),
            tokens: TokenUsage::default(),
            cost: None,
            estimated: false,
            latency_ms: 5,
            status,
        };
        let many: Vec<RunFact> = (0..30 * BLOCK).map(|_| call(CallStatus::Ok)).collect();
        journal::append(&conn, run, &many, BEGIN).unwrap();
        conn.execute_batch("DELETE FROM journal_blocks").unwrap();
        let page = search::after(&conn, run, &EventFilter::parse("nowhere"), 1, 1).unwrap();
        assert_eq!((page.events.len(), page.from, page.to), (0, 1, 24 * BLOCK));
        let page = search::before(&conn, run, &EventFilter::parse("hay"), 24 * BLOCK, 50).unwrap();
        assert!(
            page.events.len() == 33 && page.from == 1,
            "{}",
            page.events.len()
        );
    }
}
