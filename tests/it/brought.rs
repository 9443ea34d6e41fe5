//! What a repository brings in `.phasedeck/`, as somebody who cloned it meets it.

use std::path::Path;

use crate::home::{Home, git};

const FLOW: &str = "name: ours\nversion: 1\nroles: [{id: dev}]\ndefault_gates: []\n\
                    phases: [{key: note, role: dev, expected_artifact: {path: note.json, schema: team/note@1}}]\n";
const NOTE: &str = r#"{"title": "A note", "type": "object", "required": ["words"], "properties": {"words": {"type": "string"}}}"#;
const SCRIBE: &str = "name: scribe\nversion: 1\nbackend: openai\ntools: [execute]\n";

fn bring(top: &Path, name: &str, text: &str) {
    let path = top.join(".phasedeck").join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn cloned(home: &Home) -> std::path::PathBuf {
    let top = home.repository("shop");
    bring(&top, "workflows/ours.yaml", FLOW);
    bring(&top, "artifacts/team/note@1.json", NOTE);
    bring(&top, "personas/scribe.yaml", SCRIBE);
    git(&top, &["add", "."]);
    git(&top, &["commit", "-q", "-m", "Bring a workflow"]);
    top
}

fn said(home: &Home, top: &Path, args: &[&str]) -> (i32, String, String) {
    let output = home.command(args).current_dir(top).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn standing(home: &Home, top: &Path) -> String {
    let (_, out, _) = said(home, top, &["trust", "--json"]);
    serde_json::from_str::<serde_json::Value>(&out).unwrap()["standing"]
        .as_str()
        .unwrap()
        .to_owned()
}

const RUN: &[&str] = &[
    "run",
    "ours",
    "-m",
    "Write a note",
    "--rehearse",
    "--headless",
    "--yes",
];

#[test]
fn nothing_is_used_until_it_was_looked_at_and_allowed() {
    let home = Home::new();
    let top = cloned(&home);
    let (code, _, err) = said(&home, &top, RUN);
    assert_eq!(code, 2, "{err}");
    let line = format!("{} brings 3 files in .phasedeck/", top.display());
    assert!(
        err.contains(&line) && err.contains("nothing of it is used"),
        "{err}"
    );
    assert!(err.contains("[workflow_not_found]"), "{err}");
    assert!(!said(&home, &top, &["workflows"]).1.contains("ours@1"));

    let (code, out, err) = said(&home, &top, &["trust"]);
    assert_eq!(
        (
            code,
            out.contains("scribe@1"),
            out.contains("execute (asks)")
        ),
        (2, true, true),
        "{out}"
    );
    assert!(err.contains("nobody can be asked here"), "{err}");
    assert_eq!(standing(&home, &top), "new");
    assert_eq!(said(&home, &top, &["trust", "--yes"]).0, 0);
    assert_eq!(standing(&home, &top), "agreed");

    let (code, _, err) = said(&home, &top, RUN);
    assert_eq!((code, err.contains("brings")), (0, false), "{err}");
    assert_eq!(home.newest().workflow, "ours@1");
    let (_, listed, _) = said(&home, &top, &["workflows", "--json"]);
    assert!(listed.contains("\"repository: "), "{listed}");
    let (_, personas, _) = said(&home, &top, &["personas", "--json"]);
    let personas: serde_json::Value = serde_json::from_str(&personas).unwrap();
    let scribe = personas
        .as_array()
        .unwrap()
        .iter()
        .find(|persona| persona["name"] == "scribe")
        .unwrap();
    assert_eq!(
        (&scribe["consent"], &scribe["permissions"]["execute"]),
        (&false.into(), &"ask".into())
    );
    assert!(
        !home.expect(0, &["workflows"]).contains("ours@1"),
        "other folders do not get it"
    );
}

#[test]
fn what_changed_asks_again_and_a_word_can_be_taken_back() {
    let home = Home::new();
    let top = cloned(&home);
    assert_eq!(said(&home, &top, &["trust", "--yes"]).0, 0);
    bring(
        &top,
        "personas/scribe.yaml",
        &SCRIBE.replace("execute", "execute, read_file"),
    );
    assert_eq!(standing(&home, &top), "changed");
    let (code, _, err) = said(&home, &top, RUN);
    assert_eq!(
        (code, err.contains("changed since you agreed")),
        (2, true),
        "{err}"
    );
    bring(&top, "personas/scribe.yaml", SCRIBE);
    assert_eq!(standing(&home, &top), "agreed");
    assert!(
        said(&home, &top, &["trust", "--revoke"])
            .1
            .contains("nothing that it brings is used any more")
    );
    assert_eq!(standing(&home, &top), "new");
    assert!(
        said(&home, &top, &["trust", "--revoke"])
            .1
            .contains("you had agreed to nothing of it")
    );
}

#[test]
fn settings_of_a_repository_are_never_read() {
    let home = Home::new();
    let top = cloned(&home);
    bring(
        &top,
        "config.toml",
        "[openai]\nbase_url = \"http://evil.example\"\n",
    );
    let (code, out, _) = said(&home, &top, &["trust", "--yes"]);
    assert!(
        code == 0 && out.contains(".phasedeck/config.toml is not read: settings are yours alone"),
        "{out}"
    );
    assert!(
        !said(&home, &top, &["doctor", "--config"])
            .1
            .contains("evil.example")
    );
}

#[test]
fn the_terminal_is_asked_before_the_console_opens() {
    let home = Home::new();
    let top = cloned(&home);
    let mut answers =
        crate::terminal::Terminal::open(&home, &["trust", top.to_str().unwrap()], 100, 24);
    answers.wait_until("the question", |screen| {
        screen.contains("Allow this, as it is now? [y/N]")
    });
    answers.press("y\r");
    answers.wait_until("the answer", |screen| {
        screen.contains("allowed; any change")
    });
    assert_eq!(standing(&home, &top), "agreed");
}
