//! Makes a valid, believable document from a JSON Schema (draft 2020-12).
//!
//! A maker walks the schema and writes the fullest document it allows; the schema itself then judges
//! the result. Where a choice (`oneOf`, `if`, a type of several) was the wrong one, or an optional
//! property stands in the way, the next try chooses otherwise. The same run, phase and attempt give
//! the same document. Schemas that no try satisfies are named with pointer and keyword; a general
//! constraint solver is not this room's job.

use crate::engine::agent::rehearsal::generate::generator::{DocumentGenerator, FreeText};
use crate::model::error::{Code, Failure, Result};
use crate::model::id::{PhaseKey, RunId};
use serde_json::Value;

mod array;
mod flat;
mod generator;
mod number;
mod object;
mod spoil;
mod text;
mod vocabulary;

/// Choices tried before a schema is called unsatisfiable; each fullest first, then with as little as
/// the schema demands.
const TRIES: usize = 8;

/// What a document is about.
#[derive(Clone, Copy, Debug)]
pub struct DocumentContext<'a> {
    /// Which run.
    pub run_id: RunId,
    /// Which phase.
    pub phase_key: &'a PhaseKey,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// What the operator wants made.
    pub requirements: &'a str,
    /// What the operator wants changed.
    pub comment: Option<&'a str>,
}

/// Why a schema could not be satisfied at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct UnsupportedSchema {
    pointer: String,
    keyword: String,
    why: String,
}

impl UnsupportedSchema {
    fn new(pointer: &str, keyword: &str, why: impl Into<String>) -> Self {
        Self {
            pointer: pointer.to_owned(),
            keyword: keyword.to_owned(),
            why: why.into(),
        }
    }

    fn into_failure(self) -> Failure {
        let place = if self.pointer.is_empty() {
            "the document itself"
        } else {
            &self.pointer
        };
        Failure::new(
            Code::SchemaInvalid,
            format!("the rehearsal cannot make a value for {place} that satisfies `{}`: {}", self.keyword, self.why),
        )
        .hint("check that the schema can be satisfied at all; if it can, make it simpler or let a persona with a model do this phase")
    }
}

/// Makes a document that `schema` accepts, with the operator's comment in it where there is one.
///
/// # Errors
/// `schema_invalid` naming JSON Pointer and keyword, when the schema is broken or asks for more than
/// a rehearsal can make.
pub fn document(schema: &Value, about: &DocumentContext<'_>) -> Result<Value> {
    let judge = judge(schema)?;
    let mut first = None;
    for choice in 0..TRIES {
        for lean in [false, true] {
            let mut maker = DocumentGenerator::new(schema, about, choice, lean);
            let cannot = match maker.document() {
                Ok(value) => match judge.validate(&value) {
                    Ok(()) => return Ok(with_comment(value, &maker.free, about, &judge)),
                    Err(error) => UnsupportedSchema::new(
                        error.instance_path().as_str(),
                        error.kind().keyword(),
                        error.masked().to_string(),
                    ),
                },
                Err(cannot) => cannot,
            };
            first.get_or_insert(cannot);
        }
    }
    Err(first.map_or_else(
        || Failure::internal("no way was tried to satisfy a schema"),
        UnsupportedSchema::into_failure,
    ))
}

/// Makes text that `schema` does not accept: a required field missing and one of a wrong type where
/// that can be, else something simpler that is wrong.
///
/// # Errors
/// As [`document`].
pub fn invalid(schema: &Value, about: &DocumentContext<'_>) -> Result<String> {
    Ok(spoil::spoil(
        &document(schema, about)?,
        schema,
        &judge(schema)?,
    ))
}

/// A document as it is written to a file.
#[must_use]
pub fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// Makes the text of an artifact that is no JSON: prose, or where `schema` speaks of a string that
/// prose is not, a string that fits.
///
/// # Errors
/// As [`document`].
pub fn prose(schema: &Value, about: &DocumentContext<'_>) -> Result<String> {
    let prose = vocabulary::prose(about);
    if schema["type"] != "string" || judge(schema)?.is_valid(&Value::String(prose.clone())) {
        return Ok(prose);
    }
    Ok(document(schema, about)?
        .as_str()
        .map_or(prose, str::to_owned))
}

fn judge(schema: &Value) -> Result<jsonschema::Validator> {
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .offline()
        .should_validate_formats(true)
        .with_pattern_options(jsonschema::PatternOptions::regex())
        .build(schema)
        .map_err(|error| {
            UnsupportedSchema::new(
                error.schema_path().as_str(),
                error.kind().keyword(),
                error.masked().to_string(),
            )
            .into_failure()
        })
}

/// Quotes the operator's comment in the best free text that may be as long as that.
fn with_comment(
    mut value: Value,
    free: &[FreeText],
    about: &DocumentContext<'_>,
    judge: &jsonschema::Validator,
) -> Value {
    let Some(comment) = about
        .comment
        .map(str::trim)
        .filter(|comment| !comment.is_empty())
    else {
        return value;
    };
    let mut free: Vec<&FreeText> = free.iter().collect();
    free.sort_by_key(|text| vocabulary::rank_for_comment(&text.name));
    for text in free {
        let Some(old) = value
            .pointer(&text.pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
        else {
            continue;
        };
        let new = vocabulary::taking_up(comment, &old, text.max_length);
        if let Some(place) = value.pointer_mut(&text.pointer) {
            *place = Value::String(new);
        }
        if judge.is_valid(&value) {
            return value;
        }
        if let Some(place) = value.pointer_mut(&text.pointer) {
            *place = Value::String(old);
        }
    }
    value
}

#[cfg(test)]
mod tests;
