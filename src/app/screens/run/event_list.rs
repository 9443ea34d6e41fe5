//! The events of a run as they are read: their end while following, any stretch of them while reading.
//!
//! Where the reader stands, and what is on the screen around that place. The events themselves are a
//! bounded [`EventWindow`](super::window::Window), so a run of a million events costs the same as one of a
//! hundred; what lies outside is asked for when the reader gets near.

use crate::app::keymap::Action;
use crate::app::screens::run::event_window::EventWindow;
pub use crate::app::screens::run::event_window::{CHUNK, EventFetch, WINDOW};
use crate::engine::api::EventMatches;
use crate::model::event::JournalEvent;
use crate::model::event_filter::EventFilter;
use std::sync::Arc;

/// A place in a journal, and the window around it.
#[derive(Clone, Debug)]
pub struct EventList {
    window: EventWindow,
    follow: bool,
    /// The event under the cursor; only while not following.
    cursor: u64,
    /// The first event on the screen.
    top: u64,
    height: u16,
}

impl Default for EventList {
    fn default() -> Self {
        Self {
            window: EventWindow::default(),
            follow: true,
            cursor: 0,
            top: 0,
            height: 10,
        }
    }
}

impl EventList {
    /// Takes the last events of a run, all of them to its end. Who reads elsewhere is left there.
    pub fn reset(&mut self, events: Vec<JournalEvent>) -> Option<EventFetch> {
        self.window.reset(events, !self.follow);
        self.scroll_to_cursor();
        self.need()
    }

    /// Takes the next live event; whether it fits behind the known ones (or was known).
    pub fn push(&mut self, event: Arc<JournalEvent>) -> bool {
        let fits = self.window.push(event, self.follow);
        self.scroll_to_cursor();
        fits
    }

    /// Takes what was asked for; what is still missing. Answers to older questions are dropped.
    pub fn extend(&mut self, need: EventFetch, page: EventMatches) -> Option<EventFetch> {
        let progress = self.window.extend(need, page)?;
        self.scroll_to_cursor();
        if progress { self.need() } else { None }
    }

    /// What was asked for could not be read; it may be asked for again.
    pub fn fetch_failed(&mut self) {
        self.window.fetch_failed();
    }

    /// Moves the cursor; leaves the end when it goes up. What is needed to go on.
    pub fn move_cursor(&mut self, action: Action) -> Option<EventFetch> {
        let page = usize::from(self.height.saturating_sub(1).max(1));
        let at = self.at();
        let to = match action {
            Action::Up => at.saturating_sub(1),
            Action::Down => at + 1,
            Action::PageUp => at.saturating_sub(page),
            Action::PageDown => at + page,
            Action::Top => return self.go_to(1),
            Action::Bottom => return self.follow(),
            _ => at,
        };
        let last = self.window.len().checked_sub(1)?;
        self.follow = self.follow && to >= last;
        self.cursor = self
            .window
            .get(to.min(last))
            .map_or(self.cursor, |event| event.seq);
        self.scroll_to_cursor();
        self.need()
    }

    /// Puts the cursor on an event, wherever it is.
    pub fn go_to(&mut self, seq: u64) -> Option<EventFetch> {
        self.follow = false;
        self.cursor = seq;
        if !self
            .window
            .covered()
            .is_some_and(|covered| covered.contains(&seq))
        {
            return self.restart();
        }
        let (at, top) = (self.at(), self.window.place(self.top));
        if at < top || at >= top + usize::from(self.height.max(1)) {
            self.top = self.screen_around(seq);
        }
        self.scroll_to_cursor();
        self.need()
    }

    /// Follows the end again.
    pub fn follow(&mut self) -> Option<EventFetch> {
        self.follow = true;
        if self.window.behind() > u64::from(CHUNK) {
            return self.restart();
        }
        self.scroll_to_cursor();
        self.need()
    }

    /// Shows only what is wanted, near the cursor.
    pub fn set_filter(&mut self, wanted: EventFilter) -> Option<EventFetch> {
        self.cursor = self.cursor();
        self.window.set_filter(wanted);
        self.restart()
    }

