//! Everything that can happen to the console, and everything it can want done.

use super::mouse::{HitRegion, MouseInput};
use crate::app::keymap::key::KeyChord;
use crate::app::modal::retry::RetryPlan;
use crate::app::screens::gate::forks::ForkComparison;
use crate::app::screens::info::state::CostBreakdown;
use crate::app::screens::new_run::draft::FormDraft;
use crate::app::screens::run::event_list::EventFetch;
use crate::app::screens::run::history::HistoryCursor;
use crate::app::text::document::TextDocument;
use crate::engine::api::{
    ArtifactHits, CheaperPersona, CommandAnswer, CrashCard, EngineCommand, EnvironmentCheck,
    EventMatches, RunPage, RunPageQuery, RunSearchText, StartPreview, StartRun, Subject, TextChunk,
    TrustRequest,
};
use crate::model::error::Failure;
use crate::model::event::{ArtifactError, JournalEvent};
use crate::model::event_filter::EventFilter;
use crate::model::forecast::CostForecast;
use crate::model::hash::ContentHash;
use crate::model::id::{PhaseKey, RequestId, RunId};
use crate::model::persona::{Persona, RoleBinding};
use crate::model::record::{ApprovalRecord, ArtifactRecord, RunRecord};
use crate::model::run_state::RunState;
use crate::model::time::Timestamp;
use crate::model::workflow::Workflow;
use std::sync::Arc;

/// The moment of a message: by the wall clock, and by one that never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockReading {
    /// For ages of things that are stored.
    pub wall: Timestamp,
    /// Milliseconds since the console opened; for pauses between keys.
    pub ticks: u64,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Msg {
    /// A key was pressed (never: released or held by the terminal's own report).
    Key(KeyChord),
    /// A text was pasted.
    Paste(String),
    /// The mouse did something.
    Mouse(MouseInput),
    /// The terminal has a new size: columns, rows.
    Resize(u16, u16),
    /// The terminal got or lost the focus.
    Focus(bool),
    /// Time has passed.
    Tick,
    /// A frame was drawn.
    Drawn(FrameReport),
    /// A fact was stored.
    Event(Arc<JournalEvent>),
    /// An agent said something.
    Text(TextChunk),
    /// News was dropped, or another process wrote: what is shown may be old.
    Stale,
    /// The archive answered.
    Loaded(ArchiveQuery, Result<QueryResult, Failure>),
    /// The engine answered.
    Answered(CommandTicket, Result<CommandAnswer, Failure>),
    /// Another program gave the terminal back.
    Returned(ExternalResult),
    /// Slow work has ended.
    Done(JobResult),
    /// Runs are being paused because this process ends; a second time: at once.
    Draining,
    /// Every run is paused and stored.
    Drained,
    /// A text was copied: what, its bytes, and which way it went; or why it was not.
    Copied(&'static str, usize, Result<&'static str, Failure>),
    /// Whether the process that hosts the runs, another than this, is there.
    Host(bool),
    /// Whether another program keeps this engine from storing anything.
    Held(bool),
    /// There is a way to the engine: whether it lives in this process, and what the operator should know of
    /// how the data was found.
    Linked(bool, Vec<String>),
    /// There is no way to an engine in place of the one that was.
    NotLinked(Failure),
}

/// Tells the answers of commands apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandTicket(pub u64);

/// Something to be done, by the shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cmd {
    /// Send a command to the engine.
    Send(CommandTicket, EngineCommand),
    /// Ask the archive.
    Query(ArchiveQuery),
    /// Do something slow beside the screen.
    Work(BackgroundJob),
    /// Keep the draft of a comment.
    SaveDraft(DraftKey, CommentDraft),
    /// Keep what stands in the form of a new run; none: nothing is kept any more.
    SaveForm(Option<Box<FormDraft>>),
    /// Hand the terminal to another program.
    Outside(ExternalProgram),
    /// Remove the copy that was edited for a question: what it said is stored.
    DropEdit(RequestId),
    /// Ring, and tell the terminal why, in words of ours.
    Notify(&'static str),
    /// Put a text into the clipboard; what it is, in words of ours.
    Copy(String, &'static str),
    /// Pause every run of this process, then leave.
    Drain,
    /// Find a way to the engine: become the host, or attach to one.
    Link,
    /// Have a host without a screen go on with what is drained.
    HandOver,
    /// Leave now.
    Quit,
}

/// A program that gets the terminal for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExternalProgram {
    /// The operator's editor, on a copy of a content.
    Edit {
        /// The question that the copy is made for.
        request_id: RequestId,
        /// The content.
        sha256: ContentHash,
        /// The artifact's path, for the name of the copy.
        path: String,
    },
    /// The operator's editor, on the wish of a new run.
    Wish {
        /// What it says so far.
        text: String,
    },
    /// The operator's pager.
    Page {
        /// The name of what is read.
        name: String,
        /// What to read.
        text: PagerText,
    },
}

