//! Checks of stored data: the database, its host, and the catalog files.

use std::os::unix::fs::PermissionsExt;

use super::{CheckEnvironment, CheckFindings, size};
use crate::engine::catalog::{Catalog, CatalogDirs};
use crate::engine::host::integrity_checkpoint;
use crate::engine::host::live_host;
use crate::store::Reader;
use crate::store::tables::run_page;

pub(super) fn database(patient: &CheckEnvironment, found: &mut CheckFindings) {
    let path = patient.paths.database();
    let Ok(file) = path.metadata() else {
        return found.ok(
            "file",
            format!("{} is created with the first run", path.display()),
        );
    };
    found.ok("file", format!("{} ({})", path.display(), size(file.len())));
    let mode = file.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        found.warn(
            "permissions",
            format!("other users may read it (mode {mode:o})"),
            format!("chmod 600 {}", path.display()),
        );
    }
    let reader = match Reader::open(&path) {
        Ok(reader) => reader,
        Err(failure) => return found.failure("open", &failure),
    };
    let sound: rusqlite::Result<String> =
        reader
            .connection()
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    match sound {
        Ok(word) if word == "ok" => found.ok("integrity", "all pages are readable"),
        Ok(word) => found.fail("integrity", word, "restore the file from a backup"),
        Err(error) => found.fail(
            "integrity",
            error.to_string(),
            "restore the file from a backup",
        ),
    }
    mismatched_checkpoints(patient, found);
    match run_page::page(reader.connection(), &run_page::RunPageQuery::default()) {
        Ok(page) => found.ok(
            "runs",
            format!(
                "{} in total, {} paused",
                page.counts.total, page.counts.paused
            ),
        ),
        Err(failure) => found.failure("runs", &failure),
    }
}

/// Reports checkpoints that did not match: the database was restored from a copy or lost its log.
fn mismatched_checkpoints(patient: &CheckEnvironment, found: &mut CheckFindings) {
    match integrity_checkpoint::mismatched_checkpoints(&patient.paths) {
        Ok(kept) if kept.is_empty() => {
            found.ok("history", "journal continuous since the last host")
        }
        Ok(kept) => {
            for file in kept {
                let message = format!(
                    "the database was once older than {}: later history was lost",
                    file.display()
                );
                found.warn(
                    "history",
                    message,
                    "`phasedeck verify` shows what matches; remove the file once the cause is known",
                );
            }
        }
        Err(failure) => found.failure("history", &failure),
    }
}

pub(super) fn host(patient: &CheckEnvironment, found: &mut CheckFindings) {
    match live_host(&patient.paths) {
        Ok(Some(host)) => found.ok(
            "process",
            format!(
                "process {} hosts this data directory, since {}",
                host.pid, host.since
            ),
        ),
        Ok(None) => found.ok(
            "process",
            "none; the next phasedeck process becomes the host",
        ),
        Err(failure) => found.failure("process", &failure),
    }
}

pub(super) fn registry(patient: &CheckEnvironment, found: &mut CheckFindings) {
    let catalog = Catalog::load(&CatalogDirs::beneath(&patient.paths.config));
    let workflows = catalog.workflows.len();
    let personas = catalog.personas.len();
    let schemas = catalog.schemas.len();
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
            "ignored",
            format!("{place}{}", problem.message),
            problem.hint.clone(),
        );
    }
}
