//! `phasedeck init`: creates a commented settings file and editable copies of the built-in
//! workflows.
//!
//! The settings file is generated from the settings types, so it lists every setting with its
//! meaning and default. Existing files are never overwritten.

use std::io::Write;
use std::path::Path;

use crate::cli::args::InitArgs;
use crate::cli::context::CommandContext;
use crate::cli::exit::ExitStatus;
use crate::cli::output::streams::{CommandError, CommandOutcome};
use crate::engine::catalog::shipped_files;
use crate::model::error::{Failure, Result};
use crate::model::safe_text::safe_line;
use crate::model::settings::AppSettings;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// Writes what is missing and says what it wrote.
///
/// # Errors
/// `io_failed` naming the file that cannot be written; what was written before stays.
pub fn init(setup: &CommandContext, args: InitArgs) -> CommandOutcome {
    let config = &setup.paths.config;
    write_new(setup, args, &setup.paths.config_file(), &config_text())?;
    for (path, text) in shipped_files() {
        if args.all || path.starts_with("workflows/") {
            write_new(setup, args, &config.join(path), text)?;
        }
    }
    Ok(ExitStatus::Done)
}

/// A file that is there now, for scripts.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Laid")]
pub struct InitFile<'a> {
    /// The file.
    path: &'a Path,
    /// Whether it was written now; false: it was there, and was left alone.
    written: bool,
}

fn write_new(
    setup: &CommandContext,
    args: InitArgs,
    path: &Path,
    text: &str,
) -> Result<(), CommandError> {
    let written = make(path, text)?;
    if args.json {
        return setup.out.object(&InitFile { path, written });
    }
    let said = if written {
        "wrote"
    } else {
        "is there, left alone:"
    };
    setup.out.print(&format!(
        "{said} {}\n",
        safe_line(&path.display().to_string())
    ))
}

/// Writes the file if nothing is there; whether it did.
fn make(path: &Path, text: &str) -> Result<bool> {
    let failed = |e: std::io::Error| Failure::io(format!("cannot write {}", path.display()), &e);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    match std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
    {
        Ok(mut file) => file
            .write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map(|()| true)
            .map_err(failed),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(failed(e)),
    }
}

/// Every setting with its meaning and its default, commented out.
#[must_use]
pub fn config_text() -> String {
    let schema = schemars::schema_for!(AppSettings).to_value();
    let defaults = serde_json::to_value(AppSettings::default()).unwrap_or_default();
    let mut text = String::from(
        "# Settings of phasedeck. Every line that begins with '#' and holds a value shows a default:\n\
         # take the '#' away to change it. `phasedeck doctor --config` shows what is in force, and why.\n",
    );
    for (name, group) in schema["properties"].as_object().into_iter().flatten() {
        let shape = resolved(group, &schema);
        text.push_str(&format!("\n# {}\n", described(group)));
        let Some(fields) = shape["properties"].as_object() else {
            text.push_str(&format!("# [{name}]\n"));
            continue;
        };
        text.push_str(&format!("[{name}]\n"));
        for (field, about) in fields {
            let words = described(about)
                .lines()
                .map(|line| format!("# {}\n", line.trim()))
                .collect::<String>();
            text.push_str(&format!(
                "{words}{}\n",
                example(field, &defaults[name][field])
            ));
        }
    }
    text
}

fn example(field: &str, default: &Value) -> String {
    match toml::Value::try_from(default) {
        Ok(value) if !default.is_null() => format!("# {field} = {value}"),
        _ => format!("# {field} ="),
    }
}

fn resolved<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    match schema["$ref"]
        .as_str()
        .and_then(|reference| reference.strip_prefix("#/$defs/"))
    {
        Some(name) => &root["$defs"][name],
        None => schema,
    }
}

fn described(schema: &Value) -> &str {
    schema["description"].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::settings::shape::SettingShape;

    #[test]
    fn the_settings_file_reads_as_it_is_and_with_every_comment_taken_away() {
        let text = config_text();
        assert!(
            toml::from_str::<toml::Table>(&text)
                .unwrap()
                .values()
                .all(|group| group.as_table().is_some_and(toml::Table::is_empty))
        );
        let uncommented: String = text
            .lines()
            .map(|line| {
                line.strip_prefix("# ")
                    .filter(|rest| {
                        rest.split_once(" = ")
                            .is_some_and(|(name, _)| !name.contains(' '))
                    })
                    .unwrap_or(line)
            })
            .map(|line| line.to_owned() + "\n")
            .collect();
        let read: AppSettings = toml::from_str(&uncommented).unwrap();
        assert_eq!(read, AppSettings::default());
    }

    #[test]
    fn every_setting_is_named() {
        let text = config_text();
        for (path, _) in SettingShape::of_settings().leaves() {
            let name = path.rsplit('.').next().unwrap();
            assert!(
                text.contains(&format!("# {name} =")) || text.contains(&format!("# [{name}]")),
                "{path}"
            );
        }
    }

    #[test]
    fn what_is_there_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/config.toml");
        assert!(make(&path, "mine").unwrap());
        assert!(!make(&path, "yours").unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }
}
