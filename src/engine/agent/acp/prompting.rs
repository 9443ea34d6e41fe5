//! One prompt: sent, served until the program has answered, and called off where it must not go on.
//!
//! It is called off when the work is told to stop, when the operator must be asked, and when it has cost
//! so much that a limit is reached. The program gets a while to say that it has stopped; what it did and
//! what that cost is known until then, and stored.

use std::time::Duration;

use agent_client_protocol_schema::v1::PromptRequest;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::heard::Heard;
use super::hearing::Hearing;
use super::line::{Line, cut, value};
use super::serve::{Table, serve};
use super::wire::{Message, Refusal};
use super::work::Broken;
use crate::engine::agent::tools::Toolbox;
use crate::model::error::Code;
use crate::model::question::ToolQuestion;

/// How often what was said is stored, while it is said.
const STORE_EVERY: Duration = Duration::from_secs(1);
/// How long a program may take to stop a prompt that is called off.
const CANCEL_GRACE: Duration = Duration::from_secs(5);

/// How a prompt ended.
pub enum Prompted {
    /// Why the program stopped, in the protocol's word, and what was heard.
    Answered(String, Heard),
    /// It was called off, and the program has said so.
    Cancelled(Heard),
    /// It was called off to ask the operator.
    Asks(Heard, Box<ToolQuestion>),
    /// It was called off because of what it cost; and whether the program has said so.
    TooDear(Heard, bool),
}

/// Why a prompt is called off.
enum Why {
    Stop,
    Asks(Box<ToolQuestion>),
    TooDear,
}

/// How the hearing of a prompt ended.
enum Ended {
    /// Why the program stopped, in the protocol's word.
    Told(String),
    /// It was called off; and whether the program has said so.
    CalledOff(Why, bool),
}

/// What comes next while a program works.
enum Next {
    Said(Message),
    MustStop,
    GraceIsOver,
    MustStore,
    IsSilent,
}

/// The clocks of one prompt.
struct Watch {
    patience: Duration,
    silent_at: Instant,
    warned: bool,
    store_at: Instant,
    called_off: Option<(Why, Instant)>,
}

impl Watch {
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
    async fn silent(&mut self, hearing: &Hearing<'_>) -> Result<(), Broken> {
        if self.warned {
            let words = format!("silent for {} s", self.patience.as_secs() * 2);
            return Err(Broken::Program(Code::PaneBrieflyUnresponsive, words));
        }
        (self.silent_at, self.warned) = (Instant::now() + self.patience, true);
        Ok(hearing.unresponsive(self.patience).await?)
    }

    /// What to do with a program that was told to stop and does not say that it has.
    fn given_up(&mut self) -> Result<Ended, Broken> {
        match self.called_off.take() {
            Some((Why::TooDear, _)) => Ok(Ended::CalledOff(Why::TooDear, false)),
            Some((Why::Asks(question), _)) => Err(Broken::Asks(question)),
            Some((Why::Stop, _)) | None => Err(Broken::Stopped),
        }
    }
}

impl Line<'_> {
    /// Sends a prompt and serves the program until it has answered.
    ///
    /// # Errors
    /// How the program broke; what the desk says. What was said until then is stored.
    pub async fn prompt(
        &mut self,
        there: &str,
        text: &str,
        mut hearing: Hearing<'_>,
        tools: &Toolbox,
        table: &Table<'_>,
    ) -> Result<Prompted, Broken> {
        let request = PromptRequest::new(there.to_owned(), vec![text.into()]);
        let id = self
            .wire
            .ask("session/prompt", &value(&request)?)
            .await
            .map_err(cut)?;
        let worked = self.hear(there, id, &mut hearing, tools, table).await;
        hearing.store().await?;
        Ok(match worked? {
            Ended::Told(stop) => Prompted::Answered(stop, hearing.heard),
            Ended::CalledOff(Why::Stop, _) => Prompted::Cancelled(hearing.heard),
            Ended::CalledOff(Why::Asks(question), _) => Prompted::Asks(hearing.heard, question),
            Ended::CalledOff(Why::TooDear, said) => Prompted::TooDear(hearing.heard, said),
        })
    }

    /// Until the program has answered a prompt, or has not stopped it in time.
    async fn hear(
        &mut self,
        there: &str,
        prompt: u64,
        hearing: &mut Hearing<'_>,
        tools: &Toolbox,
        table: &Table<'_>,
    ) -> Result<Ended, Broken> {
        let mut watch = Watch::new(Duration::from_secs(
            self.agent.settings.idle_timeout_seconds,
        ));
        loop {
            let message = match self.wait(&watch, hearing.waits()).await? {
                Next::Said(message) => message,
                Next::MustStop => {
                    self.call_off(there, &mut watch, Why::Stop).await?;
                    continue;
                }
                Next::GraceIsOver => return watch.given_up(),
                Next::MustStore => {
                    hearing.store().await?;
                    watch.store_at = Instant::now() + STORE_EVERY;
                    continue;
                }
                Next::IsSilent => {
                    watch.silent(hearing).await?;
                    continue;
                }
            };
            watch.heard();
            match message {
                Message::Answer { id, outcome, .. } if id == prompt => {
                    let answer =
                        outcome.map_err(|refusal| self.refused("session/prompt", &refusal))?;
                    hearing.heard.told.usage(&answer["usage"]);
                    return Ok(match watch.called_off.take() {
                        Some((why, _)) => Ended::CalledOff(why, true),
                        None => Ended::Told(
                            answer["stopReason"].as_str().unwrap_or_default().to_owned(),
                        ),
                    });
                }
                Message::Answer { .. } => {}
                Message::Notice {
                    method,
                    params,
                    bytes,
                } => {
                    hearing.count(bytes)?;
                    if method == "session/update" {
                        hearing.update(params).await?;
                        if hearing.costs_too_much().await? {
                            self.call_off(there, &mut watch, Why::TooDear).await?;
                        }
                    }
                }
                Message::Request {
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
                        self.call_off(there, &mut watch, Why::Asks(Box::new(question)))
                            .await?;
                    }
                    self.wire.answer(&id, answer).await.map_err(cut)?;
                }
                Message::Noise(line) => self.noise(&line)?,
            }
            if hearing.is_full() {
                hearing.store().await?;
            }
        }
    }

    /// Waits for whatever comes first.
    async fn wait(&mut self, watch: &Watch, waits: bool) -> Result<Next, Broken> {
        let called_off = watch.called_off.as_ref().map(|(_, until)| *until);
        Ok(tokio::select! {
            biased;
            () = self.stop.now.cancelled(), if called_off.is_none() => Next::MustStop,
            () = sleep_until(called_off.unwrap_or(watch.silent_at)), if called_off.is_some() => Next::GraceIsOver,
            message = self.wire.next() => Next::Said(message.map_err(cut)?),
            () = sleep_until(watch.store_at), if waits => Next::MustStore,
            () = sleep_until(watch.silent_at) => Next::IsSilent,
        })
    }

    /// Tells the program to stop, once; the first reason counts.
    async fn call_off(&mut self, there: &str, watch: &mut Watch, why: Why) -> Result<(), Broken> {
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
        watch: &Watch,
        hearing: &mut Hearing<'_>,
        tools: &Toolbox,
        table: &Table<'_>,
        method: &str,
        params: Value,
    ) -> Result<(Result<Value, Refusal>, Option<ToolQuestion>), Broken> {
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
