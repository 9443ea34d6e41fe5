//! What steers runs that there are: going on, stopping, making again, and answers at gates.

use clap::{Args, ValueEnum};

use super::Drive;
use super::values::{dollars, hash_prefix, persona, phase, strategy};
use crate::model::id::{PhaseKey, RoleId};
use crate::model::money::NanoUsd;
use crate::model::question::{PersonaChoice, Scope};
use crate::model::state::Strategy;

/// `phasedeck resume`.
#[derive(Clone, Debug, Default, Args)]
pub struct Resume {
    /// An id, any unique part of it, or @last.
    pub run: Option<String>,
    /// After a crash: let an unsure tool call run again; CALL is a name that `show` gives, or all.
    #[arg(long, value_name = "CALL")]
    pub redo: Vec<String>,
    /// After a crash: tell the agent that an unsure tool call was done.
    #[arg(long, value_name = "CALL")]
    pub done: Vec<String>,
    /// After a crash: tell the agent that an unsure tool call is left out.
    #[arg(long, value_name = "CALL")]
    pub skip: Vec<String>,
    /// How it runs.
    #[command(flatten)]
    pub drive: Drive,
}

/// `phasedeck retry`.
#[derive(Clone, Debug, Args)]
pub struct Retry {
    /// An id, any unique part of it, or @last.
    pub run: String,
    /// The first phase that is made anew; absent: the first that was not done.
    #[arg(long, value_name = "PHASE", value_parser = phase)]
    pub from: Option<PhaseKey>,
    /// What to do when another run holds the lane: reject (the default), enqueue, interrupt or rollback.
    #[arg(long, value_name = "WHAT", value_parser = strategy)]
    pub strategy: Option<Strategy>,
    /// The same key starts the same run, once.
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// How it runs.
    #[command(flatten)]
    pub drive: Drive,
}

/// `phasedeck fork`.
#[derive(Clone, Debug, Args)]
pub struct Fork {
    /// An id, any unique part of it, or @last.
    pub run: String,
    /// Who makes the phase again; other roles may be named too.
    #[arg(long, value_name = "ROLE=NAME", value_parser = persona, required = true)]
    pub persona: Vec<(RoleId, String)>,
    /// The same key starts the same fork, once.
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `phasedeck pick`.
#[derive(Clone, Debug, Args)]
pub struct Pick {
    /// An id, any unique part of it, or @last.
    pub run: String,
    /// The fork whose artifact is taken; absent: what there is to pick from.
    pub fork: Option<String>,
    /// Show how each differs from what waits at the gate.
    #[arg(long, conflicts_with_all = ["fork", "json"])]
    pub diff: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `phasedeck abort`.
#[derive(Clone, Debug, Args)]
pub struct Abort {
    /// An id, any unique part of it, or @last.
    pub run: String,
    /// Why, for the record.
    #[arg(short = 'm', long = "message", value_name = "TEXT", default_value = "")]
    pub text: String,
    /// Bring worktree and branch back to where they were before the run; what it made is kept aside.
    #[arg(long)]
    pub rollback: bool,
    /// Print the answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `phasedeck approve`.
#[derive(Clone, Debug, Args)]
pub struct Approve {
    /// An id, any unique part of it, or @last.
    #[arg(required_unless_present = "token")]
    pub run: Option<String>,
    /// Instead of RUN: the token that was told with the gate. It answers that gate alone, once.
    #[arg(long, value_name = "TOKEN", conflicts_with_all = ["run", "hash"])]
    pub token: Option<String>,
    /// Words for the record.
    #[arg(short = 'm', long = "message", value_name = "TEXT", default_value = "")]
    pub text: String,
    /// Insist on what you reviewed: the artifact's SHA-256, or its first 8 digits or more.
    #[arg(long, value_name = "HASH", value_parser = hash_prefix)]
    pub hash: Option<String>,
    /// At `tool_permission`: for this call (once), or every call of the tool in this phase or run.
    #[arg(long, value_enum, value_name = "SCOPE")]
    pub scope: Option<Reach>,
    /// At `budget_exceeded`: by how many dollars the budget is raised for this run.
    #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
    pub raise: Option<NanoUsd>,
    /// At `budget_exceeded`: a cheaper persona that goes on, in this phase or in each that is still to be done.
    /// May be given for several phases.
    #[arg(long = "persona", value_name = "[PHASE=]NAME")]
    pub personas: Vec<PersonaChoice>,
    /// Print the answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// How far an answer about a tool reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Reach {
    /// This call alone.
    Once,
    /// Every call of the tool in this phase.
    Phase,
    /// Every call of the tool in this run.
    Run,
}

impl From<Reach> for Scope {
    fn from(reach: Reach) -> Self {
        match reach {
            Reach::Once => Self::Once,
            Reach::Phase => Self::Phase,
            Reach::Run => Self::Run,
        }
    }
}

/// `phasedeck reject`.
#[derive(Clone, Debug, Args)]
pub struct Reject {
    /// What every answer needs.
    #[command(flatten)]
    pub answer: Answer,
    /// At `tool_permission`: no to this call (once), or to every call of the tool in this phase or run.
    #[arg(long, value_enum, value_name = "SCOPE")]
    pub scope: Option<Reach>,
}

/// `phasedeck changes`, and what `phasedeck reject` shares with it.
#[derive(Clone, Debug, Args)]
pub struct Answer {
    /// An id, any unique part of it, or @last.
    #[arg(required_unless_present = "token")]
    pub run: Option<String>,
    /// Instead of RUN: the token that was told with the gate. It answers that gate alone, once.
    #[arg(long, value_name = "TOKEN", conflicts_with_all = ["run", "hash"])]
    pub token: Option<String>,
    /// What should be different, or why not.
    #[arg(short = 'm', long = "message", value_name = "TEXT")]
    pub text: String,
    /// Insist on what you reviewed: the artifact's SHA-256, or its first 8 digits or more.
    #[arg(long, value_name = "HASH", value_parser = hash_prefix)]
    pub hash: Option<String>,
    /// Print the answer as JSON.
    #[arg(long)]
    pub json: bool,
}
