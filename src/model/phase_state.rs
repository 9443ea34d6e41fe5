//! One phase within the fold: where it stands, what it has made, and its clocks.
//!
//! [`RunState`](super::run_state::RunState) finds the phase that a fact is about and hands it over;
//! what that does to the run as a whole (its status, the question that waits) is decided there.

use serde::{Deserialize, Serialize};

use super::event::{ArtifactError, ArtifactRef, AttemptCause, PersonaPick, RunFact, TokenUsage};
use super::hash::ContentHash;
use super::id::{PhaseKey, VersionedName};
use super::money::{CallCost, NanoUsd};
use super::state::{Decision, PhaseStatus};
use super::time::Timestamp;

/// A phase within a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseState {
    /// Which.
    pub key: PhaseKey,
    /// Where it stands.
    pub status: PhaseStatus,
    /// The current attempt, from 1; 0 before the first.
    pub attempt: u32,
    /// Why the current attempt is made.
    pub cause: AttemptCause,
    /// Repairs since the operator last spoke; what `max_repairs` limits.
    pub repairs: u32,
    /// Who works on it.
    pub persona: Option<VersionedName>,
    /// The valid artifact of the current attempt.
    pub artifact: Option<ArtifactRef>,
    /// The person who wrote the valid artifact, where no agent did.
    #[serde(default)]
    pub revised_by: Option<String>,
    /// Whose version it is, where it was taken from a fork.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picked: Option<PersonaPick>,
    /// What the valid artifact holds that it should not, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warned: Option<String>,
    /// Stored versions so far, valid or not.
    pub versions: u32,
    /// The envelope of the current attempt, once it was sent.
    pub prompt: Option<ContentHash>,
    /// The bytes that the next prompt shows as the previous content.
    pub previous: Option<ContentHash>,
    /// Why the last attempt gave no valid artifact; empty when it did.
    pub errors: Vec<ArtifactError>,
    /// Whether the last attempt ended without any file (timed out or never written).
    pub missing: bool,
    /// Gates passed by the current artifact.
    pub gates_passed: u32,
    /// The operator's last answer that has not been acted on.
    pub decided: Option<Decision>,
    /// The operator's words with it.
    pub comment: String,
    /// The git commit that holds it.
    pub commit: Option<String>,
    /// When the first attempt began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Time agents worked, up to `clock`.
    pub working_ms: u64,
    /// Time it waited for the operator, up to `clock`.
    pub waiting_ms: u64,
    /// Since when the current stretch of working or waiting runs; absent while nothing does.
    pub clock: Option<Timestamp>,
    /// What its calls cost.
    pub cost: CallCost,
    /// What its calls used.
    pub tokens: TokenUsage,
}

impl PhaseState {
    pub(super) fn new(key: PhaseKey) -> Self {
        Self {
            key,
            status: PhaseStatus::Pending,
            attempt: 0,
            cause: AttemptCause::First,
            repairs: 0,
            persona: None,
            artifact: None,
            revised_by: None,
            picked: None,
            warned: None,
            versions: 0,
            prompt: None,
            previous: None,
            errors: Vec::new(),
            missing: false,
            gates_passed: 0,
            decided: None,
            comment: String::new(),
            commit: None,
            started_at: None,
            ended_at: None,
            working_ms: 0,
            waiting_ms: 0,
            clock: None,
            cost: CallCost::default(),
            tokens: TokenUsage::default(),
        }
    }

    /// Who made its artifact: who works on it, or who did in the fork that it was taken from.
    #[must_use]
    pub fn made_by(&self) -> Option<&VersionedName> {
        self.picked
            .as_ref()
            .map(|picked| &picked.persona)
            .or(self.persona.as_ref())
    }

    /// Time agents worked, the current stretch included.
    #[must_use]
    pub fn working_ms_at(&self, now: Timestamp) -> u64 {
        self.working_ms
            + if self.status == PhaseStatus::AwaitingApproval {
                0
            } else {
                self.stretch(now)
            }
    }

    /// Time it waited for the operator, the current stretch included.
    #[must_use]
    pub fn waiting_ms_at(&self, now: Timestamp) -> u64 {
        self.waiting_ms
            + if self.status == PhaseStatus::AwaitingApproval {
                self.stretch(now)
            } else {
                0
            }
    }

    fn stretch(&self, now: Timestamp) -> u64 {
        self.clock.map_or(0, |since| now.since_ms(since))
    }

    /// Somebody else works on it from here; before its first attempt nobody does yet.
    pub(super) fn reseat(&mut self, persona: &VersionedName) {
        if self.attempt > 0 {
            self.persona = Some(persona.clone());
        }
    }

