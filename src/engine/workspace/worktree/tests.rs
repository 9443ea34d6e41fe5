//! Real repositories in temp folders, with a home of their own.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::repo::GitRepository;
use super::{GitWorktree, branch_of};
use crate::model::id::RunId;

mod canaries;
mod checkouts;
mod commits;
mod contents;
mod meddling;
mod processes;
mod removals;
mod repositories;

const TRAILERS: &[(&str, &str)] = &[
    ("Phasedeck-Run", "1"),
    ("Phasedeck-Phase", "plan"),
    ("Phasedeck-Artifact", "sha256:aa"),
];

/// A home, the operator's repository with one commit on `main`, and where worktrees go.
struct GitFixture {
    dir: tempfile::TempDir,
    env: Vec<(OsString, OsString)>,
}

impl GitFixture {
    fn new() -> Self {
        let scene = Self::without_commit();
        scene.write("repo/README.md", "# a project\n");
        scene.git("repo", &["add", "."]);
        scene.git("repo", &["commit", "-q", "-m", "First"]);
        scene
    }

    fn without_commit() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        for folder in ["home", "repo", "data"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let path = std::env::var_os("PATH").unwrap();
        let scene = Self {
            env: vec![("PATH".into(), path), ("HOME".into(), home.into())],
            dir,
        };
        scene.git("repo", &["init", "-q", "-b", "main"]);
        scene
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// A program that takes its input to its output and leaves a file.
    fn canary(&self, name: &str) -> String {
        let path = self.at(&format!("canaries/{name}"));
        self.write(
            &format!("canaries/{name}"),
            &format!(
                "#!/bin/sh\ntouch '{}/sang-{name}'\ncat\n",
                self.dir.path().display()
            ),
        );
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn canaries_that_sang(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("sang-")).collect()
    }

    /// Git as a person or an agent runs it.
    fn git<S: AsRef<OsStr>>(&self, dir: &str, args: &[S]) -> String {
        let output = self.command(dir).args(args).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout)
            .trim_end_matches('\n')
            .to_owned()
    }

    fn command(&self, dir: &str) -> Command {
        let mut command = Command::new("git");
        command
            .env_clear()
            .envs(self.env.iter().cloned())
            .current_dir(self.at(dir));
        let someone = [
            "user.name=Someone",
            "user.email=someone@localhost",
            "protocol.file.allow=always",
        ];
        command.args(someone.iter().flat_map(|setting| ["-c", setting]));
        command
    }

    async fn repo(&self) -> GitRepository {
        GitRepository::discover_with(&self.at("repo"), &self.env)
            .await
            .unwrap()
            .unwrap()
    }

    fn tree(&self) -> PathBuf {
        self.at("data/runs/main")
    }

    async fn worktree(&self) -> GitWorktree {
        let commit = self.git("repo", &["rev-parse", "HEAD"]);
        GitWorktree::create(&self.repo().await, run(), &commit, &self.tree())
            .await
            .unwrap()
    }

    /// The paths in a commit, quoted by git where they are odd.
    fn files(&self, commit: &str) -> Vec<String> {
        self.git("repo", &["ls-tree", "-r", "--name-only", commit])
            .lines()
            .map(str::to_owned)
            .collect()
    }

    fn show(&self, object: &str) -> String {
        self.git("repo", &["cat-file", "-p", object])
    }
}

fn run() -> RunId {
    "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap()
}

fn branch() -> String {
    branch_of(run())
}

fn is_worktree(path: &Path) -> bool {
    path.join(".git").is_file() && path.join("README.md").is_file()
}
