//! Whether what a repository brings in `.phasedeck/` may be used: asked once for each content, kept by hash.
//!
//! Consent is to bytes, as with personas: another clone with the same files needs no second word, one
//! changed byte asks again. Where it was given is kept beside, to tell "changed" from "new". Every
//! start, look-ahead and list gets its catalog here, so that none of them can use what was not agreed to.
//!
//! Not its work: reading the files ([`Brought`]), asking.

use std::path::{Path, PathBuf};

use super::catalog::{Brought, Catalog, CatalogDirs};
use super::host::write_beside;
use super::paths::Paths;
use crate::model::error::Result;
use crate::model::record::RunRecord;
use crate::model::time::Timestamp;
use crate::store::{Reader, consents};

/// What the operator has said about what a repository brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Yes, to exactly this.
    Agreed,
    /// Yes, to something else that was there.
    Changed,
    /// Nothing.
    New,
}

/// What the repository with this top brings, and what the operator said about it; absent where it brings
/// nothing.
///
/// # Errors
/// As [`Brought::of`]; what the database says.
pub fn look(paths: &Paths, top: &Path) -> Result<Option<(Brought, Standing)>> {
    let Some(brought) = Brought::of(top)? else {
        return Ok(None);
    };
    let standing = standing(paths, &brought)?;
    Ok(Some((brought, standing)))
}

fn standing(paths: &Paths, brought: &Brought) -> Result<Standing> {
    if !paths.database().exists() {
        return Ok(Standing::New);
    }
    let reader = Reader::open(&paths.database())?;
    if consents::all(reader.connection())?.contains(&brought.hash) {
        return Ok(Standing::Agreed);
    }
    let before = consents::given_as(reader.connection(), &name(&brought.top))?;
    Ok(if before {
        Standing::Changed
    } else {
        Standing::New
    })
}

/// Keeps that `by` agrees to what was brought.
///
/// # Errors
/// What opening or writing the database says.
pub fn give(paths: &Paths, brought: &Brought, by: &str) -> Result<()> {
    let (name, hash, by) = (name(&brought.top), brought.hash.clone(), by.to_owned());
    write_beside(paths, move |tx| {
        consents::give(tx, &name, &hash, &by, Timestamp::now())
    })
}

/// Takes back whatever was agreed to of the repository with this top, now and before. Says whether there
/// was anything. Runs that were begun keep what was frozen with them.
///
/// # Errors
/// What opening or writing the database says.
pub fn take_back(paths: &Paths, top: &Path) -> Result<bool> {
    let name = name(top);
    let hash = Brought::of(top).ok().flatten().map(|brought| brought.hash);
    write_beside(paths, move |tx| {
        consents::take_back(tx, &name, hash.as_ref())
    })
}

/// Everything that can be run: the shipped set, the operator's files, and what the repository with this
/// top brings, where the operator has agreed to it. What cannot be read is one of its problems.
#[must_use]
pub fn catalog(paths: &Paths, top: Option<&Path>) -> Catalog {
    let dirs = CatalogDirs::beneath(&paths.config);
    match top
        .map(|top| look(paths, top))
        .transpose()
        .map(Option::flatten)
    {
        Ok(Some((brought, Standing::Agreed))) => Catalog::load_with(&dirs, &brought),
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

/// The same for a run that was begun: what its repository brings now.
#[must_use]
pub fn catalog_of_run(paths: &Paths, record: &RunRecord) -> Catalog {
    catalog(paths, record.repo.as_deref().map(Path::new))
}

/// The nearest folder at or above `dir` that is the top of a git repository.
#[must_use]
pub fn repo_around(dir: &Path) -> Option<PathBuf> {
    dir.ancestors()
        .find(|folder| folder.join(".git").exists())
        .map(Path::to_path_buf)
}

/// What the consent is kept as; no persona has such a name.
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

    fn standing_of(paths: &Paths, top: &Path) -> Standing {
        look(paths, top).unwrap().unwrap().1
    }

    #[test]
    fn nothing_is_used_before_a_yes_and_a_changed_byte_asks_again() {
        let (home, repo) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (paths, top) = (Paths::beneath(home.path()), repo.path());
        paths.create().unwrap();
        assert_eq!(catalog(&paths, Some(top)).withheld, None);
        write(top, "workflows/ours.yaml", FLOW);
        assert_eq!(standing_of(&paths, top), Standing::New);
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
        assert_eq!(standing_of(&paths, top), Standing::Agreed);
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
        assert_eq!(standing_of(&paths, top), Standing::Changed);
        assert!(catalog(&paths, Some(top)).workflow("ours").is_err());
        write(top, "workflows/ours.yaml", FLOW);
        assert_eq!(standing_of(&paths, top), Standing::Agreed);
        assert_eq!(
            (take_back(&paths, top), take_back(&paths, top)),
            (Ok(true), Ok(false))
        );
        assert_eq!(standing_of(&paths, top), Standing::New);
    }

    #[test]
    fn the_operators_own_files_stand_over_the_repositorys_and_those_over_the_shipped() {
        let (home, repo) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (paths, top) = (Paths::beneath(home.path()), repo.path());
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
            crate::model::persona::Permission::Ask
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
