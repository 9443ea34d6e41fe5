//! Puts the catalog together: the shipped set, over it what a repository brings and the operator agreed
//! to, over both the operator's own files.

use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::brought::{self, Brought};
use super::{ArtifactSchema, Catalog, CatalogDirs, Entry, Origin, persona, schema, shipped, source, workflow};
use crate::model::error::{Code, Failure, Place, Result};
use crate::model::hash::ContentHash;
use crate::model::id::SchemaId;
use crate::model::persona::Persona;

pub(super) const YAML: &[&str] = &["yaml", "yml"];
pub(super) const JSON: &[&str] = &["json"];

/// Where files come from beside the binary.
#[derive(Clone, Copy, Default)]
pub(super) struct Sources<'a> {
    pub(super) operator: Option<&'a CatalogDirs>,
    pub(super) repository: Option<&'a Brought>,
}

pub(super) fn load(sources: Sources<'_>) -> Catalog {
    let (dirs, brought) = (sources.operator, sources.repository);
    let mut problems = brought.map(|brought| brought.problems.clone()).unwrap_or_default();
    let schemas = schemas(sources, &mut problems);
    let ids: BTreeSet<SchemaId> = schemas.iter().map(|entry| entry.item.id.clone()).collect();
    let workflow = |text: &str, file: &str| {
        let item = workflow::read(text, file, &ids)?;
        let hash = item.hash().map_err(|e| vec![Failure::internal(e)])?;
        Ok(((item.name.clone(), item.version), item, hash))
    };
    let mut workflows = Shelf::new(Code::WorkflowInvalid, "workflow");
    workflows.ship(shipped::WORKFLOWS, &mut problems, workflow);
    workflows.bring(brought.into_iter().flat_map(|brought| brought.texts("workflows")), &mut problems, workflow);
    workflows.fill(dirs.map(|d| d.workflows.as_path()), &mut problems, workflow);
    let of = |item: Persona| {
        let hash = item.hash().map_err(|e| vec![Failure::internal(e)])?;
        Ok(((item.name.clone(), item.version), item, hash))
    };
    let persona = |text: &str, file: &str| persona::read(text, file).and_then(of);
    let mut personas = Shelf::new(Code::PersonaInvalid, "persona");
    personas.ship(shipped::PERSONAS, &mut problems, persona);
    personas.bring(brought.into_iter().flat_map(|brought| brought.texts("personas")), &mut problems, |text, file| {
        persona::read(text, file).map(brought::held).and_then(of)
    });
    personas.fill(dirs.map(|d| d.personas.as_path()), &mut problems, persona);
    Catalog { workflows: workflows.sorted(), personas: personas.sorted(), schemas, problems, withheld: None }
}

fn schemas(sources: Sources<'_>, problems: &mut Vec<Failure>) -> Vec<Entry<ArtifactSchema>> {
    let mut shelf = Shelf::new(Code::SchemaInvalid, "schema");
    for (id, text) in shipped::SCHEMAS {
        let read = schema::read(text, &format!("shipped:{id}.json")).and_then(|value| shelf_schema(SchemaId::from(*id), value));
        shelf.put(Origin::Shipped, read, problems);
    }
    for (path, text) in sources.repository.into_iter().flat_map(|brought| brought.texts("artifacts")) {
        let folder = sources.repository.map(|brought| brought.top.join(brought::FOLDER).join("artifacts")).unwrap_or_default();
        let read = read_schema(&folder, &path, text);
        shelf.put(Origin::Repository(path), read, problems);
    }
    let Some(folder) = sources.operator.map(|dirs| dirs.artifacts.as_path()) else { return shelf.sorted() };
    for path in listed(source::files_beneath(folder, JSON), problems) {
        let text = source::text(&path, Code::SchemaInvalid).map_err(|failure| vec![failure]);
        let read = text.and_then(|text| read_schema(folder, &path, &text));
        shelf.put(Origin::Path(path), read, problems);
    }
    shelf.sorted()
}

fn read_schema(folder: &Path, path: &Path, text: &str) -> Read<SchemaId, ArtifactSchema> {
    let id = schema::id_of(folder, path).map_err(|failure| vec![failure])?;
    schema::read(text, &path.display().to_string()).and_then(|value| shelf_schema(id, value))
}

fn shelf_schema(id: SchemaId, value: serde_json::Value) -> Read<SchemaId, ArtifactSchema> {
    let hash = ContentHash::of_canonical(&value).map_err(|e| vec![Failure::internal(e)])?;
    Ok((id.clone(), ArtifactSchema { id, value: Arc::new(value) }, hash))
}

fn listed(files: Result<Vec<PathBuf>>, problems: &mut Vec<Failure>) -> Vec<PathBuf> {
    files.unwrap_or_else(|failure| {
        problems.push(failure);
        Vec::new()
    })
}

/// What reading one file gives: its key on the shelf, the thing, its identity.
type Read<K, T> = Result<(K, T, ContentHash), Vec<Failure>>;

/// One kind of thing, by key; filled from the lowest layer to the highest.
struct Shelf<K, T> {
    code: Code,
    what: &'static str,
    entries: BTreeMap<K, Entry<T>>,
}

impl<K: Ord, T: super::Label> Shelf<K, T> {
    fn new(code: Code, what: &'static str) -> Self {
        Self { code, what, entries: BTreeMap::new() }
    }

    fn ship(&mut self, texts: &[(&str, &str)], problems: &mut Vec<Failure>, read: impl Fn(&str, &str) -> Read<K, T>) {
        for (file, text) in texts {
            self.put(Origin::Shipped, read(text, &format!("shipped:{file}")), problems);
        }
    }

    fn bring<'a>(
        &mut self,
        texts: impl Iterator<Item = (PathBuf, &'a str)>,
        problems: &mut Vec<Failure>,
        read: impl Fn(&str, &str) -> Read<K, T>,
    ) {
        for (path, text) in texts {
            let entry = read(text, &path.display().to_string());
            self.put(Origin::Repository(path), entry, problems);
        }
    }

    fn fill(&mut self, folder: Option<&Path>, problems: &mut Vec<Failure>, read: impl Fn(&str, &str) -> Read<K, T>) {
        let Some(folder) = folder else { return };
        for path in listed(source::files(folder, YAML), problems) {
            let text = source::text(&path, self.code).map_err(|failure| vec![failure]);
            let entry = text.and_then(|text| read(&text, &path.display().to_string()));
            self.put(Origin::Path(path), entry, problems);
        }
    }

    fn put(&mut self, origin: Origin, read: Read<K, T>, problems: &mut Vec<Failure>) {
        let (key, item, hash) = match read {
            Ok(read) => read,
            Err(mut failures) => return problems.append(&mut failures),
        };
        let entry = Entry { item: Arc::new(item), hash, origin };
        match self.entries.entry(key) {
            Slot::Occupied(slot) if slot.get().origin.layer() == entry.origin.layer() => {
                problems.push(twice(self.code, self.what, slot.get(), &entry))
            }
            Slot::Occupied(mut slot) => drop(slot.insert(entry)),
            Slot::Vacant(slot) => drop(slot.insert(entry)),
        }
    }

    fn sorted(self) -> Vec<Entry<T>> {
        self.entries.into_values().collect()
    }
}

fn twice<T: super::Label>(code: Code, what: &str, kept: &Entry<T>, refused: &Entry<T>) -> Failure {
    let message = format!("{what} {} is defined in {} already", refused.item.label(), kept.origin);
    let place = Place { file: refused.origin.file(), ..Place::default() };
    Failure::new(code, message).hint("give it another name or version, or remove one of the files").at(place)
}
