//! Archive reader threads, so that the screen never waits for the disk.
//!
//! Queries are answered in order. Contents are formatted and compared on a separate thread, because
//! either can take long and must not delay lists. Drafts of comments are small private files of the
//! console. The readers do not poll; changes are announced by signals, from other processes too.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::{drafts, texts};
use crate::app::modal::retry::RetryPlan;
use crate::app::msg::{
    ArchiveQuery, CommentDraft, DraftKey, Msg, OpenedRun, QueryResult, ResumePreview, ReviewRecords,
};
use crate::app::screens::gate::forks::ForkComparison;
use crate::app::screens::info::state::CostBreakdown;
use crate::app::screens::new_run::draft::FormDraft;
use crate::app::screens::run::event_list::{CHUNK, EventFetch};
use crate::app::screens::run::history::{HistoryCursor, TURNS};
use crate::app::text::document::TextDocument;
use crate::app::update::MANY;
use crate::engine::api::{CostGrouping, EventMatches, ForkCandidate, RunArchive, search_words};
use crate::engine::paths::InstallPaths;
use crate::model::error::{Failure, Result};
use crate::model::event::{JournalEvent, RunFact};
use crate::model::event_filter::EventFilter;
use crate::model::forecast;
use crate::model::id::RunId;
use crate::model::run_state::{PhaseState, RunState};
use crate::model::state::{PhaseStatus, Strategy};

/// Artifacts searched before other queries are served.
const SEARCHED_AT_ONCE: u32 = 128;
/// Events scanned for the last activity before a run was paused.
const LOOKED_BACK: u32 = 64;

/// File name of the new-run draft.
const FORM: &str = "new-run.json";
/// Bytes of a long content that are shown first.
const START_BYTES: usize = 128 * 1024;

/// A task for the reader.
#[derive(Debug)]
pub enum ReaderTask {
    /// Answer a query.
    Ask(ArchiveQuery),
    /// Save a draft; an empty one is removed.
    Keep(DraftKey, CommentDraft),
    /// Save the new-run draft.
    KeepForm(Option<Box<FormDraft>>),
    /// Signal when all earlier tasks are done.
    Settle(Sender<()>),
}

/// Starts the reader thread, which exits when the task sender is dropped.
///
/// # Errors
/// `io_failed` if the thread cannot be started.
pub fn start(
    paths: InstallPaths,
    answers: Sender<crate::console::event_loop::LoopEvent>,
) -> Result<Sender<ReaderTask>> {
    let texts = spawn(
        "console-texts",
        ArchiveReader::new(paths.clone(), answers.clone()),
    )?;
    spawn(
        "console-reader",
        ArchiveReader {
            texts: Some(texts),
            ..ArchiveReader::new(paths, answers)
        },
    )
}

fn spawn(name: &str, reader: ArchiveReader) -> Result<Sender<ReaderTask>> {
    let (tasks, inbox) = channel();
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || reader.work(&inbox))
        .map_err(|e| Failure::io("cannot start the reader thread", &e))?;
    Ok(tasks)
}

struct ArchiveReader {
    paths: InstallPaths,
    archive: Option<RunArchive>,
    answers: Sender<crate::console::event_loop::LoopEvent>,
    /// Formats texts, which can take long, so that other queries do not wait.
    texts: Option<Sender<ReaderTask>>,
}

impl ArchiveReader {
    fn new(paths: InstallPaths, answers: Sender<crate::console::event_loop::LoopEvent>) -> Self {
        Self {
            paths,
            archive: None,
            answers,
            texts: None,
        }
    }

