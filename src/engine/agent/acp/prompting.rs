//! One prompt: sent, served until the program has answered, and called off where it must not go on.
//!
//! It is called off when the work is told to stop, when the operator must be asked, and when it has cost
//! so much that a limit is reached. The program gets a while to say that it has stopped; what it did and
//! what that cost is known until then, and stored.

use std::time::Duration;

use super::serve::{RequestTable, serve};
use super::work::SessionError;
use crate::engine::agent::acp::connection::{AcpConnection, cut, value};
use crate::engine::agent::acp::transport::{RpcMessage, RpcRefusal};
use crate::engine::agent::acp::update_sink::UpdateSink;
use crate::engine::agent::acp::updates::UpdateParser;
use crate::engine::agent::tools::Toolbox;
use crate::model::error::Code;
use crate::model::question::ToolQuestion;
use agent_client_protocol_schema::v1::PromptRequest;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

/// How often what was said is stored, while it is said.
const STORE_EVERY: Duration = Duration::from_secs(1);
/// How long a program may take to stop a prompt that is called off.
const CANCEL_GRACE: Duration = Duration::from_secs(5);

/// How a prompt ended.
pub enum PromptOutcome {
    /// Why the program stopped, in the protocol's word, and what was heard.
    Answered(String, UpdateParser),
    /// It was called off, and the program has said so.
    Cancelled(UpdateParser),
    /// It was called off to ask the operator.
    Asks(UpdateParser, Box<ToolQuestion>),
    /// It was called off because of what it cost; and whether the program has said so.
    TooDear(UpdateParser, bool),
}

/// Why a prompt is called off.
enum CancelReason {
    Stop,
    Asks(Box<ToolQuestion>),
    TooDear,
}

/// How the hearing of a prompt ended.
enum PromptEnd {
    /// Why the program stopped, in the protocol's word.
    Told(String),
    /// It was called off; and whether the program has said so.
    CalledOff(CancelReason, bool),
}

/// What comes next while a program works.
enum PromptEvent {
    Said(RpcMessage),
    MustStop,
    GraceIsOver,
    MustStore,
    IsSilent,
}

/// The clocks of one prompt.
struct PromptWatch {
    patience: Duration,
    silent_at: Instant,
    warned: bool,
    store_at: Instant,
    called_off: Option<(CancelReason, Instant)>,
}

impl PromptWatch {
    fn new(patience: Duration) -> Self {
        let now = Instant::now();
        Self {
            patience,
            silent_at: now + patience,
            warned: false,
            store_at: now + STORE_EVERY,
            called_off: None,
        }
    }

    fn heard(&mut self) {
        (self.silent_at, self.warned) = (Instant::now() + self.patience, false);
    }

    /// Notes that the program is silent: told once, and the second time it counts as broken.
    async fn silent(&mut self, hearing: &UpdateSink<'_>) -> Result<(), SessionError> {
        if self.warned {
            let words = format!("silent for {} s", self.patience.as_secs() * 2);
            return Err(SessionError::Program(Code::PaneBrieflyUnresponsive, words));
        }
        (self.silent_at, self.warned) = (Instant::now() + self.patience, true);
        Ok(hearing.unresponsive(self.patience).await?)
    }

    /// What to do with a program that was told to stop and does not say that it has.
    fn given_up(&mut self) -> Result<PromptEnd, SessionError> {
        match self.called_off.take() {
            Some((CancelReason::TooDear, _)) => {
                Ok(PromptEnd::CalledOff(CancelReason::TooDear, false))
            }
            Some((CancelReason::Asks(question), _)) => Err(SessionError::Asks(question)),
            Some((CancelReason::Stop, _)) | None => Err(SessionError::Stopped),
        }
    }
}

