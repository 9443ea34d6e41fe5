//! Gates: opening one, scrolling its text, and leaving it open.

use std::sync::Arc;

use super::tick::keep_draft;
use super::{cheaper, fork, gate_verdict, run, text_search};
use crate::app::document::Document;
use crate::app::gate::{GateView, Stage, Tab};
use crate::app::keymap::Action;
use crate::app::msg::{Cmd, Outside, PageText, Query, Work};
use crate::app::run_view::RunView;
use crate::app::runs::{step, waits};
use crate::app::state::{AppState, Screen};
use crate::app::telling::told;
use crate::app::text_input::TextInput;
use crate::model::event::{Event, Fact};
use crate::model::id::RunId;
use crate::model::state::Decision;

/// The question of the run that is looked at or selected; else the next of any run, the oldest first, behind
/// the one that is open.
pub fn next(state: &mut AppState) -> Vec<Cmd> {
    let waiting: Vec<RunId> = state.runs.waiting().map(|r| r.id).collect();
    let asks = state
        .run
        .as_ref()
        .and_then(|run| run.state())
        .is_some_and(|s| s.approval.is_some() && !s.status.is_terminal());
    if state.screen() == Screen::Run && asks {
        return open(state);
    }
    let selected = match state.screen() {
        Screen::Runs => state.runs.selected(),
        Screen::Picker => state.picker.selected(),
        _ => None,
    };
    if let Some(run_id) = selected
        .filter(|record| waits(record))
        .map(|record| record.id)
    {
        return open_of(state, run_id);
    }
    let current = state
        .gate
        .as_ref()
        .filter(|_| state.screen() == Screen::Gate)
        .map(|gate| gate.run_id);
    let at = current
        .and_then(|id| waiting.iter().position(|w| *w == id))
        .map_or(0, |at| at + 1);
    let Some(run_id) = waiting.get(at).or_else(|| waiting.first()).copied() else {
        state.say("no pending approvals");
        return Vec::new();
    };
    if state.screen() == Screen::Gate {
        if current == Some(run_id) && state.gate.as_ref().is_some_and(GateView::is_open) {
            state.say("no other pending approvals");
            return Vec::new();
        }
        let mut cmds = leave(state);
        cmds.extend(open_of(state, run_id));
        return cmds;
    }
    open_of(state, run_id)
}

/// Opens the gate of a run, now or once the run is loaded.
pub fn open_of(state: &mut AppState, run_id: RunId) -> Vec<Cmd> {
    let mut cmds = run::open(state, run_id);
    if state
        .run
        .as_ref()
        .is_some_and(|run| run.state().is_some_and(|s| s.approval.is_some()))
    {
        cmds.extend(open(state));
    } else {
        state.wants_gate = true;
    }
    cmds
}

/// Opens the gate of the open run, restoring the scroll position if it is the same gate.
pub fn open(state: &mut AppState) -> Vec<Cmd> {
    state.wants_gate = false;
    let Some(known) = state.run.as_ref().and_then(|run| run.opened.as_ref()) else {
        return Vec::new();
    };
    let Some(open) = known.state.approval.clone() else {
        state.say("this run has no pending approval");
        return Vec::new();
    };
    if state
        .gate
        .as_ref()
        .is_some_and(|gate| gate.request_id == open.request_id)
    {
        state.show(Screen::Gate);
        return Vec::new();
    }
    let why = state.run.as_ref().and_then(why_stopped);
    let mut gate = GateView::new(known, &open, why.as_deref(), state.look.reading);
    if let Some((source, text)) = state.run.as_ref().and_then(shown_whole) {
        // The text on the screen needs no second query.
        gate.take(source, &text, state.look.reading);
    }
    let missing = gate
        .sources
        .iter()
        .filter(|(tab, _)| !gate.texts.contains_key(tab));
    let mut cmds: Vec<Cmd> = missing
        .map(|(_, query)| Cmd::Query(query.clone()))
        .collect();
    if gate.sha256.is_some() {
        cmds.push(Cmd::Query(Query::Forks(gate.run_id)));
    }
    if gate.asks_amount() {
        cmds.push(Cmd::Work(Work::Cheaper(gate.run_id)));
    }
    match state.drafts.get(&gate.draft_key()) {
        Some(draft) => gate.input = TextInput::of_draft(draft),
        None => cmds.push(Cmd::Query(Query::Draft(gate.draft_key()))),
    }
    state.gate = Some(gate);
    state.show(Screen::Gate);
    cmds
}

/// The text in the artifact pane, where all of it is there, and what it is.
fn shown_whole(run: &RunView) -> Option<(&Query, Arc<Document>)> {
    let reading = run
        .artifact
        .reading
        .as_ref()
        .filter(|reading| !reading.doc().part)?;
    Some((run.artifact.source.as_ref()?, reading.shared()))
}

/// Returns the message of the last event that stopped the agent.
fn why_stopped(run: &RunView) -> Option<String> {
    let failed = |event: &std::sync::Arc<Event>| match &event.fact {
        Fact::SessionFailed { message, .. } => Some(message.clone()),
        _ => None,
    };
    run.tail.events().rev().find_map(failed)
}

/// Formats an event as a log line.
pub fn log_line(state: &AppState, event: &Event) -> String {
    format!(
        "{}  {:>4}  {:<20} {}",
        state.clock(event.at),
        event.seq,
        event.fact.kind(),
        told(&event.fact, state.dot())
    )
}

