//! The shipped set, as text within the binary.

/// Text of a shipped file by its path beneath `schemas/`.
macro_rules! shipped {
    ($folder:literal, $ending:literal; $($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../schemas/", $folder, "/", $name, $ending)))),*]
    };
}

/// Workflows by file name.
pub(super) const WORKFLOWS: &[(&str, &str)] = shipped!("workflows", ".yaml";
    "bugfix",
    "development",
    "research",
);

/// Personas by file name.
pub(super) const PERSONAS: &[(&str, &str)] = shipped!("personas", ".yaml";
    "analyst",
    "architect",
    "debugger",
    "developer",
    "developer-senior",
    "developer-thrifty",
    "editor",
    "researcher",
    "reviewer",
    "reviewer-security",
    "synthesist",
    "tester",
);

/// Artifact schemas by id.
pub(super) const SCHEMAS: &[(&str, &str)] = shipped!("artifacts", ".json";
    "bug/diagnosis@1",
    "bug/fix@1",
    "bug/reproduction@1",
    "dev/change@1",
    "dev/plan@1",
    "dev/review@1",
    "dev/spec@1",
    "dev/verification@1",
    "research/findings@1",
    "research/question@1",
    "research/report@1",
    "research/sources@1",
);

/// Every shipped file: its path beneath a config folder, and its text.
pub fn files() -> impl Iterator<Item = (String, &'static str)> {
    let tables = [
        ("workflows", ".yaml", WORKFLOWS),
        ("personas", ".yaml", PERSONAS),
        ("artifacts", ".json", SCHEMAS),
    ];
    tables.into_iter().flat_map(|(folder, ending, table)| {
        table
            .iter()
            .map(move |(name, text)| (format!("{folder}/{name}{ending}"), *text))
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    use super::*;
    use crate::engine::catalog::{Catalog, CatalogEntry, source};
    use crate::model::persona::Persona;
    use crate::model::workflow::Workflow;

    fn on_disk(folder: &str, ending: &str) -> Vec<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("schemas")
            .join(folder);
        let files = source::files_beneath(&root, &[ending]).unwrap();
        let name = |file: &Path| {
            file.strip_prefix(&root)
                .unwrap()
                .with_extension("")
                .to_str()
                .unwrap()
                .to_owned()
        };
        let mut names: Vec<String> = files.iter().map(|file| name(file)).collect();
        names.sort();
        names
    }

    fn named(table: &[(&str, &str)]) -> Vec<String> {
        table.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    fn schema_texts() -> Vec<(&'static str, Value)> {
        SCHEMAS
            .iter()
            .map(|(id, text)| (*id, serde_json::from_str(text).unwrap()))
            .collect()
    }

    #[test]
    fn every_file_of_the_folders_is_in_the_binary() {
        assert_eq!(named(WORKFLOWS), on_disk("workflows", "yaml"));
        assert_eq!(named(PERSONAS), on_disk("personas", "yaml"));
        assert_eq!(named(SCHEMAS), on_disk("artifacts", "json"));
    }

    #[test]
    fn the_shipped_set_is_whole_and_without_problems() {
        let catalog = Catalog::shipped();
        assert_eq!(catalog.problems, []);
        assert_eq!(
            (
                catalog.workflows.len(),
                catalog.personas.len(),
                catalog.schemas.len()
            ),
            (3, 12, 12)
        );
        let phases = |name: &str| {
            let keys = catalog
                .workflow(name)
                .unwrap()
                .item
                .phases
                .iter()
                .map(|p| p.key.to_string())
                .collect::<Vec<_>>();
            keys.join(" ")
        };
        assert_eq!(phases("development@1"), "spec plan implement review verify");
        assert_eq!(phases("bugfix@1"), "reproduce diagnose fix verify");
        assert_eq!(phases("research@1"), "question sources findings report");
    }

    #[test]
    fn every_phase_of_a_shipped_workflow_says_what_to_do_and_who_may_write_it() {
        let catalog = Catalog::shipped();
        for CatalogEntry { item: workflow, .. } in &catalog.workflows {
            for phase in &workflow.phases {
                assert!(
                    phase.instructions.len() > 400,
                    "{} {}",
                    workflow.name,
                    phase.key
                );
                assert!(
                    phase.expected_artifact.is_some(),
                    "{} {}",
                    workflow.name,
                    phase.key
                );
                assert!(
                    !phase.title.is_empty() && phase.gates.is_some(),
                    "{} {}",
                    workflow.name,
                    phase.key
                );
            }
        }
        for CatalogEntry { item: persona, .. } in &catalog.personas {
            assert!(
                persona.tools.iter().any(|tool| tool == "write_file"),
                "{}",
                persona.name
            );
            assert!(
                persona.model.is_some() && persona.system_prompt.len() > 300,
                "{}",
                persona.name
            );
        }
    }

    #[test]
    fn the_typed_reader_and_the_model_read_the_same() {
        let catalog = Catalog::shipped();
        let workflows: Vec<Workflow> = WORKFLOWS
            .iter()
            .map(|(_, text)| serde_saphyr::from_str(text).unwrap())
            .collect();
        assert_eq!(
            workflows,
            catalog
                .workflows
                .iter()
                .map(|entry| (*entry.item).clone())
                .collect::<Vec<_>>()
        );
        for (name, text) in PERSONAS {
            let persona: Persona = serde_saphyr::from_str(text).unwrap();
            assert_eq!(persona, *catalog.persona(name).unwrap().item, "{name}");
        }
    }

    #[test]
    fn shipped_artifact_schemas_are_strict_and_described_and_name_run_and_phase() {
        for (id, schema) in schema_texts() {
            assert_eq!(schema["properties"]["runId"]["format"], "uuid", "{id}");
            let required: Vec<&str> = schema["required"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(Value::as_str)
                .collect();
            assert!(required.starts_with(&["runId", "phaseKey"]), "{id}");
            assert!(
                schema["title"].is_string() && schema["description"].is_string(),
                "{id}"
            );
            strict(id, &schema);
        }
    }

    fn strict(id: &str, schema: &Value) {
        assert!(schema.get("pattern").is_none(), "{id}");
        if let Some(properties) = schema["properties"].as_object() {
            assert_eq!(schema["additionalProperties"], false, "{id}");
            for (name, property) in properties {
                assert!(property["description"].is_string(), "{id} {name}");
                strict(id, property);
            }
        }
        if let Some(items) = schema.get("items") {
            strict(id, items);
        }
    }

    #[test]
    fn the_specification_has_the_fields_it_promises() {
        let schema = schema_texts()
            .into_iter()
            .find(|(id, _)| *id == "dev/spec@1")
            .unwrap()
            .1;
        let required = serde_json::json!([
            "runId",
            "phaseKey",
            "requirements",
            "acceptance_criteria",
            "approach",
            "risks"
        ]);
        assert_eq!(schema["required"], required);
        assert_eq!(schema["properties"].as_object().unwrap().len(), 6);
        assert_eq!(schema["properties"]["requirements"]["minLength"], 10);
        assert_eq!(schema["properties"]["acceptance_criteria"]["minItems"], 1);
        assert_eq!(schema["additionalProperties"], false);
    }
}
