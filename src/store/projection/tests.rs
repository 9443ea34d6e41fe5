//! The rows against the fold, for random journals: whatever the fold takes the projection takes,
//! whatever it refuses is refused, and afterwards both say the same.

use std::collections::BTreeSet;

use super::super::journal;
use super::*;
use crate::model::error::Code;
use crate::model::event::{ArtifactError, ArtifactRef, TokenUsage};
use crate::model::hash::ContentHash;
use crate::model::id::{PhaseKey, RequestId, RoleId, SessionId, TurnId};
use crate::model::money::NanoUsd;
use crate::model::run_state::RunState;
use crate::model::state::{Decision, PauseReason, SessionStatus, Via};
use crate::model::time::Timestamp;
use crate::store::journal::events;
use crate::store::tables::{approvals, artifacts, phases, runs, sessions};
use crate::store::tests::fixture;
use crate::store::tests::fixture::BEGIN;
use crate::store::writer::open;
use proptest::prelude::*;
use rusqlite::Connection;
use rusqlite::types::Value;

const PHASES: [&str; 3] = ["spec", "plan", "build"];

/// One random choice: what kind of fact, about which phase, with which detail.
type FactChoice = (u8, u8, u8);

fn fact(state: &RunState, (kind, phase, detail): FactChoice, count: u32) -> Option<RunFact> {
    let key: PhaseKey = PHASES
        .get(usize::from(phase))
        .copied()
        .unwrap_or("ghost")
        .into();
    let known = state.phase(&key);
    let version = known.map_or(1, |phase| phase.versions + 1);
    let attempt = known.map_or(1, |phase| phase.attempt + 1);
    let rarely = detail % 6 == 0;
    let session = state.sessions.get(&RoleId::from("architect"));
    Some(match kind {
        0 => fixture::started(),
        1 => RunFact::RunPaused {
            ordinal: state.pauses + 1,
            reason: PauseReason::Operator,
            from_state: state.status,
        },
        2 => RunFact::RunResumed {
            ordinal: state.resumes + 1,
            from_state: state.status,
        },
        3 if rarely => RunFact::RunCompleted {},
        4 if rarely => RunFact::RunFailed {
            code: Code::BudgetExceeded,
            message: "m".to_owned(),
            hint: "h".to_owned(),
        },
        5 if rarely => RunFact::RunAborted {
            by: "kim".to_owned(),
            via: Via::Cli,
            reason: String::new(),
        },
        6 | 7 => fixture::phase_started(key.as_str(), attempt),
        8 => RunFact::PhaseCompleted {
            phase_key: key,
            attempts: count,
            duration_ms: 1,
            commit: Some(format!("c{count}")),
        },
        9 if rarely => RunFact::PhaseFailed {
            phase_key: key,
            reason: Code::AgentLoopDetected,
            message: String::new(),
        },
        10 => RunFact::ArtifactExpected {
            phase_key: key,
            attempt: count,
            path: "spec.json".to_owned(),
            schema: "dev/spec@1".into(),
        },
        11 => RunFact::ArtifactTimeout {
            phase_key: key,
            attempt: count,
            seconds: 3,
        },
        12 => RunFact::ArtifactInvalid {
            phase_key: key,
            attempt: count,
            path: "spec.json".to_owned(),
            version,
            sha256: (!rarely).then(|| ContentHash::from_bytes(&[detail])),
            bytes: 1,
            errors: vec![ArtifactError {
                pointer: "/a".to_owned(),
                message: "is wrong".to_owned(),
            }],
            errors_total: 1,
        },
        13 | 14 => {
            let artifact = ArtifactRef {
                path: "spec.json".to_owned(),
                schema: "dev/spec@1".into(),
                sha256: ContentHash::from_bytes(&[detail]),
                bytes: 1,
                version,
            };
            RunFact::ArtifactValidated {
                phase_key: key,
                attempt: count,
                artifact,
                by: rarely.then(|| "ann".to_owned()),
            }
        }
        15 => RunFact::ArtifactChanged {
            phase_key: key,
            request_id: state.approval.as_ref()?.request_id,
            expected: ContentHash::from_bytes(b"x"),
            found: None,
            restored: rarely,
            by: None,
            picked: None,
        },
        16 | 17 => fixture::requested(RequestId::new(), Some(key.as_str())),
        18 => fixture::requested(RequestId::new(), None),
        19..=21 => {
            let open = state.approval.as_ref()?;
            let action = Decision::ALL[usize::from(detail) % 4];
            fixture::resolved(
                open.request_id,
                open.phase_key.as_ref().map(PhaseKey::as_str),
                action,
                "kim",
            )
        }
        22 => {
            let tokens = TokenUsage {
                input: u64::from(detail),
                output: 2,
                cached: 1,
                reasoning: 1,
            };
            fixture::called(
                TurnId::new(),
                key.as_str(),
                tokens,
                (!rarely).then_some(NanoUsd(i64::from(detail))),
            )
        }
        23 => match (session, detail % 3) {
            (Some(known), 0) => {
                let (session_id, ordinal) = (known.id, known.ordinal + 1);
                RunFact::SessionFailed {
                    session_id,
                    role: "architect".into(),
                    ordinal,
                    code: Code::LlmAuth,
                    message: String::new(),
                }
            }
            (Some(known), 1) => RunFact::SessionRecovered {
                session_id: known.id,
                role: "architect".into(),
                ordinal: known.ordinal + 1,
            },
            _ => RunFact::SessionStarted {
                session_id: SessionId::new(),
                role: "architect".into(),
                backend: "openai".to_owned(),
                ordinal: 1,
            },
        },
        24 => RunFact::BudgetWarned {
            scope: "run".to_owned(),
            limit: NanoUsd(i64::from(count)),
            spent: NanoUsd(1),
        },
        _ => return None,
    })
}