    /// What is shown.
    #[must_use]
    pub fn filter(&self) -> &EventFilter {
        self.window.wanted()
    }

    /// Whether it follows the end.
    #[must_use]
    pub fn is_following(&self) -> bool {
        self.follow
    }

    /// Events beneath the cursor, as far as is known; new ones since it stopped following are among them.
    #[must_use]
    pub fn below(&self) -> u64 {
        match self.window.wanted().is_all() {
            true => self.window.end().saturating_sub(self.cursor()),
            false => {
                u64::try_from(self.window.len().saturating_sub(self.at() + 1)).unwrap_or(u64::MAX)
            }
        }
    }

    /// Events that are not wanted, and since which one they were counted.
    #[must_use]
    pub fn filtered_out(&self) -> (u64, u64) {
        self.window.filtered_out()
    }

    /// Whether something is on its way that belongs on the screen.
    #[must_use]
    pub fn is_loading(&self) -> bool {
        self.window.is_fetching() && self.window.len() < usize::from(self.height)
    }

    /// The event under the cursor.
    #[must_use]
    pub fn selected(&self) -> Option<&Arc<JournalEvent>> {
        self.window.get(self.at())
    }

    /// The sequence number under the cursor.
    #[must_use]
    pub fn cursor(&self) -> u64 {
        match self.selected() {
            Some(event) => event.seq,
            None if self.follow => self.window.end(),
            None => self.cursor,
        }
    }

    /// The events on a screen of `height` rows.
    #[must_use]
    pub fn visible(&self, height: u16) -> Vec<&Arc<JournalEvent>> {
        let rows = usize::from(height);
        let top = if self.follow {
            self.window.len().saturating_sub(rows)
        } else {
            self.window.place(self.top)
        };
        self.window.events().skip(top).take(rows).collect()
    }

    /// The number of the first event that is covered by the window, and of the last known.
    #[must_use]
    pub fn span(&self) -> (u64, u64) {
        (
            self.window.covered().map_or(1, |covered| covered.start),
            self.window.end(),
        )
    }

