//! What a user does around runs: setting up, tidying away, reading what was said.

use crate::home::{Home, git};

fn rehearsed(home: &Home) -> std::path::PathBuf {
    let repo = home.repository("shop");
    home.expect(
        0,
        &[
            "run",
            "research",
            "--repo",
            repo.to_str().unwrap(),
            "-m",
            "Which carts are there?",
            "--rehearse",
            "--headless",
            "--yes",
        ],
    );
    repo
}

#[test]
fn what_is_not_merged_is_kept_until_it_is_asked_for_twice() {
    let home = Home::new();
    let repo = rehearsed(&home);
    let run = home.newest();
    let branch = format!("phasedeck/{}", run.id);
    let head = git(&repo, &["rev-parse", &branch]).trim().to_owned();

    let kept = home.run(&["clean"]);
    assert_eq!(
        String::from_utf8(kept.stderr).unwrap(),
        "1 run kept: work that is in no other branch; `phasedeck clean --unmerged` names them\n"
    );
    let named: serde_json::Value =
        serde_json::from_str(&home.expect(0, &["clean", "--unmerged", "--json"])).unwrap();
    assert_eq!(
        (&named[0]["found"], &named[0]["removed"]),
        (&"unmerged".into(), &false.into())
    );
    assert!(home.paths().run(run.id).exists());
    home.expect(2, &["clean", "--yes"]);

    let gone: serde_json::Value =
        serde_json::from_str(&home.expect(0, &["clean", "@last", "--unmerged", "--yes", "--json"]))
            .unwrap();
    assert_eq!(
        (&gone[0]["removed"], gone[0]["commit"].as_str()),
        (&true.into(), Some(head.as_str()))
    );
    assert!(!home.paths().run(run.id).exists());
    assert_eq!(git(&repo, &["branch", "--list", "phasedeck/*"]), "");
    assert_eq!(home.expect(0, &["clean", "--json"]).trim(), "[]");
    assert!(
        home.expect(0, &["artifact", "@last", "question"])
            .contains("\"phaseKey\""),
        "artifacts stay"
    );
}

