//! Mouse input: the wheel scrolls the pane under the pointer; a click focuses it, or opens the run
//! that is already selected.
//!
//! The mouse never decides: over a confirmation it can only scroll.
use super::keys;
use crate::app::keymap::Action;
use crate::app::modal;
use crate::app::mouse::{MouseInput, MouseTarget, target_at};
use crate::app::msg::Cmd;
use crate::app::screens::run;
use crate::app::state::{AppState, Modal, Screen};

/// Lines that one notch of the wheel moves.
const NOTCH: usize = 3;

/// Handles a mouse event.
pub fn mouse(state: &mut AppState, mouse: MouseInput) -> Vec<Cmd> {
    state.picker.may_open = false;
    let cmds = match mouse.movement() {
        Some(movement) => wheel(state, mouse, movement),
        None => click(state, mouse),
    };
    // As with keys: a verdict counts only after a moment in which nothing was done.
    state.last_input = state.now.ticks;
    cmds
}

fn wheel(state: &mut AppState, mouse: MouseInput, movement: Action) -> Vec<Cmd> {
    let mut cmds = Vec::new();
    for _ in 0..NOTCH {
        cmds.extend(one_line(state, mouse, movement));
    }
    cmds
}

fn one_line(state: &mut AppState, mouse: MouseInput, movement: Action) -> Vec<Cmd> {
    match (&state.modal, state.screen()) {
        (Some(Modal::Confirm(_)), _) => Vec::new(),
        (Some(_), _) => modal::update::go(state, movement),
        (None, Screen::Run) => match target_at(&state.places, mouse.position()) {
            Some(MouseTarget::Pane(pane)) => run::update::scroll(state, pane, movement),
            _ => Vec::new(),
        },
        (None, _) => keys::act(state, movement),
    }
}

fn click(state: &mut AppState, mouse: MouseInput) -> Vec<Cmd> {
    if state.modal.is_some() {
        return Vec::new();
    }
    match (target_at(&state.places, mouse.position()), state.screen()) {
        (Some(MouseTarget::Pane(pane) | MouseTarget::Tab(pane)), Screen::Run) => {
            if let Some(open) = &mut state.run {
                run::update::focus(open, pane);
            }
        }
        // A click must not decide; in the picker Enter would resume a run.
        (Some(MouseTarget::Row(row)), Screen::Runs) if row == state.runs.cursor => {
            return keys::act(state, Action::Open);
        }
        (Some(MouseTarget::Row(row)), Screen::Runs) => state.runs.move_cursor_to(row),
        (Some(MouseTarget::Row(row)), Screen::Picker) => state.picker.move_to(row),
        _ => {}
    }
    Vec::new()
}
