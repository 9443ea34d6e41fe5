//! A document on a screen: wrapped to a width, scrolled, and which of its lines were shown.
//!
//! The width and height are those of the last frame; whoever draws tells them after each frame, so
//! the first frame of a new size may be wrapped to the old one.

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
}

/// A document being read.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    doc: Arc<Document>,
    rows: Vec<Row>,
    top: usize,
    width: u16,
    height: u16,
    seen: Vec<bool>,
}

impl Reading {
    /// Opens a document at its beginning, for a screen of `size` (columns, rows).
    #[must_use]
    pub fn new(doc: Arc<Document>, size: (u16, u16)) -> Self {
        let mut reading = Self { seen: vec![false; doc.lines.len()], doc, ..Self::default() };
        reading.lay_out(size);
        reading
    }

    /// The document.
    #[must_use]
    pub fn doc(&self) -> &Document {
        &self.doc
    }

    /// Fits the rows to a size; stays at the line that was on top. Whether anything changed.
    pub fn lay_out(&mut self, (width, height): (u16, u16)) -> bool {
        if (width, height) == (self.width, self.height) {
            return false;
        }
        if width != self.width {
            let line = self.rows.get(self.top).map_or(0, |row| row.line);
            self.rows = self.doc.lines.iter().enumerate().flat_map(|(i, line)| wrap(i, &line.text, usize::from(width))).collect();
            self.top = self.rows.iter().position(|row| row.line >= line).unwrap_or(0);
        }
        (self.width, self.height) = (width, height);
        self.top = self.top.min(self.last_top());
        true
    }

    /// The rows on the screen, `height` at most.
    #[must_use]
    pub fn visible(&self, height: u16) -> &[Row] {
        let start = self.top.min(self.rows.len());
        let end = (start + usize::from(height)).min(self.rows.len());
        &self.rows[start..end]
    }

    /// Remembers the lines whose end is on the screen as seen. Whether one was new.
    pub fn mark_seen(&mut self) -> bool {
        let end = (self.top + usize::from(self.height)).min(self.rows.len());
        let mut new = false;
        for index in self.top..end {
            let line = self.rows[index].line;
            let last = self.rows.get(index + 1).is_none_or(|next| next.line != line);
            if last && !self.seen[line] {
                (self.seen[line], new) = (true, true);
            }
        }
        new
    }

    /// Lines that were never on the screen.
    #[must_use]
    pub fn unseen(&self) -> usize {
        self.seen.iter().filter(|seen| !**seen).count()
    }

    /// How much was on the screen, in percent; 100 only when all was.
    #[must_use]
    pub fn seen_percent(&self) -> usize {
        let all = self.seen.len();
        ((all - self.unseen()) * 100).checked_div(all).unwrap_or(100)
    }

    /// Lines beneath the screen.
    #[must_use]
    pub fn rows_below(&self) -> usize {
        self.rows.len().saturating_sub(self.top + usize::from(self.height))
    }

    /// Moves by a movement action; whether it moved.
    pub fn go(&mut self, action: Action) -> bool {
        let page = usize::from(self.height.saturating_sub(1).max(1));
        let before = self.top;
        self.top = match action {
            Action::Up => self.top.saturating_sub(1),
            Action::Down => self.top.saturating_add(1),
            Action::PageUp => self.top.saturating_sub(page),
            Action::PageDown => self.top.saturating_add(page),
            Action::Top => 0,
            Action::Bottom => usize::MAX,
            _ => self.top,
        }
        .min(self.last_top());
        self.top != before
    }

    fn last_top(&self) -> usize {
        self.rows.len().saturating_sub(usize::from(self.height.max(1)))
    }
}

/// Breaks a line into rows of at most `width` cells, after a space where one is near.
fn wrap(line: usize, text: &str, width: usize) -> Vec<Row> {
    let width = width.max(1);
    if text.len() <= width && text.is_ascii() {
        return vec![Row { line, bytes: 0..text.len() }];
    }
    let (mut rows, mut start, mut cells, mut space) = (Vec::new(), 0, 0, None);
    for (at, cluster) in text.grapheme_indices(true) {
        let wide = cluster.width();
        if cells + wide > width && at > start {
            let end = space.filter(|end| *end > start && at - *end < width / 2).unwrap_or(at);
            rows.push(Row { line, bytes: start..end });
            (start, space) = (end, None);
            cells = cells_of(&text[start..at]);
        }
        cells += wide;
        if cluster == " " {
            space = Some(at + 1);
        }
    }
    rows.push(Row { line, bytes: start..text.len() });
    rows
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

    proptest! {
        #[test]
        fn rows_are_the_line_and_fit(text in "\\PC{0,60}", width in 2usize..12) {
            let rows = wrap(0, &text, width);
            let joined: String = rows.iter().map(|row| &text[row.bytes.clone()]).collect();
            prop_assert_eq!(&joined, &text);
            for row in &rows {
                let piece = &text[row.bytes.clone()];
                prop_assert!(cells_of(piece) <= width || piece.graphemes(true).count() <= 1, "{piece:?}");
            }
        }
    }
}
