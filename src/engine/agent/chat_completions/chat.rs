//! The shapes of Chat Completions: what is sent, and what compatible servers really send back.
//!
//! Reading is lenient field by field: a field that is null, of another type or unknown is absent,
//! and never spoils the fields beside it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::model::error::Failure;
use crate::model::event::TokenUsage;
use crate::model::money::NanoUsd;
use crate::model::persona::SamplingParams;

/// One chunk of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ChatChunk {
    #[serde(deserialize_with = "lenient")]
    pub id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub choices: Option<Vec<ChatChoice>>,
    #[serde(deserialize_with = "lenient")]
    pub usage: Option<ChatUsage>,
    #[serde(deserialize_with = "lenient")]
    pub error: Option<Value>,
}

/// One choice of a chunk; only the first is ever asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ChatChoice {
    #[serde(deserialize_with = "lenient")]
    pub index: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    pub delta: Option<ChatDelta>,
    #[serde(deserialize_with = "lenient")]
    pub message: Option<ChatDelta>,
    #[serde(deserialize_with = "lenient")]
    pub finish_reason: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub error: Option<Value>,
}

/// What a chunk adds.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ChatDelta {
    #[serde(deserialize_with = "lenient")]
    pub content: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub refusal: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub reasoning: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub reasoning_content: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub reasoning_details: Option<Vec<Value>>,
    #[serde(deserialize_with = "lenient")]
    pub tool_calls: Option<Vec<CallPiece>>,
}

/// A piece of a tool call.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CallPiece {
    #[serde(deserialize_with = "lenient")]
    pub index: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    pub id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub function: Option<FunctionPiece>,
}

/// A piece of what is called.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct FunctionPiece {
    #[serde(deserialize_with = "lenient")]
    pub name: Option<String>,
    /// Text by the book; some servers send the object itself.
    #[serde(deserialize_with = "lenient")]
    pub arguments: Option<Value>,
}

/// What the call used.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ChatUsage {
    #[serde(deserialize_with = "lenient")]
    prompt_tokens: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    completion_tokens: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    prompt_cache_hit_tokens: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(deserialize_with = "lenient")]
    completion_tokens_details: Option<CompletionDetails>,
    /// Dollars, as the text of the number: a float would round it.
    #[serde(deserialize_with = "lenient")]
    cost: Option<Box<RawValue>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PromptDetails {
    #[serde(deserialize_with = "lenient")]
    cached_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CompletionDetails {
    #[serde(deserialize_with = "lenient")]
    reasoning_tokens: Option<u64>,
}

impl ChatUsage {
    /// The counts; nonsense above 10¹² is cut off there.
    pub(super) fn tokens(&self) -> TokenUsage {
        let sane = |count: Option<u64>| count.unwrap_or(0).min(1_000_000_000_000);
        let cached = self
            .prompt_tokens_details
            .as_ref()
            .and_then(|details| details.cached_tokens)
            .or(self.prompt_cache_hit_tokens);
        let reasoning = self
            .completion_tokens_details
            .as_ref()
            .and_then(|details| details.reasoning_tokens);
        TokenUsage {
            input: sane(self.prompt_tokens),
            output: sane(self.completion_tokens),
            cached: sane(cached).min(sane(self.prompt_tokens)),
            reasoning: sane(reasoning),
        }
    }

    /// What the provider says it cost.
    pub(super) fn cost(&self) -> Option<NanoUsd> {
        NanoUsd::from_decimal(self.cost.as_ref()?.get().trim_matches('"'))
    }

    /// Whether it says anything that a price could be taken from.
    pub(super) fn counts(&self) -> bool {
        self.prompt_tokens.is_some() && self.completion_tokens.is_some()
    }
}

/// A request as it is sent. It is written as text once: the text is measured, and the same text is sent.
#[derive(Serialize)]
struct ChatRequest<'a> {
    model: &'a str,
    messages: &'a [Value],
    stream: bool,
    stream_options: StreamOptions,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<ReasoningOptions<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Value>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
struct ReasoningOptions<'a> {
    effort: &'a str,
}

/// The body of a request; `tools` is the text of a list.
///
/// # Errors
/// `internal`, for what no JSON can say.
pub(super) fn request(
    model: &str,
    messages: &[Value],
    tools: Option<&RawValue>,
    params: &SamplingParams,
    response_format: Option<Value>,
) -> Result<String, Failure> {
    let body = ChatRequest {
        model,
        messages,
        stream: true,
        stream_options: StreamOptions {
            include_usage: true,
        },
        tools,
        max_tokens: params.max_tokens,
        temperature: params.temperature,
        top_p: params.top_p,
        reasoning: params
            .reasoning_effort
            .as_deref()
            .map(|effort| ReasoningOptions { effort }),
        response_format,
    };
    serde_json::to_string(&body).map_err(Failure::internal)
}

fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str::<Option<T>>(raw.get()).unwrap_or(None))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn usage(text: &str) -> ChatUsage {
        serde_json::from_str::<ChatChunk>(&format!(r#"{{"usage":{text}}}"#))
            .unwrap()
            .usage
            .unwrap()
    }

    #[test]
    fn a_field_of_another_type_does_not_spoil_the_others() {
        let chunk: ChatChunk =
            serde_json::from_str(r#"{"id":7,"choices":[{"index":null,"delta":{"content":"x","tool_calls":"none"}}],"usage":null}"#)
                .unwrap();
        let choice = &chunk.choices.unwrap()[0];
        assert_eq!(chunk.id, None);
        assert_eq!(choice.delta.as_ref().unwrap().content.as_deref(), Some("x"));
        assert!(choice.delta.as_ref().unwrap().tool_calls.is_none());
    }

    #[test]
    fn usage_is_counted_without_floats_and_without_nonsense() {
        let told = usage(
            r#"{"prompt_tokens":100,"completion_tokens":20,"prompt_tokens_details":{"cached_tokens":60},
                "completion_tokens_details":{"reasoning_tokens":5},"cost":0.000123456}"#,
        );
        assert_eq!(
            told.tokens(),
            TokenUsage {
                input: 100,
                output: 20,
                cached: 60,
                reasoning: 5
            }
        );
        assert_eq!(told.cost(), Some(NanoUsd(123_456)));
        let odd =
            usage(r#"{"prompt_tokens":-4,"completion_tokens":9223372036854775808,"cost":-1}"#);
        assert_eq!(
            odd.tokens(),
            TokenUsage {
                input: 0,
                output: 1_000_000_000_000,
                cached: 0,
                reasoning: 0
            }
        );
        assert_eq!((odd.cost(), odd.counts()), (None, false));
        assert_eq!(
            usage(r#"{"prompt_tokens":10,"prompt_cache_hit_tokens":4,"cost":1.5e-7}"#)
                .tokens()
                .cached,
            4
        );
    }

    #[test]
    fn params_go_into_the_request_and_absent_ones_do_not() {
        let params = SamplingParams {
            temperature: Some(0.2),
            top_p: None,
            max_tokens: Some(900),
            reasoning_effort: Some("low".to_owned()),
            mode: Some("tools".to_owned()),
        };
        let body = request(
            "m",
            &[json!({"role": "user", "content": "x"})],
            None,
            &params,
            None,
        )
        .unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&body).unwrap(),
            json!({
                "model": "m", "messages": [{"role": "user", "content": "x"}], "stream": true, "stream_options": {"include_usage": true},
                "max_tokens": 900, "temperature": 0.2, "reasoning": {"effort": "low"}
            })
        );
    }
}