fn append(
    conn: &Connection,
    run: RunId,
    fact: &RunFact,
    now: Timestamp,
) -> Result<Vec<JournalEvent>> {
    conn.execute_batch("SAVEPOINT t")?;
    let outcome = journal::append(conn, run, std::slice::from_ref(fact), now);
    conn.execute_batch(if outcome.is_ok() {
        "RELEASE t"
    } else {
        "ROLLBACK TO t; RELEASE t"
    })?;
    outcome
}

/// Drives the journal and the fold side by side; answers the facts that were taken.
fn drive(conn: &Connection, run: RunId, choices: &[FactChoice]) -> (RunState, Vec<RunFact>) {
    let mut state = RunState::new(run);
    state.last_at = BEGIN;
    let (mut taken, mut keys) = (Vec::new(), BTreeSet::new());
    let mut offer = |fact: RunFact, now: Timestamp, state: &mut RunState| {
        if !keys.insert(fact.key()) {
            return;
        }
        let event = JournalEvent {
            run_id: run,
            seq: state.last_seq + 1,
            at: now.max(state.last_at),
            fact,
        };
        let mut next = state.clone();
        let folded = next.apply(&event);
        match (folded, append(conn, run, &event.fact, now)) {
            (Ok(()), Ok(stored)) => {
                assert_eq!(stored, std::slice::from_ref(&event));
                *state = next;
                taken.push(event.fact);
            }
            (Err(_), Err(refused)) => {
                assert!(
                    matches!(
                        refused.code,
                        Code::IllegalTransition | Code::RunAlreadyTerminal
                    ),
                    "{refused}"
                );
                keys.remove(&event.fact.key());
            }
            (folded, stored) => {
                panic!("fold: {folded:?}, journal: {stored:?}, for {event:?} after {state:?}")
            }
        }
    };
    offer(fixture::created(&PHASES), BEGIN, &mut state);
    for (choice, count) in choices.iter().zip(1_u32..) {
        let now = Timestamp(BEGIN.0 + i64::from(count) * 10 - i64::from(choice.2 % 4) * 15);
        if let Some(fact) = fact(&state, *choice, count) {
            offer(fact, now, &mut state);
        }
    }
    (state, taken)
}

