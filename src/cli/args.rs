//! The command line as types: every command, every flag, every help text.
//!
//! Nothing happens while parsing; the commands' own files build things from these. The list of
//! commands in the top help is made from the definitions by subject ([`command`]), so that it
//! cannot fall behind them.

use std::path::PathBuf;

use clap::{ArgAction, ArgGroup, Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::model::id::{PhaseKey, RoleId};
use crate::model::money::NanoUsd;
use crate::model::question::{PersonaChoice, Scope};
use crate::model::record::Scenario;
use crate::model::state::{OnDisconnect, Strategy};

/// Version and build, as `--version` says them.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("PHASEDECK_BUILD"), ")");

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
    #[command(after_help = "Examples:\n  phasedeck demo\n  phasedeck demo --headless --yes\n  \
                            phasedeck demo --headless --yes --scenario spec=invalid_then_ok")]
    Demo(Demo),
    /// Start a run of a workflow.
    #[command(after_help = "Examples:\n  phasedeck run development -m 'Add a cart to the shop'\n  \
                            phasedeck run bugfix@1 --repo ../shop -r issue.md\n  \
                            git show -s | phasedeck run ./my-flow.yaml -r - --headless --on-gate wait --json\n  \
                            phasedeck run development -m 'Try it' --rehearse --headless --yes")]
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
    #[command(after_help = "Examples:\n  phasedeck retry @last\n  phasedeck retry 7f3a --from implement --headless --yes")]
    Retry(Retry),
    /// Make the phase at the gate again with another persona, beside the first.
    #[command(after_help = "Examples:\n  phasedeck fork @last --persona architect=careful-architect\n  phasedeck pick @last --diff")]
    Fork(Fork),
    /// Compare what the forks made, or take the artifact of one.
    #[command(after_help = "Picking approves nothing: the gate asks about what was picked.")]
    Pick(Pick),
    /// Approve what waits at the gate.
    #[command(after_help = "Examples:\n  phasedeck approve @last\n  phasedeck approve 7f3a --hash 3f9c12ab -m 'Good. Mind the rounding.'")]
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
    #[command(after_help = "Examples:\n  phasedeck events @last --follow\n  phasedeck events 7f3a --from 41 --json")]
    Events(Events),
    /// Print the artifact of a phase, byte for byte.
    Artifact(Artifact),
    /// What calls to models cost, of one run or of all.
    #[command(after_help = "Examples:\n  phasedeck cost\n  phasedeck cost @last --by model\n  phasedeck cost --by run --json")]
    Cost(Cost),
    /// Print the report of a run.
    Report(Report),
    /// Check that what is stored is what was stored: chain, rows, totals, contents, commits, anchor.
    #[command(after_help = "Ends with 1 when something is wrong.\n\nExamples:\n  phasedeck verify\n  phasedeck verify @last --json")]
    Verify(Verify),
    /// Print what an agent said and did, turn by turn.
    #[command(after_help = "Examples:\n  phasedeck transcript @last\n  phasedeck transcript 7f3a plan --attempt 2 --json")]
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
    /// Write a commented settings file and copies of the shipped workflows to edit.
    Init(Init),
    /// Take away folders and branches of runs that have ended; never unmerged work unless told twice.
    #[command(after_help = "Examples:\n  phasedeck clean --dry-run\n  phasedeck clean --unmerged\n  phasedeck clean 7f3a --unmerged --yes")]
    Clean(Clean),
    /// Write everything of a run to one file.
    #[command(after_help = "Examples:\n  phasedeck export @last -o run.jsonl\n  phasedeck export 7f3a --redact > report.jsonl")]
    Export(Export),
    /// Read a run from a file that `export` wrote, to look at it here.
    Import(Import),
    /// Print the completion script of a shell.
    #[command(after_help = "Examples:\n  phasedeck completions bash > ~/.local/share/bash-completion/completions/phasedeck\n  \
                            phasedeck completions zsh > ~/.zfunc/_phasedeck\n  \
                            phasedeck completions fish > ~/.config/fish/completions/phasedeck.fish")]
    Completions(Completions),
    /// Print the manual page, or write one for each command.
    Man(ManPages),
}

/// `phasedeck demo`.
#[derive(Clone, Debug, Default, Args)]
pub struct Demo {
    /// How it runs.
    #[command(flatten)]
    pub drive: Drive,
    /// Which way a phase goes: ok, invalid_then_ok, invalid, timeout, slow, crash.
    #[arg(long, value_name = "PHASE=NAME", value_parser = scenario)]
    pub scenario: Vec<(PhaseKey, Scenario)>,
}

