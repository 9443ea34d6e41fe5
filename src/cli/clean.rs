//! `phasedeck clean`: removes the worktrees and branches of finished runs.
//!
//! Merged work is removed at once. Unmerged work needs two steps: `--unmerged` lists it,
//! `--unmerged --yes` removes it. The database, artifacts, reports and audit log are kept.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use super::args;
use super::event_line::counted;
use super::exit::Exit;
use super::out::Outcome;
use super::session::runtime;
use super::setup::Setup;
use super::table::{Cell, Table};
use crate::engine::api::{Archive, RunFilter};
use crate::engine::worktree::{Repo, Standing};
use crate::model::error::{Code, Failure, Result};
use crate::model::id::RunId;
use crate::model::record::RunRecord;
use crate::model::state::RunStatus;

/// What became of one run's leftovers.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Cleaned {
    /// Which run.
    run_id: RunId,
    /// `name@version`.
    workflow: String,
    /// What was there: `merged`, `unmerged`, `uncommitted`, `plain_folder`, `repository_gone`.
    found: &'static str,
    /// Whether it is gone now.
    removed: bool,
    /// Where the branch stood, to bring it back.
    commit: Option<String>,
    /// The folder that its agents worked in.
    path: PathBuf,
}

/// Removes what is left of ended runs.
///
/// # Errors
/// `run_not_found`; `usage_invalid` for a run that goes on; `git_failed` and `io_failed` naming what
/// cannot be removed.
pub fn clean(setup: &Setup, args: &args::Clean) -> Outcome {
    let Some(archive) = setup.archive_if_any()? else {
        return nothing(setup, args);
    };
    let runs = if args.runs.is_empty() {
        ended(&archive)?
    } else {
        named(&archive, &args.runs)?
    };
    let runtime = runtime()?;
    let mut cleaned = Vec::new();
    for run in &runs {
        cleaned.extend(runtime.block_on(one(setup, run, args))?);
    }
    if args.json {
        setup.out.document(&cleaned)?;
    } else if cleaned.is_empty() {
        return nothing(setup, args);
    } else {
        tell(setup, &cleaned, args)?;
    }
    Ok(Exit::Done)
}

fn nothing(setup: &Setup, args: &args::Clean) -> Outcome {
    if args.json {
        setup.out.document(&Vec::<Cleaned>::new())?;
    } else {
        setup
            .out
            .note("there is nothing to clean: no run that has ended has left a folder or a branch");
    }
    Ok(Exit::Done)
}

fn ended(archive: &Archive) -> Result<Vec<RunRecord>> {
    let states = RunStatus::ALL
        .iter()
        .filter(|state| state.is_terminal())
        .map(ToString::to_string)
        .collect();
    archive.runs(&RunFilter {
        states,
        ..RunFilter::default()
    })
}

fn named(archive: &Archive, names: &[String]) -> Result<Vec<RunRecord>, Vec<Failure>> {
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for name in names {
        match archive
            .find(name)
            .and_then(|run| archive.run(run))
            .and_then(require_ended)
        {
            Ok(run) => found.push(run),
            Err(failure) => problems.push(failure),
        }
    }
    if problems.is_empty() {
        Ok(found)
    } else {
        Err(problems)
    }
}

fn require_ended(run: RunRecord) -> Result<RunRecord> {
    if run.has_ended() {
        return Ok(run);
    }
    let hint = format!("end it first: phasedeck abort {}", run.id.short());
    Err(Failure::new(
        Code::UsageInvalid,
        format!("run {} has not ended ({})", run.id.short(), run.state),
    )
    .hint(hint))
}

async fn one(setup: &Setup, run: &RunRecord, args: &args::Clean) -> Result<Option<Cleaned>> {
    let path = run
        .worktree
        .as_ref()
        .map_or_else(|| setup.paths.worktree(run.id), PathBuf::from);
    let folder = setup.paths.run(run.id);
    let repo = match &run.repo {
        Some(dir) if Path::new(dir).is_dir() => Repo::discover(Path::new(dir)).await?,
        _ => None,
    };
    let (found, safe) = match (&repo, &run.repo) {
        (Some(repo), _) => match repo.standing(run.id, &path).await? {
            Standing::Gone if !folder.exists() => return Ok(None),
            Standing::Gone | Standing::Merged => ("merged", true),
            Standing::Unmerged => ("unmerged", false),
            Standing::Uncommitted => ("uncommitted", false),
        },
        _ if !folder.exists() => return Ok(None),
        (None, Some(_)) => ("repository_gone", false),
        (None, None) => ("plain_folder", false),
    };
    let removed = (safe || (args.unmerged && args.yes)) && !args.dry_run;
    let commit = if removed {
        remove(repo.as_ref(), run.id, &path, &folder).await?
    } else {
        None
    };
    Ok(Some(Cleaned {
        run_id: run.id,
        workflow: run.workflow.clone(),
        found,
        removed,
        commit,
        path,
    }))
}

async fn remove(
    repo: Option<&Repo>,
    run: RunId,
    path: &Path,
    folder: &Path,
) -> Result<Option<String>> {
    let commit = match repo {
        Some(repo) => repo.remove(run, path).await?,
        None => None,
    };
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Failure::io(
            format!("cannot remove {}", folder.display()),
            &e,
        )),
        _ => Ok(commit),
    }
}

fn tell(setup: &Setup, cleaned: &[Cleaned], args: &args::Clean) -> Outcome {
    let shown: Vec<&Cleaned> = cleaned
        .iter()
        .filter(|one| one.removed || args.unmerged || args.dry_run)
        .collect();
    let mut table = Table::new(&["RUN", "WORKFLOW", "FOUND", "NOW", "BRANCH STOOD ON"]);
    for one in &shown {
        table.row(vec![
            Cell::new(one.run_id.short()),
            Cell::new(one.workflow.clone()),
            Cell::new(one.found.replace('_', " ")),
            Cell::new(if one.removed { "removed" } else { "kept" }),
            Cell::new(one.commit.clone().unwrap_or_default()),
        ]);
    }
    if !shown.is_empty() {
        setup.out.print(&table.drawn(0, setup.out.style))?;
    }
    let kept = cleaned
        .iter()
        .filter(|one| !one.removed && !["merged"].contains(&one.found))
        .count();
    if kept > 0 {
        let how = if args.unmerged {
            "add --yes to remove them too"
        } else {
            "`phasedeck clean --unmerged` names them"
        };
        setup.out.note(&format!(
            "{} kept: work that is in no other branch; {how}",
            counted(kept, "run")
        ));
    }
    Ok(Exit::Done)
}
