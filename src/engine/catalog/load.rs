//! Puts the catalog together: the shipped set first, then the operator's files over it.

use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{ArtifactSchema, Catalog, CatalogDirs, Entry, Origin, persona, schema, shipped, source, workflow};
use crate::model::error::{Code, Failure, Place, Result};
use crate::model::hash::ContentHash;
use crate::model::id::SchemaId;

pub(super) const YAML: &[&str] = &["yaml", "yml"];
const JSON: &[&str] = &["json"];

pub(super) fn load(dirs: Option<&CatalogDirs>) -> Catalog {
    let mut problems = Vec::new();
    let schemas = schemas(dirs.map(|d| d.artifacts.as_path()), &mut problems);
    let ids: BTreeSet<SchemaId> = schemas.iter().map(|entry| entry.item.id.clone()).collect();
    let mut workflows = Shelf::new(Code::WorkflowInvalid, "workflow");
    workflows.fill(shipped::WORKFLOWS, dirs.map(|d| d.workflows.as_path()), &mut problems, |text, file| {
        let item = workflow::read(text, file, &ids)?;
        let hash = item.hash().map_err(|e| vec![Failure::internal(e)])?;
        Ok(((item.name.clone(), item.version), item, hash))
    });
    let mut personas = Shelf::new(Code::PersonaInvalid, "persona");
    personas.fill(shipped::PERSONAS, dirs.map(|d| d.personas.as_path()), &mut problems, |text, file| {
        let item = persona::read(text, file)?;
        let hash = item.hash().map_err(|e| vec![Failure::internal(e)])?;
        Ok(((item.name.clone(), item.version), item, hash))
    });
    Catalog { workflows: workflows.sorted(), personas: personas.sorted(), schemas, problems }
}

fn schemas(folder: Option<&Path>, problems: &mut Vec<Failure>) -> Vec<Entry<ArtifactSchema>> {
    let mut shelf = Shelf::new(Code::SchemaInvalid, "schema");
    for (id, text) in shipped::SCHEMAS {
        let read = schema::read(text, &format!("shipped:{id}.json")).and_then(|value| shelf_schema(SchemaId::from(*id), value));
        shelf.put(Origin::Shipped, read, problems);
    }
    let Some(folder) = folder else { return shelf.sorted() };
    for path in listed(source::files_beneath(folder, JSON), problems) {
        let read = schema::id_of(folder, &path).map_err(|failure| vec![failure]).and_then(|id| {
            let text = source::text(&path, Code::SchemaInvalid).map_err(|failure| vec![failure])?;
            schema::read(&text, &path.display().to_string()).and_then(|value| shelf_schema(id, value))
        });
        shelf.put(Origin::Path(path), read, problems);
    }
    shelf.sorted()
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

/// One kind of thing, by key; the operator's over the shipped.
struct Shelf<K, T> {
    code: Code,
    what: &'static str,
    entries: BTreeMap<K, Entry<T>>,
}

impl<K: Ord, T: super::Label> Shelf<K, T> {
    fn new(code: Code, what: &'static str) -> Self {
        Self { code, what, entries: BTreeMap::new() }
    }

    fn fill(
        &mut self,
        shipped: &[(&str, &str)],
        folder: Option<&Path>,
        problems: &mut Vec<Failure>,
        read: impl Fn(&str, &str) -> Read<K, T>,
    ) {
        for (file, text) in shipped {
            self.put(Origin::Shipped, read(text, &format!("shipped:{file}")), problems);
        }
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
            Slot::Occupied(slot) if slot.get().origin != Origin::Shipped => problems.push(twice(self.code, self.what, slot.get(), &entry)),
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
    let place = Place { file: refused.origin.to_string(), ..Place::default() };
    Failure::new(code, message).hint("give it another name or version, or remove one of the files").at(place)
}
