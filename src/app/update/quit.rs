//! Quitting: immediate when no run is active in this process, otherwise after a confirmation.

use crate::app::msg::Cmd;
use crate::app::state::{AppState, ConfirmChoice, ConfirmDialog, Modal, QuitProgress};

/// Time within which a second Ctrl-C counts.
const TWICE_MS: u64 = 2000;

/// Handles quit.
pub fn confirm_quit(state: &mut AppState) -> Vec<Cmd> {
    let at_work = state.active_here();
    if at_work == 0 {
        return vec![Cmd::Quit];
    }
    state.modal = Some(Modal::Confirm(ConfirmDialog {
        question: format!("{at_work} run{} active", if at_work == 1 { " is" } else { "s are" }),
        detail: "Pausing waits for each run's next checkpoint. All progress is saved; you can resume later.".to_owned(),
        choices: vec![
            ("Stay".to_owned(), ConfirmChoice::Stay),
            ("Pause and quit".to_owned(), ConfirmChoice::PauseAndQuit),
            ("Keep running in background".to_owned(), ConfirmChoice::LeaveRunning),
        ],
        cursor: 0,
        drawn: None,
    }));
    Vec::new()
}

/// Ctrl-C: the first shows a notice, the second pauses and quits, the third quits at once.
pub fn ctrl_c(state: &mut AppState) -> Vec<Cmd> {
    if state.leaving == QuitProgress::Draining {
        return vec![Cmd::Quit];
    }
    let ticks = state.now.ticks;
    let twice = state
        .ctrl_c
        .is_some_and(|at| ticks.saturating_sub(at) <= TWICE_MS);
    state.ctrl_c = Some(ticks);
    if twice {
        return pause_and_quit(state);
    }
    state.notify("Ctrl-C again pauses local runs and quits");
    Vec::new()
}

/// Pauses every run of this process, then quits.
pub fn pause_and_quit(state: &mut AppState) -> Vec<Cmd> {
    if state.active_here() == 0 {
        return vec![Cmd::Quit];
    }
    state.leaving = QuitProgress::Draining;
    vec![Cmd::Drain]
}

/// Quits and keeps the runs executing in a host without a screen.
pub fn leave_running(state: &mut AppState) -> Vec<Cmd> {
    let mut cmds = vec![Cmd::HandOver];
    cmds.extend(pause_and_quit(state));
    cmds
}

/// Starts the drain after a signal or a request; a second signal quits at once.
pub fn draining(state: &mut AppState) -> Vec<Cmd> {
    if !state.hosting || state.leaving == QuitProgress::Draining {
        return vec![Cmd::Quit];
    }
    state.leaving = QuitProgress::Draining;
    vec![Cmd::Drain]
}
