//! The list of runs: its lines, the selection, the window over what is long, and the filter.
//!
//! The archive hands out what is in flight whole, completed runs of today as a number (and one by one
//! when their fold is open), and a window over the rest. A line of the list is one of these; what the
//! window does not hold yet is a line all the same, so that nothing jumps when it comes.
use crate::app::keymap::Action;
use crate::app::screens::runs::filter::RunListSearch;
use crate::engine::api::{RunCounts, RunPage, RunPageQuery};
use crate::model::error::Failure;
use crate::model::id::RunId;
use crate::model::question::BUDGET_GATE;
use crate::model::record::RunRecord;
use crate::model::resumable;
use crate::model::state::RunStatus;
use crate::model::time::Timestamp;

/// Runs of the rest that are read at a time.
pub const WINDOW: u32 = 200;
/// The window is moved when the screen comes so near to its end.
const MARGIN: usize = 20;
/// Questions that may follow each other at once, and how long another takes to be earned.
const BURST: u64 = 4;
const EARNED_MS: u64 = 150;

/// Every run that is known.
#[derive(Clone, Debug, Default)]
pub struct RunsState {
    /// What was read: in flight (waiting for a person first, the oldest question on top), done today, the window.
    pub records: Vec<RunRecord>,
    /// How many there are.
    pub counts: RunCounts,
    /// Whether the archive has answered at least once.
    pub loaded: bool,
    /// Why the last answer was none; the records are the ones before it.
    pub failure: Option<Failure>,
    /// Which is selected.
    pub selected: Option<RunId>,
    /// The line under the cursor.
    pub cursor: usize,
    /// The first line on the screen.
    pub top: usize,
    /// Rows of the list on the screen.
    pub height: u16,
    /// Whether the completed runs of today stand one by one.
    pub unfolded: bool,
    /// What is looked for.
    pub filter: RunListSearch,
    /// A question to the archive is on its way, and whether another is due after it.
    pub asking: RequestStatus,
    /// Since when the first answer is waited for, in ticks.
    pub since: Option<u64>,
    /// When a question that had to wait is due, in ticks.
    pub due_at: Option<u64>,
    /// When the questions of the last moments were asked, as one number that time catches up with.
    spent_until: u64,
    live: usize,
    today: usize,
    offset: usize,
    /// In flight, and left out by the filter.
    aside: Vec<RunRecord>,
}

/// A line of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunListRow<'a> {
    /// A run.
    Run(&'a RunRecord),
    /// The completed runs of today.
    Fold,
    /// A run that is not read yet.
    Unread,
}

/// Whether a question to the archive is on its way. Keeps news from piling up as questions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequestStatus {
    /// No.
    #[default]
    Idle,
    /// Yes.
    Asked,
    /// Yes, and what it will say may be old by then.
    Again,
}

impl RequestStatus {
    /// News came; whether to ask now.
    pub fn request(&mut self) -> bool {
        let ask = *self == Self::Idle;
        *self = if ask { Self::Asked } else { Self::Again };
        ask
    }

    /// The answer came; whether to ask again.
    pub fn complete(&mut self) -> bool {
        let again = *self == Self::Again;
        *self = if again { Self::Asked } else { Self::Idle };
        again
    }
}

impl RunsState {
    /// Takes a part of the list in; the selection stays on its run and the run on its row.
    pub fn apply_page(&mut self, page: RunPage, offset: u32) {
        let on_fold = self.line(self.cursor) == Some(RunListRow::Fold);
        let mut live = page.live;
        live.sort_by_key(order);
        (self.live, self.today, self.offset) = (
            live.len(),
            page.today.len(),
            usize::try_from(offset).unwrap_or(0),
        );
        self.aside = page.aside;
        self.records = live
            .into_iter()
            .chain(page.today)
            .chain(page.rest)
            .collect();
        self.counts = page.counts;
        (self.loaded, self.failure, self.since) = (true, None, None);
        let found = self
            .selected
            .and_then(|id| self.line_index(id))
            .or(if on_fold { self.fold_line() } else { None });
        if let Some(line) = found {
            self.top = (self.top + line).saturating_sub(self.cursor);
            self.cursor = line;
        }
        self.move_cursor_to(self.cursor);
    }

    /// The part of the list that is on the screen, as a question; the terminal has so many rows.
    #[must_use]
    pub fn page_request(&self, midnight: Timestamp, rows: u16) -> RunPageQuery {
        RunPageQuery {
            filter: self.filter.text.clone(),
            also: self.filter.hits.clone(),
            midnight,
            today: self.unfolded,
            offset: u32::try_from(self.wanted_offset()).unwrap_or(u32::MAX),
            // What is asked first is on no screen yet: a screenful is there sooner.
            limit: if self.loaded {
                WINDOW
            } else {
                u32::from(rows).clamp(1, WINDOW)
            },
        }
    }

