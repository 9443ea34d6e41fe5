//! What there is to run, who may run it, and whether files are right.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

/// `phasedeck workflows`, `personas`, `schemas`.
#[derive(Clone, Copy, Debug, Args)]
pub struct List {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `phasedeck validate`.
#[derive(Clone, Debug, Args)]
pub struct Validate {
    /// The files.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `phasedeck consent`.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("whom").args(["personas", "all", "list"]).required(true))]
pub struct Consent {
    /// The personas, as name or name@version.
    #[arg(value_name = "PERSONA")]
    pub personas: Vec<String>,
    /// Every persona there is.
    #[arg(long)]
    pub all: bool,
    /// Show what you have agreed to, and change nothing.
    #[arg(long)]
    pub list: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `phasedeck trust`.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("answer").args(["look", "yes", "revoke"]))]
pub struct Trust {
    /// A folder in the repository; absent: the one around the current folder.
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Show what it brings and what you said, and change nothing.
    #[arg(long)]
    pub look: bool,
    /// Agree without being asked.
    #[arg(long)]
    pub yes: bool,
    /// Take your word back, for what is there now and what was there before.
    #[arg(long)]
    pub revoke: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
