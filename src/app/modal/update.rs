//! Modals: help, a text viewer, and confirmations whose first choice is harmless.

use crate::app::keymap::key::{KeyChord, KeyCode};
use crate::app::keymap::{Action, KeyContext};
use crate::app::modal::retry_update;
use crate::app::msg::Cmd;
use crate::app::screens::gate;
use crate::app::screens::new_run;
use crate::app::screens::run;
use crate::app::search;
use crate::app::search::text::TextSearch;
use crate::app::state::{AppState, ConfirmChoice, HelpView, Modal};
use crate::app::text::document::{LineKind, TextDocument};
use crate::app::text::scroll_view::ScrollView;
use crate::app::update::copy;
use crate::app::update::engine_link;
use crate::app::update::quit;
use std::sync::Arc;

/// Opens help.
pub fn help(state: &mut AppState) -> Vec<Cmd> {
    let context = state.context();
    state.modal = Some(Modal::Help(HelpView {
        top: 0,
        typed: String::new(),
        typing: false,
        context,
    }));
    Vec::new()
}

/// Opens a text.
pub fn show_text(state: &mut AppState, title: String, doc: TextDocument) {
    let reading = ScrollView::new(Arc::new(doc), state.look.reading);
    state.modal = Some(Modal::Text(title, Box::new(reading)));
    state.modal_search = TextSearch::default();
}

/// Opens the startup warnings and marks them as read.
pub fn warnings(state: &mut AppState) -> Vec<Cmd> {
    let mut doc = TextDocument::default();
    for words in std::mem::take(&mut state.warnings) {
        doc.push_all(LineKind::Error, &words);
        doc.push(LineKind::Plain, "");
    }
    if doc.lines.is_empty() {
        state.notify("no startup warnings");
        return Vec::new();
    }
    doc.push(LineKind::Note, "The doctor reports it too while it lasts.");
    show_text(state, "Startup warnings".to_owned(), doc);
    Vec::new()
}

/// Handles a key while a modal is open.
pub fn press(state: &mut AppState, chord: KeyChord) -> Vec<Cmd> {
    let action = state.keys.action(KeyContext::Reading, chord);
    if let (Some(Modal::Text(..)), Some(action)) = (&state.modal, action)
        && finds(state, action)
    {
        return Vec::new();
    }
    match &mut state.modal {
        Some(Modal::Confirm(_)) => return press_confirm(state, chord, action),
        Some(Modal::Help(help)) if help.typing || chord == KeyChord::char('/') => {
            write_help(help, chord)
        }
        Some(Modal::Help(help)) if !help.typed.is_empty() && action == Some(Action::Back) => {
            help.typed.clear()
        }
        _ if action == Some(Action::Copy) => return copy::copy(state),
        _ if matches!(
            action,
            Some(Action::Back | Action::Open | Action::Help | Action::Quit)
        ) =>
        {
            state.modal = None
        }
        Some(_) => return go(state, action.unwrap_or(Action::Open)),
        None => {}
    }
    Vec::new()
}

/// Finds in a text in front, or ends that; whether the action was about it.
fn finds(state: &mut AppState, action: Action) -> bool {
    match action {
        Action::Find => search::text_update::open(state),
        Action::NextHit | Action::PrevHit => {
            search::text_update::next(state, action == Action::NextHit)
        }
        Action::Back => return search::text_update::step_back(state),
        _ => return false,
    }
    true
}

/// Scrolls the modal.
pub fn go(state: &mut AppState, action: Action) -> Vec<Cmd> {
    match &mut state.modal {
        Some(Modal::Help(help)) => help.top = scrolled(help.top, Some(action)),
        Some(Modal::Text(_, reading)) => drop(reading.scroll(action)),
        _ => {}
    }
    Vec::new()
}

/// What the keys are looked through for.
fn write_help(help: &mut HelpView, chord: KeyChord) {
    match chord.code {
        _ if !help.typing => help.typing = true,
        KeyCode::Esc => (help.typing, help.typed) = (false, String::new()),
        KeyCode::Enter => help.typing = false,
        KeyCode::Backspace => drop(help.typed.pop()),
        KeyCode::Up => help.top = help.top.saturating_sub(1),
        KeyCode::Down => help.top += 1,
        _ => {
            help.typed.extend(chord.typed());
            help.top = 0;
        }
    }
}

fn scrolled(top: usize, action: Option<Action>) -> usize {
    match action {
        Some(Action::Up) => top.saturating_sub(1),
        Some(Action::Down) => top + 1,
        Some(Action::PageUp) => top.saturating_sub(10),
        Some(Action::PageDown) => top + 10,
        Some(Action::Top) => 0,
        Some(Action::Bottom) => 10_000,
        _ => top,
    }
}

fn press_confirm(state: &mut AppState, chord: KeyChord, action: Option<Action>) -> Vec<Cmd> {
    let Some(Modal::Confirm(confirm)) = &mut state.modal else {
        return Vec::new();
    };
    let last = confirm.choices.len().saturating_sub(1);
    match (chord.code, action) {
        (KeyCode::Left | KeyCode::BackTab, _) | (_, Some(Action::Up)) => {
            confirm.cursor = confirm.cursor.saturating_sub(1)
        }
        (KeyCode::Right | KeyCode::Tab, _) | (_, Some(Action::Down)) => {
            confirm.cursor = (confirm.cursor + 1).min(last)
        }
        (_, Some(Action::Back)) => state.modal = None,
        (KeyCode::Enter, _) => {
            // An Enter typed ahead must not confirm a dialog that has not been drawn.
            let choice = confirm
                .choices
                .get(confirm.cursor)
                .filter(|_| confirm.drawn.is_some())
                .map(|(_, choice)| *choice);
            return choice
                .map(|choice| apply(state, choice))
                .unwrap_or_default();
        }
        _ => {}
    }
    retry_update::update_confirmation(state);
    Vec::new()
}

fn apply(state: &mut AppState, choice: ConfirmChoice) -> Vec<Cmd> {
    state.modal = None;
    match choice {
        ConfirmChoice::Stay => Vec::new(),
        ConfirmChoice::GoOnWith(place) => gate::reassign::choose(state, place),
        ConfirmChoice::AgreeAndGoOn => gate::reassign::agree(state),
        ConfirmChoice::Fork(place) => gate::fork_update::start(state, place),
        ConfirmChoice::Pick(place) => gate::fork_update::pick(state, place),
        ConfirmChoice::Retry(from) => retry_update::start(state, from),
        ConfirmChoice::RetryStrategy => retry_update::turn_strategy(state),
        ConfirmChoice::Abort(run_id) => run::actions::abort(state, run_id),
        ConfirmChoice::TrustBrought => new_run::trust::agree(state),
        ConfirmChoice::AgreeAndStart => new_run::start::agree_and_start(state),
        ConfirmChoice::RollBackAndStart => new_run::start::with_consent(state),
        ConfirmChoice::EmptyForm => new_run::update::clear(state),
        ConfirmChoice::PauseAndQuit => quit::pause_and_quit(state),
        ConfirmChoice::TakeOver => engine_link::take_over(state),
        ConfirmChoice::LeaveRunning => quit::leave_running(state),
    }
}
