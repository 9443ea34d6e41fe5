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

/// The least time between two frames, and between two under a flood of news.
pub const FRAME: Duration = Duration::from_millis(16);
/// The same while news floods in.
const FLOOD_FRAME: Duration = Duration::from_millis(33);
/// News since the last frame that make a flood: some 2,000 a second.
const FLOOD: usize = 33;

/// How long leaving waits for what is to be kept.
const SETTLE: Duration = Duration::from_millis(500);

/// Breaks the loop, for the test of what happens then.
#[cfg(test)]
const DEFECT: Chord = Chord {
    code: crate::app::key::KeyCode::F(12),
    ctrl: false,
    alt: true,
};

/// Something for the loop.
#[derive(Debug)]
pub enum Event {
    /// A message.
    Msg(Msg),
    /// A message that counts against the bound of waiting news.
    News(Msg),
    /// The terminal is gone.
    TerminalGone,
    /// The terminal can hold a frame back until it is whole.
    Synchronizes,
    /// The terminal has another size.
    Resized,
    /// There is a way to the engine, or none can be found.
    Linked(Result<Linked>),
    /// The process is to stop, and to come back when it is told to go on.
    Suspend,
    /// The process goes on after it was stopped.
    Continued,
}

/// How far the way to the engine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linking {
    /// It waits for the first useful frame.
    Waiting,
    /// What that frame needs is there.
    Due,
    /// It is being looked for.
    Begun,
    /// It was found once.
    Done,
}

/// The loop and all that it owns.
pub struct Pump {
    /// Everything the console knows.
    pub state: AppState,
    /// The screen.
    pub terminal: Terminal,
    /// The engine.
    pub wires: Wires,
    /// Finds the way to the engine.
    pub link: Link,
    /// How far that is.
    pub linking: Linking,
    /// For the thread that finds it.
    pub sender: Sender<Event>,
    /// Why there is no engine.
    pub refused: Option<Failure>,
    /// The archive.
    pub library: Sender<Task>,
    /// Slow work beside the screen.
    pub workshop: Sender<Work>,
    /// What comes in.
    pub events: Receiver<Event>,
    /// How to part with the host.
    pub parting: Parting,
    /// Held while another program has the terminal.
    pub keyboard: Keyboard,
    /// Where copies for other programs lie.
    pub paths: Paths,
    /// When the console opened.
    pub opened: Instant,
    /// News since the last frame.
    pub news: usize,
}

impl Pump {
    /// Runs until the operator leaves or the terminal is gone.
    ///
    /// # Errors
    /// `io_failed` when the terminal refuses a frame; why there is no engine.
    pub fn run(mut self, first: Vec<Cmd>) -> Result<Exit> {
        let exit = self.turn(first)?;
        self.settle();
        self.refused.take().map_or(Ok(exit), Err)
    }

    /// Keeps every text that is not kept yet, and waits, not for ever, until all of them are on the disk.
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
            // A frame that is due shows what a key does that is here already.
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
                // A key is not kept waiting for what else goes on.
                next_frame = next_frame.min(next_after_key);
                next_after_key = Instant::now() + FRAME;
            }
            if let Some(exit) = self.take(event, &mut waiting) {
                return Ok(exit);
            }
            if self.linking == Linking::Due {
                // The first frame that says something does not wait for its turn.
                next_frame = Instant::now();
            }
        }
    }

    /// The next event; none when time has come for a frame or for something that ages.
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
                // Back at the size it had, a terminal may have lost cells on the way.
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

    /// Draws, and tells the state what was drawn and whether input was waiting by then.
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

    /// Looks for the engine beside the screen.
    fn begin_link(&mut self) {
        if self.linking != Linking::Done {
            self.linking = Linking::Begun;
        }
        if let Err(failure) = link::begin(&self.link, &self.sender) {
            drop(self.sender.send(Event::Linked(Err(failure))));
        }
    }

    /// There is an engine, or the console ends with the words why not; one that lost its host stays.
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
                // A terminal that cannot ring is no reason to stop.
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

    /// Lets another program have the terminal until it ends. What happens meanwhile waits; a signal to
    /// stop or a terminal that is gone ends the program.
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
                // The program was stopped with us; the terminal is not ours to give back or to take.
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

    /// Stops the process and its group, as a shell expects it, where there is one to come back from.
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

    /// The terminal was somebody else's for a while: takes it over again, with a whole frame.
    fn come_back(&mut self, waiting: &mut VecDeque<Event>) -> Option<Exit> {
        if self.terminal.enter().is_err() {
            return Some(self.gone());
        }
        let (columns, rows) = crossterm::terminal::size().unwrap_or(self.state.look.size);
        self.feed(Msg::Resize(columns, rows), waiting)
    }
}

/// Stops this process and its group.
fn stop() {
    // Not the softer signal: it is ours to catch, and is dropped where the system thinks nobody could undo it.
    let _ = rustix::process::kill_current_process_group(rustix::process::Signal::STOP);
}

/// Whether nobody could let this process go on again: no job control above it in its session.
fn orphaned() -> bool {
    use rustix::process::{getpgid, getpgrp, getppid, getsid};
    let session = |pid| getsid(pid).ok();
    let Some(parent) = getppid() else { return true };
    let stranger = session(Some(parent)) != session(None);
    let leader_of_ours =
        getpgid(Some(parent)).ok() == Some(getpgrp()) && session(None) == Some(parent);
    stranger || leader_of_ours
}
