//! One request until it is answered: sent, tried again where that helps, and its answer stored.
//!
//! The only layer that tries again. Each try is a call of its own in the ledger, reserved before it is
//! sent and closed before the next one. A pause that is too long to be slept here ends the work, and is the
//! engine's to wait out (`engine/waiting.rs`).

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{ChatWorker, OpenCall};
use crate::engine::agent::chat_completions::assemble::{AssembledAnswer, ModelAnswer};
use crate::engine::agent::chat_completions::fault::{ModelFault, pause};
use crate::engine::agent::chat_completions::turn_recorder::TurnRecorder;
use crate::engine::agent::chat_completions::{chat, structured};
use crate::engine::agent::{AnsweredCall, FailedCall, PlannedRetry};
use crate::engine::api::TextKind;
use crate::model::error::{Code, Failure, Result};
use crate::model::event::{CallStatus, LongWait, TokenUsage};
use crate::model::id::TurnId;
use crate::model::time::{Timestamp, human_duration, whole_ms};
use crate::store::failpoint::Step;

/// What became of a request.
pub(super) enum RequestOutcome {
    /// It was answered, and the answer is stored.
    Answer(TurnId, ModelAnswer),
    /// It was longer than the model takes.
    TooLong(ModelFault),
    /// The server asks for a longer wait than is slept in a call.
    Waits(LongWait),
    /// The work is stopped.
    Stopped,
}

/// What a pause led to.
enum RequestPause {
    /// It is over.
    Over,
    /// It is too long to be slept here.
    TooLong(LongWait),
    /// The work was stopped in it.
    Stopped,
}

