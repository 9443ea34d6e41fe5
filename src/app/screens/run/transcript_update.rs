//! The transcript pane: scrolling, live tail, folding tool calls, choosing an attempt.
//!
//! Stored output is requested only once the pane is visible.

use crate::app::keymap::Action;
use crate::app::msg::{ArchiveQuery, Cmd, ExternalProgram, PagerText};
use crate::app::screens::run::state::RunScreen;
use crate::app::state::AppState;
use crate::app::text::document::TextDocument;
use crate::engine::api::TextChunk;
use crate::model::event::{JournalEvent, RunFact};
use crate::model::state::PhaseStatus;
use std::sync::Arc;

/// Executes an action on the pane.
pub fn act(state: &mut AppState, action: Action) -> Vec<Cmd> {
    let Some(run) = &mut state.run else {
        return Vec::new();
    };
    let grows = run.said.grows();
    match action {
        Action::FollowSaid => run.said.reading.follow(),
        Action::Bottom if grows => run.said.reading.follow(),
        Action::FoldCalls | Action::Open => run.said.fold(!run.said.is_whole()),
        Action::PrevAttempt => return turn(run, false),
        Action::NextAttempt => return turn(run, true),
        Action::SaidPager => {
            let name = run.transcript_source().map_or_else(
                || "transcript".to_owned(),
                |(phase, attempt)| format!("{phase} attempt {attempt}"),
            );
            return vec![Cmd::Outside(ExternalProgram::Page {
                name,
                text: PagerText::Text(run.said.reading.shared_document()),
            })];
        }
        other => drop(run.said.reading.scroll(other)),
    }
    Vec::new()
}

fn turn(run: &mut RunScreen, forward: bool) -> Vec<Cmd> {
    let Some((_, shown)) = run.transcript_source() else {
        return Vec::new();
    };
    let last = run
        .state()
        .and_then(|state| state.phases.get(run.phase_index()))
        .map_or(1, |phase| phase.attempt);
    let to = if forward {
        shown + 1
    } else {
        shown.saturating_sub(1).max(1)
    };
    // At the last the pane follows again: the next attempt shows by itself.
    run.said.attempt = Some(to).filter(|to| *to < last);
    want(run)
}

/// Asks for what is stored of the attempt that is shown, unless it is there or asked for.
pub fn want(run: &mut RunScreen) -> Vec<Cmd> {
    if run.opened.is_none() {
        return Vec::new();
    }
    let (whose, moment) = (run.transcript_source(), run.history_seq());
    let phase = run
        .state()
        .and_then(|state| state.phases.get(run.phase_index()));
    let at_work = phase
        .is_some_and(|phase| phase.status == PhaseStatus::Running && run.said.attempt.is_none());
    run.said
        .show(run.run_id, whose, moment, at_work)
        .map(Cmd::Query)
        .into_iter()
        .collect()
}

/// Stores the loaded transcript.
pub fn apply(run: &mut RunScreen, query: &ArchiveQuery, doc: &Arc<TextDocument>) {
    run.said.apply_document(query, doc);
}

/// Appends live agent output.
pub fn push_chunk(run: &mut RunScreen, chunk: &TextChunk) {
    run.said.push_chunk(chunk);
}

/// A fact was stored: with it, what was said up to it.
pub fn on_event(run: &mut RunScreen, event: &JournalEvent) {
    if let RunFact::LlmCalled { phase_key, .. }
    | RunFact::ToolCalled { phase_key, .. }
    | RunFact::ToolDenied { phase_key, .. } = &event.fact
    {
        run.said.mark_stale(phase_key);
    }
}
