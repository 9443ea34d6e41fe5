//! A console on a bench: frames are drawn by whoever holds it, commands are kept to be looked at.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::journal::{Place, journal};
use super::looks::checks;
use super::new_run::outlook;
use super::{NOW, run_id};
use crate::app::key::Chord;
use crate::app::keymap::Keymap;
use crate::app::msg::{Cmd, Done, Drawn, Msg, Now, Query, Ticket, Work};
use crate::app::new_run_draft::FormDraft;
use crate::app::state::{AppState, Look};
use crate::app::update::{start, update};
use crate::engine::api::{Answer, Candidate, Cheaper, Command, Subject};
use crate::model::error::Failure;
use crate::model::event::{Event, Fact};
use crate::model::forecast::Forecast;
use crate::model::id::RunId;
use crate::model::record::RunRecord;
use crate::model::settings::ThemeName;
use crate::model::state::Risk;
use crate::model::time::Timestamp;

/// A console on a bench: questions to the archive are answered from this world, frames are drawn by
/// whoever holds it, commands are kept to be looked at.
pub struct Bench {
    /// The console.
    pub state: AppState,
    /// The list that the archive has.
    pub records: Vec<RunRecord>,
    /// The journal of run 1.
    pub events: Vec<Event>,
    /// The risk of its first phase.
    pub risk: Risk,
    /// What is known of the next phase's cost.
    pub forecast: Option<Forecast>,
    /// Milliseconds since it was opened.
    pub ticks: u64,
    /// What was sent to the engine.
    pub sent: Vec<(Ticket, Command)>,
    /// Everything else that was to be done.
    pub done: Vec<Cmd>,
    /// What can be taken at the gate.
    pub candidates: Vec<Candidate>,
    /// Who could go on for less.
    pub cheaper: Vec<Cheaper>,
    /// What an earlier console kept of the form.
    pub form_draft: Option<FormDraft>,
    /// Slow work that waits to be done.
    pub worked: VecDeque<Work>,
    queries: VecDeque<Query>,
}

impl Bench {
    /// A console of a size over a world.
    pub fn new(size: (u16, u16), records: Vec<RunRecord>, place: Place) -> Self {
        let look = Look {
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
        self.take(cmds);
        self.settle();
        self
    }

    /// The moment.
    pub fn now(&self) -> Now {
        Now {
            wall: Timestamp(NOW.0 + i64::try_from(self.ticks).unwrap() - 10_000),
            ticks: self.ticks,
        }
    }

    /// Feeds a message, and answers what it asks.
    pub fn feed(&mut self, msg: Msg) {
        let now = self.now();
        let cmds = update(&mut self.state, msg, now);
        self.take(cmds);
        self.settle();
    }

    /// Presses a key.
    pub fn press(&mut self, chord: &str) {
        self.feed(Msg::Key(chord.parse::<Chord>().unwrap()));
    }

    /// Presses several keys, written with spaces between them.
    pub fn press_all(&mut self, chords: &str) {
        chords.split(' ').for_each(|chord| self.press(chord));
    }

    /// Types characters one by one, `ms` apart.
    pub fn type_text(&mut self, text: &str, ms: u64) {
        for c in text.chars() {
            self.ticks += ms;
            self.feed(Msg::Key(Chord::char(c)));
        }
    }

    /// Stores a fact of run 1 and tells of it.
    pub fn happens(&mut self, fact: Fact) {
        let seq = self.events.last().unwrap().seq + 1;
        let event = Event {
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
        self.feed(Msg::Drawn(Drawn {
            gate,
            confirm: true,
            drained,
            reading: Some((78, 10)),
            ..Drawn::default()
        }));
    }

    /// Answers the last command.
    pub fn answer(&mut self, answer: Result<Answer, Failure>) {
        let ticket = self.sent.last().unwrap().0;
        self.feed(Msg::Answered(ticket, answer));
    }

    fn take(&mut self, cmds: Vec<Cmd>) {
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
                Work::Doctor => {
                    for subject in Subject::ALL {
                        let checks = checks()
                            .into_iter()
                            .filter(|check| check.subject == *subject)
                            .collect();
                        self.feed(Msg::Done(Done::Checked(*subject, checks)));
                    }
                }
                Work::LookAhead(revision, request) => {
                    let ahead = outlook(&request);
                    self.feed(Msg::Done(Done::Ahead(revision, request, Box::new(ahead))));
                }
                Work::Seats(request) => {
                    let ahead = outlook(&request);
                    self.feed(Msg::Done(Done::Seats(Box::new(ahead))));
                }
                Work::Trust(_) => self.feed(Msg::Done(Done::Trusted(Ok(())))),
                Work::Agree(_) => self.feed(Msg::Done(Done::Agreed(Ok(())))),
                Work::Cheaper(run) => {
                    self.feed(Msg::Done(Done::Cheaper(run, Ok(self.cheaper.clone()))))
                }
                Work::Demo => self.feed(Msg::Done(Done::Demo(Ok(Box::default())))),
            }
        }
    }

    fn settle(&mut self) {
        for _ in 0..100 {
            let Some(query) = self.queries.pop_front() else {
                return;
            };
            let answer = self.look_up(&query);
            let now = self.now();
            let cmds = update(&mut self.state, Msg::Loaded(query, answer), now);
            self.take(cmds);
        }
        panic!("the console asks without end");
    }
}
