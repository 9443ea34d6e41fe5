//! The run screen: panes, the selected phase, and opening details.
use crate::app::keymap::{Action, is_movement};
use crate::app::msg::{ArchiveQuery, Cmd};
use crate::app::screens::gate;
use crate::app::screens::run::state::{RunPane, RunScreen};
use crate::app::screens::run::{artifact_update, events_update, history_update, transcript_update};
use crate::app::screens::runs::state::move_in_list;
use crate::app::search::text::focused;
use crate::app::state::{AppState, Screen};
use crate::app::{modal, search};
use crate::model::id::RunId;

/// Opens a run, restoring its view if it was open before.
pub fn open(state: &mut AppState, run_id: RunId) -> Vec<Cmd> {
    state.push_screen(Screen::Run);
    state.wants_gate = false;
    if let Some(run) = state.run.as_mut().filter(|run| run.run_id == run_id) {
        return if run.asking.request() {
            vec![Cmd::Query(ArchiveQuery::Open(run_id))]
        } else {
            Vec::new()
        };
    }
    state.run = Some(RunScreen {
        since: state.now.ticks,
        ..RunScreen::new(run_id)
    });
    vec![Cmd::Query(ArchiveQuery::Open(run_id))]
}

/// Executes an action on the run screen.
pub fn act(state: &mut AppState, action: Action) -> Vec<Cmd> {
    let Some(run) = &mut state.run else {
        return Vec::new();
    };
    let pane = match action {
        Action::NextPane => run.focus.cycled(1),
        Action::PrevPane => run.focus.cycled(RunPane::ALL.len() - 1),
        Action::Pane1 => RunPane::Phases,
        Action::Pane2 => RunPane::Artifact,
        Action::Pane3 => RunPane::Cost,
        Action::Pane4 => RunPane::Events,
        Action::Pane5 => RunPane::Transcript,
        Action::Zoom => {
            run.zoom = !run.zoom;
            return Vec::new();
        }
        Action::Grow | Action::Shrink => {
            run.arranged.resize(run.focus, action == Action::Grow);
            if state.look.size.0 < 120 || run_is_zoomed(state) {
                state.notify("only one pane is shown; panes can be resized from 120 columns on");
            }
            return Vec::new();
        }
        Action::Bars => {
            run.arranged.bars = !run.arranged.bars;
            return Vec::new();
        }
        Action::Permits => {
            let listed = run
                .live_run()
                .map(|known| gate::question::permits(&known.state));
            if let Some(listed) = listed {
                modal::update::show_text(state, "Standing tool permissions".to_owned(), listed);
            }
            return Vec::new();
        }
        Action::StepBack | Action::StepOn | Action::TurnBack | Action::TurnOn => {
            return history_update::step(run, action);
        }
        Action::Now if run.history_seq().is_some() => return history_update::leave(run),
        Action::Now => return in_pane(state, Action::Bottom),
        Action::Open if run.focus == RunPane::Phases => return go_in(state),
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
pub fn focus(run: &mut RunScreen, pane: RunPane) {
    run.focus = pane;
    if matches!(pane, RunPane::Artifact | RunPane::Transcript) {
        run.main = Some(pane);
    }
}

/// Moves what a pane shows, whether it has the focus or not.
pub fn scroll(state: &mut AppState, pane: RunPane, movement: Action) -> Vec<Cmd> {
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
    let asks = run.history_seq().is_none()
        && run
            .state()
            .and_then(|s| s.approval.as_ref())
            .is_some_and(|open| {
                open.phase_key.is_none() || open.phase_key.as_ref() == run.phase_key()
            });
    if asks {
        return gate::update::open(state);
    }
    (run.focus, run.main) = (RunPane::Artifact, Some(RunPane::Artifact));
    Vec::new()
}

/// Whether Esc undoes something on this screen before it leaves it.
pub fn can_step_back(state: &AppState) -> bool {
    let Some(run) = &state.run else { return false };
    let found = run.focus == RunPane::Events
        && !(run.finding.search.is_empty() && run.finding.filter.is_empty());
    let sought = focused(state).is_some_and(|(search, _)| search.needle.is_some());
    found || sought || run.history_seq().is_some()
}

/// One step back: out of a search, a filter, the past.
pub fn step_back(state: &mut AppState) -> Vec<Cmd> {
    if search::text_update::step_back(state) {
        return Vec::new();
    }
    let Some(run) = &mut state.run else {
        return Vec::new();
    };
    let found = if run.focus == RunPane::Events {
        search::events_update::step_back(run)
    } else {
        None
    };
    found.unwrap_or_else(|| history_update::leave(run))
}

/// Finds in the text that has the focus; where there is none, in the events.
fn find(state: &mut AppState, action: Action) -> Vec<Cmd> {
    match (focused(state).is_some(), action) {
        (true, Action::Find) => search::text_update::open(state),
        (true, _) => search::text_update::next(state, action == Action::NextHit),
        (false, _) => {
            if let Some(run) = &mut state.run {
                focus(run, RunPane::Events);
            }
            return events_update::act(state, action);
        }
    }
    Vec::new()
}

fn in_pane(state: &mut AppState, action: Action) -> Vec<Cmd> {
    let Some(run) = &mut state.run else {
        return Vec::new();
    };
    match run.focus {
        RunPane::Events => events_update::act(state, action),
        RunPane::Artifact => artifact_update::act(state, action),
        RunPane::Transcript => transcript_update::act(state, action),
        RunPane::Phases if is_movement(action) => {
            let phases = run.state().map_or(0, |s| s.phases.len());
            run.phase = Some(move_in_list(run.phase_index(), phases, 10, action));
            (run.artifact.version, run.said.attempt) = (None, None);
            artifact_update::want(run)
        }
        RunPane::Phases | RunPane::Cost => Vec::new(),
    }
}
