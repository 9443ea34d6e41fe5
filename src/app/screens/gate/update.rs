//! Gates: opening one, scrolling its text, and leaving it open.

use crate::app::keymap::Action;
use crate::app::msg::{ArchiveQuery, BackgroundJob, Cmd, ExternalProgram, PagerText};
use crate::app::screens::gate::state::{DecisionStep, GateTab, GateView};
use crate::app::screens::gate::{decision, fork_update, reassign};
use crate::app::screens::run;
use crate::app::screens::run::event_text::describe;
use crate::app::screens::run::state::RunScreen;
use crate::app::screens::runs::state::{awaits_operator, move_in_list};
use crate::app::search;
use crate::app::state::{AppState, Screen};
use crate::app::text::document::TextDocument;
use crate::app::text::text_input::TextInput;
use crate::app::update::tick::keep_draft;
use crate::model::event::{JournalEvent, RunFact};
use crate::model::id::RunId;
use crate::model::state::Decision;
use std::sync::Arc;

/// The question of the run that is looked at or selected; else the next of any run, the oldest first, behind
/// the one that is open.
pub fn next(state: &mut AppState) -> Vec<Cmd> {
    let waiting: Vec<RunId> = state.runs.awaiting_operator().map(|r| r.id).collect();
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
        .filter(|record| awaits_operator(record))
        .map(|record| record.id)
    {
        return open_gate_for(state, run_id);
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
        state.notify("no pending approvals");
        return Vec::new();
    };
    if state.screen() == Screen::Gate {
        if current == Some(run_id) && state.gate.as_ref().is_some_and(GateView::is_open) {
            state.notify("no other pending approvals");
            return Vec::new();
        }
        let mut cmds = leave(state);
        cmds.extend(open_gate_for(state, run_id));
        return cmds;
    }
    open_gate_for(state, run_id)
}

/// Opens the gate of a run, now or once the run is loaded.
pub fn open_gate_for(state: &mut AppState, run_id: RunId) -> Vec<Cmd> {
    let mut cmds = run::update::open(state, run_id);
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
        state.notify("this run has no pending approval");
        return Vec::new();
    };
    if state
        .gate
        .as_ref()
        .is_some_and(|gate| gate.request_id == open.request_id)
    {
        state.push_screen(Screen::Gate);
        return Vec::new();
    }
    let why = state.run.as_ref().and_then(why_stopped);
    let mut gate = GateView::new(known, &open, why.as_deref(), state.look.reading);
    if let Some((source, text)) = state.run.as_ref().and_then(is_fully_shown) {
        // The text on the screen needs no second query.
        gate.apply_text(source, &text, state.look.reading);
    }
    let missing = gate
        .sources
        .iter()
        .filter(|(tab, _)| !gate.texts.contains_key(tab));
    let mut cmds: Vec<Cmd> = missing
        .map(|(_, query)| Cmd::Query(query.clone()))
        .collect();
    if gate.sha256.is_some() {
        cmds.push(Cmd::Query(ArchiveQuery::Forks(gate.run_id)));
    }
    if gate.accepts_amount() {
        cmds.push(Cmd::Work(BackgroundJob::Cheaper(gate.run_id)));
    }
    match state.drafts.get(&gate.draft_key()) {
        Some(draft) => gate.input = TextInput::from_draft(draft),
        None => cmds.push(Cmd::Query(ArchiveQuery::Draft(gate.draft_key()))),
    }
    state.gate = Some(gate);
    state.push_screen(Screen::Gate);
    cmds
}

/// The text in the artifact pane, where all of it is there, and what it is.
fn is_fully_shown(run: &RunScreen) -> Option<(&ArchiveQuery, Arc<TextDocument>)> {
    let reading = run
        .artifact
        .reading
        .as_ref()
        .filter(|reading| !reading.doc().part)?;
    Some((run.artifact.source.as_ref()?, reading.shared_document()))
}

/// Returns the message of the last event that stopped the agent.
fn why_stopped(run: &RunScreen) -> Option<String> {
    let failed = |event: &std::sync::Arc<JournalEvent>| match &event.fact {
        RunFact::SessionFailed { message, .. } => Some(message.clone()),
        _ => None,
    };
    run.tail.events().rev().find_map(failed)
}

