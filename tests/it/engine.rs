//! The engine behind its door, on real database files: one test, one promise.

use std::time::Duration;

use phasedeck::engine::api::{CommandAnswer, CommandSender, EngineCommand, EnginePort, StartRun};
use phasedeck::engine::host::{EngineHost, give_consent, live_host};
use phasedeck::model::error::{Code, Failure};
use phasedeck::model::event::RunFact;
use phasedeck::model::hash::ContentHash;
use phasedeck::model::id::{ClientToken, RunId};
use phasedeck::model::record::{RehearsalScenario, RunOptions};
use phasedeck::model::run_state::RunState;
use phasedeck::model::settings::AppSettings;
use phasedeck::model::state::{ApprovalStatus, Decision, PauseReason, RunStatus, Via};

use crate::demo::wait_for;
use crate::home::{Home, check_invariants};
use crate::model_script::write_pair;

/// A home with workflow `pair@1` and a host in this process.
struct Stage {
    home: Home,
    host: Option<EngineHost>,
}

impl Stage {
    fn new() -> Self {
        let home = Home::new();
        write_pair(&home);
        let host = Some(EngineHost::start(&home.paths(), &settings()).unwrap());
        Self { home, host }
    }

    fn port(&self) -> EnginePort {
        self.host.as_ref().unwrap().port()
    }

    fn send(&self, command: EngineCommand) -> Result<CommandAnswer, Failure> {
        self.send_as(command, ClientToken::new())
    }

    fn send_as(
        &self,
        command: EngineCommand,
        token: ClientToken,
    ) -> Result<CommandAnswer, Failure> {
        let sender = CommandSender {
            by: "tester".to_owned(),
            via: Via::Cli,
        };
        self.host
            .as_ref()
            .unwrap()
            .handle()
            .block_on(self.port().send(command, sender, token))
    }

    fn start(&self, options: RunOptions) -> RunId {
        match self
            .send(EngineCommand::Start(Box::new(pair(options))))
            .unwrap()
        {
            CommandAnswer::Started { run_id, .. } => run_id,
            other => panic!("{other:?}"),
        }
    }

    fn decide(
        &self,
        run_id: RunId,
        action: Decision,
        comment: &str,
    ) -> Result<CommandAnswer, Failure> {
        self.send(EngineCommand::decide(run_id, None, action, comment))
    }

    fn wait(&self, run_id: RunId, what: &str, seen: impl Fn(&RunState) -> bool) -> RunState {
        wait_for(what, || {
            let state = self.home.archive().state(run_id).unwrap();
            seen(&state).then_some(state)
        })
    }

    fn wait_for_gate(&self, run_id: RunId) -> RunState {
        self.wait(run_id, "a gate", |state| {
            state.status == RunStatus::AwaitingApproval
        })
    }

    fn wait_for_end(&self, run_id: RunId) -> RunState {
        self.wait(run_id, "the end", |state| state.status.is_terminal())
    }

    /// The host goes away in good order, and another one comes.
    fn restart(&mut self) {
        self.host
            .take()
            .unwrap()
            .shutdown(Duration::from_secs(5))
            .unwrap();
        self.host = Some(EngineHost::start(&self.home.paths(), &settings()).unwrap());
    }

    fn sql(&self, statement: &str) {
        let conn = rusqlite::Connection::open(self.home.paths().database()).unwrap();
        conn.execute_batch(statement).unwrap();
    }

    fn resume_error(&self, run_id: RunId) -> Failure {
        self.send(EngineCommand::Resume { run_id }).unwrap_err()
    }

    /// A run that waits at its first gate, then rests.
    fn paused_run(&self) -> RunId {
        let run_id = self.start(rehearse());
        self.wait_for_gate(run_id);
        self.send(EngineCommand::Pause { run_id }).unwrap();
        run_id
    }
}

fn settings() -> AppSettings {
    let mut settings = AppSettings::default();
    settings.rehearsal.pace_ms = 0;
    settings
}

fn rehearse() -> RunOptions {
    RunOptions {
        rehearse: true,
        ..RunOptions::default()
    }
}

