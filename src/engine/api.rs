//! The engine's only door: commands in, answers and signals out, and an archive to read.
//!
//! Nothing here knows SQLite, a worktree or a backend, and nothing here needs a living worker: a
//! command may be served by an engine in this process or left in the inbox of another ([`Port`]
//! does not tell them apart), and the [`Archive`] reads what is on disk. Signals are a convenience
//! for screens: they may be dropped, because events are not. Who misses one reads the archive.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, mpsc, oneshot};

pub use super::archive::{
    Archive, ArtifactHits, Candidate, CostBy, EventFilter, Page, PageAsk, RunCounts, RunFilter,
    RunPage, Said, Searchable,
};
pub use super::crash_card::{CrashCard, Settle, Unsure};
use crate::model::error::{Code, Failure, Result};
use crate::model::event::Event;
use crate::model::hash::ContentHash;
use crate::model::id::{ClientToken, PhaseKey, RequestId, RoleId, RunId, ThreadId};
use crate::model::money::NanoUsd;
use crate::model::question::{PersonaChoice, Scope};
use crate::model::record::RunOptions;
use crate::model::state::{Decision, Strategy, Via};

pub use super::cheaper::{Cheaper, cheaper};
pub use super::demo::prepare as prepare_demo;
pub use super::doctor::{Check, Patient, Subject, Verdict};
pub use super::host::give_consent;
pub use super::outlook::{ConsentAsk, Estimate, Outlook, Part, Place, Seat, outlook};
pub use super::trust_ask::{TrustAsk, agree as agree_to_brought};
pub use crate::store::run_page::words as search_words;

/// What an operator can ask of the engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Begin a run.
    Start(Box<StartRun>),
    /// Go on with a paused run.
    Resume {
        /// Which.
        run_id: RunId,
    },
    /// Stop at the next checkpoint, to go on later.
    Pause {
        /// Which.
        run_id: RunId,
    },
    /// End a run.
    Abort {
        /// Which.
        run_id: RunId,
        /// In the operator's words; may be empty.
        reason: String,
    },
    /// End a run, and bring its worktree and branch back to where they were before it; what it made is
    /// kept aside. Where that cannot be done nothing is changed.
    RollBack {
        /// Which.
        run_id: RunId,
        /// In the operator's words; may be empty.
        reason: String,
    },
    /// Begin a new run with the valid artifacts of one that has ended.
    Retry(Box<RetryRun>),
    /// Make the phase that waits at a gate again with other personas, in a run and a worktree of its
    /// own, while the first waits.
    Fork(Box<ForkRun>),
    /// Take the artifact of a fork for the phase that waits; its gate then asks about that.
    Pick {
        /// The run whose phase waits.
        run_id: RunId,
        /// The fork whose artifact is taken.
        fork: RunId,
    },
    /// Say what became of a tool call that a crash left unsure.
    Settle {
        /// Of which run; it must be resting.
        run_id: RunId,
        /// The engine's id of the call, as the crash card gives it.
        call_id: String,
        /// What is to be done about it.
        how: Settle,
    },
    /// Answer the question that waits.
    Decide {
        /// Of which run.
        run_id: RunId,
        /// Which question; absent: the one that waits.
        request_id: Option<RequestId>,
        /// The answer.
        action: Decision,
        /// The operator's words; needed for `request_changes` and `reject`.
        comment: String,
        /// The content that was reviewed; when given, anything else is refused.
        artifact_sha256: Option<ContentHash>,
        /// How far an answer about a tool reaches; absent: this call alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<Scope>,
        /// By how much a budget is raised for this run; to approve `budget_exceeded` this or `personas` is needed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        raise_nano_usd: Option<NanoUsd>,
        /// Who goes on for less, at `budget_exceeded`; empty: who sits there stays.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        personas: Vec<PersonaChoice>,
    },
    /// Put content of the operator's own in place of what is asked about. It is checked like an
    /// agent's; what fits becomes the next version, and a new question asks about it.
    Revise {
        /// Of which run.
        run_id: RunId,
        /// The question that it was written for.
        request_id: RequestId,
        /// The whole content.
        content: String,
    },
}

/// Everything that a run begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartRun {
    /// A name, `name@version`, or an absolute path to a file.
    pub workflow: String,
    /// The operator's repository, absolute; absent: a plain folder of the run's own, without commits.
    pub repo: Option<PathBuf>,
    /// The branch or commit to begin from; absent: the repository's current commit.
    pub base: Option<String>,
    /// What the operator wants made.
    pub requirements: String,
    /// Personas named outright, by role.
    pub personas: BTreeMap<RoleId, String>,
    /// The lane; absent: repository and base branch.
    pub thread: Option<ThreadId>,
    /// Frozen with the run.
    pub options: RunOptions,
    /// The same key starts the same run, once.
    pub idempotency_key: Option<String>,
}

