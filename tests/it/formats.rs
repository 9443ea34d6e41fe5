//! What each command prints with `--json`, on real data, against the schemas that are checked in.
//!
//! The schemas let more fields come one day; here they are closed, so that a field which is printed and
//! not told is a failure. At the end every command has printed every format that it is listed with.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Stdio};

use jsonschema::Validator;
use phasedeck::cli::output::formats::FORMATS;
use serde_json::{Map, Value};

use crate::home::Home;
use crate::model_script::{Script, two_phase_home};
use crate::questions::{asking_home, builder};

/// The formats, and which of them was seen from which command.
struct Formats {
    validators: BTreeMap<&'static str, Validator>,
    seen: BTreeSet<(String, String)>,
}

impl Formats {
    fn checked_in() -> Self {
        let printed = FORMATS
            .iter()
            .filter(|format| !format.printed_by.is_empty());
        let validators = printed.map(|format| {
            let file = format!(
                "{}/schemas/output/{}.schema.json",
                env!("CARGO_MANIFEST_DIR"),
                format.name
            );
            let mut schema: Value =
                serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
            let mut shared = BTreeSet::new();
            parts_of_others(&schema, &mut shared);
            close(&mut schema, &shared);
            (
                format.name,
                jsonschema::options()
                    .should_validate_formats(true)
                    .build(&schema)
                    .unwrap(),
            )
        });
        Self {
            validators: validators.collect(),
            seen: BTreeSet::new(),
        }
    }

    /// Holds everything in `text` against a format, and gives it.
    fn check(&mut self, by: &str, format: &str, text: &str) -> Vec<Value> {
        let values: Vec<Value> = serde_json::Deserializer::from_str(text)
            .into_iter()
            .map(Result::unwrap)
            .collect();
        assert!(!values.is_empty(), "{by} printed nothing");
        for value in &values {
            let wrong: Vec<String> = self.validators[format]
                .iter_errors(value)
                .map(|e| format!("{}: {e}", e.instance_path()))
                .collect();
            assert!(
                wrong.is_empty(),
                "{by} prints no `{format}`:\n{}\n{value:#}",
                wrong.join("\n")
            );
        }
        self.seen.insert((by.to_owned(), format.to_owned()));
        values
    }

    /// Runs a command; the first word of `args` is what printed it.
    fn say(&mut self, home: &Home, format: &str, args: &[&str]) -> Vec<Value> {
        self.say_by(home, args[0], format, args)
    }

