//! Reads what is on disk, for screens and commands.
//!
//! An archive is a read-only connection with typed questions. It needs no living engine, never waits
//! for one, and sees what was committed when a question was asked. It blocks for the length of a
//! query; who must not wait (a screen) asks from a thread of its own, one archive a thread.

use std::collections::BTreeSet;

use super::artifact::contents::Contents;
use super::crash_card::{self, CrashCard};
use super::final_report;
use super::paths::Paths;
use super::report::Report;
use super::run_files;
use super::worktree::base_file;
use crate::model::error::{Code, Failure, Result};
use crate::model::event::Event;
use crate::model::forecast::Sample;
use crate::model::going_on;
use crate::model::hash::ContentHash;
use crate::model::id::{PhaseKey, RunId, SchemaId};
use crate::model::money::Cost;
use crate::model::persona::{Binding, Persona};
use crate::model::record::{ApprovalRecord, ArtifactRecord, CostLine, LedgerRecord, PhaseRecord, RunRecord, SessionRecord, TurnRecord};
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
    Reader, approvals, artifacts, consents, conversation, events, forecast, frozen, ledger, phases, run_costs, run_list, run_page, runs,
    search, sessions, threads, turns,
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

/// So much of an artifact is searched.
const SEARCHED_BYTES: u64 = 1024 * 1024;

