//! What can go wrong on the wire, and what each fault calls for: its code, its words, another try or
//! none, and whether anything may have been billed.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use super::assemble::StreamError;
use crate::model::error::{Code, Failure};
use crate::model::event::CallStatus;

/// The longest pause between two tries that we come to ourselves.
pub(super) const MAX_PAUSE: Duration = Duration::from_secs(60);
/// The longest wait that a server may ask for; a longer one is cut to it.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether another try may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RetryAdvice {
    /// It would end the same.
    Never,
    /// Once more, in case it was a slip.
    Once,
    /// As often as there are tries.
    Always,
}

/// One call that gave no answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ModelFault {
    /// The stable code.
    pub code: Code,
    /// What happened, without secrets.
    pub words: String,
    /// What to do.
    pub hint: String,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// Whether the provider may bill the call.
    pub billable: bool,
    /// Whether to try again.
    pub retry: RetryAdvice,
    /// How long the server asks to wait.
    pub retry_after: Option<Duration>,
    /// Whether the request was longer than the model takes.
    pub too_long: bool,
}

impl ModelFault {
    /// A fault between us and the server, tried again.
    pub(super) fn lost(words: impl Into<String>, billable: bool) -> Self {
        Self {
            code: Code::LlmUnreachable,
            words: words.into(),
            hint: "check the network and 'openai.base_url', then resume the run".to_owned(),
            status: None,
            billable,
            retry: RetryAdvice::Always,
            retry_after: None,
            too_long: false,
        }
    }

    /// An answer that cannot be used, though it may be paid.
    pub(super) fn senseless(words: impl Into<String>, retry: RetryAdvice) -> Self {
        let hint = "resume the run to ask again; if it stays, try another model".to_owned();
        Self {
            code: Code::LlmBadResponse,
            hint,
            retry,
            ..Self::lost(words, true)
        }
    }

    /// A status other than success, with what its body says.
    pub(super) fn of_status(status: StatusCode, said: &str, retry_after: Option<Duration>) -> Self {
        let number = status.as_u16();
        let (code, retry, hint) = kind_of(number, said);
        let name = status.canonical_reason().unwrap_or("unknown status");
        let words = format!(
            "the provider answered {number} {name}{}",
            if said.is_empty() {
                String::new()
            } else {
                format!(": {said}")
            }
        );
        let too_long = code == Code::LlmContextExceeded;
        Self {
            code,
            words,
            hint: hint.to_owned(),
            status: Some(number),
            billable: false,
            retry,
            retry_after,
            too_long,
        }
    }

    /// Chunks that make no answer; `begun` when part of one had come.
    pub(super) fn of_broken(broken: &StreamError, begun: bool) -> Self {
        match broken {
            StreamError::Cut => {
                Self::lost("the provider's stream ended before the answer did", true)
            }
            StreamError::Empty => {
                Self::senseless("the provider's answer is empty", RetryAdvice::Once)
            }
            StreamError::Malformed(what) => Self::senseless(
                format!("the provider's stream is not what it should be: {what}"),
                RetryAdvice::Once,
            ),
            StreamError::Error(error) => {
                let (number, said) = error_in_stream(error);
                let (code, retry, hint) = kind_of(number, &said);
                let words = format!("the provider broke off with an error: {said}");
                let too_long = code == Code::LlmContextExceeded;
                Self {
                    code,
                    hint: hint.to_owned(),
                    status: Some(number),
                    retry,
                    too_long,
                    ..Self::lost(words, begun)
                }
            }
        }
    }

    /// Whether the provider takes no call with this key.
    pub(super) fn refuses_key(&self) -> bool {
        self.code == Code::LlmAuth && matches!(self.status, Some(401 | 403))
    }

    /// How the ledger closes the call.
    pub(super) fn call_status(&self) -> CallStatus {
        if self.billable {
            CallStatus::Unknown
        } else {
            CallStatus::Failed
        }
    }

    /// Whether to try again after `tries` of at most `max_tries`.
    pub(super) fn tried_again(&self, tries: u32, max_tries: u32) -> bool {
        match self.retry {
            RetryAdvice::Never => false,
            RetryAdvice::Once => tries < max_tries.min(2),
            RetryAdvice::Always => tries < max_tries,
        }
    }

