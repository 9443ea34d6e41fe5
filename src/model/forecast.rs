//! What a phase will cost and take, from what it cost and took before: half of the runs stayed below
//! the middle value, nine of ten below the high one.

use super::money::{CallCost, NanoUsd};

/// Runs below which nothing is foretold.
pub const LEAST_RUNS: usize = 5;

/// One earlier execution of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CostSample {
    /// What its calls cost.
    pub cost: CallCost,
    /// How long agents worked on it, in milliseconds; waiting for a person apart.
    pub working_ms: u64,
}

/// A middle and a high value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CostSpread<T> {
    /// Half of the runs stayed below.
    pub p50: T,
    /// Nine of ten stayed below.
    pub p90: T,
}

/// What a phase will cost and take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CostForecast {
    /// From how many runs.
    pub runs: usize,
    /// Its cost; absent where too few of them had only known prices.
    pub cost: Option<CostSpread<NanoUsd>>,
    /// Its working time in milliseconds.
    pub working_ms: CostSpread<u64>,
}

/// Foretells from earlier executions; `None` from too few.
#[must_use]
pub fn from_samples(samples: &[CostSample]) -> Option<CostForecast> {
    let working_ms = spread(samples.iter().map(|sample| sample.working_ms).collect())?;
    let known = samples
        .iter()
        .filter(|sample| sample.cost.unknown_calls == 0)
        .map(|sample| sample.cost.known);
    Some(CostForecast {
        runs: samples.len(),
        cost: spread(known.collect()),
        working_ms,
    })
}

/// The values at one half and nine tenths by nearest rank.
fn spread<T: Ord + Copy>(mut values: Vec<T>) -> Option<CostSpread<T>> {
    if values.len() < LEAST_RUNS {
        return None;
    }
    values.sort_unstable();
    let rank = |tenths: usize| {
        values
            .get((values.len() * tenths).div_ceil(10) - 1)
            .copied()
    };
    Some(CostSpread {
        p50: rank(5)?,
        p90: rank(9)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(cost: i64, unknown_calls: u32, working_ms: u64) -> CostSample {
        CostSample {
            cost: CallCost {
                known: NanoUsd(cost),
                unknown_calls,
            },
            working_ms,
        }
    }

    #[test]
    fn half_and_nine_tenths_are_by_rank_and_too_few_foretell_nothing() {
        let samples: Vec<CostSample> = (1..=10)
            .rev()
            .map(|n| sample(n * 100, 0, n.unsigned_abs()))
            .collect();
        let forecast = from_samples(&samples).unwrap();
        assert_eq!(
            (forecast.runs, forecast.working_ms),
            (10, CostSpread { p50: 5, p90: 9 })
        );
        assert_eq!(
            forecast.cost,
            Some(CostSpread {
                p50: NanoUsd(500),
                p90: NanoUsd(900)
            })
        );
        assert_eq!(from_samples(&samples[..4]), None);
        assert!(from_samples(&samples[..5]).is_some());
    }

    #[test]
    fn a_cost_that_is_not_known_is_not_foretold() {
        let mut samples = vec![sample(1, 1, 5); 3];
        samples.extend([sample(7, 0, 5); 4]);
        let forecast = from_samples(&samples).unwrap();
        assert_eq!((forecast.cost, forecast.working_ms.p50), (None, 5));
        samples.push(sample(9, 0, 5));
        assert_eq!(
            from_samples(&samples).unwrap().cost,
            Some(CostSpread {
                p50: NanoUsd(7),
                p90: NanoUsd(9)
            })
        );
    }
}
