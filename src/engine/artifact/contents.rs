//! The store of artifact contents, by their hash, written once, never changed.
//!
//! What was validated is kept when an event speaks of it, and everything that comes later (the
//! screen, the decision, the next phase, the commit) takes it from here and not from the worktree.
//! Small ones lie [in the database](crate::store::contents), stored in the very transaction that names
//! them; larger ones are files, durable before that: `<dir>/<first two hex digits>/<hash>`, 0600 in
//! folders 0700. Which run a content belongs to is the database's to know.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use crate::engine::paths::create_private_dir;
use crate::model::error::{Code, Failure, Result};
use crate::model::hash::ContentHash;
use crate::store::failpoint::Step;
use crate::store::failpoint::planted::{self, Bug};
use crate::store::tables::contents;
use crate::store::tables::contents::{SMALL, StoredContent};

/// Contents by their hash.
#[derive(Clone, Debug)]
pub struct WorktreeContents {
    dir: PathBuf,
    /// Whether this process has made sure of the folders, so that a new content waits for its own names alone.
    ready: Arc<Mutex<bool>>,
    recent: Arc<Mutex<RecentContents>>,
}

/// Bytes of recent artifacts that are kept in memory.
const RECENT_BYTES: usize = 1024 * 1024;

/// Artifacts that were judged not long ago, as text: the next phases' prompts hold them again and again.
#[derive(Debug, Default)]
struct RecentContents {
    texts: HashMap<ContentHash, Arc<str>>,
    /// Oldest first.
    order: VecDeque<ContentHash>,
    bytes: usize,
}

impl RecentContents {
    fn keep(&mut self, hash: ContentHash, text: Arc<str>) {
        if text.len() > SMALL || self.texts.contains_key(&hash) {
            return;
        }
        self.bytes += text.len();
        self.order.push_back(hash.clone());
        self.texts.insert(hash, text);
        while self.bytes > RECENT_BYTES {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            self.bytes -= self.texts.remove(&oldest).map_or(0, |text| text.len());
        }
    }
}

