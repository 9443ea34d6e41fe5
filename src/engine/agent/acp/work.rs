//! The work of one attempt with an agent program: begin it, prompt it, and bring it back when it breaks.
//!
//! A turn is one prompt. The order is what makes it survive a crash: the turn is reserved and the
//! session has its row before a program is begun; a prompt has its row before it is sent; what the
//! program says is stored while it says it, and the answer with its cost when it ends.
//!
//! A program that breaks (ends, is silent, speaks no protocol) is begun again, three times with growing
//! pauses; its session is loaded where it can do that, and told in words where it cannot. What is said
//! on the pipes is in `line.rs`.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::ConfiguredAgent;
use super::counters::UsageCounters;
use super::prompting::PromptOutcome;
use super::serve::RequestTable;
use crate::engine::agent::acp::connection::AcpConnection;
use crate::engine::agent::acp::prompts;
use crate::engine::agent::acp::session_store;
use crate::engine::agent::acp::turn_plan::{PlannedTurn, StoredTurns, TurnPlan};
use crate::engine::agent::acp::update_sink::UpdateSink;
use crate::engine::agent::acp::updates::UpdateParser;
use crate::engine::agent::program::RunningProgram;
use crate::engine::agent::tools::Toolbox;
use crate::engine::agent::{
    AgentEnd, AgentJob, AgentStop, AnsweredCall, AttemptRecorder, CallReserve, FailedCall,
    FinishedCall,
};
use crate::engine::api::TextKind;
use crate::model::error::{Code, Failure, Result};
use crate::model::event::{CallStatus, ToolOutcome};
use crate::model::id::TurnId;
use crate::model::question::ToolQuestion;
use crate::model::record::TurnStatus;
use crate::model::state::SessionStatus;
use crate::model::time::{human_duration, whole_ms};
use crate::store::tables::sessions::AgentSession;

/// How often a program that broke is begun again.
const TRIES: u32 = 3;
/// The most text that is stored as one answer; the transcript has all of it.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// Why work with one program ended without an end of the work.
#[derive(Debug)]
pub enum SessionError {
    /// Nothing is to be tried again.
    Final(Failure),
    /// The program broke: why, and in words.
    Program(Code, String),
    /// The work was told to stop.
    Stopped,
    /// The operator must be asked, and the program has not said that it waits.
    Asks(Box<ToolQuestion>),
}

impl From<Failure> for SessionError {
    fn from(failure: Failure) -> Self {
        Self::Final(failure)
    }
}

/// One attempt being worked on.
pub struct AcpWorker<'a> {
    /// Which program, and how it is begun.
    pub agent: &'a ConfiguredAgent,
    /// The attempt.
    pub job: &'a AgentJob,
    /// What must survive.
    pub desk: &'a AttemptRecorder,
    /// How it is asked to stop.
    pub stop: &'a AgentStop,
    /// The worktree's files.
    pub tools: Toolbox,
    /// Calls that the operator's word for once was used for.
    pub allowed: Mutex<BTreeMap<String, u32>>,
}

/// What one attempt knows of itself while it works.
struct AcpWorkerState {
    session: AgentSession,
    talk: TurnPlan,
    turn: Option<OpenTurn>,
    /// Whether the session had broken off and its next opening is a recovery.
    recovering: bool,
    tries: u32,
}

/// A turn that is reserved.
struct OpenTurn {
    id: TurnId,
    number: u32,
    begun: Instant,
    sent: bool,
}

