//! The approval gate: what is reviewed, what has been viewed, and how a decision comes about.

pub(crate) mod decision;
pub(crate) mod fork_update;
pub mod forks;
#[cfg(test)]
pub(crate) mod gate_tests;
pub mod question;
#[cfg(test)]
pub(crate) mod question_tests;
pub(crate) mod reassign;
pub(crate) mod receipt;
pub mod state;
pub mod texts;
pub(crate) mod update;
