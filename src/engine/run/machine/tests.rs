//! The rules of a run, as stories and as properties over random histories.

mod histories;
mod questions;

use proptest::prelude::*;

use super::*;
use crate::model::error::{Code, Failure};
use crate::model::event::{
    ArtifactError, ArtifactRef, JournalEvent, LongWait, PersonaPick, RunFact,
};
use crate::model::hash::ContentHash;
use crate::model::id::{PhaseKey, RunId};
use crate::model::money::NanoUsd;
use crate::model::persona::RoleBinding;
use crate::model::question::{BudgetQuestion, PermissionScope, ToolQuestion};
use crate::model::run_state::RunState;
use crate::model::state::{Decision, PauseReason, PhaseStatus, RunStatus, Via};
use crate::model::time::Timestamp;
use crate::model::workflow::{ExpectedArtifact, PhaseDefinition, RoleDefinition, Workflow};

fn resume() -> MachineInput {
    MachineInput::Resume {
        by: "kim".to_owned(),
        via: Via::Cli,
    }
}

/// A run that is told what happens, as the driver would.
struct MachineHarness {
    plan: PhasePlan,
    state: RunState,
    journal: Vec<JournalEvent>,
    clock: i64,
}

impl MachineHarness {
    /// Two phases: `spec` with one gate, `build` with none.
    fn begin() -> Self {
        Self::with(&[("spec", &["spec_approved"]), ("build", &[])])
    }

    fn with(phases: &[(&str, &[&str])]) -> Self {
        let plan = plan(phases);
        let run_id: RunId = "01930000-0000-7000-8000-000000000001".parse().unwrap();
        let mut story = Self {
            plan,
            state: RunState::new(run_id),
            journal: Vec::new(),
            clock: 0,
        };
        let created = RunFact::RunCreated {
            workflow: story.plan.workflow.versioned_name(),
            workflow_hash: ContentHash::from_bytes(b"w"),
            thread: story.plan.thread.clone(),
            phases: phases.iter().map(|(key, _)| PhaseKey::from(*key)).collect(),
            rehearsal: true,
        };
        story.store(vec![created]);
        story
    }

    fn store(&mut self, facts: Vec<RunFact>) {
        for fact in facts {
            self.clock += 10;
            let event = JournalEvent {
                run_id: self.state.run_id,
                seq: self.state.last_seq + 1,
                at: Timestamp(self.clock),
                fact,
            };
            self.state.apply(&event).unwrap();
            self.journal.push(event);
        }
    }

    fn tell(&mut self, input: MachineInput) -> Result<Vec<&'static str>, Failure> {
        let facts = decide(&self.plan, &self.state, input, Timestamp(self.clock))?;
        let kinds = facts.iter().map(RunFact::kind).collect();
        self.store(facts);
        Ok(kinds)
    }

    fn ended(&mut self, outcome: AttemptOutcome) -> Vec<&'static str> {
        let phase = self.state.current().unwrap();
        let (phase_key, attempt) = (phase.key.clone(), phase.attempt);
        self.tell(MachineInput::AttemptEnded {
            phase_key,
            attempt,
            outcome,
        })
        .unwrap()
    }

    fn committed(&mut self) -> Vec<&'static str> {
        let phase_key = self.state.current().unwrap().key.clone();
        self.tell(MachineInput::Committed {
            phase_key,
            commit: Some("c0ffee".to_owned()),
        })
        .unwrap()
    }

    fn answer(&mut self, action: Decision) -> Result<Vec<&'static str>, Failure> {
        self.tell(answer(action))
    }

    fn wants(&self) -> Option<RunActivity> {
        wanted(&self.plan, &self.state)
    }
}

fn plan(phases: &[(&str, &[&str])]) -> PhasePlan {
    let phase = |(key, gates): &(&str, &[&str])| PhaseDefinition {
        key: (*key).into(),
        title: String::new(),
        risk: crate::model::state::Risk::Low,
        role: "maker".into(),
        instructions: String::new(),
        timeout_seconds: 60,
        expected_artifact: Some(ExpectedArtifact {
            path: format!("out/{key}.json"),
            schema: "t/any@1".into(),
        }),
        gates: Some(gates.iter().map(|gate| (*gate).into()).collect()),
        max_repairs: 1,
    };
    let workflow = Workflow {
        name: "w".to_owned(),
        version: 1,
        description: String::new(),
        roles: vec![RoleDefinition {
            id: "maker".into(),
            required_capabilities: vec![],
            preferred_backends: vec![],
        }],
        default_gates: vec![],
        phases: phases.iter().map(phase).collect(),
    };
    let binding = RoleBinding {
        role: "maker".into(),
        persona: "maker@1".parse().unwrap(),
        persona_hash: ContentHash::from_bytes(b"p"),
        backend: "rehearsal".to_owned(),
        model: None,
    };
    PhasePlan {
        workflow,
        bindings: vec![binding],
        thread: "t".into(),
        rehearsal: true,
    }
}

