//! Pausing, resuming and aborting the selected run, from any screen.
use crate::app::msg::{ArchiveQuery, Cmd, CommandTicket};
use crate::app::screens::gate;
use crate::app::screens::runs::state::is_over_budget;
use crate::app::state::{
    AppState, ConfirmChoice, ConfirmDialog, Modal, PendingCommand, RunAction, Screen,
};
use crate::engine::api::EngineCommand;
use crate::model::id::RunId;
use crate::model::record::RunRecord;
use crate::model::state::RunStatus;

/// What a retry is called while it is on its way.
pub const RETRYING: &str = "retrying";
/// What a fork is called while it is on its way.
pub const FORKING: &str = "forking";
/// What taking a fork's artifact is called while it is on its way.
pub const PICKING: &str = "taking a fork for";
/// What an answer about an unsure call is called while it is on its way.
pub const SETTLING: &str = "settling a call of";

/// Acts on the run that is selected or open.
pub fn on_selected(state: &mut AppState, what: RunAction) -> Vec<Cmd> {
    let Some(record) = selected(state) else {
        return Vec::new();
    };
    match what {
        RunAction::Pause => pause(state, &record),
        RunAction::Resume => resume(state, &record),
        RunAction::Abort => confirm_abort(state, &record),
    }
}

/// Returns the run that actions apply to.
fn selected(state: &AppState) -> Option<RunRecord> {
    match state.screen() {
        Screen::Runs => state.runs.selected().cloned(),
        Screen::Picker => state.picker.selected().cloned(),
        Screen::NewRun | Screen::Cost | Screen::Doctor | Screen::Settings => None,
        Screen::Run | Screen::Gate => {
            let run = state.run.as_ref()?;
            // The list's row is newer than the one from opening; the journal is newer than both.
            let mut record = state
                .runs
                .get(run.run_id)
                .or(run.opened.as_ref().map(|known| &known.record))?
                .clone();
            if let Some(journal) = run.state() {
                journal.status.as_str().clone_into(&mut record.state);
            }
            Some(record)
        }
    }
}

fn pause(state: &mut AppState, record: &RunRecord) -> Vec<Cmd> {
    match RunStatus::parse(&record.state) {
        Some(RunStatus::Executing | RunStatus::AwaitingApproval | RunStatus::Created) => send(
            state,
            record.id,
            "pausing",
            EngineCommand::Pause { run_id: record.id },
        ),
        _ => refuse(
            state,
            &format!(
                "run {} cannot be paused: it is {}",
                record.id.short(),
                record.state
            ),
        ),
    }
}

/// Goes on with a run, if it can; one that has ended is asked about, and one that only an amount lets go on
/// asks for it.
pub fn resume(state: &mut AppState, record: &RunRecord) -> Vec<Cmd> {
    if is_over_budget(record) && state.screen() == Screen::Gate {
        return refuse(
            state,
            "the run resumes only after this approval is answered",
        );
    }
    if is_over_budget(record) {
        return gate::update::open_gate_for(state, record.id);
    }
    if record.has_ended() {
        state.notify(format!("retry {}: checking", record.id.short()));
        return vec![Cmd::Query(ArchiveQuery::Retry(record.id))];
    }
    match state.picker.refusal(record, &state.runs.records) {
        None => send(
            state,
            record.id,
            "resuming",
            EngineCommand::Resume { run_id: record.id },
        ),
        Some(why) => refuse(
            state,
            &format!("run {} cannot resume: {why}", record.id.short()),
        ),
    }
}

fn confirm_abort(state: &mut AppState, record: &RunRecord) -> Vec<Cmd> {
    if record.has_ended() {
        return refuse(
            state,
            &format!(
                "run {} has already finished ({})",
                record.id.short(),
                record.state
            ),
        );
    }
    state.modal = Some(Modal::Confirm(ConfirmDialog {
        question: format!("Abort run {} ({})?", record.id.short(), record.workflow),
        detail: "An aborted run cannot be resumed. Its worktree, artifacts and history are kept."
            .to_owned(),
        choices: vec![
            ("Cancel".to_owned(), ConfirmChoice::Stay),
            ("Abort run".to_owned(), ConfirmChoice::Abort(record.id)),
        ],
        cursor: 0,
        drawn: None,
    }));
    Vec::new()
}

/// Aborts a run after confirmation.
pub fn abort(state: &mut AppState, run_id: RunId) -> Vec<Cmd> {
    send(
        state,
        run_id,
        "aborting",
        EngineCommand::Abort {
            run_id,
            reason: String::new(),
        },
    )
}

fn refuse(state: &mut AppState, why: &str) -> Vec<Cmd> {
    state.notify(why);
    Vec::new()
}

/// Sends a command and remembers what it does.
pub fn send(
    state: &mut AppState,
    run_id: RunId,
    what: &'static str,
    command: EngineCommand,
) -> Vec<Cmd> {
    let ticket = CommandTicket(state.last_ticket.0 + 1);
    state.last_ticket = ticket;
    state.sent.insert(ticket, PendingCommand { run_id, what });
    state.notify(format!("{what} {}: sending", run_id.short()));
    vec![Cmd::Send(ticket, command)]
}
