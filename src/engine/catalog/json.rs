//! Strict JSON: no duplicate keys, bounded depth, nothing after the document, faults with their place.
//!
//! JSON is YAML as well, so the tree of [`yaml`](super::yaml) tells the positions of values that are
//! found wrong later.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::yaml::{self, Broken, Data, MAX_BYTES, Node, Pos};

const MAX_DEPTH: usize = 64;

/// Reads one JSON document.
///
/// # Errors
/// The first fault.
pub(crate) fn parse(text: &str) -> Result<Value, Broken> {
    if text.len() > MAX_BYTES {
        return Err(Broken::new(None, format!("is larger than {} KiB", MAX_BYTES / 1024), "split it"));
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict { depth: 0 }.deserialize(&mut reader).map_err(|e| broken(&e))?;
    reader.end().map_err(|e| broken(&e))?;
    Ok(value)
}

fn broken(error: &serde_json::Error) -> Broken {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let at = Pos { line: count(error.line()), column: count(error.column()).max(1) };
    // The library ends its words with the place, which is told apart here.
    let words = error.to_string();
    let words = words.rsplit_once(" at line ").map_or(words.as_str(), |(words, _)| words);
    match error.classify() {
        serde_json::error::Category::Data => Broken::new(at, words, "change it here"),
        _ => Broken::new(at, format!("is not JSON: {words}"), "check commas, quotes and brackets here"),
    }
}

/// The place of the value at a JSON Pointer, as far as the text can tell.
pub(crate) fn position(text: &str, pointer: &str) -> Option<Pos> {
    let root = yaml::parse(text).ok()?;
    let mut node = &root;
    for part in pointer.split('/').skip(1) {
        node = child(node, &part.replace("~1", "/").replace("~0", "~"))?;
    }
    Some(node.at)
}

fn child<'a>(node: &'a Node, part: &str) -> Option<&'a Node> {
    match &node.data {
        Data::List(items) => items.get(part.parse::<usize>().ok()?),
        Data::Map(members) => members.iter().find(|member| member.key == part).map(|member| &member.value),
        _ => None,
    }
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom(format!("is nested more than {MAX_DEPTH} levels deep")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> Visitor<'de> for Strict {
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
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("has a number that JSON cannot hold"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut members = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if members.contains_key(&key) {
                return Err(A::Error::custom(format!("has '{key}' twice in one object")));
            }
            let value = map.next_value_seed(inner)?;
            members.insert(key, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_have_their_place_and_words() {
        let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
        for (text, place, message) in [
            ("{\"a\":1,\n \"a\":2}", (2, 4), "has 'a' twice in one object"),
            ("{\"a\":1} x", (1, 9), "is not JSON: trailing characters"),
            ("{\"a\":", (1, 5), "is not JSON: EOF while parsing a value"),
            (deep.as_str(), (1, 66), "is nested more than 64 levels deep"),
        ] {
            let broken = parse(text).unwrap_err();
            assert_eq!((broken.at.map(|at| (at.line, at.column)), broken.message.as_str()), (Some(place), message), "{text}");
        }
        assert!(parse(&format!("{}{}", "[".repeat(64), "]".repeat(64))).is_ok());
    }

    #[test]
    fn a_pointer_leads_to_line_and_column() {
        let text = "{\n  \"a/b\": [1,\n    {\"c\": true}]\n}\n";
        assert_eq!(position(text, "/a~1b/1/c"), Some(Pos { line: 3, column: 11 }));
        assert_eq!(position(text, ""), Some(Pos { line: 1, column: 1 }));
        assert_eq!(position(text, "/nowhere"), None);
    }
}
