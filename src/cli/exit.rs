//! Exit codes of the process: one mapping from run states and failures to codes.

use crate::model::error::{Code, Failure};
use crate::model::state::RunStatus;

/// Exit codes. Scripts rely on the numbers; see `docs/cli.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    Done = 0,
    Failed = 1,
    Usage = 2,
    Aborted = 3,
    Waiting = 4,
    Busy = 5,
    Defect = 70,
}

impl ExitStatus {
    /// Every code with its description, in numerical order.
    pub const ALL: [(Self, &str); 7] = [
        (Self::Done, "done"),
        (
            Self::Failed,
            "the run failed, or an external system refused",
        ),
        (Self::Usage, "usage error or bad input"),
        (Self::Aborted, "the run was aborted"),
        (
            Self::Waiting,
            "waiting for a person: at a gate, or the run is paused",
        ),
        (Self::Busy, "another host is active"),
        (Self::Defect, "internal error"),
    ];

    /// Returns the numeric exit code.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Where a run stands, as an exit code. A run that still works is waited for.
    #[must_use]
    pub fn from_run_status(status: RunStatus) -> Self {
        match status {
            RunStatus::Completed => Self::Done,
            RunStatus::Failed => Self::Failed,
            RunStatus::Aborted => Self::Aborted,
            RunStatus::Created
            | RunStatus::Executing
            | RunStatus::AwaitingApproval
            | RunStatus::Paused => Self::Waiting,
        }
    }

    /// What an error means to a script.
    #[must_use]
    pub fn from_failure(failure: &Failure) -> Self {
        match failure.code {
            Code::Internal => Self::Defect,
            Code::ToolNotPermitted => Self::Failed,
            Code::SessionManagerAlreadyRunning => Self::Busy,
            Code::ArtifactChanged | Code::SessionRecoveryRequired | Code::BudgetExceeded => {
                Self::Waiting
            }
            Code::RunNotFound
            | Code::RunAmbiguous
            | Code::RunAlreadyTerminal
            | Code::IllegalTransition
            | Code::ApprovalAlreadyResolved
            | Code::NoPendingApproval
            | Code::ThreadBusy
            | Code::IdempotencyConflict
            | Code::NoPersonaForRole
            | Code::PersonaConsentRequired
            | Code::BackendUnavailable
            | Code::UnknownRole
            | Code::SchemaNotFound
            | Code::WorkflowNotFound
            | Code::PersonaNotFound
            | Code::WorkflowInvalid
            | Code::PersonaInvalid
            | Code::SchemaInvalid
            | Code::ConfigInvalid
            | Code::UsageInvalid
            | Code::TokenRefused
            | Code::NotATerminal => Self::Usage,
            Code::RunMetadataMissing
            | Code::TemplateLoadFailed
            | Code::PersonaLoadFailed
            | Code::WorktreeMissing
            | Code::GitFailed
            | Code::ArtifactTimeoutExhausted
            | Code::ArtifactInvalidAfterRepair
            | Code::ArtifactTooLarge
            | Code::FileTooBig
            | Code::ApprovalRejected
            | Code::PaneBrieflyUnresponsive
            | Code::HostGoingAway
            | Code::PathOutsideWorktree
            | Code::AgentLoopDetected
            | Code::AgentLimitReached
            | Code::LlmAuth
            | Code::LlmRateLimited
            | Code::LlmOverloaded
            | Code::LlmBadResponse
            | Code::LlmContextExceeded
            | Code::LlmUnreachable
            | Code::WebhookUnreachable
            | Code::DbLocked
            | Code::DbNewerSchema
            | Code::DbCorrupt
            | Code::DiskFull
            | Code::NetworkFileSystem
            | Code::IoFailed => Self::Failed,
        }
    }

    /// What several errors mean together: the gravest.
    #[must_use]
    pub fn from_failures(failures: &[Failure]) -> Self {
        let gravest = [Self::Defect, Self::Busy, Self::Failed, Self::Waiting];
        let exits: Vec<Self> = failures.iter().map(Self::from_failure).collect();
        gravest
            .into_iter()
            .find(|exit| exits.contains(exit))
            .unwrap_or(Self::Usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_end_with_their_codes() {
        for (status, code) in [
            (RunStatus::Completed, 0),
            (RunStatus::Failed, 1),
            (RunStatus::Aborted, 3),
            (RunStatus::Paused, 4),
            (RunStatus::AwaitingApproval, 4),
            (RunStatus::Executing, 4),
            (RunStatus::Created, 4),
        ] {
            assert_eq!(ExitStatus::from_run_status(status).code(), code, "{status}");
        }
    }

    #[test]
    fn errors_end_with_their_codes() {
        for (code, exit) in [
            (Code::UsageInvalid, 2),
            (Code::ConfigInvalid, 2),
            (Code::WorkflowInvalid, 2),
            (Code::RunNotFound, 2),
            (Code::RunAlreadyTerminal, 2),
            (Code::NotATerminal, 2),
            (Code::SessionManagerAlreadyRunning, 5),
            (Code::SessionRecoveryRequired, 4),
            (Code::ArtifactChanged, 4),
            (Code::BudgetExceeded, 4),
            (Code::DbCorrupt, 1),
            (Code::IoFailed, 1),
            (Code::LlmAuth, 1),
            (Code::Internal, 70),
        ] {
            assert_eq!(
                ExitStatus::from_failure(&Failure::new(code, "")).code(),
                exit,
                "{code}"
            );
        }
    }

    #[test]
    fn of_several_errors_the_gravest_counts() {
        let all = |codes: &[Code]| {
            ExitStatus::from_failures(
                &codes
                    .iter()
                    .map(|code| Failure::new(*code, ""))
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(
            all(&[Code::ConfigInvalid, Code::Internal]),
            ExitStatus::Defect
        );
        assert_eq!(
            all(&[Code::ConfigInvalid, Code::IoFailed]),
            ExitStatus::Failed
        );
        assert_eq!(
            all(&[Code::WorkflowInvalid, Code::PersonaInvalid]),
            ExitStatus::Usage
        );
    }
}
