//! Where a backend puts down what must survive, before it acts on it.
//!
//! One desk serves one attempt. Everything durable about the conversation goes through it: each
//! method is one transaction, and returns when that is committed. Streamed text goes through it
//! too, but only to whoever watches (`live.rs`); what may be used is looked at with every reserve (`limits.rs`); every tool call has its line in the audit (`audit.rs`);
//! calls that gave no answer are closed in `lost.rs`.

mod audit;
mod entries;
mod limits;
mod live;
mod lost;
mod outputs;

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::agent::budget::RunBudget;
use crate::engine::agent::pending_answer::PendingAnswer;
use crate::engine::api::TextKind;
use crate::engine::journal_writer::JournalWriter;
use crate::engine::paths::InstallPaths;
use crate::engine::redact::Redactor;
use crate::model::error::{Code, Result};
use crate::model::event::{JournalEvent, RunFact};
use crate::model::id::{PhaseKey, RunId, TurnId};
use crate::model::time::Timestamp;
use crate::store::journal;
use crate::store::tables::contents::StoredContent;
use crate::store::tables::turns;
pub use entries::{AnsweredCall, CallReserve, FailedCall, FinishedCall, PlannedRetry};
use limits::LimitRefusal;
use live::LiveTexts;
use lost::close_call;
pub use lost::close_lost_calls;

/// How many events a desk remembers for whoever goes on after it.
const STORED_KEPT: usize = 256;

/// Names one attempt at one phase of one run.
#[derive(Clone, Debug)]
pub struct AttemptKey {
    /// The run.
    pub run_id: RunId,
    /// The phase.
    pub phase_key: PhaseKey,
    /// Counts from 1.
    pub attempt: u32,
}

/// The desk of one attempt.
pub struct AttemptRecorder {
    journal: JournalWriter,
    paths: InstallPaths,
    run_id: RunId,
    phase_key: PhaseKey,
    attempt: u32,
    stretch: u32,
    persona: String,
    /// Facts that are stored with the first call, so that they cost no commit of their own.
    opening: Mutex<Vec<RunFact>>,
    /// Calls that were told when they ended, before their turn did.
    told: Mutex<BTreeSet<(TurnId, String)>>,
    /// Bytes that are kept for the operator.
    outputs: AtomicU64,
    /// The answer that is stored with what comes next.
    unsettled: Mutex<Option<PendingAnswer>>,
    /// The prompt, which is stored with what comes first.
    kept: Mutex<Option<StoredContent>>,
    /// The first events that were stored through it, in order of their storing.
    stored: Mutex<Vec<JournalEvent>>,
    budget: RunBudget,
    redactor: Arc<Redactor>,
    live: Mutex<LiveTexts>,
    /// Tokens that the attempt may use; 0: as many as it needs.
    max_tokens: u64,
    /// The limit that refused a call.
    refused: Arc<Mutex<Option<LimitRefusal>>>,
}

impl AttemptRecorder {
    /// A desk for one attempt; `opening` is stored before anything else.
    #[must_use]
    pub fn new(
        journal: JournalWriter,
        paths: InstallPaths,
        redactor: Arc<Redactor>,
        attempt: AttemptKey,
        persona: String,
        opening: Vec<RunFact>,
    ) -> Self {
        Self {
            journal,
            paths,
            run_id: attempt.run_id,
            phase_key: attempt.phase_key,
            attempt: attempt.attempt,
            stretch: 0,
            persona,
            opening: Mutex::new(opening),
            budget: RunBudget::default(),
            redactor,
            live: Mutex::default(),
            max_tokens: 0,
            refused: Arc::default(),
            told: Mutex::default(),
            outputs: AtomicU64::new(0),
            unsettled: Mutex::default(),
            kept: Mutex::default(),
            stored: Mutex::default(),
        }
    }

