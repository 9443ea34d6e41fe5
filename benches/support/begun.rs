//! A newly started run: its row and its first facts.

use phasedeck::model::event::{AttemptCause, RunFact};
use phasedeck::model::hash::ContentHash;
use phasedeck::model::id::{RunId, ThreadId, VersionedName};
use phasedeck::model::record::RunOptions;
use phasedeck::model::time::Timestamp;
use phasedeck::store::tables::runs::{RunInsert, RunLocation};

/// The row of a run in a plain directory.
pub fn new_run(workflow: &VersionedName, thread: &str) -> RunInsert {
    RunInsert {
        id: RunId::new(),
        workflow: workflow.clone(),
        workflow_hash: ContentHash::from_bytes(b"workflow"),
        thread: ThreadId::from(thread),
        requirements: String::new(),
        place: RunLocation::default(),
        rehearsal: false,
        options: RunOptions::default(),
        start: None,
        origin: Default::default(),
        created_at: Timestamp::now(),
    }
}

/// Facts of its creation and start.
pub fn opening(new: &RunInsert, phases: &[&str]) -> [RunFact; 2] {
    let workflow = new.workflow.clone();
    let thread = new.thread.clone();
    let phases = phases.iter().map(|phase| (*phase).into()).collect();
    let workflow_hash = new.workflow_hash.clone();
    let rehearsal = new.rehearsal;
    [
        RunFact::RunCreated {
            workflow: workflow.clone(),
            workflow_hash,
            thread: thread.clone(),
            phases,
            rehearsal,
        },
        RunFact::RunStarted { workflow, thread },
    ]
}

/// Fact of the start of its first phase by this persona.
pub fn first_phase(persona: &VersionedName) -> RunFact {
    let phase_key = "first".into();
    let role = "maker".into();
    let persona = persona.clone();
    RunFact::PhaseStarted {
        phase_key,
        attempt: 1,
        role,
        persona,
        cause: AttemptCause::First,
    }
}
