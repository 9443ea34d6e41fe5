//! Time to the first useful frame with 10⁴ runs and 10⁶ events: from process start until the newest
//! run is on the terminal, compared with a minimal program that shows it.

use std::path::{Path, PathBuf};

use begun::{new_run, opening};
use first_frame::{console, first_frame};
use long_run::run_of;
use measure::{BenchResult, RatioGoal, figure, folder, median};
use phasedeck::engine::paths::InstallPaths;
use phasedeck::model::event::RunFact;
use phasedeck::model::id::VersionedName;
use phasedeck::model::state::Via;
use phasedeck::model::time::Timestamp;
use phasedeck::store::tables::runs;
use phasedeck::store::tables::runs::{RunInsert, RunLocation};
use phasedeck::store::{Store, journal};
use portable_pty::CommandBuilder;

#[path = "support/begun.rs"]
mod begun;
#[path = "support/first_frame.rs"]
mod first_frame;
#[path = "support/long_run.rs"]
mod long_run;
#[expect(dead_code, reason = "shared with the benches that need more of it")]
#[path = "support/measure.rs"]
mod measure;
#[path = "support/screenful.rs"]
mod screenful;

/// Environment variable with the database path for the minimal program.
const SCREENFUL: &str = "BENCH_SCREENFUL";
/// Environment variable with a directory that is filled once and reused, for repeated measurements.
const KEPT: &str = "BENCH_START_HOME";
const RUNS: u64 = 10_000;
const EVENTS: u64 = 1_000_000;
/// Facts of each short run.
const SHORT: u64 = 3;
const ROUNDS: usize = 31;
const HOUR_MS: i64 = 3_600_000;

fn main() -> BenchResult<()> {
    if let Some(database) = std::env::var_os(SCREENFUL) {
        return screenful::show(Path::new(&database));
    }
    let made = folder()?;
    let kept = std::env::var_os(KEPT).map(PathBuf::from);
    let home = kept.as_deref().unwrap_or(made.path());
    let paths = InstallPaths::beneath(home);
    if !paths.database().exists() {
        fill(&paths)?;
    }
    let newest = phasedeck::engine::api::RunArchive::open(&paths)?
        .runs(&Default::default())?
        .first()
        .ok_or("no runs")?
        .id
        .short();
    let mut ours = Vec::new();
    let mut least = Vec::new();
    for _ in 0..ROUNDS {
        least.push(first_frame(&screenful_of(&paths)?, &newest, true)?);
        ours.push(first_frame(&console(home), &newest, true)?);
    }
    figure(
        "first useful frame, 10^4 runs and 10^6 events / minimal program",
        median(ours.clone()) / median(least),
        RatioGoal::AtMost(2.0),
    );
    figure(
        "  the console / 5 ms",
        median(ours) / 0.005,
        RatioGoal::None,
    );
    Ok(())
}

fn screenful_of(paths: &InstallPaths) -> BenchResult<CommandBuilder> {
    let mut command = CommandBuilder::new(std::env::current_exe()?);
    command.env(SCREENFUL, paths.database());
    Ok(command)
}

/// Inserts many short runs of earlier days and a long one, all of them finished.
fn fill(paths: &InstallPaths) -> BenchResult<()> {
    paths.create()?;
    let store = Store::open(&paths.database())?;
    let long = run_of(&store, "long", EVENTS - RUNS * SHORT)?;
    let end = Timestamp(Timestamp::now().0 - 30 * HOUR_MS);
    store.write_blocking(move |tx| {
        journal::append(tx, long, &[aborted()], Timestamp::now())?;
        runs::set_report(tx, long, "report")?;
        let workflow: VersionedName = "development@1"
            .parse()
            .map_err(phasedeck::model::error::Failure::internal)?;
        for number in 0..RUNS - 1 {
            let at = Timestamp(end.0 - i64::try_from(number).unwrap_or(0) * HOUR_MS);
            short_run(tx, &workflow, number, at)?;
        }
        Ok(())
    })?;
    store.close_blocking()?;
    Ok(())
}

fn aborted() -> RunFact {
    RunFact::RunAborted {
        by: "kim".to_owned(),
        via: Via::Cli,
        reason: String::new(),
    }
}

fn short_run(
    tx: &rusqlite::Connection,
    workflow: &VersionedName,
    number: u64,
    at: Timestamp,
) -> phasedeck::model::error::Result<()> {
    let new = RunInsert {
        requirements: format!(
            "Wish {number}: a cart that shows prices in cents and never rounds them"
        ),
        place: RunLocation {
            repo: Some("/home/op/shop-cart".to_owned()),
            ..RunLocation::default()
        },
        created_at: at,
        ..new_run(workflow, &format!("lane-{}", number % 300))
    };
    runs::insert(tx, &new)?;
    let [created, started] = opening(&new, &["first", "second"]);
    let end = if number.is_multiple_of(7) {
        aborted()
    } else {
        RunFact::RunCompleted {}
    };
    journal::append(tx, new.id, &[created, started, end], at)?;
    runs::set_report(tx, new.id, "report")
}
