//! JSON as text: laid out anew without touching its order, and cut into tokens for colours.
//!
//! A parser into values would sort keys and drop doubles; what an operator approves is shown as it
//! was written, so both work on the text.

use serde::de::IgnoredAny;

/// What a piece of JSON is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
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
pub fn laid_out(text: &str) -> Option<String> {
    let text = text.trim();
    if !is_json(text) {
        return None;
    }
    let (mut out, mut depth) = (String::with_capacity(text.len() * 2), 0usize);
    let pieces: Vec<(Token, &str)> = tokens(text).into_iter().filter(|(_, piece)| !piece.trim().is_empty()).collect();
    for (index, (_, piece)) in pieces.iter().enumerate() {
        let next = pieces.get(index + 1).map_or("", |(_, piece)| piece);
        let before = index.checked_sub(1).map_or("", |i| pieces[i].1);
        match *piece {
            "{" | "[" => {
                out.push_str(piece);
                depth += 1;
                if !matches!(next, "}" | "]") {
                    break_line(&mut out, depth);
                }
            }
            "}" | "]" => {
                depth = depth.saturating_sub(1);
                if !matches!(before, "{" | "[") {
                    break_line(&mut out, depth);
                }
                out.push_str(piece);
            }
            "," => {
                out.push(',');
                break_line(&mut out, depth);
            }
            ":" => out.push_str(": "),
            other => out.push_str(other),
        }
    }
    Some(out)
}

/// Whether a text is a JSON object or array, not nested beyond what readers take.
#[must_use]
pub fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

fn break_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

/// Cuts a text into tokens; together they are the text.
#[must_use]
pub fn tokens(text: &str) -> Vec<(Token, &str)> {
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '"' => string_len(rest),
            '{' | '}' | '[' | ']' | ',' | ':' => 1,
            c if c.is_whitespace() => run_len(rest, char::is_whitespace),
            _ => run_len(rest, |c| !c.is_whitespace() && !matches!(c, '"' | '{' | '}' | '[' | ']' | ',' | ':')),
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

fn string_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while let Some(found) = bytes.get(at..).and_then(|rest| rest.iter().position(|b| matches!(b, b'"' | b'\\'))) {
        at += found;
        if bytes[at] == b'"' {
            return at + 1;
        }
        // Whatever is escaped is a character of its own, which may have several bytes.
        at += 1 + text[at + 1..].chars().next().map_or(0, char::len_utf8);
    }
    text.len()
}

fn kind(piece: &str, after: &str) -> Token {
    match piece.as_bytes().first() {
        Some(b'"') if after.trim_start().starts_with(':') => Token::Key,
        Some(b'"') => Token::Text,
        Some(b'{' | b'}' | b'[' | b']' | b',' | b':') => Token::Mark,
        Some(b'-' | b'0'..=b'9') => Token::Number,
        _ if matches!(piece, "true" | "false" | "null") => Token::Word,
        _ => Token::Other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn laying_out_keeps_order_doubles_and_what_stands_in_strings() {
        let text = laid_out(r#"{"b":1,"a":{"x":"{,:}\""},"b":[],"c":[true,{}]}"#).unwrap();
        assert_eq!(text, "{\n  \"b\": 1,\n  \"a\": {\n    \"x\": \"{,:}\\\"\"\n  },\n  \"b\": [],\n  \"c\": [\n    true,\n    {}\n  ]\n}");
        assert_eq!(laid_out("# no json"), None);
        assert_eq!(laid_out("{\"a\":}"), None);
    }

    #[test]
    fn keys_are_told_from_texts() {
        let kinds: Vec<Token> = tokens(r#""a": "b", 1"#).into_iter().map(|(kind, _)| kind).collect();
        use Token::{Key, Mark, Number, Other, Text};
        assert_eq!(kinds, [Key, Mark, Other, Text, Mark, Other, Number]);
    }

    proptest! {
        #[test]
        fn tokens_together_are_the_text(text in any::<String>()) {
            let joined: String = tokens(&text).into_iter().map(|(_, piece)| piece).collect();
            prop_assert_eq!(joined, text);
        }
    }
}
