//! The update function: takes a message, changes the state, returns commands to execute.
//!
//! This module only routes; each subject has its own file.

pub(in crate::app) mod command_result;
pub(in crate::app) mod copy;
pub(in crate::app) mod demo;
pub(in crate::app) mod engine_link;
pub(in crate::app) mod external_program;
pub(in crate::app) mod frame;
pub(in crate::app) mod keys;
pub(in crate::app) mod mouse;
pub(in crate::app) mod notify;
pub(in crate::app) mod query_result;
pub(in crate::app) mod quit;
pub(in crate::app) mod signals;
pub(in crate::app) mod tick;

#[cfg(test)]
mod paste_tests;
#[cfg(test)]
mod tests;

pub use self::signals::MANY;
pub use self::tick::keep_all;
use super::msg::{ClockReading, Cmd, Msg};
use super::state::AppState;
use crate::app::redraw_schedule;
pub use crate::app::screens::gate::decision::confirms;
use crate::model::id::RunId;

/// Applies a message to the state; returns the commands to execute.
pub fn update(state: &mut AppState, msg: Msg, now: ClockReading) -> Vec<Cmd> {
    if matches!(msg, Msg::Drawn(_)) {
        redraw_schedule::frame_drawn(state);
    }
    state.now = now;
    state.dirty |= shows(state, &msg);
    match msg {
        Msg::Key(chord) => keys::press(state, chord),
        Msg::Paste(text) => keys::paste(state, &text),
        Msg::Mouse(mouse) => mouse::mouse(state, mouse),
        Msg::Resize(columns, rows) => frame::resize(state, columns, rows),
        Msg::Focus(focused) => frame::focus(state, focused),
        Msg::Tick => tick::tick(state),
        Msg::Drawn(drawn) => frame::drawn(state, &drawn),
        Msg::Event(event) => signals::event(state, &event),
        Msg::Text(chunk) => signals::text(state, &chunk),
        Msg::Stale => signals::stale(state),
        Msg::Loaded(query, result) => query_result::loaded(state, query, result),
        Msg::Answered(ticket, result) => command_result::answered(state, ticket, result),
        Msg::Returned(returned) => external_program::returned(state, returned),
        Msg::Done(done) => crate::app::screens::new_run::update::done(state, done),
        Msg::Draining => quit::draining(state),
        Msg::Drained => vec![Cmd::Quit],
        Msg::Copied(what, bytes, way) => copy::copied(state, what, bytes, way),
        Msg::Host(there) => engine_link::host(state, there),
        Msg::Held(held) => engine_link::held(state, held),
        Msg::Linked(hosting, notices) => engine_link::linked(state, hosting, &notices),
        Msg::NotLinked(failure) => engine_link::failed(state, &failure),
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
    let mut cmds = crate::app::screens::runs::update::request_list(state);
    if let Some(run_id) = wanted {
        state.picker.may_open = false;
        cmds.extend(crate::app::screens::run::update::open(state, run_id));
    }
    cmds
}
