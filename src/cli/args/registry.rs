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
