//! What a notice says: for programs as JSON, for people in one sentence.

use serde::Serialize;

use crate::model::event::{Event, Fact};
use crate::model::id::{RequestId, RunId};
use crate::model::record::{ApprovalRecord, RunRecord};
use crate::model::safe_text::safe_line;
use crate::model::settings::{Notice, NotifySettings};
use crate::model::time::Timestamp;

/// A notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// What kind of thing happened.
    pub notice: Notice,
    /// One sentence for people; safe to show.
    pub summary: String,
    /// Of which run.
    pub run_id: RunId,
    /// Its workflow.
    pub workflow: String,
    /// Its lane.
    pub thread: String,
    /// Where the run stands now.
    pub state: String,
    /// The event that is told; run and number together name this notice for ever.
    pub seq: u64,
    /// Its type.
    pub event: &'static str,
    /// When it was stored.
    pub at: Timestamp,
    /// What it says.
    pub payload: serde_json::Value,
    /// The question that waits.
    pub question: Option<Question>,
}

/// A question that waits, and how to answer it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Question {
    /// Which.
    pub request_id: RequestId,
    /// Which gate.
    pub gate: String,
    /// About which phase.
    pub phase_key: Option<String>,
    /// The version of the artifact it is about.
    pub artifact_version: Option<u32>,
    /// Its content's SHA-256.
    pub artifact_sha256: Option<String>,
    /// Answers it once: `phasedeck approve --token TOKEN`.
    pub token: Option<String>,
}

impl Message {
    /// The notice of an event.
    #[must_use]
    pub fn new(
        event: &Event,
        run: &RunRecord,
        question: Option<&ApprovalRecord>,
        token: Option<String>,
    ) -> Self {
        let payload = serde_json::to_value(event)
            .map(|mut value| value["payload"].take())
            .unwrap_or_default();
        Self {
            notice: notice(&event.fact).unwrap_or(Notice::End),
            summary: summary(event, run, question),
            run_id: run.id,
            workflow: run.workflow.clone(),
            thread: run.thread.to_string(),
            state: run.state.clone(),
            seq: event.seq,
            event: event.fact.kind(),
            at: event.at,
            payload,
            question: question.map(|asked| Question {
                request_id: asked.id,
                gate: asked.gate.to_string(),
                phase_key: asked.phase_key.as_ref().map(ToString::to_string),
                artifact_version: asked.artifact_version,
                artifact_sha256: asked.artifact_sha256.as_ref().map(ToString::to_string),
                token,
            }),
        }
    }
}

/// Whether the operator wants to hear of it.
#[must_use]
pub fn matters(fact: &Fact, settings: &NotifySettings) -> bool {
    notice(fact).is_some_and(|notice| settings.on.contains(&notice))
}

fn notice(fact: &Fact) -> Option<Notice> {
    match fact {
        Fact::ApprovalRequested { .. } => Some(Notice::Gate),
        Fact::RunFailed { .. } | Fact::SessionFailed { .. } => Some(Notice::Failure),
        Fact::BudgetWarned { .. } | Fact::BudgetExceeded { .. } => Some(Notice::Budget),
        Fact::RunCompleted {} | Fact::RunAborted { .. } => Some(Notice::End),
        _ => None,
    }
}

fn summary(event: &Event, run: &RunRecord, question: Option<&ApprovalRecord>) -> String {
    let who = format!("{} ({}, {})", run.thread, run.workflow, run.id.short());
    let what = match &event.fact {
        Fact::ApprovalRequested { gate, .. } => {
            let about =
                question.and_then(|asked| asked.phase_key.as_ref().zip(asked.artifact_version));
            let about = about
                .map(|(phase, version)| format!(": {phase} v{version}"))
                .unwrap_or_default();
            format!("waits for you at {gate}{about}")
        }
        Fact::RunFailed { message, .. } => format!("failed: {message}"),
        Fact::SessionFailed { .. } => "lost its agent".to_owned(),
        Fact::BudgetWarned { .. } => "has used most of its budget".to_owned(),
        Fact::BudgetExceeded { .. } => "has reached its budget".to_owned(),
        Fact::RunAborted { .. } => "was aborted".to_owned(),
        _ => "is done".to_owned(),
    };
    safe_line(&format!("{who} {what}"))
}
