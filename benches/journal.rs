//! Cost of the journal: an append at 10³ and at 10⁶ events, the share of its chain link, reading a
//! window at both lengths, and the throughput of 1, 10 and 100 writers compared with plain SQLite
//! at the same number of rows per commit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bare::{bare_database, fill_log, insert_bare};
use begun::{first_phase, new_run, opening};
use measure::{BenchResult, RatioGoal, figure, folder, median, middle};
use phasedeck::model::event::{RunFact, ToolOutcome};
use phasedeck::model::id::{RunId, TurnId, VersionedName};
use phasedeck::model::time::Timestamp;
use phasedeck::store::journal::chain::{ChainHash, ChainedRow};
use phasedeck::store::journal::events;
use phasedeck::store::journal::segments::BLOCK;
use phasedeck::store::tables::runs;
use phasedeck::store::{Reader, Store, journal};

#[path = "support/bare.rs"]
mod bare;
#[path = "support/begun.rs"]
mod begun;
#[path = "support/measure.rs"]
mod measure;

const SMALL: u64 = 1_000;
const LARGE: u64 = 1_000_000;
/// Number of facts stored per job while a journal is filled.
const FILL: u64 = 20_000;
const APPENDS: usize = 400;
const WINDOW: u32 = 100;
const WRITERS: [usize; 3] = [1, 10, 100];
const MOST_WRITERS: usize = 100;
/// Number of links computed to time one.
const LINKS: u32 = 20_000;
const WRITES_EACH: usize = 20;
const ROUNDS: usize = 9;

fn main() -> BenchResult<()> {
    blocks()?;
    let small = FilledJournal::filled(SMALL)?;
    let large = FilledJournal::filled(LARGE)?;
    append(&small, &large)?;
    link_cost(&small)?;
    window(&small, &large)?;
    drop((small, large));
    WRITERS.into_iter().try_for_each(writers)
}

/// A database with one run of a given length.
struct FilledJournal {
    _dir: tempfile::TempDir,
    store: Store,
    run: RunId,
}

impl FilledJournal {
    fn filled(events: u64) -> BenchResult<Self> {
        let dir = folder()?;
        let store = store_with_full_log(&dir.path().join("phasedeck.db"))?;
        let run = start_run(&store, "lane")?;
        let mut left = events.saturating_sub(3);
        while left > 0 {
            let count = left.min(FILL);
            let facts: Vec<RunFact> = (0..count).map(|_| tool_called()).collect();
            store.write_blocking(move |tx| {
                journal::append(tx, run, &facts, Timestamp::now()).map(drop)
            })?;
            left -= count;
        }
        Ok(Self {
            _dir: dir,
            store,
            run,
        })
    }

    /// Appends one event. Returns the time until it was acknowledged, and the time of the append
    /// itself.
    fn append(&self) -> BenchResult<(Duration, Duration)> {
        let run = self.run;
        let fact = tool_called();
        let begun = Instant::now();
        let within = self.store.write_blocking(move |tx| {
            let begun = Instant::now();
            journal::append(tx, run, &[fact], Timestamp::now())?;
            Ok(begun.elapsed())
        })?;
        Ok((begun.elapsed(), within))
    }
}

/// Opens a store and fills its write-ahead log through a second connection.
fn store_with_full_log(path: &std::path::Path) -> BenchResult<Store> {
    let store = Store::open(path)?;
    fill_log(&rusqlite::Connection::open(path)?)?;
    Ok(store)
}

/// Inserts a run that is in its only phase.
fn start_run(store: &Store, thread: &str) -> BenchResult<RunId> {
    let (workflow, persona): (VersionedName, VersionedName) =
        ("bench@1".parse()?, "maker@1".parse()?);
    let new = new_run(&workflow, thread);
    let id = new.id;
    let [created, started] = opening(&new, &["first"]);
    let facts = [created, started, first_phase(&persona)];
    store.write_blocking(move |tx| {
        runs::insert(tx, &new)?;
        journal::append(tx, id, &facts, Timestamp::now()).map(drop)
    })?;
    Ok(id)
}

