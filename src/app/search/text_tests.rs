//! Reading, finding and following in texts, as keys and messages.
use crate::app::msg::{FrameReport, Msg};
use crate::app::screens::gate::state::DecisionStep;
use crate::app::screens::run::state::RunPane;
use crate::app::search::incremental::MatchProgress;
use crate::app::state::Screen;
use crate::app::test_support::{ConsoleHarness, SampleRunState, records, run_id, turn_id};
use crate::app::text::scroll_view::ScrollView;
use crate::engine::api::{TextChunk, TextKind};
use crate::model::event::{CallStatus, RunFact, TokenUsage};

fn on_run(place: SampleRunState) -> ConsoleHarness {
    ConsoleHarness::new((160, 40), records(), place).start(Some(run_id(1)))
}

fn drew(bench: &mut ConsoleHarness) {
    let (text, reading) = (Some((60, 8)), Some((60, 8)));
    let gate = bench
        .state
        .gate
        .as_ref()
        .filter(|_| bench.state.screen() == Screen::Gate)
        .map(|gate| gate.request_id);
    bench.feed(Msg::Drawn(FrameReport {
        transcript: text,
        reading,
        gate,
        drained: true,
        ..FrameReport::default()
    }));
}

fn says(bench: &mut ConsoleHarness, attempt: u32, kind: TextKind, text: &str) {
    bench.feed(Msg::Text(TextChunk {
        run_id: run_id(1),
        phase_key: "spec".into(),
        attempt,
        kind,
        text: text.into(),
    }));
}

fn said(bench: &ConsoleHarness) -> Vec<String> {
    bench
        .state
        .run
        .as_ref()
        .unwrap()
        .said
        .reading
        .doc()
        .lines
        .iter()
        .map(|line| line.text.clone())
        .collect()
}

fn found(bench: &ConsoleHarness) -> MatchProgress {
    bench
        .state
        .run
        .as_ref()
        .unwrap()
        .artifact
        .reading
        .as_ref()
        .unwrap()
        .search_progress()
}

#[test]
fn the_transcript_is_of_the_phase_under_the_cursor_its_attempts_are_chosen_and_calls_unfold() {
    let mut bench = on_run(SampleRunState::Awaiting);
    drew(&mut bench);
    assert_eq!(
        said(&bench),
        ["turn 1", "Prices are in cents now."],
        "the last attempt"
    );
    bench.press_all("5 [ [");
    drew(&mut bench);
    let call = "> write_file  file_path: spec.json, content: 26 characters -> 2 lines";
    let folded = [
        "turn 1",
        "The cart needs items first.",
        "I will write the spec.",
        "It names what the cart does.",
        call,
    ];
    assert_eq!(said(&bench), folded);
    bench.press("Enter");
    assert_eq!(
        said(&bench).last().map(String::as_str),
        Some("   3 lines, 28 bytes")
    );
    bench.press("Space");
    assert_eq!(said(&bench), folded);
    bench.press_all("] ]");
    assert_eq!(
        bench.state.run.as_ref().unwrap().said.attempt,
        None,
        "the last one is followed again"
    );
    bench.press_all("1 j");
    drew(&mut bench);
    assert_eq!(said(&bench), Vec::<String>::new(), "the plan has not begun");
}

#[test]
fn what_is_said_live_is_followed_until_someone_scrolls_and_gives_way_to_what_is_stored() {
    let mut bench = on_run(SampleRunState::Executing);
    drew(&mut bench);
    let stored = said(&bench).len();
    for number in 0..20 {
        says(&mut bench, 1, TextKind::Answer, &format!("line {number}\n"));
    }
    let reading = |bench: &ConsoleHarness| -> ScrollView {
        bench.state.run.as_ref().unwrap().said.reading.clone()
    };
    assert!(reading(&bench).is_following() && reading(&bench).lines_below() == 0);
    bench.press_all("5 k");
    let before = reading(&bench).visible(8);
    says(&mut bench, 1, TextKind::Answer, "more\nand more\n");
    assert!(!reading(&bench).is_following());
    assert_eq!(
        (reading(&bench).visible(8), reading(&bench).lines_below()),
        (before.clone(), 3)
    );
    bench.press("f");
    assert!(reading(&bench).is_following() && reading(&bench).lines_below() == 0);
    assert_eq!(
        said(&bench).len(),
        stored + 1 + 23,
        "stored, a space, and what is said"
    );
    bench.store_fact(RunFact::LlmCalled {
        phase_key: "spec".into(),
        attempt: 1,
        turn_id: turn_id(2),
        turn: 2,
        model: "m".to_owned(),
        tokens: TokenUsage::default(),
        cost: None,
        estimated: false,
        latency_ms: 1,
        status: CallStatus::Ok,
    });
    says(&mut bench, 1, TextKind::Answer, "the next turn");
    drew(&mut bench);
    let lines = said(&bench);
    assert_eq!(
        lines[stored..],
        [
            "",
            "turn 1",
            "One acceptance criterion was missing: I add it.",
            "",
            "the next turn"
        ]
    );
}

#[test]
fn of_an_agent_that_stores_nothing_what_was_heard_stays() {
    let mut bench = on_run(SampleRunState::Executing);
    bench
        .state
        .run
        .as_mut()
        .unwrap()
        .said
        .push_chunk(&TextChunk {
            run_id: run_id(1),
            phase_key: "plan".into(),
            attempt: 1,
            kind: TextKind::Answer,
            text: "a rehearsal".into(),
        });
    bench.press_all("1 j");
    drew(&mut bench);
    assert_eq!(said(&bench), Vec::<String>::new(), "it has not begun");
    bench.press("k");
    says(&mut bench, 1, TextKind::Tool, "read_file a");
    drew(&mut bench);
    assert_eq!(
        said(&bench).last().map(String::as_str),
        Some("> read_file a")
    );
}

