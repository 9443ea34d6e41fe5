//! Flows at a gate: what decides, what never does, what became of an answer, and the operator's own version.
use crate::app::keymap::key::{KeyChord, KeyCode};
use crate::app::msg::{ArchiveQuery, Cmd, ExternalProgram, ExternalResult, Msg};
use crate::app::screens::gate::state::DecisionStep;
use crate::app::state::{Modal, Screen};
use crate::app::test_support;
use crate::app::test_support::{ConsoleHarness, SampleRunState, request_id, run_id};
use crate::engine::api::{CommandAnswer, EngineCommand};
use crate::model::error::{Code, Failure};
use crate::model::event::RunFact;
use crate::model::hash::ContentHash;
use crate::model::persona::SeatChange;
use crate::model::state::{Decision, Risk, RunStatus};
use crate::model::time::Timestamp;

/// A bench at the gate of run 1, drawn and quiet.
fn at_gate(place: SampleRunState) -> ConsoleHarness {
    let mut bench = ConsoleHarness::new((80, 24), vec![waiting_record()], place).start(None);
    bench.press("!");
    bench.drew_gate(true);
    bench.ticks += 2000;
    bench
}

/// The row of run 1 at its gate.
pub fn waiting_record() -> crate::model::record::RunRecord {
    test_support::opened(
        &test_support::journal(SampleRunState::Awaiting),
        Risk::Medium,
    )
    .record
}

fn stage(bench: &ConsoleHarness) -> &DecisionStep {
    &bench.state.gate.as_ref().unwrap().stage
}

/// The answer that was sent, and its words.
pub fn decided(bench: &ConsoleHarness) -> Option<(Decision, String)> {
    bench.sent.iter().find_map(|(_, command)| match command {
        EngineCommand::Decide {
            action, comment, ..
        } => Some((*action, comment.clone())),
        _ => None,
    })
}

#[test]
fn approving_takes_two_strokes_and_names_the_content_that_was_shown() {
    let mut bench = at_gate(SampleRunState::Awaiting);
    bench.press("A");
    assert!(matches!(stage(&bench), DecisionStep::Confirm { .. }));
    assert_eq!(decided(&bench), None);
    bench.drew_gate(true);
    bench.ticks += 400;
    bench.press("Enter");
    let (_, command) = bench.sent.last().unwrap();
    assert_eq!(
        *command,
        EngineCommand::Decide {
            run_id: run_id(1),
            request_id: Some(request_id(2)),
            action: Decision::Approve,
            comment: String::new(),
            artifact_sha256: Some(ContentHash::from_bytes(test_support::SPEC_V2.as_bytes())),
            scope: None,
            raise_nano_usd: None,
            personas: Vec::new(),
        }
    );
    assert!(matches!(stage(&bench), DecisionStep::Sending { .. }));
    bench.answer(Ok(CommandAnswer::Decided {
        run_id: run_id(1),
        request_id: request_id(2),
        action: Decision::Approve,
    }));
    assert!(matches!(stage(&bench), DecisionStep::Recorded { .. }));
    bench.store_fact(test_support::resolved(2, Decision::Approve, "mo"));
    let DecisionStep::Receipt(receipt) = stage(&bench) else {
        panic!("{:?}", stage(&bench))
    };
    assert_eq!(
        (receipt.action.as_str(), receipt.by.as_str(), receipt.ours),
        ("approved", "mo (console)", true)
    );
}

#[test]
fn two_hundred_keys_typed_while_a_gate_arrives_decide_nothing() {
    let prose = "Approve All the Changes, X marks the spot A\n c X A A A A A c c c c yes y y ";
    for pause in [1, 30, 100, 250, 699] {
        let mut bench =
            ConsoleHarness::new((80, 24), vec![waiting_record()], SampleRunState::Awaiting)
                .start(None);
        bench.press("!");
        for c in prose.chars().cycle().take(200) {
            bench.ticks += pause;
            let chord = if c == '\n' {
                KeyChord::plain(KeyCode::Enter)
            } else {
                KeyChord::char(c)
            };
            // Palette, help and leaving are no verdicts, but they would take the keys away.
            if !matches!(c, 'q' | ':' | '?' | '!' | 'x') {
                bench.feed(Msg::Key(chord));
                bench.drew_gate(pause % 2 == 0);
            }
        }
        assert!(bench.sent.is_empty(), "{pause}: {:?}", bench.sent);
        assert!(matches!(stage(&bench), DecisionStep::Reading), "{pause}");
    }
}

