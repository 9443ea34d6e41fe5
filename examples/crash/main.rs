//! Crash test: kills phasedeck repeatedly, at every durable step, and checks its invariants.
//!
//! `crash --kills N --seed S` repeats rounds of all stories until N kills were made; `--story NAME`
//! uses one story only; `--bugs` plants one bug after another and requires each to be found;
//! `--power --images N` simulates power loss instead; `--disk` makes every flush and write fail in
//! turn (every N-th write with `--stride N`); `--pairs N` kills once in the run and once in the
//! recovery that follows, at N pairs of points per story. At the first violation it exits with 1,
//! keeps the home directory, and prints the command that repeats the round.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use phasedeck::store::failpoint::Step;
use phasedeck::store::failpoint::planted::Bug;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::invariants::{Observations, Violations};
use crate::model::CrashModel;
use crate::story::{CrashHome, CrashStory};

mod disk;
mod invariants;
mod model;
mod pairs;
mod power;
mod story;

/// Errors of the test itself end it.
pub type CrashResult<T> = Result<T, Box<dyn std::error::Error>>;

/// Kills after which a round counts as never ending.
const MOST_KILLS: u64 = 600;
/// Kills after which a planted bug counts as not found.
const KILLS_FOR_A_BUG: u64 = 2_000;

fn main() -> CrashResult<std::process::ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [first, home, story] = &args[..]
        && first == "--child"
    {
        let story = CrashStory::named(story).ok_or("no such story")?;
        story::run_child(std::path::Path::new(home), story)?;
        return Ok(std::process::ExitCode::SUCCESS);
    }
    let value = |name: &str| {
        args.iter()
            .position(|arg| arg == name)
            .and_then(|at| args.get(at + 1))
    };
    let number =
        |name: &str, otherwise: u64| value(name).map_or(Ok(otherwise), |text| text.parse());
    let kills = number("--kills", 2_000)?;
    let seed = number("--seed", 1)?;
    let story = value("--story")
        .map(|name| CrashStory::named(name).ok_or("no such story"))
        .transpose()?;
    if args.iter().any(|arg| arg == "--power") {
        return Ok(exit(power_loss(
            usize::try_from(number("--images", 500)?)?,
            seed,
        )?));
    }
    if args.iter().any(|arg| arg == "--disk") {
        return Ok(exit(disk::play(number("--stride", 1)?, story)?));
    }
    if args.iter().any(|arg| arg == "--pairs") {
        return Ok(exit(pairs::play(
            usize::try_from(number("--pairs", 1_000)?)?,
            story,
        )?));
    }
    let sound = if args.iter().any(|arg| arg == "--bugs") {
        bugs(seed)?
    } else {
        play(kills, seed, story, None, true)?.is_none()
    };
    Ok(exit(sound))
}

fn exit(sound: bool) -> std::process::ExitCode {
    if sound {
        std::process::ExitCode::SUCCESS
    } else {
        std::process::ExitCode::FAILURE
    }
}

/// How often each point was passed, and how often it was the last one.
#[derive(Default)]
struct KillCounts {
    passed: BTreeMap<String, u64>,
    killed: BTreeMap<String, u64>,
    kills: u64,
    in_recovery: u64,
    from_outside: u64,
    rounds: u64,
}

