//! Facts about a run, and the events that the journal makes of them.
//!
//! A [`RunFact`] is what happened; an [`Event`] is a fact with its place in the journal. Facts are only
//! added to, never edited: a journal written once folds to the same state for ever. The key of a
//! fact ([`RunFact::key`]) is what makes writing it twice harmless, so two different facts must never
//! share one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Code;
use super::hash::ContentHash;
use super::id::{
    GateKey, PhaseKey, RequestId, RoleId, RunId, SchemaId, SessionId, ThreadId, TurnId,
    VersionedName,
};
use super::money::NanoUsd;
use super::persona::SeatChange;
use super::question::{GateQuestion, PermissionScope};
use super::state::{Decision, PauseReason, RunStatus, Via};
use super::time::Timestamp;

/// A fact with its place in the journal of its run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Event")]
pub struct JournalEvent {
    /// Which run.
    pub run_id: RunId,
    /// From 1, without gaps.
    pub seq: u64,
    /// When it was stored; never earlier than the event before it.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub fact: RunFact,
}

/// Why an attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptCause {
    /// The phase begins.
    First,
    /// The attempt before it gave no valid artifact.
    Repair,
    /// The operator asked for changes.
    ChangesRequested,
}

/// One way in which an artifact does not fit its schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArtifactError {
    /// JSON Pointer (RFC 6901) to the offending value; empty for the document itself.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
}

/// Whose version was taken at a gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Picked")]
pub struct PersonaPick {
    /// The fork that made it.
    pub fork: RunId,
    /// Who worked there.
    pub persona: VersionedName,
}

/// A version of an artifact: whole content, by hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArtifactRef {
    /// Relative to the worktree.
    pub path: String,
    /// What it was checked against.
    pub schema: SchemaId,
    /// SHA-256 of the whole content.
    pub sha256: ContentHash,
    /// Its length.
    pub bytes: u64,
    /// Counts the stored versions of this phase's artifact, valid or not, from 1.
    pub version: u32,
}

/// What one call to a model used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Tokens")]
pub struct TokenUsage {
    /// Sent, cached ones included.
    pub input: u64,
    /// Received, reasoning included.
    pub output: u64,
    /// Sent and read from the provider's cache.
    pub cached: u64,
    /// Spent on reasoning.
    pub reasoning: u64,
}

/// What happened. The wire name of each variant is its event type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "payload")]
#[expect(
    missing_docs,
    reason = "the fields are the wire names that docs/events.md explains one by one"
)]
pub enum RunFact {
    #[serde(rename = "run.created")]
    RunCreated {
        workflow: VersionedName,
        workflow_hash: ContentHash,
        thread: ThreadId,
        phases: Vec<PhaseKey>,
        rehearsal: bool,
    },
    #[serde(rename = "run.started")]
    RunStarted {
        workflow: VersionedName,
        thread: ThreadId,
    },
    #[serde(rename = "run.resumed")]
    RunResumed { ordinal: u32, from_state: RunStatus },
    #[serde(rename = "run.paused")]
    RunPaused {
        ordinal: u32,
        reason: PauseReason,
        from_state: RunStatus,
    },
    #[serde(rename = "run.completed")]
    RunCompleted {},
    #[serde(rename = "run.failed")]
    RunFailed {
        code: Code,
        message: String,
        hint: String,
    },
    #[serde(rename = "run.aborted")]
    RunAborted {
        by: String,
        via: Via,
        reason: String,
    },

    #[serde(rename = "phase.started")]
    PhaseStarted {
        phase_key: PhaseKey,
        attempt: u32,
        role: RoleId,
        persona: VersionedName,
        cause: AttemptCause,
    },
    #[serde(rename = "phase.skipped")]
    PhaseSkipped {
        phase_key: PhaseKey,
        ordinal: u32,
        reason: SkipReason,
    },
    #[serde(rename = "phase.completed")]
    PhaseCompleted {
        phase_key: PhaseKey,
        attempts: u32,
        duration_ms: u64,
        commit: Option<String>,
    },
    #[serde(rename = "phase.failed")]
    PhaseFailed {
        phase_key: PhaseKey,
        reason: Code,
        message: String,
    },

