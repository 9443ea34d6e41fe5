//! Calls to models as a conversation: reserved, answered, settled, or void. Each step is one job of
//! the caller's, together with the ledger row that pays for it and the event that tells of it.

use super::ledger;
use crate::model::error::{Code, Failure, Result};
use crate::model::event::{CallStatus, TokenUsage, ToolOutcome};
use crate::model::id::{PhaseKey, RunId, TurnId};
use crate::model::money::NanoUsd;
use crate::model::record::{ToolRecord, TurnRecord, TurnStatus};
use crate::model::time::Timestamp;
use crate::store::tables::columns;
use rusqlite::Connection;

/// A call that is about to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTurn {
    /// Which; also its ledger row.
    pub id: TurnId,
    /// Of which run.
    pub run_id: RunId,
    /// Of which phase.
    pub phase_key: PhaseKey,
    /// In which attempt.
    pub attempt: u32,
    /// Whose turn: empty for the agent of the phase, else the call that began a sub-agent.
    pub conversation: String,
    /// From 1 within the conversation.
    pub number: u32,
    /// How often the operator's word had set the agent going again when it was reserved.
    pub stretch: u32,
    /// Who calls.
    pub persona: String,
    /// Which model is asked.
    pub model: String,
    /// What is set aside; absent when the price is unknown.
    pub reserved: Option<NanoUsd>,
}

/// What an answered call used and cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnSettlement {
    /// How it ended.
    pub status: CallStatus,
    /// What it used.
    pub tokens: TokenUsage,
    /// What it cost; absent when unknown.
    pub cost: Option<NanoUsd>,
    /// Whether the cost is the reserve, because the true one was not told.
    pub estimated: bool,
    /// From request to last byte.
    pub latency_ms: u64,
    /// The provider's name for the request.
    pub provider_request_id: Option<String>,
}

/// How a call came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFailure {
    /// `Failed` or `Unknown`.
    pub status: CallStatus,
    /// Why.
    pub code: Code,
    /// From request to failure.
    pub latency_ms: u64,
    /// What is charged for it; absent when unknown.
    pub charge: Option<NanoUsd>,
    /// Whether the charge is the reserve.
    pub estimated: bool,
}

/// What a tool said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolResult {
    /// The engine's own id, unique within the turn.
    pub call_id: String,
    /// The text the model gets.
    pub result: String,
    /// How it ended.
    pub outcome: ToolOutcome,
    /// How long it took.
    pub duration_ms: u64,
}

/// Stores that a call is about to be sent: the turn, and its open ledger row.
///
/// # Errors
/// `internal` when the number is taken by a turn that is not void; what the database says.
pub fn reserve(tx: &Connection, turn: &NewTurn, now: Timestamp) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO turns (id, run_id, phase_key, attempt, conversation, number, stretch, status, at_ms) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'reserved', ?8)",
    )?
    .execute((
        turn.id.to_string(),
        turn.run_id.to_string(),
        turn.phase_key.as_str(),
        turn.attempt,
        &turn.conversation,
        turn.number,
        turn.stretch,
        now.0,
    ))?;
    ledger::open_row(tx, turn, now)
}

/// Stores a whole answer, the tools it wants (engine's call id, tool, arguments) and what it cost.
/// Without tools the turn is settled at once.
///
/// # Errors
/// `internal` when the turn is not reserved; what the database says.
pub fn answered(
    tx: &Connection,
    turn: TurnId,
    answer: &str,
    tools: &[(String, String, String)],
    settlement: &TurnSettlement,
    now: Timestamp,
) -> Result<()> {
    let to = if tools.is_empty() {
        TurnStatus::Settled
    } else {
        TurnStatus::Answered
    };
    step(tx, turn, TurnStatus::Reserved, to, Some(answer))?;
    let mut insert =
        tx.prepare_cached("INSERT INTO tool_calls (turn_id, position, call_id, tool, arguments) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (position, (call_id, tool, arguments)) in (0_i64..).zip(tools) {
        insert.execute((turn.to_string(), position, call_id, tool, arguments))?;
    }
    ledger::settle(tx, turn, settlement, None, now)
}

