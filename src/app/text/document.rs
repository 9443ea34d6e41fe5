//! Texts for reading: artifact contents, differences, lists of errors, as safe lines with a meaning.
//!
//! A document is made once, off the screen's thread, from bytes that others wrote; every line has
//! passed the filter for foreign text when it gets here. Wrapping to a width is [`super::reading`]'s,
//! and most colours are found per line when it is drawn ([`super::syntax`]).

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use similar::{ChangeTag, TextDiff};

use super::json_diff::{self, JsonChange};
use super::{json_text, json_tree, markdown};
use crate::app::text::highlight;
use crate::app::text::highlight::Highlight;
use crate::model::error::Failure;
use crate::model::event::ArtifactError;
use crate::model::safe_text::safe_line;

/// Characters after which a line is broken in two, so that no part of it falls to the filter's limit.
const LINE_CHARS: usize = 1000;
/// Unchanged lines around a change.
const AROUND: usize = 3;
/// How long two texts are compared; after that the rest counts as exchanged.
pub(in crate::app) const PATIENCE: Duration = Duration::from_secs(1);

/// What a difference says that has none.
const NOTHING_CHANGED: &str = "nothing changed: both versions say the same";

/// What a line is, for its style.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// Words.
    Plain,
    /// JSON, to be coloured.
    Json,
    /// YAML, to be coloured.
    Yaml,
    /// A programming language with `//` remarks, to be coloured.
    Code,
    /// A language with `#` remarks, to be coloured.
    Script,
    /// A heading of ours or of the text.
    Heading,
    /// A remark of ours.
    Note,
    /// A call of a tool.
    Call,
    /// What went on around an agent: retries, waiting, limits.
    Aside,
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
    pub ink: LineKind,
    /// What it says; safe to show.
    pub text: String,
    /// Colours that do not follow from the line alone.
    pub tints: Vec<(Range<usize>, Highlight)>,
    /// Whether it belongs to the line before it and is left out where only that is shown.
    pub detail: bool,
}

impl DocLine {
    /// A line of one meaning, made safe.
    #[must_use]
    pub fn plain(ink: LineKind, text: &str) -> Self {
        Self {
            ink,
            text: safe_line(text),
            tints: Vec::new(),
            detail: false,
        }
    }
}

/// A text for reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextDocument {
    /// From top to bottom.
    pub lines: Vec<DocLine>,
    /// Whether it is only the beginning, and the rest is on its way.
    pub part: bool,
}

impl TextDocument {
    /// The whole content of a file: JSON laid out (in the file's own order), markdown with its
    /// structure in colour, anything else as it is.
    #[must_use]
    pub fn from_content(path: &str, bytes: &[u8]) -> Self {
        Self::from_validated(path, bytes, &[])
    }

    /// The beginning of a long file, to be read while the rest of it is made readable.
    #[must_use]
    pub fn from_prefix(path: &str, bytes: &[u8]) -> Self {
        let mut doc = Self {
            part: true,
            ..Self::default()
        };
        let text = String::from_utf8_lossy(bytes);
        match json_text::pretty_print_prefix(&text)
            .filter(|_| highlight::line_kind(path) == LineKind::Json)
        {
            Some(json) => doc.push_json(&json, &[]),
            None => doc.push_text(path, &text),
        }
        // The last lines go on in the rest.
        doc.lines.truncate(doc.lines.len().saturating_sub(2));
        doc.push(
            LineKind::Note,
            "the rest of this long text is being made readable",
        );
        doc
    }

    /// The whole content of a file, with what is wrong with it beneath each place that is wrong.
    #[must_use]
    pub fn from_validated(path: &str, bytes: &[u8], errors: &[ArtifactError]) -> Self {
        let mut doc = Self::default();
        let text = String::from_utf8_lossy(bytes);
        if matches!(text, std::borrow::Cow::Owned(_)) {
            doc.push(
                LineKind::Error,
                "not UTF-8: the bytes that are no text are shown as \u{fffd}",
            );
        }
        match json_text::pretty_print(&text) {
            Some(json) => doc.push_json(&json, errors),
            None => {
                // Without a structure there is no place for an error but the top.
                doc.push_errors(errors);
                doc.push_text(path, &text);
            }
        }
        if doc.lines.is_empty() {
            doc.push(LineKind::Note, "the file is empty");
        }
        doc
    }

