//! What a backend puts down: a call before it is sent, its answer or its failure, and what a tool said.

use crate::model::error::{Code, Failure};
use crate::model::event::{CallStatus, TokenUsage, ToolOutcome};
use crate::model::money::NanoUsd;
use crate::model::time::Timestamp;

/// A call that is about to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallReserve {
    /// Whose turn: empty for the agent of the phase, else the call that began a sub-agent.
    pub conversation: String,
    /// Counts the turns of the attempt, from 1.
    pub number: u32,
    /// Which model is asked.
    pub model: String,
    /// What is set aside for it; absent when the price is unknown.
    pub reserved: Option<NanoUsd>,
}

/// A model's whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnsweredCall {
    /// The answer as the backend wants it back in `AgentJob::history`; a JSON document.
    pub answer: String,
    /// The tools it calls, in order: engine's own call id, tool, arguments as text.
    pub tools: Vec<(String, String, String)>,
    /// What it used.
    pub tokens: TokenUsage,
    /// What it cost; absent when unknown.
    pub cost: Option<NanoUsd>,
    /// Whether the cost is the reserve, because the true one was not told.
    pub estimated: bool,
    /// From request to last byte.
    pub latency_ms: u64,
    /// The provider's name for the request.
    pub provider_request_id: Option<String>,
    /// What was wrong with the answer's form and was put right, in words.
    pub repaired: Option<String>,
}

/// A call that gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedCall {
    /// `Failed`: nothing was billed. `Unknown`: it may have been; the reserve is charged.
    pub status: CallStatus,
    /// Why.
    pub code: Code,
    /// From request to failure.
    pub latency_ms: u64,
}

/// The try that follows a call without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedRetry {
    /// How often this turn was tried, from 1.
    pub tries: u32,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// Why the call failed.
    pub code: Code,
    /// The pause before it.
    pub wait_ms: u64,
    /// When that is over, where it is too long to be slept in the call.
    pub until: Option<Timestamp>,
}

/// What a tool said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishedCall {
    /// The engine's own call id.
    pub call_id: String,
    /// Which tool.
    pub tool: String,
    /// The path or command it was about.
    pub target: String,
    /// How it ended.
    pub outcome: ToolOutcome,
    /// Set when confinement or a permission refused it.
    pub denied: Option<Failure>,
    /// The text the model gets.
    pub result: String,
    /// How long it took.
    pub duration_ms: u64,
}
