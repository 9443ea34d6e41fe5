//! Archive reader threads, so that the screen never waits for the disk.
//!
//! Queries are answered in order. Contents are formatted and compared on a separate thread, because
//! either can take long and must not delay lists. Drafts of comments are small private files of the
//! console. The readers do not poll; changes are announced by signals, from other processes too.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::{drafts, texts};
use crate::app::document::Document;
use crate::app::forks::Compared;
use crate::app::looks::Costs;
use crate::app::msg::{Details, Draft, DraftKey, Loaded, Msg, Opened, Preview, Query};
use crate::app::new_run_draft::FormDraft;
use crate::app::recorder::{Moment, TURNS};
use crate::app::retry::RetryPlan;
use crate::app::tail::{CHUNK, Need};
use crate::app::update::MANY;
use crate::engine::api::{Archive, Candidate, CostBy, Page, search_words};
use crate::engine::paths::Paths;
use crate::model::error::{Failure, Result};
use crate::model::event::{Event, Fact};
use crate::model::forecast;
use crate::model::id::RunId;
use crate::model::run_state::{PhaseState, RunState};
use crate::model::state::{PhaseStatus, Strategy};
use crate::model::wanted::Wanted;

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
pub enum Task {
    /// Answer a query.
    Ask(Query),
    /// Save a draft; an empty one is removed.
    Keep(DraftKey, Draft),
    /// Save the new-run draft.
    KeepForm(Option<Box<FormDraft>>),
    /// Signal when all earlier tasks are done.
    Settle(Sender<()>),
}

/// Starts the reader thread, which exits when the task sender is dropped.
///
/// # Errors
/// `io_failed` if the thread cannot be started.
pub fn start(paths: Paths, answers: Sender<super::pump::Event>) -> Result<Sender<Task>> {
    let texts = spawn("console-texts", Reader::new(paths.clone(), answers.clone()))?;
    spawn(
        "console-reader",
        Reader {
            texts: Some(texts),
            ..Reader::new(paths, answers)
        },
    )
}

fn spawn(name: &str, reader: Reader) -> Result<Sender<Task>> {
    let (tasks, inbox) = channel();
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || reader.work(&inbox))
        .map_err(|e| Failure::io("cannot start the reader thread", &e))?;
    Ok(tasks)
}

struct Reader {
    paths: Paths,
    archive: Option<Archive>,
    answers: Sender<super::pump::Event>,
    /// Formats texts, which can take long, so that other queries do not wait.
    texts: Option<Sender<Task>>,
}

impl Reader {
    fn new(paths: Paths, answers: Sender<super::pump::Event>) -> Self {
        Self {
            paths,
            archive: None,
            answers,
            texts: None,
        }
    }

