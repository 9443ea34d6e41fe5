//! Puts a report on disk: whole or not at all, and only when it is what its schema says.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::Value;

use super::{RunsReport, SCHEMA, render_markdown, to_json};
use crate::engine::paths::create_private_dir;
use crate::model::error::{Failure, Result};
use crate::model::id::RunId;
use crate::store::failpoint::Step;

/// Writes `<run>.report.json` and `<run>.report.md` into `dir`, each whole or not at all, readable by
/// their owner alone. Returns the path without extension: `dir/<run>.report`. Writing the same report
/// again leaves the same bytes.
///
/// # Errors
/// `internal` when the report does not fit the schema that ships, and nothing is written then;
/// `io_failed` or `disk_full` naming the file.
pub fn write(dir: &Path, run_id: RunId, report: &RunsReport) -> Result<PathBuf> {
    let json = to_json(report)?;
    check(&json)?;
    create_private_dir(dir)?;
    replace(dir, &format!("{run_id}.report.json"), &json)?;
    replace(
        dir,
        &format!("{run_id}.report.md"),
        &render_markdown(report),
    )?;
    Ok(dir.join(format!("{run_id}.report")))
}

/// Holds the text against the schema, so that who reads the file may rely on it.
pub(super) fn check(json: &str) -> Result<()> {
    /// Compiled once: it takes longer than all that is done with it for one report.
    static JUDGE: OnceLock<Validator> = OnceLock::new();
    let report: Value = serde_json::from_str(json).map_err(Failure::internal)?;
    let judge = match JUDGE.get() {
        Some(judge) => judge,
        None => {
            let schema: Value = serde_json::from_str(SCHEMA).map_err(Failure::internal)?;
            let judge = jsonschema::options()
                .offline()
                .build(&schema)
                .map_err(Failure::internal)?;
            JUDGE.get_or_init(|| judge)
        }
    };
    judge.validate(&report).map_err(|error| {
        Failure::internal(format!(
            "the report is not valid at {}: {error}",
            error.instance_path()
        ))
    })
}

fn replace(dir: &Path, name: &str, text: &str) -> Result<()> {
    let path = dir.join(name);
    let io = |error: &std::io::Error| {
        Failure::io(format!("cannot write the report {}", path.display()), error)
    };
    // A temporary file is made for its owner alone, and stays so when it is renamed.
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(|e| io(&e))?;
    file.write_all(text.as_bytes()).map_err(|e| io(&e))?;
    Step::ReportWritten
        .around(|| file.as_file().sync_all())
        .map_err(|e| io(&e))?;
    Step::ReportRenamed
        .around(|| file.persist(&path))
        .map_err(|e| io(&e.error))?;
    Step::ReportFolder
        .around(|| std::fs::File::open(dir).and_then(|dir| dir.sync_all()))
        .map_err(|e| io(&e))
}
