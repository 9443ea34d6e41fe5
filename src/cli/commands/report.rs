//! `phasedeck report`: prints the final report of a finished run, or the current state of an
//! unfinished one.

use crate::cli::args;
use crate::cli::context::CommandContext;
use crate::cli::exit::ExitStatus;
use crate::cli::output::streams::CommandOutcome;
use crate::engine::api::RunArchive;
use crate::engine::report::{render_html, render_markdown, to_json};
use crate::model::error::{Failure, Result};
use crate::model::id::RunId;
use crate::model::safe_text::{safe_block, safe_json};
use std::path::PathBuf;

/// The largest artifact that is shown on a page, in bytes.
const MOST_ON_A_PAGE: u64 = 256 * 1024;

/// Prints the report of a run.
///
/// # Errors
/// `run_not_found`; `io_failed` when a final report cannot be read.
pub fn report(setup: &CommandContext, args: &args::ReportArgs) -> CommandOutcome {
    let (archive, run) = setup.find(&args.run)?;
    if args.html {
        setup.out.print(&page(&archive, run)?)?;
        return Ok(ExitStatus::Done);
    }
    let text = match stored(&archive, run, if args.json { "json" } else { "md" })? {
        Some(text) => text,
        None => made_now(&archive, run, args.json)?,
    };
    let text = if args.json {
        safe_json(&text)
    } else {
        safe_block(&text)
    };
    setup.out.print(text.trim_end())?;
    setup.out.print("\n")?;
    Ok(ExitStatus::Done)
}

/// The file written at the end of the run, where there is one.
fn stored(archive: &RunArchive, run: RunId, extension: &str) -> Result<Option<String>> {
    let Some(path) = archive.run(run)?.report_path else {
        return Ok(None);
    };
    let path = PathBuf::from(format!("{path}.{extension}"));
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Failure::io(
            format!("cannot read the report {}", path.display()),
            &e,
        )),
    }
}

/// The page, with the text of every artifact that is not too large for one.
fn page(archive: &RunArchive, run: RunId) -> Result<String> {
    let small = archive
        .artifacts(run)?
        .into_iter()
        .filter(|artifact| artifact.bytes <= MOST_ON_A_PAGE);
    let contents: Vec<(String, u32, String)> = small
        .filter_map(|artifact| {
            let bytes = archive.content(&artifact.sha256).ok()?;
            Some((
                artifact.phase_key.to_string(),
                artifact.version,
                String::from_utf8(bytes).ok()?,
            ))
        })
        .collect();
    Ok(render_html(&archive.report(run)?, &contents))
}

/// The same from rows, for a run that goes on or whose file was removed.
fn made_now(archive: &RunArchive, run: RunId, json: bool) -> Result<String> {
    let report = archive.report(run)?;
    if json {
        to_json(&report)
    } else {
        Ok(render_markdown(&report))
    }
}
