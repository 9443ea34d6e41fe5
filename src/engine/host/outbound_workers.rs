//! The host's outbound workers: notifications and telemetry.
//!
//! They run beside the runs and never delay one. At shutdown they get a few seconds to deliver what
//! has just happened; notifications that are not delivered in time are sent by the next host.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::outbound::{notify, telemetry};
use crate::engine::run::context::EngineContext;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Time for pending deliveries at shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);

/// The outbound workers and their cancellation.
pub struct OutboundWorkers {
    closing: CancellationToken,
    workers: Vec<JoinHandle<()>>,
}

impl OutboundWorkers {
    /// Starts the workers; one without a configured destination exits at once.
    pub fn start(context: &Arc<EngineContext>, runtime: &Runtime) -> Self {
        let closing = CancellationToken::new();
        let workers = vec![
            runtime.spawn(notify::run(Arc::clone(context), closing.clone())),
            runtime.spawn(telemetry::run(Arc::clone(context), closing.clone())),
        ];
        Self { closing, workers }
    }

    /// Delivers what is pending, within the time limit.
    pub fn finish(self, runtime: &Runtime) {
        self.closing.cancel();
        let all = async {
            for worker in self.workers {
                let _ = worker.await;
            }
        };
        // A worker that does not finish in time is dropped with the runtime.
        let _ = runtime.block_on(async { tokio::time::timeout(SHUTDOWN_TIMEOUT, all).await });
    }
}
