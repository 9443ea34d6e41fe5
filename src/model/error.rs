//! The one error that reaches people: a stable code, a message that names the thing, what to do next.
//!
//! Rooms may have narrower errors of their own; at a room's door they become a [`Failure`].

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What kind of help an error needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// May pass by itself; retried with back-off.
    Recoverable,
    /// A person must decide or mend; the run stops where that person can go on.
    HumanRequired,
    /// The data or the program is wrong; nothing is guessed.
    Fatal,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $variant:ident = $wire:literal, $class:ident;)*) => {
        /// Stable error codes; the wire name never changes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Code {
            $($(#[doc = $doc])* #[serde(rename = $wire)] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The wire name.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $wire),* }
            }

            /// When it is said, in a sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),*).trim_ascii()),* }
            }

            /// What kind of help it needs.
            #[must_use]
            pub fn class(self) -> ErrorClass {
                match self { $(Self::$variant => ErrorClass::$class),* }
            }

            /// The code with this wire name.
            #[must_use]
            pub fn parse(wire: &str) -> Option<Self> {
                match wire { $($wire => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

codes! {
    /// No such run.
    RunNotFound = "run_not_found", HumanRequired;
    /// Several runs fit the part of an id that was given.
    RunAmbiguous = "run_ambiguous", HumanRequired;
    /// The run has ended; nothing reopens it.
    RunAlreadyTerminal = "run_already_terminal", HumanRequired;
    /// A run without binding rows.
    RunMetadataMissing = "run_metadata_missing", HumanRequired;
    /// The state does not allow what was asked.
    IllegalTransition = "illegal_transition", HumanRequired;
    /// The stored workflow is missing or malformed.
    TemplateLoadFailed = "template_load_failed", Fatal;
    /// The stored persona of a binding is missing or malformed.
    PersonaLoadFailed = "persona_load_failed", Fatal;
    /// The run's worktree is gone and its branch too.
    WorktreeMissing = "worktree_missing", HumanRequired;
    /// Git refused.
    GitFailed = "git_failed", HumanRequired;
    /// No artifact after the last attempt.
    ArtifactTimeoutExhausted = "artifact_timeout_exhausted", HumanRequired;
    /// Still invalid after the last repair.
    ArtifactInvalidAfterRepair = "artifact_invalid_after_repair", HumanRequired;
    /// The file is no longer what was validated and shown.
    ArtifactChanged = "artifact_changed", HumanRequired;
    /// The artifact is larger than the limit.
    ArtifactTooLarge = "artifact_too_large", HumanRequired;
    /// The work wrote more to its worktree than it may.
    FileTooBig = "file_too_big", HumanRequired;
    /// The operator said no.
    ApprovalRejected = "approval_rejected", HumanRequired;
    /// A second, different decision.
    ApprovalAlreadyResolved = "approval_already_resolved", HumanRequired;
    /// The run asks nothing at the moment.
    NoPendingApproval = "no_pending_approval", HumanRequired;
    /// Another run holds the thread.
    ThreadBusy = "thread_busy", HumanRequired;
    /// The idempotency key was used for a different start.
    IdempotencyConflict = "idempotency_conflict", HumanRequired;
    /// Another host owns the data directory.
    SessionManagerAlreadyRunning = "session_manager_already_running", HumanRequired;
    /// The host stops; the command was not acted on.
    HostGoingAway = "host_going_away", Recoverable;
    /// An agent session could not be resumed.
    SessionRecoveryRequired = "session_recovery_required", HumanRequired;
    /// An agent program did not answer in time.
    PaneBrieflyUnresponsive = "pane_briefly_unresponsive", Recoverable;
    /// No persona can fill a role.
    NoPersonaForRole = "no_persona_for_role", HumanRequired;
    /// The operator has not agreed to use a persona.
    PersonaConsentRequired = "persona_consent_required", HumanRequired;
    /// A persona's backend cannot be used here.
    BackendUnavailable = "backend_unavailable", HumanRequired;
    /// A role that the workflow does not have.
    UnknownRole = "unknown_role", HumanRequired;
    /// A schema id that nobody defines.
    SchemaNotFound = "schema_not_found", HumanRequired;
    /// No workflow of that name.
    WorkflowNotFound = "workflow_not_found", HumanRequired;
    /// No persona of that name.
    PersonaNotFound = "persona_not_found", HumanRequired;
    /// A workflow file has mistakes.
    WorkflowInvalid = "workflow_invalid", HumanRequired;
    /// A persona file has mistakes.
    PersonaInvalid = "persona_invalid", HumanRequired;
    /// An artifact schema has mistakes.
    SchemaInvalid = "schema_invalid", HumanRequired;
    /// The configuration has mistakes.
    ConfigInvalid = "config_invalid", HumanRequired;
    /// The command line or an input of it is wrong.
    UsageInvalid = "usage_invalid", HumanRequired;
    /// Nobody takes notices at the webhook's address.
    WebhookUnreachable = "webhook_unreachable", Recoverable;
    /// A token that answers a gate is unknown or expired.
    TokenRefused = "token_refused", HumanRequired;
    /// A path leaves the worktree.
    PathOutsideWorktree = "path_outside_worktree", Fatal;
    /// A persona's permissions refuse a tool.
    ToolNotPermitted = "tool_not_permitted", HumanRequired;
    /// A hard limit of money was reached.
    BudgetExceeded = "budget_exceeded", HumanRequired;
    /// The agent went in circles.
    AgentLoopDetected = "agent_loop_detected", HumanRequired;
    /// The agent used up its turns, tokens or output.
    AgentLimitReached = "agent_limit_reached", HumanRequired;
    /// The provider refused the key.
    LlmAuth = "llm_auth", HumanRequired;
    /// The provider asks to slow down.
    LlmRateLimited = "llm_rate_limited", Recoverable;
    /// The provider is overloaded.
    LlmOverloaded = "llm_overloaded", Recoverable;
    /// The provider's answer makes no sense, or the request was refused.
    LlmBadResponse = "llm_bad_response", HumanRequired;
    /// The request is longer than the model takes, and could not be made short enough.
    LlmContextExceeded = "llm_context_exceeded", HumanRequired;
    /// The provider cannot be reached.
    LlmUnreachable = "llm_unreachable", Recoverable;
    /// Another process holds the database for a moment.
    DbLocked = "db_locked", Recoverable;
    /// The database was written by a newer program.
    DbNewerSchema = "db_newer_schema", HumanRequired;
    /// The database is damaged.
    DbCorrupt = "db_corrupt", HumanRequired;
    /// No space left.
    DiskFull = "disk_full", HumanRequired;
    /// A file or folder could not be used.
    IoFailed = "io_failed", HumanRequired;
    /// The data folder lies on the disk of another machine.
    NetworkFileSystem = "network_file_system", HumanRequired;
    /// No terminal where one is needed.
    NotATerminal = "not_a_terminal", HumanRequired;
    /// A defect of ours.
    Internal = "internal", Fatal;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where in a file a problem lies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Place")]
pub struct SourcePlace {
    /// The file, as the operator named it.
    pub file: String,
    /// Line, from 1; absent when unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Column in characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The field's path, such as `phases[2].role`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl fmt::Display for SourcePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
            if let Some(column) = self.column {
                write!(f, ":{column}")?;
            }
        }
        if let Some(field) = &self.field {
            write!(f, " ({field})")?;
        }
        Ok(())
    }
}

/// An error as the operator meets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// The stable code.
    pub code: Code,
    /// What is true now, naming the thing.
    pub message: String,
    /// What to do next; empty only where nothing can be done.
    pub hint: String,
    /// Where, when it lies in a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<SourcePlace>,
}

impl Failure {
    /// An error with its code and words; add [`hint`](Self::hint) and [`at`](Self::at).
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: String::new(),
            place: None,
        }
    }

    /// Says what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, place: SourcePlace) -> Self {
        self.place = Some(place);
        self
    }

    /// Several problems as one: the code of the first, all messages and hints, one a line.
    #[must_use]
    pub fn together(failures: Vec<Self>) -> Self {
        let mut all = failures.into_iter();
        let Some(mut first) = all.next() else {
            return Self::internal("a failure without a reason");
        };
        for other in all {
            first.message = format!("{}\n{}", first.message, other.message);
            if !first.hint.contains(&other.hint) {
                first.hint = format!("{}\n{}", first.hint, other.hint);
            }
        }
        first
    }

    /// A defect of ours, with what is known of it.
    #[must_use]
    pub fn internal(what: impl fmt::Display) -> Self {
        Self::new(Code::Internal, format!("defect: {what}"))
            .hint("nothing was lost; please report this with the log")
    }

    /// A file or folder that could not be used.
    #[must_use]
    pub fn io(doing: impl fmt::Display, error: &std::io::Error) -> Self {
        let code = if error.kind() == std::io::ErrorKind::StorageFull {
            Code::DiskFull
        } else {
            Code::IoFailed
        };
        Self::new(code, format!("{doing}: {error}"))
            .hint("check that the path exists, is yours and has space")
    }

    /// What kind of help it needs.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        self.code.class()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        write!(f, "{} [{}]", self.message, self.code)
    }
}

impl std::error::Error for Failure {}

/// The result of everything that can fail in front of an operator.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back_from_its_wire_name() {
        for code in Code::ALL {
            assert_eq!(Code::parse(code.as_str()), Some(*code));
            assert_eq!(
                serde_json::to_string(code).unwrap(),
                format!("\"{}\"", code.as_str())
            );
        }
    }
}
