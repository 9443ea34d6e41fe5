//! A retry of an ended run: what it would be is looked up first, and said with its price before anything begins.

use super::{run, run_actions};
use crate::app::msg::Cmd;
use crate::app::retry::RetryPlan;
use crate::app::state::{AppState, Choice, Confirm, Modal};
use crate::engine::api::{Answer, Command, RetryRun};
use crate::model::error::Failure;
use crate::model::id::RunId;

/// What a retry would be is known: asks.
pub fn planned(state: &mut AppState, plan: RetryPlan) -> Vec<Cmd> {
    if state.modal.is_some() {
        return Vec::new();
    }
    state.notice = None;
    let beginnings = plan.beginnings();
    let mut choices = vec![("Not now".to_owned(), Choice::Stay)];
    choices.extend(beginnings.iter().map(|from| (format!("From {}", plan.name(*from)), Choice::Retry(*from))));
    let told: Vec<String> = beginnings.iter().map(|from| plan.told(*from)).collect();
    state.modal = Some(Modal::Confirm(Confirm {
        question: format!("Retry run {}?", plan.run_id.short()),
        detail: format!("A new run begins; this one stays as it is.\n{}", told.join("\n")),
        choices,
        cursor: 0,
        drawn: None,
    }));
    state.retry = Some(plan);
    Vec::new()
}

/// Begins it; the operator has confirmed it.
pub fn begin(state: &mut AppState, from: usize) -> Vec<Cmd> {
    let Some(plan) = state.retry.take() else { return Vec::new() };
    let from = plan.phases.get(from).map(|(key, _)| key.clone());
    let key = format!("retry-{}", uuid::Uuid::new_v4());
    let retry = RetryRun { run_id: plan.run_id, from, strategy: None, idempotency_key: Some(key) };
    run_actions::send(state, plan.run_id, run_actions::RETRYING, Command::Retry(Box::new(retry)))
}

/// The new run is stored, or says why it is not.
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
