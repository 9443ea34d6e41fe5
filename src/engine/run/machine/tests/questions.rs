//! Questions that are about no artifact: a tool, a budget, a cheaper persona.

use super::*;

fn tool_question(call: &str) -> AttemptOutcome {
    let (tool, target, detail) = ("execute".to_owned(), "make".to_owned(), "make".to_owned());
    AttemptOutcome::Asks(Box::new(ToolQuestion {
        call: call.to_owned(),
        tool,
        target,
        detail,
    }))
}

fn scoped(
    action: Decision,
    scope: Option<PermissionScope>,
    raise: Option<NanoUsd>,
) -> MachineInput {
    let (comment, by) = ("because".to_owned(), "me".to_owned());
    MachineInput::Decide {
        request_id: None,
        action,
        comment,
        by,
        via: Via::Cli,
        reviewed: None,
        scope,
        raise,
        seats: Vec::new(),
    }
}

#[test]
fn an_attempt_that_asks_about_a_tool_waits_and_goes_on_with_the_answer() {
    let mut story = MachineHarness::begin();
    story.tell(MachineInput::Start).unwrap();
    let attempt = story.wants();
    for (action, scope, allowed) in [
        (Decision::Approve, None, true),
        (Decision::Reject, Some(PermissionScope::Phase), false),
    ] {
        assert_eq!(story.ended(tool_question("t:1")), ["approval.requested"]);
        assert_eq!(
            (story.state.status, story.wants()),
            (RunStatus::AwaitingApproval, None)
        );
        assert_eq!(
            story.answer(Decision::RequestChanges).unwrap_err().code,
            Code::UsageInvalid
        );
        assert_eq!(
            story.tell(scoped(action, scope, None)).unwrap(),
            ["approval.resolved"]
        );
        assert_eq!(
            (story.state.status, story.wants()),
            (RunStatus::Executing, attempt.clone()),
            "the same attempt goes on"
        );
        let permit = story.state.permits.last().unwrap();
        assert_eq!(
            (permit.allowed, permit.scope, permit.tool.as_str()),
            (allowed, scope.unwrap_or_default(), "execute")
        );
    }
    assert_eq!(
        story.state.current().unwrap().gates_passed,
        0,
        "no gate of the phase was passed by it"
    );
    story.ended(valid("a"));
    assert_eq!(
        story.state.approval.as_ref().unwrap().gate.as_str(),
        "spec_approved"
    );
}

#[test]
fn an_answer_about_a_tool_while_paused_counts_when_the_run_goes_on() {
    let mut story = MachineHarness::begin();
    story.tell(MachineInput::Start).unwrap();
    let attempt = story.wants();
    story.ended(tool_question("t:1"));
    story
        .tell(MachineInput::Pause(PauseReason::Shutdown))
        .unwrap();
    story
        .tell(scoped(Decision::Approve, Some(PermissionScope::Run), None))
        .unwrap();
    assert_eq!(
        (story.state.status, story.wants()),
        (RunStatus::Paused, None)
    );
    story
        .tell(MachineInput::Resume {
            by: "kim".to_owned(),
            via: Via::Cli,
        })
        .unwrap();
    assert_eq!(
        (story.state.status, story.wants()),
        (RunStatus::Executing, attempt)
    );
}

#[test]
fn an_attempt_that_waits_for_a_server_is_taken_up_with_its_tries_and_nobody_is_asked() {
    let mut story = MachineHarness::begin();
    story.tell(MachineInput::Start).unwrap();
    let attempt = story.wants();
    let (turn_id, code, until) = (
        "01930000-0000-7000-8000-00000000bb01".parse().unwrap(),
        Code::LlmRateLimited,
        Timestamp(9_000_000),
    );
    let wait = LongWait {
        turn_id,
        tries: 2,
        status: Some(429),
        code,
        wait_ms: 3_600_000,
        until,
    };
    assert_eq!(story.ended(AttemptOutcome::Waits(wait)), ["llm.retried"]);
    assert_eq!(
        (story.state.status, story.wants()),
        (RunStatus::Executing, attempt.clone())
    );
    let waits = |story: &MachineHarness| {
        story
            .state
            .waiting
            .as_ref()
            .map(|waiting| (waiting.until, waiting.tries))
    };
    assert_eq!(waits(&story), Some((until, 2)));
    for (reason, kept) in [
        (PauseReason::Shutdown, true),
        (PauseReason::Crashed, true),
        (PauseReason::Interrupted, true),
        (PauseReason::Operator, false),
    ] {
        story.tell(MachineInput::Pause(reason)).unwrap();
        story
            .tell(MachineInput::Resume {
                by: "kim".to_owned(),
                via: Via::Cli,
            })
            .unwrap();
        assert_eq!(
            (waits(&story).is_some(), story.wants()),
            (kept, attempt.clone()),
            "{reason:?}"
        );
    }
}

