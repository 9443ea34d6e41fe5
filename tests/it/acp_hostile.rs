//! Agent programs that are hostile: what the kernel keeps them from, and what comes of the run.

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use phasedeck::engine::confine::Launcher;
use phasedeck::model::event::Fact;
use phasedeck::model::record::RunRecord;

use crate::acp::Place;

/// Whether programs are confined on this machine; says why a test is skipped where they are not.
fn fenced() -> bool {
    let probe = async { Launcher::of(PathBuf::from(env!("CARGO_BIN_EXE_phasedeck"))).probe_fence().await };
    let protection = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(probe);
    if !protection.fenced() {
        println!("skipped: {}", protection.program_words());
    }
    protection.fenced()
}

/// What lies in a folder, as names and contents.
fn inside(folder: &Path) -> Vec<(PathBuf, Option<String>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries.map(|path| (path.clone(), std::fs::read_to_string(path).ok())).collect();
    found.sort();
    found
}

/// What the run says of the kernel's hold on the program.
fn told(place: &Place, run: &RunRecord) -> Vec<(bool, String)> {
    let events = place.home.events(run).into_iter();
    let told = events.filter_map(|event| match event.fact {
        Fact::CommandsConfined { confined, words, .. } => Some((confined, words)),
        _ => None,
    });
    told.collect()
}

/// A place with things outside that a program would like to have.
fn place(settings: &str) -> (Place, UnixListener) {
    let place = Place::with("escapes", settings);
    let (outside, operator) = (place.home.path().join("outside"), place.home.path().join("operator"));
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::create_dir_all(operator.join(".ssh")).unwrap();
    std::fs::write(outside.join("canary"), "untouched").unwrap();
    std::fs::write(operator.join(".ssh/id"), "a key").unwrap();
    let socket = UnixListener::bind(outside.join("socket")).unwrap();
    (place, socket)
}

fn worked(place: &Place) -> Vec<String> {
    let tried = std::fs::read_to_string(place.state.join("escapes")).unwrap();
    let worked = tried.lines().filter_map(|line| line.strip_suffix(": true")).map(str::to_owned);
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
    assert_eq!(inside(&place.home.path().join("operator")).len(), 1, "only what was there");
    assert!(!Path::new("/tmp/phasedeck-acp-hostile").exists());
    assert_eq!(worked(&place), ["own temp", "worktree", "own temp", "worktree"], "in each of the two phases");
    let words = "scripted: confined: writes only its worktree and its own folders, network open";
    assert_eq!(told(&place, &run), [(true, words.to_owned()), (true, words.to_owned())]);
}

#[test]
fn a_program_that_the_operator_lets_go_is_told_to_be_not_confined() {
    let (place, _socket) = place("confined = false");
    let run = place.run(0);
    assert!(worked(&place).iter().any(|what| what == "read outside"), "{:?}", worked(&place));
    let told = told(&place, &run);
    assert!(told.iter().all(|(confined, words)| !confined && words.contains("agents.scripted.confined is false")), "{told:?}");
    assert_eq!(told.len(), 2);
    let _ = std::fs::remove_file("/tmp/phasedeck-acp-hostile");
}
