//! Write quota of an attempt: limits the bytes and files written to its worktree and temporary
//! folders.
//!
//! The engine's file tools count their writes directly. Where commands and programs can write too,
//! the worktree is scanned periodically and once at the end. Files changed since the start count by
//! the larger of their length and their allocated size, so that sparse files count in full. A scan
//! reads every directory entry; the pause after it is a hundred times its duration.
//!
//! The attempt stops the work when the quota is exceeded. Limits on single files belong to the
//! tools and the kernel.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::engine::blocking::blocking;
use crate::engine::workspace::confined_fs;
use crate::model::error::{Code, Failure, Result};
use cap_fs_ext::DirExt;
use cap_std::fs::{Dir, Metadata, MetadataExt};
use tokio::sync::Notify;

/// Minimum interval between scans.
const LOOK: Duration = Duration::from_secs(2);
/// Pause after a scan, as a multiple of its duration.
const REST: u32 = 100;
/// Maximum lag of file timestamps behind the kernel's clock.
const GRAIN: Duration = Duration::from_millis(10);
/// Maximum number of new or changed files.
const MOST_FILES: u64 = 1_000_000;
/// Maximum folder depth; a deeper tree is never legitimate and could hide any amount of data.
const MOST_DEPTH: usize = 100;

/// Write quota of one attempt.
#[derive(Debug)]
pub struct WriteQuota {
    root: PathBuf,
    /// Temporary folders that also count.
    beside: Mutex<Vec<PathBuf>>,
    since: SystemTime,
    /// Limit in bytes; 0 means that only free disk space limits it.
    limit: u64,
    written: AtomicU64,
    over: Notify,
}

/// Totals of a scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ScanTotals {
    bytes: u64,
    files: u64,
    deep: bool,
}

impl WriteQuota {
    /// Begins to count for work in this worktree: at most `limit` bytes, 0 for as many as there is room for.
    #[must_use]
    pub fn start(root: &Path, limit: u64) -> Self {
        let now = SystemTime::now();
        let since = now.checked_sub(GRAIN).unwrap_or(now);
        Self {
            root: root.to_path_buf(),
            beside: Mutex::default(),
            since,
            limit,
            written: AtomicU64::new(0),
            over: Notify::new(),
        }
    }

    /// Counts what is written to this folder too, while it is there.
    pub fn add_folder(&self, folder: &Path) {
        self.beside
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(folder.to_path_buf());
    }

    /// A tool of ours made a file so many bytes longer.
    pub fn add_written(&self, bytes: u64) {
        let written = self
            .written
            .fetch_add(bytes, Ordering::Relaxed)
            .saturating_add(bytes);
        if self.limit > 0 && written > self.limit {
            self.over.notify_one();
        }
    }

    /// Returns when there is too much. With `looks` also what others write is counted.
    pub async fn exceeded(&self, looks: bool) -> Failure {
        if self.limit == 0 || !looks {
            self.over.notified().await;
            return self.exceeded_failure(self.written.load(Ordering::Relaxed), 0);
        }
        let mut rest = LOOK;
        loop {
            tokio::select! {
                () = self.over.notified() => return self.exceeded_failure(self.written.load(Ordering::Relaxed), 0),
                () = tokio::time::sleep(rest) => {}
            }
            let begun = Instant::now();
            match self.scan().await {
                Err(failure) if failure.code == Code::FileTooBig => return failure,
                Err(failure) => {
                    tracing::warn!(%failure, "how much the worktree has grown is not known")
                }
                Ok(()) => {}
            }
            rest = LOOK.max(begun.elapsed().saturating_mul(REST));
        }
    }

    /// Looks through the worktree once.
    ///
    /// # Errors
    /// `file_too_big` when there is too much; what opening the worktree says.
    pub async fn scan(&self) -> Result<()> {
        if self.limit == 0 {
            return Ok(());
        }
        let (root, since, limit) = (self.root.clone(), self.since, self.limit);
        let beside = self
            .beside
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let found = blocking(move || {
            let root = confined_fs::open_worktree(&root)?;
            let mut found = ScanTotals::default();
            measure(&root, since, limit, 0, &mut found);
            for folder in beside
                .iter()
                .filter_map(|folder| confined_fs::open_worktree(folder).ok())
            {
                measure(&folder, since, limit, 0, &mut found);
            }
            Ok(found)
        })
        .await?;
        if found.is_within(limit) {
            Ok(())
        } else {
            Err(self.exceeded_failure(found.bytes, found.files))
        }
    }

    fn exceeded_failure(&self, bytes: u64, files: u64) -> Failure {
        let words = match (bytes > self.limit, files > MOST_FILES) {
            (true, _) => format!(
                "the work wrote {bytes} bytes or more to the worktree; the limit is {} bytes",
                self.limit
            ),
            (_, true) => format!(
                "the work made or changed {files} files or more in the worktree; the limit is {MOST_FILES}"
            ),
            _ => format!(
                "the work made folders in the worktree that lie deeper than {MOST_DEPTH} within each other"
            ),
        };
        let hint = "look at what it wrote; approve to let it write as much again, or raise 'engine.max_worktree_bytes'";
        Failure::new(Code::FileTooBig, words).hint(hint)
    }
}

impl ScanTotals {
    fn is_within(&self, limit: u64) -> bool {
        self.bytes <= limit && self.files <= MOST_FILES && !self.deep
    }
}

