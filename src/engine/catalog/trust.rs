//! Consent to a repository's catalog in `.phasedeck/`: requested once per content, stored by hash.
//!
//! As with personas, consent applies to bytes: another clone with the same files needs no new
//! consent, and one changed byte asks again. The repository is stored too, to distinguish changed
//! content from new content. All starts, previews and lists load their catalog here, so none can
//! use unapproved files.
//!
//! Reading the files ([`RepositoryCatalog`]) and asking the operator are left to others.

use crate::engine::catalog::{Catalog, CatalogDirs, RepositoryCatalog};
use crate::engine::host::write_alongside_host;
use crate::engine::paths::InstallPaths;
use crate::model::error::Result;
use crate::model::record::RunRecord;
use crate::model::time::Timestamp;
use crate::store::Reader;
use crate::store::tables::consents;
use std::path::{Path, PathBuf};

/// Consent state of a repository's catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsentState {
    /// Consent was given to this content.
    Agreed,
    /// Consent was given to earlier content.
    Changed,
    /// No consent was given.
    New,
}

/// Returns the catalog of the repository at this root and its consent state; `None` if it has none.
///
/// # Errors
/// As [`RepositoryCatalog::of`]; database errors.
pub fn look(paths: &InstallPaths, top: &Path) -> Result<Option<(RepositoryCatalog, ConsentState)>> {
    let Some(brought) = RepositoryCatalog::of(top)? else {
        return Ok(None);
    };
    let standing = standing(paths, &brought)?;
    Ok(Some((brought, standing)))
}

fn standing(paths: &InstallPaths, brought: &RepositoryCatalog) -> Result<ConsentState> {
    if !paths.database().exists() {
        return Ok(ConsentState::New);
    }
    let reader = Reader::open(&paths.database())?;
    if consents::all(reader.connection())?.contains(&brought.hash) {
        return Ok(ConsentState::Agreed);
    }
    let before = consents::given_as(reader.connection(), &name(&brought.top))?;
    Ok(if before {
        ConsentState::Changed
    } else {
        ConsentState::New
    })
}

/// Stores the consent of `by` to a repository's catalog.
///
/// # Errors
/// Database errors.
pub fn give(paths: &InstallPaths, brought: &RepositoryCatalog, by: &str) -> Result<()> {
    let (name, hash, by) = (name(&brought.top), brought.hash.clone(), by.to_owned());
    write_alongside_host(paths, move |tx| {
        consents::insert(tx, &name, &hash, &by, Timestamp::now())
    })
}

/// Revokes all consent for the repository at this root; returns whether there was any. Started runs
/// keep their frozen definitions.
///
/// # Errors
/// Database errors.
pub fn take_back(paths: &InstallPaths, top: &Path) -> Result<bool> {
    let name = name(top);
    let hash = RepositoryCatalog::of(top)
        .ok()
        .flatten()
        .map(|brought| brought.hash);
    write_alongside_host(paths, move |tx| {
        consents::take_back(tx, &name, hash.as_ref())
    })
}

/// Loads the full catalog: shipped definitions, the operator's files, and the repository's catalog
/// if the operator has allowed it. Read errors are reported as problems of the catalog.
#[must_use]
pub fn catalog(paths: &InstallPaths, top: Option<&Path>) -> Catalog {
    let dirs = CatalogDirs::beneath(&paths.config);
    match top
        .map(|top| look(paths, top))
        .transpose()
        .map(Option::flatten)
    {
        Ok(Some((brought, ConsentState::Agreed))) => Catalog::load_with(&dirs, &brought),
        Ok(Some((brought, _))) => Catalog {
            withheld: Some(brought),
            ..Catalog::load(&dirs)
        },
        Ok(None) => Catalog::load(&dirs),
        Err(failure) => {
            let mut catalog = Catalog::load(&dirs);
            catalog.problems.push(failure);
            catalog
        }
    }
}

/// Loads the current catalog for a started run.
#[must_use]
pub fn catalog_of_run(paths: &InstallPaths, record: &RunRecord) -> Catalog {
    catalog(paths, record.repo.as_deref().map(Path::new))
}