    /// Every event of the window.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &Arc<JournalEvent>> {
        self.window.events()
    }

    /// Remembers the height of the screen; whether it is new, and what it needs.
    pub fn set_height(&mut self, height: u16) -> (bool, Option<EventFetch>) {
        let new = self.height != height;
        self.height = height;
        self.scroll_to_cursor();
        (
            new,
            if self.window.covered().is_some() {
                self.need()
            } else {
                None
            },
        )
    }

    fn at(&self) -> usize {
        if self.follow {
            self.window.len().saturating_sub(1)
        } else {
            self.window.place(self.cursor)
        }
    }

    /// Where the screen begins so that what comes before an event is on it too.
    fn screen_around(&self, seq: u64) -> u64 {
        seq.saturating_sub(u64::from(self.height / 3)).max(1)
    }

    /// Forgets the window and asks for another.
    fn restart(&mut self) -> Option<EventFetch> {
        self.window.forget();
        self.top = self.screen_around(self.cursor);
        self.need()
    }

    /// What is missing around the cursor, once.
    fn need(&mut self) -> Option<EventFetch> {
        let rows = self.height.max(1);
        if self.window.covered().is_some() {
            return self.window.missing(self.at(), usize::from(rows) * 2);
        }
        self.window.first(match self.follow {
            true => EventFetch::Before(self.window.end() + 1),
            false => EventFetch::From(self.cursor.saturating_sub(2 * u64::from(rows)).max(1)),
        })
    }

    /// Keeps the screen around the cursor.
    fn scroll_to_cursor(&mut self) {
        if self.window.is_empty() {
            return;
        }
        let (at, rows) = (self.at(), usize::from(self.height.max(1)));
        let lowest = (at + 1).saturating_sub(rows);
        // No rows stay empty below while there are events above.
        let fullest = self.window.len().saturating_sub(rows);
        let top = self.window.place(self.top).min(fullest).clamp(lowest, at);
        self.top = self.window.get(top).map_or(self.top, |event| event.seq);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::event::RunFact;
    use crate::model::id::RunId;
    use crate::model::time::Timestamp;

    /// Every tenth event is a failure, the others are calm.
    fn event(seq: u64) -> JournalEvent {
        let run_id: RunId = "01930000-0000-7000-8000-0000deadbeef".parse().unwrap();
        let reason = if seq.is_multiple_of(10) {
            "loud"
        } else {
            "calm"
        };
        let fact = RunFact::RunAborted {
            by: "kim".to_owned(),
            via: crate::model::state::Via::Cli,
            reason: reason.to_owned(),
        };
        JournalEvent {
            run_id,
            seq,
            at: Timestamp(0),
            fact,
        }
    }

    fn tail(range: std::ops::RangeInclusive<u64>) -> EventList {
        let mut tail = EventList {
            height: 3,
            ..EventList::default()
        };
        tail.reset(range.map(event).collect());
        tail
    }

    /// What the archive would answer from a journal that ends at `end`, looking at 300 events at most.
    fn answer(need: EventFetch, wanted: &EventFilter, end: u64) -> EventMatches {
        let (from, to) = match need {
            EventFetch::Before(seq) => (seq.saturating_sub(300).max(1), (seq - 1).min(end)),
            EventFetch::From(seq) => (seq, (seq + 299).min(end)),
        };
        EventMatches {
            events: (from..=to)
                .map(event)
                .filter(|event| wanted.matches(event))
                .collect(),
            from,
            to,
        }
    }

    /// Answers until nothing is asked; how often.
    fn serve(tail: &mut EventList, mut need: Option<EventFetch>, end: u64) -> usize {
        let mut asked = 0;
        while let Some(open) = need {
            asked += 1;
            assert!(asked < 50, "it asks without end");
            let page = answer(open, tail.filter(), end);
            need = tail.extend(open, page);
        }
        asked
    }

    fn shown(tail: &EventList, height: u16) -> Vec<u64> {
        tail.visible(height).iter().map(|event| event.seq).collect()
    }

    #[test]
    fn it_follows_until_someone_goes_up_and_says_how_far_the_end_is() {
        let mut tail = tail(1..=20);
        assert_eq!(shown(&tail, 3), [18, 19, 20]);
        tail.move_cursor(Action::Up);
        assert!(!tail.is_following());
        assert!(tail.push(Arc::new(event(21))));
        assert_eq!(
            (tail.cursor(), tail.below(), shown(&tail, 3)),
            (19, 2, vec![18, 19, 20])
        );
        tail.move_cursor(Action::Bottom);
        assert_eq!(
            (tail.is_following(), shown(&tail, 3)),
            (true, vec![19, 20, 21])
        );
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
    fn any_place_of_a_long_journal_is_one_question_away() {
        let end = 1_000_000;
        let mut tail = tail(end - 399..=end);
        assert_eq!(tail.span(), (end - 399, end));
        let need = tail.move_cursor(Action::Top);
        assert_eq!(need, Some(EventFetch::From(1)));
        assert_eq!(tail.move_cursor(Action::Down), None, "asked already");
        assert_eq!(serve(&mut tail, need, end), 1);
        assert_eq!((tail.cursor(), shown(&tail, 3)), (1, vec![1, 2, 3]));
        let need = tail.go_to(500_000);
        assert_eq!(serve(&mut tail, need, end), 1);
        tail.move_cursor(Action::Up);
        assert_eq!(
            (tail.cursor(), shown(&tail, 3)),
            (499_999, vec![499_999, 500_000, 500_001]),
            "what was before the hit is on the screen"
        );
        let need = tail.follow();
        assert_eq!(need, Some(EventFetch::Before(end + 1)));
        tail.push(Arc::new(event(end + 1)));
        assert_eq!(
            serve(&mut tail, need, end + 1),
            2,
            "what came meanwhile is asked for too"
        );
        assert_eq!(tail.cursor(), end + 1);
    }

    #[test]
    fn an_answer_to_an_older_question_is_dropped() {
        let mut tail = tail(700..=999);
        let old = tail.go_to(100).unwrap();
        let new = tail.go_to(400).unwrap();
        assert_eq!(
            tail.extend(old, answer(old, &EventFilter::default(), 999)),
            None
        );
        assert_eq!(tail.selected(), None);
        serve(&mut tail, Some(new), 999);
        assert_eq!(tail.cursor(), 400);
    }

    #[test]
    fn a_filter_shows_what_is_wanted_says_what_is_left_out_and_keeps_the_place() {
        let mut tail = tail(601..=1000);
        let need = tail.set_filter(EventFilter::parse("loud"));
        serve(&mut tail, need, 1000);
        assert_eq!(shown(&tail, 3), [980, 990, 1000]);
        assert_eq!(tail.filtered_out(), (270, 701));
        tail.push(Arc::new(event(1001)));
        assert_eq!(
            (shown(&tail, 3), tail.filtered_out()),
            (vec![980, 990, 1000], (271, 701))
        );
        let need = tail.move_cursor(Action::Top);
        serve(&mut tail, need, 1001);
        assert_eq!(
            (shown(&tail, 3), tail.cursor(), tail.below()),
            (vec![10, 20, 30], 10, 29)
        );
        tail.move_cursor(Action::Down);
        let need = tail.set_filter(EventFilter::default());
        serve(&mut tail, need, 1001);
        assert_eq!((tail.cursor(), tail.filtered_out()), (20, (0, 14)));
        let need = tail.set_filter(EventFilter::parse("nothing"));
        assert_eq!(
            serve(&mut tail, need, 1001),
            5,
            "everything is looked through"
        );
        assert_eq!(
            (
                shown(&tail, 3).len(),
                tail.filtered_out(),
                tail.is_loading()
            ),
            (0, (1001, 1), false)
        );
    }

    #[test]
    fn opening_again_leaves_the_reader_where_he_is() {
        let mut tail = tail(601..=1000);
        let need = tail.go_to(50);
        serve(&mut tail, need, 1000);
        tail.reset((701..=1100).map(event).collect());
        assert_eq!(
            (tail.cursor(), tail.below(), tail.is_following()),
            (50, 1050, false)
        );
    }

    #[test]
    fn the_window_is_bounded_whatever_comes() {
        let mut tail = tail(1..=10);
        for seq in 11..=(WINDOW as u64 * 2) {
            assert!(tail.push(Arc::new(event(seq))));
        }
        assert_eq!(
            (tail.window.len(), tail.span()),
            (WINDOW, (WINDOW as u64 + 1, WINDOW as u64 * 2))
        );
        for _ in 0..3000 {
            let need = tail.move_cursor(Action::PageUp);
            serve(&mut tail, need, WINDOW as u64 * 2);
        }
        assert_eq!((tail.window.len(), tail.cursor()), (WINDOW, 1));
    }

    proptest! {
        #[test]
        fn the_cursor_is_always_on_the_screen_and_the_window_has_no_holes(
            moves in prop::collection::vec(0u8..11, 0..60), height in 1u16..30,
        ) {
            let mut tail = tail(2000..=2050);
            tail.set_height(height);
            let mut end = 2050;
            for m in moves {
                use Action::{Bottom, Down, PageDown, PageUp, Top, Up};
                let need = match m {
                    0..=5 => tail.move_cursor([Up, Down, PageUp, PageDown, Top, Bottom][usize::from(m)]),
                    6 => tail.go_to(end / 3),
                    7 => tail.set_filter(EventFilter::parse("loud")),
                    8 => tail.set_filter(EventFilter::default()),
                    _ => { end += 1; tail.push(Arc::new(event(end))); None }
                };
                serve(&mut tail, need, end);
                let seqs: Vec<u64> = tail.events().map(|event| event.seq).collect();
                let covered = tail.window.covered().cloned().unwrap();
                let want: Vec<u64> = covered.map(event).filter(|event| tail.filter().matches(event)).map(|event| event.seq).collect();
                prop_assert_eq!(seqs, want);
                let cursor = tail.cursor();
                prop_assert!(shown(&tail, height).contains(&cursor));
            }
        }
    }
}
