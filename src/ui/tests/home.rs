//! The list of runs, the picker, and what is looked at beside them: costs, checks, settings.

use super::*;
use crate::app::mouse::{MouseInput, MouseTarget};
use crate::app::screens::runs::state::RunListRow;
use crate::app::state::Screen;

#[test]
fn home_without_runs_says_what_this_is_and_how_to_start() {
    snapshot("home_empty", |size| at_home(size, vec![]));
}

#[test]
fn home_lists_who_waits_first() {
    snapshot("home_runs", |size| {
        at_home(size, world(SampleRunState::Awaiting))
    });
}

#[test]
fn the_picker_says_what_each_run_was_doing() {
    snapshot("picker", |size| {
        let mut all = records();
        all.push(RunRecord {
            paused_from_state: Some("awaiting_approval".to_owned()),
            ..test_support::record(9, RunStatus::Paused, 3000)
        });
        at_home(size, all)
    });
}

#[test]
fn enter_is_not_offered_on_a_run_that_cannot_go_on() {
    let mut all = records();
    let thread = all
        .iter()
        .find(|record| record.state == "executing")
        .unwrap()
        .thread
        .clone();
    all.iter_mut()
        .find(|record| record.state == "paused")
        .unwrap()
        .thread = thread;
    let shown = settle(&mut at_home((80, 24), all));
    assert!(
        shown.contains("Cannot resume.      v inspect run    Esc later")
            && !shown.contains("Enter resume"),
        "{shown}"
    );
}

#[test]
fn what_is_done_today_is_one_line_until_it_is_opened() {
    let many = || {
        let mut all = world(SampleRunState::Awaiting);
        all.extend((20..32).map(|n| test_support::record(n, RunStatus::Completed, i64::from(n))));
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
        let mut bench = at_home(size, world(SampleRunState::Awaiting));
        bench.press("/");
        bench.type_text("failed", 10);
        bench
    });
    snapshot("home_filter_nothing", |size| {
        let mut bench = at_home(size, world(SampleRunState::Awaiting));
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
    let mut bench = ConsoleHarness::new((80, 24), vec![], SampleRunState::Awaiting);
    bench.state.now = bench.now();
    bench.state.runs.since = Some(bench.ticks);
    assert!(!look(&bench.state).contains("loading"));
    assert_eq!(bench.state.next_change_in(), Some(150));
    bench.ticks += 150;
    bench.feed(Msg::Tick);
    assert!(look(&bench.state).contains("loading runs"));
    let failure =
        crate::model::error::Failure::new(crate::model::error::Code::DbCorrupt, "a page is torn")
            .hint("restore a backup");
    let ask = bench.state.runs.page_request(bench.state.midnight(), 24);
    bench.feed(Msg::Loaded(
        crate::app::msg::ArchiveQuery::Runs(ask),
        Err(failure),
    ));
    let shown = look(&bench.state);
    assert!(
        shown.contains("a page is torn")
            && shown.contains("restore a backup")
            && !shown.contains("No runs"),
        "{shown}"
    );
}

#[test]
fn the_picker_shows_more_of_the_selected_one() {
    snapshot("picker_preview", |size| {
        let mut all = records();
        all.push(test_support::record(9, RunStatus::Paused, 3000));
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
        let thread = all
            .iter()
            .find(|r| r.state == "executing")
            .map(|r| r.thread.clone())
            .unwrap();
        all.push(RunRecord {
            thread,
            ..test_support::record(9, RunStatus::Paused, 3000)
        });
        at_home(size, all)
    });
}

#[test]
fn costs_are_bars_and_an_unknown_price_is_a_question_mark() {
    snapshot("cost", |size| {
        let mut bench = at_home(size, world(SampleRunState::Awaiting));
        bench.press("$");
        bench.press("]");
        bench.press("]");
        bench
    });
}

#[test]
fn the_doctor_says_what_to_do() {
    snapshot("doctor", |size| {
        let mut bench = at_home(size, world(SampleRunState::Awaiting));
        bench.press("F5");
        bench.work();
        bench
    });
}

#[test]
fn settings_say_where_they_come_from() {
    use crate::app::screens::info::state::SettingLine;
    let line = |path: &str, value: &str, origin: &str| SettingLine {
        path: path.to_owned(),
        value: value.to_owned(),
        origin: origin.to_owned(),
    };
    snapshot("settings", |size| {
        let mut bench = at_home(size, world(SampleRunState::Awaiting));
        bench.state.settings.file = "/home/op/.config/phasedeck/config.toml".to_owned();
        bench.state.settings.lines = vec![
            line("console.ascii", "false", ""),
            line(
                "engine.on_crash",
                "\"resume\"",
                "/home/op/.config/phasedeck/config.toml:2",
            ),
            line(
                "openai.headers.X-Token",
                "(set, not shown)",
                "/home/op/.config/phasedeck/config.toml:9",
            ),
            line(
                "openai.model",
                "\"acme/large-and-long-name-of-a-model\"",
                "PHASEDECK_OPENAI_MODEL",
            ),
        ];
        bench.press("F6");
        bench
    });
}

#[test]
fn a_click_selects_a_run_and_a_second_one_opens_it() {
    let mut bench = at_home((80, 24), world(SampleRunState::Awaiting));
    settle(&mut bench);
    let row = |bench: &ConsoleHarness, at: usize| {
        let place = bench
            .state
            .places
            .iter()
            .find(|place| place.spot == MouseTarget::Row(at))
            .unwrap();
        (place.x + 3, place.y)
    };
    let wanted =
        (0..bench.state.runs.len()).find(|at| matches!(bench.state.runs.line(*at), Some(RunListRow::Run(record)) if record.id == run_id(1)));
    let at = row(&bench, wanted.unwrap());
    let mut screens = Vec::new();
    bench.press("G");
    for _ in 0..2 {
        bench.feed(Msg::Mouse(MouseInput::Click(at)));
        settle(&mut bench);
        screens.push((
            bench.state.screen(),
            bench.state.runs.selected().map(|record| record.id),
        ));
    }
    assert_eq!(
        screens,
        [
            (Screen::Runs, Some(run_id(1))),
            (Screen::Run, Some(run_id(1)))
        ]
    );
}
