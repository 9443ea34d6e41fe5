//! Startup recovery, under the lock and before any command is served.
//!
//! In this order: missing final reports are written, from rows alone; calls left open by a crash
//! are charged; runs whose host died are paused (`ask`), resumed (`resume`) or failed (`fail`).
//! Every step is idempotent, so a crash during recovery is harmless: reports and facts have keys,
//! and a call is closed once. Runs that have ended are never changed.

use std::sync::Arc;

use crate::engine::agent::recorder::close_lost_calls;
use crate::engine::blocking::blocking;
use crate::engine::report::final_report;
use crate::engine::run::context::EngineContext;
use crate::engine::run::driver::{RequestedStop, requested_stop};
use crate::engine::run::machine::{
    AttemptOutcome, MachineInput, PhasePlan, RunActivity, decide, wanted,
};
use crate::engine::run::run_files;
use crate::model::error::{Code, Failure, Result};
use crate::model::event::{JournalEvent, RunFact};
use crate::model::id::RunId;
use crate::model::record::RunRecord;
use crate::model::run_state::RunState;
use crate::model::settings::CrashPolicy;
use crate::model::state::{PauseReason, RunStatus, Via};
use crate::model::time::Timestamp;
use crate::store::failpoint::Step;
use crate::store::failpoint::planted::{self, Bug};
use crate::store::journal::events;
use crate::store::tables::{runs, threads, turns};
use crate::store::{Reader, journal};
use futures_util::future::join_all;
use tokio::runtime::Runtime;

/// Number of reports written before the host serves commands; the others follow in the background.
const REPORTS_BEFORE_SERVING: usize = 16;

/// Number of resumptions without progress after which a run is no longer resumed automatically.
const MAX_FRUITLESS_RESUMPTIONS: usize = 3;
/// Number of events inspected for that; each resumption adds two, plus one per skipped phase.
const LOOKBACK_EVENTS: u32 = 256;

/// Work that startup recovery leaves to the host.
pub struct RecoveredRuns {
    /// Runs to resume at once.
    pub to_resume: Vec<RunId>,
    /// Runs whose final report still has to be written.
    pub reports: Vec<RunId>,
    /// Runs whose rollback still has to be performed.
    pub to_roll_back: Vec<RunId>,
}

/// Recovery of one run.
struct RunRecovery {
    run_id: RunId,
    facts: Vec<RunFact>,
    resumes: bool,
    rolls_back: bool,
}

/// Recovers the runs of the previous host and returns the remaining work.
///
/// # Errors
/// Errors of the database. A run that cannot be recovered is logged and left unchanged.
pub fn recover(context: &Arc<EngineContext>, runtime: &Runtime) -> Result<RecoveredRuns> {
    Step::Recovery.before();
    let reader = Reader::open(&context.paths.database())?;
    let mut reports = runs::terminal_without_report(reader.connection())?;
    if planted::is(Bug::ReportForgotten) {
        reports.clear();
    }
    let later = reports.split_off(reports.len().min(REPORTS_BEFORE_SERVING));
    runtime.block_on(write_reports(Arc::clone(context), reports));
    context
        .journal
        .store
        .write_blocking(|tx| threads::clear_lines(tx))?;
    let mut found = Vec::new();
    for record in runs::non_terminal(reader.connection())? {
        let run_id = record.id;
        match plan_recovery(context.settings.engine.on_crash, &reader, record) {
            Ok(needs) => found.extend(needs),
            Err(failure) => {
                tracing::error!(run = %run_id, %failure, "could not recover the run; left unchanged")
            }
        }
    }
    // Concurrently, so that they share commits.
    let stored = runtime.block_on(join_all(found.iter().map(|found| store(context, found))));
    let mut recovered = RecoveredRuns {
        to_resume: Vec::new(),
        reports: later,
        to_roll_back: Vec::new(),
    };
    for (found, stored) in found.into_iter().zip(stored) {
        match stored {
            Ok(true) => recovered.reports.push(found.run_id),
            Ok(false) if found.resumes => recovered.to_resume.push(found.run_id),
            Ok(false) => {}
            Err(failure) => {
                tracing::error!(run = %found.run_id, %failure, "could not recover the run; left unchanged")
            }
        }
    }
    // Read last, so that it includes the rollbacks recorded above.
    recovered.to_roll_back = threads::to_roll_back(reader.connection())?;
    Step::Recovery.after();
    Ok(recovered)
}

