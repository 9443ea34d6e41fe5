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

use super::input::{self, Keyboard};
use super::library::Task;
use super::link::{self, Link, Linked};
use super::outside::{self, Errand, Settings};
use super::queue;
use super::terminal::Terminal;
use super::wires::Wires;
use super::{Exit, Parting};
use crate::app::key::Chord;
use crate::app::msg::{Cmd, Msg, Now, Outside, Query, Returned, Work};
use crate::app::state::{AppState, Leaving};
use crate::app::update::{keep_all, update};
use crate::engine::paths::Paths;
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
const DEFECT: Chord = Chord {
    code: crate::app::key::KeyCode::F(12),
    ctrl: false,
    alt: true,
};

/// An event for the loop.
#[derive(Debug)]
pub enum Event {
    Msg(Msg),
    /// A message that counts against the limit of queued signals.
    News(Msg),
    TerminalGone,
    /// The terminal supports synchronized output.
    Synchronizes,
    Resized,
    /// Result of connecting to the engine.
    Linked(Result<Linked>),
    /// SIGTSTP: suspend the process.
    Suspend,
    /// SIGCONT: the process was continued.
    Continued,
}

/// State of connecting to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linking {
    /// Waits for the first useful frame.
    Waiting,
    /// The data of that frame has arrived.
    Due,
    Begun,
    /// Connected at least once.
    Done,
}

/// The event loop and its resources.
pub struct Pump {
    pub state: AppState,
    pub terminal: Terminal,
    pub wires: Wires,
    pub link: Link,
    pub linking: Linking,
    /// Sender for the connecting thread.
    pub sender: Sender<Event>,
    /// Why connecting to the engine failed.
    pub refused: Option<Failure>,
    pub library: Sender<Task>,
    pub workshop: Sender<Work>,
    pub events: Receiver<Event>,
    pub parting: Parting,
    /// Locked while an external program has the terminal.
    pub keyboard: Keyboard,
    /// Paths of copies for external programs.
    pub paths: Paths,
    pub opened: Instant,
    /// Signals since the last frame.
    pub news: usize,
}

impl Pump {
    /// Runs until the operator quits or the terminal is gone.
    ///
    /// # Errors
    /// `io_failed` if a frame cannot be written, and errors of connecting to the engine.
    pub fn run(mut self, first: Vec<Cmd>) -> Result<Exit> {
        let exit = self.turn(first)?;
        self.settle();
        self.refused.take().map_or(Ok(exit), Err)
    }

    /// Saves all unsaved drafts and waits, with a timeout, until they are on disk.
    fn settle(&mut self) {
        let cmds = keep_all(&mut self.state);
        let _ = self.carry_out(cmds, &mut VecDeque::new());
        let (done, told) = channel();
        if self.library.send(Task::Settle(done)).is_ok() {
            let _ = told.recv_timeout(SETTLE);
        }
    }

    fn turn(&mut self, first: Vec<Cmd>) -> Result<Exit> {
        let mut waiting: VecDeque<Event> = VecDeque::new();
        let mut next_frame = Instant::now();
        let mut next_after_key = next_frame;
        if let Some(exit) = self.carry_out(first, &mut waiting) {
            return Ok(exit);
        }
        loop {
            waiting.extend(self.events.try_iter());
            let first = queue::before_news(&mut waiting);
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
            if matches!(event, Some(Event::Msg(Msg::Key(_)))) {
                // A key is handled before other work.
                next_frame = next_frame.min(next_after_key);
                next_after_key = Instant::now() + FRAME;
            }
            if let Some(exit) = self.take(event, &mut waiting) {
                return Ok(exit);
            }
            if self.linking == Linking::Due {
                // The first useful frame ignores the frame interval.
                next_frame = Instant::now();
            }
        }
    }

