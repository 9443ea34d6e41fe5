//! What a phase costs: through the whole engine and a model on loopback, against a bare loop that
//! makes the same requests and six commits and nothing else.
//!
//! `cargo bench --bench engine -- run 64` makes one run of 64 phases and measures nothing: for tools that
//! count instructions or system calls, which say what a phase costs where a busy machine cannot. `model`
//! is the model alone, and `beside URL` the phases of one run over such a model, in seconds: for
//! `benches/side/run.py`, which does the same with other programs.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use bare::{bare_database, fill_log, insert_bare};
use measure::{Goal, Outcome, figure, folder, median, middle};
use model::Model;
use phasedeck::engine::api::{Answer, Archive, Command, Sender, Signal, StartRun};
use phasedeck::engine::catalog::{Catalog, CatalogDirs};
use phasedeck::engine::host::{Host, give_consent};
use phasedeck::engine::paths::Paths;
use phasedeck::model::event::Fact;
use phasedeck::model::id::{ClientToken, RunId};
use phasedeck::model::settings::Settings;
use phasedeck::model::state::{RunStatus, Via};
use resources::{commits_in_log, cpu_of_process, empty_log, forget_peak, peak_mib, without_clocks};

#[path = "support/bare.rs"]
mod bare;
#[path = "support/measure.rs"]
mod measure;
#[path = "support/model.rs"]
mod model;
#[path = "support/resources.rs"]
mod resources;
#[path = "support/turns.rs"]
mod turns;

const ROUNDS: usize = 9;
/// Phases of a run, and of as many turns of the bare loop.
const PHASES: usize = 10;
/// Few enough that what a run adds shows beside [`PHASES`]; the log must not begin anew within a run.
const FEW: usize = 2;
/// The most a workflow may have.
const LONG: usize = 64;
/// Of the workflows there are.
const LENGTHS: [usize; 4] = [FEW, PHASES, 32, LONG];
const AT_ONCE: usize = 100;
const COMMITS_OF_BARE_LOOP: usize = 6;

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match &args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["run", phases] => {
            without_clocks();
            return Stage::new(Model::start()?)?.only(phases.parse()?);
        }
        ["model"] => return serve_for_ever(),
        ["beside", base_url] => return Stage::new(Model::at(base_url))?.beside(),
        _ => {}
    }
    let stage = Stage::new(Model::start()?)?;
    let bare = Bare::new(&stage)?;
    one_phase(&stage, &bare)?;
    late_phases(&stage, &bare)?;
    // Before the many runs, whose reports are still written when they have ended; it empties the log.
    commits(&stage)?;
    fill_log(&rusqlite::Connection::open(stage.paths().database())?)?;
    many_runs(&stage)?;
    turns::turns(&stage, &bare)?;
    stage.host.shutdown(Duration::from_secs(5))?;
    Ok(())
}

/// A host in this process, workflows of several lengths, and the model that its persona talks to.
struct Stage {
    dir: tempfile::TempDir,
    host: Host,
    model: Model,
}

/// When something was acknowledged, and how much CPU had been used by then, the model's left out.
#[derive(Clone, Copy)]
struct Moment {
    at: Instant,
    cpu: Duration,
}

impl Stage {
    fn new(model: Model) -> Outcome<Self> {
        let dir = folder()?;
        let paths = Paths::beneath(dir.path());
        paths.create()?;
        for phases in LENGTHS {
            write(&paths, &format!("workflows/phases-{phases}.yaml"), &workflow(phases))?;
        }
        write(&paths, "personas/maker.yaml", PERSONA)?;
        write(&paths, "artifacts/bench/note@1.json", SCHEMA)?;
        let maker = Catalog::load(&CatalogDirs::beneath(&paths.config)).persona("maker@1")?;
        let mut settings = Settings::default();
        settings.openai.base_url = model.base_url();
        settings.openai.key_env = String::new();
        settings.engine.max_concurrent_runs = u32::try_from(AT_ONCE)?;
        let host = Host::start(&paths, &settings)?;
        fill_log(&rusqlite::Connection::open(paths.database())?)?;
        give_consent(&paths, "maker@1", &maker.hash, "bench")?;
        Ok(Self { dir, host, model })
    }

    fn paths(&self) -> Paths {
        Paths::beneath(self.dir.path())
    }

    fn now(&self) -> Moment {
        Moment { at: Instant::now(), cpu: cpu_of_process().saturating_sub(self.model.cpu()) }
    }

    /// One run of one of the [lengths](LENGTHS) and nothing more.
    fn only(self, phases: usize) -> Outcome<()> {
        self.run(phases)?;
        Ok(self.host.shutdown(Duration::from_secs(5))?)
    }