/// Repeats rounds until enough kills were made. Returns the number of kills before the first
/// violation, if there was one.
fn play(
    kills: u64,
    seed: u64,
    only: Option<CrashStory>,
    bug: Option<Bug>,
    tells: bool,
) -> CrashResult<Option<u64>> {
    let model = CrashModel::start()?;
    let begun = Instant::now();
    let mut counts = KillCounts::default();
    let mut said = Instant::now();
    let mut round = seed;
    while counts.kills < kills {
        let stories = CrashStory::ALL.len() as u64;
        let story = only.unwrap_or(CrashStory::ALL[usize::try_from(round % stories)?]);
        let home = CrashHome::new(story, &model.base_url())?;
        model.forget();
        let broken = one_round(&home, &model, round, bug, &mut counts)?;
        if !broken.is_empty() {
            if tells {
                let kept = home.dir.keep();
                println!(
                    "\nVIOLATION after {} kills, kept in {}",
                    counts.kills,
                    kept.display()
                );
                for violation in &broken {
                    println!("  {violation}");
                }
                println!(
                    "repeat: crash --kills 1 --seed {round} --story {}",
                    story.name()
                );
            }
            return Ok(Some(counts.kills));
        }
        round += 1;
        counts.rounds += 1;
        if tells && said.elapsed() > Duration::from_secs(10) {
            said = Instant::now();
            println!(
                "{:>7} kills, {:>5} rounds, {:.1} kills per second, 0 violations",
                counts.kills,
                counts.rounds,
                rate(&counts, begun)
            );
        }
    }
    if tells {
        summary(&counts, begun);
    }
    Ok(None)
}

fn rate(counts: &KillCounts, begun: Instant) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate for display")]
    let kills = counts.kills as f64;
    kills / begun.elapsed().as_secs_f64()
}

/// Kills the child of one home until its runs have ended anyway.
fn one_round(
    home: &CrashHome,
    model: &CrashModel,
    round: u64,
    bug: Option<Bug>,
    counts: &mut KillCounts,
) -> CrashResult<Violations> {
    let mut dice = StdRng::seed_from_u64(round);
    let mut memory = Observations::default();
    let mut kills = 0;
    loop {
        let mut command = home.child()?;
        command.envs(bug.map(|bug| ("PHASEDECK_PLANTED_BUG", bug.as_str())));
        // Each kill comes later than the last, so that the round progresses however long recovery
        // takes.
        let reach = 30 + kills * 4;
        let way = dice.random_range(0..10);
        let outside = way < 2;
        match way {
            0 | 1 => {}
            // A step that is passed once per run would otherwise hardly ever be chosen.
            2 => {
                command.env("PHASEDECK_FAILPOINT", format!("1 {}", a_step(&mut dice)));
            }
            _ => {
                let point = format!("{} any", dice.random_range(1..=reach));
                command.env("PHASEDECK_FAILPOINT", point);
            }
        }
        let before = lines(home);
        let mut child = command.spawn()?;
        let status = if outside {
            wait_and_kill(
                &mut child,
                Duration::from_millis(dice.random_range(1..=20 + reach)),
            )?
        } else {
            child.wait()?
        };
        let passed = lines(home).split_off(before.len());
        for point in &passed {
            *counts.passed.entry(point.clone()).or_default() += 1;
        }
        let killed = status.signal().is_some();
        if killed {
            kills += 1;
            counts.kills += 1;
            let last = passed.last().cloned().unwrap_or_default();
            let recovering = |side: &str| {
                passed
                    .iter()
                    .rposition(|point| point == &format!("{}:{side}", Step::Recovery.as_str()))
            };
            counts.in_recovery += u64::from(recovering("before") > recovering("after"));
            counts.from_outside += u64::from(outside);
            *counts
                .killed
                .entry(if outside {
                    "(outside)".to_owned()
                } else {
                    last
                })
                .or_default() += 1;
        } else if !status.success() {
            let words = std::fs::read_to_string(home.dir.path().join("stderr")).unwrap_or_default();
            return Ok(vec![format!(
                "the child could not continue after {kills} kills: {}",
                words.trim()
            )]);
        }
        let mut broken = invariants::after_kill(home, model, &mut memory)?;
        if !killed {
            broken.extend(invariants::at_end(home, model)?);
            return Ok(broken);
        }
        if !broken.is_empty() {
            return Ok(broken);
        }
        if kills > MOST_KILLS {
            return Ok(vec![format!("the round did not end after {kills} kills")]);
        }
    }
}

/// Chooses one side of any step. If the story does not pass it again, its child runs to the end.
fn a_step(dice: &mut StdRng) -> String {
    let step = Step::ALL[dice.random_range(0..Step::ALL.len())];
    let side = dice.random_range(0..2);
    format!("{}:{}", step.as_str(), ["before", "after"][side])
}

