//! Every screen at every size, in every look: nothing panics, nothing is written beside the buffer, and
//! wide letters keep the frame straight.

use proptest::prelude::*;

use super::{
    ConsoleHarness, SampleRunState, at_gate, at_home, look, on_run, records, settle, text, world,
};
use crate::app::msg::{FrameReport, Msg};
use crate::model::record::RunRecord;
use crate::model::settings::ThemeName;

/// One of the screens, with something in front of it or without.
fn screen(which: usize) -> ConsoleHarness {
    let size = (80, 24);
    let (mut bench, keys): (ConsoleHarness, &[&str]) = match which {
        0 => (at_home(size, vec![]), &[]),
        1 => (at_home(size, world(SampleRunState::Awaiting)), &[]),
        2 => (at_home(size, records()), &[]),
        3 => (on_run(size, SampleRunState::Executing), &[]),
        4 => (on_run(size, SampleRunState::Failed), &["4"]),
        5 => (on_run(size, SampleRunState::Completed), &["1", "t"]),
        6 => (on_run(size, SampleRunState::AwaitingFirst), &["2", "z"]),
        7 => (
            on_run(size, SampleRunState::Executing),
            &["5", "+", "+", "1", "-", "-", "-"],
        ),
        8 => (on_run(size, SampleRunState::Awaiting), &["4", "Enter"]),
        9 => (at_gate(size, SampleRunState::Awaiting), &[]),
        10 => (at_gate(size, SampleRunState::AwaitingFirst), &["A"]),
        11 => (at_gate(size, SampleRunState::Awaiting), &["c"]),
        12 => (at_gate(size, SampleRunState::Awaiting), &["x"]),
        13 => (on_run(size, SampleRunState::Awaiting), &["?"]),
        _ => (on_run(size, SampleRunState::Awaiting), &[":"]),
    };
    keys.iter().for_each(|key| bench.press(key));
    bench
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    #[test]
    fn every_screen_is_drawn_at_every_size(
        which in 0usize..15,
        sizes in prop::collection::vec((0u16..=300, 0u16..=100), 1..5),
        theme in prop::sample::select(vec![ThemeName::Dark, ThemeName::Light, ThemeName::Contrast]),
        ascii: bool,
    ) {
        let mut bench = screen(which);
        (bench.state.look.theme, bench.state.look.ascii) = (theme, ascii);
        for (width, height) in sizes {
            bench.feed(Msg::Resize(width, height));
            let (buf, drawn) = look(&bench.state);
            prop_assert_eq!((buf.area.width, buf.area.height), (width, height));
            prop_assert!(drawn.gate.is_none() || (width >= 40 && height >= 10));
            let inside = |place: &crate::app::mouse::HitRegion| place.x + place.width <= width && place.y + place.height <= height;
            prop_assert!(drawn.places.iter().all(inside), "{:?}", drawn.places);
            if ascii {
                prop_assert!(text(&buf).is_ascii(), "{}", text(&buf));
            }
            bench.feed(Msg::Drawn(FrameReport { drained: true, ..drawn }));
        }
    }
}

#[test]
fn wide_letters_keep_every_frame_straight() {
    let mut bench = on_run((130, 40), SampleRunState::AwaitingFirst);
    let name = "買い物かご👩‍🚀カート機能";
    bench
        .state
        .runs
        .records
        .iter_mut()
        .for_each(|record: &mut RunRecord| record.workflow = name.to_owned());
    if let Some(known) = bench.state.run.as_mut().and_then(|run| run.opened.as_mut()) {
        known.record.workflow = name.to_owned();
        known
            .details
            .artifacts
            .iter_mut()
            .for_each(|artifact| artifact.path = format!("{name}.json"));
    }
    for size in [(130, 40), (200, 60)] {
        bench.feed(Msg::Resize(size.0, size.1));
        settle(&mut bench);
        let (buf, _) = look(&bench.state);
        let right = size.0 - 1;
        let edges: String = (4..size.1 - 2)
            .map(|row| buf[(right, row)].symbol().to_owned())
            .collect();
        assert_eq!(
            edges.trim_matches(['│', '╭', '╮', '╰', '╯']),
            "",
            "{size:?}: {}",
            text(&buf)
        );
    }
}
