//! The events pane: live tail, scrolling, search, and viewing one event.
use crate::app::keymap::{Action, is_movement};
use crate::app::msg::{ArchiveQuery, Cmd};
use crate::app::screens::run::event_list::EventFetch;
use crate::app::screens::run::state::RunScreen;
use crate::app::search::events::PromptKind;
use crate::app::state::AppState;
use crate::app::text::document::{LineKind, TextDocument};
use crate::app::{modal, search};
use crate::model::event::JournalEvent;

/// Executes an action on the pane.
pub fn act(state: &mut AppState, action: Action) -> Vec<Cmd> {
    let Some(run) = &mut state.run else {
        return Vec::new();
    };
    let need = match action {
        Action::Follow => run.tail.follow(),
        Action::Find => return search::events_update::open(run, PromptKind::Search),
        Action::FilterEvents => return search::events_update::open(run, PromptKind::Filter),
        Action::NextHit => return search::events_update::next(run, true),
        Action::PrevHit => return search::events_update::next(run, false),
        Action::WrapEvents => {
            run.finding.wrap = !run.finding.wrap;
            None
        }
        Action::Open => {
            if let Some(event) = run.tail.selected().cloned() {
                modal::update::show_text(
                    state,
                    format!("event {}: {}", event.seq, event.fact.kind()),
                    show_event(&event),
                );
            }
            return Vec::new();
        }
        _ if is_movement(action) => run.tail.move_cursor(action),
        _ => None,
    };
    need.map(|need| request_window(run, need))
        .into_iter()
        .collect()
}

/// Returns the query for the events that the pane needs.
pub fn request_window(run: &RunScreen, need: EventFetch) -> Cmd {
    Cmd::Query(ArchiveQuery::Events(
        run.run_id,
        need,
        run.tail.filter().clone(),
    ))
}

/// Shows one event in full.
fn show_event(event: &JournalEvent) -> TextDocument {
    match serde_json::to_vec(event) {
        Ok(json) => TextDocument::from_content("event.json", &json),
        Err(error) => {
            let mut doc = TextDocument::default();
            doc.push(LineKind::Error, &error.to_string());
            doc
        }
    }
}
