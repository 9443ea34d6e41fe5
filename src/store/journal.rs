//! Appends facts to the journal of a run and updates the projection in the same transaction.
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

pub mod audit;
pub mod chain;
pub mod events;
pub mod search;
pub mod segments;

use super::failpoint;
use super::failpoint::planted::{self, Bug};
use super::projection::{self, RunHead};
use crate::model::error::{Code, Failure, Result};
use crate::model::event::{JournalEvent, RunFact};
use crate::model::id::RunId;
use crate::model::time::Timestamp;
use crate::store::journal::chain::{ChainHash, ChainedRow};
use crate::store::tables::columns;
use rusqlite::{Connection, OptionalExtension};
use serde::Deserialize;
use serde_json::value::RawValue;

pub(super) const INSERT: &str = "INSERT INTO events (run_id, seq, at_ms, type, phase_key, idempotency_key, payload, chain) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (run_id, idempotency_key) DO NOTHING";

/// Smaller steps back are ordinary clock adjustments and are not recorded.
const SKEW_MS: u64 = 1000;

pub(super) const BY_KEY: &str =
    "SELECT type, payload FROM events WHERE run_id = ?1 AND idempotency_key = ?2";

/// Appends facts, and projects each new event to the rows.
///
/// Returns the events that are new; a fact that was written before is skipped. Where the clock went back
/// behind the last event, one of them says so first. After an error the
/// transaction must not be committed (a job of the store rolls back by itself).
///
/// # Errors
/// `run_not_found`; `run_already_terminal` when the run has ended; `illegal_transition` when a fact
/// cannot follow; `thread_busy` when another run holds the thread; `approval_already_resolved` for an
/// answer that comes too late, `no_pending_approval` for one that nobody asked for; `internal` when a different fact has the
/// same key.
pub fn append(
    tx: &Connection,
    run_id: RunId,
    facts: &[RunFact],
    now: Timestamp,
) -> Result<Vec<JournalEvent>> {
    let mut head = RunHead::load(tx, run_id)?;
    let before = head.last_seq;
    if planted::first(Bug::NumberSkipped) {
        head.last_seq += 1;
    }
    if planted::first(Bug::ChainBeginsAgain) {
        head.chain = None;
    }
    let skewed = clock_skew_fact(tx, &head, now)?.filter(|_| !facts.is_empty());
    let mut stored = Vec::with_capacity(facts.len());
    for fact in skewed.iter().chain(facts) {
        // Recovery fails a run before it closes its sessions, so this fact follows the terminal one.
        if head.status.is_terminal() && !matches!(fact, RunFact::SessionFailed { .. }) {
            refuse_unless_known(tx, &head, fact)?;
            continue;
        }
        let event = JournalEvent {
            run_id,
            seq: head.last_seq + 1,
            at: now.max(head.updated_at),
            fact: fact.clone(),
        };
        if insert(tx, &event, &mut head.chain)? {
            projection::apply(tx, &mut head, &event)?;
            stored.push(event);
        } else {
            refuse_unless_known(tx, &head, fact)?;
        }
    }
    if !stored.is_empty() {
        head.save(tx)?;
        segments::keep_up(tx, run_id, before, head.last_seq)?;
    }
    Ok(stored)
}

/// Returns a fact for a clock that went back, unless recorded already. Timestamps of a run never
/// decrease; the fact explains why they do not advance.
fn clock_skew_fact(tx: &Connection, head: &RunHead, now: Timestamp) -> Result<Option<RunFact>> {
    let (since, behind_ms) = (head.updated_at, head.updated_at.since_ms(now));
    if behind_ms < SKEW_MS || head.last_seq == 0 || head.status.is_terminal() {
        return Ok(None);
    }
    let fact = RunFact::ClockSkewed { since, behind_ms };
    Ok(if has_key(tx, head.run_id, &fact.key())? {
        None
    } else {
        Some(fact)
    })
}

#[derive(Deserialize)]
struct FactPayload<'a> {
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// Returns whether the run has a fact with this idempotency key.
///
/// # Errors
/// Database errors.
pub fn has_key(tx: &Connection, run: RunId, key: &str) -> Result<bool> {
    Ok(tx.prepare_cached(BY_KEY)?.exists((run.to_string(), key))?)
}

