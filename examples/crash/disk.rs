//! Disk faults: one system call after another returns an error, as the kernel would.
//!
//! A story is repeated under `strace`, which makes its n-th write or flush fail. After a failed
//! flush the contents of the disk are unknown, so the host may exit; a write without free space may
//! be retried. Either way nothing acknowledged is lost, nothing is overwritten, the error is
//! reported, and a start without faults completes the story.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

use crate::CrashResult;
use crate::invariants::{self, Observations, Violations};
use crate::model::CrashModel;
use crate::story::{CrashHome, CrashStory};

/// System calls and the errors they return.
const FAULTS: &[(&str, &str)] = &[
    ("fdatasync", "EIO"),
    ("fsync", "EIO"),
    ("syncfs", "EIO"),
    ("pwrite64", "EIO"),
    ("pwrite64", "ENOSPC"),
    ("ftruncate", "EIO"),
    ("rename,renameat,renameat2", "EIO"),
];
/// Maximum number of faults per kind of call and story, to bound stories with many writes.
const MOST: u64 = 2_000;

/// Counters of one kind of fault.
#[derive(Default)]
struct FaultCounts {
    faults: u64,
    /// Faults after which the host exited.
    ended: u64,
}

/// Makes every flush and every `stride`-th other call fail in each story. Returns whether all
/// invariants held.
pub fn play(stride: u64, only: Option<CrashStory>) -> CrashResult<bool> {
    if Command::new("strace")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        println!("skipped: disk faults require strace, which is not installed");
        return Ok(true);
    }
    let model = CrashModel::start()?;
    for story in CrashStory::ALL
        .into_iter()
        .filter(|story| only.is_none_or(|only| only == *story))
    {
        for (call, error) in FAULTS {
            let mut played = FaultCounts::default();
            let mut nth = 1;
            while nth <= MOST {
                let Some(broken) = one(story, &model, (call, error, nth), &mut played)? else {
                    break;
                };
                if !broken.is_empty() {
                    println!(
                        "VIOLATION in {}, {call} number {nth} returned {error}",
                        story.name()
                    );
                    for violation in &broken {
                        println!("  {violation}");
                    }
                    return Ok(false);
                }
                nth += if call.contains("sync") {
                    1
                } else {
                    stride.max(1)
                };
            }
            let FaultCounts { faults, ended } = played;
            println!(
                "{:<9} {call:<26} {error:<7} {faults:>5} faults, the host exited at {ended} of them: 0 violations",
                story.name()
            );
        }
    }
    Ok(true)
}

/// Runs the story with one fault; `None` if it makes no such call.
fn one(
    story: CrashStory,
    model: &CrashModel,
    fault: (&str, &str, u64),
    played: &mut FaultCounts,
) -> CrashResult<Option<Violations>> {
    let home = CrashHome::new(story, &model.base_url())?;
    model.forget();
    let (status, hit) = with_fault(&home, fault)?;
    if !hit {
        return Ok(None);
    }
    played.faults += 1;
    let mut memory = Observations::default();
    let mut broken = invariants::after_kill(&home, model, &mut memory)?;
    if !status.success() {
        played.ended += 1;
        let words = std::fs::read_to_string(home.stderr()).unwrap_or_default();
        if words.trim().is_empty() {
            broken.push("the host exited without an error message".to_owned());
        }
        if words.contains("panicked") {
            broken.push(format!("a panic: {}", words.trim()));
        }
    }
    let again = home.child()?.status()?;
    if !again.success() {
        broken.push(format!(
            "it does not continue after the fault: {}",
            std::fs::read_to_string(home.stderr())
                .unwrap_or_default()
                .trim()
        ));
    }
    broken.extend(invariants::after_kill(&home, model, &mut memory)?);
    broken.extend(invariants::at_end(&home, model)?);
    if !broken.is_empty() {
        println!("kept in {}", home.dir.keep().display());
    }
    Ok(Some(broken))
}

fn with_fault(
    home: &CrashHome,
    (call, error, nth): (&str, &str, u64),
) -> CrashResult<(ExitStatus, bool)> {
    let trace: PathBuf = home.dir.path().join("strace");
    let child = home.child()?;
    let mut strace = Command::new("strace");
    strace.args([
        "-f",
        "--seccomp-bpf",
        "-e",
        &format!("trace={call}"),
        "-e",
        &format!("inject={call}:error={error}:when={nth}"),
        "-o",
    ]);
    strace
        .arg(&trace)
        .arg(child.get_program())
        .args(child.get_args());
    strace
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(home.stderr())?)
        .env("RUST_BACKTRACE", "0");
    let status = strace.status()?;
    let hit = std::fs::read_to_string(&trace)?.contains("(INJECTED)");
    std::fs::remove_file(&trace)?;
    Ok((status, hit))
}
