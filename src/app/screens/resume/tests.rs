//! Flows after a crash and after an end: unsure calls are answered one by one, an ended run is tried again.
use crate::app::msg::{ArchiveQuery, Cmd, FrameReport, Msg};
use crate::app::screens::gate::state::DecisionStep;
use crate::app::state::{Modal, Screen};
use crate::app::test_support;
use crate::app::test_support::{ConsoleHarness, SampleRunState, record, run_id};
use crate::engine::api::{CallResolution, CommandAnswer, EngineCommand};
use crate::model::error::{Code, Failure};
use crate::model::event::{JournalEvent, RunFact};
use crate::model::record::RunRecord;
use crate::model::state::{Decision, PauseReason, RunStatus, Strategy};

fn crashed() -> ConsoleHarness {
    let run = RunRecord {
        pause_reason: Some(PauseReason::Crashed.as_str().to_owned()),
        paused_from_state: Some("executing".to_owned()),
        ..record(9, RunStatus::Paused, 30)
    };
    let mut bench = ConsoleHarness::new((80, 24), vec![run], SampleRunState::Executing).start(None);
    bench.feed(Msg::Drawn(FrameReport {
        list: Some(5),
        drained: true,
        ..FrameReport::default()
    }));
    assert_eq!(bench.state.screen(), Screen::Picker);
    bench
}

#[test]
fn an_unsure_call_is_answered_only_when_it_is_on_the_screen() {
    for (key, how) in [
        ("R", CallResolution::Redo),
        ("D", CallResolution::Done),
        ("S", CallResolution::Skip),
    ] {
        let mut bench = crashed();
        bench.press(key);
        assert!(
            bench.sent.is_empty() && bench.state.picker.preview,
            "the first key only shows the card"
        );
        bench.press("]");
        bench.press(key);
        let (_, command) = bench.sent.last().unwrap();
        assert_eq!(
            *command,
            EngineCommand::Settle {
                run_id: run_id(9),
                call_id: "t1:call_1_2".to_owned(),
                how
            }
        );
        assert_eq!(bench.sent.len(), 1);
    }
}

#[test]
fn after_an_answer_the_card_is_read_anew_and_the_cursor_stays_on_it() {
    let mut bench = crashed();
    bench.press("Tab");
    bench.press("]");
    bench.press("]");
    bench.press("D");
    let ticket = bench.sent.last().unwrap().0;
    let now = bench.now();
    let cmds = crate::app::update::update(
        &mut bench.state,
        Msg::Answered(ticket, Ok(CommandAnswer::Accepted { run_id: run_id(9) })),
        now,
    );
    assert!(
        cmds.contains(&Cmd::Query(ArchiveQuery::Previews(vec![run_id(9)]))),
        "{cmds:?}"
    );
    bench
        .state
        .picker
        .previews
        .get_mut(&run_id(9))
        .unwrap()
        .card
        .as_mut()
        .unwrap()
        .unsure
        .remove(1);
    assert_eq!(
        bench.state.picker.unsure_call(),
        Some((run_id(9), "t1:call_1_1".to_owned()))
    );
}

/// A run that rests before its budget, in the picker.
fn out_of_money(others: Vec<RunRecord>) -> ConsoleHarness {
    let mut bench = ConsoleHarness::new((80, 24), Vec::new(), SampleRunState::Executing);
    let seq = bench.events.last().unwrap().seq;
    let rest = RunFact::RunPaused {
        ordinal: 1,
        reason: PauseReason::Budget,
        from_state: RunStatus::Executing,
    };
    let facts = [
        rest,
        test_support::approval_requested(7, test_support::a_budget()),
    ]
    .into_iter()
    .enumerate();
    bench.events.extend(facts.map(|(n, fact)| JournalEvent {
        run_id: run_id(1),
        seq: seq + 1 + n as u64,
        at: test_support::NOW,
        fact,
    }));
    bench.records =
        vec![test_support::opened(&bench.events, crate::model::state::Risk::Medium).record];
    bench.records.extend(others);
    let mut bench = bench.start(None);
    bench.feed(Msg::Drawn(FrameReport {
        list: Some(5),
        drained: true,
        ..FrameReport::default()
    }));
    assert_eq!(bench.state.screen(), Screen::Picker);
    bench
}

