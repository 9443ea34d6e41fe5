//! Flows of the pure core: feed, then look at the state and at what is to be done.

use crate::app::keymap::key::{KeyChord, KeyCode};
use crate::app::msg::{Cmd, ExternalProgram, FrameReport, Msg};
use crate::app::screens::gate::gate_tests::{asked_outside, decided, waiting_record};
use crate::app::state::{Modal, Screen};
use crate::app::test_support;
use crate::app::test_support::{ConsoleHarness, SampleRunState, record, records, run_id};
use crate::engine::api::EngineCommand;
use crate::model::record::RunRecord;
use crate::model::state::RunStatus;
use proptest::prelude::*;

#[test]
fn a_gate_that_arrives_takes_no_focus_and_rings_only_where_nobody_looks() {
    let mut bench = ConsoleHarness::new(
        (80, 24),
        vec![record(3, RunStatus::Executing, 3)],
        SampleRunState::Executing,
    )
    .start(None);
    let screen = bench.state.screen();
    bench.feed(Msg::Focus(false));
    bench.records.push(waiting_record());
    bench.feed(Msg::Stale);
    assert_eq!(
        (bench.state.screen(), bench.done.clone()),
        (screen, vec![Cmd::Notify("phasedeck: approval pending")])
    );
    bench.feed(Msg::Stale);
    assert_eq!(bench.done.len(), 1, "only on the transition");
}

#[test]
fn a_jump_in_the_numbers_asks_for_a_new_snapshot() {
    let mut bench = ConsoleHarness::new(
        (80, 24),
        vec![waiting_record()],
        SampleRunState::AwaitingFirst,
    )
    .start(Some(run_id(1)));
    bench.events = test_support::journal(SampleRunState::Awaiting);
    let last = bench.events.last().unwrap().clone();
    bench.feed(Msg::Event(std::sync::Arc::new(last.clone())));
    assert_eq!(
        bench.state.run.as_ref().unwrap().state().unwrap().last_seq,
        last.seq
    );
}

#[test]
fn facts_fold_as_they_come() {
    let mut bench =
        ConsoleHarness::new((80, 24), records(), SampleRunState::Executing).start(Some(run_id(1)));
    for event in test_support::journal(SampleRunState::Completed)
        .into_iter()
        .skip(8)
    {
        bench.store_fact(event.fact);
    }
    assert_eq!(
        bench.state.run.as_ref().unwrap().state().unwrap().status,
        RunStatus::Completed
    );
}

#[test]
fn the_picker_opens_at_the_start_when_something_is_paused_and_only_then() {
    let bench = ConsoleHarness::new((80, 24), records(), SampleRunState::Executing).start(None);
    assert_eq!(bench.state.screen(), Screen::Picker);
    let bench = ConsoleHarness::new((80, 24), vec![waiting_record()], SampleRunState::Executing)
        .start(None);
    assert_eq!(bench.state.screen(), Screen::Runs);
    let mut bench = ConsoleHarness::new((80, 24), vec![], SampleRunState::Executing).start(None);
    bench.press("j");
    bench.records = records();
    bench.feed(Msg::Stale);
    assert_eq!(
        bench.state.screen(),
        Screen::Runs,
        "a key was pressed before"
    );
}

#[test]
fn marked_runs_are_resumed_together() {
    let paused = |n| record(n, RunStatus::Paused, 90);
    let mut bench = ConsoleHarness::new(
        (80, 24),
        vec![paused(1), paused(2), paused(3)],
        SampleRunState::Executing,
    )
    .start(None);
    bench.press("Space");
    bench.press("Space");
    bench.press("Enter");
    let resumed: Vec<&EngineCommand> = bench.sent.iter().map(|(_, command)| command).collect();
    assert_eq!(
        resumed,
        [
            &EngineCommand::Resume { run_id: run_id(1) },
            &EngineCommand::Resume { run_id: run_id(2) }
        ]
    );
}

#[test]
fn ending_a_run_asks_and_the_first_answer_is_harmless() {
    let mut bench =
        ConsoleHarness::new((80, 24), records(), SampleRunState::Executing).start(Some(run_id(1)));
    let drawn = |bench: &mut ConsoleHarness| {
        bench.feed(Msg::Drawn(crate::app::msg::FrameReport {
            drained: true,
            ..Default::default()
        }))
    };
    bench.press("x");
    drawn(&mut bench);
    bench.press("Enter");
    assert!(bench.sent.is_empty() && bench.state.modal.is_none());
    bench.press("x");
    bench.press("Right");
    bench.press("Enter");
    assert!(bench.sent.is_empty(), "not drawn yet");
    drawn(&mut bench);
    bench.press("Enter");
    assert_eq!(
        bench.sent.last().unwrap().1,
        EngineCommand::Abort {
            run_id: run_id(1),
            reason: String::new()
        }
    );
}

