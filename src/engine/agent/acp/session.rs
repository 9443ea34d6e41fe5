//! The states of a conversation with an agent program, as one pure function.

use crate::model::error::{Code, Failure, Result};
use crate::model::state::SessionStatus;

/// What happens to a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionStep {
    /// A program has it: begun, loaded, or begun anew after a program broke.
    Opened,
    /// A prompt is about to be sent.
    Prompted,
    /// The prompt was answered.
    Answered,
    /// No program could be brought to take it up.
    GivenUp,
    /// Its run is over.
    Closed,
}

/// The state after a step.
///
/// # Errors
/// `illegal_transition`, naming both.
pub fn after(from: SessionStatus, step: SessionStep) -> Result<SessionStatus> {
    use SessionStatus::{Busy, Closed, Created, FailedNeedsHuman, Ready};
    match (from, step) {
        // A program that broke leaves a conversation busy; opening it again makes it ready.
        (Created | Ready | Busy | FailedNeedsHuman, SessionStep::Opened)
        | (Busy, SessionStep::Answered) => Ok(Ready),
        (Ready, SessionStep::Prompted) => Ok(Busy),
        (Created | Ready | Busy | FailedNeedsHuman, SessionStep::GivenUp) => Ok(FailedNeedsHuman),
        (Created | Ready | Busy | FailedNeedsHuman | Closed, SessionStep::Closed) => Ok(Closed),
        _ => Err(Failure::new(
            Code::IllegalTransition,
            format!("a session that is {from} cannot be {}", word(step)),
        )
        .hint("nothing was changed; please report this with the log")),
    }
}

fn word(step: SessionStep) -> &'static str {
    match step {
        SessionStep::Opened => "opened",
        SessionStep::Prompted => "prompted",
        SessionStep::Answered => "answered",
        SessionStep::GivenUp => "given up",
        SessionStep::Closed => "closed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_from_every_state() {
        use SessionStatus::{Busy, Closed, Created, FailedNeedsHuman, Ready};
        let steps = [
            SessionStep::Opened,
            SessionStep::Prompted,
            SessionStep::Answered,
            SessionStep::GivenUp,
            SessionStep::Closed,
        ];
        let table = [
            (
                Created,
                [
                    Some(Ready),
                    None,
                    None,
                    Some(FailedNeedsHuman),
                    Some(Closed),
                ],
            ),
            (
                Ready,
                [
                    Some(Ready),
                    Some(Busy),
                    None,
                    Some(FailedNeedsHuman),
                    Some(Closed),
                ],
            ),
            (
                Busy,
                [
                    Some(Ready),
                    None,
                    Some(Ready),
                    Some(FailedNeedsHuman),
                    Some(Closed),
                ],
            ),
            (
                FailedNeedsHuman,
                [
                    Some(Ready),
                    None,
                    None,
                    Some(FailedNeedsHuman),
                    Some(Closed),
                ],
            ),
            (Closed, [None, None, None, None, Some(Closed)]),
        ];
        assert_eq!(table.len(), SessionStatus::ALL.len());
        for (from, expected) in table {
            for (step, to) in steps.into_iter().zip(expected) {
                assert_eq!(after(from, step).ok(), to, "{from} {step:?}");
            }
        }
        let refused = after(Closed, SessionStep::Prompted).unwrap_err();
        assert_eq!(
            refused.message,
            "a session that is CLOSED cannot be prompted"
        );
    }
}
