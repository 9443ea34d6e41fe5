//! The fold: what a journal says about its run.
//!
//! `RunState::apply` is the one place where a fact becomes a state. The engine decides on it, the
//! console draws it, and the rows in the database are held against it by a test. It is total over
//! journals that the engine wrote; a journal that no engine can have written is an error that names
//! both states, never a panic. What a fact does to one phase is in `phase_state.rs`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::{Code, Failure};
use super::event::{JournalEvent, RunFact, TokenUsage};
use super::hash::ContentHash;
use super::id::{GateKey, PhaseKey, RequestId, RoleId, RunId, SessionId};
use super::money::{CallCost, NanoUsd};
use super::persona::{RoleBinding, SeatChange};
use super::phase_state::add;
use super::question::{GateQuestion, PermissionScope, ToolPermit};
use super::state::{Decision, PauseReason, PhaseStatus, RunStatus};
use super::time::Timestamp;

pub use super::phase_state::PhaseState;

/// Which fold this is. Stored states of another one are folded anew, so it is raised with every
/// change to what a journal folds to, or to how a state is written.
pub const FOLD: u32 = 6;

/// A run as its journal tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunState {
    /// Which run.
    pub run_id: RunId,
    /// Where it stands.
    pub status: RunStatus,
    /// Where it stood before it was paused.
    pub paused_from: Option<RunStatus>,
    /// Why it is paused.
    pub pause_reason: Option<PauseReason>,
    /// How often it was paused and resumed; the ordinals of those events.
    pub pauses: u32,
    /// See `pauses`.
    pub resumes: u32,
    /// The phases in order.
    pub phases: Vec<PhaseState>,
    /// The question that waits for an answer.
    pub approval: Option<OpenApproval>,
    /// How many questions were ever asked.
    pub approvals: u32,
    /// The operator's answers about tools, in order.
    #[serde(default)]
    pub permits: Vec<ToolPermit>,
    /// By how much the operator raised each budget for this run, by its scope.
    #[serde(default)]
    pub raises: BTreeMap<String, NanoUsd>,
    /// Who works on which phase in place of who was bound to it, in the order it was decided.
    #[serde(default)]
    pub reseated: Vec<SeatChange>,
    /// What the model's server asked to wait for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<RunWait>,
    /// The conversations, by role.
    pub sessions: BTreeMap<RoleId, SessionState>,
    /// How it ended, where it failed.
    pub error: Option<(Code, String, String)>,
    /// What all calls cost.
    pub cost: CallCost,
    /// What all calls used.
    pub tokens: TokenUsage,
    /// What calls of each model cost and used, by its name.
    #[serde(default)]
    pub models: BTreeMap<String, RunSpending>,
    /// The last event folded in.
    pub last_seq: u64,
    /// When that was.
    pub last_at: Timestamp,
    /// When it was stored first.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// A wait that the model's server asked for. It ends by itself; until then the run holds no place to work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Waiting")]
pub struct RunWait {
    /// Which phase waits.
    pub phase_key: PhaseKey,
    /// When it goes on.
    pub until: Timestamp,
    /// How long the whole wait is.
    pub wait_ms: u64,
    /// How often the turn was tried before it.
    pub tries: u32,
    /// Why, as the failed call says.
    pub code: Code,
}

/// What calls cost and used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSpending {
    /// How many.
    pub calls: u32,
    /// What they cost.
    pub cost: CallCost,
    /// What they used.
    pub tokens: TokenUsage,
}

/// A question that waits for an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenApproval {
    /// Which.
    pub request_id: RequestId,
    /// About which phase; none for `session_recovery_required`.
    pub phase_key: Option<PhaseKey>,
    /// Which gate.
    pub gate: GateKey,
    /// The content the answer is about.
    pub artifact_sha256: Option<ContentHash>,
    /// Since when it waits.
    pub requested_at: Timestamp,
    /// What it is about, where it is not about an artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<Box<GateQuestion>>,
}

/// A conversation within a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionState {
    /// Which.
    pub id: SessionId,
    /// Counts its starts, recoveries and failures.
    pub ordinal: u32,
    /// Whether it waits for a person.
    pub failed: bool,
}

