//! Integrity checkpoint: a small file outside the database that records where the journals ended.
//!
//! A database that was restored from a copy, or that lost its write-ahead log, is consistent in
//! itself; nothing inside it shows the loss. The host therefore records the ends of the most
//! recently changed journals in a file in the state directory: at startup, at most once a second
//! while facts are stored, and at shutdown. It records only committed data, so the checkpoint is
//! never ahead of the database. At the next start, the database must contain each recorded event
//! with the same chain link. If it does not, the operator is notified, the old checkpoint is kept
//! aside, and work continues: what was stored after the copy is lost, and only a person knows
//! whether that was meant.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::engine::api::EngineSignal;
use crate::engine::blocking::blocking;
use crate::engine::paths::InstallPaths;
use crate::model::error::{Failure, Result};
use crate::model::id::RunId;
use crate::model::time::Timestamp;
use crate::store::failpoint::Step;
use crate::store::journal::chain;
use crate::store::journal::chain::ChainEnd;
use crate::store::{Reader, identity};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// Minimum time between two checkpoints.
const INTERVAL: Duration = Duration::from_secs(1);
/// Number of journals in a checkpoint, most recently changed ones.
const ENDS_KEPT: usize = 512;
/// Overlap of consecutive queries: rows carry a time before their commit.
const OVERLAP_MS: i64 = 60_000;

/// Ends of journals, as stored in the checkpoint file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntegrityCheckpoint {
    /// Identity of the database.
    pub database: String,
    /// When the checkpoint was written.
    pub at: Timestamp,
    /// Ends of the journals, the most recently changed one last.
    pub ends: Vec<ChainEnd>,
}

/// Returns the path of the checkpoint file.
#[must_use]
pub fn checkpoint_file(paths: &InstallPaths) -> PathBuf {
    paths.state.join("anchor.json")
}

