//! Whether a run can go on: the one rule that the engine obeys and every list greys by.
//!
//! A rule about two rows only: where the run stands, and who holds its thread. That the run's own
//! frozen files can be read is the engine's to find out.

use super::error::{Code, Failure};
use super::id::RunId;
use super::state::RunStatus;

/// Why a run cannot go on, or need not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It has ended.
    Ended(RunStatus),
    /// It is going on.
    AtWork(RunStatus),
    /// Another run works on the same thread.
    ThreadHeld(RunId),
    /// Its state is none that this version knows.
    Strange(String),
}

impl Refusal {
    /// In words, to stand behind "cannot go on: ".
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Ended(status) => format!("it has ended ({status})"),
            Self::AtWork(status) => format!("it is going on already ({status})"),
            Self::ThreadHeld(holder) => format!("run {} works on the same thread", holder.short()),
            Self::Strange(state) => format!("its state '{state}' is not known to this version"),
        }
    }

    /// As the answer to who asked for it.
    #[must_use]
    pub fn failure(&self, run: RunId) -> Failure {
        let (code, hint) = match self {
            Self::Ended(_) => (Code::RunAlreadyTerminal, "start a new run"),
            Self::AtWork(_) => (Code::IllegalTransition, "nothing is to be done"),
            Self::ThreadHeld(_) => (
                Code::ThreadBusy,
                "wait until that run has ended or rests, or pause it",
            ),
            Self::Strange(_) => (
                Code::IllegalTransition,
                "use the version of phasedeck that wrote it",
            ),
        };
        Failure::new(
            code,
            format!("run {} cannot go on: {}", run.short(), self.words()),
        )
        .hint(hint)
    }
}

/// Why a run in this state, with its thread held by `holder`, cannot go on; `None` when it can.
#[must_use]
pub fn refusal(status: RunStatus, holder: Option<RunId>) -> Option<Refusal> {
    match status {
        status if status.is_terminal() => Some(Refusal::Ended(status)),
        status @ (RunStatus::Executing | RunStatus::AwaitingApproval) => {
            Some(Refusal::AtWork(status))
        }
        _ => holder.map(Refusal::ThreadHeld),
    }
}

/// As [`refusal`], of a state as rows keep it.
#[must_use]
pub fn refusal_of(state: &str, holder: Option<RunId>) -> Option<Refusal> {
    match RunStatus::parse(state) {
        Some(status) => refusal(status, holder),
        None => Some(Refusal::Strange(state.to_owned())),
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
                        Some(Refusal::ThreadHeld(other))
                    );
                }
                status if status.is_terminal() => assert_eq!(free, Some(Refusal::Ended(*status))),
                status => assert_eq!(free, Some(Refusal::AtWork(*status))),
            }
        }
        assert_eq!(
            refusal_of("dreaming", None).unwrap().words(),
            "its state 'dreaming' is not known to this version"
        );
    }
}
