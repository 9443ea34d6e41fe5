//! Questions within a phase, through the real binary: a tool that needs a word, a budget that is
//! spent.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use phasedeck::model::event::RunFact;
use phasedeck::model::id::RunId;
use phasedeck::model::record::ApprovalRecord;
use phasedeck::model::state::ApprovalStatus;
use serde_json::json;

use crate::home::{Home, check_invariants};
use crate::model_script::{Asked, Script, two_phase_home};
use crate::model_server::Reply;
use crate::terminal::Terminal;

const COMMAND: &str =
    "printf built > built.txt; cat built.txt; ls ../../../../../../etc/shadow | wc -l";

/// Runs a command before it writes, in the first phase.
pub fn builder(asked: &Asked) -> Reply {
    match (asked.phase.as_str(), asked.turn) {
        ("first", 1) => {
            let arguments = json!({ "command": COMMAND, "timeout": 20 }).to_string();
            Reply::stream()
                .tool_call("execute", &arguments, &[9])
                .finish("tool_calls")
                .usage(100, 20, Some("0.001"))
                .done()
        }
        ("first", 2) | (_, 1) => asked.writes(&asked.artifact()),
        _ => Reply::answer("Done."),
    }
}

pub fn asking_home(script: &Script) -> (Home, Vec<String>) {
    let (home, start) = two_phase_home(script);
    let persona = home.paths().config.join("personas/maker.yaml");
    let text = std::fs::read_to_string(&persona).unwrap().replace(
        "write_todos]",
        "write_todos, execute]\npermissions: { execute: ask }",
    );
    std::fs::write(&persona, text).unwrap();
    home.expect(0, &["consent", "maker"]);
    (home, start)
}

fn spawn(home: &Home, args: &[String]) -> Child {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    home.command(&args)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The question that waits, as soon as there is one with this gate.
fn question(home: &Home, gate: &str) -> (RunId, ApprovalRecord) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let pending = home
            .archive()
            .runs(&Default::default())
            .unwrap()
            .into_iter()
            .find_map(|run| {
                let asked = home.archive().approvals(run.id).unwrap();
                asked
                    .into_iter()
                    .find(|asked| {
                        asked.state == ApprovalStatus::Pending && asked.gate.as_str() == gate
                    })
                    .map(|asked| (run.id, asked))
            });
        if let Some(found) = pending {
            return found;
        }
        assert!(Instant::now() < deadline, "nothing was asked at {gate}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn finished(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn a_command_waits_for_its_word_even_where_gates_are_approved_and_then_runs_once() {
    let script = Script::serve(builder);
    let (home, start) = asking_home(&script);
    let child = spawn(&home, &start);
    let (run, asked) = question(&home, "tool_permission");
    let tool = asked.question.as_ref().unwrap().tool().unwrap().clone();
    assert_eq!(
        (tool.tool.as_str(), tool.detail.as_str()),
        ("execute", format!("{COMMAND}\n\n(at most 20 s)").as_str())
    );
    assert_eq!(asked.phase_key.unwrap().as_str(), "first");
    home.expect(0, &["approve", "@last", "--scope", "phase"]);
    let (code, told) = finished(child);
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains("phasedeck approve")
            && told.contains("--scope run")
            && told.contains(COMMAND),
        "{told}"
    );
    let record = home.archive().run(run).unwrap();
    let state = check_invariants(&home, &record);
    assert_eq!(
        (record.state.as_str(), state.permits.len()),
        ("completed", 1)
    );
    let confined = home.events(&record).into_iter().find_map(|event| {
        if let RunFact::CommandsConfined { words, .. } = event.fact {
            Some(words)
        } else {
            None
        }
    });
    assert!(confined.unwrap().contains("confined: "));
    let turns = home.archive().turns(run, &"first".into(), 1).unwrap();
    let result = turns[0].tools[0].result.clone().unwrap();
    assert!(result.starts_with("exit code 0\nbuilt"), "{result}");
    let times = home
        .events(&record)
        .iter()
        .filter(
            |event| matches!(&event.fact, RunFact::ToolCalled { tool, .. } if tool == "execute"),
        )
        .count();
    assert_eq!(times, 1);
}