/// Formats an event as a log line.
pub fn log_line(state: &AppState, event: &JournalEvent) -> String {
    format!(
        "{}  {:>4}  {:<20} {}",
        state.clock(event.at),
        event.seq,
        event.fact.kind(),
        describe(&event.fact, state.separator())
    )
}

/// Opens the artifact in the operator's editor; this decides nothing.
pub fn edit(state: &mut AppState) -> Vec<Cmd> {
    let Some(gate) = state.gate.as_mut().filter(|gate| gate.is_open()) else {
        return Vec::new();
    };
    let (Some(sha256), Some(ArchiveQuery::Content(_, path))) = (
        gate.sha256.clone(),
        gate.sources.get(&GateTab::Whole).cloned(),
    ) else {
        state.notify("this gate has no artifact to edit");
        return Vec::new();
    };
    let request_id = gate.request_id;
    vec![Cmd::Outside(ExternalProgram::Edit {
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
    let text = match (gate.tab, gate.sources.get(&GateTab::Whole)) {
        (GateTab::Whole, Some(ArchiveQuery::Content(hash, _))) => {
            Some(PagerText::Content(hash.clone()))
        }
        _ => gate
            .scroll_view()
            .map(|reading| PagerText::Text(reading.shared_document())),
    };
    let name = gate
        .phase_key
        .as_ref()
        .map_or_else(|| gate.gate.to_string(), ToString::to_string);
    text.map(|text| Cmd::Outside(ExternalProgram::Page { name, text }))
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
        | Action::Reject => decision::start(state, action),
        Action::NextTab => turn_tab(state, 1),
        Action::PrevTab => turn_tab(state, usize::MAX),
        Action::GateEdit => edit(state),
        Action::GateCheaper => reassign::choose_persona(state),
        Action::Fork => fork_update::choose_persona(state),
        Action::Pick => fork_update::choose_fork_artifact(state),
        Action::GatePager => page(state),
        Action::Open => enter(state),
        Action::Find => {
            search::text_update::open(state);
            Vec::new()
        }
        Action::NextHit | Action::PrevHit => {
            search::text_update::next(state, action == Action::NextHit);
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
        Some(gate) if matches!(gate.stage, DecisionStep::Receipt(_)) => {
            if gate.receipt_is_settled(state.now.ticks) {
                leave(state)
            } else {
                Vec::new()
            }
        }
        Some(gate) if gate.is_open() && !gate.input.is_blank() => {
            let words = if gate.accepts(Decision::RequestChanges) {
                Action::RequestChanges
            } else {
                Action::Reject
            };
            decision::start(state, words)
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
    if let DecisionStep::Receipt(receipt) = &mut gate.stage
        && rows > 0
    {
        receipt.top = move_in_list(receipt.top, rows + 1, 5, action);
        return;
    }
    if gate.tab == GateTab::Errors
        && let Some(beside) = &mut gate.repaired
    {
        beside.scroll(action);
    }
    if let Some(reading) = gate.scroll_view_mut() {
        reading.scroll(action);
    }
}

fn turn_tab(state: &mut AppState, by: usize) -> Vec<Cmd> {
    if let Some(gate) = &mut state.gate {
        let tabs = gate.tabs();
        let at = tabs.iter().position(|tab| *tab == gate.tab).unwrap_or(0);
        let by = if by == usize::MAX { tabs.len() - 1 } else { by };
        (gate.tab, gate.tab_chosen) = (tabs[(at + by) % tabs.len()], true);
        let sought = gate.search.active_pattern();
        if gate.forks_need_layout(state.look.reading.0) {
            gate.lay_out_forks(state.look.reading);
        }
        if let Some(reading) = gate.scroll_view_mut() {
            reading.lay_out(state.look.reading);
            reading.set_pattern(sought);
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
        .is_some_and(|gate| matches!(gate.stage, DecisionStep::Receipt(_)))
    {
        state.gate = None;
    }
    state.pop_screen();
    cmds
}
