//! OTLP over HTTP with JSON bodies, as the OpenTelemetry protocol specification defines them
//! (version 1: ids in hex, 64-bit numbers as text).

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{Client, Url};
use serde_json::{Value as Json, json};

use super::meters::{BOUNDS, MetricLabels, RunMetrics};
use super::spans::{AttributeValue, TraceSpan};
use crate::engine::outbound::http;
use crate::engine::outbound::retry::retry;
use crate::model::error::{Code, Failure, Result};
use crate::model::settings::TelemetrySettings;
use crate::model::time::Timestamp;

/// Request timeout.
const PATIENCE: Duration = Duration::from_secs(10);
/// Attempts per request.
const TRIES: u32 = 3;

/// Client for one collector.
pub struct OtlpCollector {
    client: Client,
    endpoint: Url,
}

impl OtlpCollector {
    /// Creates the configured collector client; `None` if none is configured.
    ///
    /// # Errors
    /// `config_invalid` for an unusable address or header.
    pub fn new(settings: &TelemetrySettings) -> Result<Option<Self>> {
        if settings.otlp_endpoint.is_empty() {
            return Ok(None);
        }
        let wrong = |message: String| {
            Failure::new(Code::ConfigInvalid, message).hint("see 'telemetry' in the settings")
        };
        let endpoint = Url::parse(&(settings.otlp_endpoint.trim_end_matches('/').to_owned() + "/"))
            .map_err(|e| wrong(format!("'telemetry.otlp_endpoint' is no address: {e}")))?;
        let mut headers = reqwest::header::HeaderMap::new();
        for (name, value) in &settings.headers {
            let name: reqwest::header::HeaderName = name.parse().map_err(|_| {
                wrong(format!(
                    "'telemetry.headers' has '{name}', which is no header name"
                ))
            })?;
            let value = value.parse().map_err(|_| {
                wrong(format!(
                    "the header '{name}' of 'telemetry.headers' has no valid value"
                ))
            })?;
            headers.insert(name, value);
        }
        let client = http::client(&endpoint)
            .default_headers(headers)
            .timeout(PATIENCE)
            .build()
            .map_err(Failure::internal)?;
        Ok(Some(Self { client, endpoint }))
    }

    /// Sends spans; logs and drops what the collector rejects.
    pub async fn traces(&self, spans: &[TraceSpan]) {
        self.send("v1/traces", &traces(spans)).await;
    }

    /// Sends all metrics.
    pub async fn metrics(&self, meters: &RunMetrics, now: Timestamp) {
        if !(meters.sums.is_empty() && meters.histograms.is_empty()) {
            self.send("v1/metrics", &metrics(meters, now)).await;
        }
    }

    async fn send(&self, path: &str, body: &Json) {
        let Ok(url) = self.endpoint.join(path) else {
            return;
        };
        if let Err(refusal) = retry(
            TRIES,
            |refusal: &ExportRefusal| refusal.may_pass,
            || self.post(&url, body),
        )
        .await
        {
            tracing::warn!(
                path,
                why = refusal.why,
                "telemetry was dropped: the collector does not take it"
            );
        }
    }

    async fn post(&self, url: &Url, body: &Json) -> Result<(), ExportRefusal> {
        match self.client.post(url.clone()).json(body).send().await {
            Ok(reply) if reply.status().is_success() => Ok(()),
            Ok(reply) => {
                let status = reply.status();
                Err(ExportRefusal {
                    may_pass: !status.is_client_error() || status.as_u16() == 429,
                    why: status.to_string(),
                })
            }
            Err(error) => Err(ExportRefusal {
                may_pass: true,
                why: error.without_url().to_string(),
            }),
        }
    }
}

/// Why a request failed, and whether a retry may succeed.
struct ExportRefusal {
    may_pass: bool,
    why: String,
}

fn traces(spans: &[TraceSpan]) -> Json {
    let spans: Vec<Json> = spans.iter().map(span).collect();
    json!({ "resourceSpans": [{ "resource": resource(), "scopeSpans": [{ "scope": { "name": "phasedeck" }, "spans": spans }] }] })
}

