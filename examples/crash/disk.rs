//! A disk that fails: one system call after the other answers with an error, as the kernel gives it.
//!
//! Each play of a story runs under `strace`, which lets its n-th write or flush fail. After a flush that
//! failed nobody knows what is on the disk, so the host may end there; a write without room may be waited
//! out. Either way nothing that was promised is lost, nothing is overwritten, somebody is told, and a
//! start on a well disk ends the story.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

use crate::Outcome;
use crate::invariants::{self, Broken, Memory};
use crate::model::Model;
use crate::story::{Home, Story};

/// What fails, and how.
const FAULTS: &[(&str, &str)] = &[
    ("fdatasync", "EIO"),
    ("fsync", "EIO"),
    ("syncfs", "EIO"),
    ("pwrite64", "EIO"),
    ("pwrite64", "ENOSPC"),
    ("ftruncate", "EIO"),
    ("rename,renameat,renameat2", "EIO"),
];
/// Calls of one kind in a story that are let fail at most, so that a story with many writes has an end.
const MOST: u64 = 2_000;

/// How it went.
#[derive(Default)]
struct Played {
    faults: u64,
    /// Plays that the host ended because of the fault.
    ended: u64,
}

/// Lets every flush and every `stride`-th other call fail, in each story; whether all held.
pub fn play(stride: u64, only: Option<Story>) -> Outcome<bool> {
    if Command::new("strace")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        println!("skipped: a disk that fails needs strace, and it is not installed");
        return Ok(true);
    }
    let model = Model::start()?;
    for story in Story::ALL
        .into_iter()
        .filter(|story| only.is_none_or(|only| only == *story))
    {
        for (call, error) in FAULTS {
            let mut played = Played::default();
            let mut nth = 1;
            while nth <= MOST {
                let Some(broken) = one(story, &model, (call, error, nth), &mut played)? else {
                    break;
                };
                if !broken.is_empty() {
                    println!(
                        "VIOLATION in {}, {call} number {nth} answered {error}",
                        story.name()
                    );
                    broken.iter().for_each(|words| println!("  {words}"));
                    return Ok(false);
                }
                nth += if call.contains("sync") {
                    1
                } else {
                    stride.max(1)
                };
            }
            let Played { faults, ended } = played;
            println!(
                "{:<9} {call:<26} {error:<7} {faults:>5} faults, the host ended at {ended} of them: 0 violations",
                story.name()
            );
        }
    }
    Ok(true)
}

/// One play; nothing where the story has no such call.
fn one(
    story: Story,
    model: &Model,
    fault: (&str, &str, u64),
    played: &mut Played,
) -> Outcome<Option<Broken>> {
    let home = Home::new(story, &model.base_url())?;
    model.forget();
    let (status, hit) = with_fault(&home, fault)?;
    if !hit {
        return Ok(None);
    }
    played.faults += 1;
    let mut memory = Memory::default();
    let mut broken = invariants::after_kill(&home, model, &mut memory)?;
    if !status.success() {
        played.ended += 1;
        let words = std::fs::read_to_string(home.stderr()).unwrap_or_default();
        if words.trim().is_empty() {
            broken.push("the host ended and told nobody why".to_owned());
        }
        if words.contains("panicked") {
            broken.push(format!("a panic: {}", words.trim()));
        }
    }
    let again = home.child()?.status()?;
    if !again.success() {
        broken.push(format!(
            "on a well disk it does not go on: {}",
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

fn with_fault(home: &Home, (call, error, nth): (&str, &str, u64)) -> Outcome<(ExitStatus, bool)> {
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