impl WorktreeContents {
    /// A store in `dir`; nothing is made before the first large content.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            ready: Arc::default(),
            recent: Arc::default(),
        }
    }

    /// Takes `bytes` in. Small ones are kept when the [`StoredContent`] is stored, which belongs into the
    /// transaction that names it; larger ones survive power loss when this returns, and block on the disk.
    ///
    /// # Errors
    /// `disk_full` or `io_failed`; the store is as it was then.
    pub fn take(&self, bytes: &[u8]) -> Result<StoredContent> {
        let hash = ContentHash::from_bytes(bytes);
        let as_file = planted::is(Bug::ContentAfterEvent) || planted::is(Bug::ContentInPlace);
        if bytes.len() <= SMALL && !as_file {
            return Ok(StoredContent::small(hash, bytes));
        }
        self.write_file(&hash, bytes)?;
        Ok(StoredContent::in_file(hash))
    }

    fn write_file(&self, hash: &ContentHash, bytes: &[u8]) -> Result<()> {
        let path = self.path(hash)?;
        let folder = path.parent().unwrap_or(&self.dir);
        self.ready_folders(folder)?;
        if planted::is(Bug::ContentAfterEvent) {
            let (path, bytes) = (path, bytes.to_vec());
            std::thread::spawn(move || {
                std::thread::sleep(std::time::Duration::from_millis(20));
                std::fs::write(path, bytes)
            });
            return Ok(());
        }
        if planted::is(Bug::ContentInPlace) && !path.exists() {
            for part in bytes.chunks(bytes.len().div_ceil(2).max(1)) {
                let mut file = File::options()
                    .create(true)
                    .append(true)
                    .open(&path)
                    .map_err(|e| Failure::io("planted", &e))?;
                Step::ContentWritten
                    .around(|| file.write_all(part))
                    .map_err(|e| Failure::io("planted", &e))?;
            }
        }
        if !planted::is(Bug::ContentInPlace) && !has_length(&path, bytes.len()) {
            write_new(folder, &path, bytes).map_err(|e| {
                Failure::io(
                    format!("cannot keep the artifact in {}", path.display()),
                    &e,
                )
            })?;
        }
        // Also when the file was there: whoever wrote it may have died before its name was durable.
        sync_dir(folder)
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
    pub fn get(&self, conn: &Connection, hash: &ContentHash) -> Result<Vec<u8>> {
        match self.find(conn, hash)? {
            Some(bytes) => Ok(bytes),
            None => Err(damaged(&self.path(hash)?, "is gone")),
        }
    }

    /// The bytes with this hash, hashed again, where any were kept. Blocks on the disk.
    ///
    /// # Errors
    /// `db_corrupt` when they are not what they were; `io_failed`.
    pub fn find(&self, conn: &Connection, hash: &ContentHash) -> Result<Option<Vec<u8>>> {
        if let Some(bytes) = contents::get(conn, hash)? {
            return if ContentHash::from_bytes(&bytes) == *hash {
                Ok(Some(bytes))
            } else {
                Err(damaged_row(hash))
            };
        }
        let path = self.path(hash)?;
        match std::fs::read(&path) {
            Ok(bytes) if ContentHash::from_bytes(&bytes) == *hash => Ok(Some(bytes)),
            Ok(_) => Err(damaged(&path, "is not what was kept there")),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Failure::io(
                format!("cannot read the artifact in {}", path.display()),
                &e,
            )),
        }
    }

    /// The content with this hash as text, from memory where it was told or read not long ago; what is no
    /// UTF-8 in it is replaced. Else blocks on the disk.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn text(&self, conn: &Connection, hash: &ContentHash) -> Result<Arc<str>> {
        if let Some(text) = self
            .recent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .texts
            .get(hash)
        {
            return Ok(Arc::clone(text));
        }
        let bytes = self.get(conn, hash)?;
        Ok(self.remember(hash, &bytes))
    }

    /// Notes an artifact that was just taken in, since the next phases' prompts will ask for its text.
    pub fn remember(&self, hash: &ContentHash, bytes: &[u8]) -> Arc<str> {
        let text: Arc<str> = String::from_utf8_lossy(bytes).into();
        self.recent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .keep(hash.clone(), Arc::clone(&text));
        text
    }

    /// At most the first `limit` bytes of a content, as they lie there; absent where they cannot be read.
    #[must_use]
    pub fn beginning(&self, conn: &Connection, hash: &ContentHash, limit: u64) -> Option<Vec<u8>> {
        if let Some(bytes) = contents::get(conn, hash).ok()? {
            return Some(bytes);
        }
        let mut bytes = Vec::new();
        File::open(self.path(hash).ok()?)
            .ok()?
            .take(limit)
            .read_to_end(&mut bytes)
            .ok()?;
        Some(bytes)
    }

    // Hashes also come from the database: one that is no hash must not become a path.
    fn path(&self, hash: &ContentHash) -> Result<PathBuf> {
        let text = hash.as_str();
        let is_hash =
            text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match text.get(..2) {
            Some(first) if is_hash => Ok(self.dir.join(first).join(text)),
            _ => Err(damaged(
                &self.dir,
                &format!("cannot hold '{}', which is no SHA-256", text.escape_debug()),
            )),
        }
    }
}

fn damaged(path: &Path, what: &str) -> Failure {
    Failure::new(
        Code::DbCorrupt,
        format!("the artifact store: {} {what}", path.display()),
    )
    .hint("restore this file from a backup; the run can begin its phase again without it")
}

fn damaged_row(hash: &ContentHash) -> Failure {
    Failure::new(
        Code::DbCorrupt,
        format!("the artifact store: the database holds under {hash} what was not kept there"),
    )
    .hint("restore the database from a backup; the run can begin its phase again without it")
}

