//! Crash card: what is certain, unknown and lost after a crash, and the operator's answers to it.
//!
//! The card is derived from the run's state, the turns of its current attempt and its ledger, so it
//! is the same on every screen and after further crashes. The outcome of a tool call is unknown if
//! its turn was stored and its result was not: the tool may have run. Without an answer from the
//! operator, the agent is told exactly that. An answer becomes the call's result before the run
//! resumes, in one transaction with its event. A read-only tool is never listed: it simply runs
//! again.

use crate::engine::agent::tools::only_reads;
use crate::model::error::{Code, Failure, Result};
use crate::model::event::{CallStatus, JournalEvent, RunFact, ToolOutcome};
use crate::model::id::{GateKey, PhaseKey, RunId, TurnId};
use crate::model::money::{CallCost, NanoUsd};
use crate::model::record::{LedgerRecord, TurnRecord, TurnStatus};
use crate::model::run_state::RunState;
use crate::model::state::{PauseReason, PhaseStatus, RunStatus};
use crate::model::time::Timestamp;
use crate::store::journal;
use crate::store::journal::events;
use crate::store::tables::{ledger, turns};
use rusqlite::Connection;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// State of a run after a crash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CrashCard {
    /// The run.
    pub run_id: RunId,
    /// When the crash was detected.
    pub at: Timestamp,
    /// Phases that are completed and committed.
    pub phases_done: Vec<PhaseKey>,
    /// The phase and attempt that were in progress.
    pub phase: Option<(PhaseKey, u32)>,
    /// Stored turns of that attempt; they are never requested or paid for again.
    pub turns_stored: u32,
    /// The pending approval, which is unaffected.
    pub gate: Option<GateKey>,
    /// Settled cost so far.
    pub spent: CallCost,
    /// Calls whose outcome is unknown.
    pub unsure: Vec<UnknownOutcome>,
    /// Descriptions of what was lost.
    pub lost: Vec<String>,
}

/// A call whose outcome is unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "what", rename_all = "snake_case")]
#[schemars(rename = "Unsure")]
pub enum UnknownOutcome {
    /// A tool that may have run and whose result was not stored.
    Tool {
        /// The turn that contains the call.
        turn_id: TurnId,
        /// The engine's id of the call, to be used in an answer.
        call_id: String,
        /// The tool.
        tool: String,
        /// Its arguments as written by the model; untrusted text.
        arguments: String,
        /// Whether the operator decided to run it again.
        redo: bool,
    },
    /// A model call that may have been answered and billed; it is made again.
    Bill {
        /// The turn of the call.
        turn_id: TurnId,
        /// The phase of the call.
        phase_key: PhaseKey,
        /// The model.
        model: String,
        /// Amount charged for it: its reserve.
        charged: Option<NanoUsd>,
    },
}

/// The operator's answer for a tool call whose outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallResolution {
    /// Run it again with the same arguments.
    Redo,
    /// It took effect; the agent is told so.
    Done,
    /// Skip it; the agent is told so.
    Skip,
}

impl CallResolution {
    /// Returns the call's result as read by the agent; `None` if the tool runs again.
    #[must_use]
    pub fn result_text(self) -> Option<&'static str> {
        match self {
            Self::Redo => None,
            Self::Done => Some(
                "done: the work was interrupted, and the operator has seen that this call took effect; its output is lost",
            ),
            Self::Skip => Some(
                "skipped: the work was interrupted, and the operator decided that this call is left out; do not repeat it",
            ),
        }
    }
}

/// Reads the crash card of a run; `None` unless its last stop was a crash.
///
/// # Errors
/// Errors of the database.
pub fn read(conn: &Connection, run: RunId) -> Result<Option<CrashCard>> {
    let state = events::state(conn, run)?;
    if !crashed(&state) {
        return Ok(None);
    }
    let turns = match state.current() {
        Some(phase) => turns::of_attempt(conn, run, &phase.key, phase.attempt)?,
        None => Vec::new(),
    };
    Ok(Some(card(&state, &turns, &ledger::of_run(conn, run)?)))
}

fn crashed(state: &RunState) -> bool {
    state.status == RunStatus::Paused
        && matches!(
            state.pause_reason,
            Some(PauseReason::Crashed | PauseReason::SessionRecovery)
        )
}

