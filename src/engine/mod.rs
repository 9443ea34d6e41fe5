//! The engine: accepts commands, executes workflows phase by phase, and stores every fact.
//!
//! Code outside the engine uses [`api`] alone, so that the engine can be replaced. Inside it,
//! [`machine`] decides (pure), [`driver`] owns one run and starts what the machine requires,
//! [`attempt`] runs an agent and validates its artifact, [`run_files`] holds the frozen definitions
//! of a run, [`supervisor`] owns the drivers, and [`host`] owns the lock, the inbox and startup
//! recovery.

pub mod agent;
pub mod api;
pub mod archive;
pub mod artifact;
pub mod blocking;
pub mod catalog;
pub mod doctor;
pub mod host;
pub mod journal_writer;
pub mod outbound;
pub mod paths;
pub mod redact;
pub mod report;
pub mod run;
pub mod sandbox;
pub mod workspace;