#[test]
fn in_the_past_the_transcript_is_what_was_stored_by_then() {
    let mut bench = on_run(SampleRunState::Awaiting);
    drew(&mut bench);
    let mut told = Vec::new();
    for _ in 0..13 {
        bench.press(",");
        drew(&mut bench);
        let seq = bench.state.run.as_ref().unwrap().history_seq().unwrap();
        told.push((seq, said(&bench).last().cloned().unwrap_or_default()));
    }
    let at = |seq: u64| {
        told.iter()
            .find(|(at, _)| *at == seq)
            .map(|(_, text)| text.as_str())
    };
    assert_eq!(at(17), Some("Prices are in cents now."));
    assert_eq!(
        at(16),
        Some("no turn of this attempt is stored: nobody was asked, or a rehearsal played it")
    );
    assert_eq!(
        at(12),
        Some("One acceptance criterion was missing: I add it.")
    );
    assert_eq!(
        at(8),
        Some("> write_file  file_path: spec.json, content: 26 characters -> 2 lines")
    );
    assert_eq!(
        at(7),
        Some("> write_file  file_path: spec.json, content: 26 characters -> no result yet")
    );
    bench.press("End");
    drew(&mut bench);
    assert_eq!(said(&bench), ["turn 1", "Prices are in cents now."]);
}

#[test]
fn slash_finds_in_the_artifact_as_it_is_typed_and_esc_gives_the_place_back() {
    let mut bench = on_run(SampleRunState::Awaiting);
    drew(&mut bench);
    bench.press_all("2 / i t e m");
    assert_eq!(found(&bench), MatchProgress::At(1, 3, false));
    bench.press("Down");
    assert_eq!(found(&bench), MatchProgress::At(2, 3, false));
    bench.press("Esc");
    assert_eq!(found(&bench), MatchProgress::Nothing);
    bench.press_all("/ I t e m");
    assert_eq!(
        found(&bench),
        MatchProgress::Nowhere,
        "a capital letter counts"
    );
    bench.press_all("Backspace Backspace Backspace Backspace i t e m Enter n n n");
    assert_eq!(found(&bench), MatchProgress::NoMore(3, 3, true));
    bench.press("N");
    assert_eq!(found(&bench), MatchProgress::At(2, 3, false));
    bench.press("h");
    assert_eq!(
        bench
            .state
            .run
            .as_ref()
            .unwrap()
            .artifact
            .search
            .needle
            .as_ref()
            .map(|needle| needle.typed()),
        Some("item")
    );
    bench.press("Esc");
    assert_eq!(
        (
            bench.state.screen(),
            bench.state.run.as_ref().unwrap().focus
        ),
        (Screen::Run, RunPane::Artifact)
    );
    assert_eq!(found(&bench), MatchProgress::Nothing);
}

#[test]
fn slash_without_a_text_finds_in_the_events() {
    let mut bench = on_run(SampleRunState::Awaiting);
    bench.press_all("1 /");
    let run = bench.state.run.as_ref().unwrap();
    assert!(run.focus == RunPane::Events && run.finding.prompt.is_some());
}

#[test]
fn at_a_gate_letters_that_are_typed_to_find_something_answer_nothing() {
    let mut bench = on_run(SampleRunState::Awaiting);
    bench.press("!");
    drew(&mut bench);
    bench.ticks += 2000;
    bench.press("/");
    bench.ticks += 2000;
    for key in ["A", "Enter", "/", "X", "x", "c", "e", "Backspace"] {
        bench.press(key);
        bench.ticks += 2000;
        drew(&mut bench);
        assert!(
            matches!(
                bench.state.gate.as_ref().unwrap().stage,
                DecisionStep::Reading
            ),
            "{key}"
        );
    }
    assert!(bench.sent.is_empty() && bench.state.modal.is_none());
    bench.press_all("Esc Esc");
    assert_eq!(
        bench.state.screen(),
        Screen::Gate,
        "first out of the search"
    );
    bench.press("Esc");
    assert_eq!(bench.state.screen(), Screen::Run);
}

#[test]
fn what_is_searched_at_a_gate_is_searched_in_each_of_its_texts() {
    let mut bench = on_run(SampleRunState::Awaiting);
    bench.press("!");
    drew(&mut bench);
    bench.press_all("/ c e n t s Enter");
    let told = |bench: &ConsoleHarness| {
        bench
            .state
            .gate
            .as_ref()
            .unwrap()
            .scroll_view()
            .unwrap()
            .search_progress()
    };
    assert_eq!(told(&bench), MatchProgress::At(1, 2, false));
    bench.press("]");
    assert_eq!(told(&bench), MatchProgress::Many(2, false));
    bench.press("n");
    assert_eq!(told(&bench), MatchProgress::At(1, 2, false));
}

#[test]
fn a_whole_event_is_searched_like_any_text_and_esc_first_ends_the_search() {
    let mut bench = on_run(SampleRunState::Awaiting);
    bench.press_all("4 Enter / s p e c Enter");
    let told = |bench: &ConsoleHarness| match &bench.state.modal {
        Some(crate::app::state::Modal::Text(_, reading)) => Some(reading.search_progress()),
        _ => None,
    };
    assert!(
        matches!(told(&bench), Some(MatchProgress::At(1, count, false)) if count > 1),
        "{:?}",
        told(&bench)
    );
    bench.press("n");
    assert!(matches!(told(&bench), Some(MatchProgress::At(2, _, false))));
    bench.press("Esc");
    assert_eq!(told(&bench), Some(MatchProgress::Nothing));
    bench.press("Esc");
    assert_eq!(told(&bench), None);
}