#[test]
fn a_run_that_rests_before_its_budget_is_not_resumed_but_asked_about() {
    for leave in [&["Enter"][..], &["Esc", "r"], &["v", "r"]] {
        let mut bench = out_of_money(Vec::new());
        leave.iter().for_each(|key| bench.press(key));
        assert_eq!(
            (bench.sent.len(), bench.state.screen()),
            (0, Screen::Gate),
            "{leave:?}"
        );
        assert_eq!(
            bench.state.gate.as_ref().unwrap().request_id,
            test_support::request_id(7)
        );
    }
}

#[test]
fn a_paused_run_goes_on_from_its_gate_before_the_answer_or_after() {
    for answered in [false, true] {
        let mut bench = at_gate();
        bench.store_fact(RunFact::RunPaused {
            ordinal: 1,
            reason: PauseReason::Shutdown,
            from_state: RunStatus::AwaitingApproval,
        });
        if answered {
            bench.store_fact(test_support::resolved(2, Decision::Approve, "mo"));
        }
        bench.press("r");
        let sent: Vec<&EngineCommand> = bench.sent.iter().map(|(_, command)| command).collect();
        assert_eq!(
            (sent, bench.state.screen()),
            (
                vec![&EngineCommand::Resume { run_id: run_id(1) }],
                Screen::Gate
            ),
            "{answered}"
        );
    }
    let mut bench = out_of_money(Vec::new());
    bench.press("Enter");
    bench.press("r");
    assert!(
        bench.sent.is_empty()
            && bench.state.notice.is_some()
            && bench.state.screen() == Screen::Gate
    );
}

#[test]
fn of_several_marked_ones_those_that_ask_for_money_stay_and_it_is_said() {
    let mut bench = out_of_money(vec![record(9, RunStatus::Paused, 30)]);
    bench.press("Space");
    bench.press("Space");
    bench.press("Enter");
    let resumed: Vec<&EngineCommand> = bench.sent.iter().map(|(_, command)| command).collect();
    assert_eq!(resumed, [&EngineCommand::Resume { run_id: run_id(9) }]);
    let said = bench.state.notice.as_ref().unwrap().text.clone();
    assert_eq!(
        said,
        "resuming 1 run: sending; 1 needs more budget: ! to review"
    );
}

fn ended() -> ConsoleHarness {
    let run = test_support::opened(
        &test_support::journal(SampleRunState::Failed),
        crate::model::state::Risk::Medium,
    )
    .record;
    let mut bench =
        ConsoleHarness::new((80, 24), vec![run], SampleRunState::Failed).start(Some(run_id(1)));
    bench.press("r");
    bench
}

#[test]
fn an_ended_run_is_tried_again_only_after_a_question_whose_first_answer_is_no() {
    let mut bench = ended();
    assert!(matches!(&bench.state.modal, Some(Modal::Confirm(confirm)) if confirm.cursor == 0));
    bench.feed(Msg::Drawn(FrameReport {
        drained: true,
        ..FrameReport::default()
    }));
    bench.press("Enter");
    assert!(bench.sent.is_empty() && bench.state.modal.is_none());
    bench.press("r");
    bench.feed(Msg::Drawn(FrameReport {
        drained: true,
        ..FrameReport::default()
    }));
    bench.press("Right");
    bench.press("Enter");
    let Some((_, EngineCommand::Retry(retry))) = bench.sent.last() else {
        panic!("{:?}", bench.sent)
    };
    assert_eq!(
        (retry.run_id, retry.from.as_ref().map(|key| key.as_str())),
        (run_id(1), Some("plan"))
    );
    assert!(retry.idempotency_key.is_some());
}

