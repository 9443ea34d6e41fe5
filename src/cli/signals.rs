//! Handles SIGINT, SIGTERM and SIGHUP. Each requests a stop; SIGHUP also means that the terminal is
//! lost.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::engine::host::HandOver;
use crate::model::error::{Failure, Result};

/// Listens for requests to stop, from its making on.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

/// Why to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Somebody said so.
    Stop,
    /// The terminal is gone.
    HangUp,
}

impl Asked {
    /// What becomes of the runs of this process.
    #[must_use]
    pub fn hand_over(self) -> HandOver {
        match self {
            Self::Stop => HandOver::Nothing,
            Self::HangUp => HandOver::AsRunsSay,
        }
    }
}

impl Signals {
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
    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.hang_up.recv() => Asked::HangUp,
        }
    }
}
