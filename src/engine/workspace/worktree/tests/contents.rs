use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use super::*;
use crate::model::error::Code;

#[tokio::test]
async fn names_of_every_kind_are_committed() {
    let names: &[&[u8]] = &[
        b"with space",
        b"new\nline",
        b"-rf",
        b"--all",
        b"tab\there",
        b"quote\"d",
        b":(glob)*",
        b"*.md",
        b"\xff\xfe",
        b"# hash",
        b"back\\slash",
        b"? x",
    ];
    let scene = GitFixture::new();
    let tree = scene.worktree().await;
    for name in names {
        std::fs::write(scene.tree().join(OsStr::from_bytes(name)), "1").unwrap();
    }
    let first = tree.commit("Odd names", &[], &[]).await.unwrap();
    let listed = |commit: &str| {
        let output = scene
            .command("repo")
            .args(["ls-tree", "-r", "-z", "--name-only", commit])
            .output()
            .unwrap();
        let mut found: Vec<Vec<u8>> = output
            .stdout
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty())
            .map(<[u8]>::to_vec)
            .collect();
        found.retain(|name| name != b"README.md");
        found.sort();
        found
    };
    let mut expected = names.iter().map(|name| name.to_vec()).collect::<Vec<_>>();
    expected.sort();
    assert_eq!(listed(&first), expected);
    for name in &names[1..] {
        std::fs::remove_file(scene.tree().join(OsStr::from_bytes(name))).unwrap();
    }
    let second = tree.commit("Gone again", &[], &["-rf"]).await.unwrap();
    assert_eq!(listed(&second), [names[0].to_vec()]);
}