fn tool_called() -> RunFact {
    RunFact::ToolCalled {
        phase_key: "first".into(),
        turn_id: TurnId::new(),
        call_id: "call-1".to_owned(),
        tool: "read_file".to_owned(),
        target: "src/model/event.rs".to_owned(),
        outcome: ToolOutcome::Ok,
        duration_ms: 3,
    }
}

/// Cost of completing a segment of the journal compared with other appends, in one transaction.
fn blocks() -> BenchResult<()> {
    let journal = FilledJournal::filled(SMALL)?;
    let run = journal.run;
    let times = journal.store.write_blocking(move |tx| {
        let append = |_| {
            let fact = tool_called();
            let begun = Instant::now();
            let stored = journal::append(tx, run, &[fact], Timestamp::now())?;
            Ok((
                stored
                    .first()
                    .is_some_and(|event| event.seq.is_multiple_of(BLOCK)),
                begun.elapsed(),
            ))
        };
        (0..10 * BLOCK)
            .map(append)
            .collect::<phasedeck::model::error::Result<Vec<_>>>()
    })?;
    let of = |blocks: bool| {
        times
            .iter()
            .filter(move |(block, _)| *block == blocks)
            .map(|(_, time)| *time)
    };
    let block = median(of(true));
    let plain = median(of(false));
    figure(
        "an append that completes a segment of 512 / any other",
        block / plain,
        RatioGoal::None,
    );
    figure(
        "  what that adds to every append before it",
        (block - plain) / plain / BLOCK as f64,
        RatioGoal::AtMost(0.10),
    );
    Ok(())
}

fn append(small: &FilledJournal, large: &FilledJournal) -> BenchResult<()> {
    let mut at_small = Vec::new();
    let mut at_large = Vec::new();
    for _ in 0..APPENDS {
        at_small.push(small.append()?);
        at_large.push(large.append()?);
    }
    let acknowledged =
        |times: &[(Duration, Duration)]| median(times.iter().map(|(whole, _)| *whole));
    let within = |times: &[(Duration, Duration)]| median(times.iter().map(|(_, within)| *within));
    figure(
        "append of an event, acknowledged: at 10^6 / at 10^3",
        acknowledged(&at_large) / acknowledged(&at_small),
        RatioGoal::AtMost(1.1),
    );
    figure(
        "  the append within its transaction: at 10^6 / at 10^3",
        within(&at_large) / within(&at_small),
        RatioGoal::None,
    );
    figure(
        "  the append within its transaction / acknowledged, at 10^3",
        within(&at_small) / acknowledged(&at_small),
        RatioGoal::None,
    );
    Ok(())
}

/// Share of the chain link in the cost of an append.
fn link_cost(small: &FilledJournal) -> BenchResult<()> {
    let mut within = Vec::new();
    for _ in 0..APPENDS {
        within.push(small.append()?.1);
    }
    let run = small.run.to_string();
    let text = serde_json::to_string(&tool_called())?;
    let key = tool_called().key();
    let begun = Instant::now();
    let mut link = ChainHash::default();
    for seq in 0..LINKS {
        let row = ChainedRow {
            run_id: &run,
            seq: seq.into(),
            at_ms: 1_700_000_000_000,
            kind: "tool.called",
            phase_key: Some("first"),
            key: &key,
            payload: &text,
        };
        link = row.link(link);
    }
    let each = begun.elapsed().as_secs_f64() / f64::from(LINKS);
    assert_ne!(link, ChainHash::default());
    let append = median(within);
    figure(
        "append within its transaction / the same without its link",
        append / (append - each).max(f64::EPSILON),
        RatioGoal::AtMost(1.1),
    );
    Ok(())
}

