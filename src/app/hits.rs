//! Where in a document something stands: found a bounded piece at a time, so that a key is answered at
//! once in a text of any length, and counted as far as it was looked through.
//!
//! A search has an aim: the first hit from a place on, or the next one up or down. It comes true as
//! soon as the lines that decide it were looked through.

use std::ops::Range;

use super::document::DocLine;
use super::needle::Needle;

/// Lines and bytes looked through before other things get their turn.
const LINES_AT_ONCE: usize = 20_000;
/// See [`LINES_AT_ONCE`].
const BYTES_AT_ONCE: usize = 1 << 20;
/// Hits that are counted at most; a word that stands more often is no help.
const MOST: usize = 500_000;

/// A place in a text: line, and byte in it.
pub type Place = (usize, usize);

/// Which hit is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aim {
    /// The first from here on, else the last before.
    Around(Place),
    /// The first behind here.
    After(Place),
    /// The last before here.
    Before(Place),
}

/// How a search stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
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
pub struct Hits {
    needle: Option<Needle>,
    found: Vec<(usize, Range<usize>)>,
    /// Lines that were looked through.
    looked: usize,
    at: Option<usize>,
    aim: Option<Aim>,
    no_more: Option<bool>,
}

impl Hits {
    /// Looks for something else, or for nothing.
    pub fn look_for(&mut self, needle: Option<Needle>) {
        if self.needle != needle {
            *self = Self {
                needle,
                ..Self::default()
            };
        }
    }

    /// What is looked for.
    #[must_use]
    pub fn needle(&self) -> Option<&Needle> {
        self.needle.as_ref()
    }

    /// From this line on the text is another.
    pub fn forget_from(&mut self, line: usize) {
        self.found
            .truncate(self.found.partition_point(|(at, _)| *at < line));
        self.looked = self.looked.min(line);
        self.at = self.at.filter(|at| *at < self.found.len());
    }

    /// Wants the first hit from a place on, else the last before it.
    pub fn aim_around(&mut self, place: Place) {
        (self.aim, self.at, self.no_more) = (Some(Aim::Around(place)), None, None);
    }

    /// Wants the next hit down (or up) from the one that it stands at, else from a place.
    pub fn aim_next(&mut self, ahead: bool, place: Place) {
        self.no_more = None;
        self.aim = Some(match (ahead, self.place()) {
            (true, Some(at)) => Aim::After(at),
            (false, Some(at)) => Aim::Before(at),
            (true, None) => Aim::Around(place),
            (false, None) => Aim::Before(place),
        });
    }

