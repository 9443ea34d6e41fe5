//! `task`: a piece of work for a sub-agent with a context of its own. Declared here; the loop of the
//! conversation does it.

use serde_json::{Value, json};

use super::arguments::ToolArguments;
use super::{ToolContext, ToolError, ToolSpec};

/// What a sub-agent may be.
pub(super) const KINDS: [&str; 2] = ["general", "explorer"];

pub(super) const TOOL: ToolSpec = ToolSpec {
    name: "task",
    description: "Gives a piece of work to a sub-agent. It sees nothing of this conversation but the description, works in the same worktree, \
                  and its last words are the result. 'general' has your tools, 'explorer' only those that read.",
    parameters,
    target: "description",
    read_only: false,
    run,
};

fn parameters() -> Value {
    json!({
        "type": "object",
        "properties": {
            "description": {"type": "string", "description": "Everything the sub-agent must know, and what it is to answer."},
            "subagent": {"type": "string", "enum": KINDS, "description": "general unless said."}
        },
        "required": ["description"],
        "additionalProperties": false
    })
}

fn run(_: &ToolContext, _: ToolArguments) -> Result<String, ToolError> {
    Err(ToolError::Fault(
        "there are no sub-agents here; do the work yourself".to_owned(),
    ))
}

/// What a sub-agent is to do, and whether it only reads.
///
/// # Errors
/// Words for the model.
pub(super) fn read(text: &str) -> Result<(String, bool), String> {
    let read = || {
        let mut arguments = ToolArguments::parse(text)?;
        let (description, kind) = (
            arguments.text("description"),
            arguments.optional_text("subagent"),
        );
        let kind = kind.as_deref().unwrap_or(KINDS[0]);
        if !KINDS.contains(&kind) {
            arguments.mistake(format!("'subagent' must be one of {}", KINDS.join(", ")));
        }
        let explores = kind == KINDS[1];
        arguments.finish()?;
        Ok((description, explores))
    };
    read().map_err(|trouble| match trouble {
        ToolError::Fault(words) => words,
        ToolError::Refused(failure) => failure.message,
    })
}
