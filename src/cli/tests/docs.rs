//! Tests that `docs/cli.md` matches the definitions: commands, flags, exit codes, example calls.

use crate::cli::args::command;
use crate::cli::exit::ExitStatus;
use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../../docs/cli.md");

/// The part of the page about one command.
fn section(name: &str) -> &'static str {
    let head = PAGE.split("\n### ").find(|part| {
        part.split('`')
            .nth(1)
            .is_some_and(|line| line.split(' ').nth(1) == Some(name))
    });
    head.and_then(|part| part.split("\n## ").next())
        .unwrap_or_else(|| panic!("docs/cli.md has no section about `phasedeck {name}`"))
}

#[test]
fn the_page_has_a_section_for_each_command_and_no_other() {
    let documented: BTreeSet<&str> = PAGE
        .lines()
        .filter_map(|line| line.strip_prefix("### `phasedeck "))
        .filter_map(|rest| rest.split([' ', '`']).next())
        .collect();
    let defined = command();
    let defined: BTreeSet<&str> = defined
        .get_subcommands()
        .map(clap::Command::get_name)
        .collect();
    assert_eq!(documented, defined);
}

#[test]
fn each_section_names_each_flag_of_its_command_and_no_other() {
    for sub in command().get_subcommands() {
        let section = section(sub.get_name());
        let words: BTreeSet<&str> = section
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
            .filter(|word| word.starts_with("--"))
            .collect();
        let words: BTreeSet<&str> = words
            .into_iter()
            .filter(|word| !word.trim_matches('-').is_empty())
            .collect();
        let flags: BTreeSet<String> = sub
            .get_arguments()
            .filter(|arg| !arg.is_hide_set())
            .filter_map(|arg| arg.get_long())
            .map(|long| format!("--{long}"))
            .collect();
        let flags: BTreeSet<&str> = flags.iter().map(String::as_str).collect();
        assert_eq!(words, flags, "`phasedeck {}`", sub.get_name());
    }
}

#[test]
fn the_exit_codes_are_all_there() {
    let table = PAGE
        .split("## Exit codes")
        .nth(1)
        .unwrap()
        .split("\n## ")
        .next()
        .unwrap();
    let told: Vec<&str> = table
        .lines()
        .filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit())
        .collect();
    assert_eq!(
        told,
        ExitStatus::ALL.map(|(exit, words)| format!("| {} | {words} |", exit.code()))
    );
}

/// Every line of a shell block in every page that calls the program.
fn shown_calls() -> Vec<(String, String)> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_dir(root.join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let pages = docs
        .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
        .chain([root.join("README.md")]);
    let mut calls = Vec::new();
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        for block in text
            .split("\n```sh")
            .skip(1)
            .filter_map(|rest| rest.split("\n```").next())
        {
            let lines = block
                .lines()
                .skip(1)
                .filter_map(|line| line.split(" #").next());
            let calling = lines.filter_map(|line| {
                line.find("phasedeck ")
                    .map(|at| line[at..].trim().to_owned())
            });
            calls.extend(
                calling
                    .filter(|line| !line.contains("PHASEDECK"))
                    .map(|line| (page.display().to_string(), line)),
            );
        }
    }
    calls
}

#[test]
fn every_call_that_a_page_shows_is_one_that_the_program_takes() {
    let calls = shown_calls();
    assert!(calls.len() > 15, "{calls:?}");
    for (page, call) in calls {
        let call = call
            .split(['|', '>', ';'])
            .next()
            .unwrap()
            .split(" && ")
            .next()
            .unwrap();
        let quoted = call
            .split('\'')
            .enumerate()
            .flat_map(|(at, part)| match at % 2 {
                1 => vec![part],
                _ => part.split_whitespace().collect(),
            });
        let parsed = command().try_get_matches_from(quoted);
        assert!(parsed.is_ok(), "{page}: {call}\n{}", parsed.unwrap_err());
    }
}
