//! Flows of the pure core: feed, then look at the state and at what is to be done.

use proptest::prelude::*;

use crate::app::gate::Stage;
use crate::app::key::{Chord, KeyCode};
use crate::app::msg::{Cmd, Drawn, Msg, Outside, Returned};
use crate::app::sample::{self, Bench, Place, record, records, request_id, run_id};
use crate::app::state::{Modal, Screen};
use crate::engine::api::{Answer, Command};
use crate::model::error::{Code, Failure};
use crate::model::event::Fact;
use crate::model::hash::ContentHash;
use crate::model::record::RunRecord;
use crate::model::state::{Decision, Risk, RunStatus};

/// A bench at the gate of run 1, drawn and quiet.
fn at_gate(place: Place) -> Bench {
    let mut bench = Bench::new((80, 24), vec![waiting_record()], place).start(None);
    bench.press("!");
    bench.drew_gate(true);
    bench.ticks += 2000;
    bench
}

fn waiting_record() -> crate::model::record::RunRecord {
    sample::opened(&sample::journal(Place::Awaiting), Risk::Medium).record
}

fn stage(bench: &Bench) -> &Stage {
    &bench.state.gate.as_ref().unwrap().stage
}

fn decided(bench: &Bench) -> Option<(Decision, String)> {
    bench.sent.iter().find_map(|(_, command)| match command {
        Command::Decide { action, comment, .. } => Some((*action, comment.clone())),
        _ => None,
    })
}

#[test]
fn approving_takes_two_strokes_and_names_the_content_that_was_shown() {
    let mut bench = at_gate(Place::Awaiting);
    bench.press("A");
    assert!(matches!(stage(&bench), Stage::Confirm { .. }));
    assert_eq!(decided(&bench), None);
    bench.drew_gate(true);
    bench.ticks += 400;
    bench.press("Enter");
    let (_, command) = bench.sent.last().unwrap();
    assert_eq!(
        *command,
        Command::Decide {
            run_id: run_id(1),
            request_id: Some(request_id(2)),
            action: Decision::Approve,
            comment: String::new(),
            artifact_sha256: Some(ContentHash::of(sample::SPEC_V2.as_bytes())),
            scope: None,
            raise_nano_usd: None,
            personas: Vec::new(),
        }
    );
    assert!(matches!(stage(&bench), Stage::Sending { .. }));
    bench.answer(Ok(Answer::Decided { run_id: run_id(1), request_id: request_id(2), action: Decision::Approve }));
    assert!(matches!(stage(&bench), Stage::Recorded { .. }));
    bench.happens(sample::resolved(2, Decision::Approve, "mo"));
    let Stage::Receipt(receipt) = stage(&bench) else { panic!("{:?}", stage(&bench)) };
    assert_eq!((receipt.action.as_str(), receipt.by.as_str(), receipt.ours), ("approved", "mo (console)", true));
}

#[test]
fn two_hundred_keys_typed_while_a_gate_arrives_decide_nothing() {
    let prose = "Approve All the Changes, X marks the spot A\n c X A A A A A c c c c yes y y ";
    for pause in [1, 30, 100, 250, 699] {
        let mut bench = Bench::new((80, 24), vec![waiting_record()], Place::Awaiting).start(None);
        bench.press("!");
        for c in prose.chars().cycle().take(200) {
            bench.ticks += pause;
            let chord = if c == '\n' { Chord::plain(KeyCode::Enter) } else { Chord::char(c) };
            // Palette, help and leaving are no verdicts, but they would take the keys away.
            if !matches!(c, 'q' | ':' | '?' | '!' | 'x') {
                bench.feed(Msg::Key(chord));
                bench.drew_gate(pause % 2 == 0);
            }
        }
        assert!(bench.sent.is_empty(), "{pause}: {:?}", bench.sent);
        assert!(matches!(stage(&bench), Stage::Reading), "{pause}");
    }
}

#[test]
fn a_paste_decides_nothing_and_writes_only_where_a_text_is_written() {
    let mut bench = at_gate(Place::Awaiting);
    bench.feed(Msg::Paste("A\n".to_owned()));
    assert!(matches!(stage(&bench), Stage::Reading));
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
    assert_eq!(decided(&bench), Some((Decision::RequestChanges, "more tests␛[201~\nplease".to_owned())));
}

