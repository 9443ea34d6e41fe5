//! News from the engine: facts, live text, and word that some of it was missed.

use std::sync::Arc;

use super::gate;
use crate::app::msg::{Cmd, Query};
use crate::app::run_view::RunView;
use crate::app::state::{AppState, Notice};
use crate::engine::api::TextChunk;
use crate::model::event::Event;

/// A fact was stored.
pub fn event(state: &mut AppState, event: &Arc<Event>) -> Vec<Cmd> {
    let mut cmds = Vec::new();
    let kind = event.fact.kind();
    let in_list = ["run.", "phase.", "approval.", "llm.called"].iter().any(|start| kind.starts_with(start));
    if in_list && state.runs.asking.due() {
        cmds.push(Cmd::Query(Query::Runs));
    }
    if let Some(run) = state.run.as_mut().filter(|run| run.run_id == event.run_id) {
        cmds.extend(fold(run, event));
        gate::on_event(state, event);
    }
    cmds
}

fn fold(run: &mut RunView, event: &Arc<Event>) -> Vec<Cmd> {
    run.newest = run.newest.max(event.seq);
    run.pulse.event(event);
    let Some(known) = &mut run.opened else { return Vec::new() };
    let follows = event.seq <= known.state.last_seq + 1;
    let fits = run.tail.push(event.clone());
    if follows && fits {
        if let Err(failure) = known.state.apply(event) {
            run.failure = Some(failure);
        }
    } else if run.asking.due() {
        return vec![Cmd::Query(Query::Open(run.run_id))];
    }
    let kind = event.fact.kind();
    let in_details = kind.starts_with("artifact.") || kind.starts_with("approval.") || kind == "llm.called";
    if in_details && run.asking_details.due() { vec![Cmd::Query(Query::Details(run.run_id))] } else { Vec::new() }
}

/// An agent said something.
pub fn text(state: &mut AppState, chunk: &TextChunk) -> Vec<Cmd> {
    if let Some(run) = state.run.as_mut().filter(|run| run.run_id == chunk.run_id) {
        run.transcript.push(chunk);
        run.pulse.text(state.now.wall);
    }
    Vec::new()
}

/// What is shown may be old: ask anew.
pub fn stale(state: &mut AppState) -> Vec<Cmd> {
    let mut cmds = Vec::new();
    if state.runs.asking.due() {
        cmds.push(Cmd::Query(Query::Runs));
    }
    if let Some(run) = &mut state.run
        && run.asking.due()
    {
        cmds.push(Cmd::Query(Query::Open(run.run_id)));
    }
    cmds
}

/// The process that hosts the runs, another than this, came or went.
pub fn host(state: &mut AppState, there: bool) -> Vec<Cmd> {
    state.host_gone = !there;
    if there {
        state.say("a host is back: what you do here is served again");
        return stale(state);
    }
    let text = "the host has ended, its runs rest: leave and start `phasedeck` again to take them up".to_owned();
    state.notice = Some(Notice { text, bad: true, at: state.now.ticks });
    stale(state)
}
