//! Cost of a phase through the whole engine with a model server on loopback, compared with a
//! baseline loop that only makes the same requests and six commits.
//!
//! `cargo bench --bench engine -- run 64` makes one run of 64 phases and measures nothing: for
//! tools that count instructions or system calls, which are meaningful even on a busy machine.
//! `model` runs the model server alone, and `beside URL` the phases of one run with such a server,
//! reported in seconds, for `benches/side/run.py`, which does the same with other programs.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use bare::{bare_database, fill_log, insert_bare};
use measure::{BenchResult, RatioGoal, figure, folder, median, middle};
use model::ModelServer;
use phasedeck::engine::api::EngineSignal;
use phasedeck::engine::host::EngineHost;
use phasedeck::engine::paths::InstallPaths;
use phasedeck::model::event::RunFact;
use phasedeck::model::id::RunId;
use resources::{commits_in_log, cpu_of_process, empty_log, forget_peak, peak_mib, without_clocks};

#[path = "support/bare.rs"]
mod bare;
#[path = "support/measure.rs"]
mod measure;
#[path = "support/model.rs"]
mod model;
#[path = "support/resources.rs"]
mod resources;
#[path = "support/stage.rs"]
mod stage;
#[path = "support/turns.rs"]
mod turns;

const ROUNDS: usize = 9;
/// Phases of a run, and turns of the baseline loop.
const PHASES: usize = 10;
/// Few enough to show what a run adds to [`PHASES`]; the log must not be reset within a run.
const FEW: usize = 2;
/// Maximum number of phases of a workflow.
const LONG: usize = 64;
/// Lengths of the workflows.
const LENGTHS: [usize; 4] = [FEW, PHASES, 32, LONG];
const AT_ONCE: usize = stage::AT_ONCE;
const COMMITS_OF_BARE_LOOP: usize = 6;

fn main() -> BenchResult<()> {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    match &args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["run", phases] => {
            without_clocks();
            return EngineBench::new(ModelServer::start()?)?.only(phases.parse()?);
        }
        ["model"] => return serve_model(),
        ["beside", base_url] => return EngineBench::new(ModelServer::at(base_url))?.beside(),
        _ => {}
    }
    let stage = EngineBench::new(ModelServer::start()?)?;
    let bare = BaselineLoop::new(&stage)?;
    one_phase(&stage, &bare)?;
    late_phases(&stage, &bare)?;
    // Before the concurrent runs, whose reports are still written after their end; this empties the
    // log.
    commits(&stage)?;
    fill_log(&rusqlite::Connection::open(stage.paths().database())?)?;
    many_runs(&stage)?;
    turns::turns(&stage, &bare)?;
    stage.host.shutdown(Duration::from_secs(5))?;
    Ok(())
}

/// A host in this process, workflows of several lengths, and the model server of its persona.
struct EngineBench {
    dir: tempfile::TempDir,
    host: EngineHost,
    model: ModelServer,
}

/// A point in time and the CPU time used by then, without the model's.
#[derive(Clone, Copy)]
struct CpuSample {
    at: Instant,
    cpu: Duration,
}

impl EngineBench {
    fn new(model: ModelServer) -> BenchResult<Self> {
        let dir = folder()?;
        let host = stage::host(
            &InstallPaths::beneath(dir.path()),
            &LENGTHS,
            model.base_url(),
        )?;
        Ok(Self { dir, host, model })
    }

    fn paths(&self) -> InstallPaths {
        InstallPaths::beneath(self.dir.path())
    }

    fn now(&self) -> CpuSample {
        CpuSample {
            at: Instant::now(),
            cpu: cpu_of_process().saturating_sub(self.model.cpu()),
        }
    }

    /// Makes one run with a workflow of one of the [lengths](LENGTHS), and nothing else.
    fn only(self, phases: usize) -> BenchResult<()> {
        self.run(phases)?;
        Ok(self.host.shutdown(Duration::from_secs(5))?)
    }

