//! Stories: a home directory, and the child process that is killed in it.
//!
//! The child is this program again. It becomes the host, starts the runs under constant idempotency
//! keys, decides every approval by a rule that follows from the journal, and records each answer it
//! got in a file, so that its parent knows what was acknowledged before the kill.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use phasedeck::engine::api::{
    CommandAnswer, CommandSender, EngineCommand, EngineSignal, RunArchive, StartRun,
};
use phasedeck::engine::catalog::{Catalog, CatalogDirs};
use phasedeck::engine::host::{EngineHost, give_consent};
use phasedeck::engine::paths::InstallPaths;
use phasedeck::model::event::RunFact;
use phasedeck::model::id::{ClientToken, RunId};
use phasedeck::model::record::{RehearsalScenario, RunOptions};
use phasedeck::model::run_state::RunState;
use phasedeck::model::settings::{AppSettings, CrashPolicy};
use phasedeck::model::state::{Decision, PauseReason, RunStatus, Via};

use crate::CrashResult;

/// Kind of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashStory {
    /// One run over HTTP, with tools and costs, in a plain directory.
    Http,
    /// The same in a git repository.
    HttpGit,
    /// Two concurrent dry runs; one has a repair, one has changes requested once.
    Two,
    /// A run that is rejected and a run that is aborted.
    Ends,
}

impl CrashStory {
    pub const ALL: [Self; 4] = [Self::Http, Self::HttpGit, Self::Two, Self::Ends];

    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::HttpGit => "http-git",
            Self::Two => "two",
            Self::Ends => "ends",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|story| story.name() == name)
    }

    /// Expected final states of its runs.
    pub fn ends(self) -> &'static [RunStatus] {
        match self {
            Self::Http | Self::HttpGit => &[RunStatus::Completed],
            Self::Two => &[RunStatus::Completed, RunStatus::Completed],
            Self::Ends => &[RunStatus::Failed, RunStatus::Aborted],
        }
    }

    pub fn over_http(self) -> bool {
        matches!(self, Self::Http | Self::HttpGit)
    }
}

const WORKFLOW: &str = include_str!("../../tests/support/pair.yaml");
const PERSONA: &str = include_str!("../../tests/support/maker.yaml");
const SCHEMA: &str = include_str!("../../tests/support/note.schema.json");

/// An installation of its own, deleted on drop unless it is kept.
pub struct CrashHome {
    pub dir: tempfile::TempDir,
    pub story: CrashStory,
}

impl CrashHome {
    pub fn new(story: CrashStory, base_url: &str) -> CrashResult<Self> {
        let dir = tempfile::Builder::new().prefix("crash-").tempdir()?;
        let config = InstallPaths::beneath(dir.path()).config;
        for (file, text) in [
            ("workflows/pair.yaml", WORKFLOW),
            ("personas/maker.yaml", PERSONA),
            ("artifacts/test/note@1.json", SCHEMA),
        ] {
            let path = config.join(file);
            path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            std::fs::write(path, text)?;
        }
        std::fs::write(dir.path().join("base_url"), base_url)?;
        if story == CrashStory::HttpGit {
            let repo = dir.path().join("project");
            std::fs::create_dir_all(&repo)?;
            std::fs::write(repo.join("README.md"), "# a project\n")?;
            for args in [
                &["init", "-q", "-b", "main"][..],
                &["add", "."],
                &["commit", "-q", "-m", "First"],
            ] {
                git(&repo, args)?;
            }
        }
        Ok(Self { dir, story })
    }

    pub fn paths(&self) -> InstallPaths {
        InstallPaths::beneath(self.dir.path())
    }

    pub fn acks(&self) -> PathBuf {
        self.dir.path().join("acks")
    }

    pub fn points(&self) -> PathBuf {
        self.dir.path().join("points")
    }

    /// Standard error of the child.
    pub fn stderr(&self) -> PathBuf {
        self.dir.path().join("stderr")
    }

