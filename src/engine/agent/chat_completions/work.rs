//! The loop: request, stream, tools, store, next; until the model is done or a limit is reached.
//!
//! The order is what makes it survive a crash. A call is reserved before it is sent; its answer is stored
//! before any tool runs (one without tools with what follows from it); what the tools said is stored,
//! together with the next reserve, before the next request. Everything between can be done again from the
//! stored turns. Sending one request, and sending it again, is in `work/calling.rs`.
//!
//! Stopping: `soon` is looked at where nothing is open, `now` wherever something is awaited. A tool
//! that has begun is always awaited to its end.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use super::assemble::{AssembledCall, FinishReason, ModelAnswer};
use super::chat;
use super::conversation::{
    CompletedTurn, ConversationStep, INTERRUPTED, NOT_BEGUN, TurnCount, counts, messages, next,
};
use super::delegate::{DelegateMessage, DelegationOutcome};
use super::fault::ModelFault;
use super::prices::PriceTable;
use super::structured;
use super::summary::{self, SummaryRequest};
use super::wire::ChatTransport;
use crate::engine::agent::chat_completions::turn_recorder::TurnRecorder;
use crate::engine::agent::tools::{KEPT, Toolbox};
use crate::engine::agent::{AgentEnd, AgentJob, AgentStop, CallReserve, FinishedCall};
use crate::engine::api::TextKind;
use crate::model::error::{Code, Failure, Result};
use crate::model::event::ToolOutcome;
use crate::model::id::TurnId;
use crate::model::money::NanoUsd;
use crate::model::persona::SamplingParams;
use crate::model::record::{TurnRecord, TurnStatus};
use crate::store::failpoint::FailpointFamily;
use crate::store::failpoint::planted::{self, Bug};

mod calling;

use calling::RequestOutcome;

/// How calls are tried again.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetryPolicy {
    /// Tries per turn, the first included.
    pub max_tries: u32,
    /// The first pause; later ones double.
    pub base: Duration,
    /// The longest pause that is slept in a call; a longer one ends the work until it is over.
    pub longest: Duration,
}

/// One attempt being worked on.
pub(super) struct ChatWorker<'a, B> {
    pub wire: &'a ChatTransport,
    pub prices: &'a PriceTable,
    pub pace: RetryPolicy,
    pub model: String,
    /// Tokens of question and answer together that the model takes.
    pub window: u64,
    /// Whether the answer is the artifact, in place of tools.
    pub structured: bool,
    /// Set when the server takes no schema.
    pub schema_refused: AtomicBool,
    pub job: &'a AgentJob,
    pub book: &'a B,
    pub stop: &'a AgentStop,
    pub tools: Toolbox,
    /// How often the next request was tried before this work began.
    pub tries: &'a AtomicU32,
    /// Whose turns these are: empty for the agent of the phase, else the call that began a sub-agent.
    pub conversation: String,
}

/// Where the conversation stands.
#[derive(Default)]
pub(super) struct ConversationState {
    pub(super) turns: Vec<CompletedTurn>,
    asked: TurnCount,
    /// What stands in place of the oldest turns.
    summary: Option<SummaryRequest>,
    /// What the provider has shown that it does not take.
    refused: Option<RefusedRequest>,
}

/// A request that the provider refused as longer than the model takes.
#[derive(Clone, Copy)]
struct RefusedRequest {
    /// About how many tokens it had.
    tokens: u64,
    /// The turn that it was for.
    number: u32,
}

/// A request that is reserved, and may be sent.
struct OpenCall {
    turn: TurnId,
    reserve: CallReserve,
    /// As it is sent.
    body: String,
    /// Whether a summary is asked for.
    sums_up: bool,
}

/// What a stored turn led to.
enum NextStep {
    Ask(Box<OpenCall>),
    End(AgentEnd),
}

