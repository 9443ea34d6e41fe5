//! What an operator meets when the disk, the database or somebody else misbehaves: by real means, on
//! copies, and nothing is overwritten.

use std::path::{Path, PathBuf};
use std::process::Command as Program;
use std::time::Duration;

use phasedeck::engine::anchor;
use phasedeck::engine::api::{Answer, Archive, Command, Sender, StartRun};
use phasedeck::engine::host::Host;
use phasedeck::engine::paths::Paths;
use phasedeck::engine::verify::{Verdict, verify};
use phasedeck::model::error::Code;
use phasedeck::model::id::{ClientToken, RunId};
use phasedeck::model::record::{RunOptions, Scenario};
use phasedeck::model::settings::{OnCrash, Settings};
use phasedeck::model::state::{Decision, PauseReason, RunStatus, Via};
use phasedeck::store::ballast;

use crate::demo::wait_for;
use crate::home::{Home, check_invariants};
use crate::model_script::write_pair;

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.rehearsal.pace_ms = 0;
    settings.engine.on_crash = OnCrash::Ask;
    settings
}

fn send(host: &Host, command: Command) -> Answer {
    let sender = Sender { by: "tester".to_owned(), via: Via::Cli };
    host.handle().block_on(host.port().send(command, sender, ClientToken::new())).unwrap()
}

fn start(host: &Host, scenarios: &[(&str, Scenario)]) -> RunId {
    let scenarios = scenarios.iter().map(|(phase, scenario)| ((*phase).into(), *scenario)).collect();
    let options = RunOptions { rehearse: true, scenarios, ..RunOptions::default() };
    let start = StartRun { workflow: "pair".to_owned(), requirements: "A note".to_owned(), options, ..StartRun::default() };
    match send(host, Command::Start(Box::new(start))) {
        Answer::Started { run_id, .. } => run_id,
        other => panic!("{other:?}"),
    }
}

fn approve(run_id: RunId) -> Command {
    Command::decide(run_id, None, Decision::Approve, "")
}

fn wait_until(paths: &Paths, run: RunId, what: &str, status: RunStatus) {
    wait_for(what, || Some(()).filter(|()| Archive::open(paths).unwrap().state(run).unwrap().status == status));
}

fn verdict(paths: &Paths) -> Verdict {
    tokio::runtime::Runtime::new().unwrap().block_on(verify(paths, None)).unwrap()
}

fn wrong(verdict: &Verdict) -> Vec<String> {
    let all = verdict.database.iter().chain(verdict.runs.iter().flat_map(|run| &run.checks));
    all.flat_map(|check| check.problems.iter().map(|words| format!("{}: {words}", check.name))).collect()
}

#[test]
fn a_row_that_vanished_is_written_anew_with_its_counters() {
    let home = Home::new();
    write_pair(&home);
    let host = Host::start(&home.paths(), &settings()).unwrap();
    let run = start(&host, &[]);
    wait_until(&home.paths(), run, "the gate", RunStatus::AwaitingApproval);
    let before = home.archive().run(run).unwrap();
    let conn = rusqlite::Connection::open(home.paths().database()).unwrap();
    conn.execute_batch("PRAGMA foreign_keys = off; DELETE FROM runs").unwrap();
    send(&host, approve(run));
    wait_until(&home.paths(), run, "the end", RunStatus::Completed);
    let after = home.archive().run(run).unwrap();
    assert_eq!((after.requirements, after.created_at, after.thread), (before.requirements, before.created_at, before.thread));
    assert_eq!((after.phases_total, after.phases_done), (2, 2));
    check_invariants(&home, &home.archive().run(run).unwrap());
    host.shutdown(Duration::ZERO).unwrap();
    assert_eq!(wrong(&verdict(&home.paths())), Vec::<String>::new());
}

/// An installation as a crash and then an accident left it: a copy of a living one, without its log.
fn copy_without_log(home: &Home) -> Home {
    let copy = Home::new();
    for part in ["data", "state", "config"] {
        let status = Program::new("cp").arg("-a").arg(home.path().join(part)).arg(copy.path()).status().unwrap();
        assert!(status.success());
    }
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", copy.paths().database().display()));
    }
    copy
}

#[test]
fn a_lost_log_is_noticed_told_and_kept_in_mind_and_work_goes_on() {
    let home = Home::new();
    write_pair(&home);
    let host = Host::start(&home.paths(), &settings()).unwrap();
    let first = start(&host, &[]);
    wait_until(&home.paths(), first, "the gate", RunStatus::AwaitingApproval);
    host.shutdown(Duration::ZERO).unwrap();
    let host = Host::start(&home.paths(), &settings()).unwrap();
    assert_eq!(host.notices(), Vec::<String>::new(), "a good end leaves nothing to say");
    send(&host, Command::Resume { run_id: first });
    send(&host, approve(first));
    wait_until(&home.paths(), first, "the end", RunStatus::Completed);
    let last = home.archive().last_seq(first).unwrap();
    wait_for("the anchor", || anchor::read(&home.paths()).unwrap().filter(|anchor| anchor.ends.iter().any(|end| end.seq >= last)));
    let copy = copy_without_log(&home);
    host.shutdown(Duration::ZERO).unwrap();

    let before = Archive::open(&copy.paths()).unwrap().last_seq(first).unwrap();
    assert!(before < last, "what was in the log is gone, and SQLite says nothing");
    let host = Host::start(&copy.paths(), &settings()).unwrap();
    let told = host.notices().join("\n");
    assert!(told.contains("was it put back from a copy?") && told.contains(&format!("run {first} had {last} events")), "{told}");
    host.shutdown(Duration::ZERO).unwrap();
    let verdict = verdict(&copy.paths());
    assert!(!verdict.sound && wrong(&verdict)[0].contains("once older than its anchor"), "{:?}", wrong(&verdict));
    for aside in anchor::kept_aside(&copy.paths()).unwrap() {
        std::fs::remove_file(aside).unwrap();
    }
    copy.expect(0, &["verify"]);
}

