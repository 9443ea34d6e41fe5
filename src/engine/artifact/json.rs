//! Decodes an artifact: UTF-8 without a byte order mark, and [strict JSON](strict_json).
//!
//! Duplicate keys do not stop the parser, so that all errors can be reported at once.

use crate::engine::artifact::messages::clip;
use crate::engine::artifact::strict_json;
use crate::engine::artifact::strict_json::DuplicateKey;
use crate::model::event::ArtifactError;
use serde_json::Value;

/// Decodes the text of an artifact.
///
/// # Errors
/// The encoding error.
pub(super) fn text(bytes: &[u8]) -> Result<&str, ArtifactError> {
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(whole(
            "the file begins with a byte order mark; write UTF-8 without one",
        ));
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(whole("the file is UTF-16; write UTF-8"));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes
            .get(..error.valid_up_to())
            .unwrap_or_default()
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        whole(format!(
            "the file is not UTF-8: the byte at offset {} (line {line}) is not valid",
            error.valid_up_to()
        ))
    })
}

/// Parses a JSON document and returns its value and duplicate keys.
///
/// # Errors
/// The syntax error.
pub(super) fn value(text: &str) -> Result<(Value, Vec<ArtifactError>), ArtifactError> {
    if text.trim().is_empty() {
        return Err(whole("the file is empty; write a JSON document"));
    }
    if text.trim_start().starts_with("```") {
        return Err(whole(
            "the file begins with a Markdown fence; write the JSON document alone",
        ));
    }
    let (value, duplicates) =
        strict_json::parse_with_duplicates(text).map_err(|error| whole(not_json(&error)))?;
    Ok((value, duplicates.into_iter().map(twice).collect()))
}

fn twice(duplicate: DuplicateKey) -> ArtifactError {
    let message = format!(
        "the key '{}' occurs more than once; keep one",
        clip(&duplicate.key, 60)
    );
    ArtifactError {
        pointer: duplicate.pointer,
        message,
    }
}

fn not_json(error: &serde_json::Error) -> String {
    let told = strict_json::words(error);
    format!(
        "not valid JSON at line {}, column {}: {}",
        error.line(),
        error.column(),
        clip(&told, 120)
    )
}

fn whole(message: impl Into<String>) -> ArtifactError {
    ArtifactError {
        pointer: String::new(),
        message: message.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_of_form_has_its_words() {
        let table: &[(&[u8], &str)] = &[
            (b"", "the file is empty; write a JSON document"),
            (b" \n", "the file is empty; write a JSON document"),
            (
                b"\xef\xbb\xbf{}",
                "the file begins with a byte order mark; write UTF-8 without one",
            ),
            (b"\xff\xfe{\0}\0", "the file is UTF-16; write UTF-8"),
            (
                b"{\n\"a\": \"\xe4\"}",
                "the file is not UTF-8: the byte at offset 8 (line 2) is not valid",
            ),
            (
                b"```json\n{}\n```",
                "the file begins with a Markdown fence; write the JSON document alone",
            ),
            (
                b"{\"a\": 1,}",
                "not valid JSON at line 1, column 9: trailing comma",
            ),
            (
                b"{\"a\": 1",
                "not valid JSON at line 1, column 7: EOF while parsing an object",
            ),
            (
                b"{} {}",
                "not valid JSON at line 1, column 4: trailing characters",
            ),
            (
                b"{'a': 1}",
                "not valid JSON at line 1, column 2: key must be a string",
            ),
            (
                b"[1e999]",
                "not valid JSON at line 1, column 6: number out of range",
            ),
            (b"NaN", "not valid JSON at line 1, column 1: expected value"),
        ];
        for (bytes, expected) in table {
            let error = text(bytes).and_then(value).unwrap_err();
            assert_eq!(
                (error.pointer.as_str(), error.message.as_str()),
                ("", *expected),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn keys_that_occur_twice_are_named_by_their_pointer() {
        let (_, duplicates) = value(r#"{"a": 1, "b": [{"x/y": 1, "x/y": 2}], "a": 2}"#).unwrap();
        let pointers: Vec<&str> = duplicates
            .iter()
            .map(|error| error.pointer.as_str())
            .collect();
        assert_eq!(pointers, ["/b/0/x~1y", "/a"]);
        assert_eq!(
            duplicates[1].message,
            "the key 'a' occurs more than once; keep one"
        );
    }

    #[test]
    fn what_is_nested_too_deeply_is_told() {
        let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
        assert_eq!(
            value(&deep).unwrap_err().message,
            "not valid JSON at line 1, column 66: more than 64 levels of nesting"
        );
    }
}
