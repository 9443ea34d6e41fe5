//! What is heard during one prompt, and where it goes: to whoever watches, to the transcript, to the book.

use std::time::Duration;

use super::counters::UsageCounters;
use super::work::SessionError;
use crate::engine::agent::acp::session_store;
use crate::engine::agent::acp::updates::UpdateParser;
use crate::engine::agent::{AttemptRecorder, FinishedCall};
use crate::engine::api::TextKind;
use crate::model::error::{Code, Failure};
use crate::model::id::TurnId;
use crate::model::money::NanoUsd;
use crate::model::time::whole_ms;
use crate::store::tables::sessions::TranscriptKind;
use agent_client_protocol_schema::v1::SessionNotification;
use serde_json::Value;

/// What a program may say in one prompt, in bytes.
const MAX_PROMPT_BYTES: usize = 256 * 1024 * 1024;
/// How much of what is said in one prompt is stored, in bytes.
const MAX_STORED_BYTES: usize = 16 * 1024 * 1024;
/// How much that was said may wait to be stored, in bytes.
const STORE_AT_BYTES: usize = 64 * 1024;

/// What is heard during a prompt, and where it goes.
pub struct UpdateSink<'a> {
    desk: &'a AttemptRecorder,
    turn: TurnId,
    /// Everything that was heard.
    pub heard: UpdateParser,
    /// The counters before this prompt.
    known: UsageCounters,
    cost: Option<NanoUsd>,
    waiting: Vec<(TranscriptKind, String)>,
    waits: usize,
    stored: usize,
    said: usize,
}

impl<'a> UpdateSink<'a> {
    /// Nothing heard yet, in a turn of a session with these counters.
    pub fn of(desk: &'a AttemptRecorder, turn: TurnId, known: UsageCounters) -> Self {
        Self {
            desk,
            turn,
            heard: UpdateParser::default(),
            known,
            cost: None,
            waiting: Vec::new(),
            waits: 0,
            stored: 0,
            said: 0,
        }
    }

    /// Takes note of how much was said.
    ///
    /// # Errors
    /// `agent_limit_reached` when that is too much.
    pub fn count(&mut self, bytes: usize) -> Result<(), SessionError> {
        self.said += bytes;
        if self.said <= MAX_PROMPT_BYTES {
            return Ok(());
        }
        let words = format!(
            "the agent program said more than {} MiB in one prompt",
            MAX_PROMPT_BYTES / 1024 / 1024
        );
        Err(SessionError::Final(
            Failure::new(Code::AgentLimitReached, words)
                .hint("approve to have it go on, or take another program"),
        ))
    }

    /// Takes an update in: its text is shown, its calls are recorded.
    ///
    /// # Errors
    /// What the desk says.
    pub async fn update(&mut self, params: Value) -> Result<(), SessionError> {
        // Kinds of updates that this program does not know are none of its business.
        let Ok(notification) = serde_json::from_value::<SessionNotification>(params) else {
            return Ok(());
        };
        let pieces = self.heard.take(notification);
        for (kind, text) in pieces.said {
            self.say(kind, text);
        }
        if let Some(done) = pieces.done {
            self.desk.tool_finished(self.turn, &done).await?;
        }
        Ok(())
    }

    /// Takes in what the program was served.
    ///
    /// # Errors
    /// What the desk says.
    pub async fn served(
        &mut self,
        arguments: String,
        done: FinishedCall,
    ) -> Result<(), SessionError> {
        let Some(done) = self.heard.served(arguments, done) else {
            return Ok(());
        };
        let end = if done.denied.is_some() {
            ": refused"
        } else {
            ""
        };
        self.say(
            TranscriptKind::Tool,
            format!("{} {}{end}", done.tool, done.target),
        );
        Ok(self.desk.tool_finished(self.turn, &done).await?)
    }

    fn say(&mut self, kind: TranscriptKind, text: String) {
        let shown = match kind {
            TranscriptKind::Answer => TextKind::Answer,
            TranscriptKind::Reasoning => TextKind::Reasoning,
            TranscriptKind::Tool => TextKind::Tool,
        };
        self.desk.text(
            shown,
            &if kind == TranscriptKind::Tool {
                text.replace('\n', " ")
            } else {
                text.clone()
            },
        );
        if self.stored > MAX_STORED_BYTES {
            return;
        }
        (self.stored, self.waits) = (self.stored + text.len(), self.waits + text.len());
        if kind == TranscriptKind::Answer {
            self.heard.answer.push_str(&text);
        }
        match self.waiting.last_mut() {
            Some((last, waiting)) if *last == kind && kind != TranscriptKind::Tool => {
                waiting.push_str(&text)
            }
            _ => self.waiting.push((kind, text)),
        }
    }

    /// Whether the prompt has cost so much by now that a limit is reached. Looked at when the cost has changed.
    ///
    /// # Errors
    /// What the desk says.
    pub async fn costs_too_much(&mut self) -> Result<bool, Failure> {
        let (cost, ..) = self.heard.told.since(self.known);
        if cost == self.cost {
            return Ok(false);
        }
        self.cost = cost;
        match cost {
            Some(cost) => self.desk.has_reached_a_limit(cost).await,
            None => Ok(false),
        }
    }

    /// Whether something waits to be stored.
    pub fn waits(&self) -> bool {
        self.waits > 0
    }

    /// Whether so much waits that it is stored now.
    pub fn is_full(&self) -> bool {
        self.waits >= STORE_AT_BYTES
    }

    /// Stores what waits.
    ///
    /// # Errors
    /// What the store says.
    pub async fn store(&mut self) -> Result<(), Failure> {
        self.waits = 0;
        session_store::said(self.desk, self.turn, std::mem::take(&mut self.waiting)).await
    }

    /// Tells once that the program is silent, before it counts as broken.
    ///
    /// # Errors
    /// What the desk says.
    pub async fn unresponsive(&self, patience: Duration) -> Result<(), Failure> {
        let wait_ms = whole_ms(patience);
        self.desk.text(
            TextKind::Note,
            &format!(
                "no word for {} s; waiting as long again",
                patience.as_secs()
            ),
        );
        self.desk
            .retried(self.turn, 0, None, Code::PaneBrieflyUnresponsive, wait_ms)
            .await
    }
}
