//! The resume picker: what stopped before its end, which are marked, and what is known of each.

use crate::app::keymap::Action;
use crate::app::msg::ResumePreview;
use crate::app::screens::runs::state::{RequestStatus, move_in_list, resume_refusal};
use crate::engine::api::UnknownOutcome;
use crate::model::id::RunId;
use crate::model::record::RunRecord;
use crate::model::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// The resume picker.
#[derive(Clone, Debug, Default)]
pub struct PickerState {
    /// What stopped, the newest first.
    pub paused: Vec<RunRecord>,
    /// A question for them is on its way.
    pub asking: RequestStatus,
    /// What is known of each, as it comes; only of those that were on the screen.
    pub previews: BTreeMap<RunId, ResumePreview>,
    /// Up to which event each was looked into, answered or not.
    pub looked: BTreeMap<RunId, u64>,
    /// The marked ones.
    pub marked: BTreeSet<RunId>,
    /// Which is selected.
    pub cursor: usize,
    /// The first on the screen.
    pub top: usize,
    /// How many are on the screen.
    pub height: u16,
    /// Which of the selected run's unsure calls an answer is about.
    pub unsure: usize,
    /// Whether more is shown of the selected one.
    pub preview: bool,
    /// Whether it may still open by itself: at the start, before the first key.
    pub may_open: bool,
}

impl PickerState {
    /// Takes the list in; the selection stays on its run, marks of runs that are gone go.
    pub fn set(&mut self, paused: Vec<RunRecord>) {
        let selected = self.selected().map(|r| r.id);
        self.paused = paused;
        let place = selected
            .and_then(|id| self.paused.iter().position(|r| r.id == id))
            .unwrap_or(self.cursor);
        let paused = &self.paused;
        self.marked.retain(|id| paused.iter().any(|r| r.id == *id));
        self.move_to(place);
    }

    /// The selected run.
    #[must_use]
    pub fn selected(&self) -> Option<&RunRecord> {
        self.paused.get(self.cursor)
    }

    /// Moves the selection.
    pub fn move_by(&mut self, action: Action) {
        self.move_to(move_in_list(
            self.cursor,
            self.paused.len(),
            self.height,
            action,
        ));
    }

    /// Takes the number of runs on the screen in.
    pub fn set_height(&mut self, height: u16) {
        self.height = height;
        self.move_to(self.cursor);
    }

    /// The runs on the screen.
    #[must_use]
    pub fn shown(&self) -> &[RunRecord] {
        let end = (self.top + usize::from(self.height.max(1))).min(self.paused.len());
        self.paused.get(self.top..end).unwrap_or_default()
    }

    /// Runs on the screen that moved since they were looked into; from now on they count as looked into.
    pub fn outdated_previews(&mut self) -> Vec<RunId> {
        let due = |r: &&RunRecord| self.looked.get(&r.id).is_none_or(|seq| *seq < r.last_seq);
        let wanted: Vec<(RunId, u64)> = self
            .shown()
            .iter()
            .filter(due)
            .map(|r| (r.id, r.last_seq))
            .collect();
        self.looked.extend(wanted.iter().copied());
        wanted.into_iter().map(|(id, _)| id).collect()
    }

    /// The calls of the selected run that a crash left unsure.
    fn unsure_calls(&self) -> Vec<&str> {
        let card = self
            .selected()
            .and_then(|record| self.previews.get(&record.id))
            .and_then(|preview| preview.card.as_ref());
        let calls = card.into_iter().flat_map(|card| &card.unsure);
        calls
            .filter_map(|unsure| {
                if let UnknownOutcome::Tool { call_id, .. } = unsure {
                    Some(call_id.as_str())
                } else {
                    None
                }
            })
            .collect()
    }

    /// The place of the unsure call that an answer is about; calls that were answered are gone.
    #[must_use]
    pub fn unsure_at(&self) -> usize {
        self.unsure.min(self.unsure_calls().len().saturating_sub(1))
    }

    /// The unsure call that an answer is about, and its run.
    #[must_use]
    pub fn unsure_call(&self) -> Option<(RunId, String)> {
        let call = (*self.unsure_calls().get(self.unsure_at())?).to_owned();
        Some((self.selected()?.id, call))
    }

    /// Goes to the next or the one before of the unsure calls.
    pub fn cycle_unsure(&mut self, forward: bool) {
        let last = self.unsure_calls().len().saturating_sub(1);
        self.unsure = if forward {
            (self.unsure_at() + 1).min(last)
        } else {
            self.unsure_at().saturating_sub(1)
        };
    }

    /// When a run stopped: its last event before it came to rest, as far as that is known.
    #[must_use]
    pub fn stopped_at(&self, record: &RunRecord) -> Timestamp {
        self.previews
            .get(&record.id)
            .and_then(|preview| preview.last.as_ref())
            .map_or(record.updated_at, |event| event.at)
    }

    /// Why a run cannot be resumed: by what was looked up, else by what is listed.
    #[must_use]
    pub fn refusal(&self, record: &RunRecord, listed: &[RunRecord]) -> Option<String> {
        resume_refusal(record, listed).or_else(|| {
            self.previews
                .get(&record.id)
                .and_then(|preview| preview.refusal.clone())
        })
    }

    /// Puts the cursor on a run, and the run on the screen.
    pub fn move_to(&mut self, cursor: usize) {
        let height = usize::from(self.height.max(1));
        self.cursor = cursor.min(self.paused.len().saturating_sub(1));
        let last = self.paused.len().saturating_sub(height);
        self.top = self
            .top
            .clamp((self.cursor + 1).saturating_sub(height), self.cursor)
            .min(last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::test_support;
    use crate::model::state::RunStatus;

    #[test]
    fn of_a_thousand_only_those_on_the_screen_are_looked_into() {
        let many: Vec<RunRecord> = (0..1000)
            .map(|n| test_support::many(n, RunStatus::Paused))
            .collect();
        let mut picker = PickerState {
            height: 7,
            ..PickerState::default()
        };
        picker.set(many.clone());
        assert_eq!(
            (
                picker.outdated_previews().len(),
                picker.outdated_previews().len()
            ),
            (7, 0)
        );
        picker.move_by(Action::Bottom);
        assert_eq!(
            (
                picker.selected().map(|r| r.id),
                picker.outdated_previews()[6]
            ),
            (Some(many[999].id), many[999].id)
        );
        picker.set(many[1..].to_vec());
        assert_eq!(picker.selected().map(|r| r.id), Some(many[999].id));
    }
}
