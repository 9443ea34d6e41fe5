use super::*;

const HOOKS: &[&str] = &[
    "post-checkout",
    "post-index-change",
    "reference-transaction",
    "pre-commit",
    "prepare-commit-msg",
    "commit-msg",
    "post-commit",
    "post-rewrite",
    "pre-auto-gc",
    "fsmonitor-watchman",
];

fn set_traps(scene: &GitFixture) {
    for hook in HOOKS {
        std::fs::create_dir_all(scene.at("repo/.git/hooks")).unwrap();
        std::fs::copy(
            scene.canary(hook),
            scene.at(&format!("repo/.git/hooks/{hook}")),
        )
        .unwrap();
    }
    std::fs::create_dir_all(scene.at("home/hooks")).unwrap();
    std::fs::copy(
        scene.canary("home-hook"),
        scene.at("home/hooks/post-checkout"),
    )
    .unwrap();
    for (key, canary) in [
        ("core.fsmonitor", "fsmonitor"),
        ("core.sshCommand", "ssh"),
        ("core.pager", "pager"),
        ("core.editor", "editor"),
        ("core.askPass", "askpass"),
        ("credential.helper", "credential"),
        ("gpg.program", "gpg"),
        ("diff.external", "diff"),
        ("diff.trap.textconv", "textconv"),
        ("merge.trap.driver", "merge"),
        ("filter.trap.smudge", "smudge"),
        ("filter.trap.clean", "clean"),
        ("filter.a.b c.process", "process"),
        ("filter.local.clean", "local-clean"),
        ("filter.local.smudge", "local-smudge"),
        ("alias.commit", "alias"),
    ] {
        let program = scene.canary(canary);
        scene.git(
            "repo",
            &[
                "config",
                key,
                &if key.starts_with("alias") {
                    format!("!{program}")
                } else {
                    program
                },
            ],
        );
    }
    for (key, value) in [
        ("filter.trap.required", "true"),
        ("filter.a.b c.required", "true"),
        ("commit.gpgSign", "true"),
    ] {
        scene.git("repo", &["config", key, value]);
    }
    let smudge = scene.canary("home-smudge");
    scene.git(
        "home",
        &["config", "--global", "filter.home.smudge", &smudge],
    );
    scene.git(
        "home",
        &["config", "--global", "filter.home.clean", &smudge],
    );
    scene.git(
        "home",
        &[
            "config",
            "--global",
            "core.hooksPath",
            scene.at("home/hooks").to_str().unwrap(),
        ],
    );
    scene.write("home/attributes", "* filter=home\n");
    scene.git(
        "home",
        &[
            "config",
            "--global",
            "core.attributesFile",
            scene.at("home/attributes").to_str().unwrap(),
        ],
    );
    scene.write("repo/.git/info/attributes", "*.local filter=local\n");
}

fn scene_with_traps() -> GitFixture {
    let scene = GitFixture::new();
    scene.write(
        "repo/.gitattributes",
        "*.txt filter=trap diff=trap merge=trap\n*.proc filter=\"a.b c\"\n*.crlf text eol=crlf\n*.id ident\n",
    );
    for (name, text) in [
        ("a.txt", "text\n"),
        ("a.proc", "process\n"),
        ("a.crlf", "one\ntwo\n"),
        ("a.id", "$Id$\n"),
        ("a.local", "local\n"),
    ] {
        scene.write(&format!("repo/{name}"), text);
    }
    scene.git("repo", &["add", "."]);
    scene.git("repo", &["commit", "-q", "-m", "Files with attributes"]);
    set_traps(&scene);
    scene
}

#[tokio::test]
async fn nothing_that_the_repository_or_its_settings_name_is_run() {
    let scene = scene_with_traps();
    let tree = scene.worktree().await;
    scene.write("data/runs/main/b.txt", "new\r\n");
    scene.write("data/runs/main/b.local", "new\n");
    scene.write("data/runs/main/b.proc", "new\n");
    scene.write("data/runs/main/a.txt", "changed\n");
    let first = tree.commit("One", TRAILERS, &[]).await.unwrap();
    std::fs::remove_dir_all(scene.tree()).unwrap();
    let tree = GitWorktree::open(&scene.repo().await, run(), &scene.tree())
        .await
        .unwrap();
    scene.write(
        "data/runs/main/.gitattributes",
        "* filter=trap\n*.x filter=home\n",
    );
    scene.write("data/runs/main/c.x", "new\n");
    let second = tree
        .commit("Two", &[("Phasedeck-Phase", "build")], &[])
        .await
        .unwrap();
    assert_eq!(scene.canaries_that_sang(), Vec::<String>::new());
    assert_eq!(scene.show(&format!("{first}:b.txt")), "new\r");
    assert_eq!(scene.show(&format!("{second}:a.txt")), "changed");
    assert_eq!(
        std::fs::read_to_string(scene.at("data/runs/main/a.crlf")).unwrap(),
        "one\ntwo\n",
        "bytes as they are stored"
    );
    assert_eq!(
        std::fs::read_to_string(scene.at("data/runs/main/a.id")).unwrap(),
        "$Id$\n"
    );
}

#[tokio::test]
async fn the_traps_of_these_tests_do_sing_when_git_is_run_plainly() {
    let scene = scene_with_traps();
    let other = scene.at("data/plain");
    let _ = scene
        .command("repo")
        .args(["worktree", "add", "-q", "-b", "plain"])
        .arg(&other)
        .output()
        .unwrap();
    let _ = scene.command("repo").args(["status"]).output().unwrap();
    let sang = scene.canaries_that_sang();
    for name in [
        "sang-home-hook",
        "sang-smudge",
        "sang-local-smudge",
        "sang-fsmonitor",
    ] {
        assert!(sang.iter().any(|found| found == name), "{name} in {sang:?}");
    }
}

#[tokio::test]
async fn what_an_agent_writes_over_the_pointer_to_the_git_folder_does_not_matter() {
    let scene = GitFixture::new();
    let tree = scene.worktree().await;
    scene.git("data/runs/main", &["init", "-q", "evil"]);
    scene.git(
        "data/runs/main/evil",
        &["config", "core.fsmonitor", &scene.canary("fsmonitor")],
    );
    scene.git(
        "data/runs/main/evil",
        &[
            "config",
            "core.hooksPath",
            scene.at("canaries").to_str().unwrap(),
        ],
    );
    scene.canary("reference-transaction");
    scene.write("data/runs/main/new", "new\n");
    scene.write("data/runs/main/.git", "gitdir: evil/.git\n");
    let commit = tree.commit("One", TRAILERS, &[]).await.unwrap();
    assert_eq!(scene.files(&commit), ["README.md", "new"]);
    std::fs::remove_file(scene.at("data/runs/main/.git")).unwrap();
    scene.write("data/runs/main/newer", "newer\n");
    let commit = tree.commit("Two", &[], &[]).await.unwrap();
    assert_eq!(scene.files(&commit), ["README.md", "new", "newer"]);
    assert_eq!(
        GitWorktree::open(&scene.repo().await, run(), &scene.tree())
            .await
            .unwrap()
            .head()
            .await
            .unwrap(),
        commit
    );
    assert_eq!(scene.canaries_that_sang(), Vec::<String>::new());
}
