//! What hostile agents try: commands that escape, stay, flood and multiply; and what comes of it.

use phasedeck::engine::sandbox::{
    CommandExit, CommandLimits, CommandResult, SandboxLauncher, SandboxProtection,
};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

fn launcher() -> SandboxLauncher {
    SandboxLauncher::with_program(PathBuf::from(env!("CARGO_BIN_EXE_phasedeck")))
}

/// A worktree and a temp folder for commands, and a folder beside them that is none of theirs.
struct Yard {
    home: tempfile::TempDir,
}

impl Yard {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        for name in ["worktree", "temp", "outside"] {
            std::fs::create_dir(home.path().join(name)).unwrap();
        }
        std::fs::write(home.path().join("outside/canary"), "untouched").unwrap();
        Self { home }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    async fn run(&self, command: &str, time: Duration) -> CommandResult {
        let (worktree, temp) = (self.path("worktree"), self.path("temp"));
        let bounds = CommandLimits {
            worktree: &worktree,
            temp: &temp,
            time,
        };
        launcher()
            .run(command, bounds, &CancellationToken::new())
            .await
            .unwrap()
    }

    /// What lies outside, as names and contents.
    fn outside(&self) -> Vec<(PathBuf, String)> {
        let mut found: Vec<_> = std::fs::read_dir(self.path("outside"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.clone(), std::fs::read_to_string(path).unwrap()))
            .collect();
        found.sort();
        found
    }
}

async fn protection() -> Option<SandboxProtection> {
    let protection = launcher().probe().await;
    if protection.files {
        return Some(protection);
    }
    eprintln!("skipped: {}", protection.describe());
    None
}

/// Whether any process still has these words in its arguments.
fn anything_runs(words: &str) -> bool {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .any(|line| {
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.contains(words)
        })
}

const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_command_runs_in_its_worktree_with_its_own_temp_folder_and_without_our_keys() {
    let yard = Yard::new();
    let ran =
        yard.run("pwd; echo here > made.txt; echo \"$TMPDIR\"; env | cut -d= -f1 | sort | tr '\\n' ' '; echo no >&2; exit 7", LONG).await;
    assert_eq!(ran.finish, CommandExit::Exit(7));
    assert_eq!(
        std::fs::read_to_string(yard.path("worktree/made.txt")).unwrap(),
        "here\n"
    );
    let lines: Vec<&str> = ran.printed.lines().collect();
    assert_eq!(
        Path::new(lines[0]),
        yard.path("worktree").canonicalize().unwrap()
    );
    assert_eq!(Path::new(lines[1]), yard.path("temp"));
    let known = "CARGO_HOME GIT_TERMINAL_PROMPT HOME LANG LC_ALL LC_CTYPE LOGNAME OLDPWD PATH PWD RUSTUP_HOME RUSTUP_TOOLCHAIN SHLVL TERM TMPDIR TZ USER _ GOPATH GOROOT JAVA_HOME NVM_DIR PYENV_ROOT VIRTUAL_ENV";
    let foreign: Vec<&str> = ran
        .printed
        .lines()
        .find(|line| line.contains("TMPDIR "))
        .unwrap()
        .split_whitespace()
        .filter(|name| !known.split(' ').any(|known| known == *name) && *name != "no")
        .collect();
    assert_eq!(foreign, Vec::<&str>::new());
}

#[tokio::test]
async fn nothing_outside_the_worktree_changes_whatever_a_command_tries() {
    let Some(_) = protection().await else { return };
    let yard = Yard::new();
    let before = yard.outside();
    let outside = yard.path("outside").display().to_string();
    for command in [
        format!("echo x > {outside}/new"),
        format!("echo x >> {outside}/canary"),
        "echo x > ../outside/new".to_owned(),
        format!("rm -rf {outside}"),
        format!("mv {outside}/canary ."),
        format!("ln {outside}/canary link && echo x > link"),
        format!("ln -s {outside}/canary soft; echo x > soft"),
        format!("ln -s {outside} dir; echo x > dir/new"),
        format!("mkfifo {outside}/pipe"),
        format!("truncate -s 2G {outside}/large"),
        format!("chmod 000 {outside}/canary"),
        format!("echo x > /proc/self/cwd/../outside/new; echo x > /proc/1/root{outside}/new"),
        format!("cd {outside} && echo x > new"),
        "echo x > /tmp/phasedeck-hostile-test; echo x > $HOME/phasedeck-hostile-test".to_owned(),
    ] {
        let ran = yard.run(&command, LONG).await;
        assert_eq!(yard.outside(), before, "{command}: {}", ran.printed);
    }
    assert!(!Path::new("/tmp/phasedeck-hostile-test").exists());
}

