//! A run against a real HTTP server on loopback that speaks Chat Completions.

use std::process::Stdio;

use phasedeck::model::event::RunFact;
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
        ("first", 1, 1) => asked.writes(
            &json!({ "runId": asked.run_id, "phaseKey": "first", "note": "short", "extra": 1 }),
        ),
        (_, _, 1) => asked.writes(&asked.artifact()),
        _ => Reply::stream()
            .text("Done.")
            .finish("stop")
            .usage(300, 10, Some("0.0002"))
            .done(),
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
    assert_eq!(
        state
            .phases
            .iter()
            .map(|phase| phase.attempt)
            .collect::<Vec<_>>(),
        [2, 1]
    );
    assert_eq!((record.calls, record.cost.unknown_calls), (6, 0));
    assert_eq!(
        record.cost.known.0,
        3 * 1_250_000 + 3 * 200_000,
        "what the provider said, summed exactly"
    );

    let requests = script.requests();
    let order: Vec<_> = requests
        .iter()
        .map(|r| (r.phase.as_str(), r.attempt, r.turn))
        .collect();
    assert_eq!(
        order,
        [
            ("first", 1, 1),
            ("first", 1, 2),
            ("first", 2, 1),
            ("first", 2, 2),
            ("second", 1, 1),
            ("second", 1, 2)
        ]
    );

    let first = &requests[0];
    assert!(
        first.envelope.starts_with("PHASEDECK_PROMPT_BEGIN ")
            && first
                .envelope
                .trim_end()
                .lines()
                .last()
                .unwrap()
                .starts_with("PHASEDECK_PROMPT_END ")
    );
    assert!(
        first.envelope.contains("A note about notes"),
        "the requirements reach the agent"
    );
    assert!(
        first.envelope.contains("Say what it is."),
        "the instructions reach the agent"
    );
    assert!(
        first.envelope.contains("\"minLength\": 10"),
        "the schema reaches the agent"
    );
    assert_eq!(first.body["stream"], true);
    assert_eq!(first.body["model"], "test/model");
    assert_eq!(first.body["messages"][0]["role"], "system");
    let tools: Vec<_> = first.body["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["function"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        tools,
        [
            "ls",
            "read_file",
            "write_file",
            "edit_file",
            "glob",
            "grep",
            "write_todos"
        ]
    );

    let second_turn = &requests[1].body["messages"];
    assert_eq!(second_turn[2]["role"], "assistant");
    assert_eq!(second_turn[3]["role"], "tool");
    assert_eq!(
        second_turn[2]["tool_calls"][0]["id"], second_turn[3]["tool_call_id"],
        "each call has its result"
    );

    let repair = &requests[2].envelope;
    assert!(repair.contains("[REPAIR ATTEMPT]"));
    assert!(
        repair.contains("/note") && repair.contains("extra"),
        "every error is handed back:\n{repair}"
    );
    assert!(
        repair.contains("\"short\""),
        "the previous content is handed back"
    );
    assert!(!requests[0].envelope.contains("[REPAIR ATTEMPT]"));

    let later = &requests[4].envelope;
    assert!(
        later.contains("out/first.json") && later.contains("made in attempt 2"),
        "earlier artifacts reach later phases"
    );
}

