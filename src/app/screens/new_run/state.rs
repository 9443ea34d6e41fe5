//! The form of a new run: its fields, the one with the focus, and what the engine says it would be.
//!
//! Every change asks the engine for an outlook; the answer carries the number of the change it is
//! about, so that the form knows whether what it shows is about what stands there. What it says is kept
//! when it is left, and as a draft beyond this process.

use crate::app::screens::runs;
use crate::app::screens::runs::state::RunsState;
use crate::app::screens::runs::thread_status::ThreadStatus;
use crate::app::search;
use crate::app::text::text_input::TextInput;
use crate::engine::api::{AssignmentPreview, CostEstimate, RequestPart, StartPreview, StartRun};
use crate::model::error::{Code, Failure};
use crate::model::id::RoleId;
use crate::model::money::NanoUsd;
use crate::model::record::RunOptions;
use crate::model::state::Strategy;
use std::collections::BTreeMap;

/// What can have the focus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormField {
    /// The workflow, found by typing.
    Workflow,
    /// The repository's folder; empty: a plain folder.
    Repo,
    /// The branch or commit to begin from; empty: the current one.
    Base,
    /// What is wanted.
    Wish,
    /// Who sits in the seat with this number.
    Seat(usize),
    /// The lane; empty: repository and base.
    Thread,
    /// What happens when another run holds the lane.
    Strategy,
    /// What it may cost; empty: as the settings say.
    Budget,
    /// Whether no model is asked.
    Rehearse,
    /// The button.
    Start,
}

/// The form.
#[derive(Clone, Debug)]
pub struct NewRunForm {
    /// What has the focus.
    pub focus: FormField,
    /// What was typed to find the workflow; empty: the chosen one stands there.
    pub typed: String,
    /// The place among the found ones.
    pub found: usize,
    /// The workflow that stood there before that; it stays where nothing fits.
    pub before: String,
    /// The chosen workflow, `name@version`.
    pub workflow: String,
    /// The repository.
    pub repo: TextInput,
    /// The base.
    pub base: TextInput,
    /// The wish.
    pub wish: TextInput,
    /// The lane.
    pub thread: TextInput,
    /// What happens when another run holds it.
    pub strategy: Strategy,
    /// What the run may cost, in dollars.
    pub budget: TextInput,
    /// Personas named outright.
    pub personas: BTreeMap<RoleId, String>,
    /// Whether no model is asked.
    pub rehearse: bool,
    /// Counts the changes.
    pub revision: u64,
    /// The change that an outlook is being made for.
    pub asked: Option<u64>,
    /// What the run would be, and the change that this is about.
    pub outlook: Option<(u64, Box<StartRun>, Box<StartPreview>)>,
    /// Why the last start did not begin.
    pub failure: Option<Failure>,
    /// Whether it is being started.
    pub starting: bool,
    /// Since when there are changes that are not kept, in ticks.
    pub unsaved: Option<u64>,
}

impl NewRunForm {
    /// A form about the repository the operator stands in, if any.
    #[must_use]
    pub fn new(here: Option<&str>) -> Self {
        Self {
            // All that stands before the wish has an answer already.
            focus: FormField::Wish,
            typed: String::new(),
            found: 0,
            before: String::new(),
            workflow: "development".to_owned(),
            repo: TextInput::from_text(here.unwrap_or_default()),
            base: TextInput::default(),
            wish: TextInput::default(),
            thread: TextInput::default(),
            strategy: Strategy::Reject,
            budget: TextInput::default(),
            personas: BTreeMap::new(),
            rehearse: false,
            revision: 0,
            asked: None,
            outlook: None,
            failure: None,
            starting: false,
            unsaved: None,
        }
    }

    /// The fields in order.
    #[must_use]
    pub fn fields(&self) -> Vec<FormField> {
        let seats = self.seats().len();
        let mut fields = vec![
            FormField::Workflow,
            FormField::Repo,
            FormField::Base,
            FormField::Wish,
        ];
        fields.extend((0..seats).map(FormField::Seat));
        fields.push(FormField::Thread);
        fields.extend(self.uses_thread().then_some(FormField::Strategy));
        fields.extend([FormField::Budget, FormField::Rehearse, FormField::Start]);
        fields
    }

    /// Whether another run could hold its lane: runs in plain folders of their own never meet.
    #[must_use]
    pub fn uses_thread(&self) -> bool {
        !self.thread.is_blank() || !self.repo.is_blank()
    }

    /// The name of its lane, as far as it is known.
    #[must_use]
    pub fn thread_name(&self) -> Option<String> {
        let named = Some(self.thread.text().trim().to_owned()).filter(|name| !name.is_empty());
        named.or_else(|| self.preview()?.thread.clone())
    }

    /// Moves the focus by so many fields, round the ends.
    pub fn move_focus(&mut self, by: usize) {
        let fields = self.fields();
        let at = fields
            .iter()
            .position(|field| *field == self.focus)
            .unwrap_or(0);
        self.focus = fields[(at + by) % fields.len()];
    }

    /// The text that is being written, where the field is one.
    pub fn text_mut(&mut self) -> Option<&mut TextInput> {
        match self.focus {
            FormField::Repo => Some(&mut self.repo),
            FormField::Base => Some(&mut self.base),
            FormField::Wish => Some(&mut self.wish),
            FormField::Thread => Some(&mut self.thread),
            FormField::Budget => Some(&mut self.budget),
            _ => None,
        }
    }

