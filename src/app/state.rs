//! Everything the console knows, in small parts; each has its file.

use std::collections::BTreeMap;

use super::keymap::{Action, KeyContext, Keymap};
use super::mouse::HitRegion;
use super::msg::{ClockReading, CommandTicket, CommentDraft, DraftKey};
use crate::app::screens::gate::state::GateView;
use crate::app::screens::info::state::{CostScreen, DoctorScreen, SettingsScreen};
use crate::app::screens::new_run::state::NewRunForm;
use crate::app::screens::resume::state::PickerState;
use crate::app::screens::run::state::{RunPane, RunScreen};
use crate::app::screens::runs::state::RunsState;
use crate::app::text::scroll_view::ScrollView;
use crate::model::id::{RequestId, RunId};
use crate::model::settings::ThemeName;
use crate::model::state::RunStatus;
use crate::model::time::Timestamp;
use jiff::tz::TimeZone;

/// How long a notice stays.
pub const NOTICE_MS: u64 = 6000;

/// How things look here.
#[derive(Clone, Debug)]
pub struct DisplayState {
    /// Only ASCII glyphs.
    pub ascii: bool,
    /// No colours.
    pub no_color: bool,
    /// The colours, where there are any.
    pub theme: ThemeName,
    /// Columns and rows.
    pub size: (u16, u16),
    /// Columns and rows of the last text that was drawn for reading.
    pub reading: (u16, u16),
    /// Rows of a receipt's words that lie beneath its frame.
    pub receipt_rows: usize,
    /// Whether the terminal has the focus, as far as it tells.
    pub focused: bool,
    /// For clock times.
    pub zone: TimeZone,
}

/// A screen; the list of runs lies beneath all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Screen {
    Runs,
    Picker,
    Run,
    Gate,
    NewRun,
    Cost,
    Doctor,
    Settings,
}

/// Something in front of the screen that takes every key.
#[derive(Clone, Debug)]
pub enum Modal {
    /// The keys.
    Help(HelpView),
    /// A whole event, or another text.
    Text(String, Box<ScrollView>),
    /// Finding a command.
    Palette(CommandPalette),
    /// A question with a harmless first answer.
    Confirm(ConfirmDialog),
}

/// The keys, as they are read.
#[derive(Clone, Debug)]
pub struct HelpView {
    /// The first line on the screen.
    pub top: usize,
    /// Only lines with this.
    pub typed: String,
    /// Whether that is being typed.
    pub typing: bool,
    /// Where the focus was when it opened; its keys come first.
    pub context: KeyContext,
}

/// Finding a command.
#[derive(Clone, Debug)]
pub struct CommandPalette {
    /// What was typed.
    pub typed: String,
    /// Which of the found ones is selected.
    pub cursor: usize,
    /// Where the focus was when it opened.
    pub context: KeyContext,
}

/// A question with a harmless first answer.
#[derive(Clone, Debug)]
pub struct ConfirmDialog {
    /// The question.
    pub question: String,
    /// What it means.
    pub detail: String,
    /// The answers; the first changes nothing.
    pub choices: Vec<(String, ConfirmChoice)>,
    /// Which has the focus.
    pub cursor: usize,
    /// Since when it is on the screen with no input waiting, in ticks; before that nothing counts.
    pub drawn: Option<u64>,
}

/// What an answer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfirmChoice {
    /// Nothing.
    Stay,
    /// Ends a run.
    Abort(RunId),
    /// Pauses every run of this process and leaves.
    PauseAndQuit,
    /// Let what is at work go on without a screen, and quit.
    LeaveRunning,
    /// Begins the retry that is asked about, with the phase at this place.
    Retry(usize),
    /// Another word for when the thread of the retry is held.
    RetryStrategy,
    /// Has the persona at this place make the phase at the gate again.
    Fork(usize),
    /// Takes the artifact of the fork at this place.
    Pick(usize),
    /// Names who goes on for less, by their place.
    GoOnWith(usize),
    /// Agrees to who goes on for less, and gives the answer.
    AgreeAndGoOn,
    /// Becomes the host.
    TakeOver,
    /// Agrees to what the form's repository brings.
    TrustBrought,
    /// Agrees to the personas of the form and starts its run.
    AgreeAndStart,
    /// Starts the run of the form, and lets it end the one that holds its thread.
    RollBackAndStart,
    /// Empties the form.
    EmptyForm,
}

/// A line about what just happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusNotice {
    /// In words.
    pub text: String,
    /// Whether something went wrong: such a line stays until the next key.
    pub bad: bool,
    /// When it came, in ticks.
    pub at: u64,
}

