//! Cost of a frame of the run screen: with 10⁶ and with 100 events, while 5,000 events per second
//! arrive, and while idle. Also response times of searches and time travel in a journal of 10⁶
//! events.

use std::time::{Duration, Instant};

use console::ConsoleBench;
use long_run::{RARE, run_of};
use measure::{BenchResult, RatioGoal, figure, folder, median};
use phasedeck::engine::paths::InstallPaths;
use phasedeck::model::id::RunId;
use phasedeck::store::Store;
use ratatui::layout::Position;

#[path = "support/begun.rs"]
mod begun;
#[path = "support/console.rs"]
mod console;
#[path = "support/long_run.rs"]
mod long_run;
#[path = "support/measure.rs"]
mod measure;

const SMALL: u64 = 100;
const LARGE: u64 = 1_000_000;
const SIZE: (u16, u16) = (200, 60);
const FRAMES: usize = 300;
const STEPS: usize = 100;
/// Events between two frames at 30 frames and 5,000 events per second.
const FLOOD: u64 = 5_000 / 30;
/// A third of a frame at 60 Hz, in seconds.
const THIRD: f64 = 1.0 / 180.0;
/// Time limit for finding a rare word, from key to screen.
const FIND: f64 = 0.020;

fn main() -> BenchResult<()> {
    let home = folder()?;
    let paths = InstallPaths::beneath(home.path());
    let store = Store::open(&paths.database())?;
    let small = run_of(&store, "small", SMALL)?;
    let large = run_of(&store, "large", LARGE)?;
    let mut few = ConsoleBench::open(home.path(), small, SIZE)?;
    let mut many = ConsoleBench::open(home.path(), large, SIZE)?;
    for console in [&mut few, &mut many] {
        console.press("4")?;
        console.settle()?;
    }
    frames(&mut few, &mut many)?;
    idle(&mut many)?;
    open(home.path(), small, large)?;
    find(&mut many)?;
    steps(&mut many)?;
    flood(&mut many, large)
}

fn timed<T>(work: impl FnOnce() -> BenchResult<T>) -> BenchResult<Duration> {
    let begun = Instant::now();
    work()?;
    Ok(begun.elapsed())
}

fn frames(few: &mut ConsoleBench, many: &mut ConsoleBench) -> BenchResult<()> {
    let mut at_small = Vec::new();
    let mut at_large = Vec::new();
    for _ in 0..FRAMES {
        at_small.push(timed(|| few.frame())?);
        at_large.push(timed(|| many.frame())?);
    }
    let small = median(at_small);
    let large = median(at_large);
    figure(
        "a frame of the run screen at 200x60: 10^6 events / 100 events",
        large / small,
        RatioGoal::AtMost(1.2),
    );
    figure(
        "  that frame / a third of a frame at 60 Hz",
        large / THIRD,
        RatioGoal::AtMost(1.0),
    );
    Ok(())
}

fn idle(console: &mut ConsoleBench) -> BenchResult<()> {
    let one = console.frame()?;
    let two = console.frame()?;
    let changed = one.diff(&two).len();
    figure(
        "idle: cells that a second frame would write",
        changed as f64,
        RatioGoal::AtMost(0.0),
    );
    figure(
        "idle: frames requested",
        f64::from(u8::from(console.state.dirty)),
        RatioGoal::AtMost(0.0),
    );
    Ok(())
}

fn open(home: &std::path::Path, small: RunId, large: RunId) -> BenchResult<()> {
    let mut at_small = Vec::new();
    let mut at_large = Vec::new();
    for _ in 0..9 {
        at_small.push(timed(|| ConsoleBench::open(home, small, SIZE))?);
        at_large.push(timed(|| ConsoleBench::open(home, large, SIZE))?);
    }
    figure(
        "opening a run, to its first complete frame: 10^6 / 100 events",
        median(at_large) / median(at_small),
        RatioGoal::None,
    );
    Ok(())
}

