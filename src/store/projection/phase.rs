//! The rows of phases.

use rusqlite::{Connection, OptionalExtension as _};

use super::RunHead;
use crate::model::error::{Code, Failure, Result};
use crate::model::event::JournalEvent;
use crate::model::id::PhaseKey;
use crate::model::money::{CallCost, NanoUsd};
use crate::model::state::PhaseStatus;

pub(super) fn insert_all(tx: &Connection, head: &mut RunHead, phases: &[PhaseKey]) -> Result<()> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO run_phases (run_id, position, phase_key) VALUES (?1, ?2, ?3)",
    )?;
    for (position, key) in (0_i64..).zip(phases) {
        insert.execute((head.run_id.to_string(), position, key.as_str()))?;
    }
    head.phases_moved = true;
    Ok(())
}

pub(super) fn started(
    tx: &Connection,
    head: &mut RunHead,
    key: &PhaseKey,
    attempt: u32,
    event: &JournalEvent,
) -> Result<()> {
    head.started_at.get_or_insert(event.at);
    enter(tx, head, key, PhaseStatus::Running, event)?;
    tx.prepare_cached(
        "UPDATE run_phases SET attempt = ?3, artifact_sha256 = NULL, artifact_path = NULL, started_at_ms = coalesce(started_at_ms, ?4) \
         WHERE run_id = ?1 AND phase_key = ?2",
    )?
    .execute((head.run_id.to_string(), key.as_str(), attempt, event.at.0))?;
    Ok(())
}

pub(super) fn completed(
    tx: &Connection,
    head: &mut RunHead,
    key: &PhaseKey,
    commit: Option<&str>,
    event: &JournalEvent,
) -> Result<()> {
    enter(tx, head, key, PhaseStatus::Completed, event)?;
    tx.prepare_cached(
        "UPDATE run_phases SET commit_hash = ?3 WHERE run_id = ?1 AND phase_key = ?2",
    )?
    .execute((head.run_id.to_string(), key.as_str(), commit))?;
    Ok(())
}

/// Leaves a phase out; of one that this run completed itself it says no more than that.
pub(super) fn skipped(
    tx: &Connection,
    head: &mut RunHead,
    key: &PhaseKey,
    event: &JournalEvent,
) -> Result<()> {
    must_exist(tx, head, key, event)?;
    let mut query = tx.prepare_cached(
        "SELECT 1 FROM run_phases WHERE run_id = ?1 AND phase_key = ?2 AND state = 'completed'",
    )?;
    if query.exists((head.run_id.to_string(), key.as_str()))? {
        Ok(())
    } else {
        enter(tx, head, key, PhaseStatus::Skipped, event)
    }
}

/// Goes to `to`; an end is noted with its moment.
pub(super) fn enter(
    tx: &Connection,
    head: &mut RunHead,
    key: &PhaseKey,
    to: PhaseStatus,
    event: &JournalEvent,
) -> Result<()> {
    let ended = matches!(
        to,
        PhaseStatus::Completed | PhaseStatus::Failed | PhaseStatus::Skipped
    )
    .then_some(event.at.0);
    let run = head.run_id.to_string();
    let mut before =
        tx.prepare_cached("SELECT state FROM run_phases WHERE run_id = ?1 AND phase_key = ?2")?;
    let before: Option<String> = before
        .query_row((&run, key.as_str()), |row| row.get(0))
        .optional()?;
    let changed = tx
        .prepare_cached("UPDATE run_phases SET state = ?3, ended_at_ms = coalesce(?4, ended_at_ms) WHERE run_id = ?1 AND phase_key = ?2")?
        .execute((run, key.as_str(), to.as_str(), ended))?;
    // Progress counts the phases that are done: to look at them all for any other change would cost more than the change.
    head.phases_moved |= is_done(to.as_str()) || before.as_deref().is_some_and(is_done);
    if changed == 1 {
        Ok(())
    } else {
        Err(unknown(key, event))
    }
}

fn is_done(state: &str) -> bool {
    matches!(state, "completed" | "skipped")
}

pub(super) fn called(
    tx: &Connection,
    head: &RunHead,
    key: &PhaseKey,
    cost: Option<NanoUsd>,
    event: &JournalEvent,
) -> Result<()> {
    let cost = CallCost::from_call(cost);
    let changed = tx
        .prepare_cached(
            "UPDATE run_phases SET cost_nano = cost_nano + ?3, unknown_calls = unknown_calls + ?4 WHERE run_id = ?1 AND phase_key = ?2",
        )?
        .execute((head.run_id.to_string(), key.as_str(), cost.known.0, cost.unknown_calls))?;
    if changed == 1 {
        Ok(())
    } else {
        Err(unknown(key, event))
    }
}

pub(super) fn must_exist(
    tx: &Connection,
    head: &RunHead,
    key: &PhaseKey,
    event: &JournalEvent,
) -> Result<()> {
    let mut query =
        tx.prepare_cached("SELECT 1 FROM run_phases WHERE run_id = ?1 AND phase_key = ?2")?;
    if query.exists((head.run_id.to_string(), key.as_str()))? {
        Ok(())
    } else {
        Err(unknown(key, event))
    }
}

fn unknown(key: &PhaseKey, event: &JournalEvent) -> Failure {
    Failure::new(
        Code::IllegalTransition,
        format!(
            "run {}: {} names phase '{key}', which the run does not have",
            event.run_id,
            event.fact.kind()
        ),
    )
    .hint("look at the run's events with `phasedeck events`")
}
