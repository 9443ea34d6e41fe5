//! What begins and drives runs: `demo`, `run`, `host`, and how a run goes without a screen.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};

use super::values::{dollars, on_disconnect, persona, scenario, strategy};
use crate::model::id::{PhaseKey, RoleId};
use crate::model::money::NanoUsd;
use crate::model::record::Scenario;
use crate::model::state::{OnDisconnect, Strategy};

/// `phasedeck demo`.
#[derive(Clone, Debug, Default, Args)]
pub struct Demo {
    /// How it runs.
    #[command(flatten)]
    pub drive: Drive,
    /// Which way a phase goes: ok, invalid_then_ok, invalid, timeout, slow, crash.
    #[arg(long, value_name = "PHASE=NAME", value_parser = scenario)]
    pub scenario: Vec<(PhaseKey, Scenario)>,
}

/// Whether a run is driven without a screen, and what happens at its gates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Without a screen")]
pub struct Drive {
    /// Print one line an event instead of opening the console.
    #[arg(long)]
    pub headless: bool,
    /// What happens at a gate: wait for `phasedeck approve`, approve, or reject.
    #[arg(long, value_name = "WHAT", value_enum, requires = "headless")]
    pub on_gate: Option<OnGate>,
    /// The same as --on-gate approve.
    #[arg(long, requires = "headless", conflicts_with = "on_gate")]
    pub yes: bool,
    /// Print each event as one JSON object a line.
    #[arg(long, requires = "headless")]
    pub json: bool,
}

impl Drive {
    /// What happens at a gate; waiting when nothing was said.
    #[must_use]
    pub fn gate_policy(self) -> OnGate {
        if self.yes {
            OnGate::Approve
        } else {
            self.on_gate.unwrap_or(OnGate::Wait)
        }
    }
}

/// What happens at the gates of a run without a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnGate {
    /// Keep waiting, so that somebody can answer from elsewhere.
    Wait,
    /// Approve exactly what was validated.
    Approve,
    /// Reject, so that the run fails.
    Fail,
}

/// `phasedeck run`.
#[derive(Clone, Debug, Default, Args)]
#[command(group = ArgGroup::new("where").args(["repo", "no_git"]))]
pub struct Run {
    /// A name, name@version, or a file.
    pub workflow: String,
    /// The repository; absent: the one around the current folder, or none.
    #[arg(long, value_name = "DIR")]
    pub repo: Option<PathBuf>,
    /// Work in a plain folder of the run's own, without commits.
    #[arg(long)]
    pub no_git: bool,
    /// The branch or commit to begin from; absent: the repository's current commit.
    #[arg(long, value_name = "BRANCH", conflicts_with = "no_git")]
    pub base: Option<String>,
    /// What the run may cost, in dollars; it asks before it would cost more.
    #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
    pub budget: Option<NanoUsd>,
    /// What you want made.
    #[command(flatten)]
    pub wanted: Requirements,
    /// Who fills a role; as often as needed.
    #[arg(long, value_name = "ROLE=NAME", value_parser = persona)]
    pub persona: Vec<(RoleId, String)>,
    /// The lane of the run; absent: repository and base branch.
    #[arg(long, value_name = "NAME")]
    pub thread: Option<String>,
    /// What to do when another run holds the lane: reject (the default), enqueue, interrupt or rollback.
    #[arg(long, value_name = "WHAT", value_parser = strategy)]
    pub strategy: Option<Strategy>,
    /// What becomes of the run when the terminal is lost: continue without a screen, or cancel (pause).
    #[arg(long, value_name = "WHAT", value_parser = on_disconnect)]
    pub on_disconnect: Option<OnDisconnect>,
    /// Rehearse: every persona is played without a model.
    #[arg(long)]
    pub rehearse: bool,
    /// Which way a rehearsed phase goes: ok, invalid_then_ok, invalid, timeout, slow, crash.
    #[arg(long, value_name = "PHASE=NAME", value_parser = scenario, requires = "rehearse")]
    pub scenario: Vec<(PhaseKey, Scenario)>,
    /// The same key starts the same run, once.
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// How it runs.
    #[command(flatten)]
    pub drive: Drive,
}

/// What the operator wants made, from a file, standard input, or the command line.
#[derive(Clone, Debug, Default, Args)]
#[group(multiple = false)]
pub struct Requirements {
    /// A file with the requirements; - reads standard input.
    #[arg(short = 'r', long = "requirements", value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The requirements themselves.
    #[arg(short = 'm', long = "message", value_name = "TEXT")]
    pub text: Option<String>,
}

/// `phasedeck host`.
#[derive(Clone, Debug, Args)]
pub struct Host {
    /// End by itself when every run has ended.
    #[arg(long)]
    pub until_done: bool,
    /// Go on with what a console hands over; leaves its terminal, and ends when every run has ended.
    #[arg(long, hide = true)]
    pub takes_over: bool,
}
