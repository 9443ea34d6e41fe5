//! Says how far what is stored can be trusted: what was checked, what is wrong, and what cannot be proven.
//!
//! Reads only, beside a live host too, and a run at a time, so that nothing is kept from anybody. A run
//! that works while it is verified may be told as it was a moment ago; each run is looked at again
//! when something seems wrong and it has moved meanwhile.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::anchor;
use super::artifact::contents::Contents;
use super::paths::Paths;
use super::worktree::Repo;
use crate::model::error::Result;
use crate::model::hash::ContentHash;
use crate::model::id::RunId;
use crate::model::record::RunRecord;
use crate::store::audit::{self, Mirror};
use crate::store::{Reader, artifacts, chain, phases, run_list, runs};

/// How often a run that moves while it is looked at is looked at again.
const LOOKS: usize = 3;

/// What never follows from a check, whatever it says.
const NOT_PROVEN: &[&str] = &[
    "that nobody with write access rewrote everything, the anchor included: compare the heads with ones you noted elsewhere",
    "what was stored in the last second before a crash: the anchor follows the database by up to that much",
    "that a provider billed what the ledger says: compare with its invoice",
    "that what an operator approved is right",
];

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// What was looked at, in words.
    pub looked_at: String,
    /// What is wrong, in words; empty where nothing is.
    pub problems: Vec<String>,
}

/// What was found of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RunVerdict {
    /// Which.
    pub run_id: RunId,
    /// The last link of its chain, to be noted elsewhere.
    pub head: Option<chain::Link>,
    /// Its checks.
    pub checks: Vec<Check>,
    /// What could not be checked here, in words.
    pub unchecked: Vec<String>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Verdict {
    /// Whether nothing is wrong.
    pub sound: bool,
    /// Of the database as a whole.
    pub database: Vec<Check>,
    /// Of each run.
    pub runs: Vec<RunVerdict>,
    /// What no check here can prove.
    pub not_proven: Vec<&'static str>,
}

impl Verdict {
    /// Where nothing is stored yet, nothing is wrong.
    #[must_use]
    pub fn of_nothing() -> Self {
        Self {
            sound: true,
            database: Vec::new(),
            runs: Vec::new(),
            not_proven: NOT_PROVEN.to_vec(),
        }
    }
}

/// Verifies one run, or all of them and the database as a whole.
///
/// # Errors
/// `run_not_found`; what opening the database says. What is wrong with it is no error but a finding.
pub async fn verify(paths: &Paths, run: Option<RunId>) -> Result<Verdict> {
    let reader = Reader::open(&paths.database())?;
    let records = match run {
        Some(run) => vec![runs::get(reader.connection(), run)?],
        None => run_list::list(reader.connection(), &[], None, None)?,
    };
    let mut database = vec![anchored(paths, &reader)?];
    if run.is_none() {
        database.push(Check {
            name: "file",
            looked_at: "every page, every reference".to_owned(),
            problems: audit::file(reader.connection())?,
        });
    }
    let (mirror, contents) = (Mirror::new()?, Contents::new(paths.contents()));
    let mut verdicts = Vec::new();
    for record in records {
        verdicts.push(steadily(&reader, &mirror, &contents, &record).await?);
    }
    let sound = database
        .iter()
        .chain(verdicts.iter().flat_map(|run| &run.checks))
        .all(|check| check.problems.is_empty());
    Ok(Verdict {
        sound,
        database,
        runs: verdicts,
        ..Verdict::of_nothing()
    })
}

