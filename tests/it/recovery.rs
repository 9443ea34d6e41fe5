//! What a host finds that follows one which died: one test, one promise.

use std::time::{Duration, Instant};

use phasedeck::engine::api::{CommandAnswer, CommandSender, EngineCommand, EnginePort, StartRun};
use phasedeck::engine::host::{EngineHost, HostLock, attach, live_host};
use phasedeck::engine::paths::InstallPaths;
use phasedeck::model::error::{Code, Failure};
use phasedeck::model::event::{CallStatus, JournalEvent, RunFact};
use phasedeck::model::hash::ContentHash;
use phasedeck::model::id::{ClientToken, RequestId, RunId, TurnId};
use phasedeck::model::money::NanoUsd;
use phasedeck::model::record::{RehearsalScenario, RunOptions};
use phasedeck::model::run_state::RunState;
use phasedeck::model::settings::{AppSettings, CrashPolicy};
use phasedeck::model::state::{ApprovalStatus, Decision, PauseReason, RunStatus, Via};
use phasedeck::model::time::Timestamp;
use phasedeck::store::Store;
use phasedeck::store::tables::turns;
use phasedeck::store::tables::turns::NewTurn;

use crate::demo::wait_for;
use crate::home::{Home, check_invariants};
use crate::model_script::write_pair;

/// A home whose hosts come and go, in good order or not.
struct Place {
    home: Home,
    host: Option<EngineHost>,
}

impl Place {
    fn new() -> Self {
        let home = Home::new();
        write_pair(&home);
        let mut place = Self { home, host: None };
        place.begin(CrashPolicy::Ask);
        place
    }

    fn begin(&mut self, on_crash: CrashPolicy) {
        self.host = Some(EngineHost::start(&self.home.paths(), &settings(on_crash)).unwrap());
    }

    /// The host dies: its work stops wherever it was, and nobody says goodbye.
    fn crash(&mut self) {
        drop(self.host.take());
    }

    fn crash_and_begin(&mut self, on_crash: CrashPolicy) {
        self.crash();
        self.begin(on_crash);
    }

    fn host(&self) -> &EngineHost {
        self.host.as_ref().unwrap()
    }

    fn send(&self, command: EngineCommand) -> Result<CommandAnswer, Failure> {
        ask(self.host(), &self.host().port(), "tester", command)
    }

    fn start(&self, options: RunOptions) -> RunId {
        let start = StartRun {
            workflow: "pair".to_owned(),
            requirements: "A note".to_owned(),
            options,
            ..StartRun::default()
        };
        match self.send(EngineCommand::Start(Box::new(start))).unwrap() {
            CommandAnswer::Started { run_id, .. } => run_id,
            other => panic!("{other:?}"),
        }
    }

    fn at_gate(&self) -> RunId {
        let run_id = self.start(rehearse());
        self.wait(run_id, "a gate", |state| {
            state.status == RunStatus::AwaitingApproval
        });
        run_id
    }

    fn at_work(&self) -> RunId {
        let run_id = self.start(RunOptions {
            scenarios: [("first".into(), RehearsalScenario::Timeout)].into(),
            ..rehearse()
        });
        self.wait(run_id, "work", |state| state.phases[0].prompt.is_some());
        run_id
    }

    /// A run that an operator must mend.
    fn broken(&self) -> RunId {
        let run_id = self.start(RunOptions {
            scenarios: [("first".into(), RehearsalScenario::Crash)].into(),
            ..rehearse()
        });
        self.wait(run_id, "the question", |state| state.approval.is_some());
        run_id
    }

    fn state(&self, run_id: RunId) -> RunState {
        self.home.archive().state(run_id).unwrap()
    }

    fn wait(&self, run_id: RunId, what: &str, seen: impl Fn(&RunState) -> bool) -> RunState {
        wait_for(what, || Some(self.state(run_id)).filter(&seen))
    }

    fn events(&self, run_id: RunId) -> Vec<JournalEvent> {
        self.home.archive().events(run_id, 1, 10_000).unwrap()
    }

