//! Retrying a finished run: a preview with its cost is loaded and confirmed before the retry
//! starts.
use crate::app::modal::retry::RetryPlan;
use crate::app::msg::Cmd;
use crate::app::screens::run;
use crate::app::screens::runs::thread_status::{ThreadStatus, cycle_strategy};
use crate::app::state::{AppState, ConfirmChoice, ConfirmDialog, Modal};
use crate::engine::api::{CommandAnswer, EngineCommand, RetryRun};
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
    confirm(state, 0);
    Vec::new()
}

/// Puts the question on the screen, with one of its answers under the cursor.
fn confirm(state: &mut AppState, cursor: usize) {
    let Some(plan) = &state.retry else { return };
    let mut choices = vec![("Cancel".to_owned(), ConfirmChoice::Stay)];
    choices.extend(plan.start_phases().into_iter().map(|from| {
        (
            format!("From {}", plan.name(from)),
            ConfirmChoice::Retry(from),
        )
    }));
    choices.push((
        format!("Thread policy: {}", plan.strategy),
        ConfirmChoice::RetryStrategy,
    ));
    let question = format!("Retry run {} in a new run?", plan.run_id.short());
    state.modal = Some(Modal::Confirm(ConfirmDialog {
        question,
        detail: String::new(),
        choices,
        cursor,
        drawn: None,
    }));
    update_confirmation(state);
}

/// Says what the answer under the cursor would be; of those that begin nothing, the one that keeps most.
pub fn update_confirmation(state: &mut AppState) {
    let (Some(plan), Some(Modal::Confirm(confirm))) = (&state.retry, &mut state.modal) else {
        return;
    };
    let begins = |choice: &(String, ConfirmChoice)| {
        if let ConfirmChoice::Retry(from) = choice.1 {
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
    confirm.detail = plan.describe(
        from,
        &ThreadStatus::for_thread(plan.thread.as_str(), &state.runs),
    );
}

/// Cycles the thread policy.
pub fn turn_strategy(state: &mut AppState) -> Vec<Cmd> {
    let Some(plan) = &mut state.retry else {
        return Vec::new();
    };
    plan.strategy = cycle_strategy(plan.strategy, true);
    let last = plan.start_phases().len() + 1;
    confirm(state, last);
    Vec::new()
}

/// Starts the retry after confirmation.
pub fn start(state: &mut AppState, from: usize) -> Vec<Cmd> {
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
    run::actions::send(
        state,
        plan.run_id,
        run::actions::RETRYING,
        EngineCommand::Retry(Box::new(retry)),
    )
}

/// Handles the result of starting the retry.
pub fn begun(
    state: &mut AppState,
    from: RunId,
    result: &Result<CommandAnswer, Failure>,
) -> Vec<Cmd> {
    match result {
        Ok(CommandAnswer::Started { run_id, .. }) => {
            state.notify(format!("run {} retries {}", run_id.short(), from.short()));
            run::update::open(state, *run_id)
        }
        Ok(_) => Vec::new(),
        Err(failure) => {
            state.notify_failure(failure);
            Vec::new()
        }
    }
}
