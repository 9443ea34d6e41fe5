//! What another program left behind: a version of the operator's own, or nothing.

use super::{modal, run_actions};
use crate::app::document::{Document, Ink};
use crate::app::gate::{GateView, Stage};
use crate::app::msg::{Cmd, Query, Returned};
use crate::app::state::AppState;
use crate::engine::api::{Answer, Command};
use crate::model::error::Failure;
use crate::model::id::RequestId;

/// The terminal is ours again.
pub fn returned(state: &mut AppState, returned: Returned) -> Vec<Cmd> {
    // Keys that were meant for the other program must not answer anything here.
    state.last_input = state.now.ticks;
    if let Some(gate) = &mut state.gate {
        gate.drawn = None;
    }
    match returned {
        Returned::Edited { request_id, content } => return send(state, request_id, content),
        Returned::Unchanged => state.say("nothing was changed, so nothing was sent"),
        Returned::Read => {}
        Returned::Failed(failure) => state.complain(&failure),
    }
    Vec::new()
}

/// Sends the version; it decides nothing, a new question asks about it.
fn send(state: &mut AppState, request_id: RequestId, content: String) -> Vec<Cmd> {
    let open = state.gate.as_ref().filter(|gate| gate.request_id == request_id && gate.is_open());
    let Some(run_id) = open.map(|gate| gate.run_id) else {
        state.say("the question was answered meanwhile; your text is kept beside the drafts");
        return Vec::new();
    };
    let cmds = run_actions::send(state, run_id, "sending your version of", Command::Revise { run_id, request_id, content });
    let ticket = state.last_ticket;
    if let Some(gate) = &mut state.gate {
        (gate.stage, gate.failure) = (Stage::Revising { ticket }, None);
    }
    state.notice = None;
    cmds
}

/// What the engine said to it. A version that does not fit is told whole, and kept to be edited again.
pub fn revised(state: &mut AppState, result: &Result<Answer, Failure>) -> Vec<Cmd> {
    let Some(gate) = &mut state.gate else { return Vec::new() };
    let (run_id, request_id) = (gate.run_id, gate.request_id);
    match result {
        Ok(_) => {
            state.wants_gate = true;
            vec![Cmd::DropEdit(request_id), Cmd::Query(Query::Details(run_id))]
        }
        Err(failure) => {
            reopen(gate);
            let mut doc = Document::default();
            for (index, line) in failure.message.lines().enumerate() {
                doc.push(if index == 0 { Ink::Heading } else { Ink::Error }, line);
            }
            doc.push(Ink::Plain, "");
            doc.push(Ink::Note, &format!("{}; your text is kept: e opens it again", failure.hint));
            modal::show_text(state, "Your version was not taken".to_owned(), doc);
            vec![Cmd::Query(Query::Details(run_id))]
        }
    }
}

fn reopen(gate: &mut GateView) {
    (gate.stage, gate.drawn) = (Stage::Reading, None);
}
