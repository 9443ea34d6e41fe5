//! Flows at questions about tools and money: how far an answer reaches, what must be typed, what never decides.
use crate::app::msg::{FrameReport, Msg};
use crate::app::screens::gate::state::DecisionStep;
use crate::app::state::Modal;
use crate::app::test_support;
use crate::app::test_support::{ConsoleHarness, SampleRunState, request_id, run_id};
use crate::engine::api::EngineCommand;
use crate::model::money::NanoUsd;
use crate::model::question::{GateQuestion, PermissionScope};
use crate::model::state::{Decision, Risk};

fn asked(question: GateQuestion) -> ConsoleHarness {
    let record = test_support::opened(
        &test_support::journal(SampleRunState::Executing),
        Risk::Medium,
    )
    .record;
    let mut bench = ConsoleHarness::new((80, 24), vec![record], SampleRunState::Executing)
        .start(Some(run_id(1)));
    bench.store_fact(test_support::approval_requested(7, question));
    bench.press("!");
    bench.drew_gate(true);
    bench.ticks += 2000;
    bench
}

fn enter(bench: &mut ConsoleHarness) {
    bench.drew_gate(true);
    bench.ticks += 400;
    bench.press("Enter");
}

/// What the only answer that was sent said.
fn said(bench: &ConsoleHarness) -> (Decision, Option<PermissionScope>, Option<NanoUsd>, &str) {
    let [
        (
            _,
            EngineCommand::Decide {
                request_id: id,
                action,
                scope,
                raise_nano_usd,
                comment,
                artifact_sha256: None,
                ..
            },
        ),
    ] = &bench.sent[..]
    else {
        panic!("{:?}", bench.sent)
    };
    assert_eq!(*id, Some(request_id(7)));
    (*action, *scope, *raise_nano_usd, comment)
}

#[test]
fn each_answer_about_a_tool_reaches_as_far_as_its_key_and_takes_two_strokes() {
    for (key, scope) in [
        ("A", PermissionScope::Once),
        ("P", PermissionScope::Phase),
        ("R", PermissionScope::Run),
    ] {
        let mut bench = asked(test_support::a_command());
        bench.press(key);
        assert!(bench.sent.is_empty());
        enter(&mut bench);
        assert_eq!(said(&bench), (Decision::Approve, Some(scope), None, ""));
    }
}

#[test]
fn a_wider_answer_that_was_taken_back_leaves_nothing_behind() {
    let mut bench = asked(test_support::a_command());
    bench.press("R");
    bench.press("Esc");
    bench.ticks += 1000;
    bench.press("A");
    enter(&mut bench);
    assert_eq!(
        said(&bench),
        (Decision::Approve, Some(PermissionScope::Once), None, "")
    );
}

#[test]
fn denying_needs_words_and_enter_goes_on_with_those_that_were_begun() {
    let mut bench = asked(test_support::a_write());
    bench.press("X");
    bench.press("Ctrl-S");
    assert!(bench.sent.is_empty());
    bench.type_text("no floats", 50);
    bench.press("Esc");
    bench.drew_gate(true);
    bench.ticks += 1000;
    bench.press("Enter");
    assert!(matches!(
        bench.state.gate.as_ref().unwrap().stage,
        DecisionStep::Writing {
            action: Decision::Reject,
            ..
        }
    ));
    bench.press("Ctrl-S");
    assert_eq!(said(&bench), (Decision::Reject, None, None, "no floats"));
}

#[test]
fn a_budget_is_raised_by_what_was_typed_and_by_nothing_else() {
    for (typed, raise) in [
        ("", None),
        ("0", None),
        ("0.00", None),
        (".", None),
        ("2.5", Some(2_500_000_000)),
        ("1e3-x4", Some(134_000_000_000)),
    ] {
        let mut bench = asked(test_support::a_budget());
        bench.press("A");
        bench.type_text(typed, 50);
        bench.feed(Msg::Paste("999".to_owned()));
        enter(&mut bench);
        match raise {
            Some(raise) => assert_eq!(
                said(&bench),
                (Decision::Approve, None, Some(NanoUsd(raise)), ""),
                "{typed}"
            ),
            None => assert!(bench.sent.is_empty(), "{typed}"),
        }
    }
}

#[test]
fn keys_of_answers_that_a_question_does_not_take_do_nothing() {
    for (question, keys) in [
        (test_support::a_command(), &["c"][..]),
        (test_support::a_budget(), &["c", "P", "R"]),
    ] {
        for key in keys {
            let mut bench = asked(question.clone());
            bench.press(key);
            assert!(
                matches!(
                    bench.state.gate.as_ref().unwrap().stage,
                    DecisionStep::Reading
                ),
                "{key}"
            );
            enter(&mut bench);
            assert!(bench.sent.is_empty(), "{key}");
        }
    }
}