    fn work(mut self, inbox: &Receiver<Task>) {
        // Open early so that the first query does not wait. Errors are reported by that query.
        if self.texts.is_some() && self.paths.database().exists() {
            drop(self.archive());
        }
        for task in inbox {
            let told = match task {
                Task::Ask(query) if query.is_text() && self.texts.is_some() => {
                    let start = self.start_of(&query);
                    let told = start.is_none_or(|start| {
                        self.tell(Msg::Loaded(
                            query.clone(),
                            Ok(Loaded::Text(Arc::new(start))),
                        ))
                    });
                    told && self
                        .texts
                        .as_ref()
                        .is_some_and(|texts| texts.send(Task::Ask(query)).is_ok())
                }
                Task::Ask(query) => {
                    let answer = self.answer(&query);
                    self.tell(Msg::Loaded(query, answer))
                }
                Task::Keep(key, draft) => match self.keep(&key, &draft) {
                    Ok(()) => true,
                    Err(failure) => self.tell(Msg::Loaded(Query::Draft(key), Err(failure))),
                },
                Task::KeepForm(draft) => match drafts::keep(&self.drafts(), FORM, draft.as_deref())
                {
                    Ok(()) => true,
                    Err(failure) => self.tell(Msg::Loaded(Query::FormDraft, Err(failure))),
                },
                Task::Settle(done) => {
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
    fn start_of(&mut self, query: &Query) -> Option<Document> {
        let (Query::Content(hash, path) | Query::Checked(hash, path, _)) = query else {
            return None;
        };
        let start = self.archive().ok()?.content_start(hash, START_BYTES)?;
        Some(Document::of_start(path, &start))
    }

    fn tell(&self, msg: Msg) -> bool {
        self.answers.send(super::pump::Event::Msg(msg)).is_ok()
    }

    fn archive(&mut self) -> Result<&Archive> {
        match &mut self.archive {
            Some(archive) => Ok(archive),
            none => Ok(none.insert(Archive::open(&self.paths)?)),
        }
    }

    fn answer(&mut self, query: &Query) -> Result<Loaded> {
        if let Query::Draft(key) = query {
            return self.draft(key).map(Loaded::Draft);
        }
        if *query == Query::FormDraft {
            return drafts::read(&self.drafts(), FORM).map(Loaded::FormDraft);
        }
        // Before the first start there is no database; that is not an error.
        if matches!(query, Query::Runs(_)) && !self.paths.database().exists() {
            return Ok(Loaded::Runs(Box::default()));
        }
        let archive = self.archive()?;
        Ok(match query {
            Query::Runs(ask) => Loaded::Runs(Box::new(archive.run_page(ask)?)),
            Query::Costs => Loaded::Costs(Box::new(costs(archive)?)),
            Query::Paused => Loaded::Paused(archive.paused()?),
            Query::SearchArtifacts(text, after) => Loaded::Hits(archive.search_artifacts(
                &search_words(text),
                after.as_ref(),
                SEARCHED_AT_ONCE,
            )?),
            Query::Previews(runs) => Loaded::Previews(
                runs.iter()
                    .filter_map(|run| preview(archive, *run).ok())
                    .collect(),
            ),
            Query::Open(run) => Loaded::Open(Box::new(opened(archive, *run)?)),
            Query::Forks(run) => Loaded::Forks(Box::new(Compared::of(forks(archive, *run)?))),
            Query::Retry(run) => Loaded::Retry(retry_plan(archive, *run)?),
            Query::Events(run, need, wanted) => {
                Loaded::Page(page(archive, *run, *need, wanted, CHUNK)?)
            }
            Query::Find(run, need, wanted) => Loaded::Page(page(archive, *run, *need, wanted, 1)?),
            Query::Moment(run, moment) => Loaded::Moment(Box::new(at(archive, *run, *moment)?)),
            Query::News(run, since) => Loaded::News(archive.events(
                *run,
                since + 1,
                u32::try_from(MANY).unwrap_or(u32::MAX),
            )?),
            Query::Details(run) => Loaded::Details(Box::new(details(archive, *run)?)),
            Query::Content(hash, path) => Loaded::Text(Arc::new(Document::of_content(
                path,
                &archive.content(hash)?,
            ))),
            Query::Diff(old, new) => Loaded::Text(Arc::new(Document::of_diff(
                &archive.content(old)?,
                &archive.content(new)?,
            ))),
            Query::Draft(_) => Loaded::Draft(None),
            Query::FormDraft => Loaded::FormDraft(None),
            Query::Checked(hash, path, errors) => Loaded::Text(Arc::new(Document::of_checked(
                path,
                &archive.content(hash)?,
                errors,
            ))),
            Query::BaseDiff(run, path, hash) => {
                Loaded::Text(Arc::new(texts::base_difference(archive, *run, path, hash)?))
            }
            Query::Errors(run, key) => Loaded::Text(Arc::new(texts::errors(archive, *run, key)?)),
            Query::Comments(run, key, hash) => {
                Loaded::Text(Arc::new(texts::comments(archive, *run, key, hash)?))
            }
            Query::Inputs(run, key) => Loaded::Text(Arc::new(texts::inputs(archive, *run, key)?)),
            Query::PhaseLog(run, key) => Loaded::Log(texts::log(archive, *run, key)?),
            Query::Transcript(run, key, attempt, at) => Loaded::Text(Arc::new(texts::transcript(
                archive, *run, key, *attempt, *at,
            )?)),
            Query::Forecast(workflow, rehearsal, key) => Loaded::Forecast(forecast::of(
                &archive.phase_samples(workflow, *rehearsal, key)?,
            )),
        })
    }

    fn drafts(&self) -> PathBuf {
        self.paths.state.join("drafts")
    }

    fn draft(&self, key: &DraftKey) -> Result<Option<Draft>> {
        drafts::read(&self.drafts(), &draft_file(key))
    }

    fn keep(&self, key: &DraftKey, draft: &Draft) -> Result<()> {
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

fn page(archive: &Archive, run: RunId, need: Need, wanted: &Wanted, limit: u32) -> Result<Page> {
    match need {
        Need::From(seq) => archive.page_after(run, wanted, seq, limit),
        Need::Before(seq) => archive.page_before(run, wanted, seq, limit),
    }
}

/// The state at a moment; where there is no turn any more, at the first or the last event.
fn at(archive: &Archive, run: RunId, moment: Moment) -> Result<RunState> {
    let turns = Wanted::parse(TURNS);
    let seq = match moment {
        Moment::At(seq) => seq,
        Moment::TurnBefore(mut before) => loop {
            let page = archive.page_before(run, &turns, before, 1)?;
            match page.events.first() {
                Some(turn) => break turn.seq,
                None if page.from <= 1 => break 1,
                None => before = page.from,
            }
        },
        Moment::TurnAfter(mut after) => loop {
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

fn opened(archive: &Archive, run: RunId) -> Result<Opened> {
    let state = archive.state(run)?;
    Ok(Opened {
        record: archive.run(run)?,
        events: archive.events_before(run, state.last_seq + 1, CHUNK)?,
        workflow: archive.workflow(run),
        // A run without bindings still shows; what is missing says so where it is used.
        bindings: archive.bindings(run).unwrap_or_default(),
        details: details(archive, run)?,
        state,
    })
}

fn details(archive: &Archive, run: RunId) -> Result<Details> {
    Ok(Details {
        artifacts: archive.artifacts(run)?,
        approvals: archive.approvals(run)?,
    })
}

fn costs(archive: &Archive) -> Result<Costs> {
    Ok(Costs {
        days: archive.costs(None, CostBy::Day)?,
        phases: archive.costs(None, CostBy::Phase)?,
        models: archive.costs(None, CostBy::Model)?,
        runs: archive.costs_by_run()?,
    })
}

fn preview(archive: &Archive, run: RunId) -> Result<Preview> {
    let state = archive.state(run)?;
    let last = last_done(archive.events_before(run, state.last_seq + 1, LOOKED_BACK)?);
    Ok(Preview {
        refusal: archive.refuses_to_resume(run)?,
        card: archive.crash_card(run)?,
        state,
        last,
    })
}

/// The last thing that was done. That it rests is known, and that it went on for a while in between, with
/// what was done before left as it was, tells nothing.
fn last_done(mut events: Vec<Event>) -> Option<Event> {
    let comes_and_goes = |event: &Event| {
        matches!(
            event.fact,
            Fact::RunPaused { .. } | Fact::RunResumed { .. } | Fact::PhaseSkipped { .. }
        )
    };
    let done = events.iter().rposition(|event| !comes_and_goes(event));
    done.map(|at| events.swap_remove(at))
        .or_else(|| events.pop())
}

/// Loads the forks to compare at a gate; unreadable contents are compared by metadata only.
fn forks(archive: &Archive, run: RunId) -> Result<Vec<(Candidate, Option<Vec<u8>>)>> {
    let content = |one: &Candidate| {
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
fn retry_plan(archive: &Archive, run: RunId) -> Result<RetryPlan> {
    let (state, record) = (archive.state(run)?, archive.run(run)?);
    let is_done =
        |phase: &&PhaseState| matches!(phase.status, PhaseStatus::Completed | PhaseStatus::Skipped);
    let open = state.phases.iter().take_while(is_done).count();
    let foretold = |phase: &PhaseState| {
        let samples = archive.phase_samples(&record.workflow, record.rehearsal, &phase.key)?;
        Ok((phase.key.clone(), forecast::of(&samples)))
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
        let reader = || Reader::new(Paths::beneath(home.path()), channel().0);
        let key = DraftKey {
            run_id: "01930000-0000-7000-8000-0000deadbeef".parse().unwrap(),
            about: "spec".to_owned(),
        };
        assert_eq!(reader().draft(&key).unwrap(), None);
        let draft = Draft {
            text: "too long\nby half".to_owned(),
            version: Some(2),
        };
        reader().keep(&key, &draft).unwrap();
        assert_eq!(reader().draft(&key).unwrap(), Some(draft));
        reader().keep(&key, &Draft::default()).unwrap();
        reader().keep(&key, &Draft::default()).unwrap();
        assert_eq!(reader().draft(&key).unwrap(), None);
    }

    #[test]
    fn the_last_thing_that_was_done_is_no_coming_and_going() {
        use crate::app::sample::{Place, journal};
        use crate::model::event::SkipReason;
        use crate::model::id::PhaseKey;
        use crate::model::state::{PauseReason, RunStatus};
        let asked = journal(Place::Awaiting);
        let mut events = asked.clone();
        let (from_state, phase_key) = (RunStatus::AwaitingApproval, PhaseKey::from("spec"));
        for fact in [
            Fact::RunPaused {
                ordinal: 1,
                reason: PauseReason::Crashed,
                from_state,
            },
            Fact::RunResumed {
                ordinal: 1,
                from_state,
            },
            Fact::PhaseSkipped {
                phase_key,
                ordinal: 1,
                reason: SkipReason::AlreadyCompleted,
            },
            Fact::RunPaused {
                ordinal: 2,
                reason: PauseReason::Shutdown,
                from_state,
            },
        ] {
            events.push(Event {
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
        let tasks = start(Paths::beneath(home.path()), answers).unwrap();
        tasks.send(Task::Ask(Query::Paused)).unwrap();
        let Ok(super::super::pump::Event::Msg(Msg::Loaded(Query::Paused, Err(failure)))) =
            told.recv()
        else {
            panic!("no error")
        };
        assert!(!failure.message.is_empty());
    }

    #[test]
    fn a_run_opens_from_disk() {
        use crate::store::{Store, fixture, journal};
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::beneath(home.path());
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
            super::super::pump::Event::Msg(msg) => msg,
            other => panic!("{other:?}"),
        };
        let tasks = start(paths, answers).unwrap();
        tasks.send(Task::Ask(Query::Open(run))).unwrap();
        let Msg::Loaded(_, Ok(Loaded::Open(opened))) = next() else {
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
        tasks.send(Task::Ask(Query::News(run, 1))).unwrap();
        let Msg::Loaded(_, Ok(Loaded::News(events))) = next() else {
            panic!("no events")
        };
        assert_eq!(events.len(), 1);
    }
}
