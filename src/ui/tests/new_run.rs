//! The form of a new run.

use super::*;
use crate::app::screens::new_run::draft::FormDraft;
use crate::app::screens::new_run::state::FormField;

/// The form of a new run with its outlook, and a wish where one is given.
pub fn on_form(size: (u16, u16), wish: &str) -> ConsoleHarness {
    let mut bench = ConsoleHarness::new(
        size,
        world(SampleRunState::Awaiting),
        SampleRunState::Awaiting,
    );
    bench.state.here = Some("/home/op/shop-cart".to_owned());
    let mut bench = bench.start(None);
    bench.press("n");
    bench.work();
    if wish.is_empty() {
        bench.press("Shift-Tab");
        bench.type_text("nowhere", 10);
    } else {
        bench.feed(Msg::Paste(wish.to_owned()));
    }
    bench.work();
    bench
}

#[test]
fn the_form_of_a_new_run_shows_who_would_work_and_what_it_may_cost() {
    snapshot("new_run", |size| {
        on_form(
            size,
            "A cart that shows prices in cents.\nAnd never rounds them.",
        )
    });
}

#[test]
fn the_form_says_what_is_wrong_beneath_the_field() {
    snapshot("new_run_wrong", |size| on_form(size, ""));
}

#[test]
fn the_form_finds_a_workflow_by_typing() {
    snapshot("new_run_workflow", |size| {
        let mut bench = ConsoleHarness::new(
            size,
            world(SampleRunState::Awaiting),
            SampleRunState::Awaiting,
        )
        .start(None);
        bench.press("n");
        bench.work();
        for _ in 0..3 {
            bench.press("Shift-Tab");
        }
        bench.type_text("ques", 10);
        bench.work();
        bench
    });
}

#[test]
fn consent_is_asked_with_model_tools_and_permissions() {
    snapshot("new_run_consent", |size| {
        let mut bench = on_form(size, "A cart");
        bench.press("Ctrl-S");
        bench
    });
}

/// The form beside a run that holds its lane, with the focus on a field.
fn beside_a_holder(size: (u16, u16), focus: FormField, keys: &[&str]) -> ConsoleHarness {
    let mut bench = on_form(size, "A cart");
    bench.records.push(RunRecord {
        thread: "shop-cart:main#a1b2".into(),
        ..test_support::record(3, RunStatus::Executing, 3)
    });
    bench.feed(Msg::Stale);
    if let Some(form) = &mut bench.state.new_run {
        form.focus = focus;
    }
    keys.iter().for_each(|key| bench.press(key));
    bench.work();
    bench
}

#[test]
fn the_form_says_who_holds_the_thread_and_what_becomes_of_that_run() {
    snapshot("new_run_held", |size| {
        beside_a_holder(size, FormField::Strategy, &[])
    });
    snapshot("new_run_rollback", |size| {
        beside_a_holder(size, FormField::Strategy, &["Left"])
    });
}

#[test]
fn ending_another_run_is_asked_first() {
    snapshot("new_run_ends_another", |size| {
        let mut bench = beside_a_holder(size, FormField::Strategy, &["Left"]);
        bench.press("Ctrl-S");
        bench
    });
}

#[test]
fn a_budget_is_judged_by_what_runs_cost_before() {
    snapshot("new_run_budget", |size| {
        beside_a_holder(size, FormField::Budget, &["0", ".", "5"])
    });
    snapshot("new_run_budget_wrong", |size| {
        beside_a_holder(size, FormField::Budget, &["x"])
    });
}

#[test]
fn what_was_written_before_is_offered() {
    snapshot("new_run_draft", |size| {
        let mut bench = ConsoleHarness::new(
            size,
            world(SampleRunState::Awaiting),
            SampleRunState::Awaiting,
        );
        let wish = "A cart that shows prices in cents.\nAnd never rounds them.".to_owned();
        bench.form_draft = Some(FormDraft {
            wish,
            repo: "/home/op/other".to_owned(),
            ..FormDraft::default()
        });
        let mut bench = bench.start(None);
        bench.press("n");
        bench.work();
        bench
    });
}

#[test]
fn what_the_repository_brings_is_offered_and_asked_about() {
    let of_theirs = |size| {
        let mut bench = on_form(size, "A cart");
        bench.press("Shift-Tab");
        bench.press("Shift-Tab");
        bench.feed(Msg::Paste("/theirs".to_owned()));
        bench.work();
        bench
    };
    snapshot("new_run_brought", of_theirs);
    snapshot("new_run_trust", |size| {
        let mut bench = of_theirs(size);
        bench.press("Alt-t");
        bench
    });
}
