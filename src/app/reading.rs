//! A document on a screen: wrapped to a width, scrolled by rows, searched, and which of its lines were
//! shown.
//!
//! Only the rows on the screen are ever wrapped, so a text of any length opens, scrolls and fits
//! itself to a new width at the price of one screen. The place is kept as a line and a byte of it, so
//! that a new width, and the old one after it, shows the same words on top. The width and height are
//! those of the last frame; whoever draws tells them after each frame, so the first frame of a new size
//! may be wrapped to the old one.

use std::ops::Range;
use std::sync::Arc;

use super::document::{DocLine, Document};
use super::hits::{Found, Hits, Place};
use super::keymap::Action;
use super::needle::Needle;
use super::rows::{Row, wrap};

/// A row by its line and its place among the rows of that line.
type RowAt = (usize, usize);

/// A document being read.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    doc: Arc<Document>,
    top: RowAt,
    /// Line and byte that are wanted on top; what is there differs only where the end of the text is.
    anchor: Place,
    /// Whether the end stays on the screen while the text grows.
    follow: bool,
    width: u16,
    height: u16,
    seen: Vec<bool>,
    unseen: usize,
    hits: Hits,
}

impl Reading {
    /// Opens a document at its beginning, for a screen of `size` (columns, rows).
    #[must_use]
    pub fn new(doc: Arc<Document>, size: (u16, u16)) -> Self {
        let lines = doc.lines.len();
        Self { seen: vec![false; lines], unseen: lines, doc, width: size.0, height: size.1, ..Self::default() }
    }

    /// The document.
    #[must_use]
    pub fn doc(&self) -> &Document {
        &self.doc
    }

    /// The document, to be kept elsewhere too.
    #[must_use]
    pub fn shared(&self) -> Arc<Document> {
        Arc::clone(&self.doc)
    }

    /// Takes another document in the place of this one; stays at the line on top, where that is still there.
    pub fn replace(&mut self, doc: Arc<Document>) {
        let same = self.doc.lines.iter().zip(&doc.lines).take_while(|(old, new)| old == new).count();
        let at = self.anchor.0;
        let found = match self.doc.lines.get(at) {
            Some(_) if at < same => Some(at),
            Some(line) => nearest(&doc.lines, line, at),
            None => None,
        };
        self.doc = doc;
        self.changed_from(same);
        self.stand(found.map_or((at, 0), |line| (line, self.anchor.1)));
    }

    /// Takes another document, and puts this line of it on top.
    pub fn replace_at(&mut self, doc: Arc<Document>, line: usize) {
        self.doc = doc;
        self.changed_from(0);
        self.stand((line, 0));
    }

    /// From a line on the text says something else now.
    pub fn amend(&mut self, from: usize, lines: impl IntoIterator<Item = DocLine>) {
        let doc = Arc::make_mut(&mut self.doc);
        doc.lines.truncate(from);
        doc.lines.extend(lines);
        self.changed_from(from);
        self.stand(self.anchor);
    }

    fn changed_from(&mut self, line: usize) {
        self.seen.truncate(line);
        self.seen.resize(self.doc.lines.len(), false);
        self.unseen = self.seen.iter().filter(|seen| !**seen).count();
        self.hits.forget_from(line);
        self.look_on();
    }

    /// Columns and rows of the screen.
    #[must_use]
    pub fn size(&self) -> (u16, u16) {
        (self.width, self.height)
    }

    /// Fits the rows to a size; stays at the words that were on top. Whether anything changed.
    pub fn lay_out(&mut self, (width, height): (u16, u16)) -> bool {
        if (width, height) == (self.width, self.height) {
            return false;
        }
        (self.width, self.height) = (width, height);
        self.stand(self.anchor);
        true
    }

    /// The rows on the screen, `height` at most.
    #[must_use]
    pub fn visible(&self, height: u16) -> Vec<Row> {
        let (first, skip) = self.top;
        (first..self.doc.lines.len()).flat_map(|line| self.rows_of(line)).skip(skip).take(usize::from(height)).collect()
    }

    /// Remembers the lines whose end is on the screen as seen. Whether one was new.
    pub fn mark_seen(&mut self) -> bool {
        let before = self.unseen;
        for row in self.visible(self.height) {
            if row.bytes.end == self.doc.lines[row.line].text.len() && !self.seen[row.line] {
                self.seen[row.line] = true;
                self.unseen -= 1;
            }
        }
        self.unseen != before
    }

    /// Lines that were never on the screen.
    #[must_use]
    pub fn unseen(&self) -> usize {
        self.unseen
    }

    /// How much was on the screen, in percent; 100 only when all was.
    #[must_use]
    pub fn seen_percent(&self) -> usize {
        let all = self.seen.len();
        ((all - self.unseen) * 100).checked_div(all).unwrap_or(100)
    }

