//! Cost of an agent's turn over a plain round trip: the same request to the same model by the same
//! client, from as many concurrent tasks as there are runs.

use std::time::Duration;

use crate::measure::{BenchResult, RatioGoal, figure, median, middle};
use crate::resources::{forget_peak, peak_mib};
use crate::{BaselineLoop, CpuSample, EngineBench, PHASES, ask};

const ROUNDS: usize = 3;
/// Numbers of concurrent runs.
const COUNTS: [usize; 3] = [1, 10, 100];
/// Memory limit of 100 concurrent runs in MiB; each run has an equal share of it.
const WHOLE_MIB: f64 = 64.0;

/// Wall time and CPU time of one turn.
struct TurnCost {
    wall: Duration,
    cpu: f64,
}

/// Prints the figures of turns for each number of concurrent runs.
pub fn turns(stage: &EngineBench, bare: &BaselineLoop) -> BenchResult<()> {
    stage.runs(1)?;
    let body = stage.model.bodies()[1].clone();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    // This runtime serves the host's connections; those of the baseline loop are idle meanwhile.
    let client = reqwest::Client::builder().no_proxy().build()?;
    for count in COUNTS {
        forget_peak();
        let before = peak_mib();
        let mut ours = Vec::new();
        let mut theirs = Vec::new();
        for _ in 0..ROUNDS {
            ours.push(timed(stage, || stage.runs(count).map(drop))?);
            // Reports are written after the runs have ended.
            std::thread::sleep(Duration::from_millis(100));
            theirs.push(timed(stage, || {
                runtime.block_on(asked(&client, &bare.url, &body, count))
            })?);
        }
        let wall = |turns: &[TurnCost]| median(turns.iter().map(|turn| turn.wall));
        let cpu = |turns: &[TurnCost]| middle(turns.iter().map(|turn| turn.cpu));
        figure(
            &format!("a turn, {count} runs at once, wall / bare round trip"),
            wall(&ours) / wall(&theirs),
            RatioGoal::None,
        );
        figure(
            &format!("a turn, {count} runs at once, CPU / bare round trip"),
            cpu(&ours) / cpu(&theirs),
            RatioGoal::None,
        );
        if let (Some(peak), Some(before)) = (peak_mib(), before) {
            let part = (peak - before) / count as f64 / (WHOLE_MIB / 100.0);
            figure(
                &format!("  memory a run, {count} at once / a hundredth of 64 MiB"),
                part,
                RatioGoal::None,
            );
        }
    }
    Ok(())
}

/// Mean wall time of a request of `work`, and its CPU time without the model's.
fn timed(stage: &EngineBench, work: impl FnOnce() -> BenchResult<()>) -> BenchResult<TurnCost> {
    let (asked, before): (_, CpuSample) = (stage.model.requests_and_connections().0, stage.now());
    work()?;
    let after = stage.now();
    let turns = (stage.model.requests_and_connections().0 - asked).max(1);
    Ok(TurnCost {
        wall: (after.at - before.at) / u32::try_from(turns)?,
        cpu: (after.cpu - before.cpu).as_secs_f64() / turns as f64,
    })
}

/// Makes as many requests as this number of runs.
async fn asked(client: &reqwest::Client, url: &str, body: &[u8], count: usize) -> BenchResult<()> {
    let one = || async {
        for _ in 0..2 * PHASES {
            ask(client, url, body.to_vec()).await?;
        }
        Ok(())
    };
    futures_util::future::join_all((0..count).map(|_| one()))
        .await
        .into_iter()
        .collect()
}
