//! The installation itself: settings, checks, tidying up, files of runs, completions, manual pages.

use std::path::PathBuf;

use clap::Args;

use super::values::format_names;

/// `phasedeck doctor`.
#[derive(Clone, Copy, Debug, Args)]
pub struct Doctor {
    /// Print each setting, its value and where it comes from, instead.
    #[arg(long)]
    pub config: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `phasedeck formats`.
#[derive(Clone, Debug, Args)]
pub struct Formats {
    /// The format, such as event; absent: all of them.
    #[arg(value_name = "FORMAT", value_parser = format_names(), hide_possible_values = true)]
    pub name: Option<String>,
    /// Print JSON: all of them with their schemas.
    #[arg(long, conflicts_with = "name")]
    pub json: bool,
}

/// `phasedeck init`.
#[derive(Clone, Copy, Debug, Args)]
pub struct Init {
    /// Personas and artifact schemas too.
    #[arg(long)]
    pub all: bool,
    /// Print each file as one JSON object a line.
    #[arg(long)]
    pub json: bool,
}

/// `phasedeck clean`.
#[derive(Clone, Debug, Args)]
pub struct Clean {
    /// Only these runs; absent: all that have ended.
    #[arg(value_name = "RUN")]
    pub runs: Vec<String>,
    /// Name runs whose work is in no other branch too; with --yes, remove them.
    #[arg(long)]
    pub unmerged: bool,
    /// Mean it.
    #[arg(long, requires = "unmerged")]
    pub yes: bool,
    /// Say what would be removed, and remove nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `phasedeck export`.
#[derive(Clone, Debug, Args)]
pub struct Export {
    /// An id, any unique part of it, or @last.
    pub run: String,
    /// The file to write, which must not be there; absent: standard output.
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Leave out the words of people, agents and files; names, numbers, times and hashes stay.
    #[arg(long)]
    pub redact: bool,
}

/// `phasedeck import`.
#[derive(Clone, Debug, Args)]
pub struct Import {
    /// The file; - reads standard input.
    pub file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `phasedeck completions`.
#[derive(Clone, Copy, Debug, Args)]
pub struct Completions {
    /// Which shell.
    pub shell: clap_complete::Shell,
}

/// `phasedeck man`.
#[derive(Clone, Debug, Args)]
pub struct ManPages {
    /// Write a page for the program and one for each command into this folder.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}