#[test]
fn a_verdict_key_waits_until_the_gate_was_drawn_and_no_input_was_waiting() {
    let mut bench = Bench::new((80, 24), vec![waiting_record()], Place::Awaiting).start(None);
    bench.press("!");
    bench.ticks += 5000;
    bench.press("A");
    assert!(matches!(stage(&bench), Stage::Reading), "never drawn");
    bench.ticks += 5000;
    bench.drew_gate(false);
    bench.ticks += 5000;
    bench.press("A");
    assert!(matches!(stage(&bench), Stage::Reading), "input was waiting");
    bench.drew_gate(true);
    bench.ticks += 699;
    bench.press("A");
    assert!(matches!(stage(&bench), Stage::Reading), "too soon");
    bench.ticks += 700;
    bench.press("A");
    assert!(matches!(stage(&bench), Stage::Confirm { .. }));
}

#[test]
fn a_held_key_does_not_answer_approve() {
    let mut bench = at_gate(Place::Awaiting);
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
    let mut bench = Bench::new((80, 24), vec![waiting_record()], Place::Awaiting);
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
        let mut bench = at_gate(Place::Awaiting);
        bench.press(key);
        bench.press("Space");
        bench.press("Ctrl-S");
        assert!(bench.sent.is_empty());
        assert!(bench.state.gate.as_ref().unwrap().notice.as_ref().unwrap().starts_with("write "));
        bench.type_text("no", 50);
        bench.press("Tab");
        bench.press("Enter");
        assert_eq!(decided(&bench), Some((action, "no".to_owned())));
    }
}

#[test]
fn esc_is_no_verdict_and_loses_no_word() {
    let mut bench = at_gate(Place::Awaiting);
    bench.press("c");
    bench.type_text("too lo", 50);
    bench.press("Esc");
    let saved =
        |bench: &Bench| bench.done.iter().rev().find_map(|cmd| if let Cmd::SaveDraft(_, draft) = cmd { Some(draft.clone()) } else { None });
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
    assert_eq!(decided(&bench), Some((Decision::RequestChanges, "too long".to_owned())));
}

#[test]
fn words_are_kept_soon_after_the_last_key() {
    let mut bench = at_gate(Place::Awaiting);
    bench.press("c");
    bench.type_text("hm", 10);
    let wake = bench.state.wakes_in().unwrap();
    assert!(wake <= 500, "{wake}");
    bench.ticks += 500;
    bench.feed(Msg::Tick);
    assert!(bench.done.iter().any(|cmd| matches!(cmd, Cmd::SaveDraft(_, draft) if draft.text == "hm")));
}

#[test]
fn who_was_faster_is_shown() {
    let mut bench = at_gate(Place::Awaiting);
    bench.press("A");
    bench.drew_gate(true);
    bench.ticks += 400;
    bench.press("Enter");
    // Another console was first; this one missed the signal.
    let seq = bench.events.last().unwrap().seq + 1;
    let at = bench.now().wall;
    bench.events.push(crate::model::event::Event { run_id: run_id(1), seq, at, fact: sample::resolved(2, Decision::Reject, "ann") });
    bench.answer(Err(Failure::new(Code::ApprovalAlreadyResolved, "rejected by ann at 12:41")));
    let Stage::Receipt(receipt) = stage(&bench) else { panic!("{:?}", stage(&bench)) };
    assert_eq!((receipt.action.as_str(), receipt.by.as_str(), receipt.ours), ("rejected", "ann (console)", false));
}

#[test]
fn an_answer_elsewhere_turns_the_open_gate_into_a_receipt() {
    let mut bench = at_gate(Place::Awaiting);
    bench.happens(sample::resolved(2, Decision::Approve, "ann"));
    assert!(matches!(stage(&bench), Stage::Receipt(receipt) if !receipt.ours));
    bench.ticks += 2000;
    bench.press("A");
    assert!(bench.sent.is_empty());
}

#[test]
fn a_refused_answer_leaves_the_gate_open_and_says_why() {
    let mut bench = at_gate(Place::Awaiting);
    bench.press("A");
    bench.drew_gate(true);
    bench.ticks += 400;
    bench.press("Enter");
    bench.answer(Err(Failure::new(Code::DiskFull, "no space left")));
    assert!(matches!(stage(&bench), Stage::Reading));
    assert_eq!(bench.state.gate.as_ref().unwrap().failure.as_ref().unwrap().code, Code::DiskFull);
}