/// A command that was sent and is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingCommand {
    /// About which run.
    pub run_id: RunId,
    /// What it does, as in "pausing".
    pub what: &'static str,
}

/// How far leaving is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QuitProgress {
    /// Not at all.
    #[default]
    No,
    /// Runs are being paused.
    Draining,
}

/// Everything the console knows.
#[derive(Clone, Debug)]
pub struct AppState {
    /// How things look here.
    pub look: DisplayState,
    /// The keys.
    pub keys: Keymap,
    /// Screens, the visible one last; never empty.
    pub screens: Vec<Screen>,
    /// What is in front of them.
    pub modal: Option<Modal>,
    /// What is looked for in a text in front.
    pub modal_search: crate::app::search::text::TextSearch,
    /// The list of runs.
    pub runs: RunsState,
    /// The resume picker.
    pub picker: PickerState,
    /// The form of a new run, once it was opened.
    pub new_run: Option<NewRunForm>,
    /// What everything cost.
    pub cost: CostScreen,
    /// The checks.
    pub doctor: DoctorScreen,
    /// The settings in force.
    pub settings: SettingsScreen,
    /// The repository the operator stands in.
    pub here: Option<String>,
    /// What was found wrong at the start and was not read yet, in words.
    pub warnings: Vec<String>,
    /// The retry that is asked about.
    pub retry: Option<crate::app::modal::retry::RetryPlan>,
    /// The fork that is asked about.
    pub forking: Option<crate::app::screens::gate::forks::ForkRequest>,
    /// The start that is on its way.
    pub starting: Option<CommandTicket>,
    /// Whether the demo's repository is being made.
    pub preparing: bool,
    /// How often each action was taken.
    pub used: BTreeMap<Action, u32>,
    /// The run that is open.
    pub run: Option<RunScreen>,
    /// The question that is open.
    pub gate: Option<GateView>,
    /// Whether the open run's question is wanted as soon as it is loaded.
    pub wants_gate: bool,
    /// Words that were not sent, by what they are about.
    pub drafts: BTreeMap<DraftKey, CommentDraft>,
    /// Commands on their way.
    pub sent: BTreeMap<CommandTicket, PendingCommand>,
    /// A version of the operator's own on its way, and the question that it was written for.
    pub revising: Option<(CommandTicket, RequestId)>,
    /// The last ticket given out.
    pub last_ticket: CommandTicket,
    /// A line about what just happened.
    pub notice: Option<StatusNotice>,
    /// How often calls to models make the lists be read anew.
    pub pace: crate::app::throttle::QueryThrottle,
    /// Since when the engine is being started or looked for, in ticks.
    pub opening: Option<u64>,
    /// Whether the engine lives in this process.
    pub hosting: bool,
    /// Whether the engine lives nowhere: the process that had it is gone.
    pub host_gone: bool,
    /// What lies where on the screen, for the mouse.
    pub places: Vec<HitRegion>,
    /// How far leaving is.
    pub leaving: QuitProgress,
    /// When the last key or paste came, in ticks.
    pub last_input: u64,
    /// When Ctrl-C was pressed last, in ticks.
    pub ctrl_c: Option<u64>,
    /// The moment that is drawn.
    pub now: ClockReading,
    /// Whether the screen is not what the state says.
    pub dirty: bool,
    /// When what was drawn last changes by itself, in ticks.
    pub stale_at: Option<u64>,
}

impl AppState {
    /// A console that knows nothing yet.
    #[must_use]
    pub fn new(look: DisplayState, keys: Keymap, hosting: bool) -> Self {
        Self {
            look,
            keys,
            screens: vec![Screen::Runs],
            modal: None,
            modal_search: crate::app::search::text::TextSearch::default(),
            runs: RunsState::default(),
            picker: PickerState {
                may_open: true,
                ..PickerState::default()
            },
            new_run: None,
            cost: CostScreen::default(),
            doctor: DoctorScreen::default(),
            settings: SettingsScreen::default(),
            here: None,
            warnings: Vec::new(),
            retry: None,
            forking: None,
            starting: None,
            preparing: false,
            used: BTreeMap::new(),
            run: None,
            gate: None,
            wants_gate: false,
            drafts: BTreeMap::new(),
            sent: BTreeMap::new(),
            revising: None,
            last_ticket: CommandTicket::default(),
            notice: None,
            pace: crate::app::throttle::QueryThrottle::default(),
            opening: None,
            hosting,
            host_gone: false,
            places: Vec::new(),
            leaving: QuitProgress::No,
            last_input: 0,
            ctrl_c: None,
            now: ClockReading::default(),
            dirty: true,
            stale_at: None,
        }
    }

