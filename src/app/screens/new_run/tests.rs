//! The form of a new run, by keys.
use crate::app::msg::{Cmd, ExternalProgram, ExternalResult, FrameReport, Msg};
use crate::app::screens::new_run::draft::FormDraft;
use crate::app::screens::new_run::state::FormField;
use crate::app::screens::runs::thread_status::ThreadStatus;
use crate::app::state::{Modal, Screen};
use crate::app::test_support::{ConsoleHarness, SampleRunState, record, run_id};
use crate::engine::api::EngineCommand;
use crate::model::error::{Code, Failure};
use crate::model::money::NanoUsd;
use crate::model::record::RunRecord;
use crate::model::state::{RunStatus, Strategy};

/// The form with a wish, and everything known about it.
fn form() -> ConsoleHarness {
    let mut bench = ConsoleHarness::new(
        (80, 24),
        vec![record(1, RunStatus::AwaitingApproval, 200)],
        SampleRunState::Awaiting,
    );
    bench.state.here = Some("/shop".to_owned());
    let mut bench = bench.start(None);
    bench.press("n");
    bench.work();
    bench.type_text("a cart", 10);
    bench.work();
    bench
}

#[test]
fn what_was_written_in_the_form_survives_leaving_it() {
    let mut bench = form();
    bench.press("Esc");
    assert_eq!(bench.state.screen(), Screen::Runs);
    bench.press("n");
    bench.work();
    assert_eq!(bench.state.new_run.as_ref().unwrap().wish.text(), "a cart");
}

#[test]
fn words_that_no_workflow_fits_leave_the_one_that_stood_there() {
    let mut bench = form();
    go_to(&mut bench, FormField::Workflow);
    let workflow = |bench: &ConsoleHarness| bench.state.new_run.as_ref().unwrap().workflow.clone();
    let before = workflow(&bench);
    bench.type_text("que", 10);
    assert_ne!(workflow(&bench), before);
    bench.type_text(" zzz", 10);
    assert_eq!(workflow(&bench), before);
    bench.press("Tab");
    bench.press("Shift-Tab");
    let form = bench.state.new_run.as_ref().unwrap();
    assert_eq!((form.focus, form.typed.as_str()), (FormField::Workflow, ""));
}

#[test]
fn a_start_waits_for_what_is_wrong_and_for_consent() {
    let mut bench = form();
    for _ in 0.."a cart".len() {
        bench.press("Backspace");
    }
    bench.press("Ctrl-S");
    assert!(bench.sent.is_empty(), "what is shown is about other words");
    bench.work();
    bench.press("Ctrl-S");
    assert!(bench.sent.is_empty() && bench.state.modal.is_none());
    assert!(
        bench
            .state
            .notice
            .as_ref()
            .unwrap()
            .text
            .contains("say what you want made")
    );
    bench.type_text("flags", 10);
    bench.work();
    bench.press("Ctrl-S");
    assert!(matches!(bench.state.modal, Some(Modal::Confirm(_))));
    bench.press("Right");
    bench.press("Enter");
    assert!(bench.worked.is_empty(), "the question was not drawn yet");
    bench.feed(Msg::Drawn(FrameReport {
        drained: true,
        ..FrameReport::default()
    }));
    bench.press("Enter");
    assert_eq!(bench.worked.len(), 1, "consent first");
    bench.work();
    let Some((_, EngineCommand::Start(request))) = bench.sent.last() else {
        panic!("{:?}", bench.sent)
    };
    assert_eq!(
        (request.requirements.as_str(), request.workflow.as_str()),
        ("flags", "development")
    );
    bench.press("Ctrl-S");
    assert_eq!(bench.sent.len(), 1, "once");
    bench.answer(Ok(crate::engine::api::CommandAnswer::Started {
        run_id: run_id(1),
        existing: false,
    }));
    assert_eq!(
        (bench.state.screen(), bench.state.new_run.is_none()),
        (Screen::Run, true)
    );
}