impl AcpConnection<'_> {
    /// Sends a prompt and serves the program until it has answered.
    ///
    /// # Errors
    /// How the program broke; what the desk says. What was said until then is stored.
    pub async fn prompt(
        &mut self,
        there: &str,
        text: &str,
        mut hearing: UpdateSink<'_>,
        tools: &Toolbox,
        table: &RequestTable<'_>,
    ) -> Result<PromptOutcome, SessionError> {
        let request = PromptRequest::new(there.to_owned(), vec![text.into()]);
        let id = self
            .wire
            .ask("session/prompt", &value(&request)?)
            .await
            .map_err(cut)?;
        let worked = self.hear(there, id, &mut hearing, tools, table).await;
        hearing.store().await?;
        Ok(match worked? {
            PromptEnd::Told(stop) => PromptOutcome::Answered(stop, hearing.heard),
            PromptEnd::CalledOff(CancelReason::Stop, _) => PromptOutcome::Cancelled(hearing.heard),
            PromptEnd::CalledOff(CancelReason::Asks(question), _) => {
                PromptOutcome::Asks(hearing.heard, question)
            }
            PromptEnd::CalledOff(CancelReason::TooDear, said) => {
                PromptOutcome::TooDear(hearing.heard, said)
            }
        })
    }

    /// Until the program has answered a prompt, or has not stopped it in time.
    async fn hear(
        &mut self,
        there: &str,
        prompt: u64,
        hearing: &mut UpdateSink<'_>,
        tools: &Toolbox,
        table: &RequestTable<'_>,
    ) -> Result<PromptEnd, SessionError> {
        let mut watch = PromptWatch::new(Duration::from_secs(
            self.agent.settings.idle_timeout_seconds,
        ));
        loop {
            let message = match self.wait(&watch, hearing.waits()).await? {
                PromptEvent::Said(message) => message,
                PromptEvent::MustStop => {
                    self.call_off(there, &mut watch, CancelReason::Stop).await?;
                    continue;
                }
                PromptEvent::GraceIsOver => return watch.given_up(),
                PromptEvent::MustStore => {
                    hearing.store().await?;
                    watch.store_at = Instant::now() + STORE_EVERY;
                    continue;
                }
                PromptEvent::IsSilent => {
                    watch.silent(hearing).await?;
                    continue;
                }
            };
            watch.heard();
            match message {
                RpcMessage::Answer { id, outcome, .. } if id == prompt => {
                    let answer =
                        outcome.map_err(|refusal| self.refused("session/prompt", &refusal))?;
                    hearing.heard.told.usage(&answer["usage"]);
                    return Ok(match watch.called_off.take() {
                        Some((why, _)) => PromptEnd::CalledOff(why, true),
                        None => PromptEnd::Told(
                            answer["stopReason"].as_str().unwrap_or_default().to_owned(),
                        ),
                    });
                }
                RpcMessage::Answer { .. } => {}
                RpcMessage::Notice {
                    method,
                    params,
                    bytes,
                } => {
                    hearing.count(bytes)?;
                    if method == "session/update" {
                        hearing.update(params).await?;
                        if hearing.costs_too_much().await? {
                            self.call_off(there, &mut watch, CancelReason::TooDear)
                                .await?;
                        }
                    }
                }
                RpcMessage::Request {
                    id,
                    method,
                    params,
                    bytes,
                } => {
                    hearing.count(bytes)?;
                    let (answer, asks) = self
                        .serve(&watch, hearing, tools, table, &method, params)
                        .await?;
                    if let Some(question) = asks {
                        self.call_off(there, &mut watch, CancelReason::Asks(Box::new(question)))
                            .await?;
                    }
                    self.wire.answer(&id, answer).await.map_err(cut)?;
                }
                RpcMessage::Noise(line) => self.noise(&line)?,
            }
            if hearing.is_full() {
                hearing.store().await?;
            }
        }
    }

    /// Waits for whatever comes first.
    async fn wait(
        &mut self,
        watch: &PromptWatch,
        waits: bool,
    ) -> Result<PromptEvent, SessionError> {
        let called_off = watch.called_off.as_ref().map(|(_, until)| *until);
        Ok(tokio::select! {
            biased;
            () = self.stop.now.cancelled(), if called_off.is_none() => PromptEvent::MustStop,
            () = sleep_until(called_off.unwrap_or(watch.silent_at)), if called_off.is_some() => PromptEvent::GraceIsOver,
            message = self.wire.next() => PromptEvent::Said(message.map_err(cut)?),
            () = sleep_until(watch.store_at), if waits => PromptEvent::MustStore,
            () = sleep_until(watch.silent_at) => PromptEvent::IsSilent,
        })
    }

    /// Tells the program to stop, once; the first reason counts.
    async fn call_off(
        &mut self,
        there: &str,
        watch: &mut PromptWatch,
        why: CancelReason,
    ) -> Result<(), SessionError> {
        if watch.called_off.is_some() {
            return Ok(());
        }
        watch.called_off = Some((why, Instant::now() + CANCEL_GRACE));
        self.wire
            .tell("session/cancel", &json!({ "sessionId": there }))
            .await
            .map_err(cut)
    }

    /// What a program is answered, and what the operator must be asked first. In a prompt that is called off
    /// nothing is permitted any more.
    async fn serve(
        &self,
        watch: &PromptWatch,
        hearing: &mut UpdateSink<'_>,
        tools: &Toolbox,
        table: &RequestTable<'_>,
        method: &str,
        params: Value,
    ) -> Result<(Result<Value, RpcRefusal>, Option<ToolQuestion>), SessionError> {
        if watch.called_off.is_some() && method == "session/request_permission" {
            return Ok((Ok(json!({"outcome": {"outcome": "cancelled"}})), None));
        }
        let served = serve(tools, table, method, params).await;
        if let Some((arguments, done)) = served.record {
            hearing.served(arguments, done).await?;
        }
        Ok((served.answer, served.asks))
    }
}
