//! Reading in a document: places, sizes, growth and hits.

use proptest::prelude::*;

use super::*;
use crate::app::text::document::LineKind;

fn doc(lines: &[&str]) -> Arc<TextDocument> {
    let mut doc = TextDocument::default();
    lines
        .iter()
        .for_each(|line| doc.push(LineKind::Plain, line));
    Arc::new(doc)
}

#[test]
fn seen_counts_lines_whose_end_was_on_the_screen() {
    let mut reading = ScrollView::new(doc(&["a", "b", "c", "d"]), (10, 2));
    assert!(reading.mark_seen());
    assert_eq!((reading.seen_percent(), reading.unseen()), (50, 2));
    reading.scroll(Action::Bottom);
    assert!(reading.mark_seen());
    assert!(!reading.mark_seen());
    assert_eq!((reading.seen_percent(), reading.unseen()), (100, 0));
}

#[test]
fn a_jump_to_the_end_leaves_the_middle_unseen() {
    let mut reading = ScrollView::new(doc(&["a", "b", "c", "d", "e", "f"]), (10, 2));
    reading.mark_seen();
    reading.scroll(Action::Bottom);
    reading.mark_seen();
    assert_eq!(reading.unseen(), 2);
}

#[test]
fn a_new_width_stays_at_the_line_on_top() {
    let mut reading = ScrollView::new(
        doc(&["aaaa bbbb", "cccc dddd", "eeee ffff", "gggg hhhh"]),
        (5, 2),
    );
    reading.scroll(Action::Down);
    reading.scroll(Action::Down);
    assert_eq!(reading.visible(1)[0].line, 1);
    reading.lay_out((20, 2));
    assert_eq!(reading.visible(1)[0].line, 1);
}

#[test]
fn every_way_through_a_text_meets_the_same_rows() {
    let mut reading = ScrollView::new(doc(&["aaaa bbbb cccc", "d", "", "eeee ffff"]), (5, 2));
    let mut down = vec![reading.visible(1)[0].clone()];
    while reading.scroll(Action::Down) {
        down.push(reading.visible(1)[0].clone());
    }
    let mut up = vec![reading.visible(1)[0].clone()];
    while reading.scroll(Action::Up) {
        up.push(reading.visible(1)[0].clone());
    }
    up.reverse();
    assert_eq!(down, up);
    assert_eq!(
        down.iter().map(|row| row.line).collect::<Vec<_>>(),
        [0, 0, 0, 1, 2, 3],
        "two rows of the end fill the screen"
    );
    reading.scroll(Action::PageDown);
    reading.scroll(Action::PageDown);
    assert_eq!(reading.visible(1)[0], down[2]);
    assert_eq!(reading.lines_below(), 2);
}

#[test]
fn a_text_of_a_million_lines_costs_a_screen() {
    let mut reading = ScrollView::new(doc(&vec!["0123456789 0123456789"; 1_000_000]), (10, 40));
    for action in [
        Action::Bottom,
        Action::PageUp,
        Action::Up,
        Action::Top,
        Action::PageDown,
    ] {
        reading.scroll(action);
        assert!(
            reading.visible(40).len() == 40
                && reading.lay_out((11, 40)) | reading.lay_out((10, 40))
        );
    }
    reading.scroll(Action::Bottom);
    assert_eq!(reading.lines_below(), 0);
    reading.mark_seen();
    assert_eq!(reading.unseen(), 1_000_000 - 14);
}

#[test]
fn an_empty_text_can_be_scrolled() {
    let mut reading = ScrollView::new(doc(&[]), (5, 2));
    assert!(
        !reading.scroll(Action::Down) && !reading.scroll(Action::Bottom) && !reading.mark_seen()
    );
    assert_eq!(
        (
            reading.seen_percent(),
            reading.lines_below(),
            reading.visible(2).len()
        ),
        (100, 0, 0)
    );
}

#[test]
fn a_text_that_grows_keeps_its_place_unless_its_end_is_followed() {
    let line = |text: &str| DocLine::plain(LineKind::Plain, text);
    let mut reading = ScrollView::new(doc(&["a", "b", "c", "d"]), (10, 2));
    reading.follow();
    reading.replace_from(3, [line("d e"), line("f")]);
    assert_eq!(
        reading
            .visible(2)
            .iter()
            .map(|row| row.line)
            .collect::<Vec<_>>(),
        [3, 4]
    );
    reading.scroll(Action::Up);
    assert!(!reading.is_following());
    reading.replace_from(5, [line("g"), line("h")]);
    assert_eq!((reading.visible(2)[0].line, reading.lines_below()), (2, 3));
    reading.scroll(Action::Bottom);
    assert!(!reading.is_following(), "only asking for it follows again");
}

#[test]
fn another_text_keeps_the_line_on_top_where_it_went() {
    let mut reading = ScrollView::new(doc(&["one", "two", "three", "four", "five"]), (10, 2));
    reading.scroll_to_line(2);
    reading.replace(doc(&["zero", "one", "two", "and", "three", "four", "five"]));
    assert_eq!(reading.visible(1)[0].line, 4);
    reading.replace(doc(&["other"]));
    assert_eq!(reading.visible(2).len(), 1);
}