    /// The fault as it ends the work.
    pub(super) fn into_failure(self, tries: u32) -> Failure {
        let after = if tries > 1 {
            format!(" (after {tries} tries)")
        } else {
            String::new()
        };
        Failure::new(self.code, format!("{}{after}", self.words)).hint(self.hint)
    }
}

/// How long to wait before the next try: doubling from `base`, with `jitter` from 0 to 1, and never
/// less than the server asks for, up to a day.
pub(super) fn pause(
    tries: u32,
    base: Duration,
    jitter: f64,
    retry_after: Option<Duration>,
) -> Duration {
    let doubled = base.saturating_mul(1 << tries.saturating_sub(1).min(10));
    let jittered = doubled
        .min(MAX_PAUSE)
        .mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
    jittered.max(retry_after.unwrap_or_default().min(LONGEST_WAIT))
}

/// `Retry-After` in seconds or as a date; anything else is as if it were not there.
pub(super) fn retry_after(text: &str, now: jiff::Timestamp) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.parse().map_or(LONGEST_WAIT, Duration::from_secs));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}

fn kind_of(status: u16, said: &str) -> (Code, RetryAdvice, &'static str) {
    const KEY: &str = "mend the key where 'openai.key_env', 'openai.key_file' or 'openai.key_command' has it, then resume each run that waits for it";
    const HELD: &str =
        "change the requirements or the instructions, or take another model; resuming asks again";
    const MONEY: &str =
        "the account has no credit left: top it up at the provider, then resume the run";
    const LATER: &str = "wait a while, then resume the run";
    const LENGTH: &str = "take a model with a larger window, or give the phase less at once; 'openai.context_window' says how much fits";
    const REQUEST: &str = "check the persona's model and params against what the provider offers";
    let unpaid = status == 402
        || [
            "insufficient_quota",
            "billing_hard_limit",
            "exceeded your current quota",
        ]
        .iter()
        .any(|mark| said.contains(mark));
    match status {
        _ if unpaid => (Code::LlmAuth, RetryAdvice::Never, MONEY),
        // A gateway's moderation is about one prompt: it says nothing of the key.
        403 if ["moderation", "flagged"]
            .iter()
            .any(|mark| said.contains(mark)) =>
        {
            (Code::LlmBadResponse, RetryAdvice::Never, HELD)
        }
        413 => (Code::LlmContextExceeded, RetryAdvice::Never, LENGTH),
        400 | 422 | 500 if is_too_long(said) => {
            (Code::LlmContextExceeded, RetryAdvice::Never, LENGTH)
        }
        401 | 403 => (Code::LlmAuth, RetryAdvice::Never, KEY),
        429 => (Code::LlmRateLimited, RetryAdvice::Always, LATER),
        408 | 409 | 425 | 500..=599 => (Code::LlmOverloaded, RetryAdvice::Always, LATER),
        _ => (Code::LlmBadResponse, RetryAdvice::Never, REQUEST),
    }
}

/// Whether these are a server's words for a request that is longer than the model takes: of OpenAI and those who
/// speak like it, vLLM, llama.cpp, LiteLLM, Anthropic, Gemini, Mistral, text-generation-inference, LM Studio.
fn is_too_long(said: &str) -> bool {
    const MARKS: [&str; 13] = [
        "context_length_exceeded",
        "exceed_context_size",
        "contextwindowexceeded",
        "maximum context length",
        "available context size",
        "context window",
        "context length of",
        "prompt is too long",
        "input is too long",
        "request_too_large",
        "exceeds the maximum number of tokens",
        "reduce the length of the messages",
        "`max_new_tokens` must be",
    ];
    let said = said.to_lowercase();
    MARKS.iter().any(|mark| said.contains(mark))
}

/// The status that an error object stands for, and its words. Unknown kinds count as the server's
/// own trouble, which is what breaks a stream that had begun well.
fn error_in_stream(error: &Value) -> (u16, String) {
    let number = ["code", "status", "status_code"].iter().find_map(|key| {
        error[*key]
            .as_u64()
            .or_else(|| error[*key].as_str()?.parse().ok())
    });
    let (words, kinds) = described(error);
    let words = words.unwrap_or_else(|| "without a message".to_owned());
    let said = if kinds.is_empty() {
        words
    } else {
        format!("{words} ({kinds})")
    };
    let by_kind = [
        ("quota", 402),
        ("rate_limit", 429),
        ("overloaded", 529),
        ("auth", 401),
        ("permission", 403),
        ("invalid", 400),
        ("not_found", 404),
    ];
    let named = || {
        by_kind
            .iter()
            .find(|(mark, _)| kinds.contains(mark))
            .map(|(_, status)| *status)
    };
    (
        number
            .and_then(|number| u16::try_from(number).ok())
            .or_else(named)
            .unwrap_or(500),
        said,
    )
}

