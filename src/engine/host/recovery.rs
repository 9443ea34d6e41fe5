//! Startup recovery, under the lock and before any command is served.
//!
//! In this order: missing final reports are written, from rows alone; calls left open by a crash
//! are charged; runs whose host died are paused (`ask`), resumed (`resume`) or failed (`fail`).
//! Every step is idempotent, so a crash during recovery is harmless: reports and facts have keys,
//! and a call is closed once. Runs that have ended are never changed.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::runtime::Runtime;

use crate::engine::agent::desk::close_lost_calls;
use crate::engine::blocking::blocking;
use crate::engine::context::Context;
use crate::engine::driver::{AskedStop, asked_stop};
use crate::engine::machine::{Activity, Input, Outcome, Plan, decide, wanted};
use crate::engine::{final_report, run_files};
use crate::model::error::{Code, Failure, Result};
use crate::model::event::{Event, Fact};
use crate::model::id::RunId;
use crate::model::record::RunRecord;
use crate::model::run_state::RunState;
use crate::model::settings::OnCrash;
use crate::model::state::{PauseReason, RunStatus, Via};
use crate::model::time::Timestamp;
use crate::store::failpoint::Step;
use crate::store::failpoint::planted::{self, Bug};
use crate::store::{Reader, events, journal, runs, threads, turns};

/// Number of reports written before the host serves commands; the others follow in the background.
const REPORTS_AT_ONCE: usize = 16;

/// Number of resumptions without progress after which a run is no longer resumed automatically.
const FRUITLESS: usize = 3;
/// Number of events inspected for that; each resumption adds two, plus one per skipped phase.
const LOOKED_BACK: u32 = 256;

/// Work that startup recovery leaves to the host.
pub struct Recovered {
    /// Runs to resume at once.
    pub going_on: Vec<RunId>,
    /// Runs whose final report still has to be written.
    pub reports: Vec<RunId>,
    /// Runs whose rollback still has to be performed.
    pub to_roll_back: Vec<RunId>,
}

/// Recovery of one run.
struct Found {
    run_id: RunId,
    facts: Vec<Fact>,
    goes_on: bool,
    rolls_back: bool,
}

