//! Agent programs that are hostile: what the kernel keeps them from, and what comes of the run.

use phasedeck::engine::sandbox::SandboxLauncher;
use phasedeck::model::event::RunFact;
use phasedeck::model::record::RunRecord;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::acp::Place;

/// Whether programs are confined on this machine; says why a test is skipped where they are not.
fn fenced() -> bool {
    let probe = async {
        SandboxLauncher::with_program(PathBuf::from(env!("CARGO_BIN_EXE_phasedeck")))
            .probe_program()
            .await
    };
    let protection = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(probe);
    if !protection.programs_confined() {
        println!("skipped: {}", protection.describe_program());
    }
    protection.programs_confined()
}

/// What lies in a folder, as names and contents.
fn inside(folder: &Path) -> Vec<(PathBuf, Option<String>)> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries
        .map(|path| (path.clone(), std::fs::read_to_string(path).ok()))
        .collect();
    found.sort();
    found
}

/// What the run says of the kernel's hold on the program.
fn told(place: &Place, run: &RunRecord) -> Vec<(bool, String)> {
    let events = place.home.events(run).into_iter();
    let told = events.filter_map(|event| match event.fact {
        RunFact::CommandsConfined {
            confined, words, ..
        } => Some((confined, words)),
        _ => None,
    });
    told.collect()
}

/// A place with things outside that a program would like to have.
fn place(settings: &str) -> (Place, UnixListener) {
    let place = Place::with("escapes", settings);
    let (outside, operator) = (
        place.home.path().join("outside"),
        place.home.path().join("operator"),
    );
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::create_dir_all(operator.join(".ssh")).unwrap();
    std::fs::write(outside.join("canary"), "untouched").unwrap();
    std::fs::write(operator.join(".ssh/id"), "a key").unwrap();
    let socket = UnixListener::bind(outside.join("socket")).unwrap();
    (place, socket)
}

fn worked(place: &Place) -> Vec<String> {
    let tried = std::fs::read_to_string(place.state.join("escapes")).unwrap();
    let worked = tried
        .lines()
        .filter_map(|line| line.strip_suffix(": true"))
        .map(str::to_owned);
    worked.collect()
}

#[test]
fn a_program_reaches_nothing_outside_its_worktree_whatever_it_tries() {
    if !fenced() {
        return;
    }
    let (place, _socket) = place("");
    let before = inside(&place.home.path().join("outside"));
    let run = place.run(0);
    assert_eq!(run.state, "completed");
    assert_eq!(inside(&place.home.path().join("outside")), before);
    assert_eq!(
        inside(&place.home.path().join("operator")).len(),
        1,
        "only what was there"
    );
    assert!(!Path::new("/tmp/phasedeck-acp-hostile").exists());
    assert_eq!(
        worked(&place),
        ["own temp", "worktree", "own temp", "worktree"],
        "in each of the two phases"
    );
    let words = "scripted: confined: writes only its worktree and its own folders, network open";
    assert_eq!(
        told(&place, &run),
        [(true, words.to_owned()), (true, words.to_owned())]
    );
}

#[test]
fn a_program_that_the_operator_lets_go_is_told_to_be_not_confined() {
    let (place, _socket) = place("confined = false");
    let run = place.run(0);
    assert!(
        worked(&place).iter().any(|what| what == "read outside"),
        "{:?}",
        worked(&place)
    );
    let told = told(&place, &run);
    assert!(
        told.iter()
            .all(|(confined, words)| !confined
                && words.contains("agents.scripted.confined is false")),
        "{told:?}"
    );
    assert_eq!(told.len(), 2);
    let _ = std::fs::remove_file("/tmp/phasedeck-acp-hostile");
}

/// A home whose repository brings settings along, some of them by a link.
fn with_settings(settings: &str) -> Place {
    let place = Place::with("settings", settings);
    let project = place.home.path().join("project");
    std::fs::create_dir_all(project.join("tools")).unwrap();
    for (file, text) in [
        ("settings.json", "{\"hooks\":1}"),
        ("tools/hooks.json", "{\"run\":1}"),
        (".env", "BASE_URL=evil"),
        ("kept.json", "{}"),
    ] {
        std::fs::write(project.join(file), text).unwrap();
    }
    std::os::unix::fs::symlink("tools", project.join(".mine")).unwrap();
    crate::home::git(&project, &["add", "-f", "."]);
    crate::home::git(&project, &["commit", "-q", "-m", "Bring settings along"]);
    place
}

#[test]
fn what_a_repository_brings_along_for_a_program_is_not_there_unless_the_operator_trusts_it() {
    let hide = "hide = [\"settings.json\", \".mine\", \".env\", \"not-there\"]";
    for (more, expected, written) in [
        (
            "",
            [
                "settings.json: {}",
                ".mine/hooks.json: NotFound",
                ".env: ",
                "kept.json: {}",
            ],
            "written: false",
        ),
        (
            "confined = false",
            [
                "settings.json: {}",
                ".mine/hooks.json: NotFound",
                ".env: ",
                "kept.json: {}",
            ],
            "written: false",
        ),
        (
            "trust_project = true",
            [
                "settings.json: {\"hooks\":1}",
                ".mine/hooks.json: {\"run\":1}",
                ".env: BASE_URL=evil",
                "kept.json: {}",
            ],
            "written: true",
        ),
    ] {
        let place = with_settings(&format!("{hide}\n{more}"));
        let run = place.run(0);
        let seen = std::fs::read_to_string(place.state.join("seen")).unwrap();
        assert_eq!(
            seen.lines().take(5).collect::<Vec<_>>(),
            [&expected[..], &[written]].concat(),
            "{more}"
        );
        let branch = run.branch.clone().unwrap();
        let shown = |path: &str| {
            crate::home::git(
                &place.home.path().join("project"),
                &["show", &format!("{branch}:{path}")],
            )
        };
        assert_eq!(
            shown("tools/hooks.json"),
            "{\"run\":1}",
            "nobody else is hidden anything"
        );
    }
}

