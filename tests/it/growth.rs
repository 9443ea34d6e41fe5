//! Work that fills the disk: ended with its code, whoever writes, and taken up again by a person's word.

use phasedeck::model::event::RunFact;
use serde_json::json;

use crate::home::{Home, check_invariants};
use crate::model_script::{Asked, Script, two_phase_home};
use crate::model_server::Reply;

/// Limits what the work of an attempt may write, and lets the persona run commands.
fn home_with_limit(script: &Script, bytes: u64) -> (Home, Vec<String>) {
    let (home, start) = two_phase_home(script);
    home.configure(&format!(
        "[openai]\nbase_url = \"{}\"\nkey_env = \"\"\n[engine]\nmax_worktree_bytes = {bytes}\n",
        script.base_url()
    ));
    let persona = home.paths().config.join("personas/maker.yaml");
    let text = std::fs::read_to_string(&persona)
        .unwrap()
        .replace("write_todos", "write_todos, execute");
    assert!(text.contains("execute"), "{text}");
    std::fs::write(&persona, text).unwrap();
    home.expect(0, &["consent", "maker"]);
    (home, start)
}

/// The first phase does this first, and goes on well when the operator has looked.
fn after(asked: &Asked, does: &Reply) -> Reply {
    match (asked.phase.as_str(), asked.turn) {
        ("first", 1) => does.clone(),
        ("first", 2) | ("second", 1) => asked.writes(&asked.artifact()),
        _ => Reply::answer("Done."),
    }
}

fn ended_by(home: &Home) -> (String, String) {
    let failed = home
        .events(&home.newest())
        .into_iter()
        .find_map(|event| match event.fact {
            RunFact::SessionFailed { code, message, .. } => {
                Some((code.as_str().to_owned(), message))
            }
            _ => None,
        });
    failed.unwrap()
}

#[test]
fn work_that_writes_too_much_ends_with_its_code_and_goes_on_by_a_persons_word() {
    let command = |line: &str| Reply::calls("execute", &json!({"command": line, "timeout": 60}));
    let content = "x".repeat(60_000);
    let files = Reply::stream()
        .tool_call(
            "write_file",
            &json!({"file_path": "a", "content": content}).to_string(),
            &[],
        )
        .tool_call(
            "write_file",
            &json!({"file_path": "b", "content": content}).to_string(),
            &[],
        );
    for (what, does) in [
        ("a sparse file", command("truncate -s 2M holes")),
        (
            "a file that grows without end",
            command("while :; do head -c 20000 /dev/zero >> grows; sleep 0.05; done"),
        ),
        (
            "files of our own tools",
            files.finish("tool_calls").usage(1, 1, Some("0.1")).done(),
        ),
    ] {
        let script = Script::serve(move |asked| after(asked, &does));
        let (home, start) = home_with_limit(&script, 100_000);
        let start: Vec<&str> = start.iter().map(String::as_str).collect();
        let begun = std::time::Instant::now();
        home.expect(4, &start);
        assert!(
            begun.elapsed() < std::time::Duration::from_secs(30),
            "{what}: {:?}",
            begun.elapsed()
        );
        let record = home.newest();
        check_invariants(&home, &record);
        assert_eq!(
            record.pending_gate.as_ref().map(|gate| gate.as_str()),
            Some("session_recovery_required"),
            "{what}"
        );
        let (code, message) = ended_by(&home);
        assert_eq!(code, "file_too_big", "{what}: {message}");
        assert!(
            message.contains("bytes or more") && message.contains("the limit is 100000 bytes"),
            "{what}: {message}"
        );
        home.expect(
            0,
            &[
                "resume",
                &record.id.to_string(),
                "--headless",
                "--on-gate",
                "approve",
            ],
        );
        check_invariants(&home, &home.newest());
        assert_eq!(home.newest().state, "completed", "{what}");
    }
}
