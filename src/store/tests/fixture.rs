//! A database in memory and runs to fill it with, for this room's tests.

use std::path::Path;

use crate::model::event::{AttemptCause, CallStatus, RunFact, TokenUsage};
use crate::model::hash::ContentHash;
use crate::model::id::{PhaseKey, RequestId, RunId, TurnId, VersionedName};
use crate::model::money::NanoUsd;
use crate::model::record::RunOptions;
use crate::model::state::{Decision, Via};
use crate::model::time::Timestamp;
use crate::store::tables::runs;
use crate::store::tables::runs::{RunInsert, RunLocation};
use crate::store::tables::turns::NewTurn;
use crate::store::writer::migrate;
use rusqlite::Connection;

pub const BEGIN: Timestamp = Timestamp(1_000);

pub fn memory() -> Connection {
    let conn = Connection::open_in_memory().unwrap();
    conn.pragma_update(None, "foreign_keys", true).unwrap();
    migrate::to_current(&conn, Path::new("unused")).unwrap();
    conn
}

pub fn named(text: &str) -> VersionedName {
    text.parse().unwrap()
}

pub fn new_run(thread: &str) -> RunInsert {
    RunInsert {
        id: RunId::new(),
        workflow: named("development@1"),
        workflow_hash: ContentHash::from_bytes(b"workflow"),
        thread: thread.into(),
        requirements: "make it".to_owned(),
        place: RunLocation::default(),
        rehearsal: false,
        options: RunOptions::default(),
        start: None,
        origin: Default::default(),
        created_at: BEGIN,
    }
}

pub fn insert_run(conn: &Connection, thread: &str) -> RunId {
    let run = new_run(thread);
    runs::insert(conn, &run).unwrap();
    run.id
}

/// A turn of the first attempt at `spec`, of which nothing is set aside.
pub fn new_turn(run: RunId, number: u32) -> NewTurn {
    NewTurn {
        id: TurnId::new(),
        run_id: run,
        phase_key: "spec".into(),
        attempt: 1,
        conversation: String::new(),
        number,
        stretch: 0,
        persona: "ada@1".to_owned(),
        model: "m".to_owned(),
        reserved: None,
    }
}

pub fn created(phases: &[&str]) -> RunFact {
    RunFact::RunCreated {
        workflow: named("development@1"),
        workflow_hash: ContentHash::from_bytes(b"workflow"),
        thread: "lane".into(),
        phases: phases.iter().map(|key| PhaseKey::from(*key)).collect(),
        rehearsal: false,
    }
}

pub fn started() -> RunFact {
    RunFact::RunStarted {
        workflow: named("development@1"),
        thread: "lane".into(),
    }
}

pub fn phase_started(key: &str, attempt: u32) -> RunFact {
    let cause = if attempt == 1 {
        AttemptCause::First
    } else {
        AttemptCause::Repair
    };
    RunFact::PhaseStarted {
        phase_key: key.into(),
        attempt,
        role: "architect".into(),
        persona: named("ada@1"),
        cause,
    }
}

pub fn requested(id: RequestId, key: Option<&str>) -> RunFact {
    RunFact::ApprovalRequested {
        request_id: id,
        phase_key: key.map(PhaseKey::from),
        gate: "spec_approved".into(),
        artifact_sha256: None,
        artifact_version: None,
        question: None,
    }
}

pub fn resolved(id: RequestId, key: Option<&str>, action: Decision, by: &str) -> RunFact {
    RunFact::ApprovalResolved {
        request_id: id,
        phase_key: key.map(PhaseKey::from),
        gate: "spec_approved".into(),
        action,
        comment: "my words".to_owned(),
        by: by.to_owned(),
        via: Via::Console,
        artifact_sha256: None,
        scope: None,
        raise: None,
    }
}

pub fn called(turn_id: TurnId, key: &str, tokens: TokenUsage, cost: Option<NanoUsd>) -> RunFact {
    RunFact::LlmCalled {
        phase_key: key.into(),
        attempt: 1,
        turn_id,
        turn: 1,
        model: "m".to_owned(),
        tokens,
        cost,
        estimated: false,
        latency_ms: 5,
        status: CallStatus::Ok,
    }
}
