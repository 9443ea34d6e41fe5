use super::*;

#[tokio::test]
async fn a_commit_takes_everything_that_is_not_ignored_and_the_artifact_even_so() {
    let scene = GitFixture::new();
    scene.write("repo/.gitignore", "out/\n*.log\n");
    scene.write("repo/gone", "1");
    scene.write("repo/folder/file", "1");
    scene.write("repo/becomes-folder", "1");
    scene.git("repo", &["add", "."]);
    scene.git("repo", &["commit", "-q", "-m", "Second"]);
    scene.write("home/ignored", "*.tmp\n");
    scene.git(
        "home",
        &["config", "--global", "core.excludesFile", "~/ignored"],
    );
    let tree = scene.worktree().await;
    let root = scene.tree();
    std::fs::remove_file(root.join("gone")).unwrap();
    std::fs::remove_dir_all(root.join("folder")).unwrap();
    std::fs::remove_file(root.join("becomes-folder")).unwrap();
    for path in [
        "README.md",
        "new/deep/file",
        "a.log",
        "b.tmp",
        "out/plan.json",
        "out/other",
        "folder",
        "becomes-folder/file",
    ] {
        scene.write(&format!("data/runs/main/{path}"), "now");
    }
    scene.git("data/runs/main", &["add", "-N", "new"]);
    let commit = tree
        .commit(
            "Plan: the work",
            TRAILERS,
            &["out/plan.json", "not/there.json"],
        )
        .await
        .unwrap();
    let expected = [
        ".gitignore",
        "README.md",
        "becomes-folder/file",
        "folder",
        "new/deep/file",
        "out/plan.json",
    ];
    assert_eq!(scene.files(&commit), expected);
    assert_eq!(scene.show(&format!("{commit}:README.md")), "now");
    assert_eq!(
        scene.git("data/runs/main", &["status", "--porcelain"]),
        "",
        "the index shows what is true"
    );
    assert_eq!(scene.git("repo", &["rev-parse", &branch()]), commit);
}

#[tokio::test]
async fn a_phase_that_changed_nothing_is_an_empty_commit() {
    let scene = GitFixture::new();
    let tree = scene.worktree().await;
    let base = tree.head().await.unwrap();
    let commit = tree.commit("Nothing", TRAILERS, &[]).await.unwrap();
    assert_ne!(commit, base);
    assert_eq!(
        scene.git("repo", &["rev-parse", &format!("{commit}^")]),
        base
    );
    assert_eq!(
        scene.git("repo", &["rev-parse", &format!("{commit}^{{tree}}")]),
        scene.git("repo", &["rev-parse", "main^{tree}"])
    );
}

/// Trailers of a phase of its own.
fn of_phase(number: &str) -> [(&str, &str); 1] {
    [("Phasedeck-Phase", number)]
}

#[tokio::test]
async fn a_change_that_leaves_size_and_moment_as_they_were_is_committed() {
    let scene = GitFixture::new();
    let tree = scene.worktree().await;
    let file = scene.tree().join("README.md");
    let moment = file.metadata().unwrap().modified().unwrap();
    for number in 10..22 {
        let (text, number) = (format!("# a project{number}\n"), number.to_string());
        std::fs::write(&file, &text).unwrap();
        std::fs::File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_modified(moment)
            .unwrap();
        let commit = tree.commit("Round", &of_phase(&number), &[]).await.unwrap();
        assert_eq!(scene.show(&format!("{commit}:README.md")), text.trim_end());
    }
}

#[tokio::test]
async fn what_is_known_of_the_files_is_kept_from_commit_to_commit_and_made_again_where_it_is_lost()
{
    let scene = GitFixture::new();
    let tree = scene.worktree().await;
    let kept = tree.git_dir.join("phasedeck-index");
    let knows_the_file = || {
        let listed = scene
            .command("data/runs/main")
            .env("GIT_INDEX_FILE", &kept)
            .args(["ls-files", "--debug", "README.md"])
            .output()
            .unwrap();
        let told = String::from_utf8(listed.stdout).unwrap();
        assert!(told.contains("mtime:"), "{told}");
        !told.contains("mtime: 0:0")
    };
    for (number, harm) in [("1", None), ("2", Some("not an index")), ("3", None)] {
        match harm {
            Some(text) => std::fs::write(&kept, text).unwrap(),
            None if number == "3" => std::fs::remove_file(&kept).unwrap(),
            None => {}
        }
        scene.write(&format!("data/runs/main/file-{number}"), number);
        let commit = tree.commit("Round", &of_phase(number), &[]).await.unwrap();
        assert_eq!(scene.show(&format!("{commit}:file-{number}")), number);
        assert_eq!(scene.show(&format!("{commit}:README.md")), "# a project");
        assert!(knows_the_file(), "after commit {number}");
        assert_eq!(scene.git("data/runs/main", &["status", "--porcelain"]), "");
    }
}

