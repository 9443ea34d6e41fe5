//! What the agent of one attempt says while it works: live text, bounded, and only until it is stored.
//!
//! Pieces join into lines; the open line is kept as it came, so that the filter for foreign text always
//! sees whole lines and an escape that was cut in two is still caught. When a turn is stored, a mark
//! is set behind what it says; once the stored text is on the screen, what lies before the mark goes.
use crate::app::text::document::{DocLine, LineKind};
use crate::engine::api::TextKind;

/// Lines held; a quarter more before the oldest go, and how many went is said.
pub const LINES: usize = 2000;
/// Bytes of a line at most before it goes on in the next.
const LINE_BYTES: usize = 2000;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct LiveText {
    lines: Vec<DocLine>,
    kind: Option<TextKind>,
    /// The open line as it came.
    raw: String,
    /// Lines that are gone from the beginning, and those of them that are stored nowhere.
    gone: u64,
    dropped: u64,
    /// The line that everything before is stored.
    mark: u64,
}

impl LiveText {
    /// Takes a piece in; the first line that changed.
    pub fn push(&mut self, kind: TextKind, text: &str) -> usize {
        let whole_lines = matches!(kind, TextKind::Tool | TextKind::Note);
        let mut first = self.lines.len().saturating_sub(1);
        if whole_lines || self.kind != Some(kind) || self.mark == self.end() {
            self.open(kind);
            first = self.lines.len() - 1;
        }
        for (index, piece) in text.split('\n').enumerate() {
            if index > 0 || self.raw.len() > LINE_BYTES {
                self.open(kind);
            }
            self.raw.push_str(piece.trim_end_matches('\r'));
            if let Some(last) = self.lines.last_mut() {
                *last = line(kind, &self.raw);
            }
        }
        let over = self
            .lines
            .len()
            .checked_sub(LINES + LINES / 4)
            .map_or(0, |_| self.lines.len() - LINES);
        self.dropped += u64::try_from(over).unwrap_or(0);
        if self.forget(over) { 0 } else { first }
    }

    /// The lines that are held, oldest first.
    #[must_use]
    pub fn lines(&self) -> &[DocLine] {
        &self.lines
    }

    /// Lines that were dropped at the beginning because there were too many.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// What was said so far is stored now.
    pub fn mark(&mut self) {
        self.mark = self.end();
    }

    /// Up to where everything is stored.
    #[must_use]
    pub fn marked(&self) -> u64 {
        self.mark
    }

    /// Forgets what lies before a mark.
    pub fn discard_to(&mut self, mark: u64) {
        let lines = usize::try_from(mark.saturating_sub(self.gone)).unwrap_or(usize::MAX);
        self.forget(lines.min(self.lines.len()));
    }

    fn forget(&mut self, lines: usize) -> bool {
        self.lines.drain(..lines);
        self.gone += u64::try_from(lines).unwrap_or(0);
        lines > 0
    }

    fn end(&self) -> u64 {
        self.gone + u64::try_from(self.lines.len()).unwrap_or(0)
    }

    fn open(&mut self, kind: TextKind) {
        self.raw.clear();
        self.kind = Some(kind);
        self.lines.push(line(kind, ""));
    }
}

fn line(kind: TextKind, text: &str) -> DocLine {
    match kind {
        TextKind::Answer => DocLine::plain(LineKind::Plain, text),
        TextKind::Reasoning => DocLine::plain(LineKind::Note, text),
        TextKind::Tool => DocLine::plain(LineKind::Call, &format!("> {text}")),
        TextKind::Note => DocLine::plain(LineKind::Aside, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(live: &LiveText) -> Vec<&str> {
        live.lines().iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn pieces_join_into_lines_and_an_escape_cut_in_two_is_still_caught() {
        let mut live = LiveText::default();
        let pieces = [
            (TextKind::Answer, "one \u{1b}", 0),
            (TextKind::Answer, "[31mred\ntwo", 0),
            (TextKind::Tool, "write_file spec.json", 2),
            (TextKind::Tool, "read_file a", 3),
            (TextKind::Answer, "three", 4),
            (TextKind::Answer, " four", 4),
        ];
        for (kind, text, changed) in pieces {
            assert_eq!(live.push(kind, text), changed, "{text}");
        }
        assert_eq!(
            texts(&live),
            [
                "one ␛[31mred",
                "two",
                "> write_file spec.json",
                "> read_file a",
                "three four"
            ]
        );
    }

    #[test]
    fn it_is_bounded_and_says_what_is_gone() {
        let mut live = LiveText::default();
        live.push(TextKind::Answer, &"x\n".repeat(LINES + LINES / 4 - 2));
        assert_eq!(
            (live.lines().len(), live.dropped()),
            (LINES + LINES / 4 - 1, 0)
        );
        assert_eq!(live.push(TextKind::Answer, "\ny"), 0, "all of it moved");
        assert_eq!((live.lines().len(), live.dropped()), (LINES, 500));
    }

    #[test]
    fn what_is_stored_goes_and_what_came_meanwhile_stays() {
        let mut live = LiveText::default();
        live.push(TextKind::Answer, "first\nturn");
        live.mark();
        let mark = live.marked();
        live.push(TextKind::Answer, "second");
        assert_eq!(
            texts(&live),
            ["first", "turn", "second"],
            "another turn is another line"
        );
        live.discard_to(mark);
        assert_eq!((texts(&live), live.dropped()), (vec!["second"], 0));
        live.discard_to(mark);
        assert_eq!(texts(&live), ["second"]);
    }
}
