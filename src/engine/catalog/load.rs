//! Puts the catalog together: the shipped set first, then the operator's files over it.
//!
//! It is put together anew at each start of a run. The files are read each time; what their text means
//! is remembered as long as the text is the same, and the shipped set is read once.

use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::{ArtifactSchema, Catalog, CatalogDirs, Entry, Origin, persona, schema, shipped, source, workflow};
use crate::model::error::{Code, Failure, Place, Result};
use crate::model::hash::ContentHash;
use crate::model::id::SchemaId;
use crate::model::persona::Persona;
use crate::model::workflow::Workflow;

pub(super) const YAML: &[&str] = &["yaml", "yml"];
const JSON: &[&str] = &["json"];

static WORKFLOWS: Memory<Workflow> = Memory::new();
static PERSONAS: Memory<Persona> = Memory::new();
static SCHEMAS: Memory<ArtifactSchema> = Memory::new();

pub(super) fn load(dirs: Option<&CatalogDirs>) -> Catalog {
    static SHIPPED: OnceLock<Catalog> = OnceLock::new();
    let shipped = SHIPPED.get_or_init(shipped);
    dirs.map_or_else(|| shipped.clone(), |dirs| over(shipped, dirs))
}

fn shipped() -> Catalog {
    let mut problems = Vec::new();
    let mut schemas = Shelf::new(Code::SchemaInvalid, "schema", &[], schema_key);
    for (id, text) in shipped::SCHEMAS {
        let read = read_schema(SchemaId::from(*id), text, &format!("shipped:{id}.json"));
        schemas.put(Origin::Shipped, read, &mut problems);
    }
    let schemas = schemas.sorted();
    let ids = ids(&schemas);
    let mut workflows = Shelf::new(Code::WorkflowInvalid, "workflow", &[], workflow_key);
    for (file, text) in shipped::WORKFLOWS {
        workflows.put(Origin::Shipped, read_workflow(text, &format!("shipped:{file}"), &ids), &mut problems);
    }
    let mut personas = Shelf::new(Code::PersonaInvalid, "persona", &[], persona_key);
    for (file, text) in shipped::PERSONAS {
        personas.put(Origin::Shipped, read_persona(text, &format!("shipped:{file}")), &mut problems);
    }
    Catalog { workflows: workflows.sorted(), personas: personas.sorted(), schemas, problems }
}

fn over(shipped: &Catalog, dirs: &CatalogDirs) -> Catalog {
    let mut problems = shipped.problems.clone();
    let mut schemas = Shelf::new(Code::SchemaInvalid, "schema", &shipped.schemas, schema_key);
    for path in listed(source::files_beneath(&dirs.artifacts, JSON), &mut problems) {
        let read = schema::id_of(&dirs.artifacts, &path).map_err(|failure| vec![failure]).and_then(|id| {
            let text = source::text(&path, Code::SchemaInvalid).map_err(|failure| vec![failure])?;
            SCHEMAS.read(&path, text, &BTreeSet::new(), |text, file| read_schema(id, text, file))
        });
        schemas.put(Origin::Path(path), read, &mut problems);
    }
    let schemas = schemas.sorted();
    let ids = ids(&schemas);
    let mut workflows = Shelf::new(Code::WorkflowInvalid, "workflow", &shipped.workflows, workflow_key);
    workflows
        .fill(&dirs.workflows, &mut problems, |path, text| WORKFLOWS.read(path, text, &ids, |text, file| read_workflow(text, file, &ids)));
    let mut personas = Shelf::new(Code::PersonaInvalid, "persona", &shipped.personas, persona_key);
    personas.fill(&dirs.personas, &mut problems, |path, text| PERSONAS.read(path, text, &BTreeSet::new(), read_persona));
    Catalog { workflows: workflows.sorted(), personas: personas.sorted(), schemas, problems }
}

fn ids(schemas: &[Entry<ArtifactSchema>]) -> BTreeSet<SchemaId> {
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

fn read_schema(id: SchemaId, text: &str, file: &str) -> Read<ArtifactSchema> {
    let value = schema::read(text, file)?;
    let hash = ContentHash::of_canonical(&value).map_err(|e| vec![Failure::internal(e)])?;
    Ok((Arc::new(ArtifactSchema { id, value: Arc::new(value) }), hash))
}

fn read_workflow(text: &str, file: &str, ids: &BTreeSet<SchemaId>) -> Read<Workflow> {
    let item = workflow::read(text, file, ids)?;
    let hash = item.hash().map_err(|e| vec![Failure::internal(e)])?;
    Ok((Arc::new(item), hash))
}

fn read_persona(text: &str, file: &str) -> Read<Persona> {
    let item = persona::read(text, file)?;
    let hash = item.hash().map_err(|e| vec![Failure::internal(e)])?;
    Ok((Arc::new(item), hash))
}

/// What the operator's files of one kind meant when they were last read.
struct Memory<T> {
    known: Mutex<BTreeMap<PathBuf, Known<T>>>,
}

struct Known<T> {
    text: String,
    /// What was known of other files, where that matters.
    beside: BTreeSet<SchemaId>,
    item: Arc<T>,
    hash: ContentHash,
}

impl<T> Memory<T> {
    const fn new() -> Self {
        Self { known: Mutex::new(BTreeMap::new()) }
    }

    /// What `text` means, by `read` unless the file had the very same text before.
    fn read(&self, path: &Path, text: String, beside: &BTreeSet<SchemaId>, read: impl FnOnce(&str, &str) -> Read<T>) -> Read<T> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(path).filter(|known| known.text == text && known.beside == *beside) {
            return Ok((Arc::clone(&known.item), known.hash.clone()));
        }
        known.remove(path);
        let (item, hash) = read(&text, &path.display().to_string())?;
        let remembered = Known { text, beside: beside.clone(), item: Arc::clone(&item), hash: hash.clone() };
        known.insert(path.to_path_buf(), remembered);
        Ok((item, hash))
    }
}

fn listed(files: Result<Vec<PathBuf>>, problems: &mut Vec<Failure>) -> Vec<PathBuf> {
    files.unwrap_or_else(|failure| {
        problems.push(failure);
        Vec::new()
    })
}

/// What reading one file gives: the thing, and its identity.
type Read<T> = Result<(Arc<T>, ContentHash), Vec<Failure>>;

/// One kind of thing, by key; the operator's over the shipped.
struct Shelf<K, T> {
    code: Code,
    what: &'static str,
    key: fn(&T) -> K,
    entries: BTreeMap<K, Entry<T>>,
}

impl<K: Ord, T: super::Label> Shelf<K, T> {
    fn new(code: Code, what: &'static str, shipped: &[Entry<T>], key: fn(&T) -> K) -> Self {
        Self { code, what, key, entries: shipped.iter().map(|entry| (key(&entry.item), entry.clone())).collect() }
    }

    fn fill(&mut self, folder: &Path, problems: &mut Vec<Failure>, read: impl Fn(&Path, String) -> Read<T>) {
        for path in listed(source::files(folder, YAML), problems) {
            let text = source::text(&path, self.code).map_err(|failure| vec![failure]);
            let entry = text.and_then(|text| read(&path, text));
            self.put(Origin::Path(path), entry, problems);
        }
    }

    fn put(&mut self, origin: Origin, read: Read<T>, problems: &mut Vec<Failure>) {
        let (item, hash) = match read {
            Ok(read) => read,
            Err(mut failures) => return problems.append(&mut failures),
        };
        let entry = Entry { item, hash, origin };
        match self.entries.entry((self.key)(&entry.item)) {
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
