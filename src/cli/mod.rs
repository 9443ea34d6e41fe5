//! The command line: parses arguments, executes one command, returns an exit code.
//!
//! There is one file per subject, and none of them executes runs. Commands that change something
//! reach the engine through a [`session`]; read-only commands use the archive. Untrusted text is
//! sanitized in [`out`], [`table`] or [`event_line`] before it is printed.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{ColorChoice, FromArgMatches};

use self::args::{Cli, Verb};
use self::exit::Exit;
use self::out::{Out, Outcome, Stop};
use self::setup::Setup;
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
    if guard::is_guard(&args) {
        return guard::main(&args);
    }
    // Begun by ourselves, to hold a command that an agent wrote.
    if let Some(code) = crate::engine::confine::serve(&args) {
        return code;
    }
    crate::engine::confine::keep_memory_private();
    own_log::tame_panics();
    let asked = |flag: &str| args.iter().any(|arg| arg == flag);
    let (no_color, json) = (asked("--no-color"), asked("--json"));
    let choice = if no_color {
        ColorChoice::Never
    } else {
        ColorChoice::Auto
    };
    let parsed = match args.len() {
        // The console is there sooner where the grammar of all commands is not built for nothing.
        0 | 1 => Ok(Cli {
            command: None,
            look: args::Look::default(),
        }),
        _ => args::command()
            .color(choice)
            .try_get_matches_from(&args)
            .and_then(|matches| Cli::from_arg_matches(&matches)),
    };
    let outcome = match parsed {
        Ok(cli) => obey(cli, json),
        Err(error) => refuse(&error, json),
    };
    match outcome {
        Ok(exit) => exit.code(),
        Err(Stop::PipeClosed) => Exit::Done.code(),
        Err(Stop::Failed(failures)) => {
            Out::of_process(asked("--ascii"), no_color, json).failures(&failures);
            Exit::of_failures(&failures).code()
        }
    }
}

/// Help and version are results; everything else is wrong usage.
fn refuse(error: &clap::Error, json: bool) -> Outcome {
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
    Ok(if is_help { Exit::Done } else { Exit::Usage })
}

fn obey(cli: Cli, json: bool) -> Outcome {
    match &cli.command {
        Some(Verb::Completions(args)) => {
            return completions::completions(Out::of_process(false, true, json), *args);
        }
        Some(Verb::Man(args)) => return completions::man(Out::of_process(false, true, json), args),
        Some(Verb::Formats(args)) => {
            return formats::formats(
                Out::of_process(cli.look.ascii, cli.look.no_color, json),
                args,
            );
        }
        _ => {}
    }
    let setup = Setup::read(cli.look, json)?;
    own_log::begin(&setup.paths, Redactor::of(&setup.loaded.settings))?;
    match cli.command {
        Some(Verb::Completions(_) | Verb::Man(_) | Verb::Formats(_)) => Ok(Exit::Done),
        None => console::home(&setup),
        Some(Verb::Demo(args)) => demo::demo(&setup, &args),
        Some(Verb::Run(args)) => run::run(&setup, &args),
        Some(Verb::Resume(args)) => resume::resume(&setup, &args),
        Some(Verb::Pause(args)) => stop::pause(&setup, &args),
        Some(Verb::Abort(args)) => stop::abort(&setup, &args),
        Some(Verb::Retry(args)) => retry::retry(&setup, &args),
        Some(Verb::Fork(args)) => fork::fork(&setup, &args),
        Some(Verb::Pick(args)) => fork::pick(&setup, &args),
        Some(Verb::Host(args)) => host::host(&setup, &args),
        Some(Verb::Approve(args)) => decide::approve(&setup, &args),
        Some(Verb::Changes(args)) => decide::changes(&setup, &args),
        Some(Verb::Reject(args)) => decide::reject(&setup, &args),
        Some(Verb::Runs(args)) => runs::runs(&setup, &args),
        Some(Verb::Show(args)) => show::show(&setup, &args),
        Some(Verb::Events(args)) => events::events(&setup, &args),
        Some(Verb::Artifact(args)) => artifact::artifact(&setup, &args),
        Some(Verb::Cost(args)) => cost::cost(&setup, &args),
        Some(Verb::Doctor(args)) => doctor::doctor(&setup, args),
        Some(Verb::Report(args)) => report::report(&setup, &args),
        Some(Verb::Verify(args)) => verify::verify(&setup, &args),
        Some(Verb::Workflows(args)) => registry::workflows(&setup, args),
        Some(Verb::Personas(args)) => registry::personas(&setup, args),
        Some(Verb::Schemas(args)) => registry::schemas(&setup, args),
        Some(Verb::Validate(args)) => registry::validate(&setup, &args),
        Some(Verb::Transcript(args)) => transcript::transcript(&setup, &args),
        Some(Verb::Clean(args)) => clean::clean(&setup, &args),
        Some(Verb::Export(args)) => transfer::export(&setup, &args),
        Some(Verb::Import(args)) => transfer::import(&setup, &args),
        Some(Verb::Trust(args)) => trust::trust(&setup, &args),
        Some(Verb::Init(args)) => init::init(&setup, args),
        Some(Verb::Consent(args)) => consent::consent(&setup, &args),
    }
}