#[test]
fn words_about_a_tool_are_not_words_about_the_artifact() {
    let bench = asked(test_support::a_command());
    assert_eq!(
        bench.state.gate.as_ref().unwrap().draft_key().about,
        "tool_permission"
    );
}

/// A budget gate at which it is known who could go on for less.
fn beside_cheaper(question: GateQuestion) -> ConsoleHarness {
    let mut bench = asked(question);
    bench.cheaper = test_support::cheaper();
    bench.work();
    bench
}

/// Chooses the answer at a place of what is asked, with Enter on a drawn question.
fn take(bench: &mut ConsoleHarness, place: usize) {
    (0..place).for_each(|_| bench.press("Right"));
    bench.feed(Msg::Drawn(FrameReport {
        drained: true,
        ..FrameReport::default()
    }));
    bench.press("Enter");
}

fn named(bench: &ConsoleHarness) -> (Vec<String>, Option<NanoUsd>) {
    let Some((
        _,
        EngineCommand::Decide {
            action: Decision::Approve,
            personas,
            raise_nano_usd,
            ..
        },
    )) = bench.sent.last()
    else {
        panic!("{:?}", bench.sent)
    };
    assert!(
        personas.iter().all(|choice| choice.phase_key.is_none()),
        "wherever they can"
    );
    (
        personas
            .iter()
            .map(|choice| choice.persona.clone())
            .collect(),
        *raise_nano_usd,
    )
}

#[test]
fn somebody_cheaper_goes_on_after_two_questions_with_or_without_an_amount() {
    for (typed, raise) in [("", None), ("1.5", Some(NanoUsd(1_500_000_000)))] {
        let mut bench = beside_cheaper(test_support::a_budget());
        bench.press("C");
        assert!(bench.state.modal.is_some() && bench.sent.is_empty());
        take(&mut bench, 2);
        assert!(bench.sent.is_empty(), "choosing decides nothing");
        bench.drew_gate(true);
        bench.type_text(typed, 50);
        enter(&mut bench);
        assert_eq!(named(&bench), (vec!["mini@1".to_owned()], raise));
    }
}

#[test]
fn consent_to_somebody_cheaper_is_stored_before_the_answer() {
    let mut bench = beside_cheaper(test_support::a_budget());
    bench.press("C");
    take(&mut bench, 1);
    enter(&mut bench);
    assert!(
        bench.sent.is_empty()
            && matches!(&bench.state.modal, Some(Modal::Confirm(c)) if c.detail.starts_with("tiny@2: "))
    );
    take(&mut bench, 1);
    assert_eq!(bench.worked.len(), 1, "the consent first");
    assert!(bench.sent.is_empty());
    bench.work();
    assert_eq!(named(&bench), (vec!["tiny@2".to_owned()], None));
}

#[test]
fn where_all_is_spent_somebody_cheaper_needs_an_amount_too() {
    let GateQuestion::Budget(budget) = test_support::a_budget() else {
        panic!()
    };
    let mut bench = beside_cheaper(GateQuestion::Budget(
        crate::model::question::BudgetQuestion {
            spent: budget.limit,
            ..budget
        },
    ));
    bench.press("C");
    take(&mut bench, 2);
    enter(&mut bench);
    assert!(bench.sent.is_empty());
    bench.type_text("2", 50);
    enter(&mut bench);
    assert_eq!(
        named(&bench),
        (vec!["mini@1".to_owned()], Some(NanoUsd(2_000_000_000)))
    );
}

#[test]
fn an_amount_alone_names_nobody_even_after_somebody_was_looked_at() {
    let mut bench = beside_cheaper(test_support::a_budget());
    bench.press("C");
    take(&mut bench, 2);
    bench.press("Esc");
    bench.drew_gate(true);
    bench.ticks += 1000;
    bench.press("A");
    bench.type_text("2", 50);
    enter(&mut bench);
    assert_eq!(named(&bench), (vec![], Some(NanoUsd(2_000_000_000))));
}

#[test]
fn where_nobody_is_cheaper_it_is_said() {
    let mut bench = asked(test_support::a_budget());
    bench.press("C");
    assert!(
        bench
            .state
            .notice
            .as_ref()
            .unwrap()
            .text
            .starts_with("still looking up")
    );
    bench.work();
    bench.press("C");
    assert!(
        bench
            .state
            .notice
            .as_ref()
            .unwrap()
            .text
            .starts_with("no cheaper persona is available")
    );
    let mut bench = asked(test_support::a_command());
    bench.press("C");
    assert!(bench.state.modal.is_none());
}