fn assert_rows_say_what_the_fold_says(conn: &Connection, state: &RunState, taken: &[RunFact]) {
    let run = runs::get(conn, state.run_id).unwrap();
    let calls = taken
        .iter()
        .filter(|fact| matches!(fact, RunFact::LlmCalled { .. }))
        .count();
    assert_eq!(run.state, state.status.as_str());
    assert_eq!(
        run.paused_from_state.as_deref(),
        state.paused_from.map(RunStatus::as_str)
    );
    assert_eq!(
        run.pause_reason.as_deref(),
        state.pause_reason.map(PauseReason::as_str)
    );
    assert_eq!(
        run.current_phase.as_ref(),
        state.current().map(|phase| &phase.key)
    );
    assert_eq!(run.phases_total as usize, state.phases.len());
    assert_eq!(run.phases_done as usize, state.phases_done());
    assert_eq!(
        run.pending_gate.zip(run.pending_since),
        state
            .approval
            .as_ref()
            .map(|open| (open.gate.clone(), open.requested_at))
    );
    let error = run.error_code.zip(run.error_message).zip(run.error_hint);
    assert_eq!(
        error,
        state
            .error
            .clone()
            .map(|(code, message, hint)| ((code.as_str().to_owned(), message), hint))
    );
    assert_eq!(
        (run.cost, run.tokens, run.calls as usize),
        (state.cost, state.tokens, calls)
    );
    assert_eq!(
        (run.last_seq, run.updated_at),
        (state.last_seq, state.last_at)
    );
    assert_eq!(
        (run.created_at, run.ended_at),
        (state.created_at, state.ended_at)
    );

    let rows = phases::of_run(conn, state.run_id).unwrap();
    assert_eq!(rows.len(), state.phases.len());
    for (row, (phase, position)) in rows.iter().zip(state.phases.iter().zip(0..)) {
        assert_eq!(
            (&row.phase_key, row.position, row.state),
            (&phase.key, position, phase.status)
        );
        assert_eq!((row.attempt, row.cost), (phase.attempt, phase.cost));
        assert_eq!(
            row.artifact_sha256.as_ref(),
            phase.artifact.as_ref().map(|artifact| &artifact.sha256)
        );
        assert_eq!(
            row.artifact_path.as_ref(),
            phase.artifact.as_ref().map(|artifact| &artifact.path)
        );
        assert_eq!(
            (&row.commit, row.started_at, row.ended_at),
            (&phase.commit, phase.started_at, phase.ended_at)
        );
    }

    let questions = approvals::of_run(conn, state.run_id).unwrap();
    assert_eq!(questions.len(), state.approvals as usize);
    let open: Vec<_> = approvals::pending(conn)
        .unwrap()
        .into_iter()
        .map(|row| (row.id, row.phase_key, row.requested_at))
        .collect();
    assert_eq!(
        open,
        state
            .approval
            .iter()
            .map(|a| (a.request_id, a.phase_key.clone(), a.requested_at))
            .collect::<Vec<_>>()
    );

    let stored: Vec<_> = artifacts::of_run(conn, state.run_id)
        .unwrap()
        .into_iter()
        .map(|a| (a.phase_key, a.version, a.sha256, a.valid))
        .collect();
    let mut versions: Vec<_> = taken.iter().filter_map(version).collect();
    versions.sort_by_key(|(key, number, _, _)| {
        (
            PHASES.iter().position(|phase| *phase == key.as_str()),
            *number,
        )
    });
    assert_eq!(stored, versions);

    let rows = sessions::of_run(conn, state.run_id).unwrap();
    for (role, session) in &state.sessions {
        let row = rows.iter().find(|row| row.id == session.id).unwrap();
        let want = if session.failed {
            SessionStatus::FailedNeedsHuman
        } else {
            SessionStatus::Ready
        };
        assert_eq!(
            (&row.role, row.state, row.backend.as_str()),
            (role, want, "openai")
        );
    }
}

fn version(fact: &RunFact) -> Option<(PhaseKey, u32, ContentHash, bool)> {
    match fact {
        RunFact::ArtifactValidated {
            phase_key,
            artifact,
            ..
        } => Some((
            phase_key.clone(),
            artifact.version,
            artifact.sha256.clone(),
            true,
        )),
        RunFact::ArtifactInvalid {
            phase_key,
            version,
            sha256,
            ..
        } => Some((phase_key.clone(), *version, sha256.clone()?, false)),
        _ => None,
    }
}

