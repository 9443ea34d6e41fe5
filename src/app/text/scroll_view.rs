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

use super::document::{DocLine, TextDocument};
use crate::app::keymap::Action;
use crate::app::search::incremental::{IncrementalSearch, MatchProgress, TextPosition};
use crate::app::search::pattern::SearchPattern;
use crate::app::text::wrap::{WrappedRow, wrap};

/// A row by its line and its place among the rows of that line.
type RowPosition = (usize, usize);

/// A document being read.
#[derive(Clone, Debug, Default)]
pub struct ScrollView {
    doc: Arc<TextDocument>,
    top: RowPosition,
    /// Line and byte that are wanted on top; what is there differs only where the end of the text is.
    anchor: TextPosition,
    /// Whether the end stays on the screen while the text grows.
    follow: bool,
    width: u16,
    height: u16,
    seen: Vec<bool>,
    unseen: usize,
    hits: IncrementalSearch,
}

impl ScrollView {
    /// Opens a document at its beginning, for a screen of `size` (columns, rows).
    #[must_use]
    pub fn new(doc: Arc<TextDocument>, size: (u16, u16)) -> Self {
        let lines = doc.lines.len();
        Self {
            seen: vec![false; lines],
            unseen: lines,
            doc,
            width: size.0,
            height: size.1,
            ..Self::default()
        }
    }

    /// The document.
    #[must_use]
    pub fn doc(&self) -> &TextDocument {
        &self.doc
    }

    /// The document, to be kept elsewhere too.
    #[must_use]
    pub fn shared_document(&self) -> Arc<TextDocument> {
        Arc::clone(&self.doc)
    }

    /// Takes another document in the place of this one; stays at the line on top, where that is still there.
    pub fn replace(&mut self, doc: Arc<TextDocument>) {
        let same = self
            .doc
            .lines
            .iter()
            .zip(&doc.lines)
            .take_while(|(old, new)| old == new)
            .count();
        let at = self.anchor.0;
        let found = match self.doc.lines.get(at) {
            Some(_) if at < same => Some(at),
            Some(line) => nearest_equal_line(&doc.lines, line, at),
            None => None,
        };
        self.doc = doc;
        self.invalidate_from(same);
        self.scroll_to(found.map_or((at, 0), |line| (line, self.anchor.1)));
    }

    /// Takes another document, and puts this line of it on top.
    pub fn replace_at(&mut self, doc: Arc<TextDocument>, line: usize) {
        self.doc = doc;
        self.invalidate_from(0);
        self.scroll_to((line, 0));
    }

    /// From a line on the text says something else now.
    pub fn replace_from(&mut self, from: usize, lines: impl IntoIterator<Item = DocLine>) {
        let doc = Arc::make_mut(&mut self.doc);
        doc.lines.truncate(from);
        doc.lines.extend(lines);
        self.invalidate_from(from);
        self.scroll_to(self.anchor);
    }

    fn invalidate_from(&mut self, line: usize) {
        self.seen.truncate(line);
        self.seen.resize(self.doc.lines.len(), false);
        self.unseen = self.seen.iter().filter(|seen| !**seen).count();
        self.hits.invalidate_from(line);
        self.advance_search();
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
        self.scroll_to(self.anchor);
        true
    }

    /// The rows on the screen, `height` at most.
    #[must_use]
    pub fn visible(&self, height: u16) -> Vec<WrappedRow> {
        let (first, skip) = self.top;
        (first..self.doc.lines.len())
            .flat_map(|line| self.wrap_line(line))
            .skip(skip)
            .take(usize::from(height))
            .collect()
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
        let ended = |row: &WrappedRow| {
            row.line + usize::from(row.bytes.end == self.doc.lines[row.line].text.len())
        };
        let shown = self.visible(self.height).last().map_or(self.top.0, ended);
        self.doc.lines.len().saturating_sub(shown)
    }

    /// Moves by a movement action; whether it moved.
    pub fn scroll(&mut self, action: Action) -> bool {
        let page = usize::from(self.height.saturating_sub(1).max(1));
        let before = self.top;
        self.top = match action {
            Action::Up => self.rows_above(self.top, 1),
            Action::Down => self.rows_below(self.top, 1),
            Action::PageUp => self.rows_above(self.top, page),
            Action::PageDown => self.rows_below(self.top, page),
            Action::Top => (0, 0),
            Action::Bottom => (usize::MAX, 0),
            _ => self.top,
        }
        .min(self.last_top());
        if self.top != before {
            self.follow = false;
            self.anchor = self.position_at(self.top);
        }
        self.top != before
    }

    /// Whether its end stays on the screen while it grows.
    #[must_use]
    pub fn is_following(&self) -> bool {
        self.follow
    }

    /// Goes to the end and stays there.
    pub fn follow(&mut self) {
        self.follow = true;
        self.scroll_to(self.anchor);
    }

