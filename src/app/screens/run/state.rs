//! One run as the operator looks at it: its folded journal, its panes, and what is chosen in them.

use super::transcript_pane::TranscriptPane;
use crate::app::msg::{ArchiveQuery, OpenedRun, ReviewRecords};
use crate::app::screens::run::event_list::{EventFetch, EventList};
use crate::app::screens::run::history::RunHistory;
use crate::app::screens::run::liveness::PhaseLiveness;
use crate::app::screens::runs::state::RequestStatus;
use crate::app::search::events::EventSearch;
use crate::app::search::text::TextSearch;
use crate::app::text::scroll_view::ScrollView;
use crate::model::error::Failure;
use crate::model::forecast::CostForecast;
use crate::model::hash::ContentHash;
use crate::model::id::{PhaseKey, RunId};
use crate::model::persona::{Persona, RoleBinding};
use crate::model::record::{ApprovalRecord, ArtifactRecord, RunRecord};
use crate::model::run_state::RunState;
use crate::model::state::{ApprovalStatus, PhaseStatus};
use crate::model::time::Timestamp;
use crate::model::workflow::{PhaseDefinition, Workflow};
use std::collections::BTreeMap;

/// The panes of a run's screen; the number is the key that goes there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are the titles")]
pub enum RunPane {
    Phases,
    Artifact,
    Cost,
    Events,
    Transcript,
}

impl RunPane {
    /// Every pane, by its number.
    pub const ALL: &[Self] = &[
        Self::Phases,
        Self::Artifact,
        Self::Cost,
        Self::Events,
        Self::Transcript,
    ];

    /// The key that goes there.
    #[must_use]
    pub fn number(self) -> usize {
        Self::ALL.iter().position(|pane| *pane == self).unwrap_or(0) + 1
    }

    /// Its title.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Phases => "Phases",
            Self::Artifact => "Artifact",
            Self::Cost => "Cost",
            Self::Events => "Events",
            Self::Transcript => "Transcript",
        }
    }

    /// The pane so many places on, around the end.
    #[must_use]
    pub fn cycled(self, by: usize) -> Self {
        Self::ALL[(self.number() - 1 + by) % Self::ALL.len()]
    }
}

/// What the artifact pane shows of a version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ArtifactView {
    /// The whole text, with what is wrong in place.
    #[default]
    Whole,
    /// What changed since the version before.
    Previous,
    /// What changed since the commit that the run began from.
    Base,
    /// What is wrong, one thing after the other.
    Errors,
    /// What the agent of its attempt said and did.
    Transcript,
}

/// The artifact pane: which phase, which version, and the text once it is there.
#[derive(Clone, Debug, Default)]
pub struct ArtifactPane {
    /// The chosen version; none: the newest.
    pub version: Option<u32>,
    /// What is shown of it.
    pub side: ArtifactView,
    /// The question to the archive whose text is asked for or shown.
    pub source: Option<ArchiveQuery>,
    /// The text, once it is there.
    pub reading: Option<ScrollView>,
    /// What is looked for in it.
    pub search: TextSearch,
}

/// One run as the operator looks at it.
#[derive(Clone, Debug)]
pub struct RunScreen {
    /// Which run.
    pub run_id: RunId,
    /// What is shown of it, which is now unless the recorder stands elsewhere; none until the archive
    /// answered.
    pub opened: Option<LoadedRun>,
    /// Why it cannot be shown.
    pub failure: Option<Failure>,
    /// Its events.
    pub tail: EventList,
    /// What is looked for in them.
    pub finding: EventSearch,
    /// Its past, while that is shown.
    pub recorder: RunHistory,
    /// What its agents say, and said.
    pub said: TranscriptPane,
    /// The pane with the focus.
    pub focus: RunPane,
    /// Artifact or transcript in the main place; none: whichever has news.
    pub main: Option<RunPane>,
    /// Whether the pane with the focus has the whole screen.
    pub zoom: bool,
    /// The phase under the cursor; none: the one in progress.
    pub phase: Option<usize>,
    /// The artifact pane.
    pub artifact: ArtifactPane,
    /// A question about everything is on its way.
    pub asking: RequestStatus,
    /// A question about versions and answers is on its way.
    pub asking_details: RequestStatus,
    /// The newest event that a signal told of.
    pub newest: u64,
    /// Signs of life.
    pub pulse: PhaseLiveness,
    /// What phases will cost and take; none while it is looked up.
    pub foretold: BTreeMap<PhaseKey, Option<PhaseForecast>>,
    /// How the operator arranged the panes.
    pub arranged: PaneAdjustments,
    /// When it was asked for, in ticks.
    pub since: u64,
}

