//! Validates artifacts and reports all errors in a form that helps to repair them.
//!
//! Bytes must be UTF-8 and strict JSON. All schema errors are then reported by location rather than
//! only the first one, because each repair costs a model call. Text artifacts (see
//! [`CompiledSchema::is_text`]) are validated as one string.

use std::cmp::Ordering;

use serde_json::Value;

use super::json;
use super::schema::CompiledSchema;
use crate::engine::artifact::messages;
use crate::model::event::ArtifactError;

/// Maximum number of listed errors.
pub const MAX_ERRORS: usize = 20;
// A document of ten megabytes can have millions of errors; the exact count is not useful.
const MAX_COUNTED: usize = 10_000;

/// Result of a validation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValidationResult {
    /// Errors ordered by location without duplicates; at most [`MAX_ERRORS`].
    pub errors: Vec<ArtifactError>,
    /// Total number of errors; counting stops at 10 000.
    pub total: u32,
}

impl ValidationResult {
    /// Returns whether the artifact is valid.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.total == 0
    }
}

/// Validates the content of the artifact file `path`. Run time grows with the size of the content.
#[must_use]
pub fn validate(schema: &CompiledSchema, path: &str, bytes: &[u8]) -> ValidationResult {
    let is_text = schema.is_text(path);
    let read = json::text(bytes).and_then(|text| {
        if is_text {
            Ok((Value::from(text), Vec::new()))
        } else {
            json::value(text)
        }
    });
    match read {
        Err(error) => verdict(vec![error]),
        Ok((value, mut errors)) => {
            let root = if is_text { "the text" } else { "the document" };
            let found = schema.validator().iter_errors(&value).take(MAX_COUNTED);
            errors.extend(
                found.flat_map(|error| messages::artifact_errors(&error, schema.value(), root)),
            );
            verdict(errors)
        }
    }
}

fn verdict(mut errors: Vec<ArtifactError>) -> ValidationResult {
    errors.truncate(MAX_COUNTED);
    errors.sort_by(|a, b| by_place(&a.pointer, &b.pointer).then_with(|| a.message.cmp(&b.message)));
    errors.dedup();
    let total = u32::try_from(errors.len()).unwrap_or(u32::MAX);
    errors.truncate(MAX_ERRORS);
    ValidationResult { errors, total }
}

// Natural order: the second item comes before the tenth.
fn by_place(a: &str, b: &str) -> Ordering {
    let parts = |pointer: &str| {
        pointer
            .split('/')
            .map(|part| (part.parse::<u64>().ok(), part.to_owned()))
            .collect::<Vec<_>>()
    };
    parts(a).cmp(&parts(b))
}

#[cfg(test)]
mod tests;
