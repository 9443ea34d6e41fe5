//! Routes keys and pastes to the modal, to a focused text input, or through the key map to the
//! screen.
use super::{copy, demo};
use crate::app::keymap::key::KeyChord;
use crate::app::keymap::{ALWAYS_LEAVES, Action, KeyContext, is_movement};
use crate::app::msg::Cmd;
use crate::app::screens::{gate, info, new_run, resume, run, runs};
use crate::app::search::text::is_typed;
use crate::app::state::{AppState, Modal, Screen, run_action};
use crate::app::update::{engine_link, quit};
use crate::app::{modal, search};

/// Handles a key.
pub fn press(state: &mut AppState, chord: KeyChord) -> Vec<Cmd> {
    state.notice = None;
    state.picker.may_open = false;
    let cmds = if chord == ALWAYS_LEAVES {
        quit::ctrl_c(state)
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
    } else if runs::update::writes_filter(state) {
        state.last_input = state.now.ticks;
        return runs::update::paste_filter(state, text);
    } else if search::events_update::is_typed(state) {
        return search::events_update::paste(state, text);
    } else if is_typed(state) {
        search::text_update::paste(state, text);
    } else if state.modal.is_none() && state.context() == KeyContext::Form {
        state.last_input = state.now.ticks;
        return new_run::update::paste(state, text);
    } else if state.modal.is_none() && state.context() == KeyContext::Text {
        gate::decision::paste(state, text);
    }
    state.last_input = state.now.ticks;
    Vec::new()
}

fn route(state: &mut AppState, chord: KeyChord) -> Vec<Cmd> {
    match &state.modal {
        Some(Modal::Palette(_)) => return modal::palette::press(state, chord),
        Some(Modal::Text(..)) if is_typed(state) => {
            search::text_update::press(state, chord);
            return Vec::new();
        }
        Some(_) => return modal::update::press(state, chord),
        None => {}
    }
    if runs::update::writes_filter(state) {
        return runs::update::write_filter(state, chord);
    }
    if search::events_update::is_typed(state) {
        return search::events_update::press(state, chord);
    }
    if is_typed(state) {
        search::text_update::press(state, chord);
        return Vec::new();
    }
    let context = state.context();
    if context == KeyContext::Form {
        return new_run::update::press(state, chord);
    }
    if context == KeyContext::Text {
        return gate::decision::write(state, chord);
    }
    if gate::decision::confirms(state) {
        return gate::decision::confirm(state, chord);
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
    if let Some(cmds) = run::history_update::refuses(state, action) {
        return cmds;
    }
    match action {
        Action::Quit => quit::confirm_quit(state),
        Action::Help => modal::update::help(state),
        Action::Palette => modal::palette::open(state),
        Action::NextGate => gate::update::next(state),
        Action::Copy => copy::copy(state),
        Action::Back => back(state),
        Action::Warnings => modal::update::warnings(state),
        Action::NewRun => new_run::update::open(state),
        Action::Demo => demo::start(state),
        Action::TakeOver => engine_link::confirm_take_over(state),
        Action::ShowRuns => home(state),
        Action::ShowPicker => resume::update::open(state),
        Action::ShowCost => info::update::open_costs(state),
        Action::ShowDoctor => info::update::open_doctor(state),
        Action::ShowSettings => info::update::open_settings(state),
        other => match run_action(other) {
            Some(what) => run::actions::on_selected(state, what),
            None => on_screen(state, other),
        },
    }
}

fn on_screen(state: &mut AppState, action: Action) -> Vec<Cmd> {
    match state.screen() {
        Screen::Runs => runs::update::act(state, action),
        Screen::Picker => resume::update::act(state, action),
        Screen::Run => run::update::act(state, action),
        Screen::Gate => gate::update::act(state, action),
        Screen::NewRun => new_run::update::act(state, action),
        Screen::Cost => info::update::act_costs(state, action),
        Screen::Doctor => info::update::act_doctor(state, action),
        Screen::Settings => info::update::act_settings(state, action),
    }
}

/// Back to the list, whatever lies above it.
fn home(state: &mut AppState) -> Vec<Cmd> {
    if state.screen() == Screen::Gate {
        let left = gate::update::leave(state);
        state.screens.truncate(1);
        return left;
    }
    state.screens.truncate(1);
    Vec::new()
}

fn back(state: &mut AppState) -> Vec<Cmd> {
    match state.screen() {
        Screen::Gate if search::text_update::step_back(state) => Vec::new(),
        Screen::Gate => gate::update::leave(state),
        Screen::Runs if state.runs.filter.is_active() => runs::update::clear_filter(state),
        Screen::Run if run::update::can_step_back(state) => run::update::step_back(state),
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
