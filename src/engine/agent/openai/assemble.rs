//! Chunks folded into one answer.
//!
//! Servers differ most in tool calls: pieces come with an index, with an id, with both or with
//! neither. Whatever they say, each call gets an id of our own, and that id is what the history
//! carries from then on.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::chat::{CallPiece, Chunk, Delta, Usage};
use crate::engine::api::TextKind;

/// A model's whole answer, as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Answer {
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
    pub calls: Vec<Call>,
    /// Why it ended.
    #[serde(default)]
    pub finish: Finish,
}

impl Answer {
    /// The calls that are run: those of an answer that was cut off are not, whole as they may look.
    pub(super) fn runnable(&self) -> &[Call] {
        if self.finish == Finish::Stop { &self.calls } else { &[] }
    }
}

/// One tool call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Call {
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
pub(super) enum Finish {
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
pub(super) struct Assembled {
    /// The answer.
    pub answer: Answer,
    /// The last usage that was told.
    pub usage: Option<Usage>,
    /// The provider's name for the request.
    pub request_id: Option<String>,
}

/// Why the chunks make no answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Broken {
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
pub(super) struct Assembly {
    turn: u32,
    answer: Answer,
    calls: Vec<Pending>,
    finish: Option<Finish>,
    usage: Option<Usage>,
    request_id: Option<String>,
    done: bool,
    begun: bool,
}

/// A call of which pieces may still come.
#[derive(Default)]
struct Pending {
    index: Option<u64>,
    provider_id: String,
    name: String,
    arguments: String,
}

impl Assembly {
    /// Begins the answer of a turn.
    pub(super) fn of_turn(turn: u32) -> Self {
        Self { turn, ..Self::default() }
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
    pub(super) fn take(&mut self, data: &str) -> Result<Vec<(TextKind, String)>, Broken> {
        if data.trim() == "[DONE]" {
            self.done = true;
            return Ok(Vec::new());
        }
        let chunk: Chunk = serde_json::from_str(data).map_err(|error| Broken::Malformed(error.to_string()))?;
        if let Some(error) = chunk.error {
            return Err(Broken::Error(error));
        }
        self.request_id = self.request_id.take().or(chunk.id.filter(|id| !id.is_empty()));
        self.usage = chunk.usage.or(self.usage.take());
        let mut shown = Vec::new();
        for choice in chunk.choices.unwrap_or_default().into_iter().filter(|choice| choice.index.unwrap_or(0) == 0) {
            if let Some(error) = choice.error {
                return Err(Broken::Error(error));
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
    /// `Cut` without a finish reason and without the end mark; `Empty` when there is nothing in it.
    pub(super) fn end(mut self) -> Result<Assembled, Broken> {
        let Some(finish) = self.finish.or(self.done.then_some(Finish::Stop)) else { return Err(Broken::Cut) };
        self.answer.finish = finish;
        let pending = std::mem::take(&mut self.calls).into_iter().filter(|call| !call.name.is_empty() || !call.arguments.is_empty());
        for (index, call) in pending.enumerate() {
            let id = format!("call_{}_{}", self.turn, index + 1);
            rename(&mut self.answer.reasoning_details, &call.provider_id, &id);
            self.answer.calls.push(Call { id, name: call.name, arguments: call.arguments });
        }
        if finish == Finish::Stop && self.answer.calls.is_empty() && self.answer.text.trim().is_empty() {
            return Err(Broken::Empty);
        }
        Ok(Assembled { answer: self.answer, usage: self.usage, request_id: self.request_id })
    }

    fn add(&mut self, delta: Delta, shown: &mut Vec<(TextKind, String)>) {
        for text in [delta.content, delta.refusal].into_iter().flatten().filter(|text| !text.is_empty()) {
            self.answer.text.push_str(&text);
            shown.push((TextKind::Answer, text));
        }
        // Some servers send the same thought by both names; it is shown once.
        let thought = delta.reasoning.clone().or_else(|| delta.reasoning_content.clone()).filter(|text| !text.is_empty());
        shown.extend(thought.map(|text| (TextKind::Reasoning, text)));
        self.answer.reasoning.push_str(&delta.reasoning.unwrap_or_default());
        self.answer.reasoning_content.push_str(&delta.reasoning_content.unwrap_or_default());
        for detail in delta.reasoning_details.unwrap_or_default() {
            self.begun = true;
            add_detail(&mut self.answer.reasoning_details, detail);
        }
        for piece in delta.tool_calls.unwrap_or_default() {
            self.begun = true;
            self.add_call(piece);
        }
        self.begun |= !shown.is_empty();
    }

    fn add_call(&mut self, piece: CallPiece) {
        let id = piece.id.unwrap_or_default();
        let function = piece.function.unwrap_or_default();
        let name = function.name.unwrap_or_default();
        let at = self.place_of(piece.index, &id, &name);
        let call = match at {
            Some(at) => &mut self.calls[at],
            None => {
                self.calls.push(Pending { index: piece.index, ..Pending::default() });
                let last = self.calls.len() - 1;
                &mut self.calls[last]
            }
        };
        if call.provider_id.is_empty() {
            call.provider_id = id;
        }
        // A name comes whole, in pieces, or whole again with every piece.
        if call.name != name {
            call.name.push_str(&name);
        }
        match function.arguments {
            Some(Value::String(text)) => call.arguments.push_str(&text),
            Some(other) if !other.is_null() => call.arguments.push_str(&other.to_string()),
            _ => {}
        }
    }

    /// The call that a piece belongs to; absent when it begins a new one.
    fn place_of(&self, index: Option<u64>, id: &str, name: &str) -> Option<usize> {
        let same_id = |call: &Pending| !id.is_empty() && call.provider_id == id;
        if let Some(index) = index {
            let at = self.calls.iter().rposition(|call| call.index == Some(index))?;
            let call = &self.calls[at];
            // One index for several calls: only another id together with a name tells them apart.
            let another = !id.is_empty() && !call.provider_id.is_empty() && call.provider_id != id && !name.is_empty();
            return (!another).then_some(at);
        }
        if !id.is_empty() {
            return self.calls.iter().rposition(same_id);
        }
        let last = self.calls.len().checked_sub(1)?;
        let begins_anew = !name.is_empty() && !self.calls[last].arguments.is_empty();
        (!begins_anew).then_some(last)
    }
}

fn finish_of(reason: Option<&str>) -> Result<Option<Finish>, Broken> {
    Ok(match reason.map(str::trim) {
        None | Some("") => None,
        Some("length" | "max_tokens" | "MAX_TOKENS") => Some(Finish::Length),
        Some("content_filter" | "safety" | "SAFETY" | "refusal") => Some(Finish::ContentFilter),
        Some("error") => return Err(Broken::Error(Value::String("the provider ended the answer with an error".to_owned()))),
        Some(_) => Some(Finish::Stop),
    })
}

/// Joins the pieces of one block of reasoning; blocks stay apart and in order.
fn add_detail(details: &mut Vec<Value>, detail: Value) {
    let Value::Object(new) = detail else { return details.push(detail) };
    let joins = |old: &Map<String, Value>| {
        ["type", "index"].iter().all(|key| old.get(*key) == new.get(*key))
            && new.get("type").and_then(Value::as_str) != Some("reasoning.encrypted")
    };
    match details.last_mut() {
        Some(Value::Object(old)) if joins(old) => {
            for (key, value) in new {
                match (old.get_mut(&key), value) {
                    (_, Value::Null) => {}
                    (Some(Value::String(old)), Value::String(more)) if key == "text" || key == "summary" => old.push_str(&more),
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
    for detail in details.iter_mut().filter(|detail| !provider_id.is_empty() && detail["id"] == provider_id) {
        detail["id"] = id.into();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn assemble(chunks: &[&str]) -> Result<Assembled, Broken> {
        let mut assembly = Assembly::of_turn(3);
        for chunk in chunks {
            assembly.take(chunk)?;
        }
        assembly.end()
    }

    fn calls(chunks: &[&str]) -> Vec<(String, String, String)> {
        let mut chunks = chunks.iter().map(|calls| format!(r#"{{"choices":[{{"delta":{{"tool_calls":{calls}}}}}]}}"#)).collect::<Vec<_>>();
        chunks.push(r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#.to_owned());
        let answer = assemble(&chunks.iter().map(String::as_str).collect::<Vec<_>>()).unwrap().answer;
        answer.calls.into_iter().map(|call| (call.id, call.name, call.arguments)).collect()
    }

    fn call(n: u32, name: &str, arguments: &str) -> (String, String, String) {
        (format!("call_3_{n}"), name.to_owned(), arguments.to_owned())
    }

    #[test]
    fn tool_calls_are_put_together_however_they_come() {
        let by_index = calls(&[
            r#"[{"index":0,"id":"a","function":{"name":"ls","arguments":""}}]"#,
            r#"[{"index":0,"function":{"arguments":"{\"pa"}}]"#,
            r#"[{"index":0,"id":"","function":{"name":null,"arguments":"th\":\"x\"}"}}]"#,
        ]);
        assert_eq!(by_index, [call(1, "ls", r#"{"path":"x"}"#)], "in pieces");
        let two = [call(1, "ls", "{}"), call(2, "grep", "[]")];
        for (what, chunks) in [
            (
                "a gap in the index",
                vec![
                    r#"[{"index":1,"id":"a","function":{"name":"ls","arguments":"{}"}}]"#,
                    r#"[{"index":5,"id":"b","function":{"name":"grep","arguments":"[]"}}]"#,
                ],
            ),
            (
                "one index for both",
                vec![
                    r#"[{"index":0,"id":"a","function":{"name":"ls","arguments":"{}"}}]"#,
                    r#"[{"index":0,"id":"b","function":{"name":"grep","arguments":"[]"}}]"#,
                ],
            ),
            (
                "no index",
                vec![
                    r#"[{"id":"a","function":{"name":"ls","arguments":"{"}},{"id":"b","function":{"name":"grep","arguments":"["}}]"#,
                    r#"[{"id":"a","function":{"arguments":"}"}},{"id":"b","function":{"arguments":"]"}}]"#,
                ],
            ),
            (
                "neither index nor id",
                vec![
                    r#"[{"function":{"name":"ls","arguments":"{"}}]"#,
                    r#"[{"function":{"arguments":"}"}}]"#,
                    r#"[{"function":{"name":"grep","arguments":"[]"}}]"#,
                ],
            ),
            (
                "one id for both",
                vec![
                    r#"[{"index":0,"id":"a","function":{"name":"ls","arguments":"{}"}},{"index":1,"id":"a","function":{"name":"grep","arguments":"[]"}}]"#,
                ],
            ),
            (
                "a split name",
                vec![
                    r#"[{"index":0,"function":{"name":"l"}},{"index":1,"function":{"name":"gr"}}]"#,
                    r#"[{"index":0,"function":{"name":"s","arguments":"{}"}},{"index":1,"function":{"name":"ep","arguments":"[]"}}]"#,
                ],
            ),
            (
                "a repeated name",
                vec![
                    r#"[{"index":0,"function":{"name":"ls","arguments":"{"}}]"#,
                    r#"[{"index":0,"function":{"name":"ls","arguments":"}"}},{"index":1,"function":{"name":"grep","arguments":[]}}]"#,
                ],
            ),
        ] {
            assert_eq!(calls(&chunks), two, "{what}");
        }
    }

    #[test]
    fn the_end_of_a_stream_decides_what_it_was() {
        let text = r#"{"choices":[{"delta":{"content":"hi"}}]}"#;
        let stop = r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
        let finish = |chunks: &[&str]| assemble(chunks).map(|done| done.answer.finish);
        assert_eq!(finish(&[text]), Err(Broken::Cut));
        assert_eq!(finish(&[]), Err(Broken::Cut));
        assert_eq!(finish(&[text, "[DONE]"]), Ok(Finish::Stop));
        assert_eq!(finish(&[text, stop]), Ok(Finish::Stop));
        assert_eq!(finish(&[text, stop, stop]), Ok(Finish::Stop));
        assert_eq!(finish(&[text, r#"{"choices":[{"finish_reason":""}]}"#]), Err(Broken::Cut));
        assert_eq!(finish(&[text, r#"{"choices":[{"finish_reason":"length"}]}"#]), Ok(Finish::Length));
        assert_eq!(finish(&[r#"{"choices":[{"finish_reason":"content_filter"}]}"#]), Ok(Finish::ContentFilter));
        assert_eq!(finish(&[r#"{"choices":[]}"#, "[DONE]"]), Err(Broken::Empty));
        assert_eq!(finish(&[stop]), Err(Broken::Empty));
        assert_eq!(finish(&[text, r#"{"error":{"code":502}}"#]), Err(Broken::Error(json!({"code": 502}))));
        assert!(matches!(finish(&["<html>"]), Err(Broken::Malformed(_))));
    }

    #[test]
    fn oddities_beside_the_answer_do_no_harm() {
        let done = assemble(&[
            r#"{"id":"","choices":null,"object":"ping"}"#,
            r#"{"id":"gen-1","choices":[{"index":0,"delta":{"role":"assistant","content":null,"refusal":null}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
            r#"{"id":"gen-2","choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"content":"other"}}]}"#,
            r#"{"choices":[{"message":{"content":"b"},"finish_reason":"stop"}]}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,"cost":0.5}}"#,
            "[DONE]",
        ])
        .unwrap();
        assert_eq!((done.answer.text.as_str(), done.request_id.as_deref()), ("ab", Some("gen-1")));
        let usage = done.usage.unwrap();
        assert_eq!((usage.tokens().input, usage.cost().unwrap().0), (7, 500_000_000), "the last usage wins");
    }

    #[test]
    fn reasoning_is_kept_as_it_came() {
        let done = assemble(&[
            r#"{"choices":[{"delta":{"reasoning":"th","reasoning_details":[{"type":"reasoning.text","text":"th","index":0,"signature":null}]}}]}"#,
            r#"{"choices":[{"delta":{"reasoning":"ink","reasoning_details":[{"type":"reasoning.text","text":"ink","index":0}]}}]}"#,
            r#"{"choices":[{"delta":{"reasoning_details":[{"type":"reasoning.text","signature":"sig","index":0}]}}]}"#,
            r#"{"choices":[{"delta":{"reasoning_details":[{"type":"reasoning.encrypted","data":"zz","id":"tool_9","index":0}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"tool_9","function":{"name":"ls","arguments":"{}"}}]},"finish_reason":"stop"}]}"#,
        ])
        .unwrap()
        .answer;
        assert_eq!(done.reasoning, "think");
        assert_eq!(
            Value::from(done.reasoning_details.clone()),
            json!([
                {"type": "reasoning.text", "text": "think", "index": 0, "signature": "sig"},
                {"type": "reasoning.encrypted", "data": "zz", "id": "call_3_1", "index": 0}
            ])
        );
        let stored = serde_json::to_string(&done).unwrap();
        assert_eq!(serde_json::from_str::<Answer>(&stored).unwrap(), done);
    }
}