fn span(span: &TraceSpan) -> Json {
    let attributes: Vec<Json> = span
        .attributes
        .iter()
        .map(|(key, value)| json!({ "key": key, "value": any(value) }))
        .collect();
    let status = span
        .error
        .as_ref()
        .map_or_else(|| json!({}), |error| json!({ "code": 2, "message": error }));
    json!({
        "traceId": span.trace, "spanId": span.id, "parentSpanId": span.parent, "name": span.name, "kind": 1,
        "startTimeUnixNano": nanos(span.begun), "endTimeUnixNano": nanos(span.ended), "attributes": attributes, "status": status,
    })
}

fn metrics(meters: &RunMetrics, now: Timestamp) -> Json {
    let (start, end) = (nanos(meters.since), nanos(now));
    let sums = meters.sums.iter().map(|((name, labels), value)| {
        let point = json!({ "attributes": labelled(labels), "startTimeUnixNano": start, "timeUnixNano": end, "asInt": value.to_string() });
        (*name, point)
    });
    let histograms = meters.histograms.iter().map(|((name, labels), histogram)| {
        let counts: Vec<String> = histogram.counts.iter().map(u64::to_string).collect();
        let point = json!({
            "attributes": labelled(labels), "startTimeUnixNano": start, "timeUnixNano": end, "sum": histogram.sum,
            "count": histogram.counts.iter().sum::<u64>().to_string(), "bucketCounts": counts, "explicitBounds": BOUNDS,
        });
        (*name, point)
    });
    let sums = by_name(sums)
        .map(|(name, points)| json!({ "name": name, "sum": { "aggregationTemporality": 2, "isMonotonic": true, "dataPoints": points } }));
    let histograms = by_name(histograms)
        .map(|(name, points)| json!({ "name": name, "unit": "s", "histogram": { "aggregationTemporality": 2, "dataPoints": points } }));
    let all: Vec<Json> = sums.chain(histograms).collect();
    json!({ "resourceMetrics": [{ "resource": resource(), "scopeMetrics": [{ "scope": { "name": "phasedeck" }, "metrics": all }] }] })
}

/// OTLP lists each metric once with all its series.
fn by_name(
    points: impl Iterator<Item = (&'static str, Json)>,
) -> impl Iterator<Item = (&'static str, Vec<Json>)> {
    let mut named: BTreeMap<&'static str, Vec<Json>> = BTreeMap::new();
    for (name, point) in points {
        named.entry(name).or_default().push(point);
    }
    named.into_iter()
}

fn resource() -> Json {
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    json!({ "attributes": [text("service.name", "phasedeck"), text("service.version", env!("CARGO_PKG_VERSION"))] })
}

fn labelled(labels: &MetricLabels) -> Vec<Json> {
    labels
        .iter()
        .map(|(key, value)| json!({ "key": key, "value": { "stringValue": value } }))
        .collect()
}

fn any(value: &AttributeValue) -> Json {
    match value {
        AttributeValue::Text(text) => json!({ "stringValue": text }),
        AttributeValue::Whole(number) => json!({ "intValue": number.to_string() }),
    }
}

fn nanos(at: Timestamp) -> String {
    (i128::from(at.0) * 1_000_000).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{JournalEvent, RunFact};
    use crate::model::id::{PhaseKey, RunId};

    #[test]
    fn a_metric_is_named_once_and_has_a_point_for_each_of_its_series() {
        let mut meters = RunMetrics::since(Timestamp(1_000));
        for (phase, duration_ms) in [("spec", 2_000), ("plan", 90_000), ("spec", 500)] {
            meters.take(&JournalEvent {
                run_id: RunId::new(),
                seq: 1,
                at: Timestamp(2_000),
                fact: completed(phase, duration_ms),
            });
        }
        let body = metrics(&meters, Timestamp(3_000));
        let all = body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
            .as_array()
            .unwrap()
            .clone();
        let names: Vec<&str> = all
            .iter()
            .map(|metric| metric["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["phasedeck.phase.duration"]);
        let points = all[0]["histogram"]["dataPoints"].as_array().unwrap();
        let told: Vec<(&Json, &Json, &Json)> = points
            .iter()
            .map(|point| {
                (
                    &point["attributes"][0]["value"]["stringValue"],
                    &point["count"],
                    &point["sum"],
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                (&json!("plan"), &json!("1"), &json!(90.0)),
                (&json!("spec"), &json!("2"), &json!(2.5))
            ]
        );
    }

    fn completed(phase: &str, duration_ms: u64) -> RunFact {
        RunFact::PhaseCompleted {
            phase_key: PhaseKey(phase.to_owned()),
            attempts: 1,
            duration_ms,
            commit: None,
        }
    }
}
