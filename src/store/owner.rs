//! The one thread that writes.
//!
//! Jobs arrive on a bounded channel. Whatever is queued shares one `BEGIN IMMEDIATE … COMMIT`, each
//! job in a savepoint of its own, and nobody is answered before COMMIT returned: one disk flush
//! serves many. A job that fails or panics undoes itself alone. Where SQLite has already undone the
//! whole transaction (a full disk), every job of the group is told so, and later jobs begin afresh.
//! After a failure that leaves the file in doubt (a failed flush, damage) nothing more is written:
//! the next start repairs from what is on disk.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::reader::Reader;
use super::{error, open, retry};
use crate::model::error::{Failure, Result};

/// Jobs that may wait before senders do.
const QUEUE: usize = 1024;

/// The most jobs that share a commit, so that the first one's answer is not put off without end.
const GROUP: usize = 256;

/// A job with its types taken off. Without a transaction it is not run, only answered.
type Work = Box<dyn FnOnce(Option<&Transaction<'_>>) -> Done + Send>;

/// A job that has been run and waits for its group's fate.
struct Done {
    failure: Option<Failure>,
    reply: Box<dyn FnOnce(Result<()>) + Send>,
}

enum Message {
    Job(Work),
    Close(oneshot::Sender<Result<()>>),
}

/// The way to the writer. Cheap to clone; the thread ends with the last clone.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    jobs: Mutex<Option<mpsc::Sender<Message>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Store {
    /// Opens the database, makes it when there is none yet, and migrates it.
    ///
    /// # Errors
    /// `db_corrupt`, `db_newer_schema` (no byte is changed), `db_locked`, `disk_full`, `io_failed`.
    pub fn open(path: &Path) -> Result<Self> {
        let conn = open::writer(path)?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || serve(conn, queue))
            .map_err(|e| Failure::io("cannot start the store's thread", &e))?;
        let shared = Shared { path: path.to_path_buf(), jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread)) };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Runs `job` in the next transaction and returns when that is on disk. A job's error undoes that
    /// job alone. When the future is dropped the job is done all the same.
    ///
    /// # Errors
    /// The job's own; what the database says; `internal` when the job panicked or the store is closed.
    pub async fn write<T, F>(&self, job: F) -> Result<T>
    where
        F: FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let (work, answer) = wrap(job);
        self.sender()?.send(Message::Job(work)).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// As [`write`](Self::write), for threads outside an async runtime.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_blocking<T, F>(&self, job: F) -> Result<T>
    where
        F: FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let (work, answer) = wrap(job);
        self.sender()?.blocking_send(Message::Job(work)).map_err(|_| closed())?;
        answer.blocking_recv().map_err(|_| closed())?
    }

    /// A reader of this database.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn reader(&self) -> Result<Reader> {
        Reader::open(&self.shared.path)
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Finishes what is queued, folds the log into the database file, and ends the thread. Closing
    /// twice is harmless.
    ///
    /// # Errors
    /// What the database says; everything acknowledged is on disk all the same.
    pub async fn close(&self) -> Result<()> {
        let Ok(jobs) = self.sender() else { return Ok(()) };
        let (reply, answer) = oneshot::channel();
        if jobs.send(Message::Close(reply)).await.is_err() {
            return Ok(());
        }
        let closed = answer.await.unwrap_or(Ok(()));
        self.shared.end();
        closed
    }

    fn sender(&self) -> Result<mpsc::Sender<Message>> {
        self.shared.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(closed)
    }
}

impl Shared {
    /// Lets go of the queue and waits for the thread, unless this is the thread.
    fn end(&self) {
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != std::thread::current().id()) {
            let _ended = thread.join();
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.end();
    }
}

/// Takes the types off a job. The answer is kept until the group's fate is known.
fn wrap<T, F>(job: F) -> (Work, oneshot::Receiver<Result<T>>)
where
    F: FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    T: Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    let work: Work = Box::new(move |tx| {
        let outcome = tx.map_or_else(|| Err(closed()), |tx| in_savepoint(tx, job));
        let failure = outcome.as_ref().err().cloned();
        // Whoever asked may be gone; what was stored stays stored.
        let answer = move |fate: Result<()>| drop(reply.send(fate.and(outcome)));
        Done { failure, reply: Box::new(answer) }
    });
    (work, answer)
}