    fn work(mut self, inbox: &Receiver<ReaderTask>) {
        // Open early so that the first query does not wait. Errors are reported by that query.
        if self.texts.is_some() && self.paths.database().exists() {
            drop(self.archive());
        }
        for task in inbox {
            let told = match task {
                ReaderTask::Ask(query) if query.is_text() && self.texts.is_some() => {
                    let start = self.run_start(&query);
                    let told = start.is_none_or(|start| {
                        self.publish(Msg::Loaded(
                            query.clone(),
                            Ok(QueryResult::Text(Arc::new(start))),
                        ))
                    });
                    told && self
                        .texts
                        .as_ref()
                        .is_some_and(|texts| texts.send(ReaderTask::Ask(query)).is_ok())
                }
                ReaderTask::Ask(query) => {
                    let answer = self.answer(&query);
                    self.publish(Msg::Loaded(query, answer))
                }
                ReaderTask::Keep(key, draft) => match self.keep(&key, &draft) {
                    Ok(()) => true,
                    Err(failure) => {
                        self.publish(Msg::Loaded(ArchiveQuery::Draft(key), Err(failure)))
                    }
                },
                ReaderTask::KeepForm(draft) => {
                    match drafts::keep(&self.drafts(), FORM, draft.as_deref()) {
                        Ok(()) => true,
                        Err(failure) => {
                            self.publish(Msg::Loaded(ArchiveQuery::FormDraft, Err(failure)))
                        }
                    }
                }
                ReaderTask::Settle(done) => {
                    // The receiver may have timed out.
                    let _ = done.send(());
                    true
                }
            };
            if !told {
                return;
            }
        }
    }

    /// The beginning of a long content, so that it can be read at once. What fails here fails again, and
    /// is told, when all of it is read.
    fn run_start(&mut self, query: &ArchiveQuery) -> Option<TextDocument> {
        let (ArchiveQuery::Content(hash, path) | ArchiveQuery::Checked(hash, path, _)) = query
        else {
            return None;
        };
        let start = self.archive().ok()?.content_prefix(hash, START_BYTES)?;
        Some(TextDocument::from_prefix(path, &start))
    }

    fn publish(&self, msg: Msg) -> bool {
        self.answers
            .send(crate::console::event_loop::LoopEvent::Msg(msg))
            .is_ok()
    }

    fn archive(&mut self) -> Result<&RunArchive> {
        match &mut self.archive {
            Some(archive) => Ok(archive),
            none => Ok(none.insert(RunArchive::open(&self.paths)?)),
        }
    }

