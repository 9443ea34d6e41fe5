//! Sends notifications through a command or a webhook.
//!
//! A host worker reads stored events, delivers the relevant ones through each configured channel,
//! and stores its position. Delivery is at least once, even if the host dies in between. Events
//! from before notifications were first enabled are not delivered. Notifications never delay a run.

use std::sync::Arc;

use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use self::message::{NotificationMessage, matters};
use super::gate_token;
use crate::engine::api::EngineSignal;
use crate::engine::outbound::retry::retry;
use crate::engine::run::context::EngineContext;
use crate::model::error::{Failure, Result};
use crate::model::event::{JournalEvent, RunFact};
use crate::model::id::RunId;
use crate::model::state::ApprovalStatus;
use crate::model::time::Timestamp;
use crate::store::journal::events;
use crate::store::tables::{approvals, notices, runs};

mod hook;
mod message;
mod webhook;

/// Events per read.
const PAGE: u32 = 256;
/// Attempts per channel and notification.
const TRIES: u32 = 5;

/// Delivers notifications until `closing`, then the remaining ones. Returns at once if no channel
/// is configured.
pub async fn run(context: Arc<EngineContext>, closing: CancellationToken) {
    let settings = &context.settings.notify;
    if settings.command.is_empty() && settings.webhook.is_empty() {
        return;
    }
    let webhook = match webhook::WebhookClient::new(settings) {
        Ok(webhook) => webhook,
        Err(failure) => return tracing::error!(%failure, "no webhook"),
    };
    let mut signals = context.journal.subscribe();
    let teller = NotificationWorker {
        context: Arc::clone(&context),
        webhook,
    };
    if let Err(failure) = teller.catch_up().await {
        tracing::warn!(%failure, "could not look for notices that were not told");
    }
    loop {
        let signal = tokio::select! {
            signal = signals.recv() => signal,
            () = closing.cancelled() => Err(RecvError::Closed),
        };
        let told = match signal {
            Ok(EngineSignal::Event(event)) if matters(&event.fact, &context.settings.notify) => {
                teller.run_moved(event.run_id).await
            }
            Ok(EngineSignal::Lagged) | Err(RecvError::Lagged(_)) => teller.catch_up().await,
            Ok(_) => Ok(()),
            Err(RecvError::Closed) => {
                if let Err(failure) = teller.catch_up().await {
                    tracing::warn!(%failure, "the next host tells what is left");
                }
                return;
            }
        };
        if let Err(failure) = told {
            tracing::warn!(%failure, "could not tell a notice");
        }
    }
}

struct NotificationWorker {
    context: Arc<EngineContext>,
    webhook: Option<webhook::WebhookClient>,
}

impl NotificationWorker {
    /// Delivers what the last host did not. Runs without a stored position start at their pending
    /// approval.
    async fn catch_up(&self) -> Result<()> {
        for run in self.context.journal.read(notices::behind).await? {
            self.run_moved(run).await?;
        }
        Ok(())
    }

    /// Delivers all relevant events of a run after its stored position.
    async fn run_moved(&self, run: RunId) -> Result<()> {
        loop {
            let events = self
                .context
                .journal
                .read(move |conn| events::from(conn, run, notices::last(conn, run)? + 1, PAGE))
                .await?;
            let Some(last) = events.last().map(|event| event.seq) else {
                return Ok(());
            };
            for event in events
                .iter()
                .filter(|event| matters(&event.fact, &self.context.settings.notify))
            {
                self.tell(event).await?;
                self.told(run, event.seq).await?;
            }
            self.told(run, last).await?;
        }
    }

    async fn told(&self, run: RunId, seq: u64) -> Result<()> {
        self.context
            .journal
            .store
            .write(move |tx| notices::advance(tx, run, seq))
            .await
    }

    async fn tell(&self, event: &JournalEvent) -> Result<()> {
        let Some(message) = self.message(event).await? else {
            return Ok(());
        };
        let settings = &self.context.settings.notify;
        // The failed channel was logged; the next notification tries it again.
        if !settings.command.is_empty() {
            let again = |failure: &Failure| is_worth_another_try("the notify command", failure);
            let _ = retry(TRIES, again, || hook::tell(&settings.command, &message)).await;
        }
        if let Some(webhook) = &self.webhook {
            let again = |failure: &Failure| is_worth_another_try("the webhook", failure);
            let _ = retry(TRIES, again, || webhook.tell(&message)).await;
        }
        Ok(())
    }

    /// Returns the notification to send; none if the approval was resolved meanwhile.
    async fn message(&self, event: &JournalEvent) -> Result<Option<NotificationMessage>> {
        let (id, asked) = (event.run_id, asked(&event.fact));
        let read = move |conn: &rusqlite::Connection| {
            let question = approvals::of_run(conn, id)?
                .into_iter()
                .find(|question| Some(question.id) == asked);
            Ok((runs::get(conn, id)?, question))
        };
        let (run, question) = self.context.journal.read(read).await?;
        if asked.is_some()
            && question
                .as_ref()
                .is_none_or(|question| question.state != ApprovalStatus::Pending)
        {
            return Ok(None);
        }
        let token = match &question {
            Some(question) => {
                let (text, store) = gate_token::mint(question, Timestamp::now());
                self.context.journal.store.write(store).await?;
                Some(text)
            }
            None => None,
        };
        Ok(Some(NotificationMessage::new(
            event,
            &run,
            question.as_ref(),
            token,
        )))
    }
}

fn asked(fact: &RunFact) -> Option<crate::model::id::RequestId> {
    if let RunFact::ApprovalRequested { request_id, .. } = fact {
        Some(*request_id)
    } else {
        None
    }
}

fn is_worth_another_try(way: &str, failure: &Failure) -> bool {
    tracing::warn!(%failure, way, "a notice was not taken");
    failure.class() == crate::model::error::ErrorClass::Recoverable
}
