//! Time travel through a run: requesting the state at an event, showing it, returning to now.

use super::artifact_pane;
use super::events_pane::ask;
use crate::app::keymap::Action;
use crate::app::msg::{Cmd, Query};
use crate::app::recorder::Moment;
use crate::app::run_view::{Pane, RunView};
use crate::app::state::{AppState, Screen, run_action};
use crate::model::error::Failure;
use crate::model::run_state::RunState;

/// Steps to another event.
pub fn step(run: &mut RunView, action: Action) -> Vec<Cmd> {
    let Some(last) = run
        .now()
        .map(|known| known.state.last_seq)
        .filter(|last| *last > 0)
    else {
        return Vec::new();
    };
    let reads = run.moment().is_none() && run.focus == Pane::Events && !run.tail.follows();
    let at = match run.recorder.aim {
        Some(Moment::At(seq)) => seq,
        _ => run.moment().unwrap_or(last),
    };
    let aim = match action {
        // History starts at the current scroll position.
        Action::StepBack | Action::StepOn if reads => Moment::At(run.tail.cursor()),
        Action::StepBack => Moment::At(at.saturating_sub(1).max(1)),
        Action::StepOn => Moment::At((at + 1).min(last)),
        Action::TurnBack => Moment::TurnBefore(if reads { run.tail.cursor() + 1 } else { at }),
        Action::TurnOn => Moment::TurnAfter(if reads {
            run.tail.cursor().saturating_sub(1)
        } else {
            at
        }),
        _ => return Vec::new(),
    };
    if run.moment().is_none() && matches!(action, Action::StepOn | Action::TurnOn) && !reads {
        return Vec::new();
    }
    run.recorder.aim = Some(aim);
    ask_moment(run)
}

/// Requests the state at the selected event, one query at a time.
fn ask_moment(run: &mut RunView) -> Vec<Cmd> {
    match (run.recorder.aim, run.recorder.asked) {
        (Some(aim), None) => {
            run.recorder.asked = Some(aim);
            vec![Cmd::Query(Query::Moment(run.run_id, aim))]
        }
        _ => Vec::new(),
    }
}

/// Handles the loaded state at an event.
pub fn told(state: &mut AppState, moment: Moment, told: Result<RunState, Failure>) -> Vec<Cmd> {
    if let Err(failure) = &told {
        state.complain(failure);
    }
    let Some(run) = state
        .run
        .as_mut()
        .filter(|run| run.recorder.asked == Some(moment))
    else {
        return Vec::new();
    };
    run.recorder.asked = None;
    let (Ok(past), Some(aim)) = (told, run.recorder.aim) else {
        run.recorder.aim = run.moment().map(Moment::At);
        return Vec::new();
    };
    if run
        .now()
        .is_none_or(|known| past.last_seq >= known.state.last_seq)
        && aim == moment
    {
        return leave(run);
    }
    let mut cmds = show(run, past);
    if aim == moment {
        // Turns are found; from here on it is a place like any other.
        run.recorder.aim = run.moment().map(Moment::At);
    }
    cmds.extend(if aim == moment {
        Vec::new()
    } else {
        ask_moment(run)
    });
    cmds
}

fn show(run: &mut RunView, past: RunState) -> Vec<Cmd> {
    let seq = past.last_seq;
    if run.recorder.live.is_none() {
        run.recorder.followed = run.tail.follows();
        run.recorder.live = run.opened.take().map(Box::new);
    }
    run.opened = run.recorder.live.as_ref().map(|live| live.at(past));
    let need = run.tail.go_to(seq);
    let mut cmds: Vec<Cmd> = need.map(|need| ask(run, need)).into_iter().collect();
    cmds.extend(artifact_pane::want(run));
    cmds
}

/// What is known by now may say more about the moment that is shown.
pub fn refresh(run: &mut RunView) -> Vec<Cmd> {
    let (Some(live), Some(shown)) = (&run.recorder.live, &run.opened) else {
        return Vec::new();
    };
    run.opened = Some(live.at(shown.state.clone()));
    artifact_pane::want(run)
}

/// Returns to the live state.
pub fn leave(run: &mut RunView) -> Vec<Cmd> {
    run.recorder.aim = None;
    let Some(live) = run.recorder.live.take() else {
        return Vec::new();
    };
    run.opened = Some(*live);
    let need = if run.recorder.followed {
        run.tail.follow()
    } else {
        None
    };
    let mut cmds: Vec<Cmd> = need.map(|need| ask(run, need)).into_iter().collect();
    cmds.extend(artifact_pane::want(run));
    cmds
}

/// Whether an action is kept from a run whose past is shown; what is to be done instead.
pub fn refuses(state: &mut AppState, action: Action) -> Option<Vec<Cmd>> {
    let run = state.run.as_mut().filter(|run| run.moment().is_some())?;
    if state.screens.last() != Some(&Screen::Run) {
        return None;
    }
    if action == Action::NextGate {
        // Questions are asked now.
        let cmds = leave(run);
        return Some(cmds.into_iter().chain(super::gate::next(state)).collect());
    }
    run_action(action)?;
    let seq = run.moment().unwrap_or_default();
    let now = state.keys.shown(Action::Now);
    state.say(format!(
        "viewing history (event {seq}): nothing was done. {now} returns to now"
    ));
    Some(Vec::new())
}