    fn kinds_after(&self, run_id: RunId, seq: u64) -> Vec<&'static str> {
        self.events(run_id)
            .iter()
            .filter(|event| event.seq > seq)
            .map(|event| event.fact.kind())
            .collect()
    }

    fn sql(&self, statement: &str) {
        rusqlite::Connection::open(self.home.paths().database())
            .unwrap()
            .execute_batch(statement)
            .unwrap();
    }

    fn check(&self, run_id: RunId) -> RunState {
        check_invariants(&self.home, &self.home.archive().run(run_id).unwrap())
    }

    fn report(&self, run_id: RunId) -> Vec<u8> {
        let path = wait_for("the report", || {
            self.home.archive().run(run_id).unwrap().report_path
        });
        std::fs::read(format!("{path}.json")).unwrap()
    }
}

fn settings(on_crash: CrashPolicy) -> AppSettings {
    let mut settings = AppSettings::default();
    settings.rehearsal.pace_ms = 0;
    settings.engine.on_crash = on_crash;
    settings
}

fn rehearse() -> RunOptions {
    RunOptions {
        rehearse: true,
        ..RunOptions::default()
    }
}

fn ask(
    host: &EngineHost,
    port: &EnginePort,
    by: &str,
    command: EngineCommand,
) -> Result<CommandAnswer, Failure> {
    let sender = CommandSender {
        by: by.to_owned(),
        via: Via::Cli,
    };
    host.handle()
        .block_on(port.send(command, sender, ClientToken::new()))
}

fn decide(run_id: RunId, request_id: Option<RequestId>, action: Decision) -> EngineCommand {
    EngineCommand::decide(run_id, request_id, action, "because")
}

#[test]
fn after_a_crash_the_operator_is_asked_by_default() {
    let mut place = Place::new();
    let (work, gate) = (place.at_work(), place.at_gate());
    let before = [work, gate].map(|run| place.state(run));
    place.crash_and_begin(CrashPolicy::Ask);
    for before in before {
        assert_eq!(
            place.kinds_after(before.run_id, before.last_seq),
            ["run.paused"]
        );
        let state = place.check(before.run_id);
        assert_eq!(
            (state.status, state.pause_reason),
            (RunStatus::Paused, Some(PauseReason::Crashed))
        );
        assert_eq!(state.paused_from, Some(before.status));
        assert_eq!(state.approval, before.approval, "its question still waits");
    }
}

#[test]
fn after_a_crash_runs_go_on_at_once_where_the_settings_say_so() {
    let mut place = Place::new();
    let (work, gate) = (place.at_work(), place.at_gate());
    let question = place.state(gate).approval.unwrap();
    let before = [work, gate].map(|run| place.state(run).last_seq);
    place.crash_and_begin(CrashPolicy::Resume);
    for (run, seq) in [work, gate].into_iter().zip(before) {
        assert_eq!(
            place.kinds_after(run, seq)[..2],
            ["run.paused", "run.resumed"]
        );
    }
    assert_eq!(
        place.state(gate).approval.unwrap(),
        question,
        "nothing is asked twice"
    );
    place
        .send(decide(gate, Some(question.request_id), Decision::Approve))
        .unwrap();
    assert_eq!(
        place
            .wait(gate, "the end", |state| state.status.is_terminal())
            .status,
        RunStatus::Completed
    );
    place
        .send(EngineCommand::Abort {
            run_id: work,
            reason: String::new(),
        })
        .unwrap();
    assert_eq!(
        place.state(work).phases[0].attempt,
        1,
        "the same attempt went on"
    );
}

#[test]
fn after_a_crash_runs_fail_where_the_settings_say_so_and_the_run_fails_before_its_sessions() {
    let mut place = Place::new();
    let run_id = place.at_work();
    place.crash();
    // A rehearsal has no conversation of its own; this is what a run with one has in its journal.
    let session = RunFact::SessionStarted {
        session_id: "01930000-0000-7000-8000-00000000000a".parse().unwrap(),
        role: "maker".into(),
        backend: "openai".to_owned(),
        ordinal: 1,
    };
    let before = append(&place.home.paths(), run_id, session);
    place.begin(CrashPolicy::Fail);
    assert_eq!(
        place.kinds_after(run_id, before),
        ["run.failed", "session.failed"]
    );
    let (code, message, _) = place.check(run_id).error.unwrap();
    assert_eq!(code, Code::SessionRecoveryRequired);
    assert!(message.contains("on_crash"), "{message}");
    let (report, seq) = (place.report(run_id), place.state(run_id).last_seq);
    place.crash_and_begin(CrashPolicy::Fail);
    assert_eq!(
        (place.report(run_id), place.state(run_id).last_seq),
        (report, seq),
        "it fails once"
    );
}