fn dump(conn: &Connection) -> Vec<Vec<Value>> {
    let mut rows = Vec::new();
    for table in [
        "runs",
        "run_phases",
        "artifacts",
        "approval_requests",
        "sessions",
    ] {
        let mut query = conn
            .prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2, 3"))
            .unwrap();
        let columns = query.column_count();
        let found = query
            .query_map([], |row| {
                (0..columns).map(|column| row.get(column)).collect()
            })
            .unwrap();
        rows.extend(found.map(|row: rusqlite::Result<Vec<Value>>| row.unwrap()));
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_fold_and_rebuilt_rows_say_the_same(choices in prop::collection::vec((0_u8..25, 0_u8..4, 0_u8..24), 0..120)) {
        let conn = fixture::memory();
        let run = fixture::insert_run(&conn, "lane");
        let mut all = vec![(0, 0, 1)];
        all.extend(choices);
        let (state, taken) = drive(&conn, run, &all);
        assert_rows_say_what_the_fold_says(&conn, &state, &taken);
        prop_assert_eq!(&events::state(&conn, run).unwrap(), &state);
        let before = dump(&conn);
        rebuild(&conn, run).unwrap();
        prop_assert_eq!(dump(&conn), before);
    }
}

#[test]
fn the_generator_reaches_ends_gates_pauses_and_artifacts() {
    let mut seen = BTreeSet::new();
    let mut seed = 1_u32;
    for _ in 0..60 {
        let choices: Vec<FactChoice> = (0..100)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let [_, a, b, c] = seed.to_be_bytes();
                (a % 25, b % 4, c % 24)
            })
            .collect();
        let conn = fixture::memory();
        let run = fixture::insert_run(&conn, "lane");
        let mut all = vec![(0, 0, 1)];
        all.extend(choices);
        seen.extend(drive(&conn, run, &all).1.iter().map(RunFact::kind));
    }
    for kind in [
        "run.completed",
        "run.failed",
        "run.aborted",
        "run.paused",
        "run.resumed",
        "approval.resolved",
        "artifact.changed",
    ] {
        assert!(seen.contains(kind), "{kind} never happened");
    }
}

#[test]
fn a_fact_about_a_phase_that_the_run_does_not_have_is_refused() {
    let conn = fixture::memory();
    let run = fixture::insert_run(&conn, "lane");
    journal::append(
        &conn,
        run,
        &[fixture::created(&["spec"]), fixture::started()],
        BEGIN,
    )
    .unwrap();
    let refused = append(&conn, run, &fixture::phase_started("ghost", 1), BEGIN).unwrap_err();
    assert_eq!(refused.code, Code::IllegalTransition);
    assert!(refused.message.contains("'ghost'"), "{refused}");
}

#[test]
fn the_statements_of_an_append_are_compiled_once() {
    let dir = tempfile::tempdir().unwrap();
    let conn = open::writer(&dir.path().join("phasedeck.db")).unwrap();
    let run = fixture::insert_run(&conn, "lane");
    journal::append(
        &conn,
        run,
        &[fixture::created(&PHASES), fixture::started()],
        BEGIN,
    )
    .unwrap();
    for phase in PHASES {
        journal::append(&conn, run, &[fixture::phase_started(phase, 1)], BEGIN).unwrap();
        let completed = RunFact::PhaseCompleted {
            phase_key: phase.into(),
            attempts: 1,
            duration_ms: 1,
            commit: None,
        };
        journal::append(&conn, run, &[completed], BEGIN).unwrap();
    }
    journal::append(&conn, run, &[RunFact::RunCompleted {}], BEGIN).unwrap();
    for sql in [
        head::LOAD,
        head::ENTER,
        head::MOVE,
        head::PROGRESS,
        journal::INSERT,
    ] {
        let statement = conn.prepare_cached(sql).unwrap();
        assert_eq!(
            statement.get_status(rusqlite::StatementStatus::RePrepare),
            0,
            "{sql}"
        );
        assert!(
            statement.get_status(rusqlite::StatementStatus::Run) > 1,
            "{sql}"
        );
    }
}
