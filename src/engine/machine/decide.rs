//! Which facts an input makes of a state.
//!
//! Every input first makes the facts that it is about. Then [`Scratch::advance`] adds what follows
//! from the state they lead to, until something has to be waited for. Since that looks at nothing but
//! the state, a run that stopped half-way is carried on by the same rules.

use super::SESSION_RECOVERY_GATE;
use super::advance::Scratch;
use super::plan::Plan;
use super::wanted::passed;
use crate::model::error::{Code, ErrorClass, Failure, Result};
use crate::model::event::{ArtifactError, ArtifactRef, Fact, LongWait, Picked, SkipReason};
use crate::model::going_on::{Refusal, refusal};
use crate::model::hash::ContentHash;
use crate::model::id::{GateKey, PhaseKey, RequestId};
use crate::model::money::NanoUsd;
use crate::model::persona::NewSeat;
use crate::model::question::{BUDGET_GATE, BudgetQuestion, Question, Scope, TOOL_PERMISSION_GATE, ToolQuestion};
use crate::model::run_state::{OpenApproval, RunState};
use crate::model::state::{Decision, PauseReason, PhaseStatus, RunStatus, Via};
use crate::model::time::Timestamp;

/// Something that happened to a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// It may begin.
    Start,
    /// It shall go on.
    Resume {
        /// Who said so.
        by: String,
        /// By which way.
        via: Via,
    },
    /// Its owner has just taken it up; what stopped half-way is carried on.
    Continue,
    /// Nothing of it is running any more, and it shall rest.
    Pause(PauseReason),
    /// Nothing of it is running any more, and it shall end.
    Abort {
        /// Who said so.
        by: String,
        /// By which way.
        via: Via,
        /// In their words.
        reason: String,
    },
    /// The operator answered.
    Decide {
        /// Which question; absent: the one that waits.
        request_id: Option<RequestId>,
        /// The answer.
        action: Decision,
        /// The operator's words.
        comment: String,
        /// Who.
        by: String,
        /// By which way.
        via: Via,
        /// What was reviewed, where the answer insists on it.
        reviewed: Option<ContentHash>,
        /// How far an answer about a tool reaches.
        scope: Option<Scope>,
        /// By how much a budget is raised.
        raise: Option<NanoUsd>,
        /// Who goes on for less; each is frozen with the answer.
        seats: Vec<NewSeat>,
    },
    /// The file is not what was validated and shown.
    ContentChanged {
        /// What lies there; absent: nothing.
        found: Option<ContentHash>,
        /// The new content as a version, where it is valid; otherwise the old one was put back.
        replacement: Option<ArtifactRef>,
    },
    /// The operator wrote a version in place of the one that is asked about; it fits its schema.
    Revised {
        /// The question that it was written for.
        request_id: RequestId,
        /// The new version.
        artifact: ArtifactRef,
        /// Who wrote it.
        by: String,
    },
    /// The operator took the version of a fork in place of the one that is asked about.
    Picked {
        /// The new version.
        artifact: ArtifactRef,
        /// Whose it is.
        picked: Picked,
        /// Who took it.
        by: String,
    },
    /// An attempt is over.
    AttemptEnded {
        /// Of which phase.
        phase_key: PhaseKey,
        /// Which attempt.
        attempt: u32,
        /// How.
        outcome: Outcome,
    },
    /// A phase is in the branch.
    Committed {
        /// Which phase.
        phase_key: PhaseKey,
        /// The commit; absent in a plain folder.
        commit: Option<String>,
    },
    /// A phase could not be brought into the branch.
    CommitFailed {
        /// Which phase.
        phase_key: PhaseKey,
        /// Why.
        failure: Failure,
    },
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The artifact is there and fits.
    Valid(ArtifactRef),
    /// It is there and does not fit.
    Invalid {
        /// Its content.
        sha256: Option<ContentHash>,
        /// Its length.
        bytes: u64,
        /// Why; all that are reported.
        errors: Vec<ArtifactError>,
        /// How many there are.
        errors_total: u32,
    },
    /// The agent ended its turn and the file is not there.
    Missing,
    /// The agent did not end in time, and was stopped.
    TimedOut {
        /// The limit.
        seconds: u64,
    },
    /// No artifact is expected, and the agent ended; with the commit, where no gate stands before it.
    Done {
        /// The commit, where it was made.
        commit: Option<String>,
    },
    /// The agent wants to use a tool that the operator must allow; the attempt goes on with the answer.
    Asks(Box<ToolQuestion>),
    /// The model's server asks for a long wait; the attempt goes on after it.
    Waits(LongWait),
    /// The next call would cross a budget; everything before it is stored.
    OverBudget(BudgetQuestion),
    /// It was asked to stop, and did.
    Stopped,
    /// The agent could not work.
    Failed(Failure),
}

