//! The process between host and command: begins it, waits for it, and ends whatever is left of it.
//!
//! It has a session of its own and so no terminal. It adopts every process that loses its parent
//! beneath it, so a command cannot leave anything behind by forking twice or by a session of its own.
//! Its input never carries anything: when it closes, the host has had enough or is gone.
//!
//! It counts them too: the kernel's limit of processes does not bind an administrator, so a command that
//! begins too many is ended when that is seen, a moment later.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{Read as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::inner::MAX_MORE_PROCESSES;
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, kill_process, kill_process_group, set_child_subreaper,
    setsid, wait,
};

const BETWEEN_SWEEPS: Duration = Duration::from_millis(2);
const BROKEN: u8 = 126;
const BETWEEN_COUNTS: Duration = Duration::from_millis(20);

/// Runs the command to its end and gives its exit code.
pub(super) fn serve(worktree: &OsStr, temp: &OsStr, command: &OsStr) -> u8 {
    // Fails only for a process that leads its group already, which has no terminal to lose either.
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
        // Until the main thread has seen the command end and ends this process.
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

/// Ends the command's group and every child of ours; says whether there was any.
fn end_all(group: Option<Pid>) -> bool {
    // A group is ended at once, so that a command that forks for ever cannot outrun it.
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

/// Looks at how many processes there are, and ends the command when it has begun too many.
fn count(group: Option<Pid>) {
    let mut base = threads_of_all();
    loop {
        std::thread::sleep(BETWEEN_COUNTS);
        let now = threads_of_all();
        // One number tells whether it is worth while to look at every process.
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
            "phasedeck: it began more than {MAX_MORE_PROCESSES} processes, and was ended"
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

/// How many threads there are on this machine.
fn threads_of_all() -> u64 {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace()
        .nth(3)
        .and_then(|field| field.split_once('/')?.1.parse().ok())
        .unwrap_or(0)
}

/// Everything that was begun beneath this process, directly or not.
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
    // The name before it may hold anything, parentheses too.
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(1)?
        .parse()
        .ok()
}
