//! Rows of the projection: what lists and screens show without replaying a journal.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Code;
use super::event::{ArtifactError, CallStatus, TokenUsage};
use super::hash::ContentHash;
use super::id::{
    ClientToken, GateKey, PhaseKey, RequestId, RoleId, RunId, SchemaId, SessionId, ThreadId, TurnId,
};
use super::money::{CallCost, NanoUsd};
use super::question::{GateQuestion, PermissionScope};
use super::state::{
    ApprovalStatus, OnDisconnect, PhaseStatus, RunStatus, SessionStatus, Strategy, Via,
};
use super::time::Timestamp;

/// One run, as lists show it. States are text so that rows written by a newer version can be listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunRecord {
    /// Which run.
    pub id: RunId,
    /// `name@version`.
    pub workflow: String,
    /// The workflow's identity.
    pub workflow_hash: ContentHash,
    /// The thread it belongs to. A thread has at most one active run.
    pub thread: ThreadId,
    /// A wire name of [`RunStatus`](super::state::RunStatus).
    pub state: String,
    /// Its state before it was paused.
    pub paused_from_state: Option<String>,
    /// Why it is paused.
    pub pause_reason: Option<String>,
    /// The task.
    pub requirements: String,
    /// Absolute path of the operator's repository. Absent for a run in a plain folder.
    pub repo: Option<String>,
    /// The base branch.
    pub base_branch: Option<String>,
    /// The base commit.
    pub base_commit: Option<String>,
    /// The run's own branch.
    pub branch: Option<String>,
    /// Absolute path of the worktree.
    pub worktree: Option<String>,
    /// The current phase.
    pub current_phase: Option<PhaseKey>,
    /// Number of phases in the workflow.
    pub phases_total: u32,
    /// Number of completed phases.
    pub phases_done: u32,
    /// The gate with a pending approval.
    pub pending_gate: Option<GateKey>,
    /// When that approval was requested.
    pub pending_since: Option<Timestamp>,
    /// Whether it is a dry run.
    pub rehearsal: bool,
    /// Options set at the start.
    pub options: RunOptions,
    /// Error code of the failure.
    pub error_code: Option<String>,
    /// Error message.
    pub error_message: Option<String>,
    /// Hint that says how to resolve the error.
    pub error_hint: Option<String>,
    /// Absolute path of the final report, without extension.
    pub report_path: Option<String>,
    /// Position in its queue, from 1: the queue of its thread while it is `created`, the queue for a
    /// run slot (`max_concurrent_runs`) while it is `executing`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// End of a wait that the model provider requested. Absent once that time has passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_until: Option<Timestamp>,
    /// Rollback of its worktree and branch: `asked`, `done`, or why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<String>,
    /// The run it derives from.
    #[serde(default, flatten)]
    pub origin: RunOrigin,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its first phase started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When its last event was stored.
    pub updated_at: Timestamp,
    /// Sequence number of its last event.
    pub last_seq: u64,
    /// Cost of its model calls.
    pub cost: CallCost,
    /// Tokens used by its model calls.
    pub tokens: TokenUsage,
    /// Number of model calls.
    pub calls: u32,
}

impl RunRecord {
    /// Returns the display text of its state: queue position, end of a wait, or the state name.
    #[must_use]
    pub fn state_text(&self) -> String {
        match (self.queue_position(), self.waits_until) {
            (Some(place), _) => format!("waiting in line {place}"),
            (None, Some(until)) => format!("waiting until {}", until.local_clock()),
            (None, None) => self.state.clone(),
        }
    }

    /// Returns whether its state is terminal.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        RunStatus::parse(&self.state).is_some_and(RunStatus::is_terminal)
    }

    /// Returns its queue position, or `None` for a run that is paused or finished.
    #[must_use]
    pub fn queue_position(&self) -> Option<u32> {
        let waits = matches!(
            RunStatus::parse(&self.state),
            Some(RunStatus::Created | RunStatus::Executing)
        );
        self.line.filter(|_| waits)
    }
}

