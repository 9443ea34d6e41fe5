//! States that a screen is in now and then: something waits, was lost, was refused, or is asked about.

use super::events::in_events;
use super::*;
use crate::app::msg::{ArchiveQuery, QueryResult};
use crate::app::screens::run::state::RunScreen;
use crate::model::error::{Code, Failure};
use crate::model::id::TurnId;
use crate::model::money::NanoUsd;
use crate::model::state::Via;
use crate::model::time::Timestamp;

fn torn() -> Failure {
    Failure::new(Code::DbCorrupt, "a page of the database is torn")
        .hint("restore a backup, or run `phasedeck verify`")
}

#[test]
fn runs_that_wait_in_line_say_their_place() {
    snapshot("home_in_line", |size| {
        let mut all = world(SampleRunState::Executing);
        all.extend((1..3).map(|n| RunRecord {
            line: Some(u32::from(n)),
            current_phase: None,
            phases_done: 0,
            ..test_support::record(20 + n, RunStatus::Created, 2)
        }));
        at_home(size, all)
    });
}

/// A run that waits for its model's server, in the list.
fn server_waits(size: (u16, u16)) -> ConsoleHarness {
    let mut all = world(SampleRunState::Executing);
    all.push(RunRecord {
        waits_until: Some(Timestamp(test_support::NOW.0 + 720_000)),
        ..test_support::record(21, RunStatus::Executing, 50)
    });
    at_home(size, all)
}

#[test]
fn a_run_that_waits_for_its_models_server_says_until_when_and_counts_as_neither() {
    snapshot("home_waits", |size| {
        let mut bench = server_waits(size);
        settle(&mut bench);
        while bench
            .state
            .runs
            .selected()
            .is_some_and(|record| record.waits_until.is_none())
        {
            bench.press("j");
        }
        bench
    });
}

#[test]
fn when_its_moment_comes_it_works_again_without_news() {
    let mut bench = server_waits((80, 24));
    settle(&mut bench);
    assert_eq!(
        (
            bench.state.runs.working().count(),
            bench.state.runs.backing_off().count()
        ),
        (2, 1)
    );
    let wakes = bench.state.next_change_in().unwrap();
    assert!((600_000..=720_000).contains(&wakes), "{wakes}");
    bench.ticks += 720_000;
    bench.feed(Msg::Tick);
    assert_eq!(
        (
            bench.state.runs.working().count(),
            bench.state.runs.backing_off().count()
        ),
        (3, 0)
    );
}

#[test]
fn a_list_that_cannot_be_read_says_so_and_is_not_empty() {
    snapshot("home_unreadable", |size| {
        let mut bench = at_home(size, world(SampleRunState::Awaiting));
        settle(&mut bench);
        let ask = bench
            .state
            .runs
            .page_request(bench.state.midnight(), size.1);
        bench.feed(Msg::Loaded(ArchiveQuery::Runs(ask), Err(torn())));
        bench
    });
}

#[test]
fn several_runs_are_marked_to_go_on_together() {
    snapshot("picker_marked", |size| {
        let mut all = records();
        all.push(test_support::record(9, RunStatus::Paused, 3000));
        let mut bench = at_home(size, all);
        settle(&mut bench);
        for key in ["Space", "j", "Space"] {
            bench.press(key);
        }
        bench
    });
}

#[test]
fn a_run_that_was_paused_says_how_it_goes_on() {
    snapshot("run_paused", |size| {
        let mut bench = on_run(size, SampleRunState::Executing);
        bench.store_fact(RunFact::RunPaused {
            ordinal: 1,
            reason: PauseReason::Operator,
            from_state: RunStatus::Executing,
        });
        bench
    });
}

#[test]
fn a_run_that_was_ended_says_what_stays() {
    snapshot("run_aborted", |size| {
        let mut bench = on_run(size, SampleRunState::Executing);
        bench.store_fact(RunFact::RunAborted {
            by: "mo".to_owned(),
            via: Via::Console,
            reason: "another idea".to_owned(),
        });
        bench
    });
}

#[test]
fn a_phase_that_says_nothing_for_long_is_quiet() {
    snapshot("run_quiet", |size| {
        let mut bench = on_run(size, SampleRunState::Executing);
        settle(&mut bench);
        bench.ticks += 200_000;
        bench.feed(Msg::Tick);
        bench
    });
}

#[test]
fn a_failed_call_counts_down_to_the_next_try() {
    snapshot("run_retried", |size| {
        let mut bench = on_run(size, SampleRunState::Executing);
        let turn_id: TurnId = "01930000-0000-7000-8000-00000000bb01".parse().unwrap();
        let (phase_key, code) = ("spec".into(), Code::LlmRateLimited);
        bench.store_fact(RunFact::LlmRetried {
            phase_key,
            turn_id,
            r#try: 2,
            status: Some(429),
            code,
            wait_ms: 12_000,
            until: None,
        });
        bench
    });
}

#[test]
fn a_run_that_cannot_be_read_says_so_with_what_to_do() {
    snapshot("run_unreadable", |size| {
        let mut bench = on_run(size, SampleRunState::Executing);
        bench.state.run = Some(RunScreen {
            since: bench.ticks,
            ..RunScreen::new(run_id(1))
        });
        bench.feed(Msg::Loaded(ArchiveQuery::Open(run_id(1)), Err(torn())));
        bench
    });
}

#[test]
fn what_was_spent_of_a_budget_is_a_bar() {
    snapshot("run_budget", |size| {
        let mut bench = on_run(size, SampleRunState::Completed);
        settle(&mut bench);
        if let Some(known) = bench.state.run.as_mut().and_then(|run| run.opened.as_mut()) {
            known.record.options.budget = Some(NanoUsd(200_000_000));
        }
        bench.press("3");
        bench
    });
}

#[test]
fn an_event_opens_whole() {
    snapshot("events_whole", |size| {
        let mut bench = in_events(size, SampleRunState::Failed);
        bench.press("k");
        bench.press("Enter");
        bench
    });
}

#[test]
fn without_a_call_there_is_no_cost_to_show() {
    snapshot("cost_nothing", |size| {
        let mut bench = at_home(size, world(SampleRunState::Awaiting));
        bench.press("$");
        bench.feed(Msg::Loaded(
            ArchiveQuery::Costs,
            Ok(QueryResult::Costs(Box::default())),
        ));
        bench
    });
}

#[test]
fn leaving_asks_while_runs_are_at_work_here() {
    snapshot("leave", |size| {
        let mut bench = on_run(size, SampleRunState::Executing);
        settle(&mut bench);
        bench.press("q");
        bench
    });
}

fn without_a_host(size: (u16, u16)) -> ConsoleHarness {
    let mut bench = at_home(size, world(SampleRunState::Executing));
    settle(&mut bench);
    bench.state.hosting = false;
    bench.feed(Msg::Host(false));
    bench
}

#[test]
fn a_console_whose_host_has_ended_says_how_to_go_on() {
    snapshot("no_host", without_a_host);
}

#[test]
fn taking_over_is_asked_about() {
    snapshot("take_over", |size| {
        let mut bench = without_a_host(size);
        bench.press("H");
        bench
    });
}

#[test]
fn a_screen_that_is_too_small_says_so_in_one_sentence() {
    for size in [(39, 24), (80, 9), (12, 3)] {
        let shown = settle(&mut on_run(size, SampleRunState::Awaiting));
        insta::assert_snapshot!(format!("too_small_{}x{}", size.0, size.1), shown);
    }
}
