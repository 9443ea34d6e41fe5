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
        (first..self.doc.lines.len())
            .flat_map(|line| self.rows_of(line))
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
        let ended = |row: &Row| {
            row.line + usize::from(row.bytes.end == self.doc.lines[row.line].text.len())
        };
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
        let there = shown.iter().any(|row| {
            row.line == place.0 && (row.bytes.contains(&place.1) || row.bytes.start == place.1)
        });
        if !there {
            self.follow = false;
            self.top = self
                .above(at, usize::from(self.height / 3))
                .min(self.last_top());
            self.anchor = self.place_of(self.top);
        }
    }

    /// Puts a place on top, as near as the end of the text allows; the end where that is followed.
    fn stand(&mut self, place: Place) {
        self.anchor = place;
        let last = self.last_top();
        self.top = if self.follow {
            last
        } else {
            self.row_of(place).min(last)
        };
    }

    /// The row that a place is on.
    fn row_of(&self, (line, byte): Place) -> RowAt {
        let rows = self.rows_of(line);
        (
            line,
            rows.iter()
                .rposition(|row| row.bytes.start <= byte)
                .unwrap_or(0),
        )
    }

    /// Where a row begins.
    fn place_of(&self, (line, row): RowAt) -> Place {
        (
            line,
            self.rows_of(line).get(row).map_or(0, |row| row.bytes.start),
        )
    }

    /// The row from which exactly the end of the text fills the screen.
    fn last_top(&self) -> RowAt {
        let end = self.doc.lines.len();
        let last = end
            .checked_sub(1)
            .map_or((0, 0), |line| (line, self.rows_of(line).len() - 1));
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
        self.doc
            .lines
            .get(line)
            .map(|text| wrap(line, &text.text, usize::from(self.width)))
            .unwrap_or_default()
    }
}

/// The line that says the same, nearest to where it was.
fn nearest(lines: &[DocLine], wanted: &DocLine, at: usize) -> Option<usize> {
    const FAR: usize = 500;
    let (low, high) = (at.saturating_sub(FAR), (at + FAR).min(lines.len()));
    (low..high)
        .filter(|line| lines[*line].text == wanted.text)
        .min_by_key(|line| line.abs_diff(at))
}

#[cfg(test)]
mod tests;
