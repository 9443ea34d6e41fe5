//! Finding and filtering in the events, and stepping through the past, by keys.
use crate::app::msg::{ArchiveQuery, Cmd, Msg, QueryResult};
use crate::app::screens::run::history::HistoryCursor;
use crate::app::screens::run::state::RunScreen;
use crate::app::search::events::MatchStatus;
use crate::app::state::Screen;
use crate::app::test_support::{ConsoleHarness, SampleRunState, records, run_id};
use crate::model::event::RunFact;
use crate::model::run_state::RunState;
use crate::model::state::{Decision, RunStatus};

fn bench(place: SampleRunState) -> ConsoleHarness {
    ConsoleHarness::new((100, 30), records(), place).start(Some(run_id(1)))
}

fn in_events(place: SampleRunState) -> ConsoleHarness {
    let mut bench = bench(place);
    bench.press("4");
    bench
}

fn run(bench: &ConsoleHarness) -> &RunScreen {
    bench.state.run.as_ref().unwrap()
}

fn kinds(bench: &ConsoleHarness) -> Vec<&'static str> {
    run(bench)
        .tail
        .events()
        .map(|event| event.fact.kind())
        .collect()
}

#[test]
fn a_search_goes_to_a_hit_with_every_letter_and_esc_goes_back() {
    let mut bench = in_events(SampleRunState::Completed);
    let end = run(&bench).tail.cursor();
    bench.press("/");
    bench.type_text("REPAIRED", 10);
    assert_eq!(
        (run(&bench).finding.hit, run(&bench).tail.cursor()),
        (MatchStatus::At(11), 11),
        "q and e of the word do nothing else"
    );
    bench.type_text(" no-such", 10);
    assert_eq!(
        (run(&bench).finding.hit, run(&bench).tail.is_following()),
        (MatchStatus::Nowhere, false)
    );
    bench.press("Esc");
    assert_eq!(
        (run(&bench).tail.cursor(), run(&bench).tail.is_following()),
        (end, true)
    );
    assert!(run(&bench).finding.prompt.is_none() && bench.state.screen() == Screen::Run);
}

#[test]
fn hits_are_walked_in_both_directions_and_their_end_is_said() {
    let mut bench = in_events(SampleRunState::Awaiting);
    bench.press("/");
    bench.type_text("llm.called", 10);
    bench.press("Enter");
    assert_eq!(run(&bench).tail.cursor(), 17, "from the end it looks up");
    let mut walked = Vec::new();
    for key in ["N", "N", "N", "n", "n", "n"] {
        bench.press(key);
        walked.push((run(&bench).tail.cursor(), run(&bench).finding.hit));
    }
    assert_eq!(
        walked,
        [
            (12, MatchStatus::At(12)),
            (7, MatchStatus::At(7)),
            (7, MatchStatus::NoMore(false)),
            (12, MatchStatus::At(12)),
            (17, MatchStatus::At(17)),
            (17, MatchStatus::NoMore(true))
        ]
    );
    bench.press("Esc");
    assert!(run(&bench).finding.search.is_empty() && bench.state.screen() == Screen::Run);
    bench.press("Esc");
    assert_eq!(bench.state.screen(), Screen::Runs);
}

