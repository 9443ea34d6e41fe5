//! The command line: parses arguments, executes one command, returns an exit code.
//!
//! There is one file per subject, and none of them executes runs. Commands that change something
//! reach the engine through a [`session`]; read-only commands use the archive. Untrusted text is
//! sanitized in [`out`], [`table`] or [`event_line`] before it is printed.

pub mod commands;
pub mod output;
#[cfg(test)]
pub mod tests;
use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{ColorChoice, FromArgMatches};

use self::args::{CliCommand, CommandLine};
use self::exit::ExitStatus;
use crate::cli::context::CommandContext;
use crate::cli::output::streams::{CommandError, CommandOutcome, CommandOutput};
use crate::engine::redact::Redactor;
use crate::engine::sandbox::reaper;
use crate::model::error::{Code, Failure};

pub mod args;
mod context;
pub mod engine_connection;
pub mod exit;
mod headless;
pub mod headless_policy;
mod logging;
pub mod settings;
mod signals;

/// Does what the arguments say and gives the exit code. Everything that went wrong has been told.
#[must_use]
pub fn main(args: impl IntoIterator<Item = OsString>) -> u8 {
    let args: Vec<OsString> = args.into_iter().collect();
    if reaper::is_reaper(&args) {
        return reaper::main(&args);
    }
    // Begun by ourselves, to hold a command that an agent wrote.
    if let Some(code) = crate::engine::sandbox::serve(&args) {
        return code;
    }
    crate::engine::sandbox::keep_memory_private();
    logging::install_panic_hook();
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
            return crate::cli::commands::completions::completions(
                CommandOutput::from_process(false, true, json),
                *args,
            );
        }
        Some(CliCommand::Man(args)) => {
            return crate::cli::commands::completions::man(
                CommandOutput::from_process(false, true, json),
                args,
            );
        }
        Some(CliCommand::Formats(args)) => {
            return crate::cli::output::formats::formats(
                CommandOutput::from_process(cli.look.ascii, cli.look.no_color, json),
                args,
            );
        }
        _ => {}
    }
    let setup = CommandContext::read(cli.look, json)?;
    logging::start_logging(&setup.paths, Redactor::of(&setup.loaded.settings))?;
    match cli.command {
        Some(CliCommand::Completions(_) | CliCommand::Man(_) | CliCommand::Formats(_)) => {
            Ok(ExitStatus::Done)
        }
        None => crate::cli::commands::console::home(&setup),
        Some(CliCommand::Demo(args)) => crate::cli::commands::demo::demo(&setup, &args),
        Some(CliCommand::Run(args)) => crate::cli::commands::run::run(&setup, &args),
        Some(CliCommand::Resume(args)) => crate::cli::commands::resume::resume(&setup, &args),
        Some(CliCommand::Pause(args)) => crate::cli::commands::stop::pause(&setup, &args),
        Some(CliCommand::Abort(args)) => crate::cli::commands::stop::abort(&setup, &args),
        Some(CliCommand::Retry(args)) => crate::cli::commands::retry::retry(&setup, &args),
        Some(CliCommand::Fork(args)) => crate::cli::commands::fork::fork(&setup, &args),
        Some(CliCommand::Pick(args)) => crate::cli::commands::fork::pick(&setup, &args),
        Some(CliCommand::Host(args)) => crate::cli::commands::host::host(&setup, &args),
        Some(CliCommand::Approve(args)) => crate::cli::commands::decide::approve(&setup, &args),
        Some(CliCommand::Changes(args)) => crate::cli::commands::decide::changes(&setup, &args),
        Some(CliCommand::Reject(args)) => crate::cli::commands::decide::reject(&setup, &args),
        Some(CliCommand::Runs(args)) => crate::cli::commands::runs::runs(&setup, &args),
        Some(CliCommand::Show(args)) => crate::cli::commands::show::show(&setup, &args),
        Some(CliCommand::Events(args)) => crate::cli::commands::events::events(&setup, &args),
        Some(CliCommand::Artifact(args)) => crate::cli::commands::artifact::artifact(&setup, &args),
        Some(CliCommand::Cost(args)) => crate::cli::commands::cost::cost(&setup, &args),
        Some(CliCommand::Doctor(args)) => crate::cli::commands::doctor::doctor(&setup, args),
        Some(CliCommand::Report(args)) => crate::cli::commands::report::report(&setup, &args),
        Some(CliCommand::Verify(args)) => crate::cli::commands::verify::verify(&setup, &args),
        Some(CliCommand::Workflows(args)) => {
            crate::cli::commands::registry::workflows(&setup, args)
        }
        Some(CliCommand::Personas(args)) => crate::cli::commands::registry::personas(&setup, args),
        Some(CliCommand::Schemas(args)) => crate::cli::commands::registry::schemas(&setup, args),
        Some(CliCommand::Validate(args)) => crate::cli::commands::registry::validate(&setup, &args),
        Some(CliCommand::Transcript(args)) => {
            crate::cli::commands::transcript::transcript(&setup, &args)
        }
        Some(CliCommand::Clean(args)) => crate::cli::commands::clean::clean(&setup, &args),
        Some(CliCommand::Export(args)) => crate::cli::commands::transfer::export(&setup, &args),
        Some(CliCommand::Import(args)) => crate::cli::commands::transfer::import(&setup, &args),
        Some(CliCommand::Trust(args)) => crate::cli::commands::trust::trust(&setup, &args),
        Some(CliCommand::Init(args)) => crate::cli::commands::init::init(&setup, args),
        Some(CliCommand::Consent(args)) => crate::cli::commands::consent::consent(&setup, &args),
    }
}
