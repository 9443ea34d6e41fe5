//! Runs whose agents are programs of their own, over ACP, through every oddity.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use phasedeck::model::event::RunFact;
use phasedeck::model::record::RunRecord;
use phasedeck::model::state::SessionStatus;
use serde_json::Value;

use crate::home::{Home, check_invariants};
use crate::model_script::write_pair;

const PERSONA: &str = "name: maker\nversion: 1\nbackend: acp\nagent: scripted\ncapabilities: [make]\ntools: [read_file, write_file]\n";

pub struct Place {
    pub home: Home,
    pub state: PathBuf,
    pub start: Vec<String>,
}

impl Place {
    /// A home with workflow `pair@1`, whose persona is played by the scripted agent.
    pub fn with(script: &str, settings: &str) -> Self {
        let home = Home::new();
        let state = home.path().join("agent");
        std::fs::create_dir_all(&state).unwrap();
        std::fs::create_dir_all(home.path().join("operator")).unwrap();
        let me = std::env::current_exe().unwrap();
        home.configure(&format!(
            "[agents.scripted]\ncommand = [{me:?}, \"acp_agent::the_scripted_agent\", \"--exact\", \"--nocapture\", \"-q\"]\n\
             env = {{ ACP_SCRIPT = {script:?}, ACP_STATE = {state:?}, HOME = {:?} }}\nown_folders = [{state:?}]\nretry_pause_ms = 1\n{settings}\n",
            home.path().join("operator")
        ));
        write_pair(&home);
        std::fs::write(home.paths().config.join("personas/maker.yaml"), PERSONA).unwrap();
        home.expect(0, &["consent", "maker"]);
        let repo = home.repository("project");
        let start = [
            "run",
            "pair@1",
            "--repo",
            &repo.to_string_lossy(),
            "-m",
            "A note",
            "--headless",
            "--on-gate",
            "approve",
        ];
        Self {
            start: start.map(str::to_owned).to_vec(),
            state,
            home,
        }
    }

    pub fn run(&self, code: i32) -> RunRecord {
        self.home.expect(
            code,
            &self.start.iter().map(String::as_str).collect::<Vec<_>>(),
        );
        let record = self.home.newest();
        check_invariants(&self.home, &record);
        record
    }

    pub fn resume(&self, code: i32) -> RunRecord {
        self.home.expect(
            code,
            &["resume", "@last", "--headless", "--on-gate", "approve"],
        );
        let record = self.home.newest();
        check_invariants(&self.home, &record);
        record
    }

    pub fn kinds(&self, run: &RunRecord) -> Vec<String> {
        self.home
            .events(run)
            .iter()
            .map(|event| event.fact.kind().to_owned())
            .collect()
    }

    /// What the program was sent.
    pub fn heard(&self, method: &str) -> Vec<Value> {
        let log = std::fs::read_to_string(self.state.join("log")).unwrap_or_default();
        let messages = log
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        messages
            .filter(|message| message["method"] == method)
            .map(|message| message["params"].clone())
            .collect()
    }

    pub fn prompts(&self) -> Vec<String> {
        self.heard("session/prompt")
            .iter()
            .map(|params| params["prompt"][0]["text"].as_str().unwrap().to_owned())
            .collect()
    }

    pub fn starts(&self) -> usize {
        std::fs::read_to_string(self.state.join("starts"))
            .unwrap_or_default()
            .lines()
            .count()
    }
}

pub fn failure(place: &Place, run: &RunRecord) -> (String, String) {
    let failed = place
        .home
        .events(run)
        .into_iter()
        .rev()
        .find_map(|event| match event.fact {
            RunFact::SessionFailed { code, message, .. } => Some((code.to_string(), message)),
            _ => None,
        });
    failed.expect("a session failed")
}

