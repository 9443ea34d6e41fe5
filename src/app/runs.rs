//! The list of runs and the resume picker: order, selection, and who can go on.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::keymap::Action;
use super::msg::Preview;
use crate::model::error::Failure;
use crate::model::id::RunId;
use crate::model::record::RunRecord;
use crate::model::state::{PauseReason, RunStatus};

/// Every run that is known.
#[derive(Clone, Debug, Default)]
pub struct RunsState {
    /// Waiting for a person first (oldest question on top), then working, then the newest.
    pub records: Vec<RunRecord>,
    /// Whether the archive has answered at least once.
    pub loaded: bool,
    /// Why the last answer was none; the records are the ones before it.
    pub failure: Option<Failure>,
    /// Which is selected.
    pub selected: Option<RunId>,
    /// Rows of the list on the screen.
    pub height: u16,
    /// A question to the archive is on its way, and whether another is due after it.
    pub asking: Asking,
}

/// Whether a question to the archive is on its way. Keeps news from piling up as questions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asking {
    /// No.
    #[default]
    Idle,
    /// Yes.
    Asked,
    /// Yes, and what it will say may be old by then.
    Again,
}

impl Asking {
    /// News came; whether to ask now.
    pub fn due(&mut self) -> bool {
        let ask = *self == Self::Idle;
        *self = if ask { Self::Asked } else { Self::Again };
        ask
    }

    /// The answer came; whether to ask again.
    pub fn answered(&mut self) -> bool {
        let again = *self == Self::Again;
        *self = if again { Self::Asked } else { Self::Idle };
        again
    }
}

impl RunsState {
    /// Takes a whole list in and orders it; the selection stays on its run.
    pub fn set(&mut self, mut records: Vec<RunRecord>) {
        let position = self.position();
        records.sort_by_key(order);
        self.records = records;
        (self.loaded, self.failure) = (true, None);
        if self.selected.is_none_or(|id| !self.records.iter().any(|r| r.id == id)) {
            let last = self.records.len().saturating_sub(1);
            self.selected = self.records.get(position.unwrap_or(0).min(last)).map(|r| r.id);
        }
    }

    /// The selected run.
    #[must_use]
    pub fn selected(&self) -> Option<&RunRecord> {
        self.position().and_then(|at| self.records.get(at))
    }

    /// Where the selection is.
    #[must_use]
    pub fn position(&self) -> Option<usize> {
        let selected = self.selected?;
        self.records.iter().position(|r| r.id == selected)
    }

    /// Moves the selection.
    pub fn go(&mut self, action: Action) {
        let to = step(self.position().unwrap_or(0), self.records.len(), self.height, action);
        self.selected = self.records.get(to).map(|r| r.id);
    }

    /// Selects by the place in the list.
    pub fn select(&mut self, row: usize) {
        self.selected = self.records.get(row).map_or(self.selected, |record| Some(record.id));
    }

    /// The run with this id.
    #[must_use]
    pub fn get(&self, id: RunId) -> Option<&RunRecord> {
        self.records.iter().find(|r| r.id == id)
    }

    /// Runs that wait for the operator, the oldest question first.
    pub fn waiting(&self) -> impl Iterator<Item = &RunRecord> {
        self.records.iter().filter(|r| waits(r))
    }

    /// Runs that work.
    pub fn working(&self) -> impl Iterator<Item = &RunRecord> {
        self.records.iter().filter(|r| r.state == RunStatus::Executing.as_str())
    }

    /// Runs that stopped and may go on, the newest first.
    pub fn paused(&self) -> impl Iterator<Item = &RunRecord> {
        self.records.iter().filter(|r| r.state == RunStatus::Paused.as_str())
    }
}

/// Whether a run waits for the operator's answer.
#[must_use]
pub fn waits(record: &RunRecord) -> bool {
    let over = RunStatus::parse(&record.state).is_some_and(RunStatus::is_terminal);
    record.pending_gate.is_some() && !over
}

