//! Stopping a run: pause, abort, or hand-over of its thread to another run.
//!
//! A stop that has to wait for running work is first recorded in the run's row, so that it survives
//! the host. A hand-over is one transaction: the older run is paused (or aborted) and the newer one
//! starts, or neither happens. If the newer run was aborted in the meantime, the older one
//! continues.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{ReplySender, RunDriver, RunningActivity};
use crate::engine::api::{CommandAnswer, CommandSender};
use crate::engine::blocking::blocking;
use crate::engine::report::final_report;
use crate::engine::run::machine;
use crate::engine::run::machine::{MachineInput, decide};
use crate::engine::run::rollback;
use crate::engine::run::run_files::load_definitions;
use crate::model::error::{Code, Failure, Result};
use crate::model::event::{JournalEvent, RunFact};
use crate::model::id::RunId;
use crate::model::state::{PauseReason, RunStatus, Via};
use crate::model::time::Timestamp;
use crate::store::journal::events;
use crate::store::tables::{runs, threads};
use crate::store::{Reader, journal};

/// A stop in progress.
pub(super) enum StopInProgress {
    Pause {
        reason: PauseReason,
        replies: Vec<ReplySender>,
    },
    Abort {
        who: CommandSender,
        reason: String,
        roll_back: bool,
        replies: Vec<ReplySender>,
        /// Replies to pause commands that an abort superseded.
        overtaken: Vec<ReplySender>,
    },
    HandOver(ThreadSuccessor),
}

/// The queued run that gets the thread.
#[derive(Clone, Copy, Debug)]
pub struct ThreadSuccessor {
    pub run: RunId,
    /// Whether the older run is aborted and rolled back instead of paused.
    pub roll_back: bool,
}

/// A requested stop as stored in the run's row until it is carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stop", rename_all = "snake_case")]
pub enum RequestedStop {
    Pause,
    Abort {
        who: CommandSender,
        reason: String,
        /// Whether worktree and branch are reset.
        roll_back: bool,
    },
}

impl RunDriver {
    pub(super) async fn pause(
        &mut self,
        reason: PauseReason,
        grace: Duration,
        reply: Option<ReplySender>,
    ) {
        match &mut self.stopping {
            Some(
                StopInProgress::Pause { replies, .. }
                | StopInProgress::Abort {
                    overtaken: replies, ..
                },
            ) => replies.extend(reply),
            stopping => {
                *stopping = Some(StopInProgress::Pause {
                    reason,
                    replies: reply.into_iter().collect(),
                })
            }
        }
        self.stop_running(grace).await;
    }

    pub(super) async fn abort(
        &mut self,
        who: CommandSender,
        reason: String,
        roll_back: bool,
        reply: ReplySender,
    ) {
        if self.state.status == RunStatus::Aborted {
            let _ = reply.send(Ok(CommandAnswer::Accepted {
                run_id: self.run_id(),
            }));
            return;
        }
        match &mut self.stopping {
            // The first abort determines who is recorded as its author.
            Some(StopInProgress::Abort { replies, .. }) => replies.push(reply),
            stopping => {
                let overtaken = if let Some(StopInProgress::Pause { replies, .. }) = stopping.take()
                {
                    replies
                } else {
                    Vec::new()
                };
                *stopping = Some(StopInProgress::Abort {
                    who,
                    reason,
                    roll_back,
                    replies: vec![reply],
                    overtaken,
                });
            }
        }
        self.stop_running(Duration::ZERO).await;
    }

    pub(super) async fn request_hand_over(&mut self, successor: ThreadSuccessor, grace: Duration) {
        // A stop in progress frees the thread as well.
        if self.stopping.is_none() && self.state.status.holds_thread() {
            self.stopping = Some(StopInProgress::HandOver(successor));
            self.stop_running(grace).await;
        }
    }

    /// Asks the running activity to end at its next checkpoint, and cancels it when `grace` is
    /// over.
    async fn stop_running(&mut self, grace: Duration) {
        let Some(RunningActivity { stop, .. }) = &self.running else {
            if let Err(failure) = self.finish_stopping().await {
                tracing::error!(run = %self.run_id(), %failure, "could not store the stop");
            }
            return;
        };
        let stop = stop.clone();
        // Record the stop before signalling it: if the host dies between the two, recovery
        // still finds the request.
        self.record_stop().await;
        stop.soon.cancel();
        let deadline = Instant::now() + grace;
        tokio::spawn(async move {
            tokio::time::sleep_until(deadline).await;
            stop.now.cancel();
        });
    }

