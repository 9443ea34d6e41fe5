use super::*;
use crate::engine::workspace::worktree::BranchState;

async fn standing(scene: &GitFixture) -> BranchState {
    scene
        .repo()
        .await
        .standing(run(), &scene.tree())
        .await
        .unwrap()
}

#[tokio::test]
async fn what_would_be_lost_is_told_from_nothing_at_all_to_uncommitted_work() {
    let scene = GitFixture::new();
    assert_eq!(standing(&scene).await, BranchState::Gone);
    let tree = scene.worktree().await;
    assert_eq!(
        standing(&scene).await,
        BranchState::Merged,
        "no commit of its own yet"
    );
    scene.write("data/runs/main/new.txt", "made");
    assert_eq!(standing(&scene).await, BranchState::Uncommitted);
    tree.commit("Work", TRAILERS, &[]).await.unwrap();
    assert_eq!(standing(&scene).await, BranchState::Unmerged);
    scene.git("repo", &["merge", "-q", "--ff-only", &branch()]);
    assert_eq!(standing(&scene).await, BranchState::Merged);
    scene.git("data/runs/main", &["checkout", "-q", "--detach"]);
    assert_eq!(
        standing(&scene).await,
        BranchState::Uncommitted,
        "not on its branch"
    );
}

#[tokio::test]
async fn a_branch_of_another_run_is_no_place_of_safety() {
    let scene = GitFixture::new();
    let tree = scene.worktree().await;
    scene.write("data/runs/main/new.txt", "made");
    tree.commit("Work", TRAILERS, &[]).await.unwrap();
    scene.git(
        "repo",
        &[
            "branch",
            "phasedeck/01890a5d-ac96-774b-bcce-b302099a8058",
            &branch(),
        ],
    );
    assert_eq!(standing(&scene).await, BranchState::Unmerged);
}

#[tokio::test]
async fn removing_takes_folder_and_branch_and_says_where_the_branch_stood() {
    let scene = GitFixture::new();
    let tree = scene.worktree().await;
    scene.write("data/runs/main/new.txt", "made");
    let commit = tree.commit("Work", TRAILERS, &[]).await.unwrap();
    let repo = scene.repo().await;
    assert_eq!(
        repo.remove(run(), &scene.tree()).await.unwrap(),
        Some(commit.clone())
    );
    assert!(!scene.tree().exists());
    assert_eq!(scene.git("repo", &["branch", "--list", "phasedeck/*"]), "");
    assert_eq!(
        scene
            .git("repo", &["worktree", "list", "--porcelain"])
            .matches("worktree ")
            .count(),
        1
    );
    assert_eq!(
        scene.git("repo", &["cat-file", "-t", &commit]),
        "commit",
        "it can be brought back"
    );
    assert_eq!(
        repo.remove(run(), &scene.tree()).await.unwrap(),
        None,
        "again is no error"
    );
}