#[test]
fn a_program_writes_to_disk_or_by_the_protocol_and_both_count() {
    for script in ["plain", "protocol", "load", "flood", "asks", "forgets"] {
        let place = Place::with(script, "");
        let run = place.run(0);
        assert_eq!(run.state, "completed", "{script}");
        assert_eq!(place.starts(), 2, "{script}: one life for each phase");
        let asked: u32 = if script == "forgets" { 3 } else { 2 };
        assert_eq!(
            (run.calls, place.prompts().len()),
            (asked, asked as usize),
            "{script}"
        );
        let sessions = place.home.archive().sessions(run.id).unwrap();
        assert_eq!(
            sessions
                .iter()
                .map(|session| session.state)
                .collect::<Vec<_>>(),
            [SessionStatus::Closed],
            "{script}"
        );
    }
}

#[test]
fn a_conversation_is_loaded_where_the_program_can_and_its_counters_go_on() {
    let place = Place::with("load", "");
    let run = place.run(0);
    assert_eq!(
        (
            place.heard("session/new").len(),
            place.heard("session/load").len()
        ),
        (1, 1),
        "the second phase loads it"
    );
    assert_eq!(
        run.cost.known.0, 500_000_000,
        "a quarter for each prompt, counted once"
    );
    assert_eq!(
        (run.tokens.input, run.tokens.output),
        (40, 20),
        "tokens are told for each prompt"
    );
    let other = Place::with("plain", "");
    let run = other.run(0);
    assert_eq!(
        (
            other.heard("session/new").len(),
            other.heard("session/load").len()
        ),
        (2, 0)
    );
    assert_eq!(
        run.cost.known.0,
        250_000_000 + 500_000_000,
        "a fresh session counts from nothing"
    );
    assert_eq!(run.tokens.input, 40);
}

#[test]
fn what_a_program_asks_for_is_confined_answered_by_the_table_and_recorded() {
    let place = Place::with("outside", "");
    let run = place.run(0);
    let denied: Vec<String> = place
        .home
        .events(&run)
        .into_iter()
        .filter_map(|event| match event.fact {
            RunFact::ToolDenied { code, target, .. } => Some(format!("{code} {target}")),
            _ => None,
        })
        .collect();
    let expected = [
        "/etc/passwd",
        "/etc/passwd",
        "../outside.txt",
        "../outside.txt",
        ".git/config",
        ".git/config",
    ];
    let expected: Vec<String> = expected
        .iter()
        .map(|path| format!("path_outside_worktree {path}"))
        .collect();
    assert_eq!(
        denied,
        [expected.clone(), expected].concat(),
        "in each of the two phases"
    );
    let audit =
        std::fs::read_to_string(place.home.paths().audit().join(format!("{}.jsonl", run.id)))
            .unwrap();
    assert_eq!(
        audit.lines().count(),
        14,
        "six refused and one done in each phase, each once"
    );
    assert!(!place.home.paths().run(run.id).join("outside.txt").exists());

    let place = Place::with("asks", "");
    let run = place.run(0);
    let refused = place
        .kinds(&run)
        .iter()
        .filter(|kind| *kind == "tool.denied")
        .count();
    assert_eq!(
        refused, 2,
        "the edit is allowed and the command is not, in each phase"
    );
}