/// How the operator arranged the panes, beside the usual way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PaneAdjustments {
    /// Columns that the left rail is wider.
    pub rail: i16,
    /// Rows that the upper main pane is higher.
    pub upper: i16,
    /// Rows that the bottom is higher.
    pub bottom: i16,
    /// Whether phases are bars over time.
    pub bars: bool,
}

impl PaneAdjustments {
    /// Makes a pane larger, or smaller, by a step. What cannot grow further stays.
    pub fn resize(&mut self, pane: RunPane, larger: bool) {
        let (edge, step) = match pane {
            RunPane::Phases => (&mut self.rail, 2),
            RunPane::Cost => (&mut self.bottom, 1),
            RunPane::Artifact | RunPane::Transcript => (&mut self.upper, 1),
            RunPane::Events => (&mut self.upper, -1),
        };
        *edge = (*edge + if larger { step } else { -step }).clamp(-80, 80);
    }
}

/// What is known about the cost of a phase that has not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhaseForecast {
    /// Too few earlier runs.
    NoHistory,
    /// From earlier runs.
    Known(CostForecast),
}

/// What is known of a run.
#[derive(Clone, Debug)]
pub struct LoadedRun {
    /// Its row, as of when it was opened.
    pub record: RunRecord,
    /// Its journal, folded.
    pub state: RunState,
    /// What it executes.
    pub workflow: Result<Workflow, Failure>,
    /// Who works.
    pub bindings: Vec<(RoleBinding, Persona)>,
    /// Versions, questions, costs by model.
    pub details: ReviewRecords,
}

impl RunScreen {
    /// A run that is being opened.
    #[must_use]
    pub fn new(run_id: RunId) -> Self {
        Self {
            run_id,
            opened: None,
            failure: None,
            tail: EventList::default(),
            finding: EventSearch::default(),
            recorder: RunHistory::default(),
            said: TranscriptPane::default(),
            focus: RunPane::Phases,
            main: None,
            zoom: false,
            phase: None,
            artifact: ArtifactPane::default(),
            asking: RequestStatus::Asked,
            asking_details: RequestStatus::Idle,
            newest: 0,
            pulse: PhaseLiveness::default(),
            foretold: BTreeMap::new(),
            arranged: PaneAdjustments::default(),
            since: 0,
        }
    }

    /// Takes a snapshot in; what its events need besides.
    pub fn open(&mut self, opened: OpenedRun) -> Option<EventFetch> {
        self.newest = self.newest.max(opened.state.last_seq);
        self.pulse = PhaseLiveness::from_events(&opened.events);
        let need = self.tail.reset(opened.events);
        self.failure = None;
        let known = LoadedRun {
            record: opened.record,
            state: opened.state,
            workflow: opened.workflow,
            bindings: opened.bindings,
            details: opened.details,
        };
        match &mut self.recorder.live {
            Some(live) => **live = known,
            None => self.opened = Some(known),
        }
        need
    }

    /// What is true now, whatever is shown.
    #[must_use]
    pub fn live_run(&self) -> Option<&LoadedRun> {
        self.recorder.live.as_deref().or(self.opened.as_ref())
    }

    /// See [`now`](Self::now).
    pub fn live_run_mut(&mut self) -> Option<&mut LoadedRun> {
        match &mut self.recorder.live {
            Some(live) => Some(live),
            None => self.opened.as_mut(),
        }
    }

    /// The event that the panes stand at, when that is not the last one.
    #[must_use]
    pub fn history_seq(&self) -> Option<u64> {
        self.recorder.live.as_ref()?;
        self.state().map(|state| state.last_seq)
    }

