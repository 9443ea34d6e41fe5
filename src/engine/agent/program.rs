//! A program of the operator's that works for a run: an agent program, a server of tools.
//!
//! It runs [under a guard](guard) in the run's worktree, with a short list of variables instead of the
//! console's own, and with pipes that nobody else has. Its last words on standard error are kept.
//! What is said through the pipes is the caller's.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::engine::sandbox::ProgramSandbox;
use crate::engine::sandbox::reaper;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio_util::task::AbortOnDropHandle;

/// Variables that every program gets: where things lie, which language, how the net is reached.
const ALWAYS: [&str; 22] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "XDG_CACHE_HOME",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
];
/// Lines of standard error that are kept.
const LAST_LINES: usize = 12;
/// The longest line of standard error that is kept, in bytes.
const LINE_BYTES: u64 = 500;
/// How long a guard may take to end everything.
const END: Duration = Duration::from_secs(5);

/// What is begun.
#[derive(Clone, Debug)]
pub struct AgentLaunch {
    /// Where the program lies.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables that are set for it.
    pub env: BTreeMap<String, String>,
    /// Variables that it gets from the console's own, beside the few that every program gets.
    pub pass_env: Vec<String>,
    /// What it may reach; everything that the operator may where there is none.
    pub fence: Option<ProgramSandbox>,
}

/// A program that runs.
pub struct RunningProgram {
    child: Child,
    last: Arc<Mutex<VecDeque<String>>>,
    listening: AbortOnDropHandle<()>,
}

impl RunningProgram {
    /// Begins a program in `folder`, and gives the pipes to it and from it.
    ///
    /// # Errors
    /// What beginning it says. A program that the guard cannot begin ends at once with code 127.
    pub async fn begin(
        launch: &AgentLaunch,
        folder: &Path,
    ) -> std::io::Result<(Self, ChildStdin, ChildStdout)> {
        let (program, args) = launch.words()?;
        let mut command = reaper::command(&program, &args)?;
        command
            .env_clear()
            .envs(launch.variables())
            .current_dir(folder);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = reaper::spawn(command).await?;
        let missing = || std::io::Error::other("a pipe is missing");
        let (to, from) = (
            child.stdin.take().ok_or_else(missing)?,
            child.stdout.take().ok_or_else(missing)?,
        );
        let errors = child.stderr.take().ok_or_else(missing)?;
        let last = Arc::new(Mutex::new(VecDeque::new()));
        let listening = AbortOnDropHandle::new(tokio::spawn(listen(errors, Arc::clone(&last))));
        Ok((
            Self {
                child,
                last,
                listening,
            },
            to,
            from,
        ))
    }

    /// Ends the program and everything it began, and says how it ended with its last words. Returns when
    /// all of it is gone.
    pub async fn end(mut self) -> String {
        let ended_by_itself = self.child.try_wait().ok().flatten();
        let pid = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        if let (None, Some(pid)) = (ended_by_itself, pid) {
            // A guard that is gone already is what is wanted.
            let _ = kill_process(pid, Signal::TERM);
        }
        if tokio::time::timeout(END, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
        // What was said last is read before it is told; a pipe that somebody else holds is not waited for.
        let _ = tokio::time::timeout(Duration::from_millis(200), &mut self.listening).await;
        let code = ended_by_itself
            .and_then(|status| status.code())
            .map(|code| format!("it ended with code {code}"));
        let lines: Vec<String> = self
            .last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect();
        let said = (!lines.is_empty()).then(|| format!("its last words: {}", lines.join(" / ")));
        [code, said]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join("; ")
    }

    /// Waits a moment for a program that has closed its pipes to end, so that its code is known.
    pub async fn settle(&mut self) {
        let _ = tokio::time::timeout(Duration::from_millis(500), self.child.wait()).await;
    }
}

impl AgentLaunch {
    /// What the guard is to begin: the program itself, or this one that becomes it within its fence.
    fn words(&self) -> std::io::Result<(OsString, Vec<OsString>)> {
        let args: Vec<OsString> = self.args.iter().map(OsString::from).collect();
        Ok(match &self.fence {
            Some(fence) => (
                reaper::own_program()?.into_os_string(),
                fence.to_args(Some(self.program.as_os_str()), &args),
            ),
            None => (self.program.clone().into_os_string(), args),
        })
    }

    /// The variables that it gets.
    pub(super) fn variables(&self) -> Vec<(OsString, OsString)> {
        let names = ALWAYS
            .iter()
            .copied()
            .chain(self.pass_env.iter().map(String::as_str));
        let own = names.filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
        own.chain(
            self.env
                .iter()
                .map(|(name, value)| (name.into(), value.into())),
        )
        .collect()
    }
}

/// Keeps the last lines; a line without an end is kept in pieces.
async fn listen(from: impl AsyncRead + Unpin, last: Arc<Mutex<VecDeque<String>>>) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut from)
            .take(LINE_BYTES)
            .read_until(b'\n', &mut line)
            .await
        {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line).trim().to_owned();
        if !text.is_empty() {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.len() == LAST_LINES {
                last.pop_front();
            }
            last.push_back(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_lines_are_kept_however_much_is_said() {
        let last = Arc::new(Mutex::new(VecDeque::new()));
        let flood: String = (0..10_000)
            .map(|line| format!("line {line}\n\n"))
            .collect::<String>()
            + &"x".repeat(3 * 500);
        listen(flood.as_bytes(), Arc::clone(&last)).await;
        let kept = last.lock().unwrap().clone();
        assert_eq!(kept.len(), LAST_LINES);
        assert_eq!(
            (kept[LAST_LINES - 4].as_str(), kept[LAST_LINES - 1].len()),
            ("line 9999", 500)
        );
    }

    #[test]
    fn a_program_gets_what_is_named_and_nothing_else_of_the_console() {
        let launch = AgentLaunch {
            program: PathBuf::from("/bin/true"),
            args: Vec::new(),
            env: BTreeMap::from([("MINE".to_owned(), "1".to_owned())]),
            pass_env: vec!["CARGO_PKG_NAME".to_owned(), "NOT_SET_ANYWHERE".to_owned()],
            fence: None,
        };
        let names: Vec<OsString> = launch
            .variables()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert!(
            names.contains(&"PATH".into())
                && names.contains(&"MINE".into())
                && names.contains(&"CARGO_PKG_NAME".into())
        );
        assert!(
            !names.contains(&"CARGO_MANIFEST_DIR".into())
                && !names.contains(&"NOT_SET_ANYWHERE".into())
        );
    }
}
