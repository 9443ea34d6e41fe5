//! The list of runs.

use super::run;
use crate::app::keymap::{Action, is_movement};
use crate::app::msg::Cmd;
use crate::app::state::AppState;

/// Does an action on the list.
pub fn act(state: &mut AppState, action: Action) -> Vec<Cmd> {
    if is_movement(action) {
        state.runs.go(action);
    } else if action == Action::Open
        && let Some(id) = state.runs.selected
    {
        return run::open(state, id);
    }
    Vec::new()
}
