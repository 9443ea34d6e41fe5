//! `write_todos`: the agent's own list of what is to do, kept for the attempt and shown to whoever watches.

use serde_json::{Value, json};

use super::arguments::ToolArguments;
use super::{ToolContext, ToolError, ToolSpec};

const STATES: [(&str, &str); 3] = [
    ("pending", "[ ]"),
    ("in_progress", "[>]"),
    ("completed", "[x]"),
];
const MAX_TODOS: usize = 100;

pub(super) const TOOL: ToolSpec = ToolSpec {
    name: "write_todos",
    description: "Writes down the whole list of what is to do, in place of the one before. For work of several steps; keep it current.",
    parameters,
    target: "",
    read_only: true,
    run,
};

/// One line of the list.
pub(super) struct TodoEntry {
    content: String,
    mark: &'static str,
}

fn parameters() -> Value {
    json!({
        "type": "object",
        "properties": {"todos": {
            "type": "array",
            "maxItems": MAX_TODOS,
            "items": {
                "type": "object",
                "properties": {
                    "content": {"type": "string", "description": "The step."},
                    "status": {"type": "string", "enum": STATES.map(|(name, _)| name)}
                },
                "required": ["content", "status"]
            }
        }},
        "required": ["todos"],
        "additionalProperties": false
    })
}

fn run(bench: &ToolContext, mut arguments: ToolArguments) -> Result<String, ToolError> {
    let items = arguments.list("todos");
    if items.len() > MAX_TODOS {
        arguments.mistake(format!(
            "'todos' has {} entries; the limit is {MAX_TODOS}",
            items.len()
        ));
    }
    let todos: Vec<TodoEntry> = items
        .iter()
        .enumerate()
        .filter_map(|(index, item)| todo(index, item, &mut arguments))
        .collect();
    arguments.finish()?;
    let shown: Vec<String> = todos
        .iter()
        .map(|todo| format!("{} {}", todo.mark, todo.content))
        .collect();
    // A poisoned lock only means that another call broke; the list is replaced as a whole.
    *bench
        .todos
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner) = todos;
    Ok(if shown.is_empty() {
        "the list is empty".to_owned()
    } else {
        shown.join("\n")
    })
}

fn todo(index: usize, item: &Value, arguments: &mut ToolArguments) -> Option<TodoEntry> {
    let content = item
        .get("content")
        .and_then(Value::as_str)
        .filter(|content| !content.trim().is_empty());
    let status = item.get("status").and_then(Value::as_str);
    let mark = status.and_then(|status| STATES.iter().find(|(name, _)| *name == status));
    if content.is_none() {
        arguments.mistake(format!("'todos[{index}].content' must be text"));
    }
    if mark.is_none() {
        arguments.mistake(format!(
            "'todos[{index}].status' must be one of pending, in_progress, completed"
        ));
    }
    Some(TodoEntry {
        content: content?.replace('\n', " "),
        mark: mark?.1,
    })
}