#[test]
fn leaving_asks_only_while_runs_work_here() {
    let mut bench =
        ConsoleHarness::new((80, 24), vec![waiting_record()], SampleRunState::Awaiting).start(None);
    bench.press("q");
    assert_eq!(bench.done, [Cmd::Quit]);
    let mut bench = ConsoleHarness::new(
        (80, 24),
        vec![record(3, RunStatus::Executing, 3)],
        SampleRunState::Executing,
    )
    .start(None);
    bench.press("q");
    assert!(matches!(&bench.state.modal, Some(Modal::Confirm(_))) && bench.done.is_empty());
    bench.press("Esc");
    bench.press("Ctrl-C");
    assert!(bench.done.is_empty());
    bench.press("Ctrl-C");
    assert_eq!(bench.done, [Cmd::Drain]);
    bench.feed(Msg::Drained);
    assert_eq!(bench.done, [Cmd::Drain, Cmd::Quit]);
}

#[test]
fn an_idle_console_sleeps_until_midnight() {
    let mut bench =
        ConsoleHarness::new((80, 24), vec![waiting_record()], SampleRunState::Awaiting).start(None);
    bench.feed(Msg::Tick);
    // It is 04:40.
    assert_eq!(bench.state.next_change_in(), Some((19 * 60 + 20) * 60_000));
}

