//! The loop: take what came, update, do what is to be done, draw when something changed.
//!
//! At most one frame in [`FRAME`]; a key is answered in the next. Between frames everything that
//! came is taken at once. With nothing on its way and nothing that ages on the screen it sleeps.

use std::collections::VecDeque;
use std::process::{Child, ExitStatus};
use std::sync::PoisonError;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::input::Keyboard;
use super::library::Task;
use super::outside::{self, Errand, Settings};
use super::terminal::Terminal;
use super::wires::Wires;
use super::{Exit, Parting};
use crate::app::key::Chord;
use crate::app::msg::{Cmd, Msg, Now, Outside, Returned};
use crate::app::state::{AppState, Leaving};
use crate::app::update::update;
use crate::engine::paths::Paths;
use crate::model::error::{Failure, Result};
use crate::model::time::Timestamp;

/// The least time between two frames.
pub const FRAME: Duration = Duration::from_millis(16);

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
}

impl Pump {
    /// Runs until the operator leaves or the terminal is gone.
    ///
    /// # Errors
    /// `io_failed` when the terminal refuses a frame.
    pub fn run(mut self, first: Vec<Cmd>) -> Result<Exit> {
        let mut waiting: VecDeque<Event> = VecDeque::new();
        let mut next_frame = Instant::now();
        if let Some(exit) = self.carry_out(first, &mut waiting) {
            return Ok(exit);
        }
        loop {
            if self.state.dirty && Instant::now() >= next_frame {
                if let Some(exit) = self.frame(&mut waiting)? {
                    return Ok(exit);
                }
                next_frame = Instant::now() + FRAME;
                continue;
            }
            let event = match waiting.pop_front() {
                Some(event) => Some(event),
                None => self.wait(next_frame),
            };
            if let Some(exit) = self.take(event, &mut waiting) {
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

    fn take(&mut self, event: Option<Event>, waiting: &mut VecDeque<Event>) -> Option<Exit> {
        let msg = match event {
            // Woken for a frame that is due; time itself is only told when nothing else is to do.
            None if self.state.dirty => return None,
            None => Msg::Tick,
            Some(Event::TerminalGone) => {
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
        Ok(self.feed(Msg::Drawn(drawn), waiting))
    }

    fn carry_out(&mut self, cmds: Vec<Cmd>, waiting: &mut VecDeque<Event>) -> Option<Exit> {
        for cmd in cmds {
            match cmd {
                Cmd::Send(ticket, command) => self.wires.send(ticket, command),
                Cmd::Query(query) => drop(self.library.send(Task::Ask(query))),
                Cmd::SaveDraft(key, draft) => drop(self.library.send(Task::Keep(key, draft))),
                // A terminal that cannot ring is no reason to stop.
                Cmd::Notify => drop(self.terminal.notify()),
                Cmd::Outside(outside) => {
                    let returned = self.hand_over(&outside, waiting);
                    waiting.push_front(Event::Msg(Msg::Returned(returned)));
                }
                Cmd::DropEdit(request_id) => outside::drop_edit(&self.paths, request_id),
                Cmd::Drain => self.parting.drain.cancel(),
                Cmd::Quit => return Some(self.exit()),
            }
        }
        None
    }

    /// Lets another program have the terminal until it ends. What happens meanwhile waits; a signal to
    /// stop or a terminal that is gone ends the program.
    fn hand_over(&mut self, outside: &Outside, waiting: &mut VecDeque<Event>) -> Returned {
        let mut errand = match Errand::prepare(&self.paths, outside) {
            Ok(errand) => errand,
            Err(failure) => return Returned::Failed(failure),
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
        self.come_back();
        returned
    }

    fn wait_for(&self, child: &mut Child, waiting: &mut VecDeque<Event>) -> std::io::Result<ExitStatus> {
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            match self.events.recv_timeout(outside::LOOK_EVERY) {
                Ok(event) => {
                    let ends = matches!(event, Event::TerminalGone | Event::Msg(Msg::Draining));
                    waiting.push_back(event);
                    if ends {
                        child.kill()?;
                        return child.wait();
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return child.wait(),
            }
        }
    }

    /// Takes the terminal over again, with a whole frame.
    fn come_back(&mut self) {
        if self.terminal.enter().is_ok() {
            if let Ok((columns, rows)) = crossterm::terminal::size() {
                self.state.look.size = (columns, rows);
            }
            self.state.dirty = true;
        }
    }

    fn exit(&self) -> Exit {
        let cut_short = self.state.leaving == Leaving::Draining && !self.parting.drained.is_cancelled();
        if cut_short { Exit::Forced } else { Exit::Quit }
    }

    /// Stops the process as a shell expects it, and comes back with a whole frame.
    fn suspend(&mut self) {
        self.terminal.leave();
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TSTP);
        self.come_back();
    }
}
