use super::*;
use crate::model::error::Code;

async fn create(scene: &GitFixture) -> GitWorktree {
    let base = scene.git("repo", &["rev-parse", "main"]);
    GitWorktree::create(&scene.repo().await, run(), &base, &scene.tree())
        .await
        .unwrap()
}

async fn assert_whole(scene: &GitFixture, tree: &GitWorktree) {
    assert!(is_worktree(&scene.tree()));
    assert_eq!(tree.root(), scene.tree().canonicalize().unwrap());
    assert_eq!(tree.branch(), branch());
    assert_eq!(
        tree.head().await.unwrap(),
        scene.git("repo", &["rev-parse", "main"])
    );
    assert_eq!(
        scene.git("data/runs/main", &["symbolic-ref", "HEAD"]),
        format!("refs/heads/{}", branch())
    );
    assert_eq!(scene.git("data/runs/main", &["status", "--porcelain"]), "");
    let listed = scene.git("repo", &["worktree", "list", "--porcelain"]);
    assert_eq!(listed.matches("worktree ").count(), 2, "{listed}");
    assert!(!listed.contains("locked"), "{listed}");
    tree.commit("It works", &[], &[]).await.unwrap();
}

fn git_dir(scene: &GitFixture) -> PathBuf {
    scene.at("repo/.git/worktrees/main")
}

#[tokio::test]
async fn a_worktree_is_made_and_made_again_from_every_half_made_state() {
    type BreakCheckout = fn(&GitFixture);
    let states: &[(&str, BreakCheckout)] = &[
        ("all is there", |_| {}),
        ("the branch alone", |scene| {
            scene.git(
                "repo",
                &[
                    "worktree",
                    "remove",
                    "--force",
                    scene.tree().to_str().unwrap(),
                ],
            );
        }),
        ("nothing but an empty folder", |scene| {
            scene.git(
                "repo",
                &[
                    "worktree",
                    "remove",
                    "--force",
                    scene.tree().to_str().unwrap(),
                ],
            );
            scene.git("repo", &["branch", "-D", &branch()]);
            std::fs::create_dir(scene.tree()).unwrap();
        }),
        ("branch and folder, no git folder", |scene| {
            std::fs::remove_dir_all(git_dir(scene)).unwrap()
        }),
        ("a registration without its folder", |scene| {
            std::fs::remove_dir_all(scene.tree()).unwrap()
        }),
        ("a registration without folder and branch", |scene| {
            std::fs::remove_dir_all(scene.tree()).unwrap();
            scene.git(
                "repo",
                &["update-ref", "-d", &format!("refs/heads/{}", branch())],
            );
        }),
        ("a folder that was being made by us", |scene| {
            std::fs::write(git_dir(scene).join("locked"), "phasedeck: being made").unwrap();
            std::fs::remove_file(scene.tree().join("README.md")).unwrap();
        }),
        ("a folder that was being made by git", |scene| {
            std::fs::write(git_dir(scene).join("locked"), "initializing").unwrap()
        }),
        ("a git folder without HEAD", |scene| {
            std::fs::remove_file(git_dir(scene).join("HEAD")).unwrap()
        }),
        ("a file where the folder goes", |scene| {
            std::fs::remove_dir_all(scene.tree()).unwrap();
            std::fs::write(scene.tree(), "in the way").unwrap();
        }),
    ];
    for (name, spoil) in states {
        let scene = GitFixture::new();
        drop(create(&scene).await);
        spoil(&scene);
        println!("state: {name}");
        assert_whole(&scene, &create(&scene).await).await;
    }
}