    /// Lines whose end is beneath the screen.
    #[must_use]
    pub fn lines_below(&self) -> usize {
        let ended = |row: &Row| row.line + usize::from(row.bytes.end == self.doc.lines[row.line].text.len());
        let shown = self.visible(self.height).last().map_or(self.top.0, ended);
        self.doc.lines.len().saturating_sub(shown)
    }

    /// Moves by a movement action; whether it moved.
    pub fn go(&mut self, action: Action) -> bool {
        let page = usize::from(self.height.saturating_sub(1).max(1));
        let before = self.top;
        self.top = match action {
            Action::Up => self.above(self.top, 1),
            Action::Down => self.below(self.top, 1),
            Action::PageUp => self.above(self.top, page),
            Action::PageDown => self.below(self.top, page),
            Action::Top => (0, 0),
            Action::Bottom => (usize::MAX, 0),
            _ => self.top,
        }
        .min(self.last_top());
        if self.top != before {
            self.follow = false;
            self.anchor = self.place_of(self.top);
        }
        self.top != before
    }

    /// Whether its end stays on the screen while it grows.
    #[must_use]
    pub fn follows(&self) -> bool {
        self.follow
    }

    /// Goes to the end and stays there.
    pub fn follow(&mut self) {
        self.follow = true;
        self.stand(self.anchor);
    }

    /// Puts a line on top, or as near to it as the end of the text allows.
    pub fn go_to(&mut self, line: usize) {
        self.stand_at((line, 0));
    }

    /// The place on top, to come back to.
    #[must_use]
    pub fn at(&self) -> Place {
        self.place_of(self.top)
    }

    /// Comes back to a place.
    pub fn stand_at(&mut self, place: Place) {
        self.follow = false;
        self.stand(place);
    }

    /// Looks for something in it, or for nothing any more.
    pub fn look_for(&mut self, needle: Option<Needle>) {
        self.hits.look_for(needle);
        self.look_on();
    }

    /// Wants the first hit from a place on, else the last before it.
    pub fn find_around(&mut self, place: Place) {
        self.hits.aim_around(place);
        self.look_on();
    }

    /// Wants the next hit down, or up.
    pub fn find_next(&mut self, ahead: bool) {
        self.hits.aim_next(ahead, self.at());
        self.look_on();
    }

    /// Looks through a further piece, and goes to what is wanted once it is found.
    pub fn look_on(&mut self) {
        if let Some(place) = self.hits.look_on(&self.doc.lines) {
            self.bring(place);
        }
    }

    /// Whether there is more to look through.
    #[must_use]
    pub fn looks(&self) -> bool {
        self.hits.looks(self.doc.lines.len())
    }

    /// What is looked for, and the hit that it stands at: line, and bytes of it.
    #[must_use]
    pub fn sought(&self) -> (Option<&Needle>, Option<&(usize, Range<usize>)>) {
        (self.hits.needle(), self.hits.hit())
    }

    /// How a search stands.
    #[must_use]
    pub fn found(&self) -> Found {
        self.hits.told(self.doc.lines.len())
    }

    /// Brings a place on the screen, with some of what comes before it, unless it is there.
    fn bring(&mut self, place: Place) {
        let at = self.row_of(place);
        let shown = self.visible(self.height);
        let there = shown.iter().any(|row| row.line == place.0 && (row.bytes.contains(&place.1) || row.bytes.start == place.1));
        if !there {
            self.follow = false;
            self.top = self.above(at, usize::from(self.height / 3)).min(self.last_top());
            self.anchor = self.place_of(self.top);
        }
    }

    /// Puts a place on top, as near as the end of the text allows; the end where that is followed.
    fn stand(&mut self, place: Place) {
        self.anchor = place;
        let last = self.last_top();
        self.top = if self.follow { last } else { self.row_of(place).min(last) };
    }

    /// The row that a place is on.
    fn row_of(&self, (line, byte): Place) -> RowAt {
        let rows = self.rows_of(line);
        (line, rows.iter().rposition(|row| row.bytes.start <= byte).unwrap_or(0))
    }

    /// Where a row begins.
    fn place_of(&self, (line, row): RowAt) -> Place {
        (line, self.rows_of(line).get(row).map_or(0, |row| row.bytes.start))
    }

    /// The row from which exactly the end of the text fills the screen.
    fn last_top(&self) -> RowAt {
        let end = self.doc.lines.len();
        let last = end.checked_sub(1).map_or((0, 0), |line| (line, self.rows_of(line).len() - 1));
        self.above(last, usize::from(self.height.max(1)) - 1)
    }

    fn above(&self, (mut line, row): RowAt, rows: usize) -> RowAt {
        let mut up = rows;
        let mut at = row;
        while up > at {
            if line == 0 {
                return (0, 0);
            }
            up -= at + 1;
            line -= 1;
            at = self.rows_of(line).len() - 1;
        }
        (line, at - up)
    }

