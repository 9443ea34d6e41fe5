//! What agents of a run said since the run was opened: live text, bounded, not durable.

use std::collections::VecDeque;

use crate::engine::api::{TextChunk, TextKind};
use crate::model::id::PhaseKey;
use crate::model::safe_text::safe_line;

/// Lines held at most; older ones go, and how many is said.
pub const LINES: usize = 2000;
/// Characters of a line at most before it goes on in the next.
const LINE_CHARS: usize = 2000;

/// A line of the transcript; safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// What kind of thing; none for a heading.
    pub kind: Option<TextKind>,
    /// What was said.
    pub text: String,
}

/// What agents said.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    lines: VecDeque<Said>,
    /// The open line as it came, so that the filter always sees whole lines.
    raw: String,
    whose: Option<(PhaseKey, u32)>,
    dropped: u64,
    /// Rows scrolled up from the end.
    up: usize,
}

impl Transcript {
    /// Takes a piece of text in.
    pub fn push(&mut self, chunk: &TextChunk) {
        let whose = (chunk.phase_key.clone(), chunk.attempt);
        if self.whose.as_ref() != Some(&whose) {
            self.open(None, &format!("{}, attempt {}", whose.0, whose.1));
            self.whose = Some(whose);
        }
        let whole_lines = matches!(chunk.kind, TextKind::Tool | TextKind::Note);
        if whole_lines || self.lines.back().is_none_or(|last| last.kind != Some(chunk.kind)) {
            self.open(Some(chunk.kind), "");
        }
        for (index, piece) in chunk.text.split('\n').enumerate() {
            if index > 0 || self.raw.len() > LINE_CHARS {
                self.open(Some(chunk.kind), "");
            }
            self.raw.push_str(piece.trim_end_matches('\r'));
            if let Some(last) = self.lines.back_mut() {
                last.text = safe_line(&self.raw);
            }
        }
    }

    /// Every line, oldest first.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &Said> + ExactSizeIterator {
        self.lines.iter()
    }

    /// Lines that were dropped at the beginning.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Lines scrolled up from the end; 0 follows.
    #[must_use]
    pub fn up(&self) -> usize {
        self.up
    }

    /// Scrolls by lines; positive goes up.
    pub fn scroll(&mut self, lines: isize) {
        self.up = self.up.saturating_add_signed(lines).min(self.lines.len().saturating_sub(1));
    }

    fn open(&mut self, kind: Option<TextKind>, text: &str) {
        self.raw.clear();
        self.lines.push_back(Said { kind, text: safe_line(text) });
        if self.up > 0 {
            self.up += 1;
        }
        if self.lines.len() > LINES {
            self.lines.pop_front();
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(kind: TextKind, attempt: u32, text: &str) -> TextChunk {
        let run_id = "01930000-0000-7000-8000-0000deadbeef".parse().unwrap();
        TextChunk { run_id, phase_key: "spec".into(), attempt, kind, text: text.into() }
    }

    #[test]
    fn pieces_join_into_lines_and_an_escape_cut_in_two_is_still_caught() {
        let mut transcript = Transcript::default();
        for (kind, text) in [
            (TextKind::Answer, "one \u{1b}"),
            (TextKind::Answer, "[31mred\ntwo"),
            (TextKind::Tool, "write_file spec.json"),
            (TextKind::Tool, "read_file a"),
            (TextKind::Answer, "three"),
        ] {
            transcript.push(&chunk(kind, 1, text));
        }
        let lines: Vec<&str> = transcript.lines().map(|said| said.text.as_str()).collect();
        assert_eq!(lines, ["spec, attempt 1", "one ␛[31mred", "two", "write_file spec.json", "read_file a", "three"]);
    }

    #[test]
    fn it_is_bounded_and_says_what_is_gone() {
        let mut transcript = Transcript::default();
        transcript.push(&chunk(TextKind::Answer, 1, &"x\n".repeat(LINES + 8)));
        assert_eq!(transcript.lines().len(), LINES);
        assert_eq!(transcript.dropped(), 10);
    }
}
