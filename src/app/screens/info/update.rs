//! Opening and scrolling the read-only screens: cost, doctor, settings.

use crate::app::keymap::{Action, is_movement};
use crate::app::msg::{ArchiveQuery, BackgroundJob, Cmd};
use crate::app::screens::info::state::{CostBreakdown, scrolled};
use crate::app::state::{AppState, Screen};
use crate::model::error::Failure;

/// Opens the cost screen.
pub fn open_costs(state: &mut AppState) -> Vec<Cmd> {
    state.push_screen(Screen::Cost);
    request_costs(state)
}

/// Reloads the costs if they are shown.
pub fn request_costs(state: &mut AppState) -> Vec<Cmd> {
    if state.screen() != Screen::Cost || !state.cost.asking.request() {
        return Vec::new();
    }
    if state.cost.costs.is_none() {
        state.cost.since = Some(state.now.ticks);
    }
    vec![Cmd::Query(ArchiveQuery::Costs)]
}

/// Handles the loaded costs.
pub fn costs_loaded(state: &mut AppState, result: Result<CostBreakdown, Failure>) -> Vec<Cmd> {
    let again = state.cost.asking.complete();
    state.cost.since = None;
    match result {
        Ok(costs) => (state.cost.costs, state.cost.failure) = (Some(costs), None),
        Err(failure) => state.cost.failure = Some(failure),
    }
    if again {
        vec![Cmd::Query(ArchiveQuery::Costs)]
    } else {
        Vec::new()
    }
}

/// Executes an action on the cost screen.
pub fn act_costs(state: &mut AppState, action: Action) -> Vec<Cmd> {
    let cost = &mut state.cost;
    let turned = match action {
        Action::NextLook => cost.by.cycled(1),
        Action::PrevLook => cost.by.cycled(3),
        _ => {
            let lines = cost
                .costs
                .as_ref()
                .map_or(0, |costs| costs.lines(cost.by).len());
            cost.top = scrolled(cost.top, lines, cost.height, action);
            return Vec::new();
        }
    };
    (cost.by, cost.top) = (turned, 0);
    Vec::new()
}

/// Opens the doctor screen and runs the checks.
pub fn open_doctor(state: &mut AppState) -> Vec<Cmd> {
    state.push_screen(Screen::Doctor);
    state.doctor.top = 0;
    run_checks(state)
}

/// Runs the checks, unless they are running.
pub fn run_checks(state: &mut AppState) -> Vec<Cmd> {
    if state.doctor.running {
        return Vec::new();
    }
    state.doctor.start();
    vec![Cmd::Work(BackgroundJob::Doctor)]
}

/// Executes an action on the doctor screen.
pub fn act_doctor(state: &mut AppState, action: Action) -> Vec<Cmd> {
    if action == Action::Open {
        return run_checks(state);
    }
    if is_movement(action) {
        state.doctor.top = scrolled(
            state.doctor.top,
            state.doctor.lines,
            state.doctor.height,
            action,
        );
    }
    Vec::new()
}

/// Opens the settings screen.
pub fn open_settings(state: &mut AppState) -> Vec<Cmd> {
    state.push_screen(Screen::Settings);
    Vec::new()
}

/// Executes an action on the settings screen.
pub fn act_settings(state: &mut AppState, action: Action) -> Vec<Cmd> {
    let settings = &mut state.settings;
    settings.top = scrolled(settings.top, settings.lines.len(), settings.height, action);
    Vec::new()
}
