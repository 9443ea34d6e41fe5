//! A gate on the screen: what is read, what was seen, and how an answer comes about.
//!
//! An answer needs intent. A verdict key counts only when the gate was drawn, no input was waiting
//! after that frame, and nothing was pressed or pasted for [`QUIET_MS`]; so neither typing ahead nor
//! a held key decides. Approving takes a second key on a drawn question. Pastes never decide.

use super::forks::ForkComparison;
use super::question;
use crate::app::msg::{ArchiveQuery, CommandTicket, CommentDraft, DraftKey};
use crate::app::screens::run::state::LoadedRun;
use crate::app::search::text::TextSearch;
use crate::app::text::document::{LineKind, TextDocument};
use crate::app::text::scroll_view::ScrollView;
use crate::app::text::text_input::TextInput;
use crate::engine::api::CheaperPersona;
use crate::model::error::Failure;
use crate::model::hash::ContentHash;
use crate::model::id::{GateKey, PhaseKey, RequestId, RunId};
use crate::model::money::NanoUsd;
use crate::model::question::{GateQuestion, PermissionScope};
use crate::model::run_state::OpenApproval;
use crate::model::state::{Decision, Risk};
use crate::model::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long nothing may be pressed before a verdict key counts.
pub const QUIET_MS: u64 = 700;
/// How long nothing may be pressed before Enter counts on a drawn "Approve?"; longer than a held key's repeat.
pub const CONFIRM_QUIET_MS: u64 = 300;

/// What can be read at a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GateTab {
    /// What changed since the version that was reviewed last.
    Diff,
    /// The whole text, or what is asked.
    Whole,
    /// It beside what forks made of the same phase.
    Forks,
    /// Earlier versions that did not fit, with what was wrong in place.
    Errors,
    /// What the operator said before, and what changed since.
    Comments,
    /// What the agent was told.
    Inputs,
    /// The phase's events.
    Log,
}

/// How far the answer is.
#[derive(Clone, Debug)]
pub enum DecisionStep {
    /// Open; the operator reads.
    Reading,
    /// "Approve?"; for a risky phase its key is being typed.
    Confirm {
        /// What was typed so far.
        typed: String,
        /// Since when the question is on the screen with no input waiting, in ticks.
        since: Option<u64>,
    },
    /// Words are being written for this answer.
    Writing {
        /// Request changes, or reject.
        action: Decision,
        /// Whether the button has the focus instead of the text.
        on_button: bool,
    },
    /// Sent, not answered by the engine.
    Sending {
        /// Its command.
        ticket: CommandTicket,
        /// The answer.
        action: Decision,
    },
    /// On disk.
    Recorded {
        /// The answer.
        action: Decision,
    },
    /// A version of the operator's own was sent; a new question will ask about it.
    Revising {
        /// Its command.
        ticket: CommandTicket,
    },
    /// Over: who said what, when.
    Receipt(GateReceipt),
}

/// How a question was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateReceipt {
    /// The answer, in words.
    pub action: String,
    /// How far it reaches or what it raises, in words that follow the answer; may be empty.
    pub came_to: String,
    /// By whom, and by which way.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// With which words.
    pub comment: String,
    /// Whether this console gave the answer.
    pub ours: bool,
    /// First row of the words that is on the screen.
    pub top: usize,
}

/// A question on the screen.
#[derive(Clone, Debug)]
pub struct GateView {
    /// Of which run.
    pub run_id: RunId,
    /// Which question.
    pub request_id: RequestId,
    /// About which phase.
    pub phase_key: Option<PhaseKey>,
    /// Which gate.
    pub gate: GateKey,
    /// Since when it waits.
    pub requested_at: Timestamp,
    /// The content it is about.
    pub sha256: Option<ContentHash>,
    /// What it is about, where it is not about an artifact.
    pub question: Option<Box<GateQuestion>>,
    /// How far the answer about a tool reaches that is being given.
    pub scope: PermissionScope,
    /// Its version.
    pub version: Option<u32>,
    /// The version that was answered last, and its content.
    pub reviewed: Option<(u32, ContentHash)>,
    /// How risky a wrong answer is.
    pub risk: Risk,
    /// The tab on the screen.
    pub tab: GateTab,
    /// Whether the operator chose the tab.
    pub tab_chosen: bool,
    /// What each tab shows comes from this question to the archive.
    pub sources: BTreeMap<GateTab, ArchiveQuery>,
    /// The texts that are there.
    pub texts: BTreeMap<GateTab, ScrollView>,
    /// What is looked for in them.
    pub search: TextSearch,
    /// The current text once more, beside the errors of the versions before it.
    pub repaired: Option<ScrollView>,
    /// What can be taken: its own artifact first, then those of its forks.
    pub forks: ForkComparison,
    /// Who could go on for less, where a budget is asked about; none while that is looked up.
    pub cheaper: Option<Vec<CheaperPersona>>,
    /// Which of them the answer names, and whether the operator's consent is being stored.
    pub chosen: Option<usize>,
    /// See [`chosen`](Self::chosen).
    pub agreeing: bool,
    /// Since when the gate is on the screen with no input waiting, in ticks.
    pub drawn: Option<u64>,
    /// Since when somebody else's answer is on the screen, in ticks.
    pub overtaken: Option<u64>,
    /// How far the answer is.
    pub stage: DecisionStep,
    /// The answer that was last sent from here, also where no word came back whether it counts.
    pub sent: Option<Decision>,
    /// The last event that counted here; the same one may be told twice.
    pub told: u64,
    /// The operator's words.
    pub input: TextInput,
    /// What the last thing done came to, in words.
    pub notice: Option<String>,
    /// Why the last answer was refused.
    pub failure: Option<Failure>,
}

