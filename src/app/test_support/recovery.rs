//! What a crash left.

use super::{NOW, turn_id};
use crate::engine::api::{CrashCard, UnknownOutcome};
use crate::model::id::RunId;
use crate::model::money::{CallCost, NanoUsd};

/// What a crash left of a run: two calls that may have run, a bill, an answer that was lost.
pub fn crash_card(run: RunId) -> CrashCard {
    let tool = |n: u8, tool: &str, arguments: &str, redo| UnknownOutcome::Tool {
        turn_id: turn_id(n),
        call_id: format!("t1:call_1_{n}"),
        tool: tool.to_owned(),
        arguments: arguments.to_owned(),
        redo,
    };
    let bill = UnknownOutcome::Bill {
        turn_id: turn_id(3),
        phase_key: "plan".into(),
        model: "anthropic/claude-sonnet-4.5".to_owned(),
        charged: Some(NanoUsd(50_000_000)),
    };
    CrashCard {
        run_id: run,
        at: NOW,
        phases_done: vec!["spec".into()],
        phase: Some(("plan".into(), 1)),
        turns_stored: 3,
        gate: None,
        spent: CallCost {
            known: NanoUsd(140_000_000),
            unknown_calls: 0,
        },
        unsure: vec![
            tool(1, "execute", r#"{"command":"npm publish"}"#, true),
            tool(2, "write_file", r#"{"file_path":"plan.json"}"#, false),
            bill,
        ],
        lost: vec![
            "what the model was answering: an answer counts only when it is whole and stored"
                .to_owned(),
        ],
    }
}