fn artifact(content: &str, version: u32) -> ArtifactRef {
    let sha256 = ContentHash::from_bytes(content.as_bytes());
    ArtifactRef {
        path: "out/a.json".to_owned(),
        schema: "t/any@1".into(),
        sha256,
        bytes: content.len() as u64,
        version,
    }
}

fn valid(content: &str) -> AttemptOutcome {
    AttemptOutcome::Valid(artifact(content, 1))
}

fn invalid(content: &str) -> AttemptOutcome {
    let errors = vec![ArtifactError {
        pointer: "/risks".to_owned(),
        message: "is missing".to_owned(),
    }];
    AttemptOutcome::Invalid {
        sha256: Some(ContentHash::from_bytes(content.as_bytes())),
        bytes: 1,
        errors,
        errors_total: 1,
    }
}

fn answer(action: Decision) -> MachineInput {
    MachineInput::Decide {
        request_id: None,
        action,
        comment: "because".to_owned(),
        by: "me".to_owned(),
        via: Via::Cli,
        reviewed: None,
        scope: None,
        raise: None,
        seats: Vec::new(),
    }
}

#[test]
fn a_plain_run_makes_the_events_of_the_specification_in_order() {
    let mut story = MachineHarness::begin();
    assert_eq!(
        story.tell(MachineInput::Start).unwrap(),
        ["run.started", "phase.started", "artifact.expected"]
    );
    assert_eq!(
        story.ended(valid("a")),
        ["artifact.validated", "approval.requested"]
    );
    assert_eq!(story.state.status, RunStatus::AwaitingApproval);
    assert_eq!(story.wants(), None);
    assert_eq!(
        story.answer(Decision::Approve).unwrap(),
        ["approval.resolved"]
    );
    assert_eq!(
        story.wants(),
        Some(RunActivity::Commit {
            phase_key: "spec".into()
        })
    );
    assert_eq!(
        story.committed(),
        ["phase.completed", "phase.started", "artifact.expected"]
    );
    assert_eq!(story.ended(valid("b")), ["artifact.validated"]);
    assert_eq!(story.committed(), ["phase.completed", "run.completed"]);
    assert_eq!(story.state.status, RunStatus::Completed);
    assert_eq!(
        story
            .state
            .phases
            .iter()
            .map(|p| p.attempt)
            .collect::<Vec<_>>(),
        [1, 1]
    );
}

#[test]
fn an_invalid_artifact_is_repaired_once_and_then_fails_the_run() {
    let mut story = MachineHarness::begin();
    story.tell(MachineInput::Start).unwrap();
    assert_eq!(
        story.ended(invalid("x")),
        [
            "artifact.invalid",
            "phase.started",
            "artifact.expected",
            "prompt.repaired"
        ]
    );
    assert_eq!(story.state.current().unwrap().attempt, 2);
    assert_eq!(
        story.ended(invalid("y")),
        ["artifact.invalid", "phase.failed", "run.failed"]
    );
    let (code, message, _) = story.state.error.clone().unwrap();
    assert_eq!(code, Code::ArtifactInvalidAfterRepair);
    assert_eq!(
        message,
        "phase spec gave no valid artifact in 2 attempts: /risks is missing"
    );
}

#[test]
fn a_missing_artifact_and_a_timeout_exhaust_the_attempts_under_one_code() {
    let mut story = MachineHarness::begin();
    story.tell(MachineInput::Start).unwrap();
    story.ended(AttemptOutcome::TimedOut { seconds: 60 });
    assert_eq!(
        story.ended(AttemptOutcome::Missing),
        ["artifact.invalid", "phase.failed", "run.failed"]
    );
    assert_eq!(
        story.state.error.clone().unwrap().0,
        Code::ArtifactTimeoutExhausted
    );
}