    /// Up to when clocks run: to now, or to the moment that is shown.
    #[must_use]
    pub fn clock(&self, now: Timestamp) -> Timestamp {
        match (self.history_seq(), self.state()) {
            (Some(_), Some(state)) => state.last_at,
            _ => now,
        }
    }

    /// The folded journal, once it is there.
    #[must_use]
    pub fn state(&self) -> Option<&RunState> {
        self.opened.as_ref().map(|known| &known.state)
    }

    /// The place of the phase that the panes are about.
    #[must_use]
    pub fn phase_index(&self) -> usize {
        let Some(state) = self.state() else { return 0 };
        let last = state.phases.len().saturating_sub(1);
        let current = || {
            state
                .phases
                .iter()
                .position(|p| !matches!(p.status, PhaseStatus::Completed | PhaseStatus::Skipped))
        };
        self.phase.or_else(current).unwrap_or(last).min(last)
    }

    /// The key of that phase. While the one in progress has nothing to show yet, this is still it.
    #[must_use]
    pub fn phase_key(&self) -> Option<&PhaseKey> {
        self.state()?
            .phases
            .get(self.phase_index())
            .map(|phase| &phase.key)
    }

    /// The versions of that phase's artifact, oldest first.
    #[must_use]
    pub fn versions(&self) -> Vec<&ArtifactRecord> {
        match (&self.opened, self.phase_key()) {
            (Some(known), Some(key)) => known.versions(key),
            _ => Vec::new(),
        }
    }

    /// The version that the artifact pane shows.
    #[must_use]
    pub fn version(&self) -> Option<&ArtifactRecord> {
        let versions = self.versions();
        let chosen = self
            .artifact
            .version
            .and_then(|v| versions.iter().find(|a| a.version == v).copied());
        chosen.or_else(|| versions.last().copied())
    }

    /// What can be shown of the version on the screen.
    #[must_use]
    pub fn artifact_views(&self) -> Vec<ArtifactView> {
        let Some(shown) = self.version() else {
            return vec![ArtifactView::Whole, ArtifactView::Transcript];
        };
        let mut sides = vec![ArtifactView::Whole];
        if shown.version > 1 {
            sides.push(ArtifactView::Previous);
        }
        if self
            .opened
            .as_ref()
            .is_some_and(|known| known.record.base_commit.is_some())
        {
            sides.push(ArtifactView::Base);
        }
        if !shown.errors.is_empty() {
            sides.push(ArtifactView::Errors);
        }
        sides.push(ArtifactView::Transcript);
        sides
    }

    /// What a side of the version on the screen is called.
    #[must_use]
    pub fn view_name(&self, side: ArtifactView) -> String {
        match side {
            ArtifactView::Whole => "Whole".to_owned(),
            ArtifactView::Previous => format!(
                "Diff to v{}",
                self.version()
                    .map_or(0, |shown| shown.version.saturating_sub(1))
            ),
            ArtifactView::Base => "Diff to base".to_owned(),
            ArtifactView::Errors => "Errors".to_owned(),
            ArtifactView::Transcript => "Transcript".to_owned(),
        }
    }

    /// The side after the one that is shown, and its name.
    #[must_use]
    pub fn next_view(&self) -> Option<(ArtifactView, String)> {
        let sides = self.artifact_views();
        let at = sides.iter().position(|side| *side == self.artifact.side)?;
        let next = *sides.get((at + 1) % sides.len())?;
        Some((next, self.view_name(next)))
    }

    /// The phase and attempt that the transcript is of; none before the phase has begun.
    #[must_use]
    pub fn transcript_source(&self) -> Option<(PhaseKey, u32)> {
        let phase = self.state()?.phases.get(self.phase_index())?;
        let attempt = self
            .said
            .attempt
            .map_or(phase.attempt, |chosen| chosen.min(phase.attempt));
        (attempt > 0).then(|| (phase.key.clone(), attempt))
    }

