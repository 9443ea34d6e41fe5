//! What stands in front of a screen: keys, palette, questions.

use super::*;

#[test]
fn help_comes_from_the_key_map() {
    snapshot("help", |size| {
        let mut bench = at_home(size, world(SampleRunState::Awaiting));
        bench.press("?");
        bench
    });
}

#[test]
fn the_palette_finds_by_typing() {
    snapshot("palette", |size| {
        let mut bench = on_run(size, SampleRunState::Awaiting);
        bench.press(":");
        bench.type_text("run", 10);
        bench
    });
}

#[test]
fn the_keys_can_be_looked_through() {
    snapshot("help_filter", |size| {
        let mut bench = at_home(size, world(SampleRunState::Awaiting));
        bench.press("?");
        bench.press("/");
        bench.type_text("gate", 10);
        bench
    });
}

#[test]
fn ending_a_run_asks_first() {
    snapshot("abort", |size| {
        let mut bench = on_run(size, SampleRunState::Awaiting);
        bench.press("x");
        bench
    });
}

#[test]
fn what_a_key_does_is_told_whole_and_the_last_line_stays_at_the_foot() {
    let mut bench = at_gate((60, 16), SampleRunState::Awaiting);
    bench.press("?");
    let shown = settle(&mut bench);
    assert!(
        shown.contains("allow every call of a tool in")
            && shown.contains("this phase (asks for Enter)"),
        "{shown}"
    );
    bench.press("G");
    let end = settle(&mut bench);
    bench.press("k");
    let above = settle(&mut bench);
    assert_ne!(above, end, "one line up from the end");
    for key in ["j", "j", "j"] {
        bench.press(key);
        assert_eq!(settle(&mut bench), end);
    }
    bench.press("k");
    assert_eq!(settle(&mut bench), above);
}
