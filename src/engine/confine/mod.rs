//! Runs a command that an agent wrote, where it can do no harm beyond its worktree.
//!
//! ```text
//! host ── Launcher::run ──► warden (own session; ends everything when its input closes)
//!   ▲ output, bounded          └──► inner (limits, network, Landlock on itself) ──► /bin/sh -c COMMAND
//! ```
//!
//! The warden and the inner process are this program again, begun by hidden arguments: what must be
//! done between fork and exec is done by a whole process of our own, so nothing here is unsafe. The
//! warden adopts whatever the command leaves behind and ends it, also when the host was killed: its
//! input closes then. What the kernel enforces is told by [`Launcher::probe`].
//!
//! Whole programs that need the network are held more loosely: by a [`Fence`].

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use self::capture::Capture;
pub use self::fence::Fence;
use crate::model::error::{Code, Failure, Result};

mod capture;
mod fence;
#[cfg(target_os = "linux")]
mod hiding;
#[cfg(target_os = "linux")]
mod inner;
#[cfg(target_os = "linux")]
mod rules;
#[cfg(target_os = "linux")]
mod sockets;
#[cfg(target_os = "linux")]
mod warden;

const WARDEN: &str = "__warden";
const INNER: &str = "__confined";
/// The longest command, in bytes: it must fit one argument, and a person must be able to read it.
pub const MAX_COMMAND_BYTES: usize = 16 * 1024;
/// How much a command may print before it is ended, in bytes.
const MAX_PRINTED: u64 = 16 * 1024 * 1024;
/// How long the warden may take to end everything.
const ENDING: Duration = Duration::from_secs(10);
/// What a command gets of our environment; keys are not among it.
const ENVIRONMENT: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "GOPATH",
    "GOROOT",
    "JAVA_HOME",
    "NVM_DIR",
    "PYENV_ROOT",
    "VIRTUAL_ENV",
];

/// What a command may touch.
#[derive(Clone, Copy, Debug)]
pub struct Bounds<'a> {
    /// Where it runs and may write.
    pub worktree: &'a Path,
    /// The other folder that it may write; its `TMPDIR`.
    pub temp: &'a Path,
    /// How long it may take.
    pub time: Duration,
}

/// What the kernel enforces on commands and programs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    /// Nothing outside worktree and temp folder can be written, and no private folder read.
    pub files: bool,
    /// No network at all, not even loopback.
    pub network: bool,
    /// No TCP, where the network could not be taken away whole.
    pub tcp: bool,
    /// No socket of another program on this machine can be reached.
    pub sockets: bool,
    /// Files of the worktree can be hidden from a program.
    pub hides: bool,
    /// Why something is missing; empty when nothing is.
    pub missing: String,
}

impl Protection {
    /// Whether commands are confined: files, sockets and network, all of them.
    #[must_use]
    pub fn confined(&self) -> bool {
        self.fenced() && (self.network || self.tcp)
    }

    /// Whether programs that have the network are confined otherwise.
    #[must_use]
    pub fn fenced(&self) -> bool {
        self.files && self.sockets
    }

    /// In words: `confined` or `not confined`, and by what.
    #[must_use]
    pub fn words(&self) -> String {
        let network = match (self.network, self.tcp) {
            (true, _) => "no network",
            (false, true) => "no TCP",
            (false, false) => "network open",
        };
        self.told(self.confined(), "writes only its worktree", network)
    }

    /// The same of a program that has the network.
    #[must_use]
    pub fn program_words(&self) -> String {
        self.told(
            self.fenced(),
            "writes only its worktree and its own folders",
            "network open",
        )
    }

