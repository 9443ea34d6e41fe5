//! Reads what is on disk, for screens and commands.
//!
//! An archive is a read-only connection with typed questions. It needs no living engine, never waits
//! for one, and sees what was committed when a question was asked. It blocks for the length of a
//! query; who must not wait (a screen) asks from a thread of its own, one archive a thread.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::paths::Paths;
use crate::model::error::{Code, Failure, Result};
use crate::model::event::Event;
use crate::model::hash::ContentHash;
use crate::model::id::{ClientToken, PhaseKey, RunId, SchemaId};
use crate::model::persona::{Binding, Persona};
use crate::model::record::{ApprovalRecord, ArtifactRecord, CostLine, LedgerRecord, PhaseRecord, RunRecord, SessionRecord, TurnRecord};
use crate::model::run_state::RunState;
use crate::model::time::Timestamp;
use crate::model::workflow::Workflow;
pub use crate::store::ledger::CostBy;
use crate::store::{Reader, approvals, artifacts, consents, events, frozen, inbox, ledger, phases, run_list, runs, sessions, turns};

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

/// Reads what is on disk.
#[derive(Debug)]
pub struct Archive {
    reader: Reader,
    contents: PathBuf,
}

impl Archive {
    /// Opens the archive of an installation. Makes nothing.
    ///
    /// # Errors
    /// `io_failed` when there is no database yet; `db_newer_schema`; `db_corrupt`.
    pub fn open(paths: &Paths) -> Result<Self> {
        Ok(Self { reader: Reader::open(&paths.database())?, contents: paths.contents() })
    }

    /// The runs that fit, newest first; the order is the same every time, also when times tie.
    ///
    /// # Errors
    /// What the database says.
    pub fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>> {
        run_list::list(self.reader.connection(), &filter.states, filter.thread.as_deref(), filter.limit)
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
    pub fn events_filtered(&self, run: RunId, filter: &EventFilter, from_seq: u64, limit: u32) -> Result<Vec<Event>> {
        events::filtered(self.reader.connection(), run, &filter.kinds, filter.phase_key.as_ref(), from_seq, limit)
    }

    /// The number of the run's last event; 0 before the first.
    ///
    /// # Errors
    /// `run_not_found`.
    pub fn last_seq(&self, run: RunId) -> Result<u64> {
        events::last_seq(self.reader.connection(), run)
    }

    /// What the run's journal folds to, read event by event.
    ///
    /// # Errors
    /// As [`events`](Self::events); `illegal_transition` for a journal that no engine can have written.
    pub fn state(&self, run: RunId) -> Result<RunState> {
        events::state(self.reader.connection(), run)
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

    /// A stored content, whole, held against its hash.
    ///
    /// # Errors
    /// `usage_invalid` for what is no hash; `io_failed` when there is no such content; `db_corrupt`
    /// when it is not what was stored.
    pub fn content(&self, hash: &ContentHash) -> Result<Vec<u8>> {
        let name = hash.as_str();
        // The name becomes a path: nothing but a hash may pass.
        if name.len() != 64 || !name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(Failure::new(Code::UsageInvalid, format!("'{name}' is not a SHA-256 in lower-case hex")));
        }
        let path = self.contents.join(&name[..2]).join(name);
        let bytes = std::fs::read(&path).map_err(|e| Failure::io(format!("cannot read stored content {}", path.display()), &e))?;
        if ContentHash::of(&bytes) == *hash {
            return Ok(bytes);
        }
        Err(Failure::new(Code::DbCorrupt, format!("the stored content {} is not what was stored", path.display()))
            .hint("put the file back from a backup; nothing was changed"))
    }

    /// What became of a command left in the inbox: `None` when the token is unknown, `Some(None)`
    /// while it waits.
    ///
    /// # Errors
    /// What the database says.
    pub fn inbox_answer(&self, token: ClientToken) -> Result<Option<Option<String>>> {
        inbox::answer_of(self.reader.connection(), token)
    }

    /// The personas that the operator has agreed to use, by hash.
    ///
    /// # Errors
    /// What the database says.
    pub fn consents(&self) -> Result<BTreeSet<ContentHash>> {
        consents::all(self.reader.connection())
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
