//! A run against a real HTTP server on loopback that speaks Chat Completions.

use phasedeck::model::event::Fact;
use phasedeck::model::record::TurnStatus;
use serde_json::json;

use crate::home::{Home, check_invariants};
use crate::model_script::{Asked, Script, two_phase_home};
use crate::model_server::Reply;

fn run(home: &Home, args: &[String], code: i32) -> String {
    home.expect(code, &args.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The first attempt of the first phase writes a note that is too short and a field too many.
fn careless_once(asked: &Asked) -> Reply {
    match (asked.phase.as_str(), asked.attempt, asked.turn) {
        ("first", 1, 1) => asked.writes(&json!({ "runId": asked.run_id, "phaseKey": "first", "note": "short", "extra": 1 })),
        (_, _, 1) => asked.writes(&asked.artifact()),
        _ => Reply::stream().text("Done.").finish("stop").usage(300, 10, Some("0.0002")).done(),
    }
}

#[test]
fn two_phases_over_http_one_repaired_one_gated() {
    let script = Script::serve(careless_once);
    let (home, start) = two_phase_home(&script);
    run(&home, &start, 0);
    let record = home.newest();
    let state = check_invariants(&home, &record);
    assert_eq!(record.state, "completed");
    assert_eq!(state.phases.iter().map(|phase| phase.attempt).collect::<Vec<_>>(), [2, 1]);
    assert_eq!((record.calls, record.cost.unknown_calls), (6, 0));
    assert_eq!(record.cost.known.0, 3 * 1_250_000 + 3 * 200_000, "what the provider said, summed exactly");

    let requests = script.requests();
    let order: Vec<_> = requests.iter().map(|r| (r.phase.as_str(), r.attempt, r.turn)).collect();
    assert_eq!(order, [("first", 1, 1), ("first", 1, 2), ("first", 2, 1), ("first", 2, 2), ("second", 1, 1), ("second", 1, 2)]);

    let first = &requests[0];
    assert!(
        first.envelope.starts_with("PHASEDECK_PROMPT_BEGIN ")
            && first.envelope.trim_end().lines().last().unwrap().starts_with("PHASEDECK_PROMPT_END ")
    );
    assert!(first.envelope.contains("A note about notes"), "the requirements reach the agent");
    assert!(first.envelope.contains("Say what it is."), "the instructions reach the agent");
    assert!(first.envelope.contains("\"minLength\": 10"), "the schema reaches the agent");
    assert_eq!(first.body["stream"], true);
    assert_eq!(first.body["model"], "test/model");
    assert_eq!(first.body["messages"][0]["role"], "system");
    let tools: Vec<_> = first.body["tools"].as_array().unwrap().iter().map(|t| t["function"]["name"].as_str().unwrap()).collect();
    assert_eq!(tools, ["ls", "read_file", "write_file", "edit_file", "glob", "grep", "write_todos"]);

    let second_turn = &requests[1].body["messages"];
    assert_eq!(second_turn[2]["role"], "assistant");
    assert_eq!(second_turn[3]["role"], "tool");
    assert_eq!(second_turn[2]["tool_calls"][0]["id"], second_turn[3]["tool_call_id"], "each call has its result");

    let repair = &requests[2].envelope;
    assert!(repair.contains("[REPAIR ATTEMPT]"));
    assert!(repair.contains("/note") && repair.contains("extra"), "every error is handed back:\n{repair}");
    assert!(repair.contains("\"short\""), "the previous content is handed back");
    assert!(!requests[0].envelope.contains("[REPAIR ATTEMPT]"));

    let later = &requests[4].envelope;
    assert!(later.contains("out/first.json") && later.contains("made in attempt 2"), "earlier artifacts reach later phases");
}

#[test]
fn a_finished_conversation_is_all_checkpoints() {
    let script = Script::serve_two_phases();
    let (home, start) = two_phase_home(&script);
    run(&home, &start, 0);
    let record = home.newest();
    let turns = home.archive().turns(record.id, &"first".into(), 1).unwrap();
    assert_eq!(turns.iter().map(|turn| turn.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(turns.iter().all(|turn| turn.status == TurnStatus::Settled));
    assert!(turns.iter().flat_map(|turn| &turn.tools).all(|tool| tool.result.is_some()));
    let audit = std::fs::read_to_string(home.paths().audit().join(format!("{}.jsonl", record.id))).unwrap();
    assert_eq!(audit.lines().count(), 4, "each tool call of both phases has a line");
}

#[test]
fn an_unknown_price_is_unknown_and_never_zero() {
    let script = Script::serve(|asked| match asked.turn {
        1 => asked.writes(&asked.artifact()),
        _ => Reply::stream().text("Done.").finish("stop").usage(300, 10, None).done(),
    });
    let (home, start) = two_phase_home(&script);
    run(&home, &start, 0);
    let record = home.newest();
    assert_eq!(record.cost.unknown_calls, 2, "the calls without a price");
    assert_eq!(record.cost.known.0, 2 * 1_250_000);
    assert!(home.expect(0, &["show", "@last"]).contains("+ ?"));
}

#[test]
fn a_refused_key_asks_a_person_and_goes_on_when_it_is_mended() {
    let script = Script::serve(|asked| match (asked.authorization.as_deref(), asked.turn) {
        (Some("Bearer right"), 1) => asked.writes(&asked.artifact()),
        (Some("Bearer right"), _) => Reply::answer("Done."),
        _ => Reply::status(401, r#"{"error":{"message":"no such key: wrong"}}"#),
    });
    let (home, start) = two_phase_home(&script);
    home.configure(&format!("[openai]\nbase_url = \"{}\"\nkey_env = \"TEST_KEY\"\n", script.base_url()));
    let args: Vec<&str> = start.iter().map(String::as_str).collect();
    let refused = home.command(&args).env("TEST_KEY", "wrong").output().unwrap();
    assert_eq!(refused.status.code(), Some(4), "{}", String::from_utf8_lossy(&refused.stderr));
    let record = home.newest();
    let state = check_invariants(&home, &record);
    assert_eq!((record.state.as_str(), record.pause_reason.as_deref()), ("paused", Some("session_recovery")));
    assert_eq!(state.approval.unwrap().gate.as_str(), "session_recovery_required");
    let journal = serde_json::to_string(&home.events(&record)).unwrap();
    assert!(journal.contains("llm_auth") && !journal.contains("wrong"), "the key is in no event");

    let id = record.id.to_string();
    let resumed = home.command(&["resume", &id, "--headless", "--on-gate", "approve"]).env("TEST_KEY", "right").output().unwrap();
    assert_eq!(resumed.status.code(), Some(0), "{}", String::from_utf8_lossy(&resumed.stderr));
    check_invariants(&home, &record);
}

#[test]
fn the_agent_of_a_timed_out_attempt_does_not_go_on_writing() {
    // The first attempt hangs in the middle of its stream and would write later; the second is quick.
    let script = Script::serve(|asked| match (asked.phase.as_str(), asked.attempt, asked.turn) {
        ("first", 1, _) => Reply::stream().text("Thinking").then_hang(),
        (_, _, 1) => asked.writes(&asked.artifact()),
        _ => Reply::answer("Done."),
    });
    let (home, start) = two_phase_home(&script);
    let workflow = home.paths().config.join("workflows/pair.yaml");
    let text = std::fs::read_to_string(&workflow).unwrap().replace("timeout_seconds: 60", "timeout_seconds: 1");
    std::fs::write(&workflow, text).unwrap();
    run(&home, &start, 0);
    let record = home.newest();
    let state = check_invariants(&home, &record);
    assert_eq!(state.phases[0].attempt, 2);
    let events = home.events(&record);
    let at = |wanted: &dyn Fn(&Fact) -> bool| events.iter().position(|event| wanted(&event.fact)).unwrap();
    let closed = at(&|fact| matches!(fact, Fact::LlmCalled { attempt: 1, estimated: true, .. }));
    let timeout = at(&|fact| matches!(fact, Fact::ArtifactTimeout { attempt: 1, seconds: 1, .. }));
    let next = at(&|fact| matches!(fact, Fact::PhaseStarted { attempt: 2, .. }));
    assert!(closed < timeout && timeout < next, "the call of the first attempt ends before the second begins");
}

#[test]
fn a_stale_file_is_not_this_attempts_artifact() {
    // The base commit has a valid file where the artifact belongs; the agent writes nothing.
    let script = Script::serve(|_| Reply::answer("I think it is there already."));
    let (home, start) = two_phase_home(&script);
    let repo = home.path().join("project");
    std::fs::create_dir_all(repo.join("out")).unwrap();
    let stale = json!({ "runId": "01930000-0000-7000-8000-000000000001", "phaseKey": "first", "note": "left over from before" });
    std::fs::write(repo.join("out/first.json"), stale.to_string()).unwrap();
    crate::home::git(&repo, &["add", "."]);
    crate::home::git(&repo, &["commit", "-q", "-m", "Leave a note lying"]);
    run(&home, &start, 1);
    let record = home.newest();
    assert_eq!(record.error_code.as_deref(), Some("artifact_timeout_exhausted"));
    let aside = home.paths().run(record.id).join("aside");
    let kept: Vec<_> = std::fs::read_dir(aside).unwrap().map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).collect();
    assert_eq!(kept, [stale.to_string()], "the stale file was kept, out of the way");
}