fn has_length(path: &Path, length: usize) -> bool {
    std::fs::symlink_metadata(path)
        .is_ok_and(|meta| meta.is_file() && usize::try_from(meta.len()) == Ok(length))
}

fn write_new(folder: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = tempfile::Builder::new()
        .prefix("new-")
        .tempfile_in(folder)?;
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
    use crate::store::Store;

    struct WorktreeSnapshot {
        temp: tempfile::TempDir,
        contents: WorktreeContents,
        store: Store,
    }

    fn here() -> WorktreeSnapshot {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::open(&temp.path().join("phasedeck.db")).unwrap();
        WorktreeSnapshot {
            contents: WorktreeContents::new(temp.path().join("contents")),
            store,
            temp,
        }
    }

    impl WorktreeSnapshot {
        fn keep(&self, bytes: &[u8]) -> ContentHash {
            let content = self.contents.take(bytes).unwrap();
            let hash = content.sha256().clone();
            self.store
                .write_blocking(move |tx| content.store(tx))
                .unwrap();
            hash
        }

        fn get(&self, hash: &ContentHash) -> Result<Vec<u8>> {
            self.store.read(|conn| self.contents.get(conn, hash))
        }

        fn file(&self, hash: &ContentHash) -> PathBuf {
            self.temp
                .path()
                .join("contents")
                .join(&hash.as_str()[..2])
                .join(hash.as_str())
        }
    }

    fn large(first: u8) -> Vec<u8> {
        let mut bytes = vec![7; SMALL + 1];
        bytes[0] = first;
        bytes
    }

    #[test]
    fn what_was_kept_comes_back_byte_for_byte_and_only_what_is_large_is_a_file() {
        let here = here();
        for (bytes, in_file) in [
            (&b""[..], false),
            (b"{}", false),
            (&[0, 159, 146, 150], false),
            (&vec![7; SMALL], false),
            (&large(1), true),
        ] {
            let hash = here.keep(bytes);
            assert_eq!(hash, ContentHash::from_bytes(bytes));
            assert!(here.get(&hash).unwrap() == bytes);
            assert_eq!(here.file(&hash).exists(), in_file, "{}", bytes.len());
        }
    }

    #[test]
    fn a_small_content_that_no_transaction_stored_is_not_there() {
        let here = here();
        let hash = here
            .contents
            .take(b"never stored")
            .unwrap()
            .sha256()
            .clone();
        assert_eq!(
            here.store
                .read(|conn| here.contents.find(conn, &hash))
                .unwrap(),
            None
        );
        assert_eq!(
            here.get(&hash).unwrap_err().message,
            format!("the artifact store: {} is gone", here.file(&hash).display())
        );
    }

    #[test]
    fn a_small_content_of_an_older_version_is_read_from_its_file() {
        let here = here();
        let hash = ContentHash::from_bytes(b"old");
        std::fs::create_dir_all(here.file(&hash).parent().unwrap()).unwrap();
        std::fs::write(here.file(&hash), b"old").unwrap();
        assert_eq!(here.get(&hash).unwrap(), b"old");
        assert_eq!(
            here.store
                .read(|conn| Ok(here.contents.beginning(conn, &hash, 2)))
                .unwrap()
                .unwrap(),
            b"ol"
        );
    }

    #[test]
    fn recent_texts_come_from_memory_within_a_limit_and_others_from_the_store() {
        let here = here();
        let hash = here.keep(b"kept");
        let text = |hash: &ContentHash| here.store.read(|conn| here.contents.text(conn, hash));
        assert_eq!(&*text(&hash).unwrap(), "kept");
        here.store
            .write_blocking(|tx| Ok(tx.execute("DELETE FROM contents", [])?))
            .unwrap();
        assert_eq!(&*text(&hash).unwrap(), "kept", "it was read before");
        for first in 0..=u8::try_from(RECENT_BYTES / SMALL).unwrap() {
            let bytes = [&[first][..], &vec![b'x'; SMALL - 1]].concat();
            here.contents
                .remember(&ContentHash::from_bytes(&bytes), &bytes);
        }
        assert_eq!(
            text(&hash).unwrap_err().code,
            Code::DbCorrupt,
            "it was pushed out of memory"
        );
        assert!(here.contents.recent.lock().unwrap().bytes <= RECENT_BYTES);
        assert_eq!(
            &*here
                .contents
                .remember(&ContentHash::from_bytes(b"\xff"), b"\xff"),
            "\u{fffd}"
        );
    }

    #[test]
    fn files_lie_under_their_hash_and_are_for_their_owner_alone() {
        let here = here();
        let hash = here.keep(&large(1));
        let file = here.file(&hash);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(file.parent().unwrap()), mode(&file)), (0o700, 0o600));
        assert_eq!(
            std::fs::read_dir(file.parent().unwrap()).unwrap().count(),
            1,
            "no temporary file is left"
        );
    }

    #[test]
    fn a_folder_that_vanished_is_made_again() {
        let here = here();
        let hash = here.keep(&large(1));
        assert_eq!(
            std::fs::read_dir(here.temp.path().join("contents"))
                .unwrap()
                .count(),
            256
        );
        std::fs::remove_dir_all(here.temp.path().join("contents")).unwrap();
        assert_eq!(here.keep(&large(1)), hash);
        assert!(here.get(&hash).unwrap() == large(1));
    }

    #[test]
    fn the_same_content_is_written_once() {
        let here = here();
        let inode = |hash: &ContentHash| {
            std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(here.file(hash)).unwrap())
        };
        let hash = here.keep(&large(1));
        let first = inode(&hash);
        assert_eq!(here.keep(&large(1)), hash);
        assert_eq!(inode(&hash), first);
    }

    #[test]
    fn a_file_cut_short_is_written_again() {
        let here = here();
        let hash = here.keep(&large(1));
        std::fs::write(here.file(&hash), b"whole").unwrap();
        assert_eq!(here.get(&hash).unwrap_err().code, Code::DbCorrupt);
        here.keep(&large(1));
        assert!(here.get(&hash).unwrap() == large(1));
    }

    #[test]
    fn damage_is_told_with_the_name_of_the_file_or_the_hash_of_the_row() {
        let here = here();
        let (hash, small) = (here.keep(&large(1)), here.keep(b"true"));
        let file = here.file(&hash);
        std::fs::write(&file, b"lies").unwrap();
        let failure = here.get(&hash).unwrap_err();
        assert_eq!(failure.code, Code::DbCorrupt);
        assert_eq!(
            failure.message,
            format!(
                "the artifact store: {} is not what was kept there",
                file.display()
            )
        );
        assert_ne!(failure.hint, "");
        std::fs::remove_file(&file).unwrap();
        assert_eq!(
            here.get(&hash).unwrap_err().message,
            format!("the artifact store: {} is gone", file.display())
        );
        here.store
            .write_blocking(|tx| Ok(tx.execute("UPDATE contents SET bytes = x'00'", [])?))
            .unwrap();
        let failure = here.get(&small).unwrap_err();
        assert_eq!(
            failure.message,
            format!("the artifact store: the database holds under {small} what was not kept there")
        );
        assert_eq!(failure.code, Code::DbCorrupt);
    }

    #[test]
    fn a_hash_that_is_none_never_becomes_a_path() {
        let here = here();
        for bad in [
            "",
            "ab",
            "../../../../etc/passwd",
            &"A".repeat(64),
            &format!("../{}", "a".repeat(61)),
        ] {
            assert_eq!(
                here.get(&ContentHash(bad.to_owned())).unwrap_err().code,
                Code::DbCorrupt,
                "{bad}"
            );
        }
    }
}
