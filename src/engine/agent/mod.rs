//! Who does the work of a phase: one trait, several backends.
//!
//! The engine knows no backend by name. A backend turns a prompt into work in the run's worktree,
//! tells the [`AttemptRecorder`] everything that must survive before it acts on it, and stops when asked. It
//! never writes to the terminal, never decides a gate, and never judges the artifact.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub use self::backends::BackendRegistry;
pub use crate::engine::agent::pending_answer::PendingAnswer;
pub use crate::engine::agent::recorder::{
    AnsweredCall, AttemptKey, AttemptRecorder, CallReserve, FailedCall, FinishedCall, PlannedRetry,
};
use crate::engine::workspace::write_quota::WriteQuota;
use crate::model::error::Failure;
use crate::model::event::LongWait;
use crate::model::id::{PhaseKey, RunId, SchemaId};
use crate::model::persona::Persona;
use crate::model::question::{ToolPermit, ToolQuestion};
use crate::model::record::{RehearsalScenario, TurnRecord};

pub mod acp;
mod backends;
pub mod budget;
pub mod chat_completions;
pub mod mcp;
mod pending_answer;
mod program;
pub mod recorder;
pub mod rehearsal;
pub mod tools;

/// One attempt at one phase, as a backend gets it.
#[derive(Clone, Debug)]
pub struct AgentJob {
    /// Which run.
    pub run_id: RunId,
    /// Which phase.
    pub phase_key: PhaseKey,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// The prompt envelope: deterministic text.
    pub prompt: String,
    /// What the operator wants made; also within the envelope.
    pub requirements: String,
    /// Who works, frozen at the start of the run.
    pub persona: Persona,
    /// The file that must exist at the end, if any.
    pub artifact: Option<ExpectedFile>,
    /// The run's worktree, absolute. Every path an agent names is resolved beneath it.
    pub worktree: PathBuf,
    /// Where the refs and objects of the repository lie; absent in a plain folder. No agent writes there.
    pub repository: Option<PathBuf>,
    /// The turns of this attempt that are stored already; empty when it begins.
    pub history: Vec<TurnRecord>,
    /// How often the operator's word had set the agent going again: limits count from there.
    pub stretch: u32,
    /// Which way a rehearsal goes.
    pub scenario: RehearsalScenario,
    /// How often the turn that comes next was tried before a wait that the server asked for.
    pub tries: u32,
    /// Counts what the work writes.
    pub growth: Arc<WriteQuota>,
    /// Turns this attempt may take.
    pub max_turns: u32,
    /// What the operator has answered about tools in this run, in order.
    pub permits: Vec<ToolPermit>,
}

/// The file a phase must produce, with its schema at hand.
#[derive(Clone, Debug)]
pub struct ExpectedFile {
    /// Relative to the worktree.
    pub path: String,
    /// The schema's name.
    pub schema_id: SchemaId,
    /// The schema itself.
    pub schema: Arc<serde_json::Value>,
}

/// How a backend is asked to stop.
#[derive(Clone, Debug, Default)]
pub struct AgentStop {
    /// Begin no further turn: end at the next checkpoint with [`Ended::Stopped`].
    pub soon: CancellationToken,
    /// End now. What was started (a request, a tool, a process) has ended when the backend returns;
    /// the engine waits for that, so that two attempts never overlap.
    pub now: CancellationToken,
}

impl AgentStop {
    /// Returns when an end was asked for, soon or now.
    pub async fn asked(&self) {
        tokio::select! {
            () = self.soon.cancelled() => {}
            () = self.now.cancelled() => {}
        }
    }
}

/// How a backend's work ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentEnd {
    /// The agent says it is done. Whether the artifact is there and valid is not its word to give.
    Done,
    /// It was asked to stop, and can go on from the last stored turn.
    Stopped,
    /// The operator must allow a tool first. Everything before it is stored; the work is begun again,
    /// with the answer among [`AgentJob::permits`], when there is one. Meanwhile it holds no place.
    Asks(Box<ToolQuestion>),
    /// The model's server asks for a longer wait than is slept in a call. Everything before it is stored;
    /// the work is begun again when it is over. Meanwhile it holds no place.
    Waits(LongWait),
}

/// What [`Backend::work`] returns.
pub type AgentFuture<'a> = Pin<Box<dyn Future<Output = Result<AgentEnd, Failure>> + Send + 'a>>;

/// A way to have work done.
pub trait Backend: Send + Sync {
    /// The name that personas give in `backend`.
    fn name(&self) -> &'static str;

    /// Whether a persona of this backend could work here.
    ///
    /// # Errors
    /// `backend_unavailable`, saying what is missing and how to get it.
    fn available(&self, persona: &Persona) -> Result<(), Failure>;

    /// The model that a persona of this backend talks to; absent where there is none.
    fn model(&self, persona: &Persona) -> Option<String>;

    /// Whether others than our own tools write to the worktree when this persona works: commands, programs.
    fn others_write(&self, persona: &Persona) -> bool {
        let _ = persona;
        false
    }

    /// What it has come to know since it was made, and must not be written down: a key that was changed.
    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }

    /// A person has a run go on: what kept the backend from working may be mended by now.
    fn look_again(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {})
    }

    /// What a backend does beside all work, while a host lives; dropped with it. Nobody waits for it.
    fn in_background(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {})
    }

    /// Works until the agent is done or `stop` says so.
    ///
    /// # Errors
    /// Whatever ended the work: wire faults after their last retry, limits, loops. An artifact that
    /// is missing or invalid is no error here.
    fn work<'a>(
        &'a self,
        job: &'a AgentJob,
        desk: &'a AttemptRecorder,
        stop: &'a AgentStop,
    ) -> AgentFuture<'a>;
}