#[test]
fn two_timeouts_of_two_attempts_are_two_events() {
    let mut story = MachineHarness::begin();
    story.tell(MachineInput::Start).unwrap();
    story.ended(AttemptOutcome::TimedOut { seconds: 60 });
    story.ended(AttemptOutcome::TimedOut { seconds: 60 });
    let keys: Vec<_> = story
        .journal
        .iter()
        .filter(|e| e.fact.kind() == "artifact.timeout")
        .map(|e| e.fact.key())
        .collect();
    assert_eq!(keys, ["artifact.timeout:spec:1", "artifact.timeout:spec:2"]);
}

#[test]
fn requested_changes_begin_a_new_attempt_with_repairs_of_its_own() {
    let mut story = MachineHarness::begin();
    story.tell(MachineInput::Start).unwrap();
    story.ended(invalid("x"));
    story.ended(valid("a"));
    assert_eq!(
        story.answer(Decision::RequestChanges).unwrap(),
        ["approval.resolved", "phase.started", "artifact.expected"]
    );
    let phase = story.state.current().unwrap();
    assert_eq!(
        (phase.attempt, phase.repairs, phase.comment.as_str()),
        (3, 0, "because")
    );
    assert_eq!(phase.previous, Some(ContentHash::from_bytes(b"a")));
    story.ended(invalid("z"));
    assert_eq!(story.state.current().unwrap().attempt, 4);
}

#[test]
fn a_rejection_fails_phase_and_run() {
    let mut story = MachineHarness::begin();
    story.tell(MachineInput::Start).unwrap();
    story.ended(valid("a"));
    assert_eq!(
        story.answer(Decision::Reject).unwrap(),
        ["approval.resolved", "phase.failed", "run.failed"]
    );
    assert_eq!(story.state.error.clone().unwrap().0, Code::ApprovalRejected);
    assert_eq!(story.wants(), None);
    assert_eq!(
        story.answer(Decision::Approve).unwrap_err().code,
        Code::RunAlreadyTerminal
    );
}

#[test]
fn an_abort_resolves_the_open_question_and_ends_the_run() {
    let mut story = MachineHarness::begin();
    story.tell(MachineInput::Start).unwrap();
    story.ended(valid("a"));
    let abort = MachineInput::Abort {
        by: "me".to_owned(),
        via: Via::Console,
        reason: String::new(),
    };
    assert_eq!(
        story.tell(abort.clone()).unwrap(),
        ["approval.resolved", "run.aborted"]
    );
    assert_eq!(
        story.state.phases[0].status,
        PhaseStatus::AwaitingApproval,
        "the phase stays as it was"
    );
    assert_eq!(
        story.tell(abort).unwrap_err().code,
        Code::RunAlreadyTerminal
    );
}

#[test]
fn gates_are_asked_one_after_the_other() {
    let mut story = MachineHarness::with(&[("spec", &["first", "second"])]);
    story.tell(MachineInput::Start).unwrap();
    story.ended(valid("a"));
    assert_eq!(
        story.answer(Decision::Approve).unwrap(),
        ["approval.resolved", "approval.requested"]
    );
    assert_eq!(
        story.state.approval.as_ref().unwrap().gate.as_str(),
        "second"
    );
    story.answer(Decision::Approve).unwrap();
    assert_eq!(story.committed(), ["phase.completed", "run.completed"]);
}

#[test]
fn a_resume_skips_what_is_done_and_asks_an_open_gate_again_without_an_agent() {
    let mut story = MachineHarness::with(&[("spec", &[]), ("plan", &["plan_approved"])]);
    story.tell(MachineInput::Start).unwrap();
    story.ended(valid("a"));
    story.committed();
    story.ended(valid("b"));
    let question = story.state.approval.clone().unwrap().request_id;
    for ordinal in 1..=2 {
        assert_eq!(
            story
                .tell(MachineInput::Pause(PauseReason::Crashed))
                .unwrap(),
            ["run.paused"]
        );
        assert_eq!(
            story.tell(resume()).unwrap(),
            ["run.resumed", "phase.skipped"]
        );
        assert_eq!(story.state.resumes, ordinal);
        assert_eq!(story.state.status, RunStatus::AwaitingApproval);
        assert_eq!(story.state.approval.as_ref().unwrap().request_id, question);
        assert_eq!(story.wants(), None);
    }
}

