//! The operator's answer to a question, from its arrival to what is told back.
//!
//! First whether it can be given at all; a late answer learns who was first and touches nothing.
//! Before an approval counts, the file is hashed again: other content than was reviewed decides
//! nothing and is asked about anew. What the answer then makes of the run is the machine's, and
//! storing it the loop's.

use std::sync::Arc;

use super::Driver;
use crate::engine::api::Answer;
use crate::engine::attempt::{self, Judged};
use crate::engine::beside::Beside;
use crate::engine::blocking::blocking;
use crate::engine::cheaper;
use crate::engine::machine::{Input, decide};
use crate::model::error::{Code, Failure, Result};
use crate::model::hash::ContentHash;
use crate::model::id::RequestId;
use crate::model::money::NanoUsd;
use crate::model::persona::{NewSeat, Persona};
use crate::model::question::{PersonaChoice, Scope};
use crate::model::state::{Decision, Via};
use crate::model::time::Timestamp;
use crate::store::approvals;

/// The operator's answer to a question.
#[derive(Clone, Debug)]
pub struct Answered {
    /// Which question; absent: the one that waits.
    pub request_id: Option<RequestId>,
    /// The answer.
    pub action: Decision,
    /// The operator's words.
    pub comment: String,
    /// Who.
    pub by: String,
    /// By which way.
    pub via: Via,
    /// What was reviewed, where the answer insists on it.
    pub reviewed: Option<ContentHash>,
    /// How far an answer about a tool reaches.
    pub scope: Option<Scope>,
    /// By how much a budget is raised.
    pub raise: Option<NanoUsd>,
    /// Who goes on for less.
    pub personas: Vec<PersonaChoice>,
}

impl Driver {
    /// Gives the answer, if it can be given and is about what lies there; says what became of it.
    pub(super) async fn decided(&mut self, decision: Answered) -> Result<Answer> {
        let (open, words) = (self.state.approval.clone(), decision.comment.clone());
        let (seats, personas): (Vec<_>, Vec<_>) =
            self.new_seats(&decision).await?.into_iter().unzip();
        let input = Input::Decide {
            request_id: decision.request_id,
            action: decision.action,
            comment: decision.comment,
            by: decision.by,
            via: decision.via,
            reviewed: decision.reviewed,
            scope: decision.scope,
            raise: decision.raise,
            seats,
        };
        // Whether it can be given at all comes first: a late answer must not touch the file.
        if let Err(failure) = decide(self.plan(), &self.state, input.clone(), Timestamp::now()) {
            return self
                .decided_before(failure, decision.request_id, decision.action, &words)
                .await;
        }
        if decision.action == Decision::Approve {
            self.refuse_changed_content().await?;
        }
        let request_id = open
            .map(|open| open.request_id)
            .ok_or_else(|| Failure::internal("a decision without a question"))?;
        self.input_with(input, personas.into()).await?;
        Ok(Answer::Decided {
            run_id: self.run_id(),
            request_id,
            action: decision.action,
        })
    }

    /// The seats that the answer's choices make. An answer that comes too late makes none; that it does is
    /// the machine's to say.
    async fn new_seats(&self, decision: &Answered) -> Result<Vec<(NewSeat, Persona)>> {
        let Some(open) = self
            .state
            .approval
            .as_ref()
            .filter(|open| decision.request_id.is_none_or(|id| id == open.request_id))
        else {
            return Ok(Vec::new());
        };
        if decision.personas.is_empty() {
            return Ok(Vec::new());
        }
        let about_budget = open
            .question
            .as_deref()
            .is_some_and(|question| question.budget().is_some());
        if !about_budget || decision.action != Decision::Approve {
            let message = format!("{} of gate {} takes no persona", decision.action, open.gate);
            return Err(Failure::new(Code::UsageInvalid, message)
                .hint("cheaper personas go on where `budget_exceeded` is approved"));
        }
        let (context, files) = (Arc::clone(&self.context), Arc::clone(&self.files));
        let (state, choices) = (self.state.clone(), decision.personas.clone());
        blocking(move || cheaper::seats(&context, &files, &state, &choices)).await
    }

