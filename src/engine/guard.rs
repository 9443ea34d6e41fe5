//! Programs that must not outlive the host: agent programs, tool servers, commands.
//!
//! ```text
//! host ──► guard (this program again) ──► step (this program again, becomes the program)
//! ```
//!
//! The guard is a session of its own without a terminal. It hears of the host's death by a signal from
//! the kernel, is the adoptive parent of whatever the program leaves behind, and ends all of it: when it
//! is told to, when the program ends, and when the host dies, however that dies. The step makes the
//! program die with the guard. All of it is this binary, called by a hidden verb that [`is_guard`] knows;
//! none of it needs `unsafe`.
//!
//! [`command`] and [`spawn`] are the host's side, [`main`] the guard's. What the program may see and touch is not
//! decided here.

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

/// The hidden verb of the guard.
const GUARD: &str = "__guard";
/// The hidden verb that becomes the program.
const STEP: &str = "__step";
/// What a shell says of a program that cannot be run.
const CANNOT_RUN: u8 = 127;
/// How long a program may take to end when it is told to.
const GRACE: Duration = Duration::from_millis(500);
/// How often what a program left behind is looked for; each look ends what it finds.
const SWEEPS: usize = 100;

/// A command that runs `program` under a guard. Pipes, folder and environment are the caller's to set;
/// ending it is sending the guard SIGTERM, which takes everything along.
///
/// # Errors
/// When the path of this program is not known.
pub fn command(program: &OsStr, args: &[OsString]) -> std::io::Result<tokio::process::Command> {
    let mut command = tokio::process::Command::new(own_program()?);
    command
        .arg(GUARD)
        .arg(std::process::id().to_string())
        .arg(program)
        .args(args);
    Ok(command)
}

/// Begins what [`command`] made, on a thread that never ends: the kernel takes the end of the thread
/// that began a process for the end of its parent.
///
/// # Errors
/// What beginning it says.
pub async fn spawn(command: tokio::process::Command) -> std::io::Result<Child> {
    let gone = |_| std::io::Error::other("the thread that begins programs is gone");
    let (reply, begun) = oneshot::channel();
    BEGINNER
        .send(Begin {
            runtime: Handle::current(),
            command,
            reply,
        })
        .map_err(|_| gone(()))?;
    begun.await.map_err(|_| gone(()))?
}

/// A program that is to be begun.
struct Begin {
    runtime: Handle,
    command: tokio::process::Command,
    reply: oneshot::Sender<std::io::Result<Child>>,
}

static BEGINNER: LazyLock<mpsc::Sender<Begin>> = LazyLock::new(|| {
    let (begin, asked) = mpsc::channel::<Begin>();
    std::thread::spawn(move || {
        for Begin {
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

/// Where this program lies. A binary that was replaced while it runs is still reached.
///
/// # Errors
/// What the system says.
pub fn own_program() -> std::io::Result<PathBuf> {
    let named = std::env::current_exe()?;
    // Between fork and exec a child is still this program, so that the link leads to it.
    Ok(if named.exists() {
        named
    } else {
        PathBuf::from("/proc/self/exe")
    })
}

/// Whether these are the arguments of a guard or a step, which know no settings and no folders.
#[must_use]
pub fn is_guard(args: &[OsString]) -> bool {
    args.get(1)
        .is_some_and(|verb| verb == GUARD || verb == STEP)
        && args.len() > 3
}

/// Does what a guard or a step does, and gives the exit code.
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
        Some(parent) if verb == GUARD => guard(parent, program, args),
        Some(parent) => Err(step(parent, program, args)),
        None => Err(std::io::Error::other("no parent is named")),
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

/// Becomes the program; returns only when that fails.
fn step(parent: Pid, program: &OsStr, args: &[OsString]) -> std::io::Error {
    match die_with(parent, Signal::KILL) {
        Ok(()) => Command::new(program).args(args).exec(),
        Err(error) => error,
    }
}

fn guard(host: Pid, program: &OsStr, args: &[OsString]) -> std::io::Result<u8> {
    // Fails only for a leader of a group, which is as good.
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
        // Nobody left in it is what is wanted.
        let _ = kill_process_group(group, signal);
    }
}

/// Ends whatever the program left behind; those left behind by these become ours in turn.
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

/// The processes whose parent this one is.
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

/// The parent in a line of `/proc/PID/stat`, whose second field is a name that may hold anything.
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

/// Has the kernel send `signal` when the parent dies, and makes sure that it has not died before.
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
        assert!(is_guard(&args(&["phasedeck", GUARD, "1", "true"])));
        assert!(!is_guard(&args(&["phasedeck", GUARD])));
        assert!(!is_guard(&args(&["phasedeck", "run", "1", "true"])));
    }
}