#[test]
fn a_finished_conversation_is_all_checkpoints() {
    let script = Script::serve_two_phases();
    let (home, start) = two_phase_home(&script);
    run(&home, &start, 0);
    let record = home.newest();
    let turns = home.archive().turns(record.id, &"first".into(), 1).unwrap();
    assert_eq!(
        turns.iter().map(|turn| turn.number).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert!(turns.iter().all(|turn| turn.status == TurnStatus::Settled));
    assert!(
        turns
            .iter()
            .flat_map(|turn| &turn.tools)
            .all(|tool| tool.result.is_some())
    );
    let audit =
        std::fs::read_to_string(home.paths().audit().join(format!("{}.jsonl", record.id))).unwrap();
    assert_eq!(
        audit.lines().count(),
        4,
        "each tool call of both phases has a line"
    );
}

#[test]
fn an_unknown_price_is_unknown_and_never_zero() {
    let script = Script::serve(|asked| match asked.turn {
        1 => asked.writes(&asked.artifact()),
        _ => Reply::stream()
            .text("Done.")
            .finish("stop")
            .usage(300, 10, None)
            .done(),
    });
    let (home, start) = two_phase_home(&script);
    run(&home, &start, 0);
    let record = home.newest();
    assert_eq!(record.cost.unknown_calls, 2, "the calls without a price");
    assert_eq!(record.cost.known.0, 2 * 1_250_000);
    assert!(home.expect(0, &["show", "@last"]).contains("+ ?"));
}

#[test]
fn prices_are_refreshed_from_the_providers_list_and_kept_for_a_day() {
    let file = std::sync::Arc::new(std::sync::OnceLock::<std::path::PathBuf>::new());
    let known = std::sync::Arc::clone(&file);
    let script = Script::serve(move |asked| {
        match (known.get().is_some_and(|file| file.exists()), asked.turn) {
            // Asked again until the list, which nothing waits for, has come.
            (false, _) => Reply::status(503, "{}"),
            (true, 1) => asked.writes(&asked.artifact()),
            _ => Reply::stream()
                .text("Done.")
                .finish("stop")
                .usage(1_000, 10, None)
                .done(),
        }
    });
    let pricing = json!({"prompt": "0.000002", "completion": "0.00001"});
    let script = script.telling_models(
        &json!({"data": [{"id": "test/model", "context_length": 64_000, "pricing": pricing}]}),
    );
    let (home, start) = two_phase_home(&script);
    let path = home.paths().model_cache();
    file.set(path.clone()).unwrap();
    run(&home, &start, 0);
    let record = home.newest();
    check_invariants(&home, &record);
    // What the provider says itself comes first; where it says nothing, its list does.
    assert_eq!(
        (record.cost.unknown_calls, record.cost.known.0),
        (0, 2 * 1_250_000 + 2 * (1_000 * 2_000 + 10 * 10_000))
    );
    let kept: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(kept["models"]["test/model"]["window"], 64_000);
}

#[test]
fn a_run_that_went_in_circles_goes_on_when_the_operator_says_so() {
    let script = Script::serve(|asked| {
        let looked = asked.body["messages"]
            .to_string()
            .contains("The operator has looked at it");
        match (asked.phase.as_str(), looked, asked.turn) {
            ("first", false, _) => Reply::calls("ls", &json!({"path": "."})),
            ("first", true, 6) | ("second", _, 1) => asked.writes(&asked.artifact()),
            _ => Reply::answer("Done."),
        }
    });
    let (home, start) = two_phase_home(&script);
    run(&home, &start, 4);
    let record = home.newest();
    assert_eq!(
        check_invariants(&home, &record)
            .approval
            .unwrap()
            .gate
            .as_str(),
        "session_recovery_required"
    );
    assert!(
        serde_json::to_string(&home.events(&record))
            .unwrap()
            .contains("agent_loop_detected")
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
    let record = home.newest();
    check_invariants(&home, &record);
    assert_eq!(
        (record.state.as_str(), record.calls),
        ("completed", 5 + 2 + 2)
    );
}

#[test]
fn a_conversation_longer_than_the_window_is_summarised_and_stays_readable() {
    let script = Script::serve(|asked| {
        let messages = asked.body["messages"].to_string();
        let told = messages.contains("SUMMARY OF YOUR EARLIER WORK");
        match asked.phase.as_str() {
            "" => Reply::stream()
                .text("I wrote long notes.")
                .finish("stop")
                .usage(50, 5, Some("0.0001"))
                .done(),
            "first" if !told && asked.turn < 9 => {
                let notes = json!({"todos": [{"content": format!("{} {}", asked.turn, "x".repeat(900)), "status": "pending"}]});
                Reply::calls("write_todos", &notes)
            }
            _ if !messages.contains("write_file") => asked.writes(&asked.artifact()),
            _ => Reply::answer("Done."),
        }
    });
    let (home, start) = two_phase_home(&script);
    home.configure(&format!(
        "[openai]\nbase_url = \"{}\"\nkey_env = \"\"\ncontext_window = 9000\n[prices.\"test/model\"]\ninput = \"1\"\noutput = \"1\"\n",
        script.base_url()
    ));
    run(&home, &start, 0);
    let record = home.newest();
    check_invariants(&home, &record);
    assert_eq!(record.state, "completed");
    let turns = home.archive().turns(record.id, &"first".into(), 1).unwrap();
    let summaries: Vec<_> = turns
        .iter()
        .filter(|turn| turn.conversation == "~summary")
        .collect();
    assert_eq!(summaries.len(), 1);
    assert_eq!(summaries[0].status, TurnStatus::Settled);
    let ledger = home.archive().ledger(record.id).unwrap();
    assert!(
        ledger
            .iter()
            .any(|row| row.turn_id == summaries[0].id
                && row.cost.map(|cost| cost.0) == Some(100_000)),
        "paid by its own row"
    );
    assert!(
        home.events(&record).iter().any(|event| matches!(&event.fact, RunFact::AgentAdapted { words, .. } if words.contains("summarised")))
    );
    let transcript = home.expect(0, &["transcript", &record.id.to_string()]);
    assert!(
        transcript.contains("summary of what it did up to turn")
            && transcript.contains("I wrote long notes.")
    );
    assert!(
        transcript.contains("first attempt 1 turn 1\n"),
        "what was summarised is still there"
    );
}

#[test]
fn a_refused_key_asks_a_person_and_goes_on_when_it_is_mended() {
    let script = Script::serve(|asked| match (asked.authorization.as_deref(), asked.turn) {
        (Some("Bearer right"), 1) => asked.writes(&asked.artifact()),
        (Some("Bearer right"), _) => Reply::answer("Done."),
        _ => Reply::status(401, r#"{"error":{"message":"no such key: wrong"}}"#),
    });
    let (home, start) = two_phase_home(&script);
    home.configure(&format!(
        "[openai]\nbase_url = \"{}\"\nkey_env = \"TEST_KEY\"\n",
        script.base_url()
    ));
    let args: Vec<&str> = start.iter().map(String::as_str).collect();
    let refused = home
        .command(&args)
        .env("TEST_KEY", "wrong")
        .output()
        .unwrap();
    assert_eq!(
        refused.status.code(),
        Some(4),
        "{}",
        String::from_utf8_lossy(&refused.stderr)
    );
    let record = home.newest();
    let state = check_invariants(&home, &record);
    assert_eq!(
        (record.state.as_str(), record.pause_reason.as_deref()),
        ("paused", Some("session_recovery"))
    );
    assert_eq!(
        state.approval.unwrap().gate.as_str(),
        "session_recovery_required"
    );
    let journal = serde_json::to_string(&home.events(&record)).unwrap();
    assert!(
        journal.contains("llm_auth") && !journal.contains("wrong"),
        "the key is in no event"
    );

    let id = record.id.to_string();
    let resumed = home
        .command(&["resume", &id, "--headless", "--on-gate", "approve"])
        .env("TEST_KEY", "right")
        .output()
        .unwrap();
    assert_eq!(
        resumed.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&resumed.stderr)
    );
    check_invariants(&home, &record);
}

#[test]
fn a_secret_in_an_artifact_is_told_at_its_gate_and_never_shown_in_the_telling() {
    // One of the settings, one of the worktree's .env, one by its shape; the second phase is clean.
    let script = Script::serve(|asked| match (asked.phase.as_str(), asked.turn) {
        ("first", 1) => {
            let note = "hush:\nheader-canary-1 and env-canary-22 and sk-or-v1-0123456789abcdef0123"
                .to_owned();
            asked.writes(&json!({ "runId": asked.run_id, "phaseKey": "first", "note": note }))
        }
        (_, 1) => asked.writes(&asked.artifact()),
        _ => Reply::answer("Done."),
    });
    let (home, start) = two_phase_home(&script);
    home.configure(&format!(
        "[openai]\nbase_url = \"{}\"\nkey_env = \"\"\n[openai.headers]\nX-Key = \"header-canary-1\"\n",
        script.base_url()
    ));
    let repo = home.path().join("project");
    std::fs::write(repo.join(".env"), "TOKEN=env-canary-22\n").unwrap();
    crate::home::git(&repo, &["add", "."]);
    crate::home::git(&repo, &["commit", "-q", "-m", "An env file"]);
    let start: Vec<&str> = start
        .iter()
        .map(|arg| if arg == "approve" { "wait" } else { arg })
        .collect();
    let mut host = home
        .command(&start)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    home.wait_for_question("first_approved", &mut host);
    let record = home.newest();
    let state = check_invariants(&home, &record);
    assert_eq!(
        state.phases[0].warned.as_deref(),
        Some("what looks like a secret on line 4")
    );
    let shown = home.expect(0, &["show", "@last"]);
    assert!(
        shown.contains("look out  it holds what looks like a secret on line 4"),
        "{shown}"
    );
    let events = home.expect(0, &["events", "@last"]);
    assert!(
        events.contains("artifact.warned")
            && !events.contains("canary")
            && !events.contains("sk-or"),
        "{events}"
    );
    home.expect(0, &["approve", "@last"]);
    assert!(host.wait().unwrap().success());
    let state = check_invariants(&home, &home.newest());
    assert_eq!(state.phases[1].warned, None);
    assert_eq!(
        home.events(&record)
            .iter()
            .filter(|event| event.fact.kind() == "artifact.warned")
            .count(),
        1
    );
}

#[test]
fn the_agent_of_a_timed_out_attempt_does_not_go_on_writing() {
    // The first attempt hangs in the middle of its stream and would write later; the second is quick.
    let script = Script::serve(
        |asked| match (asked.phase.as_str(), asked.attempt, asked.turn) {
            ("first", 1, _) => Reply::stream().text("Thinking").then_hang(),
            (_, _, 1) => asked.writes(&asked.artifact()),
            _ => Reply::answer("Done."),
        },
    );
    let (home, start) = two_phase_home(&script);
    let workflow = home.paths().config.join("workflows/pair.yaml");
    let text = std::fs::read_to_string(&workflow)
        .unwrap()
        .replace("timeout_seconds: 60", "timeout_seconds: 1");
    std::fs::write(&workflow, text).unwrap();
    run(&home, &start, 0);
    let record = home.newest();
    let state = check_invariants(&home, &record);
    assert_eq!(state.phases[0].attempt, 2);
    let events = home.events(&record);
    let at = |wanted: &dyn Fn(&RunFact) -> bool| {
        events.iter().position(|event| wanted(&event.fact)).unwrap()
    };
    let closed = at(&|fact| {
        matches!(
            fact,
            RunFact::LlmCalled {
                attempt: 1,
                estimated: true,
                ..
            }
        )
    });
    let timeout = at(&|fact| {
        matches!(
            fact,
            RunFact::ArtifactTimeout {
                attempt: 1,
                seconds: 1,
                ..
            }
        )
    });
    let next = at(&|fact| matches!(fact, RunFact::PhaseStarted { attempt: 2, .. }));
    assert!(
        closed < timeout && timeout < next,
        "the call of the first attempt ends before the second begins"
    );
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
    assert_eq!(
        record.error_code.as_deref(),
        Some("artifact_timeout_exhausted")
    );
    let aside = home.paths().run(record.id).join("aside");
    let kept: Vec<_> = std::fs::read_dir(aside)
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    assert_eq!(
        kept,
        [stale.to_string()],
        "the stale file was kept, out of the way"
    );
}

#[test]
fn an_attempt_that_has_used_its_tokens_rests_and_gets_as_many_again() {
    // 120 and 240 tokens are used by two turns: the third is asked for while fewer than the limit are.
    for (limit, code, calls) in [(361, 0, 6), (360, 4, 2)] {
        let script = Script::serve_two_phases();
        let (home, start) = two_phase_home(&script);
        home.configure(&format!(
            "[openai]\nbase_url = \"{}\"\nkey_env = \"\"\n[engine]\nmax_tokens = {limit}\n",
            script.base_url()
        ));
        run(&home, &start, code);
        let record = home.newest();
        check_invariants(&home, &record);
        assert_eq!(record.calls, calls, "{limit}");
        if code == 0 {
            continue;
        }
        assert_eq!(
            record.pending_gate.as_ref().map(|gate| gate.as_str()),
            Some("session_recovery_required")
        );
        let failed = home
            .events(&record)
            .into_iter()
            .find_map(|event| match event.fact {
                RunFact::SessionFailed { code, message, .. } => Some((code.as_str(), message)),
                _ => None,
            });
        let (code, message) = failed.unwrap();
        assert!(
            code == "agent_limit_reached" && message.contains("used 360 tokens of at most 360"),
            "{message}"
        );
        home.expect(0, &["approve", "@last"]);
        home.expect(
            4,
            &[
                "resume",
                &record.id.to_string(),
                "--headless",
                "--on-gate",
                "approve",
            ],
        );
        let record = home.newest();
        let state = check_invariants(&home, &record);
        assert_eq!(
            state.phases_done(),
            1,
            "what it got again was enough for the first phase"
        );
    }
}