fn in_savepoint<T>(tx: &Transaction<'_>, job: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
    tx.execute_batch("SAVEPOINT job")?;
    let outcome = catch_unwind(AssertUnwindSafe(|| job(tx))).unwrap_or_else(|panic| Err(panicked(panic.as_ref())));
    // A full disk makes SQLite undo everything by itself; there is no savepoint to go back to then.
    if tx.is_autocommit() {
        return outcome;
    }
    match outcome {
        Ok(value) => {
            tx.execute_batch("RELEASE job")?;
            Ok(value)
        }
        Err(failure) => {
            tx.execute_batch("ROLLBACK TO job; RELEASE job")?;
            Err(failure)
        }
    }
}

fn serve(conn: Connection, mut queue: mpsc::Receiver<Message>) {
    let mut owner = Owner { conn, doubt: None };
    let mut closing = Vec::new();
    while let Some(first) = queue.blocking_recv() {
        let mut group = Vec::new();
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Job(work) => group.push(work),
                Message::Close(reply) => {
                    queue.close();
                    closing.push(reply);
                }
            }
            next = if group.len() < GROUP { queue.try_recv().ok() } else { None };
        }
        owner.commit_together(group);
    }
    let mut ended = owner.end();
    for reply in closing {
        let _gone = reply.send(std::mem::replace(&mut ended, Ok(())));
    }
}

struct Owner {
    conn: Connection,
    doubt: Option<Failure>,
}

impl Owner {
    fn commit_together(&mut self, group: Vec<Work>) {
        let mut waiting = group.into_iter().peekable();
        while waiting.peek().is_some() {
            let mut done = Vec::new();
            let fate = self.transaction(&mut waiting, &mut done);
            // Where no transaction could begin no job was run, and each learns why.
            if done.is_empty() {
                done.extend(waiting.by_ref().map(|work| work(None)));
            }
            for job in done {
                (job.reply)(fate.clone());
            }
        }
    }

    /// Runs jobs until none waits or SQLite has given the transaction up.
    fn transaction(&mut self, waiting: &mut impl Iterator<Item = Work>, done: &mut Vec<Done>) -> Result<()> {
        if let Some(doubt) = &self.doubt {
            return Err(doubt.clone());
        }
        let tx = retry::transient(|| Transaction::new_unchecked(&self.conn, TransactionBehavior::Immediate))?;
        for work in waiting.by_ref() {
            let job = work(Some(&tx));
            let failure = job.failure.clone();
            done.push(job);
            if tx.is_autocommit() {
                return Err(failure.unwrap_or_else(|| Failure::internal("a job of the store ended the transaction of its group")));
            }
        }
        match retry::transient(|| tx.execute_batch("COMMIT")) {
            Ok(()) => Ok(()),
            Err(e) => {
                let in_doubt = error::is_damage(&e);
                let failure = Failure::from(e);
                if in_doubt {
                    self.doubt = Some(failure.clone());
                }
                Err(failure)
            }
        }
    }

    fn end(self) -> Result<()> {
        if let Some(doubt) = self.doubt {
            return Err(doubt);
        }
        // A reader may hold the log open for a moment; what is left in it is folded in at the next start.
        self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        self.conn.close().map_err(|(_, e)| Failure::from(e))
    }
}

