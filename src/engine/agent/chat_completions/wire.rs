//! One request and its stream: exactly one call to the provider, never more.
//!
//! Trying again is the loop's work, because each try is a call with a ledger row of its own. The
//! key leaves for the configured origin only (redirects are off), and no text that leaves this room
//! carries it.

use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::{Client, Response, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::assemble::{AnswerAssembler, AssembledAnswer, StreamError};
use super::fault::{ModelFault, RetryAdvice, described, retry_after};
use super::sse::{SseDecoder, SseEvent};
use crate::engine::api::TextKind;
use crate::engine::outbound::http;
use crate::model::error::{Code, Failure, Result};
use crate::model::settings::OpenAiSettings;
use crate::model::time::Timestamp;

/// How much of an error's body is read, in bytes, and shown, in characters.
const ERROR_BYTES: usize = 64 * 1024;
const ERROR_CHARS: usize = 300;
/// How much of an answer that is no stream is read, in bytes.
const PLAIN_BYTES: usize = 4 << 20;
/// How much of a list of models is read, in bytes.
const LIST_BYTES: usize = 16 << 20;

/// How long each part of a call may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamLimits {
    /// Until connected.
    pub connect: Duration,
    /// From the request to the first byte of the reply.
    pub first_byte: Duration,
    /// Between two bytes.
    pub idle: Duration,
    /// Between two events with data; comments keep a connection open but say nothing.
    pub silence: Duration,
    /// Altogether.
    pub total: Duration,
}

impl StreamLimits {
    /// The limits of the settings, and fixed ones beside them.
    pub(super) fn of(settings: &OpenAiSettings) -> Self {
        let idle = Duration::from_secs(settings.idle_timeout_seconds.max(1));
        Self {
            connect: Duration::from_secs(settings.connect_timeout_seconds.max(1)),
            first_byte: idle * 2,
            idle,
            silence: Duration::from_secs(600),
            total: Duration::from_secs(900),
        }
    }
}

/// Shows a piece of text as it comes.
pub(super) type ShowText<'a> = &'a (dyn Fn(TextKind, &str) + Sync);

/// The way to one endpoint.
pub(super) struct ChatTransport {
    // Where there are no certificates there is no client; who asks no model must not be hindered by that.
    client: Result<Client>,
    url: Url,
    key: Option<SecretString>,
    limits: StreamLimits,
    /// What the provider said when it refused the key.
    key_refused: Mutex<Option<ModelFault>>,
}

impl ChatTransport {
    /// Makes the client; nothing is sent.
    ///
    /// # Errors
    /// `config_invalid` naming the base URL, header or key variable that cannot be used.
    pub(super) fn new(
        settings: &OpenAiSettings,
        key: Option<SecretString>,
        limits: StreamLimits,
    ) -> Result<Self> {
        let url = endpoint(&settings.base_url)?;
        let builder = http::client(&url)
            .default_headers(headers(settings, key.as_ref())?)
            .connect_timeout(limits.connect);
        let client = builder.build().map_err(|error| {
            Failure::new(Code::BackendUnavailable, format!("no HTTP client can be made: {}", innermost(&error)))
                .hint("install the system's certificates (the package is mostly called ca-certificates), and look at the proxy variables")
        });
        Ok(Self {
            client,
            url,
            key,
            limits,
            key_refused: Mutex::default(),
        })
    }

    /// Whether anything can be asked.
    ///
    /// # Errors
    /// `backend_unavailable` when there is no client.
    pub(super) fn ready(&self) -> Result<()> {
        self.client.as_ref().map(drop).map_err(Clone::clone)
    }

    fn client(&self) -> Result<&Client, ModelFault> {
        self.client
            .as_ref()
            .map_err(|failure| ModelFault::senseless(&failure.message, RetryAdvice::Never))
    }

