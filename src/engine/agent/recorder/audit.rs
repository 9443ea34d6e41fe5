//! The audit of a run: a line for every tool call, in a file that is its owner's alone.

use std::sync::PoisonError;

use serde::Serialize;

use super::{AttemptRecorder, FinishedCall};
use crate::engine::blocking::blocking;
use crate::engine::paths::create_private_dir;
use crate::model::error::{Failure, Result};
use crate::model::event::ToolOutcome;
use crate::model::hash::ContentHash;
use crate::model::id::TurnId;
use crate::model::time::Timestamp;
use crate::store::failpoint::Step;

impl AttemptRecorder {
    /// Writes the audit lines of a turn. They come before the database says that the tools ran, so
    /// that no recorded call lacks its line; after a crash a line may stand twice.
    pub(super) async fn audit(&self, turn: TurnId, done: &[FinishedCall]) -> Result<()> {
        let mut lines = String::new();
        let told = self
            .told
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for tool in done
            .iter()
            .filter(|tool| !told.contains(&(turn, tool.call_id.clone())))
        {
            let line = AuditLine {
                at: Timestamp::now(),
                turn,
                phase: self.phase_key.as_str(),
                tool: &tool.tool,
                target: &self.redactor.apply(&tool.target),
                outcome: if tool.denied.is_some() {
                    "denied"
                } else {
                    outcome_word(tool.outcome)
                },
                result_sha256: ContentHash::from_bytes(tool.result.as_bytes()),
                result_bytes: tool.result.len(),
                duration_ms: tool.duration_ms,
            };
            lines.push_str(&serde_json::to_string(&line).map_err(Failure::internal)?);
            lines.push('\n');
        }
        let (dir, file) = (self.paths.audit(), format!("{}.jsonl", self.run_id));
        blocking(move || append_private(&dir, &file, &lines)).await
    }
}

#[derive(Serialize)]
struct AuditLine<'a> {
    at: Timestamp,
    turn: TurnId,
    phase: &'a str,
    tool: &'a str,
    target: &'a str,
    outcome: &'a str,
    result_sha256: ContentHash,
    result_bytes: usize,
    duration_ms: u64,
}

fn outcome_word(outcome: ToolOutcome) -> &'static str {
    match outcome {
        ToolOutcome::Ok => "ok",
        ToolOutcome::Error => "error",
        ToolOutcome::Unknown => "unknown",
    }
}

fn append_private(dir: &std::path::Path, file: &str, lines: &str) -> Result<()> {
    use std::io::Write as _;
    create_private_dir(dir)?;
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let path = dir.join(file);
    let written = Step::Audit.around(|| {
        options
            .open(&path)
            .and_then(|mut out| out.write_all(lines.as_bytes()))
    });
    written
        .map_err(|error| Failure::io(format!("cannot write the audit {}", path.display()), &error))
}