/// Whether a run is driven without a screen, and what happens at its gates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Without a screen")]
pub struct Drive {
    /// Print one line an event instead of opening the console.
    #[arg(long)]
    pub headless: bool,
    /// What happens at a gate: wait for `phasedeck approve`, approve, or reject.
    #[arg(long, value_name = "WHAT", value_enum, requires = "headless")]
    pub on_gate: Option<OnGate>,
    /// The same as --on-gate approve.
    #[arg(long, requires = "headless", conflicts_with = "on_gate")]
    pub yes: bool,
    /// Print each event as one JSON object a line.
    #[arg(long, requires = "headless")]
    pub json: bool,
}

impl Drive {
    /// What happens at a gate; waiting when nothing was said.
    #[must_use]
    pub fn gate_policy(self) -> OnGate {
        if self.yes { OnGate::Approve } else { self.on_gate.unwrap_or(OnGate::Wait) }
    }
}

/// What happens at the gates of a run without a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnGate {
    /// Keep waiting, so that somebody can answer from elsewhere.
    Wait,
    /// Approve exactly what was validated.
    Approve,
    /// Reject, so that the run fails.
    Fail,
}

/// `phasedeck run`.
#[derive(Clone, Debug, Default, Args)]
#[command(group = ArgGroup::new("where").args(["repo", "no_git"]))]
pub struct Run {
    /// A name, name@version, or a file.
    pub workflow: String,
    /// The repository; absent: the one around the current folder, or none.
    #[arg(long, value_name = "DIR")]
    pub repo: Option<PathBuf>,
    /// Work in a plain folder of the run's own, without commits.
    #[arg(long)]
    pub no_git: bool,
    /// The branch or commit to begin from; absent: the repository's current commit.
    #[arg(long, value_name = "BRANCH", conflicts_with = "no_git")]
    pub base: Option<String>,
    /// What the run may cost, in dollars; it asks before it would cost more.
    #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
    pub budget: Option<NanoUsd>,
    /// What you want made.
    #[command(flatten)]
    pub wanted: Requirements,
    /// Who fills a role; as often as needed.
    #[arg(long, value_name = "ROLE=NAME", value_parser = persona)]
    pub persona: Vec<(RoleId, String)>,
    /// The lane of the run; absent: repository and base branch.
    #[arg(long, value_name = "NAME")]
    pub thread: Option<String>,
    /// What to do when another run holds the lane: reject (the default), enqueue, interrupt or rollback.
    #[arg(long, value_name = "WHAT", value_parser = strategy)]
    pub strategy: Option<Strategy>,
    /// What becomes of the run when the terminal is lost: continue without a screen, or cancel (pause).
    #[arg(long, value_name = "WHAT", value_parser = on_disconnect)]
    pub on_disconnect: Option<OnDisconnect>,
    /// Rehearse: every persona is played without a model.
    #[arg(long)]
    pub rehearse: bool,
    /// Which way a rehearsed phase goes: ok, invalid_then_ok, invalid, timeout, slow, crash.
    #[arg(long, value_name = "PHASE=NAME", value_parser = scenario, requires = "rehearse")]
    pub scenario: Vec<(PhaseKey, Scenario)>,
    /// The same key starts the same run, once.
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// How it runs.
    #[command(flatten)]
    pub drive: Drive,
}

/// What the operator wants made, from a file, standard input, or the command line.
#[derive(Clone, Debug, Default, Args)]
#[group(multiple = false)]
pub struct Requirements {
    /// A file with the requirements; - reads standard input.
    #[arg(short = 'r', long = "requirements", value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The requirements themselves.
    #[arg(short = 'm', long = "message", value_name = "TEXT")]
    pub text: Option<String>,
}

/// `phasedeck resume`.
#[derive(Clone, Debug, Default, Args)]
pub struct Resume {
    /// An id, any unique part of it, or @last.
    pub run: Option<String>,
    /// After a crash: let an unsure tool call run again; CALL is a name that `show` gives, or all.
    #[arg(long, value_name = "CALL")]
    pub redo: Vec<String>,
    /// After a crash: tell the agent that an unsure tool call was done.
    #[arg(long, value_name = "CALL")]
    pub done: Vec<String>,
    /// After a crash: tell the agent that an unsure tool call is left out.
    #[arg(long, value_name = "CALL")]
    pub skip: Vec<String>,
    /// How it runs.
    #[command(flatten)]
    pub drive: Drive,
}