    /// Command that runs this program as the child of this home.
    pub fn child(&self) -> CrashResult<std::process::Command> {
        let mut command = std::process::Command::new(std::env::current_exe()?);
        command
            .arg("--child")
            .arg(self.dir.path())
            .arg(self.story.name());
        command
            .env_remove("PHASEDECK_FAILPOINT")
            .env("PHASEDECK_FAILPOINT_LOG", self.points())
            .env("RUST_BACKTRACE", "0");
        command
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null());
        command.stderr(File::create(self.stderr())?);
        Ok(command)
    }
}

pub fn git(dir: &Path, args: &[&str]) -> CrashResult<String> {
    let settings = [
        "-c",
        "user.name=Tester",
        "-c",
        "user.email=tester@localhost",
        "-c",
        "commit.gpgsign=false",
    ];
    let output = std::process::Command::new("git")
        .args(settings)
        .args(args)
        .current_dir(dir)
        .output()?;
    if !output.status.success() {
        return Err(format!("git {args:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Record of acknowledgements: one line each, in one write.
#[derive(Clone)]
struct AckLog(Arc<Mutex<File>>);

impl AckLog {
    fn note(&self, line: &str) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // An acknowledgement that cannot be recorded is merely not checked.
        let _ = file.write_all(format!("{line}\n").as_bytes());
    }
}

/// The child process.
pub fn run_child(home: &Path, story: CrashStory) -> CrashResult<()> {
    let paths = InstallPaths::beneath(home);
    let settings = settings(home)?;
    let acks = AckLog(Arc::new(Mutex::new(
        File::options()
            .create(true)
            .append(true)
            .open(home.join("acks"))?,
    )));
    if story.over_http() {
        let persona = Catalog::load(&CatalogDirs::beneath(&paths.config)).persona("maker")?;
        let given = paths.database().exists()
            && RunArchive::open(&paths)
                .and_then(|archive| archive.consents())
                .is_ok_and(|all| all.contains(&persona.hash));
        if !given {
            give_consent(&paths, "maker@1", &persona.hash, "tester")?;
        }
    }
    let host = EngineHost::start(&paths, &settings)?;
    listen(&host, &acks);
    let mut runs = Vec::new();
    for key in 0..story.ends().len() {
        match send(
            &host,
            EngineCommand::Start(Box::new(start(home, story, key))),
        )? {
            CommandAnswer::Started { run_id, .. } => {
                acks.note(&format!("started {key} {run_id}"));
                runs.push(run_id);
            }
            other => return Err(format!("{other:?}").into()),
        }
    }
    let archive = RunArchive::open(&paths)?;
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let mut over = 0;
        for (at, run) in runs.iter().enumerate() {
            over += usize::from(decide_pending(&host, &archive, &acks, story, at, *run)?);
        }
        if over == runs.len() {
            break;
        }
        // A host whose store is closed exits and reports why.
        if let Some(why) = host.store_closed().now_or_never() {
            return Err(why.into());
        }
        if Instant::now() > deadline {
            return Err("the story did not end within a minute".into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    host.shutdown(Duration::ZERO)?;
    Ok(())
}

fn settings(home: &Path) -> CrashResult<AppSettings> {
    let mut settings = AppSettings::default();
    settings.engine.on_crash = CrashPolicy::Resume;
    settings.rehearsal.pace_ms = 0;
    settings.openai.base_url = std::fs::read_to_string(home.join("base_url"))?;
    settings.openai.key_env = String::new();
    Ok(settings)
}

fn start(home: &Path, story: CrashStory, key: usize) -> StartRun {
    let mut options = RunOptions {
        rehearse: !story.over_http(),
        ..RunOptions::default()
    };
    if story == CrashStory::Two && key == 0 {
        options
            .scenarios
            .insert("second".into(), RehearsalScenario::InvalidThenOk);
    }
    StartRun {
        workflow: "pair".to_owned(),
        repo: (story == CrashStory::HttpGit).then(|| home.join("project")),
        requirements: "A note that survives a crash".to_owned(),
        thread: Some(format!("lane-{key}").as_str().into()),
        options,
        idempotency_key: Some(format!("key-{key}")),
        ..StartRun::default()
    }
}

/// Records every event that a client could have seen.
fn listen(host: &EngineHost, acks: &AckLog) {
    let mut signals = host.port().signals();
    let acks = acks.clone();
    host.handle().spawn(async move {
        while let Ok(signal) = signals.recv().await {
            if let EngineSignal::Event(event) = signal {
                acks.note(&format!(
                    "event {} {} {}",
                    event.run_id,
                    event.seq,
                    event.fact.kind()
                ));
            }
        }
    });
}

fn send(
    host: &EngineHost,
    command: EngineCommand,
) -> phasedeck::model::error::Result<CommandAnswer> {
    let sender = CommandSender {
        by: "tester".to_owned(),
        via: Via::Cli,
    };
    host.handle()
        .block_on(host.port().send(command, sender, ClientToken::new()))
}

/// Decides the pending approval of a run. Returns whether the run has ended and its report exists.
fn decide_pending(
    host: &EngineHost,
    archive: &RunArchive,
    acks: &AckLog,
    story: CrashStory,
    at: usize,
    run: RunId,
) -> CrashResult<bool> {
    let state = archive.state(run)?;
    if state.status.is_terminal() {
        return Ok(archive.run(run)?.report_path.is_some());
    }
    let Some(open) = state.approval.clone() else {
        // A paused run must have a reason and a pending approval.
        let full = state.pause_reason == Some(PauseReason::DiskFull);
        if state.status == RunStatus::Paused && !full && archive.state(run)?.approval.is_none() {
            return Err(format!(
                "a paused run ({:?}) has no pending approval",
                state.pause_reason
            )
            .into());
        }
        return Ok(false);
    };
    // After three crashes without progress a run asks for approval to continue; kills cause many of
    // these.
    if state.approvals > 60 {
        return Err(format!(
            "{} approvals were requested, the last one for {}",
            state.approvals, open.gate
        )
        .into());
    }
    let again = sent_back(archive, &state)?;
    let action = match story {
        _ if open.phase_key.is_none() => Decision::Approve,
        CrashStory::Two if at == 1 && !again => Decision::RequestChanges,
        CrashStory::Ends if at == 0 => Decision::Reject,
        CrashStory::Ends => Decision::Abort,
        _ => Decision::Approve,
    };
    let command = match action {
        Decision::Abort => EngineCommand::Abort {
            run_id: run,
            reason: "enough".to_owned(),
        },
        action => {
            let request_id = Some(open.request_id);
            let comment = "because".to_owned();
            EngineCommand::Decide {
                run_id: run,
                request_id,
                action,
                comment,
                artifact_sha256: open.artifact_sha256,
                scope: None,
                raise_nano_usd: None,
                personas: Vec::new(),
            }
        }
    };
    match send(host, command) {
        Ok(CommandAnswer::Decided {
            request_id, action, ..
        }) => acks.note(&format!("decided {run} {request_id} {action}")),
        Ok(CommandAnswer::Accepted { .. }) => acks.note(&format!("aborted {run}")),
        Ok(other) => return Err(format!("{other:?}").into()),
        // The run changed between reading its state and deciding.
        Err(failure) => acks.note(&format!("refused {}", failure.code)),
    }
    Ok(false)
}

fn sent_back(archive: &RunArchive, state: &RunState) -> CrashResult<bool> {
    let events = archive.events(state.run_id, 1, 10_000)?;
    Ok(events.iter().any(|event| {
        matches!(
            &event.fact,
            RunFact::ApprovalResolved {
                action: Decision::RequestChanges,
                ..
            }
        )
    }))
}