/// Returns the checkpoints that did not match the database and were kept aside, oldest first.
///
/// # Errors
/// `io_failed` if the state directory cannot be read.
pub fn mismatched_checkpoints(paths: &InstallPaths) -> Result<Vec<PathBuf>> {
    let io = |e: std::io::Error| Failure::io(format!("cannot read {}", paths.state.display()), &e);
    let mut found = Vec::new();
    if paths.state.exists() {
        for entry in std::fs::read_dir(&paths.state).map_err(io)? {
            let path = entry.map_err(io)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("anchor-not-met-") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Reads the last checkpoint; `None` if there is none.
///
/// # Errors
/// `io_failed`; `db_corrupt` if the file is not a checkpoint.
pub fn read(paths: &InstallPaths) -> Result<Option<IntegrityCheckpoint>> {
    let path = checkpoint_file(paths);
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| {
            crate::store::error::corrupt(format!(
                "{} is not a valid checkpoint: {e}",
                path.display()
            ))
            .hint("move that file away; the next start writes a new one from the current database")
        }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Failure::io(format!("cannot read {}", path.display()), &e)),
    }
}

/// Returns a message for each recorded event that the database does not contain; empty if they
/// match.
///
/// # Errors
/// Errors of the database.
pub fn missing_events(reader: &Reader, anchor: &IntegrityCheckpoint) -> Result<Vec<String>> {
    let conn = reader.connection();
    let here = identity(conn)?;
    if here != anchor.database {
        return Ok(vec![format!(
            "this is database {here}; the checkpoint belongs to database {}",
            anchor.database
        )]);
    }
    let mut problems = Vec::new();
    for end in &anchor.ends {
        match chain::link_of(conn, end.run_id, end.seq)? {
            Some(link) if link == end.link => {}
            Some(_) => problems.push(format!(
                "event {} of run {} differs from the one that was stored",
                end.seq, end.run_id
            )),
            None => problems.push(format!(
                "run {} had {} events, and the last of them are missing",
                end.run_id, end.seq
            )),
        }
    }
    Ok(problems)
}

/// Compares the database with the checkpoint at startup. Returns messages for the operator; in that
/// case the old checkpoint has been kept aside.
///
/// # Errors
/// Errors of the database; `io_failed` if the old checkpoint cannot be kept.
pub fn check(paths: &InstallPaths, reader: &Reader) -> Result<Vec<String>> {
    let missing = match read(paths) {
        Ok(None) => return Ok(Vec::new()),
        Ok(Some(anchor)) => missing_events(reader, &anchor)?,
        Err(failure) => vec![failure.message],
    };
    if missing.is_empty() {
        return Ok(missing);
    }
    let aside = paths
        .state
        .join(format!("anchor-not-met-{}.json", Timestamp::now().0));
    // Moved aside first: the next write would replace the only evidence.
    let moved = Step::Anchor.around(|| std::fs::rename(checkpoint_file(paths), &aside));
    moved.map_err(|e| {
        Failure::io(
            format!("cannot keep the old checkpoint as {}", aside.display()),
            &e,
        )
    })?;
    let mut notice = vec!["the database is older than the data stored in it, or a different one: was it restored from a copy?".to_owned()];
    notice.extend(missing);
    notice.push(format!(
        "continuing with the current database; the previous checkpoint is in {}",
        aside.display()
    ));
    Ok(notice)
}

/// Writes the checkpoint as the database changes.
pub struct CheckpointWriter {
    paths: InstallPaths,
    reader: Reader,
    known: BTreeMap<RunId, (Timestamp, ChainEnd)>,
    since: Timestamp,
    version: Option<i64>,
}

impl CheckpointWriter {
    /// Creates a writer with its own database connection.
    ///
    /// # Errors
    /// Errors of opening the database.
    pub fn new(paths: &InstallPaths) -> Result<Self> {
        let reader = Reader::open(&paths.database())?;
        Ok(Self {
            paths: paths.clone(),
            reader,
            known: BTreeMap::new(),
            since: Timestamp(i64::MIN),
            version: None,
        })
    }

    /// Writes checkpoints until cancelled, and sleeps while nothing is stored. A failed write is
    /// logged and retried.
    pub async fn run(self, mut news: broadcast::Receiver<EngineSignal>) {
        let mut keeper = self;
        loop {
            // Events signalled so far were committed before, so the query below sees them.
            while matches!(news.try_recv(), Ok(_) | Err(TryRecvError::Lagged(_))) {}
            let kept = blocking(move || {
                let written = keeper.write_if_changed();
                Ok((keeper, written))
            });
            let written = match kept.await {
                Ok((back, written)) => {
                    keeper = back;
                    written
                }
                Err(failure) => {
                    return tracing::error!(%failure, "integrity checkpoints are no longer written");
                }
            };
            tokio::time::sleep(INTERVAL).await;
            match written {
                Ok(()) => wait_for_event(&mut news).await,
                Err(failure) => {
                    tracing::warn!(%failure, "could not write the integrity checkpoint")
                }
            }
        }
    }

    /// Writes the checkpoint if anything was stored since the last call.
    ///
    /// # Errors
    /// Errors of reading the database and writing the file.
    pub fn write_if_changed(&mut self) -> Result<()> {
        // The version is read first: a commit in between then causes one more write.
        let version = self.reader.data_version()?;
        let looked = Timestamp::now();
        if self.version == Some(version) {
            return Ok(());
        }
        for end in chain::ends(
            self.reader.connection(),
            self.since,
            u32::try_from(ENDS_KEPT).unwrap_or(u32::MAX),
        )? {
            self.known.insert(end.run_id, (looked, end));
        }
        let mut ends: Vec<_> = self.known.values().cloned().collect();
        ends.sort_by_key(|(moved, end)| (*moved, end.run_id));
        let ends: Vec<ChainEnd> = ends
            .split_off(ends.len().saturating_sub(ENDS_KEPT))
            .into_iter()
            .map(|(_, end)| end)
            .collect();
        self.known
            .retain(|run, _| ends.iter().any(|end| end.run_id == *run));
        write(
            &self.paths,
            &IntegrityCheckpoint {
                database: identity(self.reader.connection())?,
                at: looked,
                ends,
            },
        )?;
        self.version = Some(version);
        self.since = Timestamp(looked.0 - OVERLAP_MS);
        Ok(())
    }
}

/// Waits until an event was stored, or may have been.
async fn wait_for_event(news: &mut broadcast::Receiver<EngineSignal>) {
    loop {
        match news.recv().await {
            Ok(EngineSignal::Event(_)) | Err(RecvError::Lagged(_)) => return,
            Ok(_) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

fn write(paths: &InstallPaths, anchor: &IntegrityCheckpoint) -> Result<()> {
    let path = checkpoint_file(paths);
    let text = serde_json::to_string(anchor).map_err(Failure::internal)?;
    Step::Anchor.before();
    write_atomically(&paths.state, &path, text.as_bytes())
        .map_err(|e| Failure::io(format!("cannot write {}", path.display()), &e))?;
    Step::Anchor.after();
    Ok(())
}

fn write_atomically(folder: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    // The temporary file is created with mode 0600 and keeps it when renamed.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    Step::Anchor.around(|| file.as_file().sync_all())?;
    file.persist(path)?;
    std::fs::File::open(folder)?.sync_all()
}
