//! `phasedeck run`: starts a run, in the console or headless.

use super::console;
use super::trust;
use crate::cli::args::{RequirementsArgs, RunArgs};
use crate::cli::context::CommandContext;
use crate::cli::engine_connection::CliConnection;
use crate::cli::headless::drive;
use crate::cli::output::streams::{CommandError, CommandOutcome};
use crate::engine::api::{CommandAnswer, EngineCommand, StartRun};
use crate::engine::catalog::trust::repo_around;
use crate::model::error::{Code, Failure, Result};
use crate::model::id::RunId;
use crate::model::record::RunOptions;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

/// Starts the run that was asked for.
///
/// # Errors
/// `usage_invalid` for requirements or folders that cannot be used; what the engine answers.
pub fn run(setup: &CommandContext, args: &RunArgs) -> CommandOutcome {
    if !args.drive.headless {
        console::require_terminal()?;
    }
    let request = request(
        args,
        &mut std::io::stdin().lock(),
        std::io::stdin().is_terminal(),
    )?;
    if let Some(top) = &request.repo {
        trust::offer(setup, top, !args.drive.headless)?;
    }
    let session = setup.session()?;
    let (run, existing) = match start(&session, request) {
        Ok(started) => started,
        Err(failure) => {
            session.end()?;
            return Err(failure.into());
        }
    };
    let (short, what) = (
        run.short(),
        if existing {
            "was started before with this key"
        } else {
            "started"
        },
    );
    if args.drive.headless {
        setup.out.note(&format!(
            "run {run} {what}; follow it elsewhere with `phasedeck events {short} --follow`"
        ));
        drive(setup, session, run, 1, args.drive)
    } else {
        console::open(setup, session, Some(run))
    }
}

/// Sends the start and reads the answer.
///
/// # Errors
/// What the engine answers.
pub fn start(session: &CliConnection, request: StartRun) -> Result<(RunId, bool)> {
    match session.send(EngineCommand::Start(Box::new(request)))? {
        CommandAnswer::Started { run_id, existing } => Ok((run_id, existing)),
        other => Err(Failure::internal(format!(
            "a start was answered with {other:?}"
        ))),
    }
}

/// What the flags ask for, as the engine takes it.
fn request(args: &RunArgs, stdin: &mut dyn Read, terminal: bool) -> Result<StartRun, CommandError> {
    let repo = repo(args)?;
    require_repo_for_base(repo.as_deref(), args.base.as_deref())?;
    Ok(StartRun {
        workflow: workflow(&args.workflow)?,
        repo,
        base: args.base.clone(),
        requirements: requirements(&args.wanted, stdin, terminal)?,
        personas: unique_pairs("--persona", &args.persona)?,
        thread: args.thread.as_deref().map(Into::into),
        options: RunOptions {
            rehearse: args.rehearse,
            scenarios: unique_pairs("--scenario", &args.scenario)?,
            strategy: args.strategy,
            on_disconnect: args.on_disconnect,
            budget: args.budget,
        },
        idempotency_key: args.idempotency_key.clone(),
    })
}

/// What a repeated flag says of each name; twice of one name is a mistake, as only one could count.
///
/// # Errors
/// `usage_invalid`, naming the flag and the name.
pub fn unique_pairs<K: Ord + Clone + Display, V: Clone>(
    flag: &str,
    pairs: &[(K, V)],
) -> Result<BTreeMap<K, V>> {
    let mut all = BTreeMap::new();
    for (key, value) in pairs {
        if all.insert(key.clone(), value.clone()).is_some() {
            return Err(Failure::new(
                Code::UsageInvalid,
                format!("{flag} names '{key}' more than once"),
            )
            .hint("say it once for each name"));
        }
    }
    Ok(all)
}

/// A branch can only be meant where there is a repository; silence would begin somewhere else.
fn require_repo_for_base(repo: Option<&Path>, base: Option<&str>) -> Result<()> {
    match (repo, base) {
        (None, Some(base)) => Err(Failure::new(
            Code::UsageInvalid,
            format!("--base {base} needs a repository, and there is none around this folder"),
        )
        .hint("name one with --repo DIR, or leave --base out")),
        _ => Ok(()),
    }
}

/// A name as it is; a file by its absolute path.
fn workflow(text: &str) -> Result<String> {
    let is_file = text.contains('/') || text.ends_with(".yaml") || text.ends_with(".yml");
    if !is_file {
        return Ok(text.to_owned());
    }
    let path = absolute(Path::new(text))?;
    path.into_os_string().into_string().map_err(|_| {
        Failure::new(
            Code::UsageInvalid,
            format!("the path '{text}' is not UTF-8"),
        )
    })
}

fn repo(args: &RunArgs) -> Result<Option<PathBuf>> {
    if args.no_git {
        return Ok(None);
    }
    let Some(named) = &args.repo else {
        return Ok(repo_around(&absolute(Path::new("."))?));
    };
    let dir = absolute(named)?;
    repo_around(&dir).map(Some).ok_or_else(|| {
        Failure::new(
            Code::UsageInvalid,
            format!("{} does not lie in a git repository", dir.display()),
        )
        .hint("name a folder of a repository, or work without one: --no-git")
    })
}

/// A path as it is from the root, links resolved.
///
/// # Errors
/// `usage_invalid` where there is nothing.
pub fn absolute(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|e| {
        Failure::new(
            Code::UsageInvalid,
            format!("cannot use {}: {e}", path.display()),
        )
        .hint("check the path")
    })
}

