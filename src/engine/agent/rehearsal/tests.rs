use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::engine::agent::AttemptKey;
use crate::engine::journal_writer::JournalWriter;
use crate::engine::paths::InstallPaths;
use crate::engine::redact::Redactor;
use crate::engine::run::machine::prompt::{EnvelopeInput, PromptReason, render};
use crate::model::event::ArtifactError;
use crate::model::settings::AppSettings;
use crate::model::state::Risk;
use crate::model::workflow::{ExpectedArtifact, PhaseDefinition};
use crate::store::Store;

/// A desk that nobody watches; a rehearsal stores nothing at it.
fn desk() -> AttemptRecorder {
    let home = tempfile::tempdir().unwrap();
    let paths = InstallPaths::beneath(home.path());
    paths.create().unwrap();
    let store = Store::open(&paths.database()).unwrap();
    AttemptRecorder::new(
        JournalWriter::new(store),
        paths,
        Arc::new(Redactor::of(&AppSettings::default())),
        AttemptKey {
            run_id: "01930000-0000-7000-8000-0000deadbeef".parse().unwrap(),
            phase_key: "spec".into(),
            attempt: 1,
        },
        "planner@1".to_owned(),
        Vec::new(),
    )
}

fn schema() -> Value {
    json!({ "type": "object", "required": ["runId", "count", "summary"], "additionalProperties": false, "properties": {
        "runId": { "type": "string", "format": "uuid" }, "count": { "type": "integer" }, "summary": { "type": "string" } } })
}

fn job(
    worktree: &Path,
    path: &str,
    attempt: u32,
    scenario: RehearsalScenario,
    why: PromptReason<'_>,
) -> AgentJob {
    let persona = json!({ "name": "planner", "version": 1, "backend": "openai" });
    let phase = PhaseDefinition {
        key: "spec".into(),
        title: String::new(),
        risk: Risk::Low,
        role: "architect".into(),
        instructions: String::new(),
        timeout_seconds: 1,
        expected_artifact: Some(ExpectedArtifact {
            path: path.to_owned(),
            schema: "dev/spec@1".into(),
        }),
        gates: None,
        max_repairs: 1,
    };
    let run_id = "01930000-0000-7000-8000-0000deadbeef".parse().unwrap();
    let input = EnvelopeInput {
        run_id,
        phase: &phase,
        attempt,
        schema: None,
        requirements: "Greet people.",
        earlier: &[],
        why,
    };
    AgentJob {
        run_id,
        phase_key: phase.key.clone(),
        attempt,
        prompt: render(&input),
        requirements: "Greet people.".to_owned(),
        persona: serde_json::from_value(persona).unwrap(),
        artifact: Some(ExpectedFile {
            path: path.to_owned(),
            schema_id: "dev/spec@1".into(),
            schema: Arc::new(schema()),
        }),
        worktree: worktree.to_owned(),
        repository: None,
        history: Vec::new(),
        scenario,
        tries: 0,
        growth: Arc::new(crate::engine::workspace::write_quota::WriteQuota::start(
            worktree, 0,
        )),
        max_turns: 10,
        stretch: 0,
        permits: Vec::new(),
    }
}

async fn play(job: &AgentJob, stop: &AgentStop) -> Result<AgentEnd> {
    RehearsalBackend::new(0).work(job, &desk(), stop).await
}

fn is_valid(path: &Path) -> bool {
    serde_json::from_slice(&std::fs::read(path).unwrap())
        .is_ok_and(|value: Value| jsonschema::is_valid(&schema(), &value))
}

