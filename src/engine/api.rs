//! The engine's only interface: commands in, answers and signals out, and an archive to read.
//!
//! Nothing here depends on SQLite, worktrees or backends, or needs a running host: a command is
//! executed by an engine in this process or stored in the inbox of another ([`EnginePort`] hides the
//! difference), and the [`RunArchive`] reads what is on disk. Signals are a convenience for screens:
//! they may be dropped, since events are durable. A receiver that misses one reads the archive.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, mpsc, oneshot};

pub use super::archive::{
    ArtifactHits, CostGrouping, EventMatches, EventQuery, ForkCandidate, RunArchive, RunCounts,
    RunPage, RunPageQuery, RunQuery, RunSearchText, TranscriptKind,
};
pub use crate::engine::run::crash_card::{CallResolution, CrashCard, UnknownOutcome};
use crate::model::error::{Code, Failure, Result};
use crate::model::event::JournalEvent;
use crate::model::hash::ContentHash;
use crate::model::id::{ClientToken, PhaseKey, RequestId, RoleId, RunId, ThreadId};
use crate::model::money::NanoUsd;
use crate::model::question::{PermissionScope, PersonaChoice};
use crate::model::record::RunOptions;
use crate::model::state::{Decision, Strategy, Via};

pub use super::doctor::{CheckEnvironment, CheckStatus, EnvironmentCheck, Subject};
pub use super::host::give_consent;
pub use crate::engine::catalog::start_preview::{
    AssignmentPreview, ConsentRequest, CostEstimate, RequestPart, StartPoint, StartPreview,
    preview_start,
};
pub use crate::engine::catalog::trust_request::{TrustRequest, agree as agree_to_brought};
pub use crate::engine::run::demo::prepare as prepare_demo;
pub use crate::engine::run::reassign::{CheaperPersona, cheaper_personas};
pub use crate::store::tables::run_page::filter_terms as search_words;

/// Commands of an operator to the engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum EngineCommand {
    /// Start a run.
    Start(Box<StartRun>),
    /// Resume a paused run.
    Resume { run_id: RunId },
    /// Pause at the next checkpoint.
    Pause { run_id: RunId },
    /// Abort a run.
    Abort {
        run_id: RunId,
        /// May be empty.
        reason: String,
    },
    /// Abort a run and reset its worktree and branch to their state before the run; its changes are
    /// kept aside. If that is not possible, nothing is changed.
    RollBack {
        run_id: RunId,
        /// May be empty.
        reason: String,
    },
    /// Start a new run with the valid artifacts of one that has ended.
    Retry(Box<RetryRun>),
    /// Run the phase that is waiting for approval again with other personas, in a new run with its
    /// own worktree, while the first run waits.
    Fork(Box<ForkRun>),
    /// Use the artifact of a fork for the waiting phase; its gate then asks for approval of that
    /// one.
    Pick {
        /// The run that is waiting for approval.
        run_id: RunId,
        fork: RunId,
    },
    /// Record the outcome of a tool call that a crash left unknown.
    Settle {
        /// Must be paused.
        run_id: RunId,
        /// The engine's id of the call, as shown by the crash card.
        call_id: String,
        how: CallResolution,
    },
    /// Decide a pending approval.
    Decide {
        run_id: RunId,
        /// The approval decided on; `None` means the pending one.
        request_id: Option<RequestId>,
        action: Decision,
        /// Comment for the agent; required for `request_changes` and `reject`.
        comment: String,
        /// Hash of the reviewed content; if given, other content is refused.
        artifact_sha256: Option<ContentHash>,
        /// Scope of a permission for tool calls; `None` means this call only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<PermissionScope>,
        /// Amount by which this run's budget is raised; approving `budget_exceeded` requires this
        /// or `personas`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        raise_nano_usd: Option<NanoUsd>,
        /// Cheaper personas that take over, for `budget_exceeded`; empty keeps the current ones.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        personas: Vec<PersonaChoice>,
    },
    /// Replace the content under approval with the operator's version. It is validated like an
    /// agent's; if valid, it becomes the next version and needs its own approval.
    Revise {
        run_id: RunId,
        /// The approval it was edited for.
        request_id: RequestId,
        content: String,
    },
}

/// Everything that defines a new run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartRun {
    /// `name`, `name@version`, or an absolute path to a file.
    pub workflow: String,
    /// Absolute path of the repository; `None` means a plain directory of the run's own, without
    /// commits.
    pub repo: Option<PathBuf>,
    /// Branch or commit to start from; `None` means the repository's current commit.
    pub base: Option<String>,
    pub requirements: String,
    /// Explicitly chosen personas by role.
    pub personas: BTreeMap<RoleId, String>,
    /// `None` means repository and base branch.
    pub thread: Option<ThreadId>,
    /// Frozen for the run.
    pub options: RunOptions,
    /// The same key starts the same run once.
    pub idempotency_key: Option<String>,
}

/// Request to start a new run from an ended one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryRun {
    pub run_id: RunId,
    /// The first phase to run again; `None` means the first one that was not completed.
    pub from: Option<PhaseKey>,
    /// What to do if another run holds the thread; `None` means `reject`.
    pub strategy: Option<Strategy>,
    /// The same key starts the same run once.
    pub idempotency_key: Option<String>,
}

/// Request to run the phase at a gate again with other personas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkRun {
    /// The run that is waiting at a gate.
    pub run_id: RunId,
    /// Explicitly chosen personas by role; other roles keep theirs.
    pub personas: BTreeMap<RoleId, String>,
    /// The same key starts the same fork once.
    pub idempotency_key: Option<String>,
}

