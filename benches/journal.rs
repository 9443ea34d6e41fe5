//! What the journal costs: an append at 10³ and at 10⁶ events, a window read at both, and the rate of
//! 100 writers against SQLite alone at 100 rows a commit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use measure::{Goal, Outcome, bare_database, figure, fill_log, folder, insert_bare, median, middle};
use phasedeck::model::event::{AttemptCause, Fact, ToolOutcome};
use phasedeck::model::hash::ContentHash;
use phasedeck::model::id::{RunId, ThreadId, TurnId};
use phasedeck::model::record::RunOptions;
use phasedeck::model::time::Timestamp;
use phasedeck::store::runs::{self, NewRun, RunPlace};
use phasedeck::store::{Reader, Store, events, journal};

#[path = "support/measure.rs"]
mod measure;

const SMALL: u64 = 1_000;
const LARGE: u64 = 1_000_000;
/// Facts that are stored by one job while a journal is filled.
const FILL: u64 = 20_000;
const APPENDS: usize = 400;
const WINDOW: u32 = 100;
const WRITERS: usize = 100;
const WRITES_EACH: usize = 20;
const ROUNDS: usize = 9;

fn main() -> Outcome<()> {
    let (small, large) = (Journal::filled(SMALL)?, Journal::filled(LARGE)?);
    append(&small, &large)?;
    window(&small, &large)?;
    drop((small, large));
    writers()
}

/// A database with one run of some length.
struct Journal {
    _dir: tempfile::TempDir,
    store: Store,
    run: RunId,
}

impl Journal {
    fn filled(events: u64) -> Outcome<Self> {
        let dir = folder()?;
        let store = store_with_full_log(&dir.path().join("phasedeck.db"))?;
        let run = begin(&store, "lane")?;
        let mut left = events.saturating_sub(3);
        while left > 0 {
            let count = left.min(FILL);
            let facts: Vec<Fact> = (0..count).map(|_| tool_called()).collect();
            store.write_blocking(move |tx| journal::append(tx, run, &facts, Timestamp::now()).map(drop))?;
            left -= count;
        }
        Ok(Self { _dir: dir, store, run })
    }

    /// Appends one event; says how long until it was acknowledged, and how much of that was the append itself.
    fn append(&self) -> Outcome<(Duration, Duration)> {
        let (run, fact, begun) = (self.run, tool_called(), Instant::now());
        let within = self.store.write_blocking(move |tx| {
            let begun = Instant::now();
            journal::append(tx, run, &[fact], Timestamp::now())?;
            Ok(begun.elapsed())
        })?;
        Ok((begun.elapsed(), within))
    }
}

/// The log is filled by a connection beside the store's, while that holds it open.
fn store_with_full_log(path: &std::path::Path) -> Outcome<Store> {
    let store = Store::open(path)?;
    fill_log(&rusqlite::Connection::open(path)?)?;
    Ok(store)
}

/// A run that works on its only phase.
fn begin(store: &Store, thread: &str) -> Outcome<RunId> {
    let (id, thread) = (RunId::new(), ThreadId::from(thread));
    let (workflow, persona): (phasedeck::model::id::VersionedName, _) = ("bench@1".parse()?, "maker@1".parse()?);
    let workflow_hash = ContentHash::of(b"workflow");
    let new = NewRun {
        id,
        workflow: workflow.clone(),
        workflow_hash: workflow_hash.clone(),
        thread: thread.clone(),
        requirements: String::new(),
        place: RunPlace::default(),
        rehearsal: false,
        options: RunOptions::default(),
        start: None,
        origin: Default::default(),
        created_at: Timestamp::now(),
    };
    let facts = [
        Fact::RunCreated {
            workflow: workflow.clone(),
            workflow_hash,
            thread: thread.clone(),
            phases: vec!["first".into()],
            rehearsal: false,
        },
        Fact::RunStarted { workflow, thread },
        Fact::PhaseStarted { phase_key: "first".into(), attempt: 1, role: "maker".into(), persona, cause: AttemptCause::First },
    ];
    store.write_blocking(move |tx| {
        runs::insert(tx, &new)?;
        journal::append(tx, id, &facts, Timestamp::now()).map(drop)
    })?;
    Ok(id)
}

fn tool_called() -> Fact {
    Fact::ToolCalled {
        phase_key: "first".into(),
        turn_id: TurnId::new(),
        call_id: "call-1".to_owned(),
        tool: "read_file".to_owned(),
        target: "src/model/event.rs".to_owned(),
        outcome: ToolOutcome::Ok,
        duration_ms: 3,
    }
}

fn append(small: &Journal, large: &Journal) -> Outcome<()> {
    let (mut at_small, mut at_large) = (Vec::new(), Vec::new());
    for _ in 0..APPENDS {
        at_small.push(small.append()?);
        at_large.push(large.append()?);
    }
    let acknowledged = |times: &[(Duration, Duration)]| median(times.iter().map(|(whole, _)| *whole));
    let within = |times: &[(Duration, Duration)]| median(times.iter().map(|(_, within)| *within));
    figure("append of an event, acknowledged: at 10^6 / at 10^3", acknowledged(&at_large) / acknowledged(&at_small), Goal::AtMost(1.1));
    figure("  the append within its transaction: at 10^6 / at 10^3", within(&at_large) / within(&at_small), Goal::None);
    figure("  the append within its transaction / acknowledged, at 10^3", within(&at_small) / acknowledged(&at_small), Goal::None);
    Ok(())
}