#[tokio::test]
async fn each_scenario_leaves_the_file_it_promises() {
    let errors = [ArtifactError {
        pointer: "/count".to_owned(),
        message: "wrong".to_owned(),
    }];
    let repair = PromptReason::Repair {
        errors: &errors,
        previous: None,
        missing: false,
    };
    for (scenario, attempt, why, valid) in [
        (RehearsalScenario::Ok, 1, PromptReason::First, true),
        (RehearsalScenario::Slow, 1, PromptReason::First, true),
        (
            RehearsalScenario::InvalidThenOk,
            1,
            PromptReason::First,
            false,
        ),
        (RehearsalScenario::InvalidThenOk, 2, repair, true),
        (RehearsalScenario::Invalid, 1, PromptReason::First, false),
        (RehearsalScenario::Invalid, 2, repair, false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let job = job(dir.path(), "out/spec.json", attempt, scenario, why);
        assert_eq!(
            play(&job, &AgentStop::default()).await,
            Ok(AgentEnd::Done),
            "{scenario:?}"
        );
        assert_eq!(
            is_valid(&dir.path().join("out/spec.json")),
            valid,
            "{scenario:?} attempt {attempt}"
        );
    }
}

#[tokio::test]
async fn a_rehearsed_crash_says_how_to_go_on_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let failure = play(
        &job(
            dir.path(),
            "spec.json",
            1,
            RehearsalScenario::Crash,
            PromptReason::First,
        ),
        &AgentStop::default(),
    )
    .await
    .unwrap_err();
    assert_eq!(
        (failure.code, failure.message.as_str()),
        (
            Code::SessionRecoveryRequired,
            "phase 'spec': the rehearsed agent died"
        )
    );
    assert!(!failure.hint.is_empty());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_stop_before_the_file_leaves_none() {
    for scenario in [RehearsalScenario::Ok, RehearsalScenario::Timeout] {
        for now in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let stop = AgentStop::default();
            if now {
                stop.now.cancel()
            } else {
                stop.soon.cancel()
            }
            assert_eq!(
                play(
                    &job(dir.path(), "spec.json", 1, scenario, PromptReason::First),
                    &stop
                )
                .await,
                Ok(AgentEnd::Stopped),
                "{scenario:?}"
            );
            assert_eq!(
                std::fs::read_dir(dir.path()).unwrap().count(),
                0,
                "{scenario:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_agent_ends_only_when_it_is_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let (job, stop) = (
        job(
            dir.path(),
            "spec.json",
            1,
            RehearsalScenario::Timeout,
            PromptReason::First,
        ),
        AgentStop::default(),
    );
    let day = std::time::Duration::from_secs(86_400);
    let mut work = Box::pin(play(&job, &stop));
    assert!(tokio::time::timeout(day, &mut work).await.is_err());
    stop.now.cancel();
    assert_eq!(work.await, Ok(AgentEnd::Stopped));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn slow_takes_ten_times_the_pace_and_a_stop_ends_it_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut spent = Vec::new();
    for scenario in [RehearsalScenario::Ok, RehearsalScenario::Slow] {
        let (job, stop, began) = (
            job(dir.path(), "spec.json", 1, scenario, PromptReason::First),
            AgentStop::default(),
            tokio::time::Instant::now(),
        );
        RehearsalBackend::new(20)
            .work(&job, &desk(), &stop)
            .await
            .unwrap();
        spent.push(began.elapsed().as_millis());
    }
    assert!(spent[0] >= 200 && spent[1] == spent[0] * 10, "{spent:?}");
    let (job, stop, began) = (
        job(
            dir.path(),
            "other.json",
            1,
            RehearsalScenario::Slow,
            PromptReason::First,
        ),
        AgentStop::default(),
        tokio::time::Instant::now(),
    );
    let (rehearsal, desk) = (RehearsalBackend::new(1000), desk());
    let (ended, ()) = tokio::join!(rehearsal.work(&job, &desk, &stop), async {
        tokio::time::sleep(std::time::Duration::from_millis(15)).await;
        stop.now.cancel();
    });
    assert_eq!(
        (ended, began.elapsed().as_millis()),
        (Ok(AgentEnd::Stopped), 15)
    );
    assert!(!dir.path().join("other.json").exists());
}

#[tokio::test]
async fn requested_changes_are_taken_up_and_quoted() {
    for path in ["spec.json", "notes.md"] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(path);
        play(
            &job(
                dir.path(),
                path,
                1,
                RehearsalScenario::Ok,
                PromptReason::First,
            ),
            &AgentStop::default(),
        )
        .await
        .unwrap();
        let before = std::fs::read_to_string(&file).unwrap();
        let why = PromptReason::ChangesRequested {
            comment: "Name the people.",
            previous: Some(&before),
        };
        play(
            &job(dir.path(), path, 2, RehearsalScenario::Ok, why),
            &AgentStop::default(),
        )
        .await
        .unwrap();
        let after = std::fs::read_to_string(&file).unwrap();
        assert_ne!(before, after, "{path}");
        assert!(
            after.contains("“Name the people.”") && after.contains("Rehearsal"),
            "{path}: {after}"
        );
    }
}

#[tokio::test]
async fn a_phase_without_artifact_just_ends_and_a_path_outside_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let none = AgentJob {
        artifact: None,
        ..job(
            dir.path(),
            "spec.json",
            1,
            RehearsalScenario::Ok,
            PromptReason::First,
        )
    };
    assert_eq!(play(&none, &AgentStop::default()).await, Ok(AgentEnd::Done));
    let outside = job(
        dir.path(),
        "../spec.json",
        1,
        RehearsalScenario::Ok,
        PromptReason::First,
    );
    assert_eq!(
        play(&outside, &AgentStop::default())
            .await
            .unwrap_err()
            .code,
        Code::PathOutsideWorktree
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
