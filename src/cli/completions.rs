//! `phasedeck completions` and `phasedeck man`: made from the definitions that parse the arguments.
//!
//! Both need neither settings nor folders, so that a package can be built with them.

use std::path::Path;

use clap_mangen::Man;

use super::args::{self, Completions, ManPages};
use super::exit::Exit;
use super::out::{Out, Outcome};
use crate::model::error::{Failure, Result};

/// Prints the completion script of a shell.
///
/// # Errors
/// Only of writing.
pub fn completions(out: Out, args: Completions) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut args::plain_command(), "phasedeck", &mut script);
    out.bytes(&script)?;
    Ok(Exit::Done)
}

/// Prints the manual page of the program, or writes one for it and one for each command.
///
/// # Errors
/// `io_failed` naming the folder that cannot be written.
pub fn man(out: Out, args: &ManPages) -> Outcome {
    match &args.dir {
        Some(dir) => write_pages(dir)?,
        None => out.bytes(&page(args::plain_command())?)?,
    }
    Ok(Exit::Done)
}

fn write_pages(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(args::plain_command(), dir))
        .map_err(|e| Failure::io(format!("cannot write manual pages into {}", dir.display()), &e))
}

fn page(command: clap::Command) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    Man::new(command).render(&mut text).map_err(Failure::internal)?;
    Ok(text)
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
            for sub in args::plain_command().get_subcommands().filter(|sub| !sub.is_hide_set()) {
                assert!(script.contains(sub.get_name()), "{shell} does not know {}", sub.get_name());
            }
        }
    }

    #[test]
    fn there_is_a_page_for_the_program_and_for_each_command() {
        let dir = tempfile::tempdir().unwrap();
        write_pages(dir.path()).unwrap();
        let names: Vec<String> = args::plain_command().get_subcommands().map(|sub| format!("phasedeck-{}", sub.get_name())).collect();
        for name in std::iter::once("phasedeck".to_owned()).chain(names) {
            let text = std::fs::read_to_string(dir.path().join(format!("{name}.1"))).unwrap();
            assert!(text.contains(".SH NAME") && text.contains(&name.replace('-', "\\-")), "{name}");
        }
    }
}
