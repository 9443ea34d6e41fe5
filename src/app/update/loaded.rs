//! Handles query results of the archive.

use std::sync::Arc;

use super::{
    artifact_pane, events_pane, finding, foretelling, fork, gate, gate_receipt, looks, new_run,
    picker, recorder, retry, runs, signals, transcript_pane,
};
use crate::app::document::Document;
use crate::app::gate::log_of;
use crate::app::msg::{Cmd, Details, Draft, DraftKey, Loaded, Opened, Query};
use crate::app::state::AppState;
use crate::app::tail::Need;
use crate::app::text_input::TextInput;
use crate::model::error::Failure;
use crate::model::id::RunId;
use crate::model::wanted::Wanted;

/// Handles a query result. A failure is shown as a failure, never as an empty list.
pub fn loaded(state: &mut AppState, query: Query, result: Result<Loaded, Failure>) -> Vec<Cmd> {
    match (query, result) {
        (Query::Runs(ask), result) => runs::loaded(state, &ask, result),
        (Query::Costs, Ok(Loaded::Costs(costs))) => looks::costs_loaded(state, Ok(*costs)),
        (Query::Costs, Err(failure)) => looks::costs_loaded(state, Err(failure)),
        (Query::Paused, Ok(Loaded::Paused(found))) => picker::loaded(state, found),
        (Query::Paused, Err(failure)) => picker::failed(state, &failure),
        (Query::SearchArtifacts(text, _), Ok(Loaded::Hits(hits))) => {
            runs::searched(state, &text, Ok(hits))
        }
        (Query::SearchArtifacts(text, _), Err(failure)) => {
            runs::searched(state, &text, Err(failure))
        }
        (Query::Open(id), Ok(Loaded::Open(opened))) => open(state, id, Ok(*opened)),
        (Query::Open(id), Err(failure)) => open(state, id, Err(failure)),
        (Query::Previews(_), Ok(Loaded::Previews(previews))) => {
            picker::keep_previews(state, previews)
        }
        (Query::Forks(id), Ok(Loaded::Forks(found))) => fork::compared(state, id, *found),
        (Query::Retry(_), Ok(Loaded::Retry(plan))) => retry::planned(state, plan),
        (Query::Events(id, need, wanted), result) => events(state, id, need, &wanted, result),
        (Query::Find(id, need, wanted), result) => hit(state, id, need, &wanted, result),
        (Query::Moment(id, moment), result) => match result {
            Ok(Loaded::Moment(past)) if past.run_id == id => {
                recorder::told(state, moment, Ok(*past))
            }
            Ok(_) => Vec::new(),
            Err(failure) => recorder::told(state, moment, Err(failure)),
        },
        (Query::News(id, since), Ok(Loaded::News(events))) => {
            signals::news(state, id, since, events)
        }
        (Query::News(id, _), Err(failure)) => open(state, id, Err(failure)),
        (Query::Details(id), Ok(Loaded::Details(found))) => details(state, id, Some(*found)),
        (Query::Details(id), Err(failure)) => {
            state.complain(&failure);
            details(state, id, None)
        }
        (query, Ok(Loaded::Text(doc))) => text(state, &query, &doc),
        (query, Err(failure)) if query.is_text() => text(
            state,
            &query,
            &Arc::new(Document::of_failure("this", &failure)),
        ),
        (query @ Query::PhaseLog(..), Ok(Loaded::Log(events))) => {
            let lines: Vec<String> = events
                .iter()
                .map(|event| gate::log_line(state, event))
                .collect();
            text(state, &query, &Arc::new(log_of(&lines)))
        }
        (Query::Forecast(workflow, rehearsal, key), Ok(Loaded::Forecast(forecast))) => {
            foretelling::told(state, (&workflow, rehearsal, key), forecast);
            Vec::new()
        }
        (Query::FormDraft, Ok(Loaded::FormDraft(draft))) => {
            new_run::draft_found(state, draft.map(|draft| *draft))
        }
        (Query::Draft(key), Ok(Loaded::Draft(draft))) => keep_draft(state, &key, draft),
        (_, Err(failure)) => {
            state.complain(&failure);
            Vec::new()
        }
        (_, Ok(_)) => Vec::new(),
    }
}

