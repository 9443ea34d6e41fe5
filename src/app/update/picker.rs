//! The resume picker: what stopped, what it was doing, and who goes on.

use super::{run, run_actions};
use crate::app::keymap::{Action, is_movement};
use crate::app::msg::{Cmd, Query};
use crate::app::runs::step;
use crate::app::state::{AppState, Screen};
use crate::model::id::RunId;
use crate::model::record::RunRecord;

/// At most so many paused runs are looked into.
const LOOKED_INTO: usize = 100;

/// Opens by itself at the start, when there is something to resume and nothing was pressed.
pub fn offer(state: &mut AppState) -> Vec<Cmd> {
    if state.picker.may_open && state.screen() == Screen::Runs && state.runs.paused().next().is_some() {
        state.picker.may_open = false;
        state.show(Screen::Picker);
    }
    if state.screen() != Screen::Picker {
        return Vec::new();
    }
    let paused = state.runs.paused().count();
    state.picker.cursor = state.picker.cursor.min(paused.saturating_sub(1));
    if paused == 0 {
        state.back();
    }
    let unknown = |r: &RunRecord| state.picker.previews.get(&r.id).is_none_or(|p| p.state.last_seq < r.last_seq);
    let wanted: Vec<RunId> = state.runs.paused().take(LOOKED_INTO).filter(|r| unknown(r)).map(|r| r.id).collect();
    if wanted.is_empty() { Vec::new() } else { vec![Cmd::Query(Query::Previews(wanted))] }
}

/// Does an action on the picker.
pub fn act(state: &mut AppState, action: Action) -> Vec<Cmd> {
    let len = state.runs.paused().count();
    let selected = state.runs.paused().nth(state.picker.cursor).map(|r| r.id);
    match action {
        _ if is_movement(action) => state.picker.cursor = step(state.picker.cursor, len, state.runs.height, action),
        Action::PickMark => {
            if let Some(id) = selected.filter(|id| !state.picker.marked.remove(id)) {
                state.picker.marked.insert(id);
            }
            state.picker.cursor = step(state.picker.cursor, len, 1, Action::Down);
        }
        Action::PickLook => return selected.map(|id| run::open(state, id)).unwrap_or_default(),
        Action::Open => return resume_chosen(state, selected),
        _ => {}
    }
    Vec::new()
}

/// The marked ones go on, or the selected one where none is marked.
fn resume_chosen(state: &mut AppState, selected: Option<RunId>) -> Vec<Cmd> {
    let marked = std::mem::take(&mut state.picker.marked);
    let chosen: Vec<RunRecord> = match marked.is_empty() {
        true => selected.and_then(|id| state.runs.get(id).cloned()).into_iter().collect(),
        false => state.runs.paused().filter(|r| marked.contains(&r.id)).cloned().collect(),
    };
    let mut cmds = Vec::new();
    for record in &chosen {
        cmds.extend(run_actions::resume(state, record));
    }
    if let [Cmd::Send(..)] = cmds.as_slice()
        && let [one] = chosen.as_slice()
    {
        state.back();
        cmds.extend(run::open(state, one.id));
    }
    cmds
}
