//! The events pane: following, going back, one event whole.

use super::modal;
use crate::app::document::{Document, Ink};
use crate::app::keymap::{Action, is_movement};
use crate::app::msg::{Cmd, Query};
use crate::app::state::AppState;
use crate::app::tail::Need;
use crate::model::event::Event;
use crate::model::id::RunId;

/// Does an action on the pane.
pub fn act(state: &mut AppState, action: Action) -> Vec<Cmd> {
    let Some(run) = &mut state.run else { return Vec::new() };
    let need = match action {
        Action::Follow => run.tail.follow(),
        Action::Open => {
            if let Some(event) = run.tail.selected().cloned() {
                modal::show_text(state, format!("event {}: {}", event.seq, event.fact.kind()), whole(&event));
            }
            return Vec::new();
        }
        _ if is_movement(action) => run.tail.go(action),
        _ => None,
    };
    need.map(|need| vec![ask(run.run_id, need)]).unwrap_or_default()
}

/// The question that brings what a tail needs.
pub fn ask(run_id: RunId, need: Need) -> Cmd {
    Cmd::Query(match need {
        Need::Before(seq) => Query::EventsBefore(run_id, seq),
        Need::From(seq) => Query::EventsFrom(run_id, seq),
    })
}

/// One event with everything it says.
fn whole(event: &Event) -> Document {
    match serde_json::to_vec(event) {
        Ok(json) => Document::of_content("event.json", &json),
        Err(error) => {
            let mut doc = Document::default();
            doc.push(Ink::Error, &error.to_string());
            doc
        }
    }
}
