//! What a crash left, a retry of what has ended, and what was found wrong at the start.

use super::*;
use crate::engine::api::CommandAnswer;
use crate::model::question::BUDGET_GATE;

fn with_card(size: (u16, u16)) -> ConsoleHarness {
    let crashed = RunRecord {
        pause_reason: Some(PauseReason::Crashed.as_str().to_owned()),
        paused_from_state: Some("executing".to_owned()),
        ..test_support::record(9, RunStatus::Paused, 30)
    };
    let mut bench = at_home(size, vec![crashed]);
    settle(&mut bench);
    bench.press("Tab");
    bench
}

#[test]
fn the_preview_of_a_crashed_run_says_what_is_certain_unsure_and_lost() {
    snapshot("crash_card", with_card);
}

#[test]
fn a_run_out_of_money_says_that_it_asks_for_more() {
    snapshot("picker_budget", |size| {
        let rests = |n| RunRecord {
            pause_reason: Some(PauseReason::Budget.as_str().to_owned()),
            paused_from_state: Some("executing".to_owned()),
            ..test_support::record(n, RunStatus::Paused, 30)
        };
        let asks = RunRecord {
            pending_gate: Some(BUDGET_GATE.into()),
            pending_since: Some(test_support::NOW),
            ..rests(8)
        };
        let mut bench = at_home(size, vec![rests(9), asks]);
        settle(&mut bench);
        bench.press("j");
        bench
    });
}

#[test]
fn a_retry_says_what_it_runs_again_and_the_price() {
    snapshot("retry", |size| {
        let mut bench = on_run(size, SampleRunState::Failed);
        bench.forecast = test_support::forecast();
        settle(&mut bench);
        bench.press("r");
        bench
    });
}

#[test]
fn what_was_found_at_the_start_stays_until_it_is_read() {
    let warned = |size| {
        let mut bench = on_run(size, SampleRunState::Executing);
        let words =
            "the database is older than what was stored last: 12 events of run dead0001 are gone";
        bench.state.warnings = vec![
            words.to_owned(),
            "the database has another identity than the anchor".to_owned(),
        ];
        bench
    };
    snapshot("warning", warned);
    snapshot("warning_read", |size| {
        let mut bench = warned(size);
        bench.press("W");
        assert!(bench.state.warnings.is_empty());
        bench
    });
}

fn forked(size: (u16, u16), keys: &[&str]) -> ConsoleHarness {
    let mut bench = on_run(size, SampleRunState::Awaiting);
    bench.candidates = test_support::candidates();
    settle(&mut bench);
    bench.press("!");
    settle(&mut bench);
    bench.ticks += 2000;
    for key in keys {
        bench.press(key);
        bench.work();
        settle(&mut bench);
    }
    bench
}

#[test]
fn a_fork_asks_who_makes_it_again() {
    snapshot("fork_who", |size| forked(size, &["F"]));
}

#[test]
fn forks_are_compared_and_one_is_taken() {
    snapshot("forks_compared", |size| forked(size, &["]", "]"]));
    snapshot("forks_pick", |size| forked(size, &["K"]));
}

#[test]
fn the_gate_names_who_made_the_version_that_was_taken() {
    snapshot("forks_taken", |size| {
        let mut bench = forked(size, &[]);
        ["K", "Right"].iter().for_each(|key| bench.press(key));
        settle(&mut bench);
        bench.press("Enter");
        bench.candidates[0].artifact = bench.candidates[1].artifact.clone();
        test_support::picked()
            .into_iter()
            .for_each(|fact| bench.store_fact(fact));
        bench.answer(Ok(CommandAnswer::Accepted { run_id: run_id(1) }));
        settle(&mut bench);
        bench.press("]");
        settle(&mut bench);
        bench.ticks += 2000;
        bench
    });
}
