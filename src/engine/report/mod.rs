//! The final report of a run, built from rows alone.
//!
//! [`Report::build`] is pure: the same rows give the same report, at the end of the run and at any
//! later start-up that finds it missing. [`write()`] puts it on disk as `<run>.report.json`, checked by
//! the schema that ships, and as `<run>.report.md` for people. Who reads the rows, and who notes the
//! path on the run, is the caller.

pub mod final_report;

pub use self::file::write;
pub use self::html::{HeadingList, render_html};
pub use self::markdown::render_markdown;
pub use self::shape::{
    AbortReport, ArtifactReport, CostReport, CostTotals, DecisionReport, ErrorReport, EventReport,
    PhaseReport, RunReport, RunsReport, SeatReport, UnresolvedKind, UnresolvedReport,
};
use crate::model::error::{Failure, Result};
use crate::model::safe_text::safe_json;

mod build;
mod costs;
mod file;
mod html;
mod markdown;
mod shape;
#[cfg(test)]
mod tests;

/// The JSON Schema of a report, as it ships.
pub const SCHEMA: &str = include_str!("../../../schemas/output/report.schema.json");

/// The report as JSON text, as it is stored: indented, with a newline at its end, and without a
/// character that could mislead who prints it.
///
/// # Errors
/// `internal` when the JSON library refuses.
pub fn to_json(report: &RunsReport) -> Result<String> {
    let text = serde_json::to_string_pretty(report).map_err(Failure::internal)?;
    Ok(safe_json(&text) + "\n")
}