/// Writes final reports one after the other. A report that cannot be written is retried at the next
/// start.
pub async fn write_reports(context: Arc<EngineContext>, runs: Vec<RunId>) {
    for run_id in runs {
        final_report::write_and_record(&context, run_id).await;
    }
}

/// Rewrites final reports whose `.json` or `.md` file has been deleted.
pub async fn rewrite_missing_reports(context: Arc<EngineContext>) {
    let path = context.paths.database();
    let gone = blocking(move || {
        let reported = runs::reported(Reader::open(&path)?.connection())?;
        let is_gone = |path: &str| {
            ["json", "md"]
                .iter()
                .any(|kind| !std::path::Path::new(&format!("{path}.{kind}")).exists())
        };
        Ok(reported
            .into_iter()
            .filter(|(_, path)| is_gone(path))
            .map(|(run, _)| run)
            .collect())
    });
    match gone.await {
        Ok(gone) => write_reports(context, gone).await,
        Err(failure) => tracing::warn!(%failure, "could not check for missing reports"),
    }
}

/// Determines the recovery of a run, if it needs any.
fn plan_recovery(
    policy: CrashPolicy,
    reader: &Reader,
    record: RunRecord,
) -> Result<Option<RunRecovery>> {
    let run_id = record.id;
    let state = events::state(reader.connection(), run_id)?;
    let stop = requested_stop(reader.connection(), run_id)
        .inspect_err(|failure| tracing::error!(%failure, "ignoring an unreadable stop request"))
        .unwrap_or_default();
    let facts = match state.status {
        RunStatus::Executing | RunStatus::AwaitingApproval => match &stop {
            Some(stop) => stop_facts(record, &state, stop)?,
            None => crash_facts(policy, reader, record, &state)?,
        },
        // A run that was never started cannot have crashed.
        _ => Vec::new(),
    };
    if facts.is_empty() && turns::open(reader.connection(), run_id)?.is_empty() {
        return Ok(None);
    }
    let goes_on = facts
        .iter()
        .any(|fact| matches!(fact, RunFact::RunResumed { .. }));
    let rolls_back = matches!(
        stop,
        Some(RequestedStop::Abort {
            roll_back: true,
            ..
        })
    );
    Ok(Some(RunRecovery {
        run_id,
        facts,
        resumes: goes_on,
        rolls_back,
    }))
}

/// Charges the run's open calls, then stores its facts. Returns whether the run has ended.
async fn store(context: &EngineContext, found: &RunRecovery) -> Result<bool> {
    let run_id = found.run_id;
    let facts = found.facts.clone();
    let rolls_back = found.rolls_back;
    // One transaction: a rollback without its marker, or an end with open calls, would never be
    // completed, since recovery does not look at runs that have ended.
    let stored = context.journal.store.write(move |tx| {
        if rolls_back {
            threads::set_rollback(tx, run_id, "asked")?;
        }
        close_lost_calls(tx, run_id)?;
        journal::append(tx, run_id, &facts, Timestamp::now())
    });
    Ok(stored
        .await?
        .iter()
        .any(|event| event.fact.key() == "run.ended"))
}

/// Facts of a stop that an operator requested and the previous host did not complete.
fn stop_facts(record: RunRecord, state: &RunState, stop: &RequestedStop) -> Result<Vec<RunFact>> {
    let input = match stop.clone() {
        RequestedStop::Pause => MachineInput::Pause(PauseReason::Operator),
        RequestedStop::Abort { who, reason, .. } => MachineInput::Abort {
            by: who.by,
            via: who.via,
            reason,
        },
    };
    decide(
        &PhasePlan::unreadable(record.thread),
        state,
        input,
        Timestamp::now(),
    )
}