    /// Prints the time of a phase in seconds, as one line of JSON.
    fn beside(self) -> BenchResult<()> {
        self.run(FEW)?;
        let runs: Vec<Vec<CpuSample>> = (0..3)
            .map(|_| self.run(PHASES))
            .collect::<BenchResult<_>>()?;
        let wall = median(runs.iter().flat_map(|run| walls(run).skip(1)));
        let cpu = middle(runs.iter().map(|run| cpu_of_phase(run)));
        println!("{{\"wall_s\": {wall}, \"cpu_s\": {cpu}}}");
        Ok(self.host.shutdown(Duration::from_secs(5))?)
    }

    /// Makes one run. Returns when its first phase started and when each phase completed.
    fn run(&self, phases: usize) -> BenchResult<Vec<CpuSample>> {
        self.host.handle().block_on(async {
            let mut signals = self.host.port().signals();
            stage::start(&self.host, phases, 0).await?;
            let mut moments = Vec::new();
            loop {
                let EngineSignal::Event(event) = signals.recv().await? else {
                    continue;
                };
                match &event.fact {
                    RunFact::PhaseStarted { .. } if moments.is_empty() => moments.push(self.now()),
                    RunFact::PhaseCompleted { .. } => moments.push(self.now()),
                    RunFact::RunCompleted {} => break,
                    RunFact::RunFailed { message, .. } => return Err(message.clone().into()),
                    _ => {}
                }
            }
            // The report is written after the end of a run and must not affect the next
            // measurement.
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(moments)
        })
    }

    /// Time of concurrent runs, from the first start to the last end.
    fn runs(&self, count: usize) -> BenchResult<Duration> {
        self.host
            .handle()
            .block_on(stage::runs(&self.host, &self.paths(), PHASES, count))
    }
}

/// ModelServer server for other programs: prints its address and serves until killed.
fn serve_model() -> BenchResult<()> {
    let model = ModelServer::start()?;
    println!("{}", model.base_url());
    loop {
        std::thread::park();
    }
}

/// A plain HTTP round trip.
async fn ask(client: &reqwest::Client, url: &str, body: Vec<u8>) -> BenchResult<()> {
    let response = client
        .post(url)
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await?;
    response.error_for_status()?.bytes().await?;
    Ok(())
}

/// The baseline: the same requests and six commits, and nothing else.
struct BaselineLoop {
    dir: tempfile::TempDir,
    conn: rusqlite::Connection,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
    url: String,
}

impl BaselineLoop {
    fn new(stage: &EngineBench) -> BenchResult<Self> {
        let dir = folder()?;
        let conn = bare_database(dir.path())?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        // A client needs a TLS provider even without TLS; the host has installed one by now.
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self {
            dir,
            conn,
            client,
            runtime,
            url: format!("{}/chat/completions", stage.model.base_url()),
        })
    }

    /// Makes the requests and commits of `phases` phases. Returns the start time and when each was
    /// done. `with_files` also writes an artifact twice, each time to a new file that is synced and
    /// renamed, and syncs its directory.
    fn run(
        &self,
        stage: &EngineBench,
        phases: usize,
        bodies: &[Vec<u8>; 2],
        with_files: bool,
    ) -> BenchResult<Vec<CpuSample>> {
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
            for copy in if with_files {
                &["work", "kept"][..]
            } else {
                &[]
            } {
                write_durably(self.dir.path(), &format!("{run}-{phase}-{copy}"))?;
            }
            moments.push(stage.now());
        }
        Ok(moments)
    }

    async fn ask(&self, body: Vec<u8>) -> BenchResult<()> {
        ask(&self.client, &self.url, body).await
    }
}

fn write_durably(folder: &Path, name: &str) -> BenchResult<()> {
    let new = folder.join("new");
    let path = folder.join(name);
    let mut file = File::create(&new)?;
    file.write_all(ARTIFACT)?;
    file.sync_all()?;
    std::fs::rename(new, path)?;
    Ok(File::open(folder)?.sync_all()?)
}

fn walls(moments: &[CpuSample]) -> impl Iterator<Item = Duration> {
    moments.windows(2).map(|pair| pair[1].at - pair[0].at)
}

/// CPU seconds per phase, from the end of the first to the end of the last, to exclude start and
/// end.
fn cpu_of_phase(moments: &[CpuSample]) -> f64 {
    let ends = &moments[1..];
    match (ends.first(), ends.last()) {
        (Some(first), Some(last)) => (last.cpu - first.cpu).as_secs_f64() / (ends.len() - 1) as f64,
        _ => 0.0,
    }
}

