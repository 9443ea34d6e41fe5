//! Puts the catalog together: the shipped set, over it what a repository brings and the operator agreed
//! to, over both the operator's own files.
//!
//! It is put together anew at each start of a run. The files are read each time; what their text means
//! is remembered as long as the text is the same, and the shipped set is read once.

use super::{
    ArtifactSchema, Catalog, CatalogDirs, CatalogEntry, CatalogOrigin, persona, schema, shipped,
    source, workflow,
};
use crate::engine::catalog::parse_cache::ParseCache;
use crate::engine::catalog::repository_catalog;
use crate::engine::catalog::repository_catalog::RepositoryCatalog;
use crate::model::error::{Code, Failure, Result, SourcePlace};
use crate::model::hash::ContentHash;
use crate::model::id::SchemaId;
use crate::model::persona::Persona;
use crate::model::workflow::Workflow;
use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

pub(super) const YAML: &[&str] = &["yaml", "yml"];
pub(super) const JSON: &[&str] = &["json"];

static WORKFLOWS: ParseCache<Workflow> = ParseCache::new();
static PERSONAS: ParseCache<Persona> = ParseCache::new();
static SCHEMAS: ParseCache<ArtifactSchema> = ParseCache::new();

/// Where files come from beside the binary.
#[derive(Clone, Copy, Default)]
pub(super) struct CatalogSources<'a> {
    pub(super) operator: Option<&'a CatalogDirs>,
    pub(super) repository: Option<&'a RepositoryCatalog>,
}

pub(super) fn load(sources: CatalogSources<'_>) -> Catalog {
    static SHIPPED: OnceLock<Catalog> = OnceLock::new();
    over(SHIPPED.get_or_init(shipped), sources)
}

fn shipped() -> Catalog {
    let mut problems = Vec::new();
    let mut schemas = LayeredEntries::new(Code::SchemaInvalid, "schema", &[], schema_key);
    for (id, text) in shipped::SCHEMAS {
        let read = read_schema(SchemaId::from(*id), text, &format!("shipped:{id}.json"));
        schemas.put(CatalogOrigin::Shipped, read, &mut problems);
    }
    let schemas = schemas.sorted();
    let ids = ids(&schemas);
    let mut workflows = LayeredEntries::new(Code::WorkflowInvalid, "workflow", &[], workflow_key);
    for (file, text) in shipped::WORKFLOWS {
        workflows.put(
            CatalogOrigin::Shipped,
            read_workflow(text, &format!("shipped:{file}"), &ids),
            &mut problems,
        );
    }
    let mut personas = LayeredEntries::new(Code::PersonaInvalid, "persona", &[], persona_key);
    for (file, text) in shipped::PERSONAS {
        personas.put(
            CatalogOrigin::Shipped,
            read_persona(text, &format!("shipped:{file}")),
            &mut problems,
        );
    }
    Catalog {
        workflows: workflows.sorted(),
        personas: personas.sorted(),
        schemas,
        problems,
        withheld: None,
    }
}

fn over(shipped: &Catalog, sources: CatalogSources<'_>) -> Catalog {
    let (dirs, brought) = (sources.operator, sources.repository);
    let mut problems = shipped.problems.clone();
    problems.extend(
        brought
            .into_iter()
            .flat_map(|brought| brought.problems.clone()),
    );
    let schemas = schemas(shipped, sources, &mut problems);
    let ids = ids(&schemas);
    let mut workflows = LayeredEntries::new(
        Code::WorkflowInvalid,
        "workflow",
        &shipped.workflows,
        workflow_key,
    );
    workflows.bring(brought, "workflows", &mut problems, |text, file| {
        read_workflow(text, file, &ids)
    });
    workflows.fill(
        dirs.map(|dirs| dirs.workflows.as_path()),
        &mut problems,
        |path, text| {
            WORKFLOWS.read(path, text, &ids, |text, file| {
                read_workflow(text, file, &ids)
            })
        },
    );
    let mut personas = LayeredEntries::new(
        Code::PersonaInvalid,
        "persona",
        &shipped.personas,
        persona_key,
    );
    personas.bring(brought, "personas", &mut problems, |text, file| {
        persona::read(text, file)
            .map(repository_catalog::held)
            .and_then(identified)
    });
    personas.fill(
        dirs.map(|dirs| dirs.personas.as_path()),
        &mut problems,
        |path, text| PERSONAS.read(path, text, &BTreeSet::new(), read_persona),
    );
    Catalog {
        workflows: workflows.sorted(),
        personas: personas.sorted(),
        schemas,
        problems,
        withheld: None,
    }
}

fn schemas(
    shipped: &Catalog,
    sources: CatalogSources<'_>,
    problems: &mut Vec<Failure>,
) -> Vec<CatalogEntry<ArtifactSchema>> {
    let mut shelf =
        LayeredEntries::new(Code::SchemaInvalid, "schema", &shipped.schemas, schema_key);
    for (path, text) in sources
        .repository
        .into_iter()
        .flat_map(|brought| brought.texts("artifacts"))
    {
        let folder = sources
            .repository
            .map(|brought| {
                brought
                    .top
                    .join(repository_catalog::FOLDER)
                    .join("artifacts")
            })
            .unwrap_or_default();
        let read =
            id_of(&folder, &path).and_then(|id| read_schema(id, text, &path.display().to_string()));
        shelf.put(CatalogOrigin::Repository(path), read, problems);
    }
    let Some(folder) = sources.operator.map(|dirs| dirs.artifacts.as_path()) else {
        return shelf.sorted();
    };
    for path in listed(source::files_beneath(folder, JSON), problems) {
        let read = id_of(folder, &path).and_then(|id| {
            let text = source::text(&path, Code::SchemaInvalid).map_err(|failure| vec![failure])?;
            SCHEMAS.read(&path, text, &BTreeSet::new(), |text, file| {
                read_schema(id, text, file)
            })
        });
        shelf.put(CatalogOrigin::Path(path), read, problems);
    }
    shelf.sorted()
}