/// Derives the card from a state, the turns of its current attempt, and the ledger.
#[must_use]
pub fn card(state: &RunState, turns: &[TurnRecord], ledger: &[LedgerRecord]) -> CrashCard {
    let phase = state.current().filter(|phase| phase.attempt > 0);
    let lost_call = |row: &&LedgerRecord| {
        row.status == Some(CallStatus::Unknown)
            && phase.is_some_and(|phase| row.phase_key == phase.key && row.attempt == phase.attempt)
    };
    let bills: Vec<UnknownOutcome> = ledger
        .iter()
        .filter(lost_call)
        .map(|row| UnknownOutcome::Bill {
            turn_id: row.turn_id,
            phase_key: row.phase_key.clone(),
            model: row.model.clone(),
            charged: row.cost,
        })
        .collect();
    let working = phase.is_some_and(|phase| phase.status == PhaseStatus::Running);
    let mut lost = Vec::new();
    if !bills.is_empty() {
        lost.push(
            "the model's unfinished answer: only complete, stored answers are kept".to_owned(),
        );
    } else if working && turns.is_empty() {
        lost.push("the agent's work in progress: this attempt has no stored turn and restarts from its prompt".to_owned());
    }
    CrashCard {
        run_id: state.run_id,
        at: state.last_at,
        phases_done: state
            .phases
            .iter()
            .filter(|phase| phase.status == PhaseStatus::Completed)
            .map(|phase| phase.key.clone())
            .collect(),
        phase: phase.map(|phase| (phase.key.clone(), phase.attempt)),
        turns_stored: u32::try_from(turns.iter().filter(|turn| turn.answer.is_some()).count())
            .unwrap_or(u32::MAX),
        gate: state.approval.as_ref().map(|open| open.gate.clone()),
        spent: state.cost,
        unsure: unknown_tool_calls(turns).chain(bills).collect(),
        lost,
    }
}

fn unknown_tool_calls(turns: &[TurnRecord]) -> impl Iterator<Item = UnknownOutcome> {
    let open = turns
        .iter()
        .filter(|turn| turn.status == TurnStatus::Answered);
    open.flat_map(|turn| {
        let unknown = turn
            .tools
            .iter()
            .filter(|tool| tool.result.is_none() && !only_reads(&tool.tool));
        unknown.map(|tool| UnknownOutcome::Tool {
            turn_id: turn.id,
            call_id: tool.call_id.clone(),
            tool: tool.tool.clone(),
            arguments: tool.arguments.clone(),
            redo: tool.redo,
        })
    })
}

