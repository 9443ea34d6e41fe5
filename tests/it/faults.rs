//! What an operator meets when the disk, the database or somebody else misbehaves: by real means,
//! on copies, and nothing is overwritten.

use phasedeck::engine::api::{
    CommandAnswer, CommandSender, EngineCommand, EngineSignal, RunArchive, StartRun,
};
use phasedeck::engine::host::integrity_checkpoint;
use phasedeck::engine::host::verify::{VerifyReport, verify};
use phasedeck::engine::host::{EngineHost, attach, give_consent, live_host};
use phasedeck::engine::paths::InstallPaths;
use phasedeck::model::error::{Code, Failure};
use phasedeck::model::hash::ContentHash;
use phasedeck::model::id::{ClientToken, RunId};
use phasedeck::model::record::{RehearsalScenario, RunOptions};
use phasedeck::model::settings::{AppSettings, CrashPolicy};
use phasedeck::model::state::{Decision, PauseReason, RunStatus, Via};
use phasedeck::model::time::Timestamp;
use phasedeck::store::Store;
use phasedeck::store::writer::host_epoch;
use phasedeck::store::writer::host_epoch::HostIdentity;
use phasedeck::store::writer::{backup, disk_reserve};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::path::{Path, PathBuf};
use std::process::Command as Program;
use std::time::Duration;

use crate::demo::wait_for;
use crate::home::{Home, check_invariants};
use crate::model_script::write_pair;

pub fn settings() -> AppSettings {
    let mut settings = AppSettings::default();
    settings.rehearsal.pace_ms = 0;
    settings.engine.on_crash = CrashPolicy::Ask;
    settings
}

pub fn send(host: &EngineHost, command: EngineCommand) -> CommandAnswer {
    let sender = CommandSender {
        by: "tester".to_owned(),
        via: Via::Cli,
    };
    host.handle()
        .block_on(host.port().send(command, sender, ClientToken::new()))
        .unwrap()
}

pub fn start(host: &EngineHost, scenarios: &[(&str, RehearsalScenario)]) -> RunId {
    let scenarios = scenarios
        .iter()
        .map(|(phase, scenario)| ((*phase).into(), *scenario))
        .collect();
    let options = RunOptions {
        rehearse: true,
        scenarios,
        ..RunOptions::default()
    };
    let start = StartRun {
        workflow: "pair".to_owned(),
        requirements: "A note".to_owned(),
        options,
        ..StartRun::default()
    };
    match send(host, EngineCommand::Start(Box::new(start))) {
        CommandAnswer::Started { run_id, .. } => run_id,
        other => panic!("{other:?}"),
    }
}

pub fn approve(run_id: RunId) -> EngineCommand {
    EngineCommand::decide(run_id, None, Decision::Approve, "")
}

pub fn wait_until(paths: &InstallPaths, run: RunId, what: &str, status: RunStatus) {
    wait_for(what, || {
        Some(()).filter(|()| RunArchive::open(paths).unwrap().state(run).unwrap().status == status)
    });
}

pub fn verdict(paths: &InstallPaths) -> VerifyReport {
    tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(verify(paths, None))
        .unwrap()
}

pub fn wrong(verdict: &VerifyReport) -> Vec<String> {
    let all = verdict
        .database
        .iter()
        .chain(verdict.runs.iter().flat_map(|run| &run.checks));
    all.flat_map(|check| {
        check
            .problems
            .iter()
            .map(|words| format!("{}: {words}", check.name))
    })
    .collect()
}

#[test]
fn a_row_that_vanished_is_written_anew_with_its_counters() {
    let home = Home::new();
    write_pair(&home);
    let host = EngineHost::start(&home.paths(), &settings()).unwrap();
    let run = start(&host, &[]);
    wait_until(&home.paths(), run, "the gate", RunStatus::AwaitingApproval);
    let before = home.archive().run(run).unwrap();
    let conn = rusqlite::Connection::open(home.paths().database()).unwrap();
    conn.execute_batch("PRAGMA foreign_keys = off; DELETE FROM runs")
        .unwrap();
    send(&host, approve(run));
    wait_until(&home.paths(), run, "the end", RunStatus::Completed);
    let after = home.archive().run(run).unwrap();
    assert_eq!(
        (after.requirements, after.created_at, after.thread),
        (before.requirements, before.created_at, before.thread)
    );
    assert_eq!((after.phases_total, after.phases_done), (2, 2));
    check_invariants(&home, &home.archive().run(run).unwrap());
    host.shutdown(Duration::ZERO).unwrap();
    assert_eq!(wrong(&verdict(&home.paths())), Vec::<String>::new());
}

