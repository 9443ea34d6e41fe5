//! The flight recorder: a run as it was at one of its events.
//!
//! What is shown ([`RunScreen::opened`](super::run_view::RunView)) is put back to what the journal folds
//! to at that event, and what is true now waits beside it, kept up to date. Every pane draws the one
//! or the other the same way; at the last event both are equal, and the recorder lets go.
use crate::app::screens::run::state::LoadedRun;
use crate::model::id::PhaseKey;
use crate::model::run_state::RunState;
use crate::model::state::ApprovalStatus;

/// The events that a run turns at: phases, questions, its own begin and end.
pub const TURNS: &str = "type:phase.,approval.,run.";

/// An event to stand at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryCursor {
    /// This one.
    At(u64),
    /// The last turn before this one.
    TurnBefore(u64),
    /// The first turn after this one.
    TurnAfter(u64),
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct RunHistory {
    /// What is true now, while the past is shown.
    pub live: Option<Box<LoadedRun>>,
    /// What is to be shown.
    pub aim: Option<HistoryCursor>,
    /// What the archive was asked for.
    pub asked: Option<HistoryCursor>,
    /// Whether the end was followed before.
    pub followed: bool,
}

impl LoadedRun {
    /// The same run when its journal was folded to `state`.
    #[must_use]
    pub fn with_state(&self, state: RunState) -> Self {
        let mut past = self.clone();
        let made = |phase: &PhaseKey| state.phase(phase).map_or(0, |phase| phase.versions);
        past.details
            .artifacts
            .retain(|artifact| artifact.version <= made(&artifact.phase_key));
        let asked = usize::try_from(state.approvals).unwrap_or(usize::MAX);
        past.details.approvals.truncate(asked);
        if let Some(open) = &state.approval
            && let Some(record) = past
                .details
                .approvals
                .iter_mut()
                .find(|record| record.id == open.request_id)
        {
            record.state = ApprovalStatus::Pending;
            (
                record.resolved_at,
                record.resolved_by,
                record.via,
                record.comment,
            ) = (None, None, None, None);
        }
        state.status.as_str().clone_into(&mut past.record.state);
        (past.record.cost, past.record.last_seq) = (state.cost, state.last_seq);
        past.state = state;
        past
    }
}