    #[serde(rename = "artifact.expected")]
    ArtifactExpected {
        phase_key: PhaseKey,
        attempt: u32,
        path: String,
        schema: SchemaId,
    },
    #[serde(rename = "prompt.sent")]
    PromptSent {
        phase_key: PhaseKey,
        attempt: u32,
        sha256: ContentHash,
        bytes: u64,
    },
    #[serde(rename = "prompt.repaired")]
    PromptRepaired {
        phase_key: PhaseKey,
        attempt: u32,
        errors: Vec<ArtifactError>,
    },
    #[serde(rename = "artifact.timeout")]
    ArtifactTimeout {
        phase_key: PhaseKey,
        attempt: u32,
        seconds: u64,
    },
    /// `sha256` is absent when there was no file at all.
    #[serde(rename = "artifact.invalid")]
    ArtifactInvalid {
        phase_key: PhaseKey,
        attempt: u32,
        path: String,
        version: u32,
        sha256: Option<ContentHash>,
        bytes: u64,
        errors: Vec<ArtifactError>,
        errors_total: u32,
    },
    #[serde(rename = "artifact.validated")]
    ArtifactValidated {
        phase_key: PhaseKey,
        attempt: u32,
        #[serde(flatten)]
        artifact: ArtifactRef,
        /// The person who wrote this version; absent: the agent of the attempt.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// What a valid version holds that it should not: secrets, by their lines. The content stays as it is.
    #[serde(rename = "artifact.warned")]
    ArtifactWarned {
        phase_key: PhaseKey,
        attempt: u32,
        version: u32,
        sha256: ContentHash,
        words: String,
    },
    /// `found` is absent when the file was gone. `restored` says that the new content was not valid
    /// and what had been validated was put back. `by` names the person who changed it at the gate.
    #[serde(rename = "artifact.changed")]
    ArtifactChanged {
        phase_key: PhaseKey,
        request_id: RequestId,
        expected: ContentHash,
        found: Option<ContentHash>,
        restored: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// Where it was taken from, where that is a fork.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        picked: Option<PersonaPick>,
    },

    #[serde(rename = "approval.requested")]
    ApprovalRequested {
        request_id: RequestId,
        phase_key: Option<PhaseKey>,
        gate: GateKey,
        artifact_sha256: Option<ContentHash>,
        artifact_version: Option<u32>,
        /// What it is about, where it is not about an artifact.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        question: Option<Box<GateQuestion>>,
    },
    #[serde(rename = "approval.resolved")]
    ApprovalResolved {
        request_id: RequestId,
        phase_key: Option<PhaseKey>,
        gate: GateKey,
        action: Decision,
        comment: String,
        by: String,
        via: Via,
        artifact_sha256: Option<ContentHash>,
        /// How far an answer about a tool reaches.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<PermissionScope>,
        /// By how much an answer about a budget raises it for this run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        raise: Option<NanoUsd>,
    },

    /// An answer about a budget put cheaper personas to work; it was stored with them.
    #[serde(rename = "personas.changed")]
    PersonasChanged {
        request_id: RequestId,
        seats: Vec<SeatChange>,
    },

    #[serde(rename = "session.started")]
    SessionStarted {
        session_id: SessionId,
        role: RoleId,
        backend: String,
        ordinal: u32,
    },
    #[serde(rename = "session.recovered")]
    SessionRecovered {
        session_id: SessionId,
        role: RoleId,
        ordinal: u32,
    },
    #[serde(rename = "session.failed")]
    SessionFailed {
        session_id: SessionId,
        role: RoleId,
        ordinal: u32,
        code: Code,
        message: String,
    },

    #[serde(rename = "tool.called")]
    ToolCalled {
        phase_key: PhaseKey,
        turn_id: TurnId,
        call_id: String,
        tool: String,
        target: String,
        outcome: ToolOutcome,
        duration_ms: u64,
    },
    /// The clock went back behind the last event; moments stand still until it has caught up.
    #[serde(rename = "clock.skewed")]
    ClockSkewed { since: Timestamp, behind_ms: u64 },
    /// What the kernel enforces on the commands of an attempt.
    #[serde(rename = "commands.confined")]
    CommandsConfined {
        phase_key: PhaseKey,
        attempt: u32,
        confined: bool,
        words: String,
    },
    #[serde(rename = "agent.adapted")]
    AgentAdapted {
        phase_key: PhaseKey,
        attempt: u32,
        words: String,
    },
    #[serde(rename = "tool.denied")]
    ToolDenied {
        phase_key: PhaseKey,
        turn_id: TurnId,
        call_id: String,
        tool: String,
        target: String,
        code: Code,
        message: String,
    },
    #[serde(rename = "llm.called")]
    LlmCalled {
        phase_key: PhaseKey,
        attempt: u32,
        turn_id: TurnId,
        turn: u32,
        model: String,
        tokens: TokenUsage,
        cost: Option<NanoUsd>,
        estimated: bool,
        latency_ms: u64,
        status: CallStatus,
    },
    /// What was wrong with the form of an answer, which was put right.
    #[serde(rename = "llm.repaired")]
    LlmRepaired {
        phase_key: PhaseKey,
        attempt: u32,
        turn_id: TurnId,
        words: String,
    },
    /// `try` counts the tries of this turn from 1; `wait_ms` is the pause before the next one. `until` is
    /// there when the server asks for more than is slept in a call: the attempt rests until then, also
    /// across restarts.
    #[serde(rename = "llm.retried")]
    LlmRetried {
        phase_key: PhaseKey,
        turn_id: TurnId,
        r#try: u32,
        status: Option<u16>,
        code: Code,
        wait_ms: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    #[serde(rename = "budget.warned")]
    BudgetWarned {
        scope: String,
        limit: NanoUsd,
        spent: NanoUsd,
    },
    #[serde(rename = "budget.exceeded")]
    BudgetExceeded {
        scope: String,
        limit: NanoUsd,
        spent: NanoUsd,
    },
}

/// Why a phase was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// It was done before the run stopped.
    AlreadyCompleted,
    /// The operator said so.
    Operator,
}

/// How a tool call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ToolOutcome {
    /// It did what was asked.
    Ok,
    /// It could not; the agent was told why.
    Error,
    /// Begun before a crash and not recorded; nobody knows.
    Unknown,
}

