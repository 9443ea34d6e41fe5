//! What happens to the process from outside: it is stopped for a while, starved of memory, kept from its
//! database, or killed beside children that live on. Nothing is lost, and nothing of others is touched.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command as Program, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use phasedeck::engine::api::{CommandSender, EngineSignal};
use phasedeck::engine::host::{EngineHost, live_host};
use phasedeck::model::error::Code;
use phasedeck::model::event::RunFact;
use phasedeck::model::id::ClientToken;
use phasedeck::model::state::{PauseReason, RunStatus, Via};
use rustix::process::{Pid, Signal as Told, kill_process};

use crate::demo::wait_for;
use crate::faults::{approve, send, settings, start, verdict, wait_until, wrong};
use crate::home::{Home, check_invariants, git};
use crate::model_script::{Script, two_phase_home, write_pair};
use crate::model_server::Reply;

/// So much memory is the most that any hostile input may cost.
const MOST_KIB: u64 = 300 * 1024;

fn tell(pid: u32, signal: Told) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

/// A process of somebody else, ended with the value.
struct Stranger(u32, Option<Child>);

impl Stranger {
    fn lives(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap_or_default();
        status
            .rsplit(')')
            .next()
            .is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        if self.lives() {
            tell(self.0, Told::KILL);
        }
        let _ = self.1.as_mut().map(Child::wait);
    }
}