/// How many errors an event carries; the next prompt gets them all, from the content itself.
const ERRORS_IN_EVENT: usize = 5;

/// Says which facts `input` makes, in order. Inputs that came too late make none.
///
/// # Errors
/// Why the operator cannot have this now: `run_already_terminal`, `no_pending_approval`,
/// `approval_already_resolved`, `artifact_changed`, `usage_invalid`, `illegal_transition`. The state
/// is untouched.
pub fn decide(plan: &Plan, state: &RunState, input: Input, at: Timestamp) -> Result<Vec<Fact>> {
    let mut scratch = Scratch { plan, state: state.clone(), at, facts: Vec::new() };
    match input {
        Input::Start => scratch.start()?,
        Input::Resume { by, via } => scratch.resume(&by, via)?,
        Input::Continue => {}
        Input::Pause(reason) => scratch.pause(reason)?,
        Input::Abort { by, via, reason } => scratch.abort(&by, via, &reason)?,
        Input::Decide { request_id, action, comment, by, via, reviewed, scope, raise, seats } => {
            let open = scratch.answerable(request_id, action, &comment, reviewed.as_ref())?;
            if action == Decision::Approve {
                scratch.unlocks(&open, raise, &seats)?;
            }
            scratch.resolve(&open, Said { action, comment: &comment, by: &by, via, scope, raise, seats })?;
        }
        Input::ContentChanged { found, replacement } => scratch.content_changed(found, replacement, None, None)?,
        Input::Revised { request_id, artifact, by } => {
            scratch.answerable(Some(request_id), Decision::Abort, "", None)?;
            scratch.content_changed(Some(artifact.sha256.clone()), Some(artifact), Some(by), None)?;
        }
        Input::Picked { artifact, picked, by } => {
            scratch.content_changed(Some(artifact.sha256.clone()), Some(artifact), Some(by), Some(picked))?;
        }
        Input::AttemptEnded { phase_key, attempt, outcome } => {
            let current = state.current().filter(|phase| phase.key == phase_key && phase.attempt == attempt);
            if current.is_some_and(|phase| phase.status == PhaseStatus::Running) && !state.status.is_terminal() {
                scratch.attempt_ended(phase_key, attempt, outcome)?;
            }
        }
        Input::Committed { phase_key, commit } => {
            if state.current().is_some_and(|phase| phase.key == phase_key && passed(plan, phase)) {
                scratch.complete(phase_key, commit)?;
            }
        }
        Input::CommitFailed { phase_key, failure } => {
            if state.current().is_some_and(|phase| phase.key == phase_key && passed(plan, phase)) {
                scratch.needs_person(&phase_key, &failure)?;
            }
        }
    }
    scratch.advance()?;
    Ok(scratch.facts)
}

