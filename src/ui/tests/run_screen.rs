//! What a run's screen says of a phase that is quiet, waits out a failure, or took its time.

use super::{
    ConsoleHarness, SampleRunState, look, on_run, run_id, settle, snapshot, test_support, text,
    world,
};
use crate::app::mouse::{MouseInput, MouseTarget};
use crate::app::msg::{Cmd, Msg};
use crate::app::screens::run::state::RunPane;
use crate::model::error::Code;
use crate::model::event::RunFact;

fn retried() -> RunFact {
    let turn_id = "01930000-0000-7000-8000-00000000bb01".parse().unwrap();
    RunFact::LlmRetried {
        phase_key: "spec".into(),
        turn_id,
        r#try: 2,
        status: Some(429),
        code: Code::LlmUnreachable,
        wait_ms: 12_000,
        until: None,
    }
}

#[test]
fn phases_become_bars_over_time() {
    snapshot("run_bars", |size| {
        let mut bench = on_run(size, SampleRunState::Completed);
        bench.press("1");
        bench.press("t");
        bench
    });
}

#[test]
fn a_wait_before_the_next_try_is_counted_down() {
    let mut bench = on_run((100, 30), SampleRunState::Executing);
    bench.store_fact(retried());
    let at = |bench: &mut super::ConsoleHarness, ms: u64| {
        bench.ticks += ms;
        settle(bench)
    };
    let shown = at(&mut bench, 500);
    assert!(
        shown.contains("◷ spec: retry in 12s, try 2 failed [llm_unreachable]"),
        "{shown}"
    );
    assert!(shown.contains("◷ spec "), "{shown}");
    let shown = at(&mut bench, 4000);
    assert!(shown.contains("retry in 8.0s"), "{shown}");
    assert!(bench.state.next_change_in().unwrap() <= 1000);
    let shown = at(&mut bench, 8000);
    assert!(!shown.contains("retry in"), "{shown}");
}

#[test]
fn silence_is_told_after_three_minutes_and_ends_with_a_word() {
    let mut bench = on_run((100, 30), SampleRunState::Executing);
    bench.ticks += 179_000;
    assert!(!settle(&mut bench).contains("no output for"));
    bench.ticks += 2_000;
    let shown = settle(&mut bench);
    assert!(
        shown.contains("◌ spec: no output for 3m; p pauses it") && shown.contains("◌ spec "),
        "{shown}"
    );
    bench.store_fact(retried());
    assert!(!settle(&mut bench).contains("no output for"));

    let mut waiting = on_run((100, 30), SampleRunState::Awaiting);
    waiting.ticks += 1_000_000;
    assert!(
        !settle(&mut waiting).contains("no output for"),
        "one that waits for a person is not quiet"
    );
}

#[test]
fn panes_grow_by_keys_and_stay_within_the_screen() {
    let width = |bench: &super::ConsoleHarness| {
        let drawn = look(&bench.state).1;
        drawn
            .places
            .iter()
            .find(|place| place.spot == MouseTarget::Pane(RunPane::Phases))
            .unwrap()
            .width
    };
    let mut bench = on_run((130, 40), SampleRunState::Awaiting);
    let before = width(&bench);
    bench.press("1");
    bench.press("+");
    bench.press("+");
    assert_eq!(width(&bench), before + 4);
    (0..60).for_each(|_| bench.press("-"));
    assert_eq!(width(&bench), 6, "never gone");
}

#[test]
fn a_click_gives_the_focus_and_the_wheel_moves_what_lies_under_it() {
    let mut bench = on_run((130, 40), SampleRunState::Awaiting);
    settle(&mut bench);
    let place = |bench: &super::ConsoleHarness, pane| {
        let place = *bench
            .state
            .places
            .iter()
            .find(|place| place.spot == MouseTarget::Pane(pane))
            .unwrap();
        (place.x + 2, place.y + 1)
    };
    let events = place(&bench, RunPane::Events);
    bench.feed(Msg::Mouse(MouseInput::WheelUp(events)));
    let run = bench.state.run.as_ref().unwrap();
    assert_eq!(
        (run.focus, run.tail.is_following(), run.tail.below()),
        (RunPane::Phases, false, 3)
    );
    bench.feed(Msg::Mouse(MouseInput::Click(events)));
    assert_eq!(bench.state.run.as_ref().unwrap().focus, RunPane::Events);
    assert!(bench.sent.is_empty());
}

#[test]
fn a_click_and_the_wheel_decide_nothing_at_a_gate() {
    let mut bench = super::at_gate((100, 30), SampleRunState::Awaiting);
    bench.press("A");
    settle(&mut bench);
    bench.ticks += 2000;
    for row in 0..30 {
        for column in (0..100).step_by(3) {
            bench.feed(Msg::Mouse(MouseInput::Click((column, row))));
            bench.feed(Msg::Mouse(MouseInput::WheelDown((column, row))));
        }
    }
    assert!(bench.sent.is_empty(), "{:?}", bench.sent);
}

