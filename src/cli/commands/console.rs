//! Opens the console on the engine that a session is connected to.

use std::io::IsTerminal;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::doctor;
use super::host;
use crate::cli::context::CommandContext;
use crate::cli::engine_connection;
use crate::cli::engine_connection::{CliConnection, ClosingConnection};
use crate::cli::exit::ExitStatus;
use crate::cli::output::streams::CommandOutcome;
use crate::console;
use crate::console::{ConsoleOptions, ShutdownSignals, StartScreen, run_console};
use crate::model::error::{Code, Failure, Result};
use crate::model::id::RunId;
use crate::model::terminal::is_colourless;

/// Refuses to go on where no screen can be shown.
///
/// # Errors
/// `not_a_terminal`, naming the way without one.
pub fn require_terminal() -> Result<()> {
    let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
    let missing = match () {
        () if !std::io::stdin().is_terminal() => "standard input is not a terminal",
        () if !std::io::stdout().is_terminal() => "standard output is not a terminal",
        () if dumb => "the terminal cannot show a screen (TERM=dumb)",
        () => return Ok(()),
    };
    Err(Failure::new(Code::NotATerminal, format!("the console needs a terminal: {missing}"))
        .hint("without one: `phasedeck run WORKFLOW -m TEXT --headless`, or `phasedeck demo --headless --yes`"))
}

/// Whether the terminal shows no colours, by its name.
fn colourless() -> bool {
    std::env::var("TERM").is_ok_and(|term| is_colourless(&term))
}

/// `phasedeck` alone: the console over all runs. The engine is found while it shows them already.
///
/// # Errors
/// `not_a_terminal`; what the engine or the console says.
pub fn home(setup: &CommandContext) -> CommandOutcome {
    require_terminal()?;
    show(setup, None, finding(setup))
}

/// Opens the console on one run, with the session that began it, and closes that with it.
///
/// # Errors
/// What the console or closing says.
pub fn open(setup: &CommandContext, session: CliConnection, run: Option<RunId>) -> CommandOutcome {
    let (ready, find) = (Mutex::new(Some(session)), finding(setup));
    show(setup, run, move || {
        ready
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .map_or_else(&find, Ok)
    })
}

fn finding(setup: &CommandContext) -> impl Fn() -> Result<CliConnection> + Send + Sync + use<> {
    let (paths, settings) = (setup.paths.clone(), setup.loaded.settings.clone());
    move || CliConnection::find(&paths, &settings)
}

fn show(
    setup: &CommandContext,
    run: Option<RunId>,
    session: impl Fn() -> Result<CliConnection> + Send + Sync + 'static,
) -> CommandOutcome {
    let options = ConsoleOptions {
        paths: setup.paths.clone(),
        settings: setup.loaded.settings.clone(),
        settings_told: doctor::setting_lines(setup),
        start: run.map_or(StartScreen::Home, StartScreen::Run),
        ascii: setup.loaded.settings.console.ascii,
        no_color: setup.no_color
            || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || colourless(),
    };
    let (parting, runtime) = (ShutdownSignals::default(), engine_connection::runtime()?);
    let (opened, sessions) = channel();
    let parts = parting.clone();
    let link = Arc::new(move || {
        let session = session()?;
        let linked = session.engine_connection();
        let _ = opened.send(session.close_when(&parts));
        Ok(linked)
    });
    let left = run_console(options, link, runtime.handle().clone(), parting);
    let closed = close(&sessions, matches!(left, Ok(console::ConsoleExit::Forced)));
    let handed = closed.and_then(|handed| {
        if handed == 0 {
            Ok(None)
        } else {
            host::detach(&setup.paths).map(|pid| Some((handed, pid)))
        }
    });
    let left = left?;
    if let Some((runs, pid)) = handed? {
        let what = if runs == 1 {
            "1 run goes on".to_owned()
        } else {
            format!("{runs} runs go on")
        };
        setup.out.note(&format!(
            "{what} in process {pid}; `phasedeck` attaches to it"
        ));
    }
    Ok(match left {
        console::ConsoleExit::Quit => ExitStatus::Done,
        console::ConsoleExit::Forced | console::ConsoleExit::TerminalGone => ExitStatus::Waiting,
    })
}

/// Closes every session that the console had, also one that is only now there; says how many runs the
/// next host goes on with.
fn close(sessions: &Receiver<ClosingConnection>, hurry: bool) -> Result<usize> {
    let closing = sessions.iter().map(|session| {
        if hurry {
            session.hurry();
        }
        session.wait()
    });
    closing.collect::<Vec<_>>().into_iter().sum()
}
