//! What `phasedeck validate FILE…` reports: every problem of every file, checked against the catalog.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::load::YAML;
use super::reader::ProblemList;
use super::yaml::{self, YamlContent, YamlNode};
use super::{Catalog, persona, schema, source, workflow};
use crate::model::error::{Code, Failure, SourcePlace};
use crate::model::id::SchemaId;

/// Fields that only a workflow has, and only a persona.
const OF_WORKFLOWS: &[&str] = &["phases", "roles", "default_gates"];
const OF_PERSONAS: &[&str] = &[
    "backend",
    "model",
    "capabilities",
    "system_prompt",
    "tools",
    "permissions",
    "params",
];

/// What is wrong with these files: workflows and personas (`.yaml`, `.yml`) and artifact schemas
/// (`.json`), told apart by their content. Workflows may use the schemas of the catalog and those
/// among `paths` that lie as `NAMESPACE/NAME@VERSION.json`.
#[must_use]
pub fn validate_files(catalog: &Catalog, paths: &[PathBuf]) -> Vec<Failure> {
    let mut schemas = catalog.schema_ids();
    schemas.extend(
        paths
            .iter()
            .filter(|path| is_json(path))
            .filter_map(|path| id_by_place(path)),
    );
    paths
        .iter()
        .flat_map(|path| validate_file(path, &schemas))
        .collect()
}

fn validate_file(path: &Path, schemas: &BTreeSet<SchemaId>) -> Vec<Failure> {
    let file = path.display().to_string();
    if is_json(path) {
        let text = source::text(path, Code::SchemaInvalid).map_err(|failure| vec![failure]);
        return text
            .and_then(|text| schema::read(&text, &file))
            .err()
            .unwrap_or_default();
    }
    if !path
        .extension()
        .and_then(|e| e.to_str())
        .is_some_and(|ending| YAML.contains(&ending))
    {
        return vec![unclear(
            file,
            "the file ends in none of .yaml, .yml and .json",
            "give it the ending of what it holds",
        )];
    }
    let code = code_by_folder(path);
    let text = match source::text(path, code) {
        Ok(text) => text,
        Err(failure) => return vec![failure],
    };
    match yaml::parse(&text) {
        Ok(root) => validate_tree(&root, path, schemas),
        Err(broken) => ProblemList::new(&file, code).broken(broken),
    }
}

fn validate_tree(root: &YamlNode, path: &Path, schemas: &BTreeSet<SchemaId>) -> Vec<Failure> {
    let file = path.display().to_string();
    let of_persona = match (
        fields_among(root, OF_WORKFLOWS),
        fields_among(root, OF_PERSONAS),
    ) {
        (0, 0) if lies_in(path, "personas") => true,
        (0, 0) if lies_in(path, "workflows") => false,
        (0, 0) => {
            let hint = "a workflow has `roles` and `phases`, a persona has `backend`";
            return vec![unclear(file, "neither a workflow nor a persona", hint)];
        }
        (workflow, persona) => persona > workflow,
    };
    if of_persona {
        persona::read_tree(root, ProblemList::new(&file, Code::PersonaInvalid))
            .err()
            .unwrap_or_default()
    } else {
        workflow::read_tree(
            root,
            ProblemList::new(&file, Code::WorkflowInvalid),
            schemas,
        )
        .err()
        .unwrap_or_default()
    }
}

fn fields_among(root: &YamlNode, known: &[&str]) -> usize {
    match &root.data {
        YamlContent::Map(members) => members
            .iter()
            .filter(|member| known.contains(&member.key.as_str()))
            .count(),
        _ => 0,
    }
}

fn unclear(file: String, message: &str, hint: &str) -> Failure {
    Failure::new(Code::UsageInvalid, message)
        .hint(hint)
        .at(SourcePlace {
            file,
            ..SourcePlace::default()
        })
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "json")
}

fn id_by_place(path: &Path) -> Option<SchemaId> {
    schema::id_of(path.parent()?.parent()?, path).ok()
}

fn code_by_folder(path: &Path) -> Code {
    if lies_in(path, "personas") {
        Code::PersonaInvalid
    } else {
        Code::WorkflowInvalid
    }
}

fn lies_in(path: &Path, folder: &str) -> bool {
    path.parent()
        .and_then(Path::file_name)
        .is_some_and(|name| name == folder)
}