fn append(paths: &InstallPaths, run_id: RunId, fact: RunFact) -> u64 {
    let store = Store::open(&paths.database()).unwrap();
    let events = store
        .write_blocking(move |tx| {
            phasedeck::store::journal::append(tx, run_id, &[fact], Timestamp::now())
        })
        .unwrap();
    store.close_blocking().unwrap();
    events[0].seq
}

#[test]
fn recovering_twice_is_recovering_once() {
    let mut place = Place::new();
    let (work, gate, broken) = (place.at_work(), place.at_gate(), place.broken());
    place.crash_and_begin(CrashPolicy::Ask);
    let once = [work, gate, broken].map(|run| place.events(run));
    for _ in 0..3 {
        place.crash_and_begin(CrashPolicy::Ask);
        assert_eq!([work, gate, broken].map(|run| place.events(run)), once);
    }
}

#[test]
fn a_call_that_was_open_at_the_crash_is_charged_exactly_once() {
    let mut place = Place::new();
    let (work, gate) = (place.at_work(), place.at_gate());
    place.send(EngineCommand::Pause { run_id: gate }).unwrap();
    place.crash();
    for run_id in [work, gate] {
        let turn = NewTurn {
            id: TurnId::new(),
            run_id,
            phase_key: "first".into(),
            attempt: 1,
            conversation: String::new(),
            number: 1,
            stretch: 0,
            persona: "maker@1".to_owned(),
            model: "m".to_owned(),
            reserved: Some(NanoUsd(70)),
        };
        let store = Store::open(&place.home.paths().database()).unwrap();
        store
            .write_blocking(move |tx| turns::reserve(tx, &turn, Timestamp::now()))
            .unwrap();
        store.close_blocking().unwrap();
    }
    for on_crash in [CrashPolicy::Ask, CrashPolicy::Ask, CrashPolicy::Fail] {
        place.begin(on_crash);
        for run_id in [work, gate] {
            let rows = place.home.archive().ledger(run_id).unwrap();
            let row = (rows.len(), rows[0].status, rows[0].cost, rows[0].estimated);
            assert_eq!(row, (1, Some(CallStatus::Unknown), Some(NanoUsd(70)), true));
            assert_eq!(
                place
                    .events(run_id)
                    .iter()
                    .filter(|event| event.fact.kind() == "llm.called")
                    .count(),
                1
            );
            place.check(run_id);
        }
        place.crash();
    }
}

#[test]
fn changed_content_at_the_gate_of_a_resting_run_is_asked_about_when_it_goes_on() {
    let place = Place::new();
    let run_id = place.at_gate();
    place.send(EngineCommand::Pause { run_id }).unwrap();
    let file = place.home.paths().worktree(run_id).join("out/first.json");
    let changed = std::fs::read_to_string(&file)
        .unwrap()
        .replace("Rehearsal", "Changed");
    std::fs::write(&file, &changed).unwrap();
    let refused = place
        .send(decide(run_id, None, Decision::Approve))
        .unwrap_err();
    assert_eq!(refused.code, Code::ArtifactChanged);
    assert!(refused.hint.contains("resume"), "{refused}");
    assert_eq!(place.check(run_id).status, RunStatus::Paused);
    place.send(EngineCommand::Resume { run_id }).unwrap();
    let asked = place.wait(run_id, "the gate", |state| {
        state.status == RunStatus::AwaitingApproval
    });
    assert_eq!(
        asked.approval.unwrap().artifact_sha256,
        Some(ContentHash::from_bytes(changed.as_bytes()))
    );
    place.check(run_id);
}