#[test]
fn verify_tells_what_somebody_changed_and_ends_with_1() {
    let home = Home::new();
    write_pair(&home);
    let host = Host::start(&home.paths(), &settings()).unwrap();
    let run = start(&host, &[]);
    wait_until(&home.paths(), run, "the gate", RunStatus::AwaitingApproval);
    host.shutdown(Duration::ZERO).unwrap();
    let sound = home.expect(0, &["verify"]);
    assert!(sound.contains("sound") && sound.contains("Not proven by this:"), "{sound}");
    let conn = rusqlite::Connection::open(home.paths().database()).unwrap();
    conn.execute_batch(
        "DROP TRIGGER events_are_never_changed; UPDATE events SET payload = replace(payload, 'maker', 'faker') WHERE seq = 3",
    )
    .unwrap();
    drop(conn);
    let found = home.expect(1, &["verify", "@last"]);
    assert!(found.contains("chain: event 3 (phase.started) is not what was stored"), "{found}");
    let json: serde_json::Value = serde_json::from_str(&home.expect(1, &["verify", "--json"])).unwrap();
    assert_eq!(json["sound"], false);
}

/// A small disk of its own; gone with the value. `None` where this process may not mount.
struct SmallDisk(PathBuf, #[expect(dead_code, reason = "keeps the folder")] tempfile::TempDir);

impl SmallDisk {
    fn new(mib: u32) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("disk");
        std::fs::create_dir(&at).unwrap();
        let mounted = Program::new("mount").args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"]).arg(&at).output();
        if mounted.is_ok_and(|mounted| mounted.status.success()) {
            return Some(Self(at, dir));
        }
        println!("skipped: a small disk cannot be mounted here");
        None
    }

    fn paths(&self) -> Paths {
        let paths = Paths::beneath(&self.0);
        paths.create().unwrap();
        paths
    }

    fn read_only(&self) {
        assert!(Program::new("mount").args(["-o", "remount,ro"]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Program::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Takes every free byte.
fn fill(at: &Path) -> PathBuf {
    use std::io::Write;
    let path = at.join("filler");
    let mut file = std::fs::File::create(&path).unwrap();
    for piece in [1024 * 1024, 4096, 1] {
        let bytes = vec![7; piece];
        while file.write_all(&bytes).is_ok() {}
    }
    path
}

#[test]
fn on_a_full_disk_everything_rests_and_goes_on_by_itself_when_there_is_space() {
    let Some(disk) = SmallDisk::new(64) else { return };
    let (paths, shown) = (disk.paths(), Home::new());
    write_pair(&shown);
    assert!(Program::new("cp").arg("-a").arg(shown.path().join("config")).arg(&disk.0).status().unwrap().success());
    let mut settings = settings();
    // So that the second phase is still at work when everything is told to rest.
    settings.rehearsal.pace_ms = 20;
    let host = Host::start(&paths, &settings).unwrap();
    let waiting = start(&host, &[]);
    wait_until(&paths, waiting, "the gate", RunStatus::AwaitingApproval);
    wait_for("the ballast", || Some(()).filter(|()| ballast::file(&paths.database()).exists()));
    let filler = fill(&disk.0);
    // The answer is stored all the same: the ballast makes room for it, and for the rest.
    send(&host, approve(waiting));
    let paused = wait_for("the pause", || {
        let state = Archive::open(&paths).unwrap().state(waiting).unwrap();
        Some(state).filter(|state| state.status == RunStatus::Paused)
    });
    assert_eq!(paused.pause_reason, Some(PauseReason::DiskFull));
    assert!(!ballast::file(&paths.database()).exists());
    std::fs::remove_file(filler).unwrap();
    wait_until(&paths, waiting, "the end, without a word from anybody", RunStatus::Completed);
    host.shutdown(Duration::ZERO).unwrap();
    assert_eq!(wrong(&verdict(&paths)), Vec::<String>::new());
}

#[test]
fn a_read_only_folder_is_refused_in_words_and_nothing_is_made() {
    let Some(disk) = SmallDisk::new(64) else { return };
    let paths = disk.paths();
    disk.read_only();
    let Err(refused) = Host::start(&paths, &settings()) else { panic!("it began") };
    assert_eq!(refused.code, Code::IoFailed);
    assert!(refused.message.contains("Read-only file system") && refused.message.contains("disk/data"), "{refused}");
    assert!(!refused.hint.is_empty());
    assert_eq!(std::fs::read_dir(&paths.data).unwrap().count(), 0);
}
