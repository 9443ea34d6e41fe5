//! What a notice says: for programs as JSON, for people in one sentence.

use serde::Serialize;

use crate::model::event::{JournalEvent, RunFact};
use crate::model::id::{RequestId, RunId};
use crate::model::record::{ApprovalRecord, RunRecord};
use crate::model::safe_text::safe_line;
use crate::model::settings::{NoticeKind, NotifySettings};
use crate::model::time::Timestamp;

/// A notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotificationMessage {
    /// What kind of thing happened.
    pub notice: NoticeKind,
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
    pub question: Option<PendingApproval>,
}

/// A question that waits, and how to answer it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PendingApproval {
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

impl NotificationMessage {
    /// The notice of an event.
    #[must_use]
    pub fn new(
        event: &JournalEvent,
        run: &RunRecord,
        question: Option<&ApprovalRecord>,
        token: Option<String>,
    ) -> Self {
        let payload = serde_json::to_value(event)
            .map(|mut value| value["payload"].take())
            .unwrap_or_default();
        Self {
            notice: notice(&event.fact).unwrap_or(NoticeKind::End),
            summary: summary(event, run, question),
            run_id: run.id,
            workflow: run.workflow.clone(),
            thread: run.thread.to_string(),
            state: run.state.clone(),
            seq: event.seq,
            event: event.fact.kind(),
            at: event.at,
            payload,
            question: question.map(|asked| PendingApproval {
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
pub fn matters(fact: &RunFact, settings: &NotifySettings) -> bool {
    notice(fact).is_some_and(|notice| settings.on.contains(&notice))
}

fn notice(fact: &RunFact) -> Option<NoticeKind> {
    match fact {
        RunFact::ApprovalRequested { .. } => Some(NoticeKind::Gate),
        RunFact::RunFailed { .. } | RunFact::SessionFailed { .. } => Some(NoticeKind::Failure),
        RunFact::BudgetWarned { .. } | RunFact::BudgetExceeded { .. } => Some(NoticeKind::Budget),
        RunFact::RunCompleted {} | RunFact::RunAborted { .. } => Some(NoticeKind::End),
        _ => None,
    }
}

fn summary(event: &JournalEvent, run: &RunRecord, question: Option<&ApprovalRecord>) -> String {
    let who = format!("{} ({}, {})", run.thread, run.workflow, run.id.short());
    let what = match &event.fact {
        RunFact::ApprovalRequested { gate, .. } => {
            let about =
                question.and_then(|asked| asked.phase_key.as_ref().zip(asked.artifact_version));
            let about = about
                .map(|(phase, version)| format!(": {phase} v{version}"))
                .unwrap_or_default();
            format!("waits for you at {gate}{about}")
        }
        RunFact::RunFailed { message, .. } => format!("failed: {message}"),
        RunFact::SessionFailed { .. } => "lost its agent".to_owned(),
        RunFact::BudgetWarned { .. } => "has used most of its budget".to_owned(),
        RunFact::BudgetExceeded { .. } => "has reached its budget".to_owned(),
        RunFact::RunAborted { .. } => "was aborted".to_owned(),
        _ => "is done".to_owned(),
    };
    safe_line(&format!("{who} {what}"))
}
