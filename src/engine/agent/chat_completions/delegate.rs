//! What stands between a call and its tool: the operator's word, and for `task` a whole conversation.
//!
//! A sub-agent is the same loop once more, with a context of its own. Its turns are stored under the
//! call that began it, so after a crash it goes on with its next turn, as its parent does. What it
//! costs is booked on the phase; what it may use is at most what its parent may.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::AtomicBool;

use super::assemble::AssembledCall;
use super::work::{ChatWorker, ConversationState};
use crate::engine::agent::chat_completions::turn_recorder::TurnRecorder;
use crate::engine::agent::tools::Toolbox;
use crate::engine::agent::{AgentEnd, AgentJob, FinishedCall};
use crate::engine::api::TextKind;
use crate::model::error::{Code, Failure, Result};
use crate::model::event::ToolOutcome;
use crate::model::id::TurnId;
use crate::model::question::{ToolPermit, ToolQuestion, answer_for};

/// How deep sub-agents may stand: one of the agent, and one of that.
const MAX_DEPTH: usize = 2;

/// Whether a call may be made.
pub(super) enum DelegateMessage {
    /// It may; with the operator's leave where that is needed.
    Yes(bool),
    /// The operator said no.
    No(ToolPermit),
    /// The operator must be asked.
    Missing(Box<ToolQuestion>),
}

/// What became of a sub-agent.
pub(super) enum DelegationOutcome {
    /// It is done, or cannot go on.
    Done(Box<FinishedCall>),
    /// It was stopped or asks something; the parent rests with it.
    Ended(AgentEnd),
}

impl<B: TurnRecorder> ChatWorker<'_, B> {
    /// Whether a call may be made, by the persona's permissions and the operator's answers so far.
    pub(super) fn may_run(&self, turn: TurnId, call: &AssembledCall) -> DelegateMessage {
        if !self.tools.asks(&call.name) {
            return DelegateMessage::Yes(false);
        }
        let key = format!("{turn}:{}", call.id);
        match answer_for(&self.job.permits, &self.job.phase_key, &call.name, &key) {
            Some(permit) if permit.allowed => DelegateMessage::Yes(true),
            Some(permit) => DelegateMessage::No(permit.clone()),
            None => self
                .tools
                .question(&key, &call.name, &call.arguments)
                .map_or(DelegateMessage::Yes(false), |question| {
                    DelegateMessage::Missing(Box::new(question))
                }),
        }
    }

    /// What the model is told of the operator's no.
    pub(super) fn denied(&self, call: &AssembledCall, permit: &ToolPermit) -> FinishedCall {
        let words = format!("the operator refused '{}': {}", call.name, permit.comment);
        let failure = Failure::new(Code::ToolNotPermitted, words).hint("work without it");
        let result = format!(
            "refused: {} [{}]. {}",
            failure.message, failure.code, failure.hint
        );
        FinishedCall {
            denied: Some(failure),
            ..self.unrun(call, ToolOutcome::Error, &result)
        }
    }

    /// Has a sub-agent work.
    ///
    /// # Errors
    /// What ends the parent's work too: faults of the wire, the budget, the store.
    pub(super) fn delegate<'a>(
        &'a self,
        call: &'a AssembledCall,
        allowed: bool,
    ) -> Pin<Box<dyn Future<Output = Result<DelegationOutcome>> + Send + 'a>> {
        Box::pin(async move {
            let (description, explores) = match Toolbox::task(&call.arguments) {
                Ok(task) if allowed || !self.tools.asks(&call.name) => task,
                Ok(_) => {
                    return Ok(DelegationOutcome::Done(Box::new(self.unrun(
                        call,
                        ToolOutcome::Error,
                        "refused: 'task' needs the operator's word",
                    ))));
                }
                Err(words) => {
                    return Ok(DelegationOutcome::Done(Box::new(self.unrun(
                        call,
                        ToolOutcome::Error,
                        &format!("error: {words}"),
                    ))));
                }
            };
            let conversation = if self.conversation.is_empty() {
                call.id.clone()
            } else {
                format!("{}/{}", self.conversation, call.id)
            };
            let deepest = conversation.split('/').count() >= MAX_DEPTH;
            let tools = self.tools.limited(|tool| {
                (tool != "task" || !deepest) && (!explores || self.tools.is_read_only(tool))
            });
            // What a server's tool does nobody knows, so one that only looks gets none.
            let tools = if explores {
                tools
            } else {
                tools.with_servers_of(&self.tools)
            };
            let job = AgentJob {
                prompt: description,
                artifact: None,
                ..self.job.clone()
            };
            self.book.text(
                TextKind::Tool,
                &format!(
                    "sub-agent begins: {}",
                    self.tools.target(&call.name, &call.arguments)
                ),
            );
            let (wire, prices, pace, window, model) = (
                self.wire,
                self.prices,
                self.pace,
                self.window,
                self.model.clone(),
            );
            let (structured, schema_refused, tries) = (false, AtomicBool::new(false), self.tries);
            let sub = ChatWorker {
                wire,
                prices,
                pace,
                model,
                window,
                structured,
                schema_refused,
                job: &job,
                book: self.book,
                stop: self.stop,
                tools,
                tries,
                conversation,
            };
            let mut talk = ConversationState::default();
            let ended = sub.talk(&mut talk).await;
            let said = talk
                .turns
                .last()
                .map(|said| said.answer.text.trim().to_owned())
                .unwrap_or_default();
            Ok(match ended {
                Ok(AgentEnd::Done) if said.is_empty() => {
                    DelegationOutcome::Done(Box::new(self.unrun(
                        call,
                        ToolOutcome::Error,
                        "error: the sub-agent ended without a word",
                    )))
                }
                Ok(AgentEnd::Done) => {
                    DelegationOutcome::Done(Box::new(self.unrun(call, ToolOutcome::Ok, &said)))
                }
                Ok(ended) => DelegationOutcome::Ended(ended),
                Err(failure)
                    if matches!(
                        failure.code,
                        Code::AgentLimitReached | Code::AgentLoopDetected
                    ) =>
                {
                    let result = format!(
                        "error: the sub-agent was stopped: {}. Its last words: {said}",
                        failure.message
                    );
                    DelegationOutcome::Done(Box::new(self.unrun(call, ToolOutcome::Error, &result)))
                }
                Err(failure) => return Err(failure),
            })
        })
    }
}
