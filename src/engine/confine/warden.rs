//! The process between host and command: begins it, waits for it, and ends whatever is left of it.
//!
//! It has a session of its own and so no terminal. It adopts every process that loses its parent
//! beneath it, so a command cannot leave anything behind by forking twice or by a session of its own.
//! Its input never carries anything: when it closes, the host has had enough or is gone.

use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, kill_process_group, set_child_subreaper, setsid, wait};

const BETWEEN_SWEEPS: Duration = Duration::from_millis(2);
const BROKEN: u8 = 126;

/// Runs the command to its end and gives its exit code.
pub(super) fn serve(worktree: &OsStr, temp: &OsStr, command: &OsStr) -> u8 {
    // Fails only for a process that leads its group already, which has no terminal to lose either.
    let _ = setsid();
    if set_child_subreaper(Some(getpid())).is_err() {
        return BROKEN;
    }
    let Ok(program) = std::env::current_exe() else { return BROKEN };
    let args = [OsString::from(super::INNER), worktree.into(), temp.into(), command.into()];
    let Ok(mut inner) = Command::new(program).args(args).stdin(Stdio::null()).process_group(0).spawn() else { return BROKEN };
    let group = i32::try_from(inner.id()).ok().and_then(Pid::from_raw);
    std::thread::spawn(move || {
        let mut nothing = [0; 64];
        while std::io::stdin().read(&mut nothing).is_ok_and(|count| count > 0) {}
        // Until the main thread has seen the command end and ends this process.
        loop {
            end_all(group);
            std::thread::sleep(BETWEEN_SWEEPS);
        }
    });
    let status = inner.wait();
    while end_all(group) {
        while matches!(wait(WaitOptions::NOHANG), Ok(Some(_))) {}
        std::thread::sleep(BETWEEN_SWEEPS);
    }
    let code = status.map(|status| status.code().or_else(|| status.signal().map(|signal| 128 + signal)));
    code.ok().flatten().and_then(|code| u8::try_from(code).ok()).unwrap_or(BROKEN)
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

fn children() -> Vec<Pid> {
    let own = getpid().as_raw_nonzero().get();
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| parent_of(*pid) == Some(own)).filter_map(Pid::from_raw).collect()
}

fn parent_of(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold anything, parentheses too.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}
