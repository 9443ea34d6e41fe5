//! Read access to stored data, for screens and commands.
//!
//! An archive is a read-only connection with typed queries. It needs no running engine, never waits
//! for one, and sees what was committed when a query was made. Queries block; a caller that must
//! not block (a screen) uses a thread with an archive of its own.

mod contents;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub use self::contents::ArtifactHits;
use super::artifact::contents::WorktreeContents;
use super::paths::InstallPaths;
use super::report::RunsReport;
use crate::engine::report::final_report;
use crate::engine::run::crash_card;
use crate::engine::run::crash_card::CrashCard;
use crate::engine::run::run_files;
use crate::model::error::Result;
use crate::model::event::JournalEvent;
use crate::model::event_filter::EventFilter;
use crate::model::forecast::CostSample;
use crate::model::hash::ContentHash;
use crate::model::id::{PhaseKey, RunId, SchemaId};
use crate::model::money::CallCost;
use crate::model::persona::{Persona, RoleBinding};
use crate::model::record::{
    ApprovalRecord, ArtifactRecord, CostLine, LedgerRecord, PhaseRecord, RunRecord, SessionRecord,
    TurnRecord,
};
use crate::model::resumable;
use crate::model::run_state::RunState;
use crate::model::time::Timestamp;
use crate::model::workflow::Workflow;
use crate::store::Reader;
pub use crate::store::journal::search::EventMatches;
use crate::store::journal::{events, search};
use crate::store::tables::gate_tokens;
use crate::store::tables::gate_tokens::GateToken;
pub use crate::store::tables::ledger::CostGrouping;
pub use crate::store::tables::run_page::{RunCounts, RunPage, RunPageQuery, RunSearchText};
pub use crate::store::tables::sessions::TranscriptKind;
use crate::store::tables::{
    approvals, artifacts, consents, conversation, forecast, ledger, phases, run_costs,
    run_definitions, run_list, run_page, runs, sessions, threads, turns,
};

/// Selects runs to list.
#[derive(Clone, Debug, Default)]
pub struct RunQuery {
    /// Only runs in these states, by wire name; empty means all.
    pub states: Vec<String>,
    /// Only runs of this thread.
    pub thread: Option<String>,
    /// Maximum number of runs; `None` means all.
    pub limit: Option<u32>,
}

/// Selects events to read.
#[derive(Clone, Debug, Default)]
pub struct EventQuery {
    /// Only events of these kinds; empty means all.
    pub kinds: Vec<String>,
    /// Only events of this phase.
    pub phase_key: Option<PhaseKey>,
}

/// An artifact that can be picked for a phase waiting at a gate: the run's own, or one of a fork.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[schemars(rename = "Candidate")]
pub struct ForkCandidate {
    /// The run that made the artifact.
    pub run_id: RunId,
    /// State of that run, by wire name.
    pub state: String,
    /// The phase.
    pub phase_key: PhaseKey,
    /// The persona that made it.
    pub persona: Option<String>,
    /// The latest stored version and its validation result; absent if there is none.
    pub artifact: Option<ArtifactRecord>,
    /// Cost of the calls of this phase.
    pub cost: CallCost,
    /// Number of calls, over all phases that the run made itself.
    pub calls: u32,
    /// Milliseconds that agents worked on this phase.
    pub working_ms: u64,
}

/// Read access to the stored data of an installation.
#[derive(Debug)]
pub struct RunArchive {
    reader: Reader,
    contents: WorktreeContents,
}

impl RunArchive {
    /// Opens the archive of an installation. Creates nothing.
    ///
    /// # Errors
    /// `io_failed` if there is no database yet; `db_newer_schema`; `db_corrupt`.
    pub fn open(paths: &InstallPaths) -> Result<Self> {
        Ok(Self {
            reader: Reader::open(&paths.database())?,
            contents: WorktreeContents::new(paths.contents()),
        })
    }