    /// Whether a page answers what is asked now.
    #[must_use]
    pub fn matches_request(&self, ask: &RunPageQuery) -> bool {
        ask.filter == self.filter.text && ask.today == self.unfolded
    }

    /// Whether the archive may be asked now; when not, a later moment is noted.
    pub fn try_acquire_query(&mut self, ticks: u64) -> bool {
        let until = self.spent_until.max(ticks) + EARNED_MS;
        if until > ticks + BURST * EARNED_MS {
            self.due_at.get_or_insert(until - BURST * EARNED_MS);
            return false;
        }
        (self.spent_until, self.due_at) = (until, None);
        true
    }

    /// How many lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.head() + usize::try_from(self.counts.rest).unwrap_or(0)
    }

    /// Whether nothing is listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no run at all.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.loaded && self.counts.total == 0
    }

    /// What a line shows.
    #[must_use]
    pub fn line(&self, at: usize) -> Option<RunListRow<'_>> {
        let fold = usize::from(self.has_fold());
        if at < self.live {
            return self.records.get(at).map(RunListRow::Run);
        }
        if self.has_fold() && at == self.live {
            return Some(RunListRow::Fold);
        }
        if at < self.head() {
            return self.records.get(at - fold).map(RunListRow::Run);
        }
        let place = at - self.head();
        if place >= usize::try_from(self.counts.rest).unwrap_or(0) {
            return None;
        }
        let read = place
            .checked_sub(self.offset)
            .and_then(|place| self.records.get(self.live + self.today + place));
        Some(read.map_or(RunListRow::Unread, RunListRow::Run))
    }

    /// Whether a line stands beneath the fold.
    #[must_use]
    pub fn is_within_fold(&self, at: usize) -> bool {
        self.has_fold() && at > self.live && at < self.head()
    }

    /// The selected run.
    #[must_use]
    pub fn selected(&self) -> Option<&RunRecord> {
        self.selected.and_then(|id| self.get(id))
    }

    /// Moves the selection.
    pub fn move_cursor(&mut self, action: Action) {
        let to = move_in_list(self.cursor, self.len(), self.height, action);
        self.move_cursor_to(to);
    }

    /// Puts the cursor on a line, and the line on the screen.
    pub fn move_cursor_to(&mut self, line: usize) {
        self.cursor = line.min(self.len().saturating_sub(1));
        self.selected = match self.line(self.cursor) {
            Some(RunListRow::Run(record)) => Some(record.id),
            _ => None,
        };
        self.show_cursor();
    }

    /// Takes the height of the list on the screen in.
    pub fn set_height(&mut self, height: u16) {
        self.height = height;
        self.show_cursor();
    }

    /// Whether the screen shows lines that are not read; then the window must move.
    #[must_use]
    pub fn needs_page(&self) -> bool {
        self.loaded && self.wanted_offset() != self.offset
    }

    /// The run with this id, among those that were read.
    #[must_use]
    pub fn get(&self, id: RunId) -> Option<&RunRecord> {
        self.records.iter().chain(&self.aside).find(|r| r.id == id)
    }

    /// Everything that was read, and everything in flight.
    #[must_use]
    pub fn all_known(&self) -> Vec<RunRecord> {
        self.records.iter().chain(&self.aside).cloned().collect()
    }

    /// Everything in flight, whatever the filter; in no order.
    pub fn active(&self) -> impl Iterator<Item = &RunRecord> {
        self.records.iter().take(self.live).chain(&self.aside)
    }

    /// Runs that wait for the operator, the oldest question first.
    pub fn awaiting_operator(&self) -> impl Iterator<Item = &RunRecord> {
        let mut waiting: Vec<&RunRecord> = self.active().filter(|r| awaits_operator(r)).collect();
        waiting.sort_by_key(|r| order(r));
        waiting.into_iter()
    }

    /// Runs that work.
    pub fn working(&self) -> impl Iterator<Item = &RunRecord> {
        self.active()
            .filter(|r| r.state == RunStatus::Executing.as_str() && r.waits_until.is_none())
    }

    /// Runs that wait for a moment that a model's server named: nobody works on them, and nobody is needed.
    pub fn backing_off(&self) -> impl Iterator<Item = &RunRecord> {
        self.active().filter(|r| r.waits_until.is_some())
    }

    /// The next moment at which one of them goes on.
    #[must_use]
    pub fn next_wait_end(&self) -> Option<Timestamp> {
        self.backing_off().filter_map(|r| r.waits_until).min()
    }

    /// Waits that are over by now are none.
    pub fn expire_waits(&mut self, now: Timestamp) {
        let over = |until: &Timestamp| *until <= now;
        self.records
            .iter_mut()
            .chain(&mut self.aside)
            .filter(|r| r.waits_until.as_ref().is_some_and(over))
            .for_each(|r| r.waits_until = None);
        if let Some(live) = self.records.get_mut(..self.live) {
            live.sort_by_key(order);
        }
    }

    /// The line of the fold, if there is one.
    #[must_use]
    pub fn fold_line(&self) -> Option<usize> {
        self.has_fold().then_some(self.live)
    }

    fn has_fold(&self) -> bool {
        self.counts.today > 0
    }

    /// Lines before the rest.
    fn head(&self) -> usize {
        self.live + usize::from(self.has_fold()) + self.today
    }

    fn line_index(&self, id: RunId) -> Option<usize> {
        let at = self.records.iter().position(|r| r.id == id)?;
        Some(match at {
            _ if at < self.live => at,
            _ if at < self.live + self.today => at + 1,
            _ => self.head() + self.offset + (at - self.live - self.today),
        })
    }

    fn show_cursor(&mut self) {
        let height = usize::from(self.height.max(1));
        let last = self.len().saturating_sub(height);
        self.top = self
            .top
            .clamp((self.cursor + 1).saturating_sub(height), self.cursor)
            .min(last);
    }

    /// Where the window should begin: where it does, while the screen lies well within it.
    fn wanted_offset(&self) -> usize {
        let (rest, window) = (
            usize::try_from(self.counts.rest).unwrap_or(0),
            usize::try_from(WINDOW).unwrap_or(0),
        );
        let first = self.top.saturating_sub(self.head());
        let last = (self.top + usize::from(self.height))
            .saturating_sub(self.head())
            .min(rest);
        let begins = self.offset == 0 || first >= self.offset + MARGIN.min(first);
        let ends = self.offset + window >= rest || last + MARGIN <= self.offset + window;
        if self.offset < rest.max(1) && begins && ends {
            return self.offset;
        }
        ((first + last) / 2)
            .saturating_sub(window / 2)
            .min(rest.saturating_sub(window))
    }
}

