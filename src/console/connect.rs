//! Connects to the engine in the background while the first frame is already on the screen.
//!
//! Becoming the host acquires the lock, opens and possibly migrates the database, and runs crash
//! recovery, which is too slow for a first frame. It therefore runs on its own thread, and again
//! when the operator takes over from a host that has exited.

use crate::console::event_loop::LoopEvent;
use crate::engine::api::EnginePort;
use crate::model::error::{Failure, Result};
use std::sync::Arc;
use std::sync::mpsc::Sender;

/// A connection to an engine.
pub struct EngineConnection {
    /// Sends commands and receives signals.
    pub port: EnginePort,
    /// Whether the engine runs in this process.
    pub hosting: bool,
    /// Startup warnings for the operator.
    pub notices: Vec<String>,
}

impl std::fmt::Debug for EngineConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Linked")
            .field("hosting", &self.hosting)
            .finish_non_exhaustive()
    }
}

/// Connects to the engine. Blocks while it starts; called again when the host is gone.
pub type ConnectFn = Arc<dyn Fn() -> Result<EngineConnection> + Send + Sync>;

/// Returns a connector for an engine already running in this process.
#[must_use]
pub fn to_engine(port: EnginePort) -> ConnectFn {
    Arc::new(move || {
        Ok(EngineConnection {
            port: port.clone(),
            hosting: true,
            notices: Vec::new(),
        })
    })
}

/// Connects on a separate thread; the result arrives as an event.
///
/// # Errors
/// `io_failed` if the thread cannot be started.
pub fn start(link: &ConnectFn, events: &Sender<LoopEvent>) -> Result<()> {
    let (link, events) = (link.clone(), events.clone());
    let find = move || {
        let linked = link();
        // Before the word is out: the console may end by it, and waits until nobody can link any more.
        drop(link);
        let _ = events.send(LoopEvent::Linked(linked));
    };
    let thread = std::thread::Builder::new()
        .name("console-link".to_owned())
        .spawn(find);
    thread
        .map(drop)
        .map_err(|e| Failure::io("cannot start a thread for the engine", &e))
}