fn one_phase(stage: &EngineBench, bare: &BaselineLoop) -> BenchResult<()> {
    stage.run(PHASES)?;
    let bodies = stage.model.bodies();
    bare.run(stage, PHASES, &bodies, false)?;
    let before = stage.model.requests_and_connections();
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    let mut files = Vec::new();
    for _ in 0..ROUNDS {
        ours.push(stage.run(PHASES)?);
        theirs.push(bare.run(stage, PHASES, &bodies, false)?);
        files.push(bare.run(stage, PHASES, &bodies, true)?);
    }
    let after = stage.model.requests_and_connections();
    let wall = |runs: &[Vec<CpuSample>]| median(runs.iter().flat_map(|run| walls(run).skip(1)));
    let cpu = |runs: &[Vec<CpuSample>]| middle(runs.iter().map(|run| cpu_of_phase(run)));
    figure(
        "one phase over HTTP, wall / baseline loop with 6 commits",
        wall(&ours) / wall(&theirs),
        RatioGoal::AtMost(1.5),
    );
    figure(
        "one phase over HTTP, CPU / baseline loop with 6 commits",
        cpu(&ours) / cpu(&theirs),
        RatioGoal::AtMost(4.0),
    );
    figure(
        "  baseline loop that also stores two files, wall / baseline loop",
        wall(&files) / wall(&theirs),
        RatioGoal::None,
    );
    figure(
        "  baseline loop that also stores two files, CPU / baseline loop",
        cpu(&files) / cpu(&theirs),
        RatioGoal::None,
    );
    figure(
        "  baseline loop, CPU / wall",
        cpu(&theirs) / wall(&theirs),
        RatioGoal::None,
    );
    figure(
        "  requests that reused a connection",
        1.0 - (after.1 - before.1) as f64 / (after.0 - before.0) as f64,
        RatioGoal::None,
    );
    Ok(())
}

/// Counts the commits of additional phases, to exclude the start and the end of a run.
fn commits(stage: &EngineBench) -> BenchResult<()> {
    let database = stage.paths().database();
    let mut counts = Vec::new();
    for phases in [FEW, PHASES] {
        empty_log(&database)?;
        stage.run(phases)?;
        counts.push(f64::from(commits_in_log(&database)?));
    }
    figure(
        "commits of one phase without gates",
        (counts[1] - counts[0]) / (PHASES - FEW) as f64,
        RatioGoal::AtMost(4.0),
    );
    Ok(())
}

fn late_phases(stage: &EngineBench, bare: &BaselineLoop) -> BenchResult<()> {
    let early_bodies = stage.model.bodies();
    let mut early = Vec::new();
    let mut late = Vec::new();
    let mut early_bare = Vec::new();
    let mut late_bare = Vec::new();
    for _ in 0..ROUNDS.div_ceil(2) {
        let times: Vec<Duration> = walls(&stage.run(LONG)?).collect();
        early.extend(times.iter().skip(1).take(PHASES));
        late.extend(times.iter().rev().take(PHASES));
        let late_bodies = stage.model.bodies();
        early_bare.extend(walls(&bare.run(stage, PHASES, &early_bodies, false)?));
        late_bare.extend(walls(&bare.run(stage, PHASES, &late_bodies, false)?));
    }
    figure(
        "phases 55-64 of a run / phases 1-10",
        median(late) / median(early),
        RatioGoal::AtMost(1.05),
    );
    figure(
        "  the baseline loop with the requests of phase 64 / of phase 10",
        median(late_bare) / median(early_bare),
        RatioGoal::None,
    );
    Ok(())
}

fn many_runs(stage: &EngineBench) -> BenchResult<()> {
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
    figure(
        "100 concurrent runs, phases per second / one run",
        ratio,
        RatioGoal::AtLeast(10.0),
    );
    if let (Some(mib), Some(before)) = (peak_mib(), before) {
        figure(
            "100 concurrent runs, peak resident size (with the model) / 64 MiB",
            mib / 64.0,
            RatioGoal::AtMost(1.0),
        );
        figure(
            "  resident before they started / 64 MiB",
            before / 64.0,
            RatioGoal::None,
        );
    }
    Ok(())
}

const ARTIFACT: &[u8] = &[b'x'; 200];
