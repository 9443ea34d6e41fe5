//! Verifies stored data: what was checked, what is wrong, and what cannot be proven.
//!
//! Verification only reads, beside a running host too, one run at a time, so it blocks no one. A
//! run that is active meanwhile may be reported as of a moment ago; if a problem is found in a run
//! that has changed since, the run is checked again.

use std::collections::BTreeSet;

use crate::engine::artifact::contents::WorktreeContents;
use crate::engine::host::integrity_checkpoint;
use crate::engine::paths::InstallPaths;
use crate::engine::workspace::worktree::GitRepository;
use crate::model::error::Result;
use crate::model::hash::ContentHash;
use crate::model::id::RunId;
use crate::model::record::RunRecord;
use crate::store::Reader;
use crate::store::journal::audit;
use crate::store::journal::audit::AuditMirror;
use crate::store::journal::chain;
use crate::store::tables::{artifacts, phases, run_list, runs};
use schemars::JsonSchema;
use serde::Serialize;

/// Maximum number of checks of a run that changes while it is checked.
const MAX_CHECKS: usize = 3;

/// What no check can prove, whatever its result.
const NOT_PROVEN: &[&str] = &[
    "that no one with write access rewrote everything, the integrity checkpoint included: compare the heads with copies kept elsewhere",
    "what was stored in the last second before a crash: the checkpoint may lag behind the database by that much",
    "that a provider billed what the ledger says: compare with its invoice",
    "that what an operator approved is correct",
];

/// Result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Check")]
pub struct IntegrityCheck {
    /// Name of the check.
    pub name: &'static str,
    /// Description of the data checked.
    pub looked_at: String,
    /// Problems found; empty if there are none.
    pub problems: Vec<String>,
}

/// Results for one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "RunVerdict")]
pub struct RunVerification {
    /// The run.
    pub run_id: RunId,
    /// The last link of its hash chain, to be recorded elsewhere.
    pub head: Option<chain::ChainHash>,
    /// The checks made.
    pub checks: Vec<IntegrityCheck>,
    /// Descriptions of data that could not be checked.
    pub unchecked: Vec<String>,
}

/// Result of a verification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Verdict")]
pub struct VerifyReport {
    /// Whether no problem was found.
    pub sound: bool,
    /// Checks of the database as a whole.
    pub database: Vec<IntegrityCheck>,
    /// Results for each run.
    pub runs: Vec<RunVerification>,
    /// What no check can prove.
    pub not_proven: Vec<&'static str>,
}

impl VerifyReport {
    /// Returns the result for an installation without a database.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            sound: true,
            database: Vec::new(),
            runs: Vec::new(),
            not_proven: NOT_PROVEN.to_vec(),
        }
    }
}

/// Verifies one run, or all runs and the database as a whole.
///
/// # Errors
/// `run_not_found`; errors of opening the database. Problems in the data are results, not errors.
pub async fn verify(paths: &InstallPaths, run: Option<RunId>) -> Result<VerifyReport> {
    let reader = Reader::open(&paths.database())?;
    let records = match run {
        Some(run) => vec![runs::get(reader.connection(), run)?],
        None => run_list::list(reader.connection(), &[], None, None)?,
    };
    let mut database = vec![check_checkpoint(paths, &reader)?];
    if run.is_none() {
        database.push(IntegrityCheck {
            name: "file",
            looked_at: "all pages and foreign keys".to_owned(),
            problems: audit::file(reader.connection())?,
        });
    }
    let mirror = AuditMirror::new()?;
    let contents = WorktreeContents::new(paths.contents());
    let mut verdicts = Vec::new();
    for record in records {
        verdicts.push(verify_run(&reader, &mirror, &contents, &record).await?);
    }
    let sound = database
        .iter()
        .chain(verdicts.iter().flat_map(|run| &run.checks))
        .all(|check| check.problems.is_empty());
    Ok(VerifyReport {
        sound,
        database,
        runs: verdicts,
        ..VerifyReport::empty()
    })
}

fn check_checkpoint(paths: &InstallPaths, reader: &Reader) -> Result<IntegrityCheck> {
    let mut problems: Vec<String> = integrity_checkpoint::mismatched_checkpoints(paths)?
        .into_iter()
        .map(|old| {
            format!(
                "the database was once older than its checkpoint; the earlier checkpoint is in {}",
                old.display()
            )
        })
        .collect();
    let looked_at = match integrity_checkpoint::read(paths) {
        Ok(Some(anchor)) => {
            problems.extend(integrity_checkpoint::missing_events(reader, &anchor)?);
            format!(
                "the ends of {} journals, recorded at {}",
                anchor.ends.len(),
                anchor.at
            )
        }
        Ok(None) => "no checkpoint: there is no record outside the database".to_owned(),
        Err(failure) => {
            problems.push(failure.message);
            "a checkpoint that cannot be read".to_owned()
        }
    };
    Ok(IntegrityCheck {
        name: "anchor",
        looked_at,
        problems,
    })
}