fn any_chord() -> impl Strategy<Value = KeyChord> {
    use KeyCode::{
        BackTab, Backspace, Char, Delete, Down, End, Enter, Esc, Home, Left, PageDown, PageUp,
        Right, Tab, Up,
    };
    let codes = vec![
        BackTab, Backspace, Delete, Down, End, Enter, Esc, Home, Left, PageDown, PageUp, Right,
        Tab, Up,
    ];
    let typed = prop::sample::select(
        "jkgGAcXxpr!:?123456z[]fq vn"
            .chars()
            .map(Char)
            .collect::<Vec<_>>(),
    );
    (
        prop_oneof![prop::sample::select(codes), typed],
        prop::bool::weighted(0.1),
    )
        .prop_map(|(code, ctrl)| KeyChord {
            code,
            ctrl,
            alt: false,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_keys_on_any_state_panic_and_none_decides_unseen(
        chords in prop::collection::vec((any_chord(), 0u64..1500), 0..80),
        place in prop::sample::select(vec![SampleRunState::Executing, SampleRunState::AwaitingFirst, SampleRunState::Awaiting, SampleRunState::Completed, SampleRunState::Failed]),
        on_run in any::<bool>(),
    ) {
        let mut bench = ConsoleHarness::new((80, 24), records(), place).start(on_run.then(|| run_id(1)));
        for (chord, pause) in chords {
            bench.ticks += pause;
            bench.feed(Msg::Key(chord));
        }
        // Nothing was ever drawn, so nothing may have been answered.
        prop_assert_eq!(decided(&bench), None);
    }
}

#[test]
fn what_another_run_says_draws_nothing_and_hides_nothing() {
    let mut bench =
        ConsoleHarness::new((80, 24), records(), SampleRunState::Executing).start(Some(run_id(1)));
    let chunk = |n| crate::engine::api::TextChunk {
        run_id: run_id(n),
        phase_key: "spec".into(),
        attempt: 1,
        kind: crate::engine::api::TextKind::Answer,
        text: "hm".into(),
    };
    bench.state.dirty = false;
    bench.feed(Msg::Text(chunk(3)));
    assert!(!bench.state.dirty);
    bench.feed(Msg::Text(chunk(1)));
    bench.feed(Msg::Text(chunk(3)));
    assert!(bench.state.dirty);
}

#[test]
fn the_artifact_pane_turns_through_what_can_be_shown_of_a_version() {
    use crate::app::screens::run::state::ArtifactView;
    let mut bench = ConsoleHarness::new((80, 24), vec![waiting_record()], SampleRunState::Awaiting)
        .start(Some(run_id(1)));
    bench.press("2");
    let mut seen = Vec::new();
    for _ in 0..4 {
        let run = bench.state.run.as_ref().unwrap();
        seen.push((run.artifact.side, run.artifact.reading.is_some()));
        bench.press("l");
    }
    assert_eq!(
        seen,
        [
            (ArtifactView::Whole, true),
            (ArtifactView::Previous, true),
            (ArtifactView::Transcript, true),
            (ArtifactView::Whole, true)
        ]
    );
    bench.press("h");
    bench.press("[");
    bench.press("[");
    bench.press("l");
    let run = bench.state.run.as_ref().unwrap();
    assert_eq!(
        (run.version().unwrap().version, run.artifact.side),
        (1, ArtifactView::Errors)
    );
    assert_eq!(
        run.artifact.reading.as_ref().unwrap().doc().lines[0].text,
        "/acceptance_criteria"
    );
    bench.press("e");
    assert_eq!(
        asked_outside(&bench),
        None,
        "only what is asked about can be edited"
    );
    bench.press("o");
    assert!(matches!(
        asked_outside(&bench),
        Some(ExternalProgram::Page { .. })
    ));
}

#[test]
fn a_filter_looks_through_rows_first_and_then_through_artifacts_and_esc_ends_it() {
    let mut bench = ConsoleHarness::new((80, 24), records(), SampleRunState::Executing);
    bench.records.retain(|r| r.state != "paused");
    let mut bench = bench.start(None);
    bench.press("/");
    bench.type_text("q", 10);
    assert!(bench.done.is_empty(), "a letter of the filter is no key");
    bench.press("Backspace");
    bench.type_text("gizmo", 10);
    let listed: Vec<_> = bench.state.runs.records.iter().map(|r| r.id).collect();
    assert_eq!(listed, [run_id(6)], "found by its artifact alone");
    assert_eq!(
        (bench.state.runs.filter.looked_at, bench.state.runs.len()),
        (40, 1)
    );
    bench.press("Enter");
    bench.press("Enter");
    assert_eq!(bench.state.screen(), Screen::Run);
    bench.press("Esc");
    bench.press("Esc");
    assert!(!bench.state.runs.filter.is_active() && bench.state.runs.len() > 1);
}

#[test]
fn the_fold_opens_and_closes_and_leads_into_its_runs() {
    let mut all = vec![waiting_record()];
    all.extend((20..32).map(|n| record(n, RunStatus::Completed, i64::from(n))));
    let mut bench = ConsoleHarness::new((80, 24), all, SampleRunState::Awaiting).start(None);
    assert_eq!(bench.state.runs.len(), 2);
    bench.press("j");
    bench.press("Enter");
    assert_eq!(bench.state.runs.len(), 14);
    bench.press("j");
    assert_eq!(bench.state.runs.selected, Some(run_id(20)));
    bench.press("Left");
    assert_eq!((bench.state.runs.len(), bench.state.runs.cursor), (2, 1));
}

#[test]
fn with_a_thousand_stopped_runs_only_those_on_the_screen_are_looked_into() {
    let many = (0..1000)
        .map(|n| test_support::many(n, RunStatus::Paused))
        .collect();
    let mut bench = ConsoleHarness::new((80, 24), many, SampleRunState::Executing).start(None);
    assert_eq!(bench.state.screen(), Screen::Picker);
    bench.feed(Msg::Drawn(FrameReport {
        list: Some(6),
        drained: true,
        ..FrameReport::default()
    }));
    assert_eq!(bench.state.picker.previews.len(), 6);
    bench.press("G");
    assert_eq!(bench.state.picker.previews.len(), 12);
}

#[test]
fn of_marked_runs_those_that_cannot_go_on_are_left_and_said() {
    let paused = |n| record(n, RunStatus::Paused, 90);
    let held = RunRecord {
        thread: record(4, RunStatus::Executing, 1).thread,
        ..paused(3)
    };
    let all = vec![
        paused(1),
        paused(2),
        held,
        record(4, RunStatus::Executing, 1),
    ];
    let mut bench = ConsoleHarness::new((80, 24), all, SampleRunState::Executing).start(None);
    for _ in 0..3 {
        bench.press("Space");
    }
    bench.press("Enter");
    let resumed: Vec<&EngineCommand> = bench.sent.iter().map(|(_, command)| command).collect();
    assert_eq!(
        resumed,
        [
            &EngineCommand::Resume { run_id: run_id(1) },
            &EngineCommand::Resume { run_id: run_id(2) }
        ]
    );
    assert!(
        bench
            .state
            .notice
            .as_ref()
            .unwrap()
            .text
            .contains("1 cannot resume"),
        "{:?}",
        bench.state.notice
    );
}

#[test]
fn the_demo_starts_from_an_empty_list_and_from_the_palette() {
    for keys in [&["D"][..], &[":", "d", "e", "m", "o", "Enter"]] {
        let mut bench =
            ConsoleHarness::new((80, 24), vec![], SampleRunState::Executing).start(None);
        bench.worked.clear();
        keys.iter().for_each(|key| bench.press(key));
        assert_eq!(
            bench.worked.pop_front(),
            Some(crate::app::msg::BackgroundJob::Demo),
            "{keys:?}"
        );
        bench.feed(Msg::Done(crate::app::msg::JobResult::Demo(Ok(
            Box::default(),
        ))));
        assert!(matches!(
            bench.sent.last(),
            Some((_, EngineCommand::Start(_)))
        ));
    }
}

#[test]
fn the_palette_leads_to_screens_and_runs_and_what_is_used_most_stands_first() {
    let mut bench =
        ConsoleHarness::new((80, 24), records(), SampleRunState::Executing).start(Some(run_id(1)));
    let open = |bench: &mut ConsoleHarness, typed: &str| {
        bench.press(":");
        bench.type_text(typed, 10);
        bench.press("Enter");
    };
    open(&mut bench, "everything cost");
    assert_eq!(bench.state.screen(), Screen::Cost);
    open(&mut bench, &run_id(6).short());
    assert_eq!(
        (
            bench.state.screen(),
            bench.state.run.as_ref().unwrap().run_id
        ),
        (Screen::Run, run_id(6))
    );
    bench.press(":");
    let Some(Modal::Palette(palette)) = &bench.state.modal else {
        panic!()
    };
    let found = crate::app::modal::palette::matches(&bench.state, palette);
    assert_eq!(found[0].text, "what everything cost, over time");
}
