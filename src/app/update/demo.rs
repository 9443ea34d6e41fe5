//! Starting the demo, and the queries of an empty run list.

use super::looks;
use crate::app::msg::{Cmd, Work};
use crate::app::state::AppState;

/// Creates the demo repository; the run starts when it exists.
pub fn start(state: &mut AppState) -> Vec<Cmd> {
    if state.starting.is_some() || state.preparing {
        state.say("a run is already starting");
        return Vec::new();
    }
    state.preparing = true;
    state.say("creating the demo repository");
    vec![Cmd::Work(Work::Demo)]
}

/// Who has no run yet is told what would stand in the way of the first; not before the engine has made
/// what is looked at.
pub fn look_at_empty(state: &mut AppState, first: bool) -> Vec<Cmd> {
    if first && state.opening.is_none() && state.runs.is_new() {
        looks::examine(state)
    } else {
        Vec::new()
    }
}
