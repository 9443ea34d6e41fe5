//! Time travel through a run: requesting the state at an event, showing it, returning to now.
use crate::app::keymap::Action;
use crate::app::msg::{ArchiveQuery, Cmd};
use crate::app::screens::run::artifact_update;
use crate::app::screens::run::events_update::request_window;
use crate::app::screens::run::history::HistoryCursor;
use crate::app::screens::run::state::{RunPane, RunScreen};
use crate::app::state::{AppState, Screen, run_action};
use crate::model::error::Failure;
use crate::model::run_state::RunState;

/// Steps to another event.
pub fn step(run: &mut RunScreen, action: Action) -> Vec<Cmd> {
    let Some(last) = run
        .live_run()
        .map(|known| known.state.last_seq)
        .filter(|last| *last > 0)
    else {
        return Vec::new();
    };
    let reads =
        run.history_seq().is_none() && run.focus == RunPane::Events && !run.tail.is_following();
    let at = match run.recorder.aim {
        Some(HistoryCursor::At(seq)) => seq,
        _ => run.history_seq().unwrap_or(last),
    };
    let aim = match action {
        // History starts at the current scroll position.
        Action::StepBack | Action::StepOn if reads => HistoryCursor::At(run.tail.cursor()),
        Action::StepBack => HistoryCursor::At(at.saturating_sub(1).max(1)),
        Action::StepOn => HistoryCursor::At((at + 1).min(last)),
        Action::TurnBack => {
            HistoryCursor::TurnBefore(if reads { run.tail.cursor() + 1 } else { at })
        }
        Action::TurnOn => HistoryCursor::TurnAfter(if reads {
            run.tail.cursor().saturating_sub(1)
        } else {
            at
        }),
        _ => return Vec::new(),
    };
    if run.history_seq().is_none() && matches!(action, Action::StepOn | Action::TurnOn) && !reads {
        return Vec::new();
    }
    run.recorder.aim = Some(aim);
    request_snapshot(run)
}

/// Requests the state at the selected event, one query at a time.
fn request_snapshot(run: &mut RunScreen) -> Vec<Cmd> {
    match (run.recorder.aim, run.recorder.asked) {
        (Some(aim), None) => {
            run.recorder.asked = Some(aim);
            vec![Cmd::Query(ArchiveQuery::Moment(run.run_id, aim))]
        }
        _ => Vec::new(),
    }
}

/// Handles the loaded state at an event.
pub fn snapshot_loaded(
    state: &mut AppState,
    moment: HistoryCursor,
    told: Result<RunState, Failure>,
) -> Vec<Cmd> {
    if let Err(failure) = &told {
        state.notify_failure(failure);
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
        run.recorder.aim = run.history_seq().map(HistoryCursor::At);
        return Vec::new();
    };
    if run
        .live_run()
        .is_none_or(|known| past.last_seq >= known.state.last_seq)
        && aim == moment
    {
        return leave(run);
    }
    let mut cmds = show(run, past);
    if aim == moment {
        // Turns are found; from here on it is a place like any other.
        run.recorder.aim = run.history_seq().map(HistoryCursor::At);
    }
    cmds.extend(if aim == moment {
        Vec::new()
    } else {
        request_snapshot(run)
    });
    cmds
}

fn show(run: &mut RunScreen, past: RunState) -> Vec<Cmd> {
    let seq = past.last_seq;
    if run.recorder.live.is_none() {
        run.recorder.followed = run.tail.is_following();
        run.recorder.live = run.opened.take().map(Box::new);
    }
    run.opened = run.recorder.live.as_ref().map(|live| live.with_state(past));
    let need = run.tail.go_to(seq);
    let mut cmds: Vec<Cmd> = need
        .map(|need| request_window(run, need))
        .into_iter()
        .collect();
    cmds.extend(artifact_update::want(run));
    cmds
}

/// What is known by now may say more about the moment that is shown.
pub fn refresh(run: &mut RunScreen) -> Vec<Cmd> {
    let (Some(live), Some(shown)) = (&run.recorder.live, &run.opened) else {
        return Vec::new();
    };
    run.opened = Some(live.with_state(shown.state.clone()));
    artifact_update::want(run)
}

/// Returns to the live state.
pub fn leave(run: &mut RunScreen) -> Vec<Cmd> {
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
    let mut cmds: Vec<Cmd> = need
        .map(|need| request_window(run, need))
        .into_iter()
        .collect();
    cmds.extend(artifact_update::want(run));
    cmds
}

/// Whether an action is kept from a run whose past is shown; what is to be done instead.
pub fn refuses(state: &mut AppState, action: Action) -> Option<Vec<Cmd>> {
    let run = state
        .run
        .as_mut()
        .filter(|run| run.history_seq().is_some())?;
    if state.screens.last() != Some(&Screen::Run) {
        return None;
    }
    if action == Action::NextGate {
        // Questions are asked now.
        let cmds = leave(run);
        return Some(
            cmds.into_iter()
                .chain(crate::app::screens::gate::update::next(state))
                .collect(),
        );
    }
    run_action(action)?;
    let seq = run.history_seq().unwrap_or_default();
    let now = state.keys.display_keys(Action::Now);
    state.notify(format!(
        "viewing history (event {seq}): nothing was done. {now} returns to now"
    ));
    Some(Vec::new())
}
