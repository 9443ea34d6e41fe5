//! The rules of a run: pure functions from a state and an input to facts.
//!
//! [`decide`] says which facts an input makes; `RunState::apply` takes them in; [`wanted`] says what
//! should be going on in a state. Work is started from the difference between what is wanted and
//! what is running, so recovery is the ordinary path: after a crash nothing is running, and the
//! difference is exactly what is missing. Nothing here does IO or looks at a clock.

mod advance;
mod answer;
mod decide;
pub mod envelope;
mod input;
mod plan;
mod wanted;

#[cfg(test)]
mod tests;

pub use decide::{decide, ended};
pub use input::{Input, Outcome};
pub use plan::Plan;
pub use wanted::{Activity, wanted};

/// The gate that asks a person to mend or give up an agent session.
pub const SESSION_RECOVERY_GATE: &str = "session_recovery_required";