fn anchored(paths: &Paths, reader: &Reader) -> Result<Check> {
    let mut problems: Vec<String> = anchor::kept_aside(paths)?
        .into_iter()
        .map(|old| {
            format!(
                "the database was once older than its anchor; what was known then is in {}",
                old.display()
            )
        })
        .collect();
    let looked_at = match anchor::read(paths) {
        Ok(Some(anchor)) => {
            problems.extend(anchor::missing(reader, &anchor)?);
            format!(
                "the ends of {} journals, noted at {}",
                anchor.ends.len(),
                anchor.at
            )
        }
        Ok(None) => "no anchor: nothing outside the database vouches for it".to_owned(),
        Err(failure) => {
            problems.push(failure.message);
            "an anchor that cannot be read".to_owned()
        }
    };
    Ok(Check {
        name: "anchor",
        looked_at,
        problems,
    })
}

/// A run that is being worked on moves between two looks; what was wrong only then is not wrong.
async fn steadily(
    reader: &Reader,
    mirror: &Mirror,
    contents: &Contents,
    record: &RunRecord,
) -> Result<RunVerdict> {
    let mut verdict = of_run(reader, mirror, contents, record).await?;
    for _ in 1..LOOKS {
        let moved = runs::get(reader.connection(), record.id)?.last_seq != record.last_seq;
        if verdict.checks.iter().all(|check| check.problems.is_empty()) || !moved {
            break;
        }
        verdict = of_run(reader, mirror, contents, record).await?;
    }
    Ok(verdict)
}

async fn of_run(
    reader: &Reader,
    mirror: &Mirror,
    contents: &Contents,
    record: &RunRecord,
) -> Result<RunVerdict> {
    let (conn, run) = (reader.connection(), record.id);
    let walk = chain::walk(conn, run)?;
    let mut unchecked = Vec::new();
    if walk.unchained > 0 {
        unchecked.push(format!(
            "events 1 to {} are from before there was a chain",
            walk.unchained
        ));
    }
    // A journal that no engine wrote is a finding too.
    let rows = mirror
        .differences(conn, run)
        .unwrap_or_else(|failure| vec![failure.message]);
    let totals = audit::totals(conn, run)?;
    if totals.open > 0 {
        unchecked.push(format!(
            "{} calls are open: sent, and not settled yet",
            totals.open
        ));
    }
    let mut checks = vec![
        Check {
            name: "chain",
            looked_at: format!("{} events", walk.events),
            problems: walk.problems,
        },
        Check {
            name: "rows",
            looked_at: "every row against the journal".to_owned(),
            problems: rows,
        },
        Check {
            name: "totals",
            looked_at: format!("{} calls of the ledger", totals.calls),
            problems: totals.problems,
        },
        of_contents(reader, contents, run)?,
    ];
    checks.extend(of_commits(reader, record, &mut unchecked).await?);
    Ok(RunVerdict {
        run_id: run,
        head: walk.head,
        checks,
        unchecked,
    })
}

fn of_contents(reader: &Reader, contents: &Contents, run: RunId) -> Result<Check> {
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
    Ok(Check {
        name: "contents",
        looked_at: format!("{} artifact contents, hashed again", hashes.len()),
        problems,
    })
}

/// Every artifact as the commit of its phase has it.
async fn of_commits(
    reader: &Reader,
    record: &RunRecord,
    unchecked: &mut Vec<String>,
) -> Result<Option<Check>> {
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
    let repo = match Repo::discover(std::path::Path::new(dir)).await {
        Ok(Some(repo)) => repo,
        _ => {
            unchecked.push(format!(
                "{} commits: the repository {dir} is not there",
                committed.len()
            ));
            return Ok(None);
        }
    };
    let mut problems = Vec::new();
    for (phase, commit, path, hash) in &committed {
        match repo.committed(commit, path).await? {
            Some(bytes) if ContentHash::of(&bytes) == *hash => {}
            Some(_) => problems.push(format!(
                "commit {commit} of phase {phase} has another {path} than was approved"
            )),
            None => problems.push(format!(
                "commit {commit} of phase {phase} is gone, or has no {path}"
            )),
        }
    }
    Ok(Some(Check {
        name: "commits",
        looked_at: format!("{} commits", committed.len()),
        problems,
    }))
}
