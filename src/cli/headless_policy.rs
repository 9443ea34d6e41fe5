//! The policy of a headless run, as a pure state machine that tests can drive.
//!
//! Events are applied to the run state. Each pending approval is answered by the policy once. The
//! watch ends when the run finishes or pauses by itself. The caller reads events, prints and sends
//! commands.

use std::collections::BTreeSet;

use super::args::GatePolicy;
use super::exit::ExitStatus;
use crate::engine::api::EngineCommand;
use crate::model::error::Result;
use crate::model::event::{JournalEvent, RunFact};
use crate::model::id::{RequestId, RunId};
use crate::model::run_state::{OpenApproval, RunState};
use crate::model::state::{Decision, RunStatus};

/// What to do about a question that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateAction {
    /// Send this answer as a standing instruction.
    Send(EngineCommand),
    /// Say how it can be answered, and keep waiting.
    Explain(OpenApproval),
}

/// A run being watched.
#[derive(Clone, Debug)]
pub struct HeadlessPolicy {
    policy: GatePolicy,
    state: RunState,
    answered: BTreeSet<RequestId>,
    paused: bool,
}

impl HeadlessPolicy {
    /// Watches a run from its first event on.
    #[must_use]
    pub fn new(run_id: RunId, policy: GatePolicy) -> Self {
        Self {
            policy,
            state: RunState::new(run_id),
            answered: BTreeSet::new(),
            paused: false,
        }
    }

    /// What is known of the run.
    #[must_use]
    pub fn state(&self) -> &RunState {
        &self.state
    }

    /// Takes in what happened before the watch began: a pause among it is no news.
    ///
    /// # Errors
    /// `illegal_transition` for a journal that no engine wrote.
    pub fn catch_up(&mut self, event: &JournalEvent) -> Result<()> {
        self.state.apply(event)
    }

    /// Takes in news.
    ///
    /// # Errors
    /// `illegal_transition` for a journal that no engine wrote.
    pub fn apply(&mut self, event: &JournalEvent) -> Result<()> {
        match event.fact {
            RunFact::RunPaused { .. } => self.paused = true,
            RunFact::RunResumed { .. } | RunFact::RunStarted { .. } => self.paused = false,
            _ => {}
        }
        self.state.apply(event)
    }

    /// What to do now; each question is acted on once.
    pub fn act(&mut self) -> Option<GateAction> {
        let open = self.state.approval.clone()?;
        if self.state.status.is_terminal() || self.paused || !self.answered.insert(open.request_id)
        {
            return None;
        }
        // Only an artifact that was validated may be answered by a policy, and only by its hash.
        let artifact = open.phase_key.as_ref().and(open.artifact_sha256.clone());
        match (self.policy, artifact) {
            (GatePolicy::Wait, _) | (_, None) => Some(GateAction::Explain(open)),
            (GatePolicy::Approve, hash) => Some(GateAction::Send(self.answer(
                &open,
                Decision::Approve,
                "",
                hash,
            ))),
            (GatePolicy::Fail, hash) => Some(GateAction::Send(self.answer(
                &open,
                Decision::Reject,
                "policy",
                hash,
            ))),
        }
    }

    /// How it ended, when it has: the run is over, or paused with nobody at work on it.
    #[must_use]
    pub fn ended(&self) -> Option<ExitStatus> {
        match self.state.status {
            status if status.is_terminal() => Some(ExitStatus::from_run_status(status)),
            RunStatus::Paused if self.paused => Some(ExitStatus::Waiting),
            _ => None,
        }
    }

