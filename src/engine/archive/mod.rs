//! Reads what is on disk, for screens and commands.
//!
//! An archive is a read-only connection with typed questions. It needs no living engine, never waits
//! for one, and sees what was committed when a question was asked. It blocks for the length of a
//! query; who must not wait (a screen) asks from a thread of its own, one archive a thread.

mod contents;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub use self::contents::ArtifactHits;
use super::artifact::contents::Contents;
use super::crash_card::{self, CrashCard};
use super::final_report;
use super::paths::Paths;
use super::report::Report;
use super::run_files;
use crate::model::error::Result;
use crate::model::event::Event;
use crate::model::forecast::Sample;
use crate::model::going_on;
use crate::model::hash::ContentHash;
use crate::model::id::{PhaseKey, RunId, SchemaId};
use crate::model::money::Cost;
use crate::model::persona::{Binding, Persona};
use crate::model::record::{
    ApprovalRecord, ArtifactRecord, CostLine, LedgerRecord, PhaseRecord, RunRecord, SessionRecord,
    TurnRecord,
};
use crate::model::run_state::RunState;
use crate::model::time::Timestamp;
use crate::model::wanted::Wanted;
use crate::model::workflow::Workflow;
use crate::store::gate_tokens::{self, GateToken};
pub use crate::store::ledger::CostBy;
pub use crate::store::run_page::{PageAsk, RunCounts, RunPage, Searchable};
pub use crate::store::search::Page;
pub use crate::store::sessions::Said;
use crate::store::{
    Reader, approvals, artifacts, consents, conversation, events, forecast, frozen, ledger, phases,
    run_costs, run_list, run_page, runs, search, sessions, threads, turns,
};

/// Which runs to list.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Only runs in these states, by wire name; empty: all.
    pub states: Vec<String>,
    /// Only runs of this thread.
    pub thread: Option<String>,
    /// At most so many; absent: all.
    pub limit: Option<u32>,
}

/// Which events to read.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Only these types; empty: all.
    pub kinds: Vec<String>,
    /// Only of this phase.
    pub phase_key: Option<PhaseKey>,
}

/// One of several artifacts of a phase that waits at a gate: of the run itself, or of a fork of it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Candidate {
    /// Who made it.
    pub run_id: RunId,
    /// Where that run stands, by wire name.
    pub state: String,
    /// Which phase it is.
    pub phase_key: PhaseKey,
    /// Who did the work.
    pub persona: Option<String>,
    /// The latest stored version and its verdict; absent while there is none.
    pub artifact: Option<ArtifactRecord>,
    /// What the calls of this phase cost.
    pub cost: Cost,
    /// How many calls that were, over all phases that the run made itself.
    pub calls: u32,
    /// Milliseconds that agents worked on this phase.
    pub working_ms: u64,
}

/// Reads what is on disk.
#[derive(Debug)]
pub struct Archive {
    reader: Reader,
    contents: Contents,
}

impl Archive {
    /// Opens the archive of an installation. Makes nothing.
    ///
    /// # Errors
    /// `io_failed` when there is no database yet; `db_newer_schema`; `db_corrupt`.
    pub fn open(paths: &Paths) -> Result<Self> {
        Ok(Self {
            reader: Reader::open(&paths.database())?,
            contents: Contents::new(paths.contents()),
        })
    }

    /// The runs that fit, newest first; the order is the same every time, also when times tie.
    ///
    /// # Errors
    /// What the database says.
    pub fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>> {
        run_list::list(
            self.reader.connection(),
            &filter.states,
            filter.thread.as_deref(),
            filter.limit,
        )
    }

    /// A part of the list of runs, and how many there are.
    ///
    /// # Errors
    /// What the database says.
    pub fn run_page(&self, ask: &PageAsk) -> Result<RunPage> {
        run_page::page(self.reader.connection(), ask)
    }

    /// Runs that stopped before their end, the newest first.
    ///
    /// # Errors
    /// What the database says.
    pub fn paused(&self) -> Result<Vec<RunRecord>> {
        run_page::paused(self.reader.connection())
    }

    /// Why a run cannot be resumed, in words; by the rule that resuming itself obeys.
    ///
    /// # Errors
    /// `run_not_found`; what the database says.
    pub fn refuses_to_resume(&self, run: RunId) -> Result<Option<String>> {
        let record = runs::get(self.reader.connection(), run)?;
        let holder = run_page::holder(self.reader.connection(), &record)?;
        if let Some(refusal) = going_on::refusal_of(&record.state, holder) {
            return Ok(Some(refusal.words()));
        }
        Ok(run_files::load_files(self.reader.connection(), record)
            .err()
            .map(|failure| failure.message))
    }

    /// One run.
    ///
    /// # Errors
    /// `run_not_found`.
    pub fn run(&self, run: RunId) -> Result<RunRecord> {
        runs::get(self.reader.connection(), run)
    }

    /// The run that `text` means: a whole id, any part that only one id has, or `@last`.
    ///
    /// # Errors
    /// `run_not_found`; `run_ambiguous` naming the runs that fit.
    pub fn find(&self, text: &str) -> Result<RunId> {
        run_list::find(self.reader.connection(), text)
    }

