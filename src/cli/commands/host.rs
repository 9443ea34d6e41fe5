//! `phasedeck host`: executes runs without a console. Also starts the detached host that takes over
//! the runs of another process.

use crate::cli::args::HostArgs as Args;
use crate::cli::context::CommandContext;
use crate::cli::engine_connection::CliConnection;
use crate::cli::exit::ExitStatus;
use crate::cli::output::streams::CommandOutcome;
use crate::cli::signals::SignalListener;
use crate::engine::host::{EngineHost, HandoverScope};
use crate::engine::paths::InstallPaths;
use crate::model::error::{Code, Failure, Result};
use crate::model::state::RunStatus;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How often a host that may leave looks whether everything has ended.
const LOOK: Duration = Duration::from_secs(1);
/// How long a host that takes over waits for the one before it.
const TAKE_OVER_TRIES: u32 = 50;
const TAKE_OVER_PAUSE: Duration = Duration::from_millis(100);
/// How long a new host may take to be there.
const ARRIVAL_TRIES: u32 = 50;

/// `phasedeck host`.
///
/// # Errors
/// `session_manager_already_running` naming the host that is there; what starting says.
pub fn host(setup: &CommandContext, args: &Args) -> CommandOutcome {
    if args.takes_over {
        // No terminal of anybody's: what ends the one that began this must not end this.
        let _ = rustix::process::setsid();
    }
    let host = start_host(setup, args.takes_over)?;
    let session = CliConnection::from_host(host, &setup.loaded.settings)?;
    let mut signals = session.block_on(async { SignalListener::listen() })?;
    setup.out.note(&format!(
        "hosting {} as process {}",
        setup.paths.data.display(),
        std::process::id()
    ));
    let leaves = args.until_done || (args.takes_over && !setup.loaded.settings.host.linger);
    let stopped = session.stopped();
    session.block_on(async {
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                // Closing says why.
                _ = &mut stopped => return,
                _ = signals.next() => return setup.out.note("pausing at the next checkpoints; once more stops at once"),
                () = tokio::time::sleep(LOOK), if leaves => if all_runs_ended(setup) { return },
            }
        }
    });
    session.close(&mut signals, HandoverScope::NoRuns)?;
    Ok(ExitStatus::Done)
}

/// Who takes over comes while the one before it is still closing.
fn start_host(setup: &CommandContext, takes_over: bool) -> Result<EngineHost> {
    let mut tries = if takes_over { TAKE_OVER_TRIES } else { 1 };
    loop {
        tries -= 1;
        match EngineHost::start(&setup.paths, &setup.loaded.settings) {
            Err(failure) if failure.code == Code::SessionManagerAlreadyRunning && tries > 0 => {
                std::thread::sleep(TAKE_OVER_PAUSE)
            }
            begun => return begun,
        }
    }
}

fn all_runs_ended(setup: &CommandContext) -> bool {
    let open: Vec<String> = RunStatus::ALL
        .iter()
        .filter(|state| !state.is_terminal())
        .map(ToString::to_string)
        .collect();
    let filter = crate::engine::api::RunQuery {
        states: open,
        limit: Some(1),
        ..Default::default()
    };
    setup
        .archive_if_any()
        .and_then(|archive| archive.map_or_else(|| Ok(Vec::new()), |archive| archive.runs(&filter)))
        .is_ok_and(|open| open.is_empty())
}

/// Starts a host without a screen for the runs that this process has handed over, and waits until it is
/// there.
///
/// # Errors
/// `io_failed` when it cannot be started or does not come; the word that was left stays for the next.
pub fn detach(paths: &InstallPaths) -> Result<u32> {
    let program =
        std::env::current_exe().map_err(|e| Failure::io("this program cannot be found", &e))?;
    start(&program).map_err(|e| {
        Failure::io("cannot start a host", &e)
            .hint("`phasedeck host` goes on with what was handed over")
    })?;
    for _ in 0..ARRIVAL_TRIES {
        if let Some(host) = crate::engine::host::live_host(paths)? {
            return Ok(host.pid);
        }
        std::thread::sleep(TAKE_OVER_PAUSE);
    }
    Err(Failure::new(
        Code::IoFailed,
        "the host that should take over has not come",
    )
    .hint(format!(
        "see {}; `phasedeck host` goes on with what was handed over",
        paths.log().display()
    )))
}

/// The child is not waited for: it outlives this process.
fn start(program: &Path) -> std::io::Result<()> {
    let mut command = Command::new(program);
    command
        .args(["host", "--takes-over"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.current_dir("/").spawn().map(drop)
}
