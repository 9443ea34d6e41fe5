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
pub enum StatusGlyph {
    Gate,
    Running,
    Repair,
    Queued,
    Paused,
    Waiting,
    Quiet,
    Done,
    Failed,
    Aborted,
    NeedsCheck,
    Skipped,
    Note,
    Unknown,
}

impl StatusGlyph {
    /// Returns the glyph, its ASCII variant, and the name.
    #[must_use]
    pub fn parts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Gate => ("▲", "!", "gate"),
            Self::Running => ("●", "*", "running"),
            Self::Repair => ("↻", "~", "repair"),
            Self::Queued => ("○", ".", "in line"),
            Self::Paused => ("‖", "=", "paused"),
            Self::Waiting => ("◷", "w", "waits"),
            Self::Quiet => ("◌", "?", "quiet"),
            Self::Done => ("✓", "+", "done"),
            Self::Failed => ("✗", "x", "failed"),
            Self::Aborted => ("■", "#", "stopped"),
            Self::NeedsCheck => ("◆", "u", "unsure"),
            Self::Skipped => ("–", "-", "skipped"),
            Self::Note => ("·", ":", "note"),
            Self::Unknown => ("?", "?", "unknown"),
        }
    }

    /// Returns the glyph, or its ASCII variant.
    #[must_use]
    pub fn glyph(self, ascii: bool) -> &'static str {
        let (glyph, twin, _) = self.parts();
        if ascii { twin } else { glyph }
    }

    /// Returns the state of a stored run; `Strange` for a state written by a newer version.
    #[must_use]
    pub fn from_run(record: &RunRecord) -> Self {
        let crashed = record.pause_reason.as_deref() == Some(PauseReason::Crashed.as_str());
        match RunStatus::parse(&record.state) {
            Some(status) if !status.is_terminal() && record.pending_gate.is_some() => Self::Gate,
            Some(RunStatus::Paused) if crashed => Self::NeedsCheck,
            Some(_) if record.queue_position().is_some() => Self::Queued,
            Some(RunStatus::Executing) if record.waits_until.is_some() => Self::Waiting,
            Some(status) => Self::from_run_status(status),
            None => Self::Unknown,
        }
    }

    /// Returns the state of a run from its journal.
    #[must_use]
    pub fn from_run_status(status: RunStatus) -> Self {
        match status {
            RunStatus::Created => Self::Queued,
            RunStatus::Executing => Self::Running,
            RunStatus::AwaitingApproval => Self::Gate,
            RunStatus::Paused => Self::Paused,
            RunStatus::Completed => Self::Done,
            RunStatus::Failed => Self::Failed,
            RunStatus::Aborted => Self::Aborted,
        }
    }

    /// Returns the state of a phase, regardless of its run.
    #[must_use]
    pub fn from_phase_status(status: PhaseStatus) -> Self {
        match status {
            PhaseStatus::Pending => Self::Queued,
            PhaseStatus::Running | PhaseStatus::Validating => Self::Running,
            PhaseStatus::AwaitingApproval => Self::Gate,
            PhaseStatus::Completed => Self::Done,
            PhaseStatus::Failed => Self::Failed,
            PhaseStatus::Skipped => Self::Skipped,
        }
    }

    /// Returns the state of a phase within its run: an active phase of a paused run is paused.
    #[must_use]
    pub fn from_phase(phase: &PhaseState, run: RunStatus) -> Self {
        let repairs = phase.cause == AttemptCause::Repair || !phase.errors.is_empty();
        match (Self::from_phase_status(phase.status), run) {
            (Self::Running, RunStatus::Paused) => Self::Paused,
            (Self::Running, RunStatus::Aborted | RunStatus::Failed)
            | (Self::Gate, RunStatus::Aborted) => Self::Aborted,
            (Self::Running, _) if repairs => Self::Repair,
            (mark, _) => mark,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const ALL: [StatusGlyph; 14] = [
        StatusGlyph::Gate,
        StatusGlyph::Running,
        StatusGlyph::Repair,
        StatusGlyph::Queued,
        StatusGlyph::Paused,
        StatusGlyph::Waiting,
        StatusGlyph::Quiet,
        StatusGlyph::Done,
        StatusGlyph::Failed,
        StatusGlyph::Aborted,
        StatusGlyph::NeedsCheck,
        StatusGlyph::Skipped,
        StatusGlyph::Note,
        StatusGlyph::Unknown,
    ];

    #[test]
    fn every_state_is_told_apart_by_glyph_and_by_word_and_has_an_ascii_twin() {
        let glyphs: BTreeSet<_> = ALL.iter().map(|mark| mark.glyph(false)).collect();
        let words: BTreeSet<_> = ALL.iter().map(|mark| mark.parts().2).collect();
        assert_eq!((glyphs.len(), words.len()), (ALL.len(), ALL.len()));
        assert!(ALL.iter().all(|mark| mark.glyph(true).len() == 1));
    }
}
