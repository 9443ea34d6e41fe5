//! The list of runs: one in every state, and as many as are wanted.

use super::{NOW, run_id};
use crate::app::screens::runs::state::is_active;
use crate::engine::api::{RunCounts, RunPage, RunPageQuery, search_words};
use crate::model::event::TokenUsage;
use crate::model::hash::ContentHash;
use crate::model::money::{CallCost, NanoUsd};
use crate::model::record::{RunOptions, RunRecord};
use crate::model::state::{PauseReason, RunStatus};
use crate::model::time::Timestamp;

/// A row of the list.
pub fn record(n: u8, state: RunStatus, minutes_ago: i64) -> RunRecord {
    let at = Timestamp(NOW.0 - minutes_ago * 60_000);
    RunRecord {
        id: run_id(n),
        workflow: "development@1".to_owned(),
        workflow_hash: ContentHash::from_bytes(b"w"),
        thread: format!("shop-cart:main{n}").as_str().into(),
        state: state.as_str().to_owned(),
        paused_from_state: None,
        pause_reason: None,
        requirements: "A cart that shows prices in cents and never rounds them".to_owned(),
        repo: Some("/home/op/shop-cart".to_owned()),
        base_branch: Some("main".to_owned()),
        base_commit: None,
        branch: Some(format!("phasedeck/{}", run_id(n).short())),
        worktree: None,
        current_phase: Some("plan".into()),
        phases_total: 4,
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
        waits_until: None,
        rollback: None,
        origin: crate::model::record::RunOrigin::default(),
        created_at: at,
        started_at: Some(at),
        ended_at: state.is_terminal().then_some(Timestamp(at.0 + 60_000)),
        updated_at: Timestamp(at.0 + 60_000),
        last_seq: 12,
        cost: CallCost {
            known: NanoUsd(410_000_000 + i64::from(n) * 10_000_000),
            unknown_calls: 0,
        },
        tokens: TokenUsage::default(),
        calls: 3,
    }
}

/// One of thousands of runs, the first the newest.
pub fn many(n: i64, state: RunStatus) -> RunRecord {
    let id = format!("01930000-0000-7000-8000-{n:012x}").parse().unwrap();
    RunRecord {
        id,
        created_at: Timestamp(NOW.0 - n * 60_000),
        ..record(1, state, 5000)
    }
}

/// The part of a list that the archive would give.
pub fn page(records: &[RunRecord], ask: &RunPageQuery) -> RunPage {
    let words = search_words(&ask.filter);
    let fits = |r: &&RunRecord| {
        let text = format!(
            "{} {} {} {} {}",
            r.id, r.workflow, r.thread, r.state, r.requirements
        )
        .to_lowercase();
        words.iter().all(|word| text.contains(word)) || ask.also.contains(&r.id)
    };
    let done = |r: &&RunRecord| {
        words.is_empty() && r.state == "completed" && r.ended_at >= Some(ask.midnight)
    };
    let mut all: Vec<RunRecord> = records.iter().filter(fits).cloned().collect();
    all.sort_by_key(|r| std::cmp::Reverse(r.created_at));
    let rest: Vec<RunRecord> = all
        .iter()
        .filter(|r| !is_active(r) && !done(r))
        .cloned()
        .collect();
    let today: Vec<RunRecord> = all
        .iter()
        .filter(|r| !is_active(r) && done(r))
        .cloned()
        .collect();
    let mut counts = RunCounts {
        total: records.len() as u32,
        rest: rest.len() as u32,
        today: today.len() as u32,
        ..RunCounts::default()
    };
    counts.paused = records.iter().filter(|r| r.state == "paused").count() as u32;
    today.iter().for_each(|r| counts.today_cost += r.cost);
    records
        .iter()
        .filter(|r| r.updated_at >= ask.midnight)
        .for_each(|r| counts.spent += r.cost);
    let window = rest
        .into_iter()
        .skip(ask.offset as usize)
        .take(ask.limit as usize)
        .collect();
    let live = all.iter().filter(|r| is_active(r)).cloned().collect();
    let aside = records
        .iter()
        .filter(|r| is_active(r) && !fits(r))
        .cloned()
        .collect();
    RunPage {
        live,
        aside,
        today: if ask.today { today } else { Vec::new() },
        rest: window,
        counts,
    }
}

/// A run in each state, and one in a state of a newer program; in no particular order.
pub fn records() -> Vec<RunRecord> {
    let waiting = |n, minutes: i64| RunRecord {
        pending_gate: Some("spec_approved".into()),
        pending_since: Some(Timestamp(NOW.0 - minutes * 60_000)),
        ..record(n, RunStatus::AwaitingApproval, 200)
    };
    let paused = RunRecord {
        paused_from_state: Some("executing".to_owned()),
        pause_reason: Some(PauseReason::Crashed.as_str().to_owned()),
        ..record(4, RunStatus::Paused, 90)
    };
    let completed = RunRecord {
        current_phase: None,
        phases_done: 4,
        ..record(5, RunStatus::Completed, 300)
    };
    let failed = RunRecord {
        error_code: Some("artifact_invalid_after_repair".to_owned()),
        error_message: Some("plan.json is still invalid after 1 repair".to_owned()),
        error_hint: Some("look at the errors, then start a new run with a clearer wish".to_owned()),
        ..record(6, RunStatus::Failed, 1500)
    };
    let strange = RunRecord {
        state: "dreaming".to_owned(),
        ..record(8, RunStatus::Aborted, 9000)
    };
    vec![
        record(7, RunStatus::Aborted, 3000),
        failed,
        waiting(2, 12),
        completed,
        record(3, RunStatus::Executing, 3),
        strange,
        paused,
        waiting(1, 190),
    ]
}
