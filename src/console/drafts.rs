//! Unsent drafts of the operator: small private files of the console.
//!
//! A draft is written atomically: to a temporary file, synced and renamed.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::engine::paths::create_private_dir;
use crate::model::error::{Failure, Result};

/// Reads a draft; `None` if there is none or it cannot be parsed.
///
/// # Errors
/// `io_failed`.
pub fn read<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<Option<T>> {
    let file = folder.join(name);
    match std::fs::read(&file) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::io(
            format!("cannot read the draft {}", file.display()),
            &error,
        )),
    }
}

/// Writes a draft; `None` removes it.
///
/// # Errors
/// `io_failed`; the previous draft is unchanged.
pub fn keep<T: Serialize>(folder: &Path, name: &str, draft: Option<&T>) -> Result<()> {
    let file = folder.join(name);
    let failed = |error: &std::io::Error| {
        Failure::io(format!("cannot keep the draft {}", file.display()), error)
    };
    let Some(draft) = draft else {
        return match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(&error)),
            _ => Ok(()),
        };
    };
    create_private_dir(folder)?;
    let write = || -> std::io::Result<()> {
        let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer(&mut temporary, draft)?;
        temporary.as_file().sync_data()?;
        temporary.persist(&file)?;
        Ok(())
    };
    write().map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_what_is_no_draft_is_none() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("drafts");
        let read = || read::<Vec<String>>(&folder, "form.json").unwrap();
        assert_eq!(read(), None);
        keep(&folder, "form.json", Some(&vec!["a", "b"])).unwrap();
        assert_eq!(read(), Some(vec!["a".to_owned(), "b".to_owned()]));
        std::fs::write(folder.join("form.json"), "{").unwrap();
        assert_eq!(read(), None);
        keep::<()>(&folder, "form.json", None).unwrap();
        keep::<()>(&folder, "form.json", None).unwrap();
        assert!(!folder.join("form.json").exists());
    }
}
