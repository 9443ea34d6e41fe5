//! Strict JSON parser: one document, bounded depth, no duplicate keys.
//!
//! Lenient parsers keep the last of two equal keys, so a reviewer and the program could see
//! different values. Callers that report all errors get the duplicates beside the value; others get
//! the first duplicate as an error with its position.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

/// Maximum nesting depth of arrays and objects.
pub(crate) const MAX_DEPTH: usize = 64;

/// Maximum length of a key in an error message, in characters.
const MAX_KEY_CHARS: usize = 60;

/// A key that occurs more than once in its object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DuplicateKey {
    /// JSON Pointer to its value.
    pub(crate) pointer: String,
    /// The key, not truncated.
    pub(crate) key: String,
}

/// Parses a document without duplicate keys.
///
/// # Errors
/// The first error with line and column. For valid JSON that is not acceptable (a duplicate key,
/// too deep) its category is `YamlContent`.
pub(crate) fn parse(text: &str) -> Result<Value, serde_json::Error> {
    read(
        text,
        &mut KeyLocation {
            depth: 0,
            twice: DuplicateCheck::Refused,
        },
    )
}

/// Parses a whole document and collects duplicate keys; the last value of a key wins.
///
/// # Errors
/// As [`parse`], except for duplicates.
pub(crate) fn parse_with_duplicates(
    text: &str,
) -> Result<(Value, Vec<DuplicateKey>), serde_json::Error> {
    let mut place = KeyLocation {
        depth: 0,
        twice: DuplicateCheck::Noticed(false),
    };
    let value = read(text, &mut place)?;
    let DuplicateCheck::Noticed(true) = place.twice else {
        return Ok((value, Vec::new()));
    };
    // Tracking the path of each value is expensive, so do it only once a duplicate is known to
    // exist.
    let mut place = KeyLocation {
        depth: 0,
        twice: DuplicateCheck::Listed {
            path: Vec::new(),
            found: Vec::new(),
        },
    };
    let value = read(text, &mut place)?;
    let DuplicateCheck::Listed { found, .. } = place.twice else {
        return Ok((value, Vec::new()));
    };
    Ok((value, found))
}

/// Returns an error message without its position.
pub(crate) fn words(error: &serde_json::Error) -> String {
    let told = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    told.strip_suffix(&place).unwrap_or(&told).to_owned()
}

fn read(text: &str, place: &mut KeyLocation) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = JsonNode(place).deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

struct KeyLocation {
    depth: usize,
    twice: DuplicateCheck,
}

/// How to handle a duplicate key.
enum DuplicateCheck {
    /// Fail at the first one.
    Refused,
    /// Record whether there is one.
    Noticed(bool),
    Listed {
        path: Vec<PathSegment>,
        found: Vec<DuplicateKey>,
    },
}

enum PathSegment {
    Index(usize),
    Key(String),
}

impl KeyLocation {
    fn deeper<E: Error>(&self) -> Result<(), E> {
        if self.depth < MAX_DEPTH {
            Ok(())
        } else {
            Err(E::custom(format_args!(
                "more than {MAX_DEPTH} levels of nesting"
            )))
        }
    }

    fn enter(&mut self, part: impl FnOnce() -> PathSegment) {
        self.depth += 1;
        if let DuplicateCheck::Listed { path, .. } = &mut self.twice {
            path.push(part());
        }
    }

    fn leave(&mut self) {
        self.depth -= 1;
        if let DuplicateCheck::Listed { path, .. } = &mut self.twice {
            path.pop();
        }
    }

    fn duplicate<E: Error>(&mut self, key: &str) -> Result<(), E> {
        match &mut self.twice {
            DuplicateCheck::Refused => {
                let shown: String = key.escape_debug().take(MAX_KEY_CHARS).collect();
                return Err(E::custom(format_args!(
                    "the key '{shown}' twice in one object"
                )));
            }
            DuplicateCheck::Noticed(noticed) => *noticed = true,
            DuplicateCheck::Listed { path, found } => found.push(DuplicateKey {
                pointer: pointer(path, key),
                key: key.to_owned(),
            }),
        }
        Ok(())
    }
}