fn closed() -> Failure {
    Failure::internal("the store is closed").hint("start phasedeck again; everything acknowledged is there")
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Failure {
    let words = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Failure::internal(format!("a job of the store panicked: {}", words.unwrap_or("without words")))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;
    use crate::model::error::Code;
    use crate::model::hash::ContentHash;
    use crate::model::time::Timestamp;
    use crate::store::{consents, file};

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("data/phasedeck.db")).unwrap();
        (dir, store)
    }

    fn agree(tx: &Transaction<'_>, name: &str) -> Result<()> {
        consents::give(tx, name, &ContentHash::of(name.as_bytes()), "kim", Timestamp(1))
    }

    fn agreed(reader: &Reader) -> usize {
        consents::all(reader.connection()).unwrap().len()
    }

    /// Queues a job without waiting for it.
    fn queue<T: Send + 'static>(
        store: &Store,
        job: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> oneshot::Receiver<Result<T>> {
        let (work, answer) = wrap(job);
        assert!(store.sender().unwrap().blocking_send(Message::Job(work)).is_ok());
        answer
    }

    /// Holds the thread in a job until told to go on, so that what is queued meanwhile shares a commit.
    fn hold(store: &Store) -> (Receiver<()>, Sender<()>) {
        let ((entered, inside), (release, go)) = (channel(), channel::<()>());
        let _answer = queue(store, move |_| {
            entered.send(()).unwrap();
            go.recv().unwrap();
            Ok(())
        });
        inside.recv().unwrap();
        (inside, release)
    }

    #[test]
    fn nobody_is_answered_before_the_commit_that_holds_their_job() {
        let (_dir, store) = store();
        let reader = store.reader().unwrap();
        let (_inside, release) = hold(&store);
        let mut first = queue(&store, |tx| agree(tx, "first"));
        let ((entered, inside), (end, go)) = (channel(), channel::<()>());
        let second = queue(&store, move |tx| {
            agree(tx, "second")?;
            entered.send(()).unwrap();
            go.recv().unwrap();
            Ok(())
        });
        release.send(()).unwrap();
        inside.recv().unwrap();
        assert!(first.try_recv().is_err(), "the first job has run, but its commit has not");
        assert_eq!(agreed(&reader), 0);
        end.send(()).unwrap();
        first.blocking_recv().unwrap().unwrap();
        assert_eq!(agreed(&reader), 2);
        second.blocking_recv().unwrap().unwrap();
    }

    #[test]
    fn every_acknowledged_write_is_seen_by_a_second_connection_at_once() {
        let (_dir, store) = store();
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let store = store.clone();
                std::thread::spawn(move || {
                    let reader = store.reader().unwrap();
                    for n in 0..25 {
                        let name = format!("{writer}-{n}");
                        let hash = ContentHash::of(name.as_bytes());
                        store.write_blocking(move |tx| agree(tx, &name)).unwrap();
                        assert!(consents::all(reader.connection()).unwrap().contains(&hash));
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        assert_eq!(agreed(&store.reader().unwrap()), 100);
    }

    #[test]
    fn a_job_that_fails_or_panics_undoes_itself_alone() {
        let (_dir, store) = store();
        let (_inside, release) = hold(&store);
        let before = queue(&store, |tx| agree(tx, "before"));
        let failing = queue(&store, |tx| agree(tx, "failing").and(Err::<(), _>(Failure::new(Code::GitFailed, "no"))));
        let panicking = queue(&store, |tx| -> Result<()> {
            agree(tx, "panicking")?;
            panic!("on purpose")
        });
        let after = queue(&store, |tx| agree(tx, "after"));
        release.send(()).unwrap();
        before.blocking_recv().unwrap().unwrap();
        assert_eq!(failing.blocking_recv().unwrap().unwrap_err().code, Code::GitFailed);
        let panicked = panicking.blocking_recv().unwrap().unwrap_err();
        assert_eq!(panicked.code, Code::Internal);
        assert!(panicked.message.contains("on purpose"), "{panicked}");
        after.blocking_recv().unwrap().unwrap();
        let want: std::collections::BTreeSet<_> = ["before", "after"].map(|name| ContentHash::of(name.as_bytes())).into();
        assert_eq!(consents::all(store.reader().unwrap().connection()).unwrap(), want);
    }

    #[test]
    fn a_full_disk_is_named_acknowledges_nothing_of_its_group_and_passes() {
        let (_dir, store) = store();
        store.write_blocking(|tx| agree(tx, "kept")).unwrap();
        store
            .write_blocking(|tx| {
                let pages: i64 = tx.pragma_query_value(None, "page_count", |row| row.get(0))?;
                Ok(tx.pragma_update_and_check(None, "max_page_count", pages + 2, |_| Ok(()))?)
            })
            .unwrap();
        let (_inside, release) = hold(&store);
        let before = queue(&store, |tx| agree(tx, "before"));
        let large = queue(&store, |tx| consents::give(tx, &"x".repeat(1_000_000), &ContentHash::of(b"large"), "kim", Timestamp(1)));
        let after = queue(&store, |tx| agree(tx, "after"));
        release.send(()).unwrap();
        assert_eq!(large.blocking_recv().unwrap().unwrap_err().code, Code::DiskFull);
        let acknowledged = [("before", before), ("after", after)].map(|(name, answer)| (name, answer.blocking_recv().unwrap().is_ok()));
        let there = consents::all(store.reader().unwrap().connection()).unwrap();
        assert!(there.contains(&ContentHash::of(b"kept")));
        for (name, told) in acknowledged {
            assert_eq!(there.contains(&ContentHash::of(name.as_bytes())), told, "{name}");
        }
        assert!(acknowledged[1].1, "a job after the full one begins afresh");
        store.write_blocking(|tx| Ok(tx.pragma_update_and_check(None, "max_page_count", 1_000_000, |_| Ok(()))?)).unwrap();
        store.write_blocking(|tx| agree(tx, "later")).unwrap();
    }

    #[test]
    fn a_job_that_ends_the_transaction_of_its_group_is_not_acknowledged() {
        let (_dir, store) = store();
        let ended = store.write_blocking(|tx| Ok(tx.execute_batch("ROLLBACK")?)).unwrap_err();
        assert_eq!(ended.code, Code::Internal);
        store.write_blocking(|tx| agree(tx, "later")).unwrap();
    }

    #[test]
    fn a_lock_of_another_process_is_waited_for() {
        let (_dir, store) = store();
        let other = Connection::open(store.path()).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let answer = queue(&store, |tx| agree(tx, "patient"));
        other.execute_batch("COMMIT").unwrap();
        answer.blocking_recv().unwrap().unwrap();
        assert_eq!(agreed(&store.reader().unwrap()), 1);
    }

    #[tokio::test]
    async fn closing_finishes_what_is_queued_and_folds_the_log_in() {
        let (_dir, store) = store();
        let writes: Vec<_> = (0..20)
            .map(|n| {
                let store = store.clone();
                tokio::spawn(async move { store.write(move |tx| agree(tx, &n.to_string())).await })
            })
            .collect();
        for write in writes {
            write.await.unwrap().unwrap();
        }
        store.close().await.unwrap();
        store.close().await.unwrap();
        assert_eq!(store.write(|tx| agree(tx, "late")).await.unwrap_err().code, Code::Internal);
        assert!(!store.path().with_extension("db-wal").exists());
        assert_eq!(agreed(&store.reader().unwrap()), 20);
    }

    #[test]
    fn the_last_handle_ends_the_thread_and_closes_the_database() {
        let (_dir, store) = store();
        let path = store.path().to_path_buf();
        let clone = store.clone();
        drop(store);
        clone.write_blocking(|tx| agree(tx, "kept")).unwrap();
        drop(clone);
        assert!(!path.with_extension("db-wal").exists(), "the last connection takes the log with it");
        assert_eq!(agreed(&Reader::open(&path).unwrap()), 1);
    }

    #[test]
    fn a_handle_may_be_dropped_by_its_own_job() {
        let (_dir, store) = store();
        let (last, path) = (store.clone(), store.path().to_path_buf());
        let answer = queue(&store, move |tx| agree(tx, "last").map(|()| drop(last)));
        drop(store);
        answer.blocking_recv().unwrap().unwrap();
        assert_eq!(agreed(&Reader::open(&path).unwrap()), 1);
    }

    #[test]
    fn a_store_in_doubt_writes_nothing_more() {
        let (_dir, store) = store();
        let conn = open::writer(store.path()).unwrap();
        let mut owner = Owner { conn, doubt: Some(error::corrupt("a flush failed")) };
        let (work, answer) = wrap(|tx| agree(tx, "never"));
        owner.commit_together(vec![work]);
        assert_eq!(answer.blocking_recv().unwrap().unwrap_err().code, Code::DbCorrupt);
        assert_eq!(agreed(&store.reader().unwrap()), 0);
        assert_eq!(owner.end().unwrap_err().code, Code::DbCorrupt);
    }

    #[cfg(unix)]
    #[test]
    fn everything_is_readable_by_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let (_dir, store) = store();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(store.path().parent().unwrap()), 0o700);
        for path in [store.path().to_path_buf(), store.path().with_extension("db-wal"), file::marker(store.path())] {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    }
}
