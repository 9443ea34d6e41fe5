//! Screens as text, at the sizes that matter.

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
use crate::app::key::Chord;
use crate::app::msg::{Drawn, Msg, Returned};
use crate::app::sample::{self, Bench, Place, records, run_id};
use crate::app::state::AppState;
use crate::engine::api::{TextChunk, TextKind};
use crate::model::event::Fact;
use crate::model::record::RunRecord;
use crate::model::state::{Decision, PauseReason, Risk, RunStatus};

const SIZES: [(u16, u16); 4] = [(60, 16), (80, 24), (120, 40), (200, 60)];

/// The screen as text, and what was drawn.
fn look(state: &AppState) -> (Buffer, Drawn) {
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
fn settle(bench: &mut Bench) -> String {
    for _ in 0..5 {
        bench.state.dirty = false;
        bench.state.now = bench.now();
        let (buf, drawn) = look(&bench.state);
        bench.feed(Msg::Drawn(Drawn { drained: true, ..drawn }));
        if !bench.state.dirty {
            return text(&buf);
        }
    }
    panic!("the screen never rests");
}

fn waiting() -> RunRecord {
    sample::opened(&sample::journal(Place::Awaiting), Risk::Medium).record
}

fn world(place: Place) -> Vec<RunRecord> {
    let mut all: Vec<RunRecord> = records().into_iter().filter(|r| r.state != "paused" && r.id != run_id(1)).collect();
    all.push(sample::opened(&sample::journal(place), Risk::Medium).record);
    all
}

fn at_home(size: (u16, u16), records: Vec<RunRecord>) -> Bench {
    Bench::new(size, records, Place::Awaiting).start(None)
}

fn on_run(size: (u16, u16), place: Place) -> Bench {
    let mut bench = Bench::new(size, world(place), place).start(Some(run_id(1)));
    if place == Place::Executing {
        for (kind, said) in
            [(TextKind::Answer, "I will write the spec first.\nIt names what the cart does"), (TextKind::Tool, "write_file spec.json")]
        {
            let chunk = TextChunk { run_id: run_id(1), phase_key: "spec".into(), attempt: 1, kind, text: said.into() };
            bench.feed(Msg::Text(chunk));
        }
    }
    bench
}

fn at_gate(size: (u16, u16), place: Place) -> Bench {
    let mut bench = on_run(size, place);
    settle(&mut bench);
    bench.press("!");
    settle(&mut bench);
    bench.ticks += 2000;
    bench
}

fn snapshot(name: &str, make: impl Fn((u16, u16)) -> Bench) {
    for size in SIZES {
        let shown = settle(&mut make(size));
        insta::assert_snapshot!(format!("{name}_{}x{}", size.0, size.1), shown);
    }
}

#[test]
fn home_without_runs_says_what_this_is_and_how_to_start() {
    snapshot("home_empty", |size| at_home(size, vec![]));
}

#[test]
fn home_lists_who_waits_first() {
    snapshot("home_runs", |size| at_home(size, world(Place::Awaiting)));
}

#[test]
fn the_picker_says_what_each_run_was_doing() {
    snapshot("picker", |size| {
        let mut all = records();
        all.push(RunRecord { paused_from_state: Some("awaiting_approval".to_owned()), ..sample::record(9, RunStatus::Paused, 3000) });
        at_home(size, all)
    });
}

#[test]
fn a_run_at_work_shows_phases_and_what_the_agent_says() {
    snapshot("run_executing", |size| on_run(size, Place::Executing));
}

#[test]
fn a_run_that_waits_says_so_and_how_to_answer() {
    snapshot("run_awaiting", |size| on_run(size, Place::Awaiting));
}

fn in_events(size: (u16, u16), place: Place) -> Bench {
    let mut bench = on_run(size, place);
    bench.press("4");
    settle(&mut bench);
    bench
}

#[test]
fn a_search_shows_its_hit_while_it_is_typed() {
    snapshot("events_search", |size| {
        let mut bench = in_events(size, Place::Completed);
        bench.press("/");
        bench.type_text("sonnet plan", 50);
        bench
    });
}

#[test]
fn a_filter_is_in_the_title_and_what_it_leaves_out_in_the_frame() {
    snapshot("events_filter", |size| {
        let mut bench = in_events(size, Place::Completed);
        bench.press("&");
        bench.type_text("type:phase.,artifact.", 50);
        bench.press("Enter");
        bench.press("k");
        bench
    });
}

#[test]
fn long_events_wrap_when_asked() {
    snapshot("events_wrapped", |size| {
        let mut bench = in_events(size, Place::Failed);
        bench.press("z");
        bench.press("w");
        bench.press("k");
        bench
    });
}

#[test]
fn the_past_says_that_it_is_the_past_and_shows_what_was_then() {
    snapshot("run_past", |size| {
        let mut bench = on_run(size, Place::Completed);
        for key in ["<", "<", "<", "<", "<", ","] {
            bench.press(key);
            bench.ticks += 2000;
        }
        bench
    });
}

#[test]
fn the_past_at_its_first_event_has_no_artifact_and_no_cost() {
    snapshot("run_past_begin", |size| {
        let mut bench = in_events(size, Place::Awaiting);
        bench.press("g");
        bench.press(",");
        bench
    });
}

#[test]
fn a_completed_run_says_where_its_work_is() {
    snapshot("run_completed", |size| on_run(size, Place::Completed));
}

#[test]
fn a_failed_run_says_why_and_what_to_do() {
    snapshot("run_failed", |size| on_run(size, Place::Failed));
}

#[test]
fn the_artifact_pane_shows_an_invalid_version_with_its_errors() {
    snapshot("run_artifact_errors", |size| {
        let mut bench = on_run(size, Place::AwaitingFirst);
        bench.press("2");
        bench.press("[");
        bench
    });
}

#[test]
fn a_second_review_begins_at_what_changed() {
    snapshot("gate_diff", |size| at_gate(size, Place::Awaiting));
}

#[test]
fn a_first_review_shows_the_whole_and_counts_what_was_seen() {
    snapshot("gate_whole", |size| at_gate(size, Place::AwaitingFirst));
}

#[test]
fn approving_asks_for_exactly_this_content() {
    snapshot("gate_confirm", |size| {
        let mut bench = at_gate(size, Place::Awaiting);
        bench.press("A");
        bench
    });
}

#[test]
fn a_comment_is_written_beside_the_text_it_is_about() {
    snapshot("gate_comment", |size| {
        let mut bench = at_gate(size, Place::Awaiting);
        bench.press("c");
        bench.feed(Msg::Paste("Please say what happens with an empty cart.\nAnd 日本語 names.".to_owned()));
        bench
    });
}

#[test]
fn an_answer_ends_as_a_receipt() {
    snapshot("gate_receipt", |size| {
        let mut bench = at_gate(size, Place::Awaiting);
        bench.happens(sample::resolved(2, Decision::Approve, "ann"));
        bench
    });
}

#[test]
fn each_tab_of_a_gate_shows_its_text() {
    for (tabs, name) in [(2, "gate_errors"), (3, "gate_comments"), (4, "gate_inputs"), (5, "gate_log")] {
        snapshot(name, |size| {
            let mut bench = at_gate(size, Place::Awaiting);
            for _ in 0..tabs {
                bench.press("]");
                settle(&mut bench);
            }
            bench
        });
    }
}

#[test]
fn the_facts_of_a_gate_lose_the_less_important_words_first() {
    for width in [40, 60, 80, 120, 200] {
        let mut bench = on_run((width, 30), Place::Awaiting);
        bench.forecast = sample::forecast();
        bench.press("!");
        let shown = settle(&mut bench);
        let facts: Vec<&str> = shown.lines().skip(1).take(3).collect();
        insta::assert_snapshot!(format!("gate_facts_{width}"), facts.join("\n"));
        assert!(facts[0].contains("v3 b1fdcdcf"), "version and hash at {width}: {}", facts[0]);
        assert!(facts[1].contains("valid") && facts[2].contains("unlocks plan"), "{width}");
    }
}

#[test]
fn a_receipt_shows_every_line_of_the_words() {
    snapshot("gate_receipt_words", |size| {
        let mut bench = at_gate(size, Place::Awaiting);
        let mut answer = sample::resolved(2, Decision::RequestChanges, "ann");
        if let Fact::ApprovalResolved { comment, .. } = &mut answer {
            *comment = (1..=20).map(|n| format!("{n}. this is too long\n")).collect();
        }
        bench.happens(answer);
        settle(&mut bench);
        bench.press("Down");
        bench.press("Down");
        bench
    });
}

#[test]
fn nothing_beneath_something_in_front_looks_like_an_answer() {
    for key in ["x", "?", ":"] {
        let mut bench = at_gate((120, 40), Place::Awaiting);
        bench.press(key);
        let shown = settle(&mut bench);
        assert!(!shown.contains("A approve"), "{key}: {shown}");
    }
}

#[test]
fn a_question_about_no_artifact_says_what_happened_and_what_each_answer_does() {
    snapshot("gate_recovery", |size| {
        let mut bench = on_run(size, Place::Executing);
        sample::cannot_work().into_iter().for_each(|fact| bench.happens(fact));
        settle(&mut bench);
        bench.press("!");
        settle(&mut bench);
        bench.ticks += 2000;
        bench
    });
}

#[test]
fn a_version_of_the_operators_own_is_told_as_such() {
    snapshot("gate_edited", |size| {
        let mut bench = at_gate(size, Place::AwaitingFirst);
        let content = sample::SPEC_V2.to_owned();
        bench.feed(Msg::Returned(Returned::Edited { request_id: sample::request_id(1), content }));
        sample::revised().into_iter().for_each(|fact| bench.happens(fact));
        bench
    });
}

#[test]
fn help_comes_from_the_key_map() {
    snapshot("help", |size| {
        let mut bench = at_home(size, world(Place::Awaiting));
        bench.press("?");
        bench
    });
}

#[test]
fn the_palette_finds_by_typing() {
    snapshot("palette", |size| {
        let mut bench = on_run(size, Place::Awaiting);
        bench.press(":");
        bench.type_text("run", 10);
        bench
    });
}

#[test]
fn at_the_gate_of_a_paused_run_it_is_said_that_an_answer_waits_too() {
    let resting = |size| {
        let mut bench = at_gate(size, Place::Awaiting);
        bench.happens(Fact::RunPaused { ordinal: 1, reason: PauseReason::Interrupted, from_state: RunStatus::AwaitingApproval });
        settle(&mut bench);
        bench.ticks += 2000;
        bench
    };
    snapshot("gate_resting", resting);
    snapshot("gate_resting_receipt", |size| {
        let mut bench = resting(size);
        bench.press("A");
        settle(&mut bench);
        bench.ticks += 1000;
        bench.press("Enter");
        bench.happens(sample::resolved(2, Decision::Approve, "mo"));
        bench
    });
}

#[test]
fn what_is_done_today_is_one_line_until_it_is_opened() {
    let many = || {
        let mut all = world(Place::Awaiting);
        all.extend((20..32).map(|n| sample::record(n, RunStatus::Completed, i64::from(n))));
        all
    };
    snapshot("home_fold", |size| at_home(size, many()));
    snapshot("home_unfolded", |size| {
        let mut bench = at_home(size, many());
        settle(&mut bench);
        for _ in 0..3 {
            bench.press("j");
        }
        bench.press("Right");
        bench
    });
}

#[test]
fn a_filter_says_what_it_looks_through_and_how_far_it_is() {
    snapshot("home_filter", |size| {
        let mut bench = at_home(size, world(Place::Awaiting));
        bench.press("/");
        bench.type_text("failed", 10);
        bench
    });
    snapshot("home_filter_nothing", |size| {
        let mut bench = at_home(size, world(Place::Awaiting));
        bench.press("/");
        bench.type_text("zeppelin", 10);
        bench
    });
}

#[test]
fn an_empty_home_tells_what_doctor_warns_of() {
    snapshot("home_empty_warned", |size| {
        let mut bench = at_home(size, vec![]);
        bench.work();
        bench
    });
}

#[test]
fn loading_is_said_only_when_it_takes_long_and_a_failure_is_not_an_empty_list() {
    let look = |state: &AppState| text(&look(state).0);
    let mut bench = Bench::new((80, 24), vec![], Place::Awaiting);
    bench.state.now = bench.now();
    bench.state.runs.since = Some(bench.ticks);
    assert!(!look(&bench.state).contains("loading"));
    assert_eq!(bench.state.wakes_in(), Some(150));
    bench.ticks += 150;
    bench.feed(Msg::Tick);
    assert!(look(&bench.state).contains("loading runs"));
    let failure = crate::model::error::Failure::new(crate::model::error::Code::DbCorrupt, "a page is torn").hint("restore a backup");
    let ask = bench.state.runs.ask(bench.state.midnight(), 24);
    bench.feed(Msg::Loaded(crate::app::msg::Query::Runs(ask), Err(failure)));
    let shown = look(&bench.state);
    assert!(shown.contains("a page is torn") && shown.contains("restore a backup") && !shown.contains("No runs"), "{shown}");
}

#[test]
fn the_picker_shows_more_of_the_selected_one() {
    snapshot("picker_preview", |size| {
        let mut all = records();
        all.push(sample::record(9, RunStatus::Paused, 3000));
        let mut bench = at_home(size, all);
        settle(&mut bench);
        bench.press("Tab");
        bench
    });
}

#[test]
fn a_run_that_cannot_be_resumed_is_grey_and_says_why() {
    snapshot("picker_refused", |size| {
        let mut all = records();
        let thread = all.iter().find(|r| r.state == "executing").map(|r| r.thread.clone()).unwrap();
        all.push(RunRecord { thread, ..sample::record(9, RunStatus::Paused, 3000) });
        at_home(size, all)
    });
}

#[test]
fn costs_are_bars_and_an_unknown_price_is_a_question_mark() {
    snapshot("cost", |size| {
        let mut bench = at_home(size, world(Place::Awaiting));
        bench.press("$");
        bench.press("]");
        bench.press("]");
        bench
    });
}

#[test]
fn the_doctor_says_what_to_do() {
    snapshot("doctor", |size| {
        let mut bench = at_home(size, world(Place::Awaiting));
        bench.press("F5");
        bench.work();
        bench
    });
}

#[test]
fn settings_say_where_they_come_from() {
    use crate::app::looks::SettingLine;
    let line =
        |path: &str, value: &str, origin: &str| SettingLine { path: path.to_owned(), value: value.to_owned(), origin: origin.to_owned() };
    snapshot("settings", |size| {
        let mut bench = at_home(size, world(Place::Awaiting));
        bench.state.settings.file = "/home/op/.config/phasedeck/config.toml".to_owned();
        bench.state.settings.lines = vec![
            line("console.ascii", "false", ""),
            line("engine.on_crash", "\"resume\"", "/home/op/.config/phasedeck/config.toml:2"),
            line("openai.headers.X-Token", "(set, not shown)", "/home/op/.config/phasedeck/config.toml:9"),
            line("openai.model", "\"acme/large-and-long-name-of-a-model\"", "PHASEDECK_OPENAI_MODEL"),
        ];
        bench.press("F6");
        bench
    });
}

#[test]
fn the_keys_can_be_looked_through() {
    snapshot("help_filter", |size| {
        let mut bench = at_home(size, world(Place::Awaiting));
        bench.press("?");
        bench.press("/");
        bench.type_text("gate", 10);
        bench
    });
}

#[test]
fn ending_a_run_asks_first() {
    snapshot("abort", |size| {
        let mut bench = on_run(size, Place::Awaiting);
        bench.press("x");
        bench
    });
}

#[test]
fn ascii_shows_ascii_and_no_color_shows_no_colour() {
    let mut bench = at_gate((80, 24), Place::Awaiting);
    (bench.state.look.ascii, bench.state.look.no_color) = (true, true);
    let (buf, _) = look(&bench.state);
    assert_eq!(text(&buf).chars().find(|c| !c.is_ascii()), None, "{}", text(&buf));
    assert!(buf.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    let shows = [
        at_home((80, 24), world(Place::Awaiting)),
        at_home((80, 24), records()),
        on_run((200, 60), Place::Executing),
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
        assert_eq!(text(&buf).chars().find(|c| !c.is_ascii()), None, "{}", text(&buf));
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
        assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{202e}', '\u{e0041}', '\u{200d}']), "{shown}");
        assert!(shown.contains("␛]52"), "{shown}");
    }
}

#[test]
fn no_size_panics_and_a_gate_that_cannot_be_read_cannot_be_answered() {
    let makes: Vec<Box<dyn Fn() -> Bench>> = vec![
        Box::new(|| at_home((80, 24), vec![])),
        Box::new(|| at_home((80, 24), world(Place::Awaiting))),
        Box::new(|| at_home((80, 24), records())),
        Box::new(|| on_run((80, 24), Place::Executing)),
        Box::new(|| on_run((80, 24), Place::Failed)),
        Box::new(|| at_gate((80, 24), Place::Awaiting)),
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
                assert!(drawn.gate.is_none() || (width >= 40 && height >= 10), "{width}x{height}");
                bench.feed(Msg::Drawn(drawn));
            }
        }
    }
}

#[test]
fn a_pause_at_a_gate_is_told_beside_the_question() {
    let mut bench = on_run((80, 24), Place::Awaiting);
    bench.happens(Fact::RunPaused { ordinal: 1, reason: PauseReason::Operator, from_state: RunStatus::AwaitingApproval });
    let shown = text(&look(&bench.state).0);
    assert!(shown.contains("paused, spec_approved waits since 04:28"), "{shown}");
    assert!(shown.contains("! opens the question, r goes on"), "{shown}");
}

fn pressed(key: &str) -> Bench {
    let mut bench = at_gate((80, 24), Place::Awaiting);
    bench.press(key);
    bench
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_keys_make_a_screen_panic(keys in prop::collection::vec(prop::sample::select("jkgGAcXxpr!:?12345z[]fvhello".chars().collect::<Vec<_>>()), 0..40)) {
        let mut bench = on_run((80, 24), Place::Awaiting);
        for key in keys {
            bench.ticks += 300;
            bench.feed(Msg::Key(Chord::char(key)));
            let (_, drawn) = look(&bench.state);
            bench.feed(Msg::Drawn(Drawn { drained: true, ..drawn }));
        }
    }
}