#[test]
fn a_filter_keeps_news_out_or_lets_it_in_and_is_cleared_by_esc_or_by_nothing() {
    let mut bench = in_events(SampleRunState::AwaitingFirst);
    bench.press("&");
    bench.type_text("type:phase.,approval.", 10);
    bench.press("Enter");
    assert_eq!(
        kinds(&bench),
        ["phase.started", "phase.started", "approval.requested"]
    );
    assert_eq!(run(&bench).tail.filtered_out(), (11, 1));
    bench.store_fact(RunFact::LlmRetried {
        phase_key: "spec".into(),
        turn_id: "01930000-0000-7000-8000-00000000cc01".parse().unwrap(),
        r#try: 1,
        status: None,
        code: crate::model::error::Code::Internal,
        wait_ms: 1,
        until: None,
    });
    bench.store_fact(crate::app::test_support::resolved(
        1,
        Decision::Approve,
        "mo",
    ));
    assert_eq!(kinds(&bench).last(), Some(&"approval.resolved"));
    assert_eq!(run(&bench).tail.filtered_out(), (12, 1));
    bench.press("Esc");
    assert_eq!(
        (kinds(&bench).len(), run(&bench).finding.filter.as_str()),
        (16, "")
    );
    bench.press("&");
    bench.type_text("phase:plan", 10);
    bench.press("Enter");
    assert_eq!(kinds(&bench).len(), 0);
    bench.press("&");
    bench.press("Ctrl-U");
    bench.press("Enter");
    assert_eq!(kinds(&bench).len(), 16);
}

fn state_at(bench: &ConsoleHarness, seq: u64) -> RunState {
    RunState::fold(
        run_id(1),
        bench.events.iter().filter(|event| event.seq <= seq),
    )
    .unwrap()
}

#[test]
fn every_moment_is_what_the_journal_folds_to_and_the_last_one_is_now() {
    let mut bench = bench(SampleRunState::Completed);
    let now = run(&bench).opened.clone().unwrap();
    let last = now.state.last_seq;
    for seq in (1..last).rev() {
        bench.press(",");
        assert_eq!(
            (run(&bench).history_seq(), run(&bench).state()),
            (Some(seq), Some(&state_at(&bench, seq)))
        );
        assert_eq!(run(&bench).tail.cursor(), seq);
    }
    bench.press(",");
    assert_eq!(
        run(&bench).history_seq(),
        Some(1),
        "there is nothing before the first event"
    );
    for seq in 2..last {
        bench.press(".");
        assert_eq!(run(&bench).history_seq(), Some(seq));
    }
    bench.press(".");
    let shown = run(&bench).opened.as_ref().unwrap();
    assert_eq!(
        (run(&bench).history_seq(), run(&bench).tail.is_following()),
        (None, true)
    );
    assert_eq!(format!("{shown:?}"), format!("{now:?}"));
    assert_eq!(
        format!("{:?}", now.with_state(now.state.clone())),
        format!("{now:?}"),
        "the last moment is the live view"
    );
    bench.press(".");
    assert_eq!(run(&bench).history_seq(), None);
}

#[test]
fn a_moment_shows_the_versions_questions_and_answers_of_then() {
    let mut bench = bench(SampleRunState::Completed);
    let shown = |bench: &ConsoleHarness| {
        let known = run(bench).opened.as_ref().unwrap();
        let approvals: Vec<String> = known
            .details
            .approvals
            .iter()
            .map(|a| a.state.to_string())
            .collect();
        let version = run(bench).versions().last().map(|a| a.version);
        (
            known.state.last_seq,
            known.record.state.clone(),
            version,
            approvals.join(" "),
        )
    };
    bench.press("k");
    while run(&bench).history_seq().is_none_or(|seq| seq > 19) {
        bench.press(",");
    }
    bench.state.run.as_mut().unwrap().phase = Some(0);
    assert_eq!(
        shown(&bench),
        (
            19,
            "awaiting_approval".to_owned(),
            Some(3),
            "changes_requested pending".to_owned()
        )
    );
    for want in [
        (17, "executing", Some(2), "changes_requested"),
        (16, "executing", Some(2), "changes_requested"),
        (15, "executing", Some(2), "changes_requested"),
        (14, "awaiting_approval", Some(2), "pending"),
        (13, "executing", Some(2), ""),
        (12, "executing", Some(1), ""),
    ] {
        while run(&bench).history_seq() != Some(want.0) {
            bench.press(",");
        }
        assert_eq!(
            shown(&bench),
            (want.0, want.1.to_owned(), want.2, want.3.to_owned())
        );
    }
    bench.press("End");
    assert_eq!(
        (run(&bench).history_seq(), shown(&bench).1),
        (None, "completed".to_owned())
    );
}

