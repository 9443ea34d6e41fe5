//! The store of artifact contents: files named by their hash, written once, never changed.
//!
//! What was validated is put here before any event speaks of it, and everything that comes later
//! (the screen, the decision, the next phase, the commit) takes it from here and not from the
//! worktree. Layout: `<dir>/<first two hex digits>/<hash>`, files 0600 in folders 0700. Which run a
//! content belongs to is the database's to know.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::paths::create_private_dir;
use crate::model::error::{Code, Failure, Result};
use crate::model::hash::ContentHash;
use crate::store::failpoint::Step;
use crate::store::failpoint::planted::{self, Bug};

/// Contents in files named by their hash.
#[derive(Clone, Debug)]
pub struct Contents {
    dir: PathBuf,
    /// Whether this process has made sure of the folders, so that a new content waits for its own names alone.
    ready: Arc<Mutex<bool>>,
}

impl Contents {
    /// A store in `dir`; nothing is made before the first [`put`](Self::put).
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir, ready: Arc::default() }
    }

    /// Keeps `bytes`; they survive power loss when this returns. Blocks on the disk.
    ///
    /// # Errors
    /// `disk_full` or `io_failed`; the store is as it was then.
    pub fn put(&self, bytes: &[u8]) -> Result<ContentHash> {
        let hash = ContentHash::of(bytes);
        let path = self.path(&hash)?;
        let folder = path.parent().unwrap_or(&self.dir);
        self.ready_folders(folder)?;
        if planted::is(Bug::ContentAfterEvent) {
            let (path, bytes) = (path, bytes.to_vec());
            std::thread::spawn(move || {
                std::thread::sleep(std::time::Duration::from_millis(20));
                std::fs::write(path, bytes)
            });
            return Ok(hash);
        }
        if planted::is(Bug::ContentInPlace) && !path.exists() {
            for part in bytes.chunks(bytes.len().div_ceil(2).max(1)) {
                let mut file = File::options().create(true).append(true).open(&path).map_err(|e| Failure::io("planted", &e))?;
                Step::ContentWritten.around(|| file.write_all(part)).map_err(|e| Failure::io("planted", &e))?;
            }
        }
        if !planted::is(Bug::ContentInPlace) && !has_length(&path, bytes.len()) {
            write_new(folder, &path, bytes).map_err(|e| Failure::io(format!("cannot keep the artifact in {}", path.display()), &e))?;
        }
        // Also when the file was there: whoever wrote it may have died before its name was durable.
        sync_dir(folder)?;
        Ok(hash)
    }

    /// Makes every folder there can be and their names durable, once: a flush for many contents instead
    /// of one for each. Also where they were there: whoever made them may have died before that.
    fn ready_folders(&self, folder: &Path) -> Result<()> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if *ready && folder.is_dir() {
            return Ok(());
        }
        for first in 0..=u8::MAX {
            create_private_dir(&self.dir.join(format!("{first:02x}")))?;
        }
        sync_dir(&self.dir)?;
        sync_dir(self.dir.parent().unwrap_or(&self.dir))?;
        *ready = true;
        Ok(())
    }

    /// The bytes with this hash, hashed again. Blocks on the disk.
    ///
    /// # Errors
    /// `db_corrupt` when they are gone or are not what they were; `io_failed`.
    pub fn get(&self, hash: &ContentHash) -> Result<Vec<u8>> {
        let path = self.path(hash)?;
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::NotFound => return Err(damaged(&path, "is gone")),
            Err(e) => return Err(Failure::io(format!("cannot read the artifact in {}", path.display()), &e)),
        };
        if ContentHash::of(&bytes) == *hash { Ok(bytes) } else { Err(damaged(&path, "is not what was kept there")) }
    }

    // Hashes also come from the database: one that is no hash must not become a path.
    fn path(&self, hash: &ContentHash) -> Result<PathBuf> {
        let text = hash.as_str();
        let is_hash = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match text.get(..2) {
            Some(first) if is_hash => Ok(self.dir.join(first).join(text)),
            _ => Err(damaged(&self.dir, &format!("cannot hold '{}', which is no SHA-256", text.escape_debug()))),
        }
    }
}