fn open(state: &mut AppState, id: RunId, result: Result<Opened, Failure>) -> Vec<Cmd> {
    let Some(run) = state.run.as_mut().filter(|run| run.run_id == id) else {
        return Vec::new();
    };
    let again = run.asking.answered();
    let mut cmds = Vec::new();
    match result {
        Err(failure) => run.failure = Some(failure),
        Ok(opened) => {
            let need = run.open(opened);
            cmds.extend(need.map(|need| events_pane::ask(run, need)));
            cmds.extend(recorder::refresh(run));
            cmds.extend(artifact_pane::want(run));
            cmds.extend(foretelling::want(run));
            gate_receipt::on_approvals(state);
            if state.wants_gate {
                cmds.extend(gate::open(state));
            }
        }
    }
    // Facts stored during the query come after its last event.
    let Some(run) = &mut state.run else {
        return cmds;
    };
    let behind = run
        .now()
        .is_some_and(|known| known.state.last_seq < run.newest);
    if again || (behind && run.asking.due()) {
        cmds.push(Cmd::Query(Query::Open(id)));
    }
    cmds
}

/// Events for the window; those that were wanted before the filter changed are dropped.
fn events(
    state: &mut AppState,
    id: RunId,
    need: Need,
    wanted: &Wanted,
    result: Result<Loaded, Failure>,
) -> Vec<Cmd> {
    let run = state
        .run
        .as_mut()
        .filter(|run| run.run_id == id && run.tail.wanted() == wanted);
    match (run, result) {
        (Some(run), Ok(Loaded::Page(page))) => {
            let need = run.tail.extend(need, page);
            need.map(|need| events_pane::ask(run, need))
                .into_iter()
                .collect()
        }
        (Some(run), Err(failure)) => {
            run.tail.unanswered();
            state.complain(&failure);
            Vec::new()
        }
        _ => Vec::new(),
    }
}

fn hit(
    state: &mut AppState,
    id: RunId,
    need: Need,
    wanted: &Wanted,
    result: Result<Loaded, Failure>,
) -> Vec<Cmd> {
    let Some(run) = state.run.as_mut().filter(|run| run.run_id == id) else {
        return Vec::new();
    };
    match result {
        Ok(Loaded::Page(page)) => finding::found(run, need, wanted, Some(&page)),
        Ok(_) => Vec::new(),
        Err(failure) => {
            let cmds = finding::found(run, need, wanted, None);
            state.complain(&failure);
            cmds
        }
    }
}

fn details(state: &mut AppState, id: RunId, found: Option<Details>) -> Vec<Cmd> {
    let Some(run) = state.run.as_mut().filter(|run| run.run_id == id) else {
        return Vec::new();
    };
    let again = run.asking_details.answered();
    let mut cmds = Vec::new();
    if let (Some(known), Some(found)) = (run.now_mut(), found) {
        known.details = found;
    }
    cmds.extend(recorder::refresh(run));
    cmds.extend(artifact_pane::want(run));
    if again {
        cmds.push(Cmd::Query(Query::Details(id)));
    }
    gate_receipt::on_approvals(state);
    cmds.extend(gate::follow(state));
    cmds
}

/// Delivers a text to the view that requested it.
fn text(state: &mut AppState, query: &Query, doc: &Arc<Document>) -> Vec<Cmd> {
    let size = state.look.reading;
    if let Some(run) = state
        .run
        .as_mut()
        .filter(|run| run.artifact.source.as_ref() == Some(query))
    {
        artifact_pane::take(run, doc, size);
    }
    if let Some(run) = &mut state.run {
        transcript_pane::take(run, query, doc);
    }
    if let Some(gate) = &mut state.gate {
        gate.take(query, doc, size);
    }
    Vec::new()
}

/// Restores a saved draft, unless the operator has already typed.
fn keep_draft(state: &mut AppState, key: &DraftKey, draft: Option<Draft>) -> Vec<Cmd> {
    let Some(draft) = draft.filter(|draft| !draft.text.is_empty()) else {
        return Vec::new();
    };
    if let Some(gate) = state
        .gate
        .as_mut()
        .filter(|gate| gate.draft_key() == *key && gate.input.is_blank())
    {
        gate.input = TextInput::of_draft(&draft);
    }
    state.drafts.entry(key.clone()).or_insert(draft);
    Vec::new()
}