    fn answer(&mut self, query: &ArchiveQuery) -> Result<QueryResult> {
        if let ArchiveQuery::Draft(key) = query {
            return self.draft(key).map(QueryResult::Draft);
        }
        if *query == ArchiveQuery::FormDraft {
            return drafts::read(&self.drafts(), FORM).map(QueryResult::FormDraft);
        }
        // Before the first start there is no database; that is not an error.
        if matches!(query, ArchiveQuery::Runs(_)) && !self.paths.database().exists() {
            return Ok(QueryResult::Runs(Box::default()));
        }
        let archive = self.archive()?;
        Ok(match query {
            ArchiveQuery::Runs(ask) => QueryResult::Runs(Box::new(archive.run_page(ask)?)),
            ArchiveQuery::Costs => QueryResult::Costs(Box::new(costs(archive)?)),
            ArchiveQuery::Paused => QueryResult::Paused(archive.paused_runs()?),
            ArchiveQuery::SearchArtifacts(text, after) => QueryResult::Hits(
                archive.search_artifacts(&search_words(text), after.as_ref(), SEARCHED_AT_ONCE)?,
            ),
            ArchiveQuery::Previews(runs) => QueryResult::Previews(
                runs.iter()
                    .filter_map(|run| preview(archive, *run).ok())
                    .collect(),
            ),
            ArchiveQuery::Open(run) => QueryResult::Open(Box::new(opened(archive, *run)?)),
            ArchiveQuery::Forks(run) => {
                QueryResult::Forks(Box::new(ForkComparison::new(forks(archive, *run)?)))
            }
            ArchiveQuery::Retry(run) => QueryResult::Retry(retry_plan(archive, *run)?),
            ArchiveQuery::Events(run, need, wanted) => {
                QueryResult::Page(page(archive, *run, *need, wanted, CHUNK)?)
            }
            ArchiveQuery::Find(run, need, wanted) => {
                QueryResult::Page(page(archive, *run, *need, wanted, 1)?)
            }
            ArchiveQuery::Moment(run, moment) => {
                QueryResult::Moment(Box::new(at(archive, *run, *moment)?))
            }
            ArchiveQuery::News(run, since) => QueryResult::News(archive.events(
                *run,
                since + 1,
                u32::try_from(MANY).unwrap_or(u32::MAX),
            )?),
            ArchiveQuery::Details(run) => QueryResult::Details(Box::new(details(archive, *run)?)),
            ArchiveQuery::Content(hash, path) => QueryResult::Text(Arc::new(
                TextDocument::from_content(path, &archive.content(hash)?),
            )),
            ArchiveQuery::Diff(old, new) => QueryResult::Text(Arc::new(TextDocument::from_diff(
                &archive.content(old)?,
                &archive.content(new)?,
            ))),
            ArchiveQuery::Draft(_) => QueryResult::Draft(None),
            ArchiveQuery::FormDraft => QueryResult::FormDraft(None),
            ArchiveQuery::Checked(hash, path, errors) => QueryResult::Text(Arc::new(
                TextDocument::from_validated(path, &archive.content(hash)?, errors),
            )),
            ArchiveQuery::BaseDiff(run, path, hash) => {
                QueryResult::Text(Arc::new(texts::base_difference(archive, *run, path, hash)?))
            }
            ArchiveQuery::Errors(run, key) => {
                QueryResult::Text(Arc::new(texts::errors(archive, *run, key)?))
            }
            ArchiveQuery::Comments(run, key, hash) => {
                QueryResult::Text(Arc::new(texts::comments(archive, *run, key, hash)?))
            }
            ArchiveQuery::Inputs(run, key) => {
                QueryResult::Text(Arc::new(texts::inputs(archive, *run, key)?))
            }
            ArchiveQuery::PhaseLog(run, key) => QueryResult::Log(texts::log(archive, *run, key)?),
            ArchiveQuery::Transcript(run, key, attempt, at) => QueryResult::Text(Arc::new(
                texts::transcript(archive, *run, key, *attempt, *at)?,
            )),
            ArchiveQuery::Forecast(workflow, rehearsal, key) => QueryResult::Forecast(
                forecast::from_samples(&archive.phase_samples(workflow, *rehearsal, key)?),
            ),
        })
    }

    fn drafts(&self) -> PathBuf {
        self.paths.state.join("drafts")
    }

    fn draft(&self, key: &DraftKey) -> Result<Option<CommentDraft>> {
        drafts::read(&self.drafts(), &draft_file(key))
    }

    fn keep(&self, key: &DraftKey, draft: &CommentDraft) -> Result<()> {
        drafts::keep(
            &self.drafts(),
            &draft_file(key),
            Some(draft).filter(|draft| !draft.text.is_empty()),
        )
    }
}

/// The grammar of phase keys makes them safe as file names.
fn draft_file(key: &DraftKey) -> String {
    let about: String = key
        .about
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        .collect();
    format!("{}.{about}.json", key.run_id)
}

fn page(
    archive: &RunArchive,
    run: RunId,
    need: EventFetch,
    wanted: &EventFilter,
    limit: u32,
) -> Result<EventMatches> {
    match need {
        EventFetch::From(seq) => archive.page_after(run, wanted, seq, limit),
        EventFetch::Before(seq) => archive.page_before(run, wanted, seq, limit),
    }
}

/// The state at a moment; where there is no turn any more, at the first or the last event.
fn at(archive: &RunArchive, run: RunId, moment: HistoryCursor) -> Result<RunState> {
    let turns = EventFilter::parse(TURNS);
    let seq = match moment {
        HistoryCursor::At(seq) => seq,
        HistoryCursor::TurnBefore(mut before) => loop {
            let page = archive.page_before(run, &turns, before, 1)?;
            match page.events.first() {
                Some(turn) => break turn.seq,
                None if page.from <= 1 => break 1,
                None => before = page.from,
            }
        },
        HistoryCursor::TurnAfter(mut after) => loop {
            let page = archive.page_after(run, &turns, after + 1, 1)?;
            match page.events.first() {
                Some(turn) => break turn.seq,
                None if page.to < page.from => break u64::MAX,
                None => after = page.to,
            }
        },
    };
    archive.state_at(run, seq)
}