#[test]
fn a_paste_decides_nothing_and_writes_only_where_a_text_is_written() {
    let mut bench = at_gate(SampleRunState::Awaiting);
    bench.feed(Msg::Paste("A\n".to_owned()));
    assert!(matches!(stage(&bench), DecisionStep::Reading));
    bench.ticks += 1000;
    bench.press("A");
    bench.drew_gate(true);
    bench.ticks += 1000;
    bench.feed(Msg::Paste("\n".to_owned()));
    assert!(bench.sent.is_empty());
    bench.press("Esc");
    bench.ticks += 1000;
    bench.press("c");
    bench.feed(Msg::Paste("more tests\u{1b}[201~\r\nplease".to_owned()));
    assert!(bench.sent.is_empty());
    bench.press("Ctrl-S");
    assert_eq!(
        decided(&bench),
        Some((
            Decision::RequestChanges,
            "more tests␛[201~\nplease".to_owned()
        ))
    );
}

#[test]
fn a_verdict_key_waits_until_the_gate_was_drawn_and_no_input_was_waiting() {
    let mut bench =
        ConsoleHarness::new((80, 24), vec![waiting_record()], SampleRunState::Awaiting).start(None);
    bench.press("!");
    bench.ticks += 5000;
    bench.press("A");
    assert!(
        matches!(stage(&bench), DecisionStep::Reading),
        "never drawn"
    );
    bench.ticks += 5000;
    bench.drew_gate(false);
    bench.ticks += 5000;
    bench.press("A");
    assert!(
        matches!(stage(&bench), DecisionStep::Reading),
        "input was waiting"
    );
    bench.drew_gate(true);
    bench.ticks += 699;
    bench.press("A");
    assert!(matches!(stage(&bench), DecisionStep::Reading), "too soon");
    bench.ticks += 700;
    bench.press("A");
    assert!(matches!(stage(&bench), DecisionStep::Confirm { .. }));
}

#[test]
fn a_held_key_does_not_answer_approve() {
    let mut bench = at_gate(SampleRunState::Awaiting);
    bench.press("A");
    for _ in 0..50 {
        bench.drew_gate(true);
        bench.ticks += 33;
        bench.press("Enter");
    }
    assert!(bench.sent.is_empty());
}

#[test]
fn a_risky_phase_asks_for_its_key_to_be_typed() {
    let mut bench = ConsoleHarness::new((80, 24), vec![waiting_record()], SampleRunState::Awaiting);
    bench.risk = Risk::High;
    let mut bench = bench.start(None);
    bench.press("!");
    bench.drew_gate(true);
    bench.ticks += 1000;
    bench.press("A");
    bench.drew_gate(true);
    bench.ticks += 1000;
    bench.press("Enter");
    assert!(bench.sent.is_empty());
    bench.type_text("spec", 200);
    bench.ticks += 500;
    bench.press("Enter");
    assert_eq!(decided(&bench), Some((Decision::Approve, String::new())));
}

#[test]
fn changes_need_words_and_a_rejection_needs_a_reason() {
    for (key, action) in [("c", Decision::RequestChanges), ("X", Decision::Reject)] {
        let mut bench = at_gate(SampleRunState::Awaiting);
        bench.press(key);
        bench.press("Space");
        bench.press("Ctrl-S");
        assert!(bench.sent.is_empty());
        assert!(
            bench
                .state
                .gate
                .as_ref()
                .unwrap()
                .notice
                .as_ref()
                .unwrap()
                .starts_with("write ")
        );
        bench.type_text("no", 50);
        bench.press("Tab");
        bench.press("Enter");
        assert_eq!(decided(&bench), Some((action, "no".to_owned())));
    }
}

