//! Messages for validation errors: short, with the field and the expectation.
//!
//! Their readers are agents that must repair the file, and operators. At most a few escaped
//! characters of the content are quoted.

use std::fmt::Write;

use crate::engine::artifact::strict_json::pointer_part;
use crate::model::event::ArtifactError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::{JsonType, ValidationError};
use serde_json::Value;

const MAX_MESSAGE_CHARS: usize = 300;
const MAX_LIST_CHARS: usize = 120;
const MAX_VALUE_CHARS: usize = 60;

/// What one error of the library means; `root` names the whole document.
pub(super) fn artifact_errors(
    error: &ValidationError<'_>,
    schema: &Value,
    root: &str,
) -> Vec<ArtifactError> {
    let pointer = error.instance_path().as_str();
    match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let allowed = allowed_properties(error, schema);
            let one = |name: &String| ArtifactError {
                pointer: format!("{pointer}/{}", pointer_part(name)),
                message: not_allowed(name, &allowed),
            };
            unexpected.iter().map(one).collect()
        }
        _ => vec![ArtifactError {
            pointer: pointer.to_owned(),
            message: clip(&message(error, root), MAX_MESSAGE_CHARS),
        }],
    }
}

/// What one error of the library means where a schema itself is wrong.
pub(super) fn schema_problem(error: &ValidationError<'_>) -> String {
    clip(&message(error, "the schema"), MAX_MESSAGE_CHARS)
}

/// `text` without control characters, and cut at `max` characters.
pub(super) fn clip(text: &str, max: usize) -> String {
    let mut clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut clipped: String = clean.by_ref().take(max).collect();
    if clean.next().is_some() {
        clipped.push('…');
    }
    clipped
}

fn message(error: &ValidationError<'_>, root: &str) -> String {
    let what = subject(error.instance_path().as_str(), root);
    let value = error.instance().as_ref();
    match error.kind() {
        Kind::Required { property } => {
            format!("{what} lacks the required property {}", quoted(property))
        }
        Kind::Type { kind } => format!(
            "{what} must be {}, but is {}",
            type_names(kind),
            type_name(JsonType::from(value))
        ),
        Kind::Enum { options } => format!(
            "{what} must be one of {}, but is {}",
            list(options),
            short(value)
        ),
        Kind::Constant { expected_value } => format!(
            "{what} must be {}, but is {}",
            short(expected_value),
            short(value)
        ),
        Kind::Format { format } => format!(
            "{what} must be {}, but is {}",
            format_name(format),
            short(value)
        ),
        Kind::Pattern { pattern } => format!(
            "{what} must match the pattern {}, but is {}",
            clip(pattern, MAX_LIST_CHARS),
            short(value)
        ),
        Kind::UniqueItems => format!("{what} must not have an item twice{}", equal_items(value)),
        Kind::Contains => format!("{what} lacks an item of the required kind"),
        Kind::FalseSchema => format!("{what} must not be there"),
        Kind::AdditionalItems { limit } => {
            format!("{what} must have at most {}", count(*limit as u64, "item"))
        }
        Kind::UnevaluatedItems { .. } => format!("{what} has items that are not allowed"),
        Kind::PropertyNames { error } => format!(
            "{what} has a property whose name is not allowed: {}",
            message(error, "the name")
        ),
        Kind::Not { .. } => format!("{what} must not be of the kind that the schema excludes"),
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => none_of(&what, context, root),
        Kind::OneOfMultipleValid { .. } => {
            format!("{what} fits more than one of the allowed kinds; it must fit exactly one")
        }
        kind => limit_message(&what, kind, value).unwrap_or_else(|| {
            format!(
                "{what}: {}",
                clip(&error.masked().to_string(), MAX_LIST_CHARS)
            )
        }),
    }
}

fn limit_message(what: &str, kind: &Kind, value: &Value) -> Option<String> {
    let size = match value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.len(),
        Value::Object(object) => object.len(),
        _ => 0,
    };
    Some(match kind {
        Kind::MinLength { limit } => format!(
            "{what} must have at least {}, but has {size}",
            count(*limit, "character")
        ),
        Kind::MaxLength { limit } => format!(
            "{what} must have at most {}, but has {size}",
            count(*limit, "character")
        ),
        Kind::MinItems { limit } => format!(
            "{what} must have at least {}, but has {size}",
            count(*limit, "item")
        ),
        Kind::MaxItems { limit } => format!(
            "{what} must have at most {}, but has {size}",
            count(*limit, "item")
        ),
        Kind::MinProperties { limit } => format!(
            "{what} must have at least {}, but has {size}",
            many(*limit, "property", "properties")
        ),
        Kind::MaxProperties { limit } => format!(
            "{what} must have at most {}, but has {size}",
            many(*limit, "property", "properties")
        ),
        Kind::Minimum { limit } => format!("{what} must be at least {limit}, but is {value}"),
        Kind::Maximum { limit } => format!("{what} must be at most {limit}, but is {value}"),
        Kind::ExclusiveMinimum { limit } => {
            format!("{what} must be more than {limit}, but is {value}")
        }
        Kind::ExclusiveMaximum { limit } => {
            format!("{what} must be less than {limit}, but is {value}")
        }
        Kind::MultipleOf { multiple_of } => {
            format!("{what} must be a multiple of {multiple_of}, but is {value}")
        }
        _ => return None,
    })
}

