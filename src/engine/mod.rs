//! Executes runs: takes commands, works through phases, keeps every fact.
//!
//! Everybody outside knows the engine by [`api`] alone, so that a second engine can stand behind
//! the same door. Inside: [`machine`] decides (pure), [`driver`] owns one run and starts what the
//! machine wants, [`attempt`] runs an agent and validates what it wrote, [`run_files`] holds what the
//! run was begun with, [`supervisor`] owns the drivers, [`host`] holds the lock, the inbox and start-up
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