#[test]
fn a_gate_that_arrives_takes_no_focus_and_rings_only_where_nobody_looks() {
    let mut bench = Bench::new((80, 24), vec![record(3, RunStatus::Executing, 3)], Place::Executing).start(None);
    let screen = bench.state.screen();
    bench.feed(Msg::Focus(false));
    bench.records.push(waiting_record());
    bench.feed(Msg::Stale);
    assert_eq!((bench.state.screen(), bench.done.clone()), (screen, vec![Cmd::Notify("phasedeck: a run waits for you")]));
    bench.feed(Msg::Stale);
    assert_eq!(bench.done.len(), 1, "only on the transition");
}

#[test]
fn a_jump_in_the_numbers_asks_for_a_new_snapshot() {
    let mut bench = Bench::new((80, 24), vec![waiting_record()], Place::AwaitingFirst).start(Some(run_id(1)));
    bench.events = sample::journal(Place::Awaiting);
    let last = bench.events.last().unwrap().clone();
    bench.feed(Msg::Event(std::sync::Arc::new(last.clone())));
    assert_eq!(bench.state.run.as_ref().unwrap().state().unwrap().last_seq, last.seq);
}

#[test]
fn facts_fold_as_they_come() {
    let mut bench = Bench::new((80, 24), records(), Place::Executing).start(Some(run_id(1)));
    for event in sample::journal(Place::Completed).into_iter().skip(8) {
        bench.happens(event.fact);
    }
    assert_eq!(bench.state.run.as_ref().unwrap().state().unwrap().status, RunStatus::Completed);
}

#[test]
fn the_picker_opens_at_the_start_when_something_is_paused_and_only_then() {
    let bench = Bench::new((80, 24), records(), Place::Executing).start(None);
    assert_eq!(bench.state.screen(), Screen::Picker);
    let bench = Bench::new((80, 24), vec![waiting_record()], Place::Executing).start(None);
    assert_eq!(bench.state.screen(), Screen::Runs);
    let mut bench = Bench::new((80, 24), vec![], Place::Executing).start(None);
    bench.press("j");
    bench.records = records();
    bench.feed(Msg::Stale);
    assert_eq!(bench.state.screen(), Screen::Runs, "a key was pressed before");
}

#[test]
fn marked_runs_are_resumed_together() {
    let paused = |n| record(n, RunStatus::Paused, 90);
    let mut bench = Bench::new((80, 24), vec![paused(1), paused(2), paused(3)], Place::Executing).start(None);
    bench.press("Space");
    bench.press("Space");
    bench.press("Enter");
    let resumed: Vec<&Command> = bench.sent.iter().map(|(_, command)| command).collect();
    assert_eq!(resumed, [&Command::Resume { run_id: run_id(1) }, &Command::Resume { run_id: run_id(2) }]);
}

#[test]
fn ending_a_run_asks_and_the_first_answer_is_harmless() {
    let mut bench = Bench::new((80, 24), records(), Place::Executing).start(Some(run_id(1)));
    let drawn = |bench: &mut Bench| bench.feed(Msg::Drawn(crate::app::msg::Drawn { drained: true, ..Default::default() }));
    bench.press("x");
    drawn(&mut bench);
    bench.press("Enter");
    assert!(bench.sent.is_empty() && bench.state.modal.is_none());
    bench.press("x");
    bench.press("Right");
    bench.press("Enter");
    assert!(bench.sent.is_empty(), "not drawn yet");
    drawn(&mut bench);
    bench.press("Enter");
    assert_eq!(bench.sent.last().unwrap().1, Command::Abort { run_id: run_id(1), reason: String::new() });
}

#[test]
fn leaving_asks_only_while_runs_work_here() {
    let mut bench = Bench::new((80, 24), vec![waiting_record()], Place::Awaiting).start(None);
    bench.press("q");
    assert_eq!(bench.done, [Cmd::Quit]);
    let mut bench = Bench::new((80, 24), vec![record(3, RunStatus::Executing, 3)], Place::Executing).start(None);
    bench.press("q");
    assert!(matches!(&bench.state.modal, Some(Modal::Confirm(_))) && bench.done.is_empty());
    bench.press("Esc");
    bench.press("Ctrl-C");
    assert!(bench.done.is_empty());
    bench.press("Ctrl-C");
    assert_eq!(bench.done, [Cmd::Drain]);
    bench.feed(Msg::Drained);
    assert_eq!(bench.done, [Cmd::Drain, Cmd::Quit]);
}