#[test]
fn a_hit_comes_on_the_screen_with_what_is_before_it_and_one_that_is_there_moves_nothing() {
    let mut texts = vec!["nothing"; 30];
    (texts[2], texts[20]) = ("the cart", "another cart");
    let mut reading = ScrollView::new(doc(&texts), (20, 6));
    reading.set_pattern(SearchPattern::new("cart"));
    reading.find_nearest(reading.position());
    assert_eq!(
        (reading.position(), reading.search_progress()),
        ((0, 0), MatchProgress::At(1, 2, false))
    );
    reading.find_next(true);
    assert_eq!(
        (reading.position(), reading.search_progress()),
        ((18, 0), MatchProgress::At(2, 2, false))
    );
    reading.find_next(true);
    assert_eq!(
        (reading.position(), reading.search_progress()),
        ((18, 0), MatchProgress::NoMore(2, 2, true))
    );
}

/// Lines with wide characters, combining marks and spaces, some of them long.
fn texts() -> impl Strategy<Value = Vec<String>> {
    let word = prop_oneof![
        Just("cart".to_owned()),
        Just("日本語".to_owned()),
        Just("e\u{301}".to_owned()),
        "[a-z]{1,9}",
        "\\PC{0,3}"
    ];
    prop::collection::vec(
        prop::collection::vec(word, 0..12).prop_map(|words| words.join(" ")),
        0..20,
    )
}

fn opened(texts: &[String], size: (u16, u16)) -> ScrollView {
    ScrollView::new(
        doc(&texts.iter().map(String::as_str).collect::<Vec<_>>()),
        size,
    )
}

const MOVES: [Action; 6] = [
    Action::Up,
    Action::Down,
    Action::PageUp,
    Action::PageDown,
    Action::Top,
    Action::Bottom,
];

proptest! {
    #[test]
    fn the_words_on_top_stay_on_the_screen_through_any_sizes_and_are_on_top_again_in_the_old_one(
        texts in texts(), moves in prop::collection::vec(0usize..6, 0..12),
        sizes in prop::collection::vec((1u16..60, 1u16..12), 0..5), first in (2u16..40, 1u16..10),
    ) {
        let mut reading = opened(&texts, first);
        for at in &moves {
            reading.scroll(MOVES[*at]);
        }
        let (line, byte) = reading.position();
        let before = reading.visible(first.1);
        for size in sizes {
            reading.lay_out(size);
            let shown = reading.visible(size.1);
            let there = shown.iter().any(|row| row.line == line && row.bytes.start <= byte && byte <= row.bytes.end);
            prop_assert!(there || texts.is_empty(), "{:?} at {:?} in {:?}", (line, byte), size, shown);
        }
        reading.lay_out(first);
        prop_assert_eq!(reading.visible(first.1), before);
    }

    #[test]
    fn as_many_rows_up_as_down_come_back_to_the_same_row(texts in texts(), size in (2u16..30, 1u16..8), down in 0usize..20) {
        let mut reading = opened(&texts, size);
        let moved = (0..down).filter(|_| reading.scroll(Action::Down)).count();
        (0..moved).for_each(|_| assert!(reading.scroll(Action::Up)));
        prop_assert_eq!(reading.position(), (0, 0));
        prop_assert!(!reading.scroll(Action::Up));
    }

    #[test]
    fn every_hit_is_met_once_in_order_and_is_on_the_screen_when_it_is_stood_at(
        texts in texts(), typed in prop_oneof![Just("cart".to_owned()), Just("日".to_owned()), Just("t 日".to_owned()), "\\PC{1,2}"],
        size in (2u16..30, 1u16..8),
    ) {
        let needle = SearchPattern::new(&typed).unwrap();
        let mut reading = opened(&texts, size);
        let lines = reading.shared_document();
        let all: Vec<(usize, Range<usize>)> =
            lines.lines.iter().enumerate().flat_map(|(at, line)| needle.find_iter(&line.text).map(move |place| (at, place)).collect::<Vec<_>>()).collect();
        reading.set_pattern(Some(needle));
        reading.find_nearest((0, 0));
        let mut met = Vec::new();
        for number in 1..=all.len() {
            prop_assert_eq!(reading.search_progress(), MatchProgress::At(number, all.len(), false));
            let (line, bytes) = reading.pattern_and_match().1.cloned().unwrap();
            let on_screen = reading.visible(size.1).iter().any(|row| row.line == line && row.bytes.contains(&bytes.start));
            prop_assert!(on_screen, "{:?}", (line, bytes));
            met.push((line, bytes));
            reading.find_next(true);
        }
        prop_assert_eq!(&met, &all);
        let end = if all.is_empty() { MatchProgress::Nowhere } else { MatchProgress::NoMore(all.len(), all.len(), true) };
        prop_assert_eq!(reading.search_progress(), end);
    }
}
