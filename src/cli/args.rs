//! Command-line definitions: commands, flags and help texts.
//!
//! Parsing has no side effects; the module of each command acts on the parsed arguments. The
//! command list in the top-level help is generated from the definitions, grouped by subject
//! ([`command`]), so the two cannot differ. The arguments of each subject are defined in a
//! submodule.

use clap::{Args, CommandFactory, Parser, Subcommand};

mod begin;
mod look;
mod registry;
mod setup;
mod steer;
mod values;

pub use begin::{Demo, Drive, Host, OnGate, Requirements, Run};
pub use look::{Artifact, Cost, CostGroup, Events, OneRun, Report, Runs, Transcript, Verify};
pub use registry::{Consent, List, Trust, Validate};
pub use setup::{Clean, Completions, Doctor, Export, Formats, Import, Init, ManPages};
pub use steer::{Abort, Answer, Approve, Fork, Pick, Reach, Reject, Resume, Retry};

/// Version and build, as printed by `--version`.
pub const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("BUILD_COMMIT"),
    ")"
);

/// Run agent workflows phase by phase, with approval gates and crash recovery.
///
/// Without a command, opens the console and offers to resume unfinished runs.
#[derive(Clone, Debug, Parser)]
#[command(name = "phasedeck", version = VERSION, disable_help_subcommand = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Verb>,
    #[command(flatten)]
    pub look: Look,
}

/// Output options, accepted by every command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Global options")]
pub struct Look {
    /// Use only ASCII characters for symbols.
    #[arg(long, global = true)]
    pub ascii: bool,
    /// Disable colors (also: the environment variable NO_COLOR).
    #[arg(long, global = true)]
    pub no_color: bool,
}

/// The subcommands.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// Try phasedeck on a disposable repository, without an API key or a server.
    #[command(
        after_help = "Examples:\n  phasedeck demo\n  phasedeck demo --headless --yes\n  \
                            phasedeck demo --headless --yes --scenario spec=invalid_then_ok"
    )]
    Demo(Demo),
    /// Start a workflow run.
    #[command(
        after_help = "Examples:\n  phasedeck run development -m 'Add a cart to the shop'\n  \
                            phasedeck run bugfix@1 --repo ../shop -r issue.md\n  \
                            git show -s | phasedeck run ./my-flow.yaml -r - --headless --on-gate wait --json\n  \
                            phasedeck run development -m 'Try it' --rehearse --headless --yes"
    )]
    Run(Box<Run>),
    /// Resume a paused run.
    #[command(
        after_help = "Without RUN, resumes the most recent paused run.\n\nExamples:\n  phasedeck resume\n  phasedeck resume @last --headless"
    )]
    Resume(Resume),
    /// Pause a run at its next checkpoint.
    Pause(OneRun),
    /// Abort a run, keeping its artifacts and commits.
    Abort(Abort),
    /// Retry a finished run as a new run that reuses its valid artifacts.
    #[command(
        after_help = "Examples:\n  phasedeck retry @last\n  phasedeck retry 7f3a --from implement --headless --yes"
    )]
    Retry(Retry),
    /// Fork a run: repeat the phase at the gate with another persona.
    #[command(
        after_help = "Examples:\n  phasedeck fork @last --persona architect=careful-architect\n  phasedeck pick @last --diff"
    )]
    Fork(Fork),
    /// Compare the artifacts of forks, or use one of them.
    #[command(
        after_help = "Picking does not approve: the picked artifact still needs approval at the gate."
    )]
    Pick(Pick),
    /// Approve the pending gate.
    #[command(
        after_help = "Examples:\n  phasedeck approve @last\n  phasedeck approve 7f3a --hash 3f9c12ab -m 'Good. Mind the rounding.'"
    )]
    Approve(Approve),
    /// Request changes: the phase runs again with your comment.
    Changes(Answer),
    /// Reject the pending gate: the phase and the run fail.
    Reject(Reject),
    /// List runs: pending approvals first, then active runs, then the newest.
    Runs(Runs),
    /// Show a summary of a run.
    Show(OneRun),
    /// Print the events of a run, one per line.
    #[command(
        after_help = "Examples:\n  phasedeck events @last --follow\n  phasedeck events 7f3a --from 41 --json"
    )]
    Events(Events),
    /// Print the artifact of a phase unmodified.
    Artifact(Artifact),
    /// Show the cost of model calls, for one run or all runs.
    #[command(
        after_help = "Examples:\n  phasedeck cost\n  phasedeck cost @last --by model\n  phasedeck cost --by run --json"
    )]
    Cost(Cost),
    /// Print the report of a run.
    Report(Report),
    /// Verify stored data: hash chain, projections, totals, contents, commits, integrity
    /// checkpoint.
    #[command(
        after_help = "Exits with status 1 if verification fails.\n\nExamples:\n  phasedeck verify\n  phasedeck verify @last --json"
    )]
    Verify(Verify),
    /// Print the agent transcript of a run, turn by turn.
    #[command(
        after_help = "Examples:\n  phasedeck transcript @last\n  phasedeck transcript 7f3a plan --attempt 2 --json"
    )]
    Transcript(Transcript),
    /// List workflows.
    Workflows(List),
    /// List personas and whether they are allowed.
    Personas(List),
    /// List artifact schemas.
    Schemas(List),
    /// Validate workflow, persona and schema files, reporting all problems.
    Validate(Validate),
    /// Run a host that executes runs without a console until stopped.
    Host(Host),
    /// Check the environment and report problems with fixes.
    Doctor(Doctor),
    /// Allow the current definitions of personas to be used.
    #[command(after_help = "A persona that changes must be allowed again.\n\n\
                            Examples:\n  phasedeck consent --list\n  phasedeck consent architect reviewer\n  phasedeck consent --all")]
    Consent(Consent),
    /// Show the `.phasedeck/` files of a repository and allow their current contents to be used.
    #[command(
        after_help = "Files that change must be allowed again. Personas among them also need `phasedeck consent`.\n\n\
                            Examples:\n  phasedeck trust\n  phasedeck trust ../shop --look\n  phasedeck trust --revoke"
    )]
    Trust(Trust),
    /// Create a commented settings file and editable copies of the built-in workflows.
    Init(Init),
    /// Remove worktrees and branches of finished runs (unmerged work needs --unmerged --yes).
    #[command(
        after_help = "Examples:\n  phasedeck clean --dry-run\n  phasedeck clean --unmerged\n  phasedeck clean 7f3a --unmerged --yes"
    )]
    Clean(Clean),
    /// Export all data of a run to one file.
    #[command(
        after_help = "Examples:\n  phasedeck export @last -o run.jsonl\n  phasedeck export 7f3a --redact > report.jsonl"
    )]
    Export(Export),
    /// Import a run from a file written by `export`, for viewing.
    Import(Import),
    /// List the JSON output and input file formats, or print the JSON Schema of one.
    #[command(
        after_help = "Examples:\n  phasedeck formats\n  phasedeck formats event\n  \
                            phasedeck formats workflow > workflow.schema.json"
    )]
    Formats(Formats),
    /// Generate a shell completion script.
    #[command(
        after_help = "Examples:\n  phasedeck completions bash > ~/.local/share/bash-completion/completions/phasedeck\n  \
                            phasedeck completions zsh > ~/.zfunc/_phasedeck\n  \
                            phasedeck completions fish > ~/.config/fish/completions/phasedeck.fish"
    )]
    Completions(Completions),
    /// Generate the manual page, or one per command.
    Man(ManPages),
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
    let command = Cli::command();
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
    Cli::command()
}

#[cfg(test)]
mod tests;
