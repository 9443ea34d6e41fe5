//! Routes keys and pastes to the modal, to a focused text input, or through the key map to the
//! screen.

use super::{
    copy, demo, finding, gate, gate_verdict, leave, linking, looks, modal, new_run, palette,
    picker, recorder, run, run_actions, runs, text_search,
};
use crate::app::key::KeyChord;
use crate::app::keymap::{ALWAYS_LEAVES, Action, KeyContext, is_movement};
use crate::app::msg::Cmd;
use crate::app::state::{AppState, Modal, Screen, run_action};
use crate::app::text_search::is_typed;

/// Handles a key.
pub fn press(state: &mut AppState, chord: KeyChord) -> Vec<Cmd> {
    state.notice = None;
    state.picker.may_open = false;
    let cmds = if chord == ALWAYS_LEAVES {
        leave::ctrl_c(state)
    } else {
        route(state, chord)
    };
    // Set last: whether a decision key counts depends on the time of the previous key.
    state.last_input = state.now.ticks;
    cmds
}

/// Handles a paste, which goes only into a text input.
pub fn paste(state: &mut AppState, text: &str) -> Vec<Cmd> {
    state.picker.may_open = false;
    if let Some(Modal::Palette(palette)) = &mut state.modal {
        palette
            .typed
            .extend(text.chars().filter(|c| !c.is_control()).take(64));
        palette.cursor = 0;
    } else if runs::writes_filter(state) {
        state.last_input = state.now.ticks;
        return runs::paste_filter(state, text);
    } else if finding::is_typed(state) {
        return finding::paste(state, text);
    } else if is_typed(state) {
        text_search::paste(state, text);
    } else if state.modal.is_none() && state.context() == KeyContext::Form {
        state.last_input = state.now.ticks;
        return new_run::paste(state, text);
    } else if state.modal.is_none() && state.context() == KeyContext::Text {
        gate_verdict::paste(state, text);
    }
    state.last_input = state.now.ticks;
    Vec::new()
}

fn route(state: &mut AppState, chord: KeyChord) -> Vec<Cmd> {
    match &state.modal {
        Some(Modal::Palette(_)) => return palette::press(state, chord),
        Some(Modal::Text(..)) if is_typed(state) => {
            text_search::press(state, chord);
            return Vec::new();
        }
        Some(_) => return modal::press(state, chord),
        None => {}
    }
    if runs::writes_filter(state) {
        return runs::write_filter(state, chord);
    }
    if finding::is_typed(state) {
        return finding::press(state, chord);
    }
    if is_typed(state) {
        text_search::press(state, chord);
        return Vec::new();
    }
    let context = state.context();
    if context == KeyContext::Form {
        return new_run::press(state, chord);
    }
    if context == KeyContext::Text {
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

/// Executes an action in the focused pane.
pub fn act(state: &mut AppState, action: Action) -> Vec<Cmd> {
    if !is_movement(action) {
        *state.used.entry(action).or_default() += 1;
    }
    if let Some(cmds) = recorder::refuses(state, action) {
        return cmds;
    }
    match action {
        Action::Quit => leave::confirm_quit(state),
        Action::Help => modal::help(state),
        Action::Palette => palette::open(state),
        Action::NextGate => gate::next(state),
        Action::Copy => copy::copy(state),
        Action::Back => back(state),
        Action::Warnings => modal::warnings(state),
        Action::NewRun => new_run::open(state),
        Action::Demo => demo::start(state),
        Action::TakeOver => linking::confirm_take_over(state),
        Action::ShowRuns => home(state),
        Action::ShowPicker => picker::open(state),
        Action::ShowCost => looks::open_costs(state),
        Action::ShowDoctor => looks::open_doctor(state),
        Action::ShowSettings => looks::open_settings(state),
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
        Screen::NewRun => new_run::act(state, action),
        Screen::Cost => looks::act_costs(state, action),
        Screen::Doctor => looks::act_doctor(state, action),
        Screen::Settings => looks::act_settings(state, action),
    }
}

/// Back to the list, whatever lies above it.
fn home(state: &mut AppState) -> Vec<Cmd> {
    if state.screen() == Screen::Gate {
        let left = gate::leave(state);
        state.screens.truncate(1);
        return left;
    }
    state.screens.truncate(1);
    Vec::new()
}

fn back(state: &mut AppState) -> Vec<Cmd> {
    match state.screen() {
        Screen::Gate if text_search::step_back(state) => Vec::new(),
        Screen::Gate => gate::leave(state),
        Screen::Runs if state.runs.filter.is_active() => runs::clear_filter(state),
        Screen::Run if run::can_step_back(state) => run::step_back(state),
        Screen::Run if state.run.as_ref().is_some_and(|run| run.zoom) => {
            if let Some(run) = &mut state.run {
                run.zoom = false;
            }
            Vec::new()
        }
        _ => {
            state.pop_screen();
            Vec::new()
        }
    }
}
