//! Decisions of the operator: whether one is allowed now, and the facts it produces.

use super::advance::AdvanceContext;
use crate::model::error::{Code, Failure, Result};
use crate::model::event::RunFact;
use crate::model::hash::ContentHash;
use crate::model::id::RequestId;
use crate::model::money::NanoUsd;
use crate::model::persona::SeatChange;
use crate::model::question::{GateQuestion, PermissionScope};
use crate::model::run_state::OpenApproval;
use crate::model::state::{Decision, Via};

impl AdvanceContext<'_> {
    /// Returns the pending approval that a decision applies to, if the decision is allowed.
    pub(super) fn answerable(
        &self,
        id: Option<RequestId>,
        action: Decision,
        comment: &str,
        reviewed: Option<&ContentHash>,
    ) -> Result<OpenApproval> {
        if self.state.status.is_terminal() {
            return Err(self.not_now("decided"));
        }
        let run = self.state.run_id.short();
        let open = match (&self.state.approval, id) {
            (Some(open), Some(id)) if open.request_id == id => open,
            (Some(open), None) => open,
            (_, Some(_)) => {
                return Err(Failure::new(
                    Code::ApprovalAlreadyResolved,
                    format!("this question of run {run} is no longer open"),
                )
                .hint(format!(
                    "`phasedeck show {run}` says what was decided and what waits now"
                )));
            }
            (None, None) => {
                return Err(Failure::new(
                    Code::NoPendingApproval,
                    format!("run {run} asks nothing; it is {}", self.state.status),
                )
                .hint(format!("`phasedeck show {run}` says what it does")));
            }
        };
        if matches!(action, Decision::RequestChanges | Decision::Reject)
            && comment.trim().is_empty()
        {
            return Err(Failure::new(
                Code::UsageInvalid,
                format!("{action} needs words: what should be different?"),
            )
            .hint("say it with -m TEXT, or in the console's text area"));
        }
        if (open.phase_key.is_none() || open.question.is_some())
            && action == Decision::RequestChanges
        {
            return Err(Failure::new(
                Code::UsageInvalid,
                format!("gate {} takes approve, reject or abort", open.gate),
            )
            .hint("approve goes on from the last stored turn"));
        }
        if let (Some(reviewed), Some(asked)) = (reviewed, &open.artifact_sha256)
            && !asked.as_str().starts_with(reviewed.as_str())
        {
            return Err(Failure::new(
                Code::ArtifactChanged,
                format!(
                    "you reviewed {}, but gate {} of run {run} asks about {}",
                    reviewed.short(),
                    open.gate,
                    asked.short()
                ),
            )
            .hint("look at the artifact again, then decide"));
        }
        Ok(open.clone())
    }

    /// Returns whether a budget decision lets the next model call proceed.
    pub(super) fn unlocks(
        &self,
        open: &OpenApproval,
        raise: Option<NanoUsd>,
        seats: &[SeatChange],
    ) -> Result<()> {
        let Some(GateQuestion::Budget(budget)) = open.question.as_deref() else {
            return Ok(());
        };
        if raise.is_some_and(|raise| raise.0 > 0) {
            return Ok(());
        }
        let (run, gate) = (self.state.run_id.short(), &open.gate);
        let says = |message: String| Failure::new(Code::UsageInvalid, message);
        let hint = format!(
            "`phasedeck approve {run} --raise 2.50` raises it by 2.50 dollars for this run; reject stops here"
        );
        if seats.is_empty() {
            return Err(says(format!(
                "gate {gate} needs an amount or a cheaper persona: how shall the run go on?"
            ))
            .hint(hint));
        }
        if budget.spent >= budget.limit {
            let message = format!(
                "{} of {} is spent: a cheaper persona alone cannot go on",
                budget.spent, budget.limit
            );
            return Err(says(message).hint(hint));
        }
        let current = self.state.current().map(|phase| &phase.key);
        if let Some(current) =
            current.filter(|key| seats.iter().all(|seat| seat.phase_key != **key))
        {
            let message =
                format!("the next call is of phase {current}, and nobody cheaper was named for it");
            return Err(says(message).hint(format!(
                "name one with --persona {current}=NAME, or an amount with --raise"
            )));
        }
        Ok(())
    }

    pub(super) fn resolve(&mut self, open: &OpenApproval, said: GateAnswer<'_>) -> Result<()> {
        self.push(resolved(open, &said))?;
        if !said.seats.is_empty() {
            self.push(RunFact::PersonasChanged {
                request_id: open.request_id,
                seats: said.seats.clone(),
            })?;
        }
        let phase_key = open.phase_key.clone();
        let GateAnswer {
            action,
            comment,
            by,
            via,
            ..
        } = said;
        if matches!(open.question.as_deref(), Some(GateQuestion::Tool(_)))
            && action != Decision::Abort
        {
            // Rejecting a tool call does not reject the phase: the agent receives the refusal and
            // continues.
            return Ok(());
        }
        match (action, phase_key) {
            (Decision::Abort, _) => self.push(RunFact::RunAborted {
                by: by.to_owned(),
                via,
                reason: comment.to_owned(),
            }),
            (Decision::Approve, None) => self.go_on(),
            (Decision::Reject, None) => self.fail_run(
                Code::ApprovalRejected,
                format!("{by} gave up the run: {comment}"),
                "start it anew",
            ),
            (Decision::Reject, Some(key)) => self.reject(key, by, comment),
            (Decision::Approve | Decision::RequestChanges, _) => Ok(()),
        }
    }
}

/// A decision as submitted by the operator.
pub(super) struct GateAnswer<'a> {
    pub(super) action: Decision,
    pub(super) comment: &'a str,
    pub(super) by: &'a str,
    pub(super) via: Via,
    pub(super) scope: Option<PermissionScope>,
    pub(super) raise: Option<NanoUsd>,
    pub(super) seats: Vec<SeatChange>,
}

impl<'a> GateAnswer<'a> {
    pub(super) fn plain(action: Decision, comment: &'a str, by: &'a str, via: Via) -> Self {
        Self {
            action,
            comment,
            by,
            via,
            scope: None,
            raise: None,
            seats: Vec::new(),
        }
    }
}

pub(super) fn resolved(open: &OpenApproval, said: &GateAnswer<'_>) -> RunFact {
    let about = open.question.as_deref();
    RunFact::ApprovalResolved {
        request_id: open.request_id,
        phase_key: open.phase_key.clone(),
        gate: open.gate.clone(),
        action: said.action,
        comment: said.comment.to_owned(),
        by: said.by.to_owned(),
        via: said.via,
        artifact_sha256: open.artifact_sha256.clone(),
        scope: about
            .and_then(GateQuestion::tool)
            .map(|_| said.scope.unwrap_or_default()),
        raise: about.and_then(GateQuestion::budget).and(said.raise),
    }
}
