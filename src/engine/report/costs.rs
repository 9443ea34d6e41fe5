//! Adds up the ledger. A price that nobody knows stays unknown in every sum it is part of.

use std::collections::BTreeMap;

use super::shape::{CostReport, CostTotals};
use crate::model::record::LedgerRecord;
use crate::model::run_state::RunState;

/// What the calls cost: together, by phase in the order of the phases, by model in the order of names.
pub fn of(state: &RunState, ledger: &[LedgerRecord]) -> CostTotals {
    let phases = state.phases.iter().map(|phase| {
        (
            phase.key.as_str(),
            ledger
                .iter()
                .filter(|call| call.phase_key == phase.key)
                .collect(),
        )
    });
    let mut models: BTreeMap<&str, Vec<&LedgerRecord>> = BTreeMap::new();
    for call in ledger {
        models.entry(&call.model).or_default().push(call);
    }
    CostTotals {
        total: line("total", &ledger.iter().collect::<Vec<_>>()),
        by_phase: phases
            .filter(|(_, calls): &(_, Vec<_>)| !calls.is_empty())
            .map(|(key, calls)| line(key, &calls))
            .collect(),
        by_model: models
            .iter()
            .map(|(model, calls)| line(model, calls))
            .collect(),
    }
}

fn line(label: &str, calls: &[&LedgerRecord]) -> CostReport {
    let known: Vec<i64> = calls
        .iter()
        .filter_map(|call| call.cost)
        .map(|cost| cost.0)
        .collect();
    let sum = known.iter().copied().fold(0, i64::saturating_add);
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let mut report = CostReport {
        label: label.to_owned(),
        calls: count(calls.len()),
        unknown_calls: count(calls.len() - known.len()),
        estimated_calls: count(calls.iter().filter(|call| call.estimated).count()),
        cost_nano_usd: (known.len() == calls.len()).then_some(sum),
        known_nano_usd: (calls.is_empty() || !known.is_empty()).then_some(sum),
        ..CostReport::default()
    };
    for call in calls {
        report.tokens.input += call.tokens.input;
        report.tokens.output += call.tokens.output;
        report.tokens.cached += call.tokens.cached;
        report.tokens.reasoning += call.tokens.reasoning;
    }
    report
}