#[test]
fn a_run_with_broken_rows_does_not_keep_the_others_from_being_recovered() {
    let mut place = Place::new();
    let (broken, sound) = (place.at_work(), place.at_work());
    place.sql(&format!("DELETE FROM bindings WHERE run_id = '{broken}'"));
    place.crash_and_begin(CrashPolicy::Ask);
    for run_id in [broken, sound] {
        assert_eq!(
            place.state(run_id).status,
            RunStatus::Paused,
            "no dead host holds a run"
        );
    }
    assert_eq!(
        place
            .send(EngineCommand::Resume { run_id: broken })
            .unwrap_err()
            .code,
        Code::RunMetadataMissing
    );
    place.send(EngineCommand::Resume { run_id: sound }).unwrap();
    place.crash();
    place.sql(&format!("DELETE FROM bindings WHERE run_id = '{sound}'"));
    place.begin(CrashPolicy::Resume);
    assert_eq!(
        place.state(sound).status,
        RunStatus::Paused,
        "what cannot go on rests"
    );
}

#[test]
fn a_run_with_broken_rows_can_be_aborted() {
    let place = Place::new();
    let run_id = place.at_gate();
    place.send(EngineCommand::Pause { run_id }).unwrap();
    place.sql("DELETE FROM bindings");
    place
        .send(EngineCommand::Abort {
            run_id,
            reason: "beyond repair".to_owned(),
        })
        .unwrap();
    let state = place.check(run_id);
    assert_eq!(state.status, RunStatus::Aborted);
    assert_eq!(
        place.home.archive().approvals(run_id).unwrap()[0].state,
        ApprovalStatus::Aborted
    );
}

#[test]
fn a_report_that_a_crash_prevented_is_written_at_the_next_start_with_the_same_bytes() {
    let mut place = Place::new();
    let run_id = place.at_gate();
    place.send(decide(run_id, None, Decision::Reject)).unwrap();
    let report = place.report(run_id);
    place.crash();
    std::fs::remove_dir_all(place.home.paths().reports()).unwrap();
    place.sql("UPDATE runs SET report_path = NULL");
    let seq = place.state(run_id).last_seq;
    place.begin(CrashPolicy::Fail);
    assert_eq!(
        (place.report(run_id), place.state(run_id).last_seq),
        (report, seq)
    );
}

#[test]
fn a_report_of_which_one_file_is_gone_is_whole_again_after_the_next_start() {
    let mut place = Place::new();
    let run_id = place.at_gate();
    place.send(decide(run_id, None, Decision::Reject)).unwrap();
    let report = place.report(run_id);
    place.crash();
    let path = place
        .home
        .archive()
        .run(run_id)
        .unwrap()
        .report_path
        .unwrap();
    for gone in ["md", "json"] {
        std::fs::remove_file(format!("{path}.{gone}")).unwrap();
        place.begin(CrashPolicy::Ask);
        wait_for("both files", || {
            ["md", "json"]
                .iter()
                .all(|kind| std::fs::exists(format!("{path}.{kind}")).unwrap())
                .then_some(())
        });
        place.crash();
    }
    assert_eq!(std::fs::read(format!("{path}.json")).unwrap(), report);
}

#[test]
fn a_run_that_takes_its_host_with_it_each_time_is_left_to_a_person() {
    let mut place = Place::new();
    let run_id = place.at_work();
    for tries in 1..=3 {
        place.crash_and_begin(CrashPolicy::Resume);
        assert_eq!(place.state(run_id).resumes, tries);
        assert_eq!(place.state(run_id).status, RunStatus::Executing);
    }
    let before = place.state(run_id).last_seq;
    place.crash_and_begin(CrashPolicy::Resume);
    assert_eq!(
        place.kinds_after(run_id, before),
        ["session.failed", "run.paused", "approval.requested"]
    );
    let state = place.check(run_id);
    assert_eq!(state.pause_reason, Some(PauseReason::SessionRecovery));
    assert_eq!(
        state.approval.unwrap().gate.as_str(),
        "session_recovery_required"
    );
    place.send(decide(run_id, None, Decision::Approve)).unwrap();
    assert_eq!(
        place.state(run_id).status,
        RunStatus::Executing,
        "a person tries again"
    );
    place.crash();
}