#[tokio::test]
async fn what_stands_in_the_way_is_kept_under_another_name() {
    let scene = GitFixture::new();
    scene.write("data/runs/main/precious", "mine");
    create(&scene).await;
    let aside: Vec<_> = std::fs::read_dir(scene.at("data/runs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let kept = aside
        .iter()
        .find(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("main.aside-")
        })
        .unwrap();
    assert_eq!(
        std::fs::read_to_string(kept.join("precious")).unwrap(),
        "mine"
    );
}

#[tokio::test]
async fn creating_twice_leaves_what_was_written_in_between() {
    let scene = GitFixture::new();
    create(&scene).await;
    scene.write("data/runs/main/work", "done");
    create(&scene).await;
    assert_eq!(
        std::fs::read_to_string(scene.at("data/runs/main/work")).unwrap(),
        "done"
    );
}

#[tokio::test]
async fn opening_finds_the_folder_or_makes_it_again_from_the_branch() {
    let scene = GitFixture::new();
    let tree = create(&scene).await;
    scene.write("data/runs/main/kept", "committed");
    let commit = tree.commit("Keep", TRAILERS, &[]).await.unwrap();
    scene.write("data/runs/main/loose", "not committed");
    let open = async || GitWorktree::open(&scene.repo().await, run(), &scene.tree()).await;
    assert_eq!(open().await.unwrap().head().await.unwrap(), commit);
    assert!(scene.at("data/runs/main/loose").exists());
    std::fs::remove_dir_all(scene.tree()).unwrap();
    let again = open().await.unwrap();
    assert_eq!(again.head().await.unwrap(), commit);
    assert_eq!(
        std::fs::read_to_string(scene.at("data/runs/main/kept")).unwrap(),
        "committed"
    );
    assert_eq!(
        again.commit("Keep", TRAILERS, &[]).await.unwrap(),
        commit,
        "the same phase is not committed twice"
    );
    std::fs::remove_dir_all(scene.tree()).unwrap();
    scene.git("repo", &["worktree", "prune"]);
    scene.git("repo", &["branch", "-D", &branch()]);
    let failure = open().await.unwrap_err();
    assert_eq!(failure.code, Code::WorktreeMissing);
    assert!(
        failure.message.contains(&branch()) && failure.hint.contains("git branch phasedeck/"),
        "{failure:?}"
    );
}

#[tokio::test]
async fn a_branch_that_is_in_the_way_of_our_names_is_told() {
    let scene = GitFixture::new();
    scene.git("repo", &["branch", "phasedeck"]);
    let base = scene.git("repo", &["rev-parse", "main"]);
    let failure = GitWorktree::create(&scene.repo().await, run(), &base, &scene.tree())
        .await
        .unwrap_err();
    assert_eq!(failure.code, Code::GitFailed);
    assert!(
        failure.hint.contains("git branch -m phasedeck NAME"),
        "{failure:?}"
    );
    assert!(!scene.tree().exists());
}

#[tokio::test]
async fn a_base_that_is_gone_is_told_and_leaves_nothing() {
    let scene = GitFixture::new();
    let gone = "1234567890123456789012345678901234567890";
    let failure = GitWorktree::create(&scene.repo().await, run(), gone, &scene.tree())
        .await
        .unwrap_err();
    assert_eq!(failure.code, Code::GitFailed);
    assert!(failure.message.contains(gone), "{failure:?}");
    assert_eq!(scene.git("repo", &["branch", "--list", "phasedeck/*"]), "");
}

#[tokio::test]
async fn runs_of_one_repository_are_made_and_committed_at_once() {
    let scene = GitFixture::new();
    let base = scene.git("repo", &["rev-parse", "main"]);
    let repo = scene.repo().await;
    let mut runs = tokio::task::JoinSet::new();
    for number in 0..6 {
        let (repo, base, path) = (
            repo.clone(),
            base.clone(),
            scene.at(&format!("data/{number}/main")),
        );
        runs.spawn(async move {
            let run = RunId::new();
            let tree = GitWorktree::create(&repo, run, &base, &path).await.unwrap();
            std::fs::write(path.join(format!("of-{number}")), "mine").unwrap();
            (
                number,
                branch_of(run),
                tree.commit("Mine", TRAILERS, &[]).await.unwrap(),
            )
        });
    }
    for (number, branch, commit) in runs.join_all().await {
        assert_eq!(scene.git("repo", &["rev-parse", &branch]), commit);
        assert_eq!(
            scene.files(&commit),
            ["README.md".to_owned(), format!("of-{number}")]
        );
        assert_eq!(
            scene.git("repo", &["rev-parse", &format!("{commit}^")]),
            base
        );
    }
    assert_eq!(
        scene.git("repo", &["status", "--porcelain"]),
        "",
        "the operator's own checkout is as it was"
    );
}
