//! What an agent program tells while it works, as text for people and tool calls for the record.
//!
//! Pure: one update in, pieces out. A kind of update that is not known says nothing and is no fault.
//! Programs name their calls as they like, also twice; the names that are stored are our own.

use std::collections::BTreeMap;
use std::time::Instant;

use agent_client_protocol_schema::v1::{
    ContentBlock, ContentChunk, SessionNotification, SessionUpdate, ToolCall, ToolCallContent,
    ToolCallStatus, ToolCallUpdateFields, ToolKind,
};

use super::counters::ReportedUsage;
use crate::engine::agent::FinishedCall;
use crate::model::event::ToolOutcome;
use crate::model::time::whole_ms;
use crate::store::tables::sessions::TranscriptKind;

/// The longest result and the longest arguments that are kept of one call, in bytes.
const MAX_KEPT_BYTES: usize = 32 * 1024;
/// The longest target, in characters.
const MAX_TARGET_CHARS: usize = 200;
/// Calls of one prompt that are recorded one by one.
pub const MAX_CALLS: usize = 10_000;

/// What one update says.
#[derive(Debug, Default)]
pub struct MessagePieces {
    /// Text, in order.
    pub said: Vec<(TranscriptKind, String)>,
    /// A tool call that has ended with this update.
    pub done: Option<FinishedCall>,
}

/// Everything heard during one prompt.
#[derive(Default)]
pub struct UpdateParser {
    calls: BTreeMap<String, AcpToolCall>,
    ended: Vec<EndedToolCall>,
    /// What it cost.
    pub told: ReportedUsage,
    /// What the program answered.
    pub answer: String,
}

/// A call that goes on.
struct AcpToolCall {
    id: String,
    tool: String,
    title: String,
    target: String,
    arguments: String,
    result: String,
    begun: Instant,
}

/// A call that is over: our id, the tool, its arguments, and what it came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedToolCall {
    /// Its arguments, as JSON.
    pub arguments: String,
    /// What it came to.
    pub done: FinishedCall,
}

impl UpdateParser {
    /// Takes one update in.
    pub fn take(&mut self, notification: SessionNotification) -> MessagePieces {
        match notification.update {
            SessionUpdate::AgentMessageChunk(chunk) => said(TranscriptKind::Answer, &chunk),
            SessionUpdate::AgentThoughtChunk(chunk) => said(TranscriptKind::Reasoning, &chunk),
            SessionUpdate::ToolCall(call) => self.call(call),
            SessionUpdate::ToolCallUpdate(update) => {
                self.update(&update.tool_call_id.0, update.fields)
            }
            SessionUpdate::UsageUpdate(usage) => {
                if let Some(cost) = usage.cost {
                    self.told.cost(cost.amount, &cost.currency);
                }
                MessagePieces::default()
            }
            SessionUpdate::Plan(plan) => {
                let steps: Vec<String> = plan
                    .entries
                    .into_iter()
                    .map(|entry| entry.content)
                    .collect();
                MessagePieces {
                    said: vec![(TranscriptKind::Tool, format!("plan {}", steps.join(" | ")))],
                    done: None,
                }
            }
            _ => MessagePieces::default(),
        }
    }

    fn call(&mut self, call: ToolCall) -> MessagePieces {
        let id = call.tool_call_id.0.to_string();
        let fields = ToolCallUpdateFields::new()
            .kind(call.kind)
            .status(call.status)
            .title(call.title)
            .name(call.name)
            .content(call.content)
            .locations(call.locations)
            .raw_input(call.raw_input)
            .raw_output(call.raw_output);
        self.update(&id, fields)
    }

    fn update(&mut self, id: &str, fields: ToolCallUpdateFields) -> MessagePieces {
        if !self.calls.contains_key(id) && self.begun() >= MAX_CALLS {
            return MessagePieces::default();
        }
        let number = self.begun() + 1;
        let call = self
            .calls
            .entry(id.to_owned())
            .or_insert_with(|| AcpToolCall::new(number));
        call.take(&fields);
        let outcome = match fields.status {
            Some(ToolCallStatus::Completed) => ToolOutcome::Ok,
            Some(ToolCallStatus::Failed) => ToolOutcome::Error,
            _ => return MessagePieces::default(),
        };
        let Some(call) = self.calls.remove(id) else {
            return MessagePieces::default();
        };
        let line = format!(
            "{} {}{}",
            call.tool,
            call.target,
            if outcome == ToolOutcome::Ok {
                ""
            } else {
                ": error"
            }
        );
        let ended = call.ended(outcome);
        let done = ended.done.clone();
        self.ended.push(ended);
        MessagePieces {
            said: vec![(TranscriptKind::Tool, line)],
            done: Some(done),
        }
    }

