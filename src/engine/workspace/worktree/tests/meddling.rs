//! Agents that run git themselves in their worktree.

use super::*;
use crate::model::error::{Code, Failure};

const TREE: &str = "data/runs/main";

async fn refused(scene: &GitFixture, tree: &GitWorktree) -> Failure {
    scene.write("data/runs/main/more", "more");
    let before = scene.git("repo", &["for-each-ref"]);
    let failure = tree
        .commit("Two", &[("Phasedeck-Phase", "two")], &[])
        .await
        .unwrap_err();
    assert_eq!(failure.code, Code::GitFailed, "{failure:?}");
    assert_eq!(
        scene.git("repo", &["for-each-ref"]),
        before,
        "nothing was moved"
    );
    failure
}

#[tokio::test]
async fn commits_of_the_agent_on_the_branch_are_kept() {
    let scene = GitFixture::new();
    let tree = scene.worktree().await;
    let one = tree.commit("One", TRAILERS, &[]).await.unwrap();
    scene.write("data/runs/main/theirs", "1");
    scene.git(TREE, &["add", "."]);
    scene.git(TREE, &["commit", "-q", "-m", "By the agent"]);
    let theirs = scene.git(TREE, &["rev-parse", "HEAD"]);
    scene.write("data/runs/main/ours", "1");
    let two = tree
        .commit("Two", &[("Phasedeck-Phase", "two")], &[])
        .await
        .unwrap();
    assert_eq!(
        scene
            .git("repo", &["rev-list", &two])
            .lines()
            .take(3)
            .collect::<Vec<_>>(),
        [&two, &theirs, &one]
    );
    assert_eq!(scene.files(&two), ["README.md", "ours", "theirs"]);
}

#[tokio::test]
async fn a_merge_by_the_agent_is_kept() {
    let scene = GitFixture::new();
    let tree = scene.worktree().await;
    tree.commit("One", TRAILERS, &[]).await.unwrap();
    scene.git(
        "repo",
        &["commit", "-q", "--allow-empty", "-m", "Meanwhile"],
    );
    scene.git(TREE, &["merge", "-q", "--no-edit", "main"]);
    let merge = scene.git(TREE, &["rev-parse", "HEAD"]);
    let two = tree.commit("Two", &[], &[]).await.unwrap();
    assert_eq!(scene.git("repo", &["rev-parse", &format!("{two}^")]), merge);
}

#[tokio::test]
async fn another_branch_is_refused_with_the_way_back() {
    let scene = GitFixture::new();
    let tree = scene.worktree().await;
    scene.git(TREE, &["switch", "-q", "-c", "mine"]);
    let failure = refused(&scene, &tree).await;
    assert!(
        failure.message.ends_with(&format!(
            "is on branch 'mine' and no longer on '{}'",
            branch()
        )),
        "{failure:?}"
    );
    assert!(
        failure.hint.contains(&format!("`git switch {}`", branch())),
        "{failure:?}"
    );
    scene.git(TREE, &["switch", "-q", &branch()]);
    tree.commit("Two", &[], &[]).await.unwrap();
}

#[tokio::test]
async fn a_detached_head_is_refused_even_at_the_same_commit() {
    let scene = GitFixture::new();
    let tree = scene.worktree().await;
    scene.git(TREE, &["checkout", "-q", "--detach"]);
    let at = scene.git(TREE, &["rev-parse", "HEAD"]);
    let failure = refused(&scene, &tree).await;
    assert!(
        failure
            .message
            .contains(&format!("on no branch (HEAD is at '{at}')")),
        "{failure:?}"
    );
}

#[tokio::test]
async fn a_branch_that_lost_the_runs_commits_is_refused_with_the_way_back() {
    for meddle in [
        &["reset", "-q", "--soft", "HEAD~1"][..],
        &["reset", "-q", "--hard", "HEAD~2"],
        &["commit", "-q", "--amend", "-m", "Mine"],
    ] {
        let scene = GitFixture::new();
        let tree = scene.worktree().await;
        tree.commit("Zero", &[], &[]).await.unwrap();
        scene.write("data/runs/main/file", "1");
        let one = tree.commit("One", TRAILERS, &[]).await.unwrap();
        scene.git(TREE, meddle);
        let tree = GitWorktree::open(&scene.repo().await, run(), &scene.tree())
            .await
            .unwrap();
        let failure = refused(&scene, &tree).await;
        assert!(
            failure
                .message
                .contains(&format!("commit {one} of the run is no longer in it")),
            "{failure:?}"
        );
        assert!(
            failure.hint.contains(&format!("git reset --soft {one}")),
            "{failure:?}"
        );
        scene.git(TREE, &["reset", "-q", "--soft", &one]);
        let two = tree.commit("Two", &[], &[]).await.unwrap();
        assert_eq!(scene.git("repo", &["rev-parse", &format!("{two}^")]), one);
    }
}

#[tokio::test]
async fn a_reset_below_what_the_run_began_from_is_refused() {
    let scene = GitFixture::new();
    scene.git("repo", &["commit", "-q", "--allow-empty", "-m", "Second"]);
    let tree = scene.worktree().await;
    scene.git(TREE, &["reset", "-q", "--hard", "HEAD~1"]);
    assert!(
        refused(&scene, &tree)
            .await
            .message
            .contains("was reset or rewritten")
    );
}

#[tokio::test]
async fn a_folder_or_a_branch_that_is_gone_is_told() {
    let scene = GitFixture::new();
    let tree = scene.worktree().await;
    scene.git(
        "repo",
        &["update-ref", "-d", &format!("refs/heads/{}", branch())],
    );
    assert_eq!(
        refused(&scene, &tree).await.message,
        format!("the run's branch '{}' is gone", branch())
    );
    std::fs::remove_dir_all(scene.tree()).unwrap();
    assert_eq!(
        tree.commit("Two", &[], &[]).await.unwrap_err().code,
        Code::WorktreeMissing
    );
}

#[tokio::test]
async fn what_the_agent_put_into_its_index_plays_no_part() {
    let scene = GitFixture::new();
    let tree = scene.worktree().await;
    scene.write("data/runs/main/README.md", "changed");
    scene.git(TREE, &["update-index", "--assume-unchanged", "README.md"]);
    scene.write("data/runs/main/staged", "1");
    scene.git(TREE, &["add", "staged"]);
    std::fs::remove_file(scene.at("data/runs/main/staged")).unwrap();
    scene.write("repo/.git/worktrees/main/index.lock", "");
    let commit = tree.commit("One", TRAILERS, &[]).await.unwrap();
    assert_eq!(scene.files(&commit), ["README.md"]);
    assert_eq!(scene.show(&format!("{commit}:README.md")), "changed");
}
