//! Handles SIGINT, SIGTERM and SIGHUP. Each requests a stop; SIGHUP also means that the terminal is
//! lost.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::engine::host::HandoverScope;
use crate::model::error::{Failure, Result};

/// Listens for requests to stop, from its making on.
pub struct SignalListener {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

/// Why to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopSignal {
    /// Somebody said so.
    Stop,
    /// The terminal is gone.
    HangUp,
}

impl StopSignal {
    /// What becomes of the runs of this process.
    #[must_use]
    pub fn hand_over(self) -> HandoverScope {
        match self {
            Self::Stop => HandoverScope::NoRuns,
            Self::HangUp => HandoverScope::ByDisconnectPolicy,
        }
    }
}

impl SignalListener {
    /// Begins to listen; must be called within a runtime.
    ///
    /// # Errors
    /// `io_failed` when the system refuses.
    pub fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).map_err(|e| Failure::io("cannot listen for signals", &e));
        let (interrupt, terminate) = (
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
        );
        Ok(Self {
            interrupt,
            terminate,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for the next request to stop.
    pub async fn next(&mut self) -> StopSignal {
        tokio::select! {
            _ = self.interrupt.recv() => StopSignal::Stop,
            _ = self.terminate.recv() => StopSignal::Stop,
            _ = self.hang_up.recv() => StopSignal::HangUp,
        }
    }
}