    /// Returns the selected runs, newest first, in a stable order.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn runs(&self, filter: &RunQuery) -> Result<Vec<RunRecord>> {
        run_list::list(
            self.reader.connection(),
            &filter.states,
            filter.thread.as_deref(),
            filter.limit,
        )
    }

    /// Returns a page of the list of runs, and the number of runs.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn run_page(&self, ask: &RunPageQuery) -> Result<RunPage> {
        run_page::page(self.reader.connection(), ask)
    }

    /// Returns paused runs, newest first.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn paused_runs(&self) -> Result<Vec<RunRecord>> {
        run_page::paused(self.reader.connection())
    }

    /// Returns why a run cannot be resumed, by the same rule that a resume uses.
    ///
    /// # Errors
    /// `run_not_found`; errors of the database.
    pub fn resume_refusal(&self, run: RunId) -> Result<Option<String>> {
        let record = runs::get(self.reader.connection(), run)?;
        let holder = run_page::holder(self.reader.connection(), &record)?;
        if let Some(refusal) = resumable::refusal_for_state(&record.state, holder) {
            return Ok(Some(refusal.message()));
        }
        Ok(
            run_files::load_definitions(self.reader.connection(), record)
                .err()
                .map(|failure| failure.message),
        )
    }

    /// Returns a run.
    ///
    /// # Errors
    /// `run_not_found`.
    pub fn run(&self, run: RunId) -> Result<RunRecord> {
        runs::get(self.reader.connection(), run)
    }

    /// Resolves a run by its full id, an unambiguous part of it, or `@last`.
    ///
    /// # Errors
    /// `run_not_found`; `run_ambiguous` naming the matching runs.
    pub fn find(&self, text: &str) -> Result<RunId> {
        run_list::find(self.reader.connection(), text)
    }

    /// Returns at most `limit` events from `from_seq` on, in order.
    ///
    /// # Errors
    /// `db_corrupt` naming an event that cannot be read.
    pub fn events(&self, run: RunId, from_seq: u64, limit: u32) -> Result<Vec<JournalEvent>> {
        events::from(self.reader.connection(), run, from_seq, limit)
    }

    /// Returns at most `limit` events that end just before `seq`, in order.
    ///
    /// # Errors
    /// Same as [`events`](Self::events).
    pub fn events_before(&self, run: RunId, seq: u64, limit: u32) -> Result<Vec<JournalEvent>> {
        events::before(self.reader.connection(), run, seq, limit)
    }

    /// Returns at most `limit` matching events from `from_seq` on, in order.
    ///
    /// # Errors
    /// Same as [`events`](Self::events).
    pub fn events_filtered(
        &self,
        run: RunId,
        filter: &EventQuery,
        from_seq: u64,
        limit: u32,
    ) -> Result<Vec<JournalEvent>> {
        events::filtered(
            self.reader.connection(),
            run,
            &filter.kinds,
            filter.phase_key.as_ref(),
            from_seq,
            limit,
        )
    }

    /// Returns the sequence number of the run's last event; 0 if there is none.
    ///
    /// # Errors
    /// `run_not_found`.
    pub fn last_seq(&self, run: RunId) -> Result<u64> {
        events::last_seq(self.reader.connection(), run)
    }

    /// Returns at most `limit` matching events from `from_seq` on, and how far the journal was
    /// searched. The work is bounded, so a page may contain fewer events before the journal ends.
    ///
    /// # Errors
    /// `run_not_found`; `db_corrupt` naming an event that cannot be read.
    pub fn page_after(
        &self,
        run: RunId,
        wanted: &EventFilter,
        from_seq: u64,
        limit: u32,
    ) -> Result<EventMatches> {
        search::after(
            self.reader.connection(),
            run,
            wanted,
            from_seq,
            usize::try_from(limit).unwrap_or(usize::MAX),
        )
    }

    /// Returns the last `limit` matching events before `seq`; see [`page_after`](Self::page_after).
    ///
    /// # Errors
    /// Same as [`page_after`](Self::page_after).
    pub fn page_before(
        &self,
        run: RunId,
        wanted: &EventFilter,
        seq: u64,
        limit: u32,
    ) -> Result<EventMatches> {
        search::before(
            self.reader.connection(),
            run,
            wanted,
            seq,
            usize::try_from(limit).unwrap_or(usize::MAX),
        )
    }

    /// Returns the current state of a run. The cost does not depend on the length of its journal.
    ///
    /// # Errors
    /// Same as [`events`](Self::events); `illegal_transition` for a journal that no engine can have
    /// written.
    pub fn state(&self, run: RunId) -> Result<RunState> {
        events::state(self.reader.connection(), run)
    }

    /// Returns the state of a run as of event `seq`, inclusive.
    ///
    /// # Errors
    /// Same as [`state`](Self::state).
    pub fn state_at(&self, run: RunId, seq: u64) -> Result<RunState> {
        events::state_at(self.reader.connection(), run, seq)
    }

    /// Returns the phases of a run, in order.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn phases(&self, run: RunId) -> Result<Vec<PhaseRecord>> {
        phases::of_run(self.reader.connection(), run)
    }

    /// Returns all stored versions of all artifacts of a run, by phase and version.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn artifacts(&self, run: RunId) -> Result<Vec<ArtifactRecord>> {
        artifacts::of_run(self.reader.connection(), run)
    }

    /// Returns the approvals of a run, in the order they were requested.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn approvals(&self, run: RunId) -> Result<Vec<ApprovalRecord>> {
        approvals::of_run(self.reader.connection(), run)
    }

    /// Returns the pending approvals of all runs, oldest first.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn pending_approvals(&self) -> Result<Vec<ApprovalRecord>> {
        approvals::pending(self.reader.connection())
    }

    /// Returns the artifacts that can be picked for the phase waiting at the gate of a run: its own
    /// first, then those of its forks, oldest first. Empty if no artifact is waiting for approval.
    ///
    /// # Errors
    /// `run_not_found`; errors of the database.
    pub fn candidates(&self, run: RunId) -> Result<Vec<ForkCandidate>> {
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

    fn candidate(&self, run: RunId, phase_key: &PhaseKey) -> Result<ForkCandidate> {
        let record = self.run(run)?;
        let state = self.state(run)?;
        let phase = state.phase(phase_key);
        Ok(ForkCandidate {
            run_id: run,
            state: record.state,
            phase_key: phase_key.clone(),
            persona: phase.and_then(|phase| match &phase.revised_by {
                Some(by) => Some(format!("{by}, edited")),
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

    /// Returns the agent sessions of a run, oldest first.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn sessions(&self, run: RunId) -> Result<Vec<SessionRecord>> {
        sessions::of_run(self.reader.connection(), run)
    }

    /// Returns the turns of one attempt that are part of the conversation, in order.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn turns(&self, run: RunId, phase: &PhaseKey, attempt: u32) -> Result<Vec<TurnRecord>> {
        turns::of_attempt(self.reader.connection(), run, phase, attempt)
    }

    /// Returns the turns of one attempt with the transcripts of ACP agents, optionally as of an
    /// event.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn conversation(
        &self,
        run: RunId,
        phase: &PhaseKey,
        attempt: u32,
        at: Option<u64>,
    ) -> Result<Vec<conversation::TurnTranscript>> {
        conversation::turns_of_attempt(self.reader.connection(), run, phase, attempt, at)
    }

    /// Returns the calls of a run with their costs, oldest first.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn ledger(&self, run: RunId) -> Result<Vec<LedgerRecord>> {
        ledger::of_run(self.reader.connection(), run)
    }

    /// Returns the cost of settled calls in groups, for one run or for all.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn costs(&self, run: Option<RunId>, by: CostGrouping) -> Result<Vec<CostLine>> {
        ledger::costs(self.reader.connection(), run, by)
    }

    /// Returns earlier costs and durations of a phase of a workflow (`name@version`), of dry runs
    /// or of real runs.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn phase_samples(
        &self,
        workflow: &str,
        rehearsal: bool,
        phase: &PhaseKey,
    ) -> Result<Vec<CostSample>> {
        forecast::samples(self.reader.connection(), workflow, rehearsal, phase)
    }

    /// Returns the cost of the settled calls of each run, newest run first, labelled with its id.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn costs_by_run(&self) -> Result<Vec<CostLine>> {
        run_costs::by_run(self.reader.connection())
    }

    /// Returns the frozen workflow of a run.
    ///
    /// # Errors
    /// `run_not_found`; `template_load_failed` if its text is missing or malformed.
    pub fn workflow(&self, run: RunId) -> Result<Workflow> {
        run_definitions::workflow(self.reader.connection(), run)
    }

    /// Returns the bindings of a run with their personas, ordered by role.
    ///
    /// # Errors
    /// `run_metadata_missing` if it has none; `persona_load_failed` naming the persona.
    pub fn bindings(&self, run: RunId) -> Result<Vec<(RoleBinding, Persona)>> {
        run_definitions::personas(self.reader.connection(), run)
    }

    /// Returns the frozen schema `id` of a run.
    ///
    /// # Errors
    /// `schema_not_found` if it is missing or malformed.
    pub fn schema(&self, run: RunId, id: &SchemaId) -> Result<serde_json::Value> {
        run_definitions::schema(self.reader.connection(), run, id)
    }

    /// Builds the report of a run from its current rows.
    ///
    /// # Errors
    /// `run_not_found`; `run_metadata_missing`.
    pub fn report(&self, run: RunId) -> Result<RunsReport> {
        final_report::build(self.reader.connection(), run)
    }

    /// Returns the crash card of a run whose last stop was a crash.
    ///
    /// # Errors
    /// Same as [`state`](Self::state).
    pub fn crash_card(&self, run: RunId) -> Result<Option<CrashCard>> {
        crash_card::read(self.reader.connection(), run)
    }

    /// Returns the hashes of the personas that the operator has allowed.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn consents(&self) -> Result<BTreeSet<ContentHash>> {
        consents::all(self.reader.connection())
    }

    /// Returns the gate token with this digest.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn gate_token(&self, digest: &ContentHash) -> Result<Option<GateToken>> {
        gate_tokens::find(self.reader.connection(), digest)
    }

    /// Returns a number that changes with every commit; cheap enough to poll many times a second.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn data_version(&self) -> Result<i64> {
        self.reader.data_version()
    }

    /// Returns the last sequence number of every run changed at `since` or later, oldest change
    /// first.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn last_seqs_since(&self, since: Timestamp) -> Result<Vec<(RunId, u64)>> {
        run_list::moved(self.reader.connection(), since)
    }
}
