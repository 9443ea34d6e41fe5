//! The events of a run as a window: its end while following, any stretch of it while reading.
//!
//! The window is contiguous and bounded, so a run of a million events costs the same as one of a
//! hundred; what lies outside is asked for when the reader gets there.

use std::collections::VecDeque;
use std::sync::Arc;

use super::keymap::Action;
use crate::model::event::Event;

/// Events held at most.
pub const WINDOW: usize = 2000;
/// Events asked for at once.
pub const CHUNK: u32 = 400;

/// A window over a journal.
#[derive(Clone, Debug)]
pub struct Tail {
    events: VecDeque<Arc<Event>>,
    /// The last event that is known to exist.
    end: u64,
    follow: bool,
    /// The event under the cursor; only while not following.
    cursor: u64,
    /// The first event on the screen.
    top: u64,
    height: u16,
    asked: bool,
}

impl Default for Tail {
    fn default() -> Self {
        Self { events: VecDeque::new(), end: 0, follow: true, cursor: 0, top: 0, height: 10, asked: false }
    }
}

/// Which events a tail needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Those before this one.
    Before(u64),
    /// Those from this one on.
    From(u64),
}

impl Tail {
    /// Starts anew with the last events of a run; reading on where the cursor was, if it is there.
    pub fn reset(&mut self, events: Vec<Event>) {
        self.events = events.into_iter().map(Arc::new).collect();
        self.end = self.end.max(self.last());
        self.asked = false;
        self.settle();
    }

    /// Takes the next live event; whether it fits behind the known ones (or was known).
    pub fn push(&mut self, event: Arc<Event>) -> bool {
        let at_end = self.last() == self.end;
        if event.seq <= self.end {
            return true;
        }
        if event.seq != self.end + 1 {
            return false;
        }
        self.end = event.seq;
        if at_end && (self.follow || self.events.len() < WINDOW) {
            self.events.push_back(event);
            self.trim_front();
        }
        self.settle();
        true
    }

    /// Takes events that were asked for; those that do not touch the window are dropped. What is
    /// still missing where the end is followed.
    pub fn extend(&mut self, events: Vec<Event>) -> Option<Need> {
        self.asked = false;
        let (first, last) = (events.first()?.seq, events.last()?.seq);
        if self.events.is_empty() || first == self.last() + 1 {
            self.events.extend(events.into_iter().map(Arc::new));
            self.trim_front();
        } else if last + 1 == self.first() {
            events.into_iter().rev().for_each(|event| self.events.push_front(Arc::new(event)));
            self.events.truncate(WINDOW);
        }
        self.end = self.end.max(self.last());
        self.settle();
        // Facts that came while the end was being read.
        let missing = self.follow && self.last() < self.end && self.last() >= last;
        missing.then(|| Need::From(self.last() + 1))
    }

    /// Moves the cursor; leaves the end when it goes up. What is needed to go on.
    pub fn go(&mut self, action: Action) -> Option<Need> {
        if self.events.is_empty() {
            return None;
        }
        let page = u64::from(self.height.saturating_sub(1).max(1));
        let at = self.cursor();
        let to = match action {
            Action::Up => at.saturating_sub(1),
            Action::Down => at + 1,
            Action::PageUp => at.saturating_sub(page),
            Action::PageDown => at + page,
            Action::Top => return self.go_top(),
            Action::Bottom => return self.follow(),
            _ => at,
        };
        self.follow = self.follow && to >= self.end;
        self.cursor = to.clamp(self.first(), self.last());
        self.settle();
        self.need(to)
    }

    /// Follows the end again.
    pub fn follow(&mut self) -> Option<Need> {
        self.follow = true;
        let detached = self.last() < self.end;
        self.settle();
        detached.then(|| {
            self.events.clear();
            Need::Before(self.end + 1)
        })
    }

    /// Whether it follows the end.
    #[must_use]
    pub fn follows(&self) -> bool {
        self.follow
    }

    /// Events beneath the cursor; new ones since it stopped following are among them.
    #[must_use]
    pub fn below(&self) -> u64 {
        self.end.saturating_sub(self.cursor())
    }

    /// The event under the cursor.
    #[must_use]
    pub fn selected(&self) -> Option<&Arc<Event>> {
        self.at(self.cursor())
    }

    /// The sequence number under the cursor.
    #[must_use]
    pub fn cursor(&self) -> u64 {
        match self.events.is_empty() {
            true => self.cursor,
            false if self.follow => self.last(),
            false => self.cursor.clamp(self.first(), self.last()),
        }
    }

    /// The events on a screen of `height` rows.
    #[must_use]
    pub fn visible(&self, height: u16) -> Vec<&Arc<Event>> {
        let rows = u64::from(height);
        let top = if self.follow { (self.last() + 1).saturating_sub(rows) } else { self.top };
        let from = usize::try_from(top.saturating_sub(self.first())).unwrap_or(0);
        self.events.iter().skip(from).take(usize::from(height)).collect()
    }

    /// The number of the first event above the screen that is in the window, and of the last known.
    #[must_use]
    pub fn span(&self) -> (u64, u64) {
        (self.first(), self.end)
    }

