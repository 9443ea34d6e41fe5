//! The writer thread of the store.
//!
//! Jobs arrive on a bounded channel. Queued jobs share one `BEGIN IMMEDIATE … COMMIT`, each in a
//! savepoint of its own. No job is acknowledged before COMMIT has returned, and one disk flush
//! serves many jobs. A job that fails or panics rolls back alone. If SQLite has rolled back the
//! whole transaction (a full disk), every job of the group fails and later jobs start a new one.
//! After an error that leaves the state on disk unknown (a failed flush, corruption, a panic of
//! this thread), nothing more is written, and the next start recovers from what is on disk. Nothing
//! is written either once another host has taken over: each transaction of a host first checks its
//! host epoch ([`fence`](super::fence)).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::open;
use crate::model::error::{Code, Failure, Result};
use crate::store::error;
use crate::store::failpoint;
use crate::store::failpoint::Step;
use crate::store::failpoint::planted;
use crate::store::failpoint::planted::Bug;
use crate::store::journal::segments::SegmentBacklog;
use crate::store::reader::Reader;
use crate::store::writer::busy_retry;
use crate::store::writer::host_epoch;
use crate::store::writer::host_epoch::{FencingToken, HostIdentity};
use crate::store::writer::write_job::{FinishedJob, WriteJob, closed, panic_message, wrap};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot, watch};

/// Capacity of the job queue; senders wait while it is full.
const QUEUE_CAPACITY: usize = 1024;

/// Maximum number of jobs per commit. It bounds the latency of the first job.
const MAX_GROUP_JOBS: usize = 256;

/// Time to wait for the senders of the previous group: shorter than the flush that it saves.
const GROUP_WAIT: Duration = Duration::from_micros(200);

/// Size of the reader pool. Opening a reader costs more than most reads; each has a page cache, and
/// more readers than cores do not help.
const MAX_POOLED_READERS: usize = 4;

/// Time to wait for a pooled reader before opening another: much longer than a read takes.
const READER_WAIT: Duration = Duration::from_millis(50);

/// Segments built per transaction while the queue is empty: a few milliseconds of work.
const BACKLOG_STEPS: usize = 4;

enum WriterMsg {
    Job(WriteJob),
    Close(oneshot::Sender<Result<()>>),
}

/// Handle of the writer thread. Cheap to clone; the thread exits with the last clone.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<StoreShared>,
}

#[derive(Debug)]
struct StoreShared {
    path: PathBuf,
    jobs: Mutex<Option<mpsc::Sender<WriterMsg>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    readers: Mutex<ReaderPool>,
    returned: Condvar,
    claimed: Option<FencingToken>,
    /// Why the store has stopped writing, if it has.
    stopped: watch::Receiver<Option<Failure>>,
    blocked: watch::Receiver<bool>,
}

#[derive(Debug, Default)]
struct ReaderPool {
    free: Vec<Reader>,
    /// Number of open readers, including those in use.
    open: usize,
}

impl Store {
    /// Opens the database, creates it if it does not exist, and migrates it.
    ///
    /// # Errors
    /// `db_corrupt`, `db_newer_schema` (no byte is changed), `db_locked`, `disk_full`, `io_failed`.
    pub fn open(path: &Path) -> Result<Self> {
        Self::spawn_writer(open::writer(path)?, path, None)
    }

