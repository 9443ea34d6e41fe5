//! Cost of a start after a crash, with 10, 100 and 1,000 runs whose host died: time to the first
//! frame of a console and to a serving host, each compared with the same number of paused runs.

use std::path::Path;
use std::time::{Duration, Instant};

use begun::{first_phase, new_run, opening};
use first_frame::{console, first_frame};
use measure::{BenchResult, RatioGoal, figure, folder, median};
use phasedeck::engine::api::{RunArchive, RunQuery};
use phasedeck::engine::host::EngineHost;
use phasedeck::engine::paths::InstallPaths;
use phasedeck::model::id::VersionedName;
use phasedeck::model::settings::AppSettings;
use phasedeck::model::time::Timestamp;
use phasedeck::store::tables::runs;
use phasedeck::store::{Store, journal};

#[path = "support/begun.rs"]
mod begun;
#[path = "support/first_frame.rs"]
mod first_frame;
#[expect(dead_code, reason = "shared with the benches that need more of it")]
#[path = "support/measure.rs"]
mod measure;

const RUNS: [usize; 3] = [10, 100, 1_000];
const ROUNDS: usize = 5;
const FRAMES: usize = 21;

fn main() -> BenchResult<()> {
    for count in RUNS {
        let crashed = folder()?;
        die(&InstallPaths::beneath(crashed.path()), count)?;
        let resting = copy(crashed.path())?;
        serve(&InstallPaths::beneath(resting.path()), count)?;
        frames(crashed.path(), resting.path(), count)?;
        hosts(crashed.path(), count)?;
    }
    Ok(())
}

/// Time to the first frame. Recovery runs after it, so it must not be delayed.
fn frames(crashed: &Path, resting: &Path, count: usize) -> BenchResult<()> {
    let newest = RunArchive::open(&InstallPaths::beneath(crashed))?
        .runs(&RunQuery::default())?
        .first()
        .ok_or("no runs")?
        .id
        .short();
    let mut after_crash = Vec::new();
    let mut at_rest = Vec::new();
    for _ in 0..FRAMES {
        for (from, times) in [(resting, &mut at_rest), (crashed, &mut after_crash)] {
            // Each start changes the data it finds, so each gets a copy.
            let home = copy(from)?;
            times.push(first_frame(&console(home.path()), &newest, false)?);
        }
    }
    let name = format!("first frame after a crash of {count} runs / the same runs paused");
    figure(
        &name,
        median(after_crash) / median(at_rest),
        RatioGoal::AtMost(1.2),
    );
    Ok(())
}

/// Time to a serving host, which starts after the frame.
fn hosts(crashed: &Path, count: usize) -> BenchResult<()> {
    let mut after_crash = Vec::new();
    let mut at_rest = Vec::new();
    for _ in 0..ROUNDS {
        let home = copy(crashed)?;
        let paths = InstallPaths::beneath(home.path());
        after_crash.push(serve(&paths, count)?);
        // The first start pauses all runs, so the second one has nothing to recover.
        at_rest.push(serve(&paths, count)?);
    }
    let after_crash = median(after_crash);
    let at_rest = median(at_rest);
    figure(
        &format!("  a serving host after a crash of {count} runs / the same runs paused"),
        after_crash / at_rest,
        RatioGoal::None,
    );
    figure(
        &format!("  a serving host after a crash of {count} runs / one second"),
        after_crash,
        RatioGoal::AtMost(1.0),
    );
    Ok(())
}

/// Copies the database to a new home.
fn copy(home: &Path) -> BenchResult<tempfile::TempDir> {
    let copy = folder()?;
    let from = InstallPaths::beneath(home);
    let to = InstallPaths::beneath(copy.path());
    to.create()?;
    for entry in std::fs::read_dir(&from.data)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            std::fs::copy(entry.path(), to.data.join(entry.file_name()))?;
        }
    }
    Ok(copy)
}

/// Creates a database as left by a host that died with `count` active runs.
fn die(paths: &InstallPaths, count: usize) -> BenchResult<()> {
    paths.create()?;
    let store = Store::open(&paths.database())?;
    let (workflow, persona): (VersionedName, VersionedName) =
        ("bench@1".parse()?, "maker@1".parse()?);
    store.write_blocking(move |tx| {
        for number in 0..count {
            let new = new_run(&workflow, &format!("lane-{number}"));
            runs::insert(tx, &new)?;
            let [created, started] = opening(&new, &["first", "second"]);
            journal::append(
                tx,
                new.id,
                &[created, started, first_phase(&persona)],
                Timestamp::now(),
            )?;
        }
        Ok(())
    })?;
    store.close_blocking()?;
    Ok(())
}

/// Time to a serving host and a list of runs.
fn serve(paths: &InstallPaths, count: usize) -> BenchResult<Duration> {
    let begun = Instant::now();
    let host = EngineHost::start(paths, &AppSettings::default())?;
    let runs = RunArchive::open(paths)?.runs(&RunQuery::default())?;
    let took = begun.elapsed();
    assert_eq!(runs.len(), count);
    assert!(runs.iter().all(|run| run.state == "paused"));
    host.shutdown(Duration::ZERO)?;
    Ok(took)
}