/// Stores that a call came to nothing: the turn is void, the ledger keeps what it may have cost.
///
/// # Errors
/// `internal` when the turn is not reserved; what the database says.
pub fn failed(tx: &Connection, turn: TurnId, failure: &CallFailure, now: Timestamp) -> Result<()> {
    step(tx, turn, TurnStatus::Reserved, TurnStatus::Void, None)?;
    let settlement = TurnSettlement {
        status: failure.status,
        tokens: TokenUsage::default(),
        cost: failure.charge,
        estimated: failure.estimated,
        latency_ms: failure.latency_ms,
        provider_request_id: None,
    };
    ledger::settle(tx, turn, &settlement, Some(failure.code), now)
}

/// Stores what the tools of a turn said, which makes the turn a checkpoint.
///
/// # Errors
/// `internal` when the turn is not answered or a call id is not of this turn; what the database says.
pub fn tools_done(tx: &Connection, turn: TurnId, results: &[ToolResult]) -> Result<()> {
    step(tx, turn, TurnStatus::Answered, TurnStatus::Settled, None)?;
    tx.prepare_cached("UPDATE turns SET held_at = NULL WHERE id = ?1 AND held_at IS NOT NULL")?
        .execute([turn.to_string()])?;
    store_results(tx, turn, results)
}

/// Stores what some tools of a turn said, and that the turn stops before the call `at`: no call from
/// it on has begun. Absent: it goes on, and from now on nobody knows of those calls but by their results.
///
/// # Errors
/// `internal` when the turn is not answered or a call id is not of this turn; what the database says.
pub fn suspend(
    tx: &Connection,
    turn: TurnId,
    results: &[ToolResult],
    at: Option<&str>,
) -> Result<()> {
    let changed = tx
        .prepare_cached("UPDATE turns SET held_at = ?2 WHERE id = ?1 AND status = 'answered'")?
        .execute((turn.to_string(), at))?;
    if changed != 1 {
        return Err(Failure::internal(format!(
            "turn {turn} cannot be held: it is not answered"
        )));
    }
    store_results(tx, turn, results)
}

fn store_results(tx: &Connection, turn: TurnId, results: &[ToolResult]) -> Result<()> {
    let mut update =
        tx.prepare_cached("UPDATE tool_calls SET result = ?3, outcome = ?4, duration_ms = ?5 WHERE turn_id = ?1 AND call_id = ?2")?;
    for done in results {
        let outcome = outcome_name(done.outcome);
        let changed = update.execute((
            turn.to_string(),
            &done.call_id,
            &done.result,
            outcome,
            columns::stored(done.duration_ms),
        ))?;
        if changed != 1 {
            return Err(Failure::internal(format!(
                "turn {turn} never called '{}'",
                done.call_id
            )));
        }
    }
    Ok(())
}

/// Stores what the operator says of a tool call that a crash left unsure: what the agent is told of it,
/// or, without words, that it is to run again.
///
/// # Errors
/// `illegal_transition` when the call is not unsure (any more); what the database says.
pub fn settle_tool(tx: &Connection, turn: TurnId, call_id: &str, told: Option<&str>) -> Result<()> {
    let outcome = if told.is_some() {
        outcome_name(ToolOutcome::Unknown)
    } else {
        "redo"
    };
    let changed = tx
        .prepare_cached(
            "UPDATE tool_calls SET result = ?3, outcome = ?4, duration_ms = 0 WHERE turn_id = ?1 AND call_id = ?2 AND result IS NULL \
             AND EXISTS (SELECT 1 FROM turns WHERE id = ?1 AND status = 'answered')",
        )?
        .execute((turn.to_string(), call_id, told, outcome))?;
    if changed == 1 {
        return Ok(());
    }
    Err(Failure::new(
        Code::IllegalTransition,
        format!("tool call '{call_id}' is not unsure"),
    )
    .hint("`phasedeck show` lists what is"))
}