    fn told(&self, confined: bool, writes: &str, network: &str) -> String {
        let verdict = if confined { "confined" } else { "not confined" };
        let files = if self.files {
            writes
        } else {
            "writes wherever you can"
        };
        let sockets = if self.sockets {
            ""
        } else {
            ", may ask other programs of yours"
        };
        let why = if self.missing.is_empty() {
            String::new()
        } else {
            format!(" ({})", self.missing)
        };
        format!("{verdict}: {files}, {network}{sockets}{why}")
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// By itself, with this code; 128 and the signal where one ended it.
    Exit(i32),
    /// It took too long.
    TimedOut,
    /// It printed too much.
    Flooded,
    /// The work was stopped.
    Stopped,
}

/// A command that has ended, with everything it began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// How.
    pub finish: Finish,
    /// What it printed, output and errors as they came; the middle of a long text is cut.
    pub printed: String,
    /// All of it, up to 10 MiB, where the middle was cut.
    pub whole: Option<String>,
}

/// The program that begins wardens: this one.
#[derive(Clone, Debug)]
pub struct Launcher {
    program: PathBuf,
}

impl Launcher {
    /// This program.
    #[must_use]
    pub fn own() -> Self {
        Self::of(std::env::current_exe().unwrap_or_else(|_| PathBuf::from("phasedeck")))
    }

    /// Another copy of this program, for processes that are not it.
    #[must_use]
    pub fn of(program: PathBuf) -> Self {
        Self { program }
    }

    /// What the kernel would enforce on a command here, by trying it.
    pub async fn probe(&self) -> Protection {
        let temp = std::env::temp_dir();
        self.tried(vec![
            OsString::from(INNER),
            temp.clone().into(),
            temp.into(),
        ])
        .await
    }

    /// What the kernel would enforce on a program in a [`Fence`], by trying it.
    pub async fn probe_fence(&self) -> Protection {
        let Ok(hidden) = tempfile::tempdir() else {
            return Protection::default();
        };
        let blank = hidden.path().to_path_buf();
        let with = Fence {
            hidden: vec![blank.clone()],
            blank,
            ..Fence::default()
        };
        let protection = self.tried(with.words(None, &[])).await;
        // What cannot hide may still hold.
        if protection.hides {
            protection
        } else {
            self.tried(Fence::default().words(None, &[])).await
        }
    }

    async fn tried(&self, args: Vec<OsString>) -> Protection {
        let nothing = |why: &str| Protection {
            missing: why.to_owned(),
            ..Protection::default()
        };
        if !cfg!(target_os = "linux") {
            return nothing("this system has no Landlock");
        }
        let asked = Command::new(&self.program)
            .args(args)
            .stdin(Stdio::null())
            .output();
        match tokio::time::timeout(ENDING, asked).await {
            Ok(Ok(output)) => serde_json::from_slice(&output.stdout)
                .unwrap_or_else(|_| nothing("the launcher gave no answer")),
            _ => nothing("the launcher could not be run"),
        }
    }

    /// Runs a command by `/bin/sh` to its end or to one of its limits. When this returns nothing of it runs any more.
    ///
    /// # Errors
    /// `usage_invalid` for a command that is too long, `io_failed` when nothing could be begun.
    pub async fn run(
        &self,
        command: &str,
        bounds: Bounds<'_>,
        stop: &CancellationToken,
    ) -> Result<Ran> {
        if command.len() > MAX_COMMAND_BYTES || command.contains('\0') {
            let words = format!(
                "the command has {} bytes; at most {MAX_COMMAND_BYTES}, none of them 0",
                command.len()
            );
            return Err(Failure::new(Code::UsageInvalid, words)
                .hint("write a script to a file, and run that"));
        }
        let mut warden = self.warden(command, bounds)?;
        let mut capture = Capture::default();
        let pipes = (warden.stdout.take(), warden.stderr.take());
        let early = tokio::select! {
            biased;
            () = stop.cancelled() => Some(Finish::Stopped),
            () = tokio::time::sleep(bounds.time) => Some(Finish::TimedOut),
            flooded = read(pipes, &mut capture) => flooded.then_some(Finish::Flooded),
        };
        let finish = end(&mut warden, early).await?;
        Ok(Ran {
            finish,
            whole: capture.take_whole(),
            printed: capture.into_text(),
        })
    }

