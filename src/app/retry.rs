//! A retry in words: what it keeps, what it runs again, and what that cost before.

use crate::model::forecast::Forecast;
use crate::model::id::{PhaseKey, RunId};
use crate::model::money::NanoUsd;

/// What a retry of an ended run could be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPlan {
    /// Which run.
    pub run_id: RunId,
    /// Its phases in order, each with what earlier runs foretell of it.
    pub phases: Vec<(PhaseKey, Option<Forecast>)>,
    /// The place of the first phase that was not done; behind the last where all were.
    pub open: usize,
}

impl RetryPlan {
    /// The phases that a retry can begin with, the one that keeps most first; never more than two.
    #[must_use]
    pub fn beginnings(&self) -> Vec<usize> {
        let most = self.open.min(self.phases.len().saturating_sub(1));
        if most == 0 { vec![0] } else { vec![most, 0] }
    }

    /// What a retry from a phase on runs again, and at what price.
    #[must_use]
    pub fn told(&self, from: usize) -> String {
        let names = |phases: &[(PhaseKey, Option<Forecast>)]| phases.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>().join(", ");
        let (kept, again) = self.phases.split_at(from.min(self.phases.len()));
        let keeps = if kept.is_empty() { "keeps nothing".to_owned() } else { format!("keeps {}", names(kept)) };
        format!("From {}: runs {} again, {keeps}. Price: {}.", self.name(from), names(again), price(again))
    }

    /// The phase with this place.
    #[must_use]
    pub fn name(&self, from: usize) -> &str {
        self.phases.get(from).map_or("the end", |(key, _)| key.as_str())
    }
}

/// The sum of what earlier runs foretell; unknown as soon as one phase has too few of them.
fn price(again: &[(PhaseKey, Option<Forecast>)]) -> String {
    let known: Option<Vec<_>> = again.iter().map(|(_, forecast)| forecast.and_then(|forecast| forecast.cost)).collect();
    let Some(known) = known else { return "? (too few earlier runs)".to_owned() };
    let sum = |of: fn(&crate::model::forecast::Spread<NanoUsd>) -> i64| NanoUsd(known.iter().map(of).fold(0, i64::saturating_add));
    format!("{} to {} (p50 to p90 of earlier runs)", sum(|cost| cost.p50.0), sum(|cost| cost.p90.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::sample;

    fn plan(open: usize, known: bool) -> RetryPlan {
        let phases = ["spec", "plan", "build"].map(|key| (key.into(), sample::forecast().filter(|_| known)));
        RetryPlan { run_id: sample::run_id(6), phases: phases.to_vec(), open }
    }

    #[test]
    fn it_says_what_is_kept_what_runs_again_and_the_price() {
        assert_eq!(plan(1, false).told(1), "From plan: runs plan, build again, keeps spec. Price: ? (too few earlier runs).");
        let told = plan(1, true).told(0);
        assert!(told.starts_with("From spec: runs spec, plan, build again, keeps nothing. Price: $"), "{told}");
    }

    #[test]
    fn it_begins_where_most_is_kept_and_a_whole_run_at_its_last_phase() {
        for (open, beginnings) in [(0, vec![0]), (1, vec![1, 0]), (3, vec![2, 0])] {
            assert_eq!(plan(open, false).beginnings(), beginnings);
        }
    }
}