    /// Sends one request, whose `body` is JSON, and reads its answer to the end. Dropping the future ends the call.
    ///
    /// # Errors
    /// The fault, without secrets. After a refused key the same again, and nothing is sent.
    pub(super) async fn ask(
        &self,
        turn: u32,
        body: &str,
        show: ShowText<'_>,
    ) -> Result<AssembledAnswer, ModelFault> {
        if let Some(fault) = self.key_refused() {
            return Err(fault);
        }
        let too_long = || {
            ModelFault::lost(
                format!(
                    "the answer took longer than {} s",
                    self.limits.total.as_secs()
                ),
                true,
            )
        };
        let asked =
            tokio::time::timeout(self.limits.total, self.ask_unbounded(turn, body, show)).await;
        asked.unwrap_or_else(|_| Err(too_long())).map_err(|fault| {
            self.remembered(ModelFault {
                words: self.safe(&fault.words),
                ..fault
            })
        })
    }

    /// How the provider refused the key, until that is forgotten.
    pub(super) fn key_refused(&self) -> Option<ModelFault> {
        self.key_refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Lets the next call be sent with the same key.
    pub(super) fn forget_refusal(&self) {
        *self
            .key_refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Has this wire know that its key was refused.
    #[cfg(test)]
    pub(super) fn refuse(&self, said: &str) {
        self.remembered(ModelFault::of_status(
            reqwest::StatusCode::UNAUTHORIZED,
            said,
            None,
        ));
    }

    /// Keeps a refusal of the key for everybody who would ask with it.
    fn remembered(&self, fault: ModelFault) -> ModelFault {
        if fault.refuses_key() {
            let words = format!(
                "the key was refused at {}, so {} was not asked: {}",
                Timestamp::now().local_clock(),
                self.host(),
                fault.words
            );
            let again = ModelFault {
                words,
                billable: false,
                ..fault.clone()
            };
            self.key_refused
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert(again);
        }
        fault
    }

    /// What the provider says of its models. Nobody waits for it, so it is asked once.
    ///
    /// # Errors
    /// The fault, without secrets.
    pub(super) async fn models(&self) -> Result<Value, ModelFault> {
        let mut url = self.url.clone();
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop().pop().push("models");
        }
        let asked =
            tokio::time::timeout(self.limits.first_byte, self.client()?.get(url).send()).await;
        let response = match asked {
            Ok(Ok(response)) if response.status().is_success() => response,
            Ok(Ok(response)) => return Err(self.refused(response).await),
            Ok(Err(error)) => return Err(self.not_sent(&error)),
            Err(_) => {
                return Err(ModelFault::lost(
                    format!(
                        "{} told no models within {:?}",
                        self.host(),
                        self.limits.first_byte
                    ),
                    false,
                ));
            }
        };
        let (body, whole) = read_up_to(response, LIST_BYTES, self.limits.idle).await;
        let list = serde_json::from_slice(&body).ok().filter(|_| whole);
        list.ok_or_else(|| {
            ModelFault::senseless(
                format!("{} told no list of models", self.host()),
                RetryAdvice::Never,
            )
        })
    }

    async fn ask_unbounded(
        &self,
        turn: u32,
        body: &str,
        show: ShowText<'_>,
    ) -> Result<AssembledAnswer, ModelFault> {
        let request = self
            .client()?
            .post(self.url.clone())
            .header(ACCEPT, "text/event-stream")
            .header(CONTENT_TYPE, "application/json");
        let sent = request.body(body.to_owned()).send();
        let response = match tokio::time::timeout(self.limits.first_byte, sent).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(self.not_sent(&error)),
            Err(_) => {
                return Err(ModelFault::lost(
                    format!(
                        "{} did not answer within {:?}",
                        self.host(),
                        self.limits.first_byte
                    ),
                    true,
                ));
            }
        };
        if !response.status().is_success() {
            return Err(self.refused(response).await);
        }
        let kind = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let reading = StreamReader {
            limits: self.limits,
            assembly: AnswerAssembler::of_turn(turn),
            show,
        };
        if kind.starts_with("application/json") {
            reading.plain(response).await
        } else if kind.starts_with("text/html") {
            Err(ModelFault::senseless(
                format!("{} sent a web page in place of an answer", self.host()),
                RetryAdvice::Once,
            ))
        } else {
            reading.stream(response).await
        }
    }