    fn below(&self, (mut line, row): RowAt, rows: usize) -> RowAt {
        let mut at = row + rows;
        while line < self.doc.lines.len() {
            let count = self.rows_of(line).len();
            if at < count {
                return (line, at);
            }
            at -= count;
            line += 1;
        }
        (line, 0)
    }

    fn rows_of(&self, line: usize) -> Vec<Row> {
        self.doc.lines.get(line).map(|text| wrap(line, &text.text, usize::from(self.width))).unwrap_or_default()
    }
}

/// The line that says the same, nearest to where it was.
fn nearest(lines: &[DocLine], wanted: &DocLine, at: usize) -> Option<usize> {
    const FAR: usize = 500;
    let (low, high) = (at.saturating_sub(FAR), (at + FAR).min(lines.len()));
    (low..high).filter(|line| lines[*line].text == wanted.text).min_by_key(|line| line.abs_diff(at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::app::document::Ink;

    fn doc(lines: &[&str]) -> Arc<Document> {
        let mut doc = Document::default();
        lines.iter().for_each(|line| doc.push(Ink::Plain, line));
        Arc::new(doc)
    }

    #[test]
    fn seen_counts_lines_whose_end_was_on_the_screen() {
        let mut reading = Reading::new(doc(&["a", "b", "c", "d"]), (10, 2));
        assert!(reading.mark_seen());
        assert_eq!((reading.seen_percent(), reading.unseen()), (50, 2));
        reading.go(Action::Bottom);
        assert!(reading.mark_seen());
        assert!(!reading.mark_seen());
        assert_eq!((reading.seen_percent(), reading.unseen()), (100, 0));
    }

    #[test]
    fn a_jump_to_the_end_leaves_the_middle_unseen() {
        let mut reading = Reading::new(doc(&["a", "b", "c", "d", "e", "f"]), (10, 2));
        reading.mark_seen();
        reading.go(Action::Bottom);
        reading.mark_seen();
        assert_eq!(reading.unseen(), 2);
    }

    #[test]
    fn a_new_width_stays_at_the_line_on_top() {
        let mut reading = Reading::new(doc(&["aaaa bbbb", "cccc dddd", "eeee ffff", "gggg hhhh"]), (5, 2));
        reading.go(Action::Down);
        reading.go(Action::Down);
        assert_eq!(reading.visible(1)[0].line, 1);
        reading.lay_out((20, 2));
        assert_eq!(reading.visible(1)[0].line, 1);
    }

    #[test]
    fn every_way_through_a_text_meets_the_same_rows() {
        let mut reading = Reading::new(doc(&["aaaa bbbb cccc", "d", "", "eeee ffff"]), (5, 2));
        let mut down = vec![reading.visible(1)[0].clone()];
        while reading.go(Action::Down) {
            down.push(reading.visible(1)[0].clone());
        }
        let mut up = vec![reading.visible(1)[0].clone()];
        while reading.go(Action::Up) {
            up.push(reading.visible(1)[0].clone());
        }
        up.reverse();
        assert_eq!(down, up);
        assert_eq!(down.iter().map(|row| row.line).collect::<Vec<_>>(), [0, 0, 0, 1, 2, 3], "two rows of the end fill the screen");
        reading.go(Action::PageDown);
        reading.go(Action::PageDown);
        assert_eq!(reading.visible(1)[0], down[2]);
        assert_eq!(reading.lines_below(), 2);
    }

    #[test]
    fn a_text_of_a_million_lines_costs_a_screen() {
        let mut reading = Reading::new(doc(&vec!["0123456789 0123456789"; 1_000_000]), (10, 40));
        for action in [Action::Bottom, Action::PageUp, Action::Up, Action::Top, Action::PageDown] {
            reading.go(action);
            assert!(reading.visible(40).len() == 40 && reading.lay_out((11, 40)) | reading.lay_out((10, 40)));
        }
        reading.go(Action::Bottom);
        assert_eq!(reading.lines_below(), 0);
        reading.mark_seen();
        assert_eq!(reading.unseen(), 1_000_000 - 14);
    }

    #[test]
    fn an_empty_text_can_be_scrolled() {
        let mut reading = Reading::new(doc(&[]), (5, 2));
        assert!(!reading.go(Action::Down) && !reading.go(Action::Bottom) && !reading.mark_seen());
        assert_eq!((reading.seen_percent(), reading.lines_below(), reading.visible(2).len()), (100, 0, 0));
    }

    #[test]
    fn a_text_that_grows_keeps_its_place_unless_its_end_is_followed() {
        let line = |text: &str| DocLine::plain(Ink::Plain, text);
        let mut reading = Reading::new(doc(&["a", "b", "c", "d"]), (10, 2));
        reading.follow();
        reading.amend(3, [line("d e"), line("f")]);
        assert_eq!(reading.visible(2).iter().map(|row| row.line).collect::<Vec<_>>(), [3, 4]);
        reading.go(Action::Up);
        assert!(!reading.follows());
        reading.amend(5, [line("g"), line("h")]);
        assert_eq!((reading.visible(2)[0].line, reading.lines_below()), (2, 3));
        reading.go(Action::Bottom);
        assert!(!reading.follows(), "only asking for it follows again");
    }

    #[test]
    fn another_text_keeps_the_line_on_top_where_it_went() {
        let mut reading = Reading::new(doc(&["one", "two", "three", "four", "five"]), (10, 2));
        reading.go_to(2);
        reading.replace(doc(&["zero", "one", "two", "and", "three", "four", "five"]));
        assert_eq!(reading.visible(1)[0].line, 4);
        reading.replace(doc(&["other"]));
        assert_eq!(reading.visible(2).len(), 1);
    }

    #[test]
    fn a_hit_comes_on_the_screen_with_what_is_before_it_and_one_that_is_there_moves_nothing() {
        let mut texts = vec!["nothing"; 30];
        (texts[2], texts[20]) = ("the cart", "another cart");
        let mut reading = Reading::new(doc(&texts), (20, 6));
        reading.look_for(Needle::new("cart"));
        reading.find_around(reading.at());
        assert_eq!((reading.at(), reading.found()), ((0, 0), Found::At(1, 2, false)));
        reading.find_next(true);
        assert_eq!((reading.at(), reading.found()), ((18, 0), Found::At(2, 2, false)));
        reading.find_next(true);
        assert_eq!((reading.at(), reading.found()), ((18, 0), Found::NoMore(2, 2, true)));
    }

    /// Lines with wide characters, combining marks and spaces, some of them long.
    fn texts() -> impl Strategy<Value = Vec<String>> {
        let word = prop_oneof![Just("cart".to_owned()), Just("日本語".to_owned()), Just("e\u{301}".to_owned()), "[a-z]{1,9}", "\\PC{0,3}"];
        prop::collection::vec(prop::collection::vec(word, 0..12).prop_map(|words| words.join(" ")), 0..20)
    }

    fn opened(texts: &[String], size: (u16, u16)) -> Reading {
        Reading::new(doc(&texts.iter().map(String::as_str).collect::<Vec<_>>()), size)
    }

    const MOVES: [Action; 6] = [Action::Up, Action::Down, Action::PageUp, Action::PageDown, Action::Top, Action::Bottom];

    proptest! {
        #[test]
        fn the_words_on_top_stay_on_the_screen_through_any_sizes_and_are_on_top_again_in_the_old_one(
            texts in texts(), moves in prop::collection::vec(0usize..6, 0..12),
            sizes in prop::collection::vec((1u16..60, 1u16..12), 0..5), first in (2u16..40, 1u16..10),
        ) {
            let mut reading = opened(&texts, first);
            for at in &moves {
                reading.go(MOVES[*at]);
            }
            let (line, byte) = reading.at();
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
            let moved = (0..down).filter(|_| reading.go(Action::Down)).count();
            (0..moved).for_each(|_| assert!(reading.go(Action::Up)));
            prop_assert_eq!(reading.at(), (0, 0));
            prop_assert!(!reading.go(Action::Up));
        }

        #[test]
        fn every_hit_is_met_once_in_order_and_is_on_the_screen_when_it_is_stood_at(
            texts in texts(), typed in prop_oneof![Just("cart".to_owned()), Just("日".to_owned()), Just("t 日".to_owned()), "\\PC{1,2}"],
            size in (2u16..30, 1u16..8),
        ) {
            let needle = Needle::new(&typed).unwrap();
            let mut reading = opened(&texts, size);
            let lines = reading.shared();
            let all: Vec<(usize, Range<usize>)> =
                lines.lines.iter().enumerate().flat_map(|(at, line)| needle.places(&line.text).map(move |place| (at, place)).collect::<Vec<_>>()).collect();
            reading.look_for(Some(needle));
            reading.find_around((0, 0));
            let mut met = Vec::new();
            for number in 1..=all.len() {
                prop_assert_eq!(reading.found(), Found::At(number, all.len(), false));
                let (line, bytes) = reading.sought().1.cloned().unwrap();
                let on_screen = reading.visible(size.1).iter().any(|row| row.line == line && row.bytes.contains(&bytes.start));
                prop_assert!(on_screen, "{:?}", (line, bytes));
                met.push((line, bytes));
                reading.find_next(true);
            }
            prop_assert_eq!(&met, &all);
            let end = if all.is_empty() { Found::Nowhere } else { Found::NoMore(all.len(), all.len(), true) };
            prop_assert_eq!(reading.found(), end);
        }
    }
}
