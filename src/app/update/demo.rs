//! Starting the demo, and the queries of an empty run list.
use crate::app::msg::{BackgroundJob, Cmd};
use crate::app::screens::info;
use crate::app::state::AppState;

/// Creates the demo repository; the run starts when it exists.
pub fn start(state: &mut AppState) -> Vec<Cmd> {
    if state.starting.is_some() || state.preparing {
        state.notify("a run is already starting");
        return Vec::new();
    }
    state.preparing = true;
    state.notify("creating the demo repository");
    vec![Cmd::Work(BackgroundJob::Demo)]
}

/// Who has no run yet is told what would stand in the way of the first; not before the engine has made
/// what is looked at.
pub fn load_empty_screen(state: &mut AppState, first: bool) -> Vec<Cmd> {
    if first && state.opening.is_none() && state.runs.is_new() {
        info::update::run_checks(state)
    } else {
        Vec::new()
    }
}