impl GateView {
    /// Puts the open question of a run on the screen; `why` it is asked, where that is not an artifact.
    #[must_use]
    pub fn new(
        known: &LoadedRun,
        open: &OpenApproval,
        why: Option<&str>,
        size: (u16, u16),
    ) -> Self {
        let key = open.phase_key.as_ref();
        let versions = key.map(|key| known.versions(key)).unwrap_or_default();
        let current = open
            .artifact_sha256
            .as_ref()
            .and_then(|hash| versions.iter().rfind(|a| a.sha256 == *hash));
        let reviewed = key
            .zip(open.artifact_sha256.as_ref())
            .and_then(|(key, hash)| known.last_reviewed(key, hash));
        let reviewed = reviewed.map(|a| (a.version, a.sha256.clone()));
        let mut gate = Self {
            run_id: known.state.run_id,
            request_id: open.request_id,
            phase_key: open.phase_key.clone(),
            gate: open.gate.clone(),
            requested_at: open.requested_at,
            sha256: open.artifact_sha256.clone(),
            question: open.question.clone(),
            scope: PermissionScope::Once,
            version: current.map(|a| a.version),
            risk: key
                .and_then(|key| known.phase(key))
                .map_or(Risk::Medium, |phase| phase.risk),
            tab: if reviewed.is_some() {
                GateTab::Diff
            } else {
                GateTab::Whole
            },
            tab_chosen: false,
            sources: BTreeMap::new(),
            texts: BTreeMap::new(),
            search: TextSearch::default(),
            repaired: None,
            forks: ForkComparison::default(),
            cheaper: None,
            chosen: None,
            agreeing: false,
            reviewed,
            drawn: None,
            overtaken: None,
            stage: DecisionStep::Reading,
            sent: None,
            told: 0,
            input: TextInput::default(),
            notice: None,
            failure: None,
        };
        if open.artifact_sha256.is_none() {
            let asked = open
                .question
                .as_ref()
                .map(|asked| question::document(asked, &known.state));
            let text = asked.unwrap_or_else(|| describe_manual_gate(&open.gate, why));
            gate.texts
                .insert(GateTab::Whole, ScrollView::new(Arc::new(text), size));
        }
        gate.sources = sources(
            &gate,
            known,
            current.map(|a| a.path.clone()).unwrap_or_default(),
        );
        gate
    }

    /// The tabs that this question has.
    #[must_use]
    pub fn tabs(&self) -> Vec<GateTab> {
        let all = [
            GateTab::Diff,
            GateTab::Whole,
            GateTab::Forks,
            GateTab::Errors,
            GateTab::Comments,
            GateTab::Inputs,
            GateTab::Log,
        ];
        all.into_iter()
            .filter(|tab| self.sources.contains_key(tab) || self.texts.contains_key(tab))
            .collect()
    }

    /// The text on the screen; none while it loads.
    #[must_use]
    pub fn scroll_view(&self) -> Option<&ScrollView> {
        self.texts.get(&self.tab)
    }

    /// The text on the screen, to scroll it.
    pub fn scroll_view_mut(&mut self) -> Option<&mut ScrollView> {
        self.texts.get_mut(&self.tab)
    }

    /// Whether the comparison with its forks is on the screen, laid out for another width.
    #[must_use]
    pub fn forks_need_layout(&self, columns: u16) -> bool {
        self.tab == GateTab::Forks
            && self
                .scroll_view()
                .is_some_and(|reading| reading.size().0 != columns)
    }