#[tokio::test]
async fn the_same_trailers_are_committed_once_and_another_artifact_anew() {
    let scene = GitFixture::new();
    let tree = scene.worktree().await;
    let first = tree.commit("Plan", TRAILERS, &[]).await.unwrap();
    scene.write("data/runs/main/late", "late");
    assert_eq!(
        tree.commit("Plan, told otherwise", TRAILERS, &[])
            .await
            .unwrap(),
        first
    );
    let other = [
        TRAILERS[0],
        TRAILERS[1],
        ("Phasedeck-Artifact", "sha256:bb"),
    ];
    let second = tree.commit("Plan", &other, &[]).await.unwrap();
    assert_ne!(second, first);
    assert_eq!(
        scene.git("repo", &["rev-parse", &format!("{second}^")]),
        first
    );
    assert_eq!(scene.files(&second), ["README.md", "late"]);
    let third = tree.commit("Plan", TRAILERS, &[]).await.unwrap();
    assert_ne!(third, first, "only the last commit counts");
}

#[tokio::test]
async fn git_finds_the_trailers_whatever_the_message_is() {
    let messages = [
        ("plan: Plan the work", "plan: Plan the work"),
        ("  \n ", "Work of phasedeck"),
        ("one\n\ntwo: three\n---\nfour\n", "one"),
        ("# not a comment", "# not a comment"),
        ("-F /etc/passwd\0", "-F /etc/passwd"),
        ("größer 🙂", "größer 🙂"),
    ];
    let scene = GitFixture::new();
    let tree = scene.worktree().await;
    for (message, subject) in messages {
        let trailers = [
            ("Phasedeck-Run", "1"),
            ("Phasedeck-Phase", "two\nlines: here"),
            ("Phasedeck-Persona", ""),
        ];
        let commit = tree.commit(message, &trailers, &[]).await.unwrap();
        assert_eq!(
            scene.git("repo", &["log", "-1", "--format=%s", &commit]),
            subject.replace('\n', " ")
        );
        let parsed = parse(
            &scene,
            &scene.git("repo", &["log", "-1", "--format=%B", &commit]),
        );
        assert_eq!(
            parsed, "Phasedeck-Run: 1\nPhasedeck-Phase: two lines: here\nPhasedeck-Persona:\n",
            "{message:?}"
        );
        assert_eq!(
            tree.commit(message, &trailers, &[]).await.unwrap(),
            commit,
            "{message:?} once"
        );
        tree.commit("Between", &[], &[]).await.unwrap();
    }
}

fn parse(scene: &GitFixture, message: &str) -> String {
    scene.write("message", message);
    scene
        .git(
            "repo",
            &[
                "interpret-trailers",
                "--parse",
                scene.at("message").to_str().unwrap(),
            ],
        )
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

#[tokio::test]
async fn the_author_is_the_operator_else_the_program() {
    for (settings, expected) in [
        (&[][..], "phasedeck <phasedeck@localhost>"),
        (
            &[("user.name", "Ada L."), ("user.email", "ada@example.org")],
            "Ada L. <ada@example.org>",
        ),
        (
            &[("user.name", "Ada\u{e9} Ünsal")],
            "Ada\u{e9} Ünsal <phasedeck@localhost>",
        ),
        (
            &[("user.name", "<>"), ("user.email", " ")],
            "phasedeck <phasedeck@localhost>",
        ),
    ] {
        for scope in ["--global", "--local"] {
            let scene = GitFixture::new();
            for (key, value) in settings {
                scene.git("repo", &["config", scope, key, value]);
            }
            let commit = scene
                .worktree()
                .await
                .commit("Plan", TRAILERS, &[])
                .await
                .unwrap();
            assert_eq!(
                scene.git("repo", &["log", "-1", "--format=%an <%ae>", &commit]),
                expected
            );
            assert_eq!(
                scene.git("repo", &["log", "-1", "--format=%cn <%ce>", &commit]),
                expected
            );
        }
    }
}
