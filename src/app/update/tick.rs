//! The clock tick: expires notices and saves drafts.
use crate::app::msg::Cmd;
use crate::app::redraw_schedule::DRAFT_MS;
use crate::app::screens::{new_run, runs};
use crate::app::search;
use crate::app::state::{AppState, NOTICE_MS};

/// Handles a clock tick.
pub fn tick(state: &mut AppState) -> Vec<Cmd> {
    let ticks = state.now.ticks;
    if state
        .notice
        .as_ref()
        .is_some_and(|n| !n.bad && ticks.saturating_sub(n.at) >= NOTICE_MS)
    {
        state.notice = None;
    }
    search::text_update::search_next(state);
    if state
        .runs
        .next_wait_end()
        .is_some_and(|at| at <= state.now.wall)
    {
        state.runs.expire_waits(state.now.wall);
    }
    let mut cmds = runs::update::tick(state);
    let due = |since: u64| ticks.saturating_sub(since) >= DRAFT_MS;
    if state.pace.due(ticks) {
        cmds.extend(super::signals::after_calls(state));
    }
    match &state.gate {
        Some(gate) if gate.input.unsaved.is_some_and(due) => cmds.extend(keep_draft(state)),
        _ => {}
    }
    if state
        .new_run
        .as_ref()
        .is_some_and(|form| form.unsaved.is_some_and(due))
    {
        cmds.extend(new_run::update::keep_draft(state));
    }
    cmds
}

/// Saves all unsaved drafts before the process exits.
pub fn keep_all(state: &mut AppState) -> Vec<Cmd> {
    let mut cmds = keep_draft(state);
    cmds.extend(new_run::update::keep_draft(state));
    cmds
}

/// Saves the draft of the open gate if it has changed.
pub fn keep_draft(state: &mut AppState) -> Vec<Cmd> {
    let Some(gate) = state
        .gate
        .as_mut()
        .filter(|gate| gate.input.unsaved.is_some())
    else {
        return Vec::new();
    };
    gate.input.unsaved = None;
    let (key, draft) = (gate.draft_key(), gate.draft());
    state.drafts.insert(key.clone(), draft.clone());
    vec![Cmd::SaveDraft(key, draft)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::msg::ArchiveQuery;
    use crate::app::test_support::{ConsoleHarness, SampleRunState, records};

    #[test]
    fn a_list_that_is_due_together_with_news_of_calls_is_still_asked_for() {
        let mut state = ConsoleHarness::new((120, 40), records(), SampleRunState::Awaiting).state;
        state.now.ticks = 10_000;
        state.runs.due_at = Some(10_000);
        assert!(
            state.pace.try_acquire(9_000) && !state.pace.try_acquire(9_100),
            "news of a call is held back"
        );
        let asks = |cmds: &[Cmd]| {
            cmds.iter()
                .filter(|cmd| matches!(cmd, Cmd::Query(ArchiveQuery::Runs(_))))
                .count()
        };
        assert_eq!(asks(&tick(&mut state)), 1);
    }
}
