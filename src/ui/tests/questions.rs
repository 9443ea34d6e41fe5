//! Questions about tools and money, and what stands because of an answer.

use super::*;
use crate::model::question::{GateQuestion, PermissionScope};

/// The console at a question that came while the spec was being written.
fn asked(size: (u16, u16), question: GateQuestion) -> ConsoleHarness {
    let mut bench = on_run(size, SampleRunState::Executing);
    bench.store_fact(test_support::approval_requested(7, question));
    settle(&mut bench);
    bench.press("!");
    settle(&mut bench);
    bench.ticks += 2000;
    bench
}

fn confirming(size: (u16, u16), question: GateQuestion, keys: &[&str]) -> ConsoleHarness {
    let mut bench = asked(size, question);
    for key in keys {
        bench.press(key);
        settle(&mut bench);
        bench.ticks += 1000;
    }
    bench
}

#[test]
fn a_command_is_shown_exactly_with_what_each_answer_means() {
    snapshot("question_command", |size| {
        asked(size, test_support::a_command())
    });
}

#[test]
fn a_write_is_shown_as_a_difference() {
    snapshot("question_write", |size| {
        asked(size, test_support::a_write())
    });
}

#[test]
fn a_standing_answer_says_that_it_covers_every_call() {
    snapshot("question_this_run", |size| {
        confirming(size, test_support::a_command(), &["R"])
    });
}

#[test]
fn a_denial_asks_why() {
    snapshot("question_deny", |size| {
        confirming(size, test_support::a_command(), &["X"])
    });
}

#[test]
fn a_budget_is_raised_by_a_typed_amount() {
    snapshot("question_budget", |size| {
        asked(size, test_support::a_budget())
    });
    snapshot("question_raise", |size| {
        confirming(size, test_support::a_budget(), &["A", "2", ".", "5"])
    });
}

/// A budget gate at which it is known who could go on for less.
fn beside_cheaper(size: (u16, u16)) -> ConsoleHarness {
    let mut bench = asked(size, test_support::a_budget());
    bench.cheaper = test_support::cheaper();
    bench.work();
    settle(&mut bench);
    bench.ticks += 2000;
    bench
}

#[test]
fn somebody_cheaper_is_offered_with_price_and_phases() {
    snapshot("question_cheaper", beside_cheaper);
    let who = |size| {
        let mut bench = beside_cheaper(size);
        bench.press("C");
        bench
    };
    snapshot("question_cheaper_who", who);
    snapshot("question_cheaper_sure", |size| {
        let mut bench = who(size);
        settle(&mut bench);
        ["Right", "Right", "Enter"]
            .iter()
            .for_each(|key| bench.press(key));
        settle(&mut bench);
        bench.ticks += 1000;
        bench
    });
}

#[test]
fn what_stands_is_said_on_the_run_and_listed() {
    let standing = |size| {
        let mut bench = asked(size, test_support::a_command());
        bench.store_fact(test_support::allowed(7, PermissionScope::Run));
        bench.press("Esc");
        bench
    };
    snapshot("question_standing", standing);
    snapshot("question_standing_listed", |size| {
        let mut bench = standing(size);
        settle(&mut bench);
        bench.press("P");
        bench
    });
}

#[test]
fn an_answer_that_reaches_further_says_so_in_its_receipt() {
    snapshot("question_receipt", |size| {
        let mut bench = asked(size, test_support::a_command());
        bench.store_fact(test_support::allowed(7, PermissionScope::Phase));
        bench
    });
}