fn window(small: &Journal, large: &Journal) -> Outcome<()> {
    let readers = [small, large].map(|journal| (journal.store.reader(), journal.run));
    let [(small, small_run), (large, large_run)] = readers;
    let (small, large) = (small?, large?);
    let read = |reader: &Reader, run: RunId| -> Outcome<Duration> {
        let begun = Instant::now();
        let last = events::last_seq(reader.connection(), run)?;
        let page = events::before(reader.connection(), run, last + 1, WINDOW)?;
        assert_eq!(page.len(), WINDOW as usize);
        Ok(begun.elapsed())
    };
    let (mut at_small, mut at_large) = (Vec::new(), Vec::new());
    for _ in 0..APPENDS {
        at_small.push(read(&small, small_run)?);
        at_large.push(read(&large, large_run)?);
    }
    figure("read of the last 100 events: at 10^6 / at 10^3", median(at_large) / median(at_small), Goal::AtMost(1.1));
    Ok(())
}

fn writers() -> Outcome<()> {
    let dir = folder()?;
    let store = store_with_full_log(&dir.path().join("phasedeck.db"))?;
    let runs = (0..WRITERS).map(|n| begin(&store, &format!("lane-{n}"))).collect::<Outcome<Vec<_>>>()?;
    let bare_dir = folder()?;
    let bare = bare_database(bare_dir.path())?;
    let alone_dir = folder()?;
    let alone = Alone::open(&alone_dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    let (mut ours, mut theirs, mut unthreaded) = (Vec::new(), Vec::new(), Vec::new());
    let mut seq = 0;
    for _ in 0..ROUNDS {
        ours.push(runtime.block_on(write_at_once(&store, &runs))?);
        theirs.push(write_bare(&bare, &runs, &mut seq)?);
        unthreaded.push(alone.write()?);
    }
    let (ours, theirs, unthreaded) = (middle(ours), middle(theirs), middle(unthreaded));
    figure("100 writers, events a second / bare SQLite at 100 rows a commit", theirs / ours, Goal::AtLeast(0.7));
    figure("  appends on one thread, 100 a commit / bare SQLite", theirs / unthreaded, Goal::None);
    Ok(())
}

/// Each writer waits for its acknowledgement before it writes again.
async fn write_at_once(store: &Store, runs: &[RunId]) -> Outcome<f64> {
    let begun = Instant::now();
    let writers: Vec<_> = runs
        .iter()
        .map(|run| {
            let (store, run) = (store.clone(), *run);
            tokio::spawn(async move {
                for _ in 0..WRITES_EACH {
                    let fact = tool_called();
                    store.write(move |tx| journal::append(tx, run, &[fact], Timestamp::now()).map(drop)).await?;
                }
                Ok::<_, phasedeck::model::error::Failure>(())
            })
        })
        .collect();
    for writer in writers {
        writer.await??;
    }
    Ok(begun.elapsed().as_secs_f64())
}

fn write_bare(conn: &rusqlite::Connection, runs: &[RunId], seq: &mut i64) -> Outcome<f64> {
    let names: Vec<String> = runs.iter().map(ToString::to_string).collect();
    let begun = Instant::now();
    for _ in 0..WRITES_EACH {
        *seq += 1;
        conn.execute_batch("BEGIN IMMEDIATE")?;
        for name in &names {
            insert_bare(conn, name, *seq)?;
        }
        conn.execute_batch("COMMIT")?;
    }
    Ok(begun.elapsed().as_secs_f64())
}

/// The journal without the store's thread: what its statements cost by themselves.
struct Alone {
    conn: rusqlite::Connection,
    runs: Arc<[RunId]>,
}

impl Alone {
    fn open(dir: &tempfile::TempDir) -> Outcome<Self> {
        let path = dir.path().join("phasedeck.db");
        let store = Store::open(&path)?;
        let runs = (0..WRITERS).map(|n| begin(&store, &format!("lane-{n}"))).collect::<Outcome<Vec<_>>>()?;
        store.close_blocking()?;
        let conn = rusqlite::Connection::open(&path)?;
        conn.execute_batch(
            "PRAGMA synchronous = full; PRAGMA foreign_keys = on; PRAGMA wal_autocheckpoint = 1000; PRAGMA cache_size = -16384",
        )?;
        conn.set_prepared_statement_cache_capacity(128);
        fill_log(&conn)?;
        Ok(Self { conn, runs: runs.into() })
    }

    fn write(&self) -> Outcome<f64> {
        let begun = Instant::now();
        for _ in 0..WRITES_EACH {
            self.conn.execute_batch("BEGIN IMMEDIATE")?;
            for run in self.runs.iter() {
                journal::append(&self.conn, *run, &[tool_called()], Timestamp::now())?;
            }
            self.conn.execute_batch("COMMIT")?;
        }
        Ok(begun.elapsed().as_secs_f64())
    }
}
