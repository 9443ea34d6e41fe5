//! `PHASEDECK_*` variables: the path of a setting in capitals, such as `PHASEDECK_OPENAI_BASE_URL`.

use serde_json::{Map, Value};

use super::shape::Shape;
use super::{Layer, Origin};
use crate::model::error::{Code, Failure};
use crate::model::nearest::did_you_mean;

const PREFIX: &str = "PHASEDECK_";

/// Variables that are no settings.
pub const RESERVED: &[&str] = &["PHASEDECK_HOME"];

/// The variable that sets `path`.
#[must_use]
pub fn name_of(path: &str) -> String {
    format!("{PREFIX}{}", path.to_ascii_uppercase().replace('.', "_"))
}

/// Reads the settings among `variables`.
///
/// # Errors
/// `config_invalid` for each variable that names no setting or does not fit.
pub fn read(
    variables: impl IntoIterator<Item = (String, String)>,
    shape: &Shape,
) -> Result<Layer, Vec<Failure>> {
    let known: Vec<(String, String, &Shape)> = shape
        .leaves()
        .into_iter()
        .map(|(path, shape)| (name_of(&path), path, shape))
        .collect();
    let (mut layer, mut problems) = (Layer::default(), Vec::new());
    let ours = |name: &str| name.starts_with(PREFIX) && !RESERVED.contains(&name);
    let mut variables: Vec<_> = variables
        .into_iter()
        .filter(|(name, _)| ours(name))
        .collect();
    variables.sort();
    for (name, text) in variables {
        match known.iter().find(|(variable, ..)| *variable == name) {
            None => problems.push(unknown(&name, &known)),
            Some((_, path, shape)) => match value(&text, shape) {
                Some(value) => layer.set(path, value, Origin::Variable(name)),
                None => problems.push(misfit(&name, &text, shape)),
            },
        }
    }
    if problems.is_empty() {
        Ok(layer)
    } else {
        Err(problems)
    }
}

fn value(text: &str, shape: &Shape) -> Option<Value> {
    match shape {
        Shape::Text => Some(Value::from(text)),
        Shape::Flag => match text {
            "true" | "1" => Some(Value::from(true)),
            "false" | "0" => Some(Value::from(false)),
            _ => None,
        },
        Shape::Whole(max) => text
            .parse::<u64>()
            .ok()
            .filter(|number| number <= max)
            .map(Value::from),
        Shape::Choice(words) => words
            .iter()
            .any(|word| word == text)
            .then(|| Value::from(text)),
        Shape::Group { .. } | Shape::Map(_) | Shape::List(_) => None,
    }
}

fn misfit(name: &str, text: &str, shape: &Shape) -> Failure {
    if matches!(shape, Shape::Group { .. } | Shape::Map(_) | Shape::List(_)) {
        return Failure::new(
            Code::ConfigInvalid,
            format!("{name} cannot be set by a variable, because it is a table"),
        )
        .hint("write it in config.toml");
    }
    Failure::new(
        Code::ConfigInvalid,
        format!(
            "{name} must be {}, not \"{}\"",
            shape.words(),
            text.escape_debug()
        ),
    )
    .hint("set it to such a value, or unset it")
}

fn unknown(name: &str, known: &[(String, String, &Shape)]) -> Failure {
    let hint = did_you_mean(
        name,
        known
            .iter()
            .map(|(variable, ..)| variable.as_str())
            .chain(RESERVED.iter().copied()),
    );
    Failure::new(
        Code::ConfigInvalid,
        format!("the variable {name} names no setting"),
    )
    .hint(hint)
}

impl Layer {
    fn set(&mut self, path: &str, value: Value, origin: Origin) {
        let mut names: Vec<&str> = path.split('.').collect();
        let last = names.pop().unwrap_or_default();
        let mut table: &mut Map<String, Value> = &mut self.values;
        for name in names {
            let inner = table
                .entry(name)
                .or_insert_with(|| Value::Object(Map::new()));
            match inner {
                Value::Object(inner) => table = inner,
                _ => return,
            }
        }
        table.insert(last.to_owned(), value);
        self.origins.insert(path.to_owned(), origin);
    }
}