/// Inserts the event and extends the hash chain. Returns `false` if the key exists.
fn insert(tx: &Connection, event: &JournalEvent, chain: &mut Option<ChainHash>) -> Result<bool> {
    let text = serde_json::to_string(&event.fact).map_err(Failure::internal)?;
    let wire: FactPayload<'_> = serde_json::from_str(&text).map_err(Failure::internal)?;
    failpoint::fact(event.fact.kind());
    let (run_id, key) = (event.run_id.to_string(), event.fact.key());
    let row = ChainedRow {
        run_id: &run_id,
        seq: columns::stored(event.seq),
        at_ms: event.at.0,
        kind: event.fact.kind(),
        phase_key: event.fact.phase_key().map(|key| key.as_str()),
        key: &key,
        payload: wire.payload.get(),
    };
    let link = row.link(chain.unwrap_or_default());
    let added = tx.prepare_cached(INSERT)?.execute((
        row.run_id,
        row.seq,
        row.at_ms,
        row.kind,
        row.phase_key,
        row.key,
        row.payload,
        link.0,
    ))?;
    if added == 1 {
        *chain = Some(link);
    }
    Ok(added == 1)
}

/// The same fact again is harmless; anything else under its key, or after the end, is refused.
fn refuse_unless_known(tx: &Connection, head: &RunHead, fact: &RunFact) -> Result<()> {
    let (run, key) = (head.run_id, fact.key());
    let mut query = tx.prepare_cached(BY_KEY)?;
    let known = query
        .query_row((run.to_string(), &key), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let known = known
        .map(|(kind, payload): (String, String)| events::fact(&kind, &payload))
        .transpose()
        .map_err(Failure::internal)?;
    match known {
        Some(known) if known == *fact => Ok(()),
        // The question's answer is its key: a second, different answer is late, not a defect.
        Some(_) if matches!(fact, RunFact::ApprovalResolved { .. }) => {
            Err(projection::answered_already(tx, run, fact)?)
        }
        Some(_) if key != "run.ended" => Err(Failure::internal(format!(
            "run {run} has a different fact under the key '{key}'"
        ))),
        _ => Err(Failure::new(
            Code::RunAlreadyTerminal,
            format!(
                "run {run} has ended ({}); {} was not stored",
                head.status,
                fact.kind()
            ),
        )
        .hint("`phasedeck show` tells how it ended; start a new run to go on")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::TokenUsage;
    use crate::model::id::{RequestId, TurnId};
    use crate::model::run_state::RunState;
    use crate::model::state::{ApprovalStatus, Decision, PauseReason, RunStatus, Via};
    use crate::store::tables::{approvals, runs};
    use crate::store::tests::fixture;
    use crate::store::tests::fixture::BEGIN;

    fn begun(conn: &Connection, thread: &str) -> RunId {
        let run = fixture::insert_run(conn, thread);
        append(
            conn,
            run,
            &[fixture::created(&["spec", "plan"]), fixture::started()],
            BEGIN,
        )
        .unwrap();
        run
    }

    proptest::proptest! {
        #[test]
        fn moments_never_go_back_and_each_time_the_clock_does_is_told_once(jumps in proptest::collection::vec(0..JUMPS.len(), 1..30)) {
            let conn = fixture::memory();
            let run = begun(&conn, "lane");
            let (mut now, mut last, mut told_at, mut told) = (BEGIN, BEGIN, None, 0);
            for jump in jumps {
                now = Timestamp(now.0 + JUMPS[jump]);
                let goes_back = now.0 <= last.0 - 1000 && told_at != Some(last);
                (told_at, told) = if goes_back { (Some(last), told + 1) } else { (told_at, told) };
                let called = fixture::called(TurnId::new(), "spec", TokenUsage::default(), None);
                let stored = append(&conn, run, std::slice::from_ref(&called), now).unwrap();
                let skewed = RunFact::ClockSkewed { since: last, behind_ms: last.since_ms(now) };
                let facts: Vec<RunFact> = stored.into_iter().map(|event| event.fact).collect();
                assert_eq!(facts, if goes_back { vec![skewed, called] } else { vec![called] });
                last = last.max(now);
            }
            let events = events::from(&conn, run, 1, 1000).unwrap();
            assert!(events.iter().zip(1..).all(|(event, seq)| event.seq == seq));
            assert!(events.windows(2).all(|pair| pair[0].at <= pair[1].at));
            assert_eq!(events.iter().filter(|event| matches!(event.fact, RunFact::ClockSkewed { .. })).count(), told);
            assert_eq!(RunState::fold(run, &events).unwrap().last_at, last);
        }
    }

    /// Time that passes, and a clock that is set: a little, an hour, ten years.
    const JUMPS: [i64; 7] = [
        0,
        700,
        -900,
        -1000,
        -3_600_000,
        -315_360_000_000,
        315_360_000_000,
    ];

    fn in_savepoint<T>(conn: &Connection, job: impl FnOnce() -> Result<T>) -> Result<T> {
        conn.execute_batch("SAVEPOINT t").unwrap();
        let outcome = job();
        conn.execute_batch(if outcome.is_ok() {
            "RELEASE t"
        } else {
            "ROLLBACK TO t; RELEASE t"
        })
        .unwrap();
        outcome
    }

    #[test]
    fn numbers_have_no_gaps_and_time_never_goes_back() {
        let conn = fixture::memory();
        let run = begun(&conn, "lane");
        let late = append(
            &conn,
            run,
            &[fixture::phase_started("spec", 1)],
            Timestamp(5_000),
        )
        .unwrap();
        let earlier = append(
            &conn,
            run,
            &[fixture::phase_started("spec", 2)],
            Timestamp(4_500),
        )
        .unwrap();
        assert_eq!((late[0].seq, late[0].at), (3, Timestamp(5_000)));
        assert_eq!((earlier[0].seq, earlier[0].at), (4, Timestamp(5_000)));
        let read = events::from(&conn, run, 1, 10).unwrap();
        assert_eq!(
            read.iter().map(|event| event.seq).collect::<Vec<_>>(),
            [1, 2, 3, 4]
        );
        assert_eq!(read[3], earlier[0]);
    }

    #[test]
    fn the_same_fact_twice_is_one_event_and_a_different_one_under_its_key_is_refused() {
        let conn = fixture::memory();
        let run = begun(&conn, "lane");
        assert_eq!(
            append(&conn, run, &[fixture::started()], Timestamp(9_000)).unwrap(),
            []
        );
        assert_eq!(runs::get(&conn, run).unwrap().updated_at, BEGIN);
        let other = RunFact::RunStarted {
            workflow: fixture::named("other@1"),
            thread: "lane".into(),
        };
        let refused = append(&conn, run, &[other], BEGIN).unwrap_err();
        assert_eq!(refused.code, Code::Internal);
        assert!(refused.message.contains("'run.started'"), "{refused}");
        assert_eq!(events::last_seq(&conn, run).unwrap(), 2);
    }

    #[test]
    fn a_run_ends_once_and_takes_nothing_after_its_end() {
        let conn = fixture::memory();
        let run = begun(&conn, "lane");
        assert_eq!(
            append(&conn, run, &[RunFact::RunCompleted {}], BEGIN)
                .unwrap()
                .len(),
            1
        );
        assert_eq!(
            append(&conn, run, &[RunFact::RunCompleted {}], BEGIN).unwrap(),
            []
        );
        let aborted = RunFact::RunAborted {
            by: "kim".to_owned(),
            via: Via::Cli,
            reason: String::new(),
        };
        for fact in [aborted, fixture::phase_started("spec", 1)] {
            assert_eq!(
                append(&conn, run, &[fact], BEGIN).unwrap_err().code,
                Code::RunAlreadyTerminal
            );
        }
        assert_eq!(events::last_seq(&conn, run).unwrap(), 3);
    }

    #[test]
    fn a_thread_is_held_by_one_run_and_the_refusal_names_it() {
        let conn = fixture::memory();
        let first = begun(&conn, "lane");
        let second = fixture::insert_run(&conn, "lane");
        append(&conn, second, &[fixture::created(&["spec"])], BEGIN).unwrap();
        let busy = in_savepoint(&conn, || {
            append(&conn, second, &[fixture::started()], BEGIN)
        })
        .unwrap_err();
        assert_eq!(busy.code, Code::ThreadBusy);
        assert!(busy.message.contains(&first.to_string()), "{busy}");
        assert_eq!(runs::get(&conn, second).unwrap().last_seq, 1);
        let paused = RunFact::RunPaused {
            ordinal: 1,
            reason: PauseReason::Operator,
            from_state: RunStatus::Executing,
        };
        append(&conn, first, &[paused], BEGIN).unwrap();
        append(&conn, second, &[fixture::started()], BEGIN).unwrap();
        let resumed = RunFact::RunResumed {
            ordinal: 1,
            from_state: RunStatus::Paused,
        };
        assert_eq!(
            append(&conn, first, &[resumed], BEGIN).unwrap_err().code,
            Code::ThreadBusy
        );
    }

    #[test]
    fn a_second_answer_learns_who_was_first() {
        let conn = fixture::memory();
        let run = begun(&conn, "lane");
        let id = RequestId::new();
        append(
            &conn,
            run,
            &[
                fixture::phase_started("spec", 1),
                fixture::requested(id, Some("spec")),
            ],
            BEGIN,
        )
        .unwrap();
        append(
            &conn,
            run,
            &[fixture::resolved(
                id,
                Some("spec"),
                Decision::Approve,
                "kim",
            )],
            Timestamp(60_000),
        )
        .unwrap();
        let second = fixture::resolved(id, Some("spec"), Decision::Reject, "lee");
        let late = append(&conn, run, &[second], Timestamp(60_000)).unwrap_err();
        assert_eq!(late.code, Code::ApprovalAlreadyResolved);
        assert_eq!(
            late.message,
            format!(
                "'spec_approved' of run {run} was already approved by kim (console) at 1970-01-01T00:01:00.000Z"
            )
        );
        let never = fixture::resolved(RequestId::new(), Some("spec"), Decision::Approve, "lee");
        assert_eq!(
            in_savepoint(&conn, || append(&conn, run, &[never], Timestamp(60_000)))
                .unwrap_err()
                .code,
            Code::NoPendingApproval
        );
    }

    #[test]
    fn an_answer_to_a_question_that_gave_way_is_late() {
        let conn = fixture::memory();
        let run = begun(&conn, "lane");
        let (old, new) = (RequestId::new(), RequestId::new());
        let facts = [
            fixture::phase_started("spec", 1),
            fixture::requested(old, Some("spec")),
            fixture::requested(new, Some("spec")),
        ];
        append(&conn, run, &facts, BEGIN).unwrap();
        let answer = fixture::resolved(old, Some("spec"), Decision::Approve, "kim");
        let late = in_savepoint(&conn, || append(&conn, run, &[answer], BEGIN)).unwrap_err();
        assert_eq!(late.code, Code::ApprovalAlreadyResolved);
        assert!(
            late.message
                .ends_with("is no longer open: it was superseded"),
            "{late}"
        );
        assert_eq!(approvals::pending(&conn).unwrap()[0].id, new);
        assert_eq!(events::last_seq(&conn, run).unwrap(), 5);
    }

    #[test]
    fn an_end_closes_the_question_that_waits() {
        let failed = RunFact::RunFailed {
            code: Code::Internal,
            message: "m".to_owned(),
            hint: "h".to_owned(),
        };
        let aborted = RunFact::RunAborted {
            by: "kim".to_owned(),
            via: Via::Cli,
            reason: String::new(),
        };
        for (end, want) in [
            (failed, ApprovalStatus::Superseded),
            (aborted, ApprovalStatus::Aborted),
        ] {
            let conn = fixture::memory();
            let run = begun(&conn, "lane");
            append(
                &conn,
                run,
                &[
                    fixture::phase_started("spec", 1),
                    fixture::requested(RequestId::new(), Some("spec")),
                ],
                BEGIN,
            )
            .unwrap();
            assert_eq!(approvals::pending(&conn).unwrap().len(), 1);
            append(&conn, run, &[end], BEGIN).unwrap();
            assert_eq!(approvals::pending(&conn).unwrap(), []);
            assert_eq!(approvals::of_run(&conn, run).unwrap()[0].state, want);
        }
    }

    #[test]
    fn events_can_neither_be_changed_nor_deleted() {
        let conn = fixture::memory();
        begun(&conn, "lane");
        for sql in ["UPDATE events SET payload = '{}'", "DELETE FROM events"] {
            assert!(
                conn.execute(sql, [])
                    .unwrap_err()
                    .to_string()
                    .contains("events are never"),
                "{sql}"
            );
        }
    }

    #[test]
    fn a_run_that_is_not_there_is_named() {
        let conn = fixture::memory();
        let run = RunId::new();
        let missing = append(&conn, run, &[fixture::started()], BEGIN).unwrap_err();
        assert_eq!(missing.code, Code::RunNotFound);
        assert!(missing.message.contains(&run.to_string()));
    }
}
