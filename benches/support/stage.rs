//! A host in this process with workflows of several lengths, and a persona that uses a local model
//! server.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use phasedeck::engine::api::{
    CommandAnswer, CommandSender, EngineCommand, EngineSignal, RunArchive, StartRun,
};
use phasedeck::engine::catalog::{Catalog, CatalogDirs};
use phasedeck::engine::host::{EngineHost, give_consent};
use phasedeck::engine::paths::InstallPaths;
use phasedeck::model::event::RunFact;
use phasedeck::model::id::{ClientToken, RunId};
use phasedeck::model::settings::AppSettings;
use phasedeck::model::state::{RunStatus, Via};

use crate::bare::fill_log;
use crate::measure::BenchResult;

/// Maximum number of concurrent runs.
pub const AT_ONCE: usize = 100;

/// Starts a host with a workflow `phases-N@1` for each of `lengths`; every phase uses the model at
/// `base_url`.
pub fn host(paths: &InstallPaths, lengths: &[usize], base_url: String) -> BenchResult<EngineHost> {
    paths.create()?;
    for &phases in lengths {
        write(
            paths,
            &format!("workflows/phases-{phases}.yaml"),
            &workflow(phases),
        )?;
    }
    write(paths, "personas/maker.yaml", PERSONA)?;
    write(paths, "artifacts/bench/note@1.json", SCHEMA)?;
    let maker = Catalog::load(&CatalogDirs::beneath(&paths.config)).persona("maker@1")?;
    let mut settings = AppSettings::default();
    settings.openai.base_url = base_url;
    settings.openai.key_env = String::new();
    settings.engine.max_concurrent_runs = u32::try_from(AT_ONCE)?;
    let host = EngineHost::start(paths, &settings)?;
    fill_log(&rusqlite::Connection::open(paths.database())?)?;
    give_consent(paths, "maker@1", &maker.hash, "bench")?;
    Ok(host)
}

/// Starts a run in a thread of its own.
pub async fn start(host: &EngineHost, phases: usize, lane: usize) -> BenchResult<RunId> {
    let request = StartRun {
        workflow: format!("phases-{phases}@1"),
        requirements: "A note about notes".to_owned(),
        thread: Some(format!("lane-{lane}").as_str().into()),
        ..StartRun::default()
    };
    let sender = CommandSender {
        by: "bench".to_owned(),
        via: Via::Cli,
    };
    match host
        .port()
        .send(
            EngineCommand::Start(Box::new(request)),
            sender,
            ClientToken::new(),
        )
        .await?
    {
        CommandAnswer::Started { run_id, .. } => Ok(run_id),
        other => Err(format!("{other:?}").into()),
    }
}

/// Time of concurrent runs, from the first start to the last end.
pub async fn runs(
    host: &EngineHost,
    paths: &InstallPaths,
    phases: usize,
    count: usize,
) -> BenchResult<Duration> {
    let archive = RunArchive::open(paths)?;
    let mut signals = host.port().signals();
    let begun = Instant::now();
    let started =
        futures_util::future::join_all((0..count).map(|lane| start(host, phases, lane))).await;
    let mut left = started
        .into_iter()
        .collect::<BenchResult<BTreeSet<RunId>>>()?;
    while !left.is_empty() {
        match tokio::time::timeout(Duration::from_secs(1), signals.recv()).await {
            Ok(Ok(EngineSignal::Event(event)))
                if matches!(event.fact, RunFact::RunCompleted {}) =>
            {
                left.remove(&event.run_id);
            }
            Ok(Ok(_)) => {}
            // Signals may be dropped; the archive has the state.
            Ok(Err(_)) | Err(_) => left.retain(|run| {
                archive
                    .state(*run)
                    .is_ok_and(|s| s.status != RunStatus::Completed)
            }),
        }
    }
    Ok(begun.elapsed())
}

fn write(paths: &InstallPaths, file: &str, text: &str) -> BenchResult<()> {
    let path = paths.config.join(file);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    Ok(std::fs::write(path, text)?)
}

fn workflow(phases: usize) -> String {
    let head = format!(
        "name: phases-{phases}\nversion: 1\ndescription: Phases without gates\nroles:\n  - id: maker\n    \
         required_capabilities: [make]\nphases:\n"
    );
    let phase = |n: usize| {
        format!(
            "  - key: phase-{n:02}\n    role: maker\n    instructions: Say what it is.\n    timeout_seconds: 60\n    \
             expected_artifact: {{ path: out/phase-{n:02}.json, schema: bench/note@1 }}\n    gates: []\n"
        )
    };
    (1..=phases).fold(head, |text, n| text + &phase(n))
}

const PERSONA: &str = "\
name: maker
version: 1
description: Makes notes
backend: openai
model: bench/model
capabilities: [make]
system_prompt: You make notes.
tools: [ls, read_file, write_file, edit_file, glob, grep, write_todos]
";

const SCHEMA: &str = include_str!("../../tests/support/note.schema.json");
