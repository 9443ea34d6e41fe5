//! A bounded window over a journal: every wanted event of one stretch of it.
//!
//! What lies outside is asked for, one question at a time, and an answer says which stretch it looked
//! through: where little is wanted that may be much for few events, and how many were left out is known.
//! Where in the window the reader stands is [`super::tail`]'s.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use crate::engine::api::EventMatches;
use crate::model::event::JournalEvent;
use crate::model::event_filter::EventFilter;

/// Events held at most.
pub const WINDOW: usize = 2000;
/// Events asked for at once.
pub const CHUNK: u32 = 400;

/// Which events are needed next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventFetch {
    /// Those before this one.
    Before(u64),
    /// Those from this one on.
    From(u64),
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct EventWindow {
    events: VecDeque<Arc<JournalEvent>>,
    /// The stretch of which every wanted event is in the window; none while nothing is known.
    covered: Option<Range<u64>>,
    wanted: EventFilter,
    /// The last event that is known to exist.
    end: u64,
    asked: Option<EventFetch>,
}

impl EventWindow {
    /// Takes the last events of a run, all of them to its end; unless `elsewhere` is read, which stays.
    pub fn reset(&mut self, events: Vec<JournalEvent>, elsewhere: bool) {
        let stretch = events.first().map_or(1, |first| first.seq)
            ..events.last().map_or(1, |last| last.seq + 1);
        self.end = self.end.max(stretch.end - 1);
        let newer = self
            .covered
            .as_ref()
            .is_some_and(|known| known.end >= stretch.end);
        let stays = newer || (elsewhere && self.covered.is_some());
        if !stays {
            self.events = events
                .into_iter()
                .filter(|event| self.wanted.matches(event))
                .map(Arc::new)
                .collect();
            (self.covered, self.asked) = (Some(stretch), None);
        }
    }

    /// Takes the next live event; whether it fits behind the known ones (or was known). A full window
    /// moves on with it only where its end is followed.
    pub fn push(&mut self, event: Arc<JournalEvent>, follows: bool) -> bool {
        if event.seq <= self.end {
            return true;
        }
        if event.seq != self.end + 1 {
            return false;
        }
        self.end = event.seq;
        let room = follows || self.events.len() < WINDOW;
        if let Some(covered) = self
            .covered
            .as_mut()
            .filter(|covered| room && covered.end == event.seq)
        {
            covered.end += 1;
            if self.wanted.matches(&event) {
                self.events.push_back(event);
                self.trim_front();
            }
        }
        true
    }

    /// Takes what was asked for; whether it says anything new. None: it answers an older question.
    pub fn extend(&mut self, need: EventFetch, page: EventMatches) -> Option<bool> {
        if self.asked != Some(need) {
            return None;
        }
        self.asked = None;
        let stretch = page.from..page.to + 1;
        let progress = !stretch.is_empty();
        let found = page.events.into_iter().map(Arc::new);
        match self.covered.clone() {
            None => {
                self.events = found.collect();
                self.covered = Some(stretch.clone());
            }
            Some(known) if progress && stretch.start == known.end => {
                self.events.extend(found);
                self.covered = Some(known.start..stretch.end);
                self.trim_front();
            }
            Some(known) if progress && stretch.end == known.start => {
                found.rev().for_each(|event| self.events.push_front(event));
                self.covered = Some(stretch.start..known.end);
                self.trim_back();
            }
            Some(_) => {}
        }
        self.end = self.end.max(stretch.end.saturating_sub(1));
        Some(progress)
    }

    /// What was asked for could not be read; it may be asked for again.
    pub fn fetch_failed(&mut self) {
        self.asked = None;
    }

    /// Forgets everything but where the journal ends.
    pub fn forget(&mut self) {
        self.events.clear();
        (self.covered, self.asked) = (None, None);
    }

    /// From now on holds only what is wanted; nothing of it is known yet.
    pub fn set_filter(&mut self, wanted: EventFilter) {
        self.wanted = wanted;
        self.forget();
    }

    /// What is held.
    #[must_use]
    pub fn wanted(&self) -> &EventFilter {
        &self.wanted
    }

    /// The stretch of which every wanted event is here; none while nothing is known.
    #[must_use]
    pub fn covered(&self) -> Option<&Range<u64>> {
        self.covered.as_ref()
    }

    /// The last event that is known to exist.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }

    /// How many events of the journal lie behind the window.
    #[must_use]
    pub fn behind(&self) -> u64 {
        self.covered.as_ref().map_or(u64::MAX, |covered| {
            (self.end + 1).saturating_sub(covered.end)
        })
    }

    /// Events that are not wanted, and since which one they were counted.
    #[must_use]
    pub fn filtered_out(&self) -> (u64, u64) {
        let Some(covered) = &self.covered else {
            return (0, 1);
        };
        let shown = u64::try_from(self.events.len()).unwrap_or(u64::MAX);
        (
            (covered.end - covered.start).saturating_sub(shown),
            covered.start,
        )
    }

    /// Whether a question is on its way.
    #[must_use]
    pub fn is_fetching(&self) -> bool {
        self.asked.is_some()
    }

    /// How many events it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The event at a place.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<&Arc<JournalEvent>> {
        self.events.get(at)
    }

    /// Every event.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &Arc<JournalEvent>> {
        self.events.iter()
    }

    /// The place of the last event that is not behind `seq`.
    #[must_use]
    pub fn place(&self, seq: u64) -> usize {
        self.events
            .partition_point(|event| event.seq <= seq)
            .saturating_sub(1)
    }

    /// Asks for the part of the journal that `need` names, where nothing is known yet.
    pub fn first(&mut self, need: EventFetch) -> Option<EventFetch> {
        if self.asked.is_some() {
            return None;
        }
        self.asked = Some(need);
        self.asked
    }

    /// What is missing within `near` events of a place, once.
    pub fn missing(&mut self, at: usize, near: usize) -> Option<EventFetch> {
        if self.asked.is_some() {
            return None;
        }
        let below = self.events.len().saturating_sub(at + 1);
        self.asked = match &self.covered {
            Some(covered) if covered.start > 1 && at < near => {
                Some(EventFetch::Before(covered.start))
            }
            Some(covered) if covered.end <= self.end && below < near => {
                Some(EventFetch::From(covered.end))
            }
            _ => None,
        };
        self.asked
    }

    fn trim_front(&mut self) {
        let over = self.events.len().saturating_sub(WINDOW);
        drop(self.events.drain(..over));
        if let (Some(covered), Some(first), true) =
            (&mut self.covered, self.events.front(), over > 0)
        {
            covered.start = first.seq;
        }
    }

    fn trim_back(&mut self) {
        let cut = self.events.get(WINDOW).map(|event| event.seq);
        self.events.truncate(WINDOW);
        if let (Some(covered), Some(cut)) = (&mut self.covered, cut) {
            covered.end = cut;
        }
    }
}
