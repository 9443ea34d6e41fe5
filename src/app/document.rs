//! Texts for reading: artifact contents, differences, lists of errors, as safe lines with a meaning.
//!
//! A document is made once, off the screen's thread, from bytes that others wrote; every line has
//! passed the filter for foreign text when it gets here. Wrapping to a width is [`super::reading`]'s.

use similar::{ChangeTag, TextDiff};

use super::json_text;
use crate::model::error::Failure;
use crate::model::event::ArtifactError;
use crate::model::safe_text::safe_line;

/// Characters after which a line is broken in two, so that no part of it falls to the filter's limit.
const LINE_CHARS: usize = 1000;
/// Unchanged lines around a change.
const AROUND: usize = 3;

/// What a line is, for its style.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// Words.
    Plain,
    /// JSON, to be coloured.
    Json,
    /// A heading of ours or of the text.
    Heading,
    /// A remark of ours.
    Note,
    /// Something wrong.
    Error,
    /// Only in the new text.
    Added,
    /// Only in the old text.
    Removed,
}

/// One safe line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocLine {
    /// What it is.
    pub ink: Ink,
    /// What it says; safe to show.
    pub text: String,
}

/// A text for reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// From top to bottom.
    pub lines: Vec<DocLine>,
}

impl Document {
    /// The whole content of a file: JSON laid out (in the file's own order), markdown with its
    /// headings, anything else as it is.
    #[must_use]
    pub fn of_content(path: &str, bytes: &[u8]) -> Self {
        let mut doc = Self::default();
        let text = String::from_utf8_lossy(bytes);
        if matches!(text, std::borrow::Cow::Owned(_)) {
            doc.push(Ink::Error, "not UTF-8: the bytes that are no text are shown as \u{fffd}");
        }
        match json_text::laid_out(&text) {
            Some(json) => doc.push_all(Ink::Json, &json),
            None => text.lines().for_each(|line| doc.push(ink_of(path, line), line)),
        }
        if doc.lines.is_empty() {
            doc.push(Ink::Note, "the file is empty");
        }
        doc
    }

    /// What changed between two contents, line by line, with a little of what did not.
    #[must_use]
    pub fn of_diff(old: &[u8], new: &[u8]) -> Self {
        let (old, new) = (comparable(old), comparable(new));
        let diff = TextDiff::from_lines(&old, &new);
        let mut doc = Self::default();
        for (index, group) in diff.grouped_ops(AROUND).iter().enumerate() {
            let skipped = group.first().map_or(0, |op| op.new_range().start);
            if index > 0 || skipped > 0 {
                doc.push(Ink::Note, &format!("@@ line {}", skipped + 1));
            }
            for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
                let (ink, sign) = match change.tag() {
                    ChangeTag::Equal => (Ink::Plain, ' '),
                    ChangeTag::Delete => (Ink::Removed, '-'),
                    ChangeTag::Insert => (Ink::Added, '+'),
                };
                doc.push(ink, &format!("{sign} {}", change.value().trim_end_matches(['\n', '\r'])));
            }
        }
        if doc.lines.is_empty() {
            doc.push(Ink::Note, "nothing changed: both versions say the same");
        }
        doc
    }

    /// Validation errors, each with its JSON Pointer.
    pub fn push_errors(&mut self, errors: &[ArtifactError]) {
        for error in errors {
            let place = if error.pointer.is_empty() { "(whole document)" } else { &error.pointer };
            self.push(Ink::Error, place);
            self.push(Ink::Plain, &format!("  {}", error.message));
        }
    }

    /// An error in place of what could not be loaded: never shown as empty.
    #[must_use]
    pub fn of_failure(what: &str, failure: &Failure) -> Self {
        let mut doc = Self::default();
        doc.push(Ink::Error, &format!("{what} could not be loaded"));
        doc.push(Ink::Plain, &failure.to_string());
        doc.push(Ink::Note, &failure.hint);
        doc
    }

    /// Adds a line, made safe; a very long one in pieces.
    pub fn push(&mut self, ink: Ink, text: &str) {
        let mut rest = text;
        while let Some((at, _)) = rest.char_indices().nth(LINE_CHARS) {
            self.lines.push(DocLine { ink, text: safe_line(&rest[..at]) });
            rest = &rest[at..];
        }
        self.lines.push(DocLine { ink, text: safe_line(rest) });
    }

    /// Adds every line of a text.
    pub fn push_all(&mut self, ink: Ink, text: &str) {
        text.lines().for_each(|line| self.push(ink, line));
    }
}

fn ink_of(path: &str, line: &str) -> Ink {
    let markdown = path.ends_with(".md") || path.ends_with(".markdown");
    if markdown && line.starts_with('#') { Ink::Heading } else { Ink::Plain }
}

/// JSON is compared as laid out, so that spacing alone is no change of lines.
fn comparable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    json_text::laid_out(&text).unwrap_or_else(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(doc: &Document) -> Vec<&str> {
        doc.lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn json_is_laid_out_in_its_own_order_and_foreign_characters_are_marked() {
        let doc = Document::of_content("spec.json", "{\"b\":\"x\u{202e}y\",\"a\":[]}".as_bytes());
        assert_eq!(texts(&doc), ["{", "  \"b\": \"x<RLO>y\",", "  \"a\": []", "}"]);
        assert!(doc.lines.iter().all(|line| line.ink == Ink::Json));
    }

    #[test]
    fn a_difference_shows_changed_lines_with_a_little_around_them() {
        let doc = Document::of_diff(br#"{"a":1,"b":2}"#, br#"{"a":1,"b":3}"#);
        assert_eq!(texts(&doc), ["  {", "    \"a\": 1,", "-   \"b\": 2", "+   \"b\": 3", "  }"]);
        let same = Document::of_diff(br#"{"a":1}"#, br#"{ "a": 1 }"#);
        assert_eq!(texts(&same), ["nothing changed: both versions say the same"]);
    }

    #[test]
    fn an_endless_line_is_broken_and_nothing_of_it_is_lost() {
        let doc = Document::of_content("a.txt", "x".repeat(9001).as_bytes());
        assert_eq!(doc.lines.iter().map(|line| line.text.len()).sum::<usize>(), 9001);
        assert_eq!(doc.lines.len(), 10);
    }
}
