//! Arguments as a model writes them, read field by field; every mistake is collected and named.

use serde_json::{Map, Value};

use super::ToolError;
use crate::engine::artifact::strict_json;

const NO_OBJECT: &str = "the arguments must be a JSON object";
const NO_JSON: &str = "the arguments are not usable JSON: ";
const MISTAKES: &str = "bad arguments: ";

/// Whether these are the words for a call whose arguments could not be read.
pub(super) fn are_unreadable(words: &str) -> bool {
    [NO_OBJECT, NO_JSON, MISTAKES]
        .iter()
        .any(|beginning| words.starts_with(beginning))
}

/// The arguments of one call, being read.
#[derive(Debug)]
pub(super) struct ToolArguments {
    fields: Map<String, Value>,
    known: Vec<&'static str>,
    mistakes: Vec<String>,
}

impl ToolArguments {
    /// Reads the text of the arguments; no text at all is no arguments.
    ///
    /// # Errors
    /// Words saying where the text is no JSON object.
    pub(super) fn parse(text: &str) -> Result<Self, ToolError> {
        let text = if text.trim().is_empty() { "{}" } else { text };
        match strict_json::parse(text) {
            Ok(Value::Object(fields)) => Ok(Self {
                fields,
                known: Vec::new(),
                mistakes: Vec::new(),
            }),
            Ok(_) => Err(ToolError::Fault(NO_OBJECT.to_owned())),
            Err(error) => Err(ToolError::Fault(format!("{NO_JSON}{error}"))),
        }
    }

    /// A text that is there already, without counting it as read.
    pub(super) fn peek(&self, field: &str) -> Option<&str> {
        self.fields.get(field).and_then(Value::as_str)
    }

    /// A text that must be given; an empty one stands in for it when it is not.
    pub(super) fn text(&mut self, field: &'static str) -> String {
        let given = self.take(field);
        if given.is_none() {
            self.mistakes.push(format!("'{field}' is missing"));
        }
        self.as_text(field, given).unwrap_or_default()
    }

    /// A text that may be left out.
    pub(super) fn optional_text(&mut self, field: &'static str) -> Option<String> {
        let given = self.take(field);
        self.as_text(field, given)
    }

    /// A whole number from 0 that may be left out.
    pub(super) fn optional_count(&mut self, field: &'static str) -> Option<usize> {
        let value = self.take(field)?;
        let count = value
            .as_u64()
            .and_then(|n| usize::try_from(n).ok())
            .or_else(|| whole(&value));
        if count.is_none() {
            self.mistakes.push(format!(
                "'{field}' must be a whole number from 0, not {}",
                kind(&value)
            ));
        }
        count
    }

    /// Yes or no; no when left out.
    pub(super) fn flag(&mut self, field: &'static str) -> bool {
        match self.take(field) {
            None => false,
            Some(Value::Bool(flag)) => flag,
            Some(other) => {
                self.mistakes.push(format!(
                    "'{field}' must be true or false, not {}",
                    kind(&other)
                ));
                false
            }
        }
    }

    /// A list that must be given.
    pub(super) fn list(&mut self, field: &'static str) -> Vec<Value> {
        match self.take(field) {
            Some(Value::Array(items)) => items,
            Some(other) => {
                self.mistakes
                    .push(format!("'{field}' must be a list, not {}", kind(&other)));
                Vec::new()
            }
            None => {
                self.mistakes.push(format!("'{field}' is missing"));
                Vec::new()
            }
        }
    }

    /// Adds a mistake that only the tool can see.
    pub(super) fn mistake(&mut self, words: String) {
        self.mistakes.push(words);
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// All mistakes at once, fields that the tool does not know included.
    pub(super) fn finish(mut self) -> Result<(), ToolError> {
        for field in self.fields.keys() {
            self.mistakes.push(format!(
                "'{field}' is not known; the fields are {}",
                self.known.join(", ")
            ));
        }
        if self.mistakes.is_empty() {
            Ok(())
        } else {
            Err(ToolError::Fault(format!(
                "{MISTAKES}{}",
                self.mistakes.join("; ")
            )))
        }
    }

    fn take(&mut self, field: &'static str) -> Option<Value> {
        self.known.push(field);
        self.fields.remove(field).filter(|value| !value.is_null())
    }

    fn as_text(&mut self, field: &'static str, given: Option<Value>) -> Option<String> {
        match given? {
            Value::String(text) => Some(text),
            other => {
                self.mistakes
                    .push(format!("'{field}' must be text, not {}", kind(&other)));
                None
            }
        }
    }
}

/// `10.0` is a whole number in JSON Schema too.
fn whole(value: &Value) -> Option<usize> {
    let text = value.as_f64().filter(|n| n.fract() == 0.0)?.to_string();
    text.parse().ok()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number like that",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_named_at_once() {
        let mut arguments =
            ToolArguments::parse(r#"{"limit":-1,"all":"yes","paht":"x","offset":3.0,"path":null}"#)
                .unwrap();
        assert_eq!(arguments.text("file_path"), "");
        assert_eq!(arguments.optional_text("path"), None);
        assert_eq!(arguments.optional_count("limit"), None);
        assert_eq!(arguments.optional_count("offset"), Some(3));
        assert!(!arguments.flag("all"));
        let Err(ToolError::Fault(words)) = arguments.finish() else {
            panic!("accepted")
        };
        assert_eq!(
            words,
            "bad arguments: 'file_path' is missing; 'limit' must be a whole number from 0, not a number like that; \
             'all' must be true or false, not text; 'paht' is not known; the fields are file_path, path, limit, offset, all"
        );
    }

    #[test]
    fn text_that_is_no_object_is_answered_with_where() {
        for (text, part) in [
            ("[1]", "must be a JSON object"),
            ("{\"a\":", "line 1 column 5"),
            ("{\"a\":1,\"a\":2}", "the key 'a' twice"),
        ] {
            let Err(ToolError::Fault(words)) = ToolArguments::parse(text) else {
                panic!("accepted {text}")
            };
            assert!(words.contains(part), "{words}");
        }
    }
}
