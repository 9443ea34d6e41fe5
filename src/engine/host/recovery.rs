//! What happens at start-up, under the lock, before any command is served.
//!
//! The order: final reports that are missing are written, from rows alone; calls that a crash left
//! open are charged; runs whose host died are paused (`ask`), taken up again (`resume`) or failed
//! (`fail`). Each step leaves the next start nothing to do twice: reports and facts have keys, and a
//! call is closed once. Runs that have ended are never touched.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::runtime::Runtime;

use crate::engine::agent::desk::close_lost_calls;
use crate::engine::context::Context;
use crate::engine::machine::{Input, Plan, decide};
use crate::engine::{final_report, run_files};
use crate::model::error::{Code, Result};
use crate::model::event::{Event, Fact};
use crate::model::id::RunId;
use crate::model::record::RunRecord;
use crate::model::run_state::RunState;
use crate::model::settings::OnCrash;
use crate::model::state::{PauseReason, RunStatus};
use crate::model::time::Timestamp;
use crate::store::failpoint::Step;
use crate::store::failpoint::planted::{self, Bug};
use crate::store::{Reader, events, journal, runs, turns};

/// Reports that are written before anything else; the rest does not keep the operator waiting.
const REPORTS_AT_ONCE: usize = 16;

/// What start-up recovery leaves to the host.
pub struct Recovered {
    /// The runs that go on at once.
    pub going_on: Vec<RunId>,
    /// The runs whose report is still to be written.
    pub reports: Vec<RunId>,
}

/// What one run needs.
struct Found {
    run_id: RunId,
    facts: Vec<Fact>,
    goes_on: bool,
}

/// Puts in order what the last host left, and says what is left to do.
///
/// # Errors
/// What the store says. A run that cannot be recovered is logged and left as it is; the others go on.
pub fn recover(context: &Arc<Context>, runtime: &Runtime) -> Result<Recovered> {
    Step::Recovery.before();
    let reader = Reader::open(&context.paths.database())?;
    let mut reports = runs::terminal_without_report(reader.connection())?;
    if planted::is(Bug::ReportForgotten) {
        reports.clear();
    }
    let later = reports.split_off(reports.len().min(REPORTS_AT_ONCE));
    runtime.block_on(write_reports(Arc::clone(context), reports));
    let mut found = Vec::new();
    for record in runs::non_terminal(reader.connection())? {
        let run_id = record.id;
        match examine(context.settings.engine.on_crash, &reader, record) {
            Ok(needs) => found.extend(needs),
            Err(failure) => tracing::error!(run = %run_id, %failure, "could not recover; left as it is"),
        }
    }
    // All at once, so that they share commits.
    let stored = runtime.block_on(join_all(found.iter().map(|found| store(context, found))));
    let mut recovered = Recovered { going_on: Vec::new(), reports: later };
    for (found, stored) in found.into_iter().zip(stored) {
        match stored {
            Ok(true) => recovered.reports.push(found.run_id),
            Ok(false) if found.goes_on => recovered.going_on.push(found.run_id),
            Ok(false) => {}
            Err(failure) => tracing::error!(run = %found.run_id, %failure, "could not recover; left as it is"),
        }
    }
    Step::Recovery.after();
    Ok(recovered)
}

/// Writes final reports, one after the other. One that cannot be written is left to the next start.
pub async fn write_reports(context: Arc<Context>, runs: Vec<RunId>) {
    for run_id in runs {
        final_report::write_and_note(&context, run_id).await;
    }
}

/// What a run needs, if anything.
fn examine(policy: OnCrash, reader: &Reader, record: RunRecord) -> Result<Option<Found>> {
    let run_id = record.id;
    let state = events::state(reader.connection(), run_id)?;
    let facts = match state.status {
        RunStatus::Executing | RunStatus::AwaitingApproval => after_crash(policy, reader, record, &state)?,
        // What was never begun has not crashed: it begins when it is told.
        _ => Vec::new(),
    };
    if facts.is_empty() && turns::open(reader.connection(), run_id)?.is_empty() {
        return Ok(None);
    }
    let goes_on = facts.iter().any(|fact| matches!(fact, Fact::RunResumed { .. }));
    Ok(Some(Found { run_id, facts, goes_on }))
}

/// Closes the calls of a run that were open, then stores what became of it; says whether it has ended.
async fn store(context: &Context, found: &Found) -> Result<bool> {
    let (run_id, facts) = (found.run_id, found.facts.clone());
    let stored = context.store.write(move |tx| {
        close_lost_calls(tx, run_id)?;
        journal::append(tx, run_id, &facts, Timestamp::now())
    });
    Ok(stored.await?.iter().any(|event| event.fact.key() == "run.ended"))
}

fn after_crash(policy: OnCrash, reader: &Reader, record: RunRecord, state: &RunState) -> Result<Vec<Fact>> {
    if policy == OnCrash::Fail {
        return Ok(failed(state));
    }
    // Resting needs no plan, so that a run whose rows are broken rests too.
    let plan = Plan::unreadable(record.thread.clone());
    let rests = decide(&plan, state, Input::Pause(PauseReason::Crashed), Timestamp::now())?;
    if policy == OnCrash::Ask {
        return Ok(rests);
    }
    match going_on(reader, record, state, &rests) {
        Ok(goes_on) => Ok(rests.into_iter().chain(goes_on).collect()),
        Err(failure) => {
            tracing::error!(run = %state.run_id, %failure, "cannot go on after a crash; it rests");
            Ok(rests)
        }
    }
}

fn going_on(reader: &Reader, record: RunRecord, state: &RunState, rests: &[Fact]) -> Result<Vec<Fact>> {
    let files = run_files::load_files(reader, record)?;
    let mut paused = state.clone();
    for fact in rests {
        let seq = paused.last_seq + 1;
        paused.apply(&Event { run_id: state.run_id, seq, at: Timestamp::now(), fact: fact.clone() })?;
    }
    decide(&files.plan, &paused, Input::Resume, Timestamp::now())
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