/// What an error object says: its message with what a provider behind a gateway said, and its kinds.
pub(super) fn described(error: &Value) -> (Option<String>, String) {
    let kinds: Vec<&str> = ["type", "code"]
        .iter()
        .filter_map(|key| error[*key].as_str())
        .collect();
    let words = error["message"].as_str().or(error.as_str()).map(|words| {
        match error["metadata"]["raw"].as_str() {
            Some(raw) => format!("{words}: {raw}"),
            None => words.to_owned(),
        }
    });
    (words, kinds.join(" "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_status_has_its_code_and_only_some_are_tried_again() {
        use Code::{LlmAuth, LlmBadResponse, LlmContextExceeded, LlmOverloaded, LlmRateLimited};
        for (status, said, code, retry) in [
            (301, "", LlmBadResponse, RetryAdvice::Never),
            (400, "", LlmBadResponse, RetryAdvice::Never),
            (401, "", LlmAuth, RetryAdvice::Never),
            (402, "", LlmAuth, RetryAdvice::Never),
            (403, "", LlmAuth, RetryAdvice::Never),
            (
                403,
                "your input was flagged",
                LlmBadResponse,
                RetryAdvice::Never,
            ),
            (404, "", LlmBadResponse, RetryAdvice::Never),
            (408, "", LlmOverloaded, RetryAdvice::Always),
            (409, "", LlmOverloaded, RetryAdvice::Always),
            (413, "", LlmContextExceeded, RetryAdvice::Never),
            (422, "", LlmBadResponse, RetryAdvice::Never),
            (425, "", LlmOverloaded, RetryAdvice::Always),
            (429, "", LlmRateLimited, RetryAdvice::Always),
            (429, "no (insufficient_quota)", LlmAuth, RetryAdvice::Never),
            (500, "", LlmOverloaded, RetryAdvice::Always),
            (503, "", LlmOverloaded, RetryAdvice::Always),
            (529, "", LlmOverloaded, RetryAdvice::Always),
        ] {
            let fault = ModelFault::of_status(StatusCode::from_u16(status).unwrap(), said, None);
            assert_eq!(
                (fault.code, fault.retry, fault.billable),
                (code, retry, false),
                "{status} {said}"
            );
        }
    }

    #[test]
    fn every_servers_word_for_too_long_is_known_and_others_are_not() {
        for (status, said) in [
            (
                400,
                "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (invalid_request_error context_length_exceeded)",
            ),
            (
                400,
                "This model's maximum context length is 4096 tokens. However, your request has 5000 input tokens. (BadRequestError)",
            ),
            (
                400,
                "the request exceeds the available context size, try increasing it (exceed_context_size_error)",
            ),
            (
                500,
                "the request exceeds the available context size. try increasing the context size or enable context shift",
            ),
            (
                400,
                "litellm.ContextWindowExceededError: litellm.BadRequestError: ... (400)",
            ),
            (
                400,
                "prompt is too long: 213462 tokens > 200000 maximum (invalid_request_error)",
            ),
            (
                413,
                "Request exceeds the maximum allowed number of bytes (request_too_large)",
            ),
            (
                400,
                "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            ),
            (
                400,
                "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
            ),
            (
                422,
                "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097. Given: 5000 (validation)",
            ),
            (
                400,
                "Please reduce the length of the messages or completion. (invalid_request_error context_length_exceeded)",
            ),
            (
                400,
                "The model is loaded with context length of only 4096 tokens, which is not enough",
            ),
        ] {
            let fault = ModelFault::of_status(StatusCode::from_u16(status).unwrap(), said, None);
            assert_eq!(
                (fault.code, fault.retry, fault.too_long),
                (Code::LlmContextExceeded, RetryAdvice::Never, true),
                "{said}"
            );
        }
        for (status, said) in [
            (400, "temperature is too high"),
            (404, "no model with that context window"),
            (429, "too long a queue"),
        ] {
            assert!(
                !ModelFault::of_status(StatusCode::from_u16(status).unwrap(), said, None).too_long,
                "{said}"
            );
        }
        let inner = json!({"code": "context_length_exceeded", "message": "too much", "type": "invalid_request_error"});
        assert!(ModelFault::of_broken(&StreamError::Error(inner), false).too_long);
    }

    #[test]
    fn an_error_in_a_stream_is_of_its_inner_kind() {
        for (error, status, code, retry) in [
            (
                json!({"code": 502, "message": "upstream"}),
                502,
                Code::LlmOverloaded,
                RetryAdvice::Always,
            ),
            (
                json!({"code": "429", "message": "slow"}),
                429,
                Code::LlmRateLimited,
                RetryAdvice::Always,
            ),
            (
                json!({"type": "overloaded_error", "message": "busy"}),
                529,
                Code::LlmOverloaded,
                RetryAdvice::Always,
            ),
            (
                json!({"code": "rate_limit_exceeded"}),
                429,
                Code::LlmRateLimited,
                RetryAdvice::Always,
            ),
            (
                json!({"code": "insufficient_quota"}),
                402,
                Code::LlmAuth,
                RetryAdvice::Never,
            ),
            (
                json!({"type": "invalid_request_error"}),
                400,
                Code::LlmBadResponse,
                RetryAdvice::Never,
            ),
            (
                json!("plain words"),
                500,
                Code::LlmOverloaded,
                RetryAdvice::Always,
            ),
        ] {
            let fault = ModelFault::of_broken(&StreamError::Error(error.clone()), true);
            assert_eq!(
                (fault.status, fault.code, fault.retry),
                (Some(status), code, retry),
                "{error}"
            );
            assert_eq!(fault.call_status(), CallStatus::Unknown);
            assert_eq!(
                ModelFault::of_broken(&StreamError::Error(error), false).call_status(),
                CallStatus::Failed
            );
        }
    }

    #[test]
    fn retry_after_is_read_in_both_forms_and_rubbish_is_none() {
        let now: jiff::Timestamp = "1994-11-06T08:49:07Z".parse().unwrap();
        for (text, seconds) in [
            ("0", Some(0)),
            (" 12 ", Some(12)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(30)),
            ("Sun, 06 Nov 1994 08:48:37 GMT", Some(0)),
            ("99999999999999999999999999999", Some(86_400)),
            ("-5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(
                retry_after(text, now),
                seconds.map(Duration::from_secs),
                "{text}"
            );
        }
    }

    #[test]
    fn pauses_double_obey_the_server_and_have_a_limit() {
        let second = Duration::from_secs(1);
        assert_eq!(pause(1, second, 0.0, None), Duration::from_millis(500));
        assert_eq!(pause(1, second, 1.0, None), second);
        assert_eq!(pause(3, second, 1.0, None), Duration::from_secs(4));
        assert_eq!(
            pause(1, second, 1.0, Some(Duration::from_secs(12))),
            Duration::from_secs(12)
        );
        assert_eq!(
            pause(3, second, 1.0, Some(Duration::ZERO)),
            Duration::from_secs(4)
        );
        assert_eq!(pause(u32::MAX, second, 1.0, None), MAX_PAUSE);
        for (asked, waits) in [
            (61, 61),
            (9_999, 9_999),
            (86_400, 86_400),
            (86_401, 86_400),
            (u64::MAX, 86_400),
        ] {
            assert_eq!(
                pause(1, second, 1.0, Some(Duration::from_secs(asked))),
                Duration::from_secs(waits)
            );
        }
    }

    #[test]
    fn tries_are_counted_by_the_kind_of_fault() {
        let fault = |retry| ModelFault::senseless("x", retry);
        let tries = |retry| {
            (1..9)
                .take_while(|tries| fault(retry).tried_again(*tries, 5))
                .count()
                + 1
        };
        assert_eq!(
            [
                tries(RetryAdvice::Never),
                tries(RetryAdvice::Once),
                tries(RetryAdvice::Always)
            ],
            [1, 2, 5]
        );
        assert!(!fault(RetryAdvice::Once).tried_again(1, 1));
    }
}