    /// Like [`open`](Self::open), and advances the host epoch: previous hosts can no longer write, and
    /// this one cannot once another host has taken over.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_as_host(path: &Path, who: HostIdentity) -> Result<Self> {
        let conn = open::writer(path)?;
        let claimed = host_epoch::advance_epoch(&conn, who)?;
        Self::spawn_writer(conn, path, Some(claimed))
    }

    fn spawn_writer(conn: Connection, path: &Path, claimed: Option<FencingToken>) -> Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE_CAPACITY);
        let (stops, stopped) = watch::channel(None);
        let (holds, held) = watch::channel(false);
        let owner = StoreWriter {
            conn,
            stopped: None,
            backlog: Some(SegmentBacklog::default()),
            claimed: claimed.clone(),
            stops,
            blocked: holds,
        };
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || serve_or_stop(owner, queue))
            .map_err(|e| Failure::io("cannot start the store's thread", &e))?;
        let shared = StoreShared {
            path: path.to_path_buf(),
            jobs: Mutex::new(Some(jobs)),
            thread: Mutex::new(Some(thread)),
            readers: Mutex::default(),
            returned: Condvar::default(),
            claimed,
            stopped,
            blocked: held,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Returns whether this is still the current host according to `conn`; always `true` if the store
    /// was not opened as host.
    ///
    /// # Errors
    /// What the database says.
    pub fn is_current_host(&self, conn: &Connection) -> Result<bool> {
        self.shared
            .claimed
            .as_ref()
            .map_or(Ok(true), |claimed| claimed.is_current(conn))
    }

    /// Waits until nothing is written any more, for good, and says why: another host has taken over, or
    /// what is on disk is in doubt. Never ends where the store is closed in good order.
    pub async fn stopped(&self) -> Failure {
        let mut stopped = self.shared.stopped.clone();
        let why = stopped
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|why| why.clone());
        match why {
            Some(why) => why,
            None => std::future::pending().await,
        }
    }

    /// Why nothing is written any more, if that is so.
    #[must_use]
    pub fn stop_reason(&self) -> Option<Failure> {
        self.shared.stopped.borrow().clone()
    }

    /// Whether another process keeps this from writing: true from the first try that found no turn in
    /// [`BUSY_TIMEOUT`](open::BUSY_TIMEOUT) until one does. What waits is stored then.
    #[must_use]
    pub fn is_blocked(&self) -> watch::Receiver<bool> {
        self.shared.blocked.clone()
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
        self.sender()?
            .send(WriterMsg::Job(work))
            .await
            .map_err(|_| self.closed_reason())?;
        answer.await.map_err(|_| self.closed_reason())?
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
        self.sender()?
            .blocking_send(WriterMsg::Job(work))
            .map_err(|_| self.closed_reason())?;
        answer.blocking_recv().map_err(|_| self.closed_reason())?
    }

    /// Opens a reader of this database.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn reader(&self) -> Result<Reader> {
        Reader::open(&self.shared.path)
    }

    /// Runs `work` with a pooled reader. Blocks on disk reads and while all pooled readers are in use.
    ///
    /// # Errors
    /// As [`Reader::open`], and those of `work`.
    pub fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let lent = PooledReader {
            reader: Some(self.shared.acquire_reader()?),
            store: self,
        };
        lent.reader
            .as_ref()
            .map_or_else(|| Err(closed()), |reader| work(reader.connection()))
    }

    /// Returns the path of the database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Finishes queued jobs, checkpoints the WAL, and stops the thread. Closing twice is harmless.
    ///
    /// # Errors
    /// What the database says; everything acknowledged is on disk all the same.
    pub async fn close(&self) -> Result<()> {
        let Ok(jobs) = self.sender() else {
            return Ok(());
        };
        self.shared.drop_readers();
        let (reply, answer) = oneshot::channel();
        if jobs.send(WriterMsg::Close(reply)).await.is_err() {
            return self.stop_reason().map_or(Ok(()), Err);
        }
        let closed = answer
            .await
            .unwrap_or_else(|_| self.stop_reason().map_or(Ok(()), Err));
        self.shared.end();
        closed
    }

    /// As [`close`](Self::close), for threads outside an async runtime.
    ///
    /// # Errors
    /// As [`close`](Self::close).
    pub fn close_blocking(&self) -> Result<()> {
        let Ok(jobs) = self.sender() else {
            return Ok(());
        };
        self.shared.drop_readers();
        let (reply, answer) = oneshot::channel();
        if jobs.blocking_send(WriterMsg::Close(reply)).is_err() {
            return self.stop_reason().map_or(Ok(()), Err);
        }
        let closed = answer
            .blocking_recv()
            .unwrap_or_else(|_| self.stop_reason().map_or(Ok(()), Err));
        self.shared.end();
        closed
    }

    /// Returns why the writer does not respond.
    fn closed_reason(&self) -> Failure {
        self.stop_reason().unwrap_or_else(closed)
    }

    fn sender(&self) -> Result<mpsc::Sender<WriterMsg>> {
        self.shared
            .jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .ok_or_else(closed)
    }
}