/// Whether a run waits for the operator's answer.
#[must_use]
pub fn awaits_operator(record: &RunRecord) -> bool {
    let over = record.has_ended();
    record.pending_gate.is_some() && !over
}

/// Whether a run rests before a budget: no word but an amount or somebody cheaper lets it go on.
#[must_use]
pub fn is_over_budget(record: &RunRecord) -> bool {
    awaits_operator(record)
        && record
            .pending_gate
            .as_ref()
            .is_some_and(|gate| gate.as_str() == BUDGET_GATE)
}

/// Whether a run is in flight: it waits for the operator, or works.
#[must_use]
pub fn is_active(record: &RunRecord) -> bool {
    let works = matches!(
        RunStatus::parse(&record.state),
        Some(RunStatus::Executing | RunStatus::Created | RunStatus::AwaitingApproval)
    );
    awaits_operator(record) || works
}

/// Why a run cannot go on, by what is listed; `None` when it can.
#[must_use]
pub fn resume_refusal(record: &RunRecord, all: &[RunRecord]) -> Option<String> {
    let holds = |r: &&RunRecord| {
        r.id != record.id
            && r.thread == record.thread
            && RunStatus::parse(&r.state).is_some_and(RunStatus::holds_thread)
    };
    let holder = all.iter().find(holds).map(|r| r.id);
    resumable::refusal_for_state(&record.state, holder).map(|refusal| refusal.message())
}

fn order(record: &RunRecord) -> (u8, i64) {
    if awaits_operator(record) {
        return (0, record.pending_since.unwrap_or(record.updated_at).0);
    }
    (
        1 + u8::from(record.waits_until.is_some()),
        -record.created_at.0,
    )
}

