//! Output colors by meaning, including the color of each run state. The glyphs are in [`Mark`].

pub use crate::model::mark::Mark;

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
        if self.color && !code.is_empty() && !text.is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// The glyph or its ASCII twin.
    #[must_use]
    pub fn glyph(self, mark: Mark) -> &'static str {
        mark.glyph(self.ascii)
    }

    /// Glyph and word in the mark's colour.
    #[must_use]
    pub fn marked(self, mark: Mark, word: &str) -> String {
        self.paint(mark.tone(), &format!("{} {word}", self.glyph(mark)))
    }
}

impl Mark {
    /// Its colour.
    #[must_use]
    pub fn tone(self) -> Tone {
        match self {
            Self::Gate => Tone::Gate,
            Self::Running => Tone::Running,
            Self::Repair | Self::Unsure | Self::Strange => Tone::Repair,
            Self::InLine | Self::Quiet | Self::Skipped | Self::Note => Tone::Quiet,
            Self::Waits | Self::Paused => Tone::Paused,
            Self::Done => Tone::Done,
            Self::Failed | Self::Stopped => Tone::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::samples::run_record;
    use crate::model::record::RunRecord;

    #[test]
    fn a_state_is_told_by_glyph_and_word_also_without_colour() {
        let plain = Style {
            color: false,
            ascii: false,
        };
        assert_eq!(
            plain.marked(Mark::Gate, "awaiting_approval"),
            "▲ awaiting_approval"
        );
        let ascii = Style {
            color: true,
            ascii: true,
        };
        assert_eq!(
            ascii.marked(Mark::Done, "completed"),
            "\u{1b}[32m+ completed\u{1b}[0m"
        );
    }

    #[test]
    fn a_run_is_marked_by_what_it_needs_and_a_state_of_a_newer_program_is_strange() {
        let of = |state: &str, reason: Option<&str>, gate: Option<&str>| {
            let (state, pause_reason) = (state.to_owned(), reason.map(str::to_owned));
            Mark::of_run(&RunRecord {
                state,
                pause_reason,
                pending_gate: gate.map(Into::into),
                ..run_record()
            })
        };
        assert_eq!(of("awaiting_approval", None, None), Mark::Gate);
        assert_eq!(
            of("paused", Some("operator"), Some("spec_approved")),
            Mark::Gate
        );
        assert_eq!(of("aborted", None, Some("spec_approved")), Mark::Stopped);
        assert_eq!(of("paused", Some("operator"), None), Mark::Paused);
        assert_eq!(of("paused", Some("crashed"), None), Mark::Unsure);
        assert_eq!(of("hibernating", None, None), Mark::Strange);
    }
}