/// Recovers the runs of the previous host and returns the remaining work.
///
/// # Errors
/// Errors of the database. A run that cannot be recovered is logged and left unchanged.
pub fn recover(context: &Arc<Context>, runtime: &Runtime) -> Result<Recovered> {
    Step::Recovery.before();
    let reader = Reader::open(&context.paths.database())?;
    let mut reports = runs::terminal_without_report(reader.connection())?;
    if planted::is(Bug::ReportForgotten) {
        reports.clear();
    }
    let later = reports.split_off(reports.len().min(REPORTS_AT_ONCE));
    runtime.block_on(write_reports(Arc::clone(context), reports));
    context
        .journal
        .store
        .write_blocking(|tx| threads::clear_lines(tx))?;
    let mut found = Vec::new();
    for record in runs::non_terminal(reader.connection())? {
        let run_id = record.id;
        match examine(context.settings.engine.on_crash, &reader, record) {
            Ok(needs) => found.extend(needs),
            Err(failure) => {
                tracing::error!(run = %run_id, %failure, "could not recover the run; left unchanged")
            }
        }
    }
    // Concurrently, so that they share commits.
    let stored = runtime.block_on(join_all(found.iter().map(|found| store(context, found))));
    let mut recovered = Recovered {
        going_on: Vec::new(),
        reports: later,
        to_roll_back: Vec::new(),
    };
    for (found, stored) in found.into_iter().zip(stored) {
        match stored {
            Ok(true) => recovered.reports.push(found.run_id),
            Ok(false) if found.goes_on => recovered.going_on.push(found.run_id),
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
pub async fn write_reports(context: Arc<Context>, runs: Vec<RunId>) {
    for run_id in runs {
        final_report::write_and_note(&context, run_id).await;
    }
}

/// Rewrites final reports whose `.json` or `.md` file has been deleted.
pub async fn mend_reports(context: Arc<Context>) {
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
fn examine(policy: OnCrash, reader: &Reader, record: RunRecord) -> Result<Option<Found>> {
    let run_id = record.id;
    let state = events::state(reader.connection(), run_id)?;
    let stop = asked_stop(reader.connection(), run_id)
        .inspect_err(|failure| tracing::error!(%failure, "ignoring an unreadable stop request"))
        .unwrap_or_default();
    let facts = match state.status {
        RunStatus::Executing | RunStatus::AwaitingApproval => match &stop {
            Some(stop) => stopped(record, &state, stop)?,
            None => after_crash(policy, reader, record, &state)?,
        },
        // A run that was never started cannot have crashed.
        _ => Vec::new(),
    };
    if facts.is_empty() && turns::open(reader.connection(), run_id)?.is_empty() {
        return Ok(None);
    }
    let goes_on = facts
        .iter()
        .any(|fact| matches!(fact, Fact::RunResumed { .. }));
    let rolls_back = matches!(
        stop,
        Some(AskedStop::Abort {
            roll_back: true,
            ..
        })
    );
    Ok(Some(Found {
        run_id,
        facts,
        goes_on,
        rolls_back,
    }))
}

/// Charges the run's open calls, then stores its facts. Returns whether the run has ended.
async fn store(context: &Context, found: &Found) -> Result<bool> {
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
fn stopped(record: RunRecord, state: &RunState, stop: &AskedStop) -> Result<Vec<Fact>> {
    let input = match stop.clone() {
        AskedStop::Pause => Input::Pause(PauseReason::Operator),
        AskedStop::Abort { who, reason, .. } => Input::Abort {
            by: who.by,
            via: who.via,
            reason,
        },
    };
    decide(
        &Plan::unreadable(record.thread),
        state,
        input,
        Timestamp::now(),
    )
}

fn after_crash(
    policy: OnCrash,
    reader: &Reader,
    record: RunRecord,
    state: &RunState,
) -> Result<Vec<Fact>> {
    if policy == OnCrash::Fail {
        return Ok(failed(state));
    }
    // A pause needs no plan, so a run whose definitions are unreadable is paused too.
    let plan = Plan::unreadable(record.thread.clone());
    let rests = decide(
        &plan,
        state,
        Input::Pause(PauseReason::Crashed),
        Timestamp::now(),
    )?;
    if policy == OnCrash::Ask {
        return Ok(rests);
    }
    // A run that waits for an operator does nothing that could crash a host.
    if state.status == RunStatus::Executing && fruitless(reader, state)? >= FRUITLESS {
        return given_up(reader, record, state);
    }
    match going_on(reader, record, state, &rests) {
        Ok(goes_on) => Ok(rests.into_iter().chain(goes_on).collect()),
        Err(failure) => {
            tracing::error!(run = %state.run_id, %failure, "cannot resume after a crash; the run is paused");
            Ok(rests)
        }
    }
}

/// Counts how often the run was resumed after a crash and crashed again without progress. The
/// journal is a reliable counter: each resumption is stored before it is made.
fn fruitless(reader: &Reader, state: &RunState) -> Result<usize> {
    let last = events::before(
        reader.connection(),
        state.run_id,
        state.last_seq + 1,
        LOOKED_BACK,
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
                Fact::RunPaused {
                    reason: PauseReason::Crashed,
                    ..
                }
            )
        })
        .count())
}

/// Stops automatic resumption of a run that crashes its host each time.
fn given_up(reader: &Reader, record: RunRecord, state: &RunState) -> Result<Vec<Fact>> {
    let files = run_files::load_files(reader.connection(), record)?;
    let message = format!("the host died {FRUITLESS} times while resuming this run");
    let failure = Failure::new(Code::SessionRecoveryRequired, message)
        .hint("approve to try once more; reject or abort to end the run");
    let input = match wanted(&files.plan, state) {
        Some(Activity::Attempt { phase_key, attempt }) => Input::AttemptEnded {
            phase_key,
            attempt,
            outcome: Outcome::Failed(failure),
        },
        Some(Activity::Commit { phase_key }) => Input::CommitFailed { phase_key, failure },
        None => Input::Pause(PauseReason::Crashed),
    };
    decide(&files.plan, state, input, Timestamp::now())
}

fn going_on(
    reader: &Reader,
    record: RunRecord,
    state: &RunState,
    rests: &[Fact],
) -> Result<Vec<Fact>> {
    let files = run_files::load_files(reader.connection(), record)?;
    let mut paused = state.clone();
    for fact in rests {
        let seq = paused.last_seq + 1;
        paused.apply(&Event {
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
        Input::Resume { by, via },
        Timestamp::now(),
    )
}

/// Facts of a failed run, followed by those of its sessions.
fn failed(state: &RunState) -> Vec<Fact> {
    let message = "the host died while the run was active, and engine.on_crash is `fail`";
    let hint = "set engine.on_crash to `ask` or `resume` to continue runs after a crash";
    let end = Fact::RunFailed {
        code: Code::SessionRecoveryRequired,
        message: message.to_owned(),
        hint: hint.to_owned(),
    };
    let sessions = state
        .sessions
        .iter()
        .map(|(role, session)| Fact::SessionFailed {
            session_id: session.id,
            role: role.clone(),
            ordinal: session.ordinal + 1,
            code: Code::SessionRecoveryRequired,
            message: message.to_owned(),
        });
    std::iter::once(end).chain(sessions).collect()
}
