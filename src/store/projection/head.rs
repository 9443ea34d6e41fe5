//! The row of a run while facts are taken in: read once, moved in memory, written once.

use super::super::error;
use crate::model::error::{Code, Failure, Result};
use crate::model::event::{JournalEvent, TokenUsage};
use crate::model::id::{GateKey, RunId};
use crate::model::money::{CallCost, NanoUsd};
use crate::model::state::{PauseReason, RunStatus};
use crate::model::time::Timestamp;
use crate::store::journal::chain;
use crate::store::journal::chain::ChainHash;
use crate::store::tables::{columns, runs};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row};

pub(in crate::store) const LOAD: &str = "SELECT state, paused_from_state, pause_reason, current_phase, phases_total, phases_done, \
     pending_gate, pending_since_ms, error_code, error_message, error_hint, last_seq, cost_nano, unknown_calls, calls, tokens_input, \
     tokens_output, tokens_cached, tokens_reasoning, created_at_ms, started_at_ms, ended_at_ms, updated_at_ms, chain FROM runs WHERE id = ?1";

/// What moves with every event: of all the indexes of the table only the one by the last move has any of it.
pub(in crate::store) const MOVE: &str = "UPDATE runs SET paused_from_state = ?2, pause_reason = ?3, current_phase = ?4, phases_total = ?5, \
     phases_done = ?6, pending_gate = ?7, pending_since_ms = ?8, error_code = ?9, error_message = ?10, error_hint = ?11, last_seq = ?12, \
     cost_nano = ?13, unknown_calls = ?14, calls = ?15, tokens_input = ?16, tokens_output = ?17, tokens_cached = ?18, \
     tokens_reasoning = ?19, started_at_ms = ?20, ended_at_ms = ?21, updated_at_ms = ?22, chain = ?23 WHERE id = ?1";

/// What the other indexes are about. A statement writes every index that has a column it names, changed or not.
pub(in crate::store) const ENTER: &str =
    "UPDATE runs SET state = ?2, created_at_ms = ?3 WHERE id = ?1";

pub(in crate::store) const PROGRESS: &str = "SELECT count(*) FILTER (WHERE state IN ('completed', 'skipped')) AS done, \
     (SELECT phase_key FROM run_phases WHERE run_id = ?1 AND state NOT IN ('completed', 'skipped') ORDER BY position LIMIT 1) AS current \
     FROM run_phases WHERE run_id = ?1";

/// What the journal moves of a run's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct RunHead {
    pub(in crate::store) run_id: RunId,
    pub(in crate::store) status: RunStatus,
    pub(in crate::store) last_seq: u64,
    pub(in crate::store) updated_at: Timestamp,
    pub(in crate::store) chain: Option<ChainHash>,
    pub(super) error: Option<(String, String, String)>,
    pub(super) started_at: Option<Timestamp>,
    pub(super) pending: Option<(GateKey, Timestamp)>,
    /// Whether a phase changed its state, so that progress must be looked at again.
    pub(super) phases_moved: bool,
    paused_from: Option<RunStatus>,
    pause_reason: Option<PauseReason>,
    current_phase: Option<String>,
    phases_total: u32,
    phases_done: u32,
    cost: CallCost,
    tokens: TokenUsage,
    calls: u32,
    created_at: Timestamp,
    ended_at: Option<Timestamp>,
    /// State and creation as the row has them.
    stored: (RunStatus, Timestamp),
}

impl RunHead {
    /// Reads the row of a run.
    pub(in crate::store) fn load(tx: &Connection, run_id: RunId) -> Result<Self> {
        let mut query = tx.prepare_cached(LOAD)?;
        let head = query
            .query_row([run_id.to_string()], |row| Self::read(run_id, row))
            .optional();
        match head {
            Ok(head) => head.ok_or_else(|| runs::not_found(&run_id.to_string())),
            Err(rusqlite::Error::FromSqlConversionFailure(_, _, why)) => Err(error::corrupt(
                format!("the row of run {run_id} cannot be read: {why}"),
            )),
            Err(e) => Err(e.into()),
        }
    }

