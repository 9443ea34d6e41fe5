use super::super::BaseCommit;
use super::*;
use crate::model::error::Code;

async fn discover(scene: &GitFixture, dir: &str) -> Option<GitRepository> {
    GitRepository::discover_with(&scene.at(dir), &scene.env)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_repository_is_found_from_every_folder_of_it_and_is_one() {
    let scene = GitFixture::new();
    scene.write("repo/deep/er/file", "1");
    scene.git(
        "repo",
        &[
            "worktree",
            "add",
            "-q",
            "-b",
            "other",
            scene.at("own").to_str().unwrap(),
        ],
    );
    let identity = scene.at("repo/.git").canonicalize().unwrap();
    for dir in ["repo", "repo/deep/er", "own", "repo/.git"] {
        let repo = discover(&scene, dir).await.unwrap();
        assert_eq!(repo.identity(), identity, "{dir}");
        assert_eq!(repo.dir(), scene.at(dir));
    }
    let found = discover(&scene, "own")
        .await
        .unwrap()
        .resolve(None)
        .await
        .unwrap();
    assert_eq!(
        found.branch.as_deref(),
        Some("other"),
        "HEAD is that of the checkout that was named"
    );
    let tree = GitWorktree::create(
        &discover(&scene, "own").await.unwrap(),
        run(),
        &found.commit,
        &scene.tree(),
    )
    .await
    .unwrap();
    assert_eq!(
        tree.commit("One", TRAILERS, &[]).await.unwrap(),
        scene.git("own", &["rev-parse", &branch()])
    );
}

#[tokio::test]
async fn a_folder_without_a_repository_is_none_and_a_file_is_refused() {
    let scene = GitFixture::new();
    assert!(discover(&scene, "home").await.is_none());
    let failure = GitRepository::discover_with(&scene.at("repo/README.md"), &scene.env)
        .await
        .unwrap_err();
    assert_eq!(failure.code, Code::UsageInvalid);
}

#[tokio::test]
async fn a_repository_without_a_commit_is_refused_with_the_way_on() {
    let scene = GitFixture::without_commit();
    let failure = GitRepository::discover_with(&scene.at("repo"), &scene.env)
        .await
        .unwrap_err();
    assert_eq!(failure.code, Code::GitFailed);
    assert!(
        failure.message.ends_with("has no commit to begin from"),
        "{failure:?}"
    );
    assert_eq!(
        failure.hint,
        "make a first one: git commit --allow-empty -m 'Begin'"
    );
}

#[tokio::test]
async fn bare_repositories_those_with_long_hashes_and_odd_places_work() {
    for (name, args) in [
        ("bare.git", &["--bare"][..]),
        ("long", &["--object-format=sha256"]),
        ("new plan ü", &[]),
    ] {
        let scene = GitFixture::new();
        scene.git(
            "home",
            &[&["init", "-q", "-b", "main", name], args].concat(),
        );
        let dir = format!("home/{name}");
        let tree = scene.git(&dir, &["hash-object", "-w", "-t", "tree", "/dev/null"]);
        let commit = scene.git(&dir, &["commit-tree", &tree, "-m", "First"]);
        scene.git(&dir, &["update-ref", "refs/heads/main", &commit]);
        let repo = discover(&scene, &dir).await.unwrap();
        let base = repo.resolve(None).await.unwrap();
        assert_eq!(
            base,
            BaseCommit {
                branch: Some("main".to_owned()),
                commit
            }
        );
        let made = GitWorktree::create(&repo, run(), &base.commit, &scene.tree())
            .await
            .unwrap();
        scene.write("data/runs/main/.gitattributes", "* filter=x\n");
        let commit = made.commit("One", TRAILERS, &[]).await.unwrap();
        assert_eq!(
            scene.git(&dir, &["ls-tree", "--name-only", &commit]),
            ".gitattributes",
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_base_is_a_branch_a_tag_or_a_commit() {
    let scene = GitFixture::new();
    let first = scene.git("repo", &["rev-parse", "HEAD"]);
    scene.git("repo", &["tag", "-a", "v1", "-m", "One"]);
    scene.git("repo", &["branch", "feature/x"]);
    scene.git("repo", &["tag", "both"]);
    scene.git("repo", &["commit", "-q", "--allow-empty", "-m", "Second"]);
    scene.git("repo", &["branch", "both"]);
    let second = scene.git("repo", &["rev-parse", "HEAD"]);
    let repo = scene.repo().await;
    for (base, branch, commit) in [
        (None, Some("main"), &second),
        (Some("main"), Some("main"), &second),
        (Some("feature/x"), Some("feature/x"), &first),
        (Some("both"), Some("both"), &second),
        (Some("tags/both"), None, &first),
        (Some("v1"), None, &first),
        (Some(first.as_str()), None, &first),
        (Some(&first[..10]), None, &first),
        (Some("HEAD~1"), None, &first),
    ] {
        let expected = BaseCommit {
            branch: branch.map(str::to_owned),
            commit: commit.clone(),
        };
        assert_eq!(repo.resolve(base).await.unwrap(), expected, "{base:?}");
    }
    scene.git("repo", &["checkout", "-q", "--detach", "v1"]);
    assert_eq!(
        repo.resolve(None).await.unwrap(),
        BaseCommit {
            branch: None,
            commit: first
        }
    );
}

#[tokio::test]
async fn an_unknown_base_is_refused_with_what_was_meant() {
    let scene = GitFixture::new();
    scene.git("repo", &["branch", "feature/login"]);
    let repo = scene.repo().await;
    for (base, hint) in [
        (
            "feature/logim",
            "did you mean 'feature/login'? `git branch` lists them all",
        ),
        ("zzz", "`git branch` lists the branches"),
        ("", "`git branch` lists the branches"),
        ("--all", "`git branch` lists the branches"),
        ("HEAD:README.md", "`git branch` lists the branches"),
        ("a\nb", "`git branch` lists the branches"),
    ] {
        let failure = repo.resolve(Some(base)).await.unwrap_err();
        assert_eq!(
            (failure.code, failure.hint.as_str()),
            (Code::UsageInvalid, hint),
            "{base:?}"
        );
        assert!(
            failure.message.starts_with(&format!(
                "'{}' is no branch or commit of ",
                base.escape_debug()
            )),
            "{failure:?}"
        );
    }
}
