//! Texts on the screen: transcripts folded and whole, what is found standing out, sizes that change.

use super::{ConsoleHarness, SampleRunState, at_gate, look, on_run, settle, snapshot};
use crate::app::msg::Msg;
use crate::app::test_support;

fn keyed(mut bench: ConsoleHarness, keys: &str) -> ConsoleHarness {
    settle(&mut bench);
    for key in keys.split(' ') {
        bench.press(key);
        settle(&mut bench);
    }
    bench
}

#[test]
fn a_transcript_folds_its_calls_and_its_attempts_are_chosen() {
    snapshot("transcript", |size| {
        keyed(on_run(size, SampleRunState::Awaiting), "5 [ [")
    });
    snapshot("transcript_whole", |size| {
        keyed(on_run(size, SampleRunState::Awaiting), "5 [ [ Enter")
    });
}

#[test]
fn what_is_found_in_an_artifact_stands_out_and_is_counted() {
    snapshot("artifact_find", |size| {
        keyed(on_run(size, SampleRunState::Awaiting), "2 / i t e m")
    });
    snapshot("artifact_found", |size| {
        keyed(
            on_run(size, SampleRunState::Awaiting),
            "2 / i t e m Enter n",
        )
    });
    snapshot("artifact_find_nothing", |size| {
        keyed(on_run(size, SampleRunState::Awaiting), "2 / I t e m")
    });
}

#[test]
fn what_is_found_at_a_gate_is_counted_in_its_frame() {
    snapshot("gate_found", |size| {
        keyed(
            at_gate(size, SampleRunState::Awaiting),
            "/ c e n t s Enter n",
        )
    });
}

#[test]
fn the_past_says_what_question_waited_then() {
    snapshot("run_past_question", |size| {
        keyed(on_run(size, SampleRunState::Completed), "< < < < < < < < <")
    });
}

#[test]
fn every_hit_on_the_screen_is_drawn_and_the_one_that_is_stood_at_differs() {
    let bench = keyed(
        on_run((100, 30), SampleRunState::Awaiting),
        "2 / i t e m Enter",
    );
    let (buf, _) = look(&bench.state);
    let styles: Vec<_> = buf
        .content()
        .windows(4)
        .filter(|cells| {
            cells
                .iter()
                .map(ratatui::buffer::Cell::symbol)
                .collect::<String>()
                == "item"
        })
        .map(|cells| {
            (
                cells[0].modifier,
                cells.iter().all(|cell| cell.modifier == cells[0].modifier),
            )
        })
        .collect();
    let (reversed, underlined) = (
        ratatui::style::Modifier::REVERSED,
        ratatui::style::Modifier::UNDERLINED,
    );
    let at = styles
        .iter()
        .filter(|(modifier, whole)| *whole && modifier.contains(reversed))
        .count();
    let others = styles
        .iter()
        .filter(|(modifier, whole)| *whole && modifier.contains(underlined))
        .count();
    assert_eq!((at, others), (1, 2), "{styles:?}");
}

#[test]
fn forks_are_laid_out_anew_for_another_width() {
    let mut bench = on_run((200, 60), SampleRunState::Awaiting);
    bench.candidates = test_support::candidates();
    let mut bench = keyed(bench, "! ] ]");
    let beside = |shown: &str| shown.contains("\"prices in cents\"") && shown.contains(" < ");
    assert!(beside(&settle(&mut bench)));
    bench.feed(Msg::Resize(80, 24));
    let narrow = settle(&mut bench);
    assert!(
        !beside(&narrow) && narrow.contains("/requirements/2  removed"),
        "{narrow}"
    );
    bench.feed(Msg::Resize(200, 60));
    assert!(beside(&settle(&mut bench)));
}