impl<B: TurnRecorder> ChatWorker<'_, B> {
    /// Works until the model is done, a limit is reached or `stop` says so.
    ///
    /// # Errors
    /// Faults of the wire after their last try, limits, circles, and what the book says.
    pub(super) async fn run(self) -> Result<AgentEnd> {
        self.talk(&mut ConversationState::default()).await
    }

    /// As [`run`](Self::run), leaving what was said in `talk`.
    pub(super) async fn talk(&self, talk: &mut ConversationState) -> Result<AgentEnd> {
        let mut then = self.resume(talk).await?;
        loop {
            let open = match then {
                NextStep::End(ended) => return Ok(ended),
                NextStep::Ask(open) => *open,
            };
            let (number, sums_up, tokens) = (
                open.reserve.number,
                open.sums_up,
                summary::tokens_of(open.body.len()),
            );
            let (turn, answer) = match self.ask(open).await? {
                RequestOutcome::Answer(turn, answer) => (turn, answer),
                RequestOutcome::Waits(wait) => return Ok(AgentEnd::Waits(wait)),
                RequestOutcome::Stopped => return Ok(AgentEnd::Stopped),
                RequestOutcome::TooLong(fault) => {
                    then = self.shorten(talk, tokens, fault).await?;
                    continue;
                }
            };
            if sums_up {
                talk.summary = Some(SummaryRequest::of(number, &answer));
                let window = talk
                    .refused
                    .map_or_else(|| format!(" of {} tokens", self.window), |_| String::new());
                self.book.adapted(&format!("turns up to {number} were summarised, to stay within the model's window{window}"));
                then = self.go_on(talk).await?;
                continue;
            }
            talk.asked.last = number;
            then = self
                .close(talk, turn, (number, self.job.stretch), answer, None)
                .await?;
        }
    }

    /// After a request that was longer than the model takes: a summary of the oldest turns, for half of that
    /// room, once for each turn.
    ///
    /// # Errors
    /// `llm_context_exceeded` when that was done already, or there is nothing to summarise.
    async fn shorten(
        &self,
        talk: &mut ConversationState,
        tokens: u64,
        fault: ModelFault,
    ) -> Result<NextStep> {
        let number = talk.asked.last + 1;
        let again = talk
            .refused
            .replace(RefusedRequest { tokens, number })
            .is_some_and(|before| before.number == number);
        let (reserve, body, sums_up) = self.prepare(talk)?;
        if again || !sums_up {
            return Err(fault.into_failure(1));
        }
        self.book
            .adapted(&format!("about {tokens} tokens are more than the model takes; its oldest turns are summarised ({})", fault.words));
        let turn = self.book.reserve(reserve.clone()).await?;
        Ok(NextStep::Ask(Box::new(OpenCall {
            turn,
            reserve,
            body,
            sums_up,
        })))
    }

    /// Takes up the stored turns, and ends the last one where a crash left it open.
    async fn resume(&self, talk: &mut ConversationState) -> Result<NextStep> {
        let mut stored: Vec<&TurnRecord> = self
            .job
            .history
            .iter()
            .filter(|turn| matches!(turn.status, TurnStatus::Answered | TurnStatus::Settled))
            .collect();
        talk.summary = SummaryRequest::stored(&self.job.history, &self.conversation);
        stored.retain(|turn| turn.conversation == self.conversation);
        stored.sort_by_key(|turn| turn.number);
        talk.asked.before = stored
            .iter()
            .filter(|turn| turn.stretch != self.job.stretch)
            .map(|turn| turn.number)
            .max()
            .unwrap_or(0);
        let last = stored.pop();
        for turn in stored {
            take_up(talk, turn)?;
        }
        match last {
            Some(turn) if turn.status == TurnStatus::Answered => {
                talk.asked.last = turn.number;
                self.close(
                    talk,
                    turn.id,
                    (turn.number, turn.stretch),
                    answer_of(turn)?,
                    Some(turn),
                )
                .await
            }
            Some(turn) => {
                take_up(talk, turn)?;
                self.go_on(talk).await
            }
            None => self.go_on(talk).await,
        }
    }

    /// From a checkpoint without a reserved call.
    async fn go_on(&self, talk: &ConversationState) -> Result<NextStep> {
        match next(
            &talk.turns,
            talk.asked,
            self.job,
            self.artifact_there(talk)?,
        ) {
            ConversationStep::Fail(failure) => Err(failure),
            ConversationStep::Done => Ok(NextStep::End(AgentEnd::Done)),
            ConversationStep::Ask if self.stopping() => Ok(NextStep::End(AgentEnd::Stopped)),
            ConversationStep::Ask => {
                let (reserve, body, sums_up) = self.prepare(talk)?;
                let turn = self.book.reserve(reserve.clone()).await?;
                Ok(NextStep::Ask(Box::new(OpenCall {
                    turn,
                    reserve,
                    body,
                    sums_up,
                })))
            }
        }
    }

    /// Runs the tools of a stored answer and stores what they said, with the next reserve. Of a turn
    /// that a crash left open, `stored` tells what is known of its tools already.
    async fn close(
        &self,
        talk: &mut ConversationState,
        turn: TurnId,
        (number, stretch): (u32, u32),
        answer: ModelAnswer,
        stored: Option<&TurnRecord>,
    ) -> Result<NextStep> {
        if !counts(&answer) {
            self.book.tools_done(turn, Vec::new(), None).await?;
            return Err(held_back());
        }
        let (mut done, mut results) = (Vec::new(), Vec::new());
        let mut held = stored.is_some_and(|turn| turn.held_at.is_some());
        let unsure = stored.is_some() && !held;
        for call in answer.runnable() {
            if let Some(result) = stored.and_then(|turn| result_of(turn, call)) {
                results.push(result.to_owned());
                continue;
            }
            let unsure = unsure && !stored.is_some_and(|turn| to_redo(turn, call));
            let one = if unsure && !self.can_be_taken_up(call) {
                self.unrun(call, ToolOutcome::Unknown, INTERRUPTED)
            } else {
                match self.may_run(turn, call) {
                    DelegateMessage::Missing(question) => {
                        self.book
                            .suspend_turn(turn, done, Some(call.id.clone()))
                            .await?;
                        return Ok(NextStep::End(AgentEnd::Asks(question)));
                    }
                    DelegateMessage::No(permit) => self.denied(call, &permit),
                    DelegateMessage::Yes(allowed)
                        if call.name == "task" && self.tools.has(&call.name) =>
                    {
                        // What ran before it is stored, so that a crash in the middle of it costs nothing else.
                        self.book
                            .suspend_turn(turn, std::mem::take(&mut done), Some(call.id.clone()))
                            .await?;
                        held = true;
                        match self.delegate(call, allowed).await? {
                            DelegationOutcome::Done(one) => *one,
                            DelegationOutcome::Ended(ended) => return Ok(NextStep::End(ended)),
                        }
                    }
                    DelegateMessage::Yes(allowed) => {
                        if std::mem::take(&mut held) {
                            self.book.suspend_turn(turn, Vec::new(), None).await?;
                        }
                        self.run_tool(call, allowed).await
                    }
                }
            };
            results.push(one.result.clone());
            done.push(one);
        }
        talk.turns.push(CompletedTurn {
            number,
            stretch,
            answer,
            results,
        });
        self.checkpoint(talk, turn, done).await
    }

    async fn checkpoint(
        &self,
        talk: &ConversationState,
        turn: TurnId,
        done: Vec<FinishedCall>,
    ) -> Result<NextStep> {
        let next = next(
            &talk.turns,
            talk.asked,
            self.job,
            self.artifact_there(talk)?,
        );
        if next != ConversationStep::Ask || self.stopping() {
            self.book.tools_done(turn, done, None).await?;
            return match next {
                ConversationStep::Fail(failure) => Err(failure),
                ConversationStep::Done => Ok(NextStep::End(AgentEnd::Done)),
                ConversationStep::Ask => Ok(NextStep::End(AgentEnd::Stopped)),
            };
        }
        self.note_reminder(talk);
        let (reserve, body, sums_up) = self.prepare(talk)?;
        let turn = match self
            .book
            .tools_done(turn, done, Some(reserve.clone()))
            .await?
        {
            Some(turn) => turn,
            None => self.book.reserve(reserve.clone()).await?,
        };
        Ok(NextStep::Ask(Box::new(OpenCall {
            turn,
            reserve,
            body,
            sums_up,
        })))
    }

    /// What is told of a call that was not run, or of which nobody knows.
    pub(super) fn unrun(
        &self,
        call: &AssembledCall,
        outcome: ToolOutcome,
        result: &str,
    ) -> FinishedCall {
        FinishedCall {
            call_id: call.id.clone(),
            tool: call.name.clone(),
            target: self.tools.target(&call.name, &call.arguments),
            outcome,
            denied: None,
            result: result.to_owned(),
            duration_ms: 0,
        }
    }

    /// Whether a call that may have begun can be run again: it changes nothing, or goes on by itself.
    fn can_be_taken_up(&self, call: &AssembledCall) -> bool {
        call.name == "task"
            || self.tools.is_read_only(&call.name)
            || planted::is(Bug::ToolRunsAgain)
    }

    async fn run_tool(&self, call: &AssembledCall, allowed: bool) -> FinishedCall {
        if self.stop.now.is_cancelled() {
            return self.unrun(call, ToolOutcome::Error, NOT_BEGUN);
        }
        FailpointFamily::Tool.before(&call.name);
        let reply = self
            .tools
            .call(&call.name, &call.arguments, allowed, &self.stop.now)
            .await;
        FailpointFamily::Tool.after(&call.name);
        let kept = match reply.whole {
            Some(whole) => self.book.keep(whole).await,
            None => None,
        };
        let result = kept.map_or_else(
            || reply.result.clone(),
            |name| format!("{}{KEPT}{name}]", reply.result),
        );
        self.show_tool(call, &reply.target, reply.outcome, reply.denied.is_some());
        if call.name == "write_todos" && reply.outcome == ToolOutcome::Ok {
            self.book
                .text(TextKind::Note, &reply.result.replace('\n', " | "));
        }
        FinishedCall {
            call_id: call.id.clone(),
            tool: call.name.clone(),
            target: reply.target,
            outcome: reply.outcome,
            denied: reply.denied,
            result,
            duration_ms: reply.duration_ms,
        }
    }

    /// The next request: the conversation, or first a summary of its oldest turns where it has no room.
    fn prepare(&self, talk: &ConversationState) -> Result<(CallReserve, String, bool)> {
        let params = &self.job.persona.params;
        let messages = messages(
            self.job,
            &talk.turns,
            talk.summary.as_ref(),
            self.structured,
        );
        let tools = if self.structured {
            None
        } else {
            self.tools.on_offer()?
        };
        let artifact = self
            .job
            .artifact
            .as_ref()
            .filter(|_| self.structured && !self.schema_refused.load(Ordering::Relaxed));
        let body = chat::request(
            &self.model,
            &messages,
            tools.as_deref(),
            params,
            artifact.map(structured::response_format),
        )?;
        let bytes = body.len();
        let shown = talk.refused.map_or(u64::MAX, |refused| refused.tokens / 2);
        let room = summary::room(self.window, params).min(shown);
        let covered = talk.summary.as_ref().map_or(0, |summary| summary.covers);
        let Some(covers) = summary::to_cover(&talk.turns, covered, bytes, room) else {
            let (conversation, number) = (self.conversation.clone(), talk.asked.last + 1);
            return Ok((
                self.reserve_for(conversation, number, bytes, params),
                body,
                false,
            ));
        };
        let (messages, params) = summary::request(&talk.turns, talk.summary.as_ref(), covers, room);
        let body = chat::request(&self.model, &messages, None, &params, None)?;
        let bytes = body.len();
        Ok((
            self.reserve_for(summary::name_of(&self.conversation), covers, bytes, &params),
            body,
            true,
        ))
    }

    fn reserve_for(
        &self,
        conversation: String,
        number: u32,
        bytes: usize,
        params: &SamplingParams,
    ) -> CallReserve {
        let reserved: Option<NanoUsd> = self.prices.reserve(&self.model, bytes, params.max_tokens);
        CallReserve {
            conversation,
            number,
            model: self.model.clone(),
            reserved,
        }
    }

    fn artifact_there(&self, talk: &ConversationState) -> Result<bool> {
        let last = talk.turns.last().filter(|_| self.structured);
        if let Some(said) = last
            && structured::write(self.job, &said.answer)?
        {
            return Ok(true);
        }
        Ok(self
            .job
            .artifact
            .as_ref()
            .is_none_or(|artifact| self.tools.has_file(&artifact.path)))
    }

    fn stopping(&self) -> bool {
        self.stop.soon.is_cancelled() || self.stop.now.is_cancelled()
    }

    fn show_tool(&self, call: &AssembledCall, target: &str, outcome: ToolOutcome, denied: bool) {
        let end = match (outcome, denied) {
            (_, true) => ": refused",
            (ToolOutcome::Ok, false) => "",
            (ToolOutcome::Error | ToolOutcome::Unknown, false) => ": error",
        };
        let line = format!("{} {target}", call.name).replace('\n', " ");
        self.book
            .text(TextKind::Tool, &format!("{}{end}", line.trim_end()));
    }

    fn note_reminder(&self, talk: &ConversationState) {
        let note = match talk.turns.last().map(|said| &said.answer) {
            Some(answer) if answer.finish == FinishReason::Length => {
                "the answer was cut off by its length; asked to go on with less at once"
            }
            Some(answer) if answer.calls.is_empty() && self.structured => {
                "it answered with no document; reminded once"
            }
            Some(answer) if answer.calls.is_empty() => {
                "it stopped without the expected file; reminded once"
            }
            _ => return,
        };
        self.book.text(TextKind::Note, note);
    }
}

