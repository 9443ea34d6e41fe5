//! Run 1: its journal up to a place, and everything that the archive tells of it there.

use super::gate::resolved;
use super::runs::record;
use super::{NOW, SPEC_V1, SPEC_V2, request_id, run_id, turn_id};
use crate::app::msg::{OpenedRun, ReviewRecords};
use crate::model::error::Code;
use crate::model::event::{
    ArtifactError, ArtifactRef, AttemptCause, CallStatus, JournalEvent, RunFact, TokenUsage,
    ToolOutcome,
};
use crate::model::hash::ContentHash;
use crate::model::id::{PhaseKey, SessionId};
use crate::model::money::NanoUsd;
use crate::model::persona::{Persona, RoleBinding, SamplingParams};
use crate::model::record::{ApprovalRecord, ArtifactRecord};
use crate::model::run_state::RunState;
use crate::model::state::{ApprovalStatus, Decision, Risk};
use crate::model::time::Timestamp;
use crate::model::workflow::{ExpectedArtifact, PhaseDefinition, RoleDefinition, Workflow};

/// Where a journal is played to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleRunState {
    /// The spec is being written.
    Executing,
    /// The spec waits for its first answer.
    AwaitingFirst,
    /// The spec was changed as asked and waits again.
    Awaiting,
    /// Every phase is done.
    Completed,
    /// The plan stayed invalid.
    Failed,
}

pub(super) fn artifact(text: &str, version: u32) -> ArtifactRef {
    let bytes = u64::try_from(text.len()).unwrap();
    ArtifactRef {
        path: "spec.json".to_owned(),
        schema: "dev/spec@1".into(),
        sha256: ContentHash::from_bytes(text.as_bytes()),
        bytes,
        version,
    }
}

fn started(key: &str, role: &str, attempt: u32, cause: AttemptCause) -> RunFact {
    let persona = format!("{role}@1").parse().unwrap();
    RunFact::PhaseStarted {
        phase_key: key.into(),
        attempt,
        role: role.into(),
        persona,
        cause,
    }
}

fn called(key: &str, n: u8, attempt: u32) -> RunFact {
    RunFact::LlmCalled {
        phase_key: key.into(),
        attempt,
        turn_id: turn_id(n),
        turn: 1,
        model: "anthropic/claude-sonnet-4.5".to_owned(),
        tokens: TokenUsage {
            input: 1840,
            output: 612,
            cached: 0,
            reasoning: 0,
        },
        cost: Some(NanoUsd(14_700_000)),
        estimated: false,
        latency_ms: 4200,
        status: CallStatus::Ok,
    }
}

pub(super) fn asked(n: u8, text: &str, version: u32) -> RunFact {
    RunFact::ApprovalRequested {
        request_id: request_id(n),
        phase_key: Some("spec".into()),
        gate: "spec_approved".into(),
        artifact_sha256: Some(ContentHash::from_bytes(text.as_bytes())),
        artifact_version: Some(version),
        question: None,
    }
}

fn errors() -> Vec<ArtifactError> {
    vec![ArtifactError {
        pointer: "/acceptance_criteria".to_owned(),
        message: "needs at least 1 item".to_owned(),
    }]
}