    fn answer(
        &self,
        open: &OpenApproval,
        action: Decision,
        comment: &str,
        hash: Option<crate::model::hash::ContentHash>,
    ) -> EngineCommand {
        EngineCommand::Decide {
            run_id: self.state.run_id,
            request_id: Some(open.request_id),
            action,
            comment: comment.to_owned(),
            artifact_sha256: hash,
            scope: None,
            raise_nano_usd: None,
            personas: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{ArtifactRef, AttemptCause};
    use crate::model::hash::ContentHash;
    use crate::model::state::{PauseReason, Via};
    use crate::model::time::Timestamp;

    const RUN: &str = "01930000-0000-7000-8000-0000deadbeef";

    struct WatchJournal(Vec<JournalEvent>);

    impl WatchJournal {
        fn add(&mut self, fact: RunFact) -> JournalEvent {
            let seq = self.0.len() as u64 + 1;
            self.0.push(JournalEvent {
                run_id: RUN.parse().unwrap(),
                seq,
                at: Timestamp(0),
                fact,
            });
            self.0.last().unwrap().clone()
        }

        fn at_gate(request: u128) -> Self {
            let workflow: crate::model::id::VersionedName = "development@1".parse().unwrap();
            let hash = ContentHash::from_bytes(b"spec");
            let mut journal = Self(Vec::new());
            let thread: crate::model::id::ThreadId = "t".into();
            journal.add(RunFact::RunCreated {
                workflow: workflow.clone(),
                workflow_hash: hash.clone(),
                thread: thread.clone(),
                phases: vec!["spec".into()],
                rehearsal: true,
            });
            journal.add(RunFact::RunStarted {
                workflow: workflow.clone(),
                thread,
            });
            let cause = AttemptCause::First;
            journal.add(RunFact::PhaseStarted {
                phase_key: "spec".into(),
                attempt: 1,
                role: "r".into(),
                persona: workflow,
                cause,
            });
            let artifact = ArtifactRef {
                path: "s.json".to_owned(),
                schema: "a/b@1".into(),
                sha256: hash.clone(),
                bytes: 4,
                version: 1,
            };
            journal.add(RunFact::ArtifactValidated {
                phase_key: "spec".into(),
                attempt: 1,
                artifact,
                by: None,
            });
            journal.add(RunFact::ApprovalRequested {
                request_id: RequestId(uuid::Uuid::from_u128(request)),
                phase_key: Some("spec".into()),
                gate: "spec_approved".into(),
                artifact_sha256: Some(hash),
                artifact_version: Some(1),
                question: None,
            });
            journal
        }
    }

    fn watching(journal: &WatchJournal, policy: GatePolicy) -> HeadlessPolicy {
        let mut watch = HeadlessPolicy::new(RUN.parse().unwrap(), policy);
        journal
            .0
            .iter()
            .for_each(|event| watch.apply(event).unwrap());
        watch
    }

    fn recovery() -> RunFact {
        RunFact::ApprovalRequested {
            request_id: RequestId(uuid::Uuid::from_u128(9)),
            phase_key: None,
            gate: "session_recovery_required".into(),
            artifact_sha256: None,
            artifact_version: None,
            question: None,
        }
    }

    #[test]
    fn a_policy_signs_the_hash_that_was_asked_about_once() {
        for (policy, action, comment) in [
            (GatePolicy::Approve, Decision::Approve, ""),
            (GatePolicy::Fail, Decision::Reject, "policy"),
        ] {
            let mut watch = watching(&WatchJournal::at_gate(7), policy);
            let sent = EngineCommand::Decide {
                run_id: RUN.parse().unwrap(),
                request_id: Some(RequestId(uuid::Uuid::from_u128(7))),
                action,
                comment: comment.to_owned(),
                artifact_sha256: Some(ContentHash::from_bytes(b"spec")),
                scope: None,
                raise_nano_usd: None,
                personas: Vec::new(),
            };
            assert_eq!(watch.act(), Some(GateAction::Send(sent)));
            assert_eq!(watch.act(), None);
            assert_eq!(watch.ended(), None);
        }
    }

    #[test]
    fn waiting_explains_once_and_goes_on_waiting() {
        let mut watch = watching(&WatchJournal::at_gate(7), GatePolicy::Wait);
        assert!(
            matches!(watch.act(), Some(GateAction::Explain(open)) if open.gate.as_str() == "spec_approved")
        );
        assert_eq!(watch.act(), None);
        assert_eq!(watch.ended(), None);
    }

    #[test]
    fn no_policy_ever_answers_a_session_recovery() {
        for policy in [GatePolicy::Approve, GatePolicy::Fail] {
            let mut journal = WatchJournal(WatchJournal::at_gate(7).0[..3].to_vec());
            journal.add(recovery());
            assert!(matches!(
                watching(&journal, policy).act(),
                Some(GateAction::Explain(_))
            ));
            journal.0.pop();
            journal.add(RunFact::RunPaused {
                ordinal: 1,
                reason: PauseReason::SessionRecovery,
                from_state: RunStatus::Executing,
            });
            journal.add(recovery());
            let mut watch = watching(&journal, policy);
            assert_eq!(watch.act(), None);
            assert_eq!(watch.ended(), Some(ExitStatus::Waiting));
        }
    }

    #[test]
    fn a_pause_from_before_is_no_end_and_one_from_now_is() {
        let mut journal = WatchJournal::at_gate(7);
        journal.add(RunFact::RunPaused {
            ordinal: 1,
            reason: PauseReason::Shutdown,
            from_state: RunStatus::AwaitingApproval,
        });
        let mut watch = HeadlessPolicy::new(RUN.parse().unwrap(), GatePolicy::Approve);
        journal
            .0
            .iter()
            .for_each(|event| watch.catch_up(event).unwrap());
        assert_eq!(watch.ended(), None);
        watch
            .apply(&journal.add(RunFact::RunResumed {
                ordinal: 1,
                from_state: RunStatus::Paused,
            }))
            .unwrap();
        assert!(matches!(watch.act(), Some(GateAction::Send(_))));
        let again = RunFact::RunPaused {
            ordinal: 2,
            reason: PauseReason::Operator,
            from_state: RunStatus::AwaitingApproval,
        };
        watch.apply(&journal.add(again)).unwrap();
        assert_eq!(watch.ended(), Some(ExitStatus::Waiting));
    }

    #[test]
    fn the_end_of_the_run_is_the_end_of_the_watch() {
        let failed = RunFact::RunFailed {
            code: crate::model::error::Code::ApprovalRejected,
            message: String::new(),
            hint: String::new(),
        };
        let aborted = RunFact::RunAborted {
            by: "ann".to_owned(),
            via: Via::Cli,
            reason: String::new(),
        };
        for (end, exit) in [(failed, ExitStatus::Failed), (aborted, ExitStatus::Aborted)] {
            let mut journal = WatchJournal::at_gate(7);
            journal.add(end);
            let mut watch = watching(&journal, GatePolicy::Approve);
            assert_eq!(watch.ended(), Some(exit));
            assert_eq!(watch.act(), None);
        }
    }
}