    /// Laid-out JSON; an error stands beneath the line where its value begins, or on top where there
    /// is no such place.
    fn push_json(&mut self, json: &str, errors: &[ArtifactError]) {
        let lines = if errors.is_empty() {
            BTreeMap::new()
        } else {
            json_tree::pointer_lines(json, errors.iter().map(|e| e.pointer.as_str()))
        };
        let mut beneath: BTreeMap<usize, Vec<&ArtifactError>> = BTreeMap::new();
        for error in errors {
            match lines.get(error.pointer.as_str()) {
                Some(line) if !error.pointer.is_empty() => {
                    beneath.entry(*line).or_default().push(error)
                }
                _ => self.push_errors(std::slice::from_ref(error)),
            }
        }
        // JSON has no raw control characters: what is ASCII throughout needs no filter, line by line.
        let safe = json.is_ascii() && !json.as_bytes().contains(&0x7f);
        for (number, line) in json.lines().enumerate() {
            if safe && beneath.is_empty() && line.len() <= LINE_CHARS {
                self.lines.push(DocLine {
                    ink: LineKind::Json,
                    text: line.to_owned(),
                    tints: Vec::new(),
                    detail: false,
                });
                continue;
            }
            self.push(LineKind::Json, line);
            for error in beneath.get(&number).into_iter().flatten() {
                let indent = line.len() - line.trim_start().len();
                self.push(
                    LineKind::Error,
                    &format!("{:indent$}^ {}", "", error.message),
                );
            }
        }
    }

    fn push_text(&mut self, path: &str, text: &str) {
        if path.ends_with(".md") || path.ends_with(".markdown") {
            return self.push_highlighted(text, &markdown::highlights(text));
        }
        let patch = path.ends_with(".diff") || path.ends_with(".patch");
        let ink = highlight::line_kind(path);
        text.lines()
            .for_each(|line| self.push(if patch { patch_line_kind(line) } else { ink }, line));
    }

    /// Lines with colours that run over the whole text.
    fn push_highlighted(&mut self, text: &str, tints: &[(Range<usize>, Highlight)]) {
        let (mut at, mut next) = (0, 0);
        for line in text.split_inclusive('\n') {
            let shown = line.trim_end_matches(['\n', '\r']);
            while tints.get(next).is_some_and(|(range, _)| range.end <= at) {
                next += 1;
            }
            let of_line = tints[next..]
                .iter()
                .take_while(|(range, _)| range.start < at + shown.len());
            let within = of_line.filter_map(|(range, tint)| {
                let (start, end) = (
                    range.start.max(at) - at,
                    range.end.min(at + shown.len()).checked_sub(at)?,
                );
                (start < end).then_some((start..end, *tint))
            });
            self.push_chunks(shown, &within.collect::<Vec<_>>());
            at += line.len();
        }
    }

    /// One line whose colours are known; the filter for foreign text may change its length.
    fn push_chunks(&mut self, line: &str, tints: &[(Range<usize>, Highlight)]) {
        if tints.is_empty() || line.chars().nth(LINE_CHARS).is_some() {
            return self.push(LineKind::Plain, line);
        }
        let (mut text, mut safe, mut at) = (String::new(), Vec::new(), 0);
        for (range, tint) in tints {
            text.push_str(&safe_line(&line[at..range.start]));
            let start = text.len();
            text.push_str(&safe_line(&line[range.clone()]));
            safe.push((start..text.len(), *tint));
            at = range.end;
        }
        text.push_str(&safe_line(&line[at..]));
        self.lines.push(DocLine {
            ink: LineKind::Plain,
            text,
            tints: safe,
            detail: false,
        });
    }

    /// What changed between two contents: by JSON Pointer where both are JSON, else line by line.
    #[must_use]
    pub fn from_diff(old: &[u8], new: &[u8]) -> Self {
        if let (Ok(old), Ok(new)) = (std::str::from_utf8(old), std::str::from_utf8(new))
            && let Some(changes) = json_diff::changes(old, new)
        {
            return Self::from_changes(&changes);
        }
        Self::from_line_diff(old, new)
    }

    /// Changes by JSON Pointer.
    #[must_use]
    pub fn from_changes(changes: &[JsonChange]) -> Self {
        let mut doc = Self::default();
        if changes.is_empty() {
            doc.push(LineKind::Note, NOTHING_CHANGED);
            return doc;
        }
        doc.push(LineKind::Note, &summarize_changes(changes));
        for change in changes {
            doc.push(LineKind::Plain, "");
            doc.push_change(change);
        }
        doc
    }

    /// Whether it is a difference, and there is none.
    #[must_use]
    pub fn is_empty_diff(&self) -> bool {
        matches!(self.lines.as_slice(), [only] if only.ink == LineKind::Note && only.text == NOTHING_CHANGED)
    }