/// Runs the story of a home, optionally killed at its n-th point. Returns whether it was killed,
/// and the points that it passed.
fn killed_at(home: &CrashHome, nth: Option<usize>) -> CrashResult<(bool, Vec<String>)> {
    let before = lines(home).len();
    let mut command = home.child()?;
    command.envs(nth.map(|nth| ("PHASEDECK_FAILPOINT", format!("{nth} any"))));
    let status = command.status()?;
    if !status.success() && status.signal().is_none() {
        return Err(format!(
            "the child could not continue: {}",
            std::fs::read_to_string(home.stderr())?.trim()
        )
        .into());
    }
    Ok((status.signal().is_some(), lines(home).split_off(before)))
}

fn lines(home: &CrashHome) -> Vec<String> {
    std::fs::read_to_string(home.points())
        .unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect()
}

fn wait_and_kill(
    child: &mut std::process::Child,
    after: Duration,
) -> CrashResult<std::process::ExitStatus> {
    let deadline = Instant::now() + after;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() >= deadline {
            child.kill()?;
            return Ok(child.wait()?);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn summary(counts: &KillCounts, begun: Instant) {
    println!("\n{:<44} {:>9} {:>7}", "point", "passed", "killed");
    let mut names: Vec<String> = counts.passed.keys().cloned().collect();
    names.extend(
        Step::ALL
            .iter()
            .flat_map(|step| ["before", "after"].map(|side| format!("{}:{side}", step.as_str()))),
    );
    names.sort();
    names.dedup();
    for name in &names {
        let count = |of: &BTreeMap<String, u64>| of.get(name).copied().unwrap_or(0);
        println!(
            "{name:<44} {:>9} {:>7}",
            count(&counts.passed),
            count(&counts.killed)
        );
    }
    let never = names
        .iter()
        .filter(|name| !counts.passed.contains_key(*name))
        .count();
    println!(
        "\n{} points, {never} never passed in these stories",
        names.len()
    );
    println!(
        "{} kills in {} rounds ({} during recovery, {} from outside), {:.1} kills per second: 0 violations",
        counts.kills,
        counts.rounds,
        counts.in_recovery,
        counts.from_outside,
        rate(counts, begun)
    );
}

/// Requires that nothing is lost with the default settings, and that something is lost with weaker
/// ones: a test that finds nothing either way would prove nothing.
fn power_loss(images: usize, seed: u64) -> CrashResult<bool> {
    let Some(lost) = power::play(images, seed, None)? else {
        return Ok(true);
    };
    println!(
        "synchronous=FULL: {} of {} disks lost acknowledged data",
        lost.len(),
        images * power::STORIES.len()
    );
    for violation in lost.iter().take(5) {
        println!("  {violation}");
    }
    if !cfg!(feature = "planted-bugs") {
        return Ok(lost.is_empty());
    }
    let control = power::play(images, seed, Some(Bug::SynchronousNormal))?.unwrap_or_default();
    println!(
        "synchronous=NORMAL: {} of {} disks lost acknowledged data",
        control.len(),
        images * power::STORIES.len()
    );
    for violation in control.iter().take(2) {
        println!("  {violation}");
    }
    Ok(lost.is_empty() && !control.is_empty())
}

/// Plants each bug and requires that it is found, except the one that only power loss reveals.
fn bugs(seed: u64) -> CrashResult<bool> {
    if !cfg!(feature = "planted-bugs") {
        return Err("built without the feature planted-bugs".into());
    }
    let mut all = true;
    for bug in Bug::ALL
        .iter()
        .filter(|bug| **bug != Bug::SynchronousNormal)
    {
        let found = play(KILLS_FOR_A_BUG, seed, None, Some(*bug), false)?;
        match found {
            Some(kills) => println!("{:<24} found after {kills} kills", bug.as_str()),
            None => println!("{:<24} NOT FOUND in {KILLS_FOR_A_BUG} kills", bug.as_str()),
        }
        all &= found.is_some();
    }
    Ok(all)
}
