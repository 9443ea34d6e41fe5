//! Reads JSON strictly: UTF-8 without a mark, one document, bounded depth, no key twice.
//!
//! Lenient readers keep the last of two equal keys, so that what a person saw and what the program
//! used can differ. Duplicates do not stop the reading, so that everything else that is wrong can be
//! told at once.

use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::wording::clip;
use crate::model::event::ArtifactError;

/// How deep lists and objects may be nested.
pub const MAX_DEPTH: usize = 64;

/// The text of an artifact.
///
/// # Errors
/// What is wrong with its bytes.
pub(super) fn text(bytes: &[u8]) -> Result<&str, ArtifactError> {
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(whole("the file begins with a byte order mark; write UTF-8 without one"));
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(whole("the file is UTF-16; write UTF-8"));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes.get(..error.valid_up_to()).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count() + 1;
        whole(format!("the file is not UTF-8: the byte at offset {} (line {line}) is not valid", error.valid_up_to()))
    })
}

/// The value of a JSON document, and its keys that occur twice.
///
/// # Errors
/// Where the text stops being JSON.
pub(super) fn value(text: &str) -> Result<(Value, Vec<ArtifactError>), ArtifactError> {
    if text.trim().is_empty() {
        return Err(whole("the file is empty; write a JSON document"));
    }
    if text.trim_start().starts_with("```") {
        return Err(whole("the file begins with a Markdown fence; write the JSON document alone"));
    }
    let mut place = Place::default();
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Node(&mut place).deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map(|value| (value, place.duplicates)).map_err(|error| whole(not_json(&error)))
}

fn not_json(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    let told = error.to_string();
    let told = told.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&told);
    format!("not valid JSON at line {line}, column {column}: {}", clip(told, 120))
}

fn whole(message: impl Into<String>) -> ArtifactError {
    ArtifactError { pointer: String::new(), message: message.into() }
}

#[derive(Default)]
struct Place {
    path: Vec<String>,
    duplicates: Vec<ArtifactError>,
}

impl Place {
    fn enter<E: Error>(&mut self, part: String) -> Result<(), E> {
        if self.path.len() >= MAX_DEPTH {
            return Err(E::custom(format_args!("nested deeper than {MAX_DEPTH} levels")));
        }
        self.path.push(part);
        Ok(())
    }

    fn note_duplicate(&mut self, key: &str) {
        let pointer = self.path.iter().flat_map(|part| ["/".to_owned(), part.replace('~', "~0").replace('/', "~1")]).collect();
        let message = format!("the key '{}' occurs more than once; keep one", clip(key, 60));
        self.duplicates.push(ArtifactError { pointer, message });
    }
}

struct Node<'a>(&'a mut Place);

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::from(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::from(v))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(Value::from(v))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(Value::from(v))
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::from(v))
    }

    fn visit_string<E>(self, v: String) -> Result<Value, E> {
        Ok(Value::from(v))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            self.0.enter(list.len().to_string())?;
            let item = items.next_element_seed(Node(self.0))?;
            self.0.path.pop();
            match item {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            self.0.enter(key.clone())?;
            let value = entries.next_value_seed(Node(self.0))?;
            if object.contains_key(&key) {
                self.0.note_duplicate(&key);
            }
            self.0.path.pop();
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_mistake_of_form_has_its_words() {
        let table: &[(&[u8], &str)] = &[
            (b"", "the file is empty; write a JSON document"),
            (b" \n", "the file is empty; write a JSON document"),
            (b"\xef\xbb\xbf{}", "the file begins with a byte order mark; write UTF-8 without one"),
            (b"\xff\xfe{\0}\0", "the file is UTF-16; write UTF-8"),
            (b"{\n\"a\": \"\xe4\"}", "the file is not UTF-8: the byte at offset 8 (line 2) is not valid"),
            (b"```json\n{}\n```", "the file begins with a Markdown fence; write the JSON document alone"),
            (b"{\"a\": 1,}", "not valid JSON at line 1, column 9: trailing comma"),
            (b"{\"a\": 1", "not valid JSON at line 1, column 7: EOF while parsing an object"),
            (b"{} {}", "not valid JSON at line 1, column 4: trailing characters"),
            (b"{'a': 1}", "not valid JSON at line 1, column 2: key must be a string"),
            (b"[1e999]", "not valid JSON at line 1, column 6: number out of range"),
            (b"NaN", "not valid JSON at line 1, column 1: expected value"),
        ];
        for (bytes, expected) in table {
            let error = text(bytes).and_then(value).unwrap_err();
            assert_eq!((error.pointer.as_str(), error.message.as_str()), ("", *expected), "{bytes:?}");
        }
    }

    #[test]
    fn keys_that_occur_twice_are_named_by_their_pointer() {
        let (_, duplicates) = value(r#"{"a": 1, "b": [{"x/y": 1, "x/y": 2}], "a": 2}"#).unwrap();
        let pointers: Vec<&str> = duplicates.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(pointers, ["/b/0/x~1y", "/a"]);
        assert_eq!(duplicates[1].message, "the key 'a' occurs more than once; keep one");
    }

    #[test]
    fn depth_is_bounded_where_the_limit_says() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(value(&nested(MAX_DEPTH)).is_ok());
        let error = value(&nested(MAX_DEPTH + 1)).unwrap_err();
        assert!(error.message.contains("nested deeper than 64 levels"), "{}", error.message);
        assert!(value(&nested(100_000)).is_err());
        assert!(value(&"{\"a\":".repeat(100_000)).is_err());
    }

    proptest! {
        #[test]
        fn what_the_library_writes_is_read_back_the_same(numbers in proptest::collection::vec(any::<f64>(), 0..5), words in proptest::collection::btree_map(".{0,8}", ".{0,8}", 0..5)) {
            let document = serde_json::json!({"numbers": numbers, "words": words, "more": [true, null, -1, u64::MAX]});
            let (read, duplicates) = value(&document.to_string()).unwrap();
            prop_assert_eq!(read, document);
            prop_assert_eq!(duplicates, Vec::new());
        }
    }
}