/// Why a run cannot go on; `None` when it can. The picker greys by it and resuming asks it.
#[must_use]
pub fn refuses_to_resume(record: &RunRecord, all: &[RunRecord]) -> Option<String> {
    match RunStatus::parse(&record.state) {
        Some(RunStatus::Paused) => {}
        Some(state) if state.is_terminal() => return Some(format!("it has ended ({state})")),
        Some(state) => return Some(format!("it is not paused ({state})")),
        None => return Some(format!("its state '{}' is not known to this version", record.state)),
    }
    if record.pause_reason.as_deref() == Some(PauseReason::SessionRecovery.as_str()) && record.pending_gate.is_some() {
        return Some("its question must be answered first".to_owned());
    }
    let holds =
        |r: &&RunRecord| r.id != record.id && r.thread == record.thread && RunStatus::parse(&r.state).is_some_and(RunStatus::holds_thread);
    all.iter().find(holds).map(|r| format!("run {} works on the same thread", r.id.short()))
}

fn order(record: &RunRecord) -> (u8, i64) {
    if waits(record) {
        return (0, record.pending_since.unwrap_or(record.updated_at).0);
    }
    match RunStatus::parse(&record.state) {
        Some(RunStatus::Executing | RunStatus::Created | RunStatus::AwaitingApproval) => (1, -record.created_at.0),
        _ => (2, -record.created_at.0),
    }
}

/// Where a movement leads in a list of `len`.
#[must_use]
pub fn step(at: usize, len: usize, height: u16, action: Action) -> usize {
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

/// The resume picker.
#[derive(Clone, Debug, Default)]
pub struct PickerState {
    /// What is known of each, as it comes.
    pub previews: BTreeMap<RunId, Preview>,
    /// The marked ones.
    pub marked: BTreeSet<RunId>,
    /// Which is selected, by its place among the paused.
    pub cursor: usize,
    /// Whether it may still open by itself: at the start, before the first key.
    pub may_open: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::sample;

    #[test]
    fn who_waits_comes_first_then_who_works_then_the_newest() {
        let mut runs = RunsState::default();
        runs.set(sample::records());
        let order: Vec<(&str, String)> = runs.records.iter().map(|r| (r.state.as_str(), r.id.short())).collect();
        let states: Vec<&str> = order.iter().map(|(state, _)| *state).collect();
        assert_eq!(states, ["awaiting_approval", "awaiting_approval", "executing", "paused", "completed", "failed", "aborted", "dreaming"]);
        assert!(runs.records[0].pending_since < runs.records[1].pending_since);
    }

    #[test]
    fn the_selection_stays_on_its_run_when_the_order_changes() {
        let mut runs = RunsState::default();
        runs.set(sample::records());
        runs.go(Action::Bottom);
        let selected = runs.selected;
        let mut fewer = sample::records();
        fewer.remove(0);
        runs.set(fewer);
        assert_eq!(runs.selected, selected);
    }

    #[test]
    fn only_a_paused_run_with_a_free_thread_can_go_on() {
        let all = sample::records();
        let why = |state: &str| all.iter().find(|r| r.state == state).and_then(|r| refuses_to_resume(r, &all));
        assert_eq!(why("paused"), None);
        assert_eq!(why("completed").as_deref(), Some("it has ended (completed)"));
        assert_eq!(why("executing").as_deref(), Some("it is not paused (executing)"));
        assert_eq!(why("dreaming").as_deref(), Some("its state 'dreaming' is not known to this version"));
        let mut held = all.clone();
        let thread = held.iter().find(|r| r.state == "executing").map(|r| r.thread.clone()).unwrap();
        let paused = held.iter_mut().find(|r| r.state == "paused").unwrap();
        paused.thread = thread;
        let paused = paused.clone();
        assert!(refuses_to_resume(&paused, &held).unwrap().ends_with("works on the same thread"));
    }

    #[test]
    fn news_while_a_question_is_out_asks_once_more_and_not_ten_times() {
        let mut asking = Asking::default();
        assert!(asking.due());
        assert!(!asking.due());
        assert!(!asking.due());
        assert!(asking.answered());
        assert!(!asking.answered());
        assert!(asking.due());
    }
}
