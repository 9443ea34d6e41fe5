//! Handles the result of an external editor: an edited text, or no change.

use super::{modal, new_run, run_actions};
use crate::app::document::{Document, Ink};
use crate::app::gate::Stage;
use crate::app::msg::{Cmd, Query, Returned};
use crate::app::state::{AppState, Screen};
use crate::engine::api::{Answer, Command};
use crate::model::error::Failure;
use crate::model::id::{RequestId, RunId};

/// Handles the exit of the external program.
pub fn returned(state: &mut AppState, returned: Returned) -> Vec<Cmd> {
    let on_gate = state.screen() == Screen::Gate;
    // Keys meant for the external program must not decide anything here.
    state.last_input = state.now.ticks;
    if let Some(gate) = &mut state.gate {
        gate.drawn = None;
    }
    match returned {
        Returned::Edited {
            request_id,
            content,
        } => return send(state, request_id, content),
        Returned::Wished(text) => return new_run::edited(state, &text),
        Returned::Unchanged => state.say("no changes; nothing was sent"),
        Returned::Read => {}
        Returned::Failed(failure) => {
            match state.gate.as_mut().filter(|gate| on_gate && gate.is_open()) {
                Some(gate) => gate.failure = Some(failure),
                None => state.complain(&failure),
            }
        }
    }
    Vec::new()
}

/// Sends the version; it decides nothing, a new question asks about it.
fn send(state: &mut AppState, request_id: RequestId, content: String) -> Vec<Cmd> {
    let open = state
        .gate
        .as_ref()
        .filter(|gate| gate.request_id == request_id && gate.is_open());
    let Some(run_id) = open.map(|gate| gate.run_id) else {
        state.say("already answered meanwhile; your text is kept with the drafts");
        return Vec::new();
    };
    let cmds = run_actions::send(
        state,
        run_id,
        "sending your version of",
        Command::Revise {
            run_id,
            request_id,
            content,
        },
    );
    let ticket = state.last_ticket;
    if let Some(gate) = &mut state.gate {
        (gate.stage, gate.failure) = (Stage::Revising { ticket }, None);
    }
    state.revising = Some((ticket, request_id));
    state.notice = None;
    cmds
}

/// What the engine said to it. A version that does not fit is told whole, and kept to be edited again.
pub fn revised(
    state: &mut AppState,
    run_id: RunId,
    request_id: RequestId,
    result: &Result<Answer, Failure>,
) -> Vec<Cmd> {
    state.revising = None;
    let gate = state.gate.as_mut().filter(|gate| {
        gate.request_id == request_id && matches!(gate.stage, Stage::Revising { .. })
    });
    match result {
        Ok(_) => {
            // The facts may have been faster, and the next question be on the screen already.
            state.wants_gate |= gate.is_some();
            vec![
                Cmd::DropEdit(request_id),
                Cmd::Query(Query::Details(run_id)),
            ]
        }
        Err(failure) => {
            if let Some(gate) = gate {
                (gate.stage, gate.drawn) = (Stage::Reading, None);
            }
            let mut doc = Document::default();
            for (index, line) in failure.message.lines().enumerate() {
                doc.push(if index == 0 { Ink::Heading } else { Ink::Error }, line);
            }
            doc.push(Ink::Plain, "");
            doc.push(
                Ink::Note,
                "nothing was stored; your text is kept: e reopens it",
            );
            modal::show_text(state, "Your version was rejected".to_owned(), doc);
            vec![Cmd::Query(Query::Details(run_id))]
        }
    }
}