    /// What a late answer learns: that it is the one that counted, or who was first.
    async fn decided_before(
        &self,
        failure: Failure,
        asked: Option<RequestId>,
        action: Decision,
        words: &str,
    ) -> Result<Answer> {
        let (Code::ApprovalAlreadyResolved | Code::RunAlreadyTerminal, Some(request_id)) =
            (failure.code, asked)
        else {
            return Err(failure);
        };
        let run_id = self.run_id();
        let found = self
            .context
            .journal
            .read(move |conn| approvals::get(conn, request_id))
            .await?;
        let Some(first) = found.filter(|row| row.run_id == run_id) else {
            return Err(failure);
        };
        // The same answer with other words is another answer: those words went nowhere.
        let same_words = words.is_empty() || first.comment.as_deref() == Some(words);
        if first.state == action.resolves_to() && same_words {
            return Ok(Answer::Decided {
                run_id,
                request_id,
                action,
            });
        }
        // A question that the end of its run closed was answered by nobody.
        if failure.code == Code::RunAlreadyTerminal && first.resolved_by.is_none() {
            return Err(failure);
        }
        let who = first.resolved_by.unwrap_or_else(|| "the engine".to_owned());
        let when = first
            .resolved_at
            .map_or_else(String::new, |at| format!(" at {at}"));
        let message = format!(
            "gate {} of run {} was answered already: {} by {who}{when}",
            first.gate,
            run_id.short(),
            first.state
        );
        let hint = format!(
            "`phasedeck show {}` says what was decided and where the run stands",
            run_id.short()
        );
        Err(Failure::new(Code::ApprovalAlreadyResolved, message).hint(hint))
    }

    /// Hashes the file again before an approval counts. New content is validated and asked about
    /// anew; content that is gone or does not fit is kept by its hash, and what was shown is put back.
    async fn refuse_changed_content(&mut self) -> Result<()> {
        let Some((phase_key, expected)) = self
            .state
            .approval
            .clone()
            .and_then(|open| open.phase_key.zip(open.artifact_sha256))
        else {
            return Ok(());
        };
        let artifact = self
            .state
            .phase(&phase_key)
            .and_then(|phase| phase.artifact.clone());
        let definition = self
            .plan()
            .phase(&phase_key)
            .and_then(|phase| phase.expected_artifact.clone());
        let (Some(artifact), Some(definition)) = (artifact, definition) else {
            return Ok(());
        };
        let workspace = attempt::open_workspace(&self.context, &self.files.record, false).await?;
        let versions = self
            .state
            .phase(&phase_key)
            .map_or(0, |phase| phase.versions);
        let judged =
            match attempt::judge_file(&self.context, &self.files, &workspace, &definition).await {
                // A link or a folder in its place is no more what was reviewed than nothing at all.
                Err(failure) if failure.code == Code::PathOutsideWorktree => Judged::Missing,
                judged => judged?,
            };
        let (content, valid) = match judged {
            Judged::Read { content, .. } if *content.sha256() == expected => return Ok(()),
            Judged::Read {
                content,
                bytes,
                verdict,
            } => (Some(content), verdict.errors.is_empty().then_some(bytes)),
            Judged::Missing | Judged::TooLarge(_) => (None, None),
        };
        let found = content.as_ref().map(|content| content.sha256().clone());
        let replacement = found
            .clone()
            .zip(valid)
            .map(|(sha256, bytes)| attempt::artifact_ref(&definition, sha256, bytes, versions + 1));
        if replacement.is_none() {
            attempt::restore_validated(&self.context, &workspace, &artifact).await?;
        }
        let what = match (&found, &replacement) {
            (_, Some(_)) => "has other content now, which is valid; the gate asks about it",
            (Some(_), None) => {
                "has other content now, which is not valid; what you reviewed was put back"
            }
            (None, None) => "is gone or unreadable; what you reviewed was put back",
        };
        let message = format!(
            "{} is not what you reviewed ({}): it {what}",
            artifact.path,
            expected.short()
        );
        let beside = Beside {
            content,
            ..Beside::default()
        };
        self.input_with(Input::ContentChanged { found, replacement }, beside)
            .await?;
        let hint = match &self.state.approval {
            Some(_) => "nothing was decided; look at it and answer the new question",
            None => "nothing was decided; resume the run, and it asks about what lies there now",
        };
        Err(Failure::new(Code::ArtifactChanged, message).hint(hint))
    }
}