impl Scratch<'_> {
    fn start(&mut self) -> Result<()> {
        if self.state.status != RunStatus::Created {
            return Err(self.not_now("started"));
        }
        self.begin_run()
    }

    fn begin_run(&mut self) -> Result<()> {
        self.push(Fact::RunStarted { workflow: self.plan.workflow.versioned_name(), thread: self.plan.thread.clone() })
    }

    fn resume(&mut self, by: &str, via: Via) -> Result<()> {
        match refusal(self.state.status, None) {
            Some(Refusal::AtWork(_)) => return Ok(()),
            Some(_) => return Err(self.not_now("resumed")),
            None if self.state.status == RunStatus::Created => return self.start(),
            // Paused while it waited for its thread: it has yet to begin.
            None if self.state.paused_from == Some(RunStatus::Created) => return self.begin_run(),
            None => {}
        }
        // Going on is the answer to the question whether to go on.
        if let Some(open) = self.state.approval.clone().filter(|open| open.phase_key.is_none()) {
            self.push(resolved(&open, &Said::plain(Decision::Approve, "resumed", by, via)))?;
        }
        self.go_on()
    }

    fn go_on(&mut self) -> Result<()> {
        let failed: Vec<_> = self.state.sessions.iter().filter(|(_, s)| s.failed).map(|(role, s)| (role.clone(), s.clone())).collect();
        for (role, session) in failed {
            self.push(Fact::SessionRecovered { session_id: session.id, role, ordinal: session.ordinal + 1 })?;
        }
        let ordinal = self.state.resumes + 1;
        self.push(Fact::RunResumed { ordinal, from_state: self.state.paused_from.unwrap_or(RunStatus::Executing) })?;
        let done: Vec<_> = self.state.phases.iter().filter(|p| p.status == PhaseStatus::Completed).map(|p| p.key.clone()).collect();
        for phase_key in done {
            self.push(Fact::PhaseSkipped { phase_key, ordinal, reason: SkipReason::AlreadyCompleted })?;
        }
        Ok(())
    }

    fn pause(&mut self, reason: PauseReason) -> Result<()> {
        match self.state.status {
            RunStatus::Paused => Ok(()),
            // What has not begun has nothing to stop; it leaves the line only when a person takes it out.
            RunStatus::Created if !matches!(reason, PauseReason::Operator | PauseReason::Crashed) => Ok(()),
            status if status.is_terminal() => Err(self.not_now("paused")),
            from_state => self.push(Fact::RunPaused { ordinal: self.state.pauses + 1, reason, from_state }),
        }
    }

    fn abort(&mut self, by: &str, via: Via, reason: &str) -> Result<()> {
        if self.state.status.is_terminal() {
            return Err(self.not_now("aborted"));
        }
        if let Some(open) = self.state.approval.clone() {
            self.push(resolved(&open, &Said::plain(Decision::Abort, reason, by, via)))?;
        }
        self.push(Fact::RunAborted { by: by.to_owned(), via, reason: reason.to_owned() })
    }

    /// The question that an answer is about, if it can be given.
    fn answerable(&self, id: Option<RequestId>, action: Decision, comment: &str, reviewed: Option<&ContentHash>) -> Result<OpenApproval> {
        if self.state.status.is_terminal() {
            return Err(self.not_now("decided"));
        }
        let run = self.state.run_id.short();
        let open = match (&self.state.approval, id) {
            (Some(open), Some(id)) if open.request_id == id => open,
            (Some(open), None) => open,
            (_, Some(_)) => {
                return Err(Failure::new(Code::ApprovalAlreadyResolved, format!("this question of run {run} is no longer open"))
                    .hint(format!("`phasedeck show {run}` says what was decided and what waits now")));
            }
            (None, None) => {
                return Err(Failure::new(Code::NoPendingApproval, format!("run {run} asks nothing; it is {}", self.state.status))
                    .hint(format!("`phasedeck show {run}` says what it does")));
            }
        };
        if matches!(action, Decision::RequestChanges | Decision::Reject) && comment.trim().is_empty() {
            return Err(Failure::new(Code::UsageInvalid, format!("{action} needs words: what should be different?"))
                .hint("say it with -m TEXT, or in the console's text area"));
        }
        if (open.phase_key.is_none() || open.question.is_some()) && action == Decision::RequestChanges {
            return Err(Failure::new(Code::UsageInvalid, format!("gate {} takes approve, reject or abort", open.gate))
                .hint("approve goes on from the last stored turn"));
        }
        if let (Some(reviewed), Some(asked)) = (reviewed, &open.artifact_sha256)
            && !asked.as_str().starts_with(reviewed.as_str())
        {
            return Err(Failure::new(
                Code::ArtifactChanged,
                format!("you reviewed {}, but gate {} of run {run} asks about {}", reviewed.short(), open.gate, asked.short()),
            )
            .hint("look at the artifact again, then decide"));
        }
        Ok(open.clone())
    }

    /// Whether what was said about a budget can let its next call through.
    fn unlocks(&self, open: &OpenApproval, raise: Option<NanoUsd>, seats: &[NewSeat]) -> Result<()> {
        let Some(Question::Budget(budget)) = open.question.as_deref() else { return Ok(()) };
        if raise.is_some_and(|raise| raise.0 > 0) {
            return Ok(());
        }
        let (run, gate) = (self.state.run_id.short(), &open.gate);
        let says = |message: String| Failure::new(Code::UsageInvalid, message);
        let hint = format!("`phasedeck approve {run} --raise 2.50` raises it by 2.50 dollars for this run; reject stops here");
        if seats.is_empty() {
            return Err(says(format!("gate {gate} needs an amount or a cheaper persona: how shall the run go on?")).hint(hint));
        }
        if budget.spent >= budget.limit {
            let message = format!("{} of {} is spent: a cheaper persona alone cannot go on", budget.spent, budget.limit);
            return Err(says(message).hint(hint));
        }
        let current = self.state.current().map(|phase| &phase.key);
        if let Some(current) = current.filter(|key| seats.iter().all(|seat| seat.phase_key != **key)) {
            let message = format!("the next call is of phase {current}, and nobody cheaper was named for it");
            return Err(says(message).hint(format!("name one with --persona {current}=NAME, or an amount with --raise")));
        }
        Ok(())
    }

    fn resolve(&mut self, open: &OpenApproval, said: Said<'_>) -> Result<()> {
        self.push(resolved(open, &said))?;
        if !said.seats.is_empty() {
            self.push(Fact::PersonasChanged { request_id: open.request_id, seats: said.seats.clone() })?;
        }
        let phase_key = open.phase_key.clone();
        let Said { action, comment, by, via, .. } = said;
        if matches!(open.question.as_deref(), Some(Question::Tool(_))) && action != Decision::Abort {
            // No to a tool is no to the phase: the agent is told, and goes on without it.
            return Ok(());
        }
        match (action, phase_key) {
            (Decision::Abort, _) => self.push(Fact::RunAborted { by: by.to_owned(), via, reason: comment.to_owned() }),
            (Decision::Approve, None) => self.go_on(),
            (Decision::Reject, None) => self.fail_run(Code::ApprovalRejected, format!("{by} gave up the run: {comment}"), "start it anew"),
            (Decision::Reject, Some(key)) => self.reject(key, by, comment),
            (Decision::Approve | Decision::RequestChanges, _) => Ok(()),
        }
    }

    /// Other bytes lie there; `by` brought them, and wrote them where they are `picked` from nowhere.
    fn content_changed(
        &mut self,
        found: Option<ContentHash>,
        replacement: Option<ArtifactRef>,
        by: Option<String>,
        picked: Option<Picked>,
    ) -> Result<()> {
        let Some(open) = self.state.approval.clone() else { return Ok(()) };
        let (Some(phase_key), Some(expected)) = (open.phase_key, open.artifact_sha256) else { return Ok(()) };
        let attempt = self.state.phase(&phase_key).map_or(0, |phase| phase.attempt);
        let restored = replacement.is_none();
        let request_id = open.request_id;
        self.push(Fact::ArtifactChanged {
            phase_key: phase_key.clone(),
            request_id,
            expected,
            found,
            restored,
            by: by.clone(),
            picked: picked.clone(),
        })?;
        match replacement {
            Some(artifact) => {
                let by = by.filter(|_| picked.is_none());
                self.push(Fact::ArtifactValidated { phase_key, attempt, artifact, by })
            }
            None => Ok(()),
        }
    }

    fn attempt_ended(&mut self, phase_key: PhaseKey, attempt: u32, outcome: Outcome) -> Result<()> {
        let path = || self.plan.phase(&phase_key).and_then(|p| p.expected_artifact.as_ref()).map(|a| a.path.clone()).unwrap_or_default();
        let versions = self.state.phase(&phase_key).map_or(0, |phase| phase.versions);
        match outcome {
            Outcome::Valid(artifact) => self.push(Fact::ArtifactValidated { phase_key, attempt, artifact, by: None }),
            Outcome::Invalid { sha256, bytes, mut errors, errors_total } => {
                errors.truncate(ERRORS_IN_EVENT);
                let version = versions + u32::from(sha256.is_some());
                self.push(Fact::ArtifactInvalid { path: path(), phase_key, attempt, version, sha256, bytes, errors, errors_total })
            }
            Outcome::Missing => {
                let message = format!("the agent ended its turn without writing {}", path());
                let errors = vec![ArtifactError { pointer: String::new(), message }];
                self.push(Fact::ArtifactInvalid {
                    path: path(),
                    phase_key,
                    attempt,
                    version: versions,
                    sha256: None,
                    bytes: 0,
                    errors,
                    errors_total: 1,
                })
            }
            Outcome::TimedOut { seconds } => self.push(Fact::ArtifactTimeout { phase_key, attempt, seconds }),
            Outcome::Done { commit } => match self.plan.gates(&phase_key).first().cloned() {
                Some(gate) => self.ask(&phase_key, gate),
                None => self.complete(phase_key, commit),
            },
            Outcome::Asks(question) => self.ask_about(Some(phase_key), TOOL_PERMISSION_GATE, Question::Tool(*question)),
            Outcome::Waits(wait) => {
                let LongWait { turn_id, tries, status, code, wait_ms, until } = wait;
                self.push(Fact::LlmRetried { phase_key, turn_id, r#try: tries, status, code, wait_ms, until: Some(until) })
            }
            Outcome::OverBudget(question) => {
                self.pause(PauseReason::Budget)?;
                self.ask_about(None, BUDGET_GATE, Question::Budget(question))
            }
            Outcome::Stopped => Ok(()),
            Outcome::Failed(failure) if failure.class() == ErrorClass::Fatal => {
                self.push(Fact::PhaseFailed { phase_key, reason: failure.code, message: failure.message.clone() })?;
                self.fail_run(failure.code, failure.message, &failure.hint)
            }
            Outcome::Failed(failure) => self.needs_person(&phase_key, &failure),
        }
    }

    /// Stops the run where a person can mend and go on.
    fn needs_person(&mut self, phase_key: &PhaseKey, failure: &Failure) -> Result<()> {
        let Some(role) = self.plan.phase(phase_key).map(|phase| phase.role.clone()) else { return Ok(()) };
        let ordinal = self.state.sessions.get(&role).map_or(0, |session| session.ordinal) + 1;
        let message = format!("{} ({})", failure.message, failure.hint);
        self.push(Fact::SessionFailed { session_id: self.session(&role), role, ordinal, code: failure.code, message })?;
        self.pause(PauseReason::SessionRecovery)?;
        let request_id = self.next_request();
        let gate = GateKey::from(SESSION_RECOVERY_GATE);
        self.push(Fact::ApprovalRequested {
            request_id,
            phase_key: None,
            gate,
            artifact_sha256: None,
            artifact_version: None,
            question: None,
        })
    }

    /// Asks the operator about something that is no artifact.
    fn ask_about(&mut self, phase_key: Option<PhaseKey>, gate: &str, question: Question) -> Result<()> {
        let (request_id, question) = (self.next_request(), Some(Box::new(question)));
        let gate = GateKey::from(gate);
        self.push(Fact::ApprovalRequested { request_id, phase_key, gate, artifact_sha256: None, artifact_version: None, question })
    }

    fn complete(&mut self, phase_key: PhaseKey, commit: Option<String>) -> Result<()> {
        let Some(phase) = self.state.phase(&phase_key) else { return Ok(()) };
        let (attempts, duration_ms) = (phase.attempt, phase.working_ms_at(self.at));
        self.push(Fact::PhaseCompleted { phase_key, attempts, duration_ms, commit })
    }

    fn not_now(&self, what: &str) -> Failure {
        if self.state.status.is_terminal() {
            ended(&self.state)
        } else {
            let run = self.state.run_id.short();
            Failure::new(Code::IllegalTransition, format!("run {run} cannot be {what} while it is {}", self.state.status))
                .hint(format!("`phasedeck show {run}` says what it does"))
        }
    }
}

/// Why an ended run takes no order.
#[must_use]
pub fn ended(state: &RunState) -> Failure {
    Failure::new(Code::RunAlreadyTerminal, format!("run {} has ended: it is {}", state.run_id.short(), state.status))
        .hint("an ended run stays as it is; start a new one")
}

/// An answer, as it was given.
struct Said<'a> {
    action: Decision,
    comment: &'a str,
    by: &'a str,
    via: Via,
    scope: Option<Scope>,
    raise: Option<NanoUsd>,
    seats: Vec<NewSeat>,
}

impl<'a> Said<'a> {
    fn plain(action: Decision, comment: &'a str, by: &'a str, via: Via) -> Self {
        Self { action, comment, by, via, scope: None, raise: None, seats: Vec::new() }
    }
}

fn resolved(open: &OpenApproval, said: &Said<'_>) -> Fact {
    let about = open.question.as_deref();
    Fact::ApprovalResolved {
        request_id: open.request_id,
        phase_key: open.phase_key.clone(),
        gate: open.gate.clone(),
        action: said.action,
        comment: said.comment.to_owned(),
        by: said.by.to_owned(),
        via: said.via,
        artifact_sha256: open.artifact_sha256.clone(),
        scope: about.and_then(Question::tool).map(|_| said.scope.unwrap_or_default()),
        raise: about.and_then(Question::budget).and(said.raise),
    }
}
