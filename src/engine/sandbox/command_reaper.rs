//! Reaper between the host and a command: starts it, waits for it, and kills what it leaves behind.
//!
//! The reaper runs in its own session without a terminal. It is a child subreaper, so descendants
//! of the command are reparented to it even after a double fork or `setsid`. Its standard input
//! carries no data: end of file means that the host cancelled the command or died.
//!
//! The reaper also counts processes. `RLIMIT_NPROC` does not bind a privileged user, so a command
//! that starts too many processes is killed shortly after the count exceeds the limit.

use crate::engine::sandbox::child::MAX_MORE_PROCESSES;
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, kill_process, kill_process_group, set_child_subreaper,
    setsid, wait,
};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{Read as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, Stdio};
use std::time::Duration;

const BETWEEN_SWEEPS: Duration = Duration::from_millis(2);
const BROKEN: u8 = 126;
const BETWEEN_COUNTS: Duration = Duration::from_millis(20);

/// Runs the command until it exits and returns its exit code.
pub(super) fn serve(worktree: &OsStr, temp: &OsStr, command: &OsStr) -> u8 {
    // `setsid` fails only for a process group leader, which has no terminal to lose either.
    let _ = setsid();
    if set_child_subreaper(Some(getpid())).is_err() {
        return BROKEN;
    }
    let Ok(program) = std::env::current_exe() else {
        return BROKEN;
    };
    let args = [
        OsString::from(super::INNER),
        worktree.into(),
        temp.into(),
        command.into(),
    ];
    let Ok(mut inner) = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
    else {
        return BROKEN;
    };
    let group = i32::try_from(inner.id()).ok().and_then(Pid::from_raw);
    std::thread::spawn(move || {
        let mut nothing = [0; 64];
        while std::io::stdin()
            .read(&mut nothing)
            .is_ok_and(|count| count > 0)
        {}
        // Repeat: processes forked during one pass are only seen by the next. The main thread ends
        // this process once the command has exited.
        loop {
            end_all(group);
            std::thread::sleep(BETWEEN_SWEEPS);
        }
    });
    std::thread::spawn(move || count(group));
    let status = inner.wait();
    while end_all(group) {
        while matches!(wait(WaitOptions::NOHANG), Ok(Some(_))) {}
        std::thread::sleep(BETWEEN_SWEEPS);
    }
    let code = status.map(|status| {
        status
            .code()
            .or_else(|| status.signal().map(|signal| 128 + signal))
    });
    code.ok()
        .flatten()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(BROKEN)
}

/// Kills the command's process group and all children; returns whether there were any.
fn end_all(group: Option<Pid>) -> bool {
    // One signal kills the whole group, so a fork bomb cannot outrun it.
    if let Some(group) = group {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let children = children();
    for child in &children {
        let _ = kill_process_group(*child, Signal::KILL);
        let _ = kill_process(*child, Signal::KILL);
    }
    !children.is_empty()
}

/// Polls the number of processes and kills the command when it exceeds the limit.
fn count(group: Option<Pid>) {
    let mut base = threads_of_all();
    loop {
        std::thread::sleep(BETWEEN_COUNTS);
        let now = threads_of_all();
        // The system-wide thread count is cheap to read; walk `/proc` only when it has grown
        // enough.
        if now.saturating_sub(base) <= MAX_MORE_PROCESSES {
            base = base.min(now);
            continue;
        }
        let begun = descendants();
        if (begun.len() as u64) <= MAX_MORE_PROCESSES {
            base = now;
            continue;
        }
        let _ = writeln!(
            std::io::stderr(),
            "phasedeck: the command started more than {MAX_MORE_PROCESSES} processes and was killed"
        );
        loop {
            end_all(group);
            for pid in descendants() {
                let _ = kill_process(pid, Signal::KILL);
            }
            std::thread::sleep(BETWEEN_SWEEPS);
        }
    }
}

/// Returns the number of threads on this machine, from `/proc/loadavg`.
fn threads_of_all() -> u64 {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace()
        .nth(3)
        .and_then(|field| field.split_once('/')?.1.parse().ok())
        .unwrap_or(0)
}

/// Returns all descendants of this process.
fn descendants() -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let mut beneath: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for pid in pids {
        if let Some(parent) = parent_of(pid) {
            beneath.entry(parent).or_default().push(pid);
        }
    }
    let (mut found, mut open) = (Vec::new(), vec![getpid().as_raw_nonzero().get()]);
    while let Some(parent) = open.pop() {
        let children = beneath.remove(&parent).unwrap_or_default();
        open.extend(&children);
        found.extend(children);
    }
    found.into_iter().filter_map(Pid::from_raw).collect()
}

fn children() -> Vec<Pid> {
    let own = getpid().as_raw_nonzero().get();
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| parent_of(*pid) == Some(own))
        .filter_map(Pid::from_raw)
        .collect()
}

fn parent_of(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the process name in parentheses; it may itself contain parentheses.
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(1)?
        .parse()
        .ok()
}