#[test]
fn esc_is_no_verdict_and_loses_no_word() {
    let mut bench = at_gate(SampleRunState::Awaiting);
    bench.press("c");
    bench.type_text("too lo", 50);
    bench.press("Esc");
    let saved = |bench: &ConsoleHarness| {
        bench.done.iter().rev().find_map(|cmd| {
            if let Cmd::SaveDraft(_, draft) = cmd {
                Some(draft.clone())
            } else {
                None
            }
        })
    };
    assert_eq!(saved(&bench).unwrap().text, "too lo");
    assert_eq!(saved(&bench).unwrap().version, Some(3));
    bench.press("Esc");
    assert_eq!(bench.state.screen(), Screen::Run);
    assert!(bench.sent.is_empty());
    bench.press("!");
    bench.drew_gate(true);
    bench.ticks += 1000;
    bench.press("c");
    bench.type_text("ng", 50);
    bench.press("Ctrl-S");
    assert_eq!(
        decided(&bench),
        Some((Decision::RequestChanges, "too long".to_owned()))
    );
}

#[test]
fn words_are_kept_soon_after_the_last_key() {
    let mut bench = at_gate(SampleRunState::Awaiting);
    bench.press("c");
    bench.type_text("hm", 10);
    let wake = bench.state.next_change_in().unwrap();
    assert!(wake <= 500, "{wake}");
    bench.ticks += 500;
    bench.feed(Msg::Tick);
    assert!(
        bench
            .done
            .iter()
            .any(|cmd| matches!(cmd, Cmd::SaveDraft(_, draft) if draft.text == "hm"))
    );
}

#[test]
fn from_the_list_the_question_of_the_selected_run_opens_else_the_oldest() {
    let waiting = test_support::opened(
        &test_support::journal(SampleRunState::Awaiting),
        Risk::Medium,
    )
    .record;
    let older = crate::model::record::RunRecord {
        pending_since: Some(Timestamp(0)),
        id: run_id(2),
        ..waiting.clone()
    };
    for (key, opened) in [("G", 1), ("g", 2)] {
        let mut bench = ConsoleHarness::new(
            (80, 24),
            vec![waiting.clone(), older.clone()],
            SampleRunState::Awaiting,
        )
        .start(None);
        bench.press(key);
        bench.press("!");
        assert_eq!(
            bench.state.run.as_ref().unwrap().run_id,
            run_id(opened),
            "{key}"
        );
    }
    let done = test_support::record(7, RunStatus::Completed, 9000);
    let mut bench = ConsoleHarness::new(
        (80, 24),
        vec![waiting, older, done],
        SampleRunState::Awaiting,
    )
    .start(None);
    bench.press("G");
    assert_eq!(bench.state.runs.selected().unwrap().id, run_id(7));
    bench.press("!");
    assert_eq!(bench.state.run.as_ref().unwrap().run_id, run_id(2));
}

#[test]
fn who_was_faster_is_shown() {
    let mut bench = at_gate(SampleRunState::Awaiting);
    bench.press("A");
    bench.drew_gate(true);
    bench.ticks += 400;
    bench.press("Enter");
    // Another console was first; this one missed the signal.
    let seq = bench.events.last().unwrap().seq + 1;
    let at = bench.now().wall;
    bench.events.push(crate::model::event::JournalEvent {
        run_id: run_id(1),
        seq,
        at,
        fact: test_support::resolved(2, Decision::Reject, "ann"),
    });
    bench.answer(Err(Failure::new(
        Code::ApprovalAlreadyResolved,
        "rejected by ann at 12:41",
    )));
    let DecisionStep::Receipt(receipt) = stage(&bench) else {
        panic!("{:?}", stage(&bench))
    };
    assert_eq!(
        (receipt.action.as_str(), receipt.by.as_str(), receipt.ours),
        ("rejected", "ann (console)", false)
    );
}

#[test]
fn enter_that_was_meant_to_approve_does_not_put_somebody_elses_answer_away() {
    let mut bench = at_gate(SampleRunState::Awaiting);
    bench.press("A");
    bench.drew_gate(true);
    bench.ticks += 400;
    bench.store_fact(test_support::resolved(2, Decision::Reject, "ann"));
    bench.press("Enter");
    assert!(
        bench.sent.is_empty()
            && matches!(stage(&bench), DecisionStep::Receipt(receipt) if !receipt.ours)
    );
    bench.drew_gate(true);
    bench.ticks += 300;
    bench.press("Enter");
    assert_eq!(
        bench.state.screen(),
        Screen::Gate,
        "it was on the screen for a moment only"
    );
    bench.ticks += 500;
    bench.press("Enter");
    assert_eq!(bench.state.screen(), Screen::Run);
}