#[test]
fn what_is_shown_is_what_is_copied() {
    let mut bench = on_run((130, 40), SampleRunState::Awaiting);
    let mut copied = |pane: &str| {
        bench.press(pane);
        bench.done.clear();
        bench.press("y");
        match bench.done.pop() {
            Some(Cmd::Copy(text, what)) => (text, what),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(copied("1"), (run_id(1).to_string(), "the run's id"));
    assert_eq!(
        copied("4").0,
        "04:28:00 19 approval.requested spec_approved · v3 b1fdcdcf"
    );
    let (artifact, what) = copied("2");
    assert!(
        artifact.starts_with("{\n  \"title\": \"Shop cart\"") && what == "the artifact",
        "{artifact}"
    );
    bench.feed(Msg::Copied(
        "the artifact",
        12,
        Ok("to the terminal (OSC 52)"),
    ));
    assert!(
        text(&look(&bench.state).0)
            .contains("the artifact sent to the terminal (OSC 52), 12 bytes")
    );
}

#[test]
fn the_end_of_the_host_is_said_and_its_return_too() {
    let mut bench = on_run((100, 30), SampleRunState::Executing);
    bench.state.hosting = false;
    bench.feed(Msg::Host(false));
    let shown = settle(&mut bench);
    assert!(
        shown.contains("no host")
            && shown.contains("the host has exited, its runs are paused: H takes over"),
        "{shown}"
    );
    bench.feed(Msg::Host(true));
    assert!(settle(&mut bench).contains("attached"));
}

#[test]
fn what_loads_is_said_after_a_moment_and_not_before() {
    use crate::app::screens::run::state::RunScreen;
    let mut bench = on_run((100, 30), SampleRunState::Executing);
    bench.state.run = Some(RunScreen {
        since: bench.ticks,
        ..RunScreen::new(run_id(1))
    });
    bench.ticks += 149;
    assert!(!settle(&mut bench).contains("loading the run"));
    assert_eq!(bench.state.next_change_in(), Some(1));
    bench.ticks += 1;
    assert!(settle(&mut bench).contains("loading the run"));
}

#[test]
fn the_cost_pane_says_what_the_next_phase_will_cost_and_take_where_that_is_known() {
    for (size, told) in [
        (
            (80, 24),
            "next plan  $0.1200 to $0.2400 · 1m33 to 3m06 (p50 to p90 of 6 runs)",
        ),
        ((120, 40), "next plan  $0.1200 to $0.2400 "),
        ((60, 16), "next plan  $0.1200 to $0.2400 · 1m33 to 3m06 "),
    ] {
        let mut bench = ConsoleHarness::new(
            size,
            world(SampleRunState::Executing),
            SampleRunState::Executing,
        );
        bench.forecast = test_support::forecast();
        let mut bench = bench.start(Some(run_id(1)));
        bench.press("3");
        let screen = settle(&mut bench);
        assert!(screen.contains(told), "{size:?}\n{screen}");
    }
}

#[test]
fn the_hint_line_and_the_help_follow_keys_that_were_remapped() {
    let chosen = [
        ("next_version", "}"),
        ("previous_version", "{"),
        ("next_side", "v"),
        ("next_pane", ""),
    ];
    let keys = chosen
        .iter()
        .map(|(name, key)| {
            (
                (*name).to_owned(),
                key.split_whitespace().map(str::to_owned).collect(),
            )
        })
        .collect();
    let mut bench = on_run((120, 40), SampleRunState::Awaiting);
    bench.state.keys = crate::app::keymap::Keymap::remapped(&keys).unwrap();
    bench.press("2");
    let hints = settle(&mut bench).lines().last().unwrap().to_owned();
    assert!(
        hints.starts_with(" v diff to v2  { } versions  / find  p pause"),
        "an action without a key has no hint: {hints}"
    );
    bench.press("?");
    bench.press("/");
    bench.type_text("the version after", 10);
    let help = settle(&mut bench);
    assert!(
        help.lines()
            .any(|line| line.contains('}') && line.contains("the version after")),
        "{help}"
    );
}

#[test]
fn large_figures_stand_apart_from_what_they_belong_to() {
    let mut bench = on_run((200, 60), SampleRunState::Executing);
    bench.store_fact(RunFact::LlmCalled {
        phase_key: "spec".into(),
        attempt: 1,
        turn_id: "01930000-0000-7000-8000-00000000bb02".parse().unwrap(),
        turn: 2,
        model: "anthropic/claude-sonnet-4.5".to_owned(),
        tokens: crate::model::event::TokenUsage {
            input: 460_000_000,
            output: 153_000_000,
            ..Default::default()
        },
        cost: Some(crate::model::money::NanoUsd(3_680_000_000)),
        estimated: false,
        latency_ms: 1,
        status: crate::model::event::CallStatus::Ok,
    });
    let shown = settle(&mut bench);
    let figures: Vec<&str> = shown
        .lines()
        .filter(|line| line.contains("613M tok"))
        .collect();
    assert!(
        figures
            .iter()
            .all(|line| line.contains("$3.69      613M tok"))
            && figures.len() == 1,
        "{shown}"
    );
}
