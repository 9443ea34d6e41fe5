//! Programs that must not outlive the host: ACP agents, MCP servers, commands.
//!
//! ```text
//! host ──► guard (this program again) ──► step (this program again, becomes the program)
//! ```
//!
//! The guard (a process reaper) runs in its own session without a terminal. The kernel signals it
//! when the host dies. As a child subreaper it adopts whatever the program leaves behind. It kills
//! all of it on SIGTERM, when the program exits, and when the host dies for any reason. The step
//! process asks the kernel to kill the program when the guard dies. Both are this binary with a
//! hidden verb that [`is_guard`] recognizes; none of it needs `unsafe`.
//!
//! [`command`] and [`spawn`] are the host's side, [`main`] is the guard's. Sandbox rules are
//! applied elsewhere.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::sync::{LazyLock, mpsc};
use std::time::Duration;

use rustix::process::{Pid, Signal, getppid, kill_process, kill_process_group, setsid};
use tokio::process::Child;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

const GUARD: &str = "__guard";
const STEP: &str = "__step";
/// Exit code that shells use for a command that cannot be executed.
const CANNOT_RUN: u8 = 127;
/// Grace period between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_millis(500);
/// Interval of the sweeps that kill what the program left behind.
const SWEEPS: usize = 100;

/// Builds a command that runs `program` under a guard. The caller sets pipes, folder and
/// environment. SIGTERM to the guard ends the program and all its descendants.
///
/// # Errors
/// The path of the current executable is unknown.
pub fn command(program: &OsStr, args: &[OsString]) -> std::io::Result<tokio::process::Command> {
    let mut command = tokio::process::Command::new(own_program()?);
    command
        .arg(GUARD)
        .arg(std::process::id().to_string())
        .arg(program)
        .args(args);
    Ok(command)
}

/// Spawns the result of [`command`] on a thread that never exits: the kernel sends the parent-death
/// signal when the thread that forked exits, not when its process does.
///
/// # Errors
/// The error of the spawn.
pub async fn spawn(command: tokio::process::Command) -> std::io::Result<Child> {
    let gone = |_| std::io::Error::other("the thread that begins programs is gone");
    let (reply, begun) = oneshot::channel();
    BEGINNER
        .send(SpawnRequest {
            runtime: Handle::current(),
            command,
            reply,
        })
        .map_err(|_| gone(()))?;
    begun.await.map_err(|_| gone(()))?
}

/// Request to the spawning thread.
struct SpawnRequest {
    runtime: Handle,
    command: tokio::process::Command,
    reply: oneshot::Sender<std::io::Result<Child>>,
}

static BEGINNER: LazyLock<mpsc::Sender<SpawnRequest>> = LazyLock::new(|| {
    let (begin, asked) = mpsc::channel::<SpawnRequest>();
    std::thread::spawn(move || {
        for SpawnRequest {
            runtime,
            mut command,
            reply,
        } in asked
        {
            let _inside = runtime.enter();
            let _ = reply.send(command.spawn());
        }
    });
    begin
});

/// Returns the path of the current executable; works even if the file was replaced while running.
///
/// # Errors
/// The path cannot be read.
pub fn own_program() -> std::io::Result<PathBuf> {
    let named = std::env::current_exe()?;
    // Until `exec`, a forked child still runs this binary, so the link resolves to it.
    Ok(if named.exists() {
        named
    } else {
        PathBuf::from("/proc/self/exe")
    })
}

/// Returns whether these are the arguments of a guard or a step, which read no settings or folders.
#[must_use]
pub fn is_reaper(args: &[OsString]) -> bool {
    args.get(1)
        .is_some_and(|verb| verb == GUARD || verb == STEP)
        && args.len() > 3
}

/// Runs a guard or a step and returns the exit code.
#[must_use]
pub fn main(args: &[OsString]) -> u8 {
    let [_, verb, parent, program, args @ ..] = args else {
        return CANNOT_RUN;
    };
    let parent = parent
        .to_str()
        .and_then(|text| text.parse().ok())
        .and_then(Pid::from_raw);
    let done = match parent {
        Some(parent) if verb == GUARD => run_reaper(parent, program, args),
        Some(parent) => Err(step(parent, program, args)),
        None => Err(std::io::Error::other("missing parent process id")),
    };
    done.unwrap_or_else(|error| {
        let _ = writeln!(
            std::io::stderr(),
            "cannot run {}: {error}",
            program.display()
        );
        CANNOT_RUN
    })
}

