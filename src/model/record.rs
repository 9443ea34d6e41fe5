//! Rows as readers hand them out: what lists and screens show without folding a journal.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Code;
use super::event::{ArtifactError, CallStatus, Tokens};
use super::hash::ContentHash;
use super::id::{
    ClientToken, GateKey, PhaseKey, RequestId, RoleId, RunId, SchemaId, SessionId, ThreadId, TurnId,
};
use super::money::{Cost, NanoUsd};
use super::question::{Question, Scope};
use super::state::{
    ApprovalStatus, OnDisconnect, PhaseStatus, RunStatus, SessionStatus, Strategy, Via,
};
use super::time::Timestamp;

/// One run, as lists show it. States are text, so that a row with a value of a newer program still lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunRecord {
    /// Which run.
    pub id: RunId,
    /// `name@version`.
    pub workflow: String,
    /// The workflow's identity.
    pub workflow_hash: ContentHash,
    /// Its lane.
    pub thread: ThreadId,
    /// A wire name of [`RunStatus`](super::state::RunStatus).
    pub state: String,
    /// Where it stood before it was paused.
    pub paused_from_state: Option<String>,
    /// Why it is paused.
    pub pause_reason: Option<String>,
    /// What the operator wants made.
    pub requirements: String,
    /// The operator's repository, absolute; absent for a run in a plain folder.
    pub repo: Option<String>,
    /// The branch it began from.
    pub base_branch: Option<String>,
    /// The commit it began from.
    pub base_commit: Option<String>,
    /// The run's own branch.
    pub branch: Option<String>,
    /// Where its agents work, absolute.
    pub worktree: Option<String>,
    /// The phase in progress.
    pub current_phase: Option<PhaseKey>,
    /// How many phases the workflow has.
    pub phases_total: u32,
    /// How many are done.
    pub phases_done: u32,
    /// The gate that waits.
    pub pending_gate: Option<GateKey>,
    /// Since when it waits.
    pub pending_since: Option<Timestamp>,
    /// Whether everything it makes is rehearsal.
    pub rehearsal: bool,
    /// Choices made at the start.
    pub options: RunOptions,
    /// Why it failed.
    pub error_code: Option<String>,
    /// In words.
    pub error_message: Option<String>,
    /// What to do.
    pub error_hint: Option<String>,
    /// The final report, absolute, without extension.
    pub report_path: Option<String>,
    /// Its place in the line it waits in, from 1: for its thread while it is `created`, for a place to
    /// work (`max_concurrent_runs`) while it is `executing`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Until when it waits because a model's server asked for that; absent once that moment has passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_until: Option<Timestamp>,
    /// Whether its worktree and branch went back to where they were: `asked`, `done`, or why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<String>,
    /// Where it comes from.
    #[serde(default, flatten)]
    pub origin: Origin,
    /// When it was stored first.
    pub created_at: Timestamp,
    /// When its first phase began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When its last event was stored.
    pub updated_at: Timestamp,
    /// Its last event.
    pub last_seq: u64,
    /// What its calls cost.
    pub cost: Cost,
    /// What its calls used.
    pub tokens: Tokens,
    /// How many calls.
    pub calls: u32,
}

impl RunRecord {
    /// Where it stands, in words: its state, its place in the line that it waits in, or until when it waits.
    #[must_use]
    pub fn state_in_words(&self) -> String {
        match (self.place_in_line(), self.waits_until) {
            (Some(place), _) => format!("waiting in line {place}"),
            (None, Some(until)) => format!("waiting until {}", until.local_clock()),
            (None, None) => self.state.clone(),
        }
    }

    /// Whether nothing can change it any more.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        RunStatus::parse(&self.state).is_some_and(RunStatus::is_terminal)
    }

    /// Its place in the line that it waits in; a run that rests or has ended waits in none.
    #[must_use]
    pub fn place_in_line(&self) -> Option<u32> {
        let waits = matches!(
            RunStatus::parse(&self.state),
            Some(RunStatus::Created | RunStatus::Executing)
        );
        self.line.filter(|_| waits)
    }
}

/// Where a run comes from, if not from nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Origin {
    /// The ended run whose valid artifacts it began with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retried_from: Option<RunId>,
    /// The run at whose gate it tries another persona.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forked_from: Option<RunId>,
    /// Which phase of that run it makes again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forked_phase: Option<PhaseKey>,
}