    /// Returns the next event, or `None` when a frame or a time-dependent redraw is due.
    fn wait(&self, next_frame: Instant) -> Option<Event> {
        let patience = match (self.state.dirty, self.state.wakes_in()) {
            (true, _) => Some(next_frame.saturating_duration_since(Instant::now())),
            (false, wake) => wake.map(Duration::from_millis),
        };
        match patience {
            None => self.events.recv().ok().or(Some(Event::TerminalGone)),
            Some(patience) => match self.events.recv_timeout(patience) {
                Ok(event) => Some(event),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => Some(Event::TerminalGone),
            },
        }
    }

    fn take(&mut self, event: Option<Event>, waiting: &mut VecDeque<Event>) -> Option<Exit> {
        let msg = match event {
            // Woken for a frame that is due; time itself is only told when nothing else is to do.
            None if self.state.dirty => return None,
            None => Msg::Tick,
            Some(Event::TerminalGone) => return Some(self.gone()),
            Some(Event::Msg(Msg::Key(chord))) if chord == Chord::ctrl('z') => {
                return self.suspend(waiting);
            }
            #[cfg(test)]
            Some(Event::Msg(Msg::Key(chord))) if chord == DEFECT => {
                std::panic::panic_any("a defect, made on purpose")
            }
            Some(Event::Suspend) => return self.suspend(waiting),
            Some(Event::Continued) => return self.come_back(waiting),
            Some(Event::Synchronizes) => {
                self.terminal.synchronizes();
                return None;
            }
            Some(Event::Resized) => {
                // Even if the size is unchanged, the terminal may have lost cells while resizing.
                self.terminal.forget();
                let (columns, rows) = crossterm::terminal::size().unwrap_or(self.state.look.size);
                Msg::Resize(columns, rows)
            }
            Some(Event::Linked(linked)) => return self.linked(linked, waiting),
            Some(Event::Msg(msg)) => {
                let answers = matches!(msg, Msg::Loaded(Query::Runs(_), _));
                if self.linking == Linking::Waiting && answers {
                    self.linking = Linking::Due;
                }
                msg
            }
            Some(Event::News(msg)) => {
                self.wires.taken();
                self.news += 1;
                msg
            }
        };
        self.feed(msg, waiting)
    }

    fn feed(&mut self, msg: Msg, waiting: &mut VecDeque<Event>) -> Option<Exit> {
        let now = self.now();
        let cmds = update(&mut self.state, msg, now);
        self.carry_out(cmds, waiting)
    }

    fn now(&self) -> Now {
        Now {
            wall: Timestamp::now(),
            ticks: whole_ms(self.opened.elapsed()),
        }
    }

    /// Draws a frame and reports to the state what was drawn and whether input was pending.
    fn frame(&mut self, waiting: &mut VecDeque<Event>) -> Result<Option<Exit>> {
        self.state.dirty = false;
        self.state.now = self.now();
        let mut drawn = self
            .terminal
            .draw(&self.state)
            .map_err(|e| Failure::io("cannot write to the terminal", &e))?;
        waiting.extend(self.events.try_iter());
        drawn.drained = !waiting.iter().any(queue::is_input);
        if self.linking == Linking::Due {
            self.begin_link();
        }
        Ok(self.feed(Msg::Drawn(drawn), waiting))
    }

    /// Connects to the engine in the background.
    fn begin_link(&mut self) {
        if self.linking != Linking::Done {
            self.linking = Linking::Begun;
        }
        if let Err(failure) = link::begin(&self.link, &self.sender) {
            drop(self.sender.send(Event::Linked(Err(failure))));
        }
    }

    /// Handles the connection result. A failure ends the console, unless it had lost its host.
    fn linked(&mut self, linked: Result<Linked>, waiting: &mut VecDeque<Event>) -> Option<Exit> {
        match linked {
            Ok(Linked {
                port,
                hosting,
                notices,
            }) => {
                self.linking = Linking::Done;
                self.wires.link(port);
                self.feed(Msg::Linked(hosting, notices), waiting)
            }
            Err(failure) if self.linking == Linking::Done => {
                self.feed(Msg::NotLinked(failure), waiting)
            }
            Err(failure) => {
                self.refused = Some(failure);
                Some(Exit::Quit)
            }
        }
    }

