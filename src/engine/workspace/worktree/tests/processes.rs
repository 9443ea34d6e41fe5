//! How often git is run, and that nothing of it reaches the terminal.

use super::super::demo::make_with;
use super::*;

impl GitFixture {
    /// Puts a `git` before the real one that notes where its input and outputs go and what it was asked.
    fn watch_git(&mut self) {
        let log = self.at("calls");
        let real = std::env::split_paths(&self.env[0].1)
            .map(|dir| dir.join("git"))
            .find(|git| git.is_file())
            .unwrap();
        let script = format!(
            "#!/bin/sh\nwhere=''\nfor fd in 0 1 2; do where=\"$where $(readlink /proc/$$/fd/$fd | sed 's/:.*//')\"; done\n\
             (for last in \"$@\"; do printf '%s ' \"$last\"; done; echo \"|$where\") >> '{}'\nexec '{}' \"$@\"\n",
            log.display(),
            real.display()
        );
        self.write("watched/git", &script);
        std::fs::set_permissions(
            self.at("watched/git"),
            std::fs::Permissions::from_mode(0o755),
        )
        .unwrap();
        let path = std::env::join_paths(
            [self.at("watched")]
                .into_iter()
                .chain(std::env::split_paths(&self.env[0].1)),
        )
        .unwrap();
        self.env[0].1 = path;
    }

    /// Every call since the last time.
    fn calls(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.at("calls")).unwrap_or_default();
        let _ = std::fs::remove_file(self.at("calls"));
        text.lines().map(str::to_owned).collect()
    }
}

// Git's own children come from where git is installed, and are not among the calls.
#[tokio::test]
async fn few_processes_are_needed() {
    let mut scene = GitFixture::new();
    let base = scene.git("repo", &["rev-parse", "HEAD"]);
    scene.watch_git();
    let repo = scene.repo().await;
    assert_eq!(scene.calls().len(), 3, "to find the repository");
    let tree = GitWorktree::create(&repo, run(), &base, &scene.tree())
        .await
        .unwrap();
    assert_eq!(scene.calls().len(), 3, "to make the worktree");
    GitWorktree::open(&repo, run(), &scene.tree())
        .await
        .unwrap();
    assert_eq!(scene.calls().len(), 1, "to open it");
    tree.commit("Nothing", &[], &[]).await.unwrap();
    assert_eq!(
        scene.calls().len(),
        6,
        "for an empty commit, and once to read all files"
    );
    scene.write("data/runs/main/new", "1");
    tree.commit("Something", TRAILERS, &["new"]).await.unwrap();
    assert_eq!(scene.calls().len(), 7, "for a commit");
    tree.commit("Something", TRAILERS, &["new"]).await.unwrap();
    assert_eq!(scene.calls().len(), 1, "for a commit that is there");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn no_word_of_git_reaches_the_terminal_and_no_key_reaches_git() {
    let mut scene = GitFixture::new();
    scene.watch_git();
    make_with(&scene.at("demo"), &scene.env).await.unwrap();
    let repo = GitRepository::discover_with(&scene.at("demo"), &scene.env)
        .await
        .unwrap()
        .unwrap();
    let base = repo.resolve(None).await.unwrap();
    let tree = GitWorktree::create(&repo, run(), &base.commit, &scene.tree())
        .await
        .unwrap();
    std::fs::remove_file(scene.at("data/runs/main/todo.py")).unwrap();
    tree.commit("One", TRAILERS, &[]).await.unwrap();
    let calls = scene.calls();
    assert!(calls.len() > 10);
    for call in calls {
        let (_, streams) = call.rsplit_once('|').unwrap();
        assert!(
            matches!(streams, " /dev/null pipe pipe" | " pipe pipe pipe"),
            "{call}"
        );
    }
}

#[tokio::test]
async fn the_demo_is_a_repository_with_one_commit_and_a_clean_folder() {
    let scene = GitFixture::new();
    make_with(&scene.at("demo"), &scene.env).await.unwrap();
    assert_eq!(
        scene.git("demo", &["log", "--format=%an %s"]),
        "phasedeck Keep a to-do list in a file"
    );
    assert_eq!(scene.git("demo", &["status", "--porcelain"]), "");
    assert_eq!(
        scene.git("demo", &["ls-files"]),
        ".gitignore\nREADME.md\ntest_todo.py\ntodo.py"
    );
    assert_eq!(
        scene.git("demo", &["symbolic-ref", "HEAD"]),
        "refs/heads/main"
    );
    let failure = make_with(&scene.at("demo"), &scene.env).await.unwrap_err();
    assert_eq!(failure.code, crate::model::error::Code::UsageInvalid);
    assert!(
        failure.message.ends_with("demo is not empty"),
        "{failure:?}"
    );
}
