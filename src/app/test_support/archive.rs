//! How the bench answers what the console asks of the archive.

use super::journal::{SampleRunState, bindings, details, journal, opened};
use super::recovery::crash_card;
use super::runs::page;
use super::{SPEC_V1, SPEC_V2, run_id};
use crate::app::modal::retry::RetryPlan;
use crate::app::msg::{ArchiveQuery, QueryResult, ResumePreview};
use crate::app::screens::gate::forks::ForkComparison;
use crate::app::screens::gate::texts::PhaseInputs;
use crate::app::screens::run::event_list::EventFetch;
use crate::app::screens::run::history::{HistoryCursor, TURNS};
use crate::app::screens::{gate, run};
use crate::app::test_support::harness::ConsoleHarness;
use crate::app::test_support::info::costs;
use crate::app::text::document::TextDocument;
use crate::engine::api::{ArtifactHits, EventMatches, ForkCandidate};
use crate::model::error::{Code, Failure};
use crate::model::event::JournalEvent;
use crate::model::event_filter::EventFilter;
use crate::model::hash::ContentHash;
use crate::model::id::RunId;
use crate::model::run_state::RunState;
use crate::model::state::{PauseReason, Strategy};
use std::sync::Arc;

impl ConsoleHarness {
    /// What the archive answers.
    pub fn answer_query(&self, query: &ArchiveQuery) -> Result<QueryResult, Failure> {
        let texts: [&[u8]; 3] = [SPEC_V1.as_bytes(), SPEC_V2.as_bytes(), b"{}"];
        let text = |hash: &ContentHash| {
            let found = texts
                .into_iter()
                .find(|text| ContentHash::from_bytes(text) == *hash);
            found.ok_or_else(|| Failure::new(Code::IoFailed, format!("no content {hash}")))
        };
        Ok(match query {
            ArchiveQuery::Runs(ask) => QueryResult::Runs(Box::new(page(&self.records, ask))),
            ArchiveQuery::Paused => QueryResult::Paused(
                self.records
                    .iter()
                    .filter(|r| r.state == "paused")
                    .cloned()
                    .collect(),
            ),
            ArchiveQuery::Costs => QueryResult::Costs(Box::new(costs())),
            ArchiveQuery::SearchArtifacts(text, _) => {
                let runs = if text == "gizmo" {
                    vec![run_id(6)]
                } else {
                    Vec::new()
                };
                QueryResult::Hits(ArtifactHits {
                    runs,
                    looked_at: 40,
                    total: 40,
                    last: None,
                })
            }
            ArchiveQuery::Open(id) if *id == run_id(1) => {
                QueryResult::Open(Box::new(opened(&self.events, self.risk)))
            }
            ArchiveQuery::Open(id) => {
                return Err(Failure::new(Code::RunNotFound, format!("no run {id}"))
                    .hint("see `phasedeck runs`"));
            }
            ArchiveQuery::Previews(runs) => {
                QueryResult::Previews(runs.iter().map(|id| self.preview(*id)).collect())
            }
            ArchiveQuery::Details(_) => QueryResult::Details(Box::new(details(&self.events))),
            ArchiveQuery::Content(hash, path) => {
                QueryResult::Text(Arc::new(TextDocument::from_content(path, text(hash)?)))
            }
            ArchiveQuery::Diff(old, new) => {
                QueryResult::Text(Arc::new(TextDocument::from_diff(text(old)?, text(new)?)))
            }
            ArchiveQuery::Forks(_) => {
                let with = |one: ForkCandidate| {
                    (
                        one.clone(),
                        one.artifact
                            .and_then(|a| text(&a.sha256).ok().map(<[u8]>::to_vec)),
                    )
                };
                QueryResult::Forks(Box::new(ForkComparison::new(
                    self.candidates.iter().cloned().map(with).collect(),
                )))
            }
            ArchiveQuery::Retry(run_id) => {
                let phases =
                    ["spec", "plan", "implement", "verify"].map(|key| (key.into(), self.forecast));
                QueryResult::Retry(RetryPlan {
                    run_id: *run_id,
                    phases: phases.to_vec(),
                    open: 1,
                    thread: "shop-cart:main1".into(),
                    strategy: Strategy::Reject,
                })
            }
            ArchiveQuery::Events(_, need, wanted) => {
                QueryResult::Page(self.page(*need, wanted, 400))
            }
            ArchiveQuery::Find(_, need, wanted) => QueryResult::Page(self.page(*need, wanted, 1)),
            ArchiveQuery::News(_, since) => QueryResult::News(
                self.events
                    .iter()
                    .filter(|event| event.seq > *since)
                    .cloned()
                    .collect(),
            ),
            ArchiveQuery::Moment(id, moment) => {
                QueryResult::Moment(Box::new(self.state_at(*id, *moment)))
            }
            ArchiveQuery::Draft(_) => QueryResult::Draft(None),
            ArchiveQuery::FormDraft => {
                QueryResult::FormDraft(self.form_draft.clone().map(Box::new))
            }
            ArchiveQuery::Checked(hash, path, errors) => QueryResult::Text(Arc::new(
                TextDocument::from_validated(path, text(hash)?, errors),
            )),
            ArchiveQuery::BaseDiff(_, _, hash) => {
                QueryResult::Text(Arc::new(TextDocument::from_diff(b"", text(hash)?)))
            }
            ArchiveQuery::Errors(_, key) => {
                let details = details(&self.events);
                let invalid = details
                    .artifacts
                    .iter()
                    .filter(|a| a.phase_key == *key && !a.valid);
                let read: Vec<_> = invalid
                    .filter_map(|a| Some((a, text(&a.sha256).ok()?.to_vec())))
                    .collect();
                QueryResult::Text(Arc::new(gate::texts::errors(&read)))
            }
            ArchiveQuery::Comments(_, key, hash) => {
                let details = details(&self.events);
                let said = details.approvals.iter().filter(|a| {
                    a.phase_key.as_ref() == Some(key)
                        && !a.comment.as_deref().unwrap_or("").is_empty()
                });
                let said: Vec<_> = said
                    .map(|a| {
                        (
                            a,
                            a.artifact_sha256
                                .as_ref()
                                .and_then(|h| text(h).ok())
                                .map(<[u8]>::to_vec),
                        )
                    })
                    .collect();
                QueryResult::Text(Arc::new(gate::texts::comments(&said, text(hash)?)))
            }
            ArchiveQuery::Inputs(..) => {
                let requirements = self
                    .records
                    .first()
                    .map(|r| r.requirements.clone())
                    .unwrap_or_default();
                let prompt = Some("[PHASE spec]\nWrite spec.json.".to_owned());
                let persona = bindings()
                    .into_iter()
                    .next()
                    .map(|(binding, persona)| (persona, binding.model));
                QueryResult::Text(Arc::new(gate::texts::inputs(&PhaseInputs {
                    persona,
                    requirements,
                    earlier: Vec::new(),
                    prompt,
                })))
            }
            ArchiveQuery::PhaseLog(_, key) => QueryResult::Log(
                self.events
                    .iter()
                    .filter(|event| event.fact.phase_key() == Some(key))
                    .cloned()
                    .collect(),
            ),
            ArchiveQuery::Transcript(_, key, attempt, at) => {
                let turns =
                    crate::app::test_support::transcript::turns(&self.events, key, *attempt, *at);
                QueryResult::Text(Arc::new(run::stored_transcript::document(
                    &turns,
                    at.is_some(),
                )))
            }
            ArchiveQuery::Forecast(..) => QueryResult::Forecast(self.forecast),
        })
    }

