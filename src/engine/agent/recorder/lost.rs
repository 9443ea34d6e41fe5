//! Calls that gave no answer: how each is closed, and what it is charged.

use super::FailedCall;
use crate::model::error::{Code, Result};
use crate::model::event::{CallStatus, JournalEvent, RunFact, TokenUsage};
use crate::model::id::{RunId, TurnId};
use crate::model::money::NanoUsd;
use crate::model::time::Timestamp;
use crate::store::failpoint::planted::{self, Bug};
use crate::store::journal;
use crate::store::tables::{ledger, turns};

/// What is known of a call whose caller is gone: it may have been answered and billed.
const LOST: FailedCall = FailedCall {
    status: CallStatus::Unknown,
    code: Code::LlmUnreachable,
    latency_ms: 0,
};

/// Closes every call of a run that is still open, when nobody is left who could: after a crash, and
/// after work that broke off. Until then its turn's number is taken and its money is not charged.
///
/// # Errors
/// What the store says.
pub fn close_lost_calls(tx: &rusqlite::Connection, run_id: RunId) -> Result<Vec<JournalEvent>> {
    let mut events = Vec::new();
    for call in turns::open(tx, run_id)? {
        let facts = close_call(tx, call.turn_id, &LOST)?;
        events.extend(journal::append(tx, run_id, &facts, Timestamp::now())?);
    }
    Ok(events)
}

/// Closes a call that gave no answer; says the fact that belongs to it. An unknown outcome is charged
/// at the reserve, because the provider may have billed it.
///
/// # Errors
/// What the store says.
pub(super) fn close_call(
    tx: &rusqlite::Connection,
    turn: TurnId,
    failed: &FailedCall,
) -> Result<Vec<RunFact>> {
    let Some((number, row)) = ledger::of_turn(tx, turn)? else {
        return Ok(Vec::new());
    };
    let (status, latency_ms) = (failed.status, failed.latency_ms);
    let estimated = status == CallStatus::Unknown;
    let charge = if estimated && !planted::is(Bug::LostCallFree) {
        row.reserved
    } else {
        Some(NanoUsd(0))
    };
    let failure = turns::CallFailure {
        status,
        code: failed.code,
        latency_ms,
        charge,
        estimated,
    };
    turns::failed(tx, turn, &failure, Timestamp::now())?;
    Ok(vec![RunFact::LlmCalled {
        phase_key: row.phase_key,
        attempt: row.attempt,
        turn_id: turn,
        turn: number,
        model: row.model,
        tokens: TokenUsage::default(),
        cost: charge,
        estimated,
        latency_ms,
        status,
    }])
}