    /// What a phase takes, in seconds, on one line.
    fn beside(self) -> Outcome<()> {
        self.run(FEW)?;
        let runs: Vec<Vec<Moment>> = (0..3).map(|_| self.run(PHASES)).collect::<Outcome<_>>()?;
        let wall = median(runs.iter().flat_map(|run| walls(run).skip(1)));
        let cpu = middle(runs.iter().map(|run| cpu_of_phase(run)));
        println!("{{\"wall_s\": {wall}, \"cpu_s\": {cpu}}}");
        Ok(self.host.shutdown(Duration::from_secs(5))?)
    }

    async fn start(&self, phases: usize, lane: usize) -> Outcome<RunId> {
        let request = StartRun {
            workflow: format!("phases-{phases}@1"),
            requirements: "A note about notes".to_owned(),
            thread: Some(format!("lane-{lane}").as_str().into()),
            ..StartRun::default()
        };
        let sender = Sender { by: "bench".to_owned(), via: Via::Cli };
        match self.host.port().send(Command::Start(Box::new(request)), sender, ClientToken::new()).await? {
            Answer::Started { run_id, .. } => Ok(run_id),
            other => Err(format!("{other:?}").into()),
        }
    }

    /// One run by itself: when it began its first phase, and when it completed each.
    fn run(&self, phases: usize) -> Outcome<Vec<Moment>> {
        self.host.handle().block_on(async {
            let mut signals = self.host.port().signals();
            self.start(phases, 0).await?;
            let mut moments = Vec::new();
            loop {
                let Signal::Event(event) = signals.recv().await? else { continue };
                match &event.fact {
                    Fact::PhaseStarted { .. } if moments.is_empty() => moments.push(self.now()),
                    Fact::PhaseCompleted { .. } => moments.push(self.now()),
                    Fact::RunCompleted {} => break,
                    Fact::RunFailed { message, .. } => return Err(message.clone().into()),
                    _ => {}
                }
            }
            // The last words of a run are written after its end; the next measurement must not pay for them.
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(moments)
        })
    }

    /// Many runs at once, from the first start to the last end.
    fn runs(&self, count: usize) -> Outcome<Duration> {
        let archive = Archive::open(&self.paths())?;
        self.host.handle().block_on(async {
            let mut signals = self.host.port().signals();
            let begun = Instant::now();
            let started = futures_util::future::join_all((0..count).map(|lane| self.start(PHASES, lane))).await;
            let mut left = started.into_iter().collect::<Outcome<BTreeSet<RunId>>>()?;
            while !left.is_empty() {
                match tokio::time::timeout(Duration::from_secs(1), signals.recv()).await {
                    Ok(Ok(Signal::Event(event))) if matches!(event.fact, Fact::RunCompleted {}) => drop(left.remove(&event.run_id)),
                    Ok(Ok(_)) => {}
                    // Signals may be dropped; the archive knows.
                    Ok(Err(_)) | Err(_) => left.retain(|run| archive.state(*run).is_ok_and(|s| s.status != RunStatus::Completed)),
                }
            }
            Ok(begun.elapsed())
        })
    }
}

/// The model for other programs: says where it is, and serves until it is ended.
fn serve_for_ever() -> Outcome<()> {
    let model = Model::start()?;
    println!("{}", model.base_url());
    loop {
        std::thread::park();
    }
}

/// The same requests and six commits, with nothing around.
struct Bare {
    dir: tempfile::TempDir,
    conn: rusqlite::Connection,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
    url: String,
}

impl Bare {
    fn new(stage: &Stage) -> Outcome<Self> {
        let dir = folder()?;
        let conn = bare_database(dir.path())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // The client wants to know how to speak TLS even where nobody does; the host has said so by now.
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { dir, conn, client, runtime, url: format!("{}/chat/completions", stage.model.base_url()) })
    }

    /// Makes so many phases' worth; says when it began and when each was done. `with_files` also writes
    /// an artifact twice, each time a new file, synced and renamed, and its folder synced.
    fn run(&self, stage: &Stage, phases: usize, bodies: &[Vec<u8>; 2], with_files: bool) -> Outcome<Vec<Moment>> {
        let run = RunId::new().to_string();
        let mut moments = vec![stage.now()];
        let mut seq = 0;
        for phase in 0..phases {
            for body in bodies {
                self.runtime.block_on(self.ask(body.clone()))?;
                for _ in 0..COMMITS_OF_BARE_LOOP / bodies.len() {
                    seq += 1;
                    insert_bare(&self.conn, &run, seq)?;
                }
            }
            for copy in if with_files { &["work", "kept"][..] } else { &[] } {
                write_durably(self.dir.path(), &format!("{run}-{phase}-{copy}"))?;
            }
            moments.push(stage.now());
        }
        Ok(moments)
    }

    async fn ask(&self, body: Vec<u8>) -> Outcome<()> {
        let response = self.client.post(&self.url).header("content-type", "application/json").body(body).send().await?;
        response.error_for_status()?.bytes().await?;
        Ok(())
    }
}