    /// At most `limit` events from `from_seq` on, in order.
    ///
    /// # Errors
    /// `db_corrupt` naming an event that cannot be read.
    pub fn events(&self, run: RunId, from_seq: u64, limit: u32) -> Result<Vec<Event>> {
        events::from(self.reader.connection(), run, from_seq, limit)
    }

    /// The page of at most `limit` events that ends just before `seq`, in order.
    ///
    /// # Errors
    /// As [`events`](Self::events).
    pub fn events_before(&self, run: RunId, seq: u64, limit: u32) -> Result<Vec<Event>> {
        events::before(self.reader.connection(), run, seq, limit)
    }

    /// At most `limit` events from `from_seq` on that fit, in order.
    ///
    /// # Errors
    /// As [`events`](Self::events).
    pub fn events_filtered(
        &self,
        run: RunId,
        filter: &EventFilter,
        from_seq: u64,
        limit: u32,
    ) -> Result<Vec<Event>> {
        events::filtered(
            self.reader.connection(),
            run,
            &filter.kinds,
            filter.phase_key.as_ref(),
            from_seq,
            limit,
        )
    }

    /// The number of the run's last event; 0 before the first.
    ///
    /// # Errors
    /// `run_not_found`.
    pub fn last_seq(&self, run: RunId) -> Result<u64> {
        events::last_seq(self.reader.connection(), run)
    }

    /// At most `limit` wanted events from `from_seq` on, and how far was looked for them: a bounded
    /// piece of work, so an answer may hold fewer and end before the journal does.
    ///
    /// # Errors
    /// `run_not_found`; `db_corrupt` naming an event that cannot be read.
    pub fn page_after(
        &self,
        run: RunId,
        wanted: &Wanted,
        from_seq: u64,
        limit: u32,
    ) -> Result<Page> {
        search::after(
            self.reader.connection(),
            run,
            wanted,
            from_seq,
            usize::try_from(limit).unwrap_or(usize::MAX),
        )
    }

    /// The last `limit` wanted events before `seq`; as [`page_after`](Self::page_after).
    ///
    /// # Errors
    /// As [`page_after`](Self::page_after).
    pub fn page_before(&self, run: RunId, wanted: &Wanted, seq: u64, limit: u32) -> Result<Page> {
        search::before(
            self.reader.connection(),
            run,
            wanted,
            seq,
            usize::try_from(limit).unwrap_or(usize::MAX),
        )
    }

    /// What the run's journal folds to. Costs the same at any length.
    ///
    /// # Errors
    /// As [`events`](Self::events); `illegal_transition` for a journal that no engine can have written.
    pub fn state(&self, run: RunId) -> Result<RunState> {
        events::state(self.reader.connection(), run)
    }

    /// What the run's journal folds to up to and with event `seq`.
    ///
    /// # Errors
    /// As [`state`](Self::state).
    pub fn state_at(&self, run: RunId, seq: u64) -> Result<RunState> {
        events::state_at(self.reader.connection(), run, seq)
    }

    /// The phases of a run, in order.
    ///
    /// # Errors
    /// What the database says.
    pub fn phases(&self, run: RunId) -> Result<Vec<PhaseRecord>> {
        phases::of_run(self.reader.connection(), run)
    }

    /// Every stored version of every artifact of a run: phases in order, versions from 1.
    ///
    /// # Errors
    /// What the database says.
    pub fn artifacts(&self, run: RunId) -> Result<Vec<ArtifactRecord>> {
        artifacts::of_run(self.reader.connection(), run)
    }

    /// The questions of a run, in the order they were asked.
    ///
    /// # Errors
    /// What the database says.
    pub fn approvals(&self, run: RunId) -> Result<Vec<ApprovalRecord>> {
        approvals::of_run(self.reader.connection(), run)
    }