/// What a pager shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PagerText {
    /// A stored content, as it is.
    Content(ContentHash),
    /// A text that is on the screen; safe to show.
    Text(Arc<TextDocument>),
}

/// What another program left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExternalResult {
    /// The copy says something else now.
    Edited {
        /// The question that it was made for.
        request_id: RequestId,
        /// What it says.
        content: String,
    },
    /// The wish of a new run says something else now.
    Wished(String),
    /// The copy says what it said.
    Unchanged,
    /// The pager ended.
    Read,
    /// It could not be run, or ended badly.
    Failed(Failure),
}

/// Slow work that is no question to the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackgroundJob {
    /// Examine everything phasedeck stands on.
    Doctor,
    /// Say what a start would be; the number comes back with the answer.
    LookAhead(u64, Box<StartRun>),
    /// Say who could sit in the seats of a start like this one.
    Seats(Box<StartRun>),
    /// Record the operator's consent to these personas.
    Agree(Vec<(String, ContentHash)>),
    /// Record that the operator agrees to what a repository brings.
    Trust(Box<TrustRequest>),
    /// Say who could go on with a run for less.
    Cheaper(RunId),
    /// Make the repository of the demo.
    Demo,
}

/// What became of slow work.
#[derive(Clone, Debug)]
pub enum JobResult {
    /// One subject was examined.
    Checked(Subject, Vec<EnvironmentCheck>),
    /// What a start would be, with the start as the engine would take it.
    Ahead(u64, Box<StartRun>, Box<StartPreview>),
    /// Who could sit in the seats.
    Seats(Box<StartPreview>),
    /// The consents are recorded.
    Agreed(Result<(), Failure>),
    /// The agreement to what a repository brings is recorded.
    Trusted(Result<(), Failure>),
    /// Who could go on with a run for less.
    Cheaper(RunId, Result<Vec<CheaperPersona>, Failure>),
    /// The demo can be started.
    Demo(Result<Box<StartRun>, Failure>),
}

/// Which question to the archive; its answer carries it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArchiveQuery {
    /// A part of the list of runs.
    Runs(RunPageQuery),
    /// Runs that stopped before their end.
    Paused,
    /// What everything cost, in groups.
    Costs,
    /// A step of the search for words in artifacts, behind a place.
    SearchArtifacts(String, Option<RunSearchText>),
    /// What each paused run was doing.
    Previews(Vec<RunId>),
    /// What a retry of an ended run would be.
    Retry(RunId),
    /// Everything about one run.
    Open(RunId),
    /// Wanted events about a place, for the window over the journal.
    Events(RunId, EventFetch, EventFilter),
    /// The next wanted event from a place on, or before it.
    Find(RunId, EventFetch, EventFilter),
    /// What a run was at one of its events.
    Moment(RunId, HistoryCursor),
    /// The facts that were stored since this event.
    News(RunId, u64),
    /// Versions, questions and costs of one run.
    Details(RunId),
    /// A content, made readable; the path says what it is.
    Content(ContentHash, String),
    /// A content with what is wrong with it in place.
    Checked(ContentHash, String, Vec<ArtifactError>),
    /// What changed from one content to another.
    Diff(ContentHash, ContentHash),
    /// What changed in a file (by its path) since the commit that a run began from.
    BaseDiff(RunId, String, ContentHash),
    /// The versions of a phase's artifact that did not fit, with what was wrong in place.
    Errors(RunId, PhaseKey),
    /// What the operator said about a phase, and what changed since up to this content.
    Comments(RunId, PhaseKey, ContentHash),
    /// What the agent of a phase was told.
    Inputs(RunId, PhaseKey),
    /// The events of a phase.
    PhaseLog(RunId, PhaseKey),
    /// What the agent of an attempt said and did, as it was stored, or as it was stored at an event.
    Transcript(RunId, PhaseKey, u32, Option<u64>),
    /// What a phase of a workflow cost and took in earlier runs, rehearsals or real ones.
    Forecast(String, bool, PhaseKey),
    /// The artifact at a run's gate and those of its forks.
    Forks(RunId),
    /// The draft of a comment.
    Draft(DraftKey),
    /// What was kept of the form of a new run.
    FormDraft,
}

