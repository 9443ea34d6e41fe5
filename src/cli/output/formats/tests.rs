use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;
use crate::cli::args::command;

fn path_of(format: &JsonFormat) -> PathBuf {
    let folder = if format.printed_by.is_empty() {
        "schemas"
    } else {
        "schemas/output"
    };
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(folder)
        .join(format!("{}.schema.json", format.name))
}

#[test]
fn the_schemas_that_are_checked_in_are_made_from_the_types() {
    for format in FORMATS {
        let made = serde_json::to_string_pretty(&format.schema()).unwrap() + "\n";
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            std::fs::write(path_of(format), &made).unwrap();
        }
        let stored = std::fs::read_to_string(path_of(format)).unwrap_or_default();
        assert!(
            stored == made,
            "the schema of '{}' is old; UPDATE_SCHEMAS=1 cargo test --lib formats",
            format.name
        );
    }
    let files = std::fs::read_dir(path_of(&FORMATS[0]).parent().unwrap())
        .unwrap()
        .count();
    assert_eq!(
        files,
        FORMATS
            .iter()
            .filter(|format| !format.printed_by.is_empty())
            .count(),
        "a schema of no format"
    );
}

#[test]
fn each_command_that_takes_json_prints_a_format_and_no_other_does() {
    let mut takes: BTreeSet<String> = command()
        .get_subcommands()
        .filter(|sub| {
            sub.get_arguments()
                .any(|arg| arg.get_long() == Some("json"))
        })
        .map(|sub| sub.get_name().to_owned())
        .collect();
    // Its file is JSON anyway; the other stands for all of them.
    takes.extend(["export", "*"].map(str::to_owned));
    let prints: BTreeSet<String> = FORMATS
        .iter()
        .flat_map(|format| format.printed_by)
        .map(|by| by.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(prints, takes);
}

/// Every object of a schema, with the names that lead to it.
fn objects<'a>(at: &'a Value, way: &str, found: &mut Vec<(String, &'a Value)>) {
    if at["properties"].is_object() {
        found.push((way.to_owned(), at));
    }
    for (name, part) in at.as_object().into_iter().flatten() {
        objects(part, &format!("{way}/{name}"), found);
    }
    for part in at.as_array().into_iter().flatten() {
        objects(part, way, found);
    }
}

#[test]
fn every_field_that_is_printed_is_described() {
    for format in FORMATS
        .iter()
        .filter(|format| !format.printed_by.is_empty())
    {
        let schema = format.schema().to_value();
        let mut found = Vec::new();
        objects(&schema, format.name, &mut found);
        for (way, object) in found {
            for (field, property) in object["properties"].as_object().unwrap() {
                // docs/events.md explains the fields of events; a variant by its only field is described itself.
                let elsewhere = way.contains("/payload")
                    || property["const"].is_string()
                    || field == "payload"
                    || field == "type";
                let elsewhere = elsewhere
                    || (object["description"].is_string()
                        && object["properties"].as_object().unwrap().len() == 1);
                let described = property["description"].is_string() || property["$ref"].is_string();
                assert!(described || elsewhere, "{way}: {field}");
            }
        }
    }
}

#[test]
fn the_page_of_commands_names_the_formats_of_each_command() {
    let page = include_str!("../../../../docs/cli.md");
    for format in FORMATS.iter().filter(|format| format.name != "formats") {
        for by in format
            .printed_by
            .iter()
            .filter(|by| !["demo", "run", "resume", "retry", "fork", "*"].contains(by))
        {
            let name = by.split(' ').next().unwrap();
            let head = format!("\n### `phasedeck {name}");
            let section = page
                .split(&head)
                .nth(1)
                .and_then(|rest| rest.split("\n##").next())
                .unwrap();
            let shares = ["changes", "reject", "abort"].contains(&name);
            assert!(
                shares || section.contains(&format!("`{}`", format.name)),
                "`phasedeck {by}` prints `{}`",
                format.name
            );
        }
    }
}
