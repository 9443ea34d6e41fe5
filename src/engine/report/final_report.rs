//! Writes the final report of a run that has ended, from its rows alone, and records its path.
//!
//! Called at the end of a run, and at startup for reports that a crash prevented; both write the
//! same bytes.

use std::path::Path;

use crate::engine::blocking::blocking;
use crate::engine::report;
use crate::engine::report::RunsReport;
use crate::engine::run::context::EngineContext;
use crate::model::error::Result;
use crate::model::id::RunId;
use crate::store::journal::events;
use crate::store::tables::{approvals, artifacts, ledger, run_definitions, runs};
use rusqlite::Connection;

/// Number of events at the end of the report.
const LAST_EVENTS: u32 = 20;

/// Builds the report of a run from its current rows.
///
/// # Errors
/// Errors of reading the rows.
pub fn build(conn: &Connection, run_id: RunId) -> Result<RunsReport> {
    let run = runs::get(conn, run_id)?;
    let bindings: Vec<_> = run_definitions::personas(conn, run_id)
        .unwrap_or_default()
        .into_iter()
        .map(|(binding, _)| binding)
        .collect();
    Ok(RunsReport::build(
        &run,
        &events::state(conn, run_id)?,
        run_definitions::workflow(conn, run_id).ok().as_ref(),
        &bindings,
        &artifacts::of_run(conn, run_id)?,
        &approvals::of_run(conn, run_id)?,
        &ledger::of_run(conn, run_id)?,
        &events::before(conn, run_id, run.last_seq + 1, LAST_EVENTS)?,
    ))
}

/// Writes the report and records its path in the run's row. A failed write does not affect the end
/// of the run: the next start writes the report.
pub async fn write_and_record(context: &EngineContext, run_id: RunId) {
    let folder = context.paths.reports();
    let written = match context.journal.read(move |conn| build(conn, run_id)).await {
        Ok(report) => blocking(move || report::write(&folder, run_id, &report)).await,
        Err(failure) => Err(failure),
    };
    // The path is recorded after the file is written: a crash in between writes the same report
    // again.
    let noted = match written {
        Ok(path) => {
            context
                .journal
                .store
                .write(move |tx| runs::set_report(tx, run_id, &text(&path)))
                .await
        }
        Err(failure) => Err(failure),
    };
    if let Err(failure) = noted {
        tracing::error!(run = %run_id, %failure, "could not write the final report");
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