    /// Sets how often the operator's word had set the agent going again; each turn is stored with it.
    #[must_use]
    pub fn in_continuation(mut self, stretch: u32) -> Self {
        self.stretch = stretch;
        self
    }

    /// Takes these secrets out of what is written down and shown, too.
    #[must_use]
    pub fn with_redactor(mut self, redactor: Arc<Redactor>) -> Self {
        self.redactor = redactor;
        self
    }

    /// Stores this content with the opening facts, which name it.
    #[must_use]
    pub fn with_content(mut self, content: Option<StoredContent>) -> Self {
        self.kept = Mutex::new(content);
        self
    }

    /// Stores the opening facts now, for a backend that makes no calls.
    ///
    /// # Errors
    /// What the store says.
    pub async fn open(&self) -> Result<()> {
        let (facts, run_id) = (self.take_opening(), self.run_id);
        self.store(move |tx| journal::append(tx, run_id, &facts, Timestamp::now()))
            .await
    }

    /// Stores that a call is about to be sent, with its money. Send only after this returned.
    ///
    /// # Errors
    /// `budget_exceeded`, `agent_limit_reached`; what the store says; nothing may be sent then.
    pub async fn reserve(&self, reserve: CallReserve) -> Result<TurnId> {
        let (turn, opening, run_id) = (self.new_turn(reserve), self.take_opening(), self.run_id);
        let id = turn.id;
        let grant = self.grant();
        self.store(move |tx| {
            let now = Timestamp::now();
            let mut events = journal::append(tx, run_id, &opening, now)?;
            events.extend(grant(tx, &turn, now)?);
            Ok(events)
        })
        .await?;
        self.still_granted()?;
        Ok(id)
    }

    /// Stores a whole answer, its cost, and the tools it wants. Run them only after this returned.
    ///
    /// # Errors
    /// What the store says; the call is paid and open then.
    pub async fn answered(&self, turn: TurnId, answered: AnsweredCall) -> Result<()> {
        self.defer_answer(turn, answered);
        self.flush().await
    }

    /// Takes an answer that wants no tools. It is stored with what comes next: another call, or what the
    /// attempt came to.
    pub fn defer_answer(&self, turn: TurnId, answered: AnsweredCall) {
        self.say_rest();
        let (run_id, phase_key, attempt) = (self.run_id, self.phase_key.clone(), self.attempt);
        *self
            .unsettled
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(PendingAnswer {
            run_id,
            phase_key,
            attempt,
            turn,
            answered,
        });
    }