impl AcpWorker<'_> {
    /// Works until the program is done, a limit is reached, it cannot be brought back, or `stop` says so.
    ///
    /// # Errors
    /// `session_recovery_required` when it breaks again and again; limits; what the desk says.
    pub async fn run(self) -> Result<AgentEnd> {
        self.settle_what_a_crash_left().await?;
        let talk = TurnPlan::of(&self.job.history)?;
        if talk.resumed(self.artifact_there()) == PlannedTurn::Done {
            return Ok(AgentEnd::Done);
        }
        let session = session_store::session(self.desk, &self.agent.name).await?;
        let recovering = session.state == SessionStatus::Busy;
        let mut state = AcpWorkerState {
            session,
            talk,
            turn: None,
            recovering,
            tries: 0,
        };
        loop {
            self.reserve(&mut state).await?;
            match self.with_program(&mut state).await {
                Ok(ended) => return Ok(ended),
                Err(SessionError::Stopped) => {
                    self.close_open(&mut state, Code::LlmUnreachable).await?;
                    return Ok(AgentEnd::Stopped);
                }
                Err(SessionError::Asks(question)) => {
                    self.close_open(&mut state, Code::LlmUnreachable).await?;
                    return Ok(AgentEnd::Asks(question));
                }
                Err(SessionError::Final(failure)) => {
                    self.close_open(&mut state, failure.code).await?;
                    return Err(failure);
                }
                Err(SessionError::Program(code, words)) => {
                    let turn = self.close_open(&mut state, code).await?;
                    if !self.pause(&mut state, turn, code, words).await? {
                        return Ok(AgentEnd::Stopped);
                    }
                }
            }
        }
    }

    /// The tools of an answer that was stored right before a crash have run; what they said is lost.
    async fn settle_what_a_crash_left(&self) -> Result<()> {
        for turn in self
            .job
            .history
            .iter()
            .filter(|turn| turn.status == TurnStatus::Answered)
        {
            let open = turn.tools.iter().filter(|tool| tool.result.is_none());
            let lost = open.map(|tool| FinishedCall {
                call_id: tool.call_id.clone(),
                tool: tool.tool.clone(),
                target: String::new(),
                outcome: ToolOutcome::Unknown,
                denied: None,
                result: "not recorded: the host ended".to_owned(),
                duration_ms: 0,
            });
            self.desk.tools_done(turn.id, lost.collect(), None).await?;
        }
        Ok(())
    }

    async fn reserve(&self, state: &mut AcpWorkerState) -> Result<()> {
        let number = state.talk.number + 1;
        // What a prompt will cost is the program's secret.
        let reserve = CallReserve {
            conversation: String::new(),
            number,
            model: self.agent.model(&self.job.persona),
            reserved: None,
        };
        let id = self.desk.reserve(reserve).await?;
        state.turn = Some(OpenTurn {
            id,
            number,
            begun: Instant::now(),
            sent: false,
        });
        Ok(())
    }

    /// Closes the turn that broke off. What was sent may have been paid for.
    async fn close_open(&self, state: &mut AcpWorkerState, code: Code) -> Result<Option<TurnId>> {
        let Some(open) = state.turn.take() else {
            return Ok(None);
        };
        let status = if open.sent {
            CallStatus::Unknown
        } else {
            CallStatus::Failed
        };
        self.desk
            .failed(
                open.id,
                FailedCall {
                    status,
                    code,
                    latency_ms: whole_ms(open.begun.elapsed()),
                },
                None,
            )
            .await?;
        Ok(Some(open.id))
    }

    /// Waits before the program is begun again; says no when the work is stopped meanwhile.
    async fn pause(
        &self,
        state: &mut AcpWorkerState,
        turn: Option<TurnId>,
        code: Code,
        words: String,
    ) -> Result<bool> {
        state.tries += 1;
        state.recovering = true;
        if state.tries > TRIES {
            session_store::given_up(self.desk, &mut state.session).await?;
            let code = if code == Code::PaneBrieflyUnresponsive {
                code
            } else {
                Code::SessionRecoveryRequired
            };
            return Err(Failure::new(code, format!("agent program '{}': {words}; {TRIES} tries to bring it back failed", self.agent.name))
                .hint("approve to begin a fresh session from the last stored turn, or reject to end the run"));
        }
        let wait = Duration::from_millis(self.agent.settings.retry_pause_ms)
            .saturating_mul(1 << (state.tries - 1));
        let wait_ms = whole_ms(wait);
        if let Some(turn) = turn {
            self.desk
                .retried(turn, state.tries, None, code, wait_ms)
                .await?;
        }
        self.note(&format!(
            "{words}; next try in {} ({}/{TRIES})",
            human_duration(wait_ms),
            state.tries
        ));
        tokio::select! {
            biased;
            () = self.stop.asked() => Ok(false),
            () = sleep(wait) => Ok(true),
        }
    }

    /// Begins the program, works with it, and ends it with everything it began.
    async fn with_program(&self, state: &mut AcpWorkerState) -> Result<AgentEnd, SessionError> {
        let begun = RunningProgram::begin(&self.agent.launch, &self.job.worktree).await;
        let broken = |error: std::io::Error| {
            SessionError::Program(
                Code::SessionRecoveryRequired,
                format!("it cannot be begun: {error}"),
            )
        };
        let (mut program, to, from) = begun.map_err(broken)?;
        let mut line = AcpConnection::over(from, to, self.agent, self.stop);
        let worked = self.converse(&mut line, state).await;
        if matches!(worked, Err(SessionError::Program(..))) {
            program.settle().await;
        }
        drop(line);
        let last = program.end().await;
        match worked {
            Err(SessionError::Program(code, words)) if !last.is_empty() => {
                Err(SessionError::Program(code, format!("{words} ({last})")))
            }
            worked => worked,
        }
    }

    async fn converse(
        &self,
        line: &mut AcpConnection<'_>,
        state: &mut AcpWorkerState,
    ) -> Result<AgentEnd, SessionError> {
        let known = state.session.program_session.clone();
        let there = line
            .open(
                &self.job.worktree,
                known.as_deref(),
                prompts::mark(self.job),
            )
            .await?;
        if let Some(model) = &self.job.persona.model {
            line.choose_model(&there, model).await?;
        }
        session_store::opened(
            self.desk,
            &mut state.session,
            &there.session,
            state.recovering,
        )
        .await?;
        state.recovering = false;
        if known.is_some() && !there.loaded {
            self.note("the session could not be loaded; a fresh one is told what was said before");
        }
        loop {
            let text = self.next_prompt(state, there.knows_task).await?;
            let (answer, heard) = match self.prompt(line, state, &there.session, &text).await? {
                PromptOutcome::Answered(answer, heard) => (answer, heard),
                PromptOutcome::Cancelled(heard) => {
                    self.store(state, "cancelled", heard, true).await?;
                    return Ok(AgentEnd::Stopped);
                }
                PromptOutcome::Asks(heard, question) => {
                    self.store(state, "cancelled", heard, true).await?;
                    return Ok(AgentEnd::Asks(question));
                }
                PromptOutcome::TooDear(heard, said) => {
                    self.note("the budget is used up; the prompt was called off");
                    self.store(state, "cancelled", heard, said).await?;
                    // Refused now that its cost is stored; the refusal asks the operator.
                    self.reserve(state).await?;
                    if !said {
                        return Err(SessionError::Program(
                            Code::SessionRecoveryRequired,
                            "it did not stop when it was told to".to_owned(),
                        ));
                    }
                    continue;
                }
            };
            state.tries = 0;
            self.store(state, &answer, heard, true).await?;
            match state.talk.next(self.job, self.artifact_there()) {
                PlannedTurn::Done => return Ok(AgentEnd::Done),
                PlannedTurn::Fail(failure) => return Err(SessionError::Final(failure)),
                PlannedTurn::Ask if self.stopping() => return Ok(AgentEnd::Stopped),
                PlannedTurn::Ask => self.reserve(state).await?,
            }
        }
    }

    /// What is said next. The task itself is said once to a session: it may know it from before.
    async fn next_prompt(
        &self,
        state: &AcpWorkerState,
        knows_task: Option<bool>,
    ) -> Result<String> {
        let noted = session_store::has_prompt(self.desk, &state.session, &self.task_key()).await?;
        if noted && knows_task != Some(false) {
            return Ok(match (&self.job.artifact, state.talk.says_done()) {
                (Some(artifact), true) => {
                    self.note("it stopped without the expected file; reminded once");
                    prompts::nudge(&artifact.path)
                }
                _ => format!("{}{}", prompts::go_on(), prompts::operator_said(self.job)),
            });
        }
        Ok(format!(
            "{}{}",
            prompts::envelope_with(self.job, &session_store::transcript(self.desk).await?),
            prompts::operator_said(self.job)
        ))
    }

    fn task_key(&self) -> String {
        format!("{}:{}", self.job.phase_key, self.job.attempt)
    }

    async fn prompt(
        &self,
        line: &mut AcpConnection<'_>,
        state: &mut AcpWorkerState,
        there: &str,
        text: &str,
    ) -> Result<PromptOutcome, SessionError> {
        let Some(open) = state.turn.as_mut() else {
            return Err(SessionError::Final(Failure::internal(
                "a prompt without a turn",
            )));
        };
        // Every prompt after the task has a key of its own; the task's key says that it was said.
        let task = session_store::has_prompt(self.desk, &state.session, &self.task_key()).await?;
        let key = if task {
            format!("{}:{}", self.task_key(), open.id)
        } else {
            self.task_key()
        };
        session_store::prompted(self.desk, &mut state.session, &key, open.id).await?;
        open.sent = true;
        let table = RequestTable {
            persona: &self.job.persona,
            phase: &self.job.phase_key,
            permits: &self.job.permits,
            allowed: &self.allowed,
        };
        let known = UsageCounters {
            cost: state.session.cost,
            tokens: state.session.tokens,
        };
        line.prompt(
            there,
            text,
            UpdateSink::of(self.desk, open.id, known),
            &self.tools,
            &table,
        )
        .await
    }

    /// Stores what a prompt came to: the answer, its cost, and what its tools said. The cost of one that the
    /// program has not ended is what it had told by then.
    async fn store(
        &self,
        state: &mut AcpWorkerState,
        stop: &str,
        mut heard: UpdateParser,
        ended: bool,
    ) -> Result<()> {
        let Some(open) = state.turn.take() else {
            return Err(Failure::internal("an answer without a turn"));
        };
        let known = UsageCounters {
            cost: state.session.cost,
            tokens: state.session.tokens,
        };
        let (cost, tokens, counters) = heard.told.since(known);
        let text = std::mem::take(&mut heard.answer);
        let text =
            text[text.ceil_char_boundary(text.len().saturating_sub(MAX_ANSWER_BYTES))..].to_owned();
        let answer = serde_json::to_string(&StoredTurns {
            text,
            stop: stop.to_owned(),
        })
        .map_err(Failure::internal)?;
        let calls = heard.into_calls();
        let tools = calls
            .iter()
            .map(|call| {
                (
                    call.done.call_id.clone(),
                    call.done.tool.clone(),
                    call.arguments.clone(),
                )
            })
            .collect();
        let answered = AnsweredCall {
            answer,
            tools,
            tokens,
            cost,
            estimated: !ended,
            latency_ms: whole_ms(open.begun.elapsed()),
            provider_request_id: None,
            repaired: None,
        };
        self.desk.answered(open.id, answered).await?;
        self.desk
            .tools_done(
                open.id,
                calls.into_iter().map(|call| call.done).collect(),
                None,
            )
            .await?;
        session_store::answered(self.desk, &mut state.session, counters).await?;
        state.talk.take(open.number, stop);
        Ok(())
    }

    fn artifact_there(&self) -> bool {
        self.job
            .artifact
            .as_ref()
            .is_none_or(|artifact| self.tools.has_file(&artifact.path))
    }

    fn stopping(&self) -> bool {
        self.stop.soon.is_cancelled() || self.stop.now.is_cancelled()
    }

    fn note(&self, words: &str) {
        self.desk.text(TextKind::Note, &words.replace('\n', " "));
    }
}
