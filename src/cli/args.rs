//! Command-line definitions: commands, flags and help texts.
//!
//! Parsing has no side effects; the module of each command acts on the parsed arguments. The
//! command list in the top-level help is generated from the definitions, grouped by subject
//! ([`command`]), so the two cannot differ. The arguments of each subject are defined in a
//! submodule.

use clap::{Args, CommandFactory, Parser, Subcommand};

mod display;
mod maintain;
mod registry;
mod start;
mod steer;
mod values;

pub use crate::cli::args::display::{
    ArtifactArgs, CostArgs, CostGroupBy, EventsArgs, ReportArgs, RunsArgs, SingleRunArgs,
    TranscriptArgs, VerifyArgs,
};
pub use crate::cli::args::maintain::{
    CleanArgs, CompletionsArgs, DoctorArgs, ExportArgs, FormatsArgs, ImportArgs, InitArgs, ManArgs,
};
pub use crate::cli::args::start::{
    DemoArgs, GatePolicy, HeadlessArgs, HostArgs, RequirementsArgs, RunArgs,
};
pub use registry::{ConsentArgs, ListArgs, TrustArgs, ValidateArgs};
pub use steer::{
    AbortArgs, AllowScope, ApproveArgs, DecisionArgs, ForkArgs, PickArgs, RejectArgs, ResumeArgs,
    RetryArgs,
};

/// Version and build, as printed by `--version`.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("BUILD_COMMIT"), ")");

/// Run agent workflows phase by phase, with approval gates and crash recovery.
///
/// Without a command, opens the console and offers to resume unfinished runs.
#[derive(Clone, Debug, Parser)]
#[command(name = "phasedeck", version = VERSION, disable_help_subcommand = true, max_term_width = 100)]
pub struct CommandLine {
    #[command(subcommand)]
    pub command: Option<CliCommand>,
    #[command(flatten)]
    pub look: OutputOptions,
}

/// Output options, accepted by every command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Global options")]
pub struct OutputOptions {
    /// Use only ASCII characters for symbols.
    #[arg(long, global = true)]
    pub ascii: bool,
    /// Disable colors (also: the environment variable NO_COLOR).
    #[arg(long, global = true)]
    pub no_color: bool,
}