/// Time from the last letter of a rare word to its match on the screen.
fn find(console: &mut ConsoleBench) -> BenchResult<()> {
    let mut times = Vec::new();
    for _ in 0..9 {
        console.press("/")?;
        for letter in "xylophon".chars() {
            console.press(&letter.to_string())?;
            console.settle()?;
        }
        times.push(timed(|| {
            console.press("e")?;
            console.settle()
        })?);
        assert_eq!(
            console.state.run.as_ref().map(|run| run.tail.cursor()),
            Some(RARE)
        );
        console.press("Esc")?;
        console.settle()?;
    }
    figure(
        "a rare word in 10^6 events, key to screen / 20 ms",
        median(times) / FIND,
        RatioGoal::AtMost(1.0),
    );
    let first = timed(|| {
        console.press("/")?;
        "xyl"
            .chars()
            .try_for_each(|letter| console.press(&letter.to_string()))?;
        console.settle()
    })?;
    console.press("Esc")?;
    console.settle()?;
    figure(
        "  its first three letters typed at once / 20 ms",
        first.as_secs_f64() / FIND,
        RatioGoal::None,
    );
    let filter = timed(|| {
        console.press("&")?;
        "type:phase.,run."
            .chars()
            .try_for_each(|letter| console.press(&letter.to_string()))?;
        console.press("Enter")?;
        console.settle()
    })?;
    figure(
        "  a filter that leaves 3 of 10^6 events, whole journal / 20 ms",
        filter.as_secs_f64() / FIND,
        RatioGoal::None,
    );
    console.press("Esc")?;
    console.settle()
}

/// One step back in time and forward again, at the end of the journal and at its start.
fn steps(console: &mut ConsoleBench) -> BenchResult<()> {
    let at = |console: &mut ConsoleBench, seq: u64| -> BenchResult<f64> {
        if let Some(run) = &mut console.state.run {
            run.recorder.aim = Some(phasedeck::app::screens::run::history::HistoryCursor::At(
                seq,
            ));
        }
        let mut times = Vec::new();
        for _ in 0..STEPS {
            times.push(timed(|| {
                console.press(",")?;
                console.settle()
            })?);
        }
        Ok(median(times))
    };
    console.press("1")?;
    let late = at(console, 900_000)?;
    let early = at(console, 400)?;
    console.press("End")?;
    console.settle()?;
    figure(
        "a step back in time, key to screen: at event 900,000 / at 400",
        late / early,
        RatioGoal::AtMost(2.0),
    );
    figure(
        "  that step / a frame at 60 Hz",
        late * 60.0,
        RatioGoal::AtMost(1.0),
    );
    Ok(())
}

/// Frames at 30 per second, each with the events that arrived since the previous one.
fn flood(console: &mut ConsoleBench, run: RunId) -> BenchResult<()> {
    let mut times = Vec::new();
    let mut seq = LARGE;
    let mut before = console.frame()?;
    for _ in 0..FRAMES {
        let begun = Instant::now();
        for _ in 0..FLOOD {
            seq += 1;
            console.happens(run, seq)?;
        }
        console.look_for_answers()?;
        let next = console.frame()?;
        let changes = before.diff(&next);
        assert!(
            changes
                .iter()
                .any(|(x, y, _)| next.cell(Position::new(*x, *y)).is_some()),
            "something was drawn"
        );
        times.push(begun.elapsed());
        before = next;
    }
    let within = times
        .iter()
        .filter(|time| time.as_secs_f64() <= THIRD)
        .count();
    figure(
        "  share of those frames within a third of a frame",
        within as f64 / FRAMES as f64,
        RatioGoal::AtLeast(0.95),
    );
    figure(
        "a frame in a flood of 5,000 events/s / a third of a frame at 60 Hz",
        median(times) / THIRD,
        RatioGoal::AtMost(1.0),
    );
    Ok(())
}