fn write_durably(folder: &Path, name: &str) -> Outcome<()> {
    let (new, path) = (folder.join("new"), folder.join(name));
    let mut file = File::create(&new)?;
    file.write_all(ARTIFACT)?;
    file.sync_all()?;
    std::fs::rename(new, path)?;
    Ok(File::open(folder)?.sync_all()?)
}

fn walls(moments: &[Moment]) -> impl Iterator<Item = Duration> {
    moments.windows(2).map(|pair| pair[1].at - pair[0].at)
}

/// CPU seconds of a phase, from the first end to the last, so that neither start nor end is in it.
fn cpu_of_phase(moments: &[Moment]) -> f64 {
    let ends = &moments[1..];
    match (ends.first(), ends.last()) {
        (Some(first), Some(last)) => (last.cpu - first.cpu).as_secs_f64() / (ends.len() - 1) as f64,
        _ => 0.0,
    }
}

fn one_phase(stage: &Stage, bare: &Bare) -> Outcome<()> {
    stage.run(PHASES)?;
    let bodies = stage.model.bodies();
    bare.run(stage, PHASES, &bodies, false)?;
    let before = stage.model.requests_and_connections();
    let (mut ours, mut theirs, mut files) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(stage.run(PHASES)?);
        theirs.push(bare.run(stage, PHASES, &bodies, false)?);
        files.push(bare.run(stage, PHASES, &bodies, true)?);
    }
    let after = stage.model.requests_and_connections();
    let wall = |runs: &[Vec<Moment>]| median(runs.iter().flat_map(|run| walls(run).skip(1)));
    let cpu = |runs: &[Vec<Moment>]| middle(runs.iter().map(|run| cpu_of_phase(run)));
    figure("one phase over HTTP, wall / bare loop with 6 commits", wall(&ours) / wall(&theirs), Goal::AtMost(1.5));
    figure("one phase over HTTP, CPU / bare loop with 6 commits", cpu(&ours) / cpu(&theirs), Goal::AtMost(4.0));
    figure("  bare loop that also keeps two files, wall / bare loop", wall(&files) / wall(&theirs), Goal::None);
    figure("  bare loop that also keeps two files, CPU / bare loop", cpu(&files) / cpu(&theirs), Goal::None);
    figure("  bare loop, CPU / wall", cpu(&theirs) / wall(&theirs), Goal::None);
    figure("  requests that reused a connection", 1.0 - (after.1 - before.1) as f64 / (after.0 - before.0) as f64, Goal::None);
    Ok(())
}

/// What some phases more add to the log, so that the start and the end of a run are left out.
fn commits(stage: &Stage) -> Outcome<()> {
    let database = stage.paths().database();
    let mut counts = Vec::new();
    for phases in [FEW, PHASES] {
        empty_log(&database)?;
        stage.run(phases)?;
        counts.push(f64::from(commits_in_log(&database)?));
    }
    figure("commits of one phase without gates", (counts[1] - counts[0]) / (PHASES - FEW) as f64, Goal::AtMost(4.0));
    Ok(())
}

fn late_phases(stage: &Stage, bare: &Bare) -> Outcome<()> {
    let early_bodies = stage.model.bodies();
    let (mut early, mut late, mut early_bare, mut late_bare) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS.div_ceil(2) {
        let times: Vec<Duration> = walls(&stage.run(LONG)?).collect();
        early.extend(times.iter().skip(1).take(PHASES));
        late.extend(times.iter().rev().take(PHASES));
        let late_bodies = stage.model.bodies();
        early_bare.extend(walls(&bare.run(stage, PHASES, &early_bodies, false)?));
        late_bare.extend(walls(&bare.run(stage, PHASES, &late_bodies, false)?));
    }
    figure("phases 55-64 of a run / phases 1-10", median(late) / median(early), Goal::AtMost(1.05));
    figure("  the bare loop with the requests of phase 64 / of phase 10", median(late_bare) / median(early_bare), Goal::None);
    Ok(())
}

fn many_runs(stage: &Stage) -> Outcome<()> {
    let mut alone = Vec::new();
    for _ in 0..ROUNDS {
        alone.push(stage.runs(1)?);
        std::thread::sleep(Duration::from_millis(20));
    }
    forget_peak();
    let before = peak_mib();
    let mut together = Vec::new();
    for _ in 0..3 {
        together.push(stage.runs(AT_ONCE)?);
    }
    let ratio = AT_ONCE as f64 * median(alone) / median(together);
    figure("100 runs at once, phases a second / one run", ratio, Goal::AtLeast(10.0));
    if let (Some(mib), Some(before)) = (peak_mib(), before) {
        figure("100 runs at once, highest resident size (with the model) / 64 MiB", mib / 64.0, Goal::AtMost(1.0));
        figure("  resident before they began / 64 MiB", before / 64.0, Goal::None);
    }
    Ok(())
}

fn write(paths: &Paths, file: &str, text: &str) -> Outcome<()> {
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

const ARTIFACT: &[u8] = &[b'x'; 200];

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

const SCHEMA: &str = include_str!("../tests/support/note.schema.json");