    /// The answer that waits to be stored; whoever takes it stores it.
    #[must_use]
    pub fn take_pending_answer(&self) -> Option<PendingAnswer> {
        self.say_rest();
        self.unsettled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Stores the answer that waits, if one does.
    ///
    /// # Errors
    /// What the store says; the call is paid and open then.
    pub async fn flush(&self) -> Result<()> {
        let Some(unsettled) = self.take_pending_answer() else {
            return Ok(());
        };
        self.write_with_retry(move |tx| unsettled.settle(tx)).await
    }

    /// The events that were stored through this desk, without those after the first few hundred: whoever
    /// goes on from them need not read them again.
    #[must_use]
    pub fn recorded_calls(&self) -> Vec<JournalEvent> {
        let mut stored =
            std::mem::take(&mut *self.stored.lock().unwrap_or_else(PoisonError::into_inner));
        stored.sort_unstable_by_key(|event| event.seq);
        stored
    }

    async fn write_with_retry<F>(&self, job: F) -> Result<()>
    where
        F: FnOnce(&rusqlite::Transaction<'_>) -> Result<Vec<JournalEvent>> + Clone + Send + 'static,
    {
        let events = self
            .journal
            .write_with_retry(job, |words| self.text(TextKind::Note, words))
            .await?;
        let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        let room = STORED_KEPT.saturating_sub(stored.len());
        stored.extend(events.into_iter().take(room));
        Ok(())
    }

    /// Stores that a call gave no answer, and when it is tried again: a crash after it waits no less.
    ///
    /// # Errors
    /// What the store says.
    pub async fn failed(
        &self,
        turn: TurnId,
        failed: FailedCall,
        next: Option<PlannedRetry>,
    ) -> Result<()> {
        let (run_id, phase_key) = (self.run_id, self.phase_key.clone());
        let next = next.map(|next| {
            let PlannedRetry {
                tries,
                status,
                code,
                wait_ms,
                until,
            } = next;
            RunFact::LlmRetried {
                phase_key,
                turn_id: turn,
                r#try: tries,
                status,
                code,
                wait_ms,
                until,
            }
        });
        self.store(move |tx| {
            let mut facts = close_call(tx, turn, &failed)?;
            facts.extend(next);
            journal::append(tx, run_id, &facts, Timestamp::now())
        })
        .await
    }

    /// Stores that a call is tried again after a pause, before pausing.
    ///
    /// # Errors
    /// What the store says.
    pub async fn retried(
        &self,
        turn: TurnId,
        r#try: u32,
        status: Option<u16>,
        code: Code,
        wait_ms: u64,
    ) -> Result<()> {
        let fact = RunFact::LlmRetried {
            phase_key: self.phase_key.clone(),
            turn_id: turn,
            r#try,
            status,
            code,
            wait_ms,
            until: None,
        };
        let run_id = self.run_id;
        self.store(move |tx| journal::append(tx, run_id, &[fact], Timestamp::now()))
            .await
    }

    /// Stores what all tools of a turn said, which makes the turn a checkpoint, and reserves the
    /// next call in the same transaction where there is one.
    ///
    /// # Errors
    /// `budget_exceeded` or `agent_limit_reached` when only the next call was refused; what the store says.
    pub async fn tools_done(
        &self,
        turn: TurnId,
        done: Vec<FinishedCall>,
        next: Option<CallReserve>,
    ) -> Result<Option<TurnId>> {
        if done.is_empty() && next.is_none() {
            // A turn without tools was settled with its answer.
            return Ok(None);
        }
        if !done.is_empty() {
            self.audit(turn, &done).await?;
        }
        let facts: Vec<RunFact> = done.iter().map(|tool| self.tool_fact(turn, tool)).collect();
        let (next, run_id) = (next.map(|reserve| self.new_turn(reserve)), self.run_id);
        let next_id = next.as_ref().map(|turn| turn.id);
        let grant = self.grant();
        self.store(move |tx| {
            let now = Timestamp::now();
            let results: Vec<_> = done.into_iter().map(tool_result).collect();
            if !results.is_empty() {
                turns::tools_done(tx, turn, &results)?;
            }
            let mut events = journal::append(tx, run_id, &facts, now)?;
            if let Some(next) = &next {
                events.extend(grant(tx, next, now)?);
            }
            Ok(events)
        })
        .await?;
        self.still_granted()?;
        Ok(next_id)
    }

    /// Stores what one tool said as soon as it has, for turns that go on for long. Its turn may end
    /// without ever telling it again; where it is told again, that adds nothing.
    ///
    /// # Errors
    /// What the store says.
    pub async fn tool_finished(&self, turn: TurnId, done: &FinishedCall) -> Result<()> {
        self.audit(turn, std::slice::from_ref(done)).await?;
        self.told
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((turn, done.call_id.clone()));
        let (fact, run_id) = (self.tool_fact(turn, done), self.run_id);
        self.store(move |tx| journal::append(tx, run_id, &[fact], Timestamp::now()))
            .await
    }

    /// Which attempt this desk serves.
    pub(super) fn attempt_key_parts(&self) -> (RunId, &PhaseKey, u32) {
        (self.run_id, &self.phase_key, self.attempt)
    }

    /// The journal that it writes to.
    pub(super) fn journal(&self) -> &JournalWriter {
        &self.journal
    }

    /// The folders of the host.
    pub(super) fn paths(&self) -> &InstallPaths {
        &self.paths
    }

    /// Stores what some tools of a turn said, and that the turn stops before the call `at`, which has
    /// not begun; or, without one, that it goes on.
    ///
    /// # Errors
    /// What the store says.
    pub async fn suspend_turn(
        &self,
        turn: TurnId,
        done: Vec<FinishedCall>,
        at: Option<String>,
    ) -> Result<()> {
        if !done.is_empty() {
            self.audit(turn, &done).await?;
        }
        let facts: Vec<RunFact> = done.iter().map(|tool| self.tool_fact(turn, tool)).collect();
        let run_id = self.run_id;
        self.store(move |tx| {
            let results: Vec<_> = done.into_iter().map(tool_result).collect();
            turns::suspend(tx, turn, &results, at.as_deref())?;
            journal::append(tx, run_id, &facts, Timestamp::now())
        })
        .await
    }

    /// What an agent was paid for is not given up because the disk is full for a while.
    pub(super) async fn store<F>(&self, job: F) -> Result<()>
    where
        F: FnOnce(&rusqlite::Transaction<'_>) -> Result<Vec<JournalEvent>> + Clone + Send + 'static,
    {
        let unsettled = self.take_pending_answer();
        let kept = self
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let job = move |tx: &rusqlite::Transaction<'_>| {
            kept.map_or(Ok(()), |content| content.store(tx))?;
            let mut events =
                unsettled.map_or_else(|| Ok(Vec::new()), |unsettled| unsettled.settle(tx))?;
            events.extend(job(tx)?);
            Ok(events)
        };
        self.write_with_retry(job).await
    }

    fn new_turn(&self, reserve: CallReserve) -> turns::NewTurn {
        turns::NewTurn {
            id: TurnId::new(),
            run_id: self.run_id,
            phase_key: self.phase_key.clone(),
            attempt: self.attempt,
            conversation: reserve.conversation,
            number: reserve.number,
            stretch: self.stretch,
            persona: self.persona.clone(),
            model: reserve.model,
            reserved: reserve.reserved,
        }
    }

    fn tool_fact(&self, turn_id: TurnId, done: &FinishedCall) -> RunFact {
        let (phase_key, call_id, tool) = (
            self.phase_key.clone(),
            done.call_id.clone(),
            done.tool.clone(),
        );
        let hidden = |words: &str| self.redactor.apply(words).into_owned();
        let target = hidden(&done.target);
        match &done.denied {
            Some(why) => RunFact::ToolDenied {
                phase_key,
                turn_id,
                call_id,
                tool,
                target,
                code: why.code,
                message: hidden(&why.message),
            },
            None => RunFact::ToolCalled {
                phase_key,
                turn_id,
                call_id,
                tool,
                target,
                outcome: done.outcome,
                duration_ms: done.duration_ms,
            },
        }
    }

    /// Adds a fact to what is stored with the first call.
    pub fn add_opening_fact(&self, fact: impl FnOnce(&PhaseKey, u32) -> RunFact) {
        let fact = fact(&self.phase_key, self.attempt);
        self.opening
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(fact);
    }

    /// Tells that the work goes on in another way than it was begun; stored with the next reserve.
    pub fn adapted(&self, words: &str) {
        self.text(TextKind::Note, words);
        let words = self.hidden(words);
        self.add_opening_fact(|phase_key, attempt| RunFact::AgentAdapted {
            phase_key: phase_key.clone(),
            attempt,
            words,
        });
    }

    fn take_opening(&self) -> Vec<RunFact> {
        std::mem::take(&mut *self.opening.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn tool_result(done: FinishedCall) -> turns::ToolResult {
    turns::ToolResult {
        call_id: done.call_id,
        result: done.result,
        outcome: done.outcome,
        duration_ms: done.duration_ms,
    }
}