fn scenario(phase: &str, scenario: RehearsalScenario) -> RunOptions {
    RunOptions {
        scenarios: [(phase.into(), scenario)].into(),
        ..rehearse()
    }
}

fn pair(options: RunOptions) -> StartRun {
    StartRun {
        workflow: "pair".to_owned(),
        requirements: "A note about notes".to_owned(),
        options,
        ..StartRun::default()
    }
}

#[test]
fn a_run_in_a_plain_folder_goes_through_gate_and_end() {
    let stage = Stage::new();
    let run_id = stage.start(rehearse());
    stage.wait_for_gate(run_id);
    let answer = stage.decide(run_id, Decision::Approve, "fine").unwrap();
    assert!(matches!(
        answer,
        CommandAnswer::Decided {
            action: Decision::Approve,
            ..
        }
    ));
    let state = stage.wait_for_end(run_id);
    assert_eq!(state.status, RunStatus::Completed, "{:?}", state.error);
    let approvals = stage.home.archive().approvals(run_id).unwrap();
    assert_eq!(
        approvals.iter().map(|row| row.state).collect::<Vec<_>>(),
        [ApprovalStatus::Approved],
        "no row stays pending"
    );
    assert_eq!(
        (
            approvals[0].comment.as_deref(),
            approvals[0].resolved_by.as_deref()
        ),
        (Some("fine"), Some("tester"))
    );
    let record = wait_for("the report", || {
        Some(stage.home.archive().run(run_id).unwrap()).filter(|run| run.report_path.is_some())
    });
    check_invariants(&stage.home, &record);
}

#[test]
fn requested_changes_reach_the_next_attempt() {
    let stage = Stage::new();
    let run_id = stage.start(rehearse());
    stage.wait_for_gate(run_id);
    stage
        .decide(run_id, Decision::RequestChanges, "Mention the harbour")
        .unwrap();
    let state = stage.wait(run_id, "the second version", |state| {
        state.status == RunStatus::AwaitingApproval && state.phases[0].attempt == 2
    });
    let artifact = state.phases[0].artifact.clone().unwrap();
    assert_eq!(artifact.version, 2);
    let content =
        String::from_utf8(stage.home.archive().content(&artifact.sha256).unwrap()).unwrap();
    assert!(content.contains("Mention the harbour"), "{content}");
}

