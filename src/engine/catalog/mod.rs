//! What can be run and by whom: workflows, personas and artifact schemas, shipped and the operator's.
//!
//! The shipped set lives in the binary; `workflows/`, `personas/` and `artifacts/` beneath the config
//! folder add to it or shadow it (same name and version: the operator's file wins). Between the two
//! stands what a repository brings in `.phasedeck/`, where the operator agreed to it ([`brought`]). A
//! broken file never hides the others: it becomes a problem of the catalog, with place and hint. Files flow
//! text → `yaml` or `json` (a tree with positions) → `workflow`, `persona`, `schema` (typed, checked).
//!
//! Not its work: which persona takes which role ([`bind`](super::bind)), checking artifacts against
//! their schemas ([`artifact`](super::artifact)), and asking for consent.

pub mod bind;
pub mod start_preview;
pub mod trust;
pub mod trust_request;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use self::load::CatalogSources;
pub use self::schema::check_schema;
pub use self::shipped::files as shipped_files;
pub use self::validate::validate_files;
pub use crate::engine::catalog::repository_catalog::RepositoryCatalog;
use crate::model::error::{Code, Failure, Result};
use crate::model::hash::ContentHash;
use crate::model::id::SchemaId;
use crate::model::persona::Persona;
use crate::model::suggest::did_you_mean_or_list;
use crate::model::workflow::Workflow;

mod json;
mod load;
mod names;
mod parse_cache;
mod persona;
mod reader;
pub mod repository_catalog;
mod schema;
mod shipped;
mod source;
#[cfg(test)]
mod tests;
mod validate;
mod workflow;
mod yaml;

/// Where the operator's own files lie. Folders that do not exist are empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogDirs {
    /// `*.yaml`, one workflow a file.
    pub workflows: PathBuf,
    /// `*.yaml`, one persona a file.
    pub personas: PathBuf,
    /// `ns/name@1.json`, one schema a file; the path gives the id `ns/name@1`.
    pub artifacts: PathBuf,
}

impl CatalogDirs {
    /// `workflows/`, `personas/` and `artifacts/` beneath a config folder.
    #[must_use]
    pub fn beneath(config: &Path) -> Self {
        Self {
            workflows: config.join("workflows"),
            personas: config.join("personas"),
            artifacts: config.join("artifacts"),
        }
    }
}

/// Where an entry comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CatalogOrigin {
    /// The binary.
    Shipped,
    /// A file that a repository brings, which the operator agreed to.
    Repository(PathBuf),
    /// The operator's file.
    Path(PathBuf),
}

impl CatalogOrigin {
    /// What stands over what: the higher wins, two of one layer are a mistake.
    fn layer(&self) -> u8 {
        match self {
            Self::Shipped => 0,
            Self::Repository(_) => 1,
            Self::Path(_) => 2,
        }
    }

    fn file(&self) -> String {
        match self {
            Self::Shipped => self.to_string(),
            Self::Repository(path) | Self::Path(path) => path.display().to_string(),
        }
    }
}

impl std::fmt::Display for CatalogOrigin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shipped => f.write_str("shipped"),
            Self::Repository(path) => write!(f, "repository: {}", path.display()),
            Self::Path(path) => path.display().fmt(f),
        }
    }
}

/// A workflow, a persona or a schema, with its identity and where it comes from.
#[derive(Debug, PartialEq)]
pub struct CatalogEntry<T> {
    /// The thing itself.
    pub item: Arc<T>,
    /// SHA-256 of its canonical JSON.
    pub hash: ContentHash,
    /// Where it comes from.
    pub origin: CatalogOrigin,
}

impl<T> Clone for CatalogEntry<T> {
    fn clone(&self) -> Self {
        Self {
            item: Arc::clone(&self.item),
            hash: self.hash.clone(),
            origin: self.origin.clone(),
        }
    }
}

/// A JSON Schema (draft 2020-12) that artifacts are checked against.
#[derive(Clone, Debug, PartialEq)]
pub struct ArtifactSchema {
    /// `ns/name@1`, from the file's path.
    pub id: SchemaId,
    /// The schema document.
    pub value: Arc<Value>,
}

impl ArtifactSchema {
    /// The schema's own title; empty when it has none.
    #[must_use]
    pub fn title(&self) -> &str {
        self.value
            .get("title")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

/// Everything that can be run, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// By name, then version.
    pub workflows: Vec<CatalogEntry<Workflow>>,
    /// By name, then version.
    pub personas: Vec<CatalogEntry<Persona>>,
    /// By id.
    pub schemas: Vec<CatalogEntry<ArtifactSchema>>,
    /// What is wrong with the operator's files, or those of a repository; they are left out above.
    pub problems: Vec<Failure>,
    /// What a repository brings and the operator has not agreed to; nothing of it is above.
    pub withheld: Option<RepositoryCatalog>,
}

impl Catalog {
    /// The shipped set and the operator's files.
    #[must_use]
    pub fn load(dirs: &CatalogDirs) -> Self {
        load::load(CatalogSources {
            operator: Some(dirs),
            repository: None,
        })
    }