fn pointer(path: &[PathSegment], key: &str) -> String {
    let mut pointer = String::new();
    for part in path {
        match part {
            PathSegment::Index(index) => pointer.push_str(&format!("/{index}")),
            PathSegment::Key(key) => pointer.push_str(&format!("/{}", pointer_part(key))),
        }
    }
    pointer.push_str(&format!("/{}", pointer_part(key)));
    pointer
}

/// Formats a key as a JSON Pointer segment.
pub(crate) fn pointer_part(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

struct JsonNode<'a>(&'a mut KeyLocation);

impl<'de> DeserializeSeed<'de> for JsonNode<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for JsonNode<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number that is too large"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.0.deeper()?;
        let mut list = Vec::new();
        loop {
            self.0.enter(|| PathSegment::Index(list.len()));
            let item = items.next_element_seed(JsonNode(self.0))?;
            self.0.leave();
            match item {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        self.0.deeper()?;
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            let entry = object.entry(key);
            if let Entry::Occupied(entry) = &entry {
                self.0.duplicate(entry.key())?;
            }
            self.0.enter(|| PathSegment::Key(entry.key().clone()));
            let value = members.next_value_seed(JsonNode(self.0))?;
            self.0.leave();
            match entry {
                Entry::Vacant(entry) => {
                    entry.insert(value);
                }
                Entry::Occupied(mut entry) => {
                    entry.insert(value);
                }
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nested(depth: usize) -> String {
        format!("{}{}", "[".repeat(depth), "]".repeat(depth))
    }

    #[test]
    fn good_json_reads_as_it_is() {
        let text = r#"{"a":[1,-2,3.5,"x",true,null],"b":{"c":""}}"#;
        assert_eq!(
            parse(text).unwrap(),
            serde_json::from_str::<Value>(text).unwrap()
        );
    }

    #[test]
    fn doubtful_json_is_refused_with_its_place() {
        for (text, line, column, told) in [
            (
                "{\"a\":1,\n \"a\":2}",
                2,
                4,
                "the key 'a' twice in one object",
            ),
            ("{\"a\":1} x", 1, 9, "trailing characters"),
            ("{\"a\":", 1, 5, "EOF while parsing a value"),
            ("[1e999]", 1, 6, "number out of range"),
            (nested(65).as_str(), 1, 66, "more than 64 levels of nesting"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(
                (error.line(), error.column(), words(&error).as_str()),
                (line, column, told),
                "{text}"
            );
        }
    }

    #[test]
    fn keys_that_occur_twice_are_named_by_their_pointer() {
        let (value, duplicates) =
            parse_with_duplicates(r#"{"a": 1, "b": [{"x/y": 1, "x/y": 2}], "a": 2}"#).unwrap();
        let told: Vec<_> = duplicates
            .iter()
            .map(|duplicate| (duplicate.pointer.as_str(), duplicate.key.as_str()))
            .collect();
        assert_eq!(told, [("/b/0/x~1y", "x/y"), ("/a", "a")]);
        assert_eq!(value, serde_json::json!({"a": 2, "b": [{"x/y": 2}]}));
    }

    #[test]
    fn depth_is_bounded_where_the_limit_says_for_empty_lists_and_objects_too() {
        let objects = |depth: usize| {
            format!(
                "{}{{}}{}",
                "{\"a\":".repeat(depth - 1),
                "}".repeat(depth - 1)
            )
        };
        for of in [nested, objects] {
            assert!(parse(&of(MAX_DEPTH)).is_ok());
            assert!(parse_with_duplicates(&of(MAX_DEPTH)).is_ok());
            assert!(parse(&of(MAX_DEPTH + 1)).is_err());
            assert!(parse_with_duplicates(&of(MAX_DEPTH + 1)).is_err());
            assert!(parse(&of(100_000)).is_err());
        }
        assert!(parse(&"{\"a\":".repeat(100_000)).is_err());
    }

    proptest! {
        #[test]
        fn what_the_library_writes_is_read_back_the_same(numbers in proptest::collection::vec(any::<f64>(), 0..5), words in proptest::collection::btree_map(".{0,8}", ".{0,8}", 0..5)) {
            let document = serde_json::json!({"numbers": numbers, "words": words, "more": [true, null, -1, u64::MAX]});
            prop_assert_eq!(parse_with_duplicates(&document.to_string()).unwrap(), (document.clone(), Vec::new()));
            prop_assert_eq!(parse(&document.to_string()).unwrap(), document);
        }
    }
}