/// Stores the operator's answer for a tool call whose outcome is unknown. Repeating the same answer
/// is harmless; a different one is refused once the first has become the call's result.
///
/// # Errors
/// `illegal_transition` if the run did not crash or has no such call; errors of the database.
pub fn resolve_call(
    tx: &Connection,
    run: RunId,
    call_id: &str,
    how: CallResolution,
) -> Result<Vec<JournalEvent>> {
    let refuse = |message: String| {
        Failure::new(Code::IllegalTransition, message)
            .hint("`phasedeck show` lists the calls whose outcome is unknown")
    };
    let Some(card) = read(tx, run)? else {
        return Err(refuse(format!(
            "run {} is not paused after a crash",
            run.short()
        )));
    };
    let found = card.unsure.into_iter().find_map(|unsure| match unsure {
        UnknownOutcome::Tool {
            turn_id,
            call_id: known,
            tool,
            ..
        } if known == call_id => Some((turn_id, tool)),
        _ => None,
    });
    let (turn, tool) = found.ok_or_else(|| {
        refuse(format!(
            "run {} has no tool call '{call_id}' with an unknown outcome",
            run.short()
        ))
    })?;
    turns::settle_tool(tx, turn, call_id, how.result_text())?;
    let (Some(told), Some((phase_key, _))) = (how.result_text(), card.phase) else {
        return Ok(Vec::new());
    };
    let fact = RunFact::ToolCalled {
        phase_key,
        turn_id: turn,
        call_id: call_id.to_owned(),
        tool,
        target: told.split(':').next().unwrap_or_default().to_owned(),
        outcome: ToolOutcome::Unknown,
        duration_ms: 0,
    };
    journal::append(tx, run, &[fact], Timestamp::now())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::record::ToolRecord;
    use crate::store::tables::turns::{NewTurn, TurnSettlement};
    use crate::store::tests::fixture;
    use crate::store::tests::fixture::BEGIN;

    /// Inserts a run that crashed while the tools of its only turn were running.
    fn crashed_run(conn: &Connection) -> (RunId, TurnId) {
        let run = fixture::insert_run(conn, "lane");
        let started = [
            fixture::created(&["spec", "plan"]),
            fixture::started(),
            fixture::phase_started("spec", 1),
        ];
        journal::append(conn, run, &started, BEGIN).unwrap();
        let turn = |number| NewTurn {
            reserved: Some(NanoUsd(50)),
            ..fixture::new_turn(run, number)
        };
        let settlement = TurnSettlement {
            status: CallStatus::Ok,
            tokens: crate::model::event::TokenUsage::default(),
            cost: Some(NanoUsd(7)),
            estimated: false,
            latency_ms: 1,
            provider_request_id: None,
        };
        let answered = turn(1);
        turns::reserve(conn, &answered, BEGIN).unwrap();
        let tools = [("c1", "write_file"), ("c2", "ls"), ("c3", "edit_file")];
        let tools: Vec<_> = tools
            .iter()
            .map(|(id, tool)| ((*id).to_owned(), (*tool).to_owned(), "{}".to_owned()))
            .collect();
        turns::answered(conn, answered.id, "{}", &tools, &settlement, BEGIN).unwrap();
        journal::append(
            conn,
            run,
            &[fixture::called(
                answered.id,
                "spec",
                settlement.tokens,
                settlement.cost,
            )],
            BEGIN,
        )
        .unwrap();
        let pause = RunFact::RunPaused {
            ordinal: 1,
            reason: PauseReason::Crashed,
            from_state: RunStatus::Executing,
        };
        journal::append(conn, run, &[pause], BEGIN).unwrap();
        (run, answered.id)
    }

    fn tools(conn: &Connection, run: RunId) -> Vec<ToolRecord> {
        turns::of_attempt(conn, run, &"spec".into(), 1)
            .unwrap()
            .remove(0)
            .tools
    }

    fn unsure_calls(conn: &Connection, run: RunId) -> Vec<(String, bool)> {
        let unsure = read(conn, run).unwrap().unwrap().unsure;
        unsure
            .into_iter()
            .filter_map(|unsure| {
                if let UnknownOutcome::Tool { call_id, redo, .. } = unsure {
                    Some((call_id, redo))
                } else {
                    None
                }
            })
            .collect()
    }

    #[test]
    fn tool_calls_without_a_result_are_unknown_unless_read_only() {
        let conn = fixture::memory();
        let (run, _) = crashed_run(&conn);
        let card = read(&conn, run).unwrap().unwrap();
        assert_eq!(
            (card.phase, card.turns_stored),
            (Some(("spec".into(), 1)), 1)
        );
        assert_eq!(card.spent.known, NanoUsd(7));
        assert_eq!(
            unsure_calls(&conn, run),
            [("c1".to_owned(), false), ("c3".to_owned(), false)]
        );
    }

    #[test]
    fn a_resolution_becomes_the_call_result_and_an_event() {
        let conn = fixture::memory();
        let (run, turn) = crashed_run(&conn);
        let events = resolve_call(&conn, run, "c1", CallResolution::Done).unwrap();
        assert!(
            matches!(&events[0].fact, RunFact::ToolCalled { call_id, outcome: ToolOutcome::Unknown, .. } if call_id == "c1")
        );
        assert!(
            resolve_call(&conn, run, "c3", CallResolution::Redo)
                .unwrap()
                .is_empty()
        );
        let tools = tools(&conn, run);
        assert!(
            tools[0].result.as_deref().unwrap().starts_with("done:"),
            "{tools:?}"
        );
        assert_eq!((tools[2].result.as_deref(), tools[2].redo), (None, true));
        assert_eq!(unsure_calls(&conn, run), [("c3".to_owned(), true)]);
        resolve_call(&conn, run, "c3", CallResolution::Skip).unwrap();
        assert_eq!(unsure_calls(&conn, run), []);
        let refused = resolve_call(&conn, run, "c1", CallResolution::Skip).unwrap_err();
        assert_eq!(refused.code, Code::IllegalTransition);
        let done = tools[1].call_id.clone();
        let result = crate::store::tables::turns::ToolResult {
            call_id: done,
            result: "a".to_owned(),
            outcome: ToolOutcome::Ok,
            duration_ms: 1,
        };
        turns::tools_done(&conn, turn, &[result]).unwrap();
    }

    #[test]
    fn a_lost_model_call_is_unknown_and_charged_at_its_reserve() {
        let state = RunState::fold(
            RunId::new(),
            &[
                fixture::created(&["spec"]),
                fixture::started(),
                fixture::phase_started("spec", 1),
            ]
            .into_iter()
            .zip(1..)
            .map(|(fact, seq)| JournalEvent {
                run_id: RunId::new(),
                seq,
                at: BEGIN,
                fact,
            })
            .collect::<Vec<_>>(),
        )
        .unwrap();
        let conn = fixture::memory();
        let (run, _) = crashed_run(&conn);
        let mut rows = ledger::of_run(&conn, run).unwrap();
        rows[0].status = Some(CallStatus::Unknown);
        rows[0].cost = Some(NanoUsd(50));
        let card = card(&state, &[], &rows);
        assert!(
            matches!(
                &card.unsure[..],
                [UnknownOutcome::Bill {
                    charged: Some(NanoUsd(50)),
                    ..
                }]
            ),
            "{card:?}"
        );
        assert_eq!(card.lost.len(), 1);
    }

    #[test]
    fn a_normally_paused_run_has_no_crash_card() {
        let conn = fixture::memory();
        let run = fixture::insert_run(&conn, "lane");
        let pause = RunFact::RunPaused {
            ordinal: 1,
            reason: PauseReason::Operator,
            from_state: RunStatus::Executing,
        };
        journal::append(
            &conn,
            run,
            &[fixture::created(&["spec"]), fixture::started(), pause],
            BEGIN,
        )
        .unwrap();
        assert_eq!(read(&conn, run).unwrap(), None);
        assert_eq!(
            resolve_call(&conn, run, "c1", CallResolution::Done)
                .unwrap_err()
                .code,
            Code::IllegalTransition
        );
    }
}