    /// Fits the comparison with its forks to a size; stays about where it was read.
    pub fn lay_out_forks(&mut self, size: (u16, u16)) {
        let doc = Arc::new(self.forks.document(size.0));
        let sought = self.search.active_pattern();
        match self.texts.get_mut(&GateTab::Forks) {
            Some(reading) if reading.size().0 == size.0 => reading.replace(doc),
            Some(reading) => {
                let (at, lines) = (reading.position().0, reading.doc().lines.len().max(1));
                let line = at * doc.lines.len() / lines;
                reading.lay_out(size);
                reading.replace_at(doc, line);
            }
            None => drop(
                self.texts
                    .insert(GateTab::Forks, ScrollView::new(doc, size)),
            ),
        }
        if let Some(reading) = self.texts.get_mut(&GateTab::Forks) {
            reading.set_pattern(sought);
        }
    }

    /// Takes in a text that one of its tabs is made of; whether one is.
    pub fn apply_text(
        &mut self,
        query: &ArchiveQuery,
        doc: &Arc<TextDocument>,
        size: (u16, u16),
    ) -> bool {
        let Some(tab) = self
            .sources
            .iter()
            .find(|(_, source)| *source == query)
            .map(|(tab, _)| *tab)
        else {
            return false;
        };
        // What was asked for twice stays where it was scrolled to.
        let sought = self.search.active_pattern();
        let reading = self
            .texts
            .entry(tab)
            .or_insert_with(|| ScrollView::new(doc.clone(), size));
        if reading.doc().part {
            reading.replace(doc.clone());
        }
        reading.set_pattern(sought);
        if tab == GateTab::Whole {
            let beside = self
                .repaired
                .get_or_insert_with(|| ScrollView::new(doc.clone(), size));
            if beside.doc().part {
                beside.replace(doc.clone());
            }
        }
        true
    }

    /// The text by which "seen" is measured: the whole, or the difference where that is read.
    #[must_use]
    pub fn coverage_view(&self) -> Option<&ScrollView> {
        let whole = self
            .texts
            .get(&GateTab::Whole)
            .filter(|reading| !reading.doc().part);
        match (self.texts.get(&GateTab::Diff), whole) {
            (Some(diff), Some(whole)) if diff.unseen() < whole.unseen() => Some(diff),
            (Some(diff), None) => Some(diff),
            (_, whole) => whole,
        }
    }

    /// Lines never on the screen; none while the text loads.
    #[must_use]
    pub fn unseen(&self) -> Option<usize> {
        self.coverage_view().map(ScrollView::unseen)
    }

    /// How long verdict keys are still ignored, in milliseconds; 0: they count.
    #[must_use]
    pub fn ignored_for(&self, last_input: u64, ticks: u64) -> u64 {
        remaining(self.drawn, last_input, ticks, QUIET_MS)
    }

    /// As [`ignored_for`](Self::ignored_for), for Enter on "Approve?".
    #[must_use]
    pub fn confirm_ignored_for(&self, last_input: u64, ticks: u64) -> u64 {
        match &self.stage {
            DecisionStep::Confirm { since, .. } => {
                remaining(*since, last_input, ticks, CONFIRM_QUIET_MS)
            }
            _ => CONFIRM_QUIET_MS,
        }
    }

    /// Whether Enter was meant for what is on the screen: not for the question that somebody else has just
    /// answered, so that who pressed it to approve learns what became of it.
    #[must_use]
    pub fn receipt_is_settled(&self, ticks: u64) -> bool {
        match &self.stage {
            DecisionStep::Receipt(receipt) if receipt.ours => true,
            _ => self
                .overtaken
                .is_some_and(|since| ticks.saturating_sub(since) >= QUIET_MS),
        }
    }

    /// What must be typed before Enter approves; empty where Enter alone does.
    #[must_use]
    pub fn required_text(&self) -> &str {
        match (&self.phase_key, self.risk) {
            (Some(key), Risk::High) if !self.accepts_amount() => key.as_str(),
            _ => "",
        }
    }

    /// Whether an answer can be given to this question.
    #[must_use]
    pub fn accepts(&self, action: Decision) -> bool {
        action != Decision::RequestChanges || (self.phase_key.is_some() && self.question.is_none())
    }

    /// The amount that is typed in to raise a budget, where it is one.
    #[must_use]
    pub fn budget_increase(&self) -> Option<NanoUsd> {
        let DecisionStep::Confirm { typed, .. } = &self.stage else {
            return None;
        };
        self.question.as_ref()?.budget()?;
        NanoUsd::from_decimal(typed).filter(|amount| amount.0 > 0)
    }

    /// Who goes on for less, as the answer names them.
    #[must_use]
    pub fn cheaper_persona(&self) -> Option<&CheaperPersona> {
        self.cheaper.as_ref()?.get(self.chosen?)
    }

