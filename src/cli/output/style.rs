//! Output colors by meaning, including the color of each run state. The glyphs are in [`StatusGlyph`].

pub use crate::model::status_glyph::StatusGlyph;

/// What a colour says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextTone {
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
pub struct OutputStyle {
    /// Whether colours may be used.
    pub color: bool,
    /// Whether only ASCII glyphs may be used.
    pub ascii: bool,
}

impl OutputStyle {
    /// `text` in the colour of `tone`.
    #[must_use]
    pub fn paint(self, tone: TextTone, text: &str) -> String {
        let code = match tone {
            TextTone::Plain => "",
            TextTone::Strong => "1",
            TextTone::Quiet => "2",
            TextTone::Gate => "1;33",
            TextTone::Running => "36",
            TextTone::Repair => "35",
            TextTone::Paused => "34",
            TextTone::Done => "32",
            TextTone::Failed => "31",
        };
        if self.color && !code.is_empty() && !text.is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// The glyph or its ASCII twin.
    #[must_use]
    pub fn glyph(self, mark: StatusGlyph) -> &'static str {
        mark.glyph(self.ascii)
    }

    /// Glyph and word in the mark's colour.
    #[must_use]
    pub fn marked(self, mark: StatusGlyph, word: &str) -> String {
        self.paint(mark.tone(), &format!("{} {word}", self.glyph(mark)))
    }
}

impl StatusGlyph {
    /// Its colour.
    #[must_use]
    pub fn tone(self) -> TextTone {
        match self {
            Self::Gate => TextTone::Gate,
            Self::Running => TextTone::Running,
            Self::Repair | Self::NeedsCheck | Self::Unknown => TextTone::Repair,
            Self::Queued | Self::Quiet | Self::Skipped | Self::Note => TextTone::Quiet,
            Self::Waiting | Self::Paused => TextTone::Paused,
            Self::Done => TextTone::Done,
            Self::Failed | Self::Aborted => TextTone::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::tests::samples::run_record;
    use crate::model::record::RunRecord;

    #[test]
    fn a_state_is_told_by_glyph_and_word_also_without_colour() {
        let plain = OutputStyle {
            color: false,
            ascii: false,
        };
        assert_eq!(
            plain.marked(StatusGlyph::Gate, "awaiting_approval"),
            "▲ awaiting_approval"
        );
        let ascii = OutputStyle {
            color: true,
            ascii: true,
        };
        assert_eq!(
            ascii.marked(StatusGlyph::Done, "completed"),
            "\u{1b}[32m+ completed\u{1b}[0m"
        );
    }

    #[test]
    fn a_run_is_marked_by_what_it_needs_and_a_state_of_a_newer_program_is_strange() {
        let of = |state: &str, reason: Option<&str>, gate: Option<&str>| {
            let (state, pause_reason) = (state.to_owned(), reason.map(str::to_owned));
            StatusGlyph::from_run(&RunRecord {
                state,
                pause_reason,
                pending_gate: gate.map(Into::into),
                ..run_record()
            })
        };
        assert_eq!(of("awaiting_approval", None, None), StatusGlyph::Gate);
        assert_eq!(
            of("paused", Some("operator"), Some("spec_approved")),
            StatusGlyph::Gate
        );
        assert_eq!(
            of("aborted", None, Some("spec_approved")),
            StatusGlyph::Aborted
        );
        assert_eq!(of("paused", Some("operator"), None), StatusGlyph::Paused);
        assert_eq!(of("paused", Some("crashed"), None), StatusGlyph::NeedsCheck);
        assert_eq!(of("hibernating", None, None), StatusGlyph::Unknown);
    }
}
