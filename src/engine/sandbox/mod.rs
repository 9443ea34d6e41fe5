//! Runs an agent's shell command in a sandbox limited to its worktree.
//!
//! ```text
//! host ── Launcher::run ──► warden (own session; ends everything when its input closes)
//!   ▲ output, bounded          └──► inner (limits, network, Landlock on itself) ──► /bin/sh -c COMMAND
//! ```
//!
//! The reaper (`warden`) and the sandboxed child (`inner`) are this binary, started with hidden
//! arguments. Work that would otherwise run between `fork` and `exec` runs in a process of its own,
//! so this module needs no `unsafe`. The reaper adopts and kills what the command leaves behind. It
//! does so even if the host is killed, because its standard input closes then. [`SandboxLauncher::probe`]
//! reports what the kernel enforces.
//!
//! Whole programs that need the network run under the weaker rules of [`ProgramSandbox`].

pub mod reaper;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use self::capture::OutputCapture;
pub use crate::engine::sandbox::program_sandbox::ProgramSandbox;
use crate::model::error::{Code, Failure, Result};

mod capture;
#[cfg(target_os = "linux")]
mod child;
#[cfg(target_os = "linux")]
mod command_reaper;
#[cfg(target_os = "linux")]
mod masking;
mod program_sandbox;
#[cfg(target_os = "linux")]
mod rules;
#[cfg(target_os = "linux")]
mod sockets;

const WARDEN: &str = "__warden";
const INNER: &str = "__confined";
/// Maximum length of a command in bytes: it must fit one argument and stay readable for review.
pub const MAX_COMMAND_BYTES: usize = 16 * 1024;
/// Output limit in bytes; a command that prints more is killed.
const MAX_PRINTED: u64 = 16 * 1024 * 1024;
/// Time the reaper has to kill all processes.
const ENDING: Duration = Duration::from_secs(10);
/// Environment variables passed to a command; API keys are not among them.
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

/// Limits of a command.
#[derive(Clone, Copy, Debug)]
pub struct CommandLimits<'a> {
    /// Working directory; writable.
    pub worktree: &'a Path,
    /// Second writable folder, passed as `TMPDIR`.
    pub temp: &'a Path,
    pub time: Duration,
}

/// Protections that the kernel enforces on commands and programs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxProtection {
    /// Writes are limited to the worktree and the temporary folder; private folders are unreadable.
    pub files: bool,
    /// No network, not even loopback.
    pub network: bool,
    /// No TCP, where the network could not be removed entirely.
    pub tcp: bool,
    /// No access to sockets of other programs on this machine.
    pub sockets: bool,
    /// Files of the worktree can be masked.
    pub hides: bool,
    /// Why a protection is missing; empty if none is.
    pub missing: String,
}

impl SandboxProtection {
    /// Returns whether commands are confined: files, sockets and network.
    #[must_use]
    pub fn confined(&self) -> bool {
        self.programs_confined() && (self.network || self.tcp)
    }

    /// Returns whether programs with network access are confined otherwise.
    #[must_use]
    pub fn programs_confined(&self) -> bool {
        self.files && self.sockets
    }

    /// Describes the protection of commands: `confined` or `not confined`, and how.
    #[must_use]
    pub fn describe(&self) -> String {
        let network = match (self.network, self.tcp) {
            (true, _) => "no network",
            (false, true) => "no TCP",
            (false, false) => "network open",
        };
        self.describe_as(self.confined(), "writes only its worktree", network)
    }

    /// Describes the protection of programs with network access.
    #[must_use]
    pub fn describe_program(&self) -> String {
        self.describe_as(
            self.programs_confined(),
            "writes only its worktree and its own folders",
            "network open",
        )
    }

