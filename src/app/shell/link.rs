//! Connects to the engine in the background while the first frame is already on the screen.
//!
//! Becoming the host acquires the lock, opens and possibly migrates the database, and runs crash
//! recovery, which is too slow for a first frame. It therefore runs on its own thread, and again
//! when the operator takes over from a host that has exited.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use super::pump::Event;
use crate::engine::api::Port;
use crate::model::error::{Failure, Result};

/// A way to an engine that was found.
pub struct Linked {
    /// Commands go there, and signals come from there.
    pub port: Port,
    /// Whether the engine lives in this process.
    pub hosting: bool,
    /// What the operator should know of how the data was found.
    pub notices: Vec<String>,
}

impl std::fmt::Debug for Linked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Linked")
            .field("hosting", &self.hosting)
            .finish_non_exhaustive()
    }
}

/// Finds a way to the engine: blocks while it starts, and may be asked again when the host is gone.
pub type Link = Arc<dyn Fn() -> Result<Linked> + Send + Sync>;

/// The link to an engine of this process that is there already.
#[must_use]
pub fn to_engine(port: Port) -> Link {
    Arc::new(move || {
        Ok(Linked {
            port: port.clone(),
            hosting: true,
            notices: Vec::new(),
        })
    })
}

/// Finds the way on a thread of its own; what became of it comes as an event.
///
/// # Errors
/// `io_failed` when no thread can be started.
pub fn begin(link: &Link, events: &Sender<Event>) -> Result<()> {
    let (link, events) = (link.clone(), events.clone());
    let find = move || {
        let linked = link();
        // Before the word is out: the console may end by it, and waits until nobody can link any more.
        drop(link);
        let _ = events.send(Event::Linked(linked));
    };
    let thread = std::thread::Builder::new()
        .name("console-link".to_owned())
        .spawn(find);
    thread
        .map(drop)
        .map_err(|e| Failure::io("cannot start a thread for the engine", &e))
}