/// A pause before the next try that is too long to be slept in the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongWait {
    /// The call that failed.
    pub turn_id: TurnId,
    /// How often this turn was tried, from 1.
    pub tries: u32,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// Why it failed.
    pub code: Code,
    /// How long the server asks to wait.
    pub wait_ms: u64,
    /// When that is over.
    pub until: Timestamp,
}

/// How a call to a model ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallStatus {
    /// Answered.
    Ok,
    /// Failed, and paid for or not as the row says.
    Failed,
    /// Open when the host died, or cut off; charged at the reserve.
    Unknown,
}

impl RunFact {
    /// The event type.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::RunCreated { .. } => "run.created",
            Self::RunStarted { .. } => "run.started",
            Self::RunResumed { .. } => "run.resumed",
            Self::RunPaused { .. } => "run.paused",
            Self::RunCompleted {} => "run.completed",
            Self::RunFailed { .. } => "run.failed",
            Self::RunAborted { .. } => "run.aborted",
            Self::PhaseStarted { .. } => "phase.started",
            Self::PhaseSkipped { .. } => "phase.skipped",
            Self::PhaseCompleted { .. } => "phase.completed",
            Self::PhaseFailed { .. } => "phase.failed",
            Self::ArtifactExpected { .. } => "artifact.expected",
            Self::PromptSent { .. } => "prompt.sent",
            Self::PromptRepaired { .. } => "prompt.repaired",
            Self::ArtifactTimeout { .. } => "artifact.timeout",
            Self::ArtifactInvalid { .. } => "artifact.invalid",
            Self::ArtifactValidated { .. } => "artifact.validated",
            Self::ArtifactWarned { .. } => "artifact.warned",
            Self::ArtifactChanged { .. } => "artifact.changed",
            Self::ApprovalRequested { .. } => "approval.requested",
            Self::ApprovalResolved { .. } => "approval.resolved",
            Self::PersonasChanged { .. } => "personas.changed",
            Self::SessionStarted { .. } => "session.started",
            Self::SessionRecovered { .. } => "session.recovered",
            Self::SessionFailed { .. } => "session.failed",
            Self::ClockSkewed { .. } => "clock.skewed",
            Self::CommandsConfined { .. } => "commands.confined",
            Self::AgentAdapted { .. } => "agent.adapted",
            Self::ToolCalled { .. } => "tool.called",
            Self::ToolDenied { .. } => "tool.denied",
            Self::LlmCalled { .. } => "llm.called",
            Self::LlmRepaired { .. } => "llm.repaired",
            Self::LlmRetried { .. } => "llm.retried",
            Self::BudgetWarned { .. } => "budget.warned",
            Self::BudgetExceeded { .. } => "budget.exceeded",
        }
    }

    /// What makes this fact this fact within its run: writing it again is no second event.
    ///
    /// All three ends share one key, so that a run can end only once.
    #[must_use]
    pub fn key(&self) -> String {
        let kind = self.kind();
        match self {
            Self::RunCreated { .. } | Self::RunStarted { .. } => kind.to_owned(),
            Self::RunCompleted {} | Self::RunFailed { .. } | Self::RunAborted { .. } => {
                "run.ended".to_owned()
            }
            Self::RunResumed { ordinal, .. } | Self::RunPaused { ordinal, .. } => {
                format!("{kind}:{ordinal}")
            }
            Self::PhaseSkipped {
                phase_key, ordinal, ..
            } => format!("{kind}:{phase_key}:{ordinal}"),
            Self::PhaseCompleted { phase_key, .. } | Self::PhaseFailed { phase_key, .. } => {
                format!("{kind}:{phase_key}")
            }
            Self::PhaseStarted {
                phase_key, attempt, ..
            }
            | Self::ArtifactExpected {
                phase_key, attempt, ..
            }
            | Self::PromptSent {
                phase_key, attempt, ..
            }
            | Self::PromptRepaired {
                phase_key, attempt, ..
            }
            | Self::ArtifactTimeout {
                phase_key, attempt, ..
            }
            | Self::ArtifactInvalid {
                phase_key, attempt, ..
            } => format!("{kind}:{phase_key}:{attempt}"),
            // The version tells apart the same bytes shown twice, with others between them.
            Self::ArtifactValidated {
                phase_key,
                attempt,
                artifact,
                ..
            } => {
                format!(
                    "{kind}:{phase_key}:{attempt}:{}:{}",
                    artifact.version, artifact.sha256
                )
            }
            Self::ArtifactWarned {
                phase_key,
                attempt,
                version,
                sha256,
                ..
            } => format!("{kind}:{phase_key}:{attempt}:{version}:{sha256}"),
            Self::ArtifactChanged {
                phase_key,
                request_id,
                found,
                ..
            } => {
                let found = found.as_ref().map_or("gone", ContentHash::as_str);
                format!("{kind}:{phase_key}:{found}:{request_id}")
            }
            Self::ApprovalRequested { request_id, .. }
            | Self::ApprovalResolved { request_id, .. }
            | Self::PersonasChanged { request_id, .. } => format!("{kind}:{request_id}"),
            Self::SessionStarted {
                session_id,
                ordinal,
                ..
            }
            | Self::SessionRecovered {
                session_id,
                ordinal,
                ..
            }
            | Self::SessionFailed {
                session_id,
                ordinal,
                ..
            } => format!("{kind}:{session_id}:{ordinal}"),
            Self::ClockSkewed { since, .. } => format!("{kind}:{}", since.0),
            Self::AgentAdapted {
                phase_key,
                attempt,
                words,
            } => format!("{kind}:{phase_key}:{attempt}:{words}"),
            Self::CommandsConfined {
                phase_key,
                attempt,
                words,
                ..
            } => format!("{kind}:{phase_key}:{attempt}:{words}"),
            Self::ToolCalled {
                turn_id, call_id, ..
            }
            | Self::ToolDenied {
                turn_id, call_id, ..
            } => format!("{kind}:{turn_id}:{call_id}"),
            Self::LlmCalled { turn_id, .. } | Self::LlmRepaired { turn_id, .. } => {
                format!("{kind}:{turn_id}")
            }
            Self::LlmRetried { turn_id, r#try, .. } => format!("{kind}:{turn_id}:{}", r#try),
            Self::BudgetWarned { scope, limit, .. } | Self::BudgetExceeded { scope, limit, .. } => {
                format!("{kind}:{scope}:{}", limit.0)
            }
        }
    }

    /// The phase it is about, where it is about one.
    #[must_use]
    pub fn phase_key(&self) -> Option<&PhaseKey> {
        match self {
            Self::PhaseStarted { phase_key, .. }
            | Self::PhaseSkipped { phase_key, .. }
            | Self::PhaseCompleted { phase_key, .. }
            | Self::PhaseFailed { phase_key, .. }
            | Self::ArtifactExpected { phase_key, .. }
            | Self::PromptSent { phase_key, .. }
            | Self::PromptRepaired { phase_key, .. }
            | Self::ArtifactTimeout { phase_key, .. }
            | Self::ArtifactInvalid { phase_key, .. }
            | Self::ArtifactValidated { phase_key, .. }
            | Self::ArtifactWarned { phase_key, .. }
            | Self::ArtifactChanged { phase_key, .. }
            | Self::AgentAdapted { phase_key, .. }
            | Self::CommandsConfined { phase_key, .. }
            | Self::ToolCalled { phase_key, .. }
            | Self::ToolDenied { phase_key, .. }
            | Self::LlmCalled { phase_key, .. }
            | Self::LlmRepaired { phase_key, .. }
            | Self::LlmRetried { phase_key, .. } => Some(phase_key),
            Self::ApprovalRequested { phase_key, .. }
            | Self::ApprovalResolved { phase_key, .. } => phase_key.as_ref(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_flat_object_with_type_and_payload() {
        let event = JournalEvent {
            run_id: "01930000-0000-7000-8000-0000deadbeef".parse().unwrap(),
            seq: 7,
            at: Timestamp(0),
            fact: RunFact::PhaseCompleted {
                phase_key: "spec".into(),
                attempts: 2,
                duration_ms: 5,
                commit: None,
            },
        };
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(
            text,
            "{\"run_id\":\"01930000-0000-7000-8000-0000deadbeef\",\"seq\":7,\"at\":\"1970-01-01T00:00:00.000Z\",\
             \"type\":\"phase.completed\",\"payload\":{\"phase_key\":\"spec\",\"attempts\":2,\"duration_ms\":5,\"commit\":null}}"
        );
        assert_eq!(serde_json::from_str::<JournalEvent>(&text).unwrap(), event);
    }

    #[test]
    fn keys_tell_phases_attempts_and_ordinals_apart() {
        let completed = |key: &str| RunFact::PhaseCompleted {
            phase_key: key.into(),
            attempts: 1,
            duration_ms: 0,
            commit: None,
        };
        assert_ne!(completed("spec").key(), completed("plan").key());
        let resumed = |ordinal| RunFact::RunResumed {
            ordinal,
            from_state: RunStatus::Executing,
        };
        assert_ne!(resumed(1).key(), resumed(2).key());
        let timeout = |attempt| RunFact::ArtifactTimeout {
            phase_key: "spec".into(),
            attempt,
            seconds: 1,
        };
        assert_ne!(timeout(1).key(), timeout(2).key());
    }

    #[test]
    fn the_three_ends_of_a_run_share_one_key() {
        let failed = RunFact::RunFailed {
            code: Code::Internal,
            message: String::new(),
            hint: String::new(),
        };
        let aborted = RunFact::RunAborted {
            by: String::new(),
            via: Via::Cli,
            reason: String::new(),
        };
        assert_eq!(RunFact::RunCompleted {}.key(), failed.key());
        assert_eq!(failed.key(), aborted.key());
    }
}
