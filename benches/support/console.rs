//! The console without a terminal: its state, its reader of the archive, and frames drawn to a buffer.
//! And journals of a length to look at, with everything a run has that a screen shows.

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
use phasedeck::model::event::{AttemptCause, CallStatus, Event, Fact, Tokens, ToolOutcome};
use phasedeck::model::hash::ContentHash;
use phasedeck::model::id::{RunId, ThreadId, TurnId, VersionedName};
use phasedeck::model::money::NanoUsd;
use phasedeck::model::record::RunOptions;
use phasedeck::model::time::Timestamp;
use phasedeck::store::definitions::{self, DefinitionKind};
use phasedeck::store::runs::{self, NewRun, RunPlace};
use phasedeck::store::{Store, journal};
use phasedeck::ui;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::measure::Outcome;

/// Facts that are stored by one job while a journal is filled.
const FILL: u64 = 20_000;
/// The event that holds the rare word, in a journal that is longer.
pub const RARE: u64 = 123_457;

const WORKFLOW: &str = "{\"name\":\"bench\",\"version\":1,\"roles\":[{\"id\":\"maker\",\"required_capabilities\":[]}],\"phases\":[\
     {\"key\":\"first\",\"role\":\"maker\",\"instructions\":\"Make it.\"},{\"key\":\"second\",\"role\":\"maker\",\"instructions\":\"Check it.\"}]}";

/// A run with so many events, at work on its first phase.
pub fn run_of(store: &Store, thread: &str, events: u64) -> Outcome<RunId> {
    let (id, thread) = (RunId::new(), ThreadId::from(thread));
    let (workflow, persona): (VersionedName, VersionedName) = ("bench@1".parse()?, "maker@1".parse()?);
    let workflow_hash = ContentHash::of(WORKFLOW.as_bytes());
    let new = NewRun {
        id,
        workflow: workflow.clone(),
        workflow_hash: workflow_hash.clone(),
        thread: thread.clone(),
        requirements: String::new(),
        place: RunPlace::default(),
        rehearsal: false,
        options: RunOptions::default(),
        start: None,
        created_at: Timestamp::now(),
    };
    let phases = vec!["first".into(), "second".into()];
    let facts = [
        Fact::RunCreated {
            workflow: workflow.clone(),
            workflow_hash: workflow_hash.clone(),
            thread: thread.clone(),
            phases,
            rehearsal: false,
        },
        Fact::RunStarted { workflow, thread },
        Fact::PhaseStarted { phase_key: "first".into(), attempt: 1, role: "maker".into(), persona, cause: AttemptCause::First },
    ];
    store.write_blocking(move |tx| {
        definitions::put(tx, DefinitionKind::Workflow, &workflow_hash, "bench@1", WORKFLOW)?;
        runs::insert(tx, &new)?;
        journal::append(tx, id, &facts, Timestamp::now()).map(drop)
    })?;
    let mut seq = 4;
    while seq <= events {
        let last = events.min(seq + FILL - 1);
        let facts: Vec<Fact> = (seq..=last).map(fact).collect();
        store.write_blocking(move |tx| journal::append(tx, id, &facts, Timestamp::now()).map(drop))?;
        seq = last + 1;
    }
    Ok(id)
}

/// What an agent does, by turns; one target is like no other.
pub fn fact(seq: u64) -> Fact {
    let (phase_key, turn_id) = ("first".into(), TurnId::new());
    if seq.is_multiple_of(4) && seq != RARE {
        let tokens = Tokens { input: 1840, output: 612, cached: 0, reasoning: 0 };
        let (model, cost) = ("anthropic/claude-sonnet-4.5".to_owned(), Some(NanoUsd(14_700)));
        let (turn, latency_ms, status) = (1, 4200, CallStatus::Ok);
        return Fact::LlmCalled { phase_key, attempt: 1, turn_id, turn, model, tokens, cost, estimated: false, latency_ms, status };
    }
    let target = if seq == RARE { "src/xylophone.rs".to_owned() } else { format!("src/part_{}/file_{}.rs", seq % 97, seq % 1013) };
    let (call_id, tool) = (format!("call-{seq}"), "read_file".to_owned());
    Fact::ToolCalled { phase_key, turn_id, call_id, tool, target, outcome: ToolOutcome::Ok, duration_ms: 3 }
}

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
        let look = Look { ascii: false, no_color: false, size, reading: size, focused: true, zone: jiff::tz::TimeZone::UTC };
        let (answer, answers) = channel();
        let tasks = library::start(Paths::beneath(home), false, answer)?;
        let state = AppState::new(look, Keymap::default(), true);
        let mut console = Self { state, tasks, answers, open: 0, begun: Instant::now() };
        let first = start(&mut console.state, Some(run));
        console.carry_out(first)?;
        console.settle()?;
        Ok(console)
    }

    /// Feeds a message; what the archive is asked is not waited for.
    pub fn feed(&mut self, msg: Msg) -> Outcome<()> {
        let now = Now { wall: Timestamp::now(), ticks: u64::try_from(self.begun.elapsed().as_millis())? };
        let cmds = update(&mut self.state, msg, now);
        self.carry_out(cmds)
    }

    /// Presses a key.
    pub fn press(&mut self, chord: &str) -> Outcome<()> {
        self.feed(Msg::Key(chord.parse()?))
    }

    /// A fact of the run was stored.
    pub fn happens(&mut self, run_id: RunId, seq: u64) -> Outcome<()> {
        self.feed(Msg::Event(Arc::new(Event { run_id, seq, at: Timestamp::now(), fact: fact(seq) })))
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
