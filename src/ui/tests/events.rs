//! The events of a run, found, filtered and stepped through.

use super::*;

/// On the events of run 1.
pub fn in_events(size: (u16, u16), place: SampleRunState) -> ConsoleHarness {
    let mut bench = on_run(size, place);
    bench.press("4");
    settle(&mut bench);
    bench
}

#[test]
fn a_search_shows_its_hit_while_it_is_typed() {
    snapshot("events_search", |size| {
        let mut bench = in_events(size, SampleRunState::Completed);
        bench.press("/");
        bench.type_text("sonnet plan", 50);
        bench
    });
}

#[test]
fn a_filter_is_in_the_title_and_what_it_leaves_out_in_the_frame() {
    snapshot("events_filter", |size| {
        let mut bench = in_events(size, SampleRunState::Completed);
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
        let mut bench = in_events(size, SampleRunState::Failed);
        bench.press("z");
        bench.press("w");
        bench.press("k");
        bench
    });
}

#[test]
fn the_past_says_that_it_is_the_past_and_shows_what_was_then() {
    snapshot("run_past", |size| {
        let mut bench = on_run(size, SampleRunState::Completed);
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
        let mut bench = in_events(size, SampleRunState::Awaiting);
        bench.press("g");
        bench.press(",");
        bench
    });
}
