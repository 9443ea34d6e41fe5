//! Layered settings: defaults, `config.toml`, `PHASEDECK_*` variables, flags. Later layers win.
//!
//! Each value records its origin. The errors of all layers are reported together, with file, line,
//! column, path and a suggested name.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use self::shape::SettingShape;
use super::args::OutputOptions;
use crate::engine::paths::InstallPaths;
use crate::model::error::{Failure, SourcePlace};
use crate::model::settings::AppSettings;

pub mod checks;
pub mod file;
pub mod shape;
pub mod variables;

/// Where a value comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SettingOrigin {
    /// Built in.
    #[default]
    Default,
    /// The settings file.
    File(SourcePlace),
    /// This variable.
    Variable(String),
    /// This flag.
    Flag(&'static str),
}

/// What one layer sets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SettingsLayer {
    /// By name, tables within tables.
    pub values: Map<String, Value>,
    /// By path.
    pub origins: BTreeMap<String, SettingOrigin>,
}

/// The settings in force, and where each came from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadedSettings {
    /// The settings.
    pub settings: AppSettings,
    /// By path, for everything that is not a default.
    pub origins: BTreeMap<String, SettingOrigin>,
}

impl LoadedSettings {
    /// Where the value at `path` comes from.
    #[must_use]
    pub fn origin(&self, path: &str) -> SettingOrigin {
        self.origins.get(path).cloned().unwrap_or_default()
    }
}

/// Reads all layers: the file of `paths`, then `variables`, then the flags in `look`.
///
/// # Errors
/// `config_invalid` for each mistake in any layer; `io_failed` when the file cannot be read.
pub fn load(
    paths: &InstallPaths,
    variables: impl IntoIterator<Item = (String, String)>,
    look: OutputOptions,
) -> Result<LoadedSettings, Vec<Failure>> {
    let shape = SettingShape::of_settings();
    layered(vec![
        file::read(&paths.config_file(), &shape),
        variables::read(variables, &shape),
        Ok(flags(look)),
    ])
}

/// Lays the layers over the defaults, later ones on top.
///
/// # Errors
/// All problems of all layers; `config_invalid` for values that make no sense.
pub fn layered(
    layers: Vec<Result<SettingsLayer, Vec<Failure>>>,
) -> Result<LoadedSettings, Vec<Failure>> {
    let (mut values, mut origins, mut problems) =
        (Value::Object(Map::new()), BTreeMap::new(), Vec::new());
    for layer in layers {
        match layer {
            Ok(layer) => {
                merge(&mut values, Value::Object(layer.values));
                origins.extend(layer.origins);
            }
            Err(more) => problems.extend(more),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let settings = serde_json::from_value(values).map_err(|e| {
        vec![Failure::internal(format!(
            "settings that fit do not read: {e}"
        ))]
    })?;
    let loaded = LoadedSettings { settings, origins };
    let problems = checks::problems(&loaded);
    if problems.is_empty() {
        Ok(loaded)
    } else {
        Err(problems)
    }
}

fn flags(look: OutputOptions) -> SettingsLayer {
    let mut layer = SettingsLayer::default();
    if look.ascii {
        layer
            .values
            .insert("console".to_owned(), serde_json::json!({ "ascii": true }));
        layer
            .origins
            .insert("console.ascii".to_owned(), SettingOrigin::Flag("--ascii"));
    }
    layer
}

fn merge(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (name, value) in over {
                merge(under.entry(name).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}

#[cfg(test)]
mod tests;
