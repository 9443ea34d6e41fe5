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

/// Reports that are written before anything else; the rest does not keep the operator waiting.
const REPORTS_AT_ONCE: usize = 16;

/// So often a run is taken up after a crash without getting anywhere.
const FRUITLESS: usize = 3;
/// Events that are looked at for that; each try makes two, and one for each phase that was done.
const LOOKED_BACK: u32 = 256;

/// What start-up recovery leaves to the host.
pub struct Recovered {
    /// The runs that go on at once.
    pub going_on: Vec<RunId>,
    /// The runs whose report is still to be written.
    pub reports: Vec<RunId>,
    /// The runs whose worktree has still to go back.
    pub to_roll_back: Vec<RunId>,
}

/// What one run needs.
struct Found {
    run_id: RunId,
    facts: Vec<Fact>,
    goes_on: bool,
    rolls_back: bool,
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
                tracing::error!(run = %run_id, %failure, "could not recover; left as it is")
            }
        }
    }
    // All at once, so that they share commits.
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
                tracing::error!(run = %found.run_id, %failure, "could not recover; left as it is")
            }
        }
    }
    recovered.to_roll_back = threads::to_roll_back(reader.connection())?;
    Step::Recovery.after();
    Ok(recovered)
}

/// Writes final reports, one after the other. One that cannot be written is left to the next start.
pub async fn write_reports(context: Arc<Context>, runs: Vec<RunId>) {
    for run_id in runs {
        final_report::write_and_note(&context, run_id).await;
    }
}

/// Writes reports whose files are gone, the `.json` or the `.md`, though they were written once.
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
        Err(failure) => tracing::warn!(%failure, "could not look for reports that are gone"),
    }
}

/// What a run needs, if anything.
fn examine(policy: OnCrash, reader: &Reader, record: RunRecord) -> Result<Option<Found>> {
    let run_id = record.id;
    let state = events::state(reader.connection(), run_id)?;
    let stop = asked_stop(reader.connection(), run_id)
        .inspect_err(|failure| tracing::error!(%failure, "it counts as none"))
        .unwrap_or_default();
    let facts = match state.status {
        RunStatus::Executing | RunStatus::AwaitingApproval => match &stop {
            Some(stop) => stopped(record, &state, stop)?,
            None => after_crash(policy, reader, record, &state)?,
        },
        // What was never begun has not crashed: it begins when it is told.
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

/// Closes the calls of a run that were open, then stores what became of it; says whether it has ended.
async fn store(context: &Context, found: &Found) -> Result<bool> {
    let (run_id, facts, rolls_back) = (found.run_id, found.facts.clone(), found.rolls_back);
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

/// What an operator had asked of a run, and its host did not live to do.
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
    // Resting needs no plan, so that a run whose rows are broken rests too.
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
    // A run that waits for a person does nothing that could end a host.
    if state.status == RunStatus::Executing && fruitless(reader, state)? >= FRUITLESS {
        return given_up(reader, record, state);
    }
    match going_on(reader, record, state, &rests) {
        Ok(goes_on) => Ok(rests.into_iter().chain(goes_on).collect()),
        Err(failure) => {
            tracing::error!(run = %state.run_id, %failure, "cannot go on after a crash; it rests");
            Ok(rests)
        }
    }
}

/// How often the run was taken up after a crash and crashed again before it got anywhere. The journal is
/// the count: each try was stored before it was made.
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

/// A run that takes its host with it each time is left to a person.
fn given_up(reader: &Reader, record: RunRecord, state: &RunState) -> Result<Vec<Fact>> {
    let files = run_files::load_files(reader.connection(), record)?;
    let message = format!("the host died {FRUITLESS} times when this run went on");
    let failure = Failure::new(Code::SessionRecoveryRequired, message)
        .hint("approve tries once more; reject or abort ends the run");
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
    let (by, via) = ("engine.on_crash".to_owned(), Via::Engine);
    decide(
        &files.plan,
        &paused,
        Input::Resume { by, via },
        Timestamp::now(),
    )
}

/// The run fails first, then each of its conversations.
fn failed(state: &RunState) -> Vec<Fact> {
    let message = "the host died while the run was in flight, and engine.on_crash is `fail`";
    let hint = "set engine.on_crash to `ask` or `resume` to go on after a crash";
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
