//! Makes a valid document invalid, the way a hasty agent would.

use serde_json::{Map, Value};

use super::pretty;

/// A text that `judge` refuses, made of the valid `document`.
pub fn spoil(document: &Value, schema: &Value, judge: &jsonschema::Validator) -> String {
    let ways = document
        .as_object()
        .map(|object| worse(object, schema))
        .unwrap_or_default();
    let other = [wrong_type(document), Value::Null];
    ways.into_iter()
        .chain(other)
        .find(|value| !judge.is_valid(value))
        .map_or_else(
            || "{ \"rehearsal\": \"a document that breaks off\", ".to_owned(),
            |value| pretty(&value),
        )
}

/// Worse versions of an object: with a required field missing and another of a wrong type, or one of the two.
fn worse(object: &Map<String, Value>, schema: &Value) -> Vec<Value> {
    let mut required = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let victim = required
        .rfind(|name| object.contains_key(*name))
        .or_else(|| object.keys().next_back().map(String::as_str));
    let mut without = object.clone();
    if let Some(victim) = victim {
        without.remove(victim);
    }
    let twisted = |object: &Map<String, Value>| {
        let mut object = object.clone();
        if let Some(value) = object.values_mut().next_back() {
            *value = wrong_type(value);
        }
        Value::Object(object)
    };
    vec![twisted(&without), Value::Object(without), twisted(object)]
}

fn wrong_type(value: &Value) -> Value {
    if value.is_string() {
        Value::from(7)
    } else {
        Value::from("Rehearsal: a text where something else is expected")
    }
}
