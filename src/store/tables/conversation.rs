//! The conversation of an attempt, as it is or as it was at one of the run's events.
//!
//! A turn is reserved before any event tells of it, and later becomes more: an answer, what its tools
//! said. When each became so is in the journal, by the keys of the facts that were stored with it.

use rusqlite::{Connection, OptionalExtension};

use super::sessions::TranscriptKind;
use super::{sessions, turns};
use crate::model::error::Result;
use crate::model::id::{PhaseKey, RunId};
use crate::model::record::{TurnRecord, TurnStatus};
use crate::store::tables::columns;

/// A turn, and what an agent program said in it piece by piece.
pub type TurnTranscript = (TurnRecord, Vec<(TranscriptKind, String)>);

/// The turns of an attempt, each with its pieces; where `at` is given, as they were when that event was
/// the last.
///
/// # Errors
/// What the database says.
pub fn turns_of_attempt(
    conn: &Connection,
    run: RunId,
    phase: &PhaseKey,
    attempt: u32,
    at: Option<u64>,
) -> Result<Vec<TurnTranscript>> {
    let turns = turns::of_attempt(conn, run, phase, attempt)?;
    let mut found = Vec::with_capacity(turns.len());
    for turn in turns {
        let turn = match at {
            Some(at) => turn_at(conn, run, turn, at)?,
            None => Some(turn),
        };
        let Some(turn) = turn else { continue };
        // Of a turn that was open then, nobody knows which pieces were said before the event.
        let knows = at.is_none() || turn.status != TurnStatus::Reserved;
        let pieces = if knows {
            sessions::pieces(conn, turn.id)?
        } else {
            Vec::new()
        };
        found.push((turn, pieces));
    }
    Ok(found)
}

/// A turn as it was at an event; none when it was not reserved by then.
fn turn_at(
    conn: &Connection,
    run: RunId,
    mut turn: TurnRecord,
    at: u64,
) -> Result<Option<TurnRecord>> {
    let stored_by = |key: String| {
        Ok::<_, crate::model::error::Failure>(seq_of(conn, run, &key)?.is_some_and(|seq| seq <= at))
    };
    if !stored_by(format!("llm.called:{}", turn.id))? {
        let reserved = time_of(conn, run, at)?.is_some_and(|then| turn.at.0 <= then);
        (turn.status, turn.answer) = (TurnStatus::Reserved, None);
        turn.tools.clear();
        return Ok(reserved.then_some(turn));
    }
    for tool in &mut turn.tools {
        let id = format!("{}:{}", turn.id, tool.call_id);
        if !stored_by(format!("tool.called:{id}"))? && !stored_by(format!("tool.denied:{id}"))? {
            tool.result = None;
        }
    }
    Ok(Some(turn))
}

fn seq_of(conn: &Connection, run: RunId, key: &str) -> Result<Option<u64>> {
    let mut query =
        conn.prepare_cached("SELECT seq FROM events WHERE run_id = ?1 AND idempotency_key = ?2")?;
    Ok(query
        .query_row((run.to_string(), key), |row| columns::large(row, "seq"))
        .optional()?)
}

fn time_of(conn: &Connection, run: RunId, seq: u64) -> Result<Option<i64>> {
    let mut query =
        conn.prepare_cached("SELECT at_ms FROM events WHERE run_id = ?1 AND seq = ?2")?;
    Ok(query
        .query_row((run.to_string(), columns::stored(seq)), |row| row.get(0))
        .optional()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{CallStatus, RunFact, TokenUsage, ToolOutcome};
    use crate::model::id::TurnId;
    use crate::model::time::Timestamp;
    use crate::store::journal;
    use crate::store::tables::turns::{NewTurn, ToolResult, TurnSettlement};
    use crate::store::tests::fixture;
    use crate::store::tests::fixture::BEGIN;

    fn reserve(conn: &Connection, run: RunId, number: u32, at: Timestamp) -> TurnId {
        let turn = NewTurn {
            model: "small".to_owned(),
            ..fixture::new_turn(run, number)
        };
        turns::reserve(conn, &turn, at).unwrap();
        turn.id
    }

    fn settlement() -> TurnSettlement {
        TurnSettlement {
            status: CallStatus::Ok,
            tokens: TokenUsage::default(),
            cost: None,
            estimated: false,
            latency_ms: 1,
            provider_request_id: None,
        }
    }

    #[test]
    fn at_an_event_only_what_was_stored_by_then_is_there() {
        let conn = fixture::memory();
        let run = fixture::insert_run(&conn, "lane");
        journal::append(
            &conn,
            run,
            &[
                fixture::created(&["spec"]),
                fixture::started(),
                fixture::phase_started("spec", 1),
            ],
            BEGIN,
        )
        .unwrap();
        let later = |ms: i64| Timestamp(BEGIN.0 + ms);
        let first = reserve(&conn, run, 1, later(5));
        turns::answered(
            &conn,
            first,
            "{\"text\":\"look\"}",
            &[("c1".into(), "ls".into(), "{}".into())],
            &settlement(),
            later(10),
        )
        .unwrap();
        journal::append(
            &conn,
            run,
            &[fixture::called(first, "spec", TokenUsage::default(), None)],
            later(10),
        )
        .unwrap();
        let done = ToolResult {
            call_id: "c1".into(),
            result: "a".into(),
            outcome: ToolOutcome::Ok,
            duration_ms: 1,
        };
        turns::tools_done(&conn, first, &[done]).unwrap();
        let called = RunFact::ToolCalled {
            phase_key: "spec".into(),
            turn_id: first,
            call_id: "c1".into(),
            tool: "ls".into(),
            target: String::new(),
            outcome: ToolOutcome::Ok,
            duration_ms: 1,
        };
        journal::append(&conn, run, &[called], later(20)).unwrap();
        let second = reserve(&conn, run, 2, later(25));
        turns::answered(
            &conn,
            second,
            "{\"text\":\"done\"}",
            &[],
            &settlement(),
            later(30),
        )
        .unwrap();
        sessions::add_to_transcript(
            &conn,
            second,
            &[(TranscriptKind::Answer, "done".to_owned())],
        )
        .unwrap();
        journal::append(
            &conn,
            run,
            &[fixture::called(second, "spec", TokenUsage::default(), None)],
            later(30),
        )
        .unwrap();

        let told = |at: Option<u64>| {
            let turns = turns_of_attempt(&conn, run, &"spec".into(), 1, at).unwrap();
            let told = |(turn, pieces): TurnTranscript| {
                let results: Vec<Option<String>> =
                    turn.tools.iter().map(|tool| tool.result.clone()).collect();
                (
                    turn.number,
                    turn.status,
                    turn.answer.is_some(),
                    results,
                    pieces.len(),
                )
            };
            turns.into_iter().map(told).collect::<Vec<_>>()
        };
        let answered = |result: Option<&str>| {
            (
                1,
                TurnStatus::Settled,
                true,
                vec![result.map(str::to_owned)],
                0,
            )
        };
        let last = (2, TurnStatus::Settled, true, vec![], 1);
        assert_eq!(told(Some(3)), [], "no call was sent by then");
        assert_eq!(told(Some(4)), [answered(None)]);
        assert_eq!(told(Some(5)), [answered(Some("a"))]);
        assert_eq!(told(Some(6)), [answered(Some("a")), last.clone()]);
        assert_eq!(told(None), [answered(Some("a")), last]);
    }
}
