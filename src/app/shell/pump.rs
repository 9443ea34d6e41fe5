//! The loop: take what came, update, do what is to be done, draw when something changed.
//!
//! At most one frame in [`FRAME`], and one more for a key, which is answered at once; half as many while
//! news floods in. Between frames everything that
//! came is taken at once. With nothing on its way and nothing that ages on the screen it sleeps.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::library::Task;
use super::terminal::Terminal;
use super::wires::Wires;
use super::{Exit, Parting};
use crate::app::key::Chord;
use crate::app::msg::{Cmd, Msg, Now, Work};
use crate::app::state::{AppState, Leaving};
use crate::app::update::update;
use crate::model::error::{Failure, Result};
use crate::model::time::Timestamp;

/// The least time between two frames.
pub const FRAME: Duration = Duration::from_millis(16);
/// The same while news floods in.
const FLOOD_FRAME: Duration = Duration::from_millis(33);
/// News since the last frame that make a flood: some 2,000 a second.
const FLOOD: usize = 33;

/// Something for the loop.
#[derive(Debug)]
pub enum Event {
    /// A message.
    Msg(Msg),
    /// A message that counts against the bound of waiting news.
    News(Msg),
    /// The terminal is gone.
    TerminalGone,
}

/// The loop and all that it owns.
pub struct Pump {
    /// Everything the console knows.
    pub state: AppState,
    /// The screen.
    pub terminal: Terminal,
    /// The engine.
    pub wires: Wires,
    /// The archive.
    pub library: Sender<Task>,
    /// Slow work beside the screen.
    pub workshop: Sender<Work>,
    /// What comes in.
    pub events: Receiver<Event>,
    /// How to part with the host.
    pub parting: Parting,
    /// When the console opened.
    pub opened: Instant,
    /// News since the last frame.
    pub news: usize,
}

impl Pump {
    /// Runs until the operator leaves or the terminal is gone.
    ///
    /// # Errors
    /// `io_failed` when the terminal refuses a frame.
    pub fn run(mut self, first: Vec<Cmd>) -> Result<Exit> {
        let mut waiting: VecDeque<Event> = VecDeque::new();
        let mut next_frame = Instant::now();
        let mut next_after_key = next_frame;
        if let Some(exit) = self.carry_out(first) {
            return Ok(exit);
        }
        loop {
            if self.state.dirty && Instant::now() >= next_frame {
                if let Some(exit) = self.frame(&mut waiting)? {
                    return Ok(exit);
                }
                let flood = std::mem::take(&mut self.news) >= FLOOD;
                next_frame = Instant::now() + if flood { FLOOD_FRAME } else { FRAME };
                continue;
            }
            let event = match waiting.pop_front() {
                Some(event) => Some(event),
                None => self.wait(next_frame),
            };
            if matches!(event, Some(Event::Msg(Msg::Key(_)))) {
                // A key is not kept waiting for what else goes on.
                next_frame = next_frame.min(next_after_key);
                next_after_key = Instant::now() + FRAME;
            }
            if let Some(exit) = self.take(event) {
                return Ok(exit);
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

    fn take(&mut self, event: Option<Event>) -> Option<Exit> {
        let msg = match event {
            // Woken for a frame that is due; time itself is only told when nothing else is to do.
            None if self.state.dirty => return None,
            None => Msg::Tick,
            Some(Event::TerminalGone) => {
                self.parting.hung_up.cancel();
                self.parting.drain.cancel();
                return Some(Exit::TerminalGone);
            }
            Some(Event::Msg(Msg::Key(chord))) if chord == Chord::ctrl('z') => {
                self.suspend();
                return None;
            }
            Some(Event::Msg(msg)) => msg,
            Some(Event::News(msg)) => {
                self.wires.taken();
                self.news += 1;
                msg
            }
        };
        self.feed(msg)
    }

    fn feed(&mut self, msg: Msg) -> Option<Exit> {
        let now = self.now();
        let cmds = update(&mut self.state, msg, now);
        self.carry_out(cmds)
    }

    fn now(&self) -> Now {
        Now { wall: Timestamp::now(), ticks: u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX) }
    }

    /// Draws, and tells the state what was drawn and whether input was waiting by then.
    fn frame(&mut self, waiting: &mut VecDeque<Event>) -> Result<Option<Exit>> {
        self.state.dirty = false;
        self.state.now = self.now();
        let mut drawn = self.terminal.draw(&self.state).map_err(|e| Failure::io("the terminal refuses a frame", &e))?;
        waiting.extend(self.events.try_iter());
        let input = |event: &Event| matches!(event, Event::Msg(Msg::Key(_) | Msg::Paste(_)));
        drawn.drained = !waiting.iter().any(input);
        Ok(self.feed(Msg::Drawn(drawn)))
    }

    fn carry_out(&mut self, cmds: Vec<Cmd>) -> Option<Exit> {
        for cmd in cmds {
            match cmd {
                Cmd::Send(ticket, command) => self.wires.send(ticket, command),
                Cmd::Query(query) => drop(self.library.send(Task::Ask(query))),
                Cmd::Work(work) => drop(self.workshop.send(work)),
                Cmd::SaveDraft(key, draft) => drop(self.library.send(Task::Keep(key, draft))),
                // A terminal that cannot ring is no reason to stop.
                Cmd::Notify => drop(self.terminal.notify()),
                Cmd::Drain => self.parting.drain.cancel(),
                Cmd::HandOver => self.parting.hand_over.cancel(),
                Cmd::Quit => return Some(self.exit()),
            }
        }
        None
    }

    fn exit(&self) -> Exit {
        let cut_short = self.state.leaving == Leaving::Draining && !self.parting.drained.is_cancelled();
        if cut_short { Exit::Forced } else { Exit::Quit }
    }

    /// Stops the process as a shell expects it, and comes back with a whole frame.
    fn suspend(&mut self) {
        self.terminal.leave();
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TSTP);
        if self.terminal.enter().is_ok() {
            if let Ok((columns, rows)) = crossterm::terminal::size() {
                self.state.look.size = (columns, rows);
            }
            self.state.dirty = true;
        }
    }
}
