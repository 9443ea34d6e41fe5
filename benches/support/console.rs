//! The console without a terminal: its state, its archive reader, and frames drawn to a buffer.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use phasedeck::app::keymap::Keymap;
use phasedeck::app::msg::{ClockReading, Cmd, Msg};
use phasedeck::app::state::{AppState, DisplayState};
use phasedeck::app::update::{start, update};
use phasedeck::console::archive_reader;
use phasedeck::console::archive_reader::ReaderTask;
use phasedeck::console::event_loop;
use phasedeck::engine::paths::InstallPaths;
use phasedeck::model::event::JournalEvent;
use phasedeck::model::id::RunId;
use phasedeck::model::settings::ThemeName;
use phasedeck::model::time::Timestamp;
use phasedeck::ui;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::long_run::fact;
use crate::measure::BenchResult;

/// A console for an installation.
pub struct ConsoleBench {
    /// State of the console.
    pub state: AppState,
    tasks: Sender<ReaderTask>,
    answers: Receiver<event_loop::LoopEvent>,
    open: usize,
    begun: Instant,
}

impl ConsoleBench {
    /// Opens the console on a run, and waits until the run is displayed.
    pub fn open(home: &Path, run: RunId, size: (u16, u16)) -> BenchResult<Self> {
        let look = DisplayState {
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
        let tasks = archive_reader::start(InstallPaths::beneath(home), answer)?;
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
    pub fn feed(&mut self, msg: Msg) -> BenchResult<()> {
        let now = ClockReading {
            wall: Timestamp::now(),
            ticks: u64::try_from(self.begun.elapsed().as_millis())?,
        };
        let cmds = update(&mut self.state, msg, now);
        self.carry_out(cmds)
    }

    /// Presses a key.
    pub fn press(&mut self, chord: &str) -> BenchResult<()> {
        self.feed(Msg::Key(chord.parse()?))
    }

    /// Signals an event of the run.
    pub fn happens(&mut self, run_id: RunId, seq: u64) -> BenchResult<()> {
        self.feed(Msg::Event(Arc::new(JournalEvent {
            run_id,
            seq,
            at: Timestamp::now(),
            fact: fact(seq),
        })))
    }

    /// Waits for queries and draws, until nothing changes.
    pub fn settle(&mut self) -> BenchResult<()> {
        loop {
            self.wait()?;
            self.frame()?;
            if self.open == 0 && !self.state.dirty {
                return Ok(());
            }
        }
    }

    /// Waits for the pending queries.
    pub fn wait(&mut self) -> BenchResult<()> {
        while self.open > 0 {
            if let event_loop::LoopEvent::Msg(msg) =
                self.answers.recv_timeout(Duration::from_secs(60))?
            {
                self.open -= 1;
                self.feed(msg)?;
            }
        }
        Ok(())
    }

    /// Processes the query results available now.
    pub fn look_for_answers(&mut self) -> BenchResult<()> {
        while let Ok(event_loop::LoopEvent::Msg(msg)) = self.answers.try_recv() {
            self.open -= 1;
            self.feed(msg)?;
        }
        Ok(())
    }

    /// Draws a frame and reports it to the state.
    pub fn frame(&mut self) -> BenchResult<Buffer> {
        let area = Rect::new(0, 0, self.state.look.size.0, self.state.look.size.1);
        let mut buffer = Buffer::empty(area);
        self.state.dirty = false;
        let drawn = ui::draw(&mut buffer, area, &self.state);
        self.feed(Msg::Drawn(drawn))?;
        Ok(buffer)
    }

    fn carry_out(&mut self, cmds: Vec<Cmd>) -> BenchResult<()> {
        for cmd in cmds {
            if let Cmd::Query(query) = cmd {
                self.open += 1;
                self.tasks.send(ReaderTask::Ask(query))?;
            }
        }
        Ok(())
    }
}
