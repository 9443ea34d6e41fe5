//! The event loop: receive messages, update, execute commands, draw when something changed.
//!
//! At most one frame is drawn per [`FRAME`], plus one per key, which overtakes queued signals
//! ([`super::queue`]). Under a flood of signals the frame rate is halved. All messages that arrived
//! between frames are processed together. With nothing pending and nothing time-dependent on the
//! screen, it sleeps.

use std::collections::VecDeque;
use std::process::{Child, ExitStatus};
use std::sync::PoisonError;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::input::{self, KeyboardLock};
use super::terminal::TerminalScreen;
use super::{ConsoleExit, ShutdownSignals};
use crate::app::keymap::key::KeyChord;
use crate::app::msg::{
    ArchiveQuery, BackgroundJob, ClockReading, Cmd, ExternalProgram, ExternalResult, Msg,
};
use crate::app::state::{AppState, QuitProgress};
use crate::app::update::{keep_all, update};
use crate::console::archive_reader::ReaderTask;
use crate::console::connect;
use crate::console::connect::{ConnectFn, EngineConnection};
use crate::console::engine_bridge::EngineBridge;
use crate::console::external_program;
use crate::console::external_program::{ExternalJob, TerminalSettings};
use crate::console::input_queue;
use crate::engine::paths::InstallPaths;
use crate::model::error::{Failure, Result};
use crate::model::time::{Timestamp, whole_ms};

/// Minimum time between two frames.
pub const FRAME: Duration = Duration::from_millis(16);
/// Minimum time between two frames under a flood of signals.
const FLOOD_FRAME: Duration = Duration::from_millis(33);
/// Signals since the last frame that count as a flood: about 2,000 per second.
const FLOOD: usize = 33;

/// How long quitting waits for drafts to be saved.
const SETTLE: Duration = Duration::from_millis(500);

/// Key that makes the loop panic, for the panic test.
#[cfg(test)]
const DEFECT: KeyChord = KeyChord {
    code: crate::app::keymap::key::KeyCode::F(12),
    ctrl: false,
    alt: true,
};

/// An event for the loop.
#[derive(Debug)]
pub enum LoopEvent {
    Msg(Msg),
    /// A message that counts against the limit of queued signals.
    News(Msg),
    TerminalGone,
    /// The terminal supports synchronized output.
    Synchronizes,
    Resized,
    /// Result of connecting to the engine.
    Linked(Result<EngineConnection>),
    /// SIGTSTP: suspend the process.
    Suspend,
    /// SIGCONT: the process was continued.
    Continued,
}

/// State of connecting to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectState {
    /// Waits for the first useful frame.
    Waiting,
    /// The data of that frame has arrived.
    Due,
    Begun,
    /// Connected at least once.
    Done,
}

/// The event loop and its resources.
pub struct EventLoop {
    pub state: AppState,
    pub terminal: TerminalScreen,
    pub wires: EngineBridge,
    pub link: ConnectFn,
    pub linking: ConnectState,
    /// Sender for the connecting thread.
    pub sender: Sender<LoopEvent>,
    /// Why connecting to the engine failed.
    pub refused: Option<Failure>,
    pub library: Sender<ReaderTask>,
    pub workshop: Sender<BackgroundJob>,
    pub events: Receiver<LoopEvent>,
    pub parting: ShutdownSignals,
    /// Locked while an external program has the terminal.
    pub keyboard: KeyboardLock,
    /// Paths of copies for external programs.
    pub paths: InstallPaths,
    pub opened: Instant,
    /// Signals since the last frame.
    pub news: usize,
}

impl EventLoop {
    /// Runs until the operator quits or the terminal is gone.
    ///
    /// # Errors
    /// `io_failed` if a frame cannot be written, and errors of connecting to the engine.
    pub fn run(mut self, first: Vec<Cmd>) -> Result<ConsoleExit> {
        let exit = self.turn(first)?;
        self.settle();
        self.refused.take().map_or(Ok(exit), Err)
    }

