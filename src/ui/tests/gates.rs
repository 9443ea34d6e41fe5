//! A gate, from its first frame to its receipt.

use super::*;

#[test]
fn high_risk_is_said_before_the_first_stroke_and_asks_for_a_typed_key_after_it() {
    let high = |size, keys: &[&str]| {
        let mut bench = ConsoleHarness::new(
            size,
            world(SampleRunState::Awaiting),
            SampleRunState::Awaiting,
        );
        bench.risk = Risk::High;
        let mut bench = bench.start(Some(run_id(1)));
        settle(&mut bench);
        bench.press("!");
        settle(&mut bench);
        bench.ticks += 2000;
        keys.iter().for_each(|key| bench.press(key));
        bench
    };
    snapshot("gate_high_risk", |size| high(size, &[]));
    snapshot("gate_high_risk_typed", |size| {
        high(size, &["A", "s", "p", "e"])
    });
}

#[test]
fn on_the_smallest_screen_the_gate_still_says_all_that_decides() {
    let shown = settle(&mut at_gate((40, 10), SampleRunState::Awaiting));
    insta::assert_snapshot!("gate_40x10", shown);
}

#[test]
fn a_second_review_begins_at_what_changed() {
    snapshot("gate_diff", |size| at_gate(size, SampleRunState::Awaiting));
}

#[test]
fn a_first_review_shows_the_whole_and_counts_what_was_seen() {
    snapshot("gate_whole", |size| {
        at_gate(size, SampleRunState::AwaitingFirst)
    });
}

#[test]
fn approving_asks_for_exactly_this_content() {
    snapshot("gate_confirm", |size| {
        let mut bench = at_gate(size, SampleRunState::Awaiting);
        bench.press("A");
        bench
    });
}

#[test]
fn a_comment_is_written_beside_the_text_it_is_about() {
    snapshot("gate_comment", |size| {
        let mut bench = at_gate(size, SampleRunState::Awaiting);
        bench.press("c");
        bench.feed(Msg::Paste(
            "Please say what happens with an empty cart.\nAnd 日本語 names.".to_owned(),
        ));
        bench
    });
}

#[test]
fn an_answer_ends_as_a_receipt() {
    snapshot("gate_receipt", |size| {
        let mut bench = at_gate(size, SampleRunState::Awaiting);
        bench.store_fact(test_support::resolved(2, Decision::Approve, "ann"));
        bench
    });
}

#[test]
fn each_tab_of_a_gate_shows_its_text() {
    for (tabs, name) in [
        (2, "gate_errors"),
        (3, "gate_comments"),
        (4, "gate_inputs"),
        (5, "gate_log"),
    ] {
        snapshot(name, |size| {
            let mut bench = at_gate(size, SampleRunState::Awaiting);
            for _ in 0..tabs {
                bench.press("]");
                settle(&mut bench);
            }
            bench
        });
    }
}

#[test]
fn the_facts_of_a_gate_lose_the_less_important_words_first() {
    for width in [40, 60, 80, 120, 200] {
        let mut bench = ConsoleHarness::new(
            (width, 30),
            world(SampleRunState::Awaiting),
            SampleRunState::Awaiting,
        );
        bench.forecast = test_support::forecast();
        let mut bench = bench.start(Some(run_id(1)));
        bench.press("!");
        let shown = settle(&mut bench);
        let facts: Vec<&str> = shown.lines().skip(1).take(3).collect();
        insta::assert_snapshot!(format!("gate_facts_{width}"), facts.join("\n"));
        assert!(
            facts[0].contains("v3 b1fdcdcf"),
            "version and hash at {width}: {}",
            facts[0]
        );
        assert!(
            facts[1].contains("valid") && facts[2].contains("Next: plan"),
            "{width}"
        );
    }
}

