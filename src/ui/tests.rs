//! Screens as text, at the sizes that matter.

mod events;
mod front;
mod gates;
mod home;
mod new_run;
mod pictures;
mod questions;
mod recovery;
mod run_screen;
mod sizes;
mod states;
mod texts;

use proptest::prelude::*;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;

use super::draw;
use crate::app::keymap::key::KeyChord;
use crate::app::msg::{ExternalResult, FrameReport, Msg};
use crate::app::state::AppState;
use crate::app::test_support;
use crate::app::test_support::{ConsoleHarness, SampleRunState, records, run_id};
use crate::engine::api::{TextChunk, TextKind};
use crate::model::event::RunFact;
use crate::model::record::RunRecord;
use crate::model::state::{Decision, PauseReason, Risk, RunStatus};

const SIZES: [(u16, u16); 4] = [(60, 16), (80, 24), (120, 40), (200, 60)];

/// The screen as text, and what was drawn.
fn look(state: &AppState) -> (Buffer, FrameReport) {
    let area = Rect::new(0, 0, state.look.size.0, state.look.size.1);
    let mut buf = Buffer::empty(area);
    let drawn = draw(&mut buf, area, state);
    (buf, drawn)
}

fn text(buf: &Buffer) -> String {
    let width = usize::from(buf.area.width.max(1));
    let mut out = String::new();
    for row in buf.content.chunks(width) {
        let mut skip = 0;
        let mut line = String::new();
        for cell in row {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            line.push_str(cell.symbol());
            skip = super::text::cells(cell.symbol()).saturating_sub(1);
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Draws until the screen is at rest, as the loop does.
fn settle(bench: &mut ConsoleHarness) -> String {
    for _ in 0..5 {
        bench.state.dirty = false;
        bench.state.now = bench.now();
        let (buf, drawn) = look(&bench.state);
        bench.feed(Msg::Drawn(FrameReport {
            drained: true,
            ..drawn
        }));
        if !bench.state.dirty {
            return text(&buf);
        }
    }
    panic!("the screen never rests");
}

fn waiting() -> RunRecord {
    test_support::opened(
        &test_support::journal(SampleRunState::Awaiting),
        Risk::Medium,
    )
    .record
}

fn world(place: SampleRunState) -> Vec<RunRecord> {
    let mut all: Vec<RunRecord> = records()
        .into_iter()
        .filter(|r| r.state != "paused" && r.id != run_id(1))
        .collect();
    all.push(test_support::opened(&test_support::journal(place), Risk::Medium).record);
    all
}

fn at_home(size: (u16, u16), records: Vec<RunRecord>) -> ConsoleHarness {
    ConsoleHarness::new(size, records, SampleRunState::Awaiting).start(None)
}

fn on_run(size: (u16, u16), place: SampleRunState) -> ConsoleHarness {
    let mut bench = ConsoleHarness::new(size, world(place), place).start(Some(run_id(1)));
    if place == SampleRunState::Executing {
        for (kind, said) in [
            (
                TextKind::Answer,
                "I will write the spec first.\nIt names what the cart does",
            ),
            (TextKind::Tool, "write_file spec.json"),
        ] {
            let chunk = TextChunk {
                run_id: run_id(1),
                phase_key: "spec".into(),
                attempt: 1,
                kind,
                text: said.into(),
            };
            bench.feed(Msg::Text(chunk));
        }
    }
    bench
}

fn at_gate(size: (u16, u16), place: SampleRunState) -> ConsoleHarness {
    let mut bench = on_run(size, place);
    settle(&mut bench);
    bench.press("!");
    settle(&mut bench);
    bench.ticks += 2000;
    bench
}

fn pressed(key: &str) -> ConsoleHarness {
    let mut bench = at_gate((80, 24), SampleRunState::Awaiting);
    bench.press(key);
    bench
}

fn snapshot(name: &str, make: impl Fn((u16, u16)) -> ConsoleHarness) {
    for size in SIZES {
        let shown = settle(&mut make(size));
        insta::assert_snapshot!(format!("{name}_{}x{}", size.0, size.1), shown);
    }
}

#[test]
fn a_run_at_work_shows_phases_and_what_the_agent_says() {
    snapshot("run_executing", |size| {
        on_run(size, SampleRunState::Executing)
    });
}

#[test]
fn a_run_that_waits_says_so_and_how_to_answer() {
    snapshot("run_awaiting", |size| {
        on_run(size, SampleRunState::Awaiting)
    });
}

#[test]
fn a_completed_run_says_where_its_work_is() {
    snapshot("run_completed", |size| {
        on_run(size, SampleRunState::Completed)
    });
}

#[test]
fn a_failed_run_says_why_and_what_to_do() {
    snapshot("run_failed", |size| on_run(size, SampleRunState::Failed));
}

#[test]
fn the_artifact_pane_shows_an_invalid_version_with_its_errors() {
    snapshot("run_artifact_errors", |size| {
        let mut bench = on_run(size, SampleRunState::AwaitingFirst);
        bench.press("2");
        bench.press("[");
        bench
    });
}

#[test]
fn ascii_shows_ascii_and_no_color_shows_no_colour() {
    let mut bench = at_gate((80, 24), SampleRunState::Awaiting);
    (bench.state.look.ascii, bench.state.look.no_color) = (true, true);
    let (buf, _) = look(&bench.state);
    assert_eq!(
        text(&buf).chars().find(|c| !c.is_ascii()),
        None,
        "{}",
        text(&buf)
    );
    assert!(
        buf.content
            .iter()
            .all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset)
    );
    let shows = [
        at_home((80, 24), world(SampleRunState::Awaiting)),
        at_home((80, 24), records()),
        on_run((200, 60), SampleRunState::Executing),
        new_run::on_form((120, 40), "A cart"),
        pressed("$"),
        pressed("F5"),
        pressed("F6"),
    ];
    for bench in shows {
        let mut bench = bench;
        bench.work();
        bench.state.look.ascii = true;
        let (buf, _) = look(&bench.state);
        assert_eq!(
            text(&buf).chars().find(|c| !c.is_ascii()),
            None,
            "{}",
            text(&buf)
        );
    }
}

#[test]
fn foreign_text_in_every_column_stays_visible_text() {
    let nasty = "\u{1b}]52;c;aGk=\u{7}\u{202e}\u{e0041}日本語👩\u{200d}👩";
    let mut record = waiting();
    (record.workflow, record.requirements) = (nasty.to_owned(), nasty.to_owned());
    record.thread = nasty.into();
    record.current_phase = Some(nasty.into());
    for size in SIZES {
        let mut bench = at_home(size, vec![record.clone()]);
        let shown = settle(&mut bench);
        assert!(
            !shown.contains(['\u{1b}', '\u{7}', '\u{202e}', '\u{e0041}', '\u{200d}']),
            "{shown}"
        );
        assert!(shown.contains("␛]52"), "{shown}");
    }
}

#[test]
fn no_size_panics_and_a_gate_that_cannot_be_read_cannot_be_answered() {
    let makes: Vec<Box<dyn Fn() -> ConsoleHarness>> = vec![
        Box::new(|| at_home((80, 24), vec![])),
        Box::new(|| at_home((80, 24), world(SampleRunState::Awaiting))),
        Box::new(|| at_home((80, 24), records())),
        Box::new(|| on_run((80, 24), SampleRunState::Executing)),
        Box::new(|| on_run((80, 24), SampleRunState::Failed)),
        Box::new(|| at_gate((80, 24), SampleRunState::Awaiting)),
        Box::new(|| pressed("A")),
        Box::new(|| pressed("c")),
        Box::new(|| pressed("x")),
        Box::new(|| pressed("?")),
        Box::new(|| pressed(":")),
        Box::new(|| new_run::on_form((80, 24), "A cart")),
        Box::new(|| new_run::on_form((80, 24), "")),
        Box::new(|| pressed("$")),
        Box::new(|| {
            let mut bench = pressed("F5");
            bench.work();
            bench
        }),
        Box::new(|| pressed("F6")),
    ];
    for make in makes {
        let mut bench = make();
        for width in (0..=80).step_by(3).chain([1, 2, 4, 40, 119, 120, 161]) {
            for height in (0..=24).step_by(2).chain([1, 3, 31]) {
                bench.feed(Msg::Resize(width, height));
                let (_, drawn) = look(&bench.state);
                assert!(
                    drawn.gate.is_none() || (width >= 40 && height >= 10),
                    "{width}x{height}"
                );
                bench.feed(Msg::Drawn(drawn));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_keys_make_a_screen_panic(keys in prop::collection::vec(prop::sample::select("jkgGAcXxpr!:?12345z[]fvhello".chars().collect::<Vec<_>>()), 0..40)) {
        let mut bench = on_run((80, 24), SampleRunState::Awaiting);
        for key in keys {
            bench.ticks += 300;
            bench.feed(Msg::Key(KeyChord::char(key)));
            let (_, drawn) = look(&bench.state);
            bench.feed(Msg::Drawn(FrameReport { drained: true, ..drawn }));
        }
    }
}
