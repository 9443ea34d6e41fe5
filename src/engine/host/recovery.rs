//! What happens at start-up, under the lock, before any command is served.
//!
//! The order: final reports that are missing are written, from rows alone; calls that a crash left
//! open are charged; runs whose host died are paused (`ask`), taken up again (`resume`) or failed
//! (`fail`). Each step leaves the next start nothing to do twice: reports and facts have keys, and a
//! call is closed once. Runs that have ended are never touched.

use std::sync::Arc;

use crate::engine::agent::desk::{CallFailed, close_call};
use crate::engine::context::Context;
use crate::engine::machine::{Input, decide};
use crate::engine::{attempt, final_report};
use crate::model::error::{Code, Result};
use crate::model::event::{CallStatus, Event, Fact};
use crate::model::id::RunId;
use crate::model::run_state::RunState;
use crate::model::settings::OnCrash;
use crate::model::state::{PauseReason, RunStatus};
use crate::model::time::Timestamp;
use crate::store::{Reader, events, journal, runs, turns};

/// What is known of a call whose host died: it may have been answered and billed.
const LOST: CallFailed = CallFailed { status: CallStatus::Unknown, code: Code::LlmUnreachable, latency_ms: 0 };

/// Puts in order what the last host left, and says which runs go on at once.
///
/// # Errors
/// What the store says. A run that cannot be recovered is logged and left as it is; the others go on.
pub fn recover(context: &Arc<Context>) -> Result<Vec<RunId>> {
    write_missing_reports(context)?;
    let reader = Reader::open(&context.paths.database())?;
    let mut going_on = Vec::new();
    for record in runs::non_terminal(reader.connection())? {
        match recover_run(context, &reader, record.id) {
            Ok(true) => going_on.push(record.id),
            Ok(false) => {}
            Err(failure) => tracing::error!(run = %record.id, %failure, "could not recover; left as it is"),
        }
    }
    Ok(going_on)
}

fn write_missing_reports(context: &Context) -> Result<()> {
    let reader = Reader::open(&context.paths.database())?;
    for run_id in runs::terminal_without_report(reader.connection())? {
        match final_report::write(&context.paths, run_id) {
            Ok(path) => final_report::note_blocking(&context.store, run_id, path)?,
            Err(failure) => tracing::error!(run = %run_id, %failure, "could not write the missing report"),
        }
    }
    Ok(())
}

/// Recovers one run; says whether it goes on at once.
fn recover_run(context: &Arc<Context>, reader: &Reader, run_id: RunId) -> Result<bool> {
    let state = events::state(reader.connection(), run_id)?;
    let open = turns::open(reader.connection(), run_id)?;
    let in_flight = matches!(state.status, RunStatus::Executing | RunStatus::AwaitingApproval | RunStatus::Created);
    if open.is_empty() && !in_flight {
        return Ok(false);
    }
    let policy = context.settings.engine.on_crash;
    let facts = if in_flight { facts_for(&state, policy, reader)? } else { Vec::new() };
    let events = context.store.write_blocking(move |tx| {
        let mut events = Vec::new();
        for call in &open {
            let closed = close_call(tx, call.turn_id, &LOST)?;
            events.extend(journal::append(tx, run_id, &closed, Timestamp::now())?);
        }
        events.extend(journal::append(tx, run_id, &facts, Timestamp::now())?);
        Ok(events)
    })?;
    if events.iter().any(|event| event.fact.key() == "run.ended") {
        let path = final_report::write(&context.paths, run_id)?;
        final_report::note_blocking(&context.store, run_id, path)?;
    }
    Ok(in_flight && policy == OnCrash::Resume)
}

fn facts_for(state: &RunState, policy: OnCrash, reader: &Reader) -> Result<Vec<Fact>> {
    if policy == OnCrash::Fail {
        return Ok(failed(state));
    }
    let files = attempt::load_files(reader, runs::get(reader.connection(), state.run_id)?)?;
    let mut facts = decide(&files.plan, state, Input::Pause(PauseReason::Crashed), Timestamp::now())?;
    if policy == OnCrash::Resume {
        let mut paused = state.clone();
        for fact in &facts {
            let seq = paused.last_seq + 1;
            paused.apply(&Event { run_id: state.run_id, seq, at: Timestamp::now(), fact: fact.clone() })?;
        }
        facts.extend(decide(&files.plan, &paused, Input::Resume, Timestamp::now())?);
    }
    Ok(facts)
}

/// The run fails first, then each of its conversations.
fn failed(state: &RunState) -> Vec<Fact> {
    let message = "the host died while the run was in flight, and engine.on_crash is `fail`";
    let hint = "set engine.on_crash to `ask` or `resume` to go on after a crash";
    let end = Fact::RunFailed { code: Code::SessionRecoveryRequired, message: message.to_owned(), hint: hint.to_owned() };
    let sessions = state.sessions.iter().map(|(role, session)| Fact::SessionFailed {
        session_id: session.id,
        role: role.clone(),
        ordinal: session.ordinal + 1,
        code: Code::SessionRecoveryRequired,
        message: message.to_owned(),
    });
    std::iter::once(end).chain(sessions).collect()
}