/// A host of its own process that runs `pair` to its first gate.
fn at_work(home: &Home) -> Child {
    let args = [
        "run",
        "pair",
        "-m",
        "A note",
        "--rehearse",
        "--headless",
        "--no-git",
    ];
    home.command(&args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn a_child_that_outlives_its_host_holds_neither_the_lock_nor_any_file_of_it() {
    let home = Home::new();
    write_pair(&home);
    let told = home.path().join("child");
    let command = format!(
        "[\"sh\", \"-c\", \"echo $$ > {0}.new; mv {0}.new {0}; exec sleep 300\"]",
        told.display()
    );
    home.configure(&format!(
        "[rehearsal]\npace_ms = 0\n[notify]\ncommand = {command}\n"
    ));
    let mut host = at_work(&home);
    let child = wait_for("the child", || {
        std::fs::read_to_string(&told).ok()?.trim().parse().ok()
    });
    let child = Stranger(child, None);
    host.kill().unwrap();
    host.wait().unwrap();
    assert!(child.lives(), "the orphan is there");
    let open: Vec<_> = std::fs::read_dir(format!("/proc/{}/fd", child.0))
        .unwrap()
        .map(|fd| std::fs::read_link(fd.unwrap().path()))
        .collect();
    assert!(
        open.iter().all(|file| !file
            .as_ref()
            .is_ok_and(|file| file.starts_with(home.path()))),
        "{open:?}"
    );
    assert_eq!(live_host(&home.paths()).unwrap(), None);
    let begun = Instant::now();
    let next = EngineHost::start(&home.paths(), &settings()).unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    let run = home.newest();
    assert_eq!(
        home.archive().state(run.id).unwrap().pause_reason,
        Some(PauseReason::Crashed)
    );
    assert!(child.lives(), "it is not ours to end");
    next.shutdown(Duration::ZERO).unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn the_memory_of_a_host_is_dumped_nowhere_and_read_by_nobody() {
    let home = Home::new();
    write_pair(&home);
    let mut host = at_work(&home);
    home.wait_for_question("first_approved", &mut host);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", host.id())).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(
        core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(),
        ["0", "0"],
        "{core}"
    );
    // What belongs to nobody but root is what the kernel lets no other process of the user read.
    let mine = std::os::unix::fs::MetadataExt::uid(
        &std::fs::metadata(format!("/proc/{}/environ", host.id())).unwrap(),
    );
    assert_eq!(mine, 0);
    tell(host.id(), Told::TERM);
    host.wait().unwrap();
}

#[test]
fn a_start_after_a_crash_takes_away_what_is_its_own_and_leaves_what_looks_like_it() {
    let home = Home::new();
    write_pair(&home);
    let repo = home.repository("project");
    let args = [
        "run",
        "pair",
        "-m",
        "A note",
        "--rehearse",
        "--headless",
        "--repo",
        repo.to_str().unwrap(),
    ];
    let mut host = home
        .command(&args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    home.wait_for_question("first_approved", &mut host);
    let dead = host.id();
    host.kill().unwrap();
    host.wait().unwrap();
    let paths = home.paths();
    let run = home.newest();

    // Under the names of ours, and none of it ours.
    let namesake = Program::new("sleep")
        .arg("300")
        .arg0("phasedeck")
        .env("PHASEDECK_HOST_PID", dead.to_string())
        .spawn()
        .unwrap();
    let namesake = Stranger(namesake.id(), Some(namesake));
    let worktrees = paths.worktree(run.id).parent().unwrap().to_path_buf();
    let folder = paths.contents().join("ab");
    let decoys = [
        worktrees.join("not-a-run/kept.txt"),
        folder.join("notes.txt"),
        folder.join("new-and-young"),
        paths.reports().join("mine.tmp"),
    ];
    let unfinished = folder.join("new-unfinished");
    let old = SystemTime::now() - Duration::from_secs(3600);
    for file in decoys.iter().chain([&unfinished]) {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, "kept").unwrap();
        if !file.ends_with("new-and-young") {
            std::fs::File::options()
                .write(true)
                .open(file)
                .unwrap()
                .set_modified(old)
                .unwrap();
        }
    }
    git(&repo, &["branch", "phasedeck/not-a-run"]);
    let before = git(
        &repo,
        &["for-each-ref", "--format=%(refname) %(objectname)"],
    );

    let next = EngineHost::start(&paths, &settings()).unwrap();
    wait_for("the sweep", || (!unfinished.exists()).then_some(()));
    assert!(namesake.lives());
    assert!(
        decoys
            .iter()
            .all(|file| std::fs::read_to_string(file).is_ok_and(|text| text == "kept")),
        "{decoys:?}"
    );
    assert_eq!(
        git(
            &repo,
            &["for-each-ref", "--format=%(refname) %(objectname)"]
        ),
        before
    );
    assert!(
        paths.worktree(run.id).join(".git").exists(),
        "the run's own worktree waits for it"
    );
    send(
        &next,
        phasedeck::engine::api::EngineCommand::Resume { run_id: run.id },
    );
    send(&next, approve(run.id));
    wait_until(&paths, run.id, "the end", RunStatus::Completed);
    next.shutdown(Duration::ZERO).unwrap();
    assert!(namesake.lives() && decoys.iter().all(|file| file.exists()));
}

#[test]
fn a_host_that_was_suspended_keeps_its_place_and_asks_again_where_its_stream_died() {
    let cut = AtomicBool::new(false);
    let script = Script::serve(move |asked| match asked.turn {
        1 if !cut.swap(true, Ordering::SeqCst) => Reply::stream().text("Let me").then_hang(),
        1 => asked.writes(&asked.artifact()),
        _ => Reply::answer("It is written."),
    });
    let (home, start) = two_phase_home(&script);
    let idle = Duration::from_secs(1);
    home.configure(&format!(
        "[openai]\nbase_url = \"{}\"\nkey_env = \"\"\nidle_timeout_seconds = 1\n",
        script.base_url()
    ));
    let start: Vec<&str> = start.iter().map(String::as_str).collect();
    let mut host = home
        .command(&start)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for("the stream", || {
        (!script.requests().is_empty()).then_some(())
    });
    tell(host.id(), Told::STOP);
    let stopped = Instant::now();
    let second = home.run(&["host"]);
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(5), "{said}");
    assert!(said.contains(&format!("process {}", host.id())), "{said}");
    wait_for("an hour, as it were", || {
        (stopped.elapsed() > idle * 3 / 2).then_some(())
    });
    tell(host.id(), Told::CONT);
    assert!(host.wait().unwrap().success());
    let run = home.newest();
    let state = check_invariants(&home, &run);
    assert_eq!(
        (state.status, state.phases[0].attempt),
        (RunStatus::Completed, 1)
    );
    let retried: Vec<Code> = home
        .events(&run)
        .into_iter()
        .filter_map(|event| retried(event.fact))
        .collect();
    assert_eq!(retried, [Code::LlmUnreachable]);
    assert_eq!(wrong(&verdict(&home.paths())), Vec::<String>::new());
}

fn retried(fact: RunFact) -> Option<Code> {
    if let RunFact::LlmRetried { code, .. } = fact {
        Some(code)
    } else {
        None
    }
}

/// The most memory that a process had so far, in KiB.
fn peak(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?
        .trim()
        .strip_suffix(" kB")?
        .parse()
        .ok()
}

#[test]
#[cfg(target_os = "linux")]
fn no_answer_of_a_model_costs_more_than_bounded_memory_and_each_ends_in_a_named_state() {
    const PIECE: usize = 512 * 1024;
    const PIECES: usize = 180;
    let asked_before = AtomicUsize::new(0);
    let script = Script::serve(move |_| {
        let piece = "x".repeat(PIECE);
        let pieces = 0..PIECES;
        match asked_before.fetch_add(1, Ordering::SeqCst) {
            0 => pieces.fold(Reply::stream().raw(b"data: "), |reply, _| {
                reply.raw(piece.as_bytes())
            }),
            1 => pieces.fold(Reply::stream(), |reply, _| reply.text(&piece)),
            2 => Reply::stream().tool_call("write_file", &piece.repeat(PIECES), &[PIECE]),
            _ => pieces.fold(Reply::status(500, ""), |reply, _| {
                reply.raw(piece.as_bytes())
            }),
        }
    });
    for what in ["a line", "a text", "a tool call", "an error"] {
        let (home, start) = two_phase_home(&script);
        home.configure(&format!(
            "[openai]\nbase_url = \"{}\"\nkey_env = \"\"\nmax_tries = 1\n",
            script.base_url()
        ));
        let start: Vec<&str> = start.iter().map(String::as_str).collect();
        let mut host = home
            .command(&start)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut most = 0;
        let status = wait_for("its end", || {
            most = peak(host.id()).unwrap_or(0).max(most);
            host.try_wait().unwrap()
        });
        assert_eq!(status.code(), Some(4), "{what}: a person is waited for");
        assert!(
            (1..MOST_KIB).contains(&most),
            "{what} without end took {most} KiB"
        );
        let run = home.newest();
        let state = check_invariants(&home, &run);
        assert_eq!(
            (state.status, state.pause_reason),
            (RunStatus::Paused, Some(PauseReason::SessionRecovery)),
            "{what}"
        );
        println!("{what} without end: {most} KiB at most");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_host_that_runs_out_of_memory_loses_nothing() {
    let mut starved = 0;
    for most in [100_000, 160_000, 400_000] {
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
            .arg(format!("ulimit -c 0; ulimit -v {most}; exec \"$0\" \"$@\""));
        limited
            .arg(program.get_program())
            .args(program.get_args())
            .env_clear();
        limited
            .envs(
                program
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .env("PATH", std::env::var("PATH").unwrap());
        let mut host = limited
            .current_dir(home.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        let status = wait_for("its end", || {
            // Who gets no thread any more may not get to its end either: then it is killed, as the kernel would.
            if begun.elapsed() > Duration::from_secs(10) {
                host.kill().unwrap();
            }
            host.try_wait().unwrap()
        });
        starved += usize::from(!status.success());
        let host = EngineHost::start(&home.paths(), &settings()).unwrap();
        for run in home.archive().runs(&Default::default()).unwrap() {
            let state = check_invariants(&home, &run);
            if state.status == RunStatus::Paused {
                send(
                    &host,
                    phasedeck::engine::api::EngineCommand::Resume { run_id: run.id },
                );
            }
        }
        host.shutdown(Duration::ZERO).unwrap();
        assert_eq!(
            wrong(&verdict(&home.paths())),
            Vec::<String>::new(),
            "{most}"
        );
    }
    assert!(starved > 0, "nothing ran out of memory: this shows nothing");
}

#[test]
fn while_another_program_holds_the_database_the_runs_wait_it_is_told_and_nothing_is_lost() {
    let home = Home::new();
    write_pair(&home);
    let host = EngineHost::start(&home.paths(), &settings()).unwrap();
    let run = start(&host, &[]);
    wait_until(&home.paths(), run, "the gate", RunStatus::AwaitingApproval);
    let mut signals = host.port().signals();
    let mut hears = |wanted: bool| {
        host.handle().block_on(async {
            while !matches!(signals.recv().await, Ok(EngineSignal::DatabaseLocked(held)) if held == wanted) {}
        });
    };
    let other = rusqlite::Connection::open(home.paths().database()).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let (port, sender) = (
        host.port(),
        CommandSender {
            by: "tester".to_owned(),
            via: Via::Cli,
        },
    );
    let answer = host
        .handle()
        .spawn(async move { port.send(approve(run), sender, ClientToken::new()).await });
    let asked = Instant::now();
    hears(true);
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(
        home.archive().state(run).unwrap().status,
        RunStatus::AwaitingApproval,
        "it can be read, and nothing was said too early"
    );
    assert!(!answer.is_finished());
    other.execute_batch("ROLLBACK").unwrap();
    hears(false);
    host.handle().block_on(answer).unwrap().unwrap();
    wait_until(&home.paths(), run, "the end", RunStatus::Completed);
    check_invariants(&home, &home.archive().run(run).unwrap());
    host.shutdown(Duration::ZERO).unwrap();
    assert_eq!(wrong(&verdict(&home.paths())), Vec::<String>::new());
}
