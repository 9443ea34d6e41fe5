//! Gates: opening one, reading in it, leaving it open, and what others do to it meanwhile.

use super::tick::keep_draft;
use super::{gate_verdict, run};
use crate::app::gate::{GateView, Receipt, Stage};
use crate::app::keymap::Action;
use crate::app::msg::{Cmd, Query};
use crate::app::state::{AppState, Screen};
use crate::app::telling::told;
use crate::app::text_input::TextInput;
use crate::model::event::{Event, Fact};
use crate::model::id::RunId;
use crate::model::record::ApprovalRecord;
use crate::model::state::ApprovalStatus;

/// The question of the run that is looked at; else the next of any run, the oldest first, behind the
/// one that is open.
pub fn next(state: &mut AppState) -> Vec<Cmd> {
    let waiting: Vec<RunId> = state.runs.waiting().map(|r| r.id).collect();
    let asks = state.run.as_ref().and_then(|run| run.state()).is_some_and(|s| s.approval.is_some() && !s.status.is_terminal());
    if state.screen() == Screen::Run && asks {
        return open(state);
    }
    let current = state.gate.as_ref().filter(|_| state.screen() == Screen::Gate).map(|gate| gate.run_id);
    let at = current.and_then(|id| waiting.iter().position(|w| *w == id)).map_or(0, |at| at + 1);
    let Some(run_id) = waiting.get(at).or_else(|| waiting.first()).copied() else {
        state.say("no run waits for you");
        return Vec::new();
    };
    if state.screen() == Screen::Gate {
        if current == Some(run_id) && state.gate.as_ref().is_some_and(GateView::is_open) {
            state.say("no other run waits for you");
            return Vec::new();
        }
        let mut cmds = leave(state);
        cmds.extend(open_of(state, run_id));
        return cmds;
    }
    open_of(state, run_id)
}

fn open_of(state: &mut AppState, run_id: RunId) -> Vec<Cmd> {
    let mut cmds = run::open(state, run_id);
    if state.run.as_ref().is_some_and(|run| run.state().is_some_and(|s| s.approval.is_some())) {
        cmds.extend(open(state));
    } else {
        state.wants_gate = true;
    }
    cmds
}

/// Puts the open run's question on the screen; where it was left, if it is the same.
pub fn open(state: &mut AppState) -> Vec<Cmd> {
    state.wants_gate = false;
    let Some(known) = state.run.as_ref().and_then(|run| run.opened.as_ref()) else { return Vec::new() };
    let Some(open) = known.state.approval.clone() else {
        state.say("this run asks nothing at the moment");
        return Vec::new();
    };
    if state.gate.as_ref().is_some_and(|gate| gate.request_id == open.request_id) {
        state.show(Screen::Gate);
        return Vec::new();
    }
    let log = log_lines(state);
    let Some(known) = state.run.as_ref().and_then(|run| run.opened.as_ref()) else { return Vec::new() };
    let mut gate = GateView::new(known, &open, &log, state.look.reading);
    let path = known.details.artifacts.iter().find(|a| Some(&a.sha256) == gate.sha256.as_ref()).map(|a| a.path.clone());
    let mut cmds = Vec::new();
    if let Some(hash) = &gate.sha256 {
        cmds.push(Cmd::Query(Query::Content(hash.clone(), path.unwrap_or_default())));
        if let Some((_, old)) = &gate.reviewed {
            cmds.push(Cmd::Query(Query::Diff(old.clone(), hash.clone())));
        }
    }
    match state.drafts.get(&gate.draft_key()) {
        Some(draft) => gate.input = TextInput::of_draft(draft),
        None => cmds.push(Cmd::Query(Query::Draft(gate.draft_key()))),
    }
    state.gate = Some(gate);
    state.show(Screen::Gate);
    cmds
}

/// The loaded events of the phase in question, as sentences.
fn log_lines(state: &AppState) -> Vec<String> {
    let Some(run) = &state.run else { return Vec::new() };
    let key = run.state().and_then(|s| s.approval.as_ref()).and_then(|open| open.phase_key.as_ref());
    let ours = |event: &&std::sync::Arc<Event>| key.is_none() || event.fact.phase_key() == key;
    let line = |event: &std::sync::Arc<Event>| {
        format!("{}  {:>4}  {:<20} {}", state.clock(event.at), event.seq, event.fact.kind(), told(&event.fact, state.dot()))
    };
    run.tail.events().filter(ours).map(line).collect()
}