#[test]
fn a_start_that_is_refused_keeps_the_form() {
    let mut bench = form();
    bench
        .state
        .new_run
        .as_mut()
        .unwrap()
        .outlook
        .as_mut()
        .unwrap()
        .2
        .seats
        .clear();
    bench.press("Ctrl-S");
    bench.answer(Err(Failure::new(Code::ThreadBusy, "the thread is taken")));
    let form = bench.state.new_run.as_ref().unwrap();
    assert_eq!(
        (
            form.failure.as_ref().unwrap().code,
            form.starting,
            form.wish.text().as_str()
        ),
        (Code::ThreadBusy, false, "a cart")
    );
}

#[test]
fn a_seat_is_given_to_another_and_back_to_the_binder() {
    let mut bench = form();
    bench.press("Tab");
    let named = |bench: &mut ConsoleHarness| {
        bench.work();
        let form = bench.state.new_run.as_ref().unwrap();
        (
            form.personas.values().cloned().collect::<Vec<_>>(),
            form.seats()[0].persona.clone().unwrap(),
        )
    };
    bench.press("Left");
    assert_eq!(
        named(&mut bench),
        (vec!["other@2".to_owned()], "other@2".to_owned())
    );
    bench.press("Right");
    assert_eq!(named(&mut bench), (vec![], "analyst@1".to_owned()));
}

#[test]
fn of_many_changes_only_the_last_is_looked_at() {
    let mut bench = form();
    bench.type_text(" with cents", 10);
    assert_eq!(bench.worked.len(), 1);
    bench.work();
    assert!(bench.state.new_run.as_ref().unwrap().is_current());
}

/// The form, with a run that holds the lane of the repository.
fn form_beside_a_holder() -> ConsoleHarness {
    let mut bench = form();
    bench.records.push(RunRecord {
        thread: "shop-cart:main#a1b2".into(),
        ..record(3, RunStatus::Executing, 3)
    });
    bench.feed(Msg::Stale);
    bench
}

fn go_to(bench: &mut ConsoleHarness, field: FormField) {
    for _ in 0..20 {
        if bench.state.new_run.as_ref().unwrap().focus == field {
            return;
        }
        bench.press("Tab");
    }
    panic!("no field {field:?}");
}

/// What stood in the form when it was last kept.
fn kept(bench: &ConsoleHarness) -> Option<FormDraft> {
    bench
        .done
        .iter()
        .rev()
        .find_map(|cmd| {
            if let Cmd::SaveForm(draft) = cmd {
                Some(draft.as_deref().cloned())
            } else {
                None
            }
        })
        .flatten()
}

fn agree(bench: &mut ConsoleHarness) {
    bench.press("Right");
    bench.feed(Msg::Drawn(FrameReport {
        drained: true,
        ..FrameReport::default()
    }));
    bench.press("Enter");
}

fn started(bench: &ConsoleHarness) -> Option<&crate::engine::api::StartRun> {
    bench.sent.iter().find_map(|(_, command)| {
        if let EngineCommand::Start(request) = command {
            Some(&**request)
        } else {
            None
        }
    })
}

#[test]
fn a_held_thread_stands_in_the_way_until_it_is_said_what_happens_then() {
    let mut bench = form_beside_a_holder();
    bench.press("Ctrl-S");
    assert!(bench.state.modal.is_none() && bench.sent.is_empty());
    let said = bench.state.notice.as_ref().unwrap().text.clone();
    assert!(
        said.contains(&format!("held by run {}", run_id(3).short())),
        "{said}"
    );
    assert_eq!(
        bench.state.new_run.as_ref().unwrap().focus,
        FormField::Strategy,
        "there it is said"
    );
    bench.press("Right");
    bench.work();
    bench.press("Ctrl-S");
    agree(&mut bench);
    bench.work();
    assert_eq!(
        started(&bench).unwrap().options.strategy,
        Some(Strategy::Enqueue)
    );
}

#[test]
fn a_run_is_ended_to_make_room_only_after_a_word() {
    let mut bench = form_beside_a_holder();
    go_to(&mut bench, FormField::Strategy);
    bench.press("Left");
    bench.work();
    bench.press("Ctrl-S");
    let Some(Modal::Confirm(confirm)) = &bench.state.modal else {
        panic!("not asked")
    };
    assert!(
        confirm.question.contains(&run_id(3).short()),
        "{}",
        confirm.question
    );
    agree(&mut bench);
    let Some(Modal::Confirm(confirm)) = &bench.state.modal else {
        panic!("consent is asked behind it")
    };
    assert!(
        confirm.question.starts_with("Allow "),
        "{}",
        confirm.question
    );
    agree(&mut bench);
    bench.work();
    assert_eq!(
        started(&bench).unwrap().options.strategy,
        Some(Strategy::Rollback)
    );
}

