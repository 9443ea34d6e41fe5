//! Executes a run headless: prints its events, answers its gates by policy, and exits with the
//! run's status.
//!
//! Events are read from the archive, so none is lost. Engine signals only wake the reader; polling
//! every 100 ms covers lost signals. A request to stop pauses the run directly if this process is
//! the host, and otherwise asks the host to pause it.

use std::time::Duration;

use super::args::HeadlessArgs;
use super::exit::ExitStatus;
use super::signals::{SignalListener, StopSignal};
use crate::cli::commands::host;
use crate::cli::context::CommandContext;
use crate::cli::engine_connection::CliConnection;
use crate::cli::headless_policy::{GateAction, HeadlessPolicy};
use crate::cli::output::event_line;
use crate::cli::output::gate::GatePrompt;
use crate::cli::output::streams::{CommandError, CommandOutcome, CommandOutput};
use crate::cli::output::summary::{next, standing};
use crate::engine::api::{CommandSender, EngineCommand, EnginePort, EngineSignal, RunArchive};
use crate::engine::host::HandoverScope;
use crate::engine::outbound::gate_token;
use crate::engine::paths::InstallPaths;
use crate::model::error::{Code, Failure};
use crate::model::event::JournalEvent;
use crate::model::id::{ClientToken, RequestId, RunId};
use crate::model::state::Via;

/// How often the archive is looked at when no signal comes.
const LOOK: Duration = Duration::from_millis(100);
/// Events read at once.
const PAGE: u32 = 256;

/// A run being driven.
pub struct HeadlessRun<'a> {
    out: CommandOutput,
    json: bool,
    archive: &'a RunArchive,
    paths: InstallPaths,
    port: EnginePort,
    hosts: bool,
    watch: HeadlessPolicy,
    next: u64,
}

/// Why driving stopped.
enum HaltReason {
    /// The run has ended, or paused by itself.
    Ended(ExitStatus),
    /// Somebody wants this process to stop.
    Asked(StopSignal),
}

/// Drives `run` from event `from` on and closes the session. Earlier events are taken in, not printed.
///
/// # Errors
/// What reading, writing or the engine says.
pub fn drive(
    setup: &CommandContext,
    session: CliConnection,
    run: RunId,
    from: u64,
    how: HeadlessArgs,
) -> CommandOutcome {
    let archive = setup
        .archive_if_any()?
        .ok_or_else(|| Failure::internal("the engine made no database"))?;
    let (port, hosts) = (session.port(), session.hosts());
    let watch = HeadlessPolicy::new(run, how.gate_policy());
    let mut driving = HeadlessRun {
        out: setup.out,
        json: how.json,
        archive: &archive,
        paths: setup.paths.clone(),
        port,
        hosts,
        watch,
        next: 1,
    };
    driving.catch_up(from)?;
    let mut signals = session.block_on(async { SignalListener::listen() })?;
    let stopped = session.stopped();
    let halted = session.block_on(async {
        tokio::select! {
            halted = driving.follow(&mut signals) => halted,
            why = stopped => Err(why.into()),
        }
    });
    let over = if let Ok(HaltReason::Asked(asked)) = &halted {
        asked.hand_over()
    } else {
        HandoverScope::NoRuns
    };
    if matches!(halted, Ok(HaltReason::Asked(_))) && hosts {
        setup
            .out
            .note("pausing at the next checkpoint; once more stops at once");
    }
    let closed = session.close(&mut signals, over);
    let drained = driving.read_new_events();
    let exit = driving.conclude(halted, drained.err())?;
    if closed? > 0 {
        host::detach(&setup.paths)?;
    }
    Ok(exit)
}

