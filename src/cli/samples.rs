//! Records for tests.

use crate::model::hash::ContentHash;
use crate::model::money::{Cost, NanoUsd};
use crate::model::record::{RunOptions, RunRecord};
use crate::model::time::Timestamp;

/// A run in its second phase.
pub fn run_record() -> RunRecord {
    RunRecord {
        id: "01930000-0000-7000-8000-0000deadbeef".parse().unwrap(),
        workflow: "development@1".to_owned(),
        workflow_hash: ContentHash::of(b"w"),
        thread: "shop:main".into(),
        state: "executing".to_owned(),
        paused_from_state: None,
        pause_reason: None,
        requirements: "Add a cart to the shop".to_owned(),
        repo: Some("/home/ann/shop".to_owned()),
        base_branch: Some("main".to_owned()),
        base_commit: None,
        branch: Some("phasedeck/deadbeef".to_owned()),
        worktree: Some("/home/ann/data/runs/deadbeef/main".to_owned()),
        current_phase: Some("plan".into()),
        phases_total: 5,
        phases_done: 1,
        pending_gate: None,
        pending_since: None,
        rehearsal: false,
        options: RunOptions::default(),
        error_code: None,
        error_message: None,
        error_hint: None,
        report_path: None,
        line: None,
        rollback: None,
        origin: crate::model::record::Origin::default(),
        created_at: Timestamp(0),
        started_at: Some(Timestamp(0)),
        ended_at: None,
        updated_at: Timestamp(0),
        last_seq: 12,
        cost: Cost { known: NanoUsd(410_000_000), unknown_calls: 0 },
        tokens: crate::model::event::Tokens::default(),
        calls: 3,
    }
}