    /// Every event of the window.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &Arc<Event>> {
        self.events.iter()
    }

    /// Remembers the height of the screen; whether it is new.
    pub fn set_height(&mut self, height: u16) -> bool {
        let new = self.height != height;
        self.height = height;
        self.settle();
        new
    }

    fn at(&self, seq: u64) -> Option<&Arc<Event>> {
        self.events.get(usize::try_from(seq.checked_sub(self.first())?).ok()?)
    }

    fn first(&self) -> u64 {
        self.events.front().map_or(1, |event| event.seq)
    }

    fn last(&self) -> u64 {
        self.events.back().map_or(0, |event| event.seq)
    }

    fn go_top(&mut self) -> Option<Need> {
        self.follow = false;
        self.cursor = self.first();
        self.settle();
        if self.first() > 1 {
            self.events.clear();
            (self.cursor, self.top) = (1, 1);
            return Some(Need::From(1));
        }
        None
    }

    fn need(&mut self, wanted: u64) -> Option<Need> {
        let margin = u64::from(self.height);
        let need = if self.first() > 1 && wanted < self.first() + margin {
            Need::Before(self.first())
        } else if self.last() < self.end && wanted + margin > self.last() {
            Need::From(self.last() + 1)
        } else {
            return None;
        };
        (!std::mem::replace(&mut self.asked, true)).then_some(need)
    }

    fn trim_front(&mut self) {
        while self.events.len() > WINDOW {
            self.events.pop_front();
        }
    }

    /// Keeps cursor and screen inside the window.
    fn settle(&mut self) {
        if self.events.is_empty() {
            return;
        }
        let rows = u64::from(self.height.max(1));
        self.cursor = self.cursor();
        let lowest = (self.cursor + 1).saturating_sub(rows);
        self.top = self.top.clamp(lowest, self.cursor).clamp(self.first(), self.last());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::event::Fact;
    use crate::model::id::RunId;
    use crate::model::time::Timestamp;

    fn event(seq: u64) -> Event {
        let run_id: RunId = "01930000-0000-7000-8000-0000deadbeef".parse().unwrap();
        Event { run_id, seq, at: Timestamp(0), fact: Fact::RunCompleted {} }
    }

    fn tail(range: std::ops::RangeInclusive<u64>) -> Tail {
        let mut tail = Tail::default();
        tail.reset(range.map(event).collect());
        tail
    }

    fn shown(tail: &Tail, height: u16) -> Vec<u64> {
        tail.visible(height).iter().map(|event| event.seq).collect()
    }

    #[test]
    fn it_follows_until_someone_goes_up_and_says_how_far_the_end_is() {
        let mut tail = tail(1..=20);
        assert_eq!(shown(&tail, 3), [18, 19, 20]);
        tail.set_height(3);
        tail.go(Action::Up);
        assert!(!tail.follows());
        assert!(tail.push(Arc::new(event(21))));
        assert_eq!((tail.cursor(), tail.below(), shown(&tail, 3)), (19, 2, vec![18, 19, 20]));
        tail.go(Action::Bottom);
        assert_eq!((tail.follows(), shown(&tail, 3)), (true, vec![19, 20, 21]));
    }

    #[test]
    fn a_jump_in_the_numbers_is_told() {
        let mut tail = tail(1..=3);
        assert!(!tail.push(Arc::new(event(5))));
        assert!(tail.push(Arc::new(event(4))));
        assert!(tail.push(Arc::new(event(4))));
        assert_eq!(tail.cursor(), 4);
    }

    #[test]
    fn it_asks_once_for_what_lies_before_and_takes_it_in() {
        let mut tail = tail(100..=150);
        tail.set_height(10);
        assert_eq!(tail.go(Action::PageUp), None);
        for _ in 0..3 {
            tail.go(Action::PageUp);
        }
        assert_eq!(tail.go(Action::PageUp), Some(Need::Before(100)));
        assert_eq!(tail.go(Action::Up), None, "asked already");
        assert_eq!(tail.extend((50..=99).map(event).collect()), None);
        assert_eq!((tail.span(), tail.cursor()), ((50, 150), 104));
        assert_eq!(tail.go(Action::Top), Some(Need::From(1)));
        tail.extend((1..=40).map(event).collect());
        assert_eq!((tail.cursor(), tail.below()), (1, 149));
        assert_eq!(tail.follow(), Some(Need::Before(151)));
        tail.push(Arc::new(event(151)));
        assert_eq!(tail.extend((110..=150).map(event).collect()), Some(Need::From(151)));
        assert_eq!(tail.extend(vec![event(151)]), None);
        assert_eq!(tail.cursor(), 151);
    }

    #[test]
    fn the_window_is_bounded_whatever_comes() {
        let mut tail = tail(1..=10);
        for seq in 11..=(WINDOW as u64 * 2) {
            assert!(tail.push(Arc::new(event(seq))));
        }
        assert_eq!(tail.events.len(), WINDOW);
        assert_eq!(tail.span().1, WINDOW as u64 * 2);
    }

    proptest! {
        #[test]
        fn the_cursor_is_always_on_the_screen(moves in prop::collection::vec(0u8..8, 0..60), height in 1u16..30) {
            let mut tail = tail(1..=50);
            tail.set_height(height);
            let mut next = 51;
            for m in moves {
                use Action::{Bottom, Down, PageDown, PageUp, Top, Up};
                match [Up, Down, PageUp, PageDown, Top, Bottom].get(usize::from(m)) {
                    Some(action) => drop(tail.go(*action)),
                    None => { tail.push(Arc::new(event(next))); next += 1; }
                }
                let cursor = tail.cursor();
                prop_assert!(shown(&tail, height).contains(&cursor));
            }
        }
    }
}
