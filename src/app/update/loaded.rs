//! What the archive answered.

use std::sync::Arc;

use super::{artifact_pane, events_pane, gate, notify, picker};
use crate::app::document::Document;
use crate::app::gate::{Foretold, log_of};
use crate::app::msg::{Cmd, Details, Draft, DraftKey, Loaded, Opened, Preview, Query};
use crate::app::reading::Reading;
use crate::app::state::AppState;
use crate::app::text_input::TextInput;
use crate::model::error::Failure;
use crate::model::id::RunId;
use crate::model::record::RunRecord;

/// An answer came. Whatever failed is shown as failed, never as empty.
pub fn loaded(state: &mut AppState, query: Query, result: Result<Loaded, Failure>) -> Vec<Cmd> {
    match (query, result) {
        (Query::Runs, Ok(Loaded::Runs(records))) => runs(state, Ok(records)),
        (Query::Runs, Err(failure)) => runs(state, Err(failure)),
        (Query::Open(id), Ok(Loaded::Open(opened))) => open(state, id, Ok(*opened)),
        (Query::Open(id), Err(failure)) => open(state, id, Err(failure)),
        (Query::Previews(_), Ok(Loaded::Previews(previews))) => keep_previews(state, previews),
        (Query::EventsBefore(id, _) | Query::EventsFrom(id, _), Ok(Loaded::Events(events))) => {
            let run = state.run.as_mut().filter(|run| run.run_id == id);
            let need = run.and_then(|run| run.tail.extend(events));
            need.map(|need| vec![events_pane::ask(id, need)]).unwrap_or_default()
        }
        (Query::Details(id), Ok(Loaded::Details(found))) => details(state, id, Some(*found)),
        (Query::Details(id), Err(failure)) => {
            state.complain(&failure);
            details(state, id, None)
        }
        (query, Ok(Loaded::Text(doc))) => text(state, &query, &doc),
        (query, Err(failure)) if query.is_text() => text(state, &query, &Arc::new(Document::of_failure("this", &failure))),
        (query @ Query::PhaseLog(..), Ok(Loaded::Events(events))) => {
            let lines: Vec<String> = events.iter().map(|event| gate::log_line(state, event)).collect();
            text(state, &query, &Arc::new(log_of(&lines)))
        }
        (Query::Forecast(..), Ok(Loaded::Forecast(forecast))) => {
            if let Some(gate) = &mut state.gate {
                gate.forecast = Some(forecast.map_or(Foretold::NoHistory, Foretold::Known));
            }
            Vec::new()
        }
        (Query::Draft(key), Ok(Loaded::Draft(draft))) => keep_draft(state, &key, draft),
        (_, Err(failure)) => {
            state.complain(&failure);
            Vec::new()
        }
        (_, Ok(_)) => Vec::new(),
    }
}

fn runs(state: &mut AppState, result: Result<Vec<RunRecord>, Failure>) -> Vec<Cmd> {
    let mut cmds = Vec::new();
    if state.runs.asking.answered() {
        cmds.push(Cmd::Query(Query::Runs));
    }
    match result {
        Err(failure) => state.runs.failure = Some(failure),
        Ok(records) => {
            if state.runs.loaded && !state.look.focused {
                cmds.extend(notify::news(&state.runs.records, &records).map(Cmd::Notify));
            }
            state.runs.set(records);
            cmds.extend(picker::offer(state));
        }
    }
    cmds
}

fn open(state: &mut AppState, id: RunId, result: Result<Opened, Failure>) -> Vec<Cmd> {
    let Some(run) = state.run.as_mut().filter(|run| run.run_id == id) else { return Vec::new() };
    let again = run.asking.answered();
    let mut cmds = Vec::new();
    match result {
        Err(failure) => run.failure = Some(failure),
        Ok(opened) => {
            run.open(opened);
            cmds.extend(artifact_pane::want(run));
            gate::on_approvals(state);
            if state.wants_gate {
                cmds.extend(gate::open(state));
            }
        }
    }
    // Facts that were stored while this was read are behind its end.
    let Some(run) = &mut state.run else { return cmds };
    let behind = run.state().is_some_and(|s| s.last_seq < run.newest);
    if again || (behind && run.asking.due()) {
        cmds.push(Cmd::Query(Query::Open(id)));
    }
    cmds
}

fn keep_previews(state: &mut AppState, previews: Vec<Preview>) -> Vec<Cmd> {
    state.picker.previews.extend(previews.into_iter().map(|p| (p.state.run_id, p)));
    Vec::new()
}

fn details(state: &mut AppState, id: RunId, found: Option<Details>) -> Vec<Cmd> {
    let Some(run) = state.run.as_mut().filter(|run| run.run_id == id) else { return Vec::new() };
    let again = run.asking_details.answered();
    let mut cmds = Vec::new();
    if let (Some(known), Some(found)) = (&mut run.opened, found) {
        known.details = found;
    }
    cmds.extend(artifact_pane::want(run));
    if again {
        cmds.push(Cmd::Query(Query::Details(id)));
    }
    gate::on_approvals(state);
    cmds.extend(gate::follow(state));
    cmds
}

/// A text goes wherever it was asked for.
fn text(state: &mut AppState, query: &Query, doc: &Arc<Document>) -> Vec<Cmd> {
    let size = state.look.reading;
    if let Some(run) = state.run.as_mut().filter(|run| run.artifact.source.as_ref() == Some(query)) {
        run.artifact.reading = Some(Reading::new(doc.clone(), size));
    }
    if let Some(gate) = &mut state.gate {
        gate.take(query, doc, size);
    }
    Vec::new()
}

/// A kept draft goes into the gate unless the operator has written already.
fn keep_draft(state: &mut AppState, key: &DraftKey, draft: Option<Draft>) -> Vec<Cmd> {
    let Some(draft) = draft.filter(|draft| !draft.text.is_empty()) else { return Vec::new() };
    if let Some(gate) = state.gate.as_mut().filter(|gate| gate.draft_key() == *key && gate.input.is_blank()) {
        gate.input = TextInput::of_draft(&draft);
    }
    state.drafts.entry(key.clone()).or_insert(draft);
    Vec::new()
}
