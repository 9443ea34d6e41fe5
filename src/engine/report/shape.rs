//! What a report says, field by field. The JSON Schema that ships is made from these types.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::event::{ArtifactError, TokenUsage};
use crate::model::state::{ApprovalStatus, PhaseStatus, Risk, Via};
use crate::model::time::Timestamp;

/// The final report of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Report")]
pub struct RunsReport {
    /// The version of this shape; counts up when a field changes its meaning.
    pub report_version: u32,
    /// Whether everything in it is rehearsal: no model was asked, no artifact is real.
    pub rehearsal: bool,
    /// The run itself.
    pub run: RunReport,
    /// Why it failed; null where it did not.
    pub error: Option<ErrorReport>,
    /// Who ended it, where it was aborted; null where it was not.
    pub aborted: Option<AbortReport>,
    /// What is open at the end.
    pub unresolved: Vec<UnresolvedReport>,
    /// Who sat in which seat.
    pub bindings: Vec<SeatReport>,
    /// The phases in order.
    pub phases: Vec<PhaseReport>,
    /// Every stored version of every artifact.
    pub artifacts: Vec<ArtifactReport>,
    /// Every question to the operator, in the order they were asked.
    pub decisions: Vec<DecisionReport>,
    /// What the calls to models cost.
    pub costs: CostTotals,
    /// The last events of the journal, oldest first; at most 20.
    pub last_events: Vec<EventReport>,
}

/// The run itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunReport {
    /// Its id, a uuid.
    pub id: String,
    /// `name@version`.
    pub workflow: String,
    /// SHA-256 of the workflow's canonical JSON.
    pub workflow_hash: String,
    /// Its lane.
    pub thread: String,
    /// Where it stands; `completed`, `failed` or `aborted` at the end.
    pub state: String,
    /// What the operator wanted made.
    pub requirements: String,
    /// The operator's repository; null for a run in a plain folder.
    pub repo: Option<String>,
    /// The branch it began from.
    pub base_branch: Option<String>,
    /// The commit it began from.
    pub base_commit: Option<String>,
    /// The run's own branch.
    pub branch: Option<String>,
    /// When it was stored first.
    pub created_at: Timestamp,
    /// When its first phase began.
    pub started_at: Option<Timestamp>,
    /// When it ended; null while it goes on.
    pub ended_at: Option<Timestamp>,
    /// Milliseconds from `created_at` to its last event.
    pub elapsed_ms: u64,
    /// Milliseconds that agents worked.
    pub working_ms: u64,
    /// Milliseconds that it waited for the operator.
    pub waiting_ms: u64,
}

/// Why a run failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorReport {
    /// The stable code.
    pub code: String,
    /// What was true, naming the thing.
    pub message: String,
    /// What to do next.
    pub hint: String,
}

/// Who ended a run, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AbortReport {
    /// The operator's login name.
    pub by: String,
    /// By which way.
    pub via: Via,
    /// The operator's words; may be empty.
    pub reason: String,
}

/// Something that is open at the end of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Unresolved")]
pub struct UnresolvedReport {
    /// What kind of thing.
    pub kind: UnresolvedKind,
    /// The phase it is about, where it is about one.
    pub phase_key: Option<String>,
    /// In words.
    pub what: String,
}

/// What can be open at the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnresolvedKind {
    /// A question without an answer.
    PendingApproval,
    /// A call whose price nobody knows.
    UnknownCost,
    /// A phase that began and is neither done nor failed.
    PhaseUnfinished,
    /// A phase that never began.
    PhaseNotReached,
}

/// Who sat in a seat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeatReport {
    /// The seat.
    pub role: String,
    /// `name@version`.
    pub persona: String,
    /// SHA-256 of the persona's canonical JSON.
    pub persona_hash: String,
    /// The backend that ran it.
    pub backend: String,
    /// The model; null where the backend has none.
    pub model: Option<String>,
    /// The one phase in which it went on for less, by an answer about a budget; null: every other of its role.
    #[serde(default)]
    pub phase_key: Option<String>,
    /// Who had that phase before; null for the bindings of the start.
    #[serde(default)]
    pub instead_of: Option<String>,
}