#[test]
fn settings_that_lead_out_of_the_repository_stop_the_run_before_the_program_is_begun() {
    let place = Place::with("settings", "hide = [\".mine\"]");
    let project = place.home.path().join("project");
    std::os::unix::fs::symlink("/usr", project.join(".mine")).unwrap();
    crate::home::git(&project, &["add", "."]);
    crate::home::git(&project, &["commit", "-q", "-m", "Lead out"]);
    let run = place.run(4);
    let (code, words) = crate::acp::failure(&place, &run);
    assert_eq!(
        (code.as_str(), words.contains("leads out of it, to /usr")),
        ("backend_unavailable", true),
        "{words}"
    );
    assert_eq!(place.starts(), 0);
}

#[test]
fn a_program_that_costs_too_much_is_called_off_in_the_middle_and_the_operator_is_asked() {
    for script in ["dear", "dear_load", "dear_stubborn"] {
        let place = Place::with(script, "[budget]\nrun = \"2.00\"");
        let run = place.run(4);
        assert_eq!(
            (run.state.as_str(), run.pause_reason.as_deref()),
            ("paused", Some("budget")),
            "{script}"
        );
        let kinds = place.kinds(&run);
        let of_money: Vec<&str> = kinds
            .iter()
            .map(String::as_str)
            .filter(|kind| kind.starts_with("llm.") || kind.starts_with("budget."))
            .collect();
        assert_eq!(
            of_money,
            ["budget.warned", "llm.called", "budget.exceeded"],
            "{script}"
        );
        let spent = run.cost.known.0;
        assert!(
            (2_000_000_000..100_000_000_000).contains(&spent),
            "{script}: {spent}"
        );
        let estimated = place.home.events(&run).iter().any(|event| {
            matches!(
                event.fact,
                RunFact::LlmCalled {
                    estimated: true,
                    ..
                }
            )
        });
        assert_eq!(
            estimated,
            script == "dear_stubborn",
            "{script}: what it told last is no whole cost"
        );
        assert_eq!(place.heard("session/cancel").len(), 1, "{script}");
        place
            .home
            .expect(0, &["approve", &run.id.to_string(), "--raise", "100"]);
        assert_eq!(place.resume(0).state, "completed", "{script}");
        let prompts = place.prompts();
        assert_eq!(prompts.len(), 3, "{script}");
        assert_eq!(
            prompts[1].contains("PHASEDECK_PROMPT_BEGIN"),
            script != "dear_load",
            "{script}: the task is said once to a session"
        );
    }
}

#[test]
fn whatever_a_program_leaves_where_its_artifact_belongs_the_run_ends_in_a_named_state() {
    for (script, code) in [
        ("huge_file", "artifact_timeout_exhausted"),
        ("pipe", "path_outside_worktree"),
        ("loops", "artifact_timeout_exhausted"),
    ] {
        let place = Place::with(script, "");
        let begun = Instant::now();
        let run = place.run(1);
        assert_eq!(
            (run.state.as_str(), run.error_code.as_deref()),
            ("failed", Some(code)),
            "{script}"
        );
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{script}: {:?}",
            begun.elapsed()
        );
        if script == "huge_file" && fenced() {
            let grown = std::fs::read_to_string(place.state.join("grown")).unwrap();
            assert_eq!(
                grown,
                "false\n".repeat(grown.lines().count()),
                "no file grows to 2 GB"
            );
        }
    }
}

#[test]
fn a_program_that_fills_the_disk_is_ended_while_it_does() {
    let place = Place::with("grows", "[engine]\nmax_worktree_bytes = 300000");
    let begun = Instant::now();
    let run = place.run(4);
    assert!(
        begun.elapsed() < Duration::from_secs(30),
        "{:?}",
        begun.elapsed()
    );
    let (code, words) = crate::acp::failure(&place, &run);
    assert_eq!(
        (code.as_str(), words.contains("the limit is 300000 bytes")),
        ("file_too_big", true),
        "{words}"
    );
}

#[test]
fn a_folder_that_is_swapped_for_a_link_while_files_are_written_never_leads_outside() {
    let place = Place::with("swaps", "");
    let outside = place.home.path().join("outside");
    std::fs::create_dir_all(&outside).unwrap();
    place.run(1);
    let swaps: u32 = std::fs::read_to_string(place.state.join("swaps"))
        .unwrap()
        .lines()
        .map(|line| line.parse::<u32>().unwrap())
        .sum();
    assert!(swaps > 1000, "the swaps raced: {swaps}");
    assert_eq!(inside(&outside), []);
}
