//! Applies what the last frame reported: sizes of scrolling areas, lines viewed, gates that can be
//! decided.
use crate::app::msg::{Cmd, FrameReport};
use crate::app::screens::gate::state::DecisionStep;
use crate::app::screens::{resume, run, runs};
use crate::app::state::{AppState, Modal, Screen};

/// Handles a resize.
pub fn resize(state: &mut AppState, columns: u16, rows: u16) -> Vec<Cmd> {
    state.look.size = (columns, rows);
    // Gates were drawn for another size, so they must be drawn again before a decision.
    if let Some(gate) = &mut state.gate {
        gate.drawn = None;
    }
    Vec::new()
}

/// Handles a focus change of the terminal.
pub fn focus(state: &mut AppState, focused: bool) -> Vec<Cmd> {
    state.look.focused = focused;
    Vec::new()
}

/// Applies the report of a frame.
pub fn drawn(state: &mut AppState, drawn: &FrameReport) -> Vec<Cmd> {
    let (mut changed, mut cmds) = (false, Vec::new());
    state.places.clone_from(&drawn.places);
    if let Some(height) = drawn.list {
        match state.screen() {
            Screen::Picker => {
                changed |= state.picker.height != height;
                state.picker.set_height(height);
            }
            Screen::Cost => state.cost.height = height,
            Screen::Doctor => state.doctor.height = height,
            Screen::Settings => state.settings.height = height,
            _ => {
                changed |= state.runs.height != height;
                state.runs.set_height(height);
            }
        }
    }
    if let Some(size) = drawn.reading {
        state.look.reading = size;
        changed |= lay_out(state, size);
    }
    if let (Some(height), Some(run)) = (drawn.log, &mut state.run) {
        let (new, need) = run.tail.set_height(height);
        changed |= new;
        cmds.extend(
            need.map(|need| crate::app::screens::run::events_update::request_window(run, need)),
        );
    }
    if let (Some(size), Some(run)) = (drawn.transcript, &mut state.run) {
        changed |= run.said.reading.lay_out(size);
        cmds.extend(run::transcript_update::want(run));
    }
    state.look.receipt_rows = drawn.receipt.unwrap_or(0);
    if let (Some(size), Some(beside)) = (
        drawn.beside,
        state.gate.as_mut().and_then(|gate| gate.repaired.as_mut()),
    ) {
        changed |= beside.lay_out(size);
    }
    if let (Some(size), Some(Modal::Text(_, reading))) = (drawn.modal, &mut state.modal) {
        changed |= reading.lay_out(size);
    }
    if let (Some(last), Some(Modal::Help(help))) = (drawn.help, &mut state.modal) {
        help.top = help.top.min(last);
    }
    changed |= arm(state, drawn);
    state.dirty |= changed;
    if let Some(lines) = drawn.lines {
        state.doctor.lines = lines;
    }
    if drawn.list.is_some() {
        cmds.extend(after_list(state));
    }
    cmds
}

/// A list of another height may show what was not read.
fn after_list(state: &mut AppState) -> Vec<Cmd> {
    match state.screen() {
        Screen::Picker => resume::update::inspect(state),
        Screen::Runs => runs::update::window(state),
        _ => Vec::new(),
    }
}

fn lay_out(state: &mut AppState, size: (u16, u16)) -> bool {
    match state.screen() {
        Screen::Gate
            if state
                .gate
                .as_ref()
                .is_some_and(|gate| gate.forks_need_layout(size.0)) =>
        {
            state
                .gate
                .iter_mut()
                .for_each(|gate| gate.lay_out_forks(size));
            true
        }
        Screen::Gate => state
            .gate
            .as_mut()
            .and_then(|gate| gate.scroll_view_mut())
            .is_some_and(|reading| {
                let laid = reading.lay_out(size);
                // Rows of another width are on the screen: what they showed counts from the next frame on.
                laid || reading.mark_seen()
            }),
        Screen::Run => state
            .run
            .as_mut()
            .and_then(|run| run.artifact.reading.as_mut())
            .is_some_and(|reading| reading.lay_out(size)),
        _ => false,
    }
}

/// From now on decision keys may count: the gate is on the screen and no key was typed ahead.
fn arm(state: &mut AppState, drawn: &FrameReport) -> bool {
    if let Some(Modal::Confirm(confirm)) = &mut state.modal {
        if drawn.drained && confirm.drawn.is_none() {
            confirm.drawn = Some(state.now.ticks);
        }
        return false;
    }
    let Some(gate) = &mut state.gate else {
        return false;
    };
    if drawn.gate != Some(gate.request_id) {
        return gate.drawn.take().is_some();
    }
    if !drawn.drained {
        return false;
    }
    if matches!(gate.stage, DecisionStep::Receipt(_)) {
        gate.overtaken.get_or_insert(state.now.ticks);
    }
    let newly = gate.drawn.is_none();
    gate.drawn.get_or_insert(state.now.ticks);
    if let DecisionStep::Confirm { since, .. } = &mut gate.stage
        && drawn.confirm
        && since.is_none()
    {
        *since = Some(state.now.ticks);
        return true;
    }
    newly
}