    /// Takes in a call that we served ourselves; gives it back with the id it is stored by.
    pub fn served(&mut self, arguments: String, mut done: FinishedCall) -> Option<FinishedCall> {
        if self.begun() >= MAX_CALLS {
            return None;
        }
        done.call_id = format!("a{}", self.begun() + 1);
        self.ended.push(EndedToolCall {
            arguments: cut(arguments),
            done: done.clone(),
        });
        Some(done)
    }

    fn begun(&self) -> usize {
        self.ended.len() + self.calls.len()
    }

    /// All calls, in the order they ended. What became of those that never did is not known.
    #[must_use]
    pub fn into_calls(self) -> Vec<EndedToolCall> {
        let open = self
            .calls
            .into_values()
            .map(|call| call.ended(ToolOutcome::Unknown));
        self.ended.into_iter().chain(open).collect()
    }
}

impl AcpToolCall {
    fn new(number: usize) -> Self {
        Self {
            id: format!("a{number}"),
            tool: "tool".to_owned(),
            title: String::new(),
            target: String::new(),
            arguments: "{}".to_owned(),
            result: String::new(),
            begun: Instant::now(),
        }
    }

    fn take(&mut self, fields: &ToolCallUpdateFields) {
        if let Some(kind) = fields.kind {
            word(kind).clone_into(&mut self.tool);
        }
        if let Some(name) = fields.name.as_ref().filter(|name| !name.is_empty()) {
            self.tool = name.chars().take(MAX_TARGET_CHARS).collect();
        }
        if let Some(title) = &fields.title {
            self.title.clone_from(title);
        }
        if let Some(place) = fields.locations.as_ref().and_then(|places| places.first()) {
            self.target = one_line(&place.path.to_string_lossy());
        }
        if self.target.is_empty() {
            self.target = one_line(&self.title);
        }
        if let Some(input) = &fields.raw_input {
            self.arguments = cut(input.to_string());
        }
        if let Some(content) = fields
            .content
            .as_ref()
            .filter(|content| !content.is_empty())
        {
            self.result = cut(content.iter().map(text_of).collect::<Vec<_>>().join("\n"));
        } else if let (Some(output), true) = (&fields.raw_output, self.result.is_empty()) {
            self.result = cut(output.to_string());
        }
    }

    fn ended(self, outcome: ToolOutcome) -> EndedToolCall {
        let duration_ms = whole_ms(self.begun.elapsed());
        let done = FinishedCall {
            call_id: self.id,
            tool: self.tool,
            target: self.target,
            outcome,
            denied: None,
            result: self.result,
            duration_ms,
        };
        EndedToolCall {
            arguments: self.arguments,
            done,
        }
    }
}

/// The word for a kind of tool, where the program tells no name.
#[must_use]
pub fn word(kind: ToolKind) -> &'static str {
    match kind {
        ToolKind::Read => "read",
        ToolKind::Edit => "edit",
        ToolKind::Delete => "delete",
        ToolKind::Move => "move",
        ToolKind::Search => "search",
        ToolKind::Execute => "execute",
        ToolKind::Think => "think",
        ToolKind::Fetch => "fetch",
        ToolKind::SwitchMode => "switch_mode",
        _ => "tool",
    }
}

fn said(kind: TranscriptKind, chunk: &ContentChunk) -> MessagePieces {
    let text = block(&chunk.content);
    MessagePieces {
        said: if text.is_empty() {
            Vec::new()
        } else {
            vec![(kind, text)]
        },
        done: None,
    }
}

fn block(content: &ContentBlock) -> String {
    match content {
        ContentBlock::Text(text) => text.text.clone(),
        ContentBlock::ResourceLink(link) => format!("[{}]", link.uri),
        ContentBlock::Image(_) => "[an image]".to_owned(),
        ContentBlock::Audio(_) => "[a sound]".to_owned(),
        _ => String::new(),
    }
}

fn text_of(content: &ToolCallContent) -> String {
    match content {
        ToolCallContent::Content(content) => block(&content.content),
        ToolCallContent::Diff(diff) => format!("changed {}", diff.path.display()),
        _ => String::new(),
    }
}