#[test]
fn a_question_survives_the_host_and_is_answered_by_another_process() {
    let script = Script::serve(builder);
    let (home, start) = asking_home(&script);
    let mut child = spawn(&home, &start);
    let (run, asked) = question(&home, "tool_permission");
    child.kill().unwrap();
    child.wait().unwrap();
    let paid = script.requests().len();
    home.expect(0, &["reject", "@last", "-m", "no commands here"]);
    let id = run.to_string();
    home.expect(0, &["resume", &id, "--headless", "--on-gate", "approve"]);
    let record = home.archive().run(run).unwrap();
    let state = check_invariants(&home, &record);
    assert_eq!(
        (record.state.as_str(), state.permits[0].allowed),
        ("completed", false)
    );
    let requests = script.requests();
    assert_eq!(
        (paid, requests.len()),
        (1, 5),
        "the stored turn was not paid for again"
    );
    let told = requests[1].body["messages"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()["content"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(told.contains("no commands here"), "{told}");
    let rows = home.archive().approvals(run).unwrap();
    assert_eq!(
        rows.iter()
            .filter(|row| row.gate.as_str() == "tool_permission")
            .count(),
        1,
        "it was asked once"
    );
    assert_eq!(
        rows.iter().find(|row| row.id == asked.id).unwrap().state,
        ApprovalStatus::Rejected
    );
}

#[test]
fn a_secret_of_the_worktree_or_of_ours_is_in_no_event_no_audit_no_log_and_no_output() {
    const SECRETS: [&str; 3] = [
        "canary-env-0001",
        "canary-key-0002",
        "sk-canary0003canary0003",
    ];
    let script = Script::serve(|asked| match (asked.phase.as_str(), asked.turn) {
        ("first", 1) => {
            let command = format!("curl -H 'X: {}' {} {}", SECRETS[0], SECRETS[1], SECRETS[2]);
            let denied = json!({ "file_path": format!("../{}", SECRETS[0]) }).to_string();
            let call = Reply::stream()
                .text(&format!("I use {}", SECRETS[0]))
                .tool_call("execute", &json!({ "command": command }).to_string(), &[]);
            call.tool_call("read_file", &denied, &[])
                .finish("tool_calls")
                .done()
        }
        ("first", 2) => asked.writes(&asked.artifact()),
        _ => Reply::status(
            400,
            &json!({"error": {"message": format!("bad {} {}", SECRETS[0], SECRETS[1])}})
                .to_string(),
        ),
    });
    let (home, start) = asking_home(&script);
    let persona = home.paths().config.join("personas/maker.yaml");
    let text = std::fs::read_to_string(&persona)
        .unwrap()
        .replace("execute: ask", "execute: auto");
    std::fs::write(&persona, text).unwrap();
    home.configure(&format!(
        "[openai]\nbase_url = \"{}\"\nkey_env = \"TEST_KEY\"\n",
        script.base_url()
    ));
    home.expect(0, &["consent", "maker"]);
    let repo = home.path().join("project");
    std::fs::write(
        repo.join(".env"),
        format!("# local\nTOKEN={}\n", SECRETS[0]),
    )
    .unwrap();
    crate::home::git(&repo, &["add", "-f", "."]);
    crate::home::git(&repo, &["commit", "-q", "-m", "Leave a secret lying"]);
    let args: Vec<&str> = start.iter().map(String::as_str).collect();
    let output = home
        .command(&args)
        .env("TEST_KEY", SECRETS[1])
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(4),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let record = home.newest();
    let audit =
        std::fs::read_to_string(home.paths().audit().join(format!("{}.jsonl", record.id))).unwrap();
    let log = std::fs::read_to_string(home.paths().log()).unwrap();
    let shown = [
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    ]
    .concat();
    let report = home.expect(0, &["report", "@last", "--json"]);
    let events = serde_json::to_string(&home.events(&record)).unwrap();
    assert!(
        events.contains("curl -H 'X: ***' *** ***") && events.contains("tool.denied"),
        "{events}"
    );
    for (place, text) in [
        ("events", events),
        ("audit", audit),
        ("log", log),
        ("output", shown),
        ("report", report),
    ] {
        for secret in SECRETS {
            assert!(!text.contains(secret), "{secret} is in the {place}: {text}");
        }
    }
}

#[test]
fn a_spent_budget_stops_the_run_with_what_there_is_and_a_raise_goes_on() {
    let script = Script::serve(|asked| match asked.turn {
        1 => asked.writes(&asked.artifact()),
        _ => Reply::stream()
            .text("Done.")
            .finish("stop")
            .usage(300, 10, Some("0.0002"))
            .done(),
    });
    let (home, mut start) = two_phase_home(&script);
    start.extend(["--budget".to_owned(), "0.0026".to_owned()]);
    let args: Vec<&str> = start.iter().map(String::as_str).collect();
    home.expect(4, &args);
    let record = home.newest();
    check_invariants(&home, &record);
    assert_eq!(
        (record.state.as_str(), record.pause_reason.as_deref()),
        ("paused", Some("budget"))
    );
    assert_eq!(
        (record.calls, record.cost.known.0),
        (3, 2_700_000),
        "the turn that crossed it was finished and saved"
    );
    let budget = question(&home, "budget_exceeded")
        .1
        .question
        .unwrap()
        .budget()
        .unwrap()
        .clone();
    assert_eq!(
        (budget.scope.as_str(), budget.limit.0, budget.spent.0),
        ("run", 2_600_000, 2_700_000)
    );
    let kinds: Vec<_> = home
        .events(&record)
        .iter()
        .map(|event| event.fact.kind())
        .filter(|kind| kind.starts_with("budget"))
        .collect();
    assert_eq!(kinds, ["budget.exceeded"]);
    home.expect(2, &["approve", "@last"]);
    home.expect(0, &["approve", "@last", "--raise", "0.0001"]);
    let id = record.id.to_string();
    home.expect(4, &["resume", &id, "--headless", "--on-gate", "approve"]);
    assert_eq!(
        home.newest().calls,
        3,
        "a raise that is not enough pays for nothing"
    );
    home.expect(0, &["approve", "@last", "--raise", "1"]);
    home.expect(0, &["resume", &id, "--headless", "--on-gate", "approve"]);
    let record = home.newest();
    check_invariants(&home, &record);
    assert_eq!(
        (record.state.as_str(), record.calls, record.cost.known.0),
        ("completed", 4, 2_900_000),
        "nothing was paid twice"
    );
}

#[test]
fn a_budget_that_comes_near_is_told_once() {
    let script = Script::serve_two_phases();
    let (home, start) = two_phase_home(&script);
    home.configure(&format!(
        "[openai]\nbase_url = \"{}\"\nkey_env = \"\"\n[budget]\nday = \"0.004\"\n[budget.workflows]\npair = \"1.00\"\n",
        script.base_url()
    ));
    let args: Vec<&str> = start.iter().map(String::as_str).collect();
    home.expect(0, &args);
    let events = home.events(&home.newest());
    let warned: Vec<_> = events
        .iter()
        .filter_map(|event| {
            if let RunFact::BudgetWarned { scope, spent, .. } = &event.fact {
                Some((scope, spent.0))
            } else {
                None
            }
        })
        .collect();
    assert_eq!((warned.len(), warned[0].1), (1, 3_700_000));
    assert!(warned[0].0.starts_with("day:20"), "{warned:?}");
}

/// Two phases whose persona is dear, the text of one that is cheaper, and the arguments that start
/// a run with a budget: the first call fits with its reserve, the second does not any more, the
/// small model's does.
fn dear_home() -> (Script, Home, String, Vec<String>) {
    let script = Script::serve(|asked| match asked.turn {
        1 => asked.writes(&asked.artifact()),
        _ => Reply::stream()
            .text("Done.")
            .finish("stop")
            .usage(300, 10, None)
            .done(),
    });
    let (home, mut start) = two_phase_home(&script);
    let maker = home.paths().config.join("personas/maker.yaml");
    let dear = std::fs::read_to_string(&maker).unwrap() + "params: { max_tokens: 1000 }\n";
    std::fs::write(&maker, &dear).unwrap();
    home.configure(&format!(
        "[openai]\nbase_url = \"{}\"\nkey_env = \"\"\n[prices.\"test/model\"]\ninput = \"1\"\noutput = \"10\"\n\
         [prices.\"test/small\"]\ninput = \"0.1\"\noutput = \"1\"\n",
        script.base_url()
    ));
    home.expect(0, &["consent", "maker"]);
    start.extend(["--budget".to_owned(), "0.0125".to_owned()]);
    (
        script,
        home,
        dear.replace("name: maker", "name: mini")
            .replace("test/model", "test/small"),
        start,
    )
}

#[test]
fn a_cheaper_persona_that_the_repository_brings_is_offered_and_taken_once_it_is_trusted() {
    let (_script, home, mini, start) = dear_home();
    let brought = home.path().join("project/.phasedeck/personas");
    std::fs::create_dir_all(&brought).unwrap();
    std::fs::write(brought.join("mini.yaml"), &mini).unwrap();
    home.expect(4, &start.iter().map(String::as_str).collect::<Vec<_>>());
    let offered = || {
        let text = std::fs::read_to_string(home.paths().config.join("config.toml")).unwrap();
        let found = phasedeck::engine::run::reassign::cheaper_personas(
            &home.paths(),
            &toml::from_str(&text).unwrap(),
            home.newest().id,
        )
        .unwrap();
        found
            .into_iter()
            .map(|cheaper| cheaper.persona)
            .collect::<Vec<_>>()
    };
    let take = || home.run(&["approve", "@last", "--persona", "mini"]);
    assert_eq!((offered(), take().status.code()), (Vec::new(), Some(2)));
    let in_the_repository = |args: &[&str]| {
        home.command(args)
            .current_dir(home.path().join("project"))
            .output()
            .unwrap()
    };
    assert!(in_the_repository(&["trust", "--yes"]).status.success());
    assert_eq!(offered(), ["mini@1"]);
    assert!(in_the_repository(&["consent", "mini"]).status.success());
    assert_eq!(take().status.code(), Some(0));
    let id = home.newest().id.to_string();
    home.expect(0, &["resume", &id, "--headless", "--on-gate", "approve"]);
    assert_eq!(home.newest().state, "completed");
}

#[test]
fn a_cheaper_persona_goes_on_from_the_last_stored_turn_and_is_frozen_with_the_answer() {
    let (script, home, mini, start) = dear_home();
    let personas = home.paths().config.join("personas");
    std::fs::write(personas.join("mini.yaml"), &mini).unwrap();
    let args: Vec<&str> = start.iter().map(String::as_str).collect();
    home.expect(4, &args);
    let record = home.newest();
    assert_eq!(
        (record.calls, record.pause_reason.as_deref()),
        (1, Some("budget"))
    );
    let told =
        String::from_utf8(home.run(&["approve", "@last", "--persona", "mini"]).stderr).unwrap();
    assert!(told.contains("consent") && told.contains("mini"), "{told}");
    home.expect(0, &["consent", "mini"]);
    let told =
        String::from_utf8(home.run(&["approve", "@last", "--persona", "maker"]).stderr).unwrap();
    assert!(
        told.contains("maker@1 cannot continue phase first at a lower cost"),
        "{told}"
    );
    home.expect(0, &["approve", "@last", "--persona", "mini"]);
    // What it is changed to later does not count: it was frozen.
    std::fs::write(
        personas.join("mini.yaml"),
        mini.replace("test/small", "test/other"),
    )
    .unwrap();
    let id = record.id.to_string();
    home.expect(0, &["resume", &id, "--headless", "--on-gate", "approve"]);
    let record = home.newest();
    let state = check_invariants(&home, &record);
    assert_eq!((record.state.as_str(), record.calls), ("completed", 4));
    let models: Vec<_> = script
        .requests()
        .iter()
        .map(|asked| asked.body["model"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        models,
        ["test/model", "test/small", "test/small", "test/small"],
        "nothing was paid twice"
    );
    let history = script.requests()[1].body["messages"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(
        history, 4,
        "it goes on with what the other one did: system, envelope, answer, result"
    );
    let ledger: Vec<_> = home
        .archive()
        .ledger(record.id)
        .unwrap()
        .into_iter()
        .map(|row| (row.persona, row.model))
        .collect();
    assert_eq!(ledger[0], ("maker@1".to_owned(), "test/model".to_owned()));
    assert!(
        ledger[1..]
            .iter()
            .all(|row| *row == ("mini@1".to_owned(), "test/small".to_owned())),
        "{ledger:?}"
    );
    assert_eq!(
        state
            .reseated
            .iter()
            .map(|seat| seat.phase_key.to_string())
            .collect::<Vec<_>>(),
        ["first", "second"]
    );
    let changed = home
        .events(&record)
        .into_iter()
        .filter(|event| event.fact.kind() == "personas.changed")
        .count();
    assert_eq!(changed, 1);
    let exported = home.path().join("run.tar");
    home.expect(0, &["export", "@last", "-o", &exported.to_string_lossy()]);
    let elsewhere = Home::new();
    elsewhere.expect(0, &["import", &exported.to_string_lossy()]);
    let reader = phasedeck::store::Reader::open(&elsewhere.paths().database()).unwrap();
    let frozen = phasedeck::store::tables::run_definitions::persona(
        reader.connection(),
        record.id,
        &state.reseated[0].binding,
    )
    .unwrap();
    assert_eq!(
        frozen.model.as_deref(),
        Some("test/small"),
        "it travels with the run, as it was frozen"
    );
    let report = home.expect(0, &["report", "@last"]);
    assert!(
        report.contains("maker in first, instead of maker@1"),
        "{report}"
    );
}

#[test]
fn at_the_gate_of_a_budget_keys_choose_somebody_cheaper_and_consent_to_them() {
    let (script, home, mini, start) = dear_home();
    std::fs::write(home.paths().config.join("personas/mini.yaml"), mini).unwrap();
    let args: Vec<&str> = start.iter().map(String::as_str).collect();
    home.expect(4, &args);
    assert_eq!(home.newest().calls, 1);
    let mut console = Terminal::open(&home, &[], 100, 30);
    console.wait_until("the resume picker", |screen| {
        screen.contains("interrupted. All progress")
    });
    // Resuming asks anew; the question that waits is answered as it is.
    console.press_until("\x1b", "the list", |screen| screen.contains("STATE"));
    console.press_until("!", "the gate", |screen| {
        screen.contains("budget_exceeded") && screen.contains("mini@1")
    });
    console.press_until("C", "who could", |screen| {
        screen.contains("Switch to a cheaper persona")
    });
    assert!(
        console.text().contains("[ mini@1 (test/small) ]"),
        "{}",
        console.text()
    );
    console.press("\x1b[C");
    console.stays(Duration::from_millis(400));
    console.press("\r");
    console.wait_until("the last question", |screen| {
        screen.contains("Switch to mini@1 (test/small)?")
    });
    console.press_until("\r", "consent to be asked", |screen| {
        screen.contains("Allow this persona?")
    });
    assert_eq!(
        script.requests().len(),
        1,
        "nothing was asked of a model before the yes"
    );
    console.press("\x1b[C");
    console.stays(Duration::from_millis(400));
    console.press("\r");
    console.wait_until("the answer to count", |screen| {
        screen.contains("In effect") && screen.contains("mini@1 continues with first, second")
    });
    console.press_until("\x1b", "the next question", |screen| {
        screen.contains("first_approved") && crate::terminal::shows_pending_approval(screen)
    });
    assert_eq!(
        question(&home, "first_approved")
            .1
            .phase_key
            .unwrap()
            .as_str(),
        "first"
    );
    let models: Vec<_> = script
        .requests()
        .iter()
        .map(|asked| asked.body["model"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        models[..2],
        ["test/model", "test/small"],
        "the turn that was paid is not paid again"
    );
}
