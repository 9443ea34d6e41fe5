//! The host's workers that tell the outside world: notices and telemetry.
//!
//! They work beside the runs and never delay one. At the end of the host they get a moment to hand
//! on what has just happened; notices that do not make it are told by the next host.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::engine::context::Context;
use crate::engine::{notify, telemetry};

/// How long the end of a host waits for what is being told.
const PATIENCE: Duration = Duration::from_secs(3);

/// The workers, and how to end them.
pub struct Tellers {
    closing: CancellationToken,
    workers: Vec<JoinHandle<()>>,
}

impl Tellers {
    /// Starts them; those with nobody to tell end at once.
    pub fn start(context: &Arc<Context>, runtime: &Runtime) -> Self {
        let closing = CancellationToken::new();
        let workers = vec![
            runtime.spawn(notify::run(Arc::clone(context), closing.clone())),
            runtime.spawn(telemetry::run(Arc::clone(context), closing.clone())),
        ];
        Self { closing, workers }
    }

    /// Lets them tell what is left, for a moment.
    pub fn finish(self, runtime: &Runtime) {
        self.closing.cancel();
        let all = async {
            for worker in self.workers {
                let _ = worker.await;
            }
        };
        // Whoever is not heard in time is cut off with the runtime.
        let _ = runtime.block_on(async { tokio::time::timeout(PATIENCE, all).await });
    }
}