#[test]
fn a_shutdown_pauses_and_a_resume_asks_the_gate_again_without_an_agent() {
    let mut stage = Stage::new();
    let run_id = stage.start(rehearse());
    let question = stage.wait_for_gate(run_id).approval.unwrap().request_id;
    stage.restart();
    let state = stage.home.archive().state(run_id).unwrap();
    assert_eq!(
        (state.status, state.pause_reason),
        (RunStatus::Paused, Some(PauseReason::Shutdown))
    );
    assert_eq!(state.paused_from, Some(RunStatus::AwaitingApproval));
    for _ in 0..2 {
        stage.send(EngineCommand::Resume { run_id }).unwrap();
        let state = stage.wait_for_gate(run_id);
        assert_eq!(
            state.approval.unwrap().request_id,
            question,
            "the same question"
        );
        assert_eq!(state.phases[0].attempt, 1, "no agent was called");
        stage.send(EngineCommand::Pause { run_id }).unwrap();
    }
    let resumed = stage.home.archive().events(run_id, 1, 1000).unwrap();
    let ordinals: Vec<_> = resumed
        .iter()
        .filter_map(|e| {
            if let RunFact::RunResumed { ordinal, .. } = e.fact {
                Some(ordinal)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(ordinals, [1, 2], "the second resume is not swallowed");
}

#[test]
fn a_run_that_works_is_paused_at_a_shutdown_and_goes_on_later() {
    let mut stage = Stage::new();
    let run_id = stage.start(scenario("first", RehearsalScenario::Timeout));
    stage.wait(run_id, "the prompt", |state| {
        state.phases[0].prompt.is_some()
    });
    stage.restart();
    let state = stage.home.archive().state(run_id).unwrap();
    assert_eq!(
        (state.status, state.pause_reason),
        (RunStatus::Paused, Some(PauseReason::Shutdown)),
        "a shutdown never aborts"
    );
    stage.send(EngineCommand::Resume { run_id }).unwrap();
    let state = stage.wait(run_id, "the attempt to go on", |state| {
        state.status == RunStatus::Executing
    });
    assert_eq!(state.phases[0].attempt, 1, "the same attempt goes on");
    stage
        .send(EngineCommand::Abort {
            run_id,
            reason: "enough".to_owned(),
        })
        .unwrap();
    assert_eq!(stage.wait_for_end(run_id).status, RunStatus::Aborted);
}

#[test]
fn changed_content_is_never_approved_unseen() {
    let stage = Stage::new();
    let run_id = stage.start(rehearse());
    let shown = stage.wait_for_gate(run_id);
    let file = stage.home.paths().worktree(run_id).join("out/first.json");
    let valid = std::fs::read_to_string(&file)
        .unwrap()
        .replace("Rehearsal", "Changed");
    std::fs::write(&file, &valid).unwrap();
    let refused = stage.decide(run_id, Decision::Approve, "").unwrap_err();
    assert_eq!(refused.code, Code::ArtifactChanged, "{refused}");
    let asked = stage.wait_for_gate(run_id);
    assert_ne!(
        asked.approval.as_ref().unwrap().request_id,
        shown.approval.as_ref().unwrap().request_id,
        "a new question"
    );
    assert_eq!(
        asked.approval.as_ref().unwrap().artifact_sha256,
        Some(ContentHash::from_bytes(valid.as_bytes()))
    );

    std::fs::write(&file, "not even JSON").unwrap();
    assert_eq!(
        stage
            .decide(run_id, Decision::Approve, "")
            .unwrap_err()
            .code,
        Code::ArtifactChanged
    );
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        valid,
        "what was validated was put back"
    );
    std::fs::remove_file(&file).unwrap();
    assert_eq!(
        stage
            .decide(run_id, Decision::Approve, "")
            .unwrap_err()
            .code,
        Code::ArtifactChanged
    );
    stage.decide(run_id, Decision::Approve, "").unwrap();
    assert_eq!(stage.wait_for_end(run_id).status, RunStatus::Completed);
    let states: Vec<_> = stage
        .home
        .archive()
        .approvals(run_id)
        .unwrap()
        .iter()
        .map(|row| row.state)
        .collect();
    use ApprovalStatus::{Approved, Superseded};
    assert_eq!(
        states.iter().filter(|state| **state == Superseded).count(),
        3
    );
    assert_eq!(states.iter().filter(|state| **state == Approved).count(), 1);
}

#[test]
fn what_the_operator_wrote_at_a_gate_is_the_next_version_and_is_asked_about_anew() {
    let stage = Stage::new();
    let run_id = stage.start(rehearse());
    let shown = stage.wait_for_gate(run_id);
    let request_id = shown.approval.as_ref().unwrap().request_id;
    let file = stage.home.paths().worktree(run_id).join("out/first.json");
    let before = std::fs::read_to_string(&file).unwrap();
    let revise = |content: &str| {
        stage.send(EngineCommand::Revise {
            run_id,
            request_id,
            content: content.to_owned(),
        })
    };

    let refused = revise("{}").unwrap_err();
    assert_eq!(refused.code, Code::UsageInvalid);
    assert!(
        refused.message.contains("does not match") && refused.message.contains("'note'"),
        "{refused}"
    );
    assert_eq!(
        revise(&before).unwrap_err().message,
        "out/first.json is unchanged"
    );
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        before,
        "what is refused changes nothing"
    );

    let edited = before.replace("Rehearsal", "Edited");
    revise(&edited).unwrap();
    let asked = stage.wait_for_gate(run_id);
    let open = asked.approval.clone().unwrap();
    assert_eq!(
        open.artifact_sha256,
        Some(ContentHash::from_bytes(edited.as_bytes()))
    );
    assert_ne!(open.request_id, request_id);
    assert_eq!((asked.phases[0].versions, asked.phases[0].attempt), (2, 1));
    assert_eq!(asked.phases[0].revised_by.as_deref(), Some("tester"));
    revise(&edited).unwrap();
    assert_eq!(
        stage.home.archive().artifacts(run_id).unwrap().len(),
        2,
        "a second delivery is no second version"
    );
    assert_eq!(
        revise(&before).unwrap_err().code,
        Code::ApprovalAlreadyResolved,
        "an older question takes nothing"
    );

    stage.decide(run_id, Decision::Approve, "").unwrap();
    assert_eq!(stage.wait_for_end(run_id).status, RunStatus::Completed);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), edited);
}

