//! A thread as a new run would find it: who holds it, who waits for it, and what each strategy makes of
//! that, in words. Read from the list of runs, so that it is as new as the list.
use crate::app::screens::runs::state::RunsState;
use crate::model::error::{Code, Failure};
use crate::model::record::RunRecord;
use crate::model::state::{RunStatus, Strategy};

/// The strategies, the harmless one first.
pub const STRATEGIES: [Strategy; 4] = [
    Strategy::Reject,
    Strategy::Enqueue,
    Strategy::Interrupt,
    Strategy::Rollback,
];

/// The strategy so many places on, around the end.
#[must_use]
pub fn cycle_strategy(strategy: Strategy, forward: bool) -> Strategy {
    let at = STRATEGIES
        .iter()
        .position(|one| *one == strategy)
        .unwrap_or(0);
    STRATEGIES[(at + if forward { 1 } else { STRATEGIES.len() - 1 }) % STRATEGIES.len()]
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct ThreadStatus<'a> {
    /// Which thread.
    pub thread: &'a str,
    /// Who holds it.
    pub holder: Option<&'a RunRecord>,
    /// How many stand in line for it.
    pub waiting: usize,
    /// How many of them take it from its holder: they stand before those who wait until it is free.
    pub taking: usize,
}

impl<'a> ThreadStatus<'a> {
    /// What is known of a thread.
    #[must_use]
    pub fn for_thread(thread: &'a str, runs: &'a RunsState) -> Self {
        let within = || {
            runs.active()
                .filter(|record| record.thread.as_str() == thread)
        };
        let holds = |record: &&RunRecord| {
            matches!(
                RunStatus::parse(&record.state),
                Some(RunStatus::Executing | RunStatus::AwaitingApproval)
            )
        };
        let waits = |record: &&RunRecord| record.state == RunStatus::Created.as_str();
        let takes = |record: &&RunRecord| {
            matches!(
                record.options.strategy,
                Some(Strategy::Interrupt | Strategy::Rollback)
            )
        };
        let (waiting, taking) = (
            within().filter(waits).count(),
            within().filter(waits).filter(takes).count(),
        );
        Self {
            thread,
            holder: within().find(holds),
            waiting,
            taking,
        }
    }

    /// Whether a run would begin there at once.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.holder.is_none() && self.waiting == 0
    }

    /// Who is in the way; none while nobody is.
    #[must_use]
    pub fn describe_holder(&self) -> Option<String> {
        let line = match self.waiting {
            0 => String::new(),
            1 => "1 run waits for it".to_owned(),
            many => format!("{many} runs wait for it"),
        };
        match self.holder {
            Some(holder) if line.is_empty() => {
                Some(format!("held by run {}", describe_run(holder)))
            }
            Some(holder) => Some(format!("held by run {}; {line}", describe_run(holder))),
            None => Some(line).filter(|line| !line.is_empty()),
        }
    }

    /// What a start with this strategy comes to here.
    #[must_use]
    pub fn describe(&self, strategy: Strategy) -> String {
        let before = match strategy {
            Strategy::Reject => 0,
            Strategy::Enqueue => self.waiting,
            Strategy::Interrupt | Strategy::Rollback => self.taking,
        };
        let behind = if before == 0 {
            String::new()
        } else {
            format!(", behind {before} more")
        };
        let said = match (strategy, self.holder.map(|holder| holder.id.short())) {
            (Strategy::Reject, None) if self.waiting == 0 => {
                "while another run holds it, this is not started".to_owned()
            }
            (Strategy::Reject, _) => "this start is refused".to_owned(),
            (Strategy::Enqueue, None) => "it waits in line while another run holds it".to_owned(),
            (Strategy::Enqueue, Some(run)) => format!("it waits until run {run} rests or ends"),
            (Strategy::Interrupt, None) => {
                "a run that holds it is paused, and can go on later".to_owned()
            }
            (Strategy::Interrupt, Some(run)) => format!("run {run} is paused, and can go on later"),
            (Strategy::Rollback, None) => {
                "a run that holds it is ended, its branch goes back".to_owned()
            }
            (Strategy::Rollback, Some(run)) => format!("run {run} is ended, its branch goes back"),
        };
        said + &behind
    }

    /// Why a start with this strategy is refused, and what to do; none where it is not.
    #[must_use]
    pub fn start_refusal(&self, strategy: Strategy) -> Option<Failure> {
        let held = self
            .describe_holder()
            .filter(|_| strategy == Strategy::Reject)?;
        let failure = Failure::new(
            Code::ThreadBusy,
            format!("the thread '{}' is not free: {held}", self.thread),
        );
        Some(failure.hint("say what happens then ('if held'), or name another thread"))
    }
}

