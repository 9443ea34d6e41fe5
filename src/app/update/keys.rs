//! Keys and pastes: to the modal in front, to a text being written, else by the key map to the screen.

use super::{copy, gate, gate_verdict, leave, modal, palette, picker, run, run_actions, runs};
use crate::app::key::Chord;
use crate::app::keymap::{ALWAYS_LEAVES, Action, Context};
use crate::app::msg::Cmd;
use crate::app::state::{AppState, Modal, Screen, run_action};

/// A key was pressed.
pub fn press(state: &mut AppState, chord: Chord) -> Vec<Cmd> {
    state.notice = None;
    state.picker.may_open = false;
    let cmds = if chord == ALWAYS_LEAVES { leave::ctrl_c(state) } else { route(state, chord) };
    // Set last: whether a verdict key counts depends on the keys before it.
    state.last_input = state.now.ticks;
    cmds
}

/// A text was pasted. It goes into a text that is being written and nowhere else.
pub fn paste(state: &mut AppState, text: &str) -> Vec<Cmd> {
    state.picker.may_open = false;
    if let Some(Modal::Palette(palette)) = &mut state.modal {
        palette.typed.extend(text.chars().filter(|c| !c.is_control()).take(64));
        palette.cursor = 0;
    } else if state.modal.is_none() && state.context() == Context::Text {
        gate_verdict::paste(state, text);
    }
    state.last_input = state.now.ticks;
    Vec::new()
}

fn route(state: &mut AppState, chord: Chord) -> Vec<Cmd> {
    match &state.modal {
        Some(Modal::Palette(_)) => return palette::press(state, chord),
        Some(_) => return modal::press(state, chord),
        None => {}
    }
    let context = state.context();
    if context == Context::Text {
        return gate_verdict::write(state, chord);
    }
    if gate_verdict::confirms(state) {
        return gate_verdict::confirm(state, chord);
    }
    match state.keys.action(context, chord) {
        Some(action) => act(state, action),
        None => Vec::new(),
    }
}

/// Does an action where the focus is.
pub fn act(state: &mut AppState, action: Action) -> Vec<Cmd> {
    match action {
        Action::Quit => leave::ask(state),
        Action::Help => modal::help(state),
        Action::Palette => palette::open(state),
        Action::NextGate => gate::next(state),
        Action::Copy => copy::copy(state),
        Action::Back => back(state),
        other => match run_action(other) {
            Some(what) => run_actions::on_selected(state, what),
            None => on_screen(state, other),
        },
    }
}

fn on_screen(state: &mut AppState, action: Action) -> Vec<Cmd> {
    match state.screen() {
        Screen::Runs => runs::act(state, action),
        Screen::Picker => picker::act(state, action),
        Screen::Run => run::act(state, action),
        Screen::Gate => gate::act(state, action),
    }
}

fn back(state: &mut AppState) -> Vec<Cmd> {
    match state.screen() {
        Screen::Gate => gate::leave(state),
        Screen::Run if state.run.as_ref().is_some_and(|run| run.zoom) => {
            if let Some(run) = &mut state.run {
                run.zoom = false;
            }
            Vec::new()
        }
        _ => {
            state.back();
            Vec::new()
        }
    }
}
