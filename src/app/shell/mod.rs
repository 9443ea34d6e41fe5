//! The one loop of the console: terminal and `AppState` on one thread, everything slow elsewhere.

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::engine::api::Port;
use crate::engine::paths::Paths;
use crate::model::error::{Failure, Result};
use crate::model::id::RunId;
use crate::model::settings::ConsoleSettings;

/// What the console shows first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartScreen {
    /// The list of runs, behind the resume picker when there is something to resume.
    Home,
    /// One run.
    Run(RunId),
}

/// How a console is opened.
#[derive(Clone, Debug)]
pub struct ConsoleOptions {
    /// Where the archive lies.
    pub paths: Paths,
    /// Keys and glyphs.
    pub settings: ConsoleSettings,
    /// What is shown first.
    pub start: StartScreen,
    /// Whether the engine lives in this process.
    pub hosting: bool,
    /// Only ASCII glyphs, whatever the settings say.
    pub ascii: bool,
    /// No colours (`NO_COLOR`).
    pub no_color: bool,
}

/// How console and host part: the console asks for the drain, the host says when it is over.
///
/// An attached console passes two fresh tokens and `hosting: false`.
#[derive(Clone, Debug, Default)]
pub struct Parting {
    /// Cancelled by whoever wants the engine to pause its runs and stop; the console does on
    /// "pause and quit", on a signal and when its terminal dies.
    pub drain: CancellationToken,
    /// Cancelled by the host when every run is paused and stored.
    pub drained: CancellationToken,
}

/// Why the console ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The operator left; nothing in this process was at work, or the drain is over.
    Quit,
    /// A second signal or Ctrl-C cut the drain short: the caller should end at once.
    Forced,
    /// The terminal is gone; the drain was asked for.
    TerminalGone,
}

/// Runs the console on the calling thread until the operator leaves.
///
/// # Errors
/// `not_a_terminal` without a terminal, `config_invalid` for key maps that do not fit, `io_failed`
/// when the terminal refuses. The terminal is as it was found in every case.
pub fn run_console(options: ConsoleOptions, port: Port, runtime: Handle, parting: Parting) -> Result<Exit> {
    drop((options, port, runtime, parting));
    Err(Failure::internal("the console is being built"))
}
