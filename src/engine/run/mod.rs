//! Runs a workflow: the pure machine, the driver of one run, the supervisor of all, and what
//! starts or derives a run.

pub mod attachments;
pub mod attempt;
pub mod concurrency;
pub mod context;
pub mod crash_card;
pub mod demo;
pub mod derive;
pub mod driver;
pub mod machine;
pub mod reassign;
pub mod rollback;
pub mod run_files;
pub mod start;
pub mod supervisor;
pub(crate) mod wait_until;