/// The turns of one attempt that are part of its conversations, each in order, the agent's own first.
///
/// # Errors
/// What the database says.
pub fn of_attempt(
    conn: &Connection,
    run: RunId,
    phase: &PhaseKey,
    attempt: u32,
) -> Result<Vec<TurnRecord>> {
    let mut query = conn.prepare_cached(
        "SELECT id, phase_key, attempt, conversation, number, stretch, status, answer, held_at, at_ms FROM turns \
         WHERE run_id = ?1 AND phase_key = ?2 AND attempt = ?3 AND status <> 'void' ORDER BY conversation, number",
    )?;
    let rows = query.query_map((run.to_string(), phase.as_str(), attempt), |row| {
        Ok(TurnRecord {
            id: columns::parsed(row, "id")?,
            phase_key: PhaseKey(row.get("phase_key")?),
            attempt: columns::count(row, "attempt")?,
            number: columns::count(row, "number")?,
            stretch: columns::count(row, "stretch")?,
            status: columns::named(row, "status", columns::wire)?,
            answer: row.get("answer")?,
            tools: Vec::new(),
            conversation: row.get("conversation")?,
            held_at: row.get("held_at")?,
            at: columns::at(row, "at_ms")?,
        })
    })?;
    let mut turns: Vec<TurnRecord> = rows.collect::<rusqlite::Result<_>>()?;
    for turn in &mut turns {
        turn.tools = tools_of(conn, turn.id)?;
    }
    Ok(turns)
}

/// The calls of a run that were sent and never settled, oldest first: what a crash leaves.
///
/// # Errors
/// What the database says.
pub fn open(conn: &Connection, run: RunId) -> Result<Vec<crate::model::record::LedgerRecord>> {
    ledger::open_of_run(conn, run)
}

