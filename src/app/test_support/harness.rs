//! A console on a bench: frames are drawn by whoever holds it, commands are kept to be looked at.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::journal::{SampleRunState, journal};
use super::new_run::start_preview;
use super::{NOW, run_id};
use crate::app::keymap::Keymap;
use crate::app::keymap::key::KeyChord;
use crate::app::msg::{
    ArchiveQuery, BackgroundJob, ClockReading, Cmd, CommandTicket, FrameReport, JobResult, Msg,
};
use crate::app::screens::new_run::draft::FormDraft;
use crate::app::state::{AppState, DisplayState};
use crate::app::test_support::info::checks;
use crate::app::update::{start, update};
use crate::engine::api::{CheaperPersona, CommandAnswer, EngineCommand, ForkCandidate, Subject};
use crate::model::error::Failure;
use crate::model::event::{JournalEvent, RunFact};
use crate::model::forecast::CostForecast;
use crate::model::id::RunId;
use crate::model::record::RunRecord;
use crate::model::settings::ThemeName;
use crate::model::state::Risk;
use crate::model::time::Timestamp;

/// A console on a bench: questions to the archive are answered from this world, frames are drawn by
/// whoever holds it, commands are kept to be looked at.
pub struct ConsoleHarness {
    /// The console.
    pub state: AppState,
    /// The list that the archive has.
    pub records: Vec<RunRecord>,
    /// The journal of run 1.
    pub events: Vec<JournalEvent>,
    /// The risk of its first phase.
    pub risk: Risk,
    /// What is known of the next phase's cost.
    pub forecast: Option<CostForecast>,
    /// Milliseconds since it was opened.
    pub ticks: u64,
    /// What was sent to the engine.
    pub sent: Vec<(CommandTicket, EngineCommand)>,
    /// Everything else that was to be done.
    pub done: Vec<Cmd>,
    /// What can be taken at the gate.
    pub candidates: Vec<ForkCandidate>,
    /// Who could go on for less.
    pub cheaper: Vec<CheaperPersona>,
    /// What an earlier console kept of the form.
    pub form_draft: Option<FormDraft>,
    /// Slow work that waits to be done.
    pub worked: VecDeque<BackgroundJob>,
    queries: VecDeque<ArchiveQuery>,
}

impl ConsoleHarness {
    /// A console of a size over a world.
    pub fn new(size: (u16, u16), records: Vec<RunRecord>, place: SampleRunState) -> Self {
        let look = DisplayState {
            ascii: false,
            no_color: false,
            theme: ThemeName::Dark,
            size,
            reading: (size.0, size.1),
            receipt_rows: 0,
            focused: true,
            zone: TimeZone::UTC,
        };
        let state = AppState::new(look, Keymap::default(), true);
        Self {
            state,
            records,
            events: journal(place),
            risk: Risk::Medium,
            forecast: None,
            ticks: 10_000,
            sent: Vec::new(),
            done: Vec::new(),
            candidates: Vec::new(),
            cheaper: Vec::new(),
            form_draft: None,
            worked: VecDeque::new(),
            queries: VecDeque::new(),
        }
    }

    /// Opens it, on a run or at home.
    pub fn start(mut self, wanted: Option<RunId>) -> Self {
        self.state.now = self.now();
        let cmds = start(&mut self.state, wanted);
        self.apply(cmds);
        self.settle();
        self
    }

    /// The moment.
    pub fn now(&self) -> ClockReading {
        ClockReading {
            wall: Timestamp(NOW.0 + i64::try_from(self.ticks).unwrap() - 10_000),
            ticks: self.ticks,
        }
    }

    /// Feeds a message, and answers what it asks.
    pub fn feed(&mut self, msg: Msg) {
        let now = self.now();
        let cmds = update(&mut self.state, msg, now);
        self.apply(cmds);
        self.settle();
    }

    /// Presses a key.
    pub fn press(&mut self, chord: &str) {
        self.feed(Msg::Key(chord.parse::<KeyChord>().unwrap()));
    }

    /// Presses several keys, written with spaces between them.
    pub fn press_all(&mut self, chords: &str) {
        chords.split(' ').for_each(|chord| self.press(chord));
    }

    /// Types characters one by one, `ms` apart.
    pub fn type_text(&mut self, text: &str, ms: u64) {
        for c in text.chars() {
            self.ticks += ms;
            self.feed(Msg::Key(KeyChord::char(c)));
        }
    }

    /// Stores a fact of run 1 and tells of it.
    pub fn store_fact(&mut self, fact: RunFact) {
        let seq = self.events.last().unwrap().seq + 1;
        let event = JournalEvent {
            run_id: run_id(1),
            seq,
            at: self.now().wall,
            fact,
        };
        self.events.push(event.clone());
        self.feed(Msg::Event(Arc::new(event)));
    }

    /// Pretends that a frame showed the open question and its answers.
    pub fn drew_gate(&mut self, drained: bool) {
        let gate = self.state.gate.as_ref().map(|gate| gate.request_id);
        self.feed(Msg::Drawn(FrameReport {
            gate,
            confirm: true,
            drained,
            reading: Some((78, 10)),
            ..FrameReport::default()
        }));
    }

    /// Answers the last command.
    pub fn answer(&mut self, answer: Result<CommandAnswer, Failure>) {
        let ticket = self.sent.last().unwrap().0;
        self.feed(Msg::Answered(ticket, answer));
    }

    fn apply(&mut self, cmds: Vec<Cmd>) {
        for cmd in cmds {
            match cmd {
                Cmd::Query(query) => self.queries.push_back(query),
                Cmd::Work(work) => self.worked.push_back(work),
                Cmd::Send(ticket, command) => self.sent.push((ticket, command)),
                other => self.done.push(other),
            }
        }
    }

    /// Does the slow work that waits.
    pub fn work(&mut self) {
        while let Some(work) = self.worked.pop_front() {
            match work {
                BackgroundJob::Doctor => {
                    for subject in Subject::ALL {
                        let checks = checks()
                            .into_iter()
                            .filter(|check| check.subject == *subject)
                            .collect();
                        self.feed(Msg::Done(JobResult::Checked(*subject, checks)));
                    }
                }
                BackgroundJob::LookAhead(revision, request) => {
                    let ahead = start_preview(&request);
                    self.feed(Msg::Done(JobResult::Ahead(
                        revision,
                        request,
                        Box::new(ahead),
                    )));
                }
                BackgroundJob::Seats(request) => {
                    let ahead = start_preview(&request);
                    self.feed(Msg::Done(JobResult::Seats(Box::new(ahead))));
                }
                BackgroundJob::Trust(_) => self.feed(Msg::Done(JobResult::Trusted(Ok(())))),
                BackgroundJob::Agree(_) => self.feed(Msg::Done(JobResult::Agreed(Ok(())))),
                BackgroundJob::Cheaper(run) => {
                    self.feed(Msg::Done(JobResult::Cheaper(run, Ok(self.cheaper.clone()))))
                }
                BackgroundJob::Demo => self.feed(Msg::Done(JobResult::Demo(Ok(Box::default())))),
            }
        }
    }

    fn settle(&mut self) {
        for _ in 0..100 {
            let Some(query) = self.queries.pop_front() else {
                return;
            };
            let answer = self.answer_query(&query);
            let now = self.now();
            let cmds = update(&mut self.state, Msg::Loaded(query, answer), now);
            self.apply(cmds);
        }
        panic!("the console asks without end");
    }
}