impl ArchiveQuery {
    /// Whether it is a text that takes the place of another: made readable apart from everything else,
    /// and where it fails, the failure shows in its place.
    #[must_use]
    pub fn is_text(&self) -> bool {
        use ArchiveQuery::{
            BaseDiff, Checked, Comments, Content, Diff, Errors, Inputs, PhaseLog, Transcript,
        };
        matches!(
            self,
            Content(..)
                | Checked(..)
                | Diff(..)
                | BaseDiff(..)
                | Errors(..)
                | Comments(..)
                | Inputs(..)
                | PhaseLog(..)
                | Transcript(..)
        )
    }
}

/// What the archive said.
#[derive(Clone, Debug)]
pub enum QueryResult {
    /// A part of the list of runs.
    Runs(Box<RunPage>),
    /// Runs that stopped before their end.
    Paused(Vec<RunRecord>),
    /// What everything cost.
    Costs(Box<CostBreakdown>),
    /// What a step of the search found.
    Hits(ArtifactHits),
    /// What each paused run was doing.
    Previews(Vec<ResumePreview>),
    /// What a retry would be.
    Retry(RetryPlan),
    /// Everything about one run.
    Open(Box<OpenedRun>),
    /// Wanted events in order, and which part of the journal was looked through.
    Page(EventMatches),
    /// A folded journal up to some event.
    Moment(Box<RunState>),
    /// Facts in order.
    News(Vec<JournalEvent>),
    /// What a phase did, in order.
    Log(Vec<JournalEvent>),
    /// Versions, questions and costs.
    Details(Box<ReviewRecords>),
    /// What can be taken, compared.
    Forks(Box<ForkComparison>),
    /// A text to read.
    Text(Arc<TextDocument>),
    /// A kept draft, where there is one.
    Draft(Option<CommentDraft>),
    /// What was kept of the form, where something was.
    FormDraft(Option<Box<FormDraft>>),
    /// What a phase will cost and take; none without enough earlier runs.
    Forecast(Option<CostForecast>),
}

/// Everything about one run.
#[derive(Clone, Debug)]
pub struct OpenedRun {
    /// Its row.
    pub record: RunRecord,
    /// Its journal, folded.
    pub state: RunState,
    /// Its last events, in order.
    pub events: Vec<JournalEvent>,
    /// What it executes; the failure when that cannot be read.
    pub workflow: Result<Workflow, Failure>,
    /// Who works.
    pub bindings: Vec<(RoleBinding, Persona)>,
    /// The rest.
    pub details: ReviewRecords,
}

/// What changes less often than events come.
#[derive(Clone, Debug, Default)]
pub struct ReviewRecords {
    /// Every stored version of every artifact.
    pub artifacts: Vec<ArtifactRecord>,
    /// Every question and its answer.
    pub approvals: Vec<ApprovalRecord>,
}

/// What a paused run was doing when it stopped.
#[derive(Clone, Debug)]
pub struct ResumePreview {
    /// Its journal, folded.
    pub state: RunState,
    /// The last thing that happened to it before it came to rest.
    pub last: Option<JournalEvent>,
    /// Why it cannot be resumed.
    pub refusal: Option<String>,
    /// What a crash left, where it ended by one.
    pub card: Option<CrashCard>,
}

/// Whose draft: a run and the phase (or gate) it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DraftKey {
    /// Which run.
    pub run_id: RunId,
    /// Which phase, or the gate of a question without one.
    pub about: String,
}

/// The operator's words, not sent yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CommentDraft {
    /// The words.
    pub text: String,
    /// The version of the artifact they were written for.
    pub version: Option<u32>,
}

/// What a frame had on the screen: sizes of what scrolls (columns, rows), and what could be answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrameReport {
    /// The artifact or the gate's text.
    pub reading: Option<(u16, u16)>,
    /// Rows of the list of runs, or of the picker.
    pub list: Option<u16>,
    /// Lines of the checks, wrapped.
    pub lines: Option<usize>,
    /// Rows of the events.
    pub log: Option<u16>,
    /// The live text.
    pub transcript: Option<(u16, u16)>,
    /// How far the words of a receipt can be scrolled, in rows.
    pub receipt: Option<usize>,
    /// Half a screen, beside the text for reading.
    pub beside: Option<(u16, u16)>,
    /// The furthest line that help can have on top.
    pub help: Option<usize>,
    /// Help or a whole event.
    pub modal: Option<(u16, u16)>,
    /// The question whose text and answers are on the screen.
    pub gate: Option<RequestId>,
    /// Whether its "Approve?" is on the screen.
    pub confirm: bool,
    /// What lies where, for the mouse.
    pub places: Vec<HitRegion>,
    /// Whether no input was waiting when the frame was done.
    pub drained: bool,
}
