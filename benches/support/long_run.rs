//! Runs of any length to look at, with everything of them that a screen shows.

use phasedeck::model::event::{CallStatus, Fact, Tokens, ToolOutcome};
use phasedeck::model::hash::ContentHash;
use phasedeck::model::id::{RunId, TurnId, VersionedName};
use phasedeck::model::money::NanoUsd;
use phasedeck::model::time::Timestamp;
use phasedeck::store::definitions::{self, DefinitionKind};
use phasedeck::store::runs::{self, NewRun};
use phasedeck::store::{Store, journal};

use crate::begun::{first_phase, new_run, opening};
use crate::measure::Outcome;

/// Facts that are stored by one job while a journal is filled.
const FILL: u64 = 20_000;
/// The event that holds the rare word, in a journal that is longer.
pub const RARE: u64 = 123_457;

const WORKFLOW: &str = "{\"name\":\"bench\",\"version\":1,\"roles\":[{\"id\":\"maker\",\"required_capabilities\":[]}],\"phases\":[\
     {\"key\":\"first\",\"role\":\"maker\",\"instructions\":\"Make it.\"},{\"key\":\"second\",\"role\":\"maker\",\"instructions\":\"Check it.\"}]}";

/// A run with so many events, at work on its first phase.
pub fn run_of(store: &Store, thread: &str, events: u64) -> Outcome<RunId> {
    let (workflow, persona): (VersionedName, VersionedName) =
        ("bench@1".parse()?, "maker@1".parse()?);
    let workflow_hash = ContentHash::of(WORKFLOW.as_bytes());
    let new = NewRun {
        workflow_hash: workflow_hash.clone(),
        ..new_run(&workflow, thread)
    };
    let (id, [created, started]) = (new.id, opening(&new, &["first", "second"]));
    let facts = [created, started, first_phase(&persona)];
    store.write_blocking(move |tx| {
        definitions::put(
            tx,
            DefinitionKind::Workflow,
            &workflow_hash,
            "bench@1",
            WORKFLOW,
        )?;
        runs::insert(tx, &new)?;
        journal::append(tx, id, &facts, Timestamp::now()).map(drop)
    })?;
    let mut seq = 4;
    while seq <= events {
        let last = events.min(seq + FILL - 1);
        let facts: Vec<Fact> = (seq..=last).map(fact).collect();
        store.write_blocking(move |tx| {
            journal::append(tx, id, &facts, Timestamp::now()).map(drop)
        })?;
        seq = last + 1;
    }
    Ok(id)
}

/// What an agent does, by turns; one target is like no other.
pub fn fact(seq: u64) -> Fact {
    let (phase_key, turn_id) = ("first".into(), TurnId::new());
    if seq.is_multiple_of(4) && seq != RARE {
        let tokens = Tokens {
            input: 1840,
            output: 612,
            cached: 0,
            reasoning: 0,
        };
        let (model, cost) = (
            "anthropic/claude-sonnet-4.5".to_owned(),
            Some(NanoUsd(14_700)),
        );
        let (turn, latency_ms, status) = (1, 4200, CallStatus::Ok);
        return Fact::LlmCalled {
            phase_key,
            attempt: 1,
            turn_id,
            turn,
            model,
            tokens,
            cost,
            estimated: false,
            latency_ms,
            status,
        };
    }
    let target = if seq == RARE {
        "src/xylophone.rs".to_owned()
    } else {
        format!("src/part_{}/file_{}.rs", seq % 97, seq % 1013)
    };
    let (call_id, tool) = (format!("call-{seq}"), "read_file".to_owned());
    Fact::ToolCalled {
        phase_key,
        turn_id,
        call_id,
        tool,
        target,
        outcome: ToolOutcome::Ok,
        duration_ms: 3,
    }
}