/// An installation as a crash and then an accident left it: a copy of a living one, without its
/// log.
fn copy_without_log(home: &Home) -> Home {
    let copy = Home::new();
    for part in ["data", "state", "config"] {
        let status = Program::new("cp")
            .arg("-a")
            .arg(home.path().join(part))
            .arg(copy.path())
            .status()
            .unwrap();
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
    let host = EngineHost::start(&home.paths(), &settings()).unwrap();
    let first = start(&host, &[]);
    wait_until(
        &home.paths(),
        first,
        "the gate",
        RunStatus::AwaitingApproval,
    );
    host.shutdown(Duration::ZERO).unwrap();
    let host = EngineHost::start(&home.paths(), &settings()).unwrap();
    assert_eq!(
        host.notices(),
        Vec::<String>::new(),
        "a good end leaves nothing to say"
    );
    send(&host, EngineCommand::Resume { run_id: first });
    send(&host, approve(first));
    wait_until(&home.paths(), first, "the end", RunStatus::Completed);
    let last = home.archive().last_seq(first).unwrap();
    wait_for("the anchor", || {
        integrity_checkpoint::read(&home.paths())
            .unwrap()
            .filter(|anchor| anchor.ends.iter().any(|end| end.seq >= last))
    });
    let copy = copy_without_log(&home);
    host.shutdown(Duration::ZERO).unwrap();

    let before = RunArchive::open(&copy.paths())
        .unwrap()
        .last_seq(first)
        .unwrap();
    assert!(
        before < last,
        "what was in the log is gone, and SQLite says nothing"
    );
    let host = EngineHost::start(&copy.paths(), &settings()).unwrap();
    let told = host.notices().join("\n");
    assert!(
        told.contains("was it restored from a copy?")
            && told.contains(&format!("run {first} had {last} events")),
        "{told}"
    );
    host.shutdown(Duration::ZERO).unwrap();
    let verdict = verdict(&copy.paths());
    assert!(
        !verdict.sound && wrong(&verdict)[0].contains("once older than its checkpoint"),
        "{:?}",
        wrong(&verdict)
    );
    for aside in integrity_checkpoint::mismatched_checkpoints(&copy.paths()).unwrap() {
        std::fs::remove_file(aside).unwrap();
    }
    copy.expect(0, &["verify"]);
}

#[test]
fn verify_tells_what_somebody_changed_and_ends_with_1() {
    let home = Home::new();
    write_pair(&home);
    let host = EngineHost::start(&home.paths(), &settings()).unwrap();
    let run = start(&host, &[]);
    wait_until(&home.paths(), run, "the gate", RunStatus::AwaitingApproval);
    host.shutdown(Duration::ZERO).unwrap();
    let sound = home.expect(0, &["verify"]);
    assert!(
        sound.contains("sound") && sound.contains("Not proven by this:"),
        "{sound}"
    );
    let conn = rusqlite::Connection::open(home.paths().database()).unwrap();
    conn.execute_batch(
        "DROP TRIGGER events_are_never_changed; UPDATE events SET payload = replace(payload, 'maker', 'faker') WHERE seq = 3",
    )
    .unwrap();
    drop(conn);
    let found = home.expect(1, &["verify", "@last"]);
    assert!(
        found.contains("chain: event 3 (phase.started) is not what was stored"),
        "{found}"
    );
    let json: serde_json::Value =
        serde_json::from_str(&home.expect(1, &["verify", "--json"])).unwrap();
    assert_eq!(json["sound"], false);
}

/// A small disk of its own; gone with the value. `None` where this process may not mount.
struct SmallDisk(
    PathBuf,
    #[expect(dead_code, reason = "keeps the folder")] tempfile::TempDir,
);

impl SmallDisk {
    fn new(mib: u32) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("disk");
        std::fs::create_dir(&at).unwrap();
        let mounted = Program::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"])
            .arg(&at)
            .output();
        if mounted.is_ok_and(|mounted| mounted.status.success()) {
            return Some(Self(at, dir));
        }
        println!("skipped: a small disk cannot be mounted here");
        None
    }

    fn paths(&self) -> InstallPaths {
        let paths = InstallPaths::beneath(&self.0);
        paths.create().unwrap();
        paths
    }

    fn read_only(&self) {
        assert!(
            Program::new("mount")
                .args(["-o", "remount,ro"])
                .arg(&self.0)
                .status()
                .unwrap()
                .success()
        );
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
    let Some(disk) = SmallDisk::new(64) else {
        return;
    };
    let (paths, shown) = (disk.paths(), Home::new());
    write_pair(&shown);
    assert!(
        Program::new("cp")
            .arg("-a")
            .arg(shown.path().join("config"))
            .arg(&disk.0)
            .status()
            .unwrap()
            .success()
    );
    let mut settings = settings();
    // So that the second phase is still at work when everything is told to rest.
    settings.rehearsal.pace_ms = 20;
    let host = EngineHost::start(&paths, &settings).unwrap();
    let waiting = start(&host, &[]);
    wait_until(&paths, waiting, "the gate", RunStatus::AwaitingApproval);
    wait_for("the ballast", || {
        Some(()).filter(|()| disk_reserve::file(&paths.database()).exists())
    });
    let filler = fill(&disk.0);
    // The answer is stored all the same: the ballast makes room for it, and for the rest.
    send(&host, approve(waiting));
    let paused = wait_for("the pause", || {
        let state = RunArchive::open(&paths).unwrap().state(waiting).unwrap();
        Some(state).filter(|state| state.status == RunStatus::Paused)
    });
    assert_eq!(paused.pause_reason, Some(PauseReason::DiskFull));
    assert!(!disk_reserve::file(&paths.database()).exists());
    std::fs::remove_file(filler).unwrap();
    wait_until(
        &paths,
        waiting,
        "the end, without a word from anybody",
        RunStatus::Completed,
    );
    host.shutdown(Duration::ZERO).unwrap();
    assert_eq!(wrong(&verdict(&paths)), Vec::<String>::new());
}

#[test]
fn with_few_files_to_open_a_run_ends_or_says_why() {
    for most in [32, 48, 64, 128] {
        let home = Home::new();
        write_pair(&home);
        let program = home.command(&[
            "run",
            "pair",
            "-m",
            "A note",
            "--rehearse",
            "--headless",
            "--on-gate",
            "approve",
            "--no-git",
        ]);
        let mut limited = Program::new("sh");
        limited
            .arg("-c")
            .arg(format!("ulimit -n {most}; exec \"$0\" \"$@\""))
            .arg(program.get_program())
            .args(program.get_args());
        limited
            .env_clear()
            .envs(
                program
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .env("PATH", std::env::var("PATH").unwrap());
        let output = limited.current_dir(home.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains("panicked"), "{most}: {said}");
        if !output.status.success() {
            let asked = if home.paths().database().exists() {
                home.expect(0, &["events", "@last", "--json"])
            } else {
                String::new()
            };
            assert!(
                [&said, &asked]
                    .iter()
                    .any(|words| words.contains("Too many open files")),
                "{most}: {said}\n{asked}"
            );
        }
        // With enough of them it goes on from wherever it stopped.
        let host = EngineHost::start(&home.paths(), &settings()).unwrap();
        for run in home.archive().runs(&Default::default()).unwrap() {
            check_invariants(&home, &run);
        }
        host.shutdown(Duration::ZERO).unwrap();
        assert_eq!(
            wrong(&verdict(&home.paths())),
            Vec::<String>::new(),
            "{most}"
        );
    }
}

#[test]
fn on_a_disk_that_is_full_already_a_host_is_refused_in_words_and_begins_when_there_is_space() {
    let Some(disk) = SmallDisk::new(64) else {
        return;
    };
    let paths = disk.paths();
    EngineHost::start(&paths, &settings())
        .unwrap()
        .shutdown(Duration::ZERO)
        .unwrap();
    let _ = disk_reserve::release(&paths.database());
    let before = std::fs::read(paths.database()).unwrap();
    let filler = fill(&disk.0);
    let Err(refused) = EngineHost::start(&paths, &settings()) else {
        panic!("it began")
    };
    assert_eq!(refused.code, Code::DiskFull, "{refused}");
    assert!(!refused.hint.is_empty());
    assert_eq!(
        std::fs::read(paths.database()).unwrap(),
        before,
        "nothing was overwritten"
    );
    std::fs::remove_file(filler).unwrap();
    EngineHost::start(&paths, &settings())
        .unwrap()
        .shutdown(Duration::ZERO)
        .unwrap();
}

#[test]
fn on_a_full_disk_a_host_makes_room_for_itself_with_what_it_kept() {
    let Some(disk) = SmallDisk::new(64) else {
        return;
    };
    let paths = disk.paths();
    EngineHost::start(&paths, &settings())
        .unwrap()
        .shutdown(Duration::ZERO)
        .unwrap();
    assert!(disk_reserve::allocate_reserve(&paths.database()));
    fill(&disk.0);
    let host = EngineHost::start(&paths, &settings()).unwrap();
    assert!(
        host.notices().iter().any(|words| words.contains("is full")),
        "{:?}",
        host.notices()
    );
    assert!(!disk_reserve::file(&paths.database()).exists());
    host.shutdown(Duration::ZERO).unwrap();
}

#[test]
fn a_read_only_folder_is_refused_in_words_and_nothing_is_made() {
    let Some(disk) = SmallDisk::new(64) else {
        return;
    };
    let paths = disk.paths();
    disk.read_only();
    let Err(refused) = EngineHost::start(&paths, &settings()) else {
        panic!("it began")
    };
    assert_eq!(refused.code, Code::IoFailed);
    assert!(
        refused.message.contains("Read-only file system") && refused.message.contains("disk/data"),
        "{refused}"
    );
    assert!(!refused.hint.is_empty());
    assert_eq!(std::fs::read_dir(&paths.data).unwrap().count(), 0);
}

#[test]
fn a_host_that_writes_beside_itself_keeps_its_log() {
    let home = Home::new();
    write_pair(&home);
    let host = EngineHost::start(&home.paths(), &settings()).unwrap();
    let run = start(&host, &[]);
    wait_until(&home.paths(), run, "the gate", RunStatus::AwaitingApproval);
    // A row beside its own, as a console makes it that hosts; then one of another process.
    give_consent(
        &home.paths(),
        "maker@1",
        &ContentHash::from_bytes(b"one"),
        "kim",
    )
    .unwrap();
    home.expect(0, &["consent", "--all"]);
    send(&host, approve(run));
    wait_until(&home.paths(), run, "the end", RunStatus::Completed);
    assert!(
        home.expect(0, &["show", "@last"]).contains("completed"),
        "another process sees what this one stored"
    );
    host.shutdown(Duration::ZERO).unwrap();
    assert_eq!(wrong(&verdict(&home.paths())), Vec::<String>::new());
}

/// A host without a screen, that is there.
fn detached(home: &Home) -> std::process::Child {
    let mut host = home
        .command(&["host"])
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait_for("the host", || {
        live_host(&home.paths())
            .unwrap()
            .filter(|info| info.pid == host.id())
    });
    wait_for("its claim", || {
        host_epoch::last_host(&home.paths().database())
            .ok()
            .flatten()
            .filter(|claim| claim.who.pid == host.id())
    });
    assert!(host.try_wait().unwrap().is_none());
    host
}

fn at_gate(home: &Home) -> RunId {
    let (runtime, paths) = (tokio::runtime::Runtime::new().unwrap(), home.paths());
    let port = attach(&paths, runtime.handle()).unwrap();
    let options = RunOptions {
        rehearse: true,
        ..RunOptions::default()
    };
    let start = StartRun {
        workflow: "pair".to_owned(),
        requirements: "A note".to_owned(),
        options,
        ..StartRun::default()
    };
    let sender = CommandSender {
        by: "tester".to_owned(),
        via: Via::Cli,
    };
    let answer = runtime
        .block_on(port.send(
            EngineCommand::Start(Box::new(start)),
            sender,
            ClientToken::new(),
        ))
        .unwrap();
    let CommandAnswer::Started { run_id, .. } = answer else {
        panic!("{answer:?}")
    };
    wait_until(&paths, run_id, "the gate", RunStatus::AwaitingApproval);
    run_id
}

#[test]
fn of_a_host_whose_lock_was_deleted_and_one_that_comes_after_the_first_stays() {
    let home = Home::new();
    write_pair(&home);
    let mut first = detached(&home);
    let run = at_gate(&home);
    let before = home.archive().events(run, 1, 1000).unwrap();
    std::fs::remove_file(home.paths().lock()).unwrap();
    let second = home.run(&["host"]);
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(5), "{said}");
    assert!(
        said.contains(&format!("process {}", first.id()))
            && said.contains("was deleted while it was running"),
        "{said}"
    );
    assert_eq!(
        home.archive().events(run, 1, 1000).unwrap(),
        before,
        "nothing was touched"
    );
    assert!(first.try_wait().unwrap().is_none());
    first.kill().unwrap();
    first.wait().unwrap();
}

#[test]
fn a_host_that_was_overtaken_ends_with_its_code_and_nothing_is_stored_twice() {
    let home = Home::new();
    write_pair(&home);
    let mut first = detached(&home);
    let run = at_gate(&home);
    // As a host whose lock nobody here can see: of another machine, of a container of its own.
    let elsewhere = HostIdentity {
        pid: 4_000_000,
        lock_device: 0,
        lock_inode: 0,
    };
    let second = Store::open_as_host(&home.paths().database(), elsewhere).unwrap();
    let said = wait_for("the end of the first", || first.try_wait().unwrap());
    assert_eq!(
        said.code(),
        Some(5),
        "it was at rest, and learned of it all the same"
    );
    let mut words = String::new();
    std::io::Read::read_to_string(first.stderr.as_mut().unwrap(), &mut words).unwrap();
    assert!(
        words.contains("has taken over this data folder (process 4000000"),
        "{words}"
    );
    let kinds = home.archive().events(run, 1, 1000).unwrap();
    assert_eq!(
        kinds.last().unwrap().fact.kind(),
        "approval.requested",
        "it did not even store that it paused"
    );
    second.close_blocking().unwrap();
    let host = EngineHost::start(&home.paths(), &settings()).unwrap();
    assert_eq!(
        home.archive().state(run).unwrap().pause_reason,
        Some(PauseReason::Crashed)
    );
    send(&host, EngineCommand::Resume { run_id: run });
    send(&host, approve(run));
    wait_until(&home.paths(), run, "the end", RunStatus::Completed);
    check_invariants(&home, &home.newest());
    host.shutdown(Duration::ZERO).unwrap();
    assert_eq!(wrong(&verdict(&home.paths())), Vec::<String>::new());
}

#[test]
fn a_host_that_was_overtaken_at_work_ends_its_agents_and_refuses_what_it_is_asked() {
    let home = Home::new();
    write_pair(&home);
    let host = EngineHost::start(&home.paths(), &settings()).unwrap();
    let run = start(&host, &[("first", RehearsalScenario::Timeout)]);
    wait_for("work", || {
        home.archive().state(run).unwrap().phases[0]
            .prompt
            .as_ref()
            .map(drop)
    });
    let before = home.archive().last_seq(run).unwrap();
    let mut signals = host.port().signals();
    let other = Store::open_as_host(
        &home.paths().database(),
        HostIdentity {
            pid: 4_000_000,
            lock_device: 0,
            lock_inode: 0,
        },
    )
    .unwrap();
    let why = host.handle().block_on(host.store_closed());
    assert_eq!(why.code, Code::SessionManagerAlreadyRunning);
    host.handle().block_on(async {
        while !matches!(
            signals.recv().await.unwrap(),
            EngineSignal::HostPresence(false)
        ) {}
    });
    let sender = CommandSender {
        by: "tester".to_owned(),
        via: Via::Cli,
    };
    let refused = host
        .handle()
        .block_on(host.port().send(
            EngineCommand::Pause { run_id: run },
            sender,
            ClientToken::new(),
        ))
        .unwrap_err();
    assert_eq!(refused, why);
    assert_eq!(host.shutdown(Duration::from_secs(5)), Err(why));
    assert_eq!(
        home.archive().last_seq(run).unwrap(),
        before,
        "nothing of it was stored any more"
    );
    other.close_blocking().unwrap();
}

#[test]
fn a_backup_that_is_put_back_is_whole_and_what_is_missing_is_told() {
    let home = Home::new();
    write_pair(&home);
    let (paths, database) = (home.paths(), home.paths().database());
    let host = EngineHost::start(&paths, &settings()).unwrap();
    let run = start(&host, &[]);
    wait_until(&paths, run, "the gate", RunStatus::AwaitingApproval);
    let copied = home.archive().events(run, 1, 1000).unwrap();
    let copy = backup::daily(&database, Timestamp::now())
        .unwrap()
        .expect("a copy beside a living host");
    send(&host, approve(run));
    wait_until(&paths, run, "the end", RunStatus::Completed);
    host.shutdown(Duration::ZERO).unwrap();
    std::fs::write(&database, b"").unwrap();
    let Err(refused) = EngineHost::start(&paths, &settings()) else {
        panic!("it began")
    };
    assert_eq!(refused.code, Code::DbCorrupt);
    std::fs::remove_file(&database).unwrap();
    std::fs::copy(copy, &database).unwrap();
    let host = EngineHost::start(&paths, &settings()).unwrap();
    let told = host.notices().join("\n");
    assert!(told.contains("was it restored from a copy?"), "{told}");
    assert_eq!(
        home.archive().events(run, 1, copied.len() as u32).unwrap(),
        copied
    );
    send(&host, EngineCommand::Resume { run_id: run });
    send(&host, approve(run));
    wait_until(&paths, run, "the end once more", RunStatus::Completed);
    host.shutdown(Duration::ZERO).unwrap();
}

/// Everything that the journals say, and what follows from them, in words.
fn told(paths: &InstallPaths) -> Result<Vec<String>, String> {
    let archive = RunArchive::open(paths).map_err(|failure| failure.to_string())?;
    let runs = archive
        .runs(&Default::default())
        .map_err(|failure| failure.to_string())?;
    let each = runs.iter().map(|run| {
        let events = archive.events(run.id, 1, 10_000)?;
        Ok(format!(
            "{:?} {events:?} {:?} {:?}",
            run.state,
            archive.phases(run.id)?,
            archive.approvals(run.id)?
        ))
    });
    each.collect::<Result<_, Failure>>()
        .map_err(|failure| failure.to_string())
}

/// As many bits as `PHASEDECK_FLIPS` says, else a few that take no time.
#[test]
fn a_bit_that_flips_in_the_database_is_found_or_changes_nothing_of_what_is_told() {
    let flips: usize = std::env::var("PHASEDECK_FLIPS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(200);
    let home = Home::new();
    write_pair(&home);
    let host = EngineHost::start(&home.paths(), &settings()).unwrap();
    let run = start(&host, &[]);
    wait_until(&home.paths(), run, "the gate", RunStatus::AwaitingApproval);
    send(&host, approve(run));
    wait_until(&home.paths(), run, "the end", RunStatus::Completed);
    host.shutdown(Duration::ZERO).unwrap();
    let database = home.paths().database();
    let (whole, said) = (
        std::fs::read(&database).unwrap(),
        told(&home.paths()).unwrap(),
    );
    let mut dice = StdRng::seed_from_u64(7);
    let (mut found, mut harmless) = (0, 0);
    for _ in 0..flips {
        let (at, bit) = (dice.random_range(0..whole.len()), dice.random_range(0..8));
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << bit;
        std::fs::write(&database, &bytes).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let noticed = runtime
            .block_on(verify(&home.paths(), None))
            .map_or(true, |verdict| !verdict.sound);
        let same = told(&home.paths()).is_ok_and(|now| now == said);
        assert!(
            noticed || same,
            "bit {bit} of byte {at} changes what is told, and nobody notices"
        );
        found += usize::from(noticed);
        harmless += usize::from(!noticed);
    }
    println!("{flips} flips: {found} found, {harmless} changed nothing of what is told");
    assert!(found > 0);
}
