//! The way to the engine: found late, lost with the host, and found again by taking its place.

use super::{demo, looks, picker, runs, signals};
use crate::app::keymap::Action;
use crate::app::msg::Cmd;
use crate::app::state::{AppState, Choice, Confirm, Modal, Notice};
use crate::model::error::Failure;

/// The engine is there; whatever was read before it put things in order is read again.
pub fn linked(state: &mut AppState, hosting: bool, notices: &[String]) -> Vec<Cmd> {
    let took_over = hosting && state.host_gone;
    (state.opening, state.hosting, state.host_gone) = (None, hosting, false);
    if !notices.is_empty() {
        state.notice = Some(Notice { text: notices.join("; "), bad: true, at: state.now.ticks });
    } else if took_over {
        state.say("this console is the host now: what rested can go on");
    }
    let mut cmds = runs::refresh(state);
    cmds.extend(looks::ask_costs(state));
    cmds.extend(demo::look_at_empty(state, true));
    cmds.extend(signals::reread_run(state));
    cmds
}

/// Nobody could be found to take up what the host left.
pub fn failed(state: &mut AppState, failure: &Failure) -> Vec<Cmd> {
    state.opening = None;
    state.complain(failure);
    Vec::new()
}

/// The process that hosts the runs, another than this, came or went.
pub fn host(state: &mut AppState, there: bool) -> Vec<Cmd> {
    state.host_gone = !there;
    if there {
        state.say("a host is back: what you do here is served again");
        return signals::stale(state);
    }
    let text = format!("the host has ended, its runs rest: {} takes over here", state.keys.shown(Action::TakeOver));
    state.notice = Some(Notice { text, bad: true, at: state.now.ticks });
    signals::stale(state)
}

/// Asks whether this console shall be the host from now on, where there is none.
pub fn ask_take_over(state: &mut AppState) -> Vec<Cmd> {
    let why_not = match () {
        () if state.opening.is_some() => "the engine is starting already",
        () if state.hosting => "this console is the host already",
        () if !state.host_gone => "there is a host: this console is attached to it",
        () => "",
    };
    if !why_not.is_empty() {
        state.say(why_not);
        return Vec::new();
    }
    state.modal = Some(Modal::Confirm(Confirm {
        question: "Take over here?".to_owned(),
        detail: "The process that worked on the runs is gone. This console becomes the host: it puts in order what was left, \
                 and the runs can go on from here."
            .to_owned(),
        choices: vec![("Only look".to_owned(), Choice::Stay), ("Take over".to_owned(), Choice::TakeOver)],
        cursor: 0,
        drawn: None,
    }));
    Vec::new()
}

/// Becomes the host, or attaches to whoever was faster.
pub fn take_over(state: &mut AppState) -> Vec<Cmd> {
    state.opening = Some(state.now.ticks);
    state.picker.may_open = true;
    vec![Cmd::Link]
}

/// Whether what stopped may be offered: before the engine is there, nobody knows what did.
pub fn offer(state: &mut AppState) -> Vec<Cmd> {
    if state.opening.is_some() { Vec::new() } else { picker::offer(state) }
}