/// `phasedeck retry`.
#[derive(Clone, Debug, Args)]
pub struct Retry {
    /// An id, any unique part of it, or @last.
    pub run: String,
    /// The first phase that is made anew; absent: the first that was not done.
    #[arg(long, value_name = "PHASE", value_parser = phase)]
    pub from: Option<PhaseKey>,
    /// What to do when another run holds the lane: reject (the default), enqueue, interrupt or rollback.
    #[arg(long, value_name = "WHAT", value_parser = strategy)]
    pub strategy: Option<Strategy>,
    /// The same key starts the same run, once.
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// How it runs.
    #[command(flatten)]
    pub drive: Drive,
}

/// `phasedeck fork`.
#[derive(Clone, Debug, Args)]
pub struct Fork {
    /// An id, any unique part of it, or @last.
    pub run: String,
    /// Who makes the phase again; other roles may be named too.
    #[arg(long, value_name = "ROLE=NAME", value_parser = persona, required = true)]
    pub persona: Vec<(RoleId, String)>,
    /// The same key starts the same fork, once.
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `phasedeck verify`.
#[derive(Clone, Debug, Default, Args)]
pub struct Verify {
    /// An id, any unique part of it, or @last; absent: every run, and the database as a whole.
    pub run: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `phasedeck pick`.
#[derive(Clone, Debug, Args)]
pub struct Pick {
    /// An id, any unique part of it, or @last.
    pub run: String,
    /// The fork whose artifact is taken; absent: what there is to pick from.
    pub fork: Option<String>,
    /// Show how each differs from what waits at the gate.
    #[arg(long, conflicts_with_all = ["fork", "json"])]
    pub diff: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `phasedeck host`.
#[derive(Clone, Debug, Args)]
pub struct Host {
    /// End by itself when every run has ended.
    #[arg(long)]
    pub until_done: bool,
    /// Go on with what a console hands over; leaves its terminal, and ends when every run has ended.
    #[arg(long, hide = true)]
    pub takes_over: bool,
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

/// `phasedeck abort`.
#[derive(Clone, Debug, Args)]
pub struct Abort {
    /// An id, any unique part of it, or @last.
    pub run: String,
    /// Why, for the record.
    #[arg(short = 'm', long = "message", value_name = "TEXT", default_value = "")]
    pub text: String,
    /// Bring worktree and branch back to where they were before the run; what it made is kept aside.
    #[arg(long)]
    pub rollback: bool,
    /// Print the answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `phasedeck approve`.
#[derive(Clone, Debug, Args)]
pub struct Approve {
    /// An id, any unique part of it, or @last.
    #[arg(required_unless_present = "token")]
    pub run: Option<String>,
    /// Instead of RUN: the token that was told with the gate. It answers that gate alone, once.
    #[arg(long, value_name = "TOKEN", conflicts_with_all = ["run", "hash"])]
    pub token: Option<String>,
    /// Words for the record.
    #[arg(short = 'm', long = "message", value_name = "TEXT", default_value = "")]
    pub text: String,
    /// Insist on what you reviewed: the artifact's SHA-256, or its first 8 digits or more.
    #[arg(long, value_name = "HASH", value_parser = hash_prefix)]
    pub hash: Option<String>,
    /// At `tool_permission`: for this call (once), or every call of the tool in this phase or run.
    #[arg(long, value_enum, value_name = "SCOPE")]
    pub scope: Option<Reach>,
    /// At `budget_exceeded`: by how many dollars the budget is raised for this run.
    #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
    pub raise: Option<NanoUsd>,
    /// At `budget_exceeded`: a cheaper persona that goes on, in this phase or in each that is still to be done.
    /// May be given for several phases.
    #[arg(long = "persona", value_name = "[PHASE=]NAME")]
    pub personas: Vec<PersonaChoice>,
    /// Print the answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// How far an answer about a tool reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Reach {
    /// This call alone.
    Once,
    /// Every call of the tool in this phase.
    Phase,
    /// Every call of the tool in this run.
    Run,
}

impl From<Reach> for Scope {
    fn from(reach: Reach) -> Self {
        match reach {
            Reach::Once => Self::Once,
            Reach::Phase => Self::Phase,
            Reach::Run => Self::Run,
        }
    }
}

fn dollars(text: &str) -> Result<NanoUsd, String> {
    NanoUsd::from_decimal(text.trim_start_matches('$')).filter(|amount| amount.0 > 0).ok_or_else(|| "write it like 2.50".to_owned())
}

/// `phasedeck reject`.
#[derive(Clone, Debug, Args)]
pub struct Reject {
    /// What every answer needs.
    #[command(flatten)]
    pub answer: Answer,
    /// At `tool_permission`: no to this call (once), or to every call of the tool in this phase or run.
    #[arg(long, value_enum, value_name = "SCOPE")]
    pub scope: Option<Reach>,
}

/// `phasedeck changes`, and what `phasedeck reject` shares with it.
#[derive(Clone, Debug, Args)]
pub struct Answer {
    /// An id, any unique part of it, or @last.
    #[arg(required_unless_present = "token")]
    pub run: Option<String>,
    /// Instead of RUN: the token that was told with the gate. It answers that gate alone, once.
    #[arg(long, value_name = "TOKEN", conflicts_with_all = ["run", "hash"])]
    pub token: Option<String>,
    /// What should be different, or why not.
    #[arg(short = 'm', long = "message", value_name = "TEXT")]
    pub text: String,
    /// Insist on what you reviewed: the artifact's SHA-256, or its first 8 digits or more.
    #[arg(long, value_name = "HASH", value_parser = hash_prefix)]
    pub hash: Option<String>,
    /// Print the answer as JSON.
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
    /// Print each turn as one JSON object a line.
    #[arg(long)]
    pub json: bool,
}

/// `phasedeck init`.
#[derive(Clone, Copy, Debug, Args)]
pub struct Init {
    /// Personas and artifact schemas too.
    #[arg(long)]
    pub all: bool,
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

/// The commands by subject, in the order of the help.
pub const SUBJECTS: &[(&str, &[&str])] = &[
    ("Begin", &["demo", "run", "host"]),
    ("Steer", &["resume", "pause", "abort", "retry", "approve", "changes", "reject", "fork", "pick"]),
    ("Look", &["runs", "show", "events", "artifact", "cost", "report", "transcript", "verify"]),
    ("Registry", &["workflows", "personas", "schemas", "validate", "consent"]),
    ("Set up", &["init", "doctor", "clean", "export", "import", "completions", "man"]),
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
            let about = command.find_subcommand(name).and_then(clap::Command::get_about).map(ToString::to_string).unwrap_or_default();
            list.push_str(&format!("  {name:<11} {about}\n"));
        }
        list.push('\n');
    }
    list.push_str("`phasedeck COMMAND --help` says more. RUN is an id, any unique part of it, or @last.\n");
    list.push_str("Exit codes: 0 done, 1 failed, 2 wrong usage or input, 3 aborted, 4 waits for a person, 5 another host, 70 our defect.");
    command.help_template("{about-with-newline}\n{usage-heading} {usage}\n\n{before-help}{options}\n").before_help(list)
}

/// The definitions as they are, for everything but the top help.
#[must_use]
pub fn plain_command() -> clap::Command {
    Cli::command()
}

fn state_names() -> clap::builder::PossibleValuesParser {
    crate::model::state::RunStatus::ALL.iter().map(|state| state.as_str()).collect::<Vec<_>>().into()
}

fn pair<'a>(text: &'a str, shape: &str) -> Result<(&'a str, &'a str), String> {
    match text.split_once('=') {
        Some((left, right)) if !left.is_empty() && !right.is_empty() => Ok((left, right)),
        _ => Err(format!("'{text}' is not {shape}")),
    }
}

fn persona(text: &str) -> Result<(RoleId, String), String> {
    let (role, name) = pair(text, "ROLE=NAME, such as architect=careful-architect")?;
    Ok((role.into(), name.to_owned()))
}

fn scenario(text: &str) -> Result<(PhaseKey, Scenario), String> {
    let (phase, name) = pair(text, "PHASE=NAME, such as spec=invalid_then_ok")?;
    let scenario = Scenario::parse(name)
        .ok_or_else(|| format!("'{name}' is no scenario; there are ok, invalid_then_ok, invalid, timeout, slow and crash"))?;
    Ok((phase.into(), scenario))
}

fn phase(text: &str) -> Result<PhaseKey, String> {
    Ok(text.into())
}

fn strategy(text: &str) -> Result<Strategy, String> {
    Strategy::parse(text).ok_or_else(|| format!("'{text}' is no strategy; there are reject, enqueue, interrupt and rollback"))
}

fn on_disconnect(text: &str) -> Result<OnDisconnect, String> {
    OnDisconnect::parse(text).ok_or_else(|| format!("'{text}' is neither continue nor cancel"))
}

fn hash_prefix(text: &str) -> Result<String, String> {
    let text = text.strip_prefix("sha256:").unwrap_or(text);
    if (8..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("a hash is 8 to 64 hex digits".to_owned())
    }
}

#[cfg(test)]
mod tests;