#[test]
fn a_run_that_ends_closes_its_open_gate() {
    let mut bench = at_gate(Place::Awaiting);
    bench.happens(Fact::RunAborted { by: "ann".to_owned(), via: crate::model::state::Via::Cli, reason: String::new() });
    assert!(!bench.state.gate.as_ref().unwrap().is_open());
}

#[test]
fn an_idle_console_sleeps_until_midnight() {
    let mut bench = Bench::new((80, 24), vec![waiting_record()], Place::Awaiting).start(None);
    bench.feed(Msg::Tick);
    // It is 04:40.
    assert_eq!(bench.state.wakes_in(), Some((19 * 60 + 20) * 60_000));
}

fn any_chord() -> impl Strategy<Value = Chord> {
    use KeyCode::{BackTab, Backspace, Char, Delete, Down, End, Enter, Esc, Home, Left, PageDown, PageUp, Right, Tab, Up};
    let codes = vec![BackTab, Backspace, Delete, Down, End, Enter, Esc, Home, Left, PageDown, PageUp, Right, Tab, Up];
    let typed = prop::sample::select("jkgGAcXxpr!:?123456z[]fq vn".chars().map(Char).collect::<Vec<_>>());
    (prop_oneof![prop::sample::select(codes), typed], prop::bool::weighted(0.1)).prop_map(|(code, ctrl)| Chord { code, ctrl, alt: false })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_keys_on_any_state_panic_and_none_decides_unseen(
        chords in prop::collection::vec((any_chord(), 0u64..1500), 0..80),
        place in prop::sample::select(vec![Place::Executing, Place::AwaitingFirst, Place::Awaiting, Place::Completed, Place::Failed]),
        on_run in any::<bool>(),
    ) {
        let mut bench = Bench::new((80, 24), records(), place).start(on_run.then(|| run_id(1)));
        for (chord, pause) in chords {
            bench.ticks += pause;
            bench.feed(Msg::Key(chord));
        }
        // Nothing was ever drawn, so nothing may have been answered.
        prop_assert_eq!(decided(&bench), None);
    }
}

#[test]
fn what_another_run_says_draws_nothing_and_hides_nothing() {
    let mut bench = Bench::new((80, 24), records(), Place::Executing).start(Some(run_id(1)));
    let chunk = |n| crate::engine::api::TextChunk {
        run_id: run_id(n),
        phase_key: "spec".into(),
        attempt: 1,
        kind: crate::engine::api::TextKind::Answer,
        text: "hm".into(),
    };
    bench.state.dirty = false;
    bench.feed(Msg::Text(chunk(3)));
    assert!(!bench.state.dirty);
    bench.feed(Msg::Text(chunk(1)));
    bench.feed(Msg::Text(chunk(3)));
    assert!(bench.state.dirty);
}

fn asked_outside(bench: &Bench) -> Option<&Outside> {
    bench.done.iter().rev().find_map(|cmd| if let Cmd::Outside(outside) = cmd { Some(outside) } else { None })
}

#[test]
fn what_was_edited_is_sent_for_this_question_and_the_next_one_opens_by_itself() {
    let mut bench = at_gate(Place::AwaitingFirst);
    bench.press("e");
    let sha256 = ContentHash::of(sample::SPEC_V1.as_bytes());
    let edit = Outside::Edit { request_id: request_id(1), sha256, path: "spec.json".to_owned() };
    assert_eq!(asked_outside(&bench), Some(&edit));
    let content = sample::SPEC_V2.to_owned();
    bench.feed(Msg::Returned(Returned::Edited { request_id: request_id(1), content: content.clone() }));
    let revise = Command::Revise { run_id: run_id(1), request_id: request_id(1), content };
    assert_eq!(bench.sent.last().map(|(_, command)| command), Some(&revise));
    assert!(matches!(stage(&bench), Stage::Revising { .. }));
    // The facts are faster than the answer.
    sample::revised().into_iter().for_each(|fact| bench.happens(fact));
    assert_eq!(bench.state.gate.as_ref().unwrap().request_id, request_id(2), "the question about the new version");
    assert!(matches!(stage(&bench), Stage::Reading));
    bench.answer(Ok(Answer::Accepted { run_id: run_id(1) }));
    assert!(bench.done.contains(&Cmd::DropEdit(request_id(1))));
    assert_eq!(decided(&bench), None, "editing decides nothing");
    bench.press("A");
    assert!(matches!(stage(&bench), Stage::Reading), "the new question was not drawn yet");
}