#[test]
fn rehearsed_scenarios_end_as_they_say() {
    let stage = Stage::new();
    for (way, attempts, code) in [
        (
            RehearsalScenario::Invalid,
            2,
            Some(Code::ArtifactInvalidAfterRepair),
        ),
        (RehearsalScenario::InvalidThenOk, 2, None),
        (RehearsalScenario::Slow, 1, None),
    ] {
        let run_id = stage.start(scenario("first", way));
        let state = stage.wait(run_id, "gate or end", |s| {
            s.status == RunStatus::AwaitingApproval || s.status.is_terminal()
        });
        assert_eq!(state.phases[0].attempt, attempts, "{way:?}");
        assert_eq!(state.error.map(|(code, ..)| code), code, "{way:?}");
    }
    let run_id = stage.start(scenario("first", RehearsalScenario::Crash));
    let state = stage.wait(run_id, "the question", |state| state.approval.is_some());
    assert_eq!(
        (state.status, state.pause_reason),
        (RunStatus::Paused, Some(PauseReason::SessionRecovery))
    );
}

#[test]
fn a_rejection_and_an_abort_end_a_run_with_a_report() {
    let stage = Stage::new();
    for (action, status) in [
        (Decision::Reject, RunStatus::Failed),
        (Decision::Abort, RunStatus::Aborted),
    ] {
        let run_id = stage.start(rehearse());
        stage.wait_for_gate(run_id);
        stage.decide(run_id, action, "not like this").unwrap();
        assert_eq!(stage.wait_for_end(run_id).status, status);
        let path = wait_for("the report", || {
            stage.home.archive().run(run_id).unwrap().report_path
        });
        let text = std::fs::read_to_string(format!("{path}.md")).unwrap();
        assert!(text.contains("not like this"), "{text}");
    }
}

#[test]
fn the_same_key_starts_the_same_run_once() {
    let stage = Stage::new();
    let start = |requirements: &str| {
        let request = StartRun {
            idempotency_key: Some("k".to_owned()),
            requirements: requirements.to_owned(),
            ..pair(rehearse())
        };
        stage.send(EngineCommand::Start(Box::new(request)))
    };
    let CommandAnswer::Started {
        run_id,
        existing: false,
    } = start("one thing").unwrap()
    else {
        panic!("started anew")
    };
    assert_eq!(
        start("one thing").unwrap(),
        CommandAnswer::Started {
            run_id,
            existing: true
        }
    );
    assert_eq!(
        start("another thing").unwrap_err().code,
        Code::IdempotencyConflict
    );
    let token = ClientToken::new();
    let pause = EngineCommand::Pause { run_id };
    assert_eq!(
        stage.send_as(pause.clone(), token),
        stage.send_as(pause, token),
        "a command delivered twice acts once"
    );
}

#[test]
fn one_run_holds_a_thread() {
    let stage = Stage::new();
    let named = || StartRun {
        thread: Some("lane".into()),
        ..pair(rehearse())
    };
    let CommandAnswer::Started { run_id, .. } =
        stage.send(EngineCommand::Start(Box::new(named()))).unwrap()
    else {
        panic!("started")
    };
    let busy = stage
        .send(EngineCommand::Start(Box::new(named())))
        .unwrap_err();
    assert_eq!(busy.code, Code::ThreadBusy, "{busy}");
    assert!(
        busy.message.contains(&run_id.short()) || busy.message.contains(&run_id.to_string()),
        "it names the run that holds it: {busy}"
    );
    assert_eq!(
        stage
            .home
            .archive()
            .runs(&Default::default())
            .unwrap()
            .len(),
        1,
        "nothing is left of the refused start"
    );
    stage.wait_for_gate(run_id);
    stage.send(EngineCommand::Pause { run_id }).unwrap();
    stage.send(EngineCommand::Start(Box::new(named()))).unwrap();
    assert_eq!(
        stage.resume_error(run_id).code,
        Code::ThreadBusy,
        "a paused run has let it go"
    );
}

