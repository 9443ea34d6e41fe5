//! Where a backend puts down what must survive, before it acts on it.
//!
//! One desk serves one attempt. Everything durable about the conversation goes through it: each
//! method is one transaction, and returns when that is committed. Streamed text goes through it
//! too, but only to whoever watches.

use crate::engine::api::TextKind;
use crate::model::error::{Code, Failure, Result};
use crate::model::event::{CallStatus, Tokens, ToolOutcome};
use crate::model::id::TurnId;
use crate::model::money::NanoUsd;

/// A call that is about to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserve {
    /// Counts the turns of the attempt, from 1.
    pub number: u32,
    /// Which model is asked.
    pub model: String,
    /// What is set aside for it; absent when the price is unknown.
    pub reserved: Option<NanoUsd>,
}

/// A model's whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The answer as the backend wants it back in `Job::history`; a JSON document.
    pub answer: String,
    /// The tools it calls, in order: engine's own call id, tool, arguments as text.
    pub tools: Vec<(String, String, String)>,
    /// What it used.
    pub tokens: Tokens,
    /// What it cost; absent when unknown.
    pub cost: Option<NanoUsd>,
    /// Whether the cost is the reserve, because the true one was not told.
    pub estimated: bool,
    /// From request to last byte.
    pub latency_ms: u64,
    /// The provider's name for the request.
    pub provider_request_id: Option<String>,
}

/// A call that gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFailed {
    /// `Failed`: nothing was billed. `Unknown`: it may have been; the reserve is charged.
    pub status: CallStatus,
    /// Why.
    pub code: Code,
    /// From request to failure.
    pub latency_ms: u64,
}

/// What a tool said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolDone {
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

/// The desk of one attempt.
pub struct Desk {}

impl Desk {
    /// Shows a piece of text to whoever watches. Never blocks, may be dropped.
    pub fn text(&self, kind: TextKind, text: &str) {
        let _ = (kind, text);
    }

    /// Stores that a call is about to be sent, with its money. Send only after this returned.
    ///
    /// # Errors
    /// What the store says; nothing may be sent then.
    pub async fn reserve(&self, reserve: Reserve) -> Result<TurnId> {
        let _ = reserve;
        Err(Failure::internal("not built"))
    }

    /// Stores a whole answer, its cost, and the tools it wants. Run them only after this returned.
    ///
    /// # Errors
    /// What the store says; the call is paid and open then.
    pub async fn answered(&self, turn: TurnId, answered: Answered) -> Result<()> {
        let _ = (turn, answered);
        Err(Failure::internal("not built"))
    }

    /// Stores that a call gave no answer.
    ///
    /// # Errors
    /// What the store says.
    pub async fn failed(&self, turn: TurnId, failed: CallFailed) -> Result<()> {
        let _ = (turn, failed);
        Err(Failure::internal("not built"))
    }

    /// Stores that a call is tried again after a pause, before pausing.
    ///
    /// # Errors
    /// What the store says.
    pub async fn retried(&self, turn: TurnId, r#try: u32, status: Option<u16>, code: Code, wait_ms: u64) -> Result<()> {
        let _ = (turn, r#try, status, code, wait_ms);
        Err(Failure::internal("not built"))
    }

    /// Stores what all tools of a turn said, which makes the turn a checkpoint, and reserves the
    /// next call in the same transaction where there is one.
    ///
    /// # Errors
    /// What the store says.
    pub async fn tools_done(&self, turn: TurnId, done: Vec<ToolDone>, next: Option<Reserve>) -> Result<Option<TurnId>> {
        let _ = (turn, done, next);
        Err(Failure::internal("not built"))
    }
}