impl HeadlessRun<'_> {
    fn catch_up(&mut self, from: u64) -> Result<(), CommandError> {
        while self.next < from {
            let page = u32::try_from(from - self.next).unwrap_or(PAGE).min(PAGE);
            let events = self
                .archive
                .events(self.watch.state().run_id, self.next, page)?;
            if events.is_empty() {
                break;
            }
            for event in &events {
                self.watch.catch_up(event)?;
                self.next = event.seq + 1;
            }
        }
        Ok(())
    }

    async fn follow(&mut self, signals: &mut SignalListener) -> Result<HaltReason, CommandError> {
        let mut woken = self.port.signals();
        let mut asked = false;
        loop {
            self.read_new_events()?;
            if let Some(exit) = self.watch.ended() {
                return Ok(HaltReason::Ended(exit));
            }
            if let Some(act) = self.watch.act() {
                self.act(act).await?;
                continue;
            }
            tokio::select! {
                signal = woken.recv() => {
                    let mut next = signal.ok();
                    while let Some(signal) = next {
                        self.handle_signal(&signal);
                        next = woken.try_recv().ok();
                    }
                }
                () = tokio::time::sleep(LOOK) => {}
                why = signals.next() => {
                    // A host elsewhere is not concerned by the terminal of who only looks on.
                    if self.hosts || asked || why == StopSignal::HangUp {
                        return Ok(HaltReason::Asked(why));
                    }
                    asked = true;
                    self.request_pause().await?;
                }
            }
        }
    }

    /// What no event can tell, because nothing can be stored.
    fn handle_signal(&self, signal: &EngineSignal) {
        match signal {
            EngineSignal::DatabaseLocked(true) => self
                .out
                .note("another program holds the database: nothing can be stored until it lets go"),
            EngineSignal::DatabaseLocked(false) => self
                .out
                .note("the database is free again: what waited is stored"),
            _ => {}
        }
    }

    /// Prints and takes in everything new.
    fn read_new_events(&mut self) -> Result<(), CommandError> {
        loop {
            let events = self
                .archive
                .events(self.watch.state().run_id, self.next, PAGE)?;
            for event in &events {
                self.watch.apply(event)?;
                self.next = event.seq + 1;
                print_event(self.out, event, self.json)?;
            }
            if events.len() < PAGE as usize {
                return Ok(());
            }
        }
    }

    async fn act(&mut self, act: GateAction) -> Result<(), CommandError> {
        match act {
            GateAction::Explain(open) => {
                let question = GatePrompt::from_state(self.watch.state(), &open);
                let told = question.how_to_answer(self.out.aside);
                self.out
                    .note(&(told.trim_end().to_owned() + &self.token_line(open.request_id).await));
            }
            GateAction::Send(command) => match self
                .port
                .send(
                    command,
                    CommandSender::from_process(Via::Policy),
                    ClientToken::new(),
                )
                .await
            {
                Ok(_) => {}
                // Somebody was faster, or the file changed under the gate: the news will tell.
                Err(failure) if answered_elsewhere(failure.code) => self.out.failures(&[failure]),
                Err(failure) => return Err(failure.into()),
            },
        }
        Ok(())
    }

    /// A line with a token for the question; without one where it cannot be stored, which is no reason to stop.
    async fn token_line(&self, request: RequestId) -> String {
        let asked = self.archive.approvals(self.watch.state().run_id).ok();
        let Some(question) =
            asked.and_then(|asked| asked.into_iter().find(|question| question.id == request))
        else {
            return String::new();
        };
        let paths = self.paths.clone();
        let issued =
            tokio::task::spawn_blocking(move || gate_token::issue(&paths, &question)).await;
        issued
            .ok()
            .and_then(Result::ok)
            .map(|token| format!("\n  {:<10}phasedeck approve --token {token}", "or"))
            .unwrap_or_default()
    }

    async fn request_pause(&self) -> Result<(), CommandError> {
        self.out
            .note("asking the host to pause the run; once more leaves at once");
        let pause = EngineCommand::Pause {
            run_id: self.watch.state().run_id,
        };
        self.port
            .send(
                pause,
                CommandSender::from_process(Via::Cli),
                ClientToken::new(),
            )
            .await?;
        Ok(())
    }

    /// The summary and the exit code, whatever happened.
    fn conclude(
        &self,
        halted: Result<HaltReason, CommandError>,
        after: Option<CommandError>,
    ) -> CommandOutcome {
        let record = self.archive.run(self.watch.state().run_id)?;
        self.out
            .note((standing(&record, self.out.aside) + &next(&record, self.out.aside)).trim_end());
        match (halted, after) {
            (Err(CommandError::Failed(failures)), _)
            | (_, Some(CommandError::Failed(failures))) => Err(CommandError::Failed(failures)),
            (Ok(HaltReason::Ended(exit)), _) => Ok(exit),
            (Ok(HaltReason::Asked(_)) | Err(CommandError::PipeClosed), _) => {
                Ok(self.watch.ended().unwrap_or(ExitStatus::Waiting))
            }
        }
    }
}

fn answered_elsewhere(code: Code) -> bool {
    matches!(
        code,
        Code::ApprovalAlreadyResolved
            | Code::ArtifactChanged
            | Code::NoPendingApproval
            | Code::RunAlreadyTerminal
    )
}

/// Prints one event on one line.
///
/// # Errors
/// `PipeClosed`, or `io_failed`.
pub fn print_event(
    out: CommandOutput,
    event: &JournalEvent,
    json: bool,
) -> Result<(), CommandError> {
    if json {
        out.object(event)
    } else {
        out.print(&(event_line::line(event, &event.at.local_clock(), out.style) + "\n"))
    }
}
