//! A newly started run: its row and its first facts.

use phasedeck::model::event::{AttemptCause, Fact};
use phasedeck::model::hash::ContentHash;
use phasedeck::model::id::{RunId, ThreadId, VersionedName};
use phasedeck::model::record::RunOptions;
use phasedeck::model::time::Timestamp;
use phasedeck::store::runs::{NewRun, RunPlace};

/// The row of a run in a plain directory.
pub fn new_run(workflow: &VersionedName, thread: &str) -> NewRun {
    NewRun {
        id: RunId::new(),
        workflow: workflow.clone(),
        workflow_hash: ContentHash::of(b"workflow"),
        thread: ThreadId::from(thread),
        requirements: String::new(),
        place: RunPlace::default(),
        rehearsal: false,
        options: RunOptions::default(),
        start: None,
        origin: Default::default(),
        created_at: Timestamp::now(),
    }
}

/// Facts of its creation and start.
pub fn opening(new: &NewRun, phases: &[&str]) -> [Fact; 2] {
    let workflow = new.workflow.clone();
    let thread = new.thread.clone();
    let phases = phases.iter().map(|phase| (*phase).into()).collect();
    let workflow_hash = new.workflow_hash.clone();
    let rehearsal = new.rehearsal;
    [
        Fact::RunCreated {
            workflow: workflow.clone(),
            workflow_hash,
            thread: thread.clone(),
            phases,
            rehearsal,
        },
        Fact::RunStarted { workflow, thread },
    ]
}

/// Fact of the start of its first phase by this persona.
pub fn first_phase(persona: &VersionedName) -> Fact {
    let phase_key = "first".into();
    let role = "maker".into();
    let persona = persona.clone();
    Fact::PhaseStarted {
        phase_key,
        attempt: 1,
        role,
        persona,
        cause: AttemptCause::First,
    }
}
