//! Holds `docs/cli.md` against the definitions: commands, flags, settings, defaults, exit codes.

use std::collections::BTreeSet;

use super::args::command;
use super::exit::Exit;

const PAGE: &str = include_str!("../../docs/cli.md");

/// The part of the page about one command.
fn section(name: &str) -> &'static str {
    let head = PAGE.split("\n### ").find(|part| part.split('`').nth(1).is_some_and(|line| line.split(' ').nth(1) == Some(name)));
    head.and_then(|part| part.split("\n## ").next()).unwrap_or_else(|| panic!("docs/cli.md has no section about `phasedeck {name}`"))
}

#[test]
fn the_page_has_a_section_for_each_command_and_no_other() {
    let documented: BTreeSet<&str> =
        PAGE.lines().filter_map(|line| line.strip_prefix("### `phasedeck ")).filter_map(|rest| rest.split([' ', '`']).next()).collect();
    let defined = command();
    let defined: BTreeSet<&str> = defined.get_subcommands().map(clap::Command::get_name).collect();
    assert_eq!(documented, defined);
}

#[test]
fn each_section_names_each_flag_of_its_command_and_no_other() {
    for sub in command().get_subcommands() {
        let section = section(sub.get_name());
        let words: BTreeSet<&str> =
            section.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).filter(|word| word.starts_with("--")).collect();
        let words: BTreeSet<&str> = words.into_iter().filter(|word| !word.trim_matches('-').is_empty()).collect();
        let flags: BTreeSet<String> = sub.get_arguments().filter_map(|arg| arg.get_long()).map(|long| format!("--{long}")).collect();
        let flags: BTreeSet<&str> = flags.iter().map(String::as_str).collect();
        assert_eq!(words, flags, "`phasedeck {}`", sub.get_name());
    }
}

#[test]
fn the_exit_codes_are_all_there() {
    let codes: Vec<u8> = PAGE
        .split("## Exit codes")
        .nth(1)
        .unwrap()
        .split("\n## ")
        .next()
        .unwrap()
        .lines()
        .filter_map(|line| line.split(' ').nth(1)?.parse().ok())
        .collect();
    let known = [Exit::Done, Exit::Failed, Exit::Usage, Exit::Aborted, Exit::Waiting, Exit::Busy, Exit::Defect];
    assert_eq!(codes, known.map(Exit::code));
}