    /// As [`load`](Self::load), with what a repository brings and the operator has agreed to.
    #[must_use]
    pub fn load_with(dirs: &CatalogDirs, brought: &RepositoryCatalog) -> Self {
        load::load(CatalogSources {
            operator: Some(dirs),
            repository: Some(brought),
        })
    }

    /// The shipped set alone.
    #[must_use]
    pub fn shipped() -> Self {
        load::load(CatalogSources::default())
    }

    /// The workflow named `name`, `name@version` or by the absolute path of its file; the highest
    /// version when none is named.
    ///
    /// # Errors
    /// `workflow_not_found` with the nearest name; `workflow_invalid` when the file has mistakes.
    pub fn workflow(&self, name: &str) -> Result<CatalogEntry<Workflow>> {
        if Path::new(name).is_absolute() {
            return workflow::read_file(Path::new(name), &self.schema_ids());
        }
        find(&self.workflows, name, |w| (&w.name, w.version)).ok_or_else(|| {
            self.unknown(
                Code::WorkflowNotFound,
                "workflow",
                "workflows",
                name,
                labels(&self.workflows),
            )
        })
    }

    /// The persona named `name` or `name@version`; the highest version when none is named.
    ///
    /// # Errors
    /// `persona_not_found` with the nearest name.
    pub fn persona(&self, name: &str) -> Result<CatalogEntry<Persona>> {
        find(&self.personas, name, |p| (&p.name, p.version)).ok_or_else(|| {
            self.unknown(
                Code::PersonaNotFound,
                "persona",
                "personas",
                name,
                labels(&self.personas),
            )
        })
    }

    /// The artifact schema with this id.
    ///
    /// # Errors
    /// `schema_not_found` with the nearest id.
    pub fn schema(&self, id: &SchemaId) -> Result<CatalogEntry<ArtifactSchema>> {
        self.schemas
            .iter()
            .find(|entry| entry.item.id == *id)
            .cloned()
            .ok_or_else(|| {
                self.unknown(
                    Code::SchemaNotFound,
                    "schema",
                    "schemas",
                    id.as_str(),
                    labels(&self.schemas),
                )
            })
    }

    /// The ids of all schemas.
    #[must_use]
    pub fn schema_ids(&self) -> BTreeSet<SchemaId> {
        self.schemas
            .iter()
            .map(|entry| entry.item.id.clone())
            .collect()
    }

    fn unknown(
        &self,
        code: Code,
        what: &str,
        command: &str,
        name: &str,
        known: Vec<String>,
    ) -> Failure {
        let mut hint = did_you_mean_or_list(name, "known", known.iter().map(String::as_str));
        if !self.problems.is_empty() {
            hint.push_str(&format!(
                "; files with mistakes are left out, `phasedeck {command}` shows them"
            ));
        }
        if let Some(brought) = &self.withheld {
            hint.push_str(&format!(
                "; {} brings files that you have not agreed to, `phasedeck trust` shows them",
                brought.top.display()
            ));
        }
        Failure::new(code, format!("no {what} is named '{name}'")).hint(hint)
    }
}

/// What an entry is called in lists and suggestions.
trait EntryLabel {
    fn label(&self) -> String;
}

impl EntryLabel for Workflow {
    fn label(&self) -> String {
        self.versioned_name().to_string()
    }
}

impl EntryLabel for Persona {
    fn label(&self) -> String {
        self.versioned_name().to_string()
    }
}

impl EntryLabel for ArtifactSchema {
    fn label(&self) -> String {
        self.id.to_string()
    }
}

fn labels<T: EntryLabel>(entries: &[CatalogEntry<T>]) -> Vec<String> {
    entries.iter().map(|entry| entry.item.label()).collect()
}

fn find<T>(
    entries: &[CatalogEntry<T>],
    name: &str,
    key: impl Fn(&T) -> (&String, u32),
) -> Option<CatalogEntry<T>> {
    let (name, version) = names::split_version(name)?;
    let fits = |entry: &&CatalogEntry<T>| {
        let (its_name, its_version) = key(&entry.item);
        its_name == name && version.is_none_or(|v| v == its_version)
    };
    entries
        .iter()
        .filter(fits)
        .max_by_key(|entry| key(&entry.item).1)
        .cloned()
}