fn damaged(path: &Path, what: &str) -> Failure {
    Failure::new(Code::DbCorrupt, format!("the artifact store: {} {what}", path.display()))
        .hint("restore this file from a backup; the run can begin its phase again without it")
}

fn has_length(path: &Path, length: usize) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() && usize::try_from(meta.len()) == Ok(length))
}

fn write_new(folder: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = tempfile::Builder::new().prefix("new-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    Step::ContentWritten.around(|| file.as_file().sync_all())?;
    Step::ContentRenamed.around(|| file.persist(path))?;
    Ok(())
}

// Makes the names in a folder durable.
fn sync_dir(dir: &Path) -> Result<()> {
    let synced = Step::ContentFolder.around(|| File::open(dir)?.sync_all());
    synced.map_err(|e| Failure::io(format!("cannot make {} durable", dir.display()), &e))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn store() -> (tempfile::TempDir, Contents) {
        let temp = tempfile::tempdir().unwrap();
        let contents = Contents::new(temp.path().join("contents"));
        (temp, contents)
    }

    #[test]
    fn what_was_put_comes_back_byte_for_byte() {
        let (_temp, contents) = store();
        for bytes in [&b""[..], b"{}", &[0, 159, 146, 150], &vec![7; 100_000]] {
            let hash = contents.put(bytes).unwrap();
            assert_eq!(hash, ContentHash::of(bytes));
            assert_eq!(contents.get(&hash).unwrap(), bytes);
        }
    }

    #[test]
    fn files_lie_under_their_hash_and_are_for_their_owner_alone() {
        let (temp, contents) = store();
        let hash = contents.put(b"x").unwrap();
        let folder = temp.path().join("contents").join(&hash.as_str()[..2]);
        let file = folder.join(hash.as_str());
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&file)), (0o700, 0o600));
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_folder_that_vanished_is_made_again() {
        let (temp, contents) = store();
        let hash = contents.put(b"x").unwrap();
        assert_eq!(std::fs::read_dir(temp.path().join("contents")).unwrap().count(), 256);
        std::fs::remove_dir_all(temp.path().join("contents")).unwrap();
        assert_eq!(contents.clone().put(b"x").unwrap(), hash);
        assert_eq!(contents.get(&hash).unwrap(), b"x");
    }

    #[test]
    fn the_same_content_is_written_once() {
        let (temp, contents) = store();
        let hash = contents.put(b"same").unwrap();
        let file = temp.path().join("contents").join(&hash.as_str()[..2]).join(hash.as_str());
        let first = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&file).unwrap());
        assert_eq!(contents.put(b"same").unwrap(), hash);
        assert_eq!(std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&file).unwrap()), first);
    }

    #[test]
    fn a_file_cut_short_is_written_again() {
        let (temp, contents) = store();
        let hash = contents.put(b"whole content").unwrap();
        let file = temp.path().join("contents").join(&hash.as_str()[..2]).join(hash.as_str());
        std::fs::write(&file, b"whole").unwrap();
        assert_eq!(contents.get(&hash).unwrap_err().code, Code::DbCorrupt);
        contents.put(b"whole content").unwrap();
        assert_eq!(contents.get(&hash).unwrap(), b"whole content");
    }

    #[test]
    fn damage_is_told_with_the_name_of_the_file() {
        let (temp, contents) = store();
        let hash = contents.put(b"true").unwrap();
        let file = temp.path().join("contents").join(&hash.as_str()[..2]).join(hash.as_str());
        std::fs::write(&file, b"lies").unwrap();
        let failure = contents.get(&hash).unwrap_err();
        assert_eq!(failure.code, Code::DbCorrupt);
        assert_eq!(failure.message, format!("the artifact store: {} is not what was kept there", file.display()));
        assert_ne!(failure.hint, "");
        std::fs::remove_file(&file).unwrap();
        assert_eq!(contents.get(&hash).unwrap_err().message, format!("the artifact store: {} is gone", file.display()));
    }

    #[test]
    fn a_hash_that_is_none_never_becomes_a_path() {
        let (_temp, contents) = store();
        for bad in ["", "ab", "../../../../etc/passwd", &"A".repeat(64), &format!("../{}", "a".repeat(61))] {
            assert_eq!(contents.get(&ContentHash(bad.to_owned())).unwrap_err().code, Code::DbCorrupt, "{bad}");
        }
    }
}