/// Adds what changed beneath a folder; stops where that is too much already. What cannot be read is left out.
fn measure(dir: &Dir, since: SystemTime, limit: u64, depth: usize, found: &mut ScanTotals) {
    let mut folders: Vec<OsString> = Vec::new();
    for entry in dir.entries().into_iter().flatten().flatten() {
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        if metadata.is_dir() {
            folders.push(entry.file_name());
        } else if changed(&metadata) >= since {
            found.files += 1;
            let bytes = if metadata.is_file() {
                metadata.len().max(metadata.blocks().saturating_mul(512))
            } else {
                0
            };
            found.bytes = found.bytes.saturating_add(bytes);
        }
        if !found.is_within(limit) {
            return;
        }
    }
    for name in folders {
        // A repository may nest as it likes; what is too deep counts only where it is new.
        if depth == MOST_DEPTH {
            found.deep |= dir
                .symlink_metadata(&name)
                .is_ok_and(|metadata| changed(&metadata) >= since);
        } else if let Ok(below) = dir.open_dir_nofollow(&name) {
            measure(&below, since, limit, depth + 1, found);
        }
        if !found.is_within(limit) {
            return;
        }
    }
}

/// When the kernel last saw a change; nobody else sets that.
fn changed(metadata: &Metadata) -> SystemTime {
    let seconds = Duration::from_secs(u64::try_from(metadata.ctime()).unwrap_or(0));
    SystemTime::UNIX_EPOCH
        + seconds
        + Duration::from_nanos(u64::try_from(metadata.ctime_nsec()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// Files of this time and older were there before.
    async fn begun(tree: &Path, limit: u64) -> WriteQuota {
        tokio::time::sleep(GRAIN * 5).await;
        WriteQuota::start(tree, limit)
    }

    fn sparse(path: &Path, bytes: u64) {
        std::fs::File::create(path).unwrap().set_len(bytes).unwrap();
    }

    #[tokio::test]
    async fn what_was_there_before_does_not_count_and_the_limit_is_the_last_byte_that_may_be() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tree.path().join("deep/er")).unwrap();
        sparse(&tree.path().join("before"), 1 << 40);
        let growth = begun(tree.path(), 1 << 20).await;
        assert_eq!(growth.scan().await, Ok(()));
        sparse(&tree.path().join("deep/er/holes"), 1 << 20);
        symlink("/usr", tree.path().join("elsewhere")).unwrap();
        assert_eq!(
            growth.scan().await,
            Ok(()),
            "what a link leads to is not ours"
        );
        sparse(&tree.path().join("one more"), 1);
        let failure = growth.scan().await.unwrap_err();
        assert_eq!(
            (
                failure.code,
                failure.message.contains("1048577 bytes or more")
            ),
            (Code::FileTooBig, true),
            "{}",
            failure.message
        );
        assert_eq!(
            WriteQuota::start(tree.path(), 0).scan().await,
            Ok(()),
            "without a limit"
        );
    }

    #[tokio::test]
    async fn a_file_of_before_counts_when_it_grows_and_so_do_names_that_are_no_text() {
        use std::os::unix::ffi::OsStrExt;
        let tree = tempfile::tempdir().unwrap();
        let odd = tree.path().join(std::ffi::OsStr::from_bytes(b"\xff\xfe"));
        std::fs::create_dir(&odd).unwrap();
        sparse(&odd.join("f"), 10);
        let growth = begun(tree.path(), 100).await;
        assert_eq!(growth.scan().await, Ok(()));
        sparse(&odd.join("f"), 101);
        assert_eq!(growth.scan().await.unwrap_err().code, Code::FileTooBig);
    }

    #[tokio::test]
    async fn folders_for_temporary_files_count_while_they_are_there() {
        let (tree, temp) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let growth = begun(tree.path(), 100_000).await;
        growth.add_folder(temp.path());
        sparse(&tree.path().join("a"), 60_000);
        assert_eq!(growth.scan().await, Ok(()));
        sparse(&temp.path().join("b"), 60_000);
        assert_eq!(growth.scan().await.unwrap_err().code, Code::FileTooBig);
        temp.close().unwrap();
        assert_eq!(growth.scan().await, Ok(()));
    }

    #[tokio::test]
    async fn folders_without_end_are_too_much_and_cost_little() {
        let tree = tempfile::tempdir().unwrap();
        let growth = begun(tree.path(), 1 << 20).await;
        let deep: PathBuf = std::iter::repeat_n("d", MOST_DEPTH).collect();
        std::fs::create_dir_all(tree.path().join(&deep)).unwrap();
        assert_eq!(growth.scan().await, Ok(()));
        std::fs::create_dir(tree.path().join(&deep).join("d")).unwrap();
        assert!(
            growth
                .scan()
                .await
                .unwrap_err()
                .message
                .contains("deeper than 100")
        );
    }

    #[tokio::test]
    async fn what_our_tools_write_is_counted_without_a_look() {
        let growth = WriteQuota::start(Path::new("/nowhere"), 100);
        growth.add_written(100);
        assert!(
            tokio::time::timeout(Duration::from_millis(20), growth.exceeded(false))
                .await
                .is_err()
        );
        growth.add_written(1);
        assert_eq!(growth.exceeded(false).await.code, Code::FileTooBig);
    }
}