    /// Puts a line on top, or as near to it as the end of the text allows.
    pub fn scroll_to_line(&mut self, line: usize) {
        self.restore_position((line, 0));
    }

    /// The place on top, to come back to.
    #[must_use]
    pub fn position(&self) -> TextPosition {
        self.position_at(self.top)
    }

    /// Comes back to a place.
    pub fn restore_position(&mut self, place: TextPosition) {
        self.follow = false;
        self.scroll_to(place);
    }

    /// Looks for something in it, or for nothing any more.
    pub fn set_pattern(&mut self, needle: Option<SearchPattern>) {
        self.hits.set_pattern(needle);
        self.advance_search();
    }

    /// Wants the first hit from a place on, else the last before it.
    pub fn find_nearest(&mut self, place: TextPosition) {
        self.hits.seek_nearest(place);
        self.advance_search();
    }

    /// Wants the next hit down, or up.
    pub fn find_next(&mut self, ahead: bool) {
        self.hits.seek_next(ahead, self.position());
        self.advance_search();
    }

    /// Looks through a further piece, and goes to what is wanted once it is found.
    pub fn advance_search(&mut self) {
        if let Some(place) = self.hits.advance(&self.doc.lines) {
            self.scroll_into_view(place);
        }
    }

    /// Whether there is more to look through.
    #[must_use]
    pub fn is_searching(&self) -> bool {
        self.hits.is_searching(self.doc.lines.len())
    }

    /// What is looked for, and the hit that it stands at: line, and bytes of it.
    #[must_use]
    pub fn pattern_and_match(&self) -> (Option<&SearchPattern>, Option<&(usize, Range<usize>)>) {
        (self.hits.needle(), self.hits.current_match())
    }

    /// How a search stands.
    #[must_use]
    pub fn search_progress(&self) -> MatchProgress {
        self.hits.progress(self.doc.lines.len())
    }

    /// Brings a place on the screen, with some of what comes before it, unless it is there.
    fn scroll_into_view(&mut self, place: TextPosition) {
        let at = self.row_at(place);
        let shown = self.visible(self.height);
        let there = shown.iter().any(|row| {
            row.line == place.0 && (row.bytes.contains(&place.1) || row.bytes.start == place.1)
        });
        if !there {
            self.follow = false;
            self.top = self
                .rows_above(at, usize::from(self.height / 3))
                .min(self.last_top());
            self.anchor = self.position_at(self.top);
        }
    }

    /// Puts a place on top, as near as the end of the text allows; the end where that is followed.
    fn scroll_to(&mut self, place: TextPosition) {
        self.anchor = place;
        let last = self.last_top();
        self.top = if self.follow {
            last
        } else {
            self.row_at(place).min(last)
        };
    }

    /// The row that a place is on.
    fn row_at(&self, (line, byte): TextPosition) -> RowPosition {
        let rows = self.wrap_line(line);
        (
            line,
            rows.iter()
                .rposition(|row| row.bytes.start <= byte)
                .unwrap_or(0),
        )
    }

    /// Where a row begins.
    fn position_at(&self, (line, row): RowPosition) -> TextPosition {
        (
            line,
            self.wrap_line(line)
                .get(row)
                .map_or(0, |row| row.bytes.start),
        )
    }

    /// The row from which exactly the end of the text fills the screen.
    fn last_top(&self) -> RowPosition {
        let end = self.doc.lines.len();
        let last = end
            .checked_sub(1)
            .map_or((0, 0), |line| (line, self.wrap_line(line).len() - 1));
        self.rows_above(last, usize::from(self.height.max(1)) - 1)
    }

    fn rows_above(&self, (mut line, row): RowPosition, rows: usize) -> RowPosition {
        let mut up = rows;
        let mut at = row;
        while up > at {
            if line == 0 {
                return (0, 0);
            }
            up -= at + 1;
            line -= 1;
            at = self.wrap_line(line).len() - 1;
        }
        (line, at - up)
    }

    fn rows_below(&self, (mut line, row): RowPosition, rows: usize) -> RowPosition {
        let mut at = row + rows;
        while line < self.doc.lines.len() {
            let count = self.wrap_line(line).len();
            if at < count {
                return (line, at);
            }
            at -= count;
            line += 1;
        }
        (line, 0)
    }

    fn wrap_line(&self, line: usize) -> Vec<WrappedRow> {
        self.doc
            .lines
            .get(line)
            .map(|text| wrap(line, &text.text, usize::from(self.width)))
            .unwrap_or_default()
    }
}

/// The line that says the same, nearest to where it was.
fn nearest_equal_line(lines: &[DocLine], wanted: &DocLine, at: usize) -> Option<usize> {
    const FAR: usize = 500;
    let (low, high) = (at.saturating_sub(FAR), (at + FAR).min(lines.len()));
    (low..high)
        .filter(|line| lines[*line].text == wanted.text)
        .min_by_key(|line| line.abs_diff(at))
}

#[cfg(test)]
mod tests;
