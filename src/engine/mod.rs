//! The engine: accepts commands, executes workflows phase by phase, and stores every fact.
//!
//! Code outside the engine uses [`api`] alone, so that the engine can be replaced. Inside it,
//! [`machine`] decides (pure), [`driver`] owns one run and starts what the machine requires,
//! [`attempt`] runs an agent and validates its artifact, [`run_files`] holds the frozen definitions
//! of a run, [`supervisor`] owns the drivers, and [`host`] owns the lock, the inbox and startup
//! recovery.

pub mod agent;
pub mod anchor;
pub mod api;
pub mod archive;
pub mod artifact;
pub mod attempt;
mod beneath;
pub mod beside;
pub mod bind;
pub mod blocking;
pub mod budget;
pub mod catalog;
pub mod cheaper;
pub mod confine;
pub mod context;
pub mod crash_card;
pub mod demo;
pub mod doctor;
pub mod driver;
pub mod final_report;
pub mod gate_token;
pub mod growth;
pub mod guard;
pub mod host;
mod http;
pub mod journal_writer;
pub mod machine;
mod notify;
pub mod offspring;
pub mod outlook;
pub mod paths;
pub mod redact;
pub mod report;
mod retried;
pub mod rollback;
pub mod run_files;
pub mod slots;
pub mod start;
mod strict_json;
pub mod supervisor;
mod telemetry;
pub mod transfer;
pub mod trust;
pub mod trust_ask;
pub mod verify;
mod waiting;
pub mod worktree;
