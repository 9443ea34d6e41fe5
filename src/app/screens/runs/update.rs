//! The run list: selection, opening, the fold, the filter, and the queries for the visible rows.
use crate::app::keymap::key::{KeyChord, KeyCode};
use crate::app::keymap::{Action, KeyContext, is_movement};
use crate::app::msg::{ArchiveQuery, Cmd, QueryResult};
use crate::app::screens::run;
use crate::app::screens::runs::filter::SearchProgress;
use crate::app::screens::runs::state::{RunListRow, WINDOW};
use crate::app::state::{AppState, Screen};
use crate::app::update::{demo, engine_link, keys, notify};
use crate::engine::api::{ArtifactHits, RunPageQuery};
use crate::model::error::Failure;

/// What was typed into the filter at most, in characters.
const FILTER_CHARS: usize = 200;

/// Executes an action on the list.
pub fn act(state: &mut AppState, action: Action) -> Vec<Cmd> {
    match action {
        _ if is_movement(action) => {
            state.runs.move_cursor(action);
            window(state)
        }
        Action::Open => open(state),
        Action::Unfold => fold(state, true),
        Action::FoldUp => fold(state, false),
        Action::Filter => {
            state.runs.filter.typing = true;
            Vec::new()
        }
        _ => Vec::new(),
    }
}

fn open(state: &mut AppState) -> Vec<Cmd> {
    match state.runs.line(state.runs.cursor) {
        Some(RunListRow::Fold) => fold(state, !state.runs.unfolded),
        Some(RunListRow::Run(record)) => {
            let id = record.id;
            run::update::open(state, id)
        }
        _ => Vec::new(),
    }
}

/// Opens or closes the fold; closing from within it goes back to its line.
fn fold(state: &mut AppState, open: bool) -> Vec<Cmd> {
    let runs = &mut state.runs;
    let Some(line) = runs.fold_line() else {
        return Vec::new();
    };
    if open == runs.unfolded || !(runs.cursor == line || runs.is_within_fold(runs.cursor)) {
        return Vec::new();
    }
    runs.unfolded = open;
    runs.move_cursor_to(line);
    refresh(state)
}

/// Whether keys are letters of the filter.
#[must_use]
pub fn writes_filter(state: &AppState) -> bool {
    state.screen() == Screen::Runs && state.modal.is_none() && state.runs.filter.typing
}

/// A key while the filter is written. Moving moves in the list; everything else is text.
pub fn write_filter(state: &mut AppState, chord: KeyChord) -> Vec<Cmd> {
    let mut text = state.runs.filter.text.clone();
    match chord.code {
        KeyCode::Esc => return clear_filter(state),
        KeyCode::Enter => {
            state.runs.filter.typing = false;
            return Vec::new();
        }
        KeyCode::Up | KeyCode::Down | KeyCode::PageUp | KeyCode::PageDown => {
            return state
                .keys
                .action(KeyContext::Global, chord)
                .map(|action| act(state, action))
                .unwrap_or_default();
        }
        KeyCode::Backspace => drop(text.pop()),
        _ => match chord.typed() {
            Some(typed) => text.push(typed),
            // Keys that write nothing do what they do everywhere.
            None => {
                return state
                    .keys
                    .action(KeyContext::Global, chord)
                    .map(|action| keys::act(state, action))
                    .unwrap_or_default();
            }
        },
    }
    change_filter(state, text)
}

/// Text for the filter that was pasted.
pub fn paste_filter(state: &mut AppState, pasted: &str) -> Vec<Cmd> {
    let line: String = pasted
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !c.is_control())
        .collect();
    let text = state.runs.filter.text.clone() + &line;
    change_filter(state, text)
}

/// Ends the filter; whether there was one.
pub fn clear_filter(state: &mut AppState) -> Vec<Cmd> {
    state.runs.filter.typing = false;
    change_filter(state, String::new())
}

fn change_filter(state: &mut AppState, text: String) -> Vec<Cmd> {
    let text: String = text.chars().take(FILTER_CHARS).collect();
    if text == state.runs.filter.text {
        return Vec::new();
    }
    state.runs.filter.set_text(text);
    (state.runs.cursor, state.runs.top) = (0, 0);
    state.runs.selected = None;
    refresh(state)
}

/// Asks for what the screen shows, if the screen has left what was read.
pub fn window(state: &mut AppState) -> Vec<Cmd> {
    if state.runs.needs_page() {
        refresh(state)
    } else {
        Vec::new()
    }
}

/// Asks at once: the operator waits for it.
pub fn refresh(state: &mut AppState) -> Vec<Cmd> {
    if state.runs.asking.request() {
        vec![question(state)]
    } else {
        Vec::new()
    }
}

/// Asks because of news; not more often than somebody could read.
pub fn request_list(state: &mut AppState) -> Vec<Cmd> {
    if state.runs.try_acquire_query(state.now.ticks) {
        refresh(state)
    } else {
        Vec::new()
    }
}

/// Asks what had to wait.
pub fn tick(state: &mut AppState) -> Vec<Cmd> {
    if state.runs.due_at.is_some_and(|at| at <= state.now.ticks) {
        request_list(state)
    } else {
        Vec::new()
    }
}

fn question(state: &mut AppState) -> Cmd {
    if !state.runs.loaded {
        state.runs.since.get_or_insert(state.now.ticks);
    }
    Cmd::Query(ArchiveQuery::Runs(
        state.runs.page_request(state.midnight(), state.look.size.1),
    ))
}

/// Handles the loaded list.
pub fn loaded(
    state: &mut AppState,
    ask: &RunPageQuery,
    result: Result<QueryResult, Failure>,
) -> Vec<Cmd> {
    let mut cmds = Vec::new();
    if state.runs.asking.complete() {
        cmds.push(question(state));
    }
    match result {
        // Not ready yet, perhaps of an older schema; the engine says what is wrong, if anything is.
        Err(_) if state.opening.is_some() => {}
        Err(failure) => (state.runs.failure, state.runs.since) = (Some(failure), None),
        Ok(QueryResult::Runs(page)) if state.runs.matches_request(ask) => {
            let (first, before) = (!state.runs.loaded, state.runs.all_known());
            state.runs.apply_page(*page, ask.offset);
            if !first && !state.look.focused {
                cmds.extend(notify::news(&before, &state.runs.all_known()).map(Cmd::Notify));
            }
            if state.runs.filter.start_search() {
                cmds.push(Cmd::Query(ArchiveQuery::SearchArtifacts(
                    state.runs.filter.text.clone(),
                    None,
                )));
            }
            cmds.extend(engine_link::offer(state));
            cmds.extend(demo::load_empty_screen(state, first));
            let short = ask.limit < WINDOW && state.runs.counts.rest > ask.limit;
            cmds.extend(if short { refresh(state) } else { window(state) });
        }
        Ok(_) => {}
    }
    cmds
}

/// A step of the search through artifacts has ended.
pub fn searched(
    state: &mut AppState,
    text: &str,
    result: Result<ArtifactHits, Failure>,
) -> Vec<Cmd> {
    if state.runs.filter.text != text {
        return Vec::new();
    }
    let hits = match result {
        Ok(hits) => hits,
        Err(failure) => {
            state.runs.filter.search = SearchProgress::Done;
            state.notify_failure(&failure);
            return Vec::new();
        }
    };
    let (found, next) = state.runs.filter.apply_hits(hits);
    let mut cmds = if found { refresh(state) } else { Vec::new() };
    cmds.extend(
        next.map(|next| Cmd::Query(ArchiveQuery::SearchArtifacts(text.to_owned(), Some(next)))),
    );
    cmds
}
