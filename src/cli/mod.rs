//! The command line: parses arguments, executes one command, returns an exit code.
//!
//! There is one file per subject, and none of them executes runs. Commands that change something
//! reach the engine through a [`session`]; read-only commands use the archive. Untrusted text is
//! sanitized in [`out`], [`table`] or [`event_line`] before it is printed.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{ColorChoice, FromArgMatches};

use self::args::{CliCommand, CommandLine};
use self::exit::ExitStatus;
use self::out::{CommandError, CommandOutcome, CommandOutput};
use self::setup::CommandContext;
use crate::engine::guard;
use crate::engine::redact::Redactor;
use crate::model::error::{Code, Failure};

pub mod args;
mod artifact;
mod clean;
mod completions;
mod consent;
mod console;
mod cost;
mod decide;
mod demo;
mod doctor;
#[cfg(test)]
mod documented;
pub mod event_line;
mod events;
pub mod exit;
mod fork;
pub mod formats;
mod gate;
mod headless;
mod host;
mod init;
pub mod out;
mod own_log;
#[cfg(test)]
mod reference;
mod registry;
mod report;
mod resume;
mod retry;
mod run;
mod runs;
#[cfg(test)]
mod samples;
pub mod session;
pub mod settings;
mod setup;
mod show;
mod signals;
mod stop;
pub mod style;
mod summary;
pub mod table;
mod transcript;
mod transfer;
mod trust;
mod verify;
pub mod watch;

/// Does what the arguments say and gives the exit code. Everything that went wrong has been told.
#[must_use]
pub fn main(args: impl IntoIterator<Item = OsString>) -> u8 {
    let args: Vec<OsString> = args.into_iter().collect();
    if guard::is_reaper(&args) {
        return guard::main(&args);
    }
    // Begun by ourselves, to hold a command that an agent wrote.
    if let Some(code) = crate::engine::confine::serve(&args) {
        return code;
    }
    crate::engine::confine::keep_memory_private();
    own_log::install_panic_hook();
    let asked = |flag: &str| args.iter().any(|arg| arg == flag);
    let (no_color, json) = (asked("--no-color"), asked("--json"));
    let choice = if no_color {
        ColorChoice::Never
    } else {
        ColorChoice::Auto
    };
    let parsed = match args.len() {
        // The console is there sooner where the grammar of all commands is not built for nothing.
        0 | 1 => Ok(CommandLine {
            command: None,
            look: args::OutputOptions::default(),
        }),
        _ => args::command()
            .color(choice)
            .try_get_matches_from(&args)
            .and_then(|matches| CommandLine::from_arg_matches(&matches)),
    };
    let outcome = match parsed {
        Ok(cli) => execute(cli, json),
        Err(error) => refuse(&error, json),
    };
    match outcome {
        Ok(exit) => exit.code(),
        Err(CommandError::PipeClosed) => ExitStatus::Done.code(),
        Err(CommandError::Failed(failures)) => {
            CommandOutput::from_process(asked("--ascii"), no_color, json).failures(&failures);
            ExitStatus::from_failures(&failures).code()
        }
    }
}

/// Help and version are results; everything else is wrong usage.
fn refuse(error: &clap::Error, json: bool) -> CommandOutcome {
    let is_help = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    if json && !is_help {
        let text = error.render().to_string();
        let mut lines = text.trim().lines();
        let message = lines
            .next()
            .unwrap_or_default()
            .trim_start_matches("error: ")
            .to_owned();
        let rest: Vec<&str> = lines
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        return Err(Failure::new(Code::UsageInvalid, message)
            .hint(rest.join("; "))
            .into());
    }
    error.print()?;
    Ok(if is_help {
        ExitStatus::Done
    } else {
        ExitStatus::Usage
    })
}

fn execute(cli: CommandLine, json: bool) -> CommandOutcome {
    match &cli.command {
        Some(CliCommand::Completions(args)) => {
            return completions::completions(CommandOutput::from_process(false, true, json), *args);
        }
        Some(CliCommand::Man(args)) => {
            return completions::man(CommandOutput::from_process(false, true, json), args);
        }
        Some(CliCommand::Formats(args)) => {
            return formats::formats(
                CommandOutput::from_process(cli.look.ascii, cli.look.no_color, json),
                args,
            );
        }
        _ => {}
    }
    let setup = CommandContext::read(cli.look, json)?;
    own_log::start_logging(&setup.paths, Redactor::of(&setup.loaded.settings))?;
    match cli.command {
        Some(CliCommand::Completions(_) | CliCommand::Man(_) | CliCommand::Formats(_)) => {
            Ok(ExitStatus::Done)
        }
        None => console::home(&setup),
        Some(CliCommand::Demo(args)) => demo::demo(&setup, &args),
        Some(CliCommand::Run(args)) => run::run(&setup, &args),
        Some(CliCommand::Resume(args)) => resume::resume(&setup, &args),
        Some(CliCommand::Pause(args)) => stop::pause(&setup, &args),
        Some(CliCommand::Abort(args)) => stop::abort(&setup, &args),
        Some(CliCommand::Retry(args)) => retry::retry(&setup, &args),
        Some(CliCommand::Fork(args)) => fork::fork(&setup, &args),
        Some(CliCommand::Pick(args)) => fork::pick(&setup, &args),
        Some(CliCommand::Host(args)) => host::host(&setup, &args),
        Some(CliCommand::Approve(args)) => decide::approve(&setup, &args),
        Some(CliCommand::Changes(args)) => decide::changes(&setup, &args),
        Some(CliCommand::Reject(args)) => decide::reject(&setup, &args),
        Some(CliCommand::Runs(args)) => runs::runs(&setup, &args),
        Some(CliCommand::Show(args)) => show::show(&setup, &args),
        Some(CliCommand::Events(args)) => events::events(&setup, &args),
        Some(CliCommand::Artifact(args)) => artifact::artifact(&setup, &args),
        Some(CliCommand::Cost(args)) => cost::cost(&setup, &args),
        Some(CliCommand::Doctor(args)) => doctor::doctor(&setup, args),
        Some(CliCommand::Report(args)) => report::report(&setup, &args),
        Some(CliCommand::Verify(args)) => verify::verify(&setup, &args),
        Some(CliCommand::Workflows(args)) => registry::workflows(&setup, args),
        Some(CliCommand::Personas(args)) => registry::personas(&setup, args),
        Some(CliCommand::Schemas(args)) => registry::schemas(&setup, args),
        Some(CliCommand::Validate(args)) => registry::validate(&setup, &args),
        Some(CliCommand::Transcript(args)) => transcript::transcript(&setup, &args),
        Some(CliCommand::Clean(args)) => clean::clean(&setup, &args),
        Some(CliCommand::Export(args)) => transfer::export(&setup, &args),
        Some(CliCommand::Import(args)) => transfer::import(&setup, &args),
        Some(CliCommand::Trust(args)) => trust::trust(&setup, &args),
        Some(CliCommand::Init(args)) => init::init(&setup, args),
        Some(CliCommand::Consent(args)) => consent::consent(&setup, &args),
    }
}