    async fn refused(&self, response: Response) -> ModelFault {
        let status = response.status();
        let wait = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok());
        let wait = wait.and_then(|text| retry_after(text, jiff::Timestamp::now()));
        let (body, _) = read_up_to(response, ERROR_BYTES, self.limits.idle).await;
        ModelFault::of_status(status, &said(&body), wait)
    }

    fn not_sent(&self, error: &reqwest::Error) -> ModelFault {
        let words = innermost(error);
        let fault = ModelFault::lost(
            format!("cannot reach {}: {words}", self.host()),
            !error.is_connect(),
        );
        // A certificate does not become good by asking again.
        if !words.contains("certificate") {
            return fault;
        }
        let hint = "look at the address in 'openai.base_url' and at the machine's clock, or add the authority to the system's certificates; \
                    there is no switch that does without";
        ModelFault {
            retry: RetryAdvice::Never,
            hint: hint.to_owned(),
            ..fault
        }
    }

    fn host(&self) -> &str {
        self.url.host_str().unwrap_or("the provider")
    }

    /// Words that may be shown and stored: one line, of bounded length, without the key.
    fn safe(&self, words: &str) -> String {
        let key = self
            .key
            .as_ref()
            .map(|key| key.expose_secret())
            .filter(|key| !key.is_empty());
        let words = key.map_or_else(|| words.to_owned(), |key| words.replace(key, "***"));
        let line: String = words
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(ERROR_CHARS)
            .collect();
        line.trim().to_owned()
    }
}

/// A reply being read.
struct StreamReader<'a> {
    limits: StreamLimits,
    assembly: AnswerAssembler,
    show: ShowText<'a>,
}

impl StreamReader<'_> {
    async fn stream(mut self, mut response: Response) -> Result<AssembledAnswer, ModelFault> {
        let mut decoder = SseDecoder::default();
        let mut heard = Instant::now();
        let broken_off = loop {
            match tokio::time::timeout(self.limits.idle, response.chunk()).await {
                Ok(Ok(Some(bytes))) => {
                    let events = decoder.push(&bytes).map_err(|fault| {
                        ModelFault::senseless(fault.to_string(), RetryAdvice::Once)
                    })?;
                    if !events.is_empty() {
                        heard = Instant::now();
                    }
                    events.iter().try_for_each(|event| self.take(event))?;
                }
                Ok(Ok(None)) => {
                    // An event without its last blank line may be half of one: it counts only when it can be read.
                    if let Ok(Some(event)) = decoder.finish() {
                        let _ = self.take(&event);
                    }
                    break "the provider's stream ended before the answer did".to_owned();
                }
                Ok(Err(_)) => break "the connection broke in the middle of the answer".to_owned(),
                Err(_) => break format!("the stream was silent for {:?}", self.limits.idle),
            }
            if self.assembly.done() {
                break String::new();
            }
            if heard.elapsed() > self.limits.silence {
                break format!("nothing but comments came for {:?}", self.limits.silence);
            }
        };
        let begun = self.assembly.begun();
        self.assembly.end().map_err(|broken| match broken {
            StreamError::Cut => ModelFault::lost(broken_off, true),
            broken => ModelFault::of_broken(&broken, begun),
        })
    }

    /// An answer in one piece, from a server that does not stream.
    async fn plain(mut self, response: Response) -> Result<AssembledAnswer, ModelFault> {
        let (body, whole) = read_up_to(response, PLAIN_BYTES, self.limits.idle).await;
        if !whole {
            return Err(ModelFault::of_broken(&StreamError::Cut, true));
        }
        let data = String::from_utf8(body).map_err(|_| {
            ModelFault::senseless("the provider's answer is no UTF-8 text", RetryAdvice::Once)
        })?;
        self.take(&SseEvent {
            name: String::new(),
            data,
        })?;
        let begun = self.assembly.begun();
        self.assembly
            .end()
            .map_err(|broken| ModelFault::of_broken(&broken, begun))
    }

    fn take(&mut self, event: &SseEvent) -> Result<(), ModelFault> {
        let taken = if event.name == "error" {
            Err(StreamError::Error(error_of(&event.data)))
        } else {
            self.assembly.take(&event.data)
        };
        let shown =
            taken.map_err(|broken| ModelFault::of_broken(&broken, self.assembly.begun()))?;
        shown
            .iter()
            .for_each(|(kind, text)| (self.show)(*kind, text));
        Ok(())
    }
}