    fn describe_as(&self, confined: bool, writes: &str, network: &str) -> String {
        let verdict = if confined { "confined" } else { "not confined" };
        let files = if self.files {
            writes
        } else {
            "writes wherever your user can"
        };
        let sockets = if self.sockets {
            ""
        } else {
            ", can reach sockets of other programs"
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
pub enum CommandExit {
    /// Exited with this code, or 128 plus the signal that killed it.
    Exit(i32),
    TimedOut,
    Flooded,
    Stopped,
}

/// Result of a command after all its processes have exited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandResult {
    pub finish: CommandExit,
    /// Combined output in order of arrival; the middle of long output is omitted.
    pub printed: String,
    /// Whole output up to 10 MiB, present if the middle was omitted.
    pub whole: Option<String>,
}

/// Starts reapers from this binary.
#[derive(Clone, Debug)]
pub struct SandboxLauncher {
    program: PathBuf,
}

impl SandboxLauncher {
    /// Uses the current executable.
    #[must_use]
    pub fn current_program() -> Self {
        Self::with_program(std::env::current_exe().unwrap_or_else(|_| PathBuf::from("phasedeck")))
    }

    /// Uses another copy of this binary, for processes that run a different executable.
    #[must_use]
    pub fn with_program(program: PathBuf) -> Self {
        Self { program }
    }

    /// Probes what the kernel enforces on a command, by applying it.
    pub async fn probe(&self) -> SandboxProtection {
        let temp = std::env::temp_dir();
        self.probe_with(vec![
            OsString::from(INNER),
            temp.clone().into(),
            temp.into(),
        ])
        .await
    }

    /// Probes what the kernel enforces on a program in a [`ProgramSandbox`], by applying it.
    pub async fn probe_program(&self) -> SandboxProtection {
        let Ok(hidden) = tempfile::tempdir() else {
            return SandboxProtection::default();
        };
        let blank = hidden.path().to_path_buf();
        let with = ProgramSandbox {
            hidden: vec![blank.clone()],
            blank,
            ..ProgramSandbox::default()
        };
        let protection = self.probe_with(with.to_args(None, &[])).await;
        // Masking may fail where the other protections work.
        if protection.hides {
            protection
        } else {
            self.probe_with(ProgramSandbox::default().to_args(None, &[]))
                .await
        }
    }

    async fn probe_with(&self, args: Vec<OsString>) -> SandboxProtection {
        let nothing = |why: &str| SandboxProtection {
            missing: why.to_owned(),
            ..SandboxProtection::default()
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

    /// Runs a command with `/bin/sh` until it exits or reaches a limit. When this returns, no
    /// process of the command is running.
    ///
    /// # Errors
    /// `usage_invalid` if the command is too long, `io_failed` if it cannot be started.
    pub async fn run(
        &self,
        command: &str,
        bounds: CommandLimits<'_>,
        stop: &CancellationToken,
    ) -> Result<CommandResult> {
        if command.len() > MAX_COMMAND_BYTES || command.contains('\0') {
            let words = format!(
                "the command has {} bytes; at most {MAX_COMMAND_BYTES}, none of them 0",
                command.len()
            );
            return Err(Failure::new(Code::UsageInvalid, words)
                .hint("write a script to a file, and run that"));
        }
        let mut warden = self.warden(command, bounds)?;
        let mut capture = OutputCapture::default();
        let pipes = (warden.stdout.take(), warden.stderr.take());
        let early = tokio::select! {
            biased;
            () = stop.cancelled() => Some(CommandExit::Stopped),
            () = tokio::time::sleep(bounds.time) => Some(CommandExit::TimedOut),
            flooded = read(pipes, &mut capture) => flooded.then_some(CommandExit::Flooded),
        };
        let finish = end(&mut warden, early).await?;
        Ok(CommandResult {
            finish,
            whole: capture.take_whole(),
            printed: capture.into_text(),
        })
    }

    fn warden(&self, command: &str, bounds: CommandLimits<'_>) -> Result<Child> {
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

/// Reads both pipes until they close; returns whether the output limit was exceeded.
async fn read<O: AsyncRead + Unpin, E: AsyncRead + Unpin>(
    (out, err): (Option<O>, Option<E>),
    capture: &mut OutputCapture,
) -> bool {
    let (mut out, mut err) = (out, err);
    let (mut from_out, mut from_err) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    while out.is_some() || err.is_some() {
        let (count, open, bytes) = tokio::select! {
            count = next(&mut out, &mut from_out) => (count, &mut out as &mut dyn CloseInput, &from_out),
            count = next(&mut err, &mut from_err) => (count, &mut err as &mut dyn CloseInput, &from_err),
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

trait CloseInput {
    fn close(&mut self);
}

impl<T> CloseInput for Option<T> {
    fn close(&mut self) {
        *self = None;
    }
}

/// Waits for the reaper; if the command has not exited by itself, has the reaper kill it first.
async fn end(warden: &mut Child, early: Option<CommandExit>) -> Result<CommandExit> {
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
            return Ok(early.unwrap_or(CommandExit::TimedOut));
        }
    };
    Ok(early.unwrap_or(CommandExit::Exit(status.code().unwrap_or(-1))))
}

/// Protects this process's memory, which holds API keys: it writes no core dump, and other
/// processes of the user cannot read or trace it. Descendants inherit only the core dump limit.
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

/// Runs the reaper or child named by hidden arguments; returns `None` for other arguments. Does not
/// return if it executes the command.
#[must_use]
pub fn serve(args: &[OsString]) -> Option<u8> {
    let (mode, rest) = (args.get(1)?.to_str()?, args.get(2..)?);
    if mode == program_sandbox::FENCED {
        return program_sandbox::serve(rest);
    }
    #[cfg(target_os = "linux")]
    match (mode, rest) {
        (WARDEN, [worktree, temp, command]) => {
            return Some(command_reaper::serve(worktree, temp, command));
        }
        (INNER, [worktree, temp, command @ ..]) => {
            return Some(child::serve(
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