    /// Looks through the next piece; the place of the hit that was wanted, once it is known.
    pub fn look_on(&mut self, lines: &[DocLine]) -> Option<Place> {
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
                    .extend(needle.places(&line.text).map(|at| (number, at)));
                bytes += line.text.len();
                if bytes >= BYTES_AT_ONCE || self.found.len() >= MOST {
                    break;
                }
            }
        }
        self.arrive(lines.len())
    }

    /// Whether there is more to look through.
    #[must_use]
    pub fn looks(&self, lines: usize) -> bool {
        self.needle.is_some() && self.looked < lines && self.found.len() < MOST
    }

    /// The hit that it stands at.
    #[must_use]
    pub fn hit(&self) -> Option<&(usize, Range<usize>)> {
        self.found.get(self.at?)
    }

    /// How it stands in a text of so many lines.
    #[must_use]
    pub fn told(&self, lines: usize) -> Found {
        let (count, more) = (
            self.found.len(),
            self.looks(lines) || self.found.len() >= MOST,
        );
        match (&self.needle, self.at) {
            (None, _) => Found::Nothing,
            (Some(_), Some(at)) => match self.no_more {
                Some(ahead) => Found::NoMore(at + 1, count, ahead),
                None => Found::At(at + 1, count, more),
            },
            (Some(_), None) if self.looks(lines) && (self.aim.is_some() || count == 0) => {
                Found::Looking(self.looked, lines)
            }
            (Some(_), None) if count == 0 => Found::Nowhere,
            (Some(_), None) => Found::Many(count, more),
        }
    }

    fn place(&self) -> Option<Place> {
        self.hit().map(|(line, at)| (*line, at.start))
    }

    /// Comes to the hit that is wanted, if enough was looked through to know it.
    fn arrive(&mut self, lines: usize) -> Option<Place> {
        let aim = self.aim?;
        let (Aim::Around(from) | Aim::After(from) | Aim::Before(from)) = aim;
        let whole = !self.looks(lines);
        let first = self.found.partition_point(|(line, at)| match aim {
            Aim::After(_) => (*line, at.start) <= from,
            _ => (*line, at.start) < from,
        });
        let below = (first < self.found.len()).then_some(first);
        let above = first
            .checked_sub(1)
            .filter(|_| whole || self.looked > from.0);
        let to = match aim {
            Aim::Around(_) => below.or(above.filter(|_| whole)),
            Aim::After(_) => below,
            Aim::Before(_) => above,
        };
        if to.is_none() && !(whole || matches!(aim, Aim::Before(_)) && self.looked > from.0) {
            return None;
        }
        self.aim = None;
        self.no_more = match (to, aim) {
            (None, Aim::After(_)) => Some(true),
            (None, Aim::Before(_)) => Some(false),
            _ => None,
        };
        self.at = to.or(self.at);
        to.and_then(|_| self.place())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::document::{Document, Ink};

    fn lines(texts: &[&str]) -> Vec<DocLine> {
        let mut doc = Document::default();
        texts.iter().for_each(|text| doc.push(Ink::Plain, text));
        doc.lines
    }

    fn looking(typed: &str) -> Hits {
        let mut hits = Hits::default();
        hits.look_for(Needle::new(typed));
        hits
    }

    #[test]
    fn the_first_hit_is_below_where_it_began_and_else_the_last_above() {
        let text = lines(&["a cart", "b", "carts and cart", "c"]);
        let mut hits = looking("cart");
        hits.aim_around((1, 0));
        assert_eq!(hits.look_on(&text), Some((2, 0)));
        assert_eq!(hits.told(4), Found::At(2, 3, false));
        hits.aim_around((3, 0));
        assert_eq!(hits.look_on(&text), Some((2, 10)));
        assert_eq!(hits.told(4), Found::At(3, 3, false));
    }

    #[test]
    fn next_and_previous_go_hit_by_hit_and_say_where_the_last_is() {
        let text = lines(&["a cart", "b", "carts and cart", "c"]);
        let mut hits = looking("cart");
        hits.aim_around((0, 0));
        let mut seen = vec![hits.look_on(&text)];
        for _ in 0..3 {
            hits.aim_next(true, (0, 0));
            seen.push(hits.look_on(&text));
        }
        assert_eq!(seen, [Some((0, 2)), Some((2, 0)), Some((2, 10)), None]);
        assert_eq!(hits.told(4), Found::NoMore(3, 3, true));
        hits.aim_next(false, (0, 0));
        assert_eq!(
            (hits.look_on(&text), hits.told(4)),
            (Some((2, 0)), Found::At(2, 3, false))
        );
    }

    #[test]
    fn what_is_nowhere_is_said_to_be_nowhere() {
        let text = lines(&["a", "b"]);
        let mut hits = looking("x");
        assert_eq!(hits.told(2), Found::Looking(0, 2));
        hits.aim_around((0, 0));
        assert_eq!((hits.look_on(&text), hits.told(2)), (None, Found::Nowhere));
        hits.look_for(None);
        assert_eq!(hits.told(2), Found::Nothing);
    }

    #[test]
    fn a_long_text_is_looked_through_in_pieces_and_the_hit_comes_with_its_piece() {
        let mut text = lines(&vec!["nothing"; LINES_AT_ONCE * 2]);
        text[LINES_AT_ONCE + 5].text = "the cart".to_owned();
        let all = text.len();
        let mut hits = looking("cart");
        hits.aim_around((0, 0));
        assert_eq!(
            (hits.look_on(&text), hits.told(all)),
            (None, Found::Looking(LINES_AT_ONCE, all))
        );
        assert_eq!(hits.look_on(&text), Some((LINES_AT_ONCE + 5, 4)));
        assert_eq!(hits.told(all), Found::At(1, 1, false));
    }

    #[test]
    fn a_text_that_grows_is_looked_through_from_where_it_changed() {
        let mut text = lines(&["cart", "ca"]);
        let mut hits = looking("cart");
        hits.aim_around((0, 0));
        hits.look_on(&text);
        text[1].text.push_str("rt");
        hits.forget_from(1);
        assert!(hits.looks(2));
        assert_eq!(
            (hits.look_on(&text), hits.told(2)),
            (None, Found::At(1, 2, false))
        );
    }
}
