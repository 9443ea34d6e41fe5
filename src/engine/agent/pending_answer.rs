//! An answer that is paid and not yet stored.
//!
//! An answer whose tools are to run is stored before they do. One without tools is followed by nothing
//! but what the attempt makes of it, so it waits at the desk and goes into the transaction that says
//! that. A crash in between leaves its call open, as one a moment earlier would.

use crate::model::error::{Failure, Result};
use crate::model::event::{CallStatus, JournalEvent, RunFact};
use crate::model::id::{PhaseKey, RunId, TurnId};
use crate::model::time::Timestamp;
use crate::store::failpoint::planted::{self, Bug};
use crate::store::journal;
use crate::store::tables::{ledger, turns};

use super::AnsweredCall;

/// An answer with everything that is stored of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingAnswer {
    pub(super) run_id: RunId,
    pub(super) phase_key: PhaseKey,
    pub(super) attempt: u32,
    pub(super) turn: TurnId,
    pub(super) answered: AnsweredCall,
}

impl PendingAnswer {
    /// Stores the answer, its cost and the tools it wants.
    ///
    /// # Errors
    /// What the store says; the call is paid and open then.
    pub fn settle(self, tx: &rusqlite::Transaction<'_>) -> Result<Vec<JournalEvent>> {
        let (now, answered) = (Timestamp::now(), self.answered);
        let Some((number, call)) = ledger::of_turn(tx, self.turn)? else {
            // Where the run itself is gone, that is what whoever asked has to know.
            journal::append(tx, self.run_id, &[], now)?;
            return Err(Failure::internal(format!(
                "turn {} was never reserved",
                self.turn
            )));
        };
        let settlement = turns::TurnSettlement {
            tokens: answered.tokens,
            cost: answered.cost,
            estimated: answered.estimated,
            latency_ms: answered.latency_ms,
            provider_request_id: answered.provider_request_id,
            status: CallStatus::Ok,
        };
        turns::answered(
            tx,
            self.turn,
            &answered.answer,
            &answered.tools,
            &settlement,
            now,
        )?;
        let (phase_key, attempt, turn_id) = (self.phase_key.clone(), self.attempt, self.turn);
        let repaired = answered.repaired.map(|words| RunFact::LlmRepaired {
            phase_key,
            attempt,
            turn_id,
            words,
        });
        let fact = RunFact::LlmCalled {
            phase_key: self.phase_key,
            attempt: self.attempt,
            turn_id: self.turn,
            turn: number,
            model: call.model,
            tokens: answered.tokens,
            cost: answered.cost,
            estimated: answered.estimated,
            latency_ms: answered.latency_ms,
            status: CallStatus::Ok,
        };
        if planted::is(Bug::SettleApart) {
            tx.execute_batch("RELEASE job; COMMIT; BEGIN IMMEDIATE; SAVEPOINT job")
                .map_err(Failure::internal)?;
        }
        let facts: Vec<RunFact> = [fact].into_iter().chain(repaired).collect();
        journal::append(tx, self.run_id, &facts, now)
    }
}