impl<B: TurnRecorder> ChatWorker<'_, B> {
    /// Sends a reserved request, again where that helps, and stores its answer.
    pub(super) async fn ask(&self, mut open: OpenCall) -> Result<RequestOutcome> {
        let mut tries = 1 + self.tries.swap(0, Ordering::Relaxed);
        loop {
            let begun = Instant::now();
            if self.stop.now.is_cancelled() {
                self.give_up(open.turn, CallStatus::Failed, begun).await?;
                return Ok(RequestOutcome::Stopped);
            }
            // A summary is no word of the agent's.
            let show = |kind, text: &str| {
                if !open.sums_up {
                    self.book.text(kind, text)
                }
            };
            Step::CallSent.before();
            let asked = tokio::select! {
                biased;
                () = self.stop.now.cancelled() => None,
                asked = self.wire.ask(open.reserve.number, &open.body, &show) => Some(asked),
            };
            Step::CallSent.after();
            match asked {
                None => {
                    self.give_up(open.turn, CallStatus::Unknown, begun).await?;
                    return Ok(RequestOutcome::Stopped);
                }
                Some(Ok(assembled)) => {
                    return self
                        .store(open, assembled, begun)
                        .await
                        .map(|(turn, answer)| RequestOutcome::Answer(turn, answer));
                }
                Some(Err(fault)) => {
                    let failed = FailedCall {
                        status: fault.call_status(),
                        code: fault.code,
                        latency_ms: whole_ms(begun.elapsed()),
                    };
                    let changed = !fault.too_long && self.without_schema(&mut open, &fault);
                    let next = self
                        .next_try(tries, &fault)
                        .filter(|_| !changed && !fault.too_long);
                    self.book.failed(open.turn, failed, next).await?;
                    if fault.too_long {
                        return Ok(RequestOutcome::TooLong(fault));
                    }
                    if changed {
                        open.turn = self.book.reserve(open.reserve.clone()).await?;
                        continue;
                    }
                    let Some(next) = next else {
                        return Err(fault.into_failure(tries));
                    };
                    match self.pause(open.turn, next, &fault).await {
                        RequestPause::Over => {}
                        RequestPause::TooLong(wait) => return Ok(RequestOutcome::Waits(wait)),
                        RequestPause::Stopped => return Ok(RequestOutcome::Stopped),
                    }
                    open.turn = self.book.reserve(open.reserve.clone()).await?;
                    tries += 1;
                }
            }
        }
    }

    /// Takes the schema out of a request that the server refused with it; says whether that may help. The
    /// schema stands in the prompt as well.
    fn without_schema(&self, open: &mut OpenCall, fault: &ModelFault) -> bool {
        if !matches!(fault.status, Some(400 | 404 | 415 | 422 | 501)) {
            return false;
        }
        let Some(without) = structured::without_schema(&open.body) else {
            return false;
        };
        self.schema_refused.store(true, Ordering::Relaxed);
        open.body = without;
        self.book.adapted(&format!(
            "the server takes no schema; asked without it ({})",
            fault.words
        ));
        true
    }

    /// When a call is tried again after this many tries, where that may help.
    fn next_try(&self, tries: u32, fault: &ModelFault) -> Option<PlannedRetry> {
        if !fault.tried_again(tries, self.pace.max_tries) {
            return None;
        }
        let wait = pause(tries, self.pace.base, rand::random(), fault.retry_after);
        let wait_ms = whole_ms(wait);
        let until = (wait > self.pace.longest)
            .then(|| Timestamp(Timestamp::now().0.saturating_add_unsigned(wait_ms)));
        Some(PlannedRetry {
            tries,
            status: fault.status,
            code: fault.code,
            wait_ms,
            until,
        })
    }

    /// Waits before the next try, where that is not for too long.
    async fn pause(&self, turn_id: TurnId, next: PlannedRetry, fault: &ModelFault) -> RequestPause {
        let PlannedRetry {
            tries,
            status,
            code,
            wait_ms,
            until,
        } = next;
        let long = human_duration(wait_ms);
        if let Some(until) = until {
            self.book.text(
                TextKind::Note,
                &format!("{}; the server asks to wait for {long}", fault.words),
            );
            return RequestPause::TooLong(LongWait {
                turn_id,
                tries,
                status,
                code,
                wait_ms,
                until,
            });
        }
        self.book.text(
            TextKind::Note,
            &format!(
                "{}; next try in {long} ({}/{})",
                fault.words,
                tries + 1,
                self.pace.max_tries
            ),
        );
        tokio::select! {
            biased;
            () = self.stop.asked() => RequestPause::Stopped,
            () = tokio::time::sleep(Duration::from_millis(wait_ms)) => RequestPause::Over,
        }
    }

    async fn store(
        &self,
        open: OpenCall,
        assembled: AssembledAnswer,
        begun: Instant,
    ) -> Result<(TurnId, ModelAnswer)> {
        let AssembledAnswer {
            mut answer,
            usage,
            request_id,
            repaired,
        } = assembled;
        if open.sums_up || self.structured {
            answer.calls.clear();
        }
        let repaired = repaired.filter(|_| !answer.calls.is_empty());
        if let Some(words) = &repaired {
            self.book.text(TextKind::Note, words);
        }
        let tokens = usage
            .as_ref()
            .map_or_else(TokenUsage::default, chat::ChatUsage::tokens);
        let (cost, estimated) = match &usage {
            Some(usage) if usage.cost().is_some() => (usage.cost(), false),
            Some(usage) if usage.counts() => (self.prices.cost(&self.model, tokens), false),
            _ => (open.reserve.reserved, open.reserve.reserved.is_some()),
        };
        let text = serde_json::to_string(&answer)
            .map_err(|error| Failure::internal(format!("an answer cannot be stored: {error}")))?;
        let tools: Vec<_> = answer
            .runnable()
            .iter()
            .map(|call| (call.id.clone(), call.name.clone(), call.arguments.clone()))
            .collect();
        let latency_ms = whole_ms(begun.elapsed());
        let answered = AnsweredCall {
            answer: text,
            tools,
            tokens,
            cost,
            estimated,
            latency_ms,
            provider_request_id: request_id,
            repaired,
        };
        if self.conversation.is_empty() && answered.tools.is_empty() {
            self.book.defer_answer(open.turn, answered)?;
        } else {
            self.book.answered(open.turn, answered).await?;
        }
        Ok((open.turn, answer))
    }

    async fn give_up(&self, turn: TurnId, status: CallStatus, begun: Instant) -> Result<()> {
        let failed = FailedCall {
            status,
            code: Code::LlmUnreachable,
            latency_ms: whole_ms(begun.elapsed()),
        };
        self.book.failed(turn, failed, None).await
    }
}
