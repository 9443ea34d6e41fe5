//! `write_file`: a whole file, new or in place of another.

use serde_json::{Value, json};

use super::arguments::ToolArguments;
use super::{ToolContext, ToolError, ToolSpec};

pub(super) const TOOL: ToolSpec = ToolSpec {
    name: "write_file",
    description: "Writes a whole file in the worktree, making the folders above it; a file that is there is replaced. At most 10 MiB.",
    parameters,
    target: "file_path",
    read_only: false,
    run,
};

fn parameters() -> Value {
    json!({
        "type": "object",
        "properties": {
            "file_path": {"type": "string", "description": "The file, relative to the worktree."},
            "content": {"type": "string", "description": "Everything the file is to hold."}
        },
        "required": ["file_path", "content"],
        "additionalProperties": false
    })
}

fn run(bench: &ToolContext, mut arguments: ToolArguments) -> Result<String, ToolError> {
    let (path, content) = (arguments.text("file_path"), arguments.text("content"));
    arguments.finish()?;
    let path = bench.workspace.path(&path)?;
    let replaced = bench.workspace.write(&path, content.as_bytes())?;
    let what = if replaced { "replaced" } else { "made" };
    Ok(format!(
        "{what} '{}': {} bytes, {} lines",
        path.shown(),
        content.len(),
        content.lines().count()
    ))
}
