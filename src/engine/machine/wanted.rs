//! What should be going on in a state.

use super::plan::Plan;
use crate::model::id::PhaseKey;
use crate::model::run_state::{PhaseState, RunState};
use crate::model::state::{Decision, PhaseStatus, RunStatus};

/// Something that takes time and ends with an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Have an agent work, and validate what it wrote.
    Attempt {
        /// On which phase.
        phase_key: PhaseKey,
        /// Which attempt, from 1.
        attempt: u32,
    },
    /// Put what the operator (or no gate at all) let pass into the run's branch.
    Commit {
        /// Which phase.
        phase_key: PhaseKey,
    },
}

/// The activity that a state asks for. A run that waits, is paused or has ended wants none.
#[must_use]
pub fn wanted(plan: &Plan, state: &RunState) -> Option<Activity> {
    if state.status != RunStatus::Executing {
        return None;
    }
    let phase = state.current()?;
    match phase.status {
        PhaseStatus::Running => Some(Activity::Attempt {
            phase_key: phase.key.clone(),
            attempt: phase.attempt,
        }),
        PhaseStatus::Validating | PhaseStatus::AwaitingApproval if passed(plan, phase) => {
            Some(Activity::Commit {
                phase_key: phase.key.clone(),
            })
        }
        _ => None,
    }
}

/// Whether nothing more has to be asked about a phase.
pub(super) fn passed(plan: &Plan, phase: &PhaseState) -> bool {
    let every_gate = phase.gates_passed as usize >= plan.gates(&phase.key).len();
    match phase.status {
        PhaseStatus::Validating => every_gate && phase.errors.is_empty() && !phase.missing,
        PhaseStatus::AwaitingApproval => every_gate && phase.decided == Some(Decision::Approve),
        _ => false,
    }
}