/// The run that a retry or fork derives from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Origin")]
pub struct RunOrigin {
    /// The finished run whose valid artifacts this retry started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retried_from: Option<RunId>,
    /// The run from whose gate it was forked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forked_from: Option<RunId>,
    /// The phase of that run which the fork runs again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forked_phase: Option<PhaseKey>,
}

/// Options set at the start of a run and stored with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunOptions {
    /// Dry run: the rehearsal backend replaces every persona's backend.
    #[serde(default)]
    pub rehearse: bool,
    /// Dry run scenario per phase.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub scenarios: std::collections::BTreeMap<PhaseKey, RehearsalScenario>,
    /// What to do when another run is active on its thread. Absent: `reject`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// What happens to it when its host loses its terminal. Absent: the setting
    /// `host.on_disconnect`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_disconnect: Option<OnDisconnect>,
    /// Budget of the run; overrides the setting `budget.run`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<NanoUsd>,
}

/// Outcome of a phase in a dry run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Scenario")]
pub enum RehearsalScenario {
    /// A valid artifact.
    #[default]
    Ok,
    /// An invalid artifact first, a valid one on repair.
    InvalidThenOk,
    /// Always an invalid artifact.
    Invalid,
    /// Never finishes, so the attempt times out.
    Timeout,
    /// A valid artifact, ten times slower.
    Slow,
    /// The agent process dies.
    Crash,
}

impl RehearsalScenario {
    /// The scenario with this wire name.
    #[must_use]
    pub fn parse(wire: &str) -> Option<Self> {
        serde_json::from_value(serde_json::Value::String(wire.to_owned())).ok()
    }
}

/// One phase of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseRecord {
    /// Which phase.
    pub phase_key: PhaseKey,
    /// From 0.
    pub position: u32,
    /// Its state.
    pub state: PhaseStatus,
    /// Attempts so far.
    pub attempt: u32,
    /// The valid artifact's content.
    pub artifact_sha256: Option<ContentHash>,
    /// Path of the artifact, relative to the worktree.
    pub artifact_path: Option<String>,
    /// The commit that contains the artifact.
    pub commit: Option<String>,
    /// When the first attempt started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Cost of its model calls.
    pub cost: CallCost,
}

/// One stored version of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArtifactRecord {
    /// Which phase made it.
    pub phase_key: PhaseKey,
    /// From 1.
    pub version: u32,
    /// In which attempt.
    pub attempt: u32,
    /// Relative to the worktree.
    pub path: String,
    /// The schema it was validated against.
    pub schema: SchemaId,
    /// SHA-256 of its content, and its key in the content-addressed store.
    pub sha256: ContentHash,
    /// Its size in bytes.
    pub bytes: u64,
    /// Whether it matches its schema.
    pub valid: bool,
    /// Validation errors.
    pub errors: Vec<ArtifactError>,
    /// When it was stored.
    pub at: Timestamp,
}

/// One approval request to the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalRecord {
    /// Which.
    pub id: RequestId,
    /// Of which run.
    pub run_id: RunId,
    /// About which phase.
    pub phase_key: Option<PhaseKey>,
    /// Which gate.
    pub gate: GateKey,
    /// Its state.
    pub state: ApprovalStatus,
    /// SHA-256 of the artifact version under review.
    pub artifact_sha256: Option<ContentHash>,
    /// Version of the artifact under review.
    pub artifact_version: Option<u32>,
    /// When it was requested.
    pub requested_at: Timestamp,
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
    /// The operator's comment.
    pub comment: Option<String>,
    /// Who resolved it.
    pub resolved_by: Option<String>,
    /// The channel it came through.
    pub via: Option<Via>,
    /// Details of a request that is not about an artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<Box<GateQuestion>>,
    /// Scope of a tool permission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<PermissionScope>,
    /// Amount by which the decision raised the budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raise: Option<NanoUsd>,
}

/// Progress of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TurnStatus {
    /// The model call is about to be sent; its cost is reserved.
    Reserved,
    /// The response and its cost are stored; its tools may have run.
    Answered,
    /// The results of its tool calls are stored too.
    Settled,
    /// The call failed or its outcome is unknown. It is not part of the conversation.
    Void,
}