/// A new run from an ended one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryRun {
    /// The ended run.
    pub run_id: RunId,
    /// The first phase that is made anew; absent: the first that the run did not complete.
    pub from: Option<PhaseKey>,
    /// What to do when another run holds the thread; absent: `reject`.
    pub strategy: Option<Strategy>,
    /// The same key starts the same run, once.
    pub idempotency_key: Option<String>,
}

/// The phase at a gate again, by others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkRun {
    /// The run that waits at a gate.
    pub run_id: RunId,
    /// Personas named outright, by role; the others stay.
    pub personas: BTreeMap<RoleId, String>,
    /// The same key starts the same fork, once.
    pub idempotency_key: Option<String>,
}

impl Command {
    /// An answer as most are: about whatever content stands there, for this call alone, raising nothing.
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

    /// The run that it is about; none for a start.
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

    /// Gives a command that begins a run a key, where it has none: served twice it begins one run.
    pub fn name_start(&mut self, key: impl FnOnce() -> String) {
        let own = match self {
            Self::Start(start) => &mut start.idempotency_key,
            Self::Retry(retry) => &mut retry.idempotency_key,
            Self::Fork(fork) => &mut fork.idempotency_key,
            _ => return,
        };
        own.get_or_insert_with(key);
    }
}

/// Who asks, and by which way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    /// The operator's login name.
    pub by: String,
    /// Console, command line, or a standing instruction.
    pub via: Via,
}

impl Sender {
    /// The login name of whoever runs this process.
    #[must_use]
    pub fn of_process(via: Via) -> Self {
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

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// The run is stored and begins; `existing` when the idempotency key had started it before.
    Started {
        /// Which.
        run_id: RunId,
        /// Whether it was there already.
        existing: bool,
    },
    /// Stored, and in effect now or at the next checkpoint.
    Accepted {
        /// Which run.
        run_id: RunId,
    },
    /// The decision is stored.
    Decided {
        /// Which run.
        run_id: RunId,
        /// Which question.
        request_id: RequestId,
        /// The answer that counts.
        action: Decision,
    },
}

/// What a screen may want to know at once.
#[derive(Clone, Debug)]
pub enum Signal {
    /// A fact was stored.
    Event(Arc<Event>),
    /// An agent said or did something; not durable yet.
    Text(TextChunk),
    /// Signals were dropped; read the archive.
    Lagged,
    /// Whether the host, another process than this, is there; told when that changes. An engine of this
    /// process tells that it is no host any more.
    Host(bool),
    /// Whether another process keeps this engine from storing anything; told when that changes.
    Held(bool),
}

/// A piece of what an agent says while it works.
#[derive(Clone, Debug)]
pub struct TextChunk {
    /// In which run.
    pub run_id: RunId,
    /// In which phase.
    pub phase_key: PhaseKey,
    /// In which attempt.
    pub attempt: u32,
    /// What kind of thing.
    pub kind: TextKind,
    /// The piece; foreign text, to be made safe before it is shown.
    pub text: Arc<str>,
}

/// What kind of thing an agent said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextKind {
    /// Part of its answer.
    Answer,
    /// Part of its reasoning.
    Reasoning,
    /// A tool call, one line.
    Tool,
    /// What the backend reports: retries, waiting, limits; one line.
    Note,
}

/// A command on its way, with the place its answer goes to.
pub struct Request {
    /// What is asked.
    pub command: Command,
    /// By whom.
    pub sender: Sender,
    /// Delivering the same token twice acts once.
    pub token: ClientToken,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Result<Answer>>,
}

/// The way to an engine, in this process or another. Cheap to clone.
#[derive(Clone)]
pub struct Port {
    requests: mpsc::Sender<Request>,
    signals: broadcast::Sender<Signal>,
}

impl Port {
    /// Ties a port to whoever serves the other end of `requests`.
    #[must_use]
    pub fn new(requests: mpsc::Sender<Request>, signals: broadcast::Sender<Signal>) -> Self {
        Self { requests, signals }
    }

    /// Sends a command and waits until its effect is on disk.
    ///
    /// # Errors
    /// What the engine answers; `host_going_away` when the engine is gone.
    pub async fn send(
        &self,
        command: Command,
        sender: Sender,
        token: ClientToken,
    ) -> Result<Answer> {
        let (reply, answer) = oneshot::channel();
        let gone = || {
            Failure::new(Code::HostGoingAway, "the engine has stopped")
                .hint("everything stored is there; give the command again")
        };
        self.requests
            .send(Request {
                command,
                sender,
                token,
                reply,
            })
            .await
            .map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Everything that happens from now on, in order, for every run.
    #[must_use]
    pub fn signals(&self) -> broadcast::Receiver<Signal> {
        self.signals.subscribe()
    }
}