/// The facts of run 1 up to a place.
pub fn facts(place: SampleRunState) -> Vec<RunFact> {
    let spec: PhaseKey = "spec".into();
    let phases: Vec<PhaseKey> = ["spec", "plan", "implement", "verify"]
        .map(PhaseKey::from)
        .to_vec();
    let workflow = || "development@1".parse().unwrap();
    let session_id: SessionId = "01930000-0000-7000-8000-00000000cc01".parse().unwrap();
    let mut facts = vec![
        RunFact::RunCreated {
            workflow: workflow(),
            workflow_hash: ContentHash::from_bytes(b"w"),
            thread: "shop-cart:main1".into(),
            phases,
            rehearsal: false,
        },
        RunFact::RunStarted {
            workflow: workflow(),
            thread: "shop-cart:main1".into(),
        },
        started("spec", "analyst", 1, AttemptCause::First),
        RunFact::ArtifactExpected {
            phase_key: spec.clone(),
            attempt: 1,
            path: "spec.json".to_owned(),
            schema: "dev/spec@1".into(),
        },
        RunFact::SessionStarted {
            session_id,
            role: "analyst".into(),
            backend: "openai".to_owned(),
            ordinal: 1,
        },
        RunFact::PromptSent {
            phase_key: spec.clone(),
            attempt: 1,
            sha256: ContentHash::from_bytes(b"p"),
            bytes: 2412,
        },
        called("spec", 1, 1),
        RunFact::ToolCalled {
            phase_key: spec.clone(),
            turn_id: turn_id(1),
            call_id: "c1".to_owned(),
            tool: "write_file".to_owned(),
            target: "spec.json".to_owned(),
            outcome: ToolOutcome::Ok,
            duration_ms: 3,
        },
    ];
    if place == SampleRunState::Executing {
        return facts;
    }
    facts.push(RunFact::ArtifactInvalid {
        phase_key: spec.clone(),
        attempt: 1,
        path: "spec.json".to_owned(),
        version: 1,
        sha256: Some(ContentHash::from_bytes(b"{}")),
        bytes: 2,
        errors: errors(),
        errors_total: 1,
    });
    facts.push(started("spec", "analyst", 2, AttemptCause::Repair));
    facts.push(RunFact::PromptRepaired {
        phase_key: spec.clone(),
        attempt: 2,
        errors: errors(),
    });
    facts.push(called("spec", 2, 2));
    facts.push(RunFact::ArtifactValidated {
        phase_key: spec.clone(),
        attempt: 2,
        artifact: artifact(SPEC_V1, 2),
        by: None,
    });
    facts.push(asked(1, SPEC_V1, 2));
    if place == SampleRunState::AwaitingFirst {
        return facts;
    }
    facts.push(resolved(1, Decision::RequestChanges, "mo"));
    facts.push(started(
        "spec",
        "analyst",
        3,
        AttemptCause::ChangesRequested,
    ));
    facts.push(called("spec", 3, 3));
    facts.push(RunFact::ArtifactValidated {
        phase_key: spec.clone(),
        attempt: 3,
        artifact: artifact(SPEC_V2, 3),
        by: None,
    });
    facts.push(asked(2, SPEC_V2, 3));
    if place == SampleRunState::Awaiting {
        return facts;
    }
    facts.push(resolved(2, Decision::Approve, "mo"));
    facts.push(RunFact::PhaseCompleted {
        phase_key: spec,
        attempts: 3,
        duration_ms: 95_000,
        commit: Some("abc".to_owned()),
    });
    for (key, role) in [
        ("plan", "architect"),
        ("implement", "developer"),
        ("verify", "tester"),
    ] {
        facts.push(started(key, role, 1, AttemptCause::First));
        if place == SampleRunState::Failed {
            let message = "plan.json is still invalid after 1 repair".to_owned();
            facts.push(RunFact::PhaseFailed {
                phase_key: key.into(),
                reason: Code::ArtifactInvalidAfterRepair,
                message: message.clone(),
            });
            let hint = "look at the errors, then start a new run with a clearer wish".to_owned();
            facts.push(RunFact::RunFailed {
                code: Code::ArtifactInvalidAfterRepair,
                message,
                hint,
            });
            return facts;
        }
        facts.push(called(key, role.as_bytes()[0], 1));
        facts.push(RunFact::PhaseCompleted {
            phase_key: key.into(),
            attempts: 1,
            duration_ms: 31_000,
            commit: None,
        });
    }
    facts.push(RunFact::RunCompleted {});
    facts
}

/// The journal of run 1 up to a place; the last event happened 12 minutes before [`NOW`].
pub fn journal(place: SampleRunState) -> Vec<JournalEvent> {
    let facts = facts(place);
    let begin = NOW.0 - 12 * 60_000 - i64::try_from(facts.len()).unwrap() * 7000;
    let event = |(seq, fact): (u64, RunFact)| JournalEvent {
        run_id: run_id(1),
        seq,
        at: Timestamp(begin + i64::try_from(seq).unwrap() * 7000),
        fact,
    };
    (1..).zip(facts).map(event).collect()
}

/// The workflow of run 1.
pub fn workflow(risk: Risk) -> Workflow {
    let phase = |key: &str, role: &str| PhaseDefinition {
        key: key.into(),
        title: String::new(),
        risk: if key == "spec" { risk } else { Risk::Medium },
        role: role.into(),
        instructions: "Say what is wanted, and how one sees that it works.".to_owned(),
        timeout_seconds: 300,
        expected_artifact: Some(ExpectedArtifact {
            path: format!("{key}.json"),
            schema: format!("dev/{key}@1").as_str().into(),
        }),
        gates: None,
        max_repairs: 1,
    };
    let seats = [
        ("spec", "analyst"),
        ("plan", "architect"),
        ("implement", "developer"),
        ("verify", "tester"),
    ];
    Workflow {
        name: "development".to_owned(),
        version: 1,
        description: String::new(),
        roles: seats
            .iter()
            .map(|(_, role)| RoleDefinition {
                id: (*role).into(),
                required_capabilities: vec![],
                preferred_backends: vec![],
            })
            .collect(),
        default_gates: vec!["spec_approved".into()],
        phases: seats.iter().map(|(key, role)| phase(key, role)).collect(),
    }
}

