//! Engine signals: facts, live output, and notices that some signals were dropped.

use crate::app::msg::{ArchiveQuery, Cmd};
use crate::app::screens::run::state::RunScreen;
use crate::app::screens::{gate, info, run, runs};
use crate::app::state::AppState;
use crate::engine::api::TextChunk;
use crate::model::event::JournalEvent;
use crate::model::id::RunId;
use std::sync::Arc;

/// News of one answer at most; more is read anew from its end.
pub const MANY: usize = 1000;

/// Applies a stored fact.
pub fn event(state: &mut AppState, event: &Arc<JournalEvent>) -> Vec<Cmd> {
    let mut cmds = Vec::new();
    let kind = event.fact.kind();
    if kind == "llm.called" && state.pace.try_acquire(state.now.ticks) {
        cmds.extend(after_calls(state));
    }
    let in_list = ["run.", "phase.", "approval."]
        .iter()
        .any(|start| kind.starts_with(start));
    if in_list {
        cmds.extend(runs::update::request_list(state));
        cmds.extend(info::update::request_costs(state));
    }
    if let Some(run) = state.run.as_mut().filter(|run| run.run_id == event.run_id) {
        cmds.extend(fold(run, event));
        if kind.starts_with("phase.") {
            cmds.extend(run::forecast::request(run));
        }
        gate::receipt::on_event(state, event);
    }
    cmds.extend(gate::fork_update::on_event(state, event));
    cmds
}

fn fold(run: &mut RunScreen, event: &Arc<JournalEvent>) -> Vec<Cmd> {
    run.newest = run.newest.max(event.seq);
    run.pulse.push_event(event);
    run::transcript_update::on_event(run, event);
    let fits = run.opened.is_some() && run.tail.push(event.clone());
    let Some(known) = run.live_run_mut() else {
        return Vec::new();
    };
    let follows = event.seq <= known.state.last_seq + 1;
    if follows && fits {
        if let Err(failure) = known.state.apply(event) {
            run.failure = Some(failure);
        }
    } else if run.asking.request() {
        return vec![Cmd::Query(ArchiveQuery::Open(run.run_id))];
    }
    let kind = event.fact.kind();
    let in_details = kind.starts_with("artifact.") || kind.starts_with("approval.");
    if in_details && run.asking_details.request() {
        vec![Cmd::Query(ArchiveQuery::Details(run.run_id))]
    } else {
        Vec::new()
    }
}

/// What calls to models change: costs in the list. Those of the open run follow from its events.
pub fn after_calls(state: &mut AppState) -> Vec<Cmd> {
    runs::update::request_list(state)
        .into_iter()
        .chain(info::update::request_costs(state))
        .collect()
}

/// Applies live agent output.
pub fn text(state: &mut AppState, chunk: &TextChunk) -> Vec<Cmd> {
    if let Some(run) = state.run.as_mut().filter(|run| run.run_id == chunk.run_id) {
        run::transcript_update::push_chunk(run, chunk);
        run.pulse.push_text(state.now.wall);
    }
    Vec::new()
}

/// Signals were dropped: reloads what is shown.
pub fn stale(state: &mut AppState) -> Vec<Cmd> {
    let mut cmds = runs::update::request_list(state);
    cmds.extend(info::update::request_costs(state));
    cmds.extend(reread_run(state));
    cmds
}

/// Asks for what the open run does not know yet.
pub fn reread_run(state: &mut AppState) -> Option<Cmd> {
    let run = state.run.as_mut()?;
    if !run.asking.request() {
        return None;
    }
    // What is known is gone on from; only a run that is not open yet is read whole.
    let since = run.live_run().map(|known| known.state.last_seq);
    Some(Cmd::Query(
        since.map_or(ArchiveQuery::Open(run.run_id), |since| {
            ArchiveQuery::News(run.run_id, since)
        }),
    ))
}

/// Facts that were stored since one that is known.
pub fn news(state: &mut AppState, id: RunId, since: u64, events: Vec<JournalEvent>) -> Vec<Cmd> {
    let Some(run) = state.run.as_mut().filter(|run| run.run_id == id) else {
        return Vec::new();
    };
    let (again, many) = (run.asking.complete(), events.len() >= MANY);
    if many {
        // So much is read faster from its end.
        return if again || run.asking.request() {
            vec![Cmd::Query(ArchiveQuery::Open(id))]
        } else {
            Vec::new()
        };
    }
    let last = events.last().map_or(since, |event| event.seq);
    let mut cmds: Vec<Cmd> = events
        .into_iter()
        .flat_map(|news| event(state, &Arc::new(news)))
        .collect();
    if again {
        cmds.push(Cmd::Query(ArchiveQuery::News(id, last)));
    }
    cmds
}