    /// Records a stop requested by an operator, so that it survives the host. A failed write
    /// does not prevent the stop.
    async fn record_stop(&self) {
        let asked = match &self.stopping {
            Some(StopInProgress::Pause {
                reason: PauseReason::Operator,
                ..
            }) => RequestedStop::Pause,
            Some(StopInProgress::Abort {
                who,
                reason,
                roll_back,
                ..
            }) => RequestedStop::Abort {
                who: who.clone(),
                reason: reason.clone(),
                roll_back: *roll_back,
            },
            _ => return,
        };
        let run = self.run_id();
        let text = serde_json::to_string(&asked).unwrap_or_default();
        if let Err(failure) = self
            .context
            .journal
            .store
            .write(move |tx| threads::set_stop(tx, run, Some(&text)))
            .await
        {
            tracing::warn!(%run, %failure, "could not record the requested stop");
        }
    }

    pub(super) async fn finish_stopping(&mut self) -> Result<()> {
        let Some(stopping) = self.stopping.take() else {
            return Ok(());
        };
        match stopping {
            StopInProgress::Pause { reason, replies } => {
                let done = self.input(MachineInput::Pause(reason)).await.map(|()| {
                    CommandAnswer::Accepted {
                        run_id: self.run_id(),
                    }
                });
                for reply in replies {
                    let _ = reply.send(done.clone());
                }
            }
            StopInProgress::Abort {
                who,
                reason,
                roll_back,
                replies,
                overtaken,
            } => {
                let done = self.abort_run(who, reason, roll_back).await.map(|()| {
                    CommandAnswer::Accepted {
                        run_id: self.run_id(),
                    }
                });
                for reply in replies {
                    let _ = reply.send(done.clone());
                }
                let ended = self.state.status.is_terminal();
                let late = if ended {
                    done.and_then(|_| Err(machine::ended(&self.state)))
                } else {
                    done
                };
                for reply in overtaken {
                    let _ = reply.send(late.clone());
                }
            }
            StopInProgress::HandOver(successor) => self.hand_over_or_fail(successor).await?,
        }
        Ok(())
    }