#[test]
fn a_half_done_phase_goes_on_with_the_same_attempt() {
    let mut story = MachineHarness::begin();
    story.tell(MachineInput::Start).unwrap();
    story
        .tell(MachineInput::Pause(PauseReason::Shutdown))
        .unwrap();
    assert_eq!(story.wants(), None);
    assert_eq!(story.tell(resume()).unwrap(), ["run.resumed"]);
    assert_eq!(
        story.wants(),
        Some(RunActivity::Attempt {
            phase_key: "spec".into(),
            attempt: 1
        })
    );
}

#[test]
fn an_answer_given_while_the_run_rests_is_acted_on_when_it_goes_on() {
    for (action, next) in [
        (Decision::Approve, None),
        (Decision::RequestChanges, Some(2)),
    ] {
        let mut story = MachineHarness::begin();
        story.tell(MachineInput::Start).unwrap();
        story.ended(valid("a"));
        story
            .tell(MachineInput::Pause(PauseReason::Operator))
            .unwrap();
        assert_eq!(story.answer(action).unwrap(), ["approval.resolved"]);
        assert_eq!(story.state.status, RunStatus::Paused);
        story.tell(resume()).unwrap();
        match next {
            None => assert_eq!(
                story.wants(),
                Some(RunActivity::Commit {
                    phase_key: "spec".into()
                })
            ),
            Some(attempt) => assert_eq!(
                story.wants(),
                Some(RunActivity::Attempt {
                    phase_key: "spec".into(),
                    attempt
                })
            ),
        }
    }
}

fn made_by(story: &MachineHarness) -> String {
    story
        .state
        .current()
        .unwrap()
        .made_by()
        .unwrap()
        .to_string()
}

#[test]
fn a_version_taken_from_a_fork_names_who_made_it_until_the_phase_is_made_anew() {
    let mut story = MachineHarness::begin();
    story.tell(MachineInput::Start).unwrap();
    story.ended(valid("a"));
    let picked = PersonaPick {
        fork: RunId(uuid::Uuid::from_u128(5)),
        persona: "terse@2".parse().unwrap(),
    };
    let told = story
        .tell(MachineInput::Picked {
            artifact: artifact("b", 2),
            picked: picked.clone(),
            by: "me".to_owned(),
        })
        .unwrap();
    assert_eq!(
        told,
        [
            "artifact.changed",
            "artifact.validated",
            "approval.requested"
        ]
    );
    let phase = story.state.current().unwrap().clone();
    assert_eq!(
        (phase.picked, phase.revised_by),
        (Some(picked), None),
        "nobody wrote it by hand"
    );
    assert_eq!(made_by(&story), "terse@2");
    story
        .tell(MachineInput::ContentChanged {
            found: None,
            replacement: None,
        })
        .unwrap();
    assert_eq!(
        made_by(&story),
        "terse@2",
        "what was put back is still theirs"
    );
    let own = artifact("c", 3);
    story
        .tell(MachineInput::ContentChanged {
            found: Some(own.sha256.clone()),
            replacement: Some(own),
        })
        .unwrap();
    assert_eq!(
        story.state.current().unwrap().picked,
        None,
        "other bytes are not"
    );
}

#[test]
fn changed_content_is_asked_about_anew_and_the_same_bytes_twice_are_two_facts() {
    let mut story = MachineHarness::begin();
    story.tell(MachineInput::Start).unwrap();
    story.ended(valid("a"));
    for (version, content) in [(2, "b"), (3, "a"), (4, "b")] {
        let replacement = artifact(content, version);
        let found = Some(replacement.sha256.clone());
        let told = story
            .tell(MachineInput::ContentChanged {
                found,
                replacement: Some(replacement),
            })
            .unwrap();
        assert_eq!(
            told,
            [
                "artifact.changed",
                "artifact.validated",
                "approval.requested"
            ]
        );
    }
    let told = story
        .tell(MachineInput::ContentChanged {
            found: None,
            replacement: None,
        })
        .unwrap();
    assert_eq!(
        told,
        ["artifact.changed", "approval.requested"],
        "what was validated was put back and is asked about again"
    );
    let mut keys: Vec<_> = story.journal.iter().map(|event| event.fact.key()).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(
        keys.len(),
        story.journal.len(),
        "two different facts never share a key"
    );
}

