//! `ls`: the names in one folder.

use serde_json::{Value, json};

use super::arguments::ToolArguments;
use super::workspace::EntryKind;
use super::{ToolContext, ToolError, ToolSpec};

const MAX_NAMES: usize = 1_000;

pub(super) const TOOL: ToolSpec = ToolSpec {
    name: "ls",
    description: "Lists a folder of the worktree: folders first (with a trailing '/'), then files.",
    parameters,
    target: "path",
    read_only: true,
    run,
};

fn parameters() -> Value {
    json!({
        "type": "object",
        "properties": {"path": {"type": "string", "description": "The folder, relative to the worktree; '.' when left out."}},
        "additionalProperties": false
    })
}

fn run(bench: &ToolContext, mut arguments: ToolArguments) -> Result<String, ToolError> {
    let path = arguments.optional_text("path").unwrap_or_default();
    arguments.finish()?;
    let path = bench.workspace.path(&path)?;
    let names = bench.workspace.list(&path)?;
    if names.is_empty() {
        return Ok(format!("'{}' is empty", path.shown()));
    }
    let mut lines: Vec<String> = names
        .iter()
        .take(MAX_NAMES)
        .map(|(kind, name)| shown(*kind, name))
        .collect();
    if names.len() > MAX_NAMES {
        lines.push(format!("[{} further names cut]", names.len() - MAX_NAMES));
    }
    Ok(lines.join("\n"))
}

fn shown(kind: EntryKind, name: &str) -> String {
    match kind {
        EntryKind::Folder => format!("{name}/"),
        EntryKind::File => name.to_owned(),
        EntryKind::Other => format!("{name} (a link or device: not usable)"),
    }
}
