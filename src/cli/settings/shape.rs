//! The structure of the settings, read from the JSON Schema derived from their types.
//!
//! The file parser, the variables and the documentation share it, so a setting added to the types
//! is available in all of them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::settings::AppSettings;

/// What a setting, or a group of them, may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingShape {
    /// Named settings, these and no others.
    Group {
        /// By name.
        fields: BTreeMap<String, SettingShape>,
        /// The names that must be there.
        required: Vec<String>,
    },
    /// Any names, each with such a value.
    Map(Box<SettingShape>),
    /// Any number of such values.
    List(Box<SettingShape>),
    /// Text.
    Text,
    /// Yes or no.
    Flag,
    /// A whole number from 0 to here.
    Whole(u64),
    /// One of these words.
    Choice(Vec<String>),
}

impl SettingShape {
    /// The shape of all settings.
    #[must_use]
    pub fn of_settings() -> Self {
        let schema = schemars::schema_for!(AppSettings).to_value();
        Self::read(&schema, &schema)
    }

    /// What it holds, in words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Group { .. } | Self::Map(_) => "a table".to_owned(),
            Self::List(of) => format!("a list, each item {}", of.words()),
            Self::Text => "text".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Whole(max) if *max == u64::MAX => "a whole number from 0 on".to_owned(),
            Self::Whole(max) => format!("a whole number from 0 to {max}"),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
        }
    }

    /// The paths of everything that can be set, groups opened, with their shapes.
    #[must_use]
    pub fn leaves(&self) -> Vec<(String, &SettingShape)> {
        let mut leaves = Vec::new();
        self.collect_leaves("", &mut leaves);
        leaves
    }

    fn collect_leaves<'a>(&'a self, path: &str, into: &mut Vec<(String, &'a SettingShape)>) {
        match self {
            Self::Group { fields, .. } => fields
                .iter()
                .for_each(|(name, shape)| shape.collect_leaves(&joined(path, name), into)),
            _ => into.push((path.to_owned(), self)),
        }
    }

    fn read(schema: &Value, root: &Value) -> Self {
        if let Some(name) = schema["$ref"]
            .as_str()
            .and_then(|reference| reference.strip_prefix("#/$defs/"))
        {
            return Self::read(&root["$defs"][name], root);
        }
        if let Some(variants) = schema["oneOf"].as_array() {
            return Self::Choice(
                variants
                    .iter()
                    .filter_map(|variant| variant["const"].as_str())
                    .map(str::to_owned)
                    .collect(),
            );
        }
        let kind = schema["type"]
            .as_str()
            .or_else(|| schema["type"][0].as_str())
            .unwrap_or("string");
        match kind {
            "object" => Self::read_object(schema, root),
            "array" => Self::List(Box::new(Self::read(&schema["items"], root))),
            "boolean" => Self::Flag,
            "integer" => Self::Whole(if schema["format"] == "uint32" {
                u64::from(u32::MAX)
            } else {
                u64::MAX
            }),
            _ => Self::Text,
        }
    }

    fn read_object(schema: &Value, root: &Value) -> Self {
        if schema["additionalProperties"].is_object() {
            return Self::Map(Box::new(Self::read(&schema["additionalProperties"], root)));
        }
        let fields = schema["properties"].as_object().into_iter().flatten();
        let names = schema["required"].as_array().into_iter().flatten();
        Self::Group {
            fields: fields
                .map(|(name, field)| (name.clone(), Self::read(field, root)))
                .collect(),
            required: names.filter_map(Value::as_str).map(str::to_owned).collect(),
        }
    }
}

/// `group.name`, or `name` at the top; a name that is no bare key is quoted.
#[must_use]
pub fn joined(path: &str, name: &str) -> String {
    let bare = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    let name = if bare {
        name.to_owned()
    } else {
        format!("\"{}\"", name.escape_debug())
    };
    if path.is_empty() {
        name
    } else {
        format!("{path}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_a_shape() {
        let shape = SettingShape::of_settings();
        let leaves: Vec<_> = shape
            .leaves()
            .into_iter()
            .map(|(path, shape)| format!("{path}: {}", shape.words()))
            .collect();
        for one_of_each in [
            "budget.day: text",
            "budget.workflows: a table",
            "console.ascii: true or false",
            "console.keys: a table",
            "engine.max_artifact_bytes: a whole number from 0 on",
            "engine.max_turns: a whole number from 0 to 4294967295",
            "engine.on_crash: one of ask, resume, fail",
            "host.on_disconnect: one of continue, cancel",
            "notify.command: a list, each item text",
            "openai.base_url: text",
            "prices: a table",
        ] {
            assert!(
                leaves.iter().any(|leaf| leaf == one_of_each),
                "{one_of_each}: {leaves:?}"
            );
        }
    }

    #[test]
    fn names_that_are_no_bare_keys_are_quoted_in_paths() {
        assert_eq!(joined("prices", "acme/large"), "prices.\"acme/large\"");
        assert_eq!(joined("", "engine"), "engine");
    }
}