#[test]
fn the_word_about_the_thread_is_as_new_as_the_list() {
    let mut bench = form_beside_a_holder();
    let held = |bench: &ConsoleHarness| {
        ThreadStatus::for_thread("shop-cart:main#a1b2", &bench.state.runs).describe_holder()
    };
    assert!(held(&bench).is_some());
    bench.records.last_mut().unwrap().state = RunStatus::Paused.as_str().to_owned();
    bench.feed(Msg::Stale);
    assert_eq!(held(&bench), None, "it has let the thread go");
}

#[test]
fn without_a_lane_there_is_no_strategy_and_none_is_sent() {
    let mut bench = form();
    go_to(&mut bench, FormField::Strategy);
    bench.press("Right");
    go_to(&mut bench, FormField::Repo);
    for _ in 0.."/shop".len() {
        bench.press("Backspace");
    }
    bench.work();
    let form = bench.state.new_run.as_ref().unwrap();
    assert!(!form.fields().contains(&FormField::Strategy));
    assert_eq!(form.request().options.strategy, None);
}

#[test]
fn a_budget_is_an_amount_and_goes_with_the_start() {
    let mut bench = form();
    go_to(&mut bench, FormField::Budget);
    bench.type_text("2,5", 10);
    bench.work();
    bench.press("Ctrl-S");
    assert!(
        bench
            .state
            .notice
            .as_ref()
            .unwrap()
            .text
            .contains("write it like 2.50")
    );
    bench.press("Backspace");
    bench.press("Backspace");
    bench.type_text(".50", 10);
    bench.work();
    bench.press("Ctrl-S");
    agree(&mut bench);
    bench.work();
    assert_eq!(
        started(&bench).unwrap().options.budget,
        Some(NanoUsd(2_500_000_000))
    );
}

#[test]
fn it_is_said_how_far_a_budget_reaches() {
    let mut bench = form();
    let mut reach = |text: &str| {
        go_to(&mut bench, FormField::Budget);
        while !bench.state.new_run.as_ref().unwrap().budget.is_blank() {
            bench.press("Backspace");
        }
        bench.type_text(text, 10);
        bench.work();
        bench
            .state
            .new_run
            .as_ref()
            .unwrap()
            .describe_budget_coverage()
    };
    assert_eq!(
        reach("0.10"),
        Some(("most earlier runs cost more: this one will ask you", true))
    );
    assert_eq!(
        reach("0.50"),
        Some(("some earlier runs cost more: this one may ask you", true))
    );
    assert_eq!(
        reach("$3"),
        Some(("9 of 10 earlier runs stayed below it", false))
    );
    assert_eq!(
        reach(""),
        Some(("9 of 10 earlier runs stayed below it", false)),
        "what the settings allow"
    );
    assert_eq!(reach("much"), None);
}

#[test]
fn what_is_written_is_kept_within_half_a_second_and_when_the_form_is_left() {
    let mut bench = form();
    assert!(kept(&bench).is_none() && bench.state.next_change_in().is_some_and(|ms| ms <= 400));
    bench.ticks += 400;
    bench.feed(Msg::Tick);
    assert_eq!(kept(&bench).unwrap().wish, "a cart");
    bench.type_text("s", 10);
    bench.press("Esc");
    assert_eq!(kept(&bench).unwrap().wish, "a carts");
    bench.press("n");
    bench.type_text("x", 10);
    assert_eq!(
        crate::app::update::keep_all(&mut bench.state).len(),
        1,
        "what ends the process keeps it too"
    );
}