/// Who sits in its seats.
pub fn bindings() -> Vec<(RoleBinding, Persona)> {
    let bind = |role: &str| {
        let persona = Persona {
            name: role.to_owned(),
            version: 1,
            description: String::new(),
            backend: "openai".to_owned(),
            agent: None,
            model: None,
            capabilities: vec![],
            system_prompt: String::new(),
            tools: vec!["read_file".to_owned(), "write_file".to_owned()],
            permissions: std::collections::BTreeMap::new(),
            params: SamplingParams::default(),
        };
        let model = Some("claude-sonnet-4.5".to_owned());
        let binding = RoleBinding {
            role: role.into(),
            persona: persona.versioned_name(),
            persona_hash: ContentHash::from_bytes(b"p"),
            backend: "openai".to_owned(),
            model,
        };
        (binding, persona)
    };
    ["analyst", "architect", "developer", "tester"]
        .map(bind)
        .to_vec()
}

pub(super) fn details(events: &[JournalEvent]) -> ReviewRecords {
    let mut details = ReviewRecords::default();
    for event in events {
        match &event.fact {
            RunFact::ArtifactValidated {
                phase_key,
                attempt,
                artifact,
                ..
            } => details.artifacts.push(ArtifactRecord {
                phase_key: phase_key.clone(),
                version: artifact.version,
                attempt: *attempt,
                path: artifact.path.clone(),
                schema: artifact.schema.clone(),
                sha256: artifact.sha256.clone(),
                bytes: artifact.bytes,
                valid: true,
                errors: vec![],
                at: event.at,
            }),
            RunFact::ArtifactInvalid {
                phase_key,
                attempt,
                path,
                version,
                sha256,
                bytes,
                errors,
                ..
            } => details.artifacts.push(ArtifactRecord {
                phase_key: phase_key.clone(),
                version: *version,
                attempt: *attempt,
                path: path.clone(),
                schema: "dev/spec@1".into(),
                sha256: sha256.clone().unwrap(),
                bytes: *bytes,
                valid: false,
                errors: errors.clone(),
                at: event.at,
            }),
            RunFact::ApprovalRequested {
                request_id,
                phase_key,
                gate,
                artifact_sha256,
                artifact_version,
                question,
                ..
            } => details.approvals.push(ApprovalRecord {
                id: *request_id,
                run_id: event.run_id,
                phase_key: phase_key.clone(),
                gate: gate.clone(),
                state: ApprovalStatus::Pending,
                artifact_sha256: artifact_sha256.clone(),
                artifact_version: *artifact_version,
                requested_at: event.at,
                resolved_at: None,
                comment: None,
                resolved_by: None,
                via: None,
                question: question.clone(),
                scope: None,
                raise: None,
            }),
            RunFact::ArtifactChanged { request_id, .. } => {
                let open = details
                    .approvals
                    .iter_mut()
                    .find(|a| a.id == *request_id)
                    .unwrap();
                (open.state, open.resolved_at) = (ApprovalStatus::Superseded, Some(event.at));
            }
            RunFact::ApprovalResolved {
                request_id,
                action,
                comment,
                by,
                via,
                scope,
                raise,
                ..
            } => {
                let (scope, raise) = (*scope, *raise);
                let record = details
                    .approvals
                    .iter_mut()
                    .find(|a| a.id == *request_id)
                    .unwrap();
                record.state = action.resolves_to();
                (record.resolved_at, record.resolved_by, record.via) =
                    (Some(event.at), Some(by.clone()), Some(*via));
                record.comment = Some(comment.clone());
                (record.scope, record.raise) = (scope, raise);
            }
            _ => {}
        }
    }
    details
}

/// Everything about run 1 at a place.
pub fn opened(events: &[JournalEvent], risk: Risk) -> OpenedRun {
    let state = RunState::fold(run_id(1), events).unwrap();
    let mut record = record(1, state.status, 14);
    record.pending_gate = state.approval.as_ref().map(|open| open.gate.clone());
    record.pending_since = state.approval.as_ref().map(|open| open.requested_at);
    record.last_seq = state.last_seq;
    record.cost = state.cost;
    OpenedRun {
        record,
        state,
        events: events.to_vec(),
        workflow: Ok(workflow(risk)),
        bindings: bindings(),
        details: details(events),
    }
}
