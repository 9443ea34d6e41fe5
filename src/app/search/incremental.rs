//! Where in a document something stands: found a bounded piece at a time, so that a key is answered at
//! once in a text of any length, and counted as far as it was looked through.
//!
//! A search has an aim: the first hit from a place on, or the next one up or down. It comes true as
//! soon as the lines that decide it were looked through.

use crate::app::search::pattern::SearchPattern;
use crate::app::text::document::DocLine;
use std::ops::Range;

/// Lines and bytes looked through before other things get their turn.
const LINES_AT_ONCE: usize = 20_000;
/// See [`LINES_AT_ONCE`].
const BYTES_AT_ONCE: usize = 1 << 20;
/// Hits that are counted at most; a word that stands more often is no help.
const MOST: usize = 500_000;

/// A place in a text: line, and byte in it.
pub type TextPosition = (usize, usize);

/// Which hit is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MatchTarget {
    /// The first from here on, else the last before.
    Around(TextPosition),
    /// The first behind here.
    After(TextPosition),
    /// The last before here.
    Before(TextPosition),
}

/// How a search stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchProgress {
    /// Nothing is searched.
    Nothing,
    /// It has looked through so many of so many lines, and the hit that is wanted was not among them.
    Looking(usize, usize),
    /// There is none.
    Nowhere,
    /// The text has so many (at least that, where the flag is set); no one of them is stood at.
    Many(usize, bool),
    /// At this one of them, from 1; how many there are, and whether there may be more.
    At(usize, usize, bool),
    /// At this one of so many, and there is no other in the direction that was asked; whether that is
    /// towards the end.
    NoMore(usize, usize, bool),
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct IncrementalSearch {
    needle: Option<SearchPattern>,
    found: Vec<(usize, Range<usize>)>,
    /// Lines that were looked through.
    looked: usize,
    at: Option<usize>,
    aim: Option<MatchTarget>,
    no_more: Option<bool>,
}

impl IncrementalSearch {
    /// Looks for something else, or for nothing.
    pub fn set_pattern(&mut self, needle: Option<SearchPattern>) {
        if self.needle != needle {
            *self = Self {
                needle,
                ..Self::default()
            };
        }
    }

    /// What is looked for.
    #[must_use]
    pub fn needle(&self) -> Option<&SearchPattern> {
        self.needle.as_ref()
    }

    /// From this line on the text is another.
    pub fn invalidate_from(&mut self, line: usize) {
        self.found
            .truncate(self.found.partition_point(|(at, _)| *at < line));
        self.looked = self.looked.min(line);
        self.at = self.at.filter(|at| *at < self.found.len());
    }

    /// Wants the first hit from a place on, else the last before it.
    pub fn seek_nearest(&mut self, place: TextPosition) {
        (self.aim, self.at, self.no_more) = (Some(MatchTarget::Around(place)), None, None);
    }

    /// Wants the next hit down (or up) from the one that it stands at, else from a place.
    pub fn seek_next(&mut self, ahead: bool, place: TextPosition) {
        self.no_more = None;
        self.aim = Some(match (ahead, self.current_position()) {
            (true, Some(at)) => MatchTarget::After(at),
            (false, Some(at)) => MatchTarget::Before(at),
            (true, None) => MatchTarget::Around(place),
            (false, None) => MatchTarget::Before(place),
        });
    }

    /// Looks through the next piece; the place of the hit that was wanted, once it is known.
    pub fn advance(&mut self, lines: &[DocLine]) -> Option<TextPosition> {
        if let Some(needle) = &self.needle {
            let mut bytes = 0;
            for (number, line) in lines
                .iter()
                .enumerate()
                .skip(self.looked)
                .take(LINES_AT_ONCE)
            {
                self.looked = number + 1;
                self.found
                    .extend(needle.find_iter(&line.text).map(|at| (number, at)));
                bytes += line.text.len();
                if bytes >= BYTES_AT_ONCE || self.found.len() >= MOST {
                    break;
                }
            }
        }
        self.resolve_target(lines.len())
    }

    /// Whether there is more to look through.
    #[must_use]
    pub fn is_searching(&self, lines: usize) -> bool {
        self.needle.is_some() && self.looked < lines && self.found.len() < MOST
    }

    /// The hit that it stands at.
    #[must_use]
    pub fn current_match(&self) -> Option<&(usize, Range<usize>)> {
        self.found.get(self.at?)
    }

    /// How it stands in a text of so many lines.
    #[must_use]
    pub fn progress(&self, lines: usize) -> MatchProgress {
        let (count, more) = (
            self.found.len(),
            self.is_searching(lines) || self.found.len() >= MOST,
        );
        match (&self.needle, self.at) {
            (None, _) => MatchProgress::Nothing,
            (Some(_), Some(at)) => match self.no_more {
                Some(ahead) => MatchProgress::NoMore(at + 1, count, ahead),
                None => MatchProgress::At(at + 1, count, more),
            },
            (Some(_), None) if self.is_searching(lines) && (self.aim.is_some() || count == 0) => {
                MatchProgress::Looking(self.looked, lines)
            }
            (Some(_), None) if count == 0 => MatchProgress::Nowhere,
            (Some(_), None) => MatchProgress::Many(count, more),
        }
    }

