//! Colours for what people write in files: small lexers that look at one line at a time.
//!
//! They colour, they never judge: together the pieces are the line, whatever stands in it, and what
//! fits nothing stays plain. State across lines (block comments, long strings) is left out on
//! purpose, so that a line in the middle of a very long file costs a line.

use std::ops::Range;

use super::document::LineKind;
use super::json_text::{self, JsonToken};

/// What a piece of a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Highlight {
    /// A name in data, or a keyword.
    Key,
    /// A text in quotes.
    Text,
    /// A number, or a word such as `true`.
    Value,
    /// Brackets, commas, list signs.
    Mark,
    /// A remark.
    Comment,
    /// A heading.
    Heading,
    /// Strong words.
    Strong,
    /// Words with weight.
    Emphasis,
    /// Code within prose.
    Code,
    /// Where a link leads.
    Link,
    /// Only in the new text.
    Added,
    /// Only in the old text.
    Removed,
}

/// The coloured stretches of a line, in order and apart.
#[must_use]
pub fn highlights(ink: LineKind, line: &str) -> Vec<(Range<usize>, Highlight)> {
    match ink {
        LineKind::Json => json(line),
        LineKind::Yaml => yaml(line),
        LineKind::Code => code(line, "//"),
        LineKind::Script => code(line, "#"),
        _ => Vec::new(),
    }
}

/// How the lines of a file are coloured, by its name.
#[must_use]
pub fn line_kind(path: &str) -> LineKind {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        "json" => LineKind::Json,
        "yaml" | "yml" => LineKind::Yaml,
        "c" | "cc" | "cpp" | "cs" | "go" | "h" | "hpp" | "java" | "js" | "jsx" | "kt" | "php"
        | "rs" | "scala" | "swift" | "ts" | "tsx" => LineKind::Code,
        "bash" | "cfg" | "conf" | "ini" | "pl" | "py" | "r" | "rb" | "sh" | "toml" | "zsh" => {
            LineKind::Script
        }
        _ => LineKind::Plain,
    }
}

fn json(line: &str) -> Vec<(Range<usize>, Highlight)> {
    let mut at = 0;
    let tint = |token| match token {
        JsonToken::Key => Some(Highlight::Key),
        JsonToken::Text => Some(Highlight::Text),
        JsonToken::Number | JsonToken::Word => Some(Highlight::Value),
        JsonToken::Mark => Some(Highlight::Mark),
        JsonToken::Other => None,
    };
    let pieces = json_text::tokens(line)
        .into_iter()
        .filter_map(|(token, piece)| {
            at += piece.len();
            tint(token).map(|tint| (at - piece.len()..at, tint))
        });
    pieces.collect()
}

fn yaml(line: &str) -> Vec<(Range<usize>, Highlight)> {
    let mut found = Vec::new();
    let mut at = line.len() - line.trim_start().len();
    while line[at..].starts_with("- ") || &line[at..] == "-" {
        found.push((at..at + 1, Highlight::Mark));
        at += 1;
        at += line[at..].len() - line[at..].trim_start().len();
    }
    let rest = &line[at..];
    let key = rest
        .find(": ")
        .or_else(|| rest.strip_suffix(':').map(str::len))
        .filter(|_| !rest.starts_with(['"', '\'', '#', '{', '[']));
    if let Some(end) = key {
        found.push((at..at + end, Highlight::Key));
        found.push((at + end..at + end + 1, Highlight::Mark));
        at += end + 1;
    }
    let value = line[at..].trim();
    let plain_value = matches!(value, "true" | "false" | "null" | "~" | "yes" | "no")
        || value.parse::<f64>().is_ok();
    if plain_value && !value.is_empty() {
        let start = at + (line[at..].len() - line[at..].trim_start().len());
        found.push((start..start + value.len(), Highlight::Value));
    } else {
        found.extend(
            scan(&line[at..], "#", &[])
                .into_iter()
                .map(|(range, tint)| (range.start + at..range.end + at, tint)),
        );
    }
    found.retain(|(range, _)| !range.is_empty());
    found
}

/// Words that begin or bind things in the languages that agents write most.
const KEYWORDS: &[&str] = &[
    "and",
    "as",
    "async",
    "await",
    "break",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "def",
    "default",
    "do",
    "elif",
    "else",
    "enum",
    "except",
    "export",
    "extends",
    "finally",
    "fn",
    "for",
    "from",
    "func",
    "function",
    "if",
    "impl",
    "import",
    "in",
    "interface",
    "is",
    "lambda",
    "let",
    "match",
    "mod",
    "mut",
    "new",
    "not",
    "or",
    "package",
    "pass",
    "pub",
    "public",
    "private",
    "raise",
    "return",
    "self",
    "static",
    "struct",
    "super",
    "switch",
    "this",
    "throw",
    "trait",
    "try",
    "type",
    "use",
    "var",
    "where",
    "while",
    "with",
    "yield",
];

