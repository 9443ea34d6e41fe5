//! Record fixtures for tests.
use crate::app::test_support;
use crate::model::money::{CallCost, NanoUsd};
use crate::model::record::RunRecord;
use crate::model::state::RunStatus;
use crate::model::time::Timestamp;

/// A run in its second phase.
pub fn run_record() -> RunRecord {
    RunRecord {
        id: "01930000-0000-7000-8000-0000deadbeef".parse().unwrap(),
        thread: "shop:main".into(),
        requirements: "Add a cart to the shop".to_owned(),
        repo: Some("/home/ann/shop".to_owned()),
        branch: Some("phasedeck/deadbeef".to_owned()),
        worktree: Some("/home/ann/data/runs/deadbeef/main".to_owned()),
        phases_total: 5,
        created_at: Timestamp(0),
        started_at: Some(Timestamp(0)),
        updated_at: Timestamp(0),
        cost: CallCost {
            known: NanoUsd(410_000_000),
            unknown_calls: 0,
        },
        ..test_support::record(1, RunStatus::Executing, 0)
    }
}
