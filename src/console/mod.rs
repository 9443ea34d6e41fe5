//! The console's main loop: terminal and `AppState` on one thread, everything slow on others.
//!
//! [`pump`] is the event loop. [`terminal`] sets up and restores the terminal; [`escapes`] sends
//! clipboard and notification sequences. [`input`] reads keys and [`library`] reads the archive,
//! each on its own thread. [`wires`] connects the loop to the engine on its background runtime. The
//! loop blocks on none of them. While [`outside`] runs an editor or a pager, the loop waits for its
//! exit or a reason to end it.

pub mod archive_reader;
pub mod connect;
pub mod drafts;
pub mod engine_bridge;
pub mod event_loop;
pub mod external_program;
pub mod input;
mod input_queue;
pub mod jobs;
pub mod osc;
pub mod terminal;
pub mod texts;

#[cfg(test)]
mod tests;

use std::io::IsTerminal;
use std::sync::mpsc::channel;
use std::time::Instant;

use crate::app::keymap::Keymap;
use crate::app::screens::info::state::SettingLine;
use crate::app::state::{AppState, DisplayState};
use crate::app::update;
use crate::console::connect::ConnectFn;
use crate::engine::api::CheckEnvironment;
use crate::engine::paths::InstallPaths;
use crate::model::error::{Code, Failure, Result};
use crate::model::id::RunId;
use crate::model::settings::{AppSettings, ConsoleSettings};
use crate::model::time::{Timestamp, local_zone};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// The first screen of the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartScreen {
    /// The list of runs, behind the resume picker when there is something to resume.
    Home,
    /// One run.
    Run(RunId),
}

/// Options for opening a console.
#[derive(Clone, Debug)]
pub struct ConsoleOptions {
    pub paths: InstallPaths,
    pub settings: AppSettings,
    /// Settings with their sources, for the settings screen.
    pub settings_told: Vec<SettingLine>,
    pub start: StartScreen,
    /// Forces ASCII glyphs, overriding the settings.
    pub ascii: bool,
    /// Disables colours (`NO_COLOR`).
    pub no_color: bool,
}

/// Shutdown tokens: the console requests the drain, the host reports its end.
///
/// An attached console requests no drain, because its process executes no runs.
#[derive(Clone, Debug, Default)]
pub struct ShutdownSignals {
    /// Cancelled to make the engine pause its runs and stop; the console does so on
    /// "pause and quit", on a signal and when its terminal dies.
    pub drain: CancellationToken,
    /// Cancelled by the host when every run is paused and stored.
    pub drained: CancellationToken,
    /// Cancelled before `drain` if the runs should continue without a screen.
    pub hand_over: CancellationToken,
    /// Cancelled before `drain` if the terminal is gone; each run's settings decide what happens.
    pub hung_up: CancellationToken,
}

/// Why the console exited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsoleExit {
    /// The operator quit; no run was active here, or the drain has finished.
    Quit,
    /// A second signal or Ctrl-C interrupted the drain: the caller should exit immediately.
    Forced,
    /// The terminal is gone; the drain was requested.
    TerminalGone,
}

/// Runs the console on the calling thread until the operator quits.
///
/// # Errors
/// `not_a_terminal` without a terminal, `config_invalid` for an invalid key map, `io_failed`
/// on terminal errors, and errors of connecting to the engine. The terminal is always restored.
pub fn run_console(
    options: ConsoleOptions,
    link: ConnectFn,
    runtime: Handle,
    parting: ShutdownSignals,
) -> Result<ConsoleExit> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(Failure::new(
            Code::NotATerminal,
            "the console needs a terminal for input and output",
        )
        .hint("use a command such as `phasedeck runs` or `phasedeck run --headless`"));
    }
    let (sender, events) = channel();
    // The reader opens the archive in parallel with the rest of the setup.
    let library = archive_reader::start(options.paths.clone(), sender.clone())?;
    let keys = keymap(&options.settings.console)?;
    let size = crossterm::terminal::size()
        .map_err(|e| Failure::io("the terminal does not report its size", &e))?;
    let mut state = AppState::new(display_options(&options, size), keys, false);
    state.opening = Some(0);
    let wanted = match options.start {
        StartScreen::Home => None,
        StartScreen::Run(run_id) => Some(run_id),
    };
    let manners = terminal::TerminalModes {
        mouse: options.settings.console.mouse,
        notifications: options.settings.console.notifications,
        between: osc::Multiplexer::here(),
    };
    let paths = options.paths.clone();
    state.settings.file = paths.config_file().display().to_string();
    state.settings.lines = options.settings_told;
    state.here = jobs::here();
    let workshop = jobs::start(
        CheckEnvironment {
            paths: paths.clone(),
            settings: options.settings,
        },
        sender.clone(),
    )?;
    // The first queries depend on today's date, so the clock is set before them.
    state.now.wall = Timestamp::now();
    let first = update::start(&mut state, wanted);
    let terminal = terminal::TerminalScreen::take_over(size, manners)?;
    let wires = engine_bridge::EngineBridge::tie(runtime, &parting, sender.clone())?;
    let keyboard = input::start(&sender)?;
    let opened = Instant::now();
    // A run that was just started already has its engine.
    let linking = if wanted.is_some() {
        event_loop::ConnectState::Due
    } else {
        event_loop::ConnectState::Waiting
    };
    event_loop::EventLoop {
        state,
        terminal,
        wires,
        link,
        linking,
        sender,
        refused: None,
        library,
        workshop,
        events,
        parting,
        keyboard,
        paths,
        opened,
        news: 0,
    }
    .run(first)
}

/// Builds the key map with the operator's keys; reports all problems in one error.
///
/// # Errors
/// `config_invalid` naming every problem.
pub fn keymap(settings: &ConsoleSettings) -> Result<Keymap> {
    Keymap::remapped(&settings.keys).map_err(|problems| {
        let told: Vec<String> = problems
            .iter()
            .map(|p| format!("{} ({})", p.message, p.hint))
            .collect();
        Failure::new(Code::ConfigInvalid, told.join("\n"))
            .hint("correct [console.keys] in config.toml")
    })
}

fn display_options(options: &ConsoleOptions, size: (u16, u16)) -> DisplayState {
    DisplayState {
        ascii: options.ascii || options.settings.console.ascii,
        no_color: options.no_color,
        theme: options.settings.console.theme,
        size,
        reading: (size.0.saturating_sub(2), size.1.saturating_sub(8)),
        receipt_rows: 0,
        focused: true,
        zone: local_zone().clone(),
    }
}