fn opened(archive: &RunArchive, run: RunId) -> Result<OpenedRun> {
    let state = archive.state(run)?;
    Ok(OpenedRun {
        record: archive.run(run)?,
        events: archive.events_before(run, state.last_seq + 1, CHUNK)?,
        workflow: archive.workflow(run),
        // A run without bindings still shows; what is missing says so where it is used.
        bindings: archive.bindings(run).unwrap_or_default(),
        details: details(archive, run)?,
        state,
    })
}

fn details(archive: &RunArchive, run: RunId) -> Result<ReviewRecords> {
    Ok(ReviewRecords {
        artifacts: archive.artifacts(run)?,
        approvals: archive.approvals(run)?,
    })
}

fn costs(archive: &RunArchive) -> Result<CostBreakdown> {
    Ok(CostBreakdown {
        days: archive.costs(None, CostGrouping::Day)?,
        phases: archive.costs(None, CostGrouping::Phase)?,
        models: archive.costs(None, CostGrouping::Model)?,
        runs: archive.costs_by_run()?,
    })
}

fn preview(archive: &RunArchive, run: RunId) -> Result<ResumePreview> {
    let state = archive.state(run)?;
    let last = last_done(archive.events_before(run, state.last_seq + 1, LOOKED_BACK)?);
    Ok(ResumePreview {
        refusal: archive.resume_refusal(run)?,
        card: archive.crash_card(run)?,
        state,
        last,
    })
}

/// The last thing that was done. That it rests is known, and that it went on for a while in between, with
/// what was done before left as it was, tells nothing.
fn last_done(mut events: Vec<JournalEvent>) -> Option<JournalEvent> {
    let comes_and_goes = |event: &JournalEvent| {
        matches!(
            event.fact,
            RunFact::RunPaused { .. } | RunFact::RunResumed { .. } | RunFact::PhaseSkipped { .. }
        )
    };
    let done = events.iter().rposition(|event| !comes_and_goes(event));
    done.map(|at| events.swap_remove(at))
        .or_else(|| events.pop())
}

/// Loads the forks to compare at a gate; unreadable contents are compared by metadata only.
fn forks(archive: &RunArchive, run: RunId) -> Result<Vec<(ForkCandidate, Option<Vec<u8>>)>> {
    let content = |one: &ForkCandidate| {
        one.artifact
            .as_ref()
            .and_then(|artifact| archive.content(&artifact.sha256).ok())
    };
    Ok(archive
        .candidates(run)?
        .into_iter()
        .map(|one| (one.clone(), content(&one)))
        .collect())
}