    async fn abort_run(
        &mut self,
        who: CommandSender,
        reason: String,
        roll_back: bool,
    ) -> Result<()> {
        let input = MachineInput::Abort {
            by: who.by,
            via: who.via,
            reason,
        };
        if !roll_back {
            return self.input(input).await;
        }
        let run = self.run_id();
        // Three steps in this order: check that the run can be aborted, prepare the
        // rollback, and only then store the abort. A failure in the first two leaves the
        // run unchanged.
        decide(self.plan(), &self.state, input.clone(), Timestamp::now())?;
        let prepared = match rollback::prepare(&self.context, &self.files.record).await {
            Ok(prepared) => prepared,
            Err(failure) => {
                // Without this, the next start would carry out the stop that was
                // just refused.
                self.context
                    .journal
                    .store
                    .write(move |tx| threads::set_stop(tx, run, None))
                    .await?;
                let message = format!(
                    "run {} cannot be rolled back and continues: {}",
                    run.short(),
                    failure.message
                );
                return Err(Failure { message, ..failure });
            }
        };
        let facts = self.facts(input)?;
        let stored = move |tx: &rusqlite::Transaction<'_>| {
            // The marker is committed with the abort: after a crash, the next host redoes
            // the rollback.
            threads::set_rollback(tx, run, "asked")?;
            journal::append(tx, run, &facts, Timestamp::now())
        };
        let events = self
            .context
            .journal
            .write_with_retry(stored, |message| self.note(message))
            .await?;
        self.apply_events(&events).await?;
        rollback::finish(&self.context, run, prepared).await
    }

    /// Hands the thread over. If the newer run cannot start, it fails and this run continues.
    async fn hand_over_or_fail(&mut self, successor: ThreadSuccessor) -> Result<()> {
        match self.hand_over(successor).await {
            Ok(true) => self.successor = Some(successor.run),
            Ok(false) => {}
            Err(failure) => {
                tracing::warn!(run = %self.run_id(), to = %successor.run, %failure, "could not hand over the thread");
                fail_queued(self, successor.run, failure).await;
            }
        }
        Ok(())
    }

    async fn hand_over(
        &mut self,
        ThreadSuccessor { run: to, roll_back }: ThreadSuccessor,
    ) -> Result<bool> {
        let path = self.context.paths.database();
        let (newer, plan) = blocking(move || {
            let reader = Reader::open(&path)?;
            let state = events::state(reader.connection(), to)?;
            let record = runs::get(reader.connection(), to)?;
            load_definitions(reader.connection(), record).map(|files| (state, files.plan))
        })
        .await?;
        if newer.status != RunStatus::Created || !self.state.status.holds_thread() {
            return Ok(false);
        }
        // Everything that can fail comes before the transaction, and leaves both runs unchanged.
        let prepared = if roll_back {
            rollback::prepare(&self.context, &self.files.record).await?
        } else {
            None
        };
        let run = self.run_id();
        let begins = decide(&plan, &newer, MachineInput::Start, Timestamp::now())?;
        let input = match roll_back {
            true => MachineInput::Abort {
                by: format!("run {}", to.short()),
                via: Via::Engine,
                reason: "rolled back for a newer run".to_owned(),
            },
            false => MachineInput::Pause(PauseReason::Interrupted),
        };
        let rests = self.facts(input)?;
        let stored = move |tx: &rusqlite::Transaction<'_>| {
            // The newer run may have been aborted or started since it was read.
            if runs::get(tx, to)?.state != RunStatus::Created.as_str() {
                return Ok(Vec::new());
            }
            if roll_back {
                threads::set_rollback(tx, run, "asked")?;
            }
            let mut all = journal::append(tx, run, &rests, Timestamp::now())?;
            all.extend(journal::append(tx, to, &begins, Timestamp::now())?);
            Ok(all)
        };
        let all = self
            .context
            .journal
            .write_with_retry(stored, |message| self.note(message))
            .await?;
        let own: Vec<JournalEvent> = all
            .into_iter()
            .filter(|event| event.run_id == run)
            .collect();
        if own.is_empty() {
            return Ok(false);
        }
        self.apply_events(&own).await?;
        if roll_back && let Err(failure) = rollback::finish(&self.context, run, prepared).await {
            tracing::error!(%run, %failure, "could not roll back");
        }
        Ok(true)
    }
}

/// Fails a queued run that cannot get its thread.
async fn fail_queued(driver: &RunDriver, run: RunId, why: Failure) {
    let context = &driver.context;
    let message = format!(
        "run {} could not hand over the thread and continues: {}",
        driver.run_id().short(),
        why.message
    );
    let end = RunFact::RunFailed {
        code: why.code,
        message,
        hint: why.hint,
    };
    let stored = context.journal.store.write(move |tx| {
        let waits = runs::get(tx, run)?.state == RunStatus::Created.as_str();
        if waits {
            journal::append(tx, run, &[end], Timestamp::now())
        } else {
            Ok(Vec::new())
        }
    });
    match stored.await {
        Ok(events) if !events.is_empty() => {
            context.journal.publish_events(&events);
            final_report::write_and_record(context, run).await;
        }
        Ok(_) => {}
        Err(failure) => tracing::error!(%run, %failure, "could not fail a run that cannot start"),
    }
}

/// Reads a requested stop that the previous host did not carry out.
///
/// # Errors
/// `db_corrupt` if the stored stop cannot be parsed; errors of the database.
pub fn requested_stop(conn: &rusqlite::Connection, run: RunId) -> Result<Option<RequestedStop>> {
    let Some(text) = threads::stop_of(conn, run)? else {
        return Ok(None);
    };
    serde_json::from_str(&text).map(Some).map_err(|e| {
        Failure::new(
            Code::DbCorrupt,
            format!("the requested stop of run {run} cannot be read: {e}"),
        )
        .hint("pause or abort the run again")
    })
}
