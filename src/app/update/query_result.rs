//! Handles query results of the archive.

use super::signals;
use crate::app::msg::{
    ArchiveQuery, Cmd, CommentDraft, DraftKey, OpenedRun, QueryResult, ReviewRecords,
};
use crate::app::screens::gate::state::log_document;
use crate::app::screens::run::event_list::EventFetch;
use crate::app::screens::{gate, info, new_run, resume, run, runs};
use crate::app::state::AppState;
use crate::app::text::document::TextDocument;
use crate::app::text::text_input::TextInput;
use crate::app::{modal, search};
use crate::model::error::Failure;
use crate::model::event_filter::EventFilter;
use crate::model::id::RunId;
use std::sync::Arc;

/// Handles a query result. A failure is shown as a failure, never as an empty list.
pub fn loaded(
    state: &mut AppState,
    query: ArchiveQuery,
    result: Result<QueryResult, Failure>,
) -> Vec<Cmd> {
    match (query, result) {
        (ArchiveQuery::Runs(ask), result) => runs::update::loaded(state, &ask, result),
        (ArchiveQuery::Costs, Ok(QueryResult::Costs(costs))) => {
            info::update::costs_loaded(state, Ok(*costs))
        }
        (ArchiveQuery::Costs, Err(failure)) => info::update::costs_loaded(state, Err(failure)),
        (ArchiveQuery::Paused, Ok(QueryResult::Paused(found))) => {
            resume::update::loaded(state, found)
        }
        (ArchiveQuery::Paused, Err(failure)) => resume::update::failed(state, &failure),
        (ArchiveQuery::SearchArtifacts(text, _), Ok(QueryResult::Hits(hits))) => {
            runs::update::searched(state, &text, Ok(hits))
        }
        (ArchiveQuery::SearchArtifacts(text, _), Err(failure)) => {
            runs::update::searched(state, &text, Err(failure))
        }
        (ArchiveQuery::Open(id), Ok(QueryResult::Open(opened))) => open(state, id, Ok(*opened)),
        (ArchiveQuery::Open(id), Err(failure)) => open(state, id, Err(failure)),
        (ArchiveQuery::Previews(_), Ok(QueryResult::Previews(previews))) => {
            resume::update::keep_previews(state, previews)
        }
        (ArchiveQuery::Forks(id), Ok(QueryResult::Forks(found))) => {
            gate::fork_update::compared(state, id, *found)
        }
        (ArchiveQuery::Retry(_), Ok(QueryResult::Retry(plan))) => {
            modal::retry_update::planned(state, plan)
        }
        (ArchiveQuery::Events(id, need, wanted), result) => {
            events(state, id, need, &wanted, result)
        }
        (ArchiveQuery::Find(id, need, wanted), result) => hit(state, id, need, &wanted, result),
        (ArchiveQuery::Moment(id, moment), result) => match result {
            Ok(QueryResult::Moment(past)) if past.run_id == id => {
                run::history_update::snapshot_loaded(state, moment, Ok(*past))
            }
            Ok(_) => Vec::new(),
            Err(failure) => run::history_update::snapshot_loaded(state, moment, Err(failure)),
        },
        (ArchiveQuery::News(id, since), Ok(QueryResult::News(events))) => {
            signals::news(state, id, since, events)
        }
        (ArchiveQuery::News(id, _), Err(failure)) => open(state, id, Err(failure)),
        (ArchiveQuery::Details(id), Ok(QueryResult::Details(found))) => {
            details(state, id, Some(*found))
        }
        (ArchiveQuery::Details(id), Err(failure)) => {
            state.notify_failure(&failure);
            details(state, id, None)
        }
        (query, Ok(QueryResult::Text(doc))) => text(state, &query, &doc),
        (query, Err(failure)) if query.is_text() => text(
            state,
            &query,
            &Arc::new(TextDocument::from_failure("this", &failure)),
        ),
        (query @ ArchiveQuery::PhaseLog(..), Ok(QueryResult::Log(events))) => {
            let lines: Vec<String> = events
                .iter()
                .map(|event| gate::update::log_line(state, event))
                .collect();
            text(state, &query, &Arc::new(log_document(&lines)))
        }
        (ArchiveQuery::Forecast(workflow, rehearsal, key), Ok(QueryResult::Forecast(forecast))) => {
            run::forecast::forecast_loaded(state, (&workflow, rehearsal, key), forecast);
            Vec::new()
        }
        (ArchiveQuery::FormDraft, Ok(QueryResult::FormDraft(draft))) => {
            new_run::update::draft_loaded(state, draft.map(|draft| *draft))
        }
        (ArchiveQuery::Draft(key), Ok(QueryResult::Draft(draft))) => keep_draft(state, &key, draft),
        (_, Err(failure)) => {
            state.notify_failure(&failure);
            Vec::new()
        }
        (_, Ok(_)) => Vec::new(),
    }
}