    /// What the next phase will cost and take; none while that is looked up, and where there is none.
    #[must_use]
    pub fn foretold(&self) -> Option<PhaseForecast> {
        *self.foretold.get(&self.live_run()?.next_phase()?.key)?
    }

    /// Artifact or transcript: what the main place shows.
    #[must_use]
    pub fn main_pane(&self) -> RunPane {
        let working = self
            .state()
            .and_then(|state| state.phases.get(self.phase_index()))
            .is_some_and(|phase| phase.status == PhaseStatus::Running);
        let talking = working
            && self
                .transcript_source()
                .is_some_and(|(phase, attempt)| self.said.has_live_text(&phase, attempt));
        self.main.unwrap_or(if talking {
            RunPane::Transcript
        } else {
            RunPane::Artifact
        })
    }
}

impl LoadedRun {
    /// The versions of a phase's artifact, oldest first.
    #[must_use]
    pub fn versions(&self, key: &PhaseKey) -> Vec<&ArtifactRecord> {
        let mut versions: Vec<&ArtifactRecord> = self
            .details
            .artifacts
            .iter()
            .filter(|a| a.phase_key == *key)
            .collect();
        versions.sort_by_key(|a| a.version);
        versions
    }

    /// The phase as the workflow describes it.
    #[must_use]
    pub fn phase(&self, key: &PhaseKey) -> Option<&PhaseDefinition> {
        self.workflow.as_ref().ok()?.phase(key)
    }

    /// The phase after this one.
    #[must_use]
    pub fn phase_after(&self, key: &PhaseKey) -> Option<&PhaseDefinition> {
        let phases = &self.workflow.as_ref().ok()?.phases;
        phases.iter().skip_while(|phase| phase.key != *key).nth(1)
    }

    /// The phase after the one in progress; none where the run is over or at its last one.
    #[must_use]
    pub fn next_phase(&self) -> Option<&PhaseDefinition> {
        let current = self
            .state
            .current()
            .filter(|_| !self.state.status.is_terminal())?;
        self.phase_after(&current.key)
    }

    /// Who sits in the seat of a phase.
    #[must_use]
    pub fn binding(&self, phase: &PhaseDefinition) -> Option<&(RoleBinding, Persona)> {
        self.bindings
            .iter()
            .find(|(binding, _)| binding.role == phase.role)
    }

    /// Who works on a phase, or will: who sits in its seat, or who goes on for less.
    #[must_use]
    pub fn effective_binding(&self, key: &PhaseKey) -> Option<&RoleBinding> {
        self.state
            .new_seat(key)
            .or_else(|| self.binding(self.phase(key)?).map(|(binding, _)| binding))
    }

    /// What the operator said about this phase before, oldest first.
    pub fn comments(&self, key: &PhaseKey) -> impl Iterator<Item = &ApprovalRecord> {
        let said = |a: &&ApprovalRecord| {
            a.comment
                .as_deref()
                .is_some_and(|comment| !comment.trim().is_empty())
        };
        self.details
            .approvals
            .iter()
            .filter(move |a| a.phase_key.as_ref() == Some(key))
            .filter(said)
    }

    /// The version of this phase that the operator answered last, if it is not `current`; for a version of
    /// the operator's own, the one that it took the place of.
    #[must_use]
    pub fn last_reviewed(&self, key: &PhaseKey, current: &ContentHash) -> Option<&ArtifactRecord> {
        let answered = |a: &&ApprovalRecord| {
            a.phase_key.as_ref() == Some(key)
                && !matches!(
                    a.state,
                    ApprovalStatus::Pending | ApprovalStatus::Superseded
                )
        };
        if self
            .state
            .phase(key)
            .is_some_and(|phase| phase.revised_by.is_some())
        {
            let before = |a: &&ArtifactRecord| a.valid && a.sha256 != *current;
            return self.versions(key).into_iter().rfind(before);
        }
        let last = self
            .details
            .approvals
            .iter()
            .filter(answered)
            .max_by_key(|a| a.resolved_at)?;
        let hash = last
            .artifact_sha256
            .as_ref()
            .filter(|hash| *hash != current)?;
        self.versions(key).into_iter().rfind(|a| a.sha256 == *hash)
    }
}
