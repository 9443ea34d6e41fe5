//! The one thread that writes.
//!
//! Jobs arrive on a bounded channel. Whatever is queued shares one `BEGIN IMMEDIATE … COMMIT`, each
//! job in a savepoint of its own, and nobody is answered before COMMIT returned: one disk flush
//! serves many. A job that fails or panics undoes itself alone. Where SQLite has already undone the
//! whole transaction (a full disk), every job of the group is told so, and later jobs begin afresh.
//! After a failure that leaves the file in doubt (a failed flush, damage) nothing more is written:
//! the next start repairs from what is on disk. The same holds where this thread itself panics. Nothing more is written either once another host has
//! taken over ([`fence`](super::fence)): each transaction of a host begins with a look at its claim.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot, watch};

use super::blocks::Backlog;
use super::failpoint::planted::{self, Bug};
use super::failpoint::{self, Step};
use super::fence::{self, Claimant, Claimed};
use super::job::{Done, Work, closed, words_of, wrap};
use super::reader::Reader;
use super::{error, open, retry};
use crate::model::error::{Code, Failure, Result};

/// Jobs that may wait before senders do.
const QUEUE: usize = 1024;

/// The most jobs that share a commit, so that the first one's answer is not put off without end.
const GROUP: usize = 256;

/// How long the others of the last group are waited for: less than the flush that this saves.
const GATHER: Duration = Duration::from_micros(200);

/// Readers that are kept for whoever reads. Opening one costs more than most reads, and each has memory of
/// its own, so that more of them than cores help nobody.
const READERS: usize = 4;

/// How long one of them is waited for before another is opened: much longer than reads take.
const READER_WAIT: Duration = Duration::from_millis(50);

/// Blocks that are made in one transaction while nobody waits: a few milliseconds of work.
const BACKLOG_STEPS: usize = 4;

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
    readers: Mutex<Readers>,
    returned: Condvar,
    claimed: Option<Claimed>,
    /// Why nothing is written any more, once that is so.
    stopped: watch::Receiver<Option<Failure>>,
    held: watch::Receiver<bool>,
}

#[derive(Debug, Default)]
struct Readers {
    free: Vec<Reader>,
    /// How many there are, those in use included.
    open: usize,
}

impl Store {
    /// Opens the database, makes it when there is none yet, and migrates it.
    ///
    /// # Errors
    /// `db_corrupt`, `db_newer_schema` (no byte is changed), `db_locked`, `disk_full`, `io_failed`.
    pub fn open(path: &Path) -> Result<Self> {
        Self::over(open::writer(path)?, path, None)
    }

    /// As [`open`](Self::open), for the host: from now on a host before it stores nothing any more, and
    /// this one nothing once another comes.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_as_host(path: &Path, who: Claimant) -> Result<Self> {
        let conn = open::writer(path)?;
        let claimed = fence::claim(&conn, who)?;
        Self::over(conn, path, Some(claimed))
    }

    fn over(conn: Connection, path: &Path, claimed: Option<Claimed>) -> Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let ((stops, stopped), (holds, held)) = (watch::channel(None), watch::channel(false));
        let owner = Owner {
            conn,
            doubt: None,
            backlog: Some(Backlog::default()),
            claimed: claimed.clone(),
            stops,
            holds,
        };
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || serve_or_stop(owner, queue))
            .map_err(|e| Failure::io("cannot start the store's thread", &e))?;
        let shared = Shared {
            path: path.to_path_buf(),
            jobs: Mutex::new(Some(jobs)),
            thread: Mutex::new(Some(thread)),
            readers: Mutex::default(),
            returned: Condvar::default(),
            claimed,
            stopped,
            held,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Whether this may still write as the host, by what `conn` reads; always for who made no claim.
    ///
    /// # Errors
    /// What the database says.
    pub fn holds(&self, conn: &Connection) -> Result<bool> {
        self.shared
            .claimed
            .as_ref()
            .map_or(Ok(true), |claimed| claimed.holds(conn))
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
    pub fn stop(&self) -> Option<Failure> {
        self.shared.stopped.borrow().clone()
    }

    /// Whether another process keeps this from writing: true from the first try that found no turn in
    /// [`BUSY_TIMEOUT`](open::BUSY_TIMEOUT) until one does. What waits is stored then.
    #[must_use]
    pub fn held(&self) -> watch::Receiver<bool> {
        self.shared.held.clone()
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
            .send(Message::Job(work))
            .await
            .map_err(|_| self.gone())?;
        answer.await.map_err(|_| self.gone())?
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
            .blocking_send(Message::Job(work))
            .map_err(|_| self.gone())?;
        answer.blocking_recv().map_err(|_| self.gone())?
    }

    /// A reader of this database.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn reader(&self) -> Result<Reader> {
        Reader::open(&self.shared.path)
    }

    /// Reads with a reader that is kept for such. Blocks on the disk, and on others who read.
    ///
    /// # Errors
    /// As [`Reader::open`], and those of `work`.
    pub fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let lent = Lent {
            reader: Some(self.shared.lend()?),
            store: self,
        };
        lent.reader
            .as_ref()
            .map_or_else(|| Err(closed()), |reader| work(reader.connection()))
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
        let Ok(jobs) = self.sender() else {
            return Ok(());
        };
        self.shared.drop_readers();
        let (reply, answer) = oneshot::channel();
        if jobs.send(Message::Close(reply)).await.is_err() {
            return self.stop().map_or(Ok(()), Err);
        }
        let closed = answer
            .await
            .unwrap_or_else(|_| self.stop().map_or(Ok(()), Err));
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
        if jobs.blocking_send(Message::Close(reply)).is_err() {
            return self.stop().map_or(Ok(()), Err);
        }
        let closed = answer
            .blocking_recv()
            .unwrap_or_else(|_| self.stop().map_or(Ok(()), Err));
        self.shared.end();
        closed
    }

    /// Why nobody answers.
    fn gone(&self) -> Failure {
        self.stop().unwrap_or_else(closed)
    }

    fn sender(&self) -> Result<mpsc::Sender<Message>> {
        self.shared
            .jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .ok_or_else(closed)
    }
}