fn code(line: &str, comment: &str) -> Vec<(Range<usize>, Highlight)> {
    scan(line, comment, KEYWORDS)
}

/// Strings, numbers, words and a comment to the end.
fn scan(line: &str, comment: &str, keywords: &[&str]) -> Vec<(Range<usize>, Highlight)> {
    let (mut found, mut at) = (Vec::new(), 0);
    let mut before = ' ';
    while let Some(first) = line[at..].chars().next() {
        let rest = &line[at..];
        let word = first.is_alphanumeric() || first == '_';
        let (len, tint) = match first {
            _ if rest.starts_with(comment) && (comment != "#" || before.is_whitespace()) => {
                (rest.len(), Some(Highlight::Comment))
            }
            '"' | '`' => (quoted(rest, first), Some(Highlight::Text)),
            // An apostrophe within words is none that opens a text.
            '\'' if !before.is_alphanumeric() && rest[1..].contains('\'') => {
                (quoted(rest, first), Some(Highlight::Text))
            }
            _ if word => {
                let len = rest
                    .find(|c: char| !(c.is_alphanumeric() || c == '_'))
                    .unwrap_or(rest.len());
                let number = first.is_ascii_digit();
                let value = number
                    || matches!(
                        &rest[..len],
                        "true" | "false" | "null" | "None" | "True" | "False" | "nil" | "undefined"
                    );
                let tint = if value && !keywords.is_empty() {
                    Some(Highlight::Value)
                } else {
                    None
                };
                (
                    len,
                    tint.or(keywords.contains(&&rest[..len]).then_some(Highlight::Key)),
                )
            }
            '{' | '}' | '[' | ']' | '(' | ')' | ',' | ';' => (1, Some(Highlight::Mark)),
            other => (other.len_utf8(), None),
        };
        found.extend(tint.map(|tint| (at..at + len, tint)));
        before = line[at..at + len].chars().next_back().unwrap_or(' ');
        at += len;
    }
    found
}

/// Length of a text in quotes, to the end of the line where it is never closed.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(ink: LineKind, line: &str) -> Vec<(&str, Highlight)> {
        highlights(ink, line)
            .into_iter()
            .map(|(range, tint)| (&line[range], tint))
            .collect()
    }

    #[test]
    fn each_language_is_told_by_its_own_signs() {
        use Highlight::{Comment, Key, Mark, Text, Value};
        type HighlightCase<'a> = (LineKind, &'a str, &'a [(&'a str, Highlight)]);
        let cases: [HighlightCase<'_>; 8] = [
            (LineKind::Yaml, ":", &[(":", Mark)]),
            (
                LineKind::Json,
                "  \"a\": 1,",
                &[("\"a\"", Key), (":", Mark), ("1", Value), (",", Mark)],
            ),
            (
                LineKind::Yaml,
                "  - key: true",
                &[("-", Mark), ("key", Key), (":", Mark), ("true", Value)],
            ),
            (
                LineKind::Yaml,
                "name: \"x\" # why",
                &[
                    ("name", Key),
                    (":", Mark),
                    ("\"x\"", Text),
                    ("# why", Comment),
                ],
            ),
            (LineKind::Yaml, "# all of it", &[("# all of it", Comment)]),
            (
                LineKind::Code,
                "let x = 'a'; // don't",
                &[
                    ("let", Key),
                    ("'a'", Text),
                    (";", Mark),
                    ("// don't", Comment),
                ],
            ),
            (
                LineKind::Script,
                "if x#1 == 2: # y",
                &[("if", Key), ("1", Value), ("2", Value), ("# y", Comment)],
            ),
            (LineKind::Plain, "let x", &[]),
        ];
        for (ink, line, expected) in cases {
            assert_eq!(told(ink, line), expected, "{line}");
        }
    }

    proptest! {
        #[test]
        fn stretches_are_in_order_apart_and_between_characters(line in "\\PC{0,40}") {
            for ink in [LineKind::Json, LineKind::Yaml, LineKind::Code, LineKind::Script] {
                let mut at = 0;
                for (range, _) in highlights(ink, &line) {
                    prop_assert!(range.start >= at && range.start < range.end && line.get(range.clone()).is_some(), "{ink:?} {range:?}");
                    at = range.end;
                }
            }
        }
    }
}