    /// Closes the current stretch under the old status, then goes to the new one.
    fn enter(&mut self, status: PhaseStatus, at: Timestamp) {
        self.stop_clock(at);
        self.status = status;
        self.clock = self.takes_time().then_some(at);
        if matches!(
            status,
            PhaseStatus::Completed | PhaseStatus::Failed | PhaseStatus::Skipped
        ) {
            self.ended_at = Some(at);
        }
    }

    /// Whether time passes for it, unless the run is paused.
    pub(super) fn takes_time(&self) -> bool {
        matches!(
            self.status,
            PhaseStatus::Running | PhaseStatus::Validating | PhaseStatus::AwaitingApproval
        )
    }

    pub(super) fn start_clock(&mut self, at: Timestamp) {
        self.clock = Some(at);
    }

    pub(super) fn stop_clock(&mut self, at: Timestamp) {
        (self.working_ms, self.waiting_ms) = (self.working_ms_at(at), self.waiting_ms_at(at));
        self.clock = None;
    }

    /// Ends waiting for the operator before the status says so.
    pub(super) fn stop_waiting(&mut self, at: Timestamp) {
        self.waiting_ms = self.waiting_ms_at(at);
        self.clock = Some(at);
    }

    /// A gate asks about it.
    pub(super) fn request_approval(&mut self, at: Timestamp) {
        self.enter(PhaseStatus::AwaitingApproval, at);
        self.decided = None;
    }

    /// A question within the attempt was answered: the attempt goes on.
    pub(super) fn works_on(&mut self, at: Timestamp) {
        self.enter(PhaseStatus::Running, at);
    }

    /// The operator answered; nothing follows from it yet.
    pub(super) fn answered(&mut self, action: Decision, comment: &str) {
        self.decided = Some(action);
        comment.clone_into(&mut self.comment);
        if action == Decision::Approve {
            self.gates_passed += 1;
        }
    }

    /// A model was called for it.
    pub(super) fn called(&mut self, tokens: &TokenUsage, cost: Option<NanoUsd>) {
        self.cost += CallCost::from_call(cost);
        add(&mut self.tokens, tokens);
    }

    /// Takes in a fact that is about this phase alone.
    pub(super) fn apply(&mut self, fact: &RunFact, at: Timestamp) {
        match fact {
            RunFact::PhaseStarted {
                attempt,
                persona,
                cause,
                ..
            } => {
                self.repairs = if *cause == AttemptCause::Repair {
                    self.repairs + 1
                } else {
                    0
                };
                (self.attempt, self.cause, self.persona) =
                    (*attempt, *cause, Some(persona.clone()));
                (self.artifact, self.gates_passed, self.decided, self.missing) =
                    (None, 0, None, false);
                (self.prompt, self.picked, self.warned) = (None, None, None);
                self.started_at.get_or_insert(at);
                self.enter(PhaseStatus::Running, at);
            }
            RunFact::ArtifactValidated { artifact, by, .. } => {
                self.revised_by.clone_from(by);
                self.warned = None;
                self.versions = artifact.version;
                self.previous = Some(artifact.sha256.clone());
                self.artifact = Some(artifact.clone());
                self.errors.clear();
                self.missing = false;
                self.enter(PhaseStatus::Validating, at);
            }
            RunFact::ArtifactWarned { words, .. } => self.warned = Some(words.clone()),
            RunFact::ArtifactInvalid {
                version,
                sha256,
                errors,
                ..
            } => {
                self.versions = *version;
                self.missing = sha256.is_none();
                if sha256.is_some() {
                    self.previous.clone_from(sha256);
                }
                self.errors.clone_from(errors);
                self.enter(PhaseStatus::Validating, at);
            }
            RunFact::ArtifactTimeout { seconds, .. } => {
                self.missing = true;
                self.errors = vec![ArtifactError {
                    pointer: String::new(),
                    message: format!("the attempt was stopped after {seconds} seconds"),
                }];
                self.enter(PhaseStatus::Validating, at);
            }
            RunFact::ArtifactChanged {
                picked, restored, ..
            } => {
                if !restored {
                    self.picked.clone_from(picked);
                }
                (self.gates_passed, self.decided) = (0, None);
                self.enter(PhaseStatus::Validating, at);
            }
            RunFact::PhaseCompleted { commit, .. } => {
                self.commit.clone_from(commit);
                self.decided = None;
                self.enter(PhaseStatus::Completed, at);
            }
            RunFact::PhaseFailed { .. } => self.enter(PhaseStatus::Failed, at),
            // Of a phase that this run completed itself it says no more than that.
            RunFact::PhaseSkipped { .. } if self.status != PhaseStatus::Completed => {
                self.enter(PhaseStatus::Skipped, at)
            }
            _ => {}
        }
    }
}

pub(super) fn add(sum: &mut TokenUsage, tokens: &TokenUsage) {
    sum.input += tokens.input;
    sum.output += tokens.output;
    sum.cached += tokens.cached;
    sum.reasoning += tokens.reasoning;
}
