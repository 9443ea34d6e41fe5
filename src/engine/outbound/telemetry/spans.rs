//! Folds the events of a run to spans: run, phase, attempt, turn, tool, gate.
//!
//! A span is emitted by the event that ends it. Its id derives from the run and the event that
//! started it, so exporting a span twice is harmless. The run id is the trace id. Waiting for a
//! person is a separate span (`gate`), never part of an attempt.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::model::event::{CallStatus, JournalEvent, RunFact, ToolOutcome};
use crate::model::id::{PhaseKey, RequestId, RunId};
use crate::model::time::Timestamp;

/// A trace span.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceSpan {
    /// Trace id: the run id as 32 hex digits.
    pub trace: String,
    /// Span id: 16 hex digits.
    pub id: String,
    /// Parent span; empty for the run.
    pub parent: String,
    /// `run`, `phase spec`, `attempt 1`, `turn 2`, `tool read_file`, `gate spec_approved`.
    pub name: String,
    pub begun: Timestamp,
    pub ended: Timestamp,
    pub attributes: Vec<(&'static str, AttributeValue)>,
    /// Error message, if the span failed.
    pub error: Option<String>,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum AttributeValue {
    Text(String),
    Whole(i64),
}

impl From<&str> for AttributeValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u64> for AttributeValue {
    fn from(number: u64) -> Self {
        Self::Whole(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// Start of an open span: its time and event.
#[derive(Clone, Copy, Debug)]
struct OpenSpan {
    at: Timestamp,
    seq: u64,
}

/// Open spans of one run.
#[derive(Clone, Debug)]
pub struct SpanBuilder {
    run: RunId,
    seq: u64,
    begun: Option<OpenSpan>,
    workflow: String,
    phases: BTreeMap<PhaseKey, OpenSpan>,
    attempts: BTreeMap<PhaseKey, (u32, String, OpenSpan)>,
    gates: BTreeMap<RequestId, OpenSpan>,
}

impl SpanBuilder {
    /// Creates an empty state.
    #[must_use]
    pub fn of(run: RunId) -> Self {
        let (phases, attempts, gates) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self {
            run,
            seq: 0,
            begun: None,
            workflow: String::new(),
            phases,
            attempts,
            gates,
        }
    }

    /// Returns the last processed event.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Processes the next event and returns the spans that it ends.
    pub fn take(&mut self, event: &JournalEvent) -> Vec<TraceSpan> {
        self.seq = event.seq;
        let here = OpenSpan {
            at: event.at,
            seq: event.seq,
        };
        match &event.fact {
            RunFact::RunCreated { workflow, .. } => {
                (self.begun, self.workflow) = (Some(here), workflow.to_string());
                Vec::new()
            }
            RunFact::PhaseStarted {
                phase_key,
                attempt,
                persona,
                ..
            } => {
                let ended = self.end_attempt(phase_key, event, None);
                self.phases.entry(phase_key.clone()).or_insert(here);
                self.attempts
                    .insert(phase_key.clone(), (*attempt, persona.to_string(), here));
                ended
            }
            RunFact::ArtifactValidated { phase_key, .. } => {
                self.end_attempt(phase_key, event, None)
            }
            RunFact::ArtifactInvalid { phase_key, .. } => {
                self.end_attempt(phase_key, event, Some("artifact invalid"))
            }
            RunFact::ArtifactTimeout { phase_key, .. } => {
                self.end_attempt(phase_key, event, Some("artifact timeout"))
            }
            RunFact::PhaseCompleted { phase_key, .. } => self.end_phase(phase_key, event, None),
            RunFact::PhaseFailed {
                phase_key, reason, ..
            } => self.end_phase(phase_key, event, Some(reason.as_str())),
            RunFact::ApprovalRequested { request_id, .. } => {
                self.gates.insert(*request_id, here);
                Vec::new()
            }
            RunFact::ApprovalResolved { .. } => self.gate(event).into_iter().collect(),
            RunFact::LlmCalled { .. } => self.turn(event).into_iter().collect(),
            RunFact::ToolCalled { .. } => self.tool(event).into_iter().collect(),
            RunFact::RunCompleted {} => self.end_run(event, None),
            RunFact::RunFailed { code, .. } => self.end_run(event, Some(code.as_str())),
            RunFact::RunAborted { .. } => self.end_run(event, Some("aborted")),
            _ => Vec::new(),
        }
    }

    fn span(
        &self,
        begun: OpenSpan,
        ended: Timestamp,
        parent: Option<OpenSpan>,
        name: String,
    ) -> TraceSpan {
        TraceSpan {
            trace: self.run.0.simple().to_string(),
            id: self.id(begun),
            parent: parent.map(|parent| self.id(parent)).unwrap_or_default(),
            name,
            begun: begun.at.min(ended),
            ended,
            attributes: vec![("phasedeck.run", self.run.to_string().as_str().into())],
            error: None,
        }
    }

    fn id(&self, begun: OpenSpan) -> String {
        hex::encode(&Sha256::digest(format!("{}:{}", self.run, begun.seq))[..8])
    }

    fn end_run(&mut self, event: &JournalEvent, error: Option<&str>) -> Vec<TraceSpan> {
        let open: Vec<PhaseKey> = self.phases.keys().cloned().collect();
        let mut ended: Vec<TraceSpan> = open
            .iter()
            .flat_map(|phase| self.end_phase(phase, event, error))
            .collect();
        if let Some(begun) = self.begun.take() {
            let mut span = self.span(begun, event.at, None, "run".to_owned());
            span.attributes
                .push(("phasedeck.workflow", self.workflow.as_str().into()));
            span.error = error.map(str::to_owned);
            ended.push(span);
        }
        ended
    }

    fn end_phase(
        &mut self,
        phase: &PhaseKey,
        event: &JournalEvent,
        error: Option<&str>,
    ) -> Vec<TraceSpan> {
        let mut ended = self.end_attempt(phase, event, error);
        if let Some(begun) = self.phases.remove(phase) {
            // The run starts with its first event; a phase never starts with the same one, so ids
            // differ.
            let mut span = self.span(begun, event.at, self.begun, format!("phase {phase}"));
            span.attributes
                .push(("phasedeck.phase", phase.as_str().into()));
            span.error = error.map(str::to_owned);
            ended.push(span);
        }
        ended
    }

    fn end_attempt(
        &mut self,
        phase: &PhaseKey,
        event: &JournalEvent,
        error: Option<&str>,
    ) -> Vec<TraceSpan> {
        let Some((attempt, persona, begun)) = self.attempts.remove(phase) else {
            return Vec::new();
        };
        // An attempt may start with the same event as its phase, so its span id must differ.
        let mut span = self.span(
            begun,
            event.at,
            self.phases.get(phase).copied(),
            format!("attempt {attempt}"),
        );
        span.id = self.attempt_id(begun);
        span.attributes.extend([
            ("phasedeck.phase", phase.as_str().into()),
            ("phasedeck.persona", persona.as_str().into()),
        ]);
        span.error = error.map(str::to_owned);
        vec![span]
    }

    fn attempt_id(&self, begun: OpenSpan) -> String {
        hex::encode(&Sha256::digest(format!("{}:{}:attempt", self.run, begun.seq))[..8])
    }

    /// Creates the span of a model or tool call, as a child of the open attempt.
    fn work(
        &self,
        event: &JournalEvent,
        phase: &PhaseKey,
        took_ms: u64,
        name: String,
    ) -> TraceSpan {
        let begun = OpenSpan {
            at: Timestamp(
                event
                    .at
                    .0
                    .saturating_sub(i64::try_from(took_ms).unwrap_or(i64::MAX)),
            ),
            seq: event.seq,
        };
        let mut span = self.span(begun, event.at, self.phases.get(phase).copied(), name);
        if let Some((_, _, attempt)) = self.attempts.get(phase) {
            span.parent = self.attempt_id(*attempt);
        }
        span.attributes
            .push(("phasedeck.phase", phase.as_str().into()));
        span
    }

    fn turn(&self, event: &JournalEvent) -> Option<TraceSpan> {
        let RunFact::LlmCalled {
            phase_key,
            turn,
            model,
            tokens,
            cost,
            latency_ms,
            status,
            ..
        } = &event.fact
        else {
            return None;
        };
        let mut span = self.work(event, phase_key, *latency_ms, format!("turn {turn}"));
        span.attributes.extend([
            ("gen_ai.request.model", model.as_str().into()),
            ("gen_ai.usage.input_tokens", tokens.input.into()),
            ("gen_ai.usage.output_tokens", tokens.output.into()),
        ]);
        span.attributes
            .extend(cost.map(|cost| ("phasedeck.cost_nano_usd", AttributeValue::Whole(cost.0))));
        span.error = (*status != CallStatus::Ok).then(|| "the call gave no answer".to_owned());
        Some(span)
    }

    fn tool(&self, event: &JournalEvent) -> Option<TraceSpan> {
        let RunFact::ToolCalled {
            phase_key,
            tool,
            target,
            outcome,
            duration_ms,
            ..
        } = &event.fact
        else {
            return None;
        };
        let mut span = self.work(event, phase_key, *duration_ms, format!("tool {tool}"));
        span.attributes
            .push(("phasedeck.target", target.as_str().into()));
        span.error = (*outcome != ToolOutcome::Ok).then(|| "the tool failed".to_owned());
        Some(span)
    }

    fn gate(&mut self, event: &JournalEvent) -> Option<TraceSpan> {
        let RunFact::ApprovalResolved {
            request_id,
            phase_key,
            gate,
            action,
            by,
            via,
            ..
        } = &event.fact
        else {
            return None;
        };
        let begun = self.gates.remove(request_id)?;
        let parent = phase_key
            .as_ref()
            .and_then(|phase| self.phases.get(phase))
            .copied()
            .or(self.begun);
        let mut span = self.span(begun, event.at, parent, format!("gate {gate}"));
        span.attributes.extend([
            ("phasedeck.decision", action.as_str().into()),
            ("phasedeck.by", by.as_str().into()),
            ("phasedeck.via", via.as_str().into()),
        ]);
        Some(span)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spans(facts: &[(i64, serde_json::Value)]) -> Vec<TraceSpan> {
        let run: RunId = "01930000-0000-7000-8000-0000deadbeef".parse().unwrap();
        let mut fold = SpanBuilder::of(run);
        let event = |(seq, (at, fact)): (usize, &(i64, serde_json::Value))| JournalEvent {
            run_id: run,
            seq: seq as u64 + 1,
            at: Timestamp(*at),
            fact: serde_json::from_value(fact.clone()).unwrap(),
        };
        facts
            .iter()
            .enumerate()
            .map(event)
            .flat_map(|event| fold.take(&event))
            .collect()
    }

    #[test]
    fn a_run_becomes_a_tree_whose_waiting_stands_apart() {
        let hash = "a".repeat(64);
        let request = "01930000-0000-7000-8000-000000000001";
        let found = spans(&[
            (
                0,
                json!({"type": "run.created", "payload": {"workflow": "dev@1", "workflow_hash": hash, "thread": "t", "phases": ["spec"], "rehearsal": false}}),
            ),
            (
                10,
                json!({"type": "phase.started", "payload": {"phase_key": "spec", "attempt": 1, "role": "a", "persona": "ada@1", "cause": "first"}}),
            ),
            (
                50,
                json!({"type": "llm.called", "payload": {"phase_key": "spec", "attempt": 1, "turn_id": request, "turn": 1, "model": "m",
                "tokens": {"input": 5, "output": 6, "cached": 0, "reasoning": 0}, "cost": 7, "estimated": false, "latency_ms": 30, "status": "ok"}}),
            ),
            (
                60,
                json!({"type": "artifact.validated", "payload": {"phase_key": "spec", "attempt": 1, "path": "s", "schema": "d/s@1", "sha256": hash, "bytes": 1, "version": 1}}),
            ),
            (
                60,
                json!({"type": "approval.requested", "payload": {"request_id": request, "phase_key": "spec", "gate": "ok", "artifact_sha256": hash, "artifact_version": 1}}),
            ),
            (
                960,
                json!({"type": "approval.resolved", "payload": {"request_id": request, "phase_key": "spec", "gate": "ok", "action": "approve",
                "comment": "", "by": "kim", "via": "cli", "artifact_sha256": hash}}),
            ),
            (
                970,
                json!({"type": "phase.completed", "payload": {"phase_key": "spec", "attempts": 1, "duration_ms": 960, "commit": null}}),
            ),
            (980, json!({"type": "run.completed", "payload": {}})),
        ]);
        let told: Vec<(&str, i64, i64)> = found
            .iter()
            .map(|span| (span.name.as_str(), span.begun.0, span.ended.0))
            .collect();
        assert_eq!(
            told,
            [
                ("turn 1", 20, 50),
                ("attempt 1", 10, 60),
                ("gate ok", 60, 960),
                ("phase spec", 10, 970),
                ("run", 0, 980)
            ]
        );
        let [turn, attempt, gate, phase, run] = &found[..] else {
            panic!()
        };
        assert_eq!(
            (&turn.parent, &attempt.parent, &gate.parent),
            (&attempt.id, &phase.id, &phase.id)
        );
        assert_eq!(
            (&phase.parent, run.parent.as_str(), run.trace.len()),
            (&run.id, "", 32)
        );
        let ids: std::collections::BTreeSet<&String> = found.iter().map(|span| &span.id).collect();
        assert_eq!(ids.len(), 5);
        assert!(
            turn.attributes
                .contains(&("phasedeck.cost_nano_usd", AttributeValue::Whole(7)))
        );
    }

    #[test]
    fn a_failed_run_ends_everything_that_was_open_with_its_code() {
        let found = spans(&[
            (
                0,
                json!({"type": "run.created", "payload": {"workflow": "dev@1", "workflow_hash": "a".repeat(64), "thread": "t", "phases": ["spec"], "rehearsal": false}}),
            ),
            (
                10,
                json!({"type": "phase.started", "payload": {"phase_key": "spec", "attempt": 1, "role": "a", "persona": "ada@1", "cause": "first"}}),
            ),
            (
                20,
                json!({"type": "run.failed", "payload": {"code": "llm_auth", "message": "m", "hint": ""}}),
            ),
        ]);
        let told: Vec<(&str, Option<&str>)> = found
            .iter()
            .map(|span| (span.name.as_str(), span.error.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                ("attempt 1", Some("llm_auth")),
                ("phase spec", Some("llm_auth")),
                ("run", Some("llm_auth"))
            ]
        );
    }
}
