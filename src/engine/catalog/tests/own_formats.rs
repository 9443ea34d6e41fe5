//! The JSON Schemas of the files that operators write, for editors, against the files that ship.
//! `cli::formats` holds the copies beneath `schemas/`.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

use crate::engine::catalog::{shipped, yaml};
use crate::model::persona::Persona;
use crate::model::settings::AppSettings;
use crate::model::workflow::Workflow;

fn generated<T: JsonSchema>() -> Value {
    serde_json::to_value(
        SchemaSettings::draft2020_12()
            .into_generator()
            .into_root_schema_for::<T>(),
    )
    .unwrap()
}

fn own_formats() -> [(&'static str, Value); 3] {
    [
        ("workflow", generated::<Workflow>()),
        ("persona", generated::<Persona>()),
        ("config", generated::<AppSettings>()),
    ]
}

/// A tree as JSON, for checking it against a schema.
fn as_json(node: &yaml::YamlNode) -> Value {
    match &node.data {
        yaml::YamlContent::Null => Value::Null,
        yaml::YamlContent::Bool => Value::Bool(true),
        yaml::YamlContent::Integer(number) => (*number).into(),
        yaml::YamlContent::Float(number) => (*number).into(),
        yaml::YamlContent::Text(text) => text.clone().into(),
        yaml::YamlContent::List(items) => items.iter().map(as_json).collect(),
        yaml::YamlContent::Map(members) => members
            .iter()
            .map(|m| (m.key.clone(), as_json(&m.value)))
            .collect(),
    }
}

#[test]
fn shipped_files_fit_the_schemas_and_mistakes_do_not() {
    let [(_, workflow), (_, persona), _] = own_formats();
    for (schema, files, folder) in [
        (workflow, shipped::WORKFLOWS, "workflow"),
        (persona, shipped::PERSONAS, "persona"),
    ] {
        let validator = jsonschema::draft202012::options().build(&schema).unwrap();
        for (name, text) in files {
            assert!(
                text.starts_with(&format!(
                    "# yaml-language-server: $schema=../{folder}.schema.json\n"
                )),
                "{name}"
            );
            let errors: Vec<String> = validator
                .iter_errors(&as_json(&yaml::parse(text).unwrap()))
                .map(|e| e.to_string())
                .collect();
            assert_eq!(errors, [""; 0], "{name}");
            for (from, to) in [
                ("version: 1", "version: 0"),
                ("backend: openai", "backend: none"),
                ("name: ", "name: 1"),
                ("gates: [", "gates: [1 2, "),
            ] {
                let broken = text.replacen(from, to, 1);
                let same = broken == *text;
                assert_eq!(
                    validator.is_valid(&as_json(&yaml::parse(&broken).unwrap())),
                    same,
                    "{name}: {to}"
                );
            }
        }
    }
}

#[test]
fn every_field_of_our_files_is_described() {
    for (name, schema) in own_formats() {
        let nested = schema["$defs"]
            .as_object()
            .into_iter()
            .flat_map(|defs| defs.values());
        for object in nested.chain([&schema]) {
            for (field, property) in object["properties"].as_object().into_iter().flatten() {
                assert!(property["description"].is_string(), "{name} {field}");
            }
        }
    }
}