#[test]
fn a_version_that_does_not_fit_is_told_whole_and_the_gate_stays_open() {
    let mut bench = at_gate(Place::AwaitingFirst);
    bench.press("e");
    bench.feed(Msg::Returned(Returned::Edited { request_id: request_id(1), content: "{}".to_owned() }));
    bench.answer(Err(Failure::new(Code::UsageInvalid, "spec.json does not fit dev/spec@1:\n/title: is missing\n/a: is no text")));
    let Some(Modal::Text(_, reading)) = &bench.state.modal else { panic!("told") };
    let lines: Vec<&str> = reading.doc().lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(lines[..3], ["spec.json does not fit dev/spec@1:", "/title: is missing", "/a: is no text"]);
    assert!(matches!(stage(&bench), Stage::Reading));
    assert!(!bench.done.contains(&Cmd::DropEdit(request_id(1))), "the text is kept");
}

#[test]
fn a_program_that_ended_badly_or_changed_nothing_sends_nothing() {
    for returned in [
        Returned::Unchanged,
        Returned::Failed(Failure::new(Code::IoFailed, "vi ended badly")),
        Returned::Edited { request_id: request_id(9), content: "for another question".to_owned() },
    ] {
        let mut bench = at_gate(Place::Awaiting);
        bench.feed(Msg::Returned(returned));
        assert!(bench.sent.is_empty());
        bench.press("A");
        assert!(matches!(stage(&bench), Stage::Reading), "keys of the other program decide nothing");
    }
}

#[test]
fn enter_at_a_gate_reads_on_or_takes_up_the_words_and_never_decides() {
    let mut bench = at_gate(Place::Awaiting);
    bench.press("Enter");
    assert!(matches!(stage(&bench), Stage::Reading));
    bench.ticks += 1000;
    bench.press("c");
    bench.type_text("shorter", 10);
    bench.press("Esc");
    bench.drew_gate(true);
    bench.ticks += 1000;
    bench.press("Enter");
    assert!(matches!(stage(&bench), Stage::Writing { action: Decision::RequestChanges, .. }));
    assert!(bench.sent.is_empty());
}

#[test]
fn the_artifact_pane_turns_through_what_can_be_shown_of_a_version() {
    use crate::app::run_view::Side;
    let mut bench = Bench::new((80, 24), vec![waiting_record()], Place::Awaiting).start(Some(run_id(1)));
    bench.press("2");
    let mut seen = Vec::new();
    for _ in 0..4 {
        let run = bench.state.run.as_ref().unwrap();
        seen.push((run.artifact.side, run.artifact.reading.is_some()));
        bench.press("l");
    }
    assert_eq!(seen, [(Side::Whole, true), (Side::Previous, true), (Side::Transcript, true), (Side::Whole, true)]);
    bench.press("h");
    bench.press("[");
    bench.press("[");
    bench.press("l");
    let run = bench.state.run.as_ref().unwrap();
    assert_eq!((run.version().unwrap().version, run.artifact.side), (1, Side::Errors));
    assert_eq!(run.artifact.reading.as_ref().unwrap().doc().lines[0].text, "/acceptance_criteria");
    bench.press("e");
    assert_eq!(asked_outside(&bench), None, "only what is asked about can be edited");
    bench.press("o");
    assert!(matches!(asked_outside(&bench), Some(Outside::Page { .. })));
}