/// Opens the artifact in the operator's editor; this decides nothing.
pub fn edit(state: &mut AppState) -> Vec<Cmd> {
    let Some(gate) = state.gate.as_mut().filter(|gate| gate.is_open()) else {
        return Vec::new();
    };
    let (Some(sha256), Some(Query::Content(_, path))) =
        (gate.sha256.clone(), gate.sources.get(&Tab::Whole).cloned())
    else {
        state.say("this gate has no artifact to edit");
        return Vec::new();
    };
    let request_id = gate.request_id;
    vec![Cmd::Outside(Outside::Edit {
        request_id,
        sha256,
        path,
    })]
}

/// Hands the text on the screen to the operator's pager: the stored content where the whole is shown.
fn page(state: &AppState) -> Vec<Cmd> {
    let Some(gate) = &state.gate else {
        return Vec::new();
    };
    let text = match (gate.tab, gate.sources.get(&Tab::Whole)) {
        (Tab::Whole, Some(Query::Content(hash, _))) => Some(PageText::Content(hash.clone())),
        _ => gate
            .reading()
            .map(|reading| PageText::Text(reading.shared())),
    };
    let name = gate
        .phase_key
        .as_ref()
        .map_or_else(|| gate.gate.to_string(), ToString::to_string);
    text.map(|text| Cmd::Outside(Outside::Page { name, text }))
        .into_iter()
        .collect()
}

/// Opens the gate of the operator's edited version once it exists.
pub fn follow(state: &mut AppState) -> Vec<Cmd> {
    let asks = state
        .run
        .as_ref()
        .and_then(|run| run.state())
        .and_then(|s| s.approval.as_ref())
        .map(|open| open.request_id);
    let other = state
        .gate
        .as_ref()
        .is_some_and(|gate| asks.is_some_and(|asks| asks != gate.request_id));
    if state.wants_gate && other && state.screen() == Screen::Gate {
        open(state)
    } else {
        Vec::new()
    }
}

/// Executes an action at the gate.
pub fn act(state: &mut AppState, action: Action) -> Vec<Cmd> {
    match action {
        Action::Approve
        | Action::AllowPhase
        | Action::AllowRun
        | Action::RequestChanges
        | Action::Reject => gate_verdict::begin(state, action),
        Action::NextTab => turn_tab(state, 1),
        Action::PrevTab => turn_tab(state, usize::MAX),
        Action::GateEdit => edit(state),
        Action::GateCheaper => cheaper::ask(state),
        Action::Fork => fork::ask(state),
        Action::Pick => fork::ask_pick(state),
        Action::GatePager => page(state),
        Action::Open => enter(state),
        Action::Find => {
            text_search::open(state);
            Vec::new()
        }
        Action::NextHit | Action::PrevHit => {
            text_search::next(state, action == Action::NextHit);
            Vec::new()
        }
        other => {
            scroll(state, other);
            Vec::new()
        }
    }
}

/// Enter opens the comment draft, if there is one. It never decides.
fn enter(state: &mut AppState) -> Vec<Cmd> {
    match &state.gate {
        Some(gate) if matches!(gate.stage, Stage::Receipt(_)) => {
            if gate.receipt_was_seen(state.now.ticks) {
                leave(state)
            } else {
                Vec::new()
            }
        }
        Some(gate) if gate.is_open() && !gate.input.is_blank() => {
            let words = if gate.takes(Decision::RequestChanges) {
                Action::RequestChanges
            } else {
                Action::Reject
            };
            gate_verdict::begin(state, words)
        }
        _ => {
            scroll(state, Action::PageDown);
            Vec::new()
        }
    }
}

fn scroll(state: &mut AppState, action: Action) {
    let rows = state.look.receipt_rows;
    let Some(gate) = &mut state.gate else { return };
    if let Stage::Receipt(receipt) = &mut gate.stage
        && rows > 0
    {
        receipt.top = step(receipt.top, rows + 1, 5, action);
        return;
    }
    if gate.tab == Tab::Errors
        && let Some(beside) = &mut gate.repaired
    {
        beside.go(action);
    }
    if let Some(reading) = gate.reading_mut() {
        reading.go(action);
    }
}

fn turn_tab(state: &mut AppState, by: usize) -> Vec<Cmd> {
    if let Some(gate) = &mut state.gate {
        let tabs = gate.tabs();
        let at = tabs.iter().position(|tab| *tab == gate.tab).unwrap_or(0);
        let by = if by == usize::MAX { tabs.len() - 1 } else { by };
        (gate.tab, gate.tab_chosen) = (tabs[(at + by) % tabs.len()], true);
        let sought = gate.search.sought();
        if gate.is_comparison_of_another_width(state.look.reading.0) {
            gate.lay_out_forks(state.look.reading);
        }
        if let Some(reading) = gate.reading_mut() {
            reading.lay_out(state.look.reading);
            reading.look_for(sought);
        }
    }
    Vec::new()
}

/// Leaves the gate open: Esc is not a decision, and the draft is kept.
pub fn leave(state: &mut AppState) -> Vec<Cmd> {
    let cmds = keep_draft(state);
    if state
        .gate
        .as_ref()
        .is_some_and(|gate| matches!(gate.stage, Stage::Receipt(_)))
    {
        state.gate = None;
    }
    state.back();
    cmds
}
