//! A document on a screen: wrapped to a width, scrolled, and which of its lines were shown.
//!
//! Only the rows on the screen are ever wrapped, so a text of any length opens, scrolls and fits
//! itself to a new width at the price of one screen. The width and height are those of the last
//! frame; whoever draws tells them after each frame, so the first frame of a new size may be wrapped
//! to the old one.

use std::ops::Range;
use std::sync::Arc;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::document::Document;
use super::keymap::Action;

/// One row on the screen: a stretch of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Index of the line.
    pub line: usize,
    /// Bytes of its text.
    pub bytes: Range<usize>,
    /// Empty cells before it: a row that goes on a line stands beneath the text of it.
    pub indent: usize,
}

/// A row by its line and its place among the rows of that line.
type Place = (usize, usize);

/// A document being read.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    doc: Arc<Document>,
    top: Place,
    width: u16,
    height: u16,
    seen: Vec<bool>,
    unseen: usize,
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

    /// Fits the rows to a size; stays at the line that was on top. Whether anything changed.
    pub fn lay_out(&mut self, (width, height): (u16, u16)) -> bool {
        if (width, height) == (self.width, self.height) {
            return false;
        }
        if width != self.width {
            self.top.1 = 0;
        }
        (self.width, self.height) = (width, height);
        self.top = self.top.min(self.last_top());
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
        self.top != before
    }

    /// Puts a line on top, or as near to it as the end of the text allows.
    pub fn go_to(&mut self, line: usize) {
        self.top = (line, 0).min(self.last_top());
    }

    /// The row from which exactly the end of the text fills the screen.
    fn last_top(&self) -> Place {
        let end = self.doc.lines.len();
        let last = end.checked_sub(1).map_or((0, 0), |line| (line, self.rows_of(line).len() - 1));
        self.above(last, usize::from(self.height.max(1)) - 1)
    }

    fn above(&self, (mut line, row): Place, rows: usize) -> Place {
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

    fn below(&self, (mut line, row): Place, rows: usize) -> Place {
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

/// Breaks a line into rows of at most `width` cells, after a space where one is near.
fn wrap(line: usize, text: &str, width: usize) -> Vec<Row> {
    let width = width.max(1);
    if text.len() <= width && text.is_ascii() {
        return vec![Row { line, bytes: 0..text.len(), indent: 0 }];
    }
    let (hanging, mut indent) = (hanging(text, width), 0);
    let (mut rows, mut start, mut cells, mut space) = (Vec::new(), 0, 0, None);
    for (at, cluster) in text.grapheme_indices(true) {
        let wide = cluster.width();
        if indent + cells + wide > width && at > start {
            let end = space.filter(|end| *end > start && at - *end < width / 2).unwrap_or(at);
            rows.push(Row { line, bytes: start..end, indent });
            indent = hanging;
            (start, space) = (end, None);
            cells = cells_of(&text[start..at]);
        }
        cells += wide;
        if cluster == " " {
            space = Some(at + 1);
        }
    }
    rows.push(Row { line, bytes: start..text.len(), indent });
    rows
}

/// How far the rows stand in that go on a line: two cells further than it, where there is room for that.
fn hanging(text: &str, width: usize) -> usize {
    let own = text.len() - text.trim_start_matches(' ').len();
    let list = text[own..].starts_with("- ") || text[own..].starts_with("* ");
    let further = if own > 0 || list { own + 2 } else { 0 };
    if further <= width / 3 { further } else { 0 }
}

/// Cells as a terminal that draws cluster by cluster counts them.
fn cells_of(text: &str) -> usize {
    text.graphemes(true).map(UnicodeWidthStr::width).sum()
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
    fn lines_wrap_after_a_space_and_wide_characters_stay_whole() {
        let rows = |text: &str, width| wrap(0, text, width).into_iter().map(|row| text[row.bytes].to_owned()).collect::<Vec<_>>();
        assert_eq!(rows("one two three", 8), ["one two ", "three"]);
        assert_eq!(rows("日本語", 5), ["日本", "語"]);
        assert_eq!(rows("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(rows("", 3), [""]);
    }

    #[test]
    fn a_row_that_goes_on_a_line_stands_beneath_its_text() {
        let indents = |text: &str, width| wrap(0, text, width).into_iter().map(|row| row.indent).collect::<Vec<_>>();
        assert_eq!(indents("  \"approach\": \"one two three four\"", 20), [0, 4]);
        assert_eq!(indents("- one two three four", 12), [0, 2]);
        assert_eq!(indents("one two three four", 12), [0, 0], "prose keeps its edge");
        assert_eq!(indents("        deep in here", 12), [0, 0], "where it is narrow, every cell is for the text");
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

    proptest! {
        #[test]
        fn rows_are_the_line_and_fit(text in "\\PC{0,60}", width in 2usize..12) {
            let rows = wrap(0, &text, width);
            let joined: String = rows.iter().map(|row| &text[row.bytes.clone()]).collect();
            prop_assert_eq!(&joined, &text);
            for row in &rows {
                let piece = &text[row.bytes.clone()];
                prop_assert!(row.indent + cells_of(piece) <= width || piece.graphemes(true).count() <= 1, "{piece:?}");
            }
        }
    }
}