/// Where a movement leads in a list of `len`.
#[must_use]
pub fn move_in_list(at: usize, len: usize, height: u16, action: Action) -> usize {
    let page = usize::from(height.saturating_sub(1).max(1));
    match action {
        Action::Up => at.saturating_sub(1),
        Action::Down => at + 1,
        Action::PageUp => at.saturating_sub(page),
        Action::PageDown => at.saturating_add(page),
        Action::Top => 0,
        Action::Bottom => usize::MAX,
        _ => at,
    }
    .min(len.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::test_support;

    fn listed(records: &[RunRecord], ask: &RunPageQuery) -> RunsState {
        let mut runs = RunsState {
            unfolded: ask.today,
            height: 10,
            ..RunsState::default()
        };
        runs.apply_page(test_support::page(records, ask), ask.offset);
        runs
    }

    fn ask() -> RunPageQuery {
        RunPageQuery {
            midnight: Timestamp(test_support::NOW.0 - 8 * 3_600_000),
            limit: WINDOW,
            ..RunPageQuery::default()
        }
    }

    fn told(runs: &RunsState) -> Vec<String> {
        (0..runs.len())
            .map(|at| match runs.line(at) {
                Some(RunListRow::Run(record)) => record.state.clone(),
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn who_waits_comes_first_then_who_works_then_what_was_done_today_folded_then_the_newest() {
        let runs = listed(&test_support::records(), &ask());
        let waiting = "awaiting_approval";
        assert_eq!(
            told(&runs),
            [
                waiting,
                waiting,
                "executing",
                "Some(Fold)",
                "paused",
                "failed",
                "aborted",
                "dreaming"
            ]
        );
        assert!(runs.records[0].pending_since < runs.records[1].pending_since);
        let open = listed(
            &test_support::records(),
            &RunPageQuery {
                today: true,
                ..ask()
            },
        );
        assert_eq!(
            told(&open),
            [
                waiting,
                waiting,
                "executing",
                "Some(Fold)",
                "completed",
                "paused",
                "failed",
                "aborted",
                "dreaming"
            ]
        );
        assert!(open.is_within_fold(4) && !open.is_within_fold(3) && !open.is_within_fold(5));
    }

    #[test]
    fn the_selection_stays_on_its_run_when_the_order_changes() {
        let mut runs = listed(&test_support::records(), &ask());
        runs.move_cursor(Action::Bottom);
        let selected = runs.selected;
        let mut fewer = test_support::records();
        fewer.retain(|r| r.state != "failed");
        runs.apply_page(test_support::page(&fewer, &ask()), 0);
        assert_eq!((runs.selected, runs.cursor), (selected, 6));
    }

    #[test]
    fn ten_thousand_runs_are_a_window_and_every_line_can_be_reached() {
        let many: Vec<RunRecord> = (0..10_000i64)
            .map(|n| test_support::many(n, RunStatus::Failed))
            .collect();
        let mut runs = listed(&many, &ask());
        assert_eq!(
            (runs.len(), runs.records.len(), runs.needs_page()),
            (10_000, 200, false)
        );
        for action in [Action::Bottom, Action::PageUp, Action::Top] {
            runs.move_cursor(action);
            if runs.needs_page() {
                assert!(
                    action == Action::PageUp || runs.line(runs.cursor) == Some(RunListRow::Unread)
                );
                let ask = runs.page_request(ask().midnight, 40);
                runs.apply_page(test_support::page(&many, &ask), ask.offset);
            }
            assert!(!runs.needs_page(), "{action:?} asks without end");
            assert_eq!(runs.selected, Some(many[runs.cursor].id), "{action:?}");
        }
        for _ in 0..2000 {
            runs.move_cursor(Action::PageDown);
            if runs.needs_page() {
                let ask = runs.page_request(ask().midnight, 40);
                runs.apply_page(test_support::page(&many, &ask), ask.offset);
            }
            for (row, expected) in many.iter().enumerate().skip(runs.top).take(10) {
                assert!(
                    matches!(runs.line(row), Some(RunListRow::Run(record)) if record.id == expected.id),
                    "{row}"
                );
            }
        }
        assert_eq!(runs.cursor, 9_999);
    }

    #[test]
    fn the_rule_of_the_engine_says_who_can_go_on() {
        let all = test_support::records();
        let why = |state: &str| {
            all.iter()
                .find(|r| r.state == state)
                .and_then(|r| resume_refusal(r, &all))
        };
        assert_eq!(why("paused"), None);
        assert_eq!(
            why("completed").as_deref(),
            Some("it has ended (completed)")
        );
        assert_eq!(
            why("executing").as_deref(),
            Some("it is going on already (executing)")
        );
        let mut held = all.clone();
        let thread = held
            .iter()
            .find(|r| r.state == "executing")
            .map(|r| r.thread.clone())
            .unwrap();
        let paused = held.iter_mut().find(|r| r.state == "paused").unwrap();
        paused.thread = thread;
        let paused = paused.clone();
        assert!(
            resume_refusal(&paused, &held)
                .unwrap()
                .ends_with("works on the same thread")
        );
    }

    #[test]
    fn news_while_a_question_is_out_asks_once_more_and_not_ten_times() {
        let mut asking = RequestStatus::default();
        assert!(asking.request());
        assert!(!asking.request());
        assert!(!asking.request());
        assert!(asking.complete());
        assert!(!asking.complete());
        assert!(asking.request());
    }

    #[test]
    fn a_flood_of_news_is_a_few_questions_a_second() {
        let mut runs = RunsState::default();
        let asked = (0..3000)
            .filter(|ms| runs.try_acquire_query(10_000 + ms))
            .count();
        assert_eq!(asked, 4 + 19);
        assert!(runs.due_at.is_some());
    }
}