/// Checks a run, repeatedly while it is active: rows read before and after a commit may disagree,
/// and a problem that disappears is none.
async fn verify_run(
    reader: &Reader,
    mirror: &AuditMirror,
    contents: &WorktreeContents,
    record: &RunRecord,
) -> Result<RunVerification> {
    let mut verdict = check_run(reader, mirror, contents, record).await?;
    for _ in 1..MAX_CHECKS {
        let moved = runs::get(reader.connection(), record.id)?.last_seq != record.last_seq;
        if verdict.checks.iter().all(|check| check.problems.is_empty()) || !moved {
            break;
        }
        verdict = check_run(reader, mirror, contents, record).await?;
    }
    Ok(verdict)
}

async fn check_run(
    reader: &Reader,
    mirror: &AuditMirror,
    contents: &WorktreeContents,
    record: &RunRecord,
) -> Result<RunVerification> {
    let conn = reader.connection();
    let run = record.id;
    let walk = chain::walk(conn, run)?;
    let mut unchecked = Vec::new();
    if walk.unchained > 0 {
        unchecked.push(format!(
            "events 1 to {} were stored before the hash chain existed",
            walk.unchained
        ));
    }
    // A journal that cannot be replayed is reported as a problem, not as an error.
    let rows = mirror
        .differences(conn, run)
        .unwrap_or_else(|failure| vec![failure.message]);
    let totals = audit::totals(conn, run)?;
    if totals.open > 0 {
        unchecked.push(format!(
            "{} calls are open: sent and not yet settled",
            totals.open
        ));
    }
    let mut checks = vec![
        IntegrityCheck {
            name: "chain",
            looked_at: format!("{} events", walk.events),
            problems: walk.problems,
        },
        IntegrityCheck {
            name: "rows",
            looked_at: "all rows, compared with the journal".to_owned(),
            problems: rows,
        },
        IntegrityCheck {
            name: "totals",
            looked_at: format!("{} calls in the ledger", totals.calls),
            problems: totals.problems,
        },
        check_contents(reader, contents, run)?,
    ];
    checks.extend(check_commits(reader, record, &mut unchecked).await?);
    Ok(RunVerification {
        run_id: run,
        head: walk.head,
        checks,
        unchecked,
    })
}

fn check_contents(
    reader: &Reader,
    contents: &WorktreeContents,
    run: RunId,
) -> Result<IntegrityCheck> {
    let hashes: BTreeSet<ContentHash> = artifacts::of_run(reader.connection(), run)?
        .into_iter()
        .map(|artifact| artifact.sha256)
        .collect();
    let problems = hashes
        .iter()
        .filter_map(|hash| {
            contents
                .get(reader.connection(), hash)
                .err()
                .map(|failure| failure.message)
        })
        .collect();
    Ok(IntegrityCheck {
        name: "contents",
        looked_at: format!("{} artifact contents, hashed", hashes.len()),
        problems,
    })
}

/// Compares each artifact with the version in the commit of its phase.
async fn check_commits(
    reader: &Reader,
    record: &RunRecord,
    unchecked: &mut Vec<String>,
) -> Result<Option<IntegrityCheck>> {
    let committed: Vec<_> = phases::of_run(reader.connection(), record.id)?
        .into_iter()
        .filter_map(|phase| {
            Some((
                phase.phase_key,
                phase.commit?,
                phase.artifact_path?,
                phase.artifact_sha256?,
            ))
        })
        .collect();
    let (Some(dir), false) = (&record.repo, committed.is_empty()) else {
        return Ok(None);
    };
    let repo = match GitRepository::discover(std::path::Path::new(dir)).await {
        Ok(Some(repo)) => repo,
        _ => {
            unchecked.push(format!(
                "{} commits: the repository {dir} does not exist",
                committed.len()
            ));
            return Ok(None);
        }
    };
    let mut problems = Vec::new();
    for (phase, commit, path, hash) in &committed {
        match repo.committed(commit, path).await? {
            Some(bytes) if ContentHash::from_bytes(&bytes) == *hash => {}
            Some(_) => problems.push(format!(
                "commit {commit} of phase {phase} contains a different {path} than the approved one"
            )),
            None => problems.push(format!(
                "commit {commit} of phase {phase} is missing or has no {path}"
            )),
        }
    }
    Ok(Some(IntegrityCheck {
        name: "commits",
        looked_at: format!("{} commits", committed.len()),
        problems,
    }))
}
