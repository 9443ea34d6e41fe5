//! The transcript pane: scrolling, live tail, folding tool calls, choosing an attempt.
//!
//! Stored output is requested only once the pane is visible.

use std::sync::Arc;

use crate::app::document::Document;
use crate::app::keymap::Action;
use crate::app::msg::{Cmd, Outside, PageText, Query};
use crate::app::run_view::RunView;
use crate::app::state::AppState;
use crate::engine::api::TextChunk;
use crate::model::event::{Event, Fact};
use crate::model::state::PhaseStatus;

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
            let name = run.said_by().map_or_else(
                || "transcript".to_owned(),
                |(phase, attempt)| format!("{phase} attempt {attempt}"),
            );
            return vec![Cmd::Outside(Outside::Page {
                name,
                text: PageText::Text(run.said.reading.shared()),
            })];
        }
        other => drop(run.said.reading.go(other)),
    }
    Vec::new()
}

fn turn(run: &mut RunView, forward: bool) -> Vec<Cmd> {
    let Some((_, shown)) = run.said_by() else {
        return Vec::new();
    };
    let last = run
        .state()
        .and_then(|state| state.phases.get(run.phase_at()))
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
pub fn want(run: &mut RunView) -> Vec<Cmd> {
    if run.opened.is_none() {
        return Vec::new();
    }
    let (whose, moment) = (run.said_by(), run.moment());
    let phase = run
        .state()
        .and_then(|state| state.phases.get(run.phase_at()));
    let at_work = phase
        .is_some_and(|phase| phase.status == PhaseStatus::Running && run.said.attempt.is_none());
    run.said
        .show(run.run_id, whose, moment, at_work)
        .map(Cmd::Query)
        .into_iter()
        .collect()
}

/// Stores the loaded transcript.
pub fn take(run: &mut RunView, query: &Query, doc: &Arc<Document>) {
    run.said.take(query, doc);
}

/// Appends live agent output.
pub fn hear(run: &mut RunView, chunk: &TextChunk) {
    run.said.hear(chunk);
}

/// A fact was stored: with it, what was said up to it.
pub fn on_event(run: &mut RunView, event: &Event) {
    if let Fact::LlmCalled { phase_key, .. }
    | Fact::ToolCalled { phase_key, .. }
    | Fact::ToolDenied { phase_key, .. } = &event.fact
    {
        run.said.more_stored(phase_key);
    }
}
