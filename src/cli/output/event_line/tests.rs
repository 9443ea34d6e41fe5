use super::*;
use crate::model::error::Code;
use crate::model::event::{ArtifactRef, TokenUsage};
use crate::model::id::{GateKey, RequestId, SessionId, TurnId, VersionedName};
use crate::model::money::NanoUsd;
use crate::model::state::{PauseReason, RunStatus};
use crate::model::time::Timestamp;

fn lines(facts: Vec<RunFact>, style: OutputStyle) -> String {
    let run_id = "01930000-0000-7000-8000-0000deadbeef".parse().unwrap();
    let events = facts.into_iter().zip(1..).map(|(fact, seq)| JournalEvent {
        run_id,
        seq,
        at: Timestamp(0),
        fact,
    });
    events
        .map(|event| line(&event, "12:03:11", style) + "\n")
        .collect()
}

fn name(text: &str) -> VersionedName {
    text.parse().unwrap()
}

fn hash() -> ContentHash {
    ContentHash::from_bytes(b"x")
}

fn wrong() -> ArtifactError {
    ArtifactError {
        pointer: "/acceptance_criteria".to_owned(),
        message: "needs at least 1 item".to_owned(),
    }
}

#[test]
fn runs_and_phases_read_at_a_glance() {
    let facts = vec![
        RunFact::RunCreated {
            workflow: name("development@1"),
            workflow_hash: hash(),
            thread: "shop:main".into(),
            phases: vec!["spec".into(), "plan".into()],
            rehearsal: true,
        },
        RunFact::RunStarted {
            workflow: name("development@1"),
            thread: "shop:main".into(),
        },
        RunFact::PhaseStarted {
            phase_key: "spec".into(),
            attempt: 2,
            role: "architect".into(),
            persona: name("careful@1"),
            cause: AttemptCause::Repair,
        },
        RunFact::PhaseSkipped {
            phase_key: "spec".into(),
            ordinal: 1,
            reason: SkipReason::AlreadyCompleted,
        },
        RunFact::PhaseCompleted {
            phase_key: "spec".into(),
            attempts: 1,
            duration_ms: 62_000,
            commit: Some("0123456789abcdef".to_owned()),
        },
        RunFact::PhaseFailed {
            phase_key: "spec".into(),
            reason: Code::ApprovalRejected,
            message: "no\u{1b}[2Jway".to_owned(),
        },
        RunFact::RunPaused {
            ordinal: 1,
            reason: PauseReason::Crashed,
            from_state: RunStatus::Executing,
        },
        RunFact::RunResumed {
            ordinal: 1,
            from_state: RunStatus::Paused,
        },
        RunFact::RunCompleted {},
        RunFact::RunFailed {
            code: Code::LlmAuth,
            message: "the key was refused".to_owned(),
            hint: String::new(),
        },
        RunFact::RunAborted {
            by: "ann".to_owned(),
            via: Via::Cli,
            reason: "wrong repository".to_owned(),
        },
    ];
    insta::assert_snapshot!(lines(facts, OutputStyle::default()), @r"
    12:03:11     1  ● run.created         development@1 · 2 phases · thread shop:main · rehearsal
    12:03:11     2  ● run.started         development@1
    12:03:11     3  ● phase.started       spec · architect (careful@1) · attempt 2 · repair
    12:03:11     4  – phase.skipped       spec · already completed
    12:03:11     5  ✓ phase.completed     spec · 1 attempt · 1m02 · commit 0123456789
    12:03:11     6  ✗ phase.failed        spec · approval_rejected · no␛[2Jway
    12:03:11     7  ‖ run.paused          crashed · was executing
    12:03:11     8  ● run.resumed         from paused
    12:03:11     9  ✓ run.completed
    12:03:11    10  ✗ run.failed          llm_auth · the key was refused
    12:03:11    11  ■ run.aborted         ann by cli · wrong repository
    ");
}

#[test]
fn artifacts_and_gates_name_what_they_are_about() {
    let artifact = ArtifactRef {
        path: "spec.json".to_owned(),
        schema: "dev/spec@1".into(),
        sha256: hash(),
        bytes: 412,
        version: 2,
    };
    let request_id: RequestId = "01930000-0000-7000-8000-0000deadbeef".parse().unwrap();
    let gate: GateKey = "spec_approved".into();
    let facts = vec![
        RunFact::ArtifactExpected {
            phase_key: "spec".into(),
            attempt: 1,
            path: "spec.json".to_owned(),
            schema: "dev/spec@1".into(),
        },
        RunFact::PromptSent {
            phase_key: "spec".into(),
            attempt: 1,
            sha256: hash(),
            bytes: 2048,
        },
        RunFact::ArtifactInvalid {
            phase_key: "spec".into(),
            attempt: 1,
            path: "spec.json".to_owned(),
            version: 1,
            sha256: Some(hash()),
            bytes: 3,
            errors: vec![wrong()],
            errors_total: 3,
        },
        RunFact::ArtifactInvalid {
            phase_key: "spec".into(),
            attempt: 2,
            path: "spec.json".to_owned(),
            version: 1,
            sha256: None,
            bytes: 0,
            errors: Vec::new(),
            errors_total: 0,
        },
        RunFact::ArtifactTimeout {
            phase_key: "spec".into(),
            attempt: 1,
            seconds: 300,
        },
        RunFact::PromptRepaired {
            phase_key: "spec".into(),
            attempt: 2,
            errors: vec![wrong()],
        },
        RunFact::ArtifactValidated {
            phase_key: "spec".into(),
            attempt: 2,
            artifact,
            by: None,
        },
        RunFact::ApprovalRequested {
            request_id,
            phase_key: Some("spec".into()),
            gate: gate.clone(),
            artifact_sha256: Some(hash()),
            artifact_version: Some(2),
            question: None,
        },
        RunFact::ArtifactChanged {
            phase_key: "spec".into(),
            request_id,
            expected: hash(),
            found: None,
            restored: true,
            by: None,
            picked: None,
        },
        RunFact::ApprovalResolved {
            request_id,
            phase_key: None,
            gate,
            action: Decision::RequestChanges,
            comment: "Smaller steps,\nplease".to_owned(),
            by: "ann".to_owned(),
            via: Via::Policy,
            artifact_sha256: None,
            scope: None,
            raise: None,
        },
    ];
    insta::assert_snapshot!(lines(facts, OutputStyle::default()), @r"
    12:03:11     1  · artifact.expected   spec · spec.json · dev/spec@1
    12:03:11     2  · prompt.sent         spec · attempt 1 · 2048 bytes
    12:03:11     3  ✗ artifact.invalid    spec · spec.json v1 2d711642 · /acceptance_criteria: needs at least 1 item (and 2 more)
    12:03:11     4  ✗ artifact.invalid    spec · spec.json is missing
    12:03:11     5  ✗ artifact.timeout    spec · attempt 1 · stopped after 300s
    12:03:11     6  ↻ prompt.repaired     spec · attempt 2 · /acceptance_criteria: needs at least 1 item
    12:03:11     7  ✓ artifact.validated  spec · spec.json v2 2d711642 · dev/spec@1 · 412 bytes
    12:03:11     8  ▲ approval.requested  spec · spec_approved · v2 2d711642
    12:03:11     9  ↻ artifact.changed    spec · expected 2d711642 found gone · put back
    12:03:11    10  ↻ approval.resolved   spec_approved · request_changes · ann by policy · Smaller steps,␊please
    ");
}

#[test]
fn work_says_what_it_cost_and_how_it_ended() {
    let turn_id: TurnId = "01930000-0000-7000-8000-0000deadbeef".parse().unwrap();
    let session_id: SessionId = "01930000-0000-7000-8000-0000deadbeef".parse().unwrap();
    let called = |cost, estimated, status| RunFact::LlmCalled {
        phase_key: "spec".into(),
        attempt: 1,
        turn_id,
        turn: 3,
        model: "acme/large".to_owned(),
        tokens: TokenUsage {
            input: 1200,
            output: 300,
            cached: 0,
            reasoning: 0,
        },
        cost,
        estimated,
        latency_ms: 2_300,
        status,
    };
    let facts = vec![
        RunFact::SessionStarted {
            session_id,
            role: "architect".into(),
            backend: "openai".to_owned(),
            ordinal: 1,
        },
        called(Some(NanoUsd(4_100_000)), false, CallStatus::Ok),
        called(None, false, CallStatus::Failed),
        called(Some(NanoUsd(4_100_000)), true, CallStatus::Unknown),
        RunFact::LlmRetried {
            phase_key: "spec".into(),
            turn_id,
            r#try: 1,
            status: Some(429),
            code: Code::LlmRateLimited,
            wait_ms: 2_000,
            until: None,
        },
        RunFact::ToolCalled {
            phase_key: "spec".into(),
            turn_id,
            call_id: "1".to_owned(),
            tool: "write_file".to_owned(),
            target: "spec.json".to_owned(),
            outcome: ToolOutcome::Unknown,
            duration_ms: 12,
        },
        RunFact::ToolDenied {
            phase_key: "spec".into(),
            turn_id,
            call_id: "2".to_owned(),
            tool: "read_file".to_owned(),
            target: "../secret".to_owned(),
            code: Code::PathOutsideWorktree,
            message: "leaves the worktree".to_owned(),
        },
        RunFact::SessionFailed {
            session_id,
            role: "architect".into(),
            ordinal: 2,
            code: Code::LlmUnreachable,
            message: "gone".to_owned(),
        },
        RunFact::BudgetWarned {
            scope: "run".to_owned(),
            limit: NanoUsd(5_000_000_000),
            spent: NanoUsd(4_100_000_000),
        },
        RunFact::ClockSkewed {
            since: Timestamp(1_763_700_000_123),
            behind_ms: 3_600_000,
        },
    ];
    insta::assert_snapshot!(lines(facts, OutputStyle { color: false, ascii: true }), @r"
    12:03:11     1  : session.started     architect - openai
    12:03:11     2  : llm.called          spec - acme/large - turn 3 - 1200 in, 300 out - $0.0041 - 2.3s
    12:03:11     3  x llm.called          spec - acme/large - turn 3 - 1200 in, 300 out - ? - 2.3s - failed
    12:03:11     4  u llm.called          spec - acme/large - turn 3 - 1200 in, 300 out - at most $0.0041 - 2.3s - outcome unknown
    12:03:11     5  w llm.retried         spec - try 1 - llm_rate_limited - HTTP 429 - again in 2.0s
    12:03:11     6  u tool.called         spec - write_file spec.json - 0.0s - may have run
    12:03:11     7  x tool.denied         spec - read_file ../secret - path_outside_worktree - leaves the worktree
    12:03:11     8  x session.failed      architect - llm_unreachable - gone
    12:03:11     9  ! budget.warned       run - $4.10 of $5.00
    12:03:11    10  ! clock.skewed        the clock went back by 1h00; moments stay at 2025-11-21T04:40:00.123Z until it is there again
    ");
}
