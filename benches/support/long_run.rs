//! Runs of any length for display benchmarks, with everything a screen shows.

use phasedeck::model::event::{CallStatus, RunFact, TokenUsage, ToolOutcome};
use phasedeck::model::hash::ContentHash;
use phasedeck::model::id::{RunId, TurnId, VersionedName};
use phasedeck::model::money::NanoUsd;
use phasedeck::model::time::Timestamp;
use phasedeck::store::tables::definitions;
use phasedeck::store::tables::definitions::DefinitionKind;
use phasedeck::store::tables::runs;
use phasedeck::store::tables::runs::RunInsert;
use phasedeck::store::{Store, journal};

use crate::begun::{first_phase, new_run, opening};
use crate::measure::BenchResult;

/// Number of facts stored per job while a journal is filled.
const FILL: u64 = 20_000;
/// Number of the event that contains the rare word, in a journal that is longer.
pub const RARE: u64 = 123_457;

const WORKFLOW: &str = "{\"name\":\"bench\",\"version\":1,\"roles\":[{\"id\":\"maker\",\"required_capabilities\":[]}],\"phases\":[\
     {\"key\":\"first\",\"role\":\"maker\",\"instructions\":\"Make it.\"},{\"key\":\"second\",\"role\":\"maker\",\"instructions\":\"Check it.\"}]}";

/// Inserts an active run with this number of events, in its first phase.
pub fn run_of(store: &Store, thread: &str, events: u64) -> BenchResult<RunId> {
    let (workflow, persona): (VersionedName, VersionedName) =
        ("bench@1".parse()?, "maker@1".parse()?);
    let workflow_hash = ContentHash::from_bytes(WORKFLOW.as_bytes());
    let new = RunInsert {
        workflow_hash: workflow_hash.clone(),
        ..new_run(&workflow, thread)
    };
    let id = new.id;
    let [created, started] = opening(&new, &["first", "second"]);
    let facts = [created, started, first_phase(&persona)];
    store.write_blocking(move |tx| {
        definitions::insert(
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
        let facts: Vec<RunFact> = (seq..=last).map(fact).collect();
        store.write_blocking(move |tx| {
            journal::append(tx, id, &facts, Timestamp::now()).map(drop)
        })?;
        seq = last + 1;
    }
    Ok(id)
}

/// Facts of an agent's turns; one target is unique.
pub fn fact(seq: u64) -> RunFact {
    let phase_key = "first".into();
    let turn_id = TurnId::new();
    if seq.is_multiple_of(4) && seq != RARE {
        let tokens = TokenUsage {
            input: 1840,
            output: 612,
            cached: 0,
            reasoning: 0,
        };
        let model = "anthropic/claude-sonnet-4.5".to_owned();
        let cost = Some(NanoUsd(14_700));
        let turn = 1;
        let latency_ms = 4200;
        let status = CallStatus::Ok;
        return RunFact::LlmCalled {
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
    let call_id = format!("call-{seq}");
    let tool = "read_file".to_owned();
    RunFact::ToolCalled {
        phase_key,
        turn_id,
        call_id,
        tool,
        target,
        outcome: ToolOutcome::Ok,
        duration_ms: 3,
    }
}
