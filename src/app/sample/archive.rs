//! How the bench answers what the console asks of the archive.

use std::sync::Arc;

use super::bench::Bench;
use super::journal::{Place, bindings, details, journal, opened};
use super::looks::costs;
use super::recovery::crash_card;
use super::runs::page;
use super::{SPEC_V1, SPEC_V2, run_id};
use crate::app::document::Document;
use crate::app::forks::Compared;
use crate::app::gate_texts::Inputs;
use crate::app::msg::{Loaded, Preview, Query};
use crate::app::recorder::{Moment, TURNS};
use crate::app::retry::RetryPlan;
use crate::app::tail::Need;
use crate::app::{gate_texts, stored_transcript};
use crate::engine::api::{ArtifactHits, Candidate, Page};
use crate::model::error::{Code, Failure};
use crate::model::event::Event;
use crate::model::hash::ContentHash;
use crate::model::id::RunId;
use crate::model::run_state::RunState;
use crate::model::state::{PauseReason, Strategy};
use crate::model::wanted::Wanted;

impl Bench {
    /// What the archive answers.
    pub fn look_up(&self, query: &Query) -> Result<Loaded, Failure> {
        let texts: [&[u8]; 3] = [SPEC_V1.as_bytes(), SPEC_V2.as_bytes(), b"{}"];
        let text = |hash: &ContentHash| {
            let found = texts
                .into_iter()
                .find(|text| ContentHash::of(text) == *hash);
            found.ok_or_else(|| Failure::new(Code::IoFailed, format!("no content {hash}")))
        };
        Ok(match query {
            Query::Runs(ask) => Loaded::Runs(Box::new(page(&self.records, ask))),
            Query::Paused => Loaded::Paused(
                self.records
                    .iter()
                    .filter(|r| r.state == "paused")
                    .cloned()
                    .collect(),
            ),
            Query::Costs => Loaded::Costs(Box::new(costs())),
            Query::SearchArtifacts(text, _) => {
                let runs = if text == "gizmo" {
                    vec![run_id(6)]
                } else {
                    Vec::new()
                };
                Loaded::Hits(ArtifactHits {
                    runs,
                    looked_at: 40,
                    total: 40,
                    last: None,
                })
            }
            Query::Open(id) if *id == run_id(1) => {
                Loaded::Open(Box::new(opened(&self.events, self.risk)))
            }
            Query::Open(id) => {
                return Err(Failure::new(Code::RunNotFound, format!("no run {id}"))
                    .hint("see `phasedeck runs`"));
            }
            Query::Previews(runs) => {
                Loaded::Previews(runs.iter().map(|id| self.preview(*id)).collect())
            }
            Query::Details(_) => Loaded::Details(Box::new(details(&self.events))),
            Query::Content(hash, path) => {
                Loaded::Text(Arc::new(Document::of_content(path, text(hash)?)))
            }
            Query::Diff(old, new) => {
                Loaded::Text(Arc::new(Document::of_diff(text(old)?, text(new)?)))
            }
            Query::Forks(_) => {
                let with = |one: Candidate| {
                    (
                        one.clone(),
                        one.artifact
                            .and_then(|a| text(&a.sha256).ok().map(<[u8]>::to_vec)),
                    )
                };
                Loaded::Forks(Box::new(Compared::of(
                    self.candidates.iter().cloned().map(with).collect(),
                )))
            }
            Query::Retry(run_id) => {
                let phases =
                    ["spec", "plan", "implement", "verify"].map(|key| (key.into(), self.forecast));
                Loaded::Retry(RetryPlan {
                    run_id: *run_id,
                    phases: phases.to_vec(),
                    open: 1,
                    thread: "shop-cart:main1".into(),
                    strategy: Strategy::Reject,
                })
            }
            Query::Events(_, need, wanted) => Loaded::Page(self.page(*need, wanted, 400)),
            Query::Find(_, need, wanted) => Loaded::Page(self.page(*need, wanted, 1)),
            Query::News(_, since) => Loaded::News(
                self.events
                    .iter()
                    .filter(|event| event.seq > *since)
                    .cloned()
                    .collect(),
            ),
            Query::Moment(id, moment) => Loaded::Moment(Box::new(self.state_at(*id, *moment))),
            Query::Draft(_) => Loaded::Draft(None),
            Query::FormDraft => Loaded::FormDraft(self.form_draft.clone().map(Box::new)),
            Query::Checked(hash, path, errors) => {
                Loaded::Text(Arc::new(Document::of_checked(path, text(hash)?, errors)))
            }
            Query::BaseDiff(_, _, hash) => {
                Loaded::Text(Arc::new(Document::of_diff(b"", text(hash)?)))
            }
            Query::Errors(_, key) => {
                let details = details(&self.events);
                let invalid = details
                    .artifacts
                    .iter()
                    .filter(|a| a.phase_key == *key && !a.valid);
                let read: Vec<_> = invalid
                    .filter_map(|a| Some((a, text(&a.sha256).ok()?.to_vec())))
                    .collect();
                Loaded::Text(Arc::new(gate_texts::errors(&read)))
            }
            Query::Comments(_, key, hash) => {
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
                Loaded::Text(Arc::new(gate_texts::comments(&said, text(hash)?)))
            }
            Query::Inputs(..) => {
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
                Loaded::Text(Arc::new(gate_texts::inputs(&Inputs {
                    persona,
                    requirements,
                    earlier: Vec::new(),
                    prompt,
                })))
            }
            Query::PhaseLog(_, key) => Loaded::Log(
                self.events
                    .iter()
                    .filter(|event| event.fact.phase_key() == Some(key))
                    .cloned()
                    .collect(),
            ),
            Query::Transcript(_, key, attempt, at) => {
                let turns = super::said::turns(&self.events, key, *attempt, *at);
                Loaded::Text(Arc::new(stored_transcript::document(&turns, at.is_some())))
            }
            Query::Forecast(..) => Loaded::Forecast(self.forecast),
        })
    }

