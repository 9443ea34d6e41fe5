//! Writes the final report of a run that has ended, from its rows alone, and notes where it lies.
//!
//! Called at the end of a run, and at start-up for ends whose report a crash prevented; both give the
//! same bytes.

use std::path::Path;

use rusqlite::Connection;

use super::blocking::blocking;
use super::context::Context;
use super::report::{self, Report};
use crate::model::error::Result;
use crate::model::id::RunId;
use crate::store::{approvals, artifacts, events, frozen, ledger, runs};

/// How many of the last events the report shows.
const LAST_EVENTS: u32 = 20;

/// The report of a run as its rows say it now.
///
/// # Errors
/// What reading the rows says.
pub fn build(conn: &Connection, run_id: RunId) -> Result<Report> {
    let run = runs::get(conn, run_id)?;
    let bindings: Vec<_> = frozen::personas(conn, run_id)
        .unwrap_or_default()
        .into_iter()
        .map(|(binding, _)| binding)
        .collect();
    Ok(Report::build(
        &run,
        &events::state(conn, run_id)?,
        frozen::workflow(conn, run_id).ok().as_ref(),
        &bindings,
        &artifacts::of_run(conn, run_id)?,
        &approvals::of_run(conn, run_id)?,
        &ledger::of_run(conn, run_id)?,
        &events::before(conn, run_id, run.last_seq + 1, LAST_EVENTS)?,
    ))
}

/// Writes the report and notes on the run where it lies. A report that cannot be written is no reason to
/// lose the end of a run: the next start writes it.
pub async fn write_and_note(context: &Context, run_id: RunId) {
    let folder = context.paths.reports();
    let written = match context.journal.read(move |conn| build(conn, run_id)).await {
        Ok(report) => blocking(move || report::write(&folder, run_id, &report)).await,
        Err(failure) => Err(failure),
    };
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
