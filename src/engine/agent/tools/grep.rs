//! `grep`: text in files by a regular expression.

use globset::GlobMatcher;
use regex::{Regex, RegexBuilder};
use serde_json::{Value, json};

use super::arguments::ToolArguments;
use super::glob::{below, files_at, matcher};
use super::path::WorktreePath;
use super::{ToolContext, ToolError, ToolSpec, cut};

const MODES: [&str; 3] = ["files_with_matches", "content", "count"];
const MAX_LINES: usize = 500;
const MAX_LINE_CHARS: usize = 400;
/// What one search may read, in bytes, so that a large worktree costs seconds and not minutes.
const MAX_READ: usize = 64 * 1024 * 1024;

pub(super) const TOOL: ToolSpec = ToolSpec {
    name: "grep",
    description: "Searches the text files of the worktree by a regular expression, line by line. Folders that tools fill (.git, target, \
                  node_modules and the like) are passed by.",
    parameters,
    target: "pattern",
    read_only: true,
    run,
};

fn parameters() -> Value {
    json!({
        "type": "object",
        "properties": {
            "pattern": {"type": "string", "description": "A regular expression (RE2-like: no look-around, no back-references)."},
            "path": {"type": "string", "description": "The folder or file to search in, relative to the worktree; all of it when left out."},
            "glob": {"type": "string", "description": "Only files whose path, or name when it has no '/', matches; such as '*.rs'."},
            "output_mode": {"type": "string", "enum": MODES, "description": "'files_with_matches' when left out."}
        },
        "required": ["pattern"],
        "additionalProperties": false
    })
}

fn run(bench: &ToolContext, mut arguments: ToolArguments) -> Result<String, ToolError> {
    let pattern = arguments.text("pattern");
    let path = arguments.optional_text("path").unwrap_or_default();
    let glob = arguments.optional_text("glob");
    let mode = arguments
        .optional_text("output_mode")
        .unwrap_or_else(|| MODES[0].to_owned());
    if !MODES.contains(&mode.as_str()) {
        arguments.mistake(format!(
            "'output_mode' must be one of {}, not '{mode}'",
            MODES.join(", ")
        ));
    }
    arguments.finish()?;
    let wanted = RegexBuilder::new(&pattern).size_limit(1 << 20).build();
    let wanted = wanted.map_err(|error| {
        ToolError::Fault(format!("'pattern' is no regular expression: {error}"))
    })?;
    let filter = glob.map(|glob| GrepFilter::new(&glob)).transpose()?;
    let from = bench.workspace.path(&path)?;
    let mut found = GrepMatches {
        wanted,
        mode,
        lines: Vec::new(),
        read: 0,
        cut: false,
    };
    let walked = files_at(bench, from.clone())?;
    found.cut = walked.cut;
    for file in walked.files.iter().filter(|file| {
        filter
            .as_ref()
            .is_none_or(|filter| filter.takes(file, &from))
    }) {
        if !found.search(bench, file) {
            break;
        }
    }
    Ok(found.shown())
}

struct GrepFilter {
    matcher: GlobMatcher,
    by_name: bool,
}

impl GrepFilter {
    fn new(glob: &str) -> Result<Self, ToolError> {
        Ok(Self {
            matcher: matcher(glob.trim_start_matches("./"), "glob")?,
            by_name: !glob.contains('/'),
        })
    }

    fn takes(&self, file: &WorktreePath, from: &WorktreePath) -> bool {
        let path = below(file, from);
        let name = path.rsplit('/').next().unwrap_or_default();
        self.matcher
            .is_match(if self.by_name { name } else { &path })
    }
}

struct GrepMatches {
    wanted: Regex,
    mode: String,
    lines: Vec<String>,
    read: usize,
    cut: bool,
}

impl GrepMatches {
    /// Searches one file; says whether to go on. Files that cannot be read or are no text are left out.
    fn search(&mut self, bench: &ToolContext, file: &WorktreePath) -> bool {
        if self.read > MAX_READ || self.lines.len() > MAX_LINES {
            self.cut = true;
            return false;
        }
        let Ok(bytes) = bench.workspace.read(file) else {
            return true;
        };
        self.read += bytes.len();
        let Ok(text) = String::from_utf8(bytes) else {
            return true;
        };
        let mut hits = text
            .lines()
            .enumerate()
            .filter(|(_, line)| self.wanted.is_match(line))
            .peekable();
        if hits.peek().is_none() || text.contains('\0') {
            return true;
        }
        let path = file.shown();
        match self.mode.as_str() {
            "content" => {
                let shown = hits.map(|(index, line)| {
                    format!("{path}:{}:{}", index + 1, cut::line(line, MAX_LINE_CHARS))
                });
                self.lines
                    .extend(shown.take(MAX_LINES + 1 - self.lines.len()));
            }
            "count" => self.lines.push(format!("{path}:{}", hits.count())),
            _ => self.lines.push(path),
        }
        true
    }

    fn shown(mut self) -> String {
        self.cut |= self.lines.len() > MAX_LINES;
        self.lines.truncate(MAX_LINES);
        if self.lines.is_empty() {
            self.lines.push("no match".to_owned());
        }
        if self.cut {
            self.lines.push(
                "[there is more than this search shows; take a narrower pattern, path or glob]"
                    .to_owned(),
            );
        }
        self.lines.join("\n")
    }
}