#[test]
fn the_new_run_opens_or_the_refusal_is_said() {
    for refused in [false, true] {
        let mut bench = ended();
        bench.feed(Msg::Drawn(FrameReport {
            drained: true,
            ..FrameReport::default()
        }));
        bench.press("Right");
        bench.press("Enter");
        let failure =
            || Failure::new(Code::ThreadBusy, "run x holds the thread").hint("wait for it");
        bench.answer(if refused {
            Err(failure())
        } else {
            Ok(CommandAnswer::Started {
                run_id: run_id(2),
                existing: false,
            })
        });
        let open = bench.state.run.as_ref().unwrap().run_id;
        assert_eq!(open, if refused { run_id(1) } else { run_id(2) });
        assert_eq!(
            bench
                .state
                .notice
                .as_ref()
                .is_some_and(|notice| notice.text.contains("holds the thread")),
            refused
        );
    }
}

fn at_gate() -> ConsoleHarness {
    let record = test_support::opened(
        &test_support::journal(SampleRunState::Awaiting),
        crate::model::state::Risk::Medium,
    )
    .record;
    let mut bench =
        ConsoleHarness::new((80, 24), vec![record], SampleRunState::Awaiting).start(None);
    bench.candidates = test_support::candidates();
    bench.press("!");
    bench
}

fn choose_the_second(bench: &mut ConsoleHarness) {
    bench.feed(Msg::Drawn(FrameReport {
        drained: true,
        ..FrameReport::default()
    }));
    bench.press("Right");
    bench.press("Enter");
}

#[test]
fn a_fork_names_another_persona_for_the_seat_and_the_gate_stays_open() {
    let mut bench = at_gate();
    bench.press("F");
    bench.work();
    let Some(Modal::Confirm(confirm)) = &bench.state.modal else {
        panic!("{:?}", bench.state.notice)
    };
    let named = confirm.choices[1].0.clone();
    choose_the_second(&mut bench);
    let Some((_, EngineCommand::Fork(fork))) = bench.sent.last() else {
        panic!("{:?}", bench.sent)
    };
    assert_eq!(
        (
            fork.run_id,
            fork.personas.values().cloned().collect::<Vec<_>>()
        ),
        (run_id(1), vec![named])
    );
    assert!(bench.state.gate.as_ref().unwrap().is_open());
    bench.answer(Ok(CommandAnswer::Started {
        run_id: run_id(5),
        existing: false,
    }));
    assert_eq!(bench.state.screen(), Screen::Gate);
}

#[test]
fn a_fork_is_taken_only_after_a_question_and_a_refusal_leaves_the_gate_open() {
    let mut bench = at_gate();
    bench.press("K");
    assert!(bench.sent.is_empty());
    choose_the_second(&mut bench);
    assert_eq!(
        bench.sent.last().unwrap().1,
        EngineCommand::Pick {
            run_id: run_id(1),
            fork: run_id(5)
        }
    );
    bench.answer(Err(Failure::new(
        Code::IllegalTransition,
        "that fork is still at work",
    )));
    let gate = bench.state.gate.as_ref().unwrap();
    assert!(gate.is_open() && gate.failure.is_some());
}