impl SeatReport {
    /// The seat in words: its role, and where it was taken over which phase, and whose.
    #[must_use]
    pub fn seat(&self) -> String {
        match (&self.phase_key, &self.instead_of) {
            (Some(phase), Some(before)) => format!("{} in {phase}, instead of {before}", self.role),
            _ => self.role.clone(),
        }
    }
}

/// One phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PhaseReport {
    /// Names it.
    pub key: String,
    /// What people read; null when the workflow is not at hand or gives none.
    pub title: Option<String>,
    /// How far a wrong decision here reaches; null when the workflow is not at hand.
    pub risk: Option<Risk>,
    /// Who does it; null when the workflow is not at hand.
    pub role: Option<String>,
    /// Who did it last; null when it was not reached.
    pub persona: Option<String>,
    /// Where it stands.
    pub state: PhaseStatus,
    /// Attempts, 0 when it was not reached.
    pub attempts: u32,
    /// When the first attempt began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Milliseconds that agents worked.
    pub working_ms: u64,
    /// Milliseconds that it waited for the operator.
    pub waiting_ms: u64,
    /// Where its valid artifact lies in the worktree.
    pub artifact_path: Option<String>,
    /// SHA-256 of its valid artifact.
    pub artifact_sha256: Option<String>,
    /// The git commit that holds it.
    pub commit: Option<String>,
}

/// One stored version of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArtifactReport {
    /// Which phase made it.
    pub phase_key: String,
    /// From 1 within the phase.
    pub version: u32,
    /// In which attempt.
    pub attempt: u32,
    /// Relative to the worktree.
    pub path: String,
    /// What it was checked against.
    pub schema: String,
    /// SHA-256 of the whole content.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
    /// Whether it fits its schema.
    pub valid: bool,
    /// Why not, each with its JSON Pointer.
    pub errors: Vec<ArtifactError>,
    /// When it was stored.
    pub at: Timestamp,
}

/// One question to the operator and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionReport {
    /// The question's id, a uuid.
    pub request_id: String,
    /// About which phase; null for questions about the run.
    pub phase_key: Option<String>,
    /// Which gate.
    pub gate: String,
    /// Where it stands.
    pub state: ApprovalStatus,
    /// The operator's words; null where there were none.
    pub comment: Option<String>,
    /// Who answered.
    pub by: Option<String>,
    /// By which way.
    pub via: Option<Via>,
    /// SHA-256 of the content the answer is about.
    pub artifact_sha256: Option<String>,
    /// The version of the artifact.
    pub artifact_version: Option<u32>,
    /// When it was asked.
    pub requested_at: Timestamp,
    /// When it was answered.
    pub resolved_at: Option<Timestamp>,
    /// Milliseconds from question to answer; null while open.
    pub waited_ms: Option<u64>,
}

/// What the calls to models cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Costs")]
pub struct CostTotals {
    /// All calls.
    pub total: CostReport,
    /// By phase, in the order of the phases.
    pub by_phase: Vec<CostReport>,
    /// By model, in the order of their names.
    pub by_model: Vec<CostReport>,
}

/// What a group of calls cost together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CostReport {
    /// The phase or model; `total` for all.
    pub label: String,
    /// How many calls.
    pub calls: u32,
    /// Calls whose price nobody knows.
    pub unknown_calls: u32,
    /// Calls charged at their reserve, because the true price was not told.
    pub estimated_calls: u32,
    /// Nano-dollars (10⁻⁹ $) of all calls; null when the price of any is unknown.
    pub cost_nano_usd: Option<i64>,
    /// Nano-dollars of the calls with a known price; null when there are calls and none has one.
    pub known_nano_usd: Option<i64>,
    /// What they used.
    pub tokens: TokenUsage,
}

/// One event of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventReport {
    /// Its place in the journal, from 1.
    pub seq: u64,
    /// When it was stored.
    pub at: Timestamp,
    /// The event type, such as `phase.started`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it says, as `docs/events.md` explains.
    pub payload: Value,
}
