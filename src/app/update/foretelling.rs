//! The forecast of cost and duration for the next phase of the open run.
//!
//! It is requested once per phase and shown in the cost pane and at the gate.

use crate::app::msg::{Cmd, Query};
use crate::app::run_view::{Foretold, RunView};
use crate::app::state::AppState;
use crate::model::forecast::Forecast;
use crate::model::id::PhaseKey;

/// Requests the forecast of the next phase, unless already requested.
pub fn want(run: &mut RunView) -> Option<Cmd> {
    let known = run.now()?;
    let key = known.next_phase()?.key.clone();
    let query = Query::Forecast(
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
pub fn told(
    state: &mut AppState,
    (workflow, rehearsal, key): (&str, bool, PhaseKey),
    forecast: Option<Forecast>,
) {
    let asked = |run: &&mut RunView| {
        run.now().is_some_and(|known| {
            known.record.workflow == workflow && known.record.rehearsal == rehearsal
        })
    };
    if let Some(run) = state.run.as_mut().filter(asked) {
        run.foretold.insert(
            key,
            Some(forecast.map_or(Foretold::NoHistory, Foretold::Known)),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::sample::{self, Bench, Place};

    #[test]
    fn the_next_phase_is_foretold_once_and_only_for_a_run_of_the_same_workflow() {
        let mut bench = Bench::new((100, 30), sample::records(), Place::Executing)
            .start(Some(sample::run_id(1)));
        let run = bench.state.run.as_mut().unwrap();
        let (known, next) = (
            run.now().unwrap().clone(),
            run.now().unwrap().next_phase().unwrap().key.clone(),
        );
        assert_eq!(
            run.foretold.get(&next),
            Some(&Some(Foretold::NoHistory)),
            "it was asked when the run was opened"
        );
        assert!(want(run).is_none());
        run.foretold.clear();
        assert_eq!(
            want(run),
            Some(Cmd::Query(Query::Forecast(
                known.record.workflow.clone(),
                known.record.rehearsal,
                next.clone()
            )))
        );
        assert!(want(run).is_none(), "once is enough");
        let forecast = sample::forecast();
        told(
            &mut bench.state,
            ("another@1", known.record.rehearsal, next.clone()),
            forecast,
        );
        assert_eq!(bench.state.run.as_ref().unwrap().foretold(), None);
        told(
            &mut bench.state,
            (&known.record.workflow, known.record.rehearsal, next),
            forecast,
        );
        assert_eq!(
            bench.state.run.as_ref().unwrap().foretold(),
            forecast.map(Foretold::Known)
        );
    }
}