/// A reader while it is used; given back also where the work panics.
struct Lent<'a> {
    reader: Option<Reader>,
    store: &'a Store,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut readers = self
            .store
            .shared
            .readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Whoever closes must be the last to have the file open, so that the log goes with it.
        if readers.free.len() < READERS && self.store.sender().is_ok() {
            readers.free.extend(self.reader.take());
        } else {
            readers.open -= 1;
        }
        self.store.shared.returned.notify_one();
    }
}

impl Shared {
    /// A reader that is free or can be opened, else one that becomes free soon, else another all the same.
    fn lend(&self) -> Result<Reader> {
        let readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |readers: &mut Readers| readers.free.is_empty() && readers.open >= READERS;
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

    /// Lets go of the queue and waits for the thread, unless this is the thread.
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

impl Drop for Shared {
    fn drop(&mut self) {
        self.end();
    }
}

/// A panic here is of the thread itself, in the middle of anything: the next start repairs.
fn serve_or_stop(owner: Owner, mut queue: mpsc::Receiver<Message>) {
    let stops = owner.stops.clone();
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| serve(owner, &mut queue))) {
        let words = words_of(panic.as_ref());
        let why = Failure::internal(format!("the store's thread panicked: {words}"));
        // Before the queue goes, so that whoever waits learns why.
        stops.send_replace(Some(
            why.hint("start phasedeck again; everything acknowledged is there"),
        ));
    }
}

fn serve(mut owner: Owner, queue: &mut mpsc::Receiver<Message>) {
    let mut closing = Vec::new();
    let mut expected = 0;
    loop {
        // Nobody waits: there is time for what was left undone.
        while queue.is_empty() && !queue.is_closed() && owner.catch_up() {}
        let Some(first) = queue.blocking_recv() else {
            break;
        };
        let begun = Instant::now();
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
            next = if group.len() < GROUP {
                another(queue, group.len() < expected, begun)
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
fn another(
    queue: &mut mpsc::Receiver<Message>,
    more_expected: bool,
    begun: Instant,
) -> Option<Message> {
    loop {
        match queue.try_recv() {
            Ok(message) => return Some(message),
            Err(TryRecvError::Empty) if more_expected && begun.elapsed() < GATHER => {
                std::thread::yield_now()
            }
            Err(_) => return None,
        }
    }
}

struct Owner {
    conn: Connection,
    doubt: Option<Failure>,
    /// Blocks of the journal that are still to be made; none once all are.
    backlog: Option<Backlog>,
    claimed: Option<Claimed>,
    stops: watch::Sender<Option<Failure>>,
    holds: watch::Sender<bool>,
}

impl Owner {
    /// Makes a few blocks that are missing; whether more are. A failure puts the rest off to the next start.
    fn catch_up(&mut self) -> bool {
        let Some(mut backlog) = self.backlog.take().filter(|_| self.doubt.is_none()) else {
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
    fn transaction(
        &mut self,
        waiting: &mut impl Iterator<Item = Work>,
        done: &mut Vec<Done>,
    ) -> Result<()> {
        if let Some(doubt) = &self.doubt {
            return Err(doubt.clone());
        }
        let tx = retry::transient(|| self.begin())?;
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
        match retry::transient(|| tx.execute_batch("COMMIT")) {
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

    fn begin(&self) -> rusqlite::Result<Transaction<'_>> {
        let begun = Transaction::new_unchecked(&self.conn, TransactionBehavior::Immediate);
        let held = begun.as_ref().is_err_and(error::is_transient);
        self.holds
            .send_if_modified(|before| std::mem::replace(before, held) != held);
        begun
    }

    /// Nothing more is written.
    fn stop(&mut self, why: Failure) -> Failure {
        self.doubt = Some(why.clone());
        self.stops.send_replace(Some(why.clone()));
        why
    }

    fn end(self) -> Result<()> {
        if let Some(doubt) = self.doubt {
            return Err(doubt);
        }
        // A reader may hold the log open for a moment; what is left in it is folded in at the next start.
        Step::Checkpoint.around(|| {
            self.conn
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        })?;
        self.conn.close().map_err(|(_, e)| Failure::from(e))
    }
}

#[cfg(test)]
mod tests;
