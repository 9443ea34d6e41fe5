//! Colours by meaning, and the one vocabulary of states: glyph, ASCII twin, word, colour.

use crate::model::state::{PhaseStatus, RunStatus};

/// What a colour says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Nothing in particular.
    Plain,
    /// A heading.
    Strong,
    /// Less important.
    Quiet,
    /// Waits for the operator.
    Gate,
    /// At work.
    Running,
    /// Goes again.
    Repair,
    /// Stopped, and can go on.
    Paused,
    /// Good.
    Done,
    /// Bad.
    Failed,
}

/// How things are drawn on this output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Whether colours may be used.
    pub color: bool,
    /// Whether only ASCII glyphs may be used.
    pub ascii: bool,
}

impl Style {
    /// `text` in the colour of `tone`.
    #[must_use]
    pub fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => "",
            Tone::Strong => "1",
            Tone::Quiet => "2",
            Tone::Gate => "1;33",
            Tone::Running => "36",
            Tone::Repair => "35",
            Tone::Paused => "34",
            Tone::Done => "32",
            Tone::Failed => "31",
        };
        if self.color && !code.is_empty() && !text.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// The glyph or its ASCII twin.
    #[must_use]
    pub fn glyph(self, mark: Mark) -> &'static str {
        let (glyph, ascii) = mark.glyphs();
        if self.ascii { ascii } else { glyph }
    }

    /// Glyph and word in the mark's colour.
    #[must_use]
    pub fn marked(self, mark: Mark, word: &str) -> String {
        self.paint(mark.tone(), &format!("{} {word}", self.glyph(mark)))
    }
}

/// What a glyph says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the vocabulary")]
pub enum Mark {
    Gate,
    Running,
    Repair,
    Queued,
    Paused,
    Waits,
    Done,
    Failed,
    Stopped,
    Unsure,
    Skipped,
    Note,
}

impl Mark {
    /// Glyph and ASCII twin.
    fn glyphs(self) -> (&'static str, &'static str) {
        match self {
            Self::Gate => ("▲", "!"),
            Self::Running => ("●", "*"),
            Self::Repair => ("↻", "~"),
            Self::Queued => ("○", "."),
            Self::Paused => ("‖", "="),
            Self::Waits => ("◷", "w"),
            Self::Done => ("✓", "+"),
            Self::Failed => ("✗", "x"),
            Self::Stopped => ("■", "#"),
            Self::Unsure => ("◆", "u"),
            Self::Skipped => ("–", "-"),
            Self::Note => ("·", ":"),
        }
    }

    /// Its colour.
    #[must_use]
    pub fn tone(self) -> Tone {
        match self {
            Self::Gate => Tone::Gate,
            Self::Running => Tone::Running,
            Self::Repair | Self::Unsure => Tone::Repair,
            Self::Queued | Self::Skipped | Self::Note => Tone::Quiet,
            Self::Waits | Self::Paused => Tone::Paused,
            Self::Done => Tone::Done,
            Self::Failed | Self::Stopped => Tone::Failed,
        }
    }

    /// The mark of a run's state, by wire name; a name of a newer program is unsure.
    #[must_use]
    pub fn of_run(state: &str) -> Self {
        match RunStatus::parse(state) {
            Some(RunStatus::Created) => Self::Queued,
            Some(RunStatus::Executing) => Self::Running,
            Some(RunStatus::AwaitingApproval) => Self::Gate,
            Some(RunStatus::Paused) => Self::Paused,
            Some(RunStatus::Completed) => Self::Done,
            Some(RunStatus::Failed) => Self::Failed,
            Some(RunStatus::Aborted) => Self::Stopped,
            None => Self::Unsure,
        }
    }

    /// The mark of a phase's state.
    #[must_use]
    pub fn of_phase(state: PhaseStatus) -> Self {
        match state {
            PhaseStatus::Pending => Self::Queued,
            PhaseStatus::Running | PhaseStatus::Validating => Self::Running,
            PhaseStatus::AwaitingApproval => Self::Gate,
            PhaseStatus::Completed => Self::Done,
            PhaseStatus::Failed => Self::Failed,
            PhaseStatus::Skipped => Self::Skipped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_told_by_glyph_and_word_also_without_colour() {
        let plain = Style { color: false, ascii: false };
        assert_eq!(plain.marked(Mark::of_run("awaiting_approval"), "awaiting_approval"), "▲ awaiting_approval");
        let ascii = Style { color: true, ascii: true };
        assert_eq!(ascii.marked(Mark::Done, "completed"), "\u{1b}[32m+ completed\u{1b}[0m");
        assert_eq!(Mark::of_run("hibernating"), Mark::Unsure);
    }
}