/// The subcommands.
#[derive(Clone, Debug, Subcommand)]
pub enum CliCommand {
    /// Try phasedeck on a disposable repository, without an API key or a server.
    #[command(
        after_help = "Examples:\n  phasedeck demo\n  phasedeck demo --headless --yes\n  \
                            phasedeck demo --headless --yes --scenario spec=invalid_then_ok"
    )]
    Demo(DemoArgs),
    /// Start a workflow run.
    #[command(
        after_help = "Examples:\n  phasedeck run development -m 'Add a cart to the shop'\n  \
                            phasedeck run bugfix@1 --repo ../shop -r issue.md\n  \
                            git show -s | phasedeck run ./my-flow.yaml -r - --headless --on-gate wait --json\n  \
                            phasedeck run development -m 'Try it' --rehearse --headless --yes"
    )]
    Run(Box<RunArgs>),
    /// Resume a paused run.
    #[command(
        after_help = "Without RUN, resumes the most recent paused run.\n\nExamples:\n  phasedeck resume\n  phasedeck resume @last --headless"
    )]
    Resume(ResumeArgs),
    /// Pause a run at its next checkpoint.
    Pause(SingleRunArgs),
    /// Abort a run, keeping its artifacts and commits.
    Abort(AbortArgs),
    /// Retry a finished run as a new run that reuses its valid artifacts.
    #[command(
        after_help = "Examples:\n  phasedeck retry @last\n  phasedeck retry 7f3a --from implement --headless --yes"
    )]
    Retry(RetryArgs),
    /// Fork a run: repeat the phase at the gate with another persona.
    #[command(
        after_help = "Examples:\n  phasedeck fork @last --persona architect=careful-architect\n  phasedeck pick @last --diff"
    )]
    Fork(ForkArgs),
    /// Compare the artifacts of forks, or use one of them.
    #[command(
        after_help = "Picking does not approve: the picked artifact still needs approval at the gate."
    )]
    Pick(PickArgs),
    /// Approve the pending gate.
    #[command(
        after_help = "Examples:\n  phasedeck approve @last\n  phasedeck approve 7f3a --hash 3f9c12ab -m 'Good. Mind the rounding.'"
    )]
    Approve(ApproveArgs),
    /// Request changes: the phase runs again with your comment.
    Changes(DecisionArgs),
    /// Reject the pending gate: the phase and the run fail.
    Reject(RejectArgs),
    /// List runs: pending approvals first, then active runs, then the newest.
    Runs(RunsArgs),
    /// Show a summary of a run.
    Show(SingleRunArgs),
    /// Print the events of a run, one per line.
    #[command(
        after_help = "Examples:\n  phasedeck events @last --follow\n  phasedeck events 7f3a --from 41 --json"
    )]
    Events(EventsArgs),
    /// Print the artifact of a phase unmodified.
    Artifact(ArtifactArgs),
    /// Show the cost of model calls, for one run or all runs.
    #[command(
        after_help = "Examples:\n  phasedeck cost\n  phasedeck cost @last --by model\n  phasedeck cost --by run --json"
    )]
    Cost(CostArgs),
    /// Print the report of a run.
    Report(ReportArgs),
    /// Verify stored data: hash chain, projections, totals, contents, commits, integrity
    /// checkpoint.
    #[command(
        after_help = "Exits with status 1 if verification fails.\n\nExamples:\n  phasedeck verify\n  phasedeck verify @last --json"
    )]
    Verify(VerifyArgs),
    /// Print the agent transcript of a run, turn by turn.
    #[command(
        after_help = "Examples:\n  phasedeck transcript @last\n  phasedeck transcript 7f3a plan --attempt 2 --json"
    )]
    Transcript(TranscriptArgs),
    /// List workflows.
    Workflows(ListArgs),
    /// List personas and whether they are allowed.
    Personas(ListArgs),
    /// List artifact schemas.
    Schemas(ListArgs),
    /// Validate workflow, persona and schema files, reporting all problems.
    Validate(ValidateArgs),
    /// Run a host that executes runs without a console until stopped.
    Host(HostArgs),
    /// Check the environment and report problems with fixes.
    Doctor(DoctorArgs),
    /// Allow the current definitions of personas to be used.
    #[command(after_help = "A persona that changes must be allowed again.\n\n\
                            Examples:\n  phasedeck consent --list\n  phasedeck consent architect reviewer\n  phasedeck consent --all")]
    Consent(ConsentArgs),
    /// Show the `.phasedeck/` files of a repository and allow their current contents to be used.
    #[command(
        after_help = "Files that change must be allowed again. Personas among them also need `phasedeck consent`.\n\n\
                            Examples:\n  phasedeck trust\n  phasedeck trust ../shop --look\n  phasedeck trust --revoke"
    )]
    Trust(TrustArgs),
    /// Create a commented settings file and editable copies of the built-in workflows.
    Init(InitArgs),
    /// Remove worktrees and branches of finished runs (unmerged work needs --unmerged --yes).
    #[command(
        after_help = "Examples:\n  phasedeck clean --dry-run\n  phasedeck clean --unmerged\n  phasedeck clean 7f3a --unmerged --yes"
    )]
    Clean(CleanArgs),
    /// Export all data of a run to one file.
    #[command(
        after_help = "Examples:\n  phasedeck export @last -o run.jsonl\n  phasedeck export 7f3a --redact > report.jsonl"
    )]
    Export(ExportArgs),
    /// Import a run from a file written by `export`, for viewing.
    Import(ImportArgs),
    /// List the JSON output and input file formats, or print the JSON Schema of one.
    #[command(
        after_help = "Examples:\n  phasedeck formats\n  phasedeck formats event\n  \
                            phasedeck formats workflow > workflow.schema.json"
    )]
    Formats(FormatsArgs),
    /// Generate a shell completion script.
    #[command(
        after_help = "Examples:\n  phasedeck completions bash > ~/.local/share/bash-completion/completions/phasedeck\n  \
                            phasedeck completions zsh > ~/.zfunc/_phasedeck\n  \
                            phasedeck completions fish > ~/.config/fish/completions/phasedeck.fish"
    )]
    Completions(CompletionsArgs),
    /// Generate the manual page, or one per command.
    Man(ManArgs),
}

/// The commands by subject, in help order.
pub const SUBJECTS: &[(&str, &[&str])] = &[
    ("Start", &["demo", "run", "host"]),
    (
        "Control",
        &[
            "resume", "pause", "abort", "retry", "approve", "changes", "reject", "fork", "pick",
        ],
    ),
    (
        "Inspect",
        &[
            "runs",
            "show",
            "events",
            "artifact",
            "cost",
            "report",
            "transcript",
            "verify",
        ],
    ),
    (
        "Catalog",
        &[
            "workflows",
            "personas",
            "schemas",
            "validate",
            "consent",
            "trust",
        ],
    ),
    (
        "Setup",
        &[
            "init",
            "doctor",
            "clean",
            "export",
            "import",
            "formats",
            "completions",
            "man",
        ],
    ),
];

/// Returns the command definitions with a top-level help that lists the commands by subject.
#[must_use]
pub fn command() -> clap::Command {
    let command = CommandLine::command();
    let mut list = String::new();
    for (subject, names) in SUBJECTS {
        list.push_str(subject);
        list.push_str(":\n");
        for name in *names {
            let about = command
                .find_subcommand(name)
                .and_then(clap::Command::get_about)
                .map(ToString::to_string)
                .unwrap_or_default();
            list.push_str(&format!("  {name:<11} {about}\n"));
        }
        list.push('\n');
    }
    list.push_str(
        "See `phasedeck COMMAND --help` for details. RUN is a run ID, any unique part of one, or @last.\n",
    );
    list.push_str("Exit codes: 0 done, 1 failed, 2 usage error or bad input, 3 aborted, 4 waiting for approval or paused, 5 another host is active, 70 internal error.");
    command
        .help_template("{about-with-newline}\n{usage-heading} {usage}\n\n{before-help}{options}\n")
        .before_help(list)
}

/// Returns the command definitions without the customized top-level help.
#[must_use]
pub fn plain_command() -> clap::Command {
    CommandLine::command()
}

#[cfg(test)]
mod tests;