fn open(state: &mut AppState, id: RunId, result: Result<OpenedRun, Failure>) -> Vec<Cmd> {
    let Some(run) = state.run.as_mut().filter(|run| run.run_id == id) else {
        return Vec::new();
    };
    let again = run.asking.complete();
    let mut cmds = Vec::new();
    match result {
        Err(failure) => run.failure = Some(failure),
        Ok(opened) => {
            let need = run.open(opened);
            cmds.extend(need.map(|need| run::events_update::request_window(run, need)));
            cmds.extend(run::history_update::refresh(run));
            cmds.extend(run::artifact_update::want(run));
            cmds.extend(run::forecast::request(run));
            gate::receipt::on_approvals(state);
            if state.wants_gate {
                cmds.extend(gate::update::open(state));
            }
        }
    }
    // Facts stored during the query come after its last event.
    let Some(run) = &mut state.run else {
        return cmds;
    };
    let behind = run
        .live_run()
        .is_some_and(|known| known.state.last_seq < run.newest);
    if again || (behind && run.asking.request()) {
        cmds.push(Cmd::Query(ArchiveQuery::Open(id)));
    }
    cmds
}

/// Events for the window; those that were wanted before the filter changed are dropped.
fn events(
    state: &mut AppState,
    id: RunId,
    need: EventFetch,
    wanted: &EventFilter,
    result: Result<QueryResult, Failure>,
) -> Vec<Cmd> {
    let run = state
        .run
        .as_mut()
        .filter(|run| run.run_id == id && run.tail.filter() == wanted);
    match (run, result) {
        (Some(run), Ok(QueryResult::Page(page))) => {
            let need = run.tail.extend(need, page);
            need.map(|need| run::events_update::request_window(run, need))
                .into_iter()
                .collect()
        }
        (Some(run), Err(failure)) => {
            run.tail.fetch_failed();
            state.notify_failure(&failure);
            Vec::new()
        }
        _ => Vec::new(),
    }
}

fn hit(
    state: &mut AppState,
    id: RunId,
    need: EventFetch,
    wanted: &EventFilter,
    result: Result<QueryResult, Failure>,
) -> Vec<Cmd> {
    let Some(run) = state.run.as_mut().filter(|run| run.run_id == id) else {
        return Vec::new();
    };
    match result {
        Ok(QueryResult::Page(page)) => {
            search::events_update::search_result(run, need, wanted, Some(&page))
        }
        Ok(_) => Vec::new(),
        Err(failure) => {
            let cmds = search::events_update::search_result(run, need, wanted, None);
            state.notify_failure(&failure);
            cmds
        }
    }
}

fn details(state: &mut AppState, id: RunId, found: Option<ReviewRecords>) -> Vec<Cmd> {
    let Some(run) = state.run.as_mut().filter(|run| run.run_id == id) else {
        return Vec::new();
    };
    let again = run.asking_details.complete();
    let mut cmds = Vec::new();
    if let (Some(known), Some(found)) = (run.live_run_mut(), found) {
        known.details = found;
    }
    cmds.extend(run::history_update::refresh(run));
    cmds.extend(run::artifact_update::want(run));
    if again {
        cmds.push(Cmd::Query(ArchiveQuery::Details(id)));
    }
    gate::receipt::on_approvals(state);
    cmds.extend(gate::update::follow(state));
    cmds
}

/// Delivers a text to the view that requested it.
fn text(state: &mut AppState, query: &ArchiveQuery, doc: &Arc<TextDocument>) -> Vec<Cmd> {
    let size = state.look.reading;
    if let Some(run) = state
        .run
        .as_mut()
        .filter(|run| run.artifact.source.as_ref() == Some(query))
    {
        run::artifact_update::apply(run, doc, size);
    }
    if let Some(run) = &mut state.run {
        run::transcript_update::apply(run, query, doc);
    }
    if let Some(gate) = &mut state.gate {
        gate.apply_text(query, doc, size);
    }
    Vec::new()
}

/// Restores a saved draft, unless the operator has already typed.
fn keep_draft(state: &mut AppState, key: &DraftKey, draft: Option<CommentDraft>) -> Vec<Cmd> {
    let Some(draft) = draft.filter(|draft| !draft.text.is_empty()) else {
        return Vec::new();
    };
    if let Some(gate) = state
        .gate
        .as_mut()
        .filter(|gate| gate.draft_key() == *key && gate.input.is_blank())
    {
        gate.input = TextInput::from_draft(&draft);
    }
    state.drafts.entry(key.clone()).or_insert(draft);
    Vec::new()
}