// The allowed alternative closest to the value gives the most helpful error: prefer a matching
// type, then the fewest errors.
fn none_of(what: &str, context: &[Vec<ValidationError<'_>>], root: &str) -> String {
    let distance = |errors: &&Vec<ValidationError<'_>>| {
        let other_type = errors
            .iter()
            .any(|error| matches!(error.kind(), Kind::Type { .. } | Kind::Constant { .. }));
        (other_type, errors.len())
    };
    let kinds = context.len();
    match context
        .iter()
        .filter(|errors| !errors.is_empty())
        .min_by_key(distance)
        .and_then(|errors| errors.first())
    {
        Some(closest) => format!(
            "{what} fits none of the {kinds} allowed kinds; closest: {}",
            message(closest, root)
        ),
        None => format!("{what} fits none of the {kinds} allowed kinds"),
    }
}

fn not_allowed(name: &str, allowed: &[&str]) -> String {
    let shown = clip(name, MAX_VALUE_CHARS);
    let near = allowed
        .iter()
        .map(|known| (strsim::jaro_winkler(&folded(known), &folded(name)), known))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((nearness, known)) if nearness > 0.85 => {
            format!("the property '{shown}' is not allowed; did you mean '{known}'?")
        }
        Some(_) => format!(
            "the property '{shown}' is not allowed; allowed are {}",
            clip(&allowed.join(", "), MAX_LIST_CHARS)
        ),
        None => format!("the property '{shown}' is not allowed; remove it"),
    }
}

// Ignore the naming convention, so that `acceptanceCriteria` is close to `acceptance_criteria`.
fn folded(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

fn allowed_properties<'a>(error: &ValidationError<'_>, schema: &'a Value) -> Vec<&'a str> {
    let keyword = error.schema_path().as_str();
    let around = keyword
        .rsplit_once('/')
        .and_then(|(around, _)| schema.pointer(around));
    around
        .and_then(|schema| schema.get("properties")?.as_object())
        .map_or_else(Vec::new, |map| map.keys().map(String::as_str).collect())
}

// `/risks/1/title` is read best as 'risks[1].title'.
fn subject(pointer: &str, root: &str) -> String {
    let mut path = String::new();
    for part in pointer.split('/').skip(1) {
        if part.bytes().all(|b| b.is_ascii_digit()) && !part.is_empty() {
            let _ = write!(path, "[{part}]");
        } else {
            let dot = if path.is_empty() { "" } else { "." };
            let _ = write!(path, "{dot}{}", part.replace("~1", "/").replace("~0", "~"));
        }
    }
    if path.is_empty() {
        root.to_owned()
    } else {
        format!("'{}'", clip(&path, MAX_LIST_CHARS))
    }
}

fn short(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("an array of {}", count(items.len() as u64, "item")),
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) => format!("\"{}\"", clip(text, MAX_VALUE_CHARS)),
        other => clip(&other.to_string(), MAX_VALUE_CHARS),
    }
}

fn quoted(name: &Value) -> String {
    format!(
        "'{}'",
        clip(name.as_str().unwrap_or_default(), MAX_VALUE_CHARS)
    )
}

fn list(options: &Value) -> String {
    let all = options
        .as_array()
        .map_or_else(Vec::new, |options| options.iter().map(short).collect());
    clip(&all.join(", "), MAX_LIST_CHARS)
}

fn equal_items(value: &Value) -> String {
    let items = value.as_array().map_or(&[][..], Vec::as_slice);
    let pair =
        items.iter().take(500).enumerate().find_map(|(j, item)| {
            Some((items.iter().take(j).position(|earlier| earlier == item)?, j))
        });
    pair.map_or_else(String::new, |(i, j)| format!("; [{i}] and [{j}] are equal"))
}

fn count(number: u64, unit: &str) -> String {
    many(number, unit, &format!("{unit}s"))
}

fn many(number: u64, one: &str, more: &str) -> String {
    if number == 1 {
        format!("1 {one}")
    } else {
        format!("{number} {more}")
    }
}

fn type_names(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => type_name(*one).to_owned(),
        TypeKind::Multiple(several) => several
            .iter()
            .map(type_name)
            .collect::<Vec<_>>()
            .join(" or "),
    }
}

fn type_name(json: JsonType) -> &'static str {
    match json {
        JsonType::Null => "null",
        JsonType::Boolean => "true or false",
        JsonType::Integer => "an integer",
        JsonType::Number => "a number",
        JsonType::String => "a string",
        JsonType::Array => "an array",
        JsonType::Object => "an object",
    }
}

fn format_name(format: &str) -> String {
    match format {
        "uuid" => "a UUID such as 123e4567-e89b-42d3-a456-426614174000".to_owned(),
        "date-time" => "a moment such as 2026-01-31T12:00:00Z".to_owned(),
        "date" => "a date such as 2026-01-31".to_owned(),
        "time" => "a time such as 12:00:00Z".to_owned(),
        "email" => "an address such as someone@example.org".to_owned(),
        "uri" => "a URI such as https://example.org/page".to_owned(),
        other => format!("a valid {other}"),
    }
}