#[test]
fn a_run_whose_host_dies_each_time_it_is_committed_is_left_to_a_person_too() {
    let mut place = Place::new();
    let run_id = place.at_gate();
    place.crash();
    // The answer is stored, and its host dies whenever it commits what was approved.
    let question = place.state(run_id).approval.unwrap();
    append(
        &place.home.paths(),
        run_id,
        RunFact::ApprovalResolved {
            request_id: question.request_id,
            phase_key: question.phase_key,
            gate: question.gate,
            action: Decision::Approve,
            comment: String::new(),
            by: "kim".to_owned(),
            via: Via::Cli,
            artifact_sha256: question.artifact_sha256,
            scope: None,
            raise: None,
        },
    );
    for ordinal in 1..=3 {
        append(
            &place.home.paths(),
            run_id,
            RunFact::RunPaused {
                ordinal,
                reason: PauseReason::Crashed,
                from_state: RunStatus::Executing,
            },
        );
        append(
            &place.home.paths(),
            run_id,
            RunFact::RunResumed {
                ordinal,
                from_state: RunStatus::Executing,
            },
        );
    }
    let before = place.state(run_id).last_seq;
    place.begin(CrashPolicy::Resume);
    assert_eq!(
        place.kinds_after(run_id, before),
        ["session.failed", "run.paused", "approval.requested"]
    );
    let state = place.check(run_id);
    assert_eq!(
        state.approval.unwrap().gate.as_str(),
        "session_recovery_required"
    );
    assert_eq!(state.pause_reason, Some(PauseReason::SessionRecovery));
    place.send(decide(run_id, None, Decision::Approve)).unwrap();
    let kinds = || place.kinds_after(run_id, before);
    wait_for("what came after the commit", || {
        kinds().contains(&"phase.completed").then_some(())
    });
}

#[test]
fn a_run_that_waits_for_a_person_waits_on_however_often_its_host_dies() {
    let mut place = Place::new();
    let run_id = place.at_gate();
    for _ in 0..5 {
        place.crash();
        place.begin(CrashPolicy::Resume);
        place.wait(run_id, "its gate again", |state| {
            state.status == RunStatus::AwaitingApproval
        });
    }
    place.send(decide(run_id, None, Decision::Approve)).unwrap();
    assert_eq!(
        place
            .wait(run_id, "the end", |state| state.status.is_terminal())
            .status,
        RunStatus::Completed
    );
}

#[test]
fn a_row_that_cannot_be_read_hides_no_other() {
    let mut place = Place::new();
    let work = place.at_work();
    place.crash();
    place.sql(
        "INSERT INTO runs (id, workflow, workflow_hash, thread, state, requirements, created_at_ms, updated_at_ms) \
         VALUES ('no id', 'w@1', 'h', 't', 'completed', '', 1, 1), ('nor this', 'w@1', 'h', 'u', 'executing', '', 1, 1)",
    );
    place.sql("INSERT INTO inbox (token, sent_by, via, command, created_at_ms) VALUES ('no token', 'x', 'y', '{', 1)");
    place.begin(CrashPolicy::Ask);
    assert_eq!(place.state(work).status, RunStatus::Paused);
    let port = attach(&place.home.paths(), &place.host().handle()).unwrap();
    ask(
        place.host(),
        &port,
        "kim",
        EngineCommand::Abort {
            run_id: work,
            reason: String::new(),
        },
    )
    .unwrap();
}

