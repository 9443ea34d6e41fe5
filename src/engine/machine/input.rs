//! What can happen to a run: the words that its rules are told in.

use crate::model::error::Failure;
use crate::model::event::{ArtifactError, ArtifactRef, LongWait, Picked};
use crate::model::hash::ContentHash;
use crate::model::id::{PhaseKey, RequestId};
use crate::model::money::NanoUsd;
use crate::model::persona::NewSeat;
use crate::model::question::{BudgetQuestion, Scope, ToolQuestion};
use crate::model::state::{Decision, PauseReason, Via};

/// Something that happened to a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// It may begin.
    Start,
    /// It shall go on.
    Resume {
        /// Who said so.
        by: String,
        /// By which way.
        via: Via,
    },
    /// Its owner has just taken it up; what stopped half-way is carried on.
    Continue,
    /// Nothing of it is running any more, and it shall rest.
    Pause(PauseReason),
    /// Nothing of it is running any more, and it shall end.
    Abort {
        /// Who said so.
        by: String,
        /// By which way.
        via: Via,
        /// In their words.
        reason: String,
    },
    /// The operator answered.
    Decide {
        /// Which question; absent: the one that waits.
        request_id: Option<RequestId>,
        /// The answer.
        action: Decision,
        /// The operator's words.
        comment: String,
        /// Who.
        by: String,
        /// By which way.
        via: Via,
        /// What was reviewed, where the answer insists on it.
        reviewed: Option<ContentHash>,
        /// How far an answer about a tool reaches.
        scope: Option<Scope>,
        /// By how much a budget is raised.
        raise: Option<NanoUsd>,
        /// Who goes on for less; each is frozen with the answer.
        seats: Vec<NewSeat>,
    },
    /// The file is not what was validated and shown.
    ContentChanged {
        /// What lies there; absent: nothing.
        found: Option<ContentHash>,
        /// The new content as a version, where it is valid; otherwise the old one was put back.
        replacement: Option<ArtifactRef>,
    },
    /// The operator wrote a version in place of the one that is asked about; it fits its schema.
    Revised {
        /// The question that it was written for.
        request_id: RequestId,
        /// The new version.
        artifact: ArtifactRef,
        /// Who wrote it.
        by: String,
    },
    /// The operator took the version of a fork in place of the one that is asked about.
    Picked {
        /// The new version.
        artifact: ArtifactRef,
        /// Whose it is.
        picked: Picked,
        /// Who took it.
        by: String,
    },
    /// An attempt is over.
    AttemptEnded {
        /// Of which phase.
        phase_key: PhaseKey,
        /// Which attempt.
        attempt: u32,
        /// How.
        outcome: Outcome,
    },
    /// A phase is in the branch.
    Committed {
        /// Which phase.
        phase_key: PhaseKey,
        /// The commit; absent in a plain folder.
        commit: Option<String>,
    },
    /// A phase could not be brought into the branch.
    CommitFailed {
        /// Which phase.
        phase_key: PhaseKey,
        /// Why.
        failure: Failure,
    },
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The artifact is there and fits.
    Valid(ArtifactRef),
    /// It is there and does not fit.
    Invalid {
        /// Its content.
        sha256: Option<ContentHash>,
        /// Its length.
        bytes: u64,
        /// Why; all that are reported.
        errors: Vec<ArtifactError>,
        /// How many there are.
        errors_total: u32,
    },
    /// The agent ended its turn and the file is not there.
    Missing,
    /// The agent did not end in time, and was stopped.
    TimedOut {
        /// The limit.
        seconds: u64,
    },
    /// No artifact is expected, and the agent ended; with the commit, where no gate stands before it.
    Done {
        /// The commit, where it was made.
        commit: Option<String>,
    },
    /// The agent wants to use a tool that the operator must allow; the attempt goes on with the answer.
    Asks(Box<ToolQuestion>),
    /// The model's server asks for a long wait; the attempt goes on after it.
    Waits(LongWait),
    /// The next call would cross a budget; everything before it is stored.
    OverBudget(BudgetQuestion),
    /// It was asked to stop, and did.
    Stopped,
    /// The agent could not work.
    Failed(Failure),
}