    fn say_by(&mut self, home: &Home, by: &str, format: &str, args: &[&str]) -> Vec<Value> {
        let output = home.command(args).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            !text.is_empty(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        self.check(by, format, &text)
    }
}

/// Closes every object of a schema, where it stands as a whole: its parts may share one between them.
fn close(schema: &mut Value, shared: &BTreeSet<String>) {
    let Some(members) = schema.as_object_mut() else {
        return;
    };
    if ["properties", "oneOf", "anyOf", "allOf"]
        .iter()
        .any(|name| members.contains_key(*name))
        && !members.contains_key("$ref")
    {
        members.insert("unevaluatedProperties".to_owned(), false.into());
    }
    close_parts(members, shared);
}

fn close_parts(members: &mut Map<String, Value>, shared: &BTreeSet<String>) {
    for (name, part) in members {
        match (name.as_str(), part) {
            ("$defs", Value::Object(named)) => {
                named
                    .iter_mut()
                    .filter(|(name, _)| !shared.contains(*name))
                    .for_each(|(_, part)| close(part, shared));
            }
            ("properties", Value::Object(named)) => {
                named.values_mut().for_each(|part| close(part, shared))
            }
            ("items" | "additionalProperties", part) => close(part, shared),
            // A variant is closed by what it is a variant of, but not what it holds.
            ("oneOf" | "anyOf" | "allOf", Value::Array(variants)) => {
                variants
                    .iter_mut()
                    .filter_map(Value::as_object_mut)
                    .for_each(|variant| close_parts(variant, shared));
            }
            _ => {}
        }
    }
}

/// Definitions that stand beside other fields in one object, where a variant is told by its tag.
fn parts_of_others(schema: &Value, found: &mut BTreeSet<String>) {
    if let (Some(name), true) = (schema["$ref"].as_str(), schema["properties"].is_object()) {
        found.extend(name.strip_prefix("#/$defs/").map(str::to_owned));
    }
    schema
        .as_object()
        .into_iter()
        .flatten()
        .for_each(|(_, part)| parts_of_others(part, found));
    schema
        .as_array()
        .into_iter()
        .flatten()
        .for_each(|part| parts_of_others(part, found));
}

fn begun(home: &Home, args: &[&str]) -> Child {
    home.command(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn every_command_prints_what_its_formats_say() {
    let mut formats = Formats::checked_in();
    a_run_is_looked_at(&mut formats);
    gates_are_answered(&mut formats);
    a_model_is_asked(&mut formats);
    the_registry_is_listed(&mut formats);
    the_installation_is_looked_at(&mut formats);
    let listed = FORMATS.iter().flat_map(|format| {
        format
            .printed_by
            .iter()
            .map(|by| ((*by).to_owned(), format.name.to_owned()))
    });
    assert_eq!(formats.seen, listed.collect());
}

fn a_run_is_looked_at(formats: &mut Formats) {
    let (home, elsewhere) = (Home::new(), Home::new());
    formats.say(&elsewhere, "verify", &["verify", "--json"]);
    formats.say(
        &home,
        "event",
        &[
            "demo",
            "--headless",
            "--yes",
            "--json",
            "--scenario",
            "spec=invalid_then_ok",
        ],
    );
    formats.say(
        &home,
        "event",
        &[
            "retry",
            "@last",
            "--from",
            "review",
            "--headless",
            "--yes",
            "--json",
        ],
    );
    formats.say(&home, "runs", &["runs", "--json"]);
    formats.say(&home, "show", &["show", "@last", "--json"]);
    formats.say(&home, "event", &["events", "@last", "--json"]);
    formats.say(&home, "artifact", &["artifact", "@last", "spec", "--json"]);
    formats.say(&home, "cost", &["cost", "--by", "run", "--json"]);
    formats.say(&home, "report", &["report", "@last", "--json"]);
    formats.say(&home, "verify", &["verify", "--json"]);
    let lines = formats.say(&home, "export", &["export", "@last"]);
    assert!(lines.len() > 20);
    let file = home.path().join("run.jsonl");
    home.expect(0, &["export", "@last", "-o", file.to_str().unwrap()]);
    formats.say(
        &elsewhere,
        "import",
        &["import", file.to_str().unwrap(), "--json"],
    );
    let cleaned = formats.say(&home, "clean", &["clean", "--json"]);
    assert_eq!(cleaned[0][0]["found"], "unmerged");
    let refused = home
        .command(&["show", "nothing", "--json"])
        .output()
        .unwrap();
    formats.check("*", "error", &String::from_utf8(refused.stderr).unwrap());
}

fn gates_are_answered(formats: &mut Formats) {
    let home = Home::new();
    let repo = home.repository("shop");
    let mut host = begun(
        &home,
        &[
            "run",
            "development",
            "--repo",
            repo.to_str().unwrap(),
            "-m",
            "Add a cart, please",
            "--rehearse",
            "--headless",
        ],
    );
    home.wait_for_question("spec_approved", &mut host);
    let run = &home.newest().id.to_string();
    let forked = formats.say(
        &home,
        "fork",
        &["fork", run, "--persona", "analyst=architect", "--json"],
    );
    let fork = forked[0]["fork"].as_str().unwrap();
    home.run(&["events", fork, "--follow"]);
    let candidates = formats.say(&home, "candidates", &["pick", run, "--json"]);
    assert_eq!(candidates[0].as_array().unwrap().len(), 2);
    formats.say(&home, "fork", &["pick", run, fork, "--json"]);
    formats.say(
        &home,
        "answer",
        &["changes", run, "-m", "Name the country.", "--json"],
    );
    home.wait_for_question_of(run, "spec_approved", &mut host);
    formats.say(&home, "answer", &["approve", run, "--json"]);
    home.wait_for_question_of(run, "plan_approved", &mut host);
    formats.say(&home, "stop", &["pause", run, "--json"]);
    assert_eq!(host.wait().unwrap().code(), Some(4));
    formats.say(
        &home,
        "event",
        &["fork", run, "--persona", "architect=architect", "--json"],
    );
    let said = formats.say(&home, "answer", &["approve", run, "--json"]);
    assert_eq!(said[0]["in_effect"], false);
    formats.say(
        &home,
        "event",
        &["resume", run, "--headless", "--on-gate", "fail", "--json"],
    );
    let kinds = formats.say(&home, "event", &["events", run, "--json"]);
    assert_eq!(kinds.last().unwrap()["type"], "run.failed");
    formats.say(&home, "show", &["show", run, "--json"]);
    formats.say(&home, "report", &["report", run, "--json"]);

    let ends = [
        (
            "answer",
            &["reject", "@last", "-m", "Not like this.", "--json"][..],
            1,
        ),
        ("stop", &["abort", "@last", "--json"], 3),
    ];
    for (format, args, code) in ends {
        let home = Home::new();
        let mut host = begun(&home, &["demo", "--headless"]);
        home.wait_for_question("spec_approved", &mut host);
        formats.say(&home, format, args);
        assert_eq!(host.wait().unwrap().code(), Some(code));
    }
}

fn a_model_is_asked(formats: &mut Formats) {
    let script = Script::serve_two_phases();
    let (home, start) = two_phase_home(&script);
    let start: Vec<&str> = start.iter().map(String::as_str).chain(["--json"]).collect();
    formats.say(&home, "event", &start);
    formats.say(&home, "turn", &["transcript", "@last", "--json"]);
    let cost = formats.say(&home, "cost", &["cost", "@last", "--json"]);
    assert_eq!(cost[0]["total"]["calls"], 6);

    let script = Script::serve(builder);
    let (home, start) = asking_home(&script);
    let mut host = begun(&home, &start.iter().map(String::as_str).collect::<Vec<_>>());
    home.wait_for_question("tool_permission", &mut host);
    let shown = formats.say(&home, "show", &["show", "@last", "--json"]);
    assert_eq!(shown[0]["approvals"][0]["question"]["about"], "tool");
    host.kill().unwrap();
    host.wait().unwrap();
    formats.say(
        &home,
        "answer",
        &["approve", "@last", "--scope", "run", "--json"],
    );
    formats.say(&home, "show", &["show", "@last", "--json"]);
    formats.say(
        &home,
        "event",
        &["resume", "@last", "--headless", "--yes", "--json"],
    );
    formats.say(&home, "event", &["events", "@last", "--json"]);
    formats.say(&home, "turn", &["transcript", "@last", "--json"]);
}

fn the_registry_is_listed(formats: &mut Formats) {
    let home = Home::new();
    formats.say(&home, "workflows", &["workflows", "--json"]);
    formats.say(&home, "schemas", &["schemas", "--json"]);
    formats.say(
        &home,
        "consent",
        &["consent", "architect", "developer", "--json"],
    );
    let agreed = formats.say_by(
        &home,
        "consent --list",
        "personas",
        &["consent", "--list", "--json"],
    );
    assert_eq!(agreed[0].as_array().unwrap().len(), 2);
    formats.say(&home, "personas", &["personas", "--json"]);
    let bad = home.path().join("bad.yaml");
    std::fs::write(
        &bad,
        "name: bad\nversion: 1\nroles:\n  - id: dev\nphases:\n  - key: a\n    role: dve\n",
    )
    .unwrap();
    let said = formats.say(
        &home,
        "validate",
        &["validate", bad.to_str().unwrap(), "--json"],
    );
    assert_ne!(said[0]["problems"], Value::Array(Vec::new()));
    let top = home.repository("shop");
    let shop = top.to_str().unwrap();
    formats.say(&home, "trust", &["trust", shop, "--json"]);
    std::fs::create_dir_all(top.join(".phasedeck/personas")).unwrap();
    std::fs::write(
        top.join(".phasedeck/personas/a.yaml"),
        "name: a\nversion: 1\nbackend: rehearsal\n",
    )
    .unwrap();
    std::fs::write(top.join(".phasedeck/personas/b.yaml"), "name: b\n").unwrap();
    let said = formats.say(&home, "trust", &["trust", shop, "--json"]);
    assert_eq!(said[0]["standing"], "new");
    formats.say_by(
        &home,
        "trust --revoke",
        "revoked",
        &["trust", shop, "--revoke", "--json"],
    );
}

fn the_installation_is_looked_at(formats: &mut Formats) {
    let home = Home::new();
    let laid = formats.say(&home, "init", &["init", "--json"]);
    assert_eq!(
        (&laid[0]["written"], &laid[1]["written"]),
        (&false.into(), &true.into()),
        "this home has settings already"
    );
    home.configure("[console.keys]\nquit = ['Q']\n");
    formats.say(&home, "doctor", &["doctor", "--json"]);
    formats.say_by(
        &home,
        "doctor --config",
        "settings",
        &["doctor", "--config", "--json"],
    );
    let told = formats.say(&home, "formats", &["formats", "--json"]);
    for format in told[0].as_array().unwrap() {
        let name = format["name"].as_str().unwrap();
        let alone: Value = serde_json::from_str(&home.expect(0, &["formats", name])).unwrap();
        assert!(
            alone == format["schema"] && jsonschema::meta::is_valid(&alone),
            "{name}"
        );
    }
    assert!(home.expect(0, &["formats"]).contains("doctor --config"));
    let meant = home.run(&["formats", "evnt"]);
    assert!(
        meant.status.code() == Some(2)
            && String::from_utf8(meant.stderr).unwrap().contains("'event'")
    );
}
