//! Runs git with every feature disabled that could execute other programs.
//!
//! Repositories and settings can make git execute hooks, filters, file system monitors, signing
//! programs and transports. An agent can write the files of its worktree. Therefore:
//!
//! - The git folder is always named; a `.git` file that an agent has rewritten is never looked at.
//! - Attributes in the tree are not read (`GIT_ATTR_SOURCE` is the empty tree), the filters that the
//!   repository's own settings define are emptied by name, and the settings of user and system are
//!   left out. What must be known from them (name, address, ignored files) is read once by [`GitCommand::of_operator`].
//! - The environment is an allow-list, there is no input but ours, no prompt, no terminal, and a time limit.
//!
//! Content is stored byte for byte: no line ending conversion and no large file filters.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use crate::model::error::{Code, Failure, Result};
use crate::store::failpoint::FailpointFamily;

const TIME_LIMIT: Duration = Duration::from_secs(600);
const TOLD_LINES: usize = 4;

const SETTINGS: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "core.autocrlf=false",
    "core.fsync=all",
    "core.sparseCheckout=false",
    "core.splitIndex=false",
    "core.untrackedCache=false",
    "index.sparse=false",
    "branch.autoSetupMerge=false",
    "commit.gpgsign=false",
    "gc.auto=0",
    "i18n.commitEncoding=UTF-8",
    "maintenance.auto=false",
    "protocol.allow=never",
    "submodule.recurse=false",
    "worktree.useRelativePaths=false",
];

/// Result of a git command.
pub(super) struct GitOutput {
    /// Exit code; -1 if a signal killed git.
    pub code: i32,
    /// Standard output as bytes, because paths need not be UTF-8.
    pub bytes: Vec<u8>,
    told: String,
}

/// Configured git invocation: git folder, optional work tree, disabled features.
#[derive(Clone, Debug)]
pub(super) struct GitCommand {
    place: Vec<OsString>,
    env: Arc<Vec<(OsString, OsString)>>,
    index: Option<PathBuf>,
}

impl GitCommand {
    /// Git in `dir` with the operator's settings; used only to read them.
    pub fn of_operator(dir: &Path, allowed: &[(OsString, OsString)]) -> Self {
        let mut env = allowed.to_vec();
        env.extend([
            pair("LC_ALL", "C"),
            pair("GIT_TERMINAL_PROMPT", "0"),
            pair("GIT_OPTIONAL_LOCKS", "0"),
        ]);
        Self {
            place: vec!["-C".into(), dir.into()],
            env: Arc::new(env),
            index: None,
        }
    }

    /// Git on one git folder, without user and system settings.
    pub fn quiet(git_dir: &Path, allowed: &[(OsString, OsString)]) -> Self {
        let mut git = Self::of_operator(git_dir, allowed);
        let mut env = git.env.to_vec();
        env.extend([
            pair("GIT_CONFIG_NOSYSTEM", "1"),
            pair("GIT_CONFIG_GLOBAL", "/dev/null"),
            pair("GIT_ATTR_NOSYSTEM", "1"),
            pair("GIT_LITERAL_PATHSPECS", "1"),
            pair("GIT_NO_LAZY_FETCH", "1"),
        ]);
        git.env = Arc::new(env);
        git.place.push(prefixed("--git-dir=", git_dir));
        git
    }

    /// Adds environment variables.
    pub fn with_env(mut self, more: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Arc::make_mut(&mut self.env).extend(more);
        self
    }

    /// Adds settings; their names may contain any characters.
    pub fn with_settings(self, settings: &[(String, String)]) -> Self {
        let count = pair("GIT_CONFIG_COUNT", &settings.len().to_string());
        let each = settings.iter().enumerate().flat_map(|(i, (key, value))| {
            [
                pair(&format!("GIT_CONFIG_KEY_{i}"), key),
                pair(&format!("GIT_CONFIG_VALUE_{i}"), value),
            ]
        });
        self.with_env([count].into_iter().chain(each))
    }

    /// Switches to another git folder, that of a worktree, and its files.
    pub fn at(&self, git_dir: &Path, work_tree: &Path) -> Self {
        let place = vec![
            "-C".into(),
            work_tree.into(),
            prefixed("--git-dir=", git_dir),
            prefixed("--work-tree=", work_tree),
        ];
        Self {
            place,
            env: Arc::clone(&self.env),
            index: None,
        }
    }

    /// Uses a separate index file.
    pub fn with_index(&self, index: &Path) -> Self {
        Self {
            index: Some(index.to_path_buf()),
            ..self.clone()
        }
    }

    /// Runs git and returns its standard output.
    ///
    /// # Errors
    /// `git_failed` with the command and the last lines of standard error.
    pub async fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<String> {
        self.run_with(args, b"").await
    }