/// Does an action at the gate.
pub fn act(state: &mut AppState, action: Action) -> Vec<Cmd> {
    match action {
        Action::Approve | Action::RequestChanges | Action::Reject => gate_verdict::begin(state, action),
        Action::NextTab => turn_tab(state, 1),
        Action::PrevTab => turn_tab(state, usize::MAX),
        Action::Open if state.gate.as_ref().is_some_and(|gate| !gate.is_open()) => leave(state),
        other => {
            if let Some(reading) = state.gate.as_mut().and_then(GateView::reading_mut) {
                reading.go(other);
            }
            Vec::new()
        }
    }
}

fn turn_tab(state: &mut AppState, by: usize) -> Vec<Cmd> {
    if let Some(gate) = &mut state.gate {
        let tabs = gate.tabs();
        let at = tabs.iter().position(|tab| *tab == gate.tab).unwrap_or(0);
        let by = if by == usize::MAX { tabs.len() - 1 } else { by };
        (gate.tab, gate.tab_chosen) = (tabs[(at + by) % tabs.len()], true);
        if let Some(reading) = gate.reading_mut() {
            reading.lay_out(state.look.reading);
        }
    }
    Vec::new()
}

/// Leaves the gate as it is: Esc is no verdict, and no word is lost.
pub fn leave(state: &mut AppState) -> Vec<Cmd> {
    let cmds = keep_draft(state);
    if state.gate.as_ref().is_some_and(|gate| matches!(gate.stage, Stage::Receipt(_))) {
        state.gate = None;
    }
    state.back();
    cmds
}

/// An event of the run whose question is open.
pub fn on_event(state: &mut AppState, event: &Event) {
    let Some(gate) = state.gate.as_mut().filter(|gate| gate.run_id == event.run_id) else { return };
    match &event.fact {
        Fact::ApprovalResolved { request_id, action, comment, by, via, .. } if *request_id == gate.request_id => {
            let ours = matches!(gate.stage, Stage::Sending { .. } | Stage::Recorded { .. });
            gate.stage = Stage::Receipt(Receipt {
                action: action.resolves_to().to_string(),
                by: format!("{by} ({via})"),
                at: event.at,
                comment: comment.clone(),
                ours,
            });
        }
        Fact::ArtifactChanged { request_id, .. } if *request_id == gate.request_id => {
            gate.stage = Stage::Receipt(Receipt {
                action: "superseded".to_owned(),
                by: "the file was changed after it was checked".to_owned(),
                at: event.at,
                comment: String::new(),
                ours: false,
            });
        }
        Fact::RunCompleted {} | Fact::RunFailed { .. } | Fact::RunAborted { .. } if gate.is_open() => {
            gate.stage = Stage::Receipt(Receipt {
                action: "closed".to_owned(),
                by: format!("the run ended ({})", event.fact.kind()),
                at: event.at,
                comment: String::new(),
                ours: false,
            });
        }
        _ => {}
    }
}

/// The stored answers of the run whose question is open: it may be answered already.
pub fn on_approvals(state: &mut AppState) {
    let (Some(gate), Some(known)) = (&mut state.gate, state.run.as_ref().and_then(|run| run.now())) else { return };
    if matches!(gate.stage, Stage::Receipt(_)) || known.state.run_id != gate.run_id {
        return;
    }
    let found = known.details.approvals.iter().find(|a| a.id == gate.request_id && a.state != ApprovalStatus::Pending);
    if let Some(record) = found {
        let ours = matches!(gate.stage, Stage::Sending { .. } | Stage::Recorded { .. });
        gate.stage = Stage::Receipt(receipt_of(record, ours));
    }
}

fn receipt_of(record: &ApprovalRecord, ours: bool) -> Receipt {
    let via = record.via.map(|via| format!(" ({via})")).unwrap_or_default();
    let by = record.resolved_by.as_ref().map_or_else(|| "the engine".to_owned(), |by| format!("{by}{via}"));
    Receipt {
        action: record.state.to_string(),
        by,
        at: record.resolved_at.unwrap_or(record.requested_at),
        comment: record.comment.clone().unwrap_or_default(),
        ours,
    }
}
