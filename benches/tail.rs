//! Following 5,000 events per second: the console runs on a pseudo-terminal while another thread of
//! its process stores and signals events. Measured are the delay of the newest event on the screen,
//! the number of frames, the console's CPU use, and its response time to keys, compared with a
//! minimal program that is otherwise idle.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use long_run::{fact, run_of};
use measure::{BenchResult, RatioGoal, figure, folder, median};
use phasedeck::console::{ConsoleOptions, ShutdownSignals, StartScreen, connect, run_console};
use phasedeck::engine::api::{EnginePort, EngineSignal};
use phasedeck::engine::paths::InstallPaths;
use phasedeck::model::event::RunFact;
use phasedeck::model::id::RunId;
use phasedeck::model::settings::AppSettings;
use phasedeck::model::time::Timestamp;
use phasedeck::store::{Store, journal};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use seen::TerminalProgram;
use tokio::sync::{broadcast, mpsc};

#[path = "support/begun.rs"]
mod begun;
#[path = "support/long_run.rs"]
mod long_run;
#[path = "support/measure.rs"]
mod measure;
#[path = "support/screenful.rs"]
mod screenful;
#[path = "support/seen.rs"]
mod seen;

const HOME: &str = "PHASEDECK_BENCH_TAIL_HOME";
/// Environment variable with the database path for the minimal program.
const SCREENFUL: &str = "BENCH_SCREENFUL";
const BEFORE: u64 = 20_000;
/// Events per commit, and commits per second.
const BATCH: u64 = 50;
const BATCHES: u64 = 100;
const SECONDS: u64 = 6;
/// Time for the console to open before events arrive.
const QUIET: Duration = Duration::from_secs(2);
/// Number of keys pressed while events arrive.
const KEYS: u64 = 150;
/// CPU time of the first second is excluded: it belongs to opening the console.
const WARM: u64 = 1;
const SIZE: PtySize = PtySize {
    rows: 60,
    cols: 200,
    pixel_width: 0,
    pixel_height: 0,
};

fn main() -> BenchResult<()> {
    if let Some(database) = std::env::var_os(SCREENFUL) {
        return screenful::show(Path::new(&database));
    }
    if let Some(home) = std::env::var_os(HOME) {
        return follow(&PathBuf::from(home));
    }
    watch()?;
    answer()
}

/// Child process: the console, and a thread that stores and signals events.
fn follow(home: &Path) -> BenchResult<()> {
    let paths = InstallPaths::beneath(home);
    let store = Store::open(&paths.database())?;
    let run = run_of(&store, "lane", BEFORE)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let (requests, _served) = mpsc::channel(8);
    let signals = broadcast::Sender::new(16_384);
    let teller = signals.clone();
    let told = home.join("told");
    let parting = ShutdownSignals::default();
    let ending = parting.clone();
    let costs = home.join("costs");
    std::thread::Builder::new()
        .name("writer".to_owned())
        .spawn(move || {
            let outcome = write(&store, run, &teller, &told, &costs);
            if let Err(error) = outcome {
                eprintln!("the writer failed: {error}");
            }
            ending.drained.cancel();
        })?;
    let options = ConsoleOptions {
        paths,
        settings: AppSettings::default(),
        settings_told: Vec::new(),
        start: StartScreen::Run(run),
        ascii: true,
        no_color: false,
    };
    run_console(
        options,
        connect::to_engine(EnginePort::new(requests, signals)),
        runtime.handle().clone(),
        parting,
    )?;
    Ok(())
}