#[test]
fn a_filter_looks_through_rows_first_and_then_through_artifacts_and_esc_ends_it() {
    let mut bench = Bench::new((80, 24), records(), Place::Executing);
    bench.records.retain(|r| r.state != "paused");
    let mut bench = bench.start(None);
    bench.press("/");
    bench.type_text("q", 10);
    assert!(bench.done.is_empty(), "a letter of the filter is no key");
    bench.press("Backspace");
    bench.type_text("gizmo", 10);
    let listed: Vec<_> = bench.state.runs.records.iter().map(|r| r.id).collect();
    assert_eq!(listed, [run_id(6)], "found by its artifact alone");
    assert_eq!((bench.state.runs.filter.looked_at, bench.state.runs.len()), (40, 1));
    bench.press("Enter");
    bench.press("Enter");
    assert_eq!(bench.state.screen(), Screen::Run);
    bench.press("Esc");
    bench.press("Esc");
    assert!(!bench.state.runs.filter.is_on() && bench.state.runs.len() > 1);
}

#[test]
fn the_fold_opens_and_closes_and_leads_into_its_runs() {
    let mut all = vec![waiting_record()];
    all.extend((20..32).map(|n| record(n, RunStatus::Completed, i64::from(n))));
    let mut bench = Bench::new((80, 24), all, Place::Awaiting).start(None);
    assert_eq!(bench.state.runs.len(), 2);
    bench.press("j");
    bench.press("Enter");
    assert_eq!(bench.state.runs.len(), 14);
    bench.press("j");
    assert_eq!(bench.state.runs.selected, Some(run_id(20)));
    bench.press("Left");
    assert_eq!((bench.state.runs.len(), bench.state.runs.cursor), (2, 1));
}

#[test]
fn with_a_thousand_stopped_runs_only_those_on_the_screen_are_looked_into() {
    let many = (0..1000).map(|n| sample::many(n, RunStatus::Paused)).collect();
    let mut bench = Bench::new((80, 24), many, Place::Executing).start(None);
    assert_eq!(bench.state.screen(), Screen::Picker);
    bench.feed(Msg::Drawn(Drawn { list: Some(6), drained: true, ..Drawn::default() }));
    assert_eq!(bench.state.picker.previews.len(), 6);
    bench.press("G");
    assert_eq!(bench.state.picker.previews.len(), 12);
}

#[test]
fn of_marked_runs_those_that_cannot_go_on_are_left_and_said() {
    let paused = |n| record(n, RunStatus::Paused, 90);
    let held = RunRecord { thread: record(4, RunStatus::Executing, 1).thread, ..paused(3) };
    let all = vec![paused(1), paused(2), held, record(4, RunStatus::Executing, 1)];
    let mut bench = Bench::new((80, 24), all, Place::Executing).start(None);
    for _ in 0..3 {
        bench.press("Space");
    }
    bench.press("Enter");
    let resumed: Vec<&Command> = bench.sent.iter().map(|(_, command)| command).collect();
    assert_eq!(resumed, [&Command::Resume { run_id: run_id(1) }, &Command::Resume { run_id: run_id(2) }]);
    assert!(bench.state.notice.as_ref().unwrap().text.contains("1 cannot go on"), "{:?}", bench.state.notice);
}

#[test]
fn the_demo_starts_from_an_empty_list_and_from_the_palette() {
    for keys in [&["D"][..], &[":", "d", "e", "m", "o", "Enter"]] {
        let mut bench = Bench::new((80, 24), vec![], Place::Executing).start(None);
        bench.worked.clear();
        keys.iter().for_each(|key| bench.press(key));
        assert_eq!(bench.worked.pop_front(), Some(crate::app::msg::Work::Demo), "{keys:?}");
        bench.feed(Msg::Done(crate::app::msg::Done::Demo(Ok(Box::default()))));
        assert!(matches!(bench.sent.last(), Some((_, Command::Start(_)))));
    }
}

#[test]
fn the_palette_leads_to_screens_and_runs_and_what_is_used_most_stands_first() {
    let mut bench = Bench::new((80, 24), records(), Place::Executing).start(Some(run_id(1)));
    let open = |bench: &mut Bench, typed: &str| {
        bench.press(":");
        bench.type_text(typed, 10);
        bench.press("Enter");
    };
    open(&mut bench, "everything cost");
    assert_eq!(bench.state.screen(), Screen::Cost);
    open(&mut bench, &run_id(6).short());
    assert_eq!((bench.state.screen(), bench.state.run.as_ref().unwrap().run_id), (Screen::Run, run_id(6)));
    bench.press(":");
    let Some(Modal::Palette(palette)) = &bench.state.modal else { panic!() };
    let found = crate::app::update::palette::found(&bench.state, palette);
    assert_eq!(found[0].text, "what everything cost, over time");
}
