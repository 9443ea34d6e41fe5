//! `PHASEDECK_*` variables: the path of a setting in capitals, such as `PHASEDECK_OPENAI_BASE_URL`.

use serde_json::{Map, Value};

use super::shape::SettingShape;
use super::{SettingOrigin, SettingsLayer};
use crate::model::error::{Code, Failure};
use crate::model::suggest::did_you_mean;

const PREFIX: &str = "PHASEDECK_";

/// Variables that are no settings.
pub const RESERVED: &[&str] = &["PHASEDECK_HOME"];

/// The variable that sets `path`.
#[must_use]
pub fn variable_name(path: &str) -> String {
    format!("{PREFIX}{}", path.to_ascii_uppercase().replace('.', "_"))
}

/// Reads the settings among `variables`.
///
/// # Errors
/// `config_invalid` for each variable that names no setting or does not fit.
pub fn read(
    variables: impl IntoIterator<Item = (String, String)>,
    shape: &SettingShape,
) -> Result<SettingsLayer, Vec<Failure>> {
    let known: Vec<(String, String, &SettingShape)> = shape
        .leaves()
        .into_iter()
        .map(|(path, shape)| (variable_name(&path), path, shape))
        .collect();
    let (mut layer, mut problems) = (SettingsLayer::default(), Vec::new());
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
                Some(value) => layer.set(path, value, SettingOrigin::Variable(name)),
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

fn value(text: &str, shape: &SettingShape) -> Option<Value> {
    match shape {
        SettingShape::Text => Some(Value::from(text)),
        SettingShape::Flag => match text {
            "true" | "1" => Some(Value::from(true)),
            "false" | "0" => Some(Value::from(false)),
            _ => None,
        },
        SettingShape::Whole(max) => text
            .parse::<u64>()
            .ok()
            .filter(|number| number <= max)
            .map(Value::from),
        SettingShape::Choice(words) => words
            .iter()
            .any(|word| word == text)
            .then(|| Value::from(text)),
        SettingShape::Group { .. } | SettingShape::Map(_) | SettingShape::List(_) => None,
    }
}

fn misfit(name: &str, text: &str, shape: &SettingShape) -> Failure {
    if matches!(
        shape,
        SettingShape::Group { .. } | SettingShape::Map(_) | SettingShape::List(_)
    ) {
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

fn unknown(name: &str, known: &[(String, String, &SettingShape)]) -> Failure {
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

impl SettingsLayer {
    fn set(&mut self, path: &str, value: Value, origin: SettingOrigin) {
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
