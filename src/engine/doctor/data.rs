//! What is stored: the database, who hosts it, and the files that runs begin from.

use std::os::unix::fs::PermissionsExt;

use super::{Findings, Patient, size};
use crate::engine::anchor;
use crate::engine::catalog::{Catalog, CatalogDirs};
use crate::engine::host::live_host;
use crate::store::{Reader, run_page};

pub(super) fn database(patient: &Patient, found: &mut Findings) {
    let path = patient.paths.database();
    let Ok(file) = path.metadata() else {
        return found.ok(
            "file",
            format!("{} is made with the first run", path.display()),
        );
    };
    found.ok("file", format!("{} ({})", path.display(), size(file.len())));
    let mode = file.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        found.warn(
            "rights",
            format!("others may read it (mode {mode:o})"),
            format!("chmod 600 {}", path.display()),
        );
    }
    let reader = match Reader::open(&path) {
        Ok(reader) => reader,
        Err(failure) => return found.failure("opens", &failure),
    };
    let sound: rusqlite::Result<String> =
        reader
            .connection()
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    match sound {
        Ok(word) if word == "ok" => found.ok("sound", "every page reads"),
        Ok(word) => found.fail("sound", word, "put the file back from a backup"),
        Err(error) => found.fail(
            "sound",
            error.to_string(),
            "put the file back from a backup",
        ),
    }
    aside(patient, found);
    match run_page::page(reader.connection(), &run_page::PageAsk::default()) {
        Ok(page) => found.ok(
            "runs",
            format!(
                "{} in all, {} stopped before their end",
                page.counts.total, page.counts.paused
            ),
        ),
        Err(failure) => found.failure("runs", &failure),
    }
}

/// Anchors that did not fit: the database was put back from a copy, or lost its log.
fn aside(patient: &Patient, found: &mut Findings) {
    match anchor::kept_aside(&patient.paths) {
        Ok(kept) if kept.is_empty() => {
            found.ok("history", "goes on from where the last host left it")
        }
        Ok(kept) => {
            for file in kept {
                let words = format!(
                    "the database was once older than {} says: later history was lost",
                    file.display()
                );
                found.warn(
                    "history",
                    words,
                    "`phasedeck verify` says what fits; remove the file once you know why",
                );
            }
        }
        Err(failure) => found.failure("history", &failure),
    }
}

pub(super) fn host(patient: &Patient, found: &mut Findings) {
    match live_host(&patient.paths) {
        Ok(Some(host)) => found.ok(
            "process",
            format!(
                "process {} works on the runs of this data, since {}",
                host.pid, host.since
            ),
        ),
        Ok(None) => found.ok("process", "none; the next phasedeck becomes it"),
        Err(failure) => found.failure("process", &failure),
    }
}

pub(super) fn registry(patient: &Patient, found: &mut Findings) {
    let catalog = Catalog::load(&CatalogDirs::beneath(&patient.paths.config));
    let (workflows, personas, schemas) = (
        catalog.workflows.len(),
        catalog.personas.len(),
        catalog.schemas.len(),
    );
    found.ok(
        "files",
        format!("{workflows} workflows, {personas} personas, {schemas} artifact schemas"),
    );
    for problem in &catalog.problems {
        let place = problem
            .place
            .as_ref()
            .map(|place| format!("{place}: "))
            .unwrap_or_default();
        found.warn(
            "left out",
            format!("{place}{}", problem.message),
            problem.hint.clone(),
        );
    }
}