#[test]
fn a_question_about_a_session_takes_each_answer() {
    let mut place = Place::new();
    let place_events = |place: &Place, run_id, action| {
        let before = place.state(run_id);
        place
            .send(decide(
                run_id,
                Some(before.approval.unwrap().request_id),
                action,
            ))
            .unwrap();
        place.kinds_after(run_id, before.last_seq)
    };
    let rejected = place.broken();
    let kinds: Vec<_> = place
        .events(rejected)
        .iter()
        .map(|event| event.fact.kind())
        .collect();
    assert_eq!(
        kinds[kinds.len() - 3..],
        ["session.failed", "run.paused", "approval.requested"]
    );
    // The question outlives its host.
    place.crash_and_begin(CrashPolicy::Ask);
    assert_eq!(
        place_events(&place, rejected, Decision::Reject),
        ["approval.resolved", "run.failed"]
    );
    assert_eq!(
        place.check(rejected).error.unwrap().0,
        Code::ApprovalRejected
    );
    let aborted = place.broken();
    assert_eq!(
        place_events(&place, aborted, Decision::Abort),
        ["approval.resolved", "run.aborted"]
    );
    let approved = place.broken();
    assert_eq!(
        place_events(&place, approved, Decision::Approve)[..3],
        ["approval.resolved", "session.recovered", "run.resumed"]
    );
    let resumed = place.broken();
    let before = place.state(resumed).last_seq;
    place
        .send(EngineCommand::Resume { run_id: resumed })
        .unwrap();
    assert_eq!(
        place.kinds_after(resumed, before)[..3],
        ["approval.resolved", "session.recovered", "run.resumed"]
    );
}

#[test]
fn of_two_processes_that_answer_one_gate_one_wins_and_the_other_learns_who() {
    let place = Place::new();
    for (first, second) in [
        (Decision::Approve, Decision::Reject),
        (Decision::Reject, Decision::Approve),
    ] {
        let run_id = place.at_gate();
        let question = place.state(run_id).approval.map(|open| open.request_id);
        let ports = [0, 1].map(|_| attach(&place.home.paths(), &place.host().handle()).unwrap());
        let sender = |by: &str| CommandSender {
            by: by.to_owned(),
            via: Via::Cli,
        };
        let (kim, lee) = place.host().handle().block_on(async {
            tokio::join!(
                ports[0].send(
                    decide(run_id, question, first),
                    sender("kim"),
                    ClientToken::new()
                ),
                ports[1].send(
                    decide(run_id, question, second),
                    sender("lee"),
                    ClientToken::new()
                ),
            )
        });
        let (loser, winner) = match (kim, lee) {
            (Ok(_), Err(lee)) => (lee, "kim"),
            (Err(kim), Ok(_)) => (kim, "lee"),
            both => panic!("one wins: {both:?}"),
        };
        assert_eq!(loser.code, Code::ApprovalAlreadyResolved, "{loser}");
        assert!(loser.message.contains(&format!("by {winner}")), "{loser}");
        let rows = place.home.archive().approvals(run_id).unwrap();
        assert_eq!(
            rows.iter()
                .filter(|row| row.resolved_by.as_deref() == Some(winner))
                .count(),
            1
        );
    }
}

#[test]
fn a_decision_that_is_served_again_after_a_crash_is_told_that_it_counts() {
    let mut place = Place::new();
    for (action, end) in [
        (Decision::Approve, RunStatus::Completed),
        (Decision::Reject, RunStatus::Failed),
        (Decision::Abort, RunStatus::Aborted),
    ] {
        let run_id = place.at_gate();
        // Left without naming the question, and answered; then the answer is lost with the host.
        let port = attach(&place.home.paths(), &place.host().handle()).unwrap();
        let answer = ask(place.host(), &port, "kim", decide(run_id, None, action)).unwrap();
        assert_eq!(
            place
                .wait(run_id, "the end", |state| state.status.is_terminal())
                .status,
            end
        );
        let seq = place.state(run_id).last_seq;
        place.crash();
        place.sql("UPDATE inbox SET answer = NULL, answered_at_ms = NULL");
        place.begin(CrashPolicy::Ask);
        let stored = wait_for("the answer", || inbox_answer(&place.home.paths()));
        assert!(
            stored.contains(&serde_json::to_string(&answer).unwrap()),
            "{action}: {stored}"
        );
        assert_eq!(place.state(run_id).last_seq, seq, "it acts once");
        place.sql("DELETE FROM inbox");
    }
}

fn inbox_answer(paths: &InstallPaths) -> Option<String> {
    let conn = rusqlite::Connection::open(paths.database()).unwrap();
    conn.query_row("SELECT answer FROM inbox", [], |row| row.get(0))
        .unwrap()
}