/// What one step of a search through artifacts found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArtifactHits {
    /// Runs with such an artifact.
    pub runs: Vec<RunId>,
    /// Contents this step looked at; 0 when there are no more.
    pub looked_at: u32,
    /// Contents there are.
    pub total: u32,
    /// Where the next step goes on.
    pub last: Option<Searchable>,
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
        Ok(Self { reader: Reader::open(&paths.database())?, contents: Contents::new(paths.contents()) })
    }

    /// The runs that fit, newest first; the order is the same every time, also when times tie.
    ///
    /// # Errors
    /// What the database says.
    pub fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>> {
        run_list::list(self.reader.connection(), &filter.states, filter.thread.as_deref(), filter.limit)
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
        Ok(run_files::load_files(self.reader.connection(), record).err().map(|failure| failure.message))
    }

    /// Searches the texts of stored artifacts for `words` (all of them, in small letters), the newest
    /// runs first and at most `limit` contents behind `after`. Of each, the first mebibyte is looked at.
    ///
    /// # Errors
    /// What the database says. A content that cannot be read holds nothing.
    pub fn search_artifacts(&self, words: &[String], after: Option<&Searchable>, limit: u32) -> Result<ArtifactHits> {
        let step = run_page::searchable(self.reader.connection(), after, limit)?;
        let mut hits = ArtifactHits { looked_at: u32::try_from(step.len()).unwrap_or(limit), ..ArtifactHits::default() };
        for one in &step {
            if hits.runs.last() != Some(&one.run) && self.holds(&one.sha256, words) {
                hits.runs.push(one.run);
            }
        }
        hits.total = run_page::searchable_count(self.reader.connection())?;
        hits.last = step.into_iter().next_back();
        Ok(hits)
    }

    fn holds(&self, hash: &ContentHash, words: &[String]) -> bool {
        let Some(mut bytes) = self.contents.beginning(self.reader.connection(), hash, SEARCHED_BYTES) else { return false };
        bytes.make_ascii_lowercase();
        let text = String::from_utf8_lossy(&bytes);
        words.iter().all(|word| text.contains(word.as_str()))
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

    /// At most `limit` wanted events from `from_seq` on, and how far was looked for them: a bounded
    /// piece of work, so an answer may hold fewer and end before the journal does.
    ///
    /// # Errors
    /// `run_not_found`; `db_corrupt` naming an event that cannot be read.
    pub fn page_after(&self, run: RunId, wanted: &Wanted, from_seq: u64, limit: u32) -> Result<Page> {
        search::after(self.reader.connection(), run, wanted, from_seq, usize::try_from(limit).unwrap_or(usize::MAX))
    }

    /// The last `limit` wanted events before `seq`; as [`page_after`](Self::page_after).
    ///
    /// # Errors
    /// As [`page_after`](Self::page_after).
    pub fn page_before(&self, run: RunId, wanted: &Wanted, seq: u64, limit: u32) -> Result<Page> {
        search::before(self.reader.connection(), run, wanted, seq, usize::try_from(limit).unwrap_or(usize::MAX))
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
        let waiting = state.approval.filter(|open| open.artifact_sha256.is_some()).and_then(|open| open.phase_key);
        let Some(phase_key) = waiting else { return Ok(Vec::new()) };
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
            artifact: self.artifacts(run)?.into_iter().rev().find(|artifact| artifact.phase_key == *phase_key),
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
    pub fn conversation(&self, run: RunId, phase: &PhaseKey, attempt: u32, at: Option<u64>) -> Result<Vec<conversation::Turn>> {
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
    pub fn phase_samples(&self, workflow: &str, rehearsal: bool, phase: &PhaseKey) -> Result<Vec<Sample>> {
        forecast::samples(self.reader.connection(), workflow, rehearsal, phase)
    }

    /// A file as it was in the commit that a run began from; `None` when there was none, or no commit.
    ///
    /// # Errors
    /// `run_not_found`; `worktree_missing` when the repository is gone; `git_failed`.
    pub fn base_content(&self, run: RunId, path: &str) -> Result<Option<Vec<u8>>> {
        let record = self.run(run)?;
        let (Some(repo), Some(commit)) = (record.repo, record.base_commit) else { return Ok(None) };
        base_file::read(&repo, &commit, path)
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

    /// A stored content, whole, held against its hash.
    ///
    /// # Errors
    /// `usage_invalid` for what is no hash; `io_failed` when there is no such content; `db_corrupt`
    /// when it is not what was stored.
    pub fn content(&self, hash: &ContentHash) -> Result<Vec<u8>> {
        let name = hash.as_str();
        if name.len() != 64 || !name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(Failure::new(Code::UsageInvalid, format!("'{name}' is not a SHA-256 in lower-case hex")));
        }
        self.contents.find(self.reader.connection(), hash)?.ok_or_else(|| {
            Failure::new(Code::IoFailed, format!("there is no stored content {name}")).hint("it was never kept here, or its file is gone")
        })
    }

    /// The first `most` bytes of a stored content that is longer than this, not held against its hash;
    /// none of a shorter one, which is read whole as quickly.
    #[must_use]
    pub fn content_start(&self, hash: &ContentHash, most: usize) -> Option<Vec<u8>> {
        let mut start = self.contents.beginning(self.reader.connection(), hash, most as u64 + 1)?;
        (start.len() > most).then(|| {
            start.truncate(most);
            start
        })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::{RequestId, VersionedName};
    use crate::model::state::Decision;
    use crate::store::definitions::DefinitionKind;
    use crate::store::fixture::{self, BEGIN};
    use crate::store::{Store, bindings, definitions, journal};

    struct Installation {
        _home: tempfile::TempDir,
        paths: Paths,
        store: Store,
    }

    fn installation() -> Installation {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::beneath(home.path());
        let store = Store::open(&paths.database()).unwrap();
        Installation { _home: home, paths, store }
    }

    fn begun(store: &Store) -> RunId {
        store
            .write_blocking(|tx| {
                let run = fixture::insert_run(tx, "lane");
                let facts = [fixture::created(&["spec", "plan"]), fixture::started(), fixture::phase_started("spec", 1)];
                journal::append(tx, run, &facts, BEGIN)?;
                Ok(run)
            })
            .unwrap()
    }

    fn binding(hash: ContentHash) -> Binding {
        let persona: VersionedName = "ada@1".parse().unwrap();
        Binding { role: "architect".into(), persona, persona_hash: hash, backend: "openai".to_owned(), model: None }
    }

    #[test]
    fn without_a_database_there_is_no_archive_and_none_is_made() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::beneath(home.path());
        assert_eq!(Archive::open(&paths).unwrap_err().code, Code::IoFailed);
        assert!(!paths.data.exists());
    }

    #[test]
    fn events_come_in_pages_from_both_ends_and_by_filter() {
        let here = installation();
        let run = begun(&here.store);
        let archive = Archive::open(&here.paths).unwrap();
        let seqs = |events: Result<Vec<Event>>| events.unwrap().iter().map(|event| event.seq).collect::<Vec<_>>();
        assert_eq!(seqs(archive.events(run, 2, 10)), [2, 3]);
        assert_eq!(seqs(archive.events(run, 1, 2)), [1, 2]);
        assert_eq!(seqs(archive.events_before(run, 3, 1)), [2]);
        assert_eq!(seqs(archive.events_before(run, u64::MAX, 2)), [2, 3]);
        let filter = |kinds: &[&str], phase: Option<&str>| EventFilter {
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
            phase_key: phase.map(PhaseKey::from),
        };
        assert_eq!(seqs(archive.events_filtered(run, &filter(&["run.created", "phase.started"], None), 1, 9)), [1, 3]);
        assert_eq!(seqs(archive.events_filtered(run, &filter(&[], Some("spec")), 1, 9)), [3]);
        assert_eq!(seqs(archive.events_filtered(run, &filter(&["run.created"], Some("spec")), 1, 9)), [0; 0]);
        assert_eq!(seqs(archive.events_filtered(run, &filter(&[], None), 2, 1)), [2]);
        assert_eq!((archive.last_seq(run).unwrap(), archive.state(run).unwrap().last_seq), (3, 3));
    }

    #[test]
    fn what_is_stored_is_seen_at_once_and_announced_by_the_data_version() {
        let here = installation();
        let run = begun(&here.store);
        let archive = Archive::open(&here.paths).unwrap();
        let before = archive.data_version().unwrap();
        assert_eq!(archive.data_version().unwrap(), before);
        let id = RequestId::new();
        here.store.write_blocking(move |tx| journal::append(tx, run, &[fixture::requested(id, Some("spec"))], BEGIN)).unwrap();
        assert_ne!(archive.data_version().unwrap(), before);
        assert_eq!(archive.pending_approvals().unwrap()[0].id, id);
        assert_eq!(archive.run(run).unwrap().state, "awaiting_approval");
        let answer = fixture::resolved(id, Some("spec"), Decision::RequestChanges, "kim");
        here.store.write_blocking(move |tx| journal::append(tx, run, &[answer], BEGIN)).unwrap();
        let answered = &archive.approvals(run).unwrap()[0];
        assert_eq!(
            (answered.state.as_str(), answered.resolved_by.as_deref(), answered.comment.as_deref()),
            ("changes_requested", Some("kim"), Some("my words"))
        );
        assert_eq!(archive.seqs(BEGIN).unwrap(), [(run, 5)]);
    }

    #[test]
    fn a_reader_does_not_wait_for_a_writer_in_the_middle_of_a_transaction() {
        let here = installation();
        let run = begun(&here.store);
        let paths = here.paths.clone();
        let seen = here
            .store
            .write_blocking(move |tx| {
                journal::append(tx, run, &[fixture::phase_started("spec", 2)], BEGIN)?;
                let archive = Archive::open(&paths)?;
                archive.last_seq(run)
            })
            .unwrap();
        assert_eq!(seen, 3, "the fourth event was not committed yet");
        assert_eq!(Archive::open(&here.paths).unwrap().last_seq(run).unwrap(), 4);
    }

    #[test]
    fn frozen_texts_are_read_back_or_named_when_they_cannot_be() {
        let here = installation();
        let run = begun(&here.store);
        let archive = Archive::open(&here.paths).unwrap();
        assert_eq!(archive.workflow(run).unwrap_err().code, Code::TemplateLoadFailed);
        assert_eq!(archive.bindings(run).unwrap_err().code, Code::RunMetadataMissing);
        assert_eq!(archive.bindings(RunId::new()).unwrap_err().code, Code::RunNotFound);
        assert_eq!(archive.schema(run, &"dev/spec@1".into()).unwrap_err().code, Code::SchemaNotFound);
        let (workflow, persona, schema) = (ContentHash::of(b"workflow"), ContentHash::of(b"persona"), ContentHash::of(b"schema"));
        let bound = binding(persona.clone());
        here.store
            .write_blocking({
                let schema = schema.clone();
                move |tx| {
                    bindings::insert(tx, run, &[bound], &ContentHash::of(b"all"))?;
                    bindings::insert_schema(tx, run, &"dev/spec@1".into(), &schema)
                }
            })
            .unwrap();
        let missing = archive.bindings(run).unwrap_err();
        assert_eq!(missing.code, Code::PersonaLoadFailed);
        assert!(missing.message.contains("ada@1 of role 'architect'") && missing.message.ends_with("is missing"), "{missing}");

        let put = |kind, hash: &ContentHash, text: &str| {
            let (hash, text) = (hash.clone(), text.to_owned());
            here.store.write_blocking(move |tx| definitions::put(tx, kind, &hash, "n", &text)).unwrap();
        };
        put(DefinitionKind::Workflow, &workflow, "{\"name\":\"development\",\"version\":1,\"roles\":[],\"phases\":[]}");
        put(DefinitionKind::Persona, &persona, "{\"name\":\"ada\",\"version\":1,\"backend\":\"openai\"}");
        put(DefinitionKind::Schema, &schema, "{\"type\":\"object\"}");
        assert_eq!(archive.workflow(run).unwrap().name, "development");
        assert_eq!(archive.bindings(run).unwrap()[0].1.name, "ada");
        assert_eq!(archive.schema(run, &"dev/spec@1".into()).unwrap(), serde_json::json!({"type": "object"}));
        here.store.write_blocking(|tx| Ok(tx.execute("UPDATE definitions SET content = '{\"name\":'", [])?)).unwrap();
        for (code, refused) in [
            (Code::TemplateLoadFailed, archive.workflow(run).map(drop)),
            (Code::PersonaLoadFailed, archive.bindings(run).map(drop)),
            (Code::SchemaNotFound, archive.schema(run, &"dev/spec@1".into()).map(drop)),
        ] {
            let refused = refused.unwrap_err();
            assert!(refused.code == code && refused.message.contains("cannot be read"), "{refused}");
        }
    }

    #[test]
    fn contents_are_read_by_hash_and_held_against_it() {
        let here = installation();
        let archive = Archive::open(&here.paths).unwrap();
        let hash = ContentHash::of(b"whole");
        let folder = here.paths.contents().join(&hash.as_str()[..2]);
        std::fs::create_dir_all(&folder).unwrap();
        assert_eq!(archive.content(&hash).unwrap_err().code, Code::IoFailed);
        std::fs::write(folder.join(hash.as_str()), b"whole").unwrap();
        assert_eq!(archive.content(&hash).unwrap(), b"whole");
        std::fs::write(folder.join(hash.as_str()), b"torn").unwrap();
        assert_eq!(archive.content(&hash).unwrap_err().code, Code::DbCorrupt);
        for bad in ["", "../../etc/passwd", &"A".repeat(64), &"é".repeat(32)] {
            assert_eq!(archive.content(&ContentHash(bad.to_owned())).unwrap_err().code, Code::UsageInvalid, "{bad}");
        }
    }

    #[test]
    fn an_event_that_cannot_be_read_is_named() {
        let here = installation();
        let run = begun(&here.store);
        here.store
            .write_blocking(move |tx| {
                let sql =
                    "INSERT INTO events (run_id, seq, at_ms, type, idempotency_key, payload) VALUES (?1, 4, 1, 'run.dreamt', 'k', '{}')";
                Ok(tx.execute(sql, [run.to_string()])?)
            })
            .unwrap();
        let archive = Archive::open(&here.paths).unwrap();
        let refused = archive.events(run, 1, 9).unwrap_err();
        assert_eq!(refused.code, Code::DbCorrupt);
        assert!(refused.message.contains("event 4") && refused.message.contains("run.dreamt"), "{refused}");
    }
}