#[test]
fn what_is_merged_goes_at_once_and_only_when_it_has_ended() {
    let home = Home::new();
    let repo = rehearsed(&home);
    let run = home.newest();
    git(
        &repo,
        &["merge", "-q", "--ff-only", &format!("phasedeck/{}", run.id)],
    );
    assert!(home.expect(0, &["clean", "--dry-run"]).contains("kept"));
    assert!(home.expect(0, &["clean"]).contains("removed"));
    assert!(!home.paths().run(run.id).exists());

    let mut waiting = home
        .command(&[
            "run",
            "development",
            "--repo",
            repo.to_str().unwrap(),
            "-m",
            "Add a cart, please",
            "--rehearse",
            "--headless",
        ])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while !home.newest().state.starts_with("awaiting") {
        std::thread::yield_now();
    }
    let refused = home.run(&["clean", "@last"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        String::from_utf8(refused.stderr)
            .unwrap()
            .contains("has not ended")
    );
    waiting.kill().unwrap();
    waiting.wait().unwrap();
}

#[test]
fn init_writes_what_validates_and_never_overwrites() {
    let home = Home::new();
    std::fs::remove_file(home.paths().config_file()).unwrap();
    let wrote = home.expect(0, &["init", "--all"]);
    assert!(
        wrote.lines().all(|line| line.starts_with("wrote ")),
        "{wrote}"
    );
    let flow = home.paths().config.join("workflows/development.yaml");
    home.expect(0, &["validate", flow.to_str().unwrap()]);
    std::fs::write(home.paths().config_file(), "# mine\n").unwrap();
    let again = home.expect(0, &["init", "--all"]);
    assert!(
        again
            .lines()
            .all(|line| line.starts_with("is there, left alone: ")),
        "{again}"
    );
    assert_eq!(
        std::fs::read_to_string(home.paths().config_file()).unwrap(),
        "# mine\n"
    );
    assert!(home.expect(0, &["workflows"]).contains("development@1"));
}

#[test]
fn a_rehearsal_has_no_transcript_and_says_so() {
    let home = Home::new();
    rehearsed(&home);
    let said = home.run(&["transcript", "@last"]);
    assert!(said.stdout.is_empty() && said.status.success());
    assert!(
        String::from_utf8(said.stderr)
            .unwrap()
            .contains("rehearsal, which asks no model")
    );
    home.expect(2, &["transcript", "@last", "qestion"]);
}

#[test]
fn completions_and_manual_need_no_folder_and_no_settings() {
    let home = Home::new();
    home.configure("nonsense = 1\n");
    assert!(
        home.expect(0, &["completions", "bash"])
            .contains("_phasedeck()")
    );
    assert!(home.expect(0, &["man"]).contains(".SH NAME"));
}

#[test]
fn a_run_goes_to_another_installation_as_one_file() {
    let (home, elsewhere) = (Home::new(), Home::new());
    rehearsed(&home);
    let run = home.newest();
    let file = home.path().join("run.jsonl");
    let path = file.to_str().unwrap();
    home.expect(0, &["export", "@last", "-o", path]);
    home.expect(1, &["export", "@last", "-o", path]);
    let told: serde_json::Value =
        serde_json::from_str(&elsewhere.expect(0, &["import", path, "--json"])).unwrap();
    assert_eq!(
        (&told["redacted"], &told["aborted_from"]),
        (&false.into(), &serde_json::Value::Null)
    );
    crate::home::check_invariants(&elsewhere, &elsewhere.newest());
    assert_eq!(elsewhere.events(&run), home.events(&run));
    for phase in ["question", "report"] {
        assert_eq!(
            elsewhere.expect(0, &["artifact", "@last", phase]),
            home.expect(0, &["artifact", "@last", phase])
        );
    }
    elsewhere.expect(0, &["verify", "@last"]);
    elsewhere.expect(2, &["import", path]);
    elsewhere.expect(0, &["report", "@last", "--html"]);
    assert_eq!(elsewhere.expect(0, &["clean", "--json"]).trim(), "[]");
}

#[test]
fn a_run_that_goes_on_is_ended_by_the_import_and_a_redacted_one_tells_no_words() {
    let (home, elsewhere) = (Home::new(), Home::new());
    let mut waiting = home
        .command(&["demo", "--headless"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let asked = || {
        phasedeck::engine::api::RunArchive::open(&home.paths())
            .is_ok_and(|archive| !archive.pending_approvals().unwrap().is_empty())
    };
    while !asked() {
        std::thread::yield_now();
    }
    let text = home.expect(0, &["export", "@last", "--redact"]);
    waiting.kill().unwrap();
    waiting.wait().unwrap();
    assert!(
        !text.contains("shopping cart") && text.contains("characters left out"),
        "{text}"
    );
    let file = home.path().join("redacted.jsonl");
    std::fs::write(&file, &text).unwrap();
    let told: serde_json::Value =
        serde_json::from_str(&elsewhere.expect(0, &["import", file.to_str().unwrap(), "--json"]))
            .unwrap();
    assert_eq!(
        (&told["redacted"], &told["aborted_from"]),
        (&true.into(), &"awaiting_approval".into())
    );
    let run = elsewhere.newest();
    assert_eq!(run.state, "aborted");
    crate::home::check_invariants(&elsewhere, &run);
    assert!(elsewhere.archive().pending_approvals().unwrap().is_empty());
}

#[test]
fn a_file_that_was_cut_or_changed_is_refused_and_nothing_is_kept() {
    let (home, elsewhere) = (Home::new(), Home::new());
    rehearsed(&home);
    let text = home.expect(0, &["export", "@last"]);
    let lines: Vec<&str> = text.lines().collect();
    let cases = [
        (
            "cut",
            lines[..lines.len() - 1].join("\n") + "\n",
            "the file was cut",
        ),
        (
            "changed",
            text.replacen("Which carts", "Which parts", 1),
            "its end does not fit",
        ),
        ("foreign", "{\"a\":1}\n".to_owned(), "line 1"),
        ("empty", String::new(), "the file was cut"),
    ];
    for (name, text, words) in cases {
        let file = home.path().join(name);
        std::fs::write(&file, text).unwrap();
        let refused = elsewhere.run(&["import", file.to_str().unwrap()]);
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(
            refused.status.code() == Some(2) && said.contains(words),
            "{name}: {said}"
        );
    }
    assert!(elsewhere.expect(0, &["runs", "--json"]).trim() == "[]");
}