#[test]
fn an_answer_left_for_one_gate_never_falls_on_the_next() {
    let mut place = Place::new();
    let workflow = place.home.paths().config.join("workflows/pair.yaml");
    let text = std::fs::read_to_string(&workflow)
        .unwrap()
        .replace("gates: []", "gates: [second_approved]");
    std::fs::write(&workflow, text).unwrap();
    let run_id = place.at_gate();
    let port = attach(&place.home.paths(), &place.host().handle()).unwrap();
    ask(
        place.host(),
        &port,
        "kim",
        decide(run_id, None, Decision::Approve),
    )
    .unwrap();
    place.wait(run_id, "the second gate", |state| {
        state.approvals == 2 && state.status == RunStatus::AwaitingApproval
    });
    place.crash();
    place.sql("UPDATE inbox SET answer = NULL, answered_at_ms = NULL");
    place.begin(CrashPolicy::Ask);
    wait_for("the answer", || inbox_answer(&place.home.paths()));
    assert!(
        place.state(run_id).approval.is_some(),
        "the second gate still waits for its own answer"
    );
}

#[test]
fn an_attached_console_hears_of_everything_from_the_moment_it_attached() {
    let place = Place::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let port = attach(&place.home.paths(), runtime.handle()).unwrap();
    let mut news = port.signals();
    let run_id = place.at_gate();
    let last = place.state(run_id).last_seq;
    let heard = runtime.block_on(async {
        let mut heard = Vec::new();
        while heard.last() != Some(&last) {
            match tokio::time::timeout(Duration::from_secs(10), news.recv()).await {
                Ok(Ok(phasedeck::engine::api::EngineSignal::Event(event))) => heard.push(event.seq),
                other => panic!("heard {heard:?} of {last}, then {other:?}"),
            }
        }
        heard
    });
    assert_eq!(heard, (1..=last).collect::<Vec<_>>());
}

#[test]
fn looking_who_hosts_keeps_nobody_from_becoming_the_host() {
    let home = Home::new();
    let paths = home.paths();
    drop(HostLock::acquire(&paths).unwrap());
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::SeqCst) {
                live_host(&paths).unwrap();
            }
        });
        let refused = (0..500)
            .filter(|_| HostLock::acquire(&paths).is_err())
            .count();
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        assert_eq!(refused, 0);
    });
}

