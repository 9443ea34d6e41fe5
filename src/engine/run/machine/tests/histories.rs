//! Any order of happenings keeps the promises, and any prefix of a journal recovers.

use super::*;

/// What may happen to a run, in any order.
#[derive(Clone, Copy, Debug)]
enum HistoryStep {
    Valid,
    Invalid,
    Missing,
    TimedOut,
    AgentFailed,
    Committed,
    CommitFailed,
    Late,
    Decide(Decision),
    Changed(bool),
    Pause,
    Resume,
    Continue,
    Abort,
}

fn happening() -> impl Strategy<Value = HistoryStep> {
    use HistoryStep::*;
    prop_oneof![
        4 => Just(Valid),
        2 => Just(Invalid),
        1 => Just(Missing),
        1 => Just(TimedOut),
        1 => Just(AgentFailed),
        4 => Just(Committed),
        1 => Just(CommitFailed),
        1 => Just(Late),
        4 => Just(Decide(Decision::Approve)),
        1 => Just(Decide(Decision::RequestChanges)),
        1 => Just(Decide(Decision::Reject)),
        1 => Just(Decide(Decision::Abort)),
        1 => any::<bool>().prop_map(Changed),
        2 => Just(Pause),
        3 => Just(Resume),
        1 => Just(Continue),
        1 => Just(Abort),
    ]
}

fn input_for(happening: HistoryStep, state: &RunState, step: usize) -> Option<MachineInput> {
    let phase = state.current();
    let version = phase.map_or(1, |phase| phase.versions + 1);
    let ended = |outcome| {
        phase.map(|p| MachineInput::AttemptEnded {
            phase_key: p.key.clone(),
            attempt: p.attempt,
            outcome,
        })
    };
    let failure = || Failure::new(Code::LlmAuth, "no");
    match happening {
        HistoryStep::Valid => ended(AttemptOutcome::Valid(artifact(
            &format!("v{step}"),
            version,
        ))),
        HistoryStep::Invalid => ended(invalid(&format!("i{step}"))),
        HistoryStep::Missing => ended(AttemptOutcome::Missing),
        HistoryStep::TimedOut => ended(AttemptOutcome::TimedOut { seconds: 1 }),
        HistoryStep::AgentFailed => ended(AttemptOutcome::Failed(failure())),
        HistoryStep::Committed => phase.map(|p| MachineInput::Committed {
            phase_key: p.key.clone(),
            commit: None,
        }),
        HistoryStep::CommitFailed => phase.map(|p| MachineInput::CommitFailed {
            phase_key: p.key.clone(),
            failure: failure(),
        }),
        HistoryStep::Late => Some(MachineInput::AttemptEnded {
            phase_key: "a".into(),
            attempt: 0,
            outcome: valid("late"),
        }),
        HistoryStep::Decide(action) => Some(answer(action)),
        HistoryStep::Changed(valid) => {
            let new = artifact(&format!("c{step}"), version);
            Some(MachineInput::ContentChanged {
                found: Some(new.sha256.clone()),
                replacement: valid.then_some(new),
            })
        }
        HistoryStep::Pause => Some(MachineInput::Pause(PauseReason::Operator)),
        HistoryStep::Resume => Some(resume()),
        HistoryStep::Continue => Some(MachineInput::Continue),
        HistoryStep::Abort => Some(MachineInput::Abort {
            by: "me".to_owned(),
            via: Via::Cli,
            reason: String::new(),
        }),
    }
}

fn three_phases() -> MachineHarness {
    let mut story = MachineHarness::with(&[("a", &["one", "two"]), ("b", &[]), ("c", &["three"])]);
    story.tell(MachineInput::Start).unwrap();
    story
}

/// Everything goes well from here on.
fn finish(story: &mut MachineHarness) {
    for _ in 0..60 {
        if story.state.status.is_terminal() {
            return;
        }
        match story.wants() {
            Some(RunActivity::Attempt { .. }) => drop(story.ended(valid("fine"))),
            Some(RunActivity::Commit { .. }) => drop(story.committed()),
            None if story.state.status == RunStatus::Paused => drop(story.tell(resume()).unwrap()),
            None => drop(story.answer(Decision::Approve).unwrap()),
        }
    }
    panic!("no end in sight: {:?}", story.state);
}

proptest! {
    #[test]
    fn any_history_keeps_the_promises(happenings in proptest::collection::vec(happening(), 0..60)) {
        let mut story = three_phases();
        for (step, happening) in happenings.into_iter().enumerate() {
            let Some(input) = input_for(happening, &story.state, step) else { continue };
            let before = story.state.clone();
            if story.tell(input).is_err() {
                prop_assert_eq!(&story.state, &before, "a refusal changes nothing");
            }
        }
        let journal = story.journal.clone();
        let folded = RunState::fold(story.state.run_id, &journal).unwrap();
        prop_assert_eq!(&folded, &story.state, "the journal alone gives the state");

        let mut keys: Vec<_> = journal.iter().map(|event| event.fact.key()).collect();
        keys.sort();
        let all = keys.len();
        keys.dedup();
        prop_assert_eq!(keys.len(), all, "two different facts never share a key");

        let ends = journal.iter().filter(|event| event.fact.key() == "run.ended").count();
        prop_assert_eq!(ends, usize::from(story.state.status.is_terminal()), "a run ends once");

        for (index, event) in journal.iter().enumerate() {
            if let RunFact::ApprovalResolved { action: Decision::Reject, .. } = event.fact {
                let later = &journal[index + 1..];
                let went_on = later.iter().any(|e| matches!(e.fact, RunFact::PhaseStarted { .. } | RunFact::PhaseCompleted { .. }));
                prop_assert!(!went_on, "nothing leads from rejected to the next phase");
            }
            if let RunFact::PhaseStarted { phase_key, .. } = &event.fact && phase_key.as_str() == "b" {
                let approved = journal[..index].iter().filter(|e| {
                    matches!(&e.fact, RunFact::ApprovalResolved { phase_key: Some(key), action: Decision::Approve, .. } if key.as_str() == "a")
                });
                prop_assert!(approved.count() >= 2, "both gates of the phase before were passed");
            }
        }
    }

    #[test]
    fn every_prefix_of_a_journal_recovers_and_completes(
        happenings in proptest::collection::vec(happening(), 0..30),
        cut in 0.0..1.0f64,
    ) {
        let mut story = three_phases();
        for (step, happening) in happenings.into_iter().enumerate() {
            if let Some(input) = input_for(happening, &story.state, step) {
                let _ = story.tell(input);
            }
        }
        // A crash keeps a prefix of what was stored; it ends between two transactions or within what
        // one decision made, if those were stored apart.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a fraction of a small length")]
        let kept = 1 + ((story.journal.len() - 1) as f64 * cut) as usize;
        story.journal.truncate(kept);
        story.state = RunState::fold(story.state.run_id, &story.journal).unwrap();
        if story.state.status == RunStatus::Created {
            story.tell(MachineInput::Start).unwrap();
        }
        if !story.state.status.is_terminal() {
            story.tell(MachineInput::Pause(PauseReason::Crashed)).unwrap();
            story.tell(resume()).unwrap();
            finish(&mut story);
        }
        let completed = story.journal.iter().filter(|e| matches!(e.fact, RunFact::PhaseCompleted { .. })).count();
        prop_assert!(completed <= 3);
        if story.state.status == RunStatus::Completed {
            prop_assert_eq!(completed, 3);
        }
    }
}
