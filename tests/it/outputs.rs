//! What a tool says beyond what the model gets: kept for the operator, and gone with the run.

use std::os::unix::fs::PermissionsExt;

use phasedeck::model::id::PhaseKey;
use serde_json::json;

use crate::home::check_invariants;
use crate::model_script::{Script, two_phase_home};
use crate::model_server::Reply;

#[test]
fn all_of_what_a_command_printed_is_kept_for_the_operator_without_secrets() {
    let command = "i=0; while [ $i -lt 9000 ]; do echo \"line $i\"; i=$((i+1)); done; echo header-canary-1; exit 3";
    let script = Script::serve(move |asked| match (asked.phase.as_str(), asked.turn) {
        ("first", 1) => Reply::calls("execute", &json!({"command": command})),
        ("first", 2) | ("second", 1) => asked.writes(&asked.artifact()),
        _ => Reply::answer("Done."),
    });
    let (home, start) = two_phase_home(&script);
    let settings = format!(
        "[openai]\nbase_url = \"{}\"\nkey_env = \"\"\n[openai.headers]\nX-Key = \"header-canary-1\"\n",
        script.base_url()
    );
    home.configure(&settings);
    let persona = home.paths().config.join("personas/maker.yaml");
    let text = std::fs::read_to_string(&persona)
        .unwrap()
        .replace("write_todos", "write_todos, execute");
    std::fs::write(&persona, text).unwrap();
    home.expect(0, &["consent", "maker"]);
    home.expect(0, &start.iter().map(String::as_str).collect::<Vec<_>>());
    let record = home.newest();
    check_invariants(&home, &record);

    let turns = home
        .archive()
        .turns(record.id, &PhaseKey::from("first"), 1)
        .unwrap();
    let result = turns[0].tools[0].result.clone().unwrap();
    assert!(
        result.len() < 33 * 1024
            && result.contains("exit code 3")
            && result.contains("bytes cut here"),
        "{}",
        result.len()
    );
    let name = result
        .trim_end_matches(']')
        .rsplit_once("kept for the operator: ")
        .unwrap()
        .1;
    assert!(name.starts_with("first-"), "{name}");
    let told = script.requests()[1].body["messages"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()["content"]
        .clone();
    assert_eq!(told, json!(result), "the model is told the same");

    let file = home.paths().tool_outputs(record.id).join(name);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let shown = home.expect(0, &["transcript", "@last", "--output", name]);
    assert!(
        (0..9000).all(|n| shown.contains(&format!("line {n}\n"))),
        "everything is there"
    );
    assert!(
        shown.ends_with("***\n") && !std::fs::read_to_string(&file).unwrap().contains("canary")
    );
    let transcript = home.expect(0, &["transcript", "@last", "first"]);
    assert!(
        transcript.contains(&format!("--output {name}")),
        "{transcript}"
    );
    for strange in ["../../../config/config.toml", "first-00000000", ""] {
        home.expect(2, &["transcript", "@last", "--output", strange]);
    }
    home.expect(0, &["clean", "--unmerged", "--yes"]);
    assert!(!file.exists(), "it goes with the run's folder");
}