#[test]
fn a_receipt_shows_every_line_of_the_words() {
    snapshot("gate_receipt_words", |size| {
        let mut bench = at_gate(size, SampleRunState::Awaiting);
        let mut answer = test_support::resolved(2, Decision::RequestChanges, "ann");
        if let RunFact::ApprovalResolved { comment, .. } = &mut answer {
            *comment = (1..=20)
                .map(|n| format!("{n}. this is too long\n"))
                .collect();
        }
        bench.store_fact(answer);
        settle(&mut bench);
        bench.press("Down");
        bench.press("Down");
        bench
    });
}

#[test]
fn nothing_beneath_something_in_front_looks_like_an_answer() {
    for key in ["x", "?", ":"] {
        let mut bench = at_gate((120, 40), SampleRunState::Awaiting);
        bench.press(key);
        let shown = settle(&mut bench);
        assert!(!shown.contains("A approve"), "{key}: {shown}");
    }
}

#[test]
fn a_question_about_no_artifact_says_what_happened_and_what_each_answer_does() {
    snapshot("gate_recovery", |size| {
        let mut bench = on_run(size, SampleRunState::Executing);
        test_support::cannot_work()
            .into_iter()
            .for_each(|fact| bench.store_fact(fact));
        settle(&mut bench);
        bench.press("!");
        settle(&mut bench);
        bench.ticks += 2000;
        bench
    });
}

#[test]
fn a_version_of_the_operators_own_is_told_as_such() {
    snapshot("gate_edited", |size| {
        let mut bench = at_gate(size, SampleRunState::AwaitingFirst);
        let content = test_support::SPEC_V2.to_owned();
        bench.feed(Msg::Returned(ExternalResult::Edited {
            request_id: test_support::request_id(1),
            content,
        }));
        test_support::revised()
            .into_iter()
            .for_each(|fact| bench.store_fact(fact));
        bench
    });
}

#[test]
fn an_artifact_with_a_secret_in_it_is_told_above_everything_else() {
    snapshot("gate_with_secret", |size| {
        let mut bench = at_gate(size, SampleRunState::Awaiting);
        let run = bench
            .state
            .run
            .as_ref()
            .and_then(|view| view.opened.as_ref())
            .unwrap();
        let open = run.state.approval.clone().unwrap();
        let (phase_key, version, sha256) =
            (open.phase_key.unwrap(), 2, open.artifact_sha256.unwrap());
        let words = "what look like secrets on lines 3, 9".to_owned();
        bench.store_fact(RunFact::ArtifactWarned {
            phase_key,
            attempt: 2,
            version,
            sha256,
            words,
        });
        settle(&mut bench);
        bench
    });
}

#[test]
fn at_the_gate_of_a_paused_run_it_is_said_that_an_answer_waits_too() {
    let resting = |size| {
        let mut bench = at_gate(size, SampleRunState::Awaiting);
        bench.store_fact(RunFact::RunPaused {
            ordinal: 1,
            reason: PauseReason::Interrupted,
            from_state: RunStatus::AwaitingApproval,
        });
        settle(&mut bench);
        bench.ticks += 2000;
        bench
    };
    snapshot("gate_resting", resting);
    snapshot("gate_resting_receipt", |size| {
        let mut bench = resting(size);
        bench.press("A");
        settle(&mut bench);
        bench.ticks += 1000;
        bench.press("Enter");
        bench.store_fact(test_support::resolved(2, Decision::Approve, "mo"));
        bench
    });
}

#[test]
fn a_pause_at_a_gate_is_told_beside_the_question() {
    let mut bench = on_run((80, 24), SampleRunState::Awaiting);
    bench.store_fact(RunFact::RunPaused {
        ordinal: 1,
        reason: PauseReason::Operator,
        from_state: RunStatus::AwaitingApproval,
    });
    let shown = text(&look(&bench.state).0);
    assert!(
        shown.contains("paused, approval pending: spec_approved, ! review, r resume (since 04:28)"),
        "{shown}"
    );
}