fn tools_of(conn: &Connection, turn: TurnId) -> Result<Vec<ToolRecord>> {
    let mut query = conn.prepare_cached("SELECT call_id, tool, arguments, result, coalesce(outcome, '') = 'redo' AS redo FROM tool_calls WHERE turn_id = ?1 ORDER BY position")?;
    let rows = query.query_map([turn.to_string()], |row| {
        Ok(ToolRecord {
            call_id: row.get("call_id")?,
            tool: row.get("tool")?,
            arguments: row.get("arguments")?,
            result: row.get("result")?,
            redo: row.get("redo")?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn step(
    tx: &Connection,
    turn: TurnId,
    from: TurnStatus,
    to: TurnStatus,
    answer: Option<&str>,
) -> Result<()> {
    let changed = tx
        .prepare_cached("UPDATE turns SET status = ?3, answer = coalesce(?4, answer) WHERE id = ?1 AND status = ?2")?
        .execute((turn.to_string(), status_name(from), status_name(to), answer))?;
    if changed == 1 {
        return Ok(());
    }
    Err(Failure::internal(format!(
        "turn {turn} cannot become {}: it is not {}",
        status_name(to),
        status_name(from)
    )))
}

fn status_name(status: TurnStatus) -> &'static str {
    match status {
        TurnStatus::Reserved => "reserved",
        TurnStatus::Answered => "answered",
        TurnStatus::Settled => "settled",
        TurnStatus::Void => "void",
    }
}

fn outcome_name(outcome: ToolOutcome) -> &'static str {
    match outcome {
        ToolOutcome::Ok => "ok",
        ToolOutcome::Error => "error",
        ToolOutcome::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::super::ledger::CostGrouping;
    use super::super::runs;
    use super::*;
    use crate::model::money::CallCost;
    use crate::store::journal;
    use crate::store::tests::fixture;
    use crate::store::tests::fixture::BEGIN;

    fn begun(conn: &Connection) -> RunId {
        let run = fixture::insert_run(conn, "lane");
        let facts = [
            fixture::created(&["spec", "plan"]),
            fixture::started(),
            fixture::phase_started("spec", 1),
        ];
        journal::append(conn, run, &facts, BEGIN).unwrap();
        run
    }

    fn new_turn(run: RunId, phase: &str, number: u32) -> NewTurn {
        let (phase_key, model, reserved) =
            (phase.into(), format!("model-{phase}"), Some(NanoUsd(50)));
        NewTurn {
            phase_key,
            model,
            reserved,
            ..fixture::new_turn(run, number)
        }
    }

    fn settlement(cost: Option<i64>) -> TurnSettlement {
        TurnSettlement {
            status: CallStatus::Ok,
            tokens: TokenUsage {
                input: 10,
                output: 4,
                cached: 3,
                reasoning: 2,
            },
            cost: cost.map(NanoUsd),
            estimated: false,
            latency_ms: 7,
            provider_request_id: Some("req-1".to_owned()),
        }
    }

    fn failure(charge: Option<i64>) -> CallFailure {
        let (status, code) = (CallStatus::Unknown, Code::LlmUnreachable);
        CallFailure {
            status,
            code,
            latency_ms: 9,
            charge: charge.map(NanoUsd),
            estimated: true,
        }
    }

    #[test]
    fn a_conversation_is_read_back_in_order_without_the_calls_that_came_to_nothing() {
        let conn = fixture::memory();
        let run = begun(&conn);
        let (lost, first, second) = (
            new_turn(run, "spec", 1),
            new_turn(run, "spec", 1),
            new_turn(run, "spec", 2),
        );
        reserve(&conn, &lost, Timestamp(1)).unwrap();
        assert!(
            reserve(&conn, &first, Timestamp(2)).is_err(),
            "a number has one turn that counts"
        );
        failed(&conn, lost.id, &failure(Some(50)), Timestamp(2)).unwrap();
        reserve(&conn, &first, Timestamp(3)).unwrap();
        let tools = [("c1", "read_file", "{}"), ("c2", "write_file", "{\"a\":1}")]
            .map(|(id, tool, args)| (id.into(), tool.into(), args.into()));
        answered(
            &conn,
            first.id,
            "{\"text\":\"hi\"}",
            &tools,
            &settlement(Some(12)),
            Timestamp(4),
        )
        .unwrap();
        let read = of_attempt(&conn, run, &"spec".into(), 1).unwrap();
        assert_eq!(
            (read.len(), read[0].id, read[0].status),
            (1, first.id, TurnStatus::Answered)
        );
        assert_eq!(read[0].answer.as_deref(), Some("{\"text\":\"hi\"}"));
        assert_eq!(
            read[0]
                .tools
                .iter()
                .map(|tool| (tool.call_id.as_str(), tool.result.clone()))
                .collect::<Vec<_>>(),
            [("c1", None), ("c2", None)]
        );

        let done = |id: &str| ToolResult {
            call_id: id.into(),
            result: format!("did {id}"),
            outcome: ToolOutcome::Ok,
            duration_ms: 1,
        };
        assert!(
            tools_done(&conn, second.id, &[done("c1")]).is_err(),
            "a turn that was never answered has no results"
        );
        tools_done(&conn, first.id, &[done("c1"), done("c2")]).unwrap();
        reserve(&conn, &second, Timestamp(5)).unwrap();
        answered(&conn, second.id, "{}", &[], &settlement(None), Timestamp(6)).unwrap();
        let read = of_attempt(&conn, run, &"spec".into(), 1).unwrap();
        assert_eq!(
            read.iter()
                .map(|turn| (turn.number, turn.status))
                .collect::<Vec<_>>(),
            [(1, TurnStatus::Settled), (2, TurnStatus::Settled)]
        );
        assert_eq!(read[0].tools[1].result.as_deref(), Some("did c2"));
        assert_eq!(of_attempt(&conn, run, &"spec".into(), 2).unwrap(), []);
    }

    #[test]
    fn a_call_is_settled_once() {
        let conn = fixture::memory();
        let run = begun(&conn);
        let turn = new_turn(run, "spec", 1);
        reserve(&conn, &turn, BEGIN).unwrap();
        answered(&conn, turn.id, "{}", &[], &settlement(Some(1)), BEGIN).unwrap();
        assert_eq!(
            answered(&conn, turn.id, "{}", &[], &settlement(Some(1)), BEGIN)
                .unwrap_err()
                .code,
            Code::Internal
        );
        assert_eq!(
            failed(&conn, turn.id, &failure(None), BEGIN)
                .unwrap_err()
                .code,
            Code::Internal
        );
        assert_eq!(
            ledger::of_run(&conn, run).unwrap()[0].cost,
            Some(NanoUsd(1))
        );
    }

    #[test]
    fn a_tool_result_of_another_turn_is_refused() {
        let conn = fixture::memory();
        let run = begun(&conn);
        let turn = new_turn(run, "spec", 1);
        reserve(&conn, &turn, BEGIN).unwrap();
        answered(
            &conn,
            turn.id,
            "{}",
            &[("c1".into(), "t".into(), "{}".into())],
            &settlement(None),
            BEGIN,
        )
        .unwrap();
        let foreign = ToolResult {
            call_id: "c9".into(),
            result: String::new(),
            outcome: ToolOutcome::Ok,
            duration_ms: 1,
        };
        assert!(
            tools_done(&conn, turn.id, &[foreign])
                .unwrap_err()
                .message
                .contains("'c9'")
        );
    }

    #[test]
    fn what_a_crash_left_open_is_found_oldest_first() {
        let conn = fixture::memory();
        let run = begun(&conn);
        let (settled, older, newer) = (
            new_turn(run, "spec", 1),
            new_turn(run, "spec", 2),
            new_turn(run, "plan", 1),
        );
        for (turn, at) in [(&settled, 1), (&newer, 30), (&older, 20)] {
            reserve(&conn, turn, Timestamp(at)).unwrap();
        }
        answered(&conn, settled.id, "{}", &[], &settlement(Some(1)), BEGIN).unwrap();
        let left = open(&conn, run).unwrap();
        assert_eq!(
            left.iter().map(|row| row.turn_id).collect::<Vec<_>>(),
            [older.id, newer.id]
        );
        assert_eq!(
            (left[0].status, left[0].reserved, left[0].cost),
            (None, Some(NanoUsd(50)), None)
        );
    }

    #[test]
    fn the_ledger_adds_up_to_the_totals_of_the_run_and_of_its_phases() {
        let conn = fixture::memory();
        let run = begun(&conn);
        for (number, (phase, cost)) in (1..).zip([
            ("spec", Some(12)),
            ("plan", Some(5)),
            ("spec", None),
            ("spec", Some(0)),
        ]) {
            let turn = new_turn(run, phase, number);
            reserve(&conn, &turn, BEGIN).unwrap();
            let how = settlement(cost);
            answered(&conn, turn.id, "{}", &[], &how, BEGIN).unwrap();
            journal::append(
                &conn,
                run,
                &[fixture::called(turn.id, phase, how.tokens, how.cost)],
                BEGIN,
            )
            .unwrap();
        }
        let lost = new_turn(run, "plan", 9);
        reserve(&conn, &lost, BEGIN).unwrap();
        failed(&conn, lost.id, &failure(Some(50)), BEGIN).unwrap();
        journal::append(
            &conn,
            run,
            &[fixture::called(
                lost.id,
                "plan",
                TokenUsage::default(),
                Some(NanoUsd(50)),
            )],
            BEGIN,
        )
        .unwrap();
        reserve(&conn, &new_turn(run, "plan", 10), BEGIN).unwrap();

        let record = runs::get(&conn, run).unwrap();
        assert_eq!(
            record.cost,
            CallCost {
                known: NanoUsd(67),
                unknown_calls: 1
            }
        );
        for by in [CostGrouping::Phase, CostGrouping::Model, CostGrouping::Day] {
            for of in [Some(run), None] {
                let lines = ledger::costs(&conn, of, by).unwrap();
                let mut sum = CallCost::default();
                lines.iter().for_each(|line| sum += line.cost);
                assert_eq!(
                    (sum, lines.iter().map(|line| line.calls).sum::<u32>()),
                    (record.cost, record.calls),
                    "{by:?}"
                );
                assert_eq!(
                    lines.iter().map(|line| line.tokens.input).sum::<u64>(),
                    record.tokens.input
                );
            }
        }
        let by_run = super::super::run_costs::by_run(&conn).unwrap();
        assert_eq!(
            (by_run.len(), by_run[0].label.as_str(), by_run[0].cost),
            (1, run.to_string().as_str(), record.cost)
        );
        let phases = ledger::costs(&conn, Some(run), CostGrouping::Phase).unwrap();
        let rows = super::super::phases::of_run(&conn, run).unwrap();
        for row in rows {
            assert_eq!(
                phases
                    .iter()
                    .find(|line| line.label == row.phase_key.as_str())
                    .unwrap()
                    .cost,
                row.cost
            );
        }
        assert_eq!(
            ledger::costs(&conn, Some(run), CostGrouping::Day).unwrap()[0].label,
            "1970-01-01"
        );
        assert_eq!(
            ledger::costs(&conn, Some(RunId::new()), CostGrouping::Day).unwrap(),
            []
        );
    }
}