impl RunState {
    /// A run of which nothing is known yet but its id.
    #[must_use]
    pub fn new(run_id: RunId) -> Self {
        Self {
            run_id,
            status: RunStatus::Created,
            paused_from: None,
            pause_reason: None,
            pauses: 0,
            resumes: 0,
            phases: Vec::new(),
            approval: None,
            approvals: 0,
            permits: Vec::new(),
            raises: BTreeMap::new(),
            reseated: Vec::new(),
            waiting: None,
            sessions: BTreeMap::new(),
            error: None,
            cost: CallCost::default(),
            tokens: TokenUsage::default(),
            models: BTreeMap::new(),
            last_seq: 0,
            last_at: Timestamp::default(),
            created_at: Timestamp::default(),
            ended_at: None,
        }
    }

    /// Folds a whole journal.
    ///
    /// # Errors
    /// As [`apply`](Self::apply), at the first event that cannot follow the ones before it.
    pub fn fold<'a>(
        run_id: RunId,
        events: impl IntoIterator<Item = &'a JournalEvent>,
    ) -> Result<Self, Failure> {
        let mut state = Self::new(run_id);
        for event in events {
            state.apply(event)?;
        }
        Ok(state)
    }

    /// The phase in progress: the first that is not over.
    #[must_use]
    pub fn current(&self) -> Option<&PhaseState> {
        self.phases
            .iter()
            .find(|phase| !matches!(phase.status, PhaseStatus::Completed | PhaseStatus::Skipped))
    }

    /// The phase with this key.
    #[must_use]
    pub fn phase(&self, key: &PhaseKey) -> Option<&PhaseState> {
        self.phases.iter().find(|phase| phase.key == *key)
    }

    /// Who works on a phase in place of who was bound to it at the start; absent: nobody does.
    #[must_use]
    pub fn new_seat(&self, key: &PhaseKey) -> Option<&RoleBinding> {
        self.reseated
            .iter()
            .rev()
            .find(|seat| seat.phase_key == *key)
            .map(|seat| &seat.binding)
    }

    /// How many phases are done.
    #[must_use]
    pub fn phases_done(&self) -> usize {
        self.phases
            .iter()
            .filter(|phase| matches!(phase.status, PhaseStatus::Completed | PhaseStatus::Skipped))
            .count()
    }

    /// Takes one event in. An event that was folded already changes nothing.
    ///
    /// # Errors
    /// `illegal_transition` when the event cannot follow; the state is as it was.
    pub fn apply(&mut self, event: &JournalEvent) -> Result<(), Failure> {
        if event.seq <= self.last_seq {
            return Ok(());
        }
        // The sessions of a run that failed at recovery are closed after it, so that the end comes first.
        if self.status.is_terminal() && !matches!(event.fact, RunFact::SessionFailed { .. }) {
            return Err(self.illegal(event.fact.kind(), self.status.as_str()));
        }
        let at = event.at;
        match &event.fact {
            RunFact::RunCreated { phases, .. } => {
                self.phases = phases.iter().cloned().map(PhaseState::new).collect();
                self.created_at = at;
            }
            RunFact::RunStarted { .. } => {
                self.enter(RunStatus::Executing, event)?;
                // It may have rested while it waited for its thread.
                (self.paused_from, self.pause_reason) = (None, None);
            }
            RunFact::RunPaused {
                ordinal, reason, ..
            } => {
                self.paused_from = Some(self.status);
                self.enter(RunStatus::Paused, event)?;
                (self.pauses, self.pause_reason) = (*ordinal, Some(*reason));
                // Who pauses it and has it go on wants it tried now; a host that ends does not.
                if *reason == PauseReason::Operator {
                    self.waiting = None;
                }
                self.stop_clock(at);
            }
            RunFact::RunResumed { ordinal, .. } => {
                let waits = self
                    .approval
                    .as_ref()
                    .is_some_and(|open| open.phase_key.is_some());
                self.enter(
                    if waits {
                        RunStatus::AwaitingApproval
                    } else {
                        RunStatus::Executing
                    },
                    event,
                )?;
                self.resumes = *ordinal;
                (self.paused_from, self.pause_reason) = (None, None);
                self.start_clock(at);
            }
            RunFact::RunCompleted {} => self.end(RunStatus::Completed, event)?,
            RunFact::RunFailed {
                code,
                message,
                hint,
            } => {
                self.error = Some((*code, message.clone(), hint.clone()));
                self.end(RunStatus::Failed, event)?;
            }
            RunFact::RunAborted { .. } => self.end(RunStatus::Aborted, event)?,
            RunFact::ApprovalRequested {
                request_id,
                phase_key,
                gate,
                artifact_sha256,
                question,
                ..
            } => {
                if let Some(key) = phase_key {
                    self.enter(RunStatus::AwaitingApproval, event)?;
                    self.phase_mut(key, event)?.request_approval(at);
                }
                self.approvals += 1;
                self.approval = Some(OpenApproval {
                    request_id: *request_id,
                    phase_key: phase_key.clone(),
                    gate: gate.clone(),
                    artifact_sha256: artifact_sha256.clone(),
                    requested_at: at,
                    question: question.clone(),
                });
            }
            RunFact::ApprovalResolved { .. } => self.resolve(event)?,
            RunFact::PersonasChanged { seats, .. } => {
                for seat in seats {
                    self.phase_mut(&seat.phase_key, event)?
                        .reseat(&seat.binding.persona);
                }
                self.reseated.extend(seats.iter().cloned());
            }
            RunFact::LlmCalled {
                phase_key,
                model,
                tokens,
                cost,
                ..
            } => {
                self.cost += CallCost::from_call(*cost);
                add(&mut self.tokens, tokens);
                self.phase_mut(phase_key, event)?.called(tokens, *cost);
                self.waiting = None;
                self.spend(model, tokens, *cost);
            }
            RunFact::SessionStarted {
                session_id,
                role,
                ordinal,
                ..
            }
            | RunFact::SessionRecovered {
                session_id,
                role,
                ordinal,
            } => {
                self.sessions.insert(
                    role.clone(),
                    SessionState {
                        id: *session_id,
                        ordinal: *ordinal,
                        failed: false,
                    },
                );
            }
            RunFact::SessionFailed {
                session_id,
                role,
                ordinal,
                ..
            } => {
                self.sessions.insert(
                    role.clone(),
                    SessionState {
                        id: *session_id,
                        ordinal: *ordinal,
                        failed: true,
                    },
                );
            }
            RunFact::ToolCalled { .. }
            | RunFact::AgentAdapted { .. }
            | RunFact::ClockSkewed { .. }
            | RunFact::CommandsConfined { .. }
            | RunFact::ToolDenied { .. }
            | RunFact::LlmRepaired { .. }
            | RunFact::BudgetWarned { .. }
            | RunFact::BudgetExceeded { .. }
            | RunFact::ArtifactExpected { .. }
            | RunFact::PromptRepaired { .. } => {}
            RunFact::LlmRetried {
                phase_key,
                r#try,
                code,
                wait_ms,
                until,
                ..
            } => {
                let (phase_key, tries, wait_ms, code) =
                    (phase_key.clone(), *r#try, *wait_ms, *code);
                self.waiting = until.map(|until| RunWait {
                    phase_key,
                    until,
                    wait_ms,
                    tries,
                    code,
                });
            }
            RunFact::PromptSent {
                phase_key, sha256, ..
            } => self.phase_mut(phase_key, event)?.prompt = Some(sha256.clone()),
            RunFact::PhaseStarted { .. }
            | RunFact::PhaseCompleted { .. }
            | RunFact::PhaseFailed { .. }
            | RunFact::PhaseSkipped { .. }
            | RunFact::ArtifactTimeout { .. }
            | RunFact::ArtifactInvalid { .. }
            | RunFact::ArtifactValidated { .. }
            | RunFact::ArtifactWarned { .. }
            | RunFact::ArtifactChanged { .. } => self.apply_to_phase(event)?,
        }
        (self.last_seq, self.last_at) = (event.seq, at);
        Ok(())
    }

    fn spend(&mut self, model: &str, tokens: &TokenUsage, cost: Option<NanoUsd>) {
        if !self.models.contains_key(model) {
            self.models.insert(model.to_owned(), RunSpending::default());
        }
        if let Some(spent) = self.models.get_mut(model) {
            spent.calls += 1;
            spent.cost += CallCost::from_call(cost);
            add(&mut spent.tokens, tokens);
        }
    }

    fn apply_to_phase(&mut self, event: &JournalEvent) -> Result<(), Failure> {
        let Some(key) = event.fact.phase_key() else {
            return Ok(());
        };
        if let RunFact::ArtifactChanged { .. } = event.fact {
            self.approval = None;
            if self.status == RunStatus::AwaitingApproval {
                self.status = RunStatus::Executing;
            }
        }
        self.phase_mut(key, event)?.apply(&event.fact, event.at);
        Ok(())
    }

    fn resolve(&mut self, event: &JournalEvent) -> Result<(), Failure> {
        let RunFact::ApprovalResolved {
            phase_key,
            action,
            comment,
            ..
        } = &event.fact
        else {
            return Ok(());
        };
        let about = self.approval.take().and_then(|open| open.question);
        if self.paused_from == Some(RunStatus::AwaitingApproval) {
            self.paused_from = Some(RunStatus::Executing);
        }
        if self.status == RunStatus::AwaitingApproval {
            self.enter(RunStatus::Executing, event)?;
        }
        // A question within the attempt: it goes on, whatever the answer was.
        let asked_tool = matches!(about.as_deref(), Some(GateQuestion::Tool(_)));
        self.keep_answer(about.as_deref(), &event.fact);
        let Some(key) = phase_key else { return Ok(()) };
        let paused = self.status == RunStatus::Paused;
        let phase = self.phase_mut(key, event)?;
        if asked_tool && *action != Decision::Abort {
            phase.works_on(event.at);
            if paused {
                phase.stop_clock(event.at);
            }
        } else {
            phase.answered(*action, comment);
        }
        // Waiting for a person ends with the answer, even where acting on it comes later.
        if !paused {
            phase.stop_waiting(event.at);
        }
        Ok(())
    }

    /// What an answer leaves standing.
    fn keep_answer(&mut self, about: Option<&GateQuestion>, fact: &RunFact) {
        let RunFact::ApprovalResolved {
            request_id,
            phase_key,
            action,
            comment,
            by,
            scope,
            raise,
            ..
        } = fact
        else {
            return;
        };
        match about {
            Some(GateQuestion::Tool(tool)) if *action != Decision::Abort => {
                self.permits.push(ToolPermit {
                    request_id: *request_id,
                    tool: tool.tool.clone(),
                    phase_key: phase_key.clone(),
                    call: tool.call.clone(),
                    scope: scope.unwrap_or(PermissionScope::Once),
                    allowed: *action == Decision::Approve,
                    comment: comment.clone(),
                    by: by.clone(),
                })
            }
            Some(GateQuestion::Budget(budget)) => {
                let raised = self.raises.entry(budget.scope.clone()).or_default();
                raised.0 = raised.0.saturating_add(raise.map_or(0, |raise| raise.0));
            }
            _ => {}
        }
    }

    fn enter(&mut self, to: RunStatus, event: &JournalEvent) -> Result<(), Failure> {
        use RunStatus::{AwaitingApproval, Created, Executing, Paused};
        let legal = matches!(
            (self.status, to),
            (Created | Paused | AwaitingApproval, Executing)
                | (Executing | Paused | AwaitingApproval, AwaitingApproval)
                | (Executing | AwaitingApproval | Created, Paused)
        );
        if !legal {
            return Err(self.illegal(event.fact.kind(), to.as_str()));
        }
        self.status = to;
        Ok(())
    }

    fn end(&mut self, to: RunStatus, event: &JournalEvent) -> Result<(), Failure> {
        if to == RunStatus::Completed && self.status != RunStatus::Executing {
            return Err(self.illegal(event.fact.kind(), to.as_str()));
        }
        self.stop_clock(event.at);
        self.status = to;
        self.approval = None;
        (self.paused_from, self.pause_reason) = (None, None);
        self.ended_at = Some(event.at);
        Ok(())
    }

    fn stop_clock(&mut self, at: Timestamp) {
        self.phases
            .iter_mut()
            .for_each(|phase| phase.stop_clock(at));
    }

    fn start_clock(&mut self, at: Timestamp) {
        if let Some(phase) = self.phases.iter_mut().find(|phase| phase.takes_time()) {
            phase.start_clock(at);
        }
    }

    fn phase_mut(
        &mut self,
        key: &PhaseKey,
        event: &JournalEvent,
    ) -> Result<&mut PhaseState, Failure> {
        let run_id = self.run_id;
        self.phases.iter_mut().find(|phase| phase.key == *key).ok_or_else(|| {
            Failure::new(
                Code::IllegalTransition,
                format!("run {run_id}: event {} {} names phase '{key}', which the run does not have", event.seq, event.fact.kind()),
            )
            .hint("the journal was changed from outside; look at it with `phasedeck events`")
        })
    }

    fn illegal(&self, what: &str, to: &str) -> Failure {
        Failure::new(
            Code::IllegalTransition,
            format!(
                "run {}: {what} cannot lead from {} to {to}",
                self.run_id, self.status
            ),
        )
        .hint("look at the run's events with `phasedeck events`")
    }
}