impl EngineCommand {
    /// Creates a plain decision: for any content, for this call only, without raising a budget.
    #[must_use]
    pub fn decide(
        run_id: RunId,
        request_id: Option<RequestId>,
        action: Decision,
        comment: impl Into<String>,
    ) -> Self {
        Self::Decide {
            run_id,
            request_id,
            action,
            comment: comment.into(),
            artifact_sha256: None,
            scope: None,
            raise_nano_usd: None,
            personas: Vec::new(),
        }
    }

    /// Returns the run the command refers to; `None` for a start.
    #[must_use]
    pub fn run_id(&self) -> Option<RunId> {
        match self {
            Self::Start(_) => None,
            Self::Resume { run_id }
            | Self::Pause { run_id }
            | Self::Abort { run_id, .. }
            | Self::RollBack { run_id, .. }
            | Self::Pick { run_id, .. }
            | Self::Settle { run_id, .. }
            | Self::Decide { run_id, .. }
            | Self::Revise { run_id, .. } => Some(*run_id),
            Self::Retry(retry) => Some(retry.run_id),
            Self::Fork(fork) => Some(fork.run_id),
        }
    }

    /// Sets the idempotency key of a command that starts a run, unless it has one. Executed twice,
    /// the command then starts one run.
    pub fn ensure_idempotency_key(&mut self, key: impl FnOnce() -> String) {
        let own = match self {
            Self::Start(start) => &mut start.idempotency_key,
            Self::Retry(retry) => &mut retry.idempotency_key,
            Self::Fork(fork) => &mut fork.idempotency_key,
            _ => return,
        };
        own.get_or_insert_with(key);
    }
}

/// Origin of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandSender {
    /// Login name of the operator.
    pub by: String,
    /// Console, command line, or the engine itself.
    pub via: Via,
}

impl CommandSender {
    /// Returns the user of this process as sender.
    #[must_use]
    pub fn from_process(via: Via) -> Self {
        let by = ["USER", "LOGNAME"]
            .iter()
            .find_map(|name| std::env::var(name).ok())
            .filter(|name| !name.is_empty());
        Self {
            by: by.unwrap_or_else(|| "operator".to_owned()),
            via,
        }
    }
}

/// Result of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum CommandAnswer {
    /// The run is stored and will start.
    Started {
        run_id: RunId,
        /// Whether the idempotency key had already started the run.
        existing: bool,
    },
    /// Stored; in effect now or at the next checkpoint.
    Accepted { run_id: RunId },
    /// The decision is stored.
    Decided {
        run_id: RunId,
        request_id: RequestId,
        /// The decision that took effect.
        action: Decision,
    },
}

/// Live notification for screens.
#[derive(Clone, Debug)]
pub enum EngineSignal {
    /// An event was stored.
    Event(Arc<JournalEvent>),
    /// An agent produced output; not stored yet.
    Text(TextChunk),
    /// Signals were dropped; read the archive.
    Lagged,
    /// Whether a host is running, sent when that changes. An engine in this process sends `false`
    /// when it stops being the host.
    HostPresence(bool),
    /// Whether another process locks the database, sent when that changes.
    DatabaseLocked(bool),
}

/// Fragment of an agent's live output.
#[derive(Clone, Debug)]
pub struct TextChunk {
    pub run_id: RunId,
    pub phase_key: PhaseKey,
    pub attempt: u32,
    pub kind: TextKind,
    /// Untrusted text; must be sanitized before it is displayed.
    pub text: Arc<str>,
}

/// Kind of live output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextKind {
    /// Part of the answer.
    Answer,
    /// Part of the reasoning.
    Reasoning,
    /// A tool call, as one line.
    Tool,
    /// A backend message (retries, waiting, limits), as one line.
    Note,
}

/// A command with its reply channel.
pub struct CommandRequest {
    pub command: EngineCommand,
    pub sender: CommandSender,
    /// Identifies the command: delivered twice, it is executed once.
    pub token: ClientToken,
    pub reply: oneshot::Sender<Result<CommandAnswer>>,
}

/// Handle to an engine in this process or another. Cheap to clone.
#[derive(Clone)]
pub struct EnginePort {
    requests: mpsc::Sender<CommandRequest>,
    signals: broadcast::Sender<EngineSignal>,
}

impl EnginePort {
    /// Creates a port whose requests are served at the other end of `requests`.
    #[must_use]
    pub fn new(
        requests: mpsc::Sender<CommandRequest>,
        signals: broadcast::Sender<EngineSignal>,
    ) -> Self {
        Self { requests, signals }
    }

    /// Sends a command and waits until its effect is on disk.
    ///
    /// # Errors
    /// The failure the engine answers with; `host_going_away` if the engine has stopped.
    pub async fn send(
        &self,
        command: EngineCommand,
        sender: CommandSender,
        token: ClientToken,
    ) -> Result<CommandAnswer> {
        let (reply, answer) = oneshot::channel();
        let gone = || {
            Failure::new(Code::HostGoingAway, "the engine has stopped")
                .hint("all progress is stored; repeat the command")
        };
        self.requests
            .send(CommandRequest {
                command,
                sender,
                token,
                reply,
            })
            .await
            .map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Subscribes to everything that happens from now on, in order, for all runs.
    #[must_use]
    pub fn signals(&self) -> broadcast::Receiver<EngineSignal> {
        self.signals.subscribe()
    }
}
