//! When the screen next changes by itself, so that an idle console sleeps.
use super::state::{AppState, Modal, NOTICE_MS, Screen};
use crate::app::screens::gate::state::DecisionStep;
use crate::model::record::RunRecord;
use crate::model::state::RunStatus;
use crate::model::time::Timestamp;

/// How soon after the last key a draft is kept.
pub const DRAFT_MS: u64 = 400;
/// How often a countdown is drawn.
const COUNTDOWN_MS: u64 = 100;

/// Milliseconds until something on the screen changes by itself; 0 when it has since it was drawn.
#[must_use]
pub fn next_change_in(state: &AppState) -> Option<u64> {
    let stale = state.stale_at.map(|at| at.saturating_sub(state.now.ticks));
    stale.into_iter().chain(changes_in(state)).min()
}

/// A frame was drawn of the moment that the state stands at. What ends while it is drawn, or while something
/// else is told, must not stay on the screen.
pub fn frame_drawn(state: &mut AppState) {
    state.stale_at = changes_in(state).map(|ms| state.now.ticks + ms);
}

fn changes_in(state: &AppState) -> Option<u64> {
    [
        countdown(state),
        notice(state),
        draft(state),
        clocks(state),
        state
            .runs
            .next_wait_end()
            .map(|at| at.since_ms(state.now.wall)),
        loading(state),
        opening(state),
        state.pace.wakes_in(state.now.ticks),
        crate::app::search::text::is_searching(state).then_some(0),
        state
            .runs
            .due_at
            .map(|at| at.saturating_sub(state.now.ticks).max(1)),
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
    let gate = state
        .gate
        .as_ref()
        .filter(|_| state.screen() == Screen::Gate)?;
    let left = match gate.stage {
        DecisionStep::Reading => gate.ignored_for(state.last_input, ticks),
        DecisionStep::Confirm { .. } => gate.confirm_ignored_for(state.last_input, ticks),
        _ => 0,
    };
    (left > 0).then(|| left.min(COUNTDOWN_MS))
}

fn notice(state: &AppState) -> Option<u64> {
    let notice = state.notice.as_ref().filter(|notice| !notice.bad)?;
    Some(
        (notice.at + NOTICE_MS)
            .saturating_sub(state.now.ticks)
            .max(1),
    )
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
    let since = state
        .opening
        .filter(|since| !is_late(*since, state.now.ticks))?;
    Some((since + LOADING_MS).saturating_sub(state.now.ticks))
}

fn loading(state: &AppState) -> Option<u64> {
    let since = match state.screen() {
        Screen::Runs => state.runs.since,
        Screen::Cost => state.cost.since,
        Screen::Run => state
            .run
            .as_ref()
            .filter(|run| run.opened.is_none() && run.failure.is_none())
            .map(|run| run.since),
        _ => None,
    }?;
    (!is_late(since, state.now.ticks)).then(|| (since + LOADING_MS).saturating_sub(state.now.ticks))
}

/// Clocks of work in progress; and midnight, because a time of day is one of today's.
fn clocks(state: &AppState) -> Option<u64> {
    match state.screen() {
        Screen::NewRun | Screen::Cost | Screen::Doctor | Screen::Settings => None,
        Screen::Runs | Screen::Picker | Screen::Gate => until_midnight(state),
        Screen::Run => {
            let run = state
                .run
                .as_ref()
                .filter(|run| run.history_seq().is_none())?
                .state()?;
            match run.status {
                // Once their host is gone, nothing ticks.
                RunStatus::Executing if !state.host_gone => {
                    Some(1000 - state.now.wall.0.rem_euclid(1000).unsigned_abs())
                }
                _ => until_midnight(state),
            }
        }
    }
}

fn until_midnight(state: &AppState) -> Option<u64> {
    let now = jiff::Timestamp::from_millisecond(state.now.wall.0)
        .ok()?
        .to_zoned(state.look.zone.clone());
    let next = now.tomorrow().ok()?.start_of_day().ok()?;
    u64::try_from(next.timestamp().as_millisecond() - state.now.wall.0)
        .ok()
        .map(|ms| ms.max(1))
}

/// Since when a run is in the state that a list shows: since it asks, has ended, or was begun.
#[must_use]
pub fn shown_since(record: &RunRecord) -> Timestamp {
    record
        .pending_since
        .filter(|_| crate::app::screens::runs::state::awaits_operator(record))
        .unwrap_or(record.ended_at.unwrap_or(record.created_at))
}

/// A length of time, coarse on purpose: `<1m`, `12m`, `3h`, `2d`.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::state::Modal;
    use crate::app::test_support::{ConsoleHarness, SampleRunState, records, run_id};

    fn rested(mut bench: ConsoleHarness) -> AppState {
        bench.ticks += 60_000;
        bench.feed(crate::app::msg::Msg::Tick);
        bench.state
    }

    #[test]
    fn where_nothing_works_a_screen_changes_by_itself_at_midnight_alone() {
        let at_home =
            rested(ConsoleHarness::new((100, 30), records(), SampleRunState::Awaiting).start(None));
        let at_a_gate = rested(
            ConsoleHarness::new((100, 30), records(), SampleRunState::Awaiting)
                .start(Some(run_id(1))),
        );
        for state in [at_home, at_a_gate] {
            assert!(!matches!(state.modal, Some(Modal::Confirm(_))));
            let wait = i64::try_from(state.next_change_in().unwrap()).unwrap();
            let then = Timestamp(state.now.wall.0 + wait);
            assert_eq!(state.clock(then), "00:00:00");
        }
    }

    #[test]
    fn a_countdown_that_ends_while_it_is_drawn_does_not_stay_on_the_screen() {
        let mut bench = ConsoleHarness::new((100, 30), records(), SampleRunState::Awaiting)
            .start(Some(run_id(1)));
        bench.press("!");
        let midnight = 60_000;
        for (late, wakes) in [(0, 40), (39, 1), (40, 0), (90, 0)] {
            bench.ticks += 5_000;
            bench.press("j");
            bench.drew_gate(true);
            bench.ticks += crate::app::screens::gate::state::QUIET_MS - 40;
            // The frame shows 0.1 s; it takes its time to be written.
            bench.state.now = bench.now();
            bench.ticks += late;
            bench.drew_gate(true);
            assert_eq!(bench.state.next_change_in(), Some(wakes), "{late}");
            bench.ticks += wakes;
            bench.feed(crate::app::msg::Msg::Tick);
            assert!(bench.state.dirty);
            bench.drew_gate(true);
            assert!(
                bench.state.next_change_in().unwrap() > midnight,
                "and then it sleeps"
            );
        }
    }

    #[test]
    fn clocks_of_work_tick_every_second_and_stop_with_the_host() {
        let mut bench = ConsoleHarness::new((100, 30), records(), SampleRunState::Executing)
            .start(Some(run_id(1)));
        assert!(bench.state.next_change_in().unwrap() <= 1000);
        bench.state.host_gone = true;
        assert!(rested(bench).next_change_in().unwrap() > 1000);
    }
}
