//! SIGINT and SIGTERM: both ask to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::model::error::{Failure, Result};

/// Listens for requests to stop, from its making on.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Begins to listen; must be called within a runtime.
    ///
    /// # Errors
    /// `io_failed` when the system refuses.
    pub fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).map_err(|e| Failure::io("cannot listen for signals", &e));
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Waits for the next request to stop.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
