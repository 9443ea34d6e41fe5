//! Chunks folded into one answer.
//!
//! What servers leave out, send twice or send as null does no harm; whether a stream was cut is told
//! by its end alone. Tool calls are put together next door, in [`calls`](super::calls).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::calls::ToolCallAssembler;
use super::chat::{ChatChunk, ChatDelta, ChatUsage};
use crate::engine::api::TextKind;

/// A model's whole answer, as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct ModelAnswer {
    /// What it said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// What it thought, in the field that the server uses for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reasoning: String,
    /// The same by its other name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reasoning_content: String,
    /// What must go back to the server as it came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasoning_details: Vec<Value>,
    /// The tools it calls, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<AssembledCall>,
    /// Why it ended.
    #[serde(default)]
    pub finish: FinishReason,
}

impl ModelAnswer {
    /// The calls that are run: those of an answer that was cut off are not, whole as they may look.
    pub(super) fn runnable(&self) -> &[AssembledCall] {
        if self.finish == FinishReason::Stop {
            &self.calls
        } else {
            &[]
        }
    }
}

/// One tool call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AssembledCall {
    /// Our own id.
    pub id: String,
    /// Which tool.
    pub name: String,
    /// The arguments as the model wrote them.
    pub arguments: String,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FinishReason {
    /// By itself; whether it wants tools is told by the calls, not by this.
    #[default]
    Stop,
    /// Cut off by the most tokens it may have.
    Length,
    /// Held back by the provider.
    ContentFilter,
}

/// A whole answer and what was told beside it.
#[derive(Debug)]
pub(super) struct AssembledAnswer {
    /// The answer.
    pub answer: ModelAnswer,
    /// The last usage that was told.
    pub usage: Option<ChatUsage>,
    /// The provider's name for the request.
    pub request_id: Option<String>,
    /// What was wrong with the form of its tool calls.
    pub repaired: Option<String>,
}

/// Why the chunks make no answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum StreamError {
    /// The stream ended before the answer did.
    Cut,
    /// It ended well and said nothing.
    Empty,
    /// An event that is no chunk.
    Malformed(String),
    /// An error object in place of a chunk.
    Error(Value),
}

/// An answer being put together.
#[derive(Default)]
pub(super) struct AnswerAssembler {
    turn: u32,
    answer: ModelAnswer,
    calls: ToolCallAssembler,
    finish: Option<FinishReason>,
    usage: Option<ChatUsage>,
    request_id: Option<String>,
    done: bool,
    begun: bool,
}

impl AnswerAssembler {
    /// Begins the answer of a turn.
    pub(super) fn of_turn(turn: u32) -> Self {
        Self {
            turn,
            ..Self::default()
        }
    }

    /// Whether anything of the answer has come.
    pub(super) fn begun(&self) -> bool {
        self.begun
    }

    /// Whether nothing more can come that matters.
    pub(super) fn done(&self) -> bool {
        self.done
    }

    /// Takes the data of one event and hands out the text in it.
    ///
    /// # Errors
    /// An error object, or data that is no chunk.
    pub(super) fn take(&mut self, data: &str) -> Result<Vec<(TextKind, String)>, StreamError> {
        if data.trim() == "[DONE]" {
            self.done = true;
            return Ok(Vec::new());
        }
        let chunk: ChatChunk = serde_json::from_str(data)
            .map_err(|error| StreamError::Malformed(error.to_string()))?;
        if let Some(error) = chunk.error {
            return Err(StreamError::Error(error));
        }
        self.request_id = self
            .request_id
            .take()
            .or(chunk.id.filter(|id| !id.is_empty()));
        self.usage = chunk.usage.or(self.usage.take());
        let mut shown = Vec::new();
        for choice in chunk
            .choices
            .unwrap_or_default()
            .into_iter()
            .filter(|choice| choice.index.unwrap_or(0) == 0)
        {
            if let Some(error) = choice.error {
                return Err(StreamError::Error(error));
            }
            if let Some(delta) = choice.delta.or(choice.message) {
                self.add(delta, &mut shown);
            }
            self.finish = finish_of(choice.finish_reason.as_deref())?.or(self.finish);
        }
        Ok(shown)
    }

