//! Starting a run from the form: problem checks, confirmations, consent, and the start itself.

use super::run;
use crate::app::lane::Lane;
use crate::app::msg::{Cmd, Ticket, Work};
use crate::app::new_run::{Field, NewRun};
use crate::app::state::{AppState, Choice, Confirm, Modal, Screen};
use crate::engine::api::{Answer, Command, ConsentAsk, StartRun};
use crate::model::error::{Code, Failure};
use crate::model::persona::Permission;
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
        state.say("still checking; press again in a moment");
        return Vec::new();
    }
    if let (Some(failure), _) = form.in_the_way(&state.runs) {
        if failure.code == Code::ThreadBusy {
            form.focus = Field::Strategy;
        }
        state.complain(&failure);
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
fn ends_another(state: &AppState) -> Option<Confirm> {
    let form = state
        .new_run
        .as_ref()
        .filter(|form| form.strategy == Strategy::Rollback && form.has_lane())?;
    let name = form.lane_name()?;
    let holder = Lane::of(&name, &state.runs).holder?;
    Some(Confirm {
        question: format!("Abort run {} and start this one?", holder.id.short()),
        detail: format!(
            "{} is aborted and cannot be resumed; its worktree and branch are rolled back to its base commit. Its changes are saved.",
            holder.workflow
        ),
        choices: vec![
            ("Keep editing".to_owned(), Choice::Stay),
            ("Abort it and start".to_owned(), Choice::RollBackAndStart),
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
    let asks: Vec<ConsentAsk> = consents(form);
    if asks.is_empty() {
        return begin(state);
    }
    state.modal = Some(Modal::Confirm(Confirm {
        question: format!(
            "Allow {}?",
            if asks.len() == 1 {
                "this persona"
            } else {
                "these personas"
            }
        ),
        detail: asks.iter().map(told).collect::<Vec<_>>().join("\n"),
        choices: vec![
            ("Keep editing".to_owned(), Choice::Stay),
            ("Allow and start".to_owned(), Choice::AgreeAndStart),
        ],
        cursor: 0,
        drawn: None,
    }));
    Vec::new()
}

/// Returns the consents needed, each persona once.
fn consents(form: &NewRun) -> Vec<ConsentAsk> {
    let mut asks: Vec<ConsentAsk> = Vec::new();
    for ask in form.seats().iter().filter_map(|seat| seat.consent.as_ref()) {
        if !asks.contains(ask) {
            asks.push(ask.clone());
        }
    }
    asks
}

/// Describes a consent in one line.
#[must_use]
pub fn told(ask: &ConsentAsk) -> String {
    let tool = |(name, permission): &(String, Permission)| match permission {
        Permission::Auto => name.clone(),
        Permission::Ask => format!("{name} (asks)"),
        Permission::Deny => format!("{name} (denied)"),
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
    vec![Cmd::Work(Work::Agree(
        consents(form)
            .into_iter()
            .map(|ask| (ask.persona, ask.hash))
            .collect(),
    ))]
}

/// Handles the result of storing the consents.
pub fn agreed(state: &mut AppState, result: Result<(), Failure>) -> Vec<Cmd> {
    match result {
        Ok(()) => begin(state),
        Err(failure) => failed(state, failure),
    }
}

fn begin(state: &mut AppState) -> Vec<Cmd> {
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
    let ticket = Ticket(state.last_ticket.0 + 1);
    (state.last_ticket, state.starting) = (ticket, Some(ticket));
    state.say("starting the run");
    vec![Cmd::Send(ticket, Command::Start(Box::new(request)))]
}

/// Handles the result of a start.
pub fn started(state: &mut AppState, result: Result<Answer, Failure>) -> Vec<Cmd> {
    state.starting = None;
    match result {
        Ok(Answer::Started { run_id, .. }) => {
            let mut cmds = Vec::new();
            if state.new_run.as_ref().is_some_and(|form| form.starting) {
                state.new_run = None;
                state.screens.retain(|screen| *screen != Screen::NewRun);
                cmds.push(Cmd::SaveForm(None));
            }
            state.say(format!("run {} started", run_id.short()));
            cmds.extend(run::open(state, run_id));
            cmds
        }
        Ok(_) => Vec::new(),
        Err(failure) => failed(state, failure),
    }
}

fn failed(state: &mut AppState, failure: Failure) -> Vec<Cmd> {
    state.complain(&failure);
    if let Some(form) = &mut state.new_run {
        (form.starting, form.failure) = (false, Some(failure));
    }
    Vec::new()
}