fn window(small: &FilledJournal, large: &FilledJournal) -> BenchResult<()> {
    let readers = [small, large].map(|journal| (journal.store.reader(), journal.run));
    let [(small, small_run), (large, large_run)] = readers;
    let small = small?;
    let large = large?;
    let read = |reader: &Reader, run: RunId| -> BenchResult<Duration> {
        let begun = Instant::now();
        let last = events::last_seq(reader.connection(), run)?;
        let page = events::before(reader.connection(), run, last + 1, WINDOW)?;
        assert_eq!(page.len(), WINDOW as usize);
        Ok(begun.elapsed())
    };
    let mut at_small = Vec::new();
    let mut at_large = Vec::new();
    for _ in 0..APPENDS {
        at_small.push(read(&small, small_run)?);
        at_large.push(read(&large, large_run)?);
    }
    figure(
        "read of the last 100 events: at 10^6 / at 10^3",
        median(at_large) / median(at_small),
        RatioGoal::AtMost(1.1),
    );
    Ok(())
}

fn writers(count: usize) -> BenchResult<()> {
    let dir = folder()?;
    let store = store_with_full_log(&dir.path().join("phasedeck.db"))?;
    let runs = (0..count)
        .map(|n| start_run(&store, &format!("lane-{n}")))
        .collect::<BenchResult<Vec<_>>>()?;
    let bare_dir = folder()?;
    let bare = bare_database(bare_dir.path())?;
    let alone_dir = folder()?;
    let alone = StatementsOnly::open(&alone_dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()?;
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    let mut unthreaded = Vec::new();
    let mut seq = 0;
    for _ in 0..ROUNDS {
        ours.push(runtime.block_on(write_at_once(&store, &runs))?);
        theirs.push(write_bare(&bare, &runs, &mut seq)?);
        if count == MOST_WRITERS {
            unthreaded.push(alone.write()?);
        }
    }
    let ours = middle(ours);
    let theirs = middle(theirs);
    let unthreaded = middle(unthreaded);
    let goal = if count == MOST_WRITERS {
        RatioGoal::AtLeast(0.7)
    } else {
        RatioGoal::None
    };
    figure(
        &format!("{count} writers, events per second / plain SQLite at {count} rows per commit"),
        theirs / ours,
        goal,
    );
    if count == MOST_WRITERS {
        figure(
            "  appends on one thread, 100 per commit / plain SQLite",
            theirs / unthreaded,
            RatioGoal::None,
        );
    }
    Ok(())
}

/// Each writer waits for an acknowledgement before its next write.
async fn write_at_once(store: &Store, runs: &[RunId]) -> BenchResult<f64> {
    let begun = Instant::now();
    let writers: Vec<_> = runs
        .iter()
        .map(|run| {
            let store = store.clone();
            let run = *run;
            tokio::spawn(async move {
                for _ in 0..WRITES_EACH {
                    let fact = tool_called();
                    store
                        .write(move |tx| {
                            journal::append(tx, run, &[fact], Timestamp::now()).map(drop)
                        })
                        .await?;
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

fn write_bare(conn: &rusqlite::Connection, runs: &[RunId], seq: &mut i64) -> BenchResult<f64> {
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

/// The journal without the store's writer thread: the cost of its statements alone.
struct StatementsOnly {
    conn: rusqlite::Connection,
    runs: Arc<[RunId]>,
}

impl StatementsOnly {
    fn open(dir: &tempfile::TempDir) -> BenchResult<Self> {
        let path = dir.path().join("phasedeck.db");
        let store = Store::open(&path)?;
        let runs = (0..MOST_WRITERS)
            .map(|n| start_run(&store, &format!("lane-{n}")))
            .collect::<BenchResult<Vec<_>>>()?;
        store.close_blocking()?;
        let conn = rusqlite::Connection::open(&path)?;
        conn.execute_batch(
            "PRAGMA synchronous = full; PRAGMA foreign_keys = on; PRAGMA wal_autocheckpoint = 1000; PRAGMA cache_size = -16384",
        )?;
        conn.set_prepared_statement_cache_capacity(128);
        fill_log(&conn)?;
        Ok(Self {
            conn,
            runs: runs.into(),
        })
    }

    fn write(&self) -> BenchResult<f64> {
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
