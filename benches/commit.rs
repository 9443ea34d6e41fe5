//! Cost of committing a phase, compared with `git commit` in another worktree of the same
//! repository.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use measure::{BenchResult, RatioGoal, figure, folder, median};
use phasedeck::engine::workspace::worktree::{GitRepository, GitWorktree};
use phasedeck::model::id::RunId;

#[expect(dead_code, reason = "shared with the benches that need more of it")]
#[path = "support/measure.rs"]
mod measure;

const ROUNDS: usize = 31;
/// Number of files in the repository, a tenth of them in each directory.
const FILES: usize = 1_000;
const ARTIFACT: &str = "docs/artifact.json";

fn main() -> BenchResult<()> {
    let dir = folder()?;
    let repo = dir.path().join("repo");
    let beside = dir.path().join("beside");
    fill(&repo)?;
    git(
        &repo,
        &[
            "worktree",
            "add",
            "--quiet",
            "-b",
            "beside",
            &beside.to_string_lossy(),
        ],
    )?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let found = runtime
        .block_on(GitRepository::discover(&repo))?
        .ok_or("no repository")?;
    let base = runtime.block_on(found.resolve(None))?;
    let ours = runtime.block_on(GitWorktree::create(
        &found,
        RunId::new(),
        &base.commit,
        &dir.path().join("ours"),
    ))?;
    let mut us = Vec::new();
    let mut them = Vec::new();
    for round in 0..ROUNDS {
        write(ours.root(), round)?;
        // A phase of its own: with identical trailers, the commit would be identical too.
        let phase = format!("round-{round}");
        let trailers = [
            ("Phasedeck-Run", "bench"),
            ("Phasedeck-Phase", phase.as_str()),
        ];
        let begun = Instant::now();
        runtime.block_on(ours.commit(&format!("Round {round}"), &trailers, &[ARTIFACT]))?;
        us.push(begun.elapsed());
        write(&beside, round)?;
        let begun = Instant::now();
        git(
            &beside,
            &[
                "commit",
                "--quiet",
                "--all",
                "--message",
                &format!("Round {round}"),
            ],
        )?;
        them.push(begun.elapsed());
    }
    figure(
        "the git commit of a phase / `git commit`",
        median(us) / median(them),
        RatioGoal::AtMost(1.5),
    );
    Ok(())
}

fn fill(repo: &Path) -> BenchResult<()> {
    std::fs::create_dir_all(repo.join("docs"))?;
    for number in 0..FILES {
        let folder = repo.join(format!("src-{}", number % 10));
        std::fs::create_dir_all(&folder)?;
        std::fs::write(
            folder.join(format!("file-{number}.rs")),
            format!("// file {number}\n").repeat(20),
        )?;
    }
    std::fs::write(repo.join(ARTIFACT), "{}")?;
    git(repo, &["init", "--quiet"])?;
    git(repo, &["add", "--all"])?;
    git(repo, &["commit", "--quiet", "--message", "Begin"])
}

fn write(root: &Path, round: usize) -> BenchResult<()> {
    Ok(std::fs::write(
        root.join(ARTIFACT),
        format!("{{\"round\": {round}}}\n"),
    )?)
}

fn git(at: &Path, args: &[&str]) -> BenchResult<()> {
    let who = [
        "-c",
        "user.name=bench",
        "-c",
        "user.email=bench@localhost",
        "-c",
        "gc.auto=0",
    ];
    let status = Command::new("git")
        .arg("-C")
        .arg(at)
        .args(who)
        .args(args)
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("git {args:?}: {status}").into())
    }
}
