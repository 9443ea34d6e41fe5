//! Retrying a finished run: a preview with its cost is loaded and confirmed before the retry
//! starts.

use super::{run, run_actions};
use crate::app::lane::{Lane, turned};
use crate::app::msg::Cmd;
use crate::app::retry::RetryPlan;
use crate::app::state::{AppState, Choice, Confirm, Modal};
use crate::engine::api::{Answer, Command, RetryRun};
use crate::model::error::Failure;
use crate::model::id::RunId;
use crate::model::state::Strategy;

/// Handles the loaded retry preview: opens the confirmation.
pub fn planned(state: &mut AppState, plan: RetryPlan) -> Vec<Cmd> {
    if state.modal.is_some() {
        return Vec::new();
    }
    state.notice = None;
    state.retry = Some(plan);
    ask(state, 0);
    Vec::new()
}

/// Puts the question on the screen, with one of its answers under the cursor.
fn ask(state: &mut AppState, cursor: usize) {
    let Some(plan) = &state.retry else { return };
    let mut choices = vec![("Cancel".to_owned(), Choice::Stay)];
    choices.extend(
        plan.beginnings()
            .into_iter()
            .map(|from| (format!("From {}", plan.name(from)), Choice::Retry(from))),
    );
    choices.push((
        format!("Thread policy: {}", plan.strategy),
        Choice::RetryStrategy,
    ));
    let question = format!("Retry run {} in a new run?", plan.run_id.short());
    state.modal = Some(Modal::Confirm(Confirm {
        question,
        detail: String::new(),
        choices,
        cursor,
        drawn: None,
    }));
    retell(state);
}

/// Says what the answer under the cursor would be; of those that begin nothing, the one that keeps most.
pub fn retell(state: &mut AppState) {
    let (Some(plan), Some(Modal::Confirm(confirm))) = (&state.retry, &mut state.modal) else {
        return;
    };
    let begins = |choice: &(String, Choice)| {
        if let Choice::Retry(from) = choice.1 {
            Some(from)
        } else {
            None
        }
    };
    let Some(first) = confirm.choices.iter().find_map(begins) else {
        return;
    };
    let from = confirm
        .choices
        .get(confirm.cursor)
        .and_then(begins)
        .unwrap_or(first);
    confirm.detail = plan.told(from, &Lane::of(plan.thread.as_str(), &state.runs));
}

/// Cycles the thread policy.
pub fn turn_strategy(state: &mut AppState) -> Vec<Cmd> {
    let Some(plan) = &mut state.retry else {
        return Vec::new();
    };
    plan.strategy = turned(plan.strategy, true);
    let last = plan.beginnings().len() + 1;
    ask(state, last);
    Vec::new()
}

/// Starts the retry after confirmation.
pub fn begin(state: &mut AppState, from: usize) -> Vec<Cmd> {
    let Some(plan) = state.retry.take() else {
        return Vec::new();
    };
    let strategy = Some(plan.strategy).filter(|strategy| *strategy != Strategy::Reject);
    let from = plan.phases.get(from).map(|(key, _)| key.clone());
    let key = format!("retry-{}", uuid::Uuid::new_v4());
    let retry = RetryRun {
        run_id: plan.run_id,
        from,
        strategy,
        idempotency_key: Some(key),
    };
    run_actions::send(
        state,
        plan.run_id,
        run_actions::RETRYING,
        Command::Retry(Box::new(retry)),
    )
}

/// Handles the result of starting the retry.
pub fn begun(state: &mut AppState, from: RunId, result: &Result<Answer, Failure>) -> Vec<Cmd> {
    match result {
        Ok(Answer::Started { run_id, .. }) => {
            state.say(format!("run {} retries {}", run_id.short(), from.short()));
            run::open(state, *run_id)
        }
        Ok(_) => Vec::new(),
        Err(failure) => {
            state.complain(failure);
            Vec::new()
        }
    }
}
