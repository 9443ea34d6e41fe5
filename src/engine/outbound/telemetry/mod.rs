//! Exports traces and metrics of runs to an OpenTelemetry collector; off unless an endpoint is set.
//!
//! All data is derived from stored events: [`spans`] folds them to spans, [`meters`] aggregates
//! them, [`otlp`] sends both by OTLP over HTTP as JSON. A host worker does this without delaying a
//! run. Data that the collector rejects after a few attempts is dropped and logged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::meters::RunMetrics;
use self::otlp::OtlpCollector;
use self::spans::{SpanBuilder, TraceSpan};
use crate::engine::api::EngineSignal;
use crate::engine::run::context::EngineContext;
use crate::model::error::Result;
use crate::model::event::JournalEvent;
use crate::model::id::RunId;
use crate::model::time::Timestamp;
use crate::store::journal::events;

mod meters;
mod otlp;
mod spans;

/// Time for which finished spans are batched.
const GATHER: Duration = Duration::from_secs(1);
/// Maximum number of spans per request.
const BATCH: usize = 256;
/// Events per read.
const PAGE: u32 = 512;

/// Exports until `closing`, then the remaining data. Returns at once if no endpoint is set.
pub async fn run(context: Arc<EngineContext>, closing: CancellationToken) {
    let collector = match OtlpCollector::new(&context.settings.telemetry) {
        Ok(Some(collector)) => collector,
        Ok(None) => return,
        Err(failure) => return tracing::error!(%failure, "no telemetry"),
    };
    let mut signals = context.journal.subscribe();
    let mut watcher = TelemetryWorker {
        context,
        collector,
        runs: BTreeMap::new(),
        meters: RunMetrics::since(Timestamp::now()),
        ended: Vec::new(),
    };
    let mut flush: Option<Instant> = None;
    loop {
        // Nothing is batched: sleep until an event arrives.
        let due = async {
            match flush {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let signal = tokio::select! {
            biased;
            signal = signals.recv() => Some(signal),
            () = closing.cancelled() => Some(Err(RecvError::Closed)),
            () = due => None,
        };
        match signal {
            Some(Ok(EngineSignal::Event(event))) => {
                if let Err(failure) = watcher.take(&event).await {
                    tracing::warn!(%failure, "a run cannot be traced");
                }
                flush = flush.or(Some(Instant::now() + GATHER));
            }
            Some(Ok(_) | Err(RecvError::Lagged(_))) => {}
            Some(Err(RecvError::Closed)) => return watcher.send().await,
            None => {
                watcher.send().await;
                flush = None;
            }
        }
    }
}

struct TelemetryWorker {
    context: Arc<EngineContext>,
    collector: OtlpCollector,
    runs: BTreeMap<RunId, SpanBuilder>,
    meters: RunMetrics,
    ended: Vec<TraceSpan>,
}

impl TelemetryWorker {
    /// Processes an event, after any missed events of its run.
    async fn take(&mut self, event: &JournalEvent) -> Result<()> {
        let known = self.runs.get(&event.run_id).map(SpanBuilder::seq);
        if known.is_none_or(|seq| seq + 1 < event.seq) {
            self.catch_up(event.run_id, event.seq).await?;
        }
        let spans = self
            .runs
            .entry(event.run_id)
            .or_insert_with(|| SpanBuilder::of(event.run_id));
        if spans.seq() >= event.seq {
            return Ok(());
        }
        self.ended.extend(spans.take(event));
        self.meters.take(event);
        if event.fact.key() == "run.ended" {
            self.runs.remove(&event.run_id);
        }
        Ok(())
    }

    /// Replays earlier events without exporting: the previous host was responsible for spans that
    /// ended before this host started.
    async fn catch_up(&mut self, run: RunId, before: u64) -> Result<()> {
        let is_new = !self.runs.contains_key(&run);
        loop {
            let from = self.runs.get(&run).map_or(0, SpanBuilder::seq) + 1;
            let events = self
                .context
                .journal
                .read(move |conn| events::from(conn, run, from, PAGE))
                .await?;
            let spans = self.runs.entry(run).or_insert_with(|| SpanBuilder::of(run));
            let mut moved = false;
            for event in events.iter().filter(|event| event.seq < before) {
                let ended = spans.take(event);
                if !is_new {
                    self.ended.extend(ended);
                    self.meters.take(event);
                }
                moved = true;
            }
            if !moved {
                return Ok(());
            }
        }
    }

    async fn send(&mut self) {
        for batch in self.ended.chunks(BATCH) {
            self.collector.traces(batch).await;
        }
        self.ended.clear();
        self.collector.metrics(&self.meters, Timestamp::now()).await;
    }
}
