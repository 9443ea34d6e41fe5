//! The update function: takes a message, changes the state, returns commands to execute.
//!
//! This module only routes; each subject has its own file.

mod answers;
mod artifact_pane;
mod cheaper;
mod copy;
mod demo;
mod drawn;
mod events_pane;
mod finding;
mod foretelling;
mod fork;
mod gate;
mod gate_receipt;
mod gate_verdict;
mod keys;
mod leave;
mod linking;
mod loaded;
mod looks;
mod modal;
mod mouse;
mod new_run;
mod new_run_start;
mod new_run_trust;
mod notify;
mod outside;
pub mod palette;
mod picker;
mod recorder;
mod retry;
mod run;
mod run_actions;
mod runs;
mod signals;
mod text_search;
mod tick;
mod transcript_pane;

#[cfg(test)]
mod gate_tests;
#[cfg(test)]
mod new_run_tests;
#[cfg(test)]
mod past_tests;
#[cfg(test)]
mod paste_tests;
#[cfg(test)]
mod question_tests;
#[cfg(test)]
mod recovery_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod text_tests;

pub use self::gate_verdict::confirms;
pub use self::signals::MANY;
pub use self::tick::keep_all;
use super::msg::{ClockReading, Cmd, Msg};
use super::state::AppState;
use super::wake;
use crate::model::id::RunId;

/// Applies a message to the state; returns the commands to execute.
pub fn update(state: &mut AppState, msg: Msg, now: ClockReading) -> Vec<Cmd> {
    if matches!(msg, Msg::Drawn(_)) {
        wake::frame_drawn(state);
    }
    state.now = now;
    state.dirty |= shows(state, &msg);
    match msg {
        Msg::Key(chord) => keys::press(state, chord),
        Msg::Paste(text) => keys::paste(state, &text),
        Msg::Mouse(mouse) => mouse::mouse(state, mouse),
        Msg::Resize(columns, rows) => drawn::resize(state, columns, rows),
        Msg::Focus(focused) => drawn::focus(state, focused),
        Msg::Tick => tick::tick(state),
        Msg::Drawn(drawn) => drawn::drawn(state, &drawn),
        Msg::Event(event) => signals::event(state, &event),
        Msg::Text(chunk) => signals::text(state, &chunk),
        Msg::Stale => signals::stale(state),
        Msg::Loaded(query, result) => loaded::loaded(state, query, result),
        Msg::Answered(ticket, result) => answers::answered(state, ticket, result),
        Msg::Returned(returned) => outside::returned(state, returned),
        Msg::Done(done) => new_run::done(state, done),
        Msg::Draining => leave::draining(state),
        Msg::Drained => vec![Cmd::Quit],
        Msg::Copied(what, bytes, way) => copy::copied(state, what, bytes, way),
        Msg::Host(there) => linking::host(state, there),
        Msg::Held(held) => linking::held(state, held),
        Msg::Linked(hosting, notices) => linking::linked(state, hosting, &notices),
        Msg::NotLinked(failure) => linking::failed(state, &failure),
    }
}

/// Whether a message changes what is on the screen; what a frame showed is told by its own file.
fn shows(state: &AppState, msg: &Msg) -> bool {
    match msg {
        Msg::Drawn(_) => false,
        // What other runs do shows once the list was read again.
        Msg::Event(event) => state
            .run
            .as_ref()
            .is_some_and(|run| run.run_id == event.run_id),
        Msg::Text(chunk) => state
            .run
            .as_ref()
            .is_some_and(|run| run.run_id == chunk.run_id),
        _ => true,
    }
}

/// Returns the initial commands: load the list, and the requested run.
pub fn start(state: &mut AppState, wanted: Option<RunId>) -> Vec<Cmd> {
    let mut cmds = runs::request_list(state);
    if let Some(run_id) = wanted {
        state.picker.may_open = false;
        cmds.extend(run::open(state, run_id));
    }
    cmds
}
