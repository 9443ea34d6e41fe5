//! Compiles artifact schemas, so that an unreliable schema is rejected before a run starts.
//!
//! [`soundness`] defines the requirements. The catalog finds and reads schema files.

use std::path::Path;
use std::sync::Arc;

use crate::engine::artifact::schema_lint;
use crate::engine::artifact::schema_lint::SchemaFinding;
use crate::model::error::{Code, Failure, Result};
use crate::model::id::SchemaId;
use jsonschema::Validator;
use serde_json::Value;

const MAX_PROBLEMS: usize = 10;

/// A compiled schema. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CompiledSchema {
    id: SchemaId,
    value: Arc<Value>,
    validator: Arc<Validator>,
}

impl CompiledSchema {
    /// Compiles `value` as JSON Schema 2020-12.
    ///
    /// # Errors
    /// `schema_invalid` with all problems.
    pub fn compile(id: &SchemaId, value: &Value) -> Result<Self> {
        let validator = schema_lint::compile(value).map_err(|found| invalid(id, &found))?;
        Ok(Self {
            id: id.clone(),
            value: Arc::new(value.clone()),
            validator: Arc::new(validator),
        })
    }

    /// Returns the schema's name.
    #[must_use]
    pub fn id(&self) -> &SchemaId {
        &self.id
    }

    /// Returns the schema document.
    #[must_use]
    pub fn value(&self) -> &Arc<Value> {
        &self.value
    }

    /// Whether the artifact file `path` is text for this schema, and not JSON: the schema asks for a
    /// string at the top (`"type": "string"`, or a `contentMediaType` of text), and the file's name
    /// does not end in `.json`. The whole text is then validated as one string.
    #[must_use]
    pub fn is_text(&self, path: &str) -> bool {
        let is_json = Path::new(path)
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        let asks_for_string = self.value.get("type").and_then(Value::as_str) == Some("string");
        let asks_for_text = self
            .value
            .get("contentMediaType")
            .and_then(Value::as_str)
            .is_some_and(|media| media.starts_with("text/"));
        !is_json && (asks_for_string || asks_for_text)
    }

    pub(super) fn validator(&self) -> &Validator {
        &self.validator
    }
}

fn invalid(id: &SchemaId, problems: &[SchemaFinding]) -> Failure {
    let placed = |finding: &SchemaFinding| match finding.pointer.as_str() {
        "" => finding.message.clone(),
        pointer => format!("{} (at {pointer})", finding.message),
    };
    let mut listed = problems
        .iter()
        .take(MAX_PROBLEMS)
        .map(placed)
        .collect::<Vec<_>>()
        .join("; ");
    if problems.len() > MAX_PROBLEMS {
        listed.push_str(&format!("; and {} more", problems.len() - MAX_PROBLEMS));
    }
    Failure::new(Code::SchemaInvalid, format!("schema '{id}' is not valid: {listed}"))
        .hint("mend the schema (JSON Schema 2020-12, without references outside), then `phasedeck validate` it")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(schema: &Value) -> String {
        let failure = CompiledSchema::compile(&"x/y@1".into(), schema).unwrap_err();
        assert_eq!(failure.code, Code::SchemaInvalid);
        failure
            .message
            .strip_prefix("schema 'x/y@1' is not valid: ")
            .unwrap()
            .to_owned()
    }

    #[test]
    fn what_cannot_be_relied_on_is_refused_in_words() {
        let table = [
            (json!(true), "a schema must be a JSON object"),
            (
                json!({"$schema": "http://json-schema.org/draft-07/schema#"}),
                "the dialect \"http://json-schema.org/draft-07/schema#\" is not supported (at /$schema)",
            ),
            (
                json!({"minLength": "ten"}),
                "'minLength' must be an integer, but is a string (at /minLength)",
            ),
            (
                json!({"required": "x", "minItems": -1}),
                "'minItems' must be at least 0, but is -1 (at /minItems); 'required' must be an array, but is a string (at /required)",
            ),
            (json!({"$ref": "#"}), "references go in a circle: # → #"),
        ];
        for (schema, expected) in table {
            assert_eq!(refused(&schema), expected);
        }
    }

    #[test]
    fn nothing_outside_is_ever_read() {
        let temp = tempfile::tempdir().unwrap();
        let secret = temp.path().join("secret.json");
        std::fs::write(&secret, "{\"enum\": [\"hunter2\"]}").unwrap();
        for target in [
            format!("file://{}", secret.display()),
            "http://127.0.0.1:9/x".to_owned(),
            "other.json".to_owned(),
        ] {
            let message = refused(&json!({"properties": {"a": {"$ref": target}}}));
            assert_eq!(
                message,
                format!(
                    "the reference '{target}' leads out of the document (at /properties/a/$ref)"
                )
            );
        }
    }

    #[test]
    fn patterns_that_could_run_for_ever_and_formats_that_nobody_knows_are_refused() {
        for pattern in ["(a+)\\1", "(?=a)b", "(", "(((a{100}){100}){100}){100}"] {
            let message = refused(&json!({"properties": {"x": {"pattern": pattern}}}));
            assert!(message.contains("pattern"), "{pattern}: {message}");
        }
        let message = refused(&json!({"properties": {"id": {"format": "uid"}}}));
        assert!(message.contains("uid"), "{message}");
    }

    #[test]
    fn text_is_told_from_json_by_schema_and_name() {
        let text = CompiledSchema::compile(&"x/y@1".into(), &json!({"type": "string"})).unwrap();
        let media = CompiledSchema::compile(
            &"x/y@1".into(),
            &json!({"contentMediaType": "text/markdown"}),
        )
        .unwrap();
        let object = CompiledSchema::compile(&"x/y@1".into(), &json!({"type": "object"})).unwrap();
        assert!(text.is_text("report.md") && text.is_text("NOTES") && media.is_text("report.md"));
        assert!(
            !text.is_text("report.json")
                && !text.is_text("report.JSON")
                && !object.is_text("report.md")
        );
    }
}