    fn warden(&self, command: &str, bounds: Bounds<'_>) -> Result<Child> {
        let mut warden = Command::new(&self.program);
        warden
            .arg(WARDEN)
            .arg(bounds.worktree)
            .arg(bounds.temp)
            .arg(command)
            .current_dir(bounds.worktree)
            .env_clear();
        warden.envs(
            ENVIRONMENT
                .iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        );
        warden.envs([
            ("TMPDIR", bounds.temp.as_os_str()),
            ("TERM", "dumb".as_ref()),
            ("GIT_TERMINAL_PROMPT", "0".as_ref()),
        ]);
        warden
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        warden
            .spawn()
            .map_err(|error| Failure::io("no command can be run", &error))
    }
}

/// Reads both pipes until they close; says whether too much came.
async fn read<O: AsyncRead + Unpin, E: AsyncRead + Unpin>(
    (out, err): (Option<O>, Option<E>),
    capture: &mut Capture,
) -> bool {
    let (mut out, mut err) = (out, err);
    let (mut from_out, mut from_err) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    while out.is_some() || err.is_some() {
        let (count, open, bytes) = tokio::select! {
            count = next(&mut out, &mut from_out) => (count, &mut out as &mut dyn Closes, &from_out),
            count = next(&mut err, &mut from_err) => (count, &mut err as &mut dyn Closes, &from_err),
        };
        if count == 0 {
            open.close();
        }
        capture.push(&bytes[..count]);
        if capture.total() > MAX_PRINTED {
            return true;
        }
    }
    false
}

async fn next<R: AsyncRead + Unpin>(pipe: &mut Option<R>, buffer: &mut [u8]) -> usize {
    match pipe {
        Some(pipe) => pipe.read(buffer).await.unwrap_or(0),
        None => std::future::pending().await,
    }
}

trait Closes {
    fn close(&mut self);
}

impl<T> Closes for Option<T> {
    fn close(&mut self) {
        *self = None;
    }
}

/// Waits for the warden; where the command has not ended by itself, has it end everything first.
async fn end(warden: &mut Child, early: Option<Finish>) -> Result<Finish> {
    let input = warden.stdin.take();
    if early.is_some() {
        drop(input);
    }
    let waited = tokio::time::timeout(
        if early.is_some() {
            ENDING
        } else {
            Duration::MAX
        },
        warden.wait(),
    )
    .await;
    let status = match waited {
        Ok(status) => {
            status.map_err(|error| Failure::io("a command could not be waited for", &error))?
        }
        Err(_) => {
            warden
                .kill()
                .await
                .map_err(|error| Failure::io("a command does not end", &error))?;
            return Ok(early.unwrap_or(Finish::TimedOut));
        }
    };
    Ok(early.unwrap_or(Finish::Exit(status.code().unwrap_or(-1))))
}

/// Keeps this process's memory, which holds keys, to itself: no dump of it is written, and no other process of
/// the user's reads it or traces it. What it begins has none of that but the first.
pub fn keep_memory_private() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{
            DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit,
        };
        let _ = setrlimit(
            Resource::Core,
            Rlimit {
                current: Some(0),
                maximum: Some(0),
            },
        );
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

/// What the hidden arguments ask of this process; absent when they are none of ours. It does not
/// return when it becomes the command.
#[must_use]
pub fn serve(args: &[OsString]) -> Option<u8> {
    let (mode, rest) = (args.get(1)?.to_str()?, args.get(2..)?);
    if mode == fence::FENCED {
        return fence::serve(rest);
    }
    #[cfg(target_os = "linux")]
    match (mode, rest) {
        (WARDEN, [worktree, temp, command]) => return Some(warden::serve(worktree, temp, command)),
        (INNER, [worktree, temp, command @ ..]) => {
            return Some(inner::serve(
                worktree.as_ref(),
                temp.as_ref(),
                command.first(),
            ));
        }
        _ => {}
    }
    #[cfg(not(target_os = "linux"))]
    if let (WARDEN, [_, _, command]) = (mode, rest) {
        let status = std::process::Command::new("/bin/sh")
            .arg("-c")
            .arg(command)
            .stdin(Stdio::null())
            .status();
        return Some(
            status
                .ok()
                .and_then(|status| status.code())
                .and_then(|code| u8::try_from(code).ok())
                .unwrap_or(126),
        );
    }
    None
}
