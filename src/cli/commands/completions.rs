//! `phasedeck completions` and `phasedeck man`: generated from the argument definitions.
//!
//! Neither reads settings or needs a data directory, so packagers can run them at build time.

use std::path::Path;

use crate::cli::args;
use crate::cli::args::{CompletionsArgs, ManArgs};
use crate::cli::exit::ExitStatus;
use crate::cli::output::streams::{CommandOutcome, CommandOutput};
use crate::model::error::{Failure, Result};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

const ENVIRONMENT: [(&str, &str); 4] = [
    (
        "PHASEDECK_HOME",
        "One folder for settings, data and state, instead of the folders below.",
    ),
    (
        "PHASEDECK_*",
        "A setting by its path, such as PHASEDECK_OPENAI_BASE_URL; over the file, beneath the flags.",
    ),
    (
        "OPENROUTER_API_KEY",
        "The key of the endpoint, unless openai.key_env names another variable.",
    ),
    ("NO_COLOR", "No colours."),
];

const FILES: [(&str, &str); 4] = [
    (
        "~/.config/phasedeck",
        "config.toml, and the operator's own workflows/, personas/ and artifacts/.",
    ),
    (
        "~/.local/share/phasedeck",
        "The database, artifact contents, and the worktrees of runs.",
    ),
    ("~/.local/state/phasedeck", "Reports, audit and log."),
    (
        ".phasedeck",
        "At the top of a repository: workflows, personas and schemas that it brings; see phasedeck-trust(1).",
    ),
];

/// Prints the completion script of a shell.
///
/// # Errors
/// Only of writing.
pub fn completions(out: CommandOutput, args: CompletionsArgs) -> CommandOutcome {
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut args::plain_command(),
        "phasedeck",
        &mut script,
    );
    out.bytes(&script)?;
    Ok(ExitStatus::Done)
}

/// Prints the manual page of the program, or writes one for it and one for each command.
///
/// # Errors
/// `io_failed` naming the folder that cannot be written.
pub fn man(out: CommandOutput, args: &ManArgs) -> CommandOutcome {
    match &args.dir {
        Some(dir) => write_pages(dir)?,
        None => out.bytes(&page(args::plain_command())?)?,
    }
    Ok(ExitStatus::Done)
}

fn write_pages(dir: &Path) -> Result<()> {
    let whole = page(args::plain_command())?;
    std::fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(args::plain_command(), dir))
        // The page of the program has more to say than the definitions.
        .and_then(|()| std::fs::write(dir.join("phasedeck.1"), whole))
        .map_err(|e| {
            Failure::io(
                format!("cannot write manual pages into {}", dir.display()),
                &e,
            )
        })
}

fn page(command: clap::Command) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    Man::new(command)
        .render(&mut text)
        .and_then(|()| more().to_writer(&mut text))
        .map_err(Failure::internal)?;
    Ok(text)
}

/// What the page of the program says beside the definitions.
fn more() -> Roff {
    let mut roff = Roff::new();
    let mut list = |title: &str, rows: &[(String, &str)]| {
        roff.control("SH", [title]);
        for (term, words) in rows {
            roff.control("TP", [])
                .text([bold(term.as_str())])
                .text([roman(*words)]);
        }
    };
    list(
        "EXIT STATUS",
        &ExitStatus::ALL.map(|(exit, words)| (exit.code().to_string(), words)),
    );
    list(
        "ENVIRONMENT",
        &ENVIRONMENT.map(|(name, words)| (name.to_owned(), words)),
    );
    list(
        "FILES",
        &FILES.map(|(place, words)| (place.to_owned(), words)),
    );
    roff
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;
    use clap_complete::Shell;

    use super::*;

    #[test]
    fn every_shell_gets_a_script_that_names_each_command() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut args::plain_command(), "phasedeck", &mut script);
            let script = String::from_utf8(script).unwrap();
            for sub in args::plain_command()
                .get_subcommands()
                .filter(|sub| !sub.is_hide_set())
            {
                assert!(
                    script.contains(sub.get_name()),
                    "{shell} does not know {}",
                    sub.get_name()
                );
            }
        }
    }

    #[test]
    fn there_is_a_page_for_the_program_and_for_each_command() {
        let dir = tempfile::tempdir().unwrap();
        write_pages(dir.path()).unwrap();
        let names: Vec<String> = args::plain_command()
            .get_subcommands()
            .map(|sub| format!("phasedeck-{}", sub.get_name()))
            .collect();
        for name in std::iter::once("phasedeck".to_owned()).chain(names) {
            let text = std::fs::read_to_string(dir.path().join(format!("{name}.1"))).unwrap();
            assert!(
                text.contains(".SH NAME") && text.contains(&name.replace('-', "\\-")),
                "{name}"
            );
            assert_eq!(
                text.contains(".SH \"EXIT STATUS\""),
                name == "phasedeck",
                "{name}"
            );
        }
    }
}
