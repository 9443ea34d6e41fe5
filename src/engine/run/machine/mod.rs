//! The rules of a run: pure functions from a state and an input to facts.
//!
//! [`decide`] returns the facts that an input produces, `RunState::apply` applies them, and
//! [`wanted`] returns the activity that a state requires. The driver starts whatever is required
//! and not running. Recovery therefore needs no separate path: after a crash nothing is running, so
//! the driver starts exactly what is missing. This module performs no IO and reads no clock.

mod activity;
mod advance;
mod answer;
mod decide;
mod input;
mod plan;
pub mod prompt;

#[cfg(test)]
mod tests;

pub use crate::engine::run::machine::activity::{RunActivity, wanted};
pub use decide::{decide, ended};
pub use input::{AttemptOutcome, MachineInput};
pub use plan::PhasePlan;

/// The gate that asks the operator to repair or abandon an agent session.
pub const SESSION_RECOVERY_GATE: &str = "session_recovery_required";
