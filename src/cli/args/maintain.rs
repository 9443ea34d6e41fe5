//! Arguments of the commands for setup and maintenance: settings, checks, cleanup, transfer,
//! formats, completions, manual pages.

use std::path::PathBuf;

use clap::Args;

use super::values::format_names;

/// Arguments of `phasedeck doctor`.
#[derive(Clone, Copy, Debug, Args)]
pub struct DoctorArgs {
    /// Print each setting with its value and origin instead of running the checks.
    #[arg(long)]
    pub config: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `phasedeck formats`.
#[derive(Clone, Debug, Args)]
pub struct FormatsArgs {
    /// Format, such as event (default: list all formats).
    #[arg(value_name = "FORMAT", value_parser = format_names(), hide_possible_values = true)]
    pub name: Option<String>,
    /// Print all formats with their schemas as JSON.
    #[arg(long, conflicts_with = "name")]
    pub json: bool,
}

/// Arguments of `phasedeck init`.
#[derive(Clone, Copy, Debug, Args)]
pub struct InitArgs {
    /// Also copy the built-in personas and artifact schemas.
    #[arg(long)]
    pub all: bool,
    /// Print one JSON object per file and line (JSON Lines).
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `phasedeck clean`.
#[derive(Clone, Debug, Args)]
pub struct CleanArgs {
    /// Runs to clean up (default: all finished runs).
    #[arg(value_name = "RUN")]
    pub runs: Vec<String>,
    /// Include runs with unmerged work; they are listed, and removed only with --yes.
    #[arg(long)]
    pub unmerged: bool,
    /// Confirm the removal of unmerged work.
    #[arg(long, requires = "unmerged")]
    pub yes: bool,
    /// Print what would be removed without removing anything.
    #[arg(long)]
    pub dry_run: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `phasedeck export`.
#[derive(Clone, Debug, Args)]
pub struct ExportArgs {
    /// Run ID, any unique part of one, or @last.
    pub run: String,
    /// File to write, which must not exist (default: standard output).
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Omit text from people, agents and files; keep names, numbers, times and hashes.
    #[arg(long)]
    pub redact: bool,
}

/// Arguments of `phasedeck import`.
#[derive(Clone, Debug, Args)]
pub struct ImportArgs {
    /// File to import, or `-` for standard input.
    pub file: PathBuf,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `phasedeck completions`.
#[derive(Clone, Copy, Debug, Args)]
pub struct CompletionsArgs {
    /// Shell to generate the script for.
    pub shell: clap_complete::Shell,
}

/// Arguments of `phasedeck man`.
#[derive(Clone, Debug, Args)]
pub struct ManArgs {
    /// Write one page for the program and one per command to this directory.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}