fn requirements(wanted: &RequirementsArgs, stdin: &mut dyn Read, terminal: bool) -> Result<String> {
    let hint = "say it with -m 'text', -r FILE, or pipe it in with -r -";
    let text = match (&wanted.text, &wanted.file) {
        (Some(text), _) => text.clone(),
        (None, Some(path)) if path.as_os_str() != "-" => {
            std::fs::read_to_string(path).map_err(|e| {
                Failure::new(
                    Code::UsageInvalid,
                    format!("cannot read the requirements from {}: {e}", path.display()),
                )
                .hint(hint)
            })?
        }
        (None, None) => {
            return Err(Failure::new(
                Code::UsageInvalid,
                "the run has no requirements: what shall be made?",
            )
            .hint(hint));
        }
        (None, Some(_)) => read_all(stdin, terminal).map_err(|e| {
            Failure::new(
                Code::UsageInvalid,
                format!("cannot read the requirements from standard input: {e}"),
            )
            .hint(hint)
        })?,
    };
    if text.trim().is_empty() {
        return Err(Failure::new(
            Code::UsageInvalid,
            "the requirements are empty: what shall be made?",
        )
        .hint(hint));
    }
    Ok(text)
}

fn read_all(stdin: &mut dyn Read, terminal: bool) -> std::io::Result<String> {
    if terminal {
        return Err(std::io::Error::other("it is a terminal"));
    }
    let mut text = String::new();
    stdin.read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(file: Option<&str>, text: Option<&str>) -> RequirementsArgs {
        RequirementsArgs {
            file: file.map(PathBuf::from),
            text: text.map(str::to_owned),
        }
    }

    #[test]
    fn requirements_come_from_text_file_or_standard_input() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("issue.md");
        std::fs::write(&file, "from a file\n").unwrap();
        let read = |wanted: &RequirementsArgs| {
            requirements(wanted, &mut "from a pipe".as_bytes(), false).unwrap()
        };
        assert_eq!(read(&wanted(None, Some("words"))), "words");
        assert_eq!(read(&wanted(file.to_str(), None)), "from a file\n");
        assert_eq!(read(&wanted(Some("-"), None)), "from a pipe");
    }

    #[test]
    fn nothing_to_make_is_wrong_usage_that_says_how() {
        for (wanted, terminal, message) in [
            (
                wanted(None, None),
                true,
                "the run has no requirements: what shall be made?",
            ),
            (
                wanted(None, Some(" \n")),
                false,
                "the requirements are empty: what shall be made?",
            ),
            (
                wanted(Some("-"), None),
                true,
                "cannot read the requirements from standard input: it is a terminal",
            ),
            (
                wanted(Some("-"), None),
                false,
                "the requirements are empty: what shall be made?",
            ),
        ] {
            let failure = requirements(&wanted, &mut "".as_bytes(), terminal).unwrap_err();
            assert_eq!(
                (failure.code, failure.message.as_str()),
                (Code::UsageInvalid, message)
            );
            assert_eq!(
                failure.hint,
                "say it with -m 'text', -r FILE, or pipe it in with -r -"
            );
        }
    }

    #[test]
    fn the_repository_is_the_nearest_one_above() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(top.join("shop/.git")).unwrap();
        std::fs::create_dir_all(top.join("shop/src/deep")).unwrap();
        std::fs::create_dir_all(top.join("plain")).unwrap();
        let args = |repo: &str| RunArgs {
            repo: Some(top.join(repo)),
            ..RunArgs::default()
        };
        assert_eq!(repo(&args("shop/src/deep")), Ok(Some(top.join("shop"))));
        let failure = repo(&args("plain")).unwrap_err();
        assert_eq!(
            failure.message,
            format!(
                "{} does not lie in a git repository",
                top.join("plain").display()
            )
        );
        assert_eq!(repo(&args("gone")).unwrap_err().code, Code::UsageInvalid);
        assert_eq!(
            repo(&RunArgs {
                no_git: true,
                ..RunArgs::default()
            }),
            Ok(None)
        );
    }

    #[test]
    fn a_base_without_a_repository_is_refused() {
        let failure = require_repo_for_base(None, Some("main")).unwrap_err();
        assert_eq!(failure.code, Code::UsageInvalid);
        assert_eq!(
            failure.message,
            "--base main needs a repository, and there is none around this folder"
        );
        assert_eq!(
            require_repo_for_base(Some(Path::new("/shop")), Some("main")),
            Ok(())
        );
        assert_eq!(require_repo_for_base(None, None), Ok(()));
    }

    #[test]
    fn a_name_is_said_once() {
        let pairs = |names: &[&str]| {
            names
                .iter()
                .map(|name| ((*name).to_owned(), 1))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            unique_pairs("--persona", &pairs(&["a", "b"]))
                .unwrap()
                .len(),
            2
        );
        let failure = unique_pairs("--persona", &pairs(&["a", "b", "a"])).unwrap_err();
        assert_eq!(
            (failure.code, failure.message.as_str()),
            (Code::UsageInvalid, "--persona names 'a' more than once")
        );
    }

    #[test]
    fn a_workflow_is_a_name_or_an_absolute_path() {
        assert_eq!(workflow("development@1"), Ok("development@1".to_owned()));
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().canonicalize().unwrap().join("flow.yaml");
        std::fs::write(&file, "").unwrap();
        assert_eq!(
            workflow(file.to_str().unwrap()),
            Ok(file.to_str().unwrap().to_owned())
        );
        assert_eq!(
            workflow("./gone.yaml").unwrap_err().code,
            Code::UsageInvalid
        );
    }
}