#[test]
fn a_version_by_the_operator_is_asked_about_anew_and_an_older_question_takes_none() {
    let mut story = MachineHarness::begin();
    story.tell(MachineInput::Start).unwrap();
    story.ended(valid("a"));
    let request_id = story.state.approval.as_ref().unwrap().request_id;
    let revised = |version| MachineInput::Revised {
        request_id,
        artifact: artifact("b", version),
        by: "kim".to_owned(),
    };
    assert_eq!(
        story.tell(revised(2)).unwrap(),
        [
            "artifact.changed",
            "artifact.validated",
            "approval.requested"
        ]
    );
    assert_eq!(
        (
            story.state.phases[0].revised_by.as_deref(),
            story.state.phases[0].versions
        ),
        (Some("kim"), 2)
    );
    assert_eq!(
        story.tell(revised(3)).unwrap_err().code,
        Code::ApprovalAlreadyResolved
    );
}

#[test]
fn an_agent_that_cannot_work_stops_the_run_where_a_person_can_go_on() {
    let mut story = MachineHarness::begin();
    story.tell(MachineInput::Start).unwrap();
    let failure = Failure::new(Code::LlmAuth, "the provider refused the key").hint("set it");
    assert_eq!(
        story.ended(AttemptOutcome::Failed(failure)),
        ["session.failed", "run.paused", "approval.requested"]
    );
    assert_eq!(story.state.pause_reason, Some(PauseReason::SessionRecovery));
    assert_eq!(
        story.answer(Decision::Approve).unwrap(),
        ["approval.resolved", "session.recovered", "run.resumed"]
    );
    assert_eq!(
        story.wants(),
        Some(RunActivity::Attempt {
            phase_key: "spec".into(),
            attempt: 1
        })
    );
}

#[test]
fn resuming_answers_the_question_whether_to_go_on() {
    let mut story = MachineHarness::begin();
    story.tell(MachineInput::Start).unwrap();
    story.ended(AttemptOutcome::Failed(Failure::new(Code::LlmAuth, "no")));
    assert_eq!(
        story.tell(resume()).unwrap(),
        ["approval.resolved", "session.recovered", "run.resumed"]
    );
}

#[test]
fn answers_that_cannot_be_given_say_why_and_change_nothing() {
    let mut story = MachineHarness::begin();
    story.tell(MachineInput::Start).unwrap();
    assert_eq!(
        story.answer(Decision::Approve).unwrap_err().code,
        Code::NoPendingApproval
    );
    story.ended(valid("a"));
    let before = story.state.clone();
    let wordless = MachineInput::Decide {
        request_id: None,
        action: Decision::Reject,
        comment: " ".to_owned(),
        by: "me".to_owned(),
        via: Via::Cli,
        reviewed: None,
        scope: None,
        raise: None,
        seats: Vec::new(),
    };
    assert_eq!(story.tell(wordless).unwrap_err().code, Code::UsageInvalid);
    let other = MachineInput::Decide {
        request_id: None,
        action: Decision::Approve,
        comment: String::new(),
        by: "me".to_owned(),
        via: Via::Cli,
        reviewed: Some(ContentHash::from_bytes(b"something else")),
        scope: None,
        raise: None,
        seats: Vec::new(),
    };
    assert_eq!(story.tell(other).unwrap_err().code, Code::ArtifactChanged);
    let stale = MachineInput::Decide {
        request_id: Some(crate::model::id::RequestId::new()),
        action: Decision::Approve,
        comment: String::new(),
        by: "me".to_owned(),
        via: Via::Cli,
        reviewed: None,
        scope: None,
        raise: None,
        seats: Vec::new(),
    };
    assert_eq!(
        story.tell(stale).unwrap_err().code,
        Code::ApprovalAlreadyResolved
    );
    assert_eq!(story.state, before);
}

#[test]
fn an_end_of_an_older_attempt_is_dropped() {
    let mut story = MachineHarness::begin();
    story.tell(MachineInput::Start).unwrap();
    story.ended(invalid("x"));
    let late = MachineInput::AttemptEnded {
        phase_key: "spec".into(),
        attempt: 1,
        outcome: valid("late"),
    };
    assert_eq!(story.tell(late).unwrap(), Vec::<&str>::new());
}