#[test]
fn a_budget_pauses_the_run_until_it_is_raised() {
    let mut story = MachineHarness::begin();
    story.tell(MachineInput::Start).unwrap();
    let attempt = story.wants();
    let over = || {
        let scope = "run".to_owned();
        AttemptOutcome::OverBudget(BudgetQuestion {
            scope,
            limit: NanoUsd(100),
            spent: NanoUsd(90),
            needed: NanoUsd(20),
        })
    };
    assert_eq!(story.ended(over()), ["run.paused", "approval.requested"]);
    assert_eq!(story.state.pause_reason, Some(PauseReason::Budget));
    assert_eq!(
        story.answer(Decision::Approve).unwrap_err().code,
        Code::UsageInvalid,
        "it must say by how much"
    );
    assert_eq!(
        story
            .tell(scoped(Decision::Approve, None, Some(NanoUsd(50))))
            .unwrap(),
        ["approval.resolved", "run.resumed"]
    );
    assert_eq!(
        (story.wants(), story.state.raises.get("run")),
        (attempt, Some(&NanoUsd(50)))
    );
    story.ended(over());
    story
        .tell(MachineInput::Resume {
            by: "kim".to_owned(),
            via: Via::Cli,
        })
        .unwrap();
    let said = story
        .journal
        .iter()
        .rev()
        .find_map(|event| match &event.fact {
            RunFact::ApprovalResolved { comment, raise, .. } => Some((comment.as_str(), *raise)),
            _ => None,
        });
    assert_eq!(
        said,
        Some(("tried again without a raise", None)),
        "going on without an amount is not called a raise"
    );
    story.ended(over());
    story
        .tell(scoped(Decision::Approve, None, Some(NanoUsd(7))))
        .unwrap();
    assert_eq!(story.state.raises.get("run"), Some(&NanoUsd(57)));
    story.ended(over());
    assert_eq!(
        story.answer(Decision::Reject).unwrap(),
        ["approval.resolved", "run.failed"]
    );
}

#[test]
fn a_cheaper_persona_goes_on_where_the_next_call_can_be_let_through() {
    let new_seat = |phase: &str| crate::model::persona::SeatChange {
        phase_key: phase.into(),
        was: "maker@1".parse().unwrap(),
        binding: crate::model::persona::RoleBinding {
            role: "maker".into(),
            persona: "mini@1".parse().unwrap(),
            persona_hash: ContentHash::from_bytes(b"mini"),
            backend: "openai".to_owned(),
            model: Some("small".to_owned()),
        },
    };
    let answer =
        |raise: Option<NanoUsd>, phases: &[&str]| match scoped(Decision::Approve, None, raise) {
            MachineInput::Decide {
                request_id,
                action,
                comment,
                by,
                via,
                reviewed,
                scope,
                raise,
                ..
            } => {
                let seats = phases.iter().map(|phase| new_seat(phase)).collect();
                MachineInput::Decide {
                    request_id,
                    action,
                    comment,
                    by,
                    via,
                    reviewed,
                    scope,
                    raise,
                    seats,
                }
            }
            other => other,
        };
    for (spent, raise, phases, told) in [
        (
            90,
            None,
            vec!["spec"],
            Ok(vec!["approval.resolved", "personas.changed", "run.resumed"]),
        ),
        (
            90,
            None,
            vec!["build"],
            Err("the next call is of phase spec, and nobody cheaper was named for it"),
        ),
        (
            90,
            Some(NanoUsd(5)),
            vec!["build"],
            Ok(vec!["approval.resolved", "personas.changed", "run.resumed"]),
        ),
        (
            100,
            None,
            vec!["spec"],
            Err("<$0.0001 of <$0.0001 is spent: a cheaper persona alone cannot go on"),
        ),
        (
            100,
            Some(NanoUsd(5)),
            vec!["spec"],
            Ok(vec!["approval.resolved", "personas.changed", "run.resumed"]),
        ),
        (
            90,
            Some(NanoUsd(0)),
            vec![],
            Err(
                "gate budget_exceeded needs an amount or a cheaper persona: how shall the run go on?",
            ),
        ),
    ] {
        let mut story = MachineHarness::begin();
        story.tell(MachineInput::Start).unwrap();
        let attempt = story.wants();
        let asked = BudgetQuestion {
            scope: "run".to_owned(),
            limit: NanoUsd(100),
            spent: NanoUsd(spent),
            needed: NanoUsd(20),
        };
        story.ended(AttemptOutcome::OverBudget(asked));
        let got = story
            .tell(answer(raise, &phases))
            .map_err(|failure| failure.message);
        assert_eq!(
            got,
            told.map_err(str::to_owned),
            "{spent} {raise:?} {phases:?}"
        );
        if got.is_ok() {
            assert_eq!(story.wants(), attempt, "the same attempt goes on");
            let now = story
                .state
                .current()
                .unwrap()
                .persona
                .clone()
                .unwrap()
                .to_string();
            assert_eq!(now == "mini@1", phases.contains(&"spec"), "{now}");
            assert_eq!(
                story
                    .state
                    .new_seat(&phases[0].into())
                    .map(|binding| binding.persona.to_string()),
                Some("mini@1".to_owned())
            );
        }
    }
}