/// One line of at most so many characters.
pub(super) fn one_line(text: &str) -> String {
    text.split(['\n', '\r'])
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or_default()
        .chars()
        .take(MAX_TARGET_CHARS)
        .collect()
}

fn cut(mut text: String) -> String {
    if text.len() > MAX_KEPT_BYTES {
        let gone = text.len() - text.floor_char_boundary(MAX_KEPT_BYTES);
        text.truncate(text.floor_char_boundary(MAX_KEPT_BYTES));
        text.push_str(&format!("\n[... {gone} bytes cut here ...]"));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn tell(heard: &mut UpdateParser, update: Value) -> MessagePieces {
        heard.take(serde_json::from_value(json!({"sessionId": "s", "update": update})).unwrap())
    }

    #[test]
    fn text_is_told_apart_from_reasoning() {
        let mut heard = UpdateParser::default();
        for (kind, said) in [
            ("agent_message_chunk", TranscriptKind::Answer),
            ("agent_thought_chunk", TranscriptKind::Reasoning),
        ] {
            let pieces = tell(
                &mut heard,
                json!({"sessionUpdate": kind, "content": {"type": "text", "text": "hm"}}),
            );
            assert_eq!(pieces.said, [(said, "hm".to_owned())]);
        }
        let user = tell(
            &mut heard,
            json!({"sessionUpdate": "user_message_chunk", "content": {"type": "text", "text": "ours"}}),
        );
        assert!(
            user.said.is_empty(),
            "what we said ourselves is not said again"
        );
    }

    #[test]
    fn a_call_is_one_call_from_its_first_word_to_its_end() {
        let mut heard = UpdateParser::default();
        let begun = json!({"sessionUpdate": "tool_call", "toolCallId": "x", "title": "Write a\nfile", "kind": "edit", "status": "pending"});
        assert!(tell(&mut heard, begun).done.is_none());
        let place = json!({"sessionUpdate": "tool_call_update", "toolCallId": "x", "status": "in_progress",
            "locations": [{"path": "/w/out.json"}], "rawInput": {"path": "out.json"}});
        assert!(tell(&mut heard, place).done.is_none());
        let over = json!({"sessionUpdate": "tool_call_update", "toolCallId": "x", "status": "completed",
            "content": [{"type": "content", "content": {"type": "text", "text": "written"}}]});
        let pieces = tell(&mut heard, over);
        assert_eq!(
            pieces.said,
            [(TranscriptKind::Tool, "edit /w/out.json".to_owned())]
        );
        let done = pieces.done.unwrap();
        assert_eq!(
            (
                done.call_id.as_str(),
                done.tool.as_str(),
                done.outcome,
                done.result.as_str()
            ),
            ("a1", "edit", ToolOutcome::Ok, "written")
        );
        let again = json!({"sessionUpdate": "tool_call", "toolCallId": "x", "title": "run", "kind": "execute", "status": "in_progress"});
        tell(&mut heard, again);
        let calls = heard.into_calls();
        assert_eq!(
            calls
                .iter()
                .map(|call| call.done.call_id.as_str())
                .collect::<Vec<_>>(),
            ["a1", "a2"],
            "a name used twice is two calls"
        );
        assert_eq!(calls[0].arguments, "{\"path\":\"out.json\"}");
        assert_eq!(
            calls[1].done.outcome,
            ToolOutcome::Unknown,
            "what never ended is not known"
        );
    }

    #[test]
    fn calls_beyond_the_limit_are_not_recorded_and_results_are_cut() {
        let mut heard = UpdateParser::default();
        for number in 0..=MAX_CALLS {
            let call = json!({"sessionUpdate": "tool_call", "toolCallId": number.to_string(), "title": "t", "status": "completed",
                "rawOutput": "x".repeat(if number == 0 { MAX_KEPT_BYTES } else { 1 })});
            assert_eq!(
                tell(&mut heard, call).done.is_some(),
                number < MAX_CALLS,
                "{number}"
            );
        }
        let calls = heard.into_calls();
        assert_eq!(calls.len(), MAX_CALLS);
        assert!(
            calls[0]
                .done
                .result
                .ends_with("\n[... 2 bytes cut here ...]"),
            "{}",
            calls[0].done.result.len()
        );
    }
}
