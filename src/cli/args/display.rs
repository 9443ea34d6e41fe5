//! Arguments of the read-only commands about runs.

use clap::{ArgAction, Args, ValueEnum};

use super::values::state_names;

/// Arguments of `phasedeck verify`.
#[derive(Clone, Debug, Default, Args)]
pub struct VerifyArgs {
    /// Run ID, any unique part of one, or @last (default: every run and the whole database).
    pub run: Option<String>,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of commands that take one run.
#[derive(Clone, Debug, Args)]
pub struct SingleRunArgs {
    /// Run ID, any unique part of one, or @last.
    pub run: String,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `phasedeck runs`.
#[derive(Clone, Debug, Args)]
pub struct RunsArgs {
    /// Show only runs in this state (repeatable).
    #[arg(long, value_name = "STATE", value_parser = state_names(), action = ArgAction::Append)]
    pub state: Vec<String>,
    /// Show only runs of this thread.
    #[arg(long, value_name = "NAME")]
    pub thread: Option<String>,
    /// Maximum number of runs to show.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: u32,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `phasedeck events`.
#[derive(Clone, Debug, Args)]
pub struct EventsArgs {
    /// Run ID, any unique part of one, or @last.
    pub run: String,
    /// Print new events until the run finishes.
    #[arg(short = 'f', long)]
    pub follow: bool,
    /// Start at this event sequence number.
    #[arg(long, value_name = "SEQ", default_value_t = 1)]
    pub from: u64,
    /// Print one JSON object per event and line (JSON Lines).
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `phasedeck artifact`.
#[derive(Clone, Debug, Args)]
pub struct ArtifactArgs {
    /// Run ID, any unique part of one, or @last.
    pub run: String,
    /// Key of the phase, such as spec.
    pub phase: String,
    /// Version to print (default: the latest).
    #[arg(long, value_name = "N")]
    pub version: Option<u32>,
    /// Print the differences from the previous version.
    #[arg(long)]
    pub diff: bool,
    /// Print JSON with the record and the content as text.
    #[arg(long, conflicts_with = "diff")]
    pub json: bool,
}

/// Arguments of `phasedeck cost`.
#[derive(Clone, Debug, Args)]
pub struct CostArgs {
    /// Run ID, any unique part of one, or @last (default: all runs).
    pub run: Option<String>,
    /// Group costs by this dimension.
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = CostGroupBy::Phase)]
    pub by: CostGroupBy,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Dimension that costs are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CostGroupBy {
    /// Group by phase.
    Phase,
    /// Group by model.
    Model,
    /// Group by day (UTC).
    Day,
    /// Group by run.
    Run,
}

/// Arguments of `phasedeck report`.
#[derive(Clone, Debug, Args)]
pub struct ReportArgs {
    /// Run ID, any unique part of one, or @last.
    pub run: String,
    /// Print Markdown (default).
    #[arg(long, conflicts_with_all = ["json", "html"])]
    pub md: bool,
    /// Print a self-contained HTML page.
    #[arg(long, conflicts_with = "json")]
    pub html: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `phasedeck transcript`.
#[derive(Clone, Debug, Args)]
pub struct TranscriptArgs {
    /// Run ID, any unique part of one, or @last.
    pub run: String,
    /// Show only this phase, such as spec.
    pub phase: Option<String>,
    /// Show only this attempt of the phase.
    #[arg(long, value_name = "N", requires = "phase")]
    pub attempt: Option<u32>,
    /// Print the full output of a tool call; NAME is shown with the truncated result.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["phase", "attempt", "json"])]
    pub output: Option<String>,
    /// Print one JSON object per turn and line (JSON Lines).
    #[arg(long)]
    pub json: bool,
}
