//! Aggregates events to metrics: runs by result, calls, tokens, cost, phase durations and gate wait
//! times.
//!
//! Sums start with the host, as OTLP's cumulative temporality requires.

use std::collections::BTreeMap;

use crate::model::event::{JournalEvent, RunFact};
use crate::model::id::RequestId;
use crate::model::time::Timestamp;

/// Upper bounds of the histograms, in seconds.
pub const BOUNDS: [f64; 10] = [
    1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0, 604_800.0,
];

/// Labels that identify a series.
pub type MetricLabels = Vec<(&'static str, String)>;

/// Counts of values per bucket, including the overflow bucket.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricHistogram {
    /// One more bucket than there are bounds.
    pub counts: [u64; BOUNDS.len() + 1],
    /// Sum of all values, in seconds.
    pub sum: f64,
}

/// All metrics since the host started.
#[derive(Clone, Debug)]
pub struct RunMetrics {
    /// Start time.
    pub since: Timestamp,
    /// Sums by name and labels.
    pub sums: BTreeMap<(&'static str, MetricLabels), i64>,
    /// Histograms by name and labels.
    pub histograms: BTreeMap<(&'static str, MetricLabels), MetricHistogram>,
    asked: BTreeMap<RequestId, Timestamp>,
}

impl RunMetrics {
    /// Creates empty metrics.
    #[must_use]
    pub fn since(since: Timestamp) -> Self {
        Self {
            since,
            sums: BTreeMap::new(),
            histograms: BTreeMap::new(),
            asked: BTreeMap::new(),
        }
    }

    /// Counts an event.
    pub fn take(&mut self, event: &JournalEvent) {
        match &event.fact {
            RunFact::RunCompleted {} => {
                self.add("phasedeck.runs", vec![("state", "completed".to_owned())], 1)
            }
            RunFact::RunFailed { .. } => {
                self.add("phasedeck.runs", vec![("state", "failed".to_owned())], 1)
            }
            RunFact::RunAborted { .. } => {
                self.add("phasedeck.runs", vec![("state", "aborted".to_owned())], 1)
            }
            RunFact::PhaseCompleted {
                phase_key,
                duration_ms,
                ..
            } => {
                self.record(
                    "phasedeck.phase.duration",
                    vec![("phase", phase_key.to_string())],
                    *duration_ms,
                );
            }
            RunFact::LlmCalled {
                model,
                tokens,
                cost,
                ..
            } => {
                let of = |kind: &str| vec![("model", model.clone()), ("kind", kind.to_owned())];
                self.add("phasedeck.calls", vec![("model", model.clone())], 1);
                for (kind, count) in [
                    ("input", tokens.input),
                    ("output", tokens.output),
                    ("cached", tokens.cached),
                    ("reasoning", tokens.reasoning),
                ] {
                    self.add(
                        "phasedeck.tokens",
                        of(kind),
                        i64::try_from(count).unwrap_or(i64::MAX),
                    );
                }
                self.add(
                    "phasedeck.cost_nano_usd",
                    vec![("model", model.clone())],
                    cost.map_or(0, |cost| cost.0),
                );
            }
            RunFact::ApprovalRequested { request_id, .. } => {
                self.asked.insert(*request_id, event.at);
            }
            RunFact::ApprovalResolved {
                request_id, gate, ..
            } => {
                if let Some(asked) = self.asked.remove(request_id) {
                    self.record(
                        "phasedeck.gate.wait",
                        vec![("gate", gate.to_string())],
                        event.at.since_ms(asked),
                    );
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, name: &'static str, labels: MetricLabels, more: i64) {
        let sum = self.sums.entry((name, labels)).or_default();
        *sum = sum.saturating_add(more);
    }

    #[expect(clippy::cast_precision_loss, reason = "seconds in a chart")]
    fn record(&mut self, name: &'static str, labels: MetricLabels, ms: u64) {
        let seconds = ms as f64 / 1000.0;
        let histogram = self.histograms.entry((name, labels)).or_default();
        let slot = BOUNDS
            .iter()
            .position(|bound| seconds <= *bound)
            .unwrap_or(BOUNDS.len());
        histogram.counts[slot] += 1;
        histogram.sum += seconds;
    }
}