    fn push_change(&mut self, change: &JsonChange) {
        let place = |at: &str| {
            if at.is_empty() {
                "(whole document)".to_owned()
            } else {
                at.to_owned()
            }
        };
        if let JsonChange::Moved { from, to } = change {
            return self.push(LineKind::Heading, &format!("{to}  moved from {from}"));
        }
        self.push(
            LineKind::Heading,
            &format!("{}  {}", place(change.pointer()), change.label()),
        );
        match change {
            JsonChange::Added { value, .. } => self.push_value(LineKind::Added, '+', value),
            JsonChange::Removed { value, .. } => self.push_value(LineKind::Removed, '-', value),
            JsonChange::Changed { old, new, .. } => {
                self.push_value(LineKind::Removed, '-', old);
                self.push_value(LineKind::Added, '+', new);
            }
            JsonChange::Moved { .. } => {}
        }
    }

    fn push_value(&mut self, ink: LineKind, sign: char, value: &str) {
        let laid_out = json_text::pretty_print(value);
        laid_out
            .as_deref()
            .unwrap_or(value)
            .lines()
            .for_each(|line| self.push(ink, &format!("{sign} {line}")));
    }

    /// What changed between two contents, line by line, with a little of what did not.
    #[must_use]
    pub fn from_line_diff(old: &[u8], new: &[u8]) -> Self {
        let (old, new) = (normalize_for_diff(old), normalize_for_diff(new));
        let diff = TextDiff::configure()
            .timeout(PATIENCE)
            .diff_lines(&old, &new);
        let mut doc = Self::default();
        for (index, group) in diff.grouped_ops(AROUND).iter().enumerate() {
            let skipped = group.first().map_or(0, |op| op.new_range().start);
            if index > 0 || skipped > 0 {
                doc.push(LineKind::Note, &format!("@@ line {}", skipped + 1));
            }
            for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
                let (ink, sign) = match change.tag() {
                    ChangeTag::Equal => (LineKind::Plain, ' '),
                    ChangeTag::Delete => (LineKind::Removed, '-'),
                    ChangeTag::Insert => (LineKind::Added, '+'),
                };
                doc.push(
                    ink,
                    &format!("{sign} {}", change.value().trim_end_matches(['\n', '\r'])),
                );
            }
        }
        if doc.lines.is_empty() {
            doc.push(LineKind::Note, NOTHING_CHANGED);
        }
        doc
    }

    /// Validation errors, each with its JSON Pointer.
    pub fn push_errors(&mut self, errors: &[ArtifactError]) {
        for error in errors {
            let place = if error.pointer.is_empty() {
                "(whole document)"
            } else {
                &error.pointer
            };
            self.push(LineKind::Error, place);
            self.push(LineKind::Plain, &format!("  {}", error.message));
        }
    }

    /// An error in place of what could not be loaded: never shown as empty.
    #[must_use]
    pub fn from_failure(what: &str, failure: &Failure) -> Self {
        let mut doc = Self::default();
        doc.push(LineKind::Error, &format!("{what} could not be loaded"));
        doc.push(LineKind::Plain, &failure.to_string());
        doc.push(LineKind::Note, &failure.hint);
        doc
    }

    /// Adds a line, made safe; a very long one in pieces.
    pub fn push(&mut self, ink: LineKind, text: &str) {
        // Most lines of most files: nothing to filter, nothing to break.
        if text.len() <= LINE_CHARS && text.bytes().all(|b| matches!(b, b' '..=b'~')) {
            return self.lines.push(DocLine {
                ink,
                text: text.to_owned(),
                tints: Vec::new(),
                detail: false,
            });
        }
        let mut rest = text;
        while let Some((at, _)) = rest.char_indices().nth(LINE_CHARS) {
            self.lines.push(DocLine::plain(ink, &rest[..at]));
            rest = &rest[at..];
        }
        self.lines.push(DocLine::plain(ink, rest));
    }

    /// Adds every line of a text.
    pub fn push_all(&mut self, ink: LineKind, text: &str) {
        text.lines().for_each(|line| self.push(ink, line));
    }
}

fn patch_line_kind(line: &str) -> LineKind {
    let head = ["+++", "---", "@@", "diff ", "index "]
        .iter()
        .any(|start| line.starts_with(start));
    match line.as_bytes().first() {
        _ if head => LineKind::Note,
        Some(b'+') => LineKind::Added,
        Some(b'-') => LineKind::Removed,
        _ => LineKind::Plain,
    }
}