#[test]
fn a_retry_can_begin_earlier_and_says_what_happens_where_the_thread_is_held() {
    let mut bench = ended();
    let lines = |bench: &ConsoleHarness| {
        let Some(Modal::Confirm(confirm)) = &bench.state.modal else {
            panic!("not asked")
        };
        confirm
            .detail
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let enter = |bench: &mut ConsoleHarness| {
        bench.feed(Msg::Drawn(FrameReport {
            drained: true,
            ..FrameReport::default()
        }));
        bench.press("Enter");
    };
    bench.records.push(RunRecord {
        thread: "shop-cart:main1".into(),
        ..record(3, RunStatus::Executing, 3)
    });
    bench.feed(Msg::Stale);
    bench.press("Right");
    assert_eq!(
        (lines(&bench)[0].as_str(), lines(&bench)[4].as_str()),
        ("keeps       spec", "if held     this start is refused")
    );
    bench.press("Right");
    assert_eq!(lines(&bench)[0], "keeps       nothing");
    bench.press("Right");
    enter(&mut bench);
    assert!(bench.sent.is_empty(), "that was another word, no start");
    assert_eq!(
        lines(&bench)[4],
        format!(
            "if held     it waits until run {} rests or ends",
            run_id(3).short()
        )
    );
    bench.press("Left");
    enter(&mut bench);
    let Some((_, EngineCommand::Retry(retry))) = bench.sent.last() else {
        panic!("{:?}", bench.sent)
    };
    assert_eq!(
        (retry.from.as_ref().map(|key| key.as_str()), retry.strategy),
        (Some("spec"), Some(Strategy::Enqueue))
    );
}

#[test]
fn the_gate_that_was_taken_over_says_whose_version_it_is_and_the_next_offers_it_no_more() {
    let mut bench = at_gate();
    bench.press("K");
    choose_the_second(&mut bench);
    bench.store_fact(test_support::picked().remove(0));
    let DecisionStep::Receipt(receipt) = &bench.state.gate.as_ref().unwrap().stage else {
        panic!("no receipt")
    };
    let told = format!(
        "mo with the version of fork {} by terse-analyst@1; it needs approval",
        run_id(5).short()
    );
    assert_eq!(
        (receipt.action.as_str(), receipt.by.as_str(), receipt.ours),
        ("superseded", told.as_str(), true)
    );
    bench.candidates[0].artifact = bench.candidates[1].artifact.clone();
    test_support::picked()
        .into_iter()
        .skip(1)
        .for_each(|fact| bench.store_fact(fact));
    bench.answer(Ok(CommandAnswer::Accepted { run_id: run_id(1) }));
    assert_eq!(
        bench.state.gate.as_ref().unwrap().request_id,
        test_support::request_id(3),
        "the next question is on the screen"
    );
    bench.press("K");
    assert!(
        bench
            .state
            .notice
            .as_ref()
            .unwrap()
            .text
            .starts_with("no fork has"),
        "{:?}",
        bench.state.notice
    );
}

#[test]
fn who_took_another_version_is_named_whatever_is_told_first_and_however_often() {
    let rows = || ArchiveQuery::Details(run_id(1));
    let facts = || ArchiveQuery::News(run_id(1), 0);
    for asked in [
        vec![rows(), facts()],
        vec![facts(), rows()],
        vec![facts(), facts()],
        vec![ArchiveQuery::Open(run_id(1))],
    ] {
        let mut bench = at_gate();
        bench.press("K");
        choose_the_second(&mut bench);
        // No signal comes: the console looks itself.
        for fact in test_support::picked().into_iter().take(1) {
            let (seq, at) = (bench.events.last().unwrap().seq + 1, bench.now().wall);
            bench.events.push(JournalEvent {
                run_id: run_id(1),
                seq,
                at,
                fact,
            });
        }
        for query in asked.clone() {
            let answer = bench.answer_query(&query);
            bench.feed(Msg::Loaded(query, answer));
        }
        let DecisionStep::Receipt(receipt) = &bench.state.gate.as_ref().unwrap().stage else {
            panic!(
                "{asked:?}: {:?}",
                bench
                    .state
                    .gate
                    .as_ref()
                    .map(|gate| (&gate.stage, gate.told, gate.request_id))
            )
        };
        let told = format!(
            "mo with the version of fork {} by terse-analyst@1; it needs approval",
            run_id(5).short()
        );
        assert_eq!(
            (receipt.by.as_str(), receipt.ours),
            (told.as_str(), true),
            "{asked:?}"
        );
    }
}
