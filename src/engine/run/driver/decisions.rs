//! The operator's decision on a pending approval, from its arrival to the answer.
//!
//! First the decision is checked: a late one is told what was decided before and changes nothing.
//! Before an approval takes effect, the file is hashed again; if its content differs from what was
//! reviewed, nothing is decided and the new content needs its own approval. The machine decides
//! what follows, and the driver stores it.

use std::sync::Arc;

use super::RunDriver;
use crate::engine::api::CommandAnswer;
use crate::engine::blocking::blocking;
use crate::engine::run::attachments::CommitAttachments;
use crate::engine::run::attempt;
use crate::engine::run::attempt::ArtifactCheck;
use crate::engine::run::machine::{MachineInput, decide};
use crate::engine::run::reassign;
use crate::model::error::{Code, Failure, Result};
use crate::model::hash::ContentHash;
use crate::model::id::RequestId;
use crate::model::money::NanoUsd;
use crate::model::persona::{Persona, SeatChange};
use crate::model::question::{PermissionScope, PersonaChoice};
use crate::model::state::{Decision, Via};
use crate::model::time::Timestamp;
use crate::store::tables::approvals;

/// A decision of the operator on an approval.
#[derive(Clone, Debug)]
pub struct OperatorDecision {
    /// The approval decided on; `None` means the pending one.
    pub request_id: Option<RequestId>,
    pub action: Decision,
    /// Comment for the agent, or the reason.
    pub comment: String,
    pub by: String,
    pub via: Via,
    /// Hash of the reviewed content, if the decision requires it to be unchanged.
    pub reviewed: Option<ContentHash>,
    /// Scope of a permission for tool calls.
    pub scope: Option<PermissionScope>,
    /// Amount by which the budget is raised.
    pub raise: Option<NanoUsd>,
    /// Cheaper personas that take over.
    pub personas: Vec<PersonaChoice>,
}

impl RunDriver {
    /// Applies the decision, if it is still possible and the content is the reviewed one.
    pub(super) async fn apply_decision(
        &mut self,
        decision: OperatorDecision,
    ) -> Result<CommandAnswer> {
        let open = self.state.approval.clone();
        let words = decision.comment.clone();
        let (seats, personas): (Vec<_>, Vec<_>) =
            self.new_assignments(&decision).await?.into_iter().unzip();
        let input = MachineInput::Decide {
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
        // Checked before the file is read or restored: a late decision must not touch it.
        if let Err(failure) = decide(self.plan(), &self.state, input.clone(), Timestamp::now()) {
            return self
                .answer_late_decision(failure, decision.request_id, decision.action, &words)
                .await;
        }
        if decision.action == Decision::Approve {
            self.refuse_changed_content().await?;
        }
        let request_id = open
            .map(|open| open.request_id)
            .ok_or_else(|| Failure::internal("a decision without a question"))?;
        self.input_with(input, personas.into()).await?;
        Ok(CommandAnswer::Decided {
            run_id: self.run_id(),
            request_id,
            action: decision.action,
        })
    }

    /// Returns the agent assignments that follow from the decision's persona choices. A late
    /// decision has none; the machine rejects it afterwards.
    async fn new_assignments(
        &self,
        decision: &OperatorDecision,
    ) -> Result<Vec<(SeatChange, Persona)>> {
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
            let message = format!(
                "{} of gate {} accepts no persona",
                decision.action, open.gate
            );
            return Err(Failure::new(Code::UsageInvalid, message)
                .hint("cheaper personas can be chosen when approving `budget_exceeded`"));
        }
        let context = Arc::clone(&self.context);
        let files = Arc::clone(&self.files);
        let state = self.state.clone();
        let choices = decision.personas.clone();
        blocking(move || reassign::seats(&context, &files, &state, &choices)).await
    }

    /// Answers a late decision: success if the same decision took effect before, else who
    /// decided.
    async fn answer_late_decision(
        &self,
        failure: Failure,
        asked: Option<RequestId>,
        action: Decision,
        words: &str,
    ) -> Result<CommandAnswer> {
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
        // The same decision with another comment is a different one: its comment reached no
        // agent.
        let same_words = words.is_empty() || first.comment.as_deref() == Some(words);
        if first.state == action.resolves_to() && same_words {
            return Ok(CommandAnswer::Decided {
                run_id,
                request_id,
                action,
            });
        }
        // An approval that was closed by the end of its run has no decision.
        if failure.code == Code::RunAlreadyTerminal && first.resolved_by.is_none() {
            return Err(failure);
        }
        let who = first.resolved_by.unwrap_or_else(|| "the engine".to_owned());
        let when = first
            .resolved_at
            .map_or_else(String::new, |at| format!(" at {at}"));
        let message = format!(
            "gate {} of run {} was already decided: {} by {who}{when}",
            first.gate,
            run_id.short(),
            first.state
        );
        let hint = format!(
            "`phasedeck show {}` shows the decision and the state of the run",
            run_id.short()
        );
        Err(Failure::new(Code::ApprovalAlreadyResolved, message).hint(hint))
    }

    /// Hashes the file again before an approval takes effect. New valid content is submitted
    /// for approval; missing or invalid content is kept by its hash, and the reviewed content
    /// is restored.
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
            match attempt::check_artifact_file(&self.context, &self.files, &workspace, &definition)
                .await
            {
                // A link or directory in its place is treated like a missing file.
                Err(failure) if failure.code == Code::PathOutsideWorktree => ArtifactCheck::Missing,
                judged => judged?,
            };
        let (content, valid) = match judged {
            ArtifactCheck::Read { content, .. } if *content.sha256() == expected => return Ok(()),
            ArtifactCheck::Read {
                content,
                bytes,
                verdict,
            } => (Some(content), verdict.errors.is_empty().then_some(bytes)),
            ArtifactCheck::Missing | ArtifactCheck::TooLarge(_) => (None, None),
        };
        let found = content.as_ref().map(|content| content.sha256().clone());
        let replacement = found
            .clone()
            .zip(valid)
            .map(|(sha256, bytes)| attempt::artifact_ref(&definition, sha256, bytes, versions + 1));
        if replacement.is_none() {
            // Restored before the fact is stored: after a crash in between, the next approval finds
            // the reviewed content in place.
            attempt::restore_validated(&self.context, &workspace, &artifact).await?;
        }
        let what = match (&found, &replacement) {
            (_, Some(_)) => "now has other, valid content, which needs approval",
            (Some(_), None) => {
                "now has other content, which is invalid; the reviewed content was restored"
            }
            (None, None) => "is missing or unreadable; the reviewed content was restored",
        };
        let message = format!(
            "{} is not the content you reviewed ({}): it {what}",
            artifact.path,
            expected.short()
        );
        let beside = CommitAttachments {
            content,
            ..CommitAttachments::default()
        };
        self.input_with(MachineInput::ContentChanged { found, replacement }, beside)
            .await?;
        let hint = match &self.state.approval {
            Some(_) => "nothing was decided; review the new content and decide again",
            None => {
                "nothing was decided; resume the run to get an approval for the current content"
            }
        };
        Err(Failure::new(Code::ArtifactChanged, message).hint(hint))
    }
}
