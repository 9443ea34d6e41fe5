//! The file tools that an agent works with, confined to the run's worktree.

use std::path::Path;

use crate::model::error::{Failure, Result};
use crate::model::event::ToolOutcome;
use crate::model::persona::Persona;

/// What a tool call came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolReply {
    /// The path or pattern it was about, for people.
    pub target: String,
    /// How it ended.
    pub outcome: ToolOutcome,
    /// Set when confinement or a permission refused it.
    pub denied: Option<Failure>,
    /// The text the model gets, limited in length.
    pub result: String,
    /// How long it took.
    pub duration_ms: u64,
}

/// The tools of one attempt: what the persona may use, beneath one worktree.
pub struct Toolbox {}

impl Toolbox {
    /// Opens the worktree and lays out the tools that `persona` is given.
    ///
    /// # Errors
    /// `worktree_missing` when the folder is not there, `io_failed` when it cannot be opened.
    pub fn new(worktree: &Path, persona: &Persona) -> Result<Self> {
        let _ = (worktree, persona);
        Err(Failure::internal("not built"))
    }

    /// The tools on offer, as the `tools` of a Chat Completions request.
    #[must_use]
    pub fn definitions(&self) -> Vec<serde_json::Value> {
        Vec::new()
    }

    /// Runs one call to its end; whatever goes wrong is said to the model in the reply.
    pub async fn call(&self, tool: &str, arguments: &str) -> ToolReply {
        let _ = (tool, arguments);
        let result = "not built".to_owned();
        ToolReply { target: String::new(), outcome: ToolOutcome::Error, denied: None, result, duration_ms: 0 }
    }
}