    fn carry_out(&mut self, cmds: Vec<Cmd>, waiting: &mut VecDeque<Event>) -> Option<Exit> {
        for cmd in cmds {
            match cmd {
                Cmd::Send(ticket, command) => self.wires.send(ticket, command),
                Cmd::Query(query) => drop(self.library.send(Task::Ask(query))),
                Cmd::Work(work) => drop(self.workshop.send(work)),
                Cmd::SaveDraft(key, draft) => drop(self.library.send(Task::Keep(key, draft))),
                Cmd::SaveForm(draft) => drop(self.library.send(Task::KeepForm(draft))),
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
                Cmd::DropEdit(request_id) => outside::drop_edit(&self.paths, request_id),
                Cmd::Link => self.begin_link(),
                Cmd::Drain => self.parting.drain.cancel(),
                Cmd::HandOver => self.parting.hand_over.cancel(),
                Cmd::Quit => return Some(self.exit()),
            }
        }
        None
    }

    /// Runs an external program on the terminal. Other events wait until it exits; a termination
    /// signal or a hang-up ends the program.
    fn lend(&mut self, outside: &Outside, waiting: &mut VecDeque<Event>) -> Option<Exit> {
        let mut errand = match Errand::prepare(&self.paths, outside) {
            Ok(errand) => errand,
            Err(failure) => return self.feed(Msg::Returned(Returned::Failed(failure)), waiting),
        };
        let keyboard = self.keyboard.clone();
        let held = keyboard.lock().unwrap_or_else(PoisonError::into_inner);
        self.terminal.leave();
        let settings = Settings::remember();
        self.wires.outside(true);
        let returned = match errand.start() {
            Ok(mut child) => {
                let status = self.wait_for(&mut child, waiting);
                errand.ended(status)
            }
            Err(failure) => Returned::Failed(failure),
        };
        self.wires.outside(false);
        settings.put_back();
        drop(held);
        waiting.push_front(Event::Msg(Msg::Returned(returned)));
        self.come_back(waiting)
    }

    fn wait_for(
        &self,
        child: &mut Child,
        waiting: &mut VecDeque<Event>,
    ) -> std::io::Result<ExitStatus> {
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            let event = match self.events.recv_timeout(outside::LOOK_EVERY) {
                Ok(event) => event,
                Err(RecvTimeoutError::Timeout) if input::is_gone() => Event::TerminalGone,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return child.wait(),
            };
            match event {
                // The program was suspended with this process group; the terminal belongs to the
                // shell.
                Event::Suspend if !orphaned() => stop(),
                Event::Suspend | Event::Continued | Event::Resized => {}
                Event::TerminalGone | Event::Msg(Msg::Draining) => {
                    waiting.push_back(event);
                    child.kill()?;
                    return child.wait();
                }
                other => waiting.push_back(other),
            }
        }
    }

    fn gone(&self) -> Exit {
        self.parting.hung_up.cancel();
        self.parting.drain.cancel();
        Exit::TerminalGone
    }

    fn exit(&self) -> Exit {
        let cut_short =
            self.state.leaving == Leaving::Draining && !self.parting.drained.is_cancelled();
        if cut_short { Exit::Forced } else { Exit::Quit }
    }

    fn copy(
        &mut self,
        text: &str,
        what: &'static str,
        waiting: &mut VecDeque<Event>,
    ) -> Option<Exit> {
        let way = self
            .terminal
            .copy(text)
            .map_err(|error| Failure::io("the terminal takes no text", &error));
        self.feed(Msg::Copied(what, text.len(), way), waiting)
    }

    /// Suspends the process group as a shell expects, if there is a shell to resume it.
    fn suspend(&mut self, waiting: &mut VecDeque<Event>) -> Option<Exit> {
        if orphaned() {
            self.state
                .say("no shell to return to: Ctrl-Z does nothing here");
            self.state.dirty = true;
            return None;
        }
        self.terminal.leave();
        stop();
        self.come_back(waiting)
    }

    /// Sets up the terminal again after another program used it, and draws a full frame.
    fn come_back(&mut self, waiting: &mut VecDeque<Event>) -> Option<Exit> {
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