#[test]
fn an_unknown_run_is_not_found() {
    let stage = Stage::new();
    let refused = stage.resume_error(RunId::new());
    assert_eq!(refused.code, Code::RunNotFound);
}

#[test]
fn an_ended_run_is_not_reopened() {
    let stage = Stage::new();
    let run_id = stage.start(rehearse());
    stage.wait_for_gate(run_id);
    stage.decide(run_id, Decision::Abort, "").unwrap();
    for command in [
        EngineCommand::Resume { run_id },
        EngineCommand::Pause { run_id },
    ] {
        assert_eq!(
            stage.send(command).unwrap_err().code,
            Code::RunAlreadyTerminal
        );
    }
    let seq = stage.home.archive().last_seq(run_id).unwrap();
    stage
        .send(EngineCommand::Abort {
            run_id,
            reason: "again".to_owned(),
        })
        .unwrap();
    assert_eq!(
        stage.home.archive().last_seq(run_id).unwrap(),
        seq,
        "ending it twice is no error and no second end"
    );
    assert_eq!(
        stage
            .decide(run_id, Decision::Approve, "")
            .unwrap_err()
            .code,
        Code::RunAlreadyTerminal
    );
}

#[test]
fn a_run_without_bindings_is_not_guessed() {
    let stage = Stage::new();
    let run_id = stage.paused_run();
    stage.sql("DELETE FROM bindings");
    assert_eq!(stage.resume_error(run_id).code, Code::RunMetadataMissing);
}

#[test]
fn a_malformed_stored_workflow_is_said_so() {
    let stage = Stage::new();
    let run_id = stage.paused_run();
    stage.sql("UPDATE definitions SET content = '{\"name\": 1}' WHERE kind = 'workflow'");
    assert_eq!(stage.resume_error(run_id).code, Code::TemplateLoadFailed);
    stage.sql("DELETE FROM definitions WHERE kind = 'workflow'");
    assert_eq!(stage.resume_error(run_id).code, Code::TemplateLoadFailed);
}

#[test]
fn a_malformed_stored_persona_is_never_skipped() {
    let stage = Stage::new();
    let run_id = stage.paused_run();
    stage.sql("UPDATE definitions SET content = '[]' WHERE kind = 'persona'");
    let refused = stage.resume_error(run_id);
    assert_eq!(refused.code, Code::PersonaLoadFailed);
    assert!(
        refused.message.contains("maker@1"),
        "it names the persona: {refused}"
    );
}

#[test]
fn a_second_host_is_refused_before_it_changes_anything() {
    let stage = Stage::new();
    let refused = EngineHost::start(&stage.home.paths(), &settings())
        .err()
        .unwrap();
    assert_eq!(refused.code, Code::SessionManagerAlreadyRunning);
    assert_eq!(
        live_host(&stage.home.paths()).unwrap().unwrap().pid,
        std::process::id()
    );
}

#[test]
fn a_persona_is_not_used_without_consent() {
    let stage = Stage::new();
    let refused = stage
        .send(EngineCommand::Start(Box::new(pair(RunOptions::default()))))
        .unwrap_err();
    assert!(
        matches!(
            refused.code,
            Code::PersonaConsentRequired | Code::BackendUnavailable
        ),
        "{refused}"
    );
    give_consent(
        &stage.home.paths(),
        "maker@1",
        &ContentHash::from_bytes(b"another persona"),
        "tester",
    )
    .unwrap();
    assert!(
        stage
            .send(EngineCommand::Start(Box::new(pair(RunOptions::default()))))
            .is_err(),
        "consent is to a hash, not to a name"
    );
}
