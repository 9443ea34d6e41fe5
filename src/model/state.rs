//! The states that runs, phases, approvals and sessions can be in, by their wire names.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! states {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $wire:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $wire)] $variant,)*
        }

        impl $name {
            /// Every value, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The wire name.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $wire),* }
            }

            /// The value with this wire name.
            #[must_use]
            pub fn parse(wire: &str) -> Option<Self> {
                match wire { $($wire => Some(Self::$variant),)* _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

states! {
    /// Where a run stands.
    RunStatus {
        /// Stored, not begun.
        Created = "created",
        /// Working on a phase.
        Executing = "executing",
        /// Waits for the operator's answer at a gate.
        AwaitingApproval = "awaiting_approval",
        /// Stopped, and can go on.
        Paused = "paused",
        /// Every phase is done.
        Completed = "completed",
        /// Ended by an error or a rejection.
        Failed = "failed",
        /// Ended by the operator.
        Aborted = "aborted",
    }
}

impl RunStatus {
    /// Whether nothing can change it any more.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Aborted)
    }

    /// Whether the run holds its thread against others.
    #[must_use]
    pub fn holds_thread(self) -> bool {
        matches!(self, Self::Executing | Self::AwaitingApproval)
    }
}

states! {
    /// Why a run is paused.
    PauseReason {
        /// The operator asked.
        Operator = "operator",
        /// The host was told to stop.
        Shutdown = "shutdown",
        /// The host died.
        Crashed = "crashed",
        /// A newer run took the thread.
        Interrupted = "interrupted",
        /// Money ran out.
        Budget = "budget",
        /// An agent session could not go on.
        SessionRecovery = "session_recovery",
        /// The disk was full; it goes on by itself when there is space.
        DiskFull = "disk_full",
    }
}

states! {
    /// What a new run does when another one holds its thread.
    Strategy {
        /// It is refused with `thread_busy`.
        Reject = "reject",
        /// It waits in line until the thread is free.
        Enqueue = "enqueue",
        /// The older run is paused, and can go on later.
        Interrupt = "interrupt",
        /// The older run is aborted, and its worktree and branch go back to where they were before it.
        Rollback = "rollback",
    }
}

states! {
    /// What becomes of a run when the terminal of its host is lost.
    OnDisconnect {
        /// A host without a screen takes it over.
        Continue = "continue",
        /// It is paused.
        Cancel = "cancel",
    }
}

states! {
    /// Where a phase stands.
    PhaseStatus {
        /// Not begun.
        Pending = "pending",
        /// An agent works on it.
        Running = "running",
        /// Its artifact was read; the verdict is being acted on.
        Validating = "validating",
        /// Waits for the operator.
        AwaitingApproval = "awaiting_approval",
        /// Done, and committed.
        Completed = "completed",
        /// Ended without a usable artifact, or rejected.
        Failed = "failed",
        /// Left out.
        Skipped = "skipped",
    }
}

states! {
    /// Where a question to the operator stands.
    ApprovalStatus {
        /// Not answered.
        Pending = "pending",
        /// Answered: go on.
        Approved = "approved",
        /// Answered: do it again, with these words.
        ChangesRequested = "changes_requested",
        /// Answered: no.
        Rejected = "rejected",
        /// The run was aborted while it was open.
        Aborted = "aborted",
        /// Another question took its place.
        Superseded = "superseded",
    }
}

states! {
    /// The operator's answer at a gate.
    Decision {
        /// Go on.
        Approve = "approve",
        /// Do it again, with a comment.
        RequestChanges = "request_changes",
        /// No: the phase and the run fail.
        Reject = "reject",
        /// End the run.
        Abort = "abort",
    }
}

impl Decision {
    /// What the question becomes.
    #[must_use]
    pub fn resolves_to(self) -> ApprovalStatus {
        match self {
            Self::Approve => ApprovalStatus::Approved,
            Self::RequestChanges => ApprovalStatus::ChangesRequested,
            Self::Reject => ApprovalStatus::Rejected,
            Self::Abort => ApprovalStatus::Aborted,
        }
    }
}

states! {
    /// Where a conversation with an agent stands.
    SessionStatus {
        /// A row, not yet a conversation.
        Created = "CREATED",
        /// Waits for a prompt.
        Ready = "READY",
        /// Works on one.
        Busy = "BUSY",
        /// Over.
        Closed = "CLOSED",
        /// Could not be resumed.
        FailedNeedsHuman = "FAILED_NEEDS_HUMAN",
    }
}

states! {
    /// How far a wrong decision at this phase reaches.
    Risk {
        /// Easily undone.
        Low = "low",
        /// Worth a careful look.
        Medium = "medium",
        /// Hard to undo.
        High = "high",
    }
}

states! {
    /// By which way a command reached the engine.
    Via {
        /// A console's keys.
        Console = "console",
        /// The command line.
        Cli = "cli",
        /// A standing instruction given at the start (`--yes`, `--on-gate`).
        Policy = "policy",
        /// A token that was told with the gate.
        Token = "token",
        /// The engine itself.
        Engine = "engine",
    }
}