    fn current_position(&self) -> Option<TextPosition> {
        self.current_match().map(|(line, at)| (*line, at.start))
    }

    /// Comes to the hit that is wanted, if enough was looked through to know it.
    fn resolve_target(&mut self, lines: usize) -> Option<TextPosition> {
        let aim = self.aim?;
        let (MatchTarget::Around(from) | MatchTarget::After(from) | MatchTarget::Before(from)) =
            aim;
        let whole = !self.is_searching(lines);
        let first = self.found.partition_point(|(line, at)| match aim {
            MatchTarget::After(_) => (*line, at.start) <= from,
            _ => (*line, at.start) < from,
        });
        let below = (first < self.found.len()).then_some(first);
        let above = first
            .checked_sub(1)
            .filter(|_| whole || self.looked > from.0);
        let to = match aim {
            MatchTarget::Around(_) => below.or(above.filter(|_| whole)),
            MatchTarget::After(_) => below,
            MatchTarget::Before(_) => above,
        };
        if to.is_none() && !(whole || matches!(aim, MatchTarget::Before(_)) && self.looked > from.0)
        {
            return None;
        }
        self.aim = None;
        self.no_more = match (to, aim) {
            (None, MatchTarget::After(_)) => Some(true),
            (None, MatchTarget::Before(_)) => Some(false),
            _ => None,
        };
        self.at = to.or(self.at);
        to.and_then(|_| self.current_position())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::text::document::{LineKind, TextDocument};

    fn lines(texts: &[&str]) -> Vec<DocLine> {
        let mut doc = TextDocument::default();
        texts
            .iter()
            .for_each(|text| doc.push(LineKind::Plain, text));
        doc.lines
    }

    fn looking(typed: &str) -> IncrementalSearch {
        let mut hits = IncrementalSearch::default();
        hits.set_pattern(SearchPattern::new(typed));
        hits
    }

    #[test]
    fn the_first_hit_is_below_where_it_began_and_else_the_last_above() {
        let text = lines(&["a cart", "b", "carts and cart", "c"]);
        let mut hits = looking("cart");
        hits.seek_nearest((1, 0));
        assert_eq!(hits.advance(&text), Some((2, 0)));
        assert_eq!(hits.progress(4), MatchProgress::At(2, 3, false));
        hits.seek_nearest((3, 0));
        assert_eq!(hits.advance(&text), Some((2, 10)));
        assert_eq!(hits.progress(4), MatchProgress::At(3, 3, false));
    }

    #[test]
    fn next_and_previous_go_hit_by_hit_and_say_where_the_last_is() {
        let text = lines(&["a cart", "b", "carts and cart", "c"]);
        let mut hits = looking("cart");
        hits.seek_nearest((0, 0));
        let mut seen = vec![hits.advance(&text)];
        for _ in 0..3 {
            hits.seek_next(true, (0, 0));
            seen.push(hits.advance(&text));
        }
        assert_eq!(seen, [Some((0, 2)), Some((2, 0)), Some((2, 10)), None]);
        assert_eq!(hits.progress(4), MatchProgress::NoMore(3, 3, true));
        hits.seek_next(false, (0, 0));
        assert_eq!(
            (hits.advance(&text), hits.progress(4)),
            (Some((2, 0)), MatchProgress::At(2, 3, false))
        );
    }

    #[test]
    fn what_is_nowhere_is_said_to_be_nowhere() {
        let text = lines(&["a", "b"]);
        let mut hits = looking("x");
        assert_eq!(hits.progress(2), MatchProgress::Looking(0, 2));
        hits.seek_nearest((0, 0));
        assert_eq!(
            (hits.advance(&text), hits.progress(2)),
            (None, MatchProgress::Nowhere)
        );
        hits.set_pattern(None);
        assert_eq!(hits.progress(2), MatchProgress::Nothing);
    }

    #[test]
    fn a_long_text_is_looked_through_in_pieces_and_the_hit_comes_with_its_piece() {
        let mut text = lines(&vec!["nothing"; LINES_AT_ONCE * 2]);
        text[LINES_AT_ONCE + 5].text = "the cart".to_owned();
        let all = text.len();
        let mut hits = looking("cart");
        hits.seek_nearest((0, 0));
        assert_eq!(
            (hits.advance(&text), hits.progress(all)),
            (None, MatchProgress::Looking(LINES_AT_ONCE, all))
        );
        assert_eq!(hits.advance(&text), Some((LINES_AT_ONCE + 5, 4)));
        assert_eq!(hits.progress(all), MatchProgress::At(1, 1, false));
    }

    #[test]
    fn a_text_that_grows_is_looked_through_from_where_it_changed() {
        let mut text = lines(&["cart", "ca"]);
        let mut hits = looking("cart");
        hits.seek_nearest((0, 0));
        hits.advance(&text);
        text[1].text.push_str("rt");
        hits.invalidate_from(1);
        assert!(hits.is_searching(2));
        assert_eq!(
            (hits.advance(&text), hits.progress(2)),
            (None, MatchProgress::At(1, 2, false))
        );
    }
}