    /// Ends the answer.
    ///
    /// # Errors
    /// `TransportError` without a finish reason and without the end mark; `Empty` when there is nothing in it.
    pub(super) fn end(mut self) -> Result<AssembledAnswer, StreamError> {
        let Some(finish) = self.finish.or(self.done.then_some(FinishReason::Stop)) else {
            return Err(StreamError::Cut);
        };
        self.answer.finish = finish;
        let repaired = self.calls.oddities();
        for (provider_id, call) in std::mem::take(&mut self.calls).ended(self.turn) {
            rename(&mut self.answer.reasoning_details, &provider_id, &call.id);
            self.answer.calls.push(call);
        }
        if finish == FinishReason::Stop
            && self.answer.calls.is_empty()
            && self.answer.text.trim().is_empty()
        {
            return Err(StreamError::Empty);
        }
        Ok(AssembledAnswer {
            answer: self.answer,
            usage: self.usage,
            request_id: self.request_id,
            repaired,
        })
    }

    fn add(&mut self, delta: ChatDelta, shown: &mut Vec<(TextKind, String)>) {
        for text in [delta.content, delta.refusal]
            .into_iter()
            .flatten()
            .filter(|text| !text.is_empty())
        {
            self.answer.text.push_str(&text);
            shown.push((TextKind::Answer, text));
        }
        // Some servers send the same thought by both names; it is shown once.
        let thought = delta
            .reasoning
            .clone()
            .or_else(|| delta.reasoning_content.clone())
            .filter(|text| !text.is_empty());
        shown.extend(thought.map(|text| (TextKind::Reasoning, text)));
        self.answer
            .reasoning
            .push_str(&delta.reasoning.unwrap_or_default());
        self.answer
            .reasoning_content
            .push_str(&delta.reasoning_content.unwrap_or_default());
        for detail in delta.reasoning_details.unwrap_or_default() {
            self.begun = true;
            add_detail(&mut self.answer.reasoning_details, detail);
        }
        for piece in delta.tool_calls.unwrap_or_default() {
            self.begun = true;
            self.calls.add(piece);
        }
        self.begun |= !shown.is_empty();
    }
}

fn finish_of(reason: Option<&str>) -> Result<Option<FinishReason>, StreamError> {
    Ok(match reason.map(str::trim) {
        None | Some("") => None,
        Some("length" | "max_tokens" | "MAX_TOKENS") => Some(FinishReason::Length),
        Some("content_filter" | "safety" | "SAFETY" | "refusal") => {
            Some(FinishReason::ContentFilter)
        }
        Some("error") => {
            return Err(StreamError::Error(Value::String(
                "the provider ended the answer with an error".to_owned(),
            )));
        }
        Some(_) => Some(FinishReason::Stop),
    })
}

/// Joins the pieces of one block of reasoning; blocks stay apart and in order.
fn add_detail(details: &mut Vec<Value>, detail: Value) {
    let Value::Object(new) = detail else {
        return details.push(detail);
    };
    let joins = |old: &Map<String, Value>| {
        ["type", "index"]
            .iter()
            .all(|key| old.get(*key) == new.get(*key))
            && new.get("type").and_then(Value::as_str) != Some("reasoning.encrypted")
    };
    match details.last_mut() {
        Some(Value::Object(old)) if joins(old) => {
            for (key, value) in new {
                match (old.get_mut(&key), value) {
                    (_, Value::Null) => {}
                    (Some(Value::String(old)), Value::String(more))
                        if key == "text" || key == "summary" =>
                    {
                        old.push_str(&more)
                    }
                    (_, value) => {
                        old.insert(key, value);
                    }
                }
            }
        }
        _ => details.push(Value::Object(new)),
    }
}

/// Reasoning that is tied to a call by the provider's id follows the call to its new one.
fn rename(details: &mut [Value], provider_id: &str, id: &str) {
    for detail in details
        .iter_mut()
        .filter(|detail| !provider_id.is_empty() && detail["id"] == provider_id)
    {
        detail["id"] = id.into();
    }
}

#[cfg(test)]
mod tests;
