//! When the screen next changes by itself, so that an idle console sleeps.

use super::gate::Stage;
use super::state::{AppState, Modal, NOTICE_MS, Screen};
use crate::model::record::RunRecord;
use crate::model::state::RunStatus;
use crate::model::time::Timestamp;

/// How soon after the last key a draft is kept.
pub const DRAFT_MS: u64 = 400;
/// How often a countdown is drawn.
const COUNTDOWN_MS: u64 = 100;

/// Milliseconds until something on the screen changes by itself.
#[must_use]
pub fn wakes_in(state: &AppState) -> Option<u64> {
    [
        countdown(state),
        notice(state),
        draft(state),
        ages(state),
        loading(state),
        opening(state),
        state.pace.wakes_in(state.now.ticks),
        super::text_search::is_looking(state).then_some(0),
        state.runs.due_at.map(|at| at.saturating_sub(state.now.ticks).max(1)),
    ]
    .into_iter()
    .flatten()
    .min()
}

fn countdown(state: &AppState) -> Option<u64> {
    let ticks = state.now.ticks;
    if let Some(Modal::Confirm(confirm)) = &state.modal {
        return confirm.drawn.is_none().then_some(COUNTDOWN_MS);
    }
    let gate = state.gate.as_ref().filter(|_| state.screen() == Screen::Gate)?;
    let left = match gate.stage {
        Stage::Reading => gate.ignored_for(state.last_input, ticks),
        Stage::Confirm { .. } => gate.confirm_ignored_for(state.last_input, ticks),
        _ => 0,
    };
    (left > 0).then(|| left.min(COUNTDOWN_MS))
}

fn notice(state: &AppState) -> Option<u64> {
    let notice = state.notice.as_ref().filter(|notice| !notice.bad)?;
    Some((notice.at + NOTICE_MS).saturating_sub(state.now.ticks).max(1))
}

fn draft(state: &AppState) -> Option<u64> {
    let gate = state.gate.as_ref().and_then(|gate| gate.input.unsaved);
    let form = state.new_run.as_ref().and_then(|form| form.unsaved);
    let since = gate.into_iter().chain(form).min()?;
    Some((since + DRAFT_MS).saturating_sub(state.now.ticks).max(1))
}

/// What is not there after this long says that it is on its way; sooner it would only flicker.
pub const LOADING_MS: u64 = 150;

/// Whether something that was asked for at `since` is late.
#[must_use]
pub fn is_late(since: u64, ticks: u64) -> bool {
    ticks.saturating_sub(since) >= LOADING_MS
}

/// Whether what began at `since`, if anything did, takes long enough to be said.
#[must_use]
pub fn takes_long(since: Option<u64>, ticks: u64) -> bool {
    since.is_some_and(|since| is_late(since, ticks))
}

/// What is said once starting the engine takes long.
fn opening(state: &AppState) -> Option<u64> {
    let since = state.opening.filter(|since| !is_late(*since, state.now.ticks))?;
    Some((since + LOADING_MS).saturating_sub(state.now.ticks))
}

fn loading(state: &AppState) -> Option<u64> {
    let since = match state.screen() {
        Screen::Runs => state.runs.since,
        Screen::Cost => state.cost.since,
        Screen::Run => state.run.as_ref().filter(|run| run.opened.is_none() && run.failure.is_none()).map(|run| run.since),
        _ => None,
    }?;
    (!is_late(since, state.now.ticks)).then(|| (since + LOADING_MS).saturating_sub(state.now.ticks))
}

/// Only ages that are on the screen, and only when their text changes.
fn ages(state: &AppState) -> Option<u64> {
    let age = |at: Timestamp| until_older(state.now.wall.since_ms(at));
    match state.screen() {
        Screen::Runs => {
            let shown =
                (state.runs.top..state.runs.top + usize::from(state.runs.height.max(1))).filter_map(|at| match state.runs.line(at) {
                    Some(super::runs::Line::Run(record)) => shown_age(record),
                    _ => None,
                });
            shown.map(age).min()
        }
        Screen::Picker => state.picker.shown().iter().map(|record| age(state.picker.stopped_at(record))).min(),
        Screen::NewRun | Screen::Cost | Screen::Doctor | Screen::Settings => None,
        Screen::Gate => state.gate.as_ref().map(|gate| age(gate.requested_at)),
        Screen::Run => {
            let run = state.run.as_ref().filter(|run| run.moment().is_none())?.state()?;
            match run.status {
                // Clocks of work in progress tick; once their host is gone, nothing does.
                RunStatus::Executing if !state.host_gone => Some(1000 - state.now.wall.0.rem_euclid(1000).unsigned_abs()),
                RunStatus::AwaitingApproval => run.approval.as_ref().map(|open| age(open.requested_at)),
                _ => None,
            }
        }
    }
}

/// The moment whose age a list shows for a run.
#[must_use]
pub fn shown_age(record: &RunRecord) -> Option<Timestamp> {
    Some(record.pending_since.filter(|_| super::runs::waits(record)).unwrap_or(record.ended_at.unwrap_or(record.created_at)))
}

/// An age as lists show it, coarse on purpose, so that a screen at rest stays at rest: `<1m`, `12m`,
/// `3h`, `2d`.
#[must_use]
pub fn age_text(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0..60 => "<1m".to_owned(),
        60..3600 => format!("{}m", s / 60),
        3600..86_400 => format!("{}h", s / 3600),
        _ => format!("{}d", s / 86_400),
    }
}

/// Milliseconds until [`age_text`] says something else.
fn until_older(ms: u64) -> u64 {
    let step = match ms / 1000 {
        0..3600 => 60_000,
        3600..86_400 => 3_600_000,
        _ => 86_400_000,
    };
    step - ms % step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_drawn_again_exactly_when_its_text_changes() {
        for ms in [0, 999, 31_000, 59_999, 61_000, 60_000, 3_599_000, 3_600_000, 90_000_000] {
            let wait = until_older(ms);
            assert_eq!(age_text(ms + wait - 1), age_text(ms), "{ms}");
            assert_ne!(age_text(ms + wait), age_text(ms), "{ms}");
        }
    }
}