    fn page(&self, need: Need, wanted: &Wanted, limit: usize) -> Page {
        let fits = |event: &&Event| wanted.fits(event);
        let last = self.events.last().unwrap().seq;
        match need {
            Need::From(from) => {
                let events: Vec<Event> = self
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
                Page { events, from, to }
            }
            Need::Before(before) => {
                let back = self
                    .events
                    .iter()
                    .rev()
                    .filter(|event| event.seq < before)
                    .filter(fits);
                let mut events: Vec<Event> = back.take(limit).cloned().collect();
                events.reverse();
                let from = if events.len() < limit {
                    1
                } else {
                    events[0].seq
                };
                Page {
                    events,
                    from,
                    to: (before - 1).min(last),
                }
            }
        }
    }

    fn state_at(&self, id: RunId, moment: Moment) -> RunState {
        let turns = Wanted::parse(TURNS);
        let mut turn = self
            .events
            .iter()
            .filter(|event| turns.fits(event))
            .map(|event| event.seq);
        let seq = match moment {
            Moment::At(seq) => seq,
            Moment::TurnBefore(before) => turn.rfind(|seq| *seq < before).unwrap_or(1),
            Moment::TurnAfter(after) => turn.find(|seq| *seq > after).unwrap_or(u64::MAX),
        };
        RunState::fold(id, self.events.iter().filter(|event| event.seq <= seq)).unwrap()
    }

    fn preview(&self, id: RunId) -> Preview {
        let events = journal(Place::Executing);
        let mut state = RunState::fold(run_id(1), &events).unwrap();
        (state.run_id, state.last_seq) = (id, u64::MAX);
        let crashed = self.records.iter().any(|r| {
            r.id == id && r.pause_reason.as_deref() == Some(PauseReason::Crashed.as_str())
        });
        Preview {
            card: crashed.then(|| crash_card(id)),
            state,
            last: events.last().cloned(),
            refusal: None,
        }
    }
}
