//! Tests that the pages of `docs/reference` match the tables in the program they are generated
//! from.
//!
//! `UPDATE_DOCS=1 cargo test --lib reference` regenerates the pages.

use std::path::Path;

use crate::app::keymap::{KeyContext, Keymap};
use crate::cli::exit::ExitStatus;
use crate::cli::settings::shape::SettingShape;
use crate::model::error::{Code, ErrorClass, Failure};
use crate::model::settings::AppSettings;
use serde_json::Value;

fn assert_page(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs/reference")
        .join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text,
        "docs/reference/{name} is not what the program says; UPDATE_DOCS=1 cargo test --lib reference"
    );
}

#[test]
fn the_page_of_errors() {
    let mut text = String::from(
        "# Every error code\n\nCodes never change their name. `recoverable` may pass by itself and is tried again; `human_required` stops\n\
         where a person can go on from; `fatal` means that data or program are wrong, and nothing is guessed.\n\
         The last column is what a command ends with when this is all that went wrong.\n\n\
         | code | class | when | exit |\n| --- | --- | --- | --- |\n",
    );
    for code in Code::ALL {
        let class = match code.class() {
            ErrorClass::Recoverable => "recoverable",
            ErrorClass::HumanRequired => "human_required",
            ErrorClass::Fatal => "fatal",
        };
        let exit = ExitStatus::from_failure(&Failure::new(*code, "")).code();
        text.push_str(&format!(
            "| `{code}` | `{class}` | {} | {exit} |\n",
            code.meaning()
        ));
    }
    assert_page("errors.md", &text);
}

#[test]
fn the_page_of_keys() {
    let keys = Keymap::default();
    let mut text = String::from(
        "# Every key\n\nThe first key of an action is the one that hints show. `[console.keys]` in the settings replaces them by the\n\
         action's name: `quit = [\"Q\"]`. A key of a place wins over the same key `Everywhere`. `Ctrl-C` twice always\n\
         pauses and quits.\n",
    );
    for context in KeyContext::ALL {
        text.push_str(&format!(
            "\n## {}\n\n| action | keys | what it does |\n| --- | --- | --- |\n",
            context.title()
        ));
        for (name, chords, label) in keys.table(*context) {
            let chords: Vec<String> = chords
                .iter()
                .map(|chord| format!("`{}`", chord.replace('|', "\\|")))
                .collect();
            text.push_str(&format!("| `{name}` | {} | {label} |\n", chords.join(" ")));
        }
    }
    assert_page("keys.md", &text);
}

#[test]
fn the_page_of_settings() {
    let schema = schemars::schema_for!(AppSettings).to_value();
    let defaults = serde_json::to_value(AppSettings::default()).unwrap();
    let mut text = String::from(
        "# Every setting\n\nIn `config.toml`, by group; or as a variable, its path in capitals: `engine.max_turns` is\n\
         `PHASEDECK_ENGINE_MAX_TURNS` (tables and lists only in the file). `phasedeck init` writes a file with all of them,\n\
         `phasedeck doctor --config` says what is in force and where it came from.\n\n\
         | setting | may be | default | meaning |\n| --- | --- | --- | --- |\n",
    );
    for (path, shape) in SettingShape::of_settings().leaves() {
        let default = path.split('.').fold(&defaults, |value, name| &value[name]);
        text.push_str(&format!(
            "| `{path}` | {} | `{default}` | {} |\n",
            shape.words(),
            meaning(&schema, &path)
        ));
    }
    assert_page("settings.md", &text);
}

fn meaning(schema: &Value, path: &str) -> String {
    let found = path
        .split('.')
        .fold(schema, |at, name| &resolved(at, schema)["properties"][name]);
    found["description"]
        .as_str()
        .unwrap_or_default()
        .replace('\n', " ")
}

fn resolved<'a>(at: &'a Value, root: &'a Value) -> &'a Value {
    at["$ref"]
        .as_str()
        .and_then(|name| name.strip_prefix("#/$defs/"))
        .map_or(at, |name| &root["$defs"][name])
}

#[test]
fn the_page_of_dependencies_names_each_and_no_other() {
    let manifest: toml::Table = toml::from_str(include_str!("../../../Cargo.toml")).unwrap();
    let targets = manifest["target"]
        .as_table()
        .unwrap()
        .values()
        .map(|target| &target["dependencies"]);
    let tables = targets
        .chain([&manifest["dependencies"]])
        .filter_map(toml::Value::as_table);
    let used: std::collections::BTreeSet<&str> = tables
        .flat_map(|table| table.keys())
        .map(String::as_str)
        .collect();
    let page = include_str!("../../../docs/dependencies.md");
    let rows = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split(" | ").next());
    let told: std::collections::BTreeSet<&str> = rows
        .flat_map(|cell| cell.split('`'))
        .filter(|word| word.len() > 2 && !word.contains(' '))
        .collect();
    assert_eq!(told, used);
}