    /// What would be asked of the engine; the repository as it was written.
    #[must_use]
    pub fn request(&self) -> StartRun {
        let said = |input: &TextInput| {
            Some(input.text().trim().to_owned()).filter(|text| !text.is_empty())
        };
        StartRun {
            workflow: self.workflow.clone(),
            repo: said(&self.repo).map(Into::into),
            base: said(&self.base),
            requirements: self.wish.text(),
            personas: self.personas.clone(),
            thread: said(&self.thread).map(|thread| thread.as_str().into()),
            options: RunOptions {
                rehearse: self.rehearse,
                strategy: Some(self.strategy)
                    .filter(|strategy| self.uses_thread() && *strategy != Strategy::Reject),
                budget: self.amount(),
                ..RunOptions::default()
            },
            idempotency_key: None,
        }
    }

    /// What is known, about whichever change.
    #[must_use]
    pub fn preview(&self) -> Option<&StartPreview> {
        self.outlook.as_ref().map(|(_, _, ahead)| &**ahead)
    }

    /// Whether what is known is about what stands there.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.outlook
            .as_ref()
            .is_some_and(|(revision, ..)| *revision == self.revision)
    }

    /// The seats of the workflow.
    #[must_use]
    pub fn seats(&self) -> &[AssignmentPreview] {
        self.preview().map_or(&[], |ahead| &ahead.seats)
    }

    /// The workflows that fit what was typed, best first; letters that fit are marked.
    #[must_use]
    pub fn candidates(&self) -> Vec<(usize, Vec<usize>)> {
        let names = self.preview().map_or(&[][..], |ahead| &ahead.workflows);
        search::fuzzy::rank(
            &self.typed,
            names.iter().map(|(name, about)| format!("{name} {about}")),
        )
    }

    /// The problem of a part, if it has one.
    #[must_use]
    pub fn problem(&self, part: &RequestPart) -> Option<&Failure> {
        self.preview()?
            .problems
            .iter()
            .find(|(about, _)| about == part)
            .map(|(_, failure)| failure)
    }

    fn amount(&self) -> Option<NanoUsd> {
        NanoUsd::from_decimal(self.budget.text().trim().trim_start_matches('$'))
            .filter(|amount| amount.0 > 0)
    }

    /// What is wrong with the budget.
    #[must_use]
    pub fn budget_problem(&self) -> Option<Failure> {
        let unread = !self.budget.is_blank() && self.amount().is_none();
        unread.then(|| {
            Failure::new(Code::UsageInvalid, "the budget is no amount of dollars")
                .hint("write it like 2.50, or leave it empty")
        })
    }

    /// How far the budget that holds will reach, as far as can be told, and whether the run will probably ask for more.
    #[must_use]
    pub fn describe_budget_coverage(&self) -> Option<(&'static str, bool)> {
        let ahead = self.preview().filter(|_| self.budget_problem().is_none())?;
        let budget = self.amount().or(ahead.budget)?;
        Some(match ahead.estimate {
            CostEstimate::Free => ("a rehearsal spends nothing of it", false),
            CostEstimate::History { p50, .. } if budget < p50 => {
                ("most earlier runs cost more: this one will ask you", true)
            }
            CostEstimate::History { p90, .. } if budget < p90 => {
                ("some earlier runs cost more: this one may ask you", true)
            }
            CostEstimate::History { .. } => ("9 of 10 earlier runs stayed below it", false),
            CostEstimate::AtMost(most) if budget >= most => ("enough, by prices and limits", false),
            CostEstimate::AtMost(_) | CostEstimate::Unknown => {
                ("before a call that would cross it, the run asks you", false)
            }
        })
    }

    /// Why its lane does not take it as it is; none where it does.
    #[must_use]
    pub fn thread_problem(&self, runs: &RunsState) -> Option<Failure> {
        let name = self.thread_name().filter(|_| self.uses_thread())?;
        ThreadStatus::for_thread(&name, runs).start_refusal(self.strategy)
    }

    /// The first thing that stands in the way of a start, and how many there are.
    #[must_use]
    pub fn blocking_problems(&self, runs: &RunsState) -> (Option<Failure>, usize) {
        let own = [self.budget_problem(), self.thread_problem(runs)];
        let said = self
            .preview()
            .into_iter()
            .flat_map(|ahead| ahead.problems.iter().map(|(_, failure)| failure.clone()));
        let all: Vec<Failure> = said.chain(own.into_iter().flatten()).collect();
        let count = all.len();
        (all.into_iter().next(), count)
    }

    /// Another strategy.
    pub fn cycle_strategy(&mut self, forward: bool) {
        self.strategy = runs::thread_status::cycle_strategy(self.strategy, forward);
    }

    /// Names the next or the one before of those who could sit there; behind the last stands the binder's own choice.
    pub fn cycle_persona(&mut self, seat: usize, forward: bool) {
        let Some(seat) = self.seats().get(seat) else {
            return;
        };
        let (role, choices) = (seat.role.clone(), seat.choices.clone());
        let at = self
            .personas
            .get(&role)
            .and_then(|name| choices.iter().position(|choice| choice == name));
        let next = match (at, forward) {
            (None, true) => Some(0),
            (None, false) => choices.len().checked_sub(1),
            (Some(at), true) => Some(at + 1),
            (Some(at), false) => at.checked_sub(1),
        };
        match next.and_then(|next| choices.get(next)) {
            Some(name) => drop(self.personas.insert(role, name.clone())),
            None => drop(self.personas.remove(&role)),
        }
    }
}