#[tokio::test]
async fn links_stay_links_and_programs_stay_programs() {
    let scene = GitFixture::new();
    scene.write("repo/folder/file", "1");
    scene.git("repo", &["add", "."]);
    scene.git("repo", &["commit", "-q", "-m", "A folder"]);
    let tree = scene.worktree().await;
    let root = scene.tree();
    symlink("/etc/passwd", root.join("link")).unwrap();
    symlink("nowhere", root.join("dangling")).unwrap();
    std::fs::rename(root.join("folder"), scene.at("elsewhere")).unwrap();
    symlink(scene.at("elsewhere"), root.join("folder")).unwrap();
    scene.write("data/runs/main/program", "#!/bin/sh\n");
    std::fs::set_permissions(root.join("program"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let commit = tree.commit("Links", &[], &["link"]).await.unwrap();
    let modes: Vec<String> = scene
        .show(&format!("{commit}^{{tree}}"))
        .lines()
        .map(|line| format!("{} {}", &line[..6], line.rsplit('\t').next().unwrap()))
        .collect();
    assert_eq!(
        modes,
        [
            "100644 README.md",
            "120000 dangling",
            "120000 folder",
            "120000 link",
            "100755 program"
        ]
    );
    assert_eq!(scene.show(&format!("{commit}:link")), "/etc/passwd");
    std::fs::set_permissions(root.join("program"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let commit = tree.commit("Not a program", &[], &[]).await.unwrap();
    assert!(
        scene
            .show(&format!("{commit}^{{tree}}"))
            .contains("100644 blob")
            && !scene.show(&format!("{commit}^{{tree}}")).contains("100755")
    );
}

#[tokio::test]
async fn repositories_that_an_agent_made_within_are_files_like_others() {
    let scene = GitFixture::new();
    scene.write("repo/.gitignore", "target/\n");
    scene.git("repo", &["add", "."]);
    scene.git("repo", &["commit", "-q", "-m", "Ignore"]);
    let tree = scene.worktree().await;
    scene.git("data/runs/main", &["init", "-q", "empty"]);
    scene.git("data/runs/main", &["init", "-q", "app"]);
    for path in [
        "app/src/main.rs",
        "app/target/big",
        "app/own.log",
        "empty/file",
        "app/inner/deep",
    ] {
        scene.write(&format!("data/runs/main/{path}"), "1");
    }
    scene.write("data/runs/main/app/.gitignore", "*.log\n");
    scene.git("data/runs/main/app", &["init", "-q", "inner"]);
    scene.git(
        "data/runs/main/app",
        &["config", "core.fsmonitor", &scene.canary("fsmonitor")],
    );
    scene.git("data/runs/main/app", &["add", "src"]);
    scene.git("data/runs/main/app", &["commit", "-q", "-m", "Theirs"]);
    let sang = scene.canaries_that_sang().len();
    let _ = std::fs::remove_file(scene.at("sang-fsmonitor"));
    let first = tree
        .commit("Two repositories", &[], &["app/own.log"])
        .await
        .unwrap();
    let mut expected = vec![
        ".gitignore",
        "README.md",
        "app/.gitignore",
        "app/inner/deep",
        "app/own.log",
        "app/src/main.rs",
        "empty/file",
    ];
    assert_eq!(
        scene.files(&first),
        expected,
        "the agent's own git ran {sang} programs"
    );
    scene.write("data/runs/main/app/src/more.rs", "2");
    std::fs::remove_dir_all(scene.at("data/runs/main/empty")).unwrap();
    let second = tree.commit("More of it", &[], &[]).await.unwrap();
    expected.retain(|path| *path != "empty/file");
    expected.push("app/src/more.rs");
    assert_eq!(scene.files(&second), expected);
    assert!(
        scene.at("data/runs/main/app/.git").is_dir(),
        "the agent's repository is left alone"
    );
    assert_eq!(scene.canaries_that_sang(), Vec::<String>::new());
}

#[tokio::test]
async fn submodules_stay_as_the_last_commit_has_them() {
    let scene = GitFixture::new();
    scene.git("home", &["init", "-q", "-b", "main", "lib"]);
    scene.git(
        "home/lib",
        &["commit", "-q", "--allow-empty", "-m", "Library"],
    );
    scene.git(
        "repo",
        &[
            "submodule",
            "--quiet",
            "add",
            scene.at("home/lib").to_str().unwrap(),
            "lib",
        ],
    );
    scene.git("repo", &["commit", "-q", "-m", "With a library"]);
    let link = scene.git("repo", &["rev-parse", "HEAD:lib"]);
    let tree = scene.worktree().await;
    assert!(
        scene.at("data/runs/main/lib").is_dir(),
        "not fetched, an empty folder"
    );
    scene.git(
        "data/runs/main",
        &["submodule", "--quiet", "update", "--init"],
    );
    scene.git(
        "data/runs/main/lib",
        &["commit", "-q", "--allow-empty", "-m", "By the agent"],
    );
    scene.git(
        "data/runs/main/lib",
        &["config", "core.fsmonitor", &scene.canary("fsmonitor")],
    );
    scene.write("data/runs/main/lib/file", "1");
    scene.write("data/runs/main/new", "1");
    let commit = tree.commit("Beside it", &[], &[]).await.unwrap();
    assert_eq!(
        scene.files(&commit),
        [".gitmodules", "README.md", "lib", "new"]
    );
    assert_eq!(
        scene.git("repo", &["rev-parse", &format!("{commit}:lib")]),
        link
    );
    let failure = tree
        .commit("Within it", &[], &["lib/file"])
        .await
        .unwrap_err();
    assert_eq!(
        (failure.code, failure.message.as_str()),
        (
            Code::GitFailed,
            "lib/file lies in the submodule 'lib' and cannot be committed"
        )
    );
    std::fs::remove_dir_all(scene.at("data/runs/main/lib")).unwrap();
    let commit = tree.commit("Without its folder", &[], &[]).await.unwrap();
    assert_eq!(
        scene.git("repo", &["rev-parse", &format!("{commit}:lib")]),
        link
    );
    assert_eq!(scene.canaries_that_sang(), Vec::<String>::new());
}

#[tokio::test]
async fn what_cannot_be_stored_is_told_by_name_and_nothing_is_committed() {
    let scene = GitFixture::new();
    let tree = scene.worktree().await;
    let base = tree.head().await.unwrap();
    let root = scene.tree();
    std::fs::remove_file(root.join("README.md")).unwrap();
    std::os::unix::net::UnixListener::bind(root.join("README.md")).unwrap();
    let failure = tree.commit("A socket", &[], &[]).await.unwrap_err();
    assert_eq!(failure.code, Code::GitFailed);
    assert!(
        failure.message.contains("README.md") && !failure.hint.is_empty(),
        "{failure:?}"
    );
    assert_eq!(tree.head().await.unwrap(), base);
    std::fs::remove_file(root.join("README.md")).unwrap();
    std::os::unix::net::UnixListener::bind(root.join("new-socket")).unwrap();
    let commit = tree.commit("A new socket", &[], &[]).await.unwrap();
    assert_eq!(
        scene.files(&commit),
        Vec::<String>::new(),
        "git has no words for sockets"
    );
}
