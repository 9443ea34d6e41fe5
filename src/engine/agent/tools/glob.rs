//! `glob`: files by a pattern on their path.

use globset::{GlobBuilder, GlobMatcher};
use serde_json::{Value, json};

use super::arguments::ToolArguments;
use super::path::WorktreePath;
use super::workspace::{EntryKind, WalkedTree};
use super::{ToolContext, ToolError, ToolSpec};

const MAX_FILES: usize = 500;

pub(super) const TOOL: ToolSpec = ToolSpec {
    name: "glob",
    description: "Finds files of the worktree by a pattern such as '**/*.rs' or 'src/*.{ts,tsx}', sorted. Folders that tools fill \
                  (.git, target, node_modules and the like) are passed by.",
    parameters,
    target: "pattern",
    read_only: true,
    run,
};

fn parameters() -> Value {
    json!({
        "type": "object",
        "properties": {
            "pattern": {"type": "string", "description": "Matched against paths relative to 'path'; '*' does not cross '/', '**' does."},
            "path": {"type": "string", "description": "The folder to search in, relative to the worktree; all of it when left out."}
        },
        "required": ["pattern"],
        "additionalProperties": false
    })
}

fn run(bench: &ToolContext, mut arguments: ToolArguments) -> Result<String, ToolError> {
    let pattern = arguments.text("pattern");
    let path = arguments.optional_text("path").unwrap_or_default();
    arguments.finish()?;
    let matcher = matcher(pattern.trim_start_matches("./"), "pattern")?;
    let from = bench.workspace.path(&path)?;
    let walked = bench.workspace.walk(&from)?;
    let found: Vec<String> = walked
        .files
        .iter()
        .filter(|file| matcher.is_match(below(file, &from)))
        .map(WorktreePath::shown)
        .collect();
    Ok(listed(&found, walked.cut))
}

/// A pattern in which `*` stays within a folder.
pub(super) fn matcher(pattern: &str, field: &str) -> Result<GlobMatcher, ToolError> {
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    glob.map(|glob| glob.compile_matcher())
        .map_err(|error| ToolError::Fault(format!("'{field}' is no glob: {error}")))
}

/// The files at or beneath `from`.
pub(super) fn files_at(bench: &ToolContext, from: WorktreePath) -> Result<WalkedTree, ToolError> {
    match bench.workspace.kind(&from)? {
        Some(EntryKind::File) => Ok(WalkedTree {
            files: vec![from],
            cut: false,
        }),
        _ => bench.workspace.walk(&from),
    }
}

/// A file's path relative to the folder that was searched.
pub(super) fn below(file: &WorktreePath, from: &WorktreePath) -> String {
    file.parts()[from.parts().len().min(file.parts().len().saturating_sub(1))..].join("/")
}

fn listed(found: &[String], cut: bool) -> String {
    let mut lines: Vec<String> = found.iter().take(MAX_FILES).cloned().collect();
    if found.len() > MAX_FILES {
        lines.push(format!(
            "[{} further files cut; take a narrower pattern]",
            found.len() - MAX_FILES
        ));
    }
    if found.is_empty() {
        lines.push("no file matches".to_owned());
    }
    if cut {
        lines.push(
            "[not every file was looked at: there are too many; search in a folder]".to_owned(),
        );
    }
    lines.join("\n")
}