    /// As [`run`](Self::run), with standard input.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_with<S: AsRef<OsStr>>(&self, args: &[S], input: &[u8]) -> Result<String> {
        let output = self.attempt(args, input).await?;
        if output.code == 0 {
            Ok(output.text())
        } else {
            Err(output.failure(args))
        }
    }

    /// As [`run`](Self::run), for output that contains paths.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_bytes<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Vec<u8>> {
        let output = self.attempt(args, b"").await?;
        if output.code == 0 {
            Ok(output.bytes)
        } else {
            Err(output.failure(args))
        }
    }

    /// Runs git where a nonzero exit code is a valid result.
    ///
    /// # Errors
    /// `git_failed` if git cannot be started or times out.
    pub async fn attempt<S: AsRef<OsStr>>(&self, args: &[S], input: &[u8]) -> Result<GitOutput> {
        let verb = args
            .first()
            .map(|verb| verb.as_ref().to_string_lossy().into_owned())
            .unwrap_or_default();
        FailpointFamily::Git.before(&verb);
        let child = self
            .command(args, !input.is_empty())
            .spawn()
            .map_err(|e| cannot_run(&e))?;
        let group = child.id();
        let Ok(done) = tokio::time::timeout(TIME_LIMIT, exchange(child, input)).await else {
            end_group(group);
            let message = format!(
                "`{}` did not end within {} seconds",
                shown(args),
                TIME_LIMIT.as_secs()
            );
            return Err(Failure::new(Code::GitFailed, message)
                .hint("check the disk and the repository, then resume the run"));
        };
        let done = done.map_err(|e| cannot_run(&e))?;
        FailpointFamily::Git.after(&verb);
        let told = String::from_utf8_lossy(&done.stderr).into_owned();
        Ok(GitOutput {
            code: done.status.code().unwrap_or(-1),
            bytes: done.stdout,
            told,
        })
    }

    fn command<S: AsRef<OsStr>>(&self, args: &[S], has_input: bool) -> Command {
        let mut command = Command::new("git");
        command
            .env_clear()
            .envs(self.env.iter().map(|(key, value)| (key, value)));
        if let Some(index) = &self.index {
            command.env("GIT_INDEX_FILE", index);
        }
        command.args(&self.place);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command.args(args.iter().map(AsRef::as_ref));
        // A process group of its own keeps Ctrl-C in the terminal from interrupting git.
        command.process_group(0).kill_on_drop(true);
        command
            .stdin(if has_input {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

impl GitOutput {
    /// Returns standard output as text without the last line ending.
    pub fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        text.strip_suffix('\n').unwrap_or(&text).to_owned()
    }

    /// Returns standard error.
    pub fn told(&self) -> &str {
        &self.told
    }

    /// Converts this result to an error.
    pub fn failure<S: AsRef<OsStr>>(&self, args: &[S]) -> Failure {
        let lines: Vec<&str> = self
            .told
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let last = lines
            .get(lines.len().saturating_sub(TOLD_LINES)..)
            .unwrap_or_default()
            .join("; ");
        let full = last.contains("No space left on device");
        let told: String = last
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(500)
            .collect();
        let code = if full {
            Code::DiskFull
        } else {
            Code::GitFailed
        };
        Failure::new(
            code,
            format!("`{}` failed ({}): {told}", shown(args), self.code),
        )
        .hint(if full {
            "make space, then resume the run"
        } else {
            "mend what git tells about, then resume the run"
        })
    }
}

async fn exchange(mut child: Child, input: &[u8]) -> std::io::Result<std::process::Output> {
    let stdin = child.stdin.take();
    let write = async {
        if let Some(mut stdin) = stdin {
            // Git may exit before reading all input; its exit code tells why.
            let _ = stdin.write_all(input).await;
        }
    };
    let ((), output) = tokio::join!(write, child.wait_with_output());
    output
}

fn end_group(group: Option<u32>) {
    let pid = group
        .and_then(|id| i32::try_from(id).ok())
        .and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    }
}

fn cannot_run(error: &std::io::Error) -> Failure {
    Failure::new(Code::GitFailed, format!("cannot run git: {error}"))
        .hint("install git, or work without it: --no-git")
}

// Formats the command as a person would type it, without the options added to every call.
fn shown<S: AsRef<OsStr>>(args: &[S]) -> String {
    let words = args.iter().map(|arg| {
        arg.as_ref()
            .to_string_lossy()
            .chars()
            .take(100)
            .collect::<String>()
    });
    ["git".to_owned()]
        .into_iter()
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

fn pair(key: &str, value: &str) -> (OsString, OsString) {
    (key.into(), value.into())
}

fn prefixed(prefix: &str, path: &Path) -> OsString {
    let mut arg = OsString::from(prefix);
    arg.push(path);
    arg
}