/// A reader in use. It returns to the pool on drop, also after a panic.
struct PooledReader<'a> {
    reader: Option<Reader>,
    store: &'a Store,
}

impl Drop for PooledReader<'_> {
    fn drop(&mut self) {
        let mut readers = self
            .store
            .shared
            .readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // SQLite deletes the WAL only when the last connection closes, so no reader may outlive
        // the writer in the pool.
        if readers.free.len() < MAX_POOLED_READERS && self.store.sender().is_ok() {
            readers.free.extend(self.reader.take());
        } else {
            readers.open -= 1;
        }
        self.store.shared.returned.notify_one();
    }
}

impl StoreShared {
    /// Returns a free or new reader. If the pool is full, waits briefly and then opens one anyway.
    fn acquire_reader(&self) -> Result<Reader> {
        let readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |readers: &mut ReaderPool| {
            readers.free.is_empty() && readers.open >= MAX_POOLED_READERS
        };
        let waited = self.returned.wait_timeout_while(readers, READER_WAIT, full);
        let (mut readers, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if let Some(reader) = readers.free.pop() {
            return Ok(reader);
        }
        readers.open += 1;
        drop(readers);
        Reader::open(&self.path).inspect_err(|_| {
            self.readers
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .open -= 1
        })
    }

    fn drop_readers(&self) {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.open -= readers.free.len();
        readers.free.clear();
    }

    /// Closes the queue and joins the thread, unless called on that thread.
    fn end(&self) {
        self.drop_readers();
        drop(
            self.jobs
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) =
            thread.filter(|thread| thread.thread().id() != std::thread::current().id())
        {
            let _ended = thread.join();
        }
    }
}

impl Drop for StoreShared {
    fn drop(&mut self) {
        self.end();
    }
}

/// Runs the writer. A panic outside a job leaves unknown state, which the next start recovers.
fn serve_or_stop(owner: StoreWriter, mut queue: mpsc::Receiver<WriterMsg>) {
    let stops = owner.stops.clone();
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| serve(owner, &mut queue))) {
        let words = panic_message(panic.as_ref());
        let why = Failure::internal(format!("the store's thread panicked: {words}"));
        // Publish the reason before the queue is dropped, so that waiting senders see it.
        stops.send_replace(Some(
            why.hint("start phasedeck again; everything acknowledged is there"),
        ));
    }
}

fn serve(mut owner: StoreWriter, queue: &mut mpsc::Receiver<WriterMsg>) {
    let mut closing = Vec::new();
    let mut expected = 0;
    loop {
        // The queue is empty: build missing segments in the meantime.
        while queue.is_empty() && !queue.is_closed() && owner.catch_up() {}
        let Some(first) = queue.blocking_recv() else {
            break;
        };
        let begun = Instant::now();
        let mut group = Vec::new();
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                WriterMsg::Job(work) => group.push(work),
                WriterMsg::Close(reply) => {
                    queue.close();
                    closing.push(reply);
                }
            }
            next = if group.len() < MAX_GROUP_JOBS {
                next_in_group(queue, group.len() < expected, begun)
            } else {
                None
            };
        }
        expected = group.len();
        owner.commit_together(group);
    }
    let mut ended = owner.end();
    for reply in closing {
        let _gone = reply.send(std::mem::replace(&mut ended, Ok(())));
    }
}

/// The next message that is there. Those who were answered together are about to send together
/// again: while fewer came than last time they are waited for a moment, so that the first of them
/// does not get a flush of its own and the others the next.
fn next_in_group(
    queue: &mut mpsc::Receiver<WriterMsg>,
    more_expected: bool,
    begun: Instant,
) -> Option<WriterMsg> {
    loop {
        match queue.try_recv() {
            Ok(message) => return Some(message),
            Err(TryRecvError::Empty) if more_expected && begun.elapsed() < GROUP_WAIT => {
                std::thread::yield_now()
            }
            Err(_) => return None,
        }
    }
}