/// A run, and what it does.
fn describe_run(record: &RunRecord) -> String {
    let phase = record.current_phase.as_ref().map(ToString::to_string);
    let does = match (record.state == RunStatus::AwaitingApproval.as_str(), phase) {
        (true, Some(phase)) => format!("waits for you in {phase}"),
        (true, None) => "waits for you".to_owned(),
        (false, Some(phase)) => format!("works on {phase}"),
        (false, None) => "works".to_owned(),
    };
    format!("{} ({}, {does})", record.id.short(), record.workflow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::test_support;
    use crate::engine::api::RunPageQuery;

    fn runs(states: &[RunStatus]) -> RunsState {
        let within = |(n, state): (u8, &RunStatus)| RunRecord {
            thread: "lane".into(),
            ..test_support::record(n, *state, i64::from(n))
        };
        let mut all: Vec<RunRecord> = (1..).zip(states).map(within).collect();
        all.push(test_support::record(9, RunStatus::Executing, 1));
        let mut runs = RunsState::default();
        runs.apply_page(
            test_support::page(
                &all,
                &RunPageQuery {
                    limit: 50,
                    ..RunPageQuery::default()
                },
            ),
            0,
        );
        runs
    }

    #[test]
    fn who_holds_a_thread_is_who_works_or_waits_for_the_operator() {
        for (states, holder, waiting, refused) in [
            (
                &[RunStatus::Paused, RunStatus::Completed][..],
                None,
                0,
                false,
            ),
            (&[RunStatus::Paused, RunStatus::Executing], Some(2), 0, true),
            (
                &[
                    RunStatus::AwaitingApproval,
                    RunStatus::Created,
                    RunStatus::Created,
                ],
                Some(1),
                2,
                true,
            ),
            (&[RunStatus::Created], None, 1, true),
        ] {
            let runs = runs(states);
            let lane = ThreadStatus::for_thread("lane", &runs);
            assert_eq!(
                (lane.holder.map(|r| r.id), lane.waiting),
                (holder.map(test_support::run_id), waiting),
                "{states:?}"
            );
            assert_eq!(
                lane.start_refusal(Strategy::Reject).is_some(),
                refused,
                "{states:?}"
            );
            assert!(
                STRATEGIES[1..]
                    .iter()
                    .all(|other| lane.start_refusal(*other).is_none())
            );
        }
    }

    #[test]
    fn it_says_by_whom_and_what_becomes_of_that_run() {
        let runs = runs(&[RunStatus::Executing, RunStatus::Created]);
        let lane = ThreadStatus::for_thread("lane", &runs);
        let short = test_support::run_id(1).short();
        assert_eq!(
            lane.describe_holder().unwrap(),
            format!("held by run {short} (development@1, works on plan); 1 run waits for it")
        );
        let refusal = lane.start_refusal(Strategy::Reject).unwrap();
        assert!(
            refusal.message.starts_with(&format!(
                "the thread 'lane' is not free: held by run {short}"
            )),
            "{refusal}"
        );
        let told = STRATEGIES.map(|strategy| lane.describe(strategy));
        assert_eq!(told[0], "this start is refused");
        assert_eq!(
            told[1],
            format!("it waits until run {short} rests or ends, behind 1 more")
        );
        assert_eq!(
            told[2],
            format!("run {short} is paused, and can go on later"),
            "it stands before who waits"
        );
        assert_eq!(
            told[3],
            format!("run {short} is ended, its branch goes back")
        );
        let free = ThreadStatus::for_thread("other", &runs);
        assert!(free.is_free() && free.describe_holder().is_none());
    }

    #[test]
    fn strategies_go_round() {
        assert_eq!(
            STRATEGIES.map(|one| cycle_strategy(cycle_strategy(one, true), false)),
            STRATEGIES
        );
        assert_eq!(cycle_strategy(Strategy::Rollback, true), Strategy::Reject);
    }
}
