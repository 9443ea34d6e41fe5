//! The command line as types: every command, every flag, every help text.
//!
//! Nothing happens while parsing; the commands' own files build things from these. The list of
//! commands in the top help is made from the definitions by subject ([`command`]), so that it
//! cannot fall behind them. Each subject's arguments have a room of their own.

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

/// Version and build, as `--version` says them.
pub const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("BUILD_COMMIT"),
    ")"
);

/// Agent workflows, phase by phase, with approval gates and nothing lost.
///
/// Without a command it opens the console; unfinished runs are offered first.
#[derive(Clone, Debug, Parser)]
#[command(name = "phasedeck", version = VERSION, disable_help_subcommand = true, max_term_width = 100)]
pub struct Cli {
    /// What to do; absent: the console.
    #[command(subcommand)]
    pub command: Option<Verb>,
    /// How things are shown.
    #[command(flatten)]
    pub look: Look,
}

/// How things are shown; for every command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Look {
    /// Only ASCII glyphs.
    #[arg(long, global = true)]
    pub ascii: bool,
    /// No colours (also: the variable NO_COLOR).
    #[arg(long, global = true)]
    pub no_color: bool,
}

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// Try it: a throw-away repository, no key, no server.
    #[command(
        after_help = "Examples:\n  phasedeck demo\n  phasedeck demo --headless --yes\n  \
                            phasedeck demo --headless --yes --scenario spec=invalid_then_ok"
    )]
    Demo(Demo),
    /// Start a run of a workflow.
    #[command(
        after_help = "Examples:\n  phasedeck run development -m 'Add a cart to the shop'\n  \
                            phasedeck run bugfix@1 --repo ../shop -r issue.md\n  \
                            git show -s | phasedeck run ./my-flow.yaml -r - --headless --on-gate wait --json\n  \
                            phasedeck run development -m 'Try it' --rehearse --headless --yes"
    )]
    Run(Box<Run>),
    /// Go on with a paused run.
    #[command(
        after_help = "Without RUN: the newest run that is paused.\n\nExamples:\n  phasedeck resume\n  phasedeck resume @last --headless"
    )]
    Resume(Resume),
    /// Stop a run at its next checkpoint, to go on later.
    Pause(OneRun),
    /// End a run for good; what it made stays.
    Abort(Abort),
    /// Begin a new run with the valid artifacts of one that has ended.
    #[command(
        after_help = "Examples:\n  phasedeck retry @last\n  phasedeck retry 7f3a --from implement --headless --yes"
    )]
    Retry(Retry),
    /// Make the phase at the gate again with another persona, beside the first.
    #[command(
        after_help = "Examples:\n  phasedeck fork @last --persona architect=careful-architect\n  phasedeck pick @last --diff"
    )]
    Fork(Fork),
    /// Compare what the forks made, or take the artifact of one.
    #[command(after_help = "Picking approves nothing: the gate asks about what was picked.")]
    Pick(Pick),
    /// Approve what waits at the gate.
    #[command(
        after_help = "Examples:\n  phasedeck approve @last\n  phasedeck approve 7f3a --hash 3f9c12ab -m 'Good. Mind the rounding.'"
    )]
    Approve(Approve),
    /// Ask for changes: the phase goes again, with your words.
    Changes(Answer),
    /// Say no: the phase and the run fail.
    Reject(Reject),
    /// List runs: what waits for you first, then what works, then the newest.
    Runs(Runs),
    /// Show one run on one screen.
    Show(OneRun),
    /// Print the events of a run, one a line.
    #[command(
        after_help = "Examples:\n  phasedeck events @last --follow\n  phasedeck events 7f3a --from 41 --json"
    )]
    Events(Events),
    /// Print the artifact of a phase, byte for byte.
    Artifact(Artifact),
    /// What calls to models cost, of one run or of all.
    #[command(
        after_help = "Examples:\n  phasedeck cost\n  phasedeck cost @last --by model\n  phasedeck cost --by run --json"
    )]
    Cost(Cost),
    /// Print the report of a run.
    Report(Report),
    /// Check that what is stored is what was stored: chain, rows, totals, contents, commits, anchor.
    #[command(
        after_help = "Ends with 1 when something is wrong.\n\nExamples:\n  phasedeck verify\n  phasedeck verify @last --json"
    )]
    Verify(Verify),
    /// Print what an agent said and did, turn by turn.
    #[command(
        after_help = "Examples:\n  phasedeck transcript @last\n  phasedeck transcript 7f3a plan --attempt 2 --json"
    )]
    Transcript(Transcript),
    /// List the workflows.
    Workflows(List),
    /// List the personas, and which need your consent.
    Personas(List),
    /// List the artifact schemas.
    Schemas(List),
    /// Check workflow, persona and schema files; all problems at once.
    Validate(Validate),
    /// Execute runs without a screen, until it is told to stop.
    Host(Host),
    /// Look at everything phasedeck stands on, and say what to do.
    Doctor(Doctor),
    /// Allow personas to be used, as they are now.
    #[command(after_help = "A persona that changes needs your consent again.\n\n\
                            Examples:\n  phasedeck consent --list\n  phasedeck consent architect reviewer\n  phasedeck consent --all")]
    Consent(Consent),
    /// Look at what a repository brings in `.phasedeck/`, and allow it to be used, as it is now.
    #[command(
        after_help = "Files that change need your word again. Personas among them need `phasedeck consent` too.\n\n\
                            Examples:\n  phasedeck trust\n  phasedeck trust ../shop --look\n  phasedeck trust --revoke"
    )]
    Trust(Trust),
    /// Write a commented settings file and copies of the shipped workflows to edit.
    Init(Init),
    /// Take away folders and branches of runs that have ended; never unmerged work unless told twice.
    #[command(
        after_help = "Examples:\n  phasedeck clean --dry-run\n  phasedeck clean --unmerged\n  phasedeck clean 7f3a --unmerged --yes"
    )]
    Clean(Clean),
    /// Write everything of a run to one file.
    #[command(
        after_help = "Examples:\n  phasedeck export @last -o run.jsonl\n  phasedeck export 7f3a --redact > report.jsonl"
    )]
    Export(Export),
    /// Read a run from a file that `export` wrote, to look at it here.
    Import(Import),
    /// List what is printed as JSON and read from files, or print the JSON Schema of one.
    #[command(
        after_help = "Examples:\n  phasedeck formats\n  phasedeck formats event\n  \
                            phasedeck formats workflow > workflow.schema.json"
    )]
    Formats(Formats),
    /// Print the completion script of a shell.
    #[command(
        after_help = "Examples:\n  phasedeck completions bash > ~/.local/share/bash-completion/completions/phasedeck\n  \
                            phasedeck completions zsh > ~/.zfunc/_phasedeck\n  \
                            phasedeck completions fish > ~/.config/fish/completions/phasedeck.fish"
    )]
    Completions(Completions),
    /// Print the manual page, or write one for each command.
    Man(ManPages),
}

/// The commands by subject, in the order of the help.
pub const SUBJECTS: &[(&str, &[&str])] = &[
    ("Begin", &["demo", "run", "host"]),
    (
        "Steer",
        &[
            "resume", "pause", "abort", "retry", "approve", "changes", "reject", "fork", "pick",
        ],
    ),
    (
        "Look",
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
        "Registry",
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
        "Set up",
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

/// The definitions, with the commands listed by subject in the top help.
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
        "`phasedeck COMMAND --help` says more. RUN is an id, any unique part of it, or @last.\n",
    );
    list.push_str("Exit codes: 0 done, 1 failed, 2 wrong usage or input, 3 aborted, 4 waits for a person, 5 another host, 70 our defect.");
    command
        .help_template("{about-with-newline}\n{usage-heading} {usage}\n\n{before-help}{options}\n")
        .before_help(list)
}

/// The definitions as they are, for everything but the top help.
#[must_use]
pub fn plain_command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests;