/// Stores and signals events; records the time of each batch and the CPU time of the console's
/// threads.
fn write(
    store: &Store,
    run: RunId,
    signals: &broadcast::Sender<EngineSignal>,
    told: &Path,
    costs: &Path,
) -> BenchResult<()> {
    let mut log = std::io::BufWriter::new(std::fs::File::create(told)?);
    std::thread::sleep(QUIET);
    let begun = Instant::now();
    let mut seq = BEFORE;
    let mut used = Duration::ZERO;
    for batch in 0..BATCHES * SECONDS {
        if batch == BATCHES * WARM {
            used = cpu_of_console()?;
        }
        let due = Duration::from_secs(batch) / u32::try_from(BATCHES)?;
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
        let facts: Vec<RunFact> = (seq + 1..=seq + BATCH).map(fact).collect();
        let events =
            store.write_blocking(move |tx| journal::append(tx, run, &facts, Timestamp::now()))?;
        seq += BATCH;
        writeln!(log, "{seq} {}", Timestamp::now().0)?;
        for event in events {
            let _nobody = signals.send(EngineSignal::Event(event.into()));
        }
    }
    let share = (cpu_of_console()? - used).as_secs_f64() / (SECONDS - WARM) as f64;
    std::fs::write(costs, share.to_string())?;
    log.flush()?;
    // Leave time for the last frame.
    std::thread::sleep(Duration::from_millis(500));
    Ok(())
}

/// CPU time of all threads except the journal's two.
fn cpu_of_console() -> BenchResult<Duration> {
    let mut sum = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        let name = std::fs::read_to_string(task.join("comm"))?;
        if !matches!(name.trim(), "store" | "writer") {
            let stat = std::fs::read_to_string(task.join("schedstat"))?;
            sum += stat
                .split_whitespace()
                .next()
                .unwrap_or("0")
                .parse::<u64>()?;
        }
    }
    Ok(Duration::from_nanos(sum))
}

/// Parent process: reads the screen like a terminal and records the newest visible event.
fn watch() -> BenchResult<()> {
    let home = folder()?;
    let pty = native_pty_system().openpty(SIZE)?;
    let mut command = CommandBuilder::new(std::env::current_exe()?);
    command.env(HOME, home.path());
    command.env("TERM", "xterm-256color");
    let mut child = pty.slave.spawn_command(command)?;
    drop(pty.slave);
    let mut reader = pty.master.try_clone_reader()?;
    let mut screen = vt100::Parser::new(nonzero(SIZE.rows)?, nonzero(SIZE.cols)?, 0);
    let mut seen = Vec::new();
    let mut chunk = vec![0; 1 << 16];
    while let Ok(read @ 1..) = reader.read(&mut chunk) {
        let at = Timestamp::now();
        screen.process(&chunk[..read]);
        if let Some(newest) = newest(&screen.screen().contents()) {
            seen.push((newest, at));
        }
    }
    child.wait()?;
    report(home.path(), &seen)
}

/// Starts this program again with the given variable, on a terminal of its own.
fn seen(variable: &str, value: &Path) -> BenchResult<TerminalProgram> {
    let mut command = CommandBuilder::new(std::env::current_exe()?);
    command.env(variable, value);
    TerminalProgram::start(command, SIZE)
}

impl TerminalProgram {
    /// Waits until this text is written; `None` means any output.
    fn wait(&self, text: Option<&str>) -> BenchResult<Instant> {
        loop {
            let (at, bytes) = self.written.recv_timeout(Duration::from_secs(20))?;
            if text.is_none_or(|text| {
                bytes
                    .windows(text.len())
                    .any(|part| part == text.as_bytes())
            }) {
                return Ok(at);
            }
        }
    }

    /// Time from pressing the key to the expected output.
    fn press(&mut self, key: &str, shows: Option<&str>) -> BenchResult<Duration> {
        while self.written.try_recv().is_ok() {}
        let begun = Instant::now();
        self.give(key)?;
        Ok(self.wait(shows)?.saturating_duration_since(begun))
    }
}

