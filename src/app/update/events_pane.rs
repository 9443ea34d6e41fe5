//! The events pane: live tail, scrolling, search, and viewing one event.

use super::{finding, modal};
use crate::app::document::{Document, Ink};
use crate::app::finding::Asked;
use crate::app::keymap::{Action, is_movement};
use crate::app::msg::{Cmd, Query};
use crate::app::run_view::RunView;
use crate::app::state::AppState;
use crate::app::tail::Need;
use crate::model::event::Event;

/// Executes an action on the pane.
pub fn act(state: &mut AppState, action: Action) -> Vec<Cmd> {
    let Some(run) = &mut state.run else {
        return Vec::new();
    };
    let need = match action {
        Action::Follow => run.tail.follow(),
        Action::Find => return finding::open(run, Asked::Search),
        Action::FilterEvents => return finding::open(run, Asked::Filter),
        Action::NextHit => return finding::next(run, true),
        Action::PrevHit => return finding::next(run, false),
        Action::WrapEvents => {
            run.finding.wrap = !run.finding.wrap;
            None
        }
        Action::Open => {
            if let Some(event) = run.tail.selected().cloned() {
                modal::show_text(
                    state,
                    format!("event {}: {}", event.seq, event.fact.kind()),
                    whole(&event),
                );
            }
            return Vec::new();
        }
        _ if is_movement(action) => run.tail.go(action),
        _ => None,
    };
    need.map(|need| ask(run, need)).into_iter().collect()
}

/// Returns the query for the events that the pane needs.
pub fn ask(run: &RunView, need: Need) -> Cmd {
    Cmd::Query(Query::Events(run.run_id, need, run.tail.wanted().clone()))
}

/// Shows one event in full.
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
