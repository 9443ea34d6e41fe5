//! What looks at runs and changes nothing.

use clap::{ArgAction, Args, ValueEnum};

use super::values::state_names;

/// `phasedeck verify`.
#[derive(Clone, Debug, Default, Args)]
pub struct Verify {
    /// An id, any unique part of it, or @last; absent: every run, and the database as a whole.
    pub run: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// A command about one run.
#[derive(Clone, Debug, Args)]
pub struct OneRun {
    /// An id, any unique part of it, or @last.
    pub run: String,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `phasedeck runs`.
#[derive(Clone, Debug, Args)]
pub struct Runs {
    /// Only runs in this state; as often as needed.
    #[arg(long, value_name = "STATE", value_parser = state_names(), action = ArgAction::Append)]
    pub state: Vec<String>,
    /// Only runs of this thread.
    #[arg(long, value_name = "NAME")]
    pub thread: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: u32,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `phasedeck events`.
#[derive(Clone, Debug, Args)]
pub struct Events {
    /// An id, any unique part of it, or @last.
    pub run: String,
    /// Keep printing until the run has ended.
    #[arg(short = 'f', long)]
    pub follow: bool,
    /// Begin at this event.
    #[arg(long, value_name = "SEQ", default_value_t = 1)]
    pub from: u64,
    /// Print each event as one JSON object a line.
    #[arg(long)]
    pub json: bool,
}

/// `phasedeck artifact`.
#[derive(Clone, Debug, Args)]
pub struct Artifact {
    /// An id, any unique part of it, or @last.
    pub run: String,
    /// The phase's key, such as spec.
    pub phase: String,
    /// This stored version; absent: the latest.
    #[arg(long, value_name = "N")]
    pub version: Option<u32>,
    /// What changed since the version before it.
    #[arg(long)]
    pub diff: bool,
    /// Print JSON: the record, and the content as text.
    #[arg(long, conflicts_with = "diff")]
    pub json: bool,
}

/// `phasedeck cost`.
#[derive(Clone, Debug, Args)]
pub struct Cost {
    /// An id, any unique part of it, or @last; absent: all runs.
    pub run: Option<String>,
    /// What to group by.
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = CostGroup::Phase)]
    pub by: CostGroup,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// What costs are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CostGroup {
    /// By phase.
    Phase,
    /// By model.
    Model,
    /// By day, in UTC.
    Day,
    /// By run.
    Run,
}

/// `phasedeck report`.
#[derive(Clone, Debug, Args)]
pub struct Report {
    /// An id, any unique part of it, or @last.
    pub run: String,
    /// As Markdown (the default).
    #[arg(long, conflicts_with_all = ["json", "html"])]
    pub md: bool,
    /// As one self-contained page for a browser.
    #[arg(long, conflicts_with = "json")]
    pub html: bool,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

/// `phasedeck transcript`.
#[derive(Clone, Debug, Args)]
pub struct Transcript {
    /// An id, any unique part of it, or @last.
    pub run: String,
    /// Only of this phase, such as spec.
    pub phase: Option<String>,
    /// Only of this attempt.
    #[arg(long, value_name = "N", requires = "phase")]
    pub attempt: Option<u32>,
    /// Print all of what a tool said, by the name that its cut result gives.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["phase", "attempt", "json"])]
    pub output: Option<String>,
    /// Print each turn as one JSON object a line.
    #[arg(long)]
    pub json: bool,
}
