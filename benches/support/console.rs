//! The console without a terminal: its state, its reader of the archive, and frames drawn to a buffer.

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

/// A console over an installation.
pub struct Console {
    /// What it knows.
    pub state: AppState,
    tasks: Sender<Task>,
    answers: Receiver<pump::Event>,
    open: usize,
    begun: Instant,
}

impl Console {
    /// Opens it on a run, and waits until that is shown.
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

    /// Feeds a message; what the archive is asked is not waited for.
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

    /// A fact of the run was stored.
    pub fn happens(&mut self, run_id: RunId, seq: u64) -> Outcome<()> {
        self.feed(Msg::Event(Arc::new(Event {
            run_id,
            seq,
            at: Timestamp::now(),
            fact: fact(seq),
        })))
    }

    /// Waits for what the archive was asked, draws, and so on, until nothing changes.
    pub fn settle(&mut self) -> Outcome<()> {
        loop {
            self.wait()?;
            self.frame()?;
            if self.open == 0 && !self.state.dirty {
                return Ok(());
            }
        }
    }

    /// Waits for what the archive was asked.
    pub fn wait(&mut self) -> Outcome<()> {
        while self.open > 0 {
            if let pump::Event::Msg(msg) = self.answers.recv_timeout(Duration::from_secs(60))? {
                self.open -= 1;
                self.feed(msg)?;
            }
        }
        Ok(())
    }

    /// Takes what the archive has answered by now.
    pub fn look_for_answers(&mut self) -> Outcome<()> {
        while let Ok(pump::Event::Msg(msg)) = self.answers.try_recv() {
            self.open -= 1;
            self.feed(msg)?;
        }
        Ok(())
    }

    /// Draws a frame; the state learns what was drawn.
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
