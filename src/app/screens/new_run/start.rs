//! Starting a run from the form: problem checks, confirmations, consent, and the start itself.
use crate::app::msg::{BackgroundJob, Cmd, CommandTicket};
use crate::app::screens::new_run::state::{FormField, NewRunForm};
use crate::app::screens::run;
use crate::app::screens::runs::thread_status::ThreadStatus;
use crate::app::state::{AppState, ConfirmChoice, ConfirmDialog, Modal, Screen};
use crate::engine::api::{CommandAnswer, ConsentRequest, EngineCommand, StartRun};
use crate::model::error::{Code, Failure};
use crate::model::persona::ToolPermission;
use crate::model::safe_text::safe_line;
use crate::model::state::Strategy;

/// Starts the run if there are no problems; aborting another run is confirmed first.
pub fn start(state: &mut AppState) -> Vec<Cmd> {
    let Some(form) = &mut state.new_run else {
        return Vec::new();
    };
    if form.starting {
        return Vec::new();
    }
    if !form.is_current() {
        state.notify("still checking; press again in a moment");
        return Vec::new();
    }
    if let (Some(failure), _) = form.blocking_problems(&state.runs) {
        if failure.code == Code::ThreadBusy {
            form.focus = FormField::Strategy;
        }
        state.notify_failure(&failure);
        return Vec::new();
    }
    match ends_another(state) {
        Some(confirm) => {
            state.modal = Some(Modal::Confirm(confirm));
            Vec::new()
        }
        None => with_consent(state),
    }
}

/// Returns the confirmation to roll back the active run of the thread, if there is one.
fn ends_another(state: &AppState) -> Option<ConfirmDialog> {
    let form = state
        .new_run
        .as_ref()
        .filter(|form| form.strategy == Strategy::Rollback && form.uses_thread())?;
    let name = form.thread_name()?;
    let holder = ThreadStatus::for_thread(&name, &state.runs).holder?;
    Some(ConfirmDialog {
        question: format!("Abort run {} and start this one?", holder.id.short()),
        detail: format!(
            "{} is aborted and cannot be resumed; its worktree and branch are rolled back to its base commit. Its changes are saved.",
            holder.workflow
        ),
        choices: vec![
            ("Keep editing".to_owned(), ConfirmChoice::Stay),
            (
                "Abort it and start".to_owned(),
                ConfirmChoice::RollBackAndStart,
            ),
        ],
        cursor: 0,
        drawn: None,
    })
}

/// Starts the run, after asking for missing consent.
pub fn with_consent(state: &mut AppState) -> Vec<Cmd> {
    let Some(form) = &mut state.new_run else {
        return Vec::new();
    };
    let asks: Vec<ConsentRequest> = consents(form);
    if asks.is_empty() {
        return start_run_form(state);
    }
    state.modal = Some(Modal::Confirm(ConfirmDialog {
        question: format!(
            "Allow {}?",
            if asks.len() == 1 {
                "this persona"
            } else {
                "these personas"
            }
        ),
        detail: asks.iter().map(describe).collect::<Vec<_>>().join("\n"),
        choices: vec![
            ("Keep editing".to_owned(), ConfirmChoice::Stay),
            ("Allow and start".to_owned(), ConfirmChoice::AgreeAndStart),
        ],
        cursor: 0,
        drawn: None,
    }));
    Vec::new()
}

/// Returns the consents needed, each persona once.
fn consents(form: &NewRunForm) -> Vec<ConsentRequest> {
    let mut asks: Vec<ConsentRequest> = Vec::new();
    for ask in form.seats().iter().filter_map(|seat| seat.consent.as_ref()) {
        if !asks.contains(ask) {
            asks.push(ask.clone());
        }
    }
    asks
}

/// Describes a consent in one line.
#[must_use]
pub fn describe(ask: &ConsentRequest) -> String {
    let tool = |(name, permission): &(String, ToolPermission)| match permission {
        ToolPermission::Auto => name.clone(),
        ToolPermission::Ask => format!("{name} (asks)"),
        ToolPermission::Deny => format!("{name} (denied)"),
    };
    let tools: Vec<String> = ask.tools.iter().map(tool).collect();
    let tools = if tools.is_empty() {
        "no tools".to_owned()
    } else {
        tools.join(", ")
    };
    // One line each, whatever the files say.
    safe_line(&format!("{}: {}; {tools}", ask.persona, ask.runs_on))
}

/// The operator consents.
pub fn agree_and_start(state: &mut AppState) -> Vec<Cmd> {
    let Some(form) = &mut state.new_run else {
        return Vec::new();
    };
    form.starting = true;
    vec![Cmd::Work(BackgroundJob::Agree(
        consents(form)
            .into_iter()
            .map(|ask| (ask.persona, ask.hash))
            .collect(),
    ))]
}

/// Handles the result of storing the consents.
pub fn agreed(state: &mut AppState, result: Result<(), Failure>) -> Vec<Cmd> {
    match result {
        Ok(()) => start_run_form(state),
        Err(failure) => failed(state, failure),
    }
}

fn start_run_form(state: &mut AppState) -> Vec<Cmd> {
    let Some(form) = &mut state.new_run else {
        return Vec::new();
    };
    let Some((_, request, _)) = &form.outlook else {
        return Vec::new();
    };
    let request = (**request).clone();
    form.starting = true;
    send(state, request)
}

/// Sends the start command.
pub fn send(state: &mut AppState, request: StartRun) -> Vec<Cmd> {
    let ticket = CommandTicket(state.last_ticket.0 + 1);
    (state.last_ticket, state.starting) = (ticket, Some(ticket));
    state.notify("starting the run");
    vec![Cmd::Send(ticket, EngineCommand::Start(Box::new(request)))]
}

/// Handles the result of a start.
pub fn started(state: &mut AppState, result: Result<CommandAnswer, Failure>) -> Vec<Cmd> {
    state.starting = None;
    match result {
        Ok(CommandAnswer::Started { run_id, .. }) => {
            let mut cmds = Vec::new();
            if state.new_run.as_ref().is_some_and(|form| form.starting) {
                state.new_run = None;
                state.screens.retain(|screen| *screen != Screen::NewRun);
                cmds.push(Cmd::SaveForm(None));
            }
            state.notify(format!("run {} started", run_id.short()));
            cmds.extend(run::update::open(state, run_id));
            cmds
        }
        Ok(_) => Vec::new(),
        Err(failure) => failed(state, failure),
    }
}

fn failed(state: &mut AppState, failure: Failure) -> Vec<Cmd> {
    state.notify_failure(&failure);
    if let Some(form) = &mut state.new_run {
        (form.starting, form.failure) = (false, Some(failure));
    }
    Vec::new()
}
