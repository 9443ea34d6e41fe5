//! Export and import of a run as one file, including its history.
//!
//! The file has one JSON object per line: a header, the rows, the contents by hash, and a trailer
//! with the count and hash of all lines before it, which detects truncation. An imported run is
//! always finished: the import aborts an unfinished one in its journal and records the reason, so
//! that no host executes it.

use std::collections::BTreeSet;
use std::io::{BufRead, Write};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::redacted::without_words;
use crate::engine::artifact::contents::WorktreeContents;
use crate::engine::host::write_alongside_host;
use crate::engine::paths::InstallPaths;
use crate::model::error::{Code, Failure, Result};
use crate::model::event::RunFact;
use crate::model::hash::ContentHash;
use crate::model::id::RunId;
use crate::model::state::{RunStatus, Via};
use crate::model::time::Timestamp;
use crate::store::tables::runs;
use crate::store::tables::transfer;
use crate::store::tables::transfer::TransferRow;
use crate::store::{Reader, journal};

mod redacted;

/// Version of the file format.
const VERSION: u32 = 1;

/// One line of the file.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Line")]
pub enum TransferLine {
    /// What the file is: the first line.
    PhasedeckExport {
        /// The version of the file's shape.
        version: u32,
        /// The program that wrote it, with its version.
        program: String,
        /// Which run it holds.
        run_id: RunId,
        /// When it was written.
        exported_at: Timestamp,
        /// Whether the words of people, agents and files were left out.
        redacted: bool,
    },
    /// A row of a table, as `docs/database.md` explains it.
    Row {
        /// Which table.
        table: String,
        /// The row by its columns' names.
        values: TransferRow,
    },
    /// A content that is text.
    Text {
        /// SHA-256 of the content.
        sha256: ContentHash,
        /// The content.
        text: String,
    },
    /// A content that is no text.
    Bytes {
        /// SHA-256 of the content.
        sha256: ContentHash,
        /// The content in hex.
        hex: String,
    },
    /// How the file ends: one that was cut is noticed.
    End {
        /// How many lines come before this one.
        lines: u64,
        /// SHA-256 of all of them, each with its line break.
        sha256: ContentHash,
    },
}

/// Result of an import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Imported")]
pub struct ImportSummary {
    pub run_id: RunId,
    /// Number of events.
    pub events: u64,
    /// Number of contents.
    pub contents: u64,
    /// Whether the text of people, agents and files was omitted.
    pub redacted: bool,
    /// Status before the import, if the run was unfinished.
    pub aborted_from: Option<String>,
}

/// Exports a run with all its data.
///
/// # Errors
/// `run_not_found`; `db_corrupt` for a missing content; `io_failed` if writing fails.
pub fn export(paths: &InstallPaths, run: RunId, redact: bool, out: &mut dyn Write) -> Result<()> {
    let reader = Reader::open(&paths.database())?;
    runs::get(reader.connection(), run)?;
    let mut file = LineReader {
        out,
        hash: Sha256::new(),
        count: 0,
    };
    let program = env!("CARGO_PKG_VERSION").to_owned();
    file.line(&TransferLine::PhasedeckExport {
        version: VERSION,
        program,
        run_id: run,
        exported_at: Timestamp::now(),
        redacted: redact,
    })?;
    let mut wanted = BTreeSet::new();
    transfer::rows(reader.connection(), run, |table, mut values| {
        if redact && !without_words(table, &mut values) {
            return Ok(());
        }
        if table == "events" {
            wanted.extend(hashes_in(&values));
        }
        file.line(&TransferLine::Row {
            table: table.to_owned(),
            values,
        })
    })?;
    let contents = WorktreeContents::new(paths.contents());
    for sha256 in wanted.into_iter().filter(|_| !redact) {
        // Prompts that contained a secret were never stored; every stored content must be complete.
        let Some(bytes) = contents.find(reader.connection(), &sha256)? else {
            continue;
        };
        file.line(&match String::from_utf8(bytes) {
            Ok(text) => TransferLine::Text { sha256, text },
            Err(error) => TransferLine::Bytes {
                sha256,
                hex: hex::encode(error.into_bytes()),
            },
        })?;
    }
    let sha256 = ContentHash(hex::encode(file.hash.clone().finalize()));
    let end = TransferLine::End {
        lines: file.count,
        sha256,
    };
    file.line(&end)
}