    /// Saves all unsaved drafts and waits, with a timeout, until they are on disk.
    fn settle(&mut self) {
        let cmds = keep_all(&mut self.state);
        let _ = self.carry_out(cmds, &mut VecDeque::new());
        let (done, told) = channel();
        if self.library.send(ReaderTask::Settle(done)).is_ok() {
            let _ = told.recv_timeout(SETTLE);
        }
    }

    fn turn(&mut self, first: Vec<Cmd>) -> Result<ConsoleExit> {
        let mut waiting: VecDeque<LoopEvent> = VecDeque::new();
        let mut next_frame = Instant::now();
        let mut next_after_key = next_frame;
        if let Some(exit) = self.carry_out(first, &mut waiting) {
            return Ok(exit);
        }
        loop {
            waiting.extend(self.events.try_iter());
            let first = input_queue::before_news(&mut waiting);
            // Apply keys that have already arrived, so that the due frame shows their effect.
            if first.is_none() && self.state.dirty && Instant::now() >= next_frame {
                if let Some(exit) = self.frame(&mut waiting)? {
                    return Ok(exit);
                }
                let flood = std::mem::take(&mut self.news) >= FLOOD;
                next_frame = Instant::now() + if flood { FLOOD_FRAME } else { FRAME };
                continue;
            }
            let event = first
                .or_else(|| waiting.pop_front())
                .or_else(|| self.wait(next_frame));
            if matches!(event, Some(LoopEvent::Msg(Msg::Key(_)))) {
                // A key is handled before other work.
                next_frame = next_frame.min(next_after_key);
                next_after_key = Instant::now() + FRAME;
            }
            if let Some(exit) = self.apply(event, &mut waiting) {
                return Ok(exit);
            }
            if self.linking == ConnectState::Due {
                // The first useful frame ignores the frame interval.
                next_frame = Instant::now();
            }
        }
    }

    /// Returns the next event, or `None` when a frame or a time-dependent redraw is due.
    fn wait(&self, next_frame: Instant) -> Option<LoopEvent> {
        let patience = match (self.state.dirty, self.state.next_change_in()) {
            (true, _) => Some(next_frame.saturating_duration_since(Instant::now())),
            (false, wake) => wake.map(Duration::from_millis),
        };
        match patience {
            None => self.events.recv().ok().or(Some(LoopEvent::TerminalGone)),
            Some(patience) => match self.events.recv_timeout(patience) {
                Ok(event) => Some(event),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => Some(LoopEvent::TerminalGone),
            },
        }
    }

    fn apply(
        &mut self,
        event: Option<LoopEvent>,
        waiting: &mut VecDeque<LoopEvent>,
    ) -> Option<ConsoleExit> {
        let msg = match event {
            // Woken for a frame that is due; time itself is only told when nothing else is to do.
            None if self.state.dirty => return None,
            None => Msg::Tick,
            Some(LoopEvent::TerminalGone) => return Some(self.gone()),
            Some(LoopEvent::Msg(Msg::Key(chord))) if chord == KeyChord::ctrl('z') => {
                return self.suspend(waiting);
            }
            #[cfg(test)]
            Some(LoopEvent::Msg(Msg::Key(chord))) if chord == DEFECT => {
                std::panic::panic_any("a defect, made on purpose")
            }
            Some(LoopEvent::Suspend) => return self.suspend(waiting),
            Some(LoopEvent::Continued) => return self.come_back(waiting),
            Some(LoopEvent::Synchronizes) => {
                self.terminal.synchronizes();
                return None;
            }
            Some(LoopEvent::Resized) => {
                // Even if the size is unchanged, the terminal may have lost cells while resizing.
                self.terminal.forget();
                let (columns, rows) = crossterm::terminal::size().unwrap_or(self.state.look.size);
                Msg::Resize(columns, rows)
            }
            Some(LoopEvent::Linked(linked)) => return self.linked(linked, waiting),
            Some(LoopEvent::Msg(msg)) => {
                let answers = matches!(msg, Msg::Loaded(ArchiveQuery::Runs(_), _));
                if self.linking == ConnectState::Waiting && answers {
                    self.linking = ConnectState::Due;
                }
                msg
            }
            Some(LoopEvent::News(msg)) => {
                self.wires.taken();
                self.news += 1;
                msg
            }
        };
        self.feed(msg, waiting)
    }