#[test]
fn an_answer_that_no_word_came_back_for_is_ours_where_it_counts_after_all() {
    for (code, ours) in [
        (Code::HostGoingAway, true),
        (Code::PaneBrieflyUnresponsive, true),
        (Code::ApprovalAlreadyResolved, false),
    ] {
        let mut bench = at_gate(SampleRunState::Awaiting);
        bench.press("A");
        bench.drew_gate(true);
        bench.ticks += 400;
        bench.press("Enter");
        bench.answer(Err(Failure::new(code, "resumes only after")));
        assert!(matches!(stage(&bench), DecisionStep::Reading), "{code}");
        bench.store_fact(test_support::resolved(2, Decision::Approve, "mo"));
        let DecisionStep::Receipt(receipt) = stage(&bench) else {
            panic!("{:?}", stage(&bench))
        };
        assert_eq!(receipt.ours, ours, "{code}");
    }
}

#[test]
fn a_fact_that_comes_as_news_and_as_an_answer_of_the_archive_counts_once() {
    let mut bench = at_gate(SampleRunState::Awaiting);
    bench.press("A");
    bench.drew_gate(true);
    bench.ticks += 400;
    bench.press("Enter");
    let since = bench.events.last().unwrap().seq;
    bench.store_fact(test_support::resolved(2, Decision::Approve, "mo"));
    let (binding, _) = test_support::bindings().remove(0);
    let seat = SeatChange {
        phase_key: "plan".into(),
        was: binding.persona.clone(),
        binding,
    };
    bench.store_fact(RunFact::PersonasChanged {
        request_id: test_support::request_id(2),
        seats: vec![seat],
    });
    let once = stage(&bench).clone();
    let DecisionStep::Receipt(receipt) = &once else {
        panic!("{once:?}")
    };
    assert!(
        receipt.ours && receipt.came_to.matches("continues with plan").count() == 1,
        "{receipt:?}"
    );
    let query = ArchiveQuery::News(run_id(1), since);
    let answer = bench.answer_query(&query);
    bench.feed(Msg::Loaded(query, answer));
    let DecisionStep::Receipt(again) = stage(&bench) else {
        panic!("{:?}", stage(&bench))
    };
    assert_eq!(again, receipt);
}

#[test]
fn an_answer_elsewhere_turns_the_open_gate_into_a_receipt() {
    let mut bench = at_gate(SampleRunState::Awaiting);
    bench.store_fact(test_support::resolved(2, Decision::Approve, "ann"));
    assert!(matches!(stage(&bench), DecisionStep::Receipt(receipt) if !receipt.ours));
    bench.ticks += 2000;
    bench.press("A");
    assert!(bench.sent.is_empty());
}

#[test]
fn a_refused_answer_leaves_the_gate_open_and_says_why() {
    let mut bench = at_gate(SampleRunState::Awaiting);
    bench.press("A");
    bench.drew_gate(true);
    bench.ticks += 400;
    bench.press("Enter");
    bench.answer(Err(Failure::new(Code::DiskFull, "no space left")));
    assert!(matches!(stage(&bench), DecisionStep::Reading));
    assert_eq!(
        bench
            .state
            .gate
            .as_ref()
            .unwrap()
            .failure
            .as_ref()
            .unwrap()
            .code,
        Code::DiskFull
    );
}

#[test]
fn a_run_that_ends_closes_its_open_gate() {
    let mut bench = at_gate(SampleRunState::Awaiting);
    bench.store_fact(RunFact::RunAborted {
        by: "ann".to_owned(),
        via: crate::model::state::Via::Cli,
        reason: String::new(),
    });
    assert!(!bench.state.gate.as_ref().unwrap().is_open());
}

/// The program that was wanted.
pub fn asked_outside(bench: &ConsoleHarness) -> Option<&ExternalProgram> {
    bench.done.iter().rev().find_map(|cmd| {
        if let Cmd::Outside(outside) = cmd {
            Some(outside)
        } else {
            None
        }
    })
}