fn crash_facts(
    policy: CrashPolicy,
    reader: &Reader,
    record: RunRecord,
    state: &RunState,
) -> Result<Vec<RunFact>> {
    if policy == CrashPolicy::Fail {
        return Ok(failure_facts(state));
    }
    // A pause needs no plan, so a run whose definitions are unreadable is paused too.
    let plan = PhasePlan::unreadable(record.thread.clone());
    let rests = decide(
        &plan,
        state,
        MachineInput::Pause(PauseReason::Crashed),
        Timestamp::now(),
    )?;
    if policy == CrashPolicy::Ask {
        return Ok(rests);
    }
    // A run that waits for an operator does nothing that could crash a host.
    if state.status == RunStatus::Executing
        && resumptions_without_progress(reader, state)? >= MAX_FRUITLESS_RESUMPTIONS
    {
        return stop_resuming(reader, record, state);
    }
    match resume_facts(reader, record, state, &rests) {
        Ok(goes_on) => Ok(rests.into_iter().chain(goes_on).collect()),
        Err(failure) => {
            tracing::error!(run = %state.run_id, %failure, "cannot resume after a crash; the run is paused");
            Ok(rests)
        }
    }
}

/// Counts how often the run was resumed after a crash and crashed again without progress. The
/// journal is a reliable counter: each resumption is stored before it is made.
fn resumptions_without_progress(reader: &Reader, state: &RunState) -> Result<usize> {
    let last = events::before(
        reader.connection(),
        state.run_id,
        state.last_seq + 1,
        LOOKBACK_EVENTS,
    )?;
    let tries = last.iter().rev().take_while(|event| {
        matches!(
            event.fact.kind(),
            "run.paused" | "run.resumed" | "phase.skipped" | "clock.skewed"
        )
    });
    Ok(tries
        .filter(|event| {
            matches!(
                event.fact,
                RunFact::RunPaused {
                    reason: PauseReason::Crashed,
                    ..
                }
            )
        })
        .count())
}

/// Stops automatic resumption of a run that crashes its host each time.
fn stop_resuming(reader: &Reader, record: RunRecord, state: &RunState) -> Result<Vec<RunFact>> {
    let files = run_files::load_definitions(reader.connection(), record)?;
    let message =
        format!("the host died {MAX_FRUITLESS_RESUMPTIONS} times while resuming this run");
    let failure = Failure::new(Code::SessionRecoveryRequired, message)
        .hint("approve to try once more; reject or abort to end the run");
    let input = match wanted(&files.plan, state) {
        Some(RunActivity::Attempt { phase_key, attempt }) => MachineInput::AttemptEnded {
            phase_key,
            attempt,
            outcome: AttemptOutcome::Failed(failure),
        },
        Some(RunActivity::Commit { phase_key }) => {
            MachineInput::CommitFailed { phase_key, failure }
        }
        None => MachineInput::Pause(PauseReason::Crashed),
    };
    decide(&files.plan, state, input, Timestamp::now())
}

fn resume_facts(
    reader: &Reader,
    record: RunRecord,
    state: &RunState,
    rests: &[RunFact],
) -> Result<Vec<RunFact>> {
    let files = run_files::load_definitions(reader.connection(), record)?;
    let mut paused = state.clone();
    for fact in rests {
        let seq = paused.last_seq + 1;
        paused.apply(&JournalEvent {
            run_id: state.run_id,
            seq,
            at: Timestamp::now(),
            fact: fact.clone(),
        })?;
    }
    let by = "engine.on_crash".to_owned();
    let via = Via::Engine;
    decide(
        &files.plan,
        &paused,
        MachineInput::Resume { by, via },
        Timestamp::now(),
    )
}

/// Facts of a failed run, followed by those of its sessions.
fn failure_facts(state: &RunState) -> Vec<RunFact> {
    let message = "the host died while the run was active, and engine.on_crash is `fail`";
    let hint = "set engine.on_crash to `ask` or `resume` to continue runs after a crash";
    let end = RunFact::RunFailed {
        code: Code::SessionRecoveryRequired,
        message: message.to_owned(),
        hint: hint.to_owned(),
    };
    let sessions = state
        .sessions
        .iter()
        .map(|(role, session)| RunFact::SessionFailed {
            session_id: session.id,
            role: role.clone(),
            ordinal: session.ordinal + 1,
            code: Code::SessionRecoveryRequired,
            message: message.to_owned(),
        });
    std::iter::once(end).chain(sessions).collect()
}
