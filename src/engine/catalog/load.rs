//! Puts the catalog together: the shipped set, over it what a repository brings and the operator agreed
//! to, over both the operator's own files.
//!
//! It is put together anew at each start of a run. Files are read each time; what a text means is
//! remembered as long as the file has that text.

use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::brought::{self, Brought};
use super::{ArtifactSchema, Catalog, CatalogDirs, Entry, Origin, persona, schema, shipped, source, workflow};
use crate::model::error::{Code, Failure, Place, Result};
use crate::model::hash::ContentHash;
use crate::model::id::SchemaId;
use crate::model::persona::Persona;
use crate::model::workflow::Workflow;

pub(super) const YAML: &[&str] = &["yaml", "yml"];
pub(super) const JSON: &[&str] = &["json"];

/// Where files come from beside the binary.
#[derive(Clone, Copy, Default)]
pub(super) struct Sources<'a> {
    pub(super) operator: Option<&'a CatalogDirs>,
    pub(super) repository: Option<&'a Brought>,
}

static WORKFLOWS: Memory<Workflow> = Memory::new();
static PERSONAS: Memory<Persona> = Memory::new();
static SCHEMAS: Memory<ArtifactSchema> = Memory::new();

pub(super) fn load(sources: Sources<'_>) -> Catalog {
    let (dirs, brought) = (sources.operator, sources.repository);
    let mut problems = brought.map(|brought| brought.problems.clone()).unwrap_or_default();
    let schemas = schemas(sources, &mut problems);
    let ids: BTreeSet<SchemaId> = schemas.iter().map(|entry| entry.item.id.clone()).collect();
    let workflow = |text: &str, file: &str| {
        let (item, hash) = WORKFLOWS.read(file, text, &ids, || {
            let item = workflow::read(text, file, &ids)?;
            let hash = item.hash().map_err(|e| vec![Failure::internal(e)])?;
            Ok((item, hash))
        })?;
        Ok(((item.name.clone(), item.version), item, hash))
    };
    let mut workflows = Shelf::new(Code::WorkflowInvalid, "workflow");
    workflows.ship(shipped::WORKFLOWS, &mut problems, workflow);
    workflows.bring(brought.into_iter().flat_map(|brought| brought.texts("workflows")), &mut problems, workflow);
    workflows.fill(dirs.map(|d| d.workflows.as_path()), &mut problems, workflow);
    let of = |item: Persona| {
        let hash = item.hash().map_err(|e| vec![Failure::internal(e)])?;
        Ok((item, hash))
    };
    let persona = |text: &str, file: &str| {
        let (item, hash) = PERSONAS.read(file, text, &BTreeSet::new(), || persona::read(text, file).and_then(of))?;
        Ok(((item.name.clone(), item.version), item, hash))
    };
    let mut personas = Shelf::new(Code::PersonaInvalid, "persona");
    personas.ship(shipped::PERSONAS, &mut problems, persona);
    personas.bring(brought.into_iter().flat_map(|brought| brought.texts("personas")), &mut problems, |text, file| {
        let (item, hash) = persona::read(text, file).map(brought::held).and_then(of)?;
        Ok(((item.name.clone(), item.version), Arc::new(item), hash))
    });
    personas.fill(dirs.map(|d| d.personas.as_path()), &mut problems, persona);
    Catalog { workflows: workflows.sorted(), personas: personas.sorted(), schemas, problems, withheld: None }
}

fn schemas(sources: Sources<'_>, problems: &mut Vec<Failure>) -> Vec<Entry<ArtifactSchema>> {
    let mut shelf = Shelf::new(Code::SchemaInvalid, "schema");
    for (id, text) in shipped::SCHEMAS {
        let read = shelf_schema(SchemaId::from(*id), text, &format!("shipped:{id}.json"));
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
    shelf_schema(id, text, &path.display().to_string())
}

fn shelf_schema(id: SchemaId, text: &str, file: &str) -> Read<SchemaId, ArtifactSchema> {
    let (item, hash) = SCHEMAS.read(file, text, &BTreeSet::from([id.clone()]), || {
        let value = schema::read(text, file)?;
        let hash = ContentHash::of_canonical(&value).map_err(|e| vec![Failure::internal(e)])?;
        Ok((ArtifactSchema { id: id.clone(), value: Arc::new(value) }, hash))
    })?;
    Ok((id, item, hash))
}

/// What files of one kind meant when they were last read, by their names.
struct Memory<T> {
    known: Mutex<BTreeMap<String, Known<T>>>,
}

struct Known<T> {
    text: String,
    /// The schemas that its meaning hung upon.
    schemas: BTreeSet<SchemaId>,
    item: Arc<T>,
    hash: ContentHash,
}

impl<T> Memory<T> {
    const fn new() -> Self {
        Self { known: Mutex::new(BTreeMap::new()) }
    }

    /// What `text` means, by `read` unless the file had the very same text before.
    fn read(
        &self,
        file: &str,
        text: &str,
        schemas: &BTreeSet<SchemaId>,
        read: impl FnOnce() -> Result<(T, ContentHash), Vec<Failure>>,
    ) -> Result<(Arc<T>, ContentHash), Vec<Failure>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(file).filter(|known| known.text == text && known.schemas == *schemas) {
            return Ok((Arc::clone(&known.item), known.hash.clone()));
        }
        known.remove(file);
        let (item, hash) = read()?;
        let item = Arc::new(item);
        let new = Known { text: text.to_owned(), schemas: schemas.clone(), item: Arc::clone(&item), hash: hash.clone() };
        known.insert(file.to_owned(), new);
        Ok((item, hash))
    }
}

fn listed(files: Result<Vec<PathBuf>>, problems: &mut Vec<Failure>) -> Vec<PathBuf> {
    files.unwrap_or_else(|failure| {
        problems.push(failure);
        Vec::new()
    })
}

/// What reading one file gives: its key on the shelf, the thing, its identity.
type Read<K, T> = Result<(K, Arc<T>, ContentHash), Vec<Failure>>;

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
        let entry = Entry { item, hash, origin };
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