#[tokio::test]
async fn private_files_and_the_keys_of_other_processes_cannot_be_read() {
    let Some(_) = protection().await else { return };
    let yard = Yard::new();
    std::fs::write(yard.path("outside/key"), "sk-canary-0001").unwrap();
    let mut host = std::process::Command::new("sleep")
        .arg("60")
        .env("SECRET", "sk-canary-0002")
        .spawn()
        .unwrap();
    let (outside, pid) = (yard.path("outside").display().to_string(), host.id());
    let ran = yard.run(&format!("cat {outside}/key; tr '\\0' '\\n' < /proc/{pid}/environ; ls {outside}; kill -9 {pid}"), LONG).await;
    let alive = host.try_wait().unwrap().is_none();
    host.kill().unwrap();
    host.wait().unwrap();
    assert!(!ran.printed.contains("sk-canary"), "{}", ran.printed);
    assert!(alive, "a process outside was signalled");
}

#[tokio::test]
async fn the_network_is_away() {
    let Some(protection) = protection().await else {
        return;
    };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    let yard = Yard::new();
    let ran = yard
        .run(
            &format!("bash -c 'echo hello > /dev/tcp/127.0.0.1/{port}'"),
            LONG,
        )
        .await;
    assert_ne!(
        ran.finish,
        CommandExit::Exit(0),
        "{} {}",
        protection.describe(),
        ran.printed
    );
    assert!(listener.accept().is_err());
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_ended_with_everything_it_began() {
    let yard = Yard::new();
    let begun = Instant::now();
    let stubborn = "trap '' TERM INT HUP; (setsid sleep 98761 &) ; sh -c 'trap \"\" TERM; sleep 98761' & sleep 98761";
    let ran = yard.run(stubborn, Duration::from_millis(400)).await;
    assert_eq!(ran.finish, CommandExit::TimedOut);
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    assert!(!anything_runs("sleep 98761"));
}

#[tokio::test]
async fn nothing_stays_behind_when_a_command_ends_by_itself() {
    let yard = Yard::new();
    let ran = yard
        .run(
            "(setsid sh -c 'sleep 98762 & sleep 98762' &) ; (sleep 98762 &) ; echo done",
            LONG,
        )
        .await;
    assert_eq!(
        (ran.finish, ran.printed.as_str()),
        (CommandExit::Exit(0), "done\n")
    );
    assert!(!anything_runs("sleep 98762"));
}

#[tokio::test]
async fn nothing_stays_behind_when_the_host_is_killed() {
    let yard = Yard::new();
    let (worktree, temp) = (yard.path("worktree"), yard.path("temp"));
    let token = CancellationToken::new();
    let bounds = CommandLimits {
        worktree: &worktree,
        temp: &temp,
        time: LONG,
    };
    // Dropping the future drops the pipe, as the death of the host does.
    let running = launcher();
    let ended = tokio::time::timeout(
        Duration::from_millis(500),
        running.run("(setsid sleep 98763 &); sleep 98763", bounds, &token),
    )
    .await;
    assert!(ended.is_err());
    let deadline = Instant::now() + Duration::from_secs(10);
    while anything_runs("sleep 98763") {
        assert!(Instant::now() < deadline, "it outlived its host");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_flood_is_cut_and_a_command_without_end_is_stopped_when_told() {
    let yard = Yard::new();
    let ran = yard.run("yes 'all work and no play'", LONG).await;
    assert_eq!(ran.finish, CommandExit::Flooded);
    assert!(ran.printed.len() < 40_000 && ran.printed.contains("bytes cut here"));
    let (worktree, temp) = (yard.path("worktree"), yard.path("temp"));
    let token = CancellationToken::new();
    token.cancel();
    let bounds = CommandLimits {
        worktree: &worktree,
        temp: &temp,
        time: LONG,
    };
    assert_eq!(
        launcher()
            .run("sleep 98764", bounds, &token)
            .await
            .unwrap()
            .finish,
        CommandExit::Stopped
    );
}

#[tokio::test]
async fn a_fork_bomb_ends_at_its_time_limit() {
    let yard = Yard::new();
    // Bounded, so that it harms nobody where the kernel counts no processes of the administrator.
    let script = "bomb() { [ $1 -gt 0 ] && { bomb $(($1 - 1)) & bomb $(($1 - 1)) & wait; }; sleep 98765; }; bomb 6";
    let ran = yard.run(script, Duration::from_millis(1500)).await;
    assert_eq!(ran.finish, CommandExit::TimedOut);
    assert!(!anything_runs("sleep 98765"));
}

#[tokio::test]
async fn a_command_that_begins_too_many_processes_is_ended() {
    let yard = Yard::new();
    // The kernel refuses more to a user, and the warden ends those of an administrator, whom it does not bind.
    let script = "i=0; while [ $i -lt 1500 ]; do setsid sleep 98766 & i=$((i+1)); done; wait";
    let ran = yard.run(script, Duration::from_secs(60)).await;
    assert_ne!(ran.finish, CommandExit::Exit(0), "{}", ran.printed);
    assert_ne!(ran.finish, CommandExit::TimedOut, "{}", ran.printed);
    assert!(!anything_runs("sleep 98766"));
    let words = if rustix::process::getuid().is_root() {
        "the command started more than 512 processes and was killed"
    } else {
        "ork"
    };
    assert!(ran.printed.contains(words), "{}", ran.printed);
}

#[tokio::test]
async fn sockets_of_other_programs_cannot_be_reached() {
    let Some(protection) = protection().await else {
        return;
    };
    let yard = Yard::new();
    // Within the worktree, where nothing else keeps a command from it.
    let _socket = std::os::unix::net::UnixListener::bind(yard.path("worktree/socket")).unwrap();
    let try_it = "python3 -c \"import socket; socket.socketpair(); print('pair'); s = socket.socket(socket.AF_UNIX); s.connect('socket'); print('reached')\"";
    let ran = yard.run(try_it, LONG).await;
    if ran.printed.contains("not found") {
        println!("skipped: there is no python3 here");
        return;
    }
    assert_eq!(
        protection.sockets,
        !ran.printed.contains("reached"),
        "{}",
        ran.printed
    );
    assert!(
        ran.printed.contains("pair\n"),
        "its own processes may have sockets among them: {}",
        ran.printed
    );
}

#[tokio::test]
async fn a_file_cannot_grow_beyond_its_limit() {
    let yard = Yard::new();
    let ran =
        yard.run("truncate -s 2G large; ls -l large | cut -d' ' -f5; dd if=/dev/zero of=sparse bs=1 count=1 seek=2000000000", LONG).await;
    assert_ne!(ran.finish, CommandExit::Exit(0), "{}", ran.printed);
    for name in ["large", "sparse"] {
        let size = std::fs::metadata(yard.path("worktree").join(name)).map_or(0, |file| file.len());
        assert!(size <= 1 << 30, "{name}: {size}");
    }
}

#[tokio::test]
async fn a_command_has_no_terminal_and_a_session_of_its_own() {
    let yard = Yard::new();
    let ran = yard
        .run(
            "if (exec < /dev/tty) 2>/dev/null; then echo terminal; fi; read line || echo no input",
            LONG,
        )
        .await;
    assert_eq!(ran.printed, "no input\n");
}

#[tokio::test]
async fn a_command_that_no_person_could_read_is_refused() {
    let yard = Yard::new();
    let (worktree, temp) = (yard.path("worktree"), yard.path("temp"));
    let bounds = CommandLimits {
        worktree: &worktree,
        temp: &temp,
        time: LONG,
    };
    for (length, ok) in [(16 * 1024, true), (16 * 1024 + 1, false)] {
        let command = format!(": {}", "x".repeat(length - 2));
        assert_eq!(
            launcher()
                .run(&command, bounds, &CancellationToken::new())
                .await
                .is_ok(),
            ok,
            "{length}"
        );
    }
}
