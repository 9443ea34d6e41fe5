//! What the operator's files meant when they were last read, so that the same text is not read twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::load::ParseResult;
use crate::model::hash::ContentHash;
use crate::model::id::SchemaId;

/// What the operator's files of one kind meant when they were last read.
pub(super) struct ParseCache<T> {
    known: Mutex<BTreeMap<PathBuf, CachedParse<T>>>,
}

struct CachedParse<T> {
    text: String,
    /// What was known of other files, where that matters.
    beside: BTreeSet<SchemaId>,
    item: Arc<T>,
    hash: ContentHash,
}

impl<T> ParseCache<T> {
    pub(super) const fn new() -> Self {
        Self {
            known: Mutex::new(BTreeMap::new()),
        }
    }

    /// What `text` means, by `read` unless the file had the very same text before.
    pub(super) fn read(
        &self,
        path: &Path,
        text: String,
        beside: &BTreeSet<SchemaId>,
        read: impl FnOnce(&str, &str) -> ParseResult<T>,
    ) -> ParseResult<T> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known
            .get(path)
            .filter(|known| known.text == text && known.beside == *beside)
        {
            return Ok((Arc::clone(&known.item), known.hash.clone()));
        }
        known.remove(path);
        let (item, hash) = read(&text, &path.display().to_string())?;
        let remembered = CachedParse {
            text,
            beside: beside.clone(),
            item: Arc::clone(&item),
            hash: hash.clone(),
        };
        known.insert(path.to_path_buf(), remembered);
        Ok((item, hash))
    }
}
