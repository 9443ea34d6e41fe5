//! JSON as text: laid out anew without touching its order, and cut into tokens for colours.
//!
//! A parser into values would sort keys and drop doubles; what an operator approves is shown as it
//! was written, so both work on the text.

use serde::de::IgnoredAny;

/// What a piece of JSON is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonToken {
    /// A string in front of a colon.
    Key,
    /// Any other string.
    Text,
    /// A number.
    Number,
    /// `true`, `false`, `null`.
    Word,
    /// Brackets, commas, colons.
    Mark,
    /// Spaces, and whatever does not fit.
    Other,
}

/// The same JSON, two spaces a level, one member a line; `None` when it is not JSON.
#[must_use]
pub fn pretty_print(text: &str) -> Option<String> {
    let text = text.trim();
    is_json(text).then(|| format_json(text))
}

/// The beginning of what may be JSON, laid out in the same way, without knowing what follows.
#[must_use]
pub fn pretty_print_prefix(text: &str) -> Option<String> {
    let text = text.trim_start();
    text.starts_with(['{', '[']).then(|| format_json(text))
}

/// One pass over the bytes: contents of many megabytes come through here.
fn format_json(text: &str) -> String {
    let (mut out, mut depth, mut at) = (
        String::with_capacity(text.len() + text.len() / 2),
        0usize,
        0,
    );
    while let Some(byte) = text.as_bytes().get(at) {
        let len = match byte {
            b' ' | b'\n' | b'\t' | b'\r' => 1,
            b'{' | b'[' => {
                let inner = space_len(&text[at + 1..]);
                let is_empty = matches!(text.as_bytes().get(at + 1 + inner), Some(b'}' | b']'));
                out.push(char::from(*byte));
                match is_empty {
                    true => out.push_str(&text[at + 1 + inner..at + 2 + inner]),
                    false => {
                        depth += 1;
                        break_line(&mut out, depth);
                    }
                }
                if is_empty { inner + 2 } else { 1 }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                break_line(&mut out, depth);
                out.push(char::from(*byte));
                1
            }
            b',' => {
                out.push(',');
                break_line(&mut out, depth);
                1
            }
            b':' => {
                out.push_str(": ");
                1
            }
            b'"' => {
                let len = string_len(&text[at..]);
                out.push_str(&text[at..at + len]);
                len
            }
            _ => {
                let len = word_len(&text[at..]);
                out.push_str(&text[at..at + len]);
                len
            }
        };
        at += len;
    }
    out
}

fn space_len(text: &str) -> usize {
    text.bytes()
        .take_while(|byte| matches!(byte, b' ' | b'\n' | b'\t' | b'\r'))
        .count()
}

/// Bytes up to the next sign or space; what JSON has there is ASCII, anything else is taken whole.
fn word_len(text: &str) -> usize {
    let ends = |byte: &u8| {
        matches!(
            byte,
            b' ' | b'\n' | b'\t' | b'\r' | b'"' | b'{' | b'}' | b'[' | b']' | b',' | b':'
        )
    };
    text.as_bytes()
        .iter()
        .position(ends)
        .unwrap_or(text.len())
        .max(1)
}

/// Whether a text is a JSON object or array, not nested beyond what readers take.
#[must_use]
pub fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

fn break_line(out: &mut String, depth: usize) {
    const SPACES: &str = "                                                                ";
    out.push('\n');
    let mut left = depth * 2;
    while left > 0 {
        let some = left.min(SPACES.len());
        out.push_str(&SPACES[..some]);
        left -= some;
    }
}

/// Cuts a text into tokens; together they are the text.
#[must_use]
pub fn tokens(text: &str) -> Vec<(JsonToken, &str)> {
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '"' => string_len(rest),
            '{' | '}' | '[' | ']' | ',' | ':' => 1,
            c if c.is_whitespace() => run_len(rest, char::is_whitespace),
            _ => run_len(rest, |c| {
                !c.is_whitespace() && !matches!(c, '"' | '{' | '}' | '[' | ']' | ',' | ':')
            }),
        };
        let (piece, after) = rest.split_at(len.max(first.len_utf8()));
        found.push((kind(piece, after), piece));
        rest = after;
    }
    found
}