    /// Everything that waits for the operator, in all runs, oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub fn pending_approvals(&self) -> Result<Vec<ApprovalRecord>> {
        approvals::pending(self.reader.connection())
    }

    /// What can be picked for the phase that waits at the gate of a run: its own artifact first, then
    /// those of its forks, oldest first. Empty where it waits at no gate about an artifact.
    ///
    /// # Errors
    /// `run_not_found`; what the database says.
    pub fn candidates(&self, run: RunId) -> Result<Vec<Candidate>> {
        let state = self.state(run)?;
        let waiting = state
            .approval
            .filter(|open| open.artifact_sha256.is_some())
            .and_then(|open| open.phase_key);
        let Some(phase_key) = waiting else {
            return Ok(Vec::new());
        };
        let mut candidates = vec![self.candidate(run, &phase_key)?];
        for fork in threads::forks(self.reader.connection(), run)? {
            if self.run(fork)?.origin.forked_phase.as_ref() == Some(&phase_key) {
                candidates.push(self.candidate(fork, &phase_key)?);
            }
        }
        Ok(candidates)
    }

    fn candidate(&self, run: RunId, phase_key: &PhaseKey) -> Result<Candidate> {
        let (record, state) = (self.run(run)?, self.state(run)?);
        let phase = state.phase(phase_key);
        Ok(Candidate {
            run_id: run,
            state: record.state,
            phase_key: phase_key.clone(),
            persona: phase.and_then(|phase| match &phase.revised_by {
                Some(by) => Some(format!("{by}, by hand")),
                None => phase.made_by().map(ToString::to_string),
            }),
            artifact: self
                .artifacts(run)?
                .into_iter()
                .rev()
                .find(|artifact| artifact.phase_key == *phase_key),
            cost: phase.map(|phase| phase.cost).unwrap_or_default(),
            calls: record.calls,
            working_ms: phase.map_or(0, |phase| phase.working_ms_at(state.last_at)),
        })
    }

    /// The conversations of a run, oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub fn sessions(&self, run: RunId) -> Result<Vec<SessionRecord>> {
        sessions::of_run(self.reader.connection(), run)
    }

    /// The turns of one attempt that are part of the conversation, in order.
    ///
    /// # Errors
    /// What the database says.
    pub fn turns(&self, run: RunId, phase: &PhaseKey, attempt: u32) -> Result<Vec<TurnRecord>> {
        turns::of_attempt(self.reader.connection(), run, phase, attempt)
    }

    /// The turns of one attempt with what agent programs said in them; as they were at an event, where
    /// one is given.
    ///
    /// # Errors
    /// What the database says.
    pub fn conversation(
        &self,
        run: RunId,
        phase: &PhaseKey,
        attempt: u32,
        at: Option<u64>,
    ) -> Result<Vec<conversation::Turn>> {
        conversation::of_attempt(self.reader.connection(), run, phase, attempt, at)
    }

    /// The calls of a run and what they cost, oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub fn ledger(&self, run: RunId) -> Result<Vec<LedgerRecord>> {
        ledger::of_run(self.reader.connection(), run)
    }

    /// What settled calls cost, in groups; of one run, or of all.
    ///
    /// # Errors
    /// What the database says.
    pub fn costs(&self, run: Option<RunId>, by: CostBy) -> Result<Vec<CostLine>> {
        ledger::costs(self.reader.connection(), run, by)
    }

    /// What a phase of a workflow (by `name@version`) cost and took before, in rehearsals or in real runs.
    ///
    /// # Errors
    /// What the database says.
    pub fn phase_samples(
        &self,
        workflow: &str,
        rehearsal: bool,
        phase: &PhaseKey,
    ) -> Result<Vec<Sample>> {
        forecast::samples(self.reader.connection(), workflow, rehearsal, phase)
    }

    /// What the settled calls of each run cost, the newest run first; the label is the run's id.
    ///
    /// # Errors
    /// What the database says.
    pub fn costs_by_run(&self) -> Result<Vec<CostLine>> {
        run_costs::by_run(self.reader.connection())
    }

    /// The workflow that a run was begun with.
    ///
    /// # Errors
    /// `run_not_found`; `template_load_failed` when its text is missing or malformed.
    pub fn workflow(&self, run: RunId) -> Result<Workflow> {
        frozen::workflow(self.reader.connection(), run)
    }

    /// The bindings of a run with their personas, ordered by role.
    ///
    /// # Errors
    /// `run_metadata_missing` when it has none; `persona_load_failed` naming the persona.
    pub fn bindings(&self, run: RunId) -> Result<Vec<(Binding, Persona)>> {
        frozen::personas(self.reader.connection(), run)
    }

    /// The schema that `id` means for a run.
    ///
    /// # Errors
    /// `schema_not_found` when it is missing or malformed.
    pub fn schema(&self, run: RunId, id: &SchemaId) -> Result<serde_json::Value> {
        frozen::schema(self.reader.connection(), run, id)
    }

    /// The report of a run as its rows say it now.
    ///
    /// # Errors
    /// `run_not_found`; `run_metadata_missing`.
    pub fn report(&self, run: RunId) -> Result<Report> {
        final_report::build(self.reader.connection(), run)
    }

    /// What a crash left of a run, where its last end was one.
    ///
    /// # Errors
    /// As [`state`](Self::state).
    pub fn crash_card(&self, run: RunId) -> Result<Option<CrashCard>> {
        crash_card::read(self.reader.connection(), run)
    }

    /// The personas that the operator has agreed to use, by hash.
    ///
    /// # Errors
    /// What the database says.
    pub fn consents(&self) -> Result<BTreeSet<ContentHash>> {
        consents::all(self.reader.connection())
    }

    /// What the token with this digest is for.
    ///
    /// # Errors
    /// What the database says.
    pub fn gate_token(&self, digest: &ContentHash) -> Result<Option<GateToken>> {
        gate_tokens::find(self.reader.connection(), digest)
    }

    /// Changes whenever anything was stored; cheap enough to ask many times a second.
    ///
    /// # Errors
    /// What the database says.
    pub fn data_version(&self) -> Result<i64> {
        self.reader.data_version()
    }

    /// The last event number of every run that moved at `since` or later, oldest change first.
    ///
    /// # Errors
    /// What the database says.
    pub fn seqs(&self, since: Timestamp) -> Result<Vec<(RunId, u64)>> {
        run_list::moved(self.reader.connection(), since)
    }
}