    /// The visible screen.
    #[must_use]
    pub fn screen(&self) -> Screen {
        self.screens.last().copied().unwrap_or(Screen::Runs)
    }

    /// Where a key goes.
    #[must_use]
    pub fn context(&self) -> KeyContext {
        use crate::app::screens::gate::state::DecisionStep;
        match self.screen() {
            Screen::Runs => KeyContext::List,
            Screen::Picker => KeyContext::Picker,
            Screen::NewRun => KeyContext::Form,
            Screen::Cost | Screen::Doctor | Screen::Settings => KeyContext::Look,
            Screen::Gate
                if self
                    .gate
                    .as_ref()
                    .is_some_and(|g| matches!(g.stage, DecisionStep::Writing { .. })) =>
            {
                KeyContext::Text
            }
            Screen::Gate => KeyContext::Gate,
            Screen::Run => match self.run.as_ref().map(|run| run.focus) {
                Some(RunPane::Events) => KeyContext::Log,
                Some(RunPane::Artifact) => KeyContext::Artifact,
                Some(RunPane::Transcript) => KeyContext::Transcript,
                _ => KeyContext::Run,
            },
        }
    }

    /// Says something in the bottom line.
    pub fn notify(&mut self, text: impl Into<String>) {
        self.notice = Some(StatusNotice {
            text: text.into(),
            bad: false,
            at: self.now.ticks,
        });
    }

    /// Says what went wrong, and what to do.
    pub fn notify_failure(&mut self, failure: &crate::model::error::Failure) {
        let text = if failure.hint.is_empty() {
            failure.to_string()
        } else {
            format!("{failure} - {}", failure.hint)
        };
        self.notice = Some(StatusNotice {
            text,
            bad: true,
            at: self.now.ticks,
        });
    }

    /// Goes one screen back; whether there was one.
    pub fn pop_screen(&mut self) -> bool {
        let can = self.screens.len() > 1;
        if can {
            self.screens.pop();
        }
        can
    }

    /// Puts a screen on top, once.
    pub fn push_screen(&mut self, screen: Screen) {
        if self.screen() != screen {
            self.screens.retain(|other| *other != screen);
            self.screens.push(screen);
        }
    }

    /// Runs that this process works on.
    #[must_use]
    pub fn active_here(&self) -> usize {
        let works = |r: &&crate::model::record::RunRecord| {
            RunStatus::parse(&r.state)
                .is_some_and(|s| matches!(s, RunStatus::Executing | RunStatus::Created))
        };
        if self.hosting {
            self.runs.active().filter(works).count()
        } else {
            0
        }
    }

    /// When today began where the operator is.
    #[must_use]
    pub fn midnight(&self) -> Timestamp {
        jiff::Timestamp::from_millisecond(self.now.wall.0)
            .and_then(|now| now.to_zoned(self.look.zone.clone()).start_of_day())
            .map_or(self.now.wall, |midnight| {
                Timestamp(midnight.timestamp().as_millisecond())
            })
    }

    /// What stands between the parts of a line.
    #[must_use]
    pub fn separator(&self) -> &'static str {
        if self.look.ascii { " . " } else { " · " }
    }

    /// `HH:MM:SS` where the operator is.
    #[must_use]
    pub fn clock(&self, at: Timestamp) -> String {
        jiff::Timestamp::from_millisecond(at.0).map_or_else(
            |_| "--:--:--".to_owned(),
            |at| {
                at.to_zoned(self.look.zone.clone())
                    .strftime("%H:%M:%S")
                    .to_string()
            },
        )
    }

    /// How many milliseconds from now the screen has something to show by itself: a countdown, the
    /// end of a notice, midnight. `None`: nothing will change until something happens.
    #[must_use]
    pub fn next_change_in(&self) -> Option<u64> {
        crate::app::redraw_schedule::next_change_in(self)
    }
}

/// An action on a run that is the same from a list, the picker and the run's screen.
#[must_use]
pub fn run_action(action: Action) -> Option<RunAction> {
    match action {
        Action::Pause | Action::ListPause => Some(RunAction::Pause),
        Action::Resume | Action::ListResume | Action::GateResume => Some(RunAction::Resume),
        Action::Abort | Action::ListAbort | Action::PickAbort | Action::GateAbort => {
            Some(RunAction::Abort)
        }
        _ => None,
    }
}

/// See [`run_action`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum RunAction {
    Pause,
    Resume,
    Abort,
}