#[test]
fn what_was_edited_is_sent_for_this_question_and_the_next_one_opens_by_itself() {
    let mut bench = at_gate(SampleRunState::AwaitingFirst);
    bench.press("e");
    let sha256 = ContentHash::from_bytes(test_support::SPEC_V1.as_bytes());
    let edit = ExternalProgram::Edit {
        request_id: request_id(1),
        sha256,
        path: "spec.json".to_owned(),
    };
    assert_eq!(asked_outside(&bench), Some(&edit));
    let content = test_support::SPEC_V2.to_owned();
    bench.feed(Msg::Returned(ExternalResult::Edited {
        request_id: request_id(1),
        content: content.clone(),
    }));
    let revise = EngineCommand::Revise {
        run_id: run_id(1),
        request_id: request_id(1),
        content,
    };
    assert_eq!(bench.sent.last().map(|(_, command)| command), Some(&revise));
    assert!(matches!(stage(&bench), DecisionStep::Revising { .. }));
    // The facts are faster than the answer.
    test_support::revised()
        .into_iter()
        .for_each(|fact| bench.store_fact(fact));
    assert_eq!(
        bench.state.gate.as_ref().unwrap().request_id,
        request_id(2),
        "the question about the new version"
    );
    assert!(matches!(stage(&bench), DecisionStep::Reading));
    bench.answer(Ok(CommandAnswer::Accepted { run_id: run_id(1) }));
    assert!(bench.done.contains(&Cmd::DropEdit(request_id(1))));
    assert_eq!(decided(&bench), None, "editing decides nothing");
    bench.press("A");
    assert!(
        matches!(stage(&bench), DecisionStep::Reading),
        "the new question was not drawn yet"
    );
}

#[test]
fn a_version_that_does_not_fit_is_told_whole_and_the_gate_stays_open() {
    let mut bench = at_gate(SampleRunState::AwaitingFirst);
    bench.press("e");
    bench.feed(Msg::Returned(ExternalResult::Edited {
        request_id: request_id(1),
        content: "{}".to_owned(),
    }));
    bench.answer(Err(Failure::new(
        Code::UsageInvalid,
        "spec.json does not fit dev/spec@1:\n/title: is missing\n/a: is no text",
    )));
    let Some(Modal::Text(_, reading)) = &bench.state.modal else {
        panic!("told")
    };
    let lines: Vec<&str> = reading
        .doc()
        .lines
        .iter()
        .map(|line| line.text.as_str())
        .collect();
    assert_eq!(
        lines[..3],
        [
            "spec.json does not fit dev/spec@1:",
            "/title: is missing",
            "/a: is no text"
        ]
    );
    assert!(matches!(stage(&bench), DecisionStep::Reading));
    assert!(
        !bench.done.contains(&Cmd::DropEdit(request_id(1))),
        "the text is kept"
    );
}

#[test]
fn a_program_that_ended_badly_or_changed_nothing_sends_nothing() {
    for returned in [
        ExternalResult::Unchanged,
        ExternalResult::Failed(Failure::new(Code::IoFailed, "vi ended badly")),
        ExternalResult::Edited {
            request_id: request_id(9),
            content: "for another question".to_owned(),
        },
    ] {
        let mut bench = at_gate(SampleRunState::Awaiting);
        bench.feed(Msg::Returned(returned));
        assert!(bench.sent.is_empty());
        bench.press("A");
        assert!(
            matches!(stage(&bench), DecisionStep::Reading),
            "keys of the other program decide nothing"
        );
    }
}

#[test]
fn enter_at_a_gate_reads_on_or_takes_up_the_words_and_never_decides() {
    let mut bench = at_gate(SampleRunState::Awaiting);
    bench.press("Enter");
    assert!(matches!(stage(&bench), DecisionStep::Reading));
    bench.ticks += 1000;
    bench.press("c");
    bench.type_text("shorter", 10);
    bench.press("Esc");
    bench.drew_gate(true);
    bench.ticks += 1000;
    bench.press("Enter");
    assert!(matches!(
        stage(&bench),
        DecisionStep::Writing {
            action: Decision::RequestChanges,
            ..
        }
    ));
    assert!(bench.sent.is_empty());
}
