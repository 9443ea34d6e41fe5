//! Connects to an engine: attaches to the live host, or becomes the host.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::signals::SignalListener;
use crate::console::ShutdownSignals;
use crate::console::connect::EngineConnection;
use crate::engine::api::{CommandAnswer, CommandSender, EngineCommand, EnginePort};
use crate::engine::host::{EngineHost, HandoverScope, attach, live_host};
use crate::engine::paths::InstallPaths;
use crate::model::error::{Code, Failure, Result};
use crate::model::id::ClientToken;
use crate::model::settings::{AppSettings, CrashPolicy};
use crate::model::state::Via;

/// A port to an engine, and what this process owns of it.
pub struct CliConnection {
    port: EnginePort,
    host: Option<EngineHost>,
    runtime: Runtime,
    grace: Duration,
    notices: Vec<String>,
}

/// Shortens a drain.
type DrainShortener = Box<dyn Fn() + Send + Sync>;

/// A session that closes when it is told.
pub struct ClosingConnection {
    drain: CancellationToken,
    hurry: Option<DrainShortener>,
    thread: std::thread::JoinHandle<(Result<usize>, Runtime)>,
}

impl ClosingConnection {
    /// Shortens the drain.
    pub fn hurry(&self) {
        self.hurry.iter().for_each(|hurry| hurry());
    }

    /// Drains, if that was not asked for before, and waits for the end of it; says how many runs the next
    /// host goes on with.
    ///
    /// # Errors
    /// What closing the database says.
    pub fn wait(self) -> Result<usize> {
        self.drain.cancel();
        match self.thread.join() {
            Ok((closed, _runtime)) => closed,
            Err(_) => Err(Failure::internal("the host broke while it closed")),
        }
    }
}

impl CliConnection {
    /// Attaches to the live host, or becomes the host and takes up what the last one left.
    ///
    /// # Errors
    /// `session_manager_already_running` when a host is there and cannot be reached; what starting says.
    pub fn open(paths: &InstallPaths, settings: &AppSettings) -> Result<Self> {
        Self::find(paths, settings).inspect(|session| {
            session
                .notices
                .iter()
                .for_each(|words| crate::cli::output::streams::warn(words))
        })
    }

