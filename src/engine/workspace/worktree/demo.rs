//! A small, realistic sample repository to try a workflow on.

use std::ffi::OsString;
use std::path::Path;

use super::program::GitCommand;
use super::repo::allowed_env;
use crate::engine::paths::create_private_dir;
use crate::model::error::{Code, Failure, Result};

const FILES: &[(&str, &str)] = &[
    ("README.md", include_str!("../../worktree/demo/README.md")),
    ("todo.py", include_str!("../../worktree/demo/todo.py.txt")),
    (
        "test_todo.py",
        include_str!("../../worktree/demo/test_todo.py.txt"),
    ),
    (".gitignore", "__pycache__/\n*.pyc\ntodo.json\n"),
];

/// Creates a small repository with one commit on branch `main` in `dir`, which must be empty or
/// absent.
///
/// # Errors
/// `usage_invalid` if `dir` is not empty; `git_failed`, `io_failed`.
pub async fn make_demo_repo(dir: &Path) -> Result<()> {
    make_with(dir, &allowed_env()).await
}

pub(super) async fn make_with(dir: &Path, env: &[(OsString, OsString)]) -> Result<()> {
    create_private_dir(dir)?;
    let dir = &dir
        .canonicalize()
        .map_err(|e| Failure::io(format!("cannot find {}", dir.display()), &e))?;
    let has_something = std::fs::read_dir(dir)
        .map_err(|e| Failure::io(format!("cannot read {}", dir.display()), &e))?
        .next()
        .is_some();
    if has_something {
        return Err(Failure::new(
            Code::UsageInvalid,
            format!("{} is not empty", dir.display()),
        )
        .hint("name a new folder for the demo"));
    }
    for (name, text) in FILES {
        std::fs::write(dir.join(name), text)
            .map_err(|e| Failure::io(format!("cannot write {name} in {}", dir.display()), &e))?;
    }
    let someone = [
        ("GIT_AUTHOR_NAME", "phasedeck"),
        ("GIT_COMMITTER_NAME", "phasedeck"),
        ("GIT_AUTHOR_EMAIL", "phasedeck@localhost"),
        ("GIT_COMMITTER_EMAIL", "phasedeck@localhost"),
    ];
    let git_dir = dir.join(".git");
    let quiet = GitCommand::quiet(dir, env)
        .with_env(someone.map(|(key, value)| (key.into(), value.into())));
    let git = quiet.at(&git_dir, dir);
    git.run(&["init", "--quiet", "--template=", "--initial-branch=main"])
        .await?;
    git.run(&["add", "--all"]).await?;
    git.run(&[
        "commit",
        "--quiet",
        "--no-verify",
        "-m",
        "Keep a to-do list in a file",
    ])
    .await?;
    Ok(())
}
