//! Arguments of the catalog commands: listing, validation, and consent.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

/// Arguments of `phasedeck workflows`, `personas` and `schemas`.
#[derive(Clone, Copy, Debug, Args)]
pub struct ListArgs {
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `phasedeck validate`.
#[derive(Clone, Debug, Args)]
pub struct ValidateArgs {
    /// Workflow, persona or schema files to validate.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `phasedeck consent`.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("whom").args(["personas", "all", "list"]).required(true))]
pub struct ConsentArgs {
    /// Personas to allow, as name or name@version.
    #[arg(value_name = "PERSONA")]
    pub personas: Vec<String>,
    /// Allow every persona.
    #[arg(long)]
    pub all: bool,
    /// List the allowed personas without changing anything.
    #[arg(long)]
    pub list: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `phasedeck trust`.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("answer").args(["look", "yes", "revoke"]))]
pub struct TrustArgs {
    /// Directory in the repository (default: the current directory).
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Show the repository's files and whether they are allowed, without changing anything.
    #[arg(long)]
    pub look: bool,
    /// Allow without prompting.
    #[arg(long)]
    pub yes: bool,
    /// Revoke permission for the current and all earlier contents.
    #[arg(long)]
    pub revoke: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}