/// Returns the retry preview with the earlier cost of each phase.
fn retry_plan(archive: &RunArchive, run: RunId) -> Result<RetryPlan> {
    let (state, record) = (archive.state(run)?, archive.run(run)?);
    let is_done =
        |phase: &&PhaseState| matches!(phase.status, PhaseStatus::Completed | PhaseStatus::Skipped);
    let open = state.phases.iter().take_while(is_done).count();
    let foretold = |phase: &PhaseState| {
        let samples = archive.phase_samples(&record.workflow, record.rehearsal, &phase.key)?;
        Ok((phase.key.clone(), forecast::from_samples(&samples)))
    };
    let phases = state.phases.iter().map(foretold).collect::<Result<_>>()?;
    Ok(RetryPlan {
        run_id: run,
        phases,
        open,
        thread: record.thread,
        strategy: Strategy::Reject,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_kept_across_readers_and_removed_when_sent() {
        let home = tempfile::tempdir().unwrap();
        let reader = || ArchiveReader::new(InstallPaths::beneath(home.path()), channel().0);
        let key = DraftKey {
            run_id: "01930000-0000-7000-8000-0000deadbeef".parse().unwrap(),
            about: "spec".to_owned(),
        };
        assert_eq!(reader().draft(&key).unwrap(), None);
        let draft = CommentDraft {
            text: "too long\nby half".to_owned(),
            version: Some(2),
        };
        reader().keep(&key, &draft).unwrap();
        assert_eq!(reader().draft(&key).unwrap(), Some(draft));
        reader().keep(&key, &CommentDraft::default()).unwrap();
        reader().keep(&key, &CommentDraft::default()).unwrap();
        assert_eq!(reader().draft(&key).unwrap(), None);
    }

    #[test]
    fn the_last_thing_that_was_done_is_no_coming_and_going() {
        use crate::app::test_support::{SampleRunState, journal};
        use crate::model::event::SkipReason;
        use crate::model::id::PhaseKey;
        use crate::model::state::{PauseReason, RunStatus};
        let asked = journal(SampleRunState::Awaiting);
        let mut events = asked.clone();
        let (from_state, phase_key) = (RunStatus::AwaitingApproval, PhaseKey::from("spec"));
        for fact in [
            RunFact::RunPaused {
                ordinal: 1,
                reason: PauseReason::Crashed,
                from_state,
            },
            RunFact::RunResumed {
                ordinal: 1,
                from_state,
            },
            RunFact::PhaseSkipped {
                phase_key,
                ordinal: 1,
                reason: SkipReason::AlreadyCompleted,
            },
            RunFact::RunPaused {
                ordinal: 2,
                reason: PauseReason::Shutdown,
                from_state,
            },
        ] {
            events.push(JournalEvent {
                seq: events.len() as u64 + 1,
                fact,
                ..asked[0].clone()
            });
        }
        assert_eq!(
            last_done(events.clone()).map(|event| event.seq),
            asked.last().map(|event| event.seq)
        );
        assert_eq!(
            last_done(events.split_off(asked.len())).map(|event| event.fact.kind()),
            Some("run.paused")
        );
        assert_eq!(last_done(Vec::new()), None);
    }

    #[test]
    fn without_a_database_every_question_is_answered_by_an_error() {
        let home = tempfile::tempdir().unwrap();
        let (answers, told) = channel();
        let tasks = start(InstallPaths::beneath(home.path()), answers).unwrap();
        tasks.send(ReaderTask::Ask(ArchiveQuery::Paused)).unwrap();
        let Ok(crate::console::event_loop::LoopEvent::Msg(Msg::Loaded(
            ArchiveQuery::Paused,
            Err(failure),
        ))) = told.recv()
        else {
            panic!("no error")
        };
        assert!(!failure.message.is_empty());
    }

    #[test]
    fn a_run_opens_from_disk() {
        use crate::store::tests::fixture;
        use crate::store::{Store, journal};
        let home = tempfile::tempdir().unwrap();
        let paths = InstallPaths::beneath(home.path());
        let store = Store::open(&paths.database()).unwrap();
        let at = crate::model::time::Timestamp(1_763_700_000_000);
        let run = store
            .write_blocking(move |tx| {
                let run = fixture::insert_run(tx, "lane");
                journal::append(
                    tx,
                    run,
                    &[fixture::created(&["spec"]), fixture::started()],
                    at,
                )?;
                Ok(run)
            })
            .unwrap();
        let (answers, told) = channel();
        let next = || match told
            .recv_timeout(std::time::Duration::from_secs(10))
            .unwrap()
        {
            crate::console::event_loop::LoopEvent::Msg(msg) => msg,
            other => panic!("{other:?}"),
        };
        let tasks = start(paths, answers).unwrap();
        tasks
            .send(ReaderTask::Ask(ArchiveQuery::Open(run)))
            .unwrap();
        let Msg::Loaded(_, Ok(QueryResult::Open(opened))) = next() else {
            panic!("not opened")
        };
        let seqs: Vec<u64> = opened.events.iter().map(|event| event.seq).collect();
        assert_eq!(
            (opened.state.last_seq, seqs, opened.record.id),
            (2, vec![1, 2], run)
        );
        assert!(
            opened.workflow.is_err(),
            "a run without a stored workflow still opens"
        );
        tasks
            .send(ReaderTask::Ask(ArchiveQuery::News(run, 1)))
            .unwrap();
        let Msg::Loaded(_, Ok(QueryResult::News(events))) = next() else {
            panic!("no events")
        };
        assert_eq!(events.len(), 1);
    }
}