/// Executes the program; returns only on failure.
fn step(parent: Pid, program: &OsStr, args: &[OsString]) -> std::io::Error {
    match die_with(parent, Signal::KILL) {
        Ok(()) => Command::new(program).args(args).exec(),
        Err(error) => error,
    }
}

fn run_reaper(host: Pid, program: &OsStr, args: &[OsString]) -> std::io::Result<u8> {
    // `setsid` fails only for a process group leader, which is harmless here.
    let _ = setsid();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut told = signal(SignalKind::terminate())?;
        adopt()?;
        die_with(host, Signal::TERM)?;
        let me = std::process::id().to_string();
        let mut command = Command::new(own_program()?);
        command
            .arg(STEP)
            .arg(me)
            .arg(program)
            .args(args)
            .process_group(0);
        let mut child = tokio::process::Command::from(command).spawn()?;
        let group = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        let status = tokio::select! {
            status = child.wait() => status,
            _ = told.recv() => {
                end_group(group, Signal::TERM);
                match tokio::time::timeout(GRACE, child.wait()).await {
                    Ok(status) => status,
                    Err(_) => {
                        end_group(group, Signal::KILL);
                        child.wait().await
                    }
                }
            }
        };
        end_group(group, Signal::KILL);
        sweep().await;
        status.map(code_of)
    })
}

fn end_group(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        // The error means that the group is already empty.
        let _ = kill_process_group(group, signal);
    }
}

/// Kills whatever the program left behind; orphans of the killed processes are reparented to us.
async fn sweep() {
    for _ in 0..SWEEPS {
        let left = children();
        if left.is_empty() {
            return;
        }
        for child in left {
            let _ = kill_process(child, Signal::KILL);
            let _ = rustix::process::waitpid(Some(child), rustix::process::WaitOptions::NOHANG);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Returns the children of this process.
fn children() -> Vec<Pid> {
    let me = std::process::id().to_string();
    let numbers = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let mine = |pid: &i32| {
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| parent_in(&stat) == Some(me.as_str()))
    };
    pids.filter(mine).filter_map(Pid::from_raw).collect()
}

/// Extracts the parent from `/proc/PID/stat`. The second field is a name that may contain anything.
fn parent_in(stat: &str) -> Option<&str> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)
}

fn code_of(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(CANNOT_RUN)
}

#[cfg(target_os = "linux")]
fn adopt() -> std::io::Result<()> {
    Ok(rustix::process::set_child_subreaper(
        rustix::process::getpid().into(),
    )?)
}

#[cfg(not(target_os = "linux"))]
fn adopt() -> std::io::Result<()> {
    Ok(())
}

/// Requests `signal` on the parent's death, then checks that the parent has not died before.
#[cfg(target_os = "linux")]
fn die_with(parent: Pid, signal: Signal) -> std::io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(signal))?;
    if getppid() == Some(parent) {
        Ok(())
    } else {
        Err(std::io::Error::other("whoever began this is gone"))
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with(parent: Pid, _signal: Signal) -> std::io::Result<()> {
    if getppid() == Some(parent) {
        Ok(())
    } else {
        Err(std::io::Error::other("whoever began this is gone"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_found_behind_any_name() {
        for (stat, parent) in [
            ("12 (sh) S 7 12", Some("7")),
            ("12 (a b) c) S 99 1", Some("99")),
            ("nonsense", None),
        ] {
            assert_eq!(parent_in(stat), parent, "{stat}");
        }
    }

    #[test]
    fn only_the_hidden_verbs_with_all_their_words_are_a_guards() {
        let args = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        assert!(is_reaper(&args(&["phasedeck", GUARD, "1", "true"])));
        assert!(!is_reaper(&args(&["phasedeck", GUARD])));
        assert!(!is_reaper(&args(&["phasedeck", "run", "1", "true"])));
    }
}
