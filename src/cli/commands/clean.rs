//! `phasedeck clean`: removes the worktrees and branches of finished runs.
//!
//! Merged work is removed at once. Unmerged work needs two steps: `--unmerged` lists it,
//! `--unmerged --yes` removes it. The database, artifacts, reports and audit log are kept.

use std::path::{Path, PathBuf};

use crate::cli::args;
use crate::cli::context::CommandContext;
use crate::cli::engine_connection::runtime;
use crate::cli::exit::ExitStatus;
use crate::cli::output::event_line::counted;
use crate::cli::output::streams::CommandOutcome;
use crate::cli::output::table::{TableCell, TextTable};
use crate::engine::api::{RunArchive, RunQuery};
use crate::engine::workspace::worktree::{BranchState, GitRepository};
use crate::model::error::{Code, Failure, Result};
use crate::model::id::RunId;
use crate::model::record::RunRecord;
use crate::model::state::RunStatus;
use schemars::JsonSchema;
use serde::Serialize;

/// What became of one run's leftovers.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Cleaned")]
pub struct CleanResult {
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
pub fn clean(setup: &CommandContext, args: &args::CleanArgs) -> CommandOutcome {
    let Some(archive) = setup.archive_if_any()? else {
        return nothing(setup, args);
    };
    let runs = if args.runs.is_empty() {
        ended_runs(&archive)?
    } else {
        runs_by_name(&archive, &args.runs)?
    };
    let runtime = runtime()?;
    let mut cleaned = Vec::new();
    for run in &runs {
        cleaned.extend(runtime.block_on(clean_run(setup, run, args))?);
    }
    if args.json {
        setup.out.document(&cleaned)?;
    } else if cleaned.is_empty() {
        return nothing(setup, args);
    } else {
        print_results(setup, &cleaned, args)?;
    }
    Ok(ExitStatus::Done)
}

fn nothing(setup: &CommandContext, args: &args::CleanArgs) -> CommandOutcome {
    if args.json {
        setup.out.document(&Vec::<CleanResult>::new())?;
    } else {
        setup
            .out
            .note("there is nothing to clean: no run that has ended has left a folder or a branch");
    }
    Ok(ExitStatus::Done)
}

fn ended_runs(archive: &RunArchive) -> Result<Vec<RunRecord>> {
    let states = RunStatus::ALL
        .iter()
        .filter(|state| state.is_terminal())
        .map(ToString::to_string)
        .collect();
    archive.runs(&RunQuery {
        states,
        ..RunQuery::default()
    })
}

fn runs_by_name(archive: &RunArchive, names: &[String]) -> Result<Vec<RunRecord>, Vec<Failure>> {
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

async fn clean_run(
    setup: &CommandContext,
    run: &RunRecord,
    args: &args::CleanArgs,
) -> Result<Option<CleanResult>> {
    let path = run
        .worktree
        .as_ref()
        .map_or_else(|| setup.paths.worktree(run.id), PathBuf::from);
    let folder = setup.paths.run(run.id);
    let repo = match &run.repo {
        Some(dir) if Path::new(dir).is_dir() => GitRepository::discover(Path::new(dir)).await?,
        _ => None,
    };
    let (found, safe) = match (&repo, &run.repo) {
        (Some(repo), _) => match repo.standing(run.id, &path).await? {
            BranchState::Gone if !folder.exists() => return Ok(None),
            BranchState::Gone | BranchState::Merged => ("merged", true),
            BranchState::Unmerged => ("unmerged", false),
            BranchState::Uncommitted => ("uncommitted", false),
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
    Ok(Some(CleanResult {
        run_id: run.id,
        workflow: run.workflow.clone(),
        found,
        removed,
        commit,
        path,
    }))
}

async fn remove(
    repo: Option<&GitRepository>,
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

fn print_results(
    setup: &CommandContext,
    cleaned: &[CleanResult],
    args: &args::CleanArgs,
) -> CommandOutcome {
    let shown: Vec<&CleanResult> = cleaned
        .iter()
        .filter(|one| one.removed || args.unmerged || args.dry_run)
        .collect();
    let mut table = TextTable::new(&["RUN", "WORKFLOW", "FOUND", "NOW", "BRANCH STOOD ON"]);
    for one in &shown {
        table.row(vec![
            TableCell::new(one.run_id.short()),
            TableCell::new(one.workflow.clone()),
            TableCell::new(one.found.replace('_', " ")),
            TableCell::new(if one.removed { "removed" } else { "kept" }),
            TableCell::new(one.commit.clone().unwrap_or_default()),
        ]);
    }
    if !shown.is_empty() {
        setup.out.print(&table.render(0, setup.out.style))?;
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
    Ok(ExitStatus::Done)
}