    fn page(&self, need: EventFetch, wanted: &EventFilter, limit: usize) -> EventMatches {
        let fits = |event: &&JournalEvent| wanted.matches(event);
        let last = self.events.last().unwrap().seq;
        match need {
            EventFetch::From(from) => {
                let events: Vec<JournalEvent> = self
                    .events
                    .iter()
                    .filter(|event| event.seq >= from)
                    .filter(fits)
                    .take(limit)
                    .cloned()
                    .collect();
                let to = if events.len() < limit {
                    last.max(from - 1)
                } else {
                    events.last().unwrap().seq
                };
                EventMatches { events, from, to }
            }
            EventFetch::Before(before) => {
                let back = self
                    .events
                    .iter()
                    .rev()
                    .filter(|event| event.seq < before)
                    .filter(fits);
                let mut events: Vec<JournalEvent> = back.take(limit).cloned().collect();
                events.reverse();
                let from = if events.len() < limit {
                    1
                } else {
                    events[0].seq
                };
                EventMatches {
                    events,
                    from,
                    to: (before - 1).min(last),
                }
            }
        }
    }

    fn state_at(&self, id: RunId, moment: HistoryCursor) -> RunState {
        let turns = EventFilter::parse(TURNS);
        let mut turn = self
            .events
            .iter()
            .filter(|event| turns.matches(event))
            .map(|event| event.seq);
        let seq = match moment {
            HistoryCursor::At(seq) => seq,
            HistoryCursor::TurnBefore(before) => turn.rfind(|seq| *seq < before).unwrap_or(1),
            HistoryCursor::TurnAfter(after) => turn.find(|seq| *seq > after).unwrap_or(u64::MAX),
        };
        RunState::fold(id, self.events.iter().filter(|event| event.seq <= seq)).unwrap()
    }

    fn preview(&self, id: RunId) -> ResumePreview {
        let events = journal(SampleRunState::Executing);
        let mut state = RunState::fold(run_id(1), &events).unwrap();
        (state.run_id, state.last_seq) = (id, u64::MAX);
        let crashed = self.records.iter().any(|r| {
            r.id == id && r.pause_reason.as_deref() == Some(PauseReason::Crashed.as_str())
        });
        ResumePreview {
            card: crashed.then(|| crash_card(id)),
            state,
            last: events.last().cloned(),
            refusal: None,
        }
    }
}
