//! Screens that only show something: costs, the doctor's checks, the settings in force.
use crate::app::keymap::Action;
use crate::app::screens::runs::state::{RequestStatus, move_in_list};
use crate::engine::api::{CheckStatus, EnvironmentCheck, Subject};
use crate::model::error::Failure;
use crate::model::money::CallCost;
use crate::model::record::CostLine;

/// What costs are grouped by on the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the titles")]
pub enum CostView {
    #[default]
    Day,
    Phase,
    Model,
    Run,
}

impl CostView {
    /// All, in order.
    pub const ALL: &[Self] = &[Self::Day, Self::Phase, Self::Model, Self::Run];

    /// Its title.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Day => "By day (UTC)",
            Self::Phase => "By phase",
            Self::Model => "By model",
            Self::Run => "By run",
        }
    }

    /// So many further, round the ends.
    #[must_use]
    pub fn cycled(self, by: usize) -> Self {
        let at = Self::ALL
            .iter()
            .position(|other| *other == self)
            .unwrap_or(0);
        Self::ALL[(at + by) % Self::ALL.len()]
    }
}

/// What everything cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CostBreakdown {
    /// By day, oldest first; label `YYYY-MM-DD`.
    pub days: Vec<CostLine>,
    /// By phase key.
    pub phases: Vec<CostLine>,
    /// By model.
    pub models: Vec<CostLine>,
    /// By run, newest first; label: its id.
    pub runs: Vec<CostLine>,
}

impl CostBreakdown {
    /// The lines of a grouping, as a screen shows them: what comes last in time first.
    #[must_use]
    pub fn lines(&self, by: CostView) -> Vec<&CostLine> {
        match by {
            CostView::Day => self.days.iter().rev().collect(),
            CostView::Phase => self.phases.iter().collect(),
            CostView::Model => self.models.iter().collect(),
            CostView::Run => self.runs.iter().collect(),
        }
    }

    /// What all of it cost.
    #[must_use]
    pub fn total(&self) -> CallCost {
        let mut total = CallCost::default();
        self.days.iter().for_each(|line| total += line.cost);
        total
    }
}

/// The screen of costs.
#[derive(Clone, Debug, Default)]
pub struct CostScreen {
    /// What everything cost, once it is known.
    pub costs: Option<CostBreakdown>,
    /// Why it is not known.
    pub failure: Option<Failure>,
    /// Since when it is waited for, in ticks.
    pub since: Option<u64>,
    /// A question is on its way.
    pub asking: RequestStatus,
    /// The grouping with the focus.
    pub by: CostView,
    /// The first line of it on the screen.
    pub top: usize,
    /// Lines of it on the screen.
    pub height: u16,
}

/// The screen of the doctor.
#[derive(Clone, Debug, Default)]
pub struct DoctorScreen {
    /// What was found so far.
    pub checks: Vec<EnvironmentCheck>,
    /// Subjects that were examined.
    pub examined: Vec<Subject>,
    /// Whether checks are under way.
    pub running: bool,
    /// The first line on the screen.
    pub top: usize,
    /// Lines on the screen.
    pub height: u16,
    /// Lines there are.
    pub lines: usize,
}

impl DoctorScreen {
    /// Begins anew.
    pub fn start(&mut self) {
        (self.checks, self.examined, self.running) = (Vec::new(), Vec::new(), true);
    }

    /// A subject was examined; they may come in any order.
    pub fn add_checks(&mut self, subject: Subject, checks: Vec<EnvironmentCheck>) {
        self.checks.extend(checks);
        self.checks.sort_by_key(|check| check.subject);
        self.examined.push(subject);
        self.running = self.examined.len() < Subject::ALL.len();
    }

    /// How many checks ended so.
    #[must_use]
    pub fn count(&self, verdict: CheckStatus) -> usize {
        self.checks
            .iter()
            .filter(|check| check.verdict == verdict)
            .count()
    }
}

/// One setting in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingLine {
    /// Its path, such as `engine.on_crash`.
    pub path: String,
    /// Its value as TOML would say it; a secret only as its presence.
    pub value: String,
    /// Where it comes from; empty: built in.
    pub origin: String,
}

/// The screen of settings.
#[derive(Clone, Debug, Default)]
pub struct SettingsScreen {
    /// Every setting.
    pub lines: Vec<SettingLine>,
    /// The settings file, whether it is there or not.
    pub file: String,
    /// The first line on the screen.
    pub top: usize,
    /// Lines on the screen.
    pub height: u16,
}

/// Scrolls a text of `lines` lines of which `height` fit.
#[must_use]
pub fn scrolled(top: usize, lines: usize, height: u16, action: Action) -> usize {
    move_in_list(
        top,
        lines.saturating_sub(usize::from(height.max(1))) + 1,
        height,
        action,
    )
}
