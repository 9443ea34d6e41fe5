//! Text from the operator's files: regular files of bounded size, UTF-8, folders in a fixed order.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::yaml::MAX_BYTES;
use crate::model::error::{Code, Failure, Result, SourcePlace};

/// How deep `artifacts/` is searched.
const MAX_FOLDERS: usize = 8;

/// The text of a file that is a workflow, persona or schema.
///
/// # Errors
/// `io_failed` when it cannot be read; `code` when it is no regular file, too large or not UTF-8.
pub(super) fn text(path: &Path, code: Code) -> Result<String> {
    let unreadable = |e: std::io::Error| Failure::io(format!("cannot read {}", path.display()), &e);
    let refused = |message: String, hint: &str| {
        let place = SourcePlace {
            file: path.display().to_string(),
            ..SourcePlace::default()
        };
        Failure::new(code, message).hint(hint).at(place)
    };
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(refused("is not a regular file".to_owned(), "name a file"));
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_BYTES)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() > MAX_BYTES {
        return Err(refused(
            format!("the file is larger than {} KiB", MAX_BYTES / 1024),
            "split it, or move long texts elsewhere",
        ));
    }
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        refused(
            format!("the file is not UTF-8 text (byte {at})"),
            "save it as UTF-8",
        )
    })
}

/// The files of a folder that end in one of `endings`, sorted; none when the folder does not exist.
///
/// # Errors
/// `io_failed` when the folder cannot be read.
pub(super) fn files(folder: &Path, endings: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    collect(folder, endings, 1, &mut found)?;
    found.sort();
    Ok(found)
}

/// As [`files`], with the folders beneath.
///
/// # Errors
/// `io_failed` when a folder cannot be read.
pub(super) fn files_beneath(folder: &Path, endings: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    collect(folder, endings, MAX_FOLDERS, &mut found)?;
    found.sort();
    Ok(found)
}

fn collect(folder: &Path, endings: &[&str], levels: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    let unreadable =
        |e: std::io::Error| Failure::io(format!("cannot read folder {}", folder.display()), &e);
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(unreadable(e)),
    };
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            if levels > 1 {
                collect(&path, endings, levels - 1, found)?;
            }
        } else if path
            .extension()
            .and_then(|e| e.to_str())
            .is_some_and(|ending| endings.contains(&ending))
        {
            found.push(path);
        }
    }
    Ok(())
}
