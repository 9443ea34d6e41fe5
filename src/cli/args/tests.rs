use clap::FromArgMatches;

use super::*;

fn parse(line: &str) -> Result<CommandLine, clap::Error> {
    CommandLine::try_parse_from(std::iter::once("phasedeck").chain(line.split_whitespace()))
}

#[test]
fn the_definitions_are_sound() {
    command().debug_assert();
}

#[test]
fn every_command_is_listed_under_one_subject() {
    let mut listed: Vec<_> = SUBJECTS
        .iter()
        .flat_map(|(_, names)| names.iter().copied())
        .collect();
    let mut defined: Vec<_> = CommandLine::command()
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned())
        .collect();
    listed.sort_unstable();
    defined.sort_unstable();
    assert_eq!(listed, defined);
}

#[test]
fn no_arguments_mean_the_console_as_it_is() {
    let nothing = parse("").unwrap();
    assert!(
        nothing.command.is_none() && nothing.look == OutputOptions::default(),
        "what is taken without parsing"
    );
}

#[test]
fn good_lines_are_understood() {
    for line in [
        "",
        "--ascii",
        "demo",
        "demo --headless --yes --json",
        "run development -m words",
        "run development@1 -r - --headless --on-gate fail --json",
        "run development --rehearse --scenario spec=timeout -m x",
        "run flow.yaml --repo . --base main --persona architect=a --persona dev=b --thread t --idempotency-key k -m x",
        "run development --no-git -m x",
        "resume",
        "resume @last --headless --yes",
        "approve 7f3a --hash 3f9c12ab -m ok",
        "changes 7f3a -m more",
        "reject 7f3a -m no --json",
        "abort 7f3a",
        "pause 7f3a",
        "runs --state paused --state failed --limit 3 --json",
        "show @last --no-color",
        "events @last -f --from 3",
        "artifact @last spec --version 2",
        "artifact @last spec --diff",
        "report @last --md",
        "workflows --json",
        "validate a.yaml b.yaml",
        "consent --all",
        "consent a b",
    ] {
        assert!(parse(line).is_ok(), "{line}: {}", parse(line).unwrap_err());
    }
}

#[test]
fn bad_lines_are_refused_with_code_2() {
    for (line, says) in [
        ("aprove", "'approve'"),
        ("demo --hedless", "'--headless'"),
        ("demo --yes", "--headless"),
        ("demo --json", "--headless"),
        ("run", "<WORKFLOW>"),
        ("run x -m a -r b", "cannot be used with"),
        ("run x --no-git --repo .", "cannot be used with"),
        ("run x --no-git --base main", "cannot be used with"),
        ("run x --scenario spec=ok -m x", "--rehearse"),
        (
            "run x --rehearse --scenario spec=great -m x",
            "'great' is not a scenario",
        ),
        ("run x --persona architect -m x", "is not ROLE=NAME"),
        (
            "run x --headless --yes --on-gate wait",
            "cannot be used with",
        ),
        (
            "run x --headless --on-gate perhaps",
            "possible values: wait, approve, fail",
        ),
        ("approve", "<RUN>"),
        ("approve x --hash 3f9c", "8 to 64 hex digits"),
        ("changes x", "--message <TEXT>"),
        ("reject x", "--message <TEXT>"),
        ("runs --state pausd", "'paused'"),
        ("validate", "<FILE>..."),
        ("consent", "<PERSONA|--all|--list>"),
        ("consent a --all", "cannot be used with"),
        ("redo x", "unrecognized subcommand"),
        ("fork x", "--persona <ROLE=NAME>"),
        (
            "run x --strategy perhaps",
            "expected reject, enqueue, interrupt or rollback",
        ),
    ] {
        let error = parse(line).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line}");
        assert!(error.to_string().contains(says), "{line}: {error}");
    }
}

#[test]
fn gates_wait_unless_something_was_said() {
    for (line, policy) in [
        ("demo --headless", GatePolicy::Wait),
        ("demo --headless --yes", GatePolicy::Approve),
        ("demo --headless --on-gate fail", GatePolicy::Fail),
    ] {
        let Some(CliCommand::Demo(demo)) = parse(line).unwrap().command else {
            panic!("{line}")
        };
        assert_eq!(demo.drive.gate_policy(), policy);
    }
}

#[test]
fn flags_of_look_stand_anywhere() {
    let matches = command().get_matches_from(["phasedeck", "runs", "--ascii", "--no-color"]);
    let cli = CommandLine::from_arg_matches(&matches).unwrap();
    assert_eq!(
        cli.look,
        OutputOptions {
            ascii: true,
            no_color: true
        }
    );
}