    fn feed(&mut self, msg: Msg, waiting: &mut VecDeque<LoopEvent>) -> Option<ConsoleExit> {
        let now = self.now();
        let cmds = update(&mut self.state, msg, now);
        self.carry_out(cmds, waiting)
    }

    fn now(&self) -> ClockReading {
        ClockReading {
            wall: Timestamp::now(),
            ticks: whole_ms(self.opened.elapsed()),
        }
    }

    /// Draws a frame and reports to the state what was drawn and whether input was pending.
    fn frame(&mut self, waiting: &mut VecDeque<LoopEvent>) -> Result<Option<ConsoleExit>> {
        self.state.dirty = false;
        self.state.now = self.now();
        let mut drawn = self
            .terminal
            .draw(&self.state)
            .map_err(|e| Failure::io("cannot write to the terminal", &e))?;
        waiting.extend(self.events.try_iter());
        drawn.drained = !waiting.iter().any(input_queue::is_input);
        if self.linking == ConnectState::Due {
            self.start_connect();
        }
        Ok(self.feed(Msg::Drawn(drawn), waiting))
    }

    /// Connects to the engine in the background.
    fn start_connect(&mut self) {
        if self.linking != ConnectState::Done {
            self.linking = ConnectState::Begun;
        }
        if let Err(failure) = connect::start(&self.link, &self.sender) {
            drop(self.sender.send(LoopEvent::Linked(Err(failure))));
        }
    }

    /// Handles the connection result. A failure ends the console, unless it had lost its host.
    fn linked(
        &mut self,
        linked: Result<EngineConnection>,
        waiting: &mut VecDeque<LoopEvent>,
    ) -> Option<ConsoleExit> {
        match linked {
            Ok(EngineConnection {
                port,
                hosting,
                notices,
            }) => {
                self.linking = ConnectState::Done;
                self.wires.link(port);
                self.feed(Msg::Linked(hosting, notices), waiting)
            }
            Err(failure) if self.linking == ConnectState::Done => {
                self.feed(Msg::NotLinked(failure), waiting)
            }
            Err(failure) => {
                self.refused = Some(failure);
                Some(ConsoleExit::Quit)
            }
        }
    }

    fn carry_out(
        &mut self,
        cmds: Vec<Cmd>,
        waiting: &mut VecDeque<LoopEvent>,
    ) -> Option<ConsoleExit> {
        for cmd in cmds {
            match cmd {
                Cmd::Send(ticket, command) => self.wires.send(ticket, command),
                Cmd::Query(query) => drop(self.library.send(ReaderTask::Ask(query))),
                Cmd::Work(work) => drop(self.workshop.send(work)),
                Cmd::SaveDraft(key, draft) => drop(self.library.send(ReaderTask::Keep(key, draft))),
                Cmd::SaveForm(draft) => drop(self.library.send(ReaderTask::KeepForm(draft))),
                // A failed notification must not end the console.
                Cmd::Notify(words) => drop(self.terminal.notify(words)),
                Cmd::Copy(text, what) => {
                    if let Some(exit) = self.copy(&text, what, waiting) {
                        return Some(exit);
                    }
                }
                Cmd::Outside(outside) => {
                    if let Some(exit) = self.lend(&outside, waiting) {
                        return Some(exit);
                    }
                }
                Cmd::DropEdit(request_id) => external_program::drop_edit(&self.paths, request_id),
                Cmd::Link => self.start_connect(),
                Cmd::Drain => self.parting.drain.cancel(),
                Cmd::HandOver => self.parting.hand_over.cancel(),
                Cmd::Quit => return Some(self.exit()),
            }
        }
        None
    }