fn id_of(folder: &Path, path: &Path) -> Result<SchemaId, Vec<Failure>> {
    schema::id_of(folder, path).map_err(|failure| vec![failure])
}

fn ids(schemas: &[CatalogEntry<ArtifactSchema>]) -> BTreeSet<SchemaId> {
    schemas.iter().map(|entry| entry.item.id.clone()).collect()
}

fn schema_key(schema: &ArtifactSchema) -> SchemaId {
    schema.id.clone()
}

fn workflow_key(workflow: &Workflow) -> (String, u32) {
    (workflow.name.clone(), workflow.version)
}

fn persona_key(persona: &Persona) -> (String, u32) {
    (persona.name.clone(), persona.version)
}

fn read_schema(id: SchemaId, text: &str, file: &str) -> ParseResult<ArtifactSchema> {
    let value = schema::read(text, file)?;
    let hash = ContentHash::from_canonical_json(&value).map_err(|e| vec![Failure::internal(e)])?;
    Ok((
        Arc::new(ArtifactSchema {
            id,
            value: Arc::new(value),
        }),
        hash,
    ))
}

fn read_workflow(text: &str, file: &str, ids: &BTreeSet<SchemaId>) -> ParseResult<Workflow> {
    let item = workflow::read(text, file, ids)?;
    let hash = item.hash().map_err(|e| vec![Failure::internal(e)])?;
    Ok((Arc::new(item), hash))
}

fn read_persona(text: &str, file: &str) -> ParseResult<Persona> {
    persona::read(text, file).and_then(identified)
}

fn identified(item: Persona) -> ParseResult<Persona> {
    let hash = item.hash().map_err(|e| vec![Failure::internal(e)])?;
    Ok((Arc::new(item), hash))
}

fn listed(files: Result<Vec<PathBuf>>, problems: &mut Vec<Failure>) -> Vec<PathBuf> {
    files.unwrap_or_else(|failure| {
        problems.push(failure);
        Vec::new()
    })
}

/// What reading one file gives: the thing, and its identity.
pub(super) type ParseResult<T> = Result<(Arc<T>, ContentHash), Vec<Failure>>;

/// One kind of thing, by key; filled from the lowest layer to the highest.
struct LayeredEntries<K, T> {
    code: Code,
    what: &'static str,
    key: fn(&T) -> K,
    entries: BTreeMap<K, CatalogEntry<T>>,
}

impl<K: Ord, T: super::EntryLabel> LayeredEntries<K, T> {
    fn new(code: Code, what: &'static str, shipped: &[CatalogEntry<T>], key: fn(&T) -> K) -> Self {
        Self {
            code,
            what,
            key,
            entries: shipped
                .iter()
                .map(|entry| (key(&entry.item), entry.clone()))
                .collect(),
        }
    }

    fn bring(
        &mut self,
        brought: Option<&RepositoryCatalog>,
        kind: &str,
        problems: &mut Vec<Failure>,
        read: impl Fn(&str, &str) -> ParseResult<T>,
    ) {
        for (path, text) in brought.into_iter().flat_map(|brought| brought.texts(kind)) {
            let entry = read(text, &path.display().to_string());
            self.put(CatalogOrigin::Repository(path), entry, problems);
        }
    }

    fn fill(
        &mut self,
        folder: Option<&Path>,
        problems: &mut Vec<Failure>,
        read: impl Fn(&Path, String) -> ParseResult<T>,
    ) {
        let Some(folder) = folder else { return };
        for path in listed(source::files(folder, YAML), problems) {
            let text = source::text(&path, self.code).map_err(|failure| vec![failure]);
            let entry = text.and_then(|text| read(&path, text));
            self.put(CatalogOrigin::Path(path), entry, problems);
        }
    }

    fn put(&mut self, origin: CatalogOrigin, read: ParseResult<T>, problems: &mut Vec<Failure>) {
        let (item, hash) = match read {
            Ok(read) => read,
            Err(mut failures) => return problems.append(&mut failures),
        };
        let entry = CatalogEntry { item, hash, origin };
        match self.entries.entry((self.key)(&entry.item)) {
            Slot::Occupied(slot) if slot.get().origin.layer() == entry.origin.layer() => {
                problems.push(twice(self.code, self.what, slot.get(), &entry))
            }
            Slot::Occupied(mut slot) => drop(slot.insert(entry)),
            Slot::Vacant(slot) => drop(slot.insert(entry)),
        }
    }

    fn sorted(self) -> Vec<CatalogEntry<T>> {
        self.entries.into_values().collect()
    }
}

fn twice<T: super::EntryLabel>(
    code: Code,
    what: &str,
    kept: &CatalogEntry<T>,
    refused: &CatalogEntry<T>,
) -> Failure {
    let message = format!(
        "{what} {} is defined in {} already",
        refused.item.label(),
        kept.origin
    );
    let place = SourcePlace {
        file: refused.origin.file(),
        ..SourcePlace::default()
    };
    Failure::new(code, message)
        .hint("give it another name or version, or remove one of the files")
        .at(place)
}
