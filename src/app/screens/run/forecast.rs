//! The forecast of cost and duration for the next phase of the open run.
//!
//! It is requested once per phase and shown in the cost pane and at the gate.

use crate::app::msg::{ArchiveQuery, Cmd};
use crate::app::screens::run::state::{PhaseForecast, RunScreen};
use crate::app::state::AppState;
use crate::model::forecast::CostForecast;
use crate::model::id::PhaseKey;

/// Requests the forecast of the next phase, unless already requested.
pub fn request(run: &mut RunScreen) -> Option<Cmd> {
    let known = run.live_run()?;
    let key = known.next_phase()?.key.clone();
    let query = ArchiveQuery::Forecast(
        known.record.workflow.clone(),
        known.record.rehearsal,
        key.clone(),
    );
    if run.foretold.contains_key(&key) {
        return None;
    }
    run.foretold.insert(key, None);
    Some(Cmd::Query(query))
}

/// Handles the forecast.
pub fn forecast_loaded(
    state: &mut AppState,
    (workflow, rehearsal, key): (&str, bool, PhaseKey),
    forecast: Option<CostForecast>,
) {
    let asked = |run: &&mut RunScreen| {
        run.live_run().is_some_and(|known| {
            known.record.workflow == workflow && known.record.rehearsal == rehearsal
        })
    };
    if let Some(run) = state.run.as_mut().filter(asked) {
        run.foretold.insert(
            key,
            Some(forecast.map_or(PhaseForecast::NoHistory, PhaseForecast::Known)),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::test_support;
    use crate::app::test_support::{ConsoleHarness, SampleRunState};

    #[test]
    fn the_next_phase_is_foretold_once_and_only_for_a_run_of_the_same_workflow() {
        let mut bench = ConsoleHarness::new(
            (100, 30),
            test_support::records(),
            SampleRunState::Executing,
        )
        .start(Some(test_support::run_id(1)));
        let run = bench.state.run.as_mut().unwrap();
        let (known, next) = (
            run.live_run().unwrap().clone(),
            run.live_run().unwrap().next_phase().unwrap().key.clone(),
        );
        assert_eq!(
            run.foretold.get(&next),
            Some(&Some(PhaseForecast::NoHistory)),
            "it was asked when the run was opened"
        );
        assert!(request(run).is_none());
        run.foretold.clear();
        assert_eq!(
            request(run),
            Some(Cmd::Query(ArchiveQuery::Forecast(
                known.record.workflow.clone(),
                known.record.rehearsal,
                next.clone()
            )))
        );
        assert!(request(run).is_none(), "once is enough");
        let forecast = test_support::forecast();
        forecast_loaded(
            &mut bench.state,
            ("another@1", known.record.rehearsal, next.clone()),
            forecast,
        );
        assert_eq!(bench.state.run.as_ref().unwrap().foretold(), None);
        forecast_loaded(
            &mut bench.state,
            (&known.record.workflow, known.record.rehearsal, next),
            forecast,
        );
        assert_eq!(
            bench.state.run.as_ref().unwrap().foretold(),
            forecast.map(PhaseForecast::Known)
        );
    }
}
