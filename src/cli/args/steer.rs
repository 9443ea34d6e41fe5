//! Arguments of the commands that control existing runs: resume, abort, retry, fork, and gate
//! decisions.

use clap::{Args, ValueEnum};

use super::HeadlessArgs;
use super::values::{dollars, hash_prefix, persona, phase, strategy};
use crate::model::id::{PhaseKey, RoleId};
use crate::model::money::NanoUsd;
use crate::model::question::{PermissionScope, PersonaChoice};
use crate::model::state::Strategy;

/// Arguments of `phasedeck resume`.
#[derive(Clone, Debug, Default, Args)]
pub struct ResumeArgs {
    /// Run ID, any unique part of one, or @last.
    pub run: Option<String>,
    /// After a crash, run a tool call with unknown outcome again; CALL is a name printed by `show`,
    /// or all (repeatable).
    #[arg(long, value_name = "CALL")]
    pub redo: Vec<String>,
    /// After a crash, report a tool call with unknown outcome to the agent as done (repeatable).
    #[arg(long, value_name = "CALL")]
    pub done: Vec<String>,
    /// After a crash, report a tool call with unknown outcome to the agent as skipped (repeatable).
    #[arg(long, value_name = "CALL")]
    pub skip: Vec<String>,
    #[command(flatten)]
    pub drive: HeadlessArgs,
}

/// Arguments of `phasedeck retry`.
#[derive(Clone, Debug, Args)]
pub struct RetryArgs {
    /// Run ID, any unique part of one, or @last.
    pub run: String,
    /// First phase to run again (default: the first unfinished phase).
    #[arg(long, value_name = "PHASE", value_parser = phase)]
    pub from: Option<PhaseKey>,
    /// What to do if the thread already has an active run: reject (default), enqueue, interrupt
    /// (pause that run) or rollback (abort that run and roll it back).
    #[arg(long, value_name = "WHAT", value_parser = strategy)]
    pub strategy: Option<Strategy>,
    /// Idempotency key: repeating the command with the same key returns the run it started before.
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    #[command(flatten)]
    pub drive: HeadlessArgs,
}

/// Arguments of `phasedeck fork`.
#[derive(Clone, Debug, Args)]
pub struct ForkArgs {
    /// Run ID, any unique part of one, or @last.
    pub run: String,
    /// Assign another persona to the role of the phase; other roles may be assigned too
    /// (repeatable).
    #[arg(long, value_name = "ROLE=NAME", value_parser = persona, required = true)]
    pub persona: Vec<(RoleId, String)>,
    /// Idempotency key: repeating the command with the same key returns the fork it started before.
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `phasedeck pick`.
#[derive(Clone, Debug, Args)]
pub struct PickArgs {
    /// Run ID, any unique part of one, or @last.
    pub run: String,
    /// Fork whose artifact to use (default: list the candidates).
    pub fork: Option<String>,
    /// Show the differences of each candidate from the artifact at the gate.
    #[arg(long, conflicts_with_all = ["fork", "json"])]
    pub diff: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `phasedeck abort`.
#[derive(Clone, Debug, Args)]
pub struct AbortArgs {
    /// Run ID, any unique part of one, or @last.
    pub run: String,
    /// Reason to record.
    #[arg(short = 'm', long = "message", value_name = "TEXT", default_value = "")]
    pub text: String,
    /// Roll worktree and branch back to their state before the run; the run's work is kept
    /// separately.
    #[arg(long)]
    pub rollback: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `phasedeck approve`.
#[derive(Clone, Debug, Args)]
pub struct ApproveArgs {
    /// Run ID, any unique part of one, or @last.
    #[arg(required_unless_present = "token")]
    pub run: Option<String>,
    /// Single-use gate token from a notification, instead of RUN.
    #[arg(long, value_name = "TOKEN", conflicts_with_all = ["run", "hash"])]
    pub token: Option<String>,
    /// Comment to record with the decision.
    #[arg(short = 'm', long = "message", value_name = "TEXT", default_value = "")]
    pub text: String,
    /// Require the artifact to have this SHA-256, given as at least its first 8 hex digits.
    #[arg(long, value_name = "HASH", value_parser = hash_prefix)]
    pub hash: Option<String>,
    /// At `tool_permission`: which calls of the tool to allow.
    #[arg(long, value_enum, value_name = "SCOPE")]
    pub scope: Option<AllowScope>,
    /// At `budget_exceeded`: raise the budget of the run by this many US dollars.
    #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
    pub raise: Option<NanoUsd>,
    /// At `budget_exceeded`: switch to a cheaper persona, in PHASE or in every open phase
    /// (repeatable).
    #[arg(long = "persona", value_name = "[PHASE=]NAME")]
    pub personas: Vec<PersonaChoice>,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Which calls of a tool a decision applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AllowScope {
    /// Only this call.
    Once,
    /// All calls of the tool in this phase.
    Phase,
    /// All calls of the tool in this run.
    Run,
}

impl From<AllowScope> for PermissionScope {
    fn from(reach: AllowScope) -> Self {
        match reach {
            AllowScope::Once => Self::Once,
            AllowScope::Phase => Self::Phase,
            AllowScope::Run => Self::Run,
        }
    }
}

/// Arguments of `phasedeck reject`.
#[derive(Clone, Debug, Args)]
pub struct RejectArgs {
    #[command(flatten)]
    pub answer: DecisionArgs,
    /// At `tool_permission`: which calls of the tool to reject.
    #[arg(long, value_enum, value_name = "SCOPE")]
    pub scope: Option<AllowScope>,
}

/// Arguments of `phasedeck changes`, shared with `phasedeck reject`.
#[derive(Clone, Debug, Args)]
pub struct DecisionArgs {
    /// Run ID, any unique part of one, or @last.
    #[arg(required_unless_present = "token")]
    pub run: Option<String>,
    /// Single-use gate token from a notification, instead of RUN.
    #[arg(long, value_name = "TOKEN", conflicts_with_all = ["run", "hash"])]
    pub token: Option<String>,
    /// Comment for the agent, or the reason for the rejection.
    #[arg(short = 'm', long = "message", value_name = "TEXT")]
    pub text: String,
    /// Require the artifact to have this SHA-256, given as at least its first 8 hex digits.
    #[arg(long, value_name = "HASH", value_parser = hash_prefix)]
    pub hash: Option<String>,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}
