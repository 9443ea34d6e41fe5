//! What vouches for the database from outside of it: a small file that says where the journals ended.
//!
//! A database that was put back from a copy, or that lost its log, is whole in itself; nothing inside
//! it tells. So the host notes the ends of the journals that moved last in a file in the state folder,
//! at start-up, every second in which something was stored, and at the end. It reads what is committed
//! and nothing else, so the anchor is never ahead of the database. At the next start each end must be
//! found in the database with the same link. Where one is not, the operator is told, the old anchor is
//! kept aside, and work goes on: what happened after the copy was made is lost, and only a person knows
//! whether that was meant.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::api::Signal;
use super::blocking::blocking;
use super::paths::Paths;
use crate::model::error::{Failure, Result};
use crate::model::id::RunId;
use crate::model::time::Timestamp;
use crate::store::chain::{self, End};
use crate::store::failpoint::Step;
use crate::store::{Reader, identity};

/// The least time between two anchors.
const INTERVAL: Duration = Duration::from_secs(1);
/// Journals that an anchor remembers: those that moved last.
const ENDS_KEPT: usize = 512;
/// How far a look reaches back behind the last one: rows carry the moment before their commit.
const OVERLAP_MS: i64 = 60_000;

/// Where journals ended, as the file keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The database's identity.
    pub database: String,
    /// When it was written.
    pub at: Timestamp,
    /// The ends, those that moved last at the end.
    pub ends: Vec<End>,
}

/// The anchor's file.
#[must_use]
pub fn file(paths: &Paths) -> PathBuf {
    paths.state.join("anchor.json")
}

/// The anchors that did not fit the database and were kept aside, oldest first.
///
/// # Errors
/// `io_failed` when the state folder cannot be read.
pub fn kept_aside(paths: &Paths) -> Result<Vec<PathBuf>> {
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

/// The last anchor; `None` where there is none.
///
/// # Errors
/// `io_failed`; `db_corrupt` when the file is no anchor.
pub fn read(paths: &Paths) -> Result<Option<Anchor>> {
    let path = file(paths);
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| {
            crate::store::error::corrupt(format!("{} is no anchor: {e}", path.display())).hint(
                "move that file away; the next start writes a new one from the database as it is",
            )
        }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Failure::io(format!("cannot read {}", path.display()), &e)),
    }
}

/// Everything that the anchor knows and the database does not, in words; empty where they agree.
///
/// # Errors
/// What the database says.
pub fn missing(reader: &Reader, anchor: &Anchor) -> Result<Vec<String>> {
    let conn = reader.connection();
    let here = identity(conn)?;
    if here != anchor.database {
        return Ok(vec![format!(
            "this is database {here}; the anchor belongs to database {}",
            anchor.database
        )]);
    }
    let mut words = Vec::new();
    for end in &anchor.ends {
        match chain::link_of(conn, end.run_id, end.seq)? {
            Some(link) if link == end.link => {}
            Some(_) => words.push(format!(
                "run {} has another event {} than was stored",
                end.run_id, end.seq
            )),
            None => words.push(format!(
                "run {} had {} events, and no longer has the last of them",
                end.run_id, end.seq
            )),
        }
    }
    Ok(words)
}

/// Holds the database against the anchor at start-up. What is said here is for the operator; the old
/// anchor is kept aside then.
///
/// # Errors
/// What the database says, and `io_failed` when the old anchor cannot be kept.
pub fn check(paths: &Paths, reader: &Reader) -> Result<Vec<String>> {
    let missing = match read(paths) {
        Ok(None) => return Ok(Vec::new()),
        Ok(Some(anchor)) => missing(reader, &anchor)?,
        Err(failure) => vec![failure.message],
    };
    if missing.is_empty() {
        return Ok(missing);
    }
    let aside = paths
        .state
        .join(format!("anchor-not-met-{}.json", Timestamp::now().0));
    let moved = Step::Anchor.around(|| std::fs::rename(file(paths), &aside));
    moved.map_err(|e| {
        Failure::io(
            format!("cannot keep the old anchor as {}", aside.display()),
            &e,
        )
    })?;
    let mut words = vec!["the database is older than what was stored in it, or another one: was it put back from a copy?".to_owned()];
    words.extend(missing);
    words.push(format!(
        "going on with what is there; what was known before is in {}",
        aside.display()
    ));
    Ok(words)
}

/// Follows the database with the anchor.
pub struct Keeper {
    paths: Paths,
    reader: Reader,
    known: BTreeMap<RunId, (Timestamp, End)>,
    since: Timestamp,
    version: Option<i64>,
}

impl Keeper {
    /// A keeper with a reader of its own.
    ///
    /// # Errors
    /// What opening the database says.
    pub fn new(paths: &Paths) -> Result<Self> {
        let reader = Reader::open(&paths.database())?;
        Ok(Self {
            paths: paths.clone(),
            reader,
            known: BTreeMap::new(),
            since: Timestamp(i64::MIN),
            version: None,
        })
    }

    /// Follows the news for ever; without any it sleeps. An anchor that cannot be written is told in the
    /// log, and tried again.
    pub async fn run(self, mut news: broadcast::Receiver<Signal>) {
        let mut keeper = self;
        loop {
            // What was told by now was committed before, and is seen by this look.
            while matches!(news.try_recv(), Ok(_) | Err(TryRecvError::Lagged(_))) {}
            let kept = blocking(move || {
                let written = keeper.keep();
                Ok((keeper, written))
            });
            let written = match kept.await {
                Ok((back, written)) => {
                    keeper = back;
                    written
                }
                Err(failure) => {
                    return tracing::error!(%failure, "nobody keeps the anchor any more");
                }
            };
            tokio::time::sleep(INTERVAL).await;
            match written {
                Ok(()) => a_fact(&mut news).await,
                Err(failure) => tracing::warn!(%failure, "the anchor is behind the database"),
            }
        }
    }

    /// Writes the anchor where something was stored since the last look.
    ///
    /// # Errors
    /// What reading the database and writing the file says.
    pub fn keep(&mut self) -> Result<()> {
        // The version first: what is committed in between is seen at the next look too.
        let (version, looked) = (self.reader.data_version()?, Timestamp::now());
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
        let ends: Vec<End> = ends
            .split_off(ends.len().saturating_sub(ENDS_KEPT))
            .into_iter()
            .map(|(_, end)| end)
            .collect();
        self.known
            .retain(|run, _| ends.iter().any(|end| end.run_id == *run));
        write(
            &self.paths,
            &Anchor {
                database: identity(self.reader.connection())?,
                at: looked,
                ends,
            },
        )?;
        (self.version, self.since) = (Some(version), Timestamp(looked.0 - OVERLAP_MS));
        Ok(())
    }
}

/// Waits until a fact was stored, or may have been.
async fn a_fact(news: &mut broadcast::Receiver<Signal>) {
    loop {
        match news.recv().await {
            Ok(Signal::Event(_)) | Err(RecvError::Lagged(_)) => return,
            Ok(_) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

fn write(paths: &Paths, anchor: &Anchor) -> Result<()> {
    let path = file(paths);
    let text = serde_json::to_string(anchor).map_err(Failure::internal)?;
    Step::Anchor.before();
    replace(&paths.state, &path, text.as_bytes())
        .map_err(|e| Failure::io(format!("cannot write {}", path.display()), &e))?;
    Step::Anchor.after();
    Ok(())
}

fn replace(folder: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    // A temporary file is made for its owner alone, and stays so when it is renamed.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    Step::Anchor.around(|| file.as_file().sync_all())?;
    file.persist(path)?;
    std::fs::File::open(folder)?.sync_all()
}
