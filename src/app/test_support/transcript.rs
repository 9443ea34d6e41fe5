//! What the agents of run 1 said, turn by turn, up to any of its events.

use super::turn_id;
use crate::app::screens::run::stored_transcript::StoredTurn;
use crate::model::event::{JournalEvent, RunFact};
use crate::model::id::PhaseKey;
use crate::model::record::{ToolRecord, TurnRecord, TurnStatus};

/// What the answers of the first turns are; later turns say the last.
const WORDS: [&str; 3] = [
    r#"{"reasoning":"The cart needs items first.","text":"I will write the spec.\nIt names what the cart does."}"#,
    r#"{"text":"One acceptance criterion was missing: I add it."}"#,
    r#"{"text":"Prices are in cents now."}"#,
];

/// The turns of an attempt by an event.
pub fn turns(
    events: &[JournalEvent],
    phase: &PhaseKey,
    attempt: u32,
    at: Option<u64>,
) -> Vec<StoredTurn> {
    let known = || {
        events
            .iter()
            .filter(|event| at.is_none_or(|at| event.seq <= at))
    };
    let called = known().filter_map(|event| match &event.fact {
        RunFact::LlmCalled {
            phase_key,
            attempt: of,
            turn_id,
            ..
        } if phase_key == phase && *of == attempt => Some((*turn_id, event.at)),
        _ => None,
    });
    let answered = |id| {
        known().any(
            |event| matches!(&event.fact, RunFact::ToolCalled { turn_id, .. } if *turn_id == id),
        )
    };
    let number = |id| (1..=3).find(|n| turn_id(*n) == id).unwrap_or(3);
    let turns = called.map(|(id, at)| {
        let tool = ToolRecord {
            call_id: "c1".to_owned(),
            tool: "write_file".to_owned(),
            arguments: r#"{"file_path":"spec.json","content":"{\n  \"title\": \"Shop cart\"\n}"}"#
                .to_owned(),
            result: answered(id).then(|| "wrote spec.json\n3 lines, 28 bytes".to_owned()),
            redo: false,
        };
        let turn = TurnRecord {
            id,
            phase_key: phase.clone(),
            attempt,
            number: 1,
            stretch: 0,
            status: TurnStatus::Settled,
            answer: WORDS
                .get(usize::from(number(id)) - 1)
                .map(|words| (*words).to_owned()),
            tools: if id == turn_id(1) {
                vec![tool]
            } else {
                Vec::new()
            },
            conversation: String::new(),
            held_at: None,
            at,
        };
        (turn, Vec::new())
    });
    turns.collect()
}
