//! Artifact schema files: strict JSON that is [sound](soundness) as a schema, each fault with its line.
//!
//! Compiling for use and checking artifacts is [`artifact`](crate::engine::artifact)'s work.

use std::path::Path;

use serde_json::Value;

use super::json;
use super::names::is_schema_id;
use super::reader::ProblemList;
use crate::engine::artifact::schema_lint;
use crate::engine::artifact::schema_lint::SchemaFinding;
use crate::model::error::{Code, Failure, Result, SourcePlace};
use crate::model::id::SchemaId;

/// The most problems that are told of one file.
const MAX_PROBLEMS: usize = 20;

/// Checks a schema document: the draft's own rules, references, cycles, patterns. Empty when it is
/// sound; otherwise `schema_invalid`, with the JSON Pointer as the place's field.
#[must_use]
pub fn check_schema(value: &Value, file: &str) -> Vec<Failure> {
    findings(value)
        .into_iter()
        .map(|finding| failure(finding, file, None))
        .collect()
}

/// Reads a schema file.
pub(super) fn read(text: &str, file: &str) -> Result<Value, Vec<Failure>> {
    let value = json::parse(text)
        .map_err(|broken| ProblemList::new(file, Code::SchemaInvalid).broken(broken))?;
    let found = findings(&value);
    if found.is_empty() {
        return Ok(value);
    }
    let mut failures: Vec<Failure> = found
        .into_iter()
        .map(|finding| failure(finding, file, Some(text)))
        .collect();
    failures.sort_by_key(|failure| {
        failure
            .place
            .as_ref()
            .and_then(|place| place.line.zip(place.column))
    });
    Err(failures)
}

/// The id that a file's place beneath the `artifacts/` folder gives.
pub(super) fn id_of(folder: &Path, file: &Path) -> Result<SchemaId> {
    let relative = file.strip_prefix(folder).unwrap_or(file).with_extension("");
    let parts: Vec<_> = relative
        .components()
        .map(|part| part.as_os_str().to_string_lossy())
        .collect();
    let id = parts.join("/");
    if is_schema_id(&id) {
        return Ok(SchemaId(id));
    }
    let place = SourcePlace {
        file: file.display().to_string(),
        ..SourcePlace::default()
    };
    let message = format!("the file's place gives the id '{id}', which is no schema id");
    Err(Failure::new(Code::SchemaInvalid, message)
        .hint("name it artifacts/NAMESPACE/NAME@VERSION.json")
        .at(place))
}

fn failure(finding: SchemaFinding, file: &str, text: Option<&str>) -> Failure {
    let at = text.and_then(|text| json::position(text, &finding.pointer));
    let place = SourcePlace {
        file: file.to_owned(),
        line: at.map(|at| at.line),
        column: at.map(|at| at.column),
        field: (!finding.pointer.is_empty()).then_some(finding.pointer),
    };
    Failure::new(Code::SchemaInvalid, finding.message)
        .hint(finding.hint)
        .at(place)
}

fn findings(value: &Value) -> Vec<SchemaFinding> {
    let mut found = schema_lint::compile(value).err().unwrap_or_default();
    found.truncate(MAX_PROBLEMS);
    found
}