fn run_len(text: &str, fits: impl Fn(char) -> bool) -> usize {
    text.find(|c| !fits(c)).unwrap_or(text.len())
}

/// Length of the text in quotes that this begins with; to the end where it is never closed.
fn string_len(text: &str) -> usize {
    let mut at = 1;
    // Quotes are few and looked for as fast as memory is read; backslashes matter only in front of one.
    while let Some(found) = text[at..].find('"') {
        let quote = at + found;
        let escapes = text.as_bytes()[1..quote]
            .iter()
            .rev()
            .take_while(|byte| **byte == b'\\')
            .count();
        at = quote + 1;
        if escapes % 2 == 0 {
            return at;
        }
    }
    text.len()
}

fn kind(piece: &str, after: &str) -> JsonToken {
    match piece.as_bytes().first() {
        Some(b'"') if after.trim_start().starts_with(':') => JsonToken::Key,
        Some(b'"') => JsonToken::Text,
        Some(b'{' | b'}' | b'[' | b']' | b',' | b':') => JsonToken::Mark,
        Some(b'-' | b'0'..=b'9') => JsonToken::Number,
        _ if matches!(piece, "true" | "false" | "null") => JsonToken::Word,
        _ => JsonToken::Other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            any::<i32>().prop_map(Into::into),
            "\\PC{0,8}".prop_map(Into::into),
            Just(serde_json::Value::Null)
        ];
        let list = |inner: BoxedStrategy<serde_json::Value>| prop::collection::vec(inner, 0..4);
        let nested = leaf.prop_recursive(3, 20, 4, move |inner| {
            let map = prop::collection::btree_map("[a-z\"\\\\]{0,4}", inner.clone(), 0..4);
            prop_oneof![
                list(inner.boxed()).prop_map(Into::into),
                map.prop_map(|map| serde_json::Value::Object(map.into_iter().collect()))
            ]
        });
        prop::collection::vec(nested, 0..4).prop_map(Into::into)
    }

    #[test]
    fn laying_out_keeps_order_doubles_and_what_stands_in_strings() {
        let text = pretty_print(r#"{"b":1,"a":{"x":"{,:}\""},"b":[],"c":[true,{}]}"#).unwrap();
        assert_eq!(
            text,
            "{\n  \"b\": 1,\n  \"a\": {\n    \"x\": \"{,:}\\\"\"\n  },\n  \"b\": [],\n  \"c\": [\n    true,\n    {}\n  ]\n}"
        );
        assert_eq!(pretty_print("# no json"), None);
        assert_eq!(pretty_print("{\"a\":}"), None);
    }

    #[test]
    fn keys_are_told_from_texts() {
        let kinds: Vec<JsonToken> = tokens(r#""a": "b", 1"#)
            .into_iter()
            .map(|(kind, _)| kind)
            .collect();
        use JsonToken::{Key, Mark, Number, Other, Text};
        assert_eq!(kinds, [Key, Mark, Other, Text, Mark, Other, Number]);
    }

    #[test]
    fn the_beginning_of_a_text_is_laid_out_like_the_whole() {
        let text = r#"{"b":1,"a":{"x":"{,:}\\\""},"b":[ ],"c":[true,{}]}"#;
        let whole = pretty_print(text).unwrap();
        for end in 1..text.len() {
            let start = pretty_print_prefix(&text[..end]).unwrap();
            let same = start
                .lines()
                .zip(whole.lines())
                .take_while(|(start, whole)| start == whole)
                .count();
            // Whether a bracket is closed at once is not known before what follows it.
            assert!(
                same + 2 >= start.lines().count(),
                "only the last two lines of {start:?} may differ"
            );
        }
        assert_eq!(pretty_print_prefix("# no json"), None);
    }

    proptest! {
        #[test]
        fn laying_out_changes_nothing_but_space(value in json()) {
            let text = pretty_print(&value.to_string()).unwrap();
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value.clone());
            prop_assert_eq!(text, serde_json::to_string_pretty(&value).unwrap());
        }

        #[test]
        fn tokens_together_are_the_text(text in any::<String>()) {
            let joined: String = tokens(&text).into_iter().map(|(_, piece)| piece).collect();
            prop_assert_eq!(joined, text);
        }
    }
}