    /// Whether somebody cheaper is enough to go on: not where all of the budget is spent.
    #[must_use]
    pub fn amount_is_optional(&self) -> bool {
        let left = self
            .question
            .as_deref()
            .and_then(GateQuestion::budget)
            .is_some_and(|budget| budget.spent < budget.limit);
        left && self.cheaper_persona().is_some()
    }

    /// Whether an amount can be typed in.
    #[must_use]
    pub fn accepts_amount(&self) -> bool {
        self.question
            .as_ref()
            .is_some_and(|question| question.budget().is_some())
    }

    /// Whether Enter on "Approve?" would have everything it needs.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let DecisionStep::Confirm { typed, .. } = &self.stage else {
            return false;
        };
        match self.question.as_deref() {
            Some(GateQuestion::Budget(_)) if typed.is_empty() => self.amount_is_optional(),
            Some(GateQuestion::Budget(_)) => self.budget_increase().is_some(),
            _ => *typed == self.required_text(),
        }
    }

    /// Whose draft its words are.
    #[must_use]
    pub fn draft_key(&self) -> DraftKey {
        // Words about a tool are not words about the phase's artifact.
        let phase = self.phase_key.as_ref().filter(|_| self.question.is_none());
        let about = phase.map_or_else(|| self.gate.to_string(), ToString::to_string);
        DraftKey {
            run_id: self.run_id,
            about,
        }
    }

    /// Its words, to be kept.
    #[must_use]
    pub fn draft(&self) -> CommentDraft {
        CommentDraft {
            text: self.input.text(),
            version: self.input.written_for.or(self.version),
        }
    }

    /// Whether the question can still be answered here.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !matches!(
            self.stage,
            DecisionStep::Sending { .. }
                | DecisionStep::Recorded { .. }
                | DecisionStep::Revising { .. }
                | DecisionStep::Receipt(_)
        )
    }
}

fn remaining(since: Option<u64>, last_input: u64, ticks: u64, quiet_ms: u64) -> u64 {
    let Some(since) = since else { return quiet_ms };
    quiet_ms.saturating_sub(ticks.saturating_sub(since.max(last_input)))
}

fn describe_manual_gate(gate: &GateKey, why: Option<&str>) -> TextDocument {
    let mut doc = TextDocument::default();
    if gate.as_str() == "session_recovery_required" {
        doc.push(LineKind::Heading, "An agent could not go on by itself.");
        if let Some(why) = why {
            doc.push(LineKind::Plain, "");
            doc.push_all(LineKind::Error, why);
        }
        doc.push(LineKind::Plain, "");
        doc.push(
            LineKind::Plain,
            "approve   a fresh conversation begins from the last stored turn",
        );
        doc.push(LineKind::Plain, "reject    the run fails");
        doc.push(LineKind::Plain, "abort     the run ends as aborted");
    } else {
        doc.push(
            LineKind::Note,
            "This question is about no artifact: the phase produces none.",
        );
    }
    doc
}

/// Which question to the archive fills each tab; tabs that would be empty have none.
fn sources(gate: &GateView, known: &LoadedRun, path: String) -> BTreeMap<GateTab, ArchiveQuery> {
    let mut found = BTreeMap::new();
    // A question about the run itself came up in the phase that was at work.
    let Some(key) = gate
        .phase_key
        .as_ref()
        .or(known.state.current().map(|phase| &phase.key))
    else {
        return found;
    };
    let run_id = gate.run_id;
    found.insert(GateTab::Inputs, ArchiveQuery::Inputs(run_id, key.clone()));
    found.insert(GateTab::Log, ArchiveQuery::PhaseLog(run_id, key.clone()));
    let Some(hash) = &gate.sha256 else {
        return found;
    };
    found.insert(GateTab::Whole, ArchiveQuery::Content(hash.clone(), path));
    if let Some((_, old)) = &gate.reviewed {
        found.insert(GateTab::Diff, ArchiveQuery::Diff(old.clone(), hash.clone()));
    }
    if known.versions(key).iter().any(|version| !version.valid) {
        found.insert(GateTab::Errors, ArchiveQuery::Errors(run_id, key.clone()));
    }
    if known.comments(key).next().is_some() {
        found.insert(
            GateTab::Comments,
            ArchiveQuery::Comments(run_id, key.clone(), hash.clone()),
        );
    }
    found
}

/// Lines of a log, or why there are none.
#[must_use]
pub fn log_document(lines: &[String]) -> TextDocument {
    let mut doc = TextDocument::default();
    lines
        .iter()
        .for_each(|line| doc.push(LineKind::Plain, line));
    if doc.lines.is_empty() {
        doc.push(LineKind::Note, "nothing happened in this phase yet");
    }
    doc
}