    /// Runs an external program on the terminal. Other events wait until it exits; a termination
    /// signal or a hang-up ends the program.
    fn lend(
        &mut self,
        outside: &ExternalProgram,
        waiting: &mut VecDeque<LoopEvent>,
    ) -> Option<ConsoleExit> {
        let mut errand = match ExternalJob::prepare(&self.paths, outside) {
            Ok(errand) => errand,
            Err(failure) => {
                return self.feed(Msg::Returned(ExternalResult::Failed(failure)), waiting);
            }
        };
        let keyboard = self.keyboard.clone();
        let held = keyboard.lock().unwrap_or_else(PoisonError::into_inner);
        self.terminal.leave();
        let settings = TerminalSettings::remember();
        self.wires.outside(true);
        let returned = match errand.start() {
            Ok(mut child) => {
                let status = self.wait_for(&mut child, waiting);
                errand.ended(status)
            }
            Err(failure) => ExternalResult::Failed(failure),
        };
        self.wires.outside(false);
        settings.restore();
        drop(held);
        waiting.push_front(LoopEvent::Msg(Msg::Returned(returned)));
        self.come_back(waiting)
    }

    fn wait_for(
        &self,
        child: &mut Child,
        waiting: &mut VecDeque<LoopEvent>,
    ) -> std::io::Result<ExitStatus> {
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            let event = match self.events.recv_timeout(external_program::LOOK_EVERY) {
                Ok(event) => event,
                Err(RecvTimeoutError::Timeout) if input::is_gone() => LoopEvent::TerminalGone,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return child.wait(),
            };
            match event {
                // The program was suspended with this process group; the terminal belongs to the
                // shell.
                LoopEvent::Suspend if !orphaned() => stop(),
                LoopEvent::Suspend | LoopEvent::Continued | LoopEvent::Resized => {}
                LoopEvent::TerminalGone | LoopEvent::Msg(Msg::Draining) => {
                    waiting.push_back(event);
                    child.kill()?;
                    return child.wait();
                }
                other => waiting.push_back(other),
            }
        }
    }

    fn gone(&self) -> ConsoleExit {
        self.parting.hung_up.cancel();
        self.parting.drain.cancel();
        ConsoleExit::TerminalGone
    }

    fn exit(&self) -> ConsoleExit {
        let cut_short =
            self.state.leaving == QuitProgress::Draining && !self.parting.drained.is_cancelled();
        if cut_short {
            ConsoleExit::Forced
        } else {
            ConsoleExit::Quit
        }
    }

    fn copy(
        &mut self,
        text: &str,
        what: &'static str,
        waiting: &mut VecDeque<LoopEvent>,
    ) -> Option<ConsoleExit> {
        let way = self
            .terminal
            .copy(text)
            .map_err(|error| Failure::io("the terminal takes no text", &error));
        self.feed(Msg::Copied(what, text.len(), way), waiting)
    }

    /// Suspends the process group as a shell expects, if there is a shell to resume it.
    fn suspend(&mut self, waiting: &mut VecDeque<LoopEvent>) -> Option<ConsoleExit> {
        if orphaned() {
            self.state
                .notify("no shell to return to: Ctrl-Z does nothing here");
            self.state.dirty = true;
            return None;
        }
        self.terminal.leave();
        stop();
        self.come_back(waiting)
    }

    /// Sets up the terminal again after another program used it, and draws a full frame.
    fn come_back(&mut self, waiting: &mut VecDeque<LoopEvent>) -> Option<ConsoleExit> {
        if self.terminal.enter().is_err() {
            return Some(self.gone());
        }
        let (columns, rows) = crossterm::terminal::size().unwrap_or(self.state.look.size);
        self.feed(Msg::Resize(columns, rows), waiting)
    }
}

/// Suspends this process group.
fn stop() {
    // SIGSTOP, not SIGTSTP: this process catches SIGTSTP, and the kernel drops it for orphaned
    // groups.
    let _ = rustix::process::kill_current_process_group(rustix::process::Signal::STOP);
}

/// Whether the process group is orphaned: no parent with job control could resume it.
fn orphaned() -> bool {
    use rustix::process::{getpgid, getpgrp, getppid, getsid};
    let session = |pid| getsid(pid).ok();
    let Some(parent) = getppid() else { return true };
    let stranger = session(Some(parent)) != session(None);
    let leader_of_ours =
        getpgid(Some(parent)).ok() == Some(getpgrp()) && session(None) == Some(parent);
    stranger || leader_of_ours
}
