//! Channels between the screen thread and the engine's runtime: commands in, signals out.
//!
//! Signals may be dropped when the screen is slow, because facts are stored. A drop is reported as
//! "stale", and the screen then queries the archive.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;

use rustix::process::Signal as Kind;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::AbortHandle;

use super::ShutdownSignals;
use crate::app::msg::{CommandTicket, Msg};
use crate::console::event_loop::LoopEvent;
use crate::engine::api::{CommandSender as From, EngineCommand, EnginePort, EngineSignal};
use crate::model::error::{Failure, Result};
use crate::model::id::ClientToken;
use crate::model::state::Via;

/// Maximum number of queued signals.
const WAITING: usize = 4096;

/// The screen's side of the channels.
pub struct EngineBridge {
    runtime: Handle,
    port: Option<EnginePort>,
    /// Commands sent before the engine was connected.
    early: Vec<(CommandTicket, EngineCommand)>,
    news: Option<AbortHandle>,
    events: Sender<LoopEvent>,
    waiting: Arc<AtomicUsize>,
    outside: Arc<AtomicBool>,
}

impl EngineBridge {
    /// Forwards process signals and the engine's exit to the screen.
    ///
    /// # Errors
    /// `io_failed` if signal handlers cannot be installed.
    pub fn tie(
        runtime: Handle,
        parting: &ShutdownSignals,
        events: Sender<LoopEvent>,
    ) -> Result<Self> {
        let waiting = Arc::new(AtomicUsize::new(0));
        let wires = Self {
            runtime,
            port: None,
            early: Vec::new(),
            news: None,
            events,
            waiting,
            outside: Arc::default(),
        };
        wires.forward_signals(parting)?;
        let (drained, events) = (parting.drained.clone(), wires.events.clone());
        wires.runtime.spawn(async move {
            drained.cancelled().await;
            let _ = events.send(LoopEvent::Msg(Msg::Drained));
        });
        Ok(wires)
    }

    /// Connects the screen to an engine, replacing the previous one; sends queued commands.
    pub fn link(&mut self, port: EnginePort) {
        if let Some(before) = self.news.replace(self.forward_news(&port)) {
            before.abort();
        }
        self.port = Some(port);
        for (ticket, command) in std::mem::take(&mut self.early) {
            self.send(ticket, command);
        }
    }

    /// Sends a command once an engine is connected; its result arrives as a message.
    pub fn send(&mut self, ticket: CommandTicket, command: EngineCommand) {
        let Some(port) = self.port.clone() else {
            return self.early.push((ticket, command));
        };
        let events = self.events.clone();
        self.runtime.spawn(async move {
            let answer = port
                .send(
                    command,
                    From::from_process(Via::Console),
                    ClientToken::new(),
                )
                .await;
            let _ = events.send(LoopEvent::Msg(Msg::Answered(ticket, answer)));
        });
    }

    /// Records that the screen has processed one signal.
    pub fn taken(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Sets whether an external program has the terminal; interrupt keys are then meant for it.
    pub fn outside(&self, there: bool) {
        self.outside.store(there, Ordering::SeqCst);
    }

    fn forward_news(&self, port: &EnginePort) -> AbortHandle {
        let mut news = port.signals();
        let (events, waiting) = (self.events.clone(), self.waiting.clone());
        let told = self.runtime.spawn(async move {
            let mut missed = false;
            loop {
                let msg = match news.recv().await {
                    Ok(EngineSignal::Event(event)) => Msg::Event(event),
                    Ok(EngineSignal::Text(chunk)) => Msg::Text(chunk),
                    Ok(EngineSignal::HostPresence(there)) => Msg::Host(there),
                    Ok(EngineSignal::DatabaseLocked(held)) => Msg::Held(held),
                    Ok(EngineSignal::Lagged) | Err(RecvError::Lagged(_)) => Msg::Stale,
                    Err(RecvError::Closed) => return,
                };
                if waiting.load(Ordering::Relaxed) >= WAITING {
                    missed |= !matches!(msg, Msg::Text(_));
                    continue;
                }
                if std::mem::take(&mut missed) && !publish(&events, &waiting, Msg::Stale) {
                    return;
                }
                if !publish(&events, &waiting, msg) {
                    return;
                }
            }
        });
        told.abort_handle()
    }

    fn forward_signals(&self, parting: &ShutdownSignals) -> Result<()> {
        let _entered = self.runtime.enter();
        for kind in [
            SignalKind::terminate(),
            SignalKind::interrupt(),
            SignalKind::hangup(),
        ] {
            let mut caught = signal(kind).map_err(|e| Failure::io("cannot catch signals", &e))?;
            let events = self.events.clone();
            let outside = (kind == SignalKind::interrupt()).then(|| self.outside.clone());
            let hung_up = (kind == SignalKind::hangup()).then(|| parting.hung_up.clone());
            self.runtime.spawn(async move {
                while caught.recv().await.is_some() {
                    hung_up
                        .iter()
                        .for_each(tokio_util::sync::CancellationToken::cancel);
                    let of_other = outside
                        .as_ref()
                        .is_some_and(|outside| outside.load(Ordering::SeqCst));
                    if !of_other && events.send(LoopEvent::Msg(Msg::Draining)).is_err() {
                        return;
                    }
                }
            });
        }
        // The console itself never gets this key; a program that has the terminal may, and we with it.
        let mut quit =
            signal(SignalKind::quit()).map_err(|e| Failure::io("cannot catch signals", &e))?;
        self.runtime
            .spawn(async move { while quit.recv().await.is_some() {} });
        self.forward(SignalKind::window_change(), || LoopEvent::Resized)?;
        self.forward(SignalKind::from_raw(Kind::TSTP.as_raw()), || {
            LoopEvent::Suspend
        })?;
        self.forward(SignalKind::from_raw(Kind::CONT.as_raw()), || {
            LoopEvent::Continued
        })
    }

    fn forward(&self, kind: SignalKind, told: fn() -> LoopEvent) -> Result<()> {
        let mut caught = signal(kind).map_err(|e| Failure::io("cannot catch signals", &e))?;
        let events = self.events.clone();
        self.runtime.spawn(async move {
            while caught.recv().await.is_some() && events.send(told()).is_ok() {}
        });
        Ok(())
    }
}

fn publish(events: &Sender<LoopEvent>, waiting: &AtomicUsize, msg: Msg) -> bool {
    waiting.fetch_add(1, Ordering::Relaxed);
    events.send(LoopEvent::News(msg)).is_ok()
}
