//! The first useful frame over 10⁴ runs and 10⁶ events: from the start of the process until the newest run
//! is on the terminal, against the least program that shows it.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use long_run::run_of;
use measure::{Goal, Outcome, figure, folder, median};
use phasedeck::engine::paths::Paths;
use phasedeck::model::event::Fact;
use phasedeck::model::hash::ContentHash;
use phasedeck::model::id::{RunId, ThreadId, VersionedName};
use phasedeck::model::record::RunOptions;
use phasedeck::model::state::Via;
use phasedeck::model::time::Timestamp;
use phasedeck::store::runs::{self, NewRun, RunPlace};
use phasedeck::store::{Store, journal};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};

#[path = "support/long_run.rs"]
mod long_run;
#[expect(dead_code, reason = "shared with the benches that need more of it")]
#[path = "support/measure.rs"]
mod measure;
#[path = "support/screenful.rs"]
mod screenful;

/// Names the database for the least program.
const SCREENFUL: &str = "BENCH_SCREENFUL";
/// A folder that is filled once and used again, for who measures often.
const KEPT: &str = "BENCH_START_HOME";
const RUNS: u64 = 10_000;
const EVENTS: u64 = 1_000_000;
/// Facts of each of the many short runs.
const SHORT: u64 = 3;
const ROUNDS: usize = 31;
const HOUR_MS: i64 = 3_600_000;
const SIZE: PtySize = PtySize { rows: 40, cols: 120, pixel_width: 0, pixel_height: 0 };

fn main() -> Outcome<()> {
    if let Some(database) = std::env::var_os(SCREENFUL) {
        return screenful::show(Path::new(&database));
    }
    let made = folder()?;
    let kept = std::env::var_os(KEPT).map(PathBuf::from);
    let home = kept.as_deref().unwrap_or(made.path());
    let paths = Paths::beneath(home);
    if !paths.database().exists() {
        fill(&paths)?;
    }
    let newest = phasedeck::engine::api::Archive::open(&paths)?.runs(&Default::default())?.first().ok_or("no runs")?.id.short();
    let (mut ours, mut least) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        least.push(first_frame(&screenful_of(&paths)?, &newest)?);
        ours.push(first_frame(&console(home), &newest)?);
    }
    figure("first useful frame, 10^4 runs and 10^6 events / the least program", median(ours.clone()) / median(least), Goal::AtMost(2.0));
    figure("  the console / 5 ms", median(ours) / 0.005, Goal::None);
    Ok(())
}

fn screenful_of(paths: &Paths) -> Outcome<CommandBuilder> {
    let mut command = CommandBuilder::new(std::env::current_exe()?);
    command.env(SCREENFUL, paths.database());
    Ok(command)
}

fn console(home: &Path) -> CommandBuilder {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_phasedeck"));
    // Whoever builds may have settings, and the build leaves words of its own.
    std::env::vars_os().map(|(name, _)| name).filter(|name| name.as_encoded_bytes().starts_with(b"PHASEDECK_")).for_each(|name| {
        command.env_remove(name);
    });
    command.env("PHASEDECK_HOME", home);
    command
}

/// From before the process is made until its terminal has the bytes of the newest run.
fn first_frame(command: &CommandBuilder, newest: &str) -> Outcome<Duration> {
    let pty = native_pty_system().openpty(SIZE)?;
    let (mut reader, mut keys) = (pty.master.try_clone_reader()?, pty.master.take_writer()?);
    let mut command = command.clone();
    command.env("TERM", "xterm-256color");
    let begun = Instant::now();
    let mut child = pty.slave.spawn_command(command)?;
    drop(pty.slave);
    let (mut seen, mut chunk, mut took) = (Vec::new(), vec![0; 1 << 16], None);
    while let Ok(read @ 1..) = reader.read(&mut chunk) {
        seen.extend_from_slice(&chunk[..read]);
        if took.is_none() && seen.windows(newest.len()).any(|part| part == newest.as_bytes()) {
            took = Some(begun.elapsed());
            keys.write_all(b"q")?;
            keys.flush()?;
        }
    }
    child.wait()?;
    took.ok_or_else(|| format!("ended without a frame: {}", String::from_utf8_lossy(&seen)).into())
}

/// Many short runs of days gone by, and a long one; nothing is left to be done about any of them.
fn fill(paths: &Paths) -> Outcome<()> {
    paths.create()?;
    let store = Store::open(&paths.database())?;
    let long = run_of(&store, "long", EVENTS - RUNS * SHORT)?;
    let end = Timestamp(Timestamp::now().0 - 30 * HOUR_MS);
    store.write_blocking(move |tx| {
        journal::append(tx, long, &[aborted()], end)?;
        runs::set_report(tx, long, "report")?;
        let workflow: VersionedName = "development@1".parse().map_err(phasedeck::model::error::Failure::internal)?;
        for number in 0..RUNS - 1 {
            let at = Timestamp(end.0 - i64::try_from(number).unwrap_or(0) * HOUR_MS);
            short_run(tx, &workflow, number, at)?;
        }
        Ok(())
    })?;
    store.close_blocking()?;
    Ok(())
}

fn aborted() -> Fact {
    Fact::RunAborted { by: "kim".to_owned(), via: Via::Cli, reason: String::new() }
}

fn short_run(tx: &rusqlite::Connection, workflow: &VersionedName, number: u64, at: Timestamp) -> phasedeck::model::error::Result<()> {
    let (id, thread) = (RunId::new(), ThreadId::from(format!("lane-{}", number % 300).as_str()));
    let workflow_hash = ContentHash::of(b"workflow");
    let new = NewRun {
        id,
        workflow: workflow.clone(),
        workflow_hash: workflow_hash.clone(),
        thread: thread.clone(),
        requirements: format!("Wish {number}: a cart that shows prices in cents and never rounds them"),
        place: RunPlace { repo: Some("/home/op/shop-cart".to_owned()), ..RunPlace::default() },
        rehearsal: false,
        options: RunOptions::default(),
        start: None,
        origin: Default::default(),
        created_at: at,
    };
    runs::insert(tx, &new)?;
    let phases = vec!["first".into(), "second".into()];
    let created = Fact::RunCreated { workflow: workflow.clone(), workflow_hash, thread: thread.clone(), phases, rehearsal: false };
    let started = Fact::RunStarted { workflow: workflow.clone(), thread };
    let end = if number.is_multiple_of(7) { aborted() } else { Fact::RunCompleted {} };
    journal::append(tx, id, &[created, started, end], at)?;
    runs::set_report(tx, id, "report")
}