    fn read(run_id: RunId, row: &Row<'_>) -> rusqlite::Result<Self> {
        // In the order of `LOAD`, by place: names of two dozen columns are looked for in vain at every append.
        let text = |place: usize| row.get::<_, Option<String>>(place);
        let error = text(8)?.zip(text(9)?).zip(text(10)?);
        let (status, created_at) = (
            columns::named(row, "state", RunStatus::parse)?,
            columns::at(row, 19)?,
        );
        Ok(Self {
            run_id,
            status,
            last_seq: columns::large(row, 11)?,
            updated_at: columns::at(row, 22)?,
            chain: chain::link(row)?,
            error: error.map(|((code, message), hint)| (code, message, hint)),
            started_at: columns::at_option(row, 20)?,
            pending: text(6)?.map(GateKey).zip(columns::at_option(row, 7)?),
            phases_moved: false,
            paused_from: text(1)?.and_then(|state| RunStatus::parse(&state)),
            pause_reason: text(2)?.and_then(|reason| PauseReason::parse(&reason)),
            current_phase: text(3)?,
            phases_total: columns::count(row, 4)?,
            phases_done: columns::count(row, 5)?,
            cost: CallCost {
                known: NanoUsd(row.get(12)?),
                unknown_calls: columns::count(row, 13)?,
            },
            tokens: TokenUsage {
                input: columns::large(row, 15)?,
                output: columns::large(row, 16)?,
                cached: columns::large(row, 17)?,
                reasoning: columns::large(row, 18)?,
            },
            calls: columns::count(row, 14)?,
            created_at,
            ended_at: columns::at_option(row, 21)?,
            stored: (status, created_at),
        })
    }

    /// The row as it was before the first event.
    pub(super) fn blank(self) -> Self {
        Self {
            status: RunStatus::Created,
            last_seq: 0,
            updated_at: self.created_at,
            error: None,
            started_at: None,
            pending: None,
            phases_moved: true,
            paused_from: None,
            pause_reason: None,
            current_phase: None,
            phases_total: 0,
            phases_done: 0,
            cost: CallCost::default(),
            tokens: TokenUsage::default(),
            calls: 0,
            ended_at: None,
            ..self
        }
    }

