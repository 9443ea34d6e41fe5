//! Glyph and name of each state, used by every screen and report.
//!
//! A state must be readable without color, so each has a glyph, and an ASCII variant for terminals
//! without Unicode. The drawing code chooses the color.

use super::event::AttemptCause;
use super::record::RunRecord;
use super::run_state::PhaseState;
use super::state::{PauseReason, PhaseStatus, RunStatus};

/// A state of a run or phase as displayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the vocabulary is the table below")]
pub enum Mark {
    Gate,
    Running,
    Repair,
    InLine,
    Paused,
    Waits,
    Quiet,
    Done,
    Failed,
    Stopped,
    Unsure,
    Skipped,
    Note,
    Strange,
}

impl Mark {
    /// Returns the glyph, its ASCII variant, and the name.
    #[must_use]
    pub fn told(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Gate => ("▲", "!", "gate"),
            Self::Running => ("●", "*", "running"),
            Self::Repair => ("↻", "~", "repair"),
            Self::InLine => ("○", ".", "in line"),
            Self::Paused => ("‖", "=", "paused"),
            Self::Waits => ("◷", "w", "waits"),
            Self::Quiet => ("◌", "?", "quiet"),
            Self::Done => ("✓", "+", "done"),
            Self::Failed => ("✗", "x", "failed"),
            Self::Stopped => ("■", "#", "stopped"),
            Self::Unsure => ("◆", "u", "unsure"),
            Self::Skipped => ("–", "-", "skipped"),
            Self::Note => ("·", ":", "note"),
            Self::Strange => ("?", "?", "unknown"),
        }
    }

    /// Returns the glyph, or its ASCII variant.
    #[must_use]
    pub fn glyph(self, ascii: bool) -> &'static str {
        let (glyph, twin, _) = self.told();
        if ascii { twin } else { glyph }
    }

    /// Returns the state of a stored run; `Strange` for a state written by a newer version.
    #[must_use]
    pub fn of_run(record: &RunRecord) -> Self {
        let crashed = record.pause_reason.as_deref() == Some(PauseReason::Crashed.as_str());
        match RunStatus::parse(&record.state) {
            Some(status) if !status.is_terminal() && record.pending_gate.is_some() => Self::Gate,
            Some(RunStatus::Paused) if crashed => Self::Unsure,
            Some(_) if record.place_in_line().is_some() => Self::InLine,
            Some(RunStatus::Executing) if record.waits_until.is_some() => Self::Waits,
            Some(status) => Self::of_status(status),
            None => Self::Strange,
        }
    }

    /// Returns the state of a run from its journal.
    #[must_use]
    pub fn of_status(status: RunStatus) -> Self {
        match status {
            RunStatus::Created => Self::InLine,
            RunStatus::Executing => Self::Running,
            RunStatus::AwaitingApproval => Self::Gate,
            RunStatus::Paused => Self::Paused,
            RunStatus::Completed => Self::Done,
            RunStatus::Failed => Self::Failed,
            RunStatus::Aborted => Self::Stopped,
        }
    }

    /// Returns the state of a phase, regardless of its run.
    #[must_use]
    pub fn of_phase_status(status: PhaseStatus) -> Self {
        match status {
            PhaseStatus::Pending => Self::InLine,
            PhaseStatus::Running | PhaseStatus::Validating => Self::Running,
            PhaseStatus::AwaitingApproval => Self::Gate,
            PhaseStatus::Completed => Self::Done,
            PhaseStatus::Failed => Self::Failed,
            PhaseStatus::Skipped => Self::Skipped,
        }
    }

    /// Returns the state of a phase within its run: an active phase of a paused run is paused.
    #[must_use]
    pub fn of_phase(phase: &PhaseState, run: RunStatus) -> Self {
        let repairs = phase.cause == AttemptCause::Repair || !phase.errors.is_empty();
        match (Self::of_phase_status(phase.status), run) {
            (Self::Running, RunStatus::Paused) => Self::Paused,
            (Self::Running, RunStatus::Aborted | RunStatus::Failed)
            | (Self::Gate, RunStatus::Aborted) => Self::Stopped,
            (Self::Running, _) if repairs => Self::Repair,
            (mark, _) => mark,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const ALL: [Mark; 14] = [
        Mark::Gate,
        Mark::Running,
        Mark::Repair,
        Mark::InLine,
        Mark::Paused,
        Mark::Waits,
        Mark::Quiet,
        Mark::Done,
        Mark::Failed,
        Mark::Stopped,
        Mark::Unsure,
        Mark::Skipped,
        Mark::Note,
        Mark::Strange,
    ];

    #[test]
    fn every_state_is_told_apart_by_glyph_and_by_word_and_has_an_ascii_twin() {
        let glyphs: BTreeSet<_> = ALL.iter().map(|mark| mark.glyph(false)).collect();
        let words: BTreeSet<_> = ALL.iter().map(|mark| mark.told().2).collect();
        assert_eq!((glyphs.len(), words.len()), (ALL.len(), ALL.len()));
        assert!(ALL.iter().all(|mark| mark.glyph(true).len() == 1));
    }
}
