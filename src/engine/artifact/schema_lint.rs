//! Requirements for schema documents, with a location and a hint for each problem.
//!
//! A schema is self-contained JSON Schema 2020-12: nothing is fetched, no file is opened,
//! references are local. Patterns run in linear time (no look-around, no back-references) and have
//! a bounded size. Formats are enforced, and an unknown format is a problem.

use super::references;
use crate::engine::artifact::messages;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::Value;

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";
/// Maximum size of a compiled pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 1024 * 1024;
/// Maximum length of quoted input, in characters.
const MAX_QUOTE: usize = 200;

/// A problem in a schema document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SchemaFinding {
    /// JSON Pointer to the problem.
    pub(crate) pointer: String,
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl SchemaFinding {
    pub(super) fn new(
        pointer: impl Into<String>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            pointer: pointer.into(),
            message: message.into(),
            hint: hint.into(),
        }
    }
}

/// Checks a schema document and compiles it.
///
/// # Errors
/// All problems, ordered by pointer.
pub(crate) fn compile(value: &Value) -> Result<Validator, Vec<SchemaFinding>> {
    let rules: [fn(&Value) -> Vec<SchemaFinding>; 3] =
        [wrong_dialect, against_draft, references::check];
    for rule in rules {
        let mut found = rule(value);
        if !found.is_empty() {
            found.sort_by(|a, b| a.pointer.cmp(&b.pointer));
            return Err(found);
        }
    }
    let patterns = PatternOptions::regex().size_limit(MAX_PATTERN_BYTES);
    let options = jsonschema::options()
        .with_draft(Draft::Draft202012)
        .offline()
        .with_pattern_options(patterns);
    let options = options
        .should_validate_formats(true)
        .should_ignore_unknown_formats(false);
    options
        .build(value)
        .map_err(|error| vec![does_not_compile(&error)])
}

fn wrong_dialect(value: &Value) -> Vec<SchemaFinding> {
    match value {
        Value::Object(members) => match members.get("$schema") {
            None => Vec::new(),
            Some(dialect)
                if dialect
                    .as_str()
                    .is_some_and(|uri| uri.trim_end_matches('#') == DRAFT) =>
            {
                Vec::new()
            }
            Some(dialect) => vec![SchemaFinding::new(
                "/$schema",
                format!(
                    "the dialect {} is not supported",
                    messages::clip(&dialect.to_string(), MAX_QUOTE)
                ),
                format!("write {DRAFT}, or leave the field out"),
            )],
        },
        _ => vec![SchemaFinding::new(
            "",
            "a schema must be a JSON object",
            "begin with { \"type\": \"object\" }",
        )],
    }
}

fn against_draft(value: &Value) -> Vec<SchemaFinding> {
    let rules = jsonschema::draft202012::meta::validator();
    let hint = "see the keyword's rules in JSON Schema draft 2020-12";
    let told = |error: ValidationError<'_>| {
        SchemaFinding::new(
            error.instance_path().to_string(),
            messages::schema_problem(&error),
            hint,
        )
    };
    rules.iter_errors(value).map(told).collect()
}

fn does_not_compile(error: &ValidationError<'_>) -> SchemaFinding {
    let pointer = error.instance_path().to_string();
    match error.instance().as_str() {
        Some(pattern) if pointer.contains("attern") => SchemaFinding::new(
            pointer,
            format!(
                "the pattern '{}' cannot be used",
                messages::clip(pattern, MAX_QUOTE)
            ),
            "write a regular expression without look-around and back-references, and of moderate size",
        ),
        Some(format) if pointer.ends_with("/format") => SchemaFinding::new(
            pointer,
            format!(
                "the format '{}' is not known",
                messages::clip(format, MAX_QUOTE)
            ),
            "use a format of JSON Schema draft 2020-12, or a pattern",
        ),
        _ => SchemaFinding::new(
            pointer,
            messages::schema_problem(error),
            "change what is named here",
        ),
    }
}
