//! Handles the result of an external editor: an edited text, or no change.
use crate::app::modal;
use crate::app::msg::{ArchiveQuery, Cmd, ExternalResult};
use crate::app::screens::gate::state::DecisionStep;
use crate::app::screens::{new_run, run};
use crate::app::state::{AppState, Screen};
use crate::app::text::document::{LineKind, TextDocument};
use crate::engine::api::{CommandAnswer, EngineCommand};
use crate::model::error::Failure;
use crate::model::id::{RequestId, RunId};

/// Handles the exit of the external program.
pub fn returned(state: &mut AppState, returned: ExternalResult) -> Vec<Cmd> {
    let on_gate = state.screen() == Screen::Gate;
    // Keys meant for the external program must not decide anything here.
    state.last_input = state.now.ticks;
    if let Some(gate) = &mut state.gate {
        gate.drawn = None;
    }
    match returned {
        ExternalResult::Edited {
            request_id,
            content,
        } => return send(state, request_id, content),
        ExternalResult::Wished(text) => return new_run::update::edited(state, &text),
        ExternalResult::Unchanged => state.notify("no changes; nothing was sent"),
        ExternalResult::Read => {}
        ExternalResult::Failed(failure) => {
            match state.gate.as_mut().filter(|gate| on_gate && gate.is_open()) {
                Some(gate) => gate.failure = Some(failure),
                None => state.notify_failure(&failure),
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
        state.notify("already answered meanwhile; your text is kept with the drafts");
        return Vec::new();
    };
    let cmds = run::actions::send(
        state,
        run_id,
        "sending your version of",
        EngineCommand::Revise {
            run_id,
            request_id,
            content,
        },
    );
    let ticket = state.last_ticket;
    if let Some(gate) = &mut state.gate {
        (gate.stage, gate.failure) = (DecisionStep::Revising { ticket }, None);
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
    result: &Result<CommandAnswer, Failure>,
) -> Vec<Cmd> {
    state.revising = None;
    let gate = state.gate.as_mut().filter(|gate| {
        gate.request_id == request_id && matches!(gate.stage, DecisionStep::Revising { .. })
    });
    match result {
        Ok(_) => {
            // The facts may have been faster, and the next question be on the screen already.
            state.wants_gate |= gate.is_some();
            vec![
                Cmd::DropEdit(request_id),
                Cmd::Query(ArchiveQuery::Details(run_id)),
            ]
        }
        Err(failure) => {
            if let Some(gate) = gate {
                (gate.stage, gate.drawn) = (DecisionStep::Reading, None);
            }
            let mut doc = TextDocument::default();
            for (index, line) in failure.message.lines().enumerate() {
                doc.push(
                    if index == 0 {
                        LineKind::Heading
                    } else {
                        LineKind::Error
                    },
                    line,
                );
            }
            doc.push(LineKind::Plain, "");
            doc.push(
                LineKind::Note,
                "nothing was stored; your text is kept: e reopens it",
            );
            modal::update::show_text(state, "Your version was rejected".to_owned(), doc);
            vec![Cmd::Query(ArchiveQuery::Details(run_id))]
        }
    }
}
