//! Arguments of the commands that start and execute runs (`demo`, `run`, `host`), and the flags of
//! headless mode.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};

use super::values::{dollars, on_disconnect, persona, scenario, strategy};
use crate::model::id::{PhaseKey, RoleId};
use crate::model::money::NanoUsd;
use crate::model::record::RehearsalScenario;
use crate::model::state::{OnDisconnect, Strategy};

/// Arguments of `phasedeck demo`.
#[derive(Clone, Debug, Default, Args)]
pub struct DemoArgs {
    #[command(flatten)]
    pub drive: HeadlessArgs,
    /// Scenario of a phase: ok, invalid_then_ok, invalid, timeout, slow or crash (repeatable).
    #[arg(long, value_name = "PHASE=NAME", value_parser = scenario)]
    pub scenario: Vec<(PhaseKey, RehearsalScenario)>,
}

/// Flags of headless mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Headless options")]
pub struct HeadlessArgs {
    /// Print one line per event instead of opening the console.
    #[arg(long)]
    pub headless: bool,
    /// What to do at a gate (default: wait).
    #[arg(long, value_name = "WHAT", value_enum, requires = "headless")]
    pub on_gate: Option<GatePolicy>,
    /// Approve every artifact gate (same as --on-gate approve).
    #[arg(long, requires = "headless", conflicts_with = "on_gate")]
    pub yes: bool,
    /// Print one JSON object per event and line (JSON Lines).
    #[arg(long, requires = "headless")]
    pub json: bool,
}

impl HeadlessArgs {
    /// Returns the gate policy; the default is to wait.
    #[must_use]
    pub fn gate_policy(self) -> GatePolicy {
        if self.yes {
            GatePolicy::Approve
        } else {
            self.on_gate.unwrap_or(GatePolicy::Wait)
        }
    }
}

/// What a headless run does at a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GatePolicy {
    /// Wait for a decision from another process, such as `phasedeck approve`.
    Wait,
    /// Approve the validated artifact.
    Approve,
    /// Reject the artifact and fail the run.
    Fail,
}

/// Arguments of `phasedeck run`.
#[derive(Clone, Debug, Default, Args)]
#[command(group = ArgGroup::new("where").args(["repo", "no_git"]))]
pub struct RunArgs {
    /// Workflow: a name, name@version, or the path of a file.
    pub workflow: String,
    /// Repository to work in (default: the one that contains the current directory, if any).
    #[arg(long, value_name = "DIR")]
    pub repo: Option<PathBuf>,
    /// Work in a plain directory of the run, without Git.
    #[arg(long)]
    pub no_git: bool,
    /// Branch or commit to start from (default: the repository's current commit).
    #[arg(long, value_name = "BRANCH", conflicts_with = "no_git")]
    pub base: Option<String>,
    /// Budget of the run in US dollars; exceeding it needs approval.
    #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
    pub budget: Option<NanoUsd>,
    #[command(flatten)]
    pub wanted: RequirementsArgs,
    /// Assign a persona to a role (repeatable).
    #[arg(long, value_name = "ROLE=NAME", value_parser = persona)]
    pub persona: Vec<(RoleId, String)>,
    /// Thread of the run, which has at most one active run (default: repository and base branch).
    #[arg(long, value_name = "NAME")]
    pub thread: Option<String>,
    /// What to do if the thread already has an active run: reject (default), enqueue, interrupt
    /// (pause that run) or rollback (abort that run and roll it back).
    #[arg(long, value_name = "WHAT", value_parser = strategy)]
    pub strategy: Option<Strategy>,
    /// What to do with the run if the terminal is lost: continue without a console, or cancel
    /// (pause).
    #[arg(long, value_name = "WHAT", value_parser = on_disconnect)]
    pub on_disconnect: Option<OnDisconnect>,
    /// Dry run: simulate every persona, with no model calls.
    #[arg(long)]
    pub rehearse: bool,
    /// Scenario of a phase in a dry run: ok, invalid_then_ok, invalid, timeout, slow or crash
    /// (repeatable).
    #[arg(long, value_name = "PHASE=NAME", value_parser = scenario, requires = "rehearse")]
    pub scenario: Vec<(PhaseKey, RehearsalScenario)>,
    /// Idempotency key: repeating the command with the same key returns the run it started before.
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    #[command(flatten)]
    pub drive: HeadlessArgs,
}

/// The task of the run, from a file, standard input or the command line.
#[derive(Clone, Debug, Default, Args)]
#[group(multiple = false)]
pub struct RequirementsArgs {
    /// Read the task from a file, or from standard input if FILE is `-`.
    #[arg(short = 'r', long = "requirements", value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Task of the run as text.
    #[arg(short = 'm', long = "message", value_name = "TEXT")]
    pub text: Option<String>,
}

/// Arguments of `phasedeck host`.
#[derive(Clone, Debug, Args)]
pub struct HostArgs {
    /// Exit when every run has finished.
    #[arg(long)]
    pub until_done: bool,
    /// Take over the runs of a closing console; detaches from the terminal and exits when every run
    /// has finished.
    #[arg(long, hide = true)]
    pub takes_over: bool,
}
