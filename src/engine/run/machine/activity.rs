//! The activity that a state requires.

use super::plan::PhasePlan;
use crate::model::id::PhaseKey;
use crate::model::run_state::{PhaseState, RunState};
use crate::model::state::{Decision, PhaseStatus, RunStatus};

/// Long-running work that ends with an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunActivity {
    /// Run an agent and validate its artifact.
    Attempt {
        phase_key: PhaseKey,
        /// Attempt number, starting at 1.
        attempt: u32,
    },
    /// Commit the approved (or ungated) result of a phase to the run's branch.
    Commit { phase_key: PhaseKey },
}

/// Returns the activity that a state requires. A waiting, paused or finished run requires none.
#[must_use]
pub fn wanted(plan: &PhasePlan, state: &RunState) -> Option<RunActivity> {
    if state.status != RunStatus::Executing {
        return None;
    }
    let phase = state.current()?;
    match phase.status {
        PhaseStatus::Running => Some(RunActivity::Attempt {
            phase_key: phase.key.clone(),
            attempt: phase.attempt,
        }),
        PhaseStatus::Validating | PhaseStatus::AwaitingApproval if passed(plan, phase) => {
            Some(RunActivity::Commit {
                phase_key: phase.key.clone(),
            })
        }
        _ => None,
    }
}

/// Returns whether a phase has no more gates to pass.
pub(super) fn passed(plan: &PhasePlan, phase: &PhaseState) -> bool {
    let every_gate = phase.gates_passed as usize >= plan.gates(&phase.key).len();
    match phase.status {
        PhaseStatus::Validating => every_gate && phase.errors.is_empty() && !phase.missing,
        PhaseStatus::AwaitingApproval => every_gate && phase.decided == Some(Decision::Approve),
        _ => false,
    }
}