#[test]
fn a_link_in_the_artifacts_place_is_not_what_was_reviewed() {
    let place = Place::new();
    let run_id = place.at_gate();
    let file = place.home.paths().worktree(run_id).join("out/first.json");
    let content = std::fs::read(&file).unwrap();
    let elsewhere = place.home.path().join("elsewhere.json");
    std::fs::rename(&file, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
    assert_eq!(
        place
            .send(decide(run_id, None, Decision::Approve))
            .unwrap_err()
            .code,
        Code::ArtifactChanged
    );
    assert!(!file.is_symlink());
    assert_eq!(
        std::fs::read(&file).unwrap(),
        content,
        "what was reviewed was put back"
    );
    place.send(decide(run_id, None, Decision::Approve)).unwrap();
    assert_eq!(
        place
            .wait(run_id, "the end", |state| state.status.is_terminal())
            .status,
        RunStatus::Completed
    );
}

#[test]
fn a_run_that_was_stored_and_never_begun_waits_and_begins_when_it_is_told() {
    let mut place = Place::new();
    let model = place.at_gate();
    place.crash();
    let run_id = clone_run(&place.home.paths(), model, "run.created");
    for _ in 0..2 {
        place.begin(CrashPolicy::Ask);
        assert_eq!(
            place.state(run_id).status,
            RunStatus::Created,
            "nothing of it had begun"
        );
        place.crash();
    }
    place.begin(CrashPolicy::Ask);
    place.send(EngineCommand::Resume { run_id }).unwrap();
    place.wait(run_id, "its gate", |state| {
        state.status == RunStatus::AwaitingApproval
    });
    let kinds: Vec<_> = place
        .events(run_id)
        .iter()
        .map(|event| event.fact.kind())
        .collect();
    assert_eq!(kinds[..3], ["run.created", "run.started", "phase.started"]);
}

/// A copy of a run, as it was up to and with its first event of type `until`.
fn clone_run(paths: &InstallPaths, model: RunId, until: &str) -> RunId {
    let run_id = RunId::new();
    let mut conn = rusqlite::Connection::open(paths.database()).unwrap();
    let tx = conn.transaction().unwrap();
    clone_into(&tx, model, run_id, until);
    tx.commit().unwrap();
    run_id
}

fn clone_into(tx: &rusqlite::Connection, model: RunId, run_id: RunId, until: &str) {
    let ids = [model.to_string(), run_id.to_string()];
    tx.execute(
        "CREATE TEMP TABLE run_copy AS SELECT * FROM runs WHERE id = ?1",
        [&ids[0]],
    )
    .unwrap();
    tx.execute(
        "UPDATE run_copy SET id = ?1, thread = ?1, start_key = NULL",
        [&ids[1]],
    )
    .unwrap();
    tx.execute_batch("INSERT INTO runs SELECT * FROM run_copy; DROP TABLE run_copy")
        .unwrap();
    let bindings = "INSERT INTO bindings SELECT ?2, role, persona, persona_hash, backend, model, binding_hash FROM bindings WHERE run_id = ?1";
    tx.execute(bindings, [&ids[0], &ids[1]]).unwrap();
    tx.execute(
        "INSERT INTO run_schemas SELECT ?2, schema_id, hash FROM run_schemas WHERE run_id = ?1",
        [&ids[0], &ids[1]],
    )
    .unwrap();
    tx.execute(
        "INSERT INTO events (run_id, seq, at_ms, type, phase_key, idempotency_key, payload) \
         SELECT ?2, seq, at_ms, type, phase_key, idempotency_key, payload FROM events \
         WHERE run_id = ?1 AND seq <= (SELECT min(seq) FROM events WHERE run_id = ?1 AND type = ?3)",
        [&ids[0], &ids[1], &until.to_owned()],
    )
    .unwrap();
    phasedeck::store::projection::rebuild(tx, run_id).unwrap();
}

/// Work before the first frame, for a thousand crashed runs; a debug build may take this many times longer.
const DEBUG_FACTOR: u32 = 5;

#[test]
fn a_thousand_crashed_runs_are_recovered_at_once() {
    for (on_crash, status) in [
        (CrashPolicy::Ask, RunStatus::Paused),
        (CrashPolicy::Fail, RunStatus::Failed),
    ] {
        let mut place = Place::new();
        let model = place.at_work();
        place.crash();
        let mut conn = rusqlite::Connection::open(place.home.paths().database()).unwrap();
        let tx = conn.transaction().unwrap();
        (1..1000).for_each(|_| clone_into(&tx, model, RunId::new(), "prompt.sent"));
        tx.commit().unwrap();
        drop(conn);
        let begun = Instant::now();
        place.begin(on_crash);
        let took = begun.elapsed();
        eprintln!("1000 crashed runs, {on_crash:?}: {took:?}");
        let runs = place.home.archive().runs(&Default::default()).unwrap();
        assert_eq!(
            runs.iter()
                .filter(|run| run.state == status.as_str())
                .count(),
            1000
        );
        let limit = Duration::from_secs(1)
            * if cfg!(debug_assertions) {
                DEBUG_FACTOR
            } else {
                1
            };
        assert!(took < limit, "{took:?}");
        place.crash();
    }
}

#[test]
fn many_crashed_runs_all_go_on() {
    let mut place = Place::new();
    let model = place.at_gate();
    place.crash();
    let mut conn = rusqlite::Connection::open(place.home.paths().database()).unwrap();
    let tx = conn.transaction().unwrap();
    (0..300).for_each(|_| clone_into(&tx, model, RunId::new(), "artifact.expected"));
    tx.commit().unwrap();
    drop(conn);
    place.begin(CrashPolicy::Resume);
    wait_for("every run at its gate", || {
        let runs = place.home.archive().runs(&Default::default()).unwrap();
        runs.iter()
            .all(|run| run.state == "awaiting_approval")
            .then_some(())
    });
}
