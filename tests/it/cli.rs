//! The command line of the real program, as a script meets it.

use std::process::Command;

use crate::home::Home;

struct Said {
    code: i32,
    out: String,
    err: String,
}

/// Whether colours are wanted is left to the program.
fn phasedeck(home: &Home, args: &[&str]) -> Command {
    let mut command = home.command(args);
    command.env_remove("NO_COLOR");
    command
}

fn say(home: &Home, args: &[&str]) -> Said {
    let output = phasedeck(home, args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said {
        code: output.status.code().unwrap(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

#[test]
fn help_and_version_are_results() {
    let home = Home::new();
    let version = say(&home, &["--version"]);
    assert_eq!((version.code, version.err.as_str()), (0, ""));
    assert!(
        version
            .out
            .starts_with(concat!("phasedeck ", env!("CARGO_PKG_VERSION"), " ("))
            && version.out.ends_with(")\n"),
        "{}",
        version.out
    );
    let help = say(&home, &["--help"]);
    assert_eq!(help.code, 0);
    for word in [
        "Start:",
        "Control:",
        "Inspect:",
        "Catalog:",
        "demo",
        "approve",
        "Exit codes: 0 done",
    ] {
        assert!(help.out.contains(word), "{word}: {}", help.out);
    }
    assert!(say(&home, &["run", "--help"]).out.contains("Examples:"));
}

#[test]
fn wrong_usage_ends_with_2_and_the_name_that_was_meant() {
    let home = Home::new();
    let said = say(&home, &["aprove", "@last"]);
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    assert!(said.err.contains("'approve'"), "{}", said.err);
    let said = say(&home, &["events", "@last", "--json", "--form", "3"]);
    let error: serde_json::Value = serde_json::from_str(&said.err).unwrap();
    assert_eq!(
        (said.code, &error["error"]["code"]),
        (2, &"usage_invalid".into())
    );
    assert_eq!(
        error["error"]["message"],
        "unexpected argument '--form' found"
    );
}

#[test]
fn without_a_terminal_the_console_names_the_way_without_one() {
    let home = Home::new();
    for args in [
        &[][..],
        &["demo"],
        &["resume"],
        &["run", "development", "-m", "x"],
    ] {
        let said = say(&home, args);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{args:?}");
        assert!(
            said.err
                .starts_with("error: the console needs a terminal: "),
            "{args:?}: {}",
            said.err
        );
        assert!(
            said.err
                .contains("phasedeck run WORKFLOW -m TEXT --headless"),
            "{args:?}: {}",
            said.err
        );
        assert!(!said.err.contains('\u{1b}'), "{args:?}: {}", said.err);
    }
}

#[test]
fn a_fresh_home_has_no_runs_and_says_how_to_begin() {
    let home = Home::new();
    let said = say(&home, &["runs"]);
    assert_eq!((said.code, said.out.as_str()), (0, ""));
    assert_eq!(
        said.err,
        "no runs; start one with `phasedeck demo` or `phasedeck run`\n"
    );
    assert_eq!(say(&home, &["runs", "--json"]).out, "[]\n");
    let said = say(&home, &["show", "@last"]);
    assert_eq!(said.code, 2);
    assert_eq!(
        said.err,
        "error: there are no runs yet [run_not_found]\n  hint: start one with `phasedeck demo` or `phasedeck run`\n"
    );
}

#[test]
fn all_mistakes_of_the_settings_are_told_with_their_places() {
    let home = Home::new();
    home.configure("[openai]\nbase_ulr = 'x'\n[engine]\nmax_turns = 'many'\n");
    let output = phasedeck(&home, &["runs"])
        .env("PHASEDECK_ENGINE_MAXTURNS", "3")
        .output()
        .unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(err.matches("error: ").count(), 3, "{err}");
    assert!(
        err.contains("config.toml:2:1 (openai.base_ulr)\n  hint: did you mean 'base_url'?"),
        "{err}"
    );
    assert!(
        err.contains("the variable PHASEDECK_ENGINE_MAXTURNS names no setting [config_invalid]"),
        "{err}"
    );
}

#[test]
fn the_shipped_registry_is_listed_and_broken_files_are_told() {
    let home = Home::new();
    let said = say(&home, &["workflows"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    for name in ["bugfix@1", "development@1", "research@1"] {
        assert!(said.out.contains(name), "{}", said.out);
    }
    let list = |what: &str| {
        serde_json::from_str::<serde_json::Value>(&say(&home, &[what, "--json"]).out).unwrap()
    };
    assert_eq!(list("personas").as_array().unwrap().len(), 12);
    assert!(
        list("schemas")
            .as_array()
            .unwrap()
            .iter()
            .any(|schema| schema["id"] == "dev/spec@1")
    );
    std::fs::create_dir_all(home.path().join("config/workflows")).unwrap();
    std::fs::write(
        home.path().join("config/workflows/mine.yaml"),
        "name: mine\n",
    )
    .unwrap();
    let said = say(&home, &["workflows"]);
    assert_eq!(said.code, 2);
    assert!(said.out.contains("development@1"), "{}", said.out);
    assert!(said.err.contains("mine.yaml"), "{}", said.err);
}

#[test]
fn validate_tells_all_problems_of_all_files() {
    let home = Home::new();
    let bad = home.path().join("bad.yaml");
    std::fs::write(&bad, "name: bad\nversion: 1\nroles:\n  - id: dev\nphases:\n  - key: a\n    role: dve\n  - key: b\n    role: nobody\n")
        .unwrap();
    let said = say(&home, &["validate", "bad.yaml", "bad.yaml"]);
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    assert!(
        said.err.contains("bad.yaml:7:") && said.err.contains("bad.yaml:9:"),
        "{}",
        said.err
    );
    let said = say(&home, &["validate", "bad.yaml", "--json"]);
    let verdict: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.code, verdict["files"].as_u64()), (2, Some(1)));
    assert_eq!(verdict["problems"][0]["code"], "workflow_invalid");
}

#[test]
fn consents_are_given_by_name_and_listed() {
    let home = Home::new();
    let said = say(&home, &["consent", "architect", "develper"]);
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    assert!(said.err.contains("did you mean 'developer"), "{}", said.err);
    let said = say(&home, &["consent", "architect"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert!(said.out.starts_with("architect@1 ("), "{}", said.out);
    let listed: serde_json::Value =
        serde_json::from_str(&say(&home, &["consent", "--list", "--json"]).out).unwrap();
    assert_eq!(
        listed
            .as_array()
            .unwrap()
            .iter()
            .map(|persona| &persona["name"])
            .collect::<Vec<_>>(),
        ["architect"]
    );
}

#[test]
fn what_cannot_start_is_refused_before_anything_is_stored() {
    let home = Home::new();
    for (args, code) in [
        (&["run", "development", "--headless"][..], "usage_invalid"),
        (
            &["run", "development", "--headless", "-m", "  "],
            "usage_invalid",
        ),
        (
            &["run", "./gone.yaml", "--headless", "-m", "x"],
            "usage_invalid",
        ),
        (
            &["run", "development", "--headless", "-m", "x", "--repo", "."],
            "usage_invalid",
        ),
        (
            &["run", "developmnt", "--headless", "-m", "x"],
            "workflow_not_found",
        ),
    ] {
        let said = say(&home, args);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{args:?}");
        assert!(
            said.err.contains(&format!("[{code}]")),
            "{args:?}: {}",
            said.err
        );
    }
    assert_eq!(say(&home, &["runs", "--json"]).out, "[]\n");
}
