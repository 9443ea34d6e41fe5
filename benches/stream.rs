//! Cost of following streaming agents: eight streams of 200 words per second through the whole
//! engine, less the cost of reading such streams from their sockets.

use std::time::{Duration, Instant};

use measure::{BenchResult, RatioGoal, figure, folder};
use model::{ModelServer, StreamPace};
use phasedeck::engine::paths::InstallPaths;
use resources::cpu_of_process;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[expect(dead_code, reason = "shared with the benches that need more of it")]
#[path = "support/bare.rs"]
mod bare;
#[expect(dead_code, reason = "shared with the benches that need more of it")]
#[path = "support/measure.rs"]
mod measure;
#[expect(dead_code, reason = "shared with the benches that need more of it")]
#[path = "support/model.rs"]
mod model;
#[expect(dead_code, reason = "shared with the benches that need more of it")]
#[path = "support/resources.rs"]
mod resources;
#[path = "support/stage.rs"]
mod stage;

const AGENTS: usize = 8;
const PACE: StreamPace = StreamPace {
    words: 1_000,
    every: Duration::from_millis(5),
};

fn main() -> BenchResult<()> {
    let dir = folder()?;
    let model = ModelServer::paced(PACE)?;
    let paths = InstallPaths::beneath(dir.path());
    let host = stage::host(&paths, &[1], model.base_url())?;
    let ours = share_of_a_core(&model, || {
        host.handle()
            .block_on(stage::runs(&host, &paths, 1, AGENTS))
            .map(drop)
    })?;
    let request = request(&model);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let bare = share_of_a_core(&model, || runtime.block_on(readers(&request)))?;
    figure(
        "8 streams of 200 words/s: a core's share beyond reading them / 5 %",
        (ours - bare) / 0.05,
        RatioGoal::AtMost(1.0),
    );
    figure(
        "  reading them / 5 % of a core",
        bare / 0.05,
        RatioGoal::None,
    );
    host.shutdown(Duration::from_secs(5))?;
    Ok(())
}

/// CPU time without the model's, divided by wall time.
fn share_of_a_core(
    model: &ModelServer,
    work: impl FnOnce() -> BenchResult<()>,
) -> BenchResult<f64> {
    let begun = Instant::now();
    let cpu = cpu_of_process();
    let its = model.cpu();
    work()?;
    let used = (cpu_of_process() - cpu).saturating_sub(model.cpu() - its);
    Ok(used.as_secs_f64() / begun.elapsed().as_secs_f64())
}

/// The request of a first turn, as sent by an agent.
fn request(model: &ModelServer) -> (String, Vec<u8>) {
    let [body, _] = model.bodies();
    let address = model
        .base_url()
        .trim_start_matches("http://")
        .trim_end_matches("/v1")
        .to_owned();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    (address, [head.as_bytes(), &body].concat())
}

/// The same streams, read and discarded.
async fn readers(request: &(String, Vec<u8>)) -> BenchResult<()> {
    let one = || async {
        let mut socket = TcpStream::connect(&request.0).await?;
        socket.write_all(&request.1).await?;
        let mut chunk = vec![0; 1 << 16];
        loop {
            let read = socket.read(&mut chunk).await?;
            if read == 0 || chunk[..read].ends_with(b"0\r\n\r\n") {
                return Ok(());
            }
        }
    };
    futures_util::future::join_all((0..AGENTS).map(|_| one()))
        .await
        .into_iter()
        .collect()
}
