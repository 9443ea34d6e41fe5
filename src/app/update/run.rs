//! The run screen: panes, the selected phase, and opening details.

use super::{
    artifact_pane, events_pane, finding, gate, modal, recorder, text_search, transcript_pane,
};
use crate::app::keymap::{Action, is_movement};
use crate::app::msg::{Cmd, Query};
use crate::app::question;
use crate::app::run_view::{Pane, RunView};
use crate::app::runs::step;
use crate::app::state::{AppState, Screen};
use crate::app::text_search::focused;
use crate::model::id::RunId;

/// Opens a run, restoring its view if it was open before.
pub fn open(state: &mut AppState, run_id: RunId) -> Vec<Cmd> {
    state.show(Screen::Run);
    state.wants_gate = false;
    if let Some(run) = state.run.as_mut().filter(|run| run.run_id == run_id) {
        return if run.asking.due() {
            vec![Cmd::Query(Query::Open(run_id))]
        } else {
            Vec::new()
        };
    }
    state.run = Some(RunView {
        since: state.now.ticks,
        ..RunView::new(run_id)
    });
    vec![Cmd::Query(Query::Open(run_id))]
}

/// Executes an action on the run screen.
pub fn act(state: &mut AppState, action: Action) -> Vec<Cmd> {
    let Some(run) = &mut state.run else {
        return Vec::new();
    };
    let pane = match action {
        Action::NextPane => run.focus.turned(1),
        Action::PrevPane => run.focus.turned(Pane::ALL.len() - 1),
        Action::Pane1 => Pane::Phases,
        Action::Pane2 => Pane::Artifact,
        Action::Pane3 => Pane::Cost,
        Action::Pane4 => Pane::Events,
        Action::Pane5 => Pane::Transcript,
        Action::Zoom => {
            run.zoom = !run.zoom;
            return Vec::new();
        }
        Action::Grow | Action::Shrink => {
            run.arranged.grow(run.focus, action == Action::Grow);
            if state.look.size.0 < 120 || run_is_zoomed(state) {
                state.say("only one pane is shown; panes can be resized from 120 columns on");
            }
            return Vec::new();
        }
        Action::Bars => {
            run.arranged.bars = !run.arranged.bars;
            return Vec::new();
        }
        Action::Permits => {
            let listed = run.now().map(|known| question::permits(&known.state));
            if let Some(listed) = listed {
                modal::show_text(state, "Standing tool permissions".to_owned(), listed);
            }
            return Vec::new();
        }
        Action::StepBack | Action::StepOn | Action::TurnBack | Action::TurnOn => {
            return recorder::step(run, action);
        }
        Action::Now if run.moment().is_some() => return recorder::leave(run),
        Action::Now => return in_pane(state, Action::Bottom),
        Action::Open if run.focus == Pane::Phases => return go_in(state),
        Action::Find | Action::NextHit | Action::PrevHit => return find(state, action),
        other => return in_pane(state, other),
    };
    focus(run, pane);
    Vec::new()
}

fn run_is_zoomed(state: &AppState) -> bool {
    state.run.as_ref().is_some_and(|run| run.zoom)
}

/// Focuses a pane.
pub fn focus(run: &mut RunView, pane: Pane) {
    run.focus = pane;
    if matches!(pane, Pane::Artifact | Pane::Transcript) {
        run.main = Some(pane);
    }
}

/// Moves what a pane shows, whether it has the focus or not.
pub fn scroll(state: &mut AppState, pane: Pane, movement: Action) -> Vec<Cmd> {
    let Some(focused) = state
        .run
        .as_mut()
        .map(|run| std::mem::replace(&mut run.focus, pane))
    else {
        return Vec::new();
    };
    let cmds = in_pane(state, movement);
    if let Some(run) = &mut state.run {
        run.focus = focused;
    }
    cmds
}

/// Enter on a phase: its question when one is open, else its artifact.
fn go_in(state: &mut AppState) -> Vec<Cmd> {
    let Some(run) = &mut state.run else {
        return Vec::new();
    };
    let asks = run.moment().is_none()
        && run
            .state()
            .and_then(|s| s.approval.as_ref())
            .is_some_and(|open| {
                open.phase_key.is_none() || open.phase_key.as_ref() == run.phase_key()
            });
    if asks {
        return gate::open(state);
    }
    (run.focus, run.main) = (Pane::Artifact, Some(Pane::Artifact));
    Vec::new()
}

/// Whether Esc undoes something on this screen before it leaves it.
pub fn can_step_back(state: &AppState) -> bool {
    let Some(run) = &state.run else { return false };
    let found = run.focus == Pane::Events
        && !(run.finding.search.is_empty() && run.finding.filter.is_empty());
    let sought = focused(state).is_some_and(|(search, _)| search.needle.is_some());
    found || sought || run.moment().is_some()
}

/// One step back: out of a search, a filter, the past.
pub fn step_back(state: &mut AppState) -> Vec<Cmd> {
    if text_search::step_back(state) {
        return Vec::new();
    }
    let Some(run) = &mut state.run else {
        return Vec::new();
    };
    let found = if run.focus == Pane::Events {
        finding::step_back(run)
    } else {
        None
    };
    found.unwrap_or_else(|| recorder::leave(run))
}

/// Finds in the text that has the focus; where there is none, in the events.
fn find(state: &mut AppState, action: Action) -> Vec<Cmd> {
    match (focused(state).is_some(), action) {
        (true, Action::Find) => text_search::open(state),
        (true, _) => text_search::next(state, action == Action::NextHit),
        (false, _) => {
            if let Some(run) = &mut state.run {
                focus(run, Pane::Events);
            }
            return events_pane::act(state, action);
        }
    }
    Vec::new()
}

fn in_pane(state: &mut AppState, action: Action) -> Vec<Cmd> {
    let Some(run) = &mut state.run else {
        return Vec::new();
    };
    match run.focus {
        Pane::Events => events_pane::act(state, action),
        Pane::Artifact => artifact_pane::act(state, action),
        Pane::Transcript => transcript_pane::act(state, action),
        Pane::Phases if is_movement(action) => {
            let phases = run.state().map_or(0, |s| s.phases.len());
            run.phase = Some(step(run.phase_at(), phases, 10, action));
            (run.artifact.version, run.said.attempt) = (None, None);
            artifact_pane::want(run)
        }
        Pane::Phases | Pane::Cost => Vec::new(),
    }
}
