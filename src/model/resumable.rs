//! Whether a run can resume. The engine enforces this rule and lists disable the action by it.
//!
//! The rule reads two rows only: the state of the run and the active run of its thread. Whether
//! the stored definitions of the run can be read is checked by the engine.

use super::error::{Code, Failure};
use super::id::RunId;
use super::state::RunStatus;

/// Why a run cannot resume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResumeRefusal {
    Ended(RunStatus),
    Active(RunStatus),
    /// Another run is active on the same thread.
    ThreadBusy(RunId),
    /// This version does not know its state.
    UnknownState(String),
}

impl ResumeRefusal {
    /// Returns the reason, as text to follow "cannot go on: ".
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Ended(status) => format!("it has ended ({status})"),
            Self::Active(status) => format!("it is going on already ({status})"),
            Self::ThreadBusy(holder) => format!("run {} works on the same thread", holder.short()),
            Self::UnknownState(state) => {
                format!("its state '{state}' is not known to this version")
            }
        }
    }

    /// Returns the refusal as the error of a resume command.
    #[must_use]
    pub fn failure(&self, run: RunId) -> Failure {
        let (code, hint) = match self {
            Self::Ended(_) => (Code::RunAlreadyTerminal, "start a new run"),
            Self::Active(_) => (Code::IllegalTransition, "nothing is to be done"),
            Self::ThreadBusy(_) => (
                Code::ThreadBusy,
                "wait until that run has ended or rests, or pause it",
            ),
            Self::UnknownState(_) => (
                Code::IllegalTransition,
                "use the version of phasedeck that wrote it",
            ),
        };
        Failure::new(
            code,
            format!("run {} cannot go on: {}", run.short(), self.message()),
        )
        .hint(hint)
    }
}

/// Returns why a run in this state cannot resume while `holder` is active on its thread; `None`
/// if it can.
#[must_use]
pub fn refusal(status: RunStatus, holder: Option<RunId>) -> Option<ResumeRefusal> {
    match status {
        status if status.is_terminal() => Some(ResumeRefusal::Ended(status)),
        status @ (RunStatus::Executing | RunStatus::AwaitingApproval) => {
            Some(ResumeRefusal::Active(status))
        }
        _ => holder.map(ResumeRefusal::ThreadBusy),
    }
}

/// Like [`refusal`], for the text of a stored state.
#[must_use]
pub fn refusal_for_state(state: &str, holder: Option<RunId>) -> Option<ResumeRefusal> {
    match RunStatus::parse(state) {
        Some(status) => refusal(status, holder),
        None => Some(ResumeRefusal::UnknownState(state.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_run_that_rests_on_a_free_thread_can_go_on() {
        let other = RunId::new();
        for status in RunStatus::ALL {
            let free = refusal(*status, None);
            match status {
                RunStatus::Paused | RunStatus::Created => {
                    assert_eq!(free, None, "{status}");
                    assert_eq!(
                        refusal(*status, Some(other)),
                        Some(ResumeRefusal::ThreadBusy(other))
                    );
                }
                status if status.is_terminal() => {
                    assert_eq!(free, Some(ResumeRefusal::Ended(*status)))
                }
                status => assert_eq!(free, Some(ResumeRefusal::Active(*status))),
            }
        }
        assert_eq!(
            refusal_for_state("dreaming", None).unwrap().message(),
            "its state 'dreaming' is not known to this version"
        );
    }
}