    /// As [`open`](Self::open), and tells nobody of what the operator should know.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn find(paths: &InstallPaths, settings: &AppSettings) -> Result<Self> {
        Self::open_with(paths, settings, EngineHost::start)
    }

    fn open_with(
        paths: &InstallPaths,
        settings: &AppSettings,
        start: impl FnOnce(&InstallPaths, &AppSettings) -> Result<EngineHost>,
    ) -> Result<Self> {
        if live_host(paths)?.is_none() {
            match start(paths, settings) {
                Ok(host) => return Self::from_host(host, settings),
                Err(failure) if failure.code == Code::SessionManagerAlreadyRunning => {}
                Err(failure) => return Err(failure),
            }
        }
        let runtime = runtime()?;
        let port = attach(paths, runtime.handle())?;
        Ok(Self {
            port,
            host: None,
            runtime,
            grace: Duration::ZERO,
            notices: Vec::new(),
        })
    }

    /// Around a host of this process.
    ///
    /// # Errors
    /// `io_failed` when no threads can be started.
    pub fn from_host(host: EngineHost, settings: &AppSettings) -> Result<Self> {
        let grace = Duration::from_secs(settings.engine.shutdown_grace_seconds);
        let notices = host.notices().to_vec();
        Ok(Self {
            port: host.port(),
            host: Some(host),
            runtime: runtime()?,
            grace,
            notices,
        })
    }

    /// As [`open`](Self::open), but a new host resumes nothing: it is there to store one command.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn brief(paths: &InstallPaths, settings: &AppSettings) -> Result<Self> {
        let mut settings = settings.clone();
        settings.engine.on_crash = CrashPolicy::Ask;
        settings.engine.shutdown_grace_seconds = 0;
        let session = Self::open_with(paths, &settings, EngineHost::start_for_one_command)?;
        session
            .notices
            .iter()
            .for_each(|words| crate::cli::output::streams::warn(words));
        Ok(session)
    }

    /// Whether the engine lives in this process.
    #[must_use]
    pub fn hosts(&self) -> bool {
        self.host.is_some()
    }

    /// Waits until the engine of this process can store nothing any more, and says why. Never ends where
    /// the engine lives elsewhere.
    pub fn stopped(&self) -> impl Future<Output = Failure> + Send + use<> {
        let stopped = self.host.as_ref().map(EngineHost::store_closed);
        async move {
            match stopped {
                Some(stopped) => stopped.await,
                None => std::future::pending().await,
            }
        }
    }

    /// The way to the engine.
    #[must_use]
    pub fn port(&self) -> EnginePort {
        self.port.clone()
    }

    /// What a console needs of it.
    #[must_use]
    pub fn engine_connection(&self) -> EngineConnection {
        EngineConnection {
            port: self.port(),
            hosting: self.hosts(),
            notices: self.notices.clone(),
        }
    }

    /// Waits for a future on this process's own runtime.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Sends one command as the operator and waits until its effect is stored.
    ///
    /// # Errors
    /// What the engine answers.
    pub fn send(&self, command: EngineCommand) -> Result<CommandAnswer> {
        self.send_by(command, Via::Cli)
    }

    /// As [`send`](Self::send), by another way.
    ///
    /// # Errors
    /// What the engine answers.
    pub fn send_by(&self, command: EngineCommand, via: Via) -> Result<CommandAnswer> {
        self.block_on(self.port.send(
            command,
            CommandSender::from_process(via),
            ClientToken::new(),
        ))
    }

    /// Pauses what this process executes and gives the data back; says how many runs the next host goes
    /// on with, as `over` has it. A signal on the way shortens it.
    ///
    /// # Errors
    /// What closing says; everything acknowledged is stored all the same.
    pub fn close(self, signals: &mut SignalListener, over: HandoverScope) -> Result<usize> {
        let Some(host) = self.host else { return Ok(0) };
        let hurry = host.drain_shortener();
        let (done, mut drained) = oneshot::channel();
        let grace = self.grace;
        let drain = std::thread::spawn(move || drop(done.send(host.hand_over(grace, over))));
        let closed = self.runtime.block_on(async {
            loop {
                tokio::select! {
                    closed = &mut drained => break closed,
                    _ = signals.next() => hurry(),
                }
            }
        });
        drop(drain.join());
        closed.unwrap_or_else(|_| Err(Failure::internal("the drain ended without a word")))
    }

    /// Closes without listening for signals, after a single command.
    ///
    /// # Errors
    /// As [`close`](Self::close).
    pub fn end(self) -> Result<()> {
        self.host.map_or(Ok(()), |host| host.shutdown(self.grace))
    }

    /// Closes on a thread of its own when the console parts, and tells it when that is done.
    #[must_use]
    pub fn close_when(self, parting: &ShutdownSignals) -> ClosingConnection {
        let ShutdownSignals {
            drain,
            drained,
            hand_over,
            hung_up,
        } = parting.clone();
        let hurry: Option<DrainShortener> = self
            .host
            .as_ref()
            .map(|host| Box::new(host.drain_shortener()) as DrainShortener);
        let asked = drain.clone();
        let Self {
            host,
            runtime,
            grace,
            ..
        } = self;
        let thread = std::thread::spawn(move || {
            runtime.block_on(asked.cancelled());
            let over = match () {
                () if hand_over.is_cancelled() => HandoverScope::AllRuns,
                () if hung_up.is_cancelled() => HandoverScope::ByDisconnectPolicy,
                () => HandoverScope::NoRuns,
            };
            let closed = host.map(|host| host.hand_over(grace, over));
            // Nothing is drained where nothing was at work: that is for the session that has the host.
            if closed.is_some() {
                drained.cancel();
            }
            let closed = closed.unwrap_or(Ok(0));
            // Given back, not dropped: the console hears of the end through tasks of this runtime.
            (closed, runtime)
        });
        ClosingConnection {
            drain,
            hurry,
            thread,
        }
    }
}

/// Threads of this process's own, apart from the engine's.
///
/// # Errors
/// `io_failed` when there are none to be had.
pub fn runtime() -> Result<Runtime> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("cli")
        .enable_all()
        .build();
    runtime.map_err(|e| Failure::io("cannot start threads", &e))
}