    /// Writes the row.
    ///
    /// # Errors
    /// `thread_busy` naming the run that holds the thread.
    pub(in crate::store) fn save(&mut self, tx: &Connection) -> Result<()> {
        if std::mem::take(&mut self.phases_moved) {
            let mut query = tx.prepare_cached(PROGRESS)?;
            (self.phases_done, self.current_phase) = query
                .query_row([self.run_id.to_string()], |row| {
                    Ok((columns::count(row, "done")?, row.get("current")?))
                })?;
        }
        match self.write(tx) {
            Err(e) if e.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                Err(self.busy(tx, e))
            }
            other => Ok(other?),
        }
    }

    fn write(&mut self, tx: &Connection) -> rusqlite::Result<()> {
        let id = self.run_id.to_string();
        let now = (self.status, self.created_at);
        if now != self.stored {
            tx.prepare_cached(ENTER)?
                .execute((&id, self.status.as_str(), self.created_at.0))?;
            self.stored = now;
        }
        let error = self.error.as_ref();
        tx.prepare_cached(MOVE)?.execute(rusqlite::params![
            id,
            self.paused_from.map(RunStatus::as_str),
            self.pause_reason.map(PauseReason::as_str),
            self.current_phase,
            self.phases_total,
            self.phases_done,
            self.pending.as_ref().map(|(gate, _)| gate.as_str()),
            self.pending.as_ref().map(|(_, since)| since.0),
            error.map(|(code, _, _)| code),
            error.map(|(_, message, _)| message),
            error.map(|(_, _, hint)| hint),
            columns::stored(self.last_seq),
            self.cost.known.0,
            self.cost.unknown_calls,
            self.calls,
            columns::stored(self.tokens.input),
            columns::stored(self.tokens.output),
            columns::stored(self.tokens.cached),
            columns::stored(self.tokens.reasoning),
            self.started_at.map(|at| at.0),
            self.ended_at.map(|at| at.0),
            self.updated_at.0,
            self.chain.map(|link| link.0),
        ])?;
        Ok(())
    }

    fn busy(&self, tx: &Connection, error: rusqlite::Error) -> Failure {
        let holder = "SELECT id, thread, state FROM runs WHERE state IN ('executing', 'awaiting_approval') AND id <> ?1 \
             AND thread = (SELECT thread FROM runs WHERE id = ?1)";
        let found = tx.query_row(holder, [self.run_id.to_string()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        });
        let Ok((id, thread, state)): rusqlite::Result<(String, String, String)> = found else {
            return error.into();
        };
        Failure::new(
            Code::ThreadBusy,
            format!("the thread '{thread}' is held by run {id}, which is {state}"),
        )
        .hint("wait until that run ends, pause or abort it, or give this run a thread of its own")
    }

    /// The run is stored for the first time.
    pub(super) fn created(&mut self, at: Timestamp, phases: usize) {
        self.created_at = at;
        self.phases_total = u32::try_from(phases).unwrap_or(u32::MAX);
    }

    /// Goes to a state that is not an end.
    pub(super) fn enter(&mut self, to: RunStatus, event: &JournalEvent) -> Result<()> {
        use RunStatus::{AwaitingApproval, Created, Executing, Paused};
        let legal = matches!(
            (self.status, to),
            (Created | Paused | AwaitingApproval, Executing)
                | (Executing | Paused | AwaitingApproval, AwaitingApproval)
                | (Executing | AwaitingApproval | Created, Paused)
        );
        if !legal {
            return Err(self.illegal(event, to));
        }
        self.status = to;
        Ok(())
    }

    /// Stops, remembering where.
    pub(super) fn pause(&mut self, reason: PauseReason, event: &JournalEvent) -> Result<()> {
        let from = self.status;
        self.enter(RunStatus::Paused, event)?;
        (self.paused_from, self.pause_reason) = (Some(from), Some(reason));
        Ok(())
    }

    /// Begins; it may have rested while it waited for its thread.
    pub(super) fn start(&mut self, event: &JournalEvent) -> Result<()> {
        self.enter(RunStatus::Executing, event)?;
        (self.paused_from, self.pause_reason) = (None, None);
        Ok(())
    }

    /// Goes on: back to the gate where a phase's question still waits.
    pub(super) fn resume(&mut self, waits: bool, event: &JournalEvent) -> Result<()> {
        self.enter(
            if waits {
                RunStatus::AwaitingApproval
            } else {
                RunStatus::Executing
            },
            event,
        )?;
        (self.paused_from, self.pause_reason) = (None, None);
        Ok(())
    }

    /// The question was answered.
    pub(super) fn question_answered(&mut self, event: &JournalEvent) -> Result<()> {
        if self.paused_from == Some(RunStatus::AwaitingApproval) {
            self.paused_from = Some(RunStatus::Executing);
        }
        if self.status == RunStatus::AwaitingApproval {
            self.enter(RunStatus::Executing, event)
        } else {
            Ok(())
        }
    }

    /// The question no longer holds, because what it was about has changed.
    pub(super) fn question_withdrawn(&mut self) {
        if self.status == RunStatus::AwaitingApproval {
            self.status = RunStatus::Executing;
        }
    }

    /// Ends the run.
    pub(super) fn end(&mut self, to: RunStatus, event: &JournalEvent) -> Result<()> {
        if to == RunStatus::Completed && self.status != RunStatus::Executing {
            return Err(self.illegal(event, to));
        }
        self.status = to;
        (self.paused_from, self.pause_reason) = (None, None);
        self.ended_at = Some(event.at);
        Ok(())
    }

    /// A call was settled.
    pub(super) fn called(&mut self, tokens: &TokenUsage, cost: Option<NanoUsd>) {
        self.calls = self.calls.saturating_add(1);
        self.cost += CallCost::from_call(cost);
        self.tokens.input += tokens.input;
        self.tokens.output += tokens.output;
        self.tokens.cached += tokens.cached;
        self.tokens.reasoning += tokens.reasoning;
    }

    fn illegal(&self, event: &JournalEvent, to: RunStatus) -> Failure {
        Failure::new(
            Code::IllegalTransition,
            format!(
                "run {}: {} cannot lead from {} to {to}",
                self.run_id,
                event.fact.kind(),
                self.status
            ),
        )
        .hint("look at the run's events with `phasedeck events`")
    }
}
