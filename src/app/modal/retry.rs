//! Describes a retry: what it keeps, what it runs again, and what those phases cost before.
use crate::app::screens::runs::thread_status::ThreadStatus;
use crate::model::forecast::CostForecast;
use crate::model::id::{PhaseKey, RunId, ThreadId};
use crate::model::money::NanoUsd;
use crate::model::state::Strategy;

/// What a retry of an ended run could be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPlan {
    /// Which run.
    pub run_id: RunId,
    /// Its phases in order, each with what earlier runs foretell of it.
    pub phases: Vec<(PhaseKey, Option<CostForecast>)>,
    /// The place of the first phase that was not done; behind the last where all were.
    pub open: usize,
    /// The thread it would be in.
    pub thread: ThreadId,
    /// What happens when another run holds that, as far as it was chosen.
    pub strategy: Strategy,
}

impl RetryPlan {
    /// The phases that a retry can begin with, the one that keeps most first.
    #[must_use]
    pub fn start_phases(&self) -> Vec<usize> {
        let most = self.open.min(self.phases.len().saturating_sub(1));
        (0..=most).rev().collect()
    }

    /// What a retry from a phase on keeps, what it runs again, at what price, and what becomes of its
    /// thread; a line each, so that nothing moves from one choice to the next.
    #[must_use]
    pub fn describe(&self, from: usize, lane: &ThreadStatus<'_>) -> String {
        let names = |phases: &[(PhaseKey, Option<CostForecast>)]| {
            phases
                .iter()
                .map(|(key, _)| key.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        };
        let (kept, again) = self.phases.split_at(from.min(self.phases.len()));
        let keeps = if kept.is_empty() {
            "nothing".to_owned()
        } else {
            names(kept)
        };
        let held = lane
            .describe_holder()
            .unwrap_or_else(|| format!("{} is free", lane.thread));
        [
            format!("keeps       {keeps}"),
            format!("runs again  {}", names(again)),
            format!("price       {}", price(again)),
            format!("thread      {held}"),
            format!("if held     {}", lane.describe(self.strategy)),
        ]
        .join("\n")
    }

    /// The phase with this place.
    #[must_use]
    pub fn name(&self, from: usize) -> &str {
        self.phases
            .get(from)
            .map_or("the end", |(key, _)| key.as_str())
    }
}

/// The sum of what earlier runs foretell; unknown as soon as one phase has too few of them.
fn price(again: &[(PhaseKey, Option<CostForecast>)]) -> String {
    let known: Option<Vec<_>> = again
        .iter()
        .map(|(_, forecast)| forecast.and_then(|forecast| forecast.cost))
        .collect();
    let Some(known) = known else {
        return "? (too few earlier runs)".to_owned();
    };
    let sum = |of: fn(&crate::model::forecast::CostSpread<NanoUsd>) -> i64| {
        NanoUsd(known.iter().map(of).fold(0, i64::saturating_add))
    };
    format!(
        "{} to {} (p50 to p90 of earlier runs)",
        sum(|cost| cost.p50.0),
        sum(|cost| cost.p90.0)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::screens::runs::state::RunsState;
    use crate::app::test_support;

    fn plan(open: usize, known: bool) -> RetryPlan {
        let phases = ["spec", "plan", "build"]
            .map(|key| (key.into(), test_support::forecast().filter(|_| known)));
        RetryPlan {
            run_id: test_support::run_id(6),
            phases: phases.to_vec(),
            open,
            thread: "lane".into(),
            strategy: Strategy::Reject,
        }
    }

    #[test]
    fn it_says_what_is_kept_what_runs_again_and_the_price() {
        let runs = RunsState::default();
        let lane = ThreadStatus::for_thread("lane", &runs);
        assert_eq!(
            plan(1, false)
                .describe(1, &lane)
                .lines()
                .collect::<Vec<_>>(),
            [
                "keeps       spec",
                "runs again  plan, build",
                "price       ? (too few earlier runs)",
                "thread      lane is free",
                "if held     while another run holds it, this is not started",
            ]
        );
        let told = plan(1, true).describe(0, &lane);
        assert!(
            told.starts_with("keeps       nothing\nruns again  spec, plan, build\nprice       $"),
            "{told}"
        );
    }

    #[test]
    fn it_begins_where_most_is_kept_and_a_whole_run_at_its_last_phase() {
        for (open, beginnings) in [(0, vec![0]), (1, vec![1, 0]), (3, vec![2, 1, 0])] {
            assert_eq!(plan(open, false).start_phases(), beginnings);
        }
    }
}