fn take_up(talk: &mut ConversationState, turn: &TurnRecord) -> Result<()> {
    let answer = answer_of(turn)?;
    talk.asked.last = turn.number;
    if counts(&answer) {
        let results = answer
            .runnable()
            .iter()
            .map(|call| result_of(turn, call).unwrap_or(INTERRUPTED).to_owned())
            .collect();
        talk.turns.push(CompletedTurn {
            number: turn.number,
            stretch: turn.stretch,
            answer,
            results,
        });
    }
    Ok(())
}

fn result_of<'a>(turn: &'a TurnRecord, call: &AssembledCall) -> Option<&'a str> {
    turn.tools
        .iter()
        .find(|tool| tool.call_id == call.id)?
        .result
        .as_deref()
}

fn to_redo(turn: &TurnRecord, call: &AssembledCall) -> bool {
    turn.tools
        .iter()
        .any(|tool| tool.call_id == call.id && tool.redo)
}

fn answer_of(turn: &TurnRecord) -> Result<ModelAnswer> {
    let text = turn.answer.as_deref().unwrap_or_default();
    serde_json::from_str(text).map_err(|error| {
        Failure::internal(format!(
            "the stored answer of turn {} cannot be read: {error}",
            turn.number
        ))
    })
}

fn held_back() -> Failure {
    Failure::new(
        Code::LlmBadResponse,
        "the provider's content filter held the answer back",
    )
    .hint("change the requirements or the instructions, or take another model; resuming asks again")
}

#[cfg(test)]
mod tests;