/// Key to screen while the console follows 5,000 events per second and the minimal program is idle.
/// Keys are pressed alternately in both.
fn answer() -> BenchResult<()> {
    let home = folder()?;
    let other = folder()?;
    let screenful = InstallPaths::beneath(other.path()).database();
    let store = Store::open(&screenful)?;
    for number in 0..SIZE.rows {
        run_of(&store, &format!("lane-{number}"), 3)?;
    }
    store.close_blocking()?;
    let mut least = seen(SCREENFUL, &screenful)?;
    least.wait(Some("line"))?;
    let mut console = seen(HOME, home.path())?;
    console.wait(Some("Phases"))?;
    console.press("4", None)?;
    std::thread::sleep(QUIET + Duration::from_secs(WARM));
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for turn in 0..KEYS {
        let (key, shows) = if turn % 2 == 0 {
            ("k", "PAUSED")
        } else {
            ("f", "FOLLOW")
        };
        ours.push(console.press(key, Some(shows))?);
        theirs.push(least.press(if turn % 2 == 0 { "j" } else { "k" }, None)?);
        // Avoids synchronizing with the frames.
        std::thread::sleep(Duration::from_millis(13 + turn % 11));
    }
    least.give("q")?;
    least.child.wait()?;
    console.child.kill()?;
    console.child.wait()?;
    let high = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times
            .get(times.len() * 99 / 100)
            .map_or(f64::INFINITY, Duration::as_secs_f64)
    };
    let late = high(&mut ours);
    let late_least = high(&mut theirs);
    figure(
        "key to screen in a flood / the minimal program idle, p99",
        late / late_least,
        RatioGoal::AtMost(2.0),
    );
    figure(
        "  the same, median",
        median(ours.clone()) / median(theirs),
        RatioGoal::AtMost(2.0),
    );
    figure(
        "  the console's median / 1.1 ms",
        median(ours) / 0.0011,
        RatioGoal::None,
    );
    Ok(())
}

fn nonzero(count: u16) -> BenchResult<std::num::NonZero<u16>> {
    std::num::NonZero::new(count).ok_or_else(|| "no size".into())
}

/// The highest number in the number column.
fn newest(screen: &str) -> Option<u64> {
    let numbers = screen
        .lines()
        .flat_map(str::split_whitespace)
        .filter_map(|word| word.parse::<u64>().ok());
    numbers
        .filter(|number| *number > BEFORE && *number <= BEFORE + BATCH * BATCHES * SECONDS)
        .max()
}

fn report(home: &Path, seen: &[(u64, Timestamp)]) -> BenchResult<()> {
    let told = std::fs::read_to_string(home.join("told"))?;
    let mut lags = Vec::new();
    for line in told.lines().skip(usize::try_from(BATCHES * WARM)?) {
        let (seq, at) = line.split_once(' ').ok_or("a line without a time")?;
        let (seq, at): (u64, i64) = (seq.parse()?, at.parse()?);
        let shown = seen
            .iter()
            .find(|(newest, _)| *newest >= seq)
            .ok_or("an event never appeared on the screen")?;
        lags.push(Duration::from_millis(shown.1.since_ms(Timestamp(at))));
    }
    lags.sort_unstable();
    let p95 = lags
        .get(lags.len() * 95 / 100)
        .map_or(f64::INFINITY, Duration::as_secs_f64);
    let first = seen.first().ok_or("no event was seen")?.1;
    let last = seen.last().ok_or("no event was seen")?.1;
    let slot = |(_, at): &(u64, Timestamp)| at.since_ms(first) / 100;
    let mut slots: Vec<u64> = seen.iter().map(slot).collect();
    slots.dedup();
    let slots_all = (last.since_ms(first) / 100 + 1) as f64;
    let share: f64 = std::fs::read_to_string(home.join("costs"))?.parse()?;
    figure(
        "newest of 5,000 events/s on the screen, p95 / 50 ms",
        p95 / 0.050,
        RatioGoal::AtMost(1.0),
    );
    figure("  the same, median", median(lags) / 0.050, RatioGoal::None);
    figure(
        "  slots of 100 ms with a newer event",
        slots.len() as f64 / slots_all,
        RatioGoal::AtLeast(1.0),
    );
    figure(
        "  writes to the terminal a second / 60",
        seen.len() as f64 / (slots_all / 10.0) / 60.0,
        RatioGoal::AtMost(1.0),
    );
    figure(
        "  the console's share of a core / 6 %",
        share / 0.06,
        RatioGoal::AtMost(1.0),
    );
    Ok(())
}
