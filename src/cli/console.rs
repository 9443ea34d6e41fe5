//! The console, opened on the engine that a session leads to.

use std::io::IsTerminal;

use super::doctor;
use super::exit::Exit;
use super::host;
use super::out::Outcome;
use super::session::Session;
use super::setup::Setup;
use crate::app::shell::{self, ConsoleOptions, Parting, StartScreen, run_console};
use crate::model::error::{Code, Failure, Result};
use crate::model::id::RunId;

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

/// `phasedeck` alone: the console over all runs.
///
/// # Errors
/// `not_a_terminal`; what the engine or the console says.
pub fn home(setup: &Setup) -> Outcome {
    require_terminal()?;
    open(setup, setup.session()?, None)
}

/// Opens the console, on one run or on all, and closes the session with it.
///
/// # Errors
/// What the console or closing says.
pub fn open(setup: &Setup, session: Session, run: Option<RunId>) -> Outcome {
    let options = ConsoleOptions {
        paths: setup.paths.clone(),
        settings: setup.loaded.settings.clone(),
        settings_told: doctor::settings_told(setup),
        start: run.map_or(StartScreen::Home, StartScreen::Run),
        hosting: session.hosts(),
        warnings: session.warnings().to_vec(),
        ascii: setup.loaded.settings.console.ascii,
        no_color: setup.no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
    };
    let (port, runtime, parting) = (session.port(), session.runtime(), Parting::default());
    let closing = session.close_when(&parting);
    let left = run_console(options, port, runtime, parting);
    if matches!(left, Ok(shell::Exit::Forced)) {
        closing.hurry();
    }
    let closed = closing.wait();
    let handed = closed.and_then(|handed| if handed == 0 { Ok(None) } else { host::detach(&setup.paths).map(|pid| Some((handed, pid))) });
    let left = left?;
    if let Some((runs, pid)) = handed? {
        let what = if runs == 1 { "1 run goes on".to_owned() } else { format!("{runs} runs go on") };
        setup.out.note(&format!("{what} in process {pid}; `phasedeck` attaches to it"));
    }
    Ok(match left {
        shell::Exit::Quit => Exit::Done,
        shell::Exit::Forced | shell::Exit::TerminalGone => Exit::Waiting,
    })
}