/// How many changes of each kind, in words.
fn summarize_changes(changes: &[JsonChange]) -> String {
    let count = |word: &str| {
        changes
            .iter()
            .filter(|change| change.label() == word)
            .count()
    };
    let told = ["changed", "added", "removed", "moved"].map(|word| (count(word), word));
    told.iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// JSON is compared as laid out, so that spacing alone is no change of lines.
pub(in crate::app) fn normalize_for_diff(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    json_text::pretty_print(&text).unwrap_or_else(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(doc: &TextDocument) -> Vec<&str> {
        doc.lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn json_is_laid_out_in_its_own_order_and_foreign_characters_are_marked() {
        let doc =
            TextDocument::from_content("spec.json", "{\"b\":\"x\u{202e}y\",\"a\":[]}".as_bytes());
        assert_eq!(
            texts(&doc),
            ["{", "  \"b\": \"x<RLO>y\",", "  \"a\": []", "}"]
        );
        assert!(doc.lines.iter().all(|line| line.ink == LineKind::Json));
    }

    #[test]
    fn a_difference_of_json_is_told_by_pointers_and_of_text_by_lines() {
        let doc = TextDocument::from_diff(
            br#"{"a":1,"b":{"c":[1]},"l":["x","y","z"]}"#,
            br#"{"b":{"c":[1,2]},"a":3,"l":["z","x","y"],"n":{"k":[]}}"#,
        );
        assert_eq!(
            texts(&doc),
            [
                "1 changed, 2 added, 1 moved",
                "",
                "/b/c/1  added",
                "+ 2",
                "",
                "/a  changed",
                "- 1",
                "+ 3",
                "",
                "/l/0  moved from /l/2",
                "",
                "/n  added",
                "+ {",
                "+   \"k\": []",
                "+ }"
            ]
        );
        let same = TextDocument::from_diff(br#"{"a":1}"#, br#"{ "a": 1 }"#);
        assert_eq!(
            texts(&same),
            ["nothing changed: both versions say the same"]
        );
        let lines = TextDocument::from_diff(b"one\ntwo\n", b"one\nthree\n");
        assert_eq!(texts(&lines), ["  one", "- two", "+ three"]);
        let doubles = TextDocument::from_diff(br#"{"a":1,"a":2}"#, br#"{"a":1}"#);
        assert_eq!(
            texts(&doubles),
            [
                "  {",
                "-   \"a\": 1,",
                "-   \"a\": 2",
                "+   \"a\": 1",
                "  }"
            ]
        );
    }

    #[test]
    fn an_error_stands_beneath_the_value_that_is_wrong() {
        let error = |pointer: &str, message: &str| ArtifactError {
            pointer: pointer.to_owned(),
            message: message.to_owned(),
        };
        let errors = [
            error("/b/0", "must be a string"),
            error("", "needs a title"),
            error("/gone", "is missing"),
        ];
        let doc = TextDocument::from_validated("spec.json", br#"{"a":1,"b":[2]}"#, &errors);
        assert_eq!(
            texts(&doc),
            [
                "(whole document)",
                "  needs a title",
                "/gone",
                "  is missing",
                "{",
                "  \"a\": 1,",
                "  \"b\": [",
                "    2",
                "    ^ must be a string",
                "  ]",
                "}"
            ]
        );
    }

    #[test]
    fn markdown_keeps_its_source_and_its_colours_follow_what_the_filter_changed() {
        let doc = TextDocument::from_content(
            "plan.md",
            "# A\u{202e}b\n\nsay **x\ny** <!-- z -->\n".as_bytes(),
        );
        let told: Vec<(&str, Vec<(&str, Highlight)>)> = doc
            .lines
            .iter()
            .map(|line| {
                (
                    line.text.as_str(),
                    line.tints
                        .iter()
                        .map(|(range, tint)| (&line.text[range.clone()], *tint))
                        .collect(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("# A<RLO>b", vec![("# A<RLO>b", Highlight::Heading)]),
                ("", vec![]),
                ("say **x", vec![("**x", Highlight::Strong)]),
                (
                    "y** <!-- z -->",
                    vec![
                        ("y**", Highlight::Strong),
                        ("<!-- z -->", Highlight::Comment)
                    ]
                ),
            ]
        );
    }

    #[test]
    fn an_endless_line_is_broken_and_nothing_of_it_is_lost() {
        let doc = TextDocument::from_content("a.txt", "x".repeat(9001).as_bytes());
        assert_eq!(
            doc.lines.iter().map(|line| line.text.len()).sum::<usize>(),
            9001
        );
        assert_eq!(doc.lines.len(), 10);
    }
}