/// One model call, its response, and the results of its tool calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnRecord {
    /// Which; also its ledger row.
    pub id: TurnId,
    /// Of which phase.
    pub phase_key: PhaseKey,
    /// In which attempt.
    pub attempt: u32,
    /// From 1 within the attempt; a retried turn has several rows of one number, at most one not void.
    pub number: u32,
    /// Number of operator resumptions of the attempt before the turn was reserved.
    #[serde(default)]
    pub stretch: u32,
    /// How far it got.
    pub status: TurnStatus,
    /// The model's answer as the backend stored it; a JSON document.
    pub answer: Option<String>,
    /// The tools it called, in order.
    pub tools: Vec<ToolRecord>,
    /// Empty for the agent of the phase, else the tool call that started the sub-agent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub conversation: String,
    /// The tool call that waits for the operator. Neither it nor any later call has started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_at: Option<String>,
    /// When it was reserved.
    pub at: Timestamp,
}

impl TurnRecord {
    /// Returns the display title: a turn of the agent, of a sub-agent, or a summary.
    #[must_use]
    pub fn title(&self) -> String {
        match self.conversation.rsplit('/').next().unwrap_or_default() {
            "" => format!("turn {}", self.number),
            "~summary" => format!("summary of what it did up to turn {}", self.number),
            call => format!("sub-agent of {call} turn {}", self.number),
        }
    }
}

/// One tool call of a turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ToolRecord {
    /// The engine's own id, unique within the turn.
    pub call_id: String,
    /// Which tool.
    pub tool: String,
    /// Its arguments as the model wrote them.
    pub arguments: String,
    /// Its result. Absent while it is unknown whether the tool ran.
    pub result: Option<String>,
    /// Whether the operator chose to run it again after a crash.
    #[serde(default)]
    pub redo: bool,
}

/// One ledger row: a model call and its cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerRecord {
    /// Which call.
    pub turn_id: TurnId,
    /// Of which run.
    pub run_id: RunId,
    /// Of which phase.
    pub phase_key: PhaseKey,
    /// In which attempt.
    pub attempt: u32,
    /// Who called.
    pub persona: String,
    /// Which model was asked.
    pub model: String,
    /// Absent while it is open.
    pub status: Option<CallStatus>,
    /// Amount reserved before the call.
    pub reserved: Option<NanoUsd>,
    /// Its cost. Absent while the call is open or its cost unknown.
    pub cost: Option<NanoUsd>,
    /// Whether `cost` is the reserved amount because the actual cost is unknown.
    pub estimated: bool,
    /// What it used.
    pub tokens: TokenUsage,
    /// From request to last byte.
    pub latency_ms: u64,
    /// Error code of the failure.
    pub error_code: Option<Code>,
    /// The provider's name for the request.
    pub provider_request_id: Option<String>,
    /// When it was reserved.
    pub at: Timestamp,
}

/// A conversation with an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// Which.
    pub id: SessionId,
    /// Of which run.
    pub run_id: RunId,
    /// On behalf of which role.
    pub role: RoleId,
    /// By which backend.
    pub backend: String,
    /// Its state.
    pub state: SessionStatus,
}

/// A command that another process queued for the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxRecord {
    /// Idempotency token: a second delivery has no effect.
    pub token: ClientToken,
    /// Who sent it.
    pub by: String,
    /// The channel it came through.
    pub via: Via,
    /// The command, as JSON.
    pub command: String,
    /// The host's answer, as JSON; absent while open.
    pub answer: Option<String>,
    /// When it was left.
    pub at: Timestamp,
    /// The last event of the run that it is about, as it was then.
    pub run_seq: Option<u64>,
}

/// Total cost of a group of calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CostLine {
    /// The phase, model or day.
    pub label: String,
    /// Number of model calls.
    pub calls: u32,
    /// What they used.
    pub tokens: TokenUsage,
    /// What they cost.
    pub cost: CallCost,
}