/// Imports a run from a file. It is never executed here.
///
/// # Errors
/// `usage_invalid` for an invalid line (with its number), a truncated file, an existing run, or a
/// newer format. Nothing is stored then except large contents, which are unreferenced.
pub fn import(paths: &InstallPaths, file: &mut dyn BufRead, by: &str) -> Result<ImportSummary> {
    let read = ParsedTransfer::whole(file)?;
    let contents = WorktreeContents::new(paths.contents());
    paths.create()?;
    let mut kept = Vec::new();
    for (sha256, bytes) in &read.contents {
        let content = contents.take(bytes)?;
        if content.sha256() != sha256 {
            return Err(wrong(format!(
                "the content {} is not what its hash says",
                sha256.short()
            )));
        }
        kept.push(content);
    }
    let (run, rows, by) = (read.run_id, read.rows, by.to_owned());
    let aborted_from = rows
        .iter()
        .find(|(table, _)| table == "runs")
        .and_then(|(_, row)| row["state"].as_str().map(str::to_owned));
    let aborted_from = aborted_from
        .filter(|state| RunStatus::parse(state).is_none_or(|state| !state.is_terminal()));
    let events = rows.iter().filter(|(table, _)| table == "events").count() as u64;
    let end = aborted_from.clone();
    write_alongside_host(paths, move |tx| {
        kept.iter().try_for_each(|content| content.store(tx))?;
        transfer::insert_rows(tx, run, &rows)?;
        if let Some(state) = end {
            let reason = format!("imported to be read; it stood at {state} where it came from");
            journal::append(
                tx,
                run,
                &[RunFact::RunAborted {
                    by,
                    via: Via::Cli,
                    reason,
                }],
                Timestamp::now(),
            )?;
        }
        Ok(())
    })?;
    Ok(ImportSummary {
        run_id: run,
        events,
        contents: read.contents.len() as u64,
        redacted: read.redacted,
        aborted_from,
    })
}

/// Returns the hashes that an event refers to.
fn hashes_in(event: &TransferRow) -> Vec<ContentHash> {
    let payload = event
        .get("payload")
        .and_then(|payload| payload.as_str())
        .unwrap_or_default();
    let payload: serde_json::Value = serde_json::from_str(payload).unwrap_or_default();
    let named = ["sha256", "artifact_sha256", "expected", "found"];
    let found = named.iter().filter_map(|name| payload[name].as_str());
    found
        .filter(|text| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()))
        .map(|text| ContentHash(text.to_owned()))
        .collect()
}

struct LineReader<'a> {
    out: &'a mut dyn Write,
    hash: Sha256,
    count: u64,
}

impl LineReader<'_> {
    fn line(&mut self, line: &TransferLine) -> Result<()> {
        let text = serde_json::to_string(line).map_err(Failure::internal)? + "\n";
        self.hash.update(text.as_bytes());
        self.count += 1;
        self.out
            .write_all(text.as_bytes())
            .map_err(|e| Failure::io("cannot write the export", &e))
    }
}

/// Parses a whole file and verifies it against its trailer.
struct ParsedTransfer {
    run_id: RunId,
    redacted: bool,
    rows: Vec<(String, TransferRow)>,
    contents: Vec<(ContentHash, Vec<u8>)>,
}

impl ParsedTransfer {
    fn whole(file: &mut dyn BufRead) -> Result<Self> {
        let (mut hash, mut count, mut text) = (Sha256::new(), 0u64, String::new());
        let mut read: Option<Self> = None;
        loop {
            text.clear();
            let length = file
                .read_line(&mut text)
                .map_err(|e| Failure::io("cannot read the file", &e))?;
            if length == 0 {
                return Err(wrong("the file was cut: it has no end".to_owned()));
            }
            let line: TransferLine = serde_json::from_str(&text)
                .map_err(|e| wrong(format!("line {}: {e}", count + 1)))?;
            let so_far = ContentHash(hex::encode(hash.clone().finalize()));
            match (line, &mut read) {
                (
                    TransferLine::PhasedeckExport {
                        version,
                        run_id,
                        redacted,
                        program,
                        ..
                    },
                    None,
                ) => {
                    if version > VERSION {
                        let words = format!(
                            "the file is of shape {version}, written by phasedeck {program}; this one knows up to {VERSION}"
                        );
                        return Err(Failure::new(Code::UsageInvalid, words)
                            .hint("import it with a newer phasedeck"));
                    }
                    read = Some(Self {
                        run_id,
                        redacted,
                        rows: Vec::new(),
                        contents: Vec::new(),
                    });
                }
                (_, None) => return Err(wrong("the file is no export of phasedeck".to_owned())),
                (TransferLine::PhasedeckExport { .. }, Some(_)) => {
                    return Err(wrong(format!("line {}: a second head", count + 1)));
                }
                (TransferLine::Row { table, values }, Some(read)) => {
                    read.rows.push((table, values))
                }
                (TransferLine::Text { sha256, text }, Some(read)) => {
                    read.contents.push((sha256, text.into_bytes()))
                }
                (TransferLine::Bytes { sha256, hex }, Some(read)) => {
                    let bytes =
                        hex::decode(hex).map_err(|e| wrong(format!("line {}: {e}", count + 1)))?;
                    read.contents.push((sha256, bytes));
                }
                (TransferLine::End { lines, sha256 }, Some(_)) => {
                    if lines != count || sha256 != so_far {
                        return Err(wrong("the file is not what was exported: its end does not fit the lines before it".to_owned()));
                    }
                    return read.ok_or_else(|| wrong("the file is empty".to_owned()));
                }
            }
            hash.update(text.as_bytes());
            count += 1;
        }
    }
}

fn wrong(what: String) -> Failure {
    Failure::new(Code::UsageInvalid, what).hint("export the run again: phasedeck export RUN")
}
