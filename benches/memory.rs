//! Memory use of the console with 10⁶ events open, at the end and at the start of the journal,
//! compared with a well-known log pager (lnav) that has the same events open.

use std::io::Write;
use std::path::Path;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use first_frame::console;
use long_run::{fact, run_of};
use measure::{BenchResult, RatioGoal, figure, folder};
use phasedeck::engine::api::RunArchive;
use phasedeck::engine::paths::InstallPaths;
use phasedeck::model::event::RunFact;
use phasedeck::model::state::Via;
use phasedeck::model::time::Timestamp;
use phasedeck::store::tables::runs;
use phasedeck::store::{Store, journal};
use portable_pty::{CommandBuilder, PtySize};
use seen::TerminalProgram;

#[path = "support/begun.rs"]
mod begun;
#[expect(dead_code, reason = "shared with the benches that time what it starts")]
#[path = "support/first_frame.rs"]
mod first_frame;
#[path = "support/long_run.rs"]
mod long_run;
#[expect(dead_code, reason = "shared with the benches that need more of it")]
#[path = "support/measure.rs"]
mod measure;
#[path = "support/seen.rs"]
mod seen;

const EVENTS: u64 = 1_000_000;
const SIZE: PtySize = PtySize {
    rows: 40,
    cols: 400,
    pixel_width: 0,
    pixel_height: 0,
};
/// Time limit for the pager to read a long file.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() -> BenchResult<()> {
    let home = folder()?;
    let run = fill(&InstallPaths::beneath(home.path()))?;
    let mut ours = ScreenProgram::start(console(home.path()))?;
    ours.until(&run)?;
    ours.program.give("\r")?;
    ours.until(&target(EVENTS - 1)?)?;
    ours.program.give("4g")?;
    ours.until(&target(5)?)?;
    let ours = ours.peak_mib()?;
    figure(
        "highest resident size with 10^6 events open / 64 MiB",
        ours / 64.0,
        RatioGoal::None,
    );
    if std::process::Command::new("lnav")
        .arg("-V")
        .output()
        .is_err()
    {
        println!("skipped: lnav is not installed");
        return Ok(());
    }
    let log = home.path().join("events.jsonl");
    write_lines(&InstallPaths::beneath(home.path()), &log)?;
    let mut pager = CommandBuilder::new("lnav");
    pager.args(["-N".as_ref(), log.as_os_str()]);
    pager.env("HOME", home.path());
    let mut pager = ScreenProgram::start(pager)?;
    pager.until(&target(EVENTS - 1)?)?;
    pager.program.give("g")?;
    pager.until(&target(5)?)?;
    figure(
        "highest resident size with 10^6 events open / lnav",
        ours / pager.peak_mib()?,
        RatioGoal::AtMost(0.2),
    );
    Ok(())
}

/// Inserts a finished run with `EVENTS` events; returns its id as displayed.
fn fill(paths: &InstallPaths) -> BenchResult<String> {
    paths.create()?;
    let store = Store::open(&paths.database())?;
    let run = run_of(&store, "long", EVENTS - 1)?;
    store.write_blocking(move |tx| {
        let aborted = RunFact::RunAborted {
            by: "kim".to_owned(),
            via: Via::Cli,
            reason: String::new(),
        };
        journal::append(tx, run, &[aborted], Timestamp::now())?;
        runs::set_report(tx, run, "report")
    })?;
    store.close_blocking()?;
    Ok(run.short())
}

/// Text that identifies the event with this number on a screen.
fn target(seq: u64) -> BenchResult<String> {
    match fact(seq) {
        RunFact::ToolCalled { target, .. } => Ok(target),
        other => Err(format!("event {seq} is {other:?}").into()),
    }
}

/// Writes the events as lines of JSON, for the pager.
fn write_lines(paths: &InstallPaths, log: &Path) -> BenchResult<()> {
    let archive = RunArchive::open(paths)?;
    let mut lines = std::io::BufWriter::new(std::fs::File::create(log)?);
    let run = archive
        .runs(&Default::default())?
        .first()
        .ok_or("no runs")?
        .id;
    let mut next = 1;
    loop {
        let events = archive.events(run, next, 10_000)?;
        let Some(last) = events.last() else { break };
        next = last.seq + 1;
        for event in &events {
            serde_json::to_writer(&mut lines, event)?;
            lines.write_all(b"\n")?;
        }
    }
    Ok(lines.flush()?)
}

/// A program and the contents of its screen.
struct ScreenProgram {
    program: TerminalProgram,
    screen: vt100::Parser,
}

impl ScreenProgram {
    fn start(command: CommandBuilder) -> BenchResult<Self> {
        let screen = vt100::Parser::new(SIZE.rows.try_into()?, SIZE.cols.try_into()?, 0);
        Ok(Self {
            program: TerminalProgram::start(command, SIZE)?,
            screen,
        })
    }

    /// Waits until this text is on the screen.
    fn until(&mut self, text: &str) -> BenchResult<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.screen.screen().contents().contains(text) {
            match self
                .program
                .written
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok((_, bytes)) => self.screen.process(&bytes),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    let rows: Vec<String> = self
                        .screen
                        .screen()
                        .rows(0, SIZE.cols)
                        .map(|row| row.trim_end().to_owned())
                        .collect();
                    return Err(format!("{text} did not appear:\n{}", rows.join("\n")).into());
                }
            }
        }
        Ok(())
    }

    /// Returns the peak resident size of the program.
    fn peak_mib(&self) -> BenchResult<f64> {
        let id = self
            .program
            .child
            .process_id()
            .ok_or("the program has exited")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .ok_or("the system does not report the peak size")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib / 1024.0)
    }
}
