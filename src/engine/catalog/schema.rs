//! Artifact schema files: strict JSON, valid against draft 2020-12, complete in themselves.
//!
//! Nothing is ever fetched: a schema that refers to anything but itself is refused, and so is one
//! whose references only lead to each other, because such a schema accepts everything. Compiling for
//! use and checking artifacts is [`artifact`](crate::engine::artifact)'s work.

use std::path::Path;

use jsonschema::{Draft, PatternOptions};
use serde_json::Value;

use super::names::is_schema_id;
use super::reader::Problems;
use super::{json, references};
use crate::model::error::{Code, Failure, Place, Result};
use crate::model::id::SchemaId;

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";
/// The most problems that are told of one file.
const MAX_PROBLEMS: usize = 20;
/// How long a quoted piece of the schema may be within a message, in characters.
const MAX_QUOTE: usize = 200;
/// How large a compiled pattern may be, in bytes.
const MAX_PATTERN_BYTES: usize = 1024 * 1024;

/// One problem within a schema document.
pub(super) struct Finding {
    /// JSON Pointer to what is wrong.
    pub(super) pointer: String,
    pub(super) message: String,
    pub(super) hint: String,
}

impl Finding {
    pub(super) fn new(pointer: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into(), hint: hint.into() }
    }
}

/// Checks a schema document: the draft's own rules, references, cycles, patterns. Empty when it is
/// sound; otherwise `schema_invalid`, with the JSON Pointer as the place's field.
#[must_use]
pub fn check_schema(value: &Value, file: &str) -> Vec<Failure> {
    findings(value).into_iter().map(|finding| failure(finding, file, None)).collect()
}

/// Reads a schema file.
pub(super) fn read(text: &str, file: &str) -> Result<Value, Vec<Failure>> {
    let value = json::parse(text).map_err(|broken| Problems::new(file, Code::SchemaInvalid).broken(broken))?;
    let found = findings(&value);
    if found.is_empty() {
        return Ok(value);
    }
    let mut failures: Vec<Failure> = found.into_iter().map(|finding| failure(finding, file, Some(text))).collect();
    failures.sort_by_key(|failure| failure.place.as_ref().and_then(|place| place.line.zip(place.column)));
    Err(failures)
}

/// The id that a file's place beneath the `artifacts/` folder gives.
pub(super) fn id_of(folder: &Path, file: &Path) -> Result<SchemaId> {
    let relative = file.strip_prefix(folder).unwrap_or(file).with_extension("");
    let parts: Vec<_> = relative.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    let id = parts.join("/");
    if is_schema_id(&id) {
        return Ok(SchemaId(id));
    }
    let place = Place { file: file.display().to_string(), ..Place::default() };
    let message = format!("the file's place gives the id '{id}', which is no schema id");
    Err(Failure::new(Code::SchemaInvalid, message).hint("name it artifacts/NAMESPACE/NAME@VERSION.json").at(place))
}

fn failure(finding: Finding, file: &str, text: Option<&str>) -> Failure {
    let at = text.and_then(|text| json::position(text, &finding.pointer));
    let place = Place {
        file: file.to_owned(),
        line: at.map(|at| at.line),
        column: at.map(|at| at.column),
        field: (!finding.pointer.is_empty()).then_some(finding.pointer),
    };
    Failure::new(Code::SchemaInvalid, finding.message).hint(finding.hint).at(place)
}

fn findings(value: &Value) -> Vec<Finding> {
    let mut found = wrong_dialect(value);
    if found.is_empty() {
        found = against_draft(value);
    }
    if found.is_empty() {
        found = references::check(value);
    }
    if found.is_empty() {
        found.extend(does_not_compile(value));
    }
    found.truncate(MAX_PROBLEMS);
    found
}

fn wrong_dialect(value: &Value) -> Vec<Finding> {
    match value {
        Value::Object(members) => match members.get("$schema") {
            None => Vec::new(),
            Some(dialect) if dialect.as_str().is_some_and(|uri| uri.trim_end_matches('#') == DRAFT) => Vec::new(),
            Some(dialect) => vec![Finding::new(
                "/$schema",
                format!("the dialect {} is not supported", quoted(&dialect.to_string())),
                format!("write {DRAFT}, or leave the field out"),
            )],
        },
        _ => vec![Finding::new("", "a schema must be a JSON object", "begin with { \"type\": \"object\" }")],
    }
}

fn against_draft(value: &Value) -> Vec<Finding> {
    let rules = jsonschema::draft202012::meta::validator();
    let hint = "see the keyword's rules in JSON Schema draft 2020-12";
    rules.iter_errors(value).map(|e| Finding::new(e.instance_path().to_string(), quoted(&e.to_string()), hint)).collect()
}

fn does_not_compile(value: &Value) -> Option<Finding> {
    let patterns = PatternOptions::regex().size_limit(MAX_PATTERN_BYTES);
    let options = jsonschema::options().with_draft(Draft::Draft202012).offline().with_pattern_options(patterns);
    let error = options.build(value).err()?;
    let pointer = error.instance_path().to_string();
    if let Some(pattern) = error.instance().as_str()
        && pointer.contains("attern")
    {
        let message = format!("the pattern '{}' cannot be used", quoted(pattern));
        return Some(Finding::new(
            pointer,
            message,
            "write a regular expression without look-around and back-references, and of moderate size",
        ));
    }
    Some(Finding::new(pointer, quoted(&error.to_string()), "change what is named here"))
}

fn quoted(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTE) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or(text)),
        None => text.to_owned(),
    }
}
