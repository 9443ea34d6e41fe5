//! Inputs of the run machine.

use crate::model::error::Failure;
use crate::model::event::{ArtifactError, ArtifactRef, LongWait, PersonaPick};
use crate::model::hash::ContentHash;
use crate::model::id::{PhaseKey, RequestId};
use crate::model::money::NanoUsd;
use crate::model::persona::SeatChange;
use crate::model::question::{BudgetQuestion, PermissionScope, ToolQuestion};
use crate::model::state::{Decision, PauseReason, Via};

/// An input to a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MachineInput {
    /// The run may start.
    Start,
    /// Resume the run.
    Resume { by: String, via: Via },
    /// A host has taken over the run; continue interrupted work.
    Continue,
    /// All work has stopped; pause the run.
    Pause(PauseReason),
    /// All work has stopped; abort the run.
    Abort {
        by: String,
        via: Via,
        reason: String,
    },
    /// The operator decided a pending approval.
    Decide {
        /// The approval; defaults to the pending one.
        request_id: Option<RequestId>,
        action: Decision,
        /// Comment of the operator.
        comment: String,
        by: String,
        via: Via,
        /// The content that was reviewed, if the decision is bound to it.
        reviewed: Option<ContentHash>,
        /// Scope of a tool permission.
        scope: Option<PermissionScope>,
        /// Amount by which a budget is raised.
        raise: Option<NanoUsd>,
        /// Cheaper agent assignments; each is frozen with the decision.
        seats: Vec<SeatChange>,
    },
    /// The artifact on disk differs from the validated one.
    ContentChanged {
        /// Hash of the file on disk; absent if there is no file.
        found: Option<ContentHash>,
        /// The new content as a version, if valid; otherwise the previous content was restored.
        replacement: Option<ArtifactRef>,
    },
    /// The operator replaced the version under review with an edited, valid one.
    Revised {
        /// The approval for which it was edited.
        request_id: RequestId,
        artifact: ArtifactRef,
        by: String,
    },
    /// The operator replaced the version under review with that of a fork.
    Picked {
        artifact: ArtifactRef,
        /// The fork that produced it.
        picked: PersonaPick,
        by: String,
    },
    /// An attempt ended.
    AttemptEnded {
        phase_key: PhaseKey,
        attempt: u32,
        outcome: AttemptOutcome,
    },
    /// A phase was committed to the branch.
    Committed {
        phase_key: PhaseKey,
        /// The commit; absent in a plain folder.
        commit: Option<String>,
    },
    /// A phase could not be committed to the branch.
    CommitFailed {
        phase_key: PhaseKey,
        failure: Failure,
    },
}

/// Result of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The artifact exists and is valid.
    Valid(ArtifactRef),
    /// The artifact exists and is invalid.
    Invalid {
        sha256: Option<ContentHash>,
        /// Length of the content.
        bytes: u64,
        /// Reported validation errors.
        errors: Vec<ArtifactError>,
        /// Total number of validation errors.
        errors_total: u32,
    },
    /// The agent ended its turn without writing the artifact.
    Missing,
    /// The agent exceeded its time limit and was stopped.
    TimedOut { seconds: u64 },
    /// The phase has no artifact and the agent finished. Includes the commit if no gate precedes
    /// it.
    Done {
        /// The commit, if one was made.
        commit: Option<String>,
    },
    /// A tool call needs approval; the attempt continues with the decision.
    Asks(Box<ToolQuestion>),
    /// The model provider requested a long wait; the attempt continues after it.
    Waits(LongWait),
    /// The next call would exceed a budget; all previous turns are stored.
    OverBudget(BudgetQuestion),
    /// The attempt was asked to stop and has stopped.
    Stopped,
    /// The agent failed.
    Failed(Failure),
}