#[test]
fn turns_are_phases_and_questions() {
    let mut bench = bench(SampleRunState::Awaiting);
    let mut walked = Vec::new();
    for key in ["<", "<", "<", "<", "<", "<", "<", "<", ">", ">", ",", ">"] {
        bench.press(key);
        walked.push(run(&bench).history_seq().unwrap());
    }
    assert_eq!(walked, [16, 15, 14, 10, 3, 2, 1, 1, 2, 3, 2, 3]);
    bench.press("Esc");
    assert_eq!(
        (run(&bench).history_seq(), bench.state.screen()),
        (None, Screen::Run)
    );
}

#[test]
fn nothing_is_done_to_a_run_while_its_past_is_shown() {
    let mut bench = bench(SampleRunState::Awaiting);
    bench.press(",");
    for key in ["p", "x", "r"] {
        bench.press(key);
        let notice = bench.state.notice.as_ref().unwrap();
        assert_eq!(
            notice.text,
            "viewing history (event 18): nothing was done. End returns to now"
        );
    }
    assert!(bench.sent.is_empty() && bench.state.modal.is_none());
    bench.press("1");
    bench.press("Enter");
    assert_eq!(
        bench.state.screen(),
        Screen::Run,
        "the question of then cannot be opened"
    );
    bench.press("!");
    assert_eq!(
        (run(&bench).history_seq(), bench.state.screen()),
        (None, Screen::Gate),
        "a question is asked now"
    );
}

#[test]
fn what_happens_meanwhile_is_there_when_one_comes_back() {
    let mut bench = bench(SampleRunState::Awaiting);
    bench.press(",");
    bench.press(",");
    bench.store_fact(crate::app::test_support::resolved(
        2,
        Decision::Approve,
        "mo",
    ));
    let run_now = run(&bench);
    assert_eq!(
        (
            run_now.history_seq(),
            run_now.live_run().unwrap().state.last_seq
        ),
        (Some(17), 20)
    );
    assert_eq!(run_now.state().unwrap(), &state_at(&bench, 17));
    bench.press("End");
    assert_eq!(run(&bench).state().unwrap().status, RunStatus::Executing);
    assert_eq!(run(&bench).tail.cursor(), 20);
}

#[test]
fn a_held_key_asks_one_question_at_a_time_and_arrives_where_it_was_let_go() {
    let mut bench = bench(SampleRunState::Completed);
    let now = bench.now();
    let press = |bench: &mut ConsoleHarness| {
        crate::app::update::update(&mut bench.state, Msg::Key(",".parse().unwrap()), now)
    };
    let last = run(&bench).state().unwrap().last_seq;
    let first = press(&mut bench);
    assert_eq!(
        first,
        [Cmd::Query(ArchiveQuery::Moment(
            run_id(1),
            HistoryCursor::At(last - 1)
        ))]
    );
    assert_eq!(press(&mut bench), []);
    assert_eq!(press(&mut bench), []);
    let told = Box::new(state_at(&bench, last - 1));
    bench.feed(Msg::Loaded(
        ArchiveQuery::Moment(run_id(1), HistoryCursor::At(last - 1)),
        Ok(QueryResult::Moment(told)),
    ));
    assert_eq!(run(&bench).history_seq(), Some(last - 3));
}

#[test]
fn from_where_one_reads_the_past_begins_there() {
    let mut bench = in_events(SampleRunState::Completed);
    for key in ["k", "k", "k", "k", ","] {
        bench.press(key);
    }
    let last = bench.events.last().unwrap().seq;
    assert_eq!(run(&bench).history_seq(), Some(last - 4));
    bench.press(",");
    assert_eq!(run(&bench).history_seq(), Some(last - 5));
}
