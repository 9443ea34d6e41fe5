//! The console without a terminal: its state, its archive reader, and frames drawn to a buffer.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use phasedeck::app::keymap::Keymap;
use phasedeck::app::msg::{Cmd, Msg, Now};
use phasedeck::app::shell::library::{self, Task};
use phasedeck::app::shell::pump;
use phasedeck::app::state::{AppState, Look};
use phasedeck::app::update::{start, update};
use phasedeck::engine::paths::Paths;
use phasedeck::model::event::Event;
use phasedeck::model::id::RunId;
use phasedeck::model::settings::ThemeName;
use phasedeck::model::time::Timestamp;
use phasedeck::ui;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::long_run::fact;
use crate::measure::Outcome;

/// A console for an installation.
pub struct Console {
    /// State of the console.
    pub state: AppState,
    tasks: Sender<Task>,
    answers: Receiver<pump::Event>,
    open: usize,
    begun: Instant,
}

impl Console {
    /// Opens the console on a run, and waits until the run is displayed.
    pub fn open(home: &Path, run: RunId, size: (u16, u16)) -> Outcome<Self> {
        let look = Look {
            ascii: false,
            no_color: false,
            theme: ThemeName::Dark,
            size,
            reading: size,
            receipt_rows: 0,
            focused: true,
            zone: jiff::tz::TimeZone::UTC,
        };
        let (answer, answers) = channel();
        let tasks = library::start(Paths::beneath(home), answer)?;
        let state = AppState::new(look, Keymap::default(), true);
        let mut console = Self {
            state,
            tasks,
            answers,
            open: 0,
            begun: Instant::now(),
        };
        let first = start(&mut console.state, Some(run));
        console.carry_out(first)?;
        console.settle()?;
        Ok(console)
    }

    /// Processes a message without waiting for queries.
    pub fn feed(&mut self, msg: Msg) -> Outcome<()> {
        let now = Now {
            wall: Timestamp::now(),
            ticks: u64::try_from(self.begun.elapsed().as_millis())?,
        };
        let cmds = update(&mut self.state, msg, now);
        self.carry_out(cmds)
    }

    /// Presses a key.
    pub fn press(&mut self, chord: &str) -> Outcome<()> {
        self.feed(Msg::Key(chord.parse()?))
    }

    /// Signals an event of the run.
    pub fn happens(&mut self, run_id: RunId, seq: u64) -> Outcome<()> {
        self.feed(Msg::Event(Arc::new(Event {
            run_id,
            seq,
            at: Timestamp::now(),
            fact: fact(seq),
        })))
    }

    /// Waits for queries and draws, until nothing changes.
    pub fn settle(&mut self) -> Outcome<()> {
        loop {
            self.wait()?;
            self.frame()?;
            if self.open == 0 && !self.state.dirty {
                return Ok(());
            }
        }
    }

    /// Waits for the pending queries.
    pub fn wait(&mut self) -> Outcome<()> {
        while self.open > 0 {
            if let pump::Event::Msg(msg) = self.answers.recv_timeout(Duration::from_secs(60))? {
                self.open -= 1;
                self.feed(msg)?;
            }
        }
        Ok(())
    }

    /// Processes the query results available now.
    pub fn look_for_answers(&mut self) -> Outcome<()> {
        while let Ok(pump::Event::Msg(msg)) = self.answers.try_recv() {
            self.open -= 1;
            self.feed(msg)?;
        }
        Ok(())
    }

    /// Draws a frame and reports it to the state.
    pub fn frame(&mut self) -> Outcome<Buffer> {
        let area = Rect::new(0, 0, self.state.look.size.0, self.state.look.size.1);
        let mut buffer = Buffer::empty(area);
        self.state.dirty = false;
        let drawn = ui::draw(&mut buffer, area, &self.state);
        self.feed(Msg::Drawn(drawn))?;
        Ok(buffer)
    }

    fn carry_out(&mut self, cmds: Vec<Cmd>) -> Outcome<()> {
        for cmd in cmds {
            if let Cmd::Query(query) = cmd {
                self.open += 1;
                self.tasks.send(Task::Ask(query))?;
            }
        }
        Ok(())
    }
}