/// The first `limit` bytes of a body, and whether that was all of it.
async fn read_up_to(mut response: Response, limit: usize, idle: Duration) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        match tokio::time::timeout(idle, response.chunk()).await {
            Ok(Ok(Some(bytes))) => body.extend_from_slice(&bytes),
            Ok(Ok(None)) => return (body, true),
            Ok(Err(_)) | Err(_) => return (body, false),
        }
        if body.len() > limit {
            body.truncate(limit);
            return (body, false);
        }
    }
}

/// What the body of an error says: its message and kind where it has them, else its text.
fn said(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let Ok(json) = serde_json::from_str::<Value>(&text) else {
        return text.trim().to_owned();
    };
    let error = json.get("error").unwrap_or(&json);
    let (words, kinds) = described(error);
    let words = words.unwrap_or_else(|| text.trim().to_owned());
    if kinds.is_empty() {
        words
    } else {
        format!("{words} ({kinds})")
    }
}

fn error_of(data: &str) -> Value {
    let json: Value = serde_json::from_str(data).unwrap_or_else(|_| Value::String(data.to_owned()));
    json.get("error").cloned().unwrap_or(json)
}

/// The words of the error behind all others.
fn innermost(error: &reqwest::Error) -> String {
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn endpoint(base_url: &str) -> Result<Url> {
    const HINT: &str = "set 'openai.base_url' to something like https://openrouter.ai/api/v1";
    let mut url = Url::parse(base_url.trim())
        .map_err(|error| invalid(format!("'openai.base_url' is no URL: {error}"), HINT))?;
    let known = matches!(url.scheme(), "http" | "https") && url.has_host();
    if !known || !url.username().is_empty() || url.password().is_some() {
        return Err(invalid(
            "'openai.base_url' must be an http or https address without a name or password in it"
                .to_owned(),
            HINT,
        ));
    }
    if let Ok(mut parts) = url.path_segments_mut() {
        parts.pop_if_empty().extend(["chat", "completions"]);
    }
    Ok(url)
}

fn headers(settings: &OpenAiSettings, key: Option<&SecretString>) -> Result<HeaderMap> {
    let (mut headers, mut mistakes) = (HeaderMap::new(), Vec::new());
    for (name, value) in &settings.headers {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(mut value)) => {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
            _ => mistakes.push(format!("'openai.headers.{name}' is no HTTP header")),
        }
    }
    if let Some(key) = key {
        match HeaderValue::try_from(format!("Bearer {}", key.expose_secret())) {
            Ok(mut value) => {
                value.set_sensitive(true);
                headers.insert(AUTHORIZATION, value);
            }
            Err(_) => mistakes.push(format!(
                "the key in {} has characters that no header may have",
                settings.key_env
            )),
        }
    }
    if mistakes.is_empty() {
        Ok(headers)
    } else {
        Err(invalid(
            mistakes.join("; "),
            "correct the settings or the variable",
        ))
    }
}

fn invalid(words: String, hint: &str) -> Failure {
    Failure::new(Code::ConfigInvalid, words).hint(hint)
}

#[cfg(test)]
mod tests;