#[test]
fn a_command_that_needs_the_operators_word_stops_the_program_until_it_is_given() {
    let place = Place::with("asks_load", "");
    let persona = PERSONA.replace(
        "write_file]",
        "write_file, execute]\npermissions: { execute: ask }",
    );
    std::fs::write(
        place.home.paths().config.join("personas/maker.yaml"),
        persona,
    )
    .unwrap();
    place.home.expect(0, &["consent", "maker"]);
    let args: Vec<&str> = place
        .start
        .iter()
        .map(String::as_str)
        .filter(|arg| !["--on-gate", "approve"].contains(arg))
        .collect();
    let mut host = place
        .home
        .command(&args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let question = place.home.wait_for_question("tool_permission", &mut host);
    let tool = question
        .question
        .as_deref()
        .and_then(|question| question.tool().cloned())
        .expect("about a tool");
    assert_eq!(
        (
            tool.tool.as_str(),
            tool.target.as_str(),
            tool.detail.as_str()
        ),
        ("execute", "rm -rf /", "rm -rf /")
    );
    place.home.expect(
        0,
        &[
            "reject",
            &place.home.newest().id.to_string(),
            "-m",
            "not on my machine",
        ],
    );
    place.home.wait_for_question("first_approved", &mut host);
    host.kill().unwrap();
    host.wait().unwrap();
    let answers = std::fs::read_to_string(place.state.join("answers")).unwrap();
    let answers: Vec<Value> = answers
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let said: Vec<&str> = answers
        .iter()
        .map(|answer| answer["optionId"].as_str().unwrap_or("cancelled"))
        .collect();
    assert_eq!(
        said[..4],
        ["yes", "cancelled", "yes", "no"],
        "the edit is allowed; the command waits, and is refused"
    );
    assert!(
        place.prompts()[1].contains("The operator refused it and said: not on my machine."),
        "{}",
        place.prompts()[1]
    );
}

#[test]
fn a_program_that_dies_is_brought_back_and_told_what_was_said() {
    let place = Place::with("dies_once", "");
    let run = place.run(0);
    let kinds = place.kinds(&run);
    let of_interest: Vec<&str> = kinds
        .iter()
        .map(String::as_str)
        .filter(|kind| kind.starts_with("llm.") || kind.starts_with("session."))
        .collect();
    assert_eq!(
        of_interest[..5],
        [
            "session.started",
            "llm.called",
            "llm.retried",
            "session.recovered",
            "llm.called"
        ]
    );
    let prompts = place.prompts();
    assert!(
        prompts[1].contains("[INTERRUPTED SESSION]") && prompts[1].contains("I begin"),
        "{}",
        prompts[1]
    );

    let place = Place::with("dies_once_load", "");
    place.run(0);
    let prompts = place.prompts();
    assert!(
        prompts[0].contains("PHASEDECK_PROMPT_BEGIN")
            && !prompts[1].contains("PHASEDECK_PROMPT_BEGIN"),
        "the task is said once"
    );
    assert!(
        prompts[1].starts_with("You were interrupted."),
        "{}",
        prompts[1]
    );
}

#[test]
fn a_program_that_stays_broken_stops_the_run_where_a_person_can_go_on() {
    for (script, settings, code, words) in [
        (
            "dies",
            "",
            "session_recovery_required",
            "it ended (it ended with code 3; its last words: panic: out of cheese); 3 tries",
        ),
        (
            "silent",
            "idle_timeout_seconds = 1",
            "pane_briefly_unresponsive",
            "silent for 2 s",
        ),
        (
            "garbage",
            "",
            "session_recovery_required",
            "it speaks no protocol",
        ),
        (
            "huge",
            "",
            "session_recovery_required",
            "a line longer than 32 MiB",
        ),
        ("refuses", "", "llm_bad_response", "refused to go on"),
        (
            "login",
            "",
            "llm_auth",
            "log in with the program itself: Run `agent login`",
        ),
        (
            "other_version",
            "",
            "backend_unavailable",
            "speaks version 2",
        ),
    ] {
        let place = Place::with(script, settings);
        let run = place.run(4);
        assert_eq!(
            (run.state.as_str(), run.pause_reason.as_deref()),
            ("paused", Some("session_recovery")),
            "{script}"
        );
        let kinds = place.kinds(&run);
        assert_eq!(
            kinds[kinds.len() - 3..],
            ["session.failed", "run.paused", "approval.requested"],
            "{script}"
        );
        let (said, message) = failure(&place, &run);
        assert_eq!(said, code, "{script}: {message}");
        assert!(message.contains(words), "{script}: {message}");
        let lives = if message.contains("3 tries") { 4 } else { 1 };
        assert_eq!(place.starts(), lives, "{script}");
    }
}

#[test]
fn after_a_limit_the_operator_has_it_go_on() {
    let place = Place::with("limit_load", "");
    place.run(0);
    let place = Place::with("limit", "");
    let run = place.run(4);
    assert_eq!(failure(&place, &run).0, "agent_limit_reached");
    assert_eq!(place.resume(0).state, "completed");
}

#[test]
fn a_model_is_chosen_where_it_is_offered_and_refused_where_it_is_not() {
    for (model, code) in [("large", 0), ("huge", 4)] {
        let place = Place::with("plain", "");
        std::fs::write(
            place.home.paths().config.join("personas/maker.yaml"),
            format!("{PERSONA}model: {model}\n"),
        )
        .unwrap();
        place.home.expect(0, &["consent", "maker"]);
        let run = place.run(code);
        let chosen = place.heard("session/set_config_option");
        if code == 0 {
            assert_eq!(chosen[0]["value"], "large");
        } else {
            assert!(chosen.is_empty());
            assert!(
                failure(&place, &run).1.contains("it offers: small, large"),
                "{}",
                failure(&place, &run).1
            );
        }
    }
}

#[test]
fn a_session_that_its_host_died_under_is_tried_three_times_and_then_left_to_a_person() {
    let place = Place::with("children", "");
    let args: Vec<&str> = place.start.iter().map(String::as_str).collect();
    let mut host = place
        .home
        .command(&args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !place.state.join("ready").exists() {
        assert!(Instant::now() < deadline, "the program is at work");
        std::thread::sleep(Duration::from_millis(10));
    }
    host.kill().unwrap();
    host.wait().unwrap();
    let run = place.home.newest();
    let (before, lives) = (place.home.events(&run).len(), place.starts());
    // From now on it dies whenever it is begun, and the next host goes on by itself.
    let config = std::fs::read_to_string(place.home.paths().config_file())
        .unwrap()
        .replace("\"children\"", "\"dies\"");
    std::fs::write(
        place.home.paths().config_file(),
        format!("[engine]\non_crash = \"resume\"\n{config}"),
    )
    .unwrap();
    let mut host = place
        .home
        .command(&["host"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    place
        .home
        .wait_for_question("session_recovery_required", &mut host);
    host.kill().unwrap();
    host.wait().unwrap();
    let kinds: Vec<String> = place.kinds(&run).split_off(before);
    // It takes the session up each time, and dies of the prompt.
    let told: Vec<&str> = kinds
        .iter()
        .map(String::as_str)
        .filter(|kind| !["llm.called", "session.recovered"].contains(kind))
        .collect();
    let (retried, end) = (
        ["llm.retried"; 3],
        ["session.failed", "run.paused", "approval.requested"],
    );
    assert_eq!(
        told,
        [&["run.paused", "run.resumed"][..], &retried, &end].concat()
    );
    assert_eq!(
        place.starts() - lives,
        4,
        "once, and three tries to bring it back"
    );
    let sessions = place.home.archive().sessions(run.id).unwrap();
    assert_eq!(
        sessions
            .iter()
            .map(|session| session.state)
            .collect::<Vec<_>>(),
        [SessionStatus::FailedNeedsHuman]
    );
    check_invariants(&place.home, &place.home.newest());
}

/// Whether a process with this number is there and no zombie.
fn lives(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// The processes whose arguments hold all of `words` and whose variables hold `state`.
pub fn processes_of(state: &str) -> Vec<String> {
    let pids = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    let ours = |pid: &String| {
        std::fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|env| String::from_utf8_lossy(&env).contains(state))
    };
    pids.filter(|pid| pid.parse::<u32>().is_ok())
        .filter(ours)
        .filter(|pid| lives(pid))
        .collect()
}

#[test]
fn nothing_of_a_program_outlives_a_host_that_is_killed() {
    let place = Place::with("children", "");
    let args: Vec<&str> = place.start.iter().map(String::as_str).collect();
    let mut host = place
        .home
        .command(&args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let state = format!("ACP_STATE={}", place.state.display());
    let deadline = Instant::now() + Duration::from_secs(60);
    while !place.state.join("ready").exists() {
        assert!(Instant::now() < deadline, "the program began its children");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(
        processes_of(&state).len() >= 4,
        "guard, program, and its two children: {:?}",
        processes_of(&state)
    );
    host.kill().unwrap();
    host.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !processes_of(&state).is_empty() {
        assert!(
            Instant::now() < deadline,
            "still there: {:?}",
            processes_of(&state)
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}
