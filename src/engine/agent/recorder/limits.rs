//! What an attempt may use: money by the budgets, and tokens.
//!
//! Looked at in the transaction that reserves a call, where everything that was used is known. What was refused
//! is no call: the work ends before it, with everything before it stored.

use std::sync::{Arc, PoisonError};

use super::AttemptRecorder;
use crate::engine::agent::budget;
use crate::engine::agent::budget::{BudgetDecision, RunBudget};
use crate::model::error::{Code, Failure, Result};
use crate::model::event::JournalEvent;
use crate::model::money::NanoUsd;
use crate::model::question::BudgetQuestion;
use crate::model::time::Timestamp;
use crate::store::journal;
use crate::store::tables::{ledger, turns};

/// Why a call was not granted.
#[derive(Clone)]
pub(super) enum LimitRefusal {
    /// It would cross a budget.
    Budget(BudgetQuestion),
    /// So many tokens are used.
    Tokens(u64),
}

impl AttemptRecorder {
    /// Sets what may be spent; without limits unless set.
    #[must_use]
    pub fn within(mut self, budget: RunBudget) -> Self {
        self.budget = budget;
        self
    }

    /// Sets how many tokens the attempt may use between two words of the operator; 0, as it is unless set: as
    /// many as it needs.
    #[must_use]
    pub fn limited_to(mut self, max_tokens: u64) -> Self {
        self.max_tokens = max_tokens;
        self
    }

    /// The budget that refused a call, where one did: the work ended with `budget_exceeded` then.
    #[must_use]
    pub fn over_budget(&self) -> Option<BudgetQuestion> {
        match self
            .refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
        {
            Some(LimitRefusal::Budget(question)) => Some(question.clone()),
            _ => None,
        }
    }

    /// What sets money aside for a call, in the transaction of the caller; it says whether that was granted.
    pub(super) fn grant(
        &self,
    ) -> impl Fn(&rusqlite::Transaction<'_>, &turns::NewTurn, Timestamp) -> Result<Vec<JournalEvent>>
    + Clone
    + Send
    + use<> {
        let (budget, refused, run_id, max_tokens) = (
            self.budget.clone(),
            Arc::clone(&self.refused),
            self.run_id,
            self.max_tokens,
        );
        move |tx, turn, now| {
            let used = if max_tokens == 0 {
                0
            } else {
                ledger::tokens_of_stretch(tx, turn)?
            };
            let (facts, refusal) = match budget.check_call(tx, run_id, turn.reserved, now)? {
                _ if max_tokens > 0 && used >= max_tokens => {
                    (Vec::new(), Some(LimitRefusal::Tokens(used)))
                }
                BudgetDecision::Granted(facts) => {
                    turns::reserve(tx, turn, now)?;
                    (facts, None)
                }
                BudgetDecision::Refused(question) => (
                    budget::exceeded_fact(tx, run_id, &question)?
                        .into_iter()
                        .collect(),
                    Some(LimitRefusal::Budget(question)),
                ),
            };
            *refused.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
            journal::append(tx, run_id, &facts, now)
        }
    }

    pub(super) fn still_granted(&self) -> Result<()> {
        let refused = self
            .refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        match refused {
            None => Ok(()),
            Some(LimitRefusal::Budget(BudgetQuestion {
                scope,
                limit,
                spent,
                needed,
            })) => {
                let words = format!(
                    "the next call needs about {needed}, and {spent} of {limit} ({scope}) are spent"
                );
                let hint =
                    "raise the budget with `phasedeck approve RUN --raise 2.50`, or stop here";
                Err(Failure::new(Code::BudgetExceeded, words).hint(hint))
            }
            Some(LimitRefusal::Tokens(used)) => {
                let words = format!(
                    "the agent used {used} tokens of at most {} without being done",
                    self.max_tokens
                );
                let hint = "approve to give it as many again, raise 'engine.max_tokens', or make the phase smaller";
                Err(Failure::new(Code::AgentLimitReached, words).hint(hint))
            }
        }
    }

    /// Whether a call that goes on has reached a limit with what it has cost so far. Tells once where one
    /// comes near.
    ///
    /// # Errors
    /// What the store says.
    pub async fn has_reached_a_limit(&self, so_far: NanoUsd) -> Result<bool> {
        if self.budget.is_unlimited() {
            return Ok(false);
        }
        let (budget, run_id) = (self.budget.clone(), self.run_id);
        let verdict = self
            .journal
            .read(move |conn| budget.check_call_in_progress(conn, run_id, so_far, Timestamp::now()))
            .await?;
        match verdict {
            BudgetDecision::Refused(_) => Ok(true),
            BudgetDecision::Granted(near) if near.is_empty() => Ok(false),
            BudgetDecision::Granted(near) => self
                .store(move |tx| journal::append(tx, run_id, &near, Timestamp::now()))
                .await
                .map(|()| false),
        }
    }
}
