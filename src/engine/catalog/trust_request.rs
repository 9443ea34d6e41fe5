//! Consent request for a repository's catalog: lists everything that consent would allow.
//!
//! Consent applies to the bytes that were shown. They are read again before it is stored, and
//! nothing is stored if they have changed.

use super::trust::{self, ConsentState};
use crate::engine::catalog::repository_catalog::FOLDER;
use crate::engine::catalog::start_preview::{ConsentRequest, consent_request};
use crate::engine::catalog::{
    Catalog, CatalogDirs, CatalogEntry, CatalogOrigin, RepositoryCatalog,
};
use crate::engine::paths::InstallPaths;
use crate::model::error::{Code, Failure, Result};
use crate::model::hash::ContentHash;
use std::path::{Path, PathBuf};

/// A repository's catalog that the operator has not allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustRequest {
    /// The top of the repository.
    pub top: PathBuf,
    /// The identity of all that it brings.
    pub hash: ContentHash,
    /// Whether the operator agreed to something else that was there before.
    pub changed: bool,
    /// How many files that are.
    pub files: usize,
    /// Its workflows, `name@version`, each with the keys of its phases.
    pub workflows: Vec<(String, Vec<String>)>,
    /// Its personas; each needs consent of its own too, once it is to work.
    pub personas: Vec<ConsentRequest>,
    /// The names of its artifact schemas.
    pub schemas: Vec<String>,
    /// What of it cannot be read, and is left out.
    pub problems: Vec<Failure>,
}

/// Returns the consent request for a repository; `None` if it has no catalog or consent was given.
///
/// # Errors
/// As [`trust::look`].
pub fn ask(paths: &InstallPaths, top: &Path) -> Result<Option<TrustRequest>> {
    let found = trust::look(paths, top)?.filter(|(_, standing)| *standing != ConsentState::Agreed);
    Ok(found.map(|(brought, standing)| of(paths, &brought, standing)))
}

fn of(paths: &InstallPaths, brought: &RepositoryCatalog, standing: ConsentState) -> TrustRequest {
    let catalog = Catalog::load_with(&CatalogDirs::beneath(&paths.config), brought);
    let phases = |entry: &CatalogEntry<crate::model::workflow::Workflow>| {
        entry
            .item
            .phases
            .iter()
            .map(|phase| phase.key.to_string())
            .collect()
    };
    TrustRequest {
        top: brought.top.clone(),
        hash: brought.hash.clone(),
        changed: standing == ConsentState::Changed,
        files: brought.paths().count(),
        workflows: theirs(&catalog.workflows)
            .map(|entry| (entry.item.versioned_name().to_string(), phases(entry)))
            .collect(),
        personas: theirs(&catalog.personas)
            .map(|entry| consent_request(&entry.item, &entry.hash, entry.item.model.as_deref()))
            .collect(),
        schemas: theirs(&catalog.schemas)
            .map(|entry| entry.item.id.to_string())
            .collect(),
        problems: catalog.problems,
    }
}

fn theirs<T>(entries: &[CatalogEntry<T>]) -> impl Iterator<Item = &CatalogEntry<T>> {
    entries
        .iter()
        .filter(|entry| matches!(entry.origin, CatalogOrigin::Repository(_)))
}

/// Stores the consent of `by` to the requested catalog.
///
/// # Errors
/// `usage_invalid` if the files have changed; errors of reading them or of the database. Nothing is
/// stored then.
pub fn agree(paths: &InstallPaths, asked: &TrustRequest, by: &str) -> Result<()> {
    match RepositoryCatalog::of(&asked.top)? {
        Some(brought) if brought.hash == asked.hash => trust::give(paths, &brought, by),
        _ => {
            let message = format!(
                "what {} brings in {FOLDER}/ has changed since it was shown",
                asked.top.display()
            );
            Err(Failure::new(Code::UsageInvalid, message)
                .hint("nothing was agreed to; look at it again"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_yes_is_to_the_bytes_that_were_shown_and_ends_the_question() {
        let (home, repo) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (paths, top) = (InstallPaths::beneath(home.path()), repo.path());
        paths.create().unwrap();
        assert_eq!(ask(&paths, top), Ok(None));
        let write = |name: &str, text: &str| {
            let path = top.join(FOLDER).join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(
            "workflows/ours.yaml",
            "name: ours\nversion: 1\nroles: [{id: dev}]\nphases: [{key: a, role: dev}, {key: b, role: dev}]\n",
        );
        write(
            "personas/ours.yaml",
            "name: ours\nversion: 3\nbackend: openai\ntools: [execute]\n",
        );
        let asked = ask(&paths, top).unwrap().unwrap();
        assert_eq!((asked.files, asked.changed), (2, false));
        assert_eq!(
            asked.workflows,
            [("ours@1".to_owned(), vec!["a".to_owned(), "b".to_owned()])]
        );
        assert_eq!(
            asked
                .personas
                .iter()
                .map(|one| one.persona.as_str())
                .collect::<Vec<_>>(),
            ["ours@3"]
        );
        write(
            "personas/ours.yaml",
            "name: ours\nversion: 4\nbackend: openai\n",
        );
        assert_eq!(
            agree(&paths, &asked, "op").unwrap_err().code,
            Code::UsageInvalid
        );
        let again = ask(&paths, top).unwrap().unwrap();
        assert_ne!(again.hash, asked.hash);
        agree(&paths, &again, "op").unwrap();
        assert_eq!(ask(&paths, top), Ok(None));
        write(
            "personas/ours.yaml",
            "name: ours\nversion: 5\nbackend: openai\n",
        );
        assert!(ask(&paths, top).unwrap().unwrap().changed);
    }
}