#[test]
fn the_form_of_a_console_that_is_gone_is_offered_and_can_be_emptied() {
    let mut bench = ConsoleHarness::new((80, 24), vec![], SampleRunState::Awaiting);
    let kept_before = FormDraft {
        wish: "a cart".to_owned(),
        repo: "/other".to_owned(),
        budget: "2".to_owned(),
        ..FormDraft::default()
    };
    (bench.form_draft, bench.state.here) = (Some(kept_before), Some("/shop".to_owned()));
    let mut bench = bench.start(None);
    bench.press("n");
    let form = bench.state.new_run.as_ref().unwrap();
    assert_eq!(
        (form.wish.text(), form.repo.text(), form.budget.text()),
        ("a cart".to_owned(), "/other".to_owned(), "2".to_owned())
    );
    assert_eq!(
        bench.state.notice.as_ref().unwrap().text,
        "draft restored (for /other); Alt-n clears the form"
    );
    bench.work();
    bench.press("Alt-n");
    agree(&mut bench);
    let form = bench.state.new_run.as_ref().unwrap();
    assert!(form.wish.is_blank() && form.repo.text() == "/shop");
    bench.press("Esc");
    assert_eq!(
        bench.done.last(),
        Some(&Cmd::SaveForm(None)),
        "an empty form is not kept"
    );
}

#[test]
fn a_run_that_began_leaves_no_draft() {
    let mut bench = form();
    bench.press("Ctrl-S");
    agree(&mut bench);
    bench.work();
    bench.answer(Ok(crate::engine::api::CommandAnswer::Started {
        run_id: run_id(1),
        existing: false,
    }));
    assert!(bench.done.contains(&Cmd::SaveForm(None)));
    assert_eq!(bench.state.screen(), Screen::Run);
}

#[test]
fn the_wish_goes_through_the_editor() {
    let mut bench = form();
    bench.press("Ctrl-E");
    assert_eq!(
        bench.done.last(),
        Some(&Cmd::Outside(ExternalProgram::Wish {
            text: "a cart".to_owned()
        }))
    );
    assert_eq!(
        kept(&bench).unwrap().wish,
        "a cart",
        "kept before the terminal is given away"
    );
    bench.feed(Msg::Returned(ExternalResult::Wished(
        "a cart\nin cents\n".to_owned(),
    )));
    let form = bench.state.new_run.as_ref().unwrap();
    assert_eq!(
        (
            form.wish.text().as_str(),
            form.focus,
            form.unsaved.is_some()
        ),
        ("a cart\nin cents", FormField::Wish, true)
    );
    bench.feed(Msg::Returned(ExternalResult::Unchanged));
    assert_eq!(
        bench.state.new_run.as_ref().unwrap().wish.text(),
        "a cart\nin cents"
    );
    bench.feed(Msg::Returned(ExternalResult::Failed(Failure::new(
        Code::IoFailed,
        "vi ended badly",
    ))));
    assert!(bench.state.notice.as_ref().unwrap().bad);
}

#[test]
fn what_a_repository_brings_is_used_after_a_look_and_a_yes_alone() {
    let mut bench = form();
    bench.press("Alt-t");
    assert!(
        bench.state.modal.is_none()
            && bench
                .state
                .notice
                .as_ref()
                .unwrap()
                .text
                .contains("already allowed")
    );
    let form = bench.state.new_run.as_mut().unwrap();
    (form.repo, form.focus) = (
        crate::app::text::text_input::TextInput::from_text("/their"),
        FormField::Repo,
    );
    bench.press("End");
    bench.type_text("s", 10);
    bench.work();
    bench.press("Alt-t");
    bench.press("Enter");
    assert!(
        bench.state.modal.is_some(),
        "what nobody has seen is not agreed to"
    );
    bench.feed(Msg::Drawn(FrameReport {
        drained: true,
        ..FrameReport::default()
    }));
    bench.press("Enter");
    assert!(
        bench.state.modal.is_none()
            && bench
                .state
                .notice
                .as_ref()
                .is_none_or(|notice| !notice.text.contains("any change to these"))
    );
    bench.press("Alt-t");
    let revision = bench.state.new_run.as_ref().unwrap().revision;
    agree(&mut bench);
    bench.work();
    assert!(
        bench
            .state
            .notice
            .as_ref()
            .unwrap()
            .text
            .contains("any change to these")
    );
    let form = bench.state.new_run.as_ref().unwrap();
    assert!(
        form.revision > revision && form.is_current(),
        "it is looked ahead again"
    );
}