/// Choices made at the start of a run and frozen with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunOptions {
    /// Every persona is played by the rehearsal backend.
    #[serde(default)]
    pub rehearse: bool,
    /// Per phase, which way the rehearsal goes.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub scenarios: std::collections::BTreeMap<PhaseKey, Scenario>,
    /// What it does when another run holds its thread; absent: `reject`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// What becomes of it when the terminal of its host is lost; absent: as the settings say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_disconnect: Option<OnDisconnect>,
    /// What the run may cost, in place of the setting `budget.run`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<NanoUsd>,
}

/// Which way a rehearsed phase goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scenario {
    /// A valid artifact.
    #[default]
    Ok,
    /// An invalid artifact first, a valid one on repair.
    InvalidThenOk,
    /// Always an invalid artifact.
    Invalid,
    /// Never ends by itself.
    Timeout,
    /// A valid artifact, ten times slower.
    Slow,
    /// The agent dies.
    Crash,
}

impl Scenario {
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
    /// Where it stands.
    pub state: PhaseStatus,
    /// Attempts so far.
    pub attempt: u32,
    /// The valid artifact's content.
    pub artifact_sha256: Option<ContentHash>,
    /// Where it lies in the worktree.
    pub artifact_path: Option<String>,
    /// The git commit that holds it.
    pub commit: Option<String>,
    /// When the first attempt began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What its calls cost.
    pub cost: Cost,
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
    /// What it was checked against.
    pub schema: SchemaId,
    /// Its content, in the content-addressed store.
    pub sha256: ContentHash,
    /// Its length.
    pub bytes: u64,
    /// Whether it fits its schema.
    pub valid: bool,
    /// Why not.
    pub errors: Vec<ArtifactError>,
    /// When it was stored.
    pub at: Timestamp,
}

/// One question to the operator.
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
    /// Where it stands.
    pub state: ApprovalStatus,
    /// The content it is about.
    pub artifact_sha256: Option<ContentHash>,
    /// The version of the artifact.
    pub artifact_version: Option<u32>,
    /// When it was asked.
    pub requested_at: Timestamp,
    /// When it was answered.
    pub resolved_at: Option<Timestamp>,
    /// The operator's words.
    pub comment: Option<String>,
    /// Who answered.
    pub resolved_by: Option<String>,
    /// By which way.
    pub via: Option<Via>,
    /// What it is about, where it is not about an artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<Box<Question>>,
    /// How far an answer about a tool reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// By how much an answer about a budget raised it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raise: Option<NanoUsd>,
}

/// How far a turn got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TurnStatus {
    /// The call was about to be sent; its money is reserved.
    Reserved,
    /// The answer is stored and paid; its tools may have run.
    Answered,
    /// The results of its tools are stored too.
    Settled,
    /// The call failed or its outcome is unknown; it is no part of the conversation.
    Void,
}

/// One request to a model, its answer, and what its tools said.
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
    /// How often the operator's word had set the agent going again when it was reserved.
    #[serde(default)]
    pub stretch: u32,
    /// How far it got.
    pub status: TurnStatus,
    /// The model's answer as the backend stored it; a JSON document.
    pub answer: Option<String>,
    /// The tools it called, in order.
    pub tools: Vec<ToolRecord>,
    /// Whose turn: empty for the agent of the phase, else the call that began a sub-agent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub conversation: String,
    /// The call before which it stopped to ask the operator; none from it on has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_at: Option<String>,
    /// When it was reserved.
    pub at: Timestamp,
}

impl TurnRecord {
    /// Which turn it is, in words: of the agent, of a sub-agent, or a summary of what was said before.
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
    /// What it answered; absent while nobody knows whether it ran.
    pub result: Option<String>,
    /// Whether the operator said after a crash that it is to run again.
    #[serde(default)]
    pub redo: bool,
}

/// One line of the ledger: a call to a model and what it cost.
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
    /// What was set aside before the call.
    pub reserved: Option<NanoUsd>,
    /// What it cost; absent while open or unknown.
    pub cost: Option<NanoUsd>,
    /// Whether the cost is the reserve, because the true one is not known.
    pub estimated: bool,
    /// What it used.
    pub tokens: Tokens,
    /// From request to last byte.
    pub latency_ms: u64,
    /// Why it failed.
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
    /// Where it stands.
    pub state: SessionStatus,
}

/// A command that another process left for the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxRecord {
    /// Makes delivering it twice harmless.
    pub token: ClientToken,
    /// Who sent it.
    pub by: String,
    /// By which way.
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

/// What one group of calls cost together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CostLine {
    /// The phase, model or day.
    pub label: String,
    /// How many calls.
    pub calls: u32,
    /// What they used.
    pub tokens: Tokens,
    /// What they cost.
    pub cost: Cost,
}