struct StoreWriter {
    conn: Connection,
    stopped: Option<Failure>,
    /// Journal segments still to be built; `None` when all are.
    backlog: Option<SegmentBacklog>,
    claimed: Option<FencingToken>,
    stops: watch::Sender<Option<Failure>>,
    blocked: watch::Sender<bool>,
}

impl StoreWriter {
    /// Builds a few missing segments. Returns whether more are missing. After an error the rest is left
    /// to the next start.
    fn catch_up(&mut self) -> bool {
        let Some(mut backlog) = self.backlog.take().filter(|_| self.stopped.is_none()) else {
            return false;
        };
        let mut step = || -> Result<bool> {
            let tx = Transaction::new_unchecked(&self.conn, TransactionBehavior::Immediate)?;
            self.claimed
                .as_ref()
                .map_or(Ok(()), |claimed| claimed.check(&tx))?;
            let mut left = true;
            for _ in 0..BACKLOG_STEPS {
                left = left && backlog.step(&tx)?;
            }
            tx.commit()?;
            Ok(left)
        };
        match step() {
            Ok(true) => self.backlog = Some(backlog),
            Ok(false) => {}
            Err(failure) => {
                tracing::warn!(%failure, "blocks of the journal were not made; searching it takes longer")
            }
        }
        self.backlog.is_some()
    }

    fn commit_together(&mut self, group: Vec<WriteJob>) {
        let mut waiting = group.into_iter().peekable();
        while waiting.peek().is_some() {
            let mut done = Vec::new();
            let fate = self.transaction(&mut waiting, &mut done);
            // If the transaction could not begin, no job ran; fail each with the same error.
            if done.is_empty() {
                done.extend(waiting.by_ref().map(|work| work(None)));
            }
            for job in done {
                (job.reply)(fate.clone());
            }
        }
    }

    /// Runs jobs until the queue is empty or SQLite has rolled back the transaction.
    fn transaction(
        &mut self,
        waiting: &mut impl Iterator<Item = WriteJob>,
        done: &mut Vec<FinishedJob>,
    ) -> Result<()> {
        if let Some(doubt) = &self.stopped {
            return Err(doubt.clone());
        }
        let tx = busy_retry::transient(|| self.begin_transaction())?;
        if let Some(Err(failure)) = self.claimed.as_ref().map(|claimed| claimed.check(&tx)) {
            drop(tx);
            return Err(if failure.code == Code::SessionManagerAlreadyRunning {
                self.stop(failure)
            } else {
                failure
            });
        }
        for work in waiting.by_ref() {
            let job = work(Some(&tx));
            let failure = job.failure.clone();
            done.push(job);
            if tx.is_autocommit() {
                return Err(failure.unwrap_or_else(|| {
                    Failure::internal("a job of the store ended the transaction of its group")
                }));
            }
        }
        if planted::is(Bug::AnswerBeforeCommit) {
            done.drain(..).for_each(|job| (job.reply)(Ok(())));
        }
        Step::Commit.before();
        match busy_retry::transient(|| tx.execute_batch("COMMIT")) {
            Ok(()) => {
                failpoint::committed();
                Ok(())
            }
            Err(e) => {
                let in_doubt = error::is_damage(&e);
                drop(tx);
                let failure = Failure::from(e);
                Err(if in_doubt {
                    self.stop(failure)
                } else {
                    failure
                })
            }
        }
    }

    fn begin_transaction(&self) -> rusqlite::Result<Transaction<'_>> {
        let begun = Transaction::new_unchecked(&self.conn, TransactionBehavior::Immediate);
        let held = begun.as_ref().is_err_and(error::is_transient);
        self.blocked
            .send_if_modified(|before| std::mem::replace(before, held) != held);
        begun
    }

    /// Stops all further writes.
    fn stop(&mut self, why: Failure) -> Failure {
        self.stopped = Some(why.clone());
        self.stops.send_replace(Some(why.clone()));
        why
    }

    fn end(self) -> Result<()> {
        if let Some(doubt) = self.stopped {
            return Err(doubt);
        }
        // A reader may block the checkpoint for a moment; the next start checkpoints the rest.
        Step::Checkpoint.around(|| {
            self.conn
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        })?;
        self.conn.close().map_err(|(_, e)| Failure::from(e))
    }
}

#[cfg(test)]
mod tests;