/// Returns the root of the nearest git repository at or above `dir`.
#[must_use]
pub fn repo_around(dir: &Path) -> Option<PathBuf> {
    dir.ancestors()
        .find(|folder| folder.join(".git").exists())
        .map(Path::to_path_buf)
}

/// Key under which the consent is stored; it is not a valid persona name.
fn name(top: &Path) -> String {
    format!("repository: {}", top.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::error::Code;

    const FLOW: &str =
        "name: ours\nversion: 1\nroles: [{id: dev}]\nphases: [{key: a, role: dev}]\n";

    fn write(top: &Path, name: &str, text: &str) {
        let path = top.join(".phasedeck").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn standing_of(paths: &InstallPaths, top: &Path) -> ConsentState {
        look(paths, top).unwrap().unwrap().1
    }

    #[test]
    fn nothing_is_used_before_a_yes_and_a_changed_byte_asks_again() {
        let (home, repo) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (paths, top) = (InstallPaths::beneath(home.path()), repo.path());
        paths.create().unwrap();
        assert_eq!(catalog(&paths, Some(top)).withheld, None);
        write(top, "workflows/ours.yaml", FLOW);
        assert_eq!(standing_of(&paths, top), ConsentState::New);
        let before = catalog(&paths, Some(top));
        let refused = before.workflow("ours").unwrap_err();
        assert_eq!(refused.code, Code::WorkflowNotFound);
        assert!(
            refused.hint.ends_with(
                "brings files that you have not agreed to, `phasedeck trust` shows them"
            ),
            "{}",
            refused.hint
        );

        let (brought, _) = look(&paths, top).unwrap().unwrap();
        give(&paths, &brought, "op").unwrap();
        assert_eq!(standing_of(&paths, top), ConsentState::Agreed);
        let entry = catalog(&paths, Some(top)).workflow("ours").unwrap();
        assert_eq!(
            entry.origin.to_string(),
            format!(
                "repository: {}",
                top.join(".phasedeck/workflows/ours.yaml").display()
            )
        );
        assert!(
            catalog(&paths, None).workflow("ours").is_err(),
            "other places do not get it"
        );

        write(top, "workflows/ours.yaml", &format!("{FLOW} "));
        assert_eq!(standing_of(&paths, top), ConsentState::Changed);
        assert!(catalog(&paths, Some(top)).workflow("ours").is_err());
        write(top, "workflows/ours.yaml", FLOW);
        assert_eq!(standing_of(&paths, top), ConsentState::Agreed);
        assert_eq!(
            (take_back(&paths, top), take_back(&paths, top)),
            (Ok(true), Ok(false))
        );
        assert_eq!(standing_of(&paths, top), ConsentState::New);
    }

    #[test]
    fn the_operators_own_files_stand_over_the_repositorys_and_those_over_the_shipped() {
        let (home, repo) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (paths, top) = (InstallPaths::beneath(home.path()), repo.path());
        paths.create().unwrap();
        for name in ["tester", "reviewer"] {
            write(
                top,
                &format!("personas/{name}.yaml"),
                &format!("name: {name}\nversion: 1\nbackend: openai\ntools: [execute]\n"),
            );
        }
        let mine = paths.config.join("personas/tester.yaml");
        std::fs::create_dir_all(mine.parent().unwrap()).unwrap();
        std::fs::write(&mine, "name: tester\nversion: 1\nbackend: rehearsal\n").unwrap();
        give(&paths, &look(&paths, top).unwrap().unwrap().0, "op").unwrap();
        let catalog = catalog(&paths, Some(top));
        assert_eq!(catalog.problems, []);
        assert_eq!(
            catalog.persona("tester").unwrap().origin.to_string(),
            mine.display().to_string()
        );
        let theirs = catalog.persona("reviewer").unwrap();
        assert!(theirs.origin.to_string().starts_with("repository: "));
        assert_eq!(
            theirs.item.permission("execute"),
            crate::model::persona::ToolPermission::Ask
        );
    }

    #[test]
    fn the_top_is_the_nearest_folder_with_git_in_it() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("shop/.git")).unwrap();
        std::fs::create_dir_all(dir.path().join("shop/src/deep")).unwrap();
        assert_eq!(
            repo_around(&dir.path().join("shop/src/deep")),
            Some(dir.path().join("shop"))
        );
    }
}
