//! Compiles artifact schemas, so that a schema that cannot be relied on is refused before a run begins.
//!
//! JSON Schema 2020-12, standing alone: nothing is fetched, no file is opened, references stay inside.
//! Patterns run in linear time (no look-around, no back-references). Formats count, and one that
//! nobody knows is a mistake. Reading and finding schema files is the catalog's work.

use std::path::Path;
use std::sync::Arc;

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use super::{ref_cycle, wording};
use crate::model::error::{Code, Failure, Result};
use crate::model::id::SchemaId;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
const MAX_PATTERN_BYTES: usize = 1024 * 1024;
const MAX_PROBLEMS: usize = 10;

/// A schema, ready to validate with. Cheap to clone.
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
    /// `schema_invalid` with everything that is wrong.
    pub fn compile(id: &SchemaId, value: &Value) -> Result<Self> {
        let problems = problems(value);
        if !problems.is_empty() {
            return Err(invalid(id, &problems));
        }
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .offline()
            .with_pattern_options(PatternOptions::regex().size_limit(MAX_PATTERN_BYTES))
            .should_validate_formats(true)
            .should_ignore_unknown_formats(false)
            .build(value)
            .map_err(|error| invalid(id, &[wording::schema_problem(&error)]))?;
        Ok(Self { id: id.clone(), value: Arc::new(value.clone()), validator: Arc::new(validator) })
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &SchemaId {
        &self.id
    }

    /// The schema itself.
    #[must_use]
    pub fn value(&self) -> &Arc<Value> {
        &self.value
    }

    /// Whether the artifact file `path` is text for this schema, and not JSON: the schema asks for a
    /// string at the top (`"type": "string"`, or a `contentMediaType` of text), and the file's name
    /// does not end in `.json`. The whole text is then validated as one string.
    #[must_use]
    pub fn is_text(&self, path: &str) -> bool {
        let is_json = Path::new(path).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        let asks_for_string = self.value.get("type").and_then(Value::as_str) == Some("string");
        let asks_for_text = self.value.get("contentMediaType").and_then(Value::as_str).is_some_and(|media| media.starts_with("text/"));
        !is_json && (asks_for_string || asks_for_text)
    }

    pub(super) fn validator(&self) -> &Validator {
        &self.validator
    }
}

fn problems(value: &Value) -> Vec<String> {
    if !value.is_object() {
        return vec!["it is not an object".to_owned()];
    }
    let mut problems = Vec::new();
    if let Some(dialect) = value.get("$schema")
        && dialect.as_str().map(|dialect| dialect.trim_end_matches('#')) != Some(DIALECT)
    {
        problems.push(format!("$schema must be \"{DIALECT}\", or be left out"));
        return problems;
    }
    problems.extend(jsonschema::draft202012::meta::validator().iter_errors(value).map(|error| wording::schema_problem(&error)));
    problems.extend(ref_cycle::problems(value));
    problems.sort();
    problems.dedup();
    problems
}

fn invalid(id: &SchemaId, problems: &[String]) -> Failure {
    let mut listed = problems.iter().take(MAX_PROBLEMS).map(String::as_str).collect::<Vec<_>>().join("; ");
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
        failure.message.strip_prefix("schema 'x/y@1' is not valid: ").unwrap().to_owned()
    }

    #[test]
    fn what_cannot_be_relied_on_is_refused_in_words() {
        let table = [
            (json!(true), "it is not an object"),
            (
                json!({"$schema": "http://json-schema.org/draft-07/schema#"}),
                "$schema must be \"https://json-schema.org/draft/2020-12/schema\", or be left out",
            ),
            (json!({"minLength": "ten"}), "'minLength' must be an integer, but is a string"),
            (
                json!({"required": "x", "minItems": -1}),
                "'minItems' must be at least 0, but is -1; 'required' must be an array, but is a string",
            ),
            (json!({"$ref": "#"}), "the reference at the top comes back to itself without looking at any value"),
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
        for target in [format!("file://{}", secret.display()), "http://127.0.0.1:9/x".to_owned(), "other.json".to_owned()] {
            let message = refused(&json!({"properties": {"a": {"$ref": target}}}));
            assert_eq!(message, "$ref at /properties/a leads outside; a schema stands alone, and references begin with '#'");
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
        let media = CompiledSchema::compile(&"x/y@1".into(), &json!({"contentMediaType": "text/markdown"})).unwrap();
        let object = CompiledSchema::compile(&"x/y@1".into(), &json!({"type": "object"})).unwrap();
        assert!(text.is_text("report.md") && text.is_text("NOTES") && media.is_text("report.md"));
        assert!(!text.is_text("report.json") && !text.is_text("report.JSON") && !object.is_text("report.md"));
    }
}
