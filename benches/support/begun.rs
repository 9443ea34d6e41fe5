//! A run as it begins: its row and its first facts.

use phasedeck::model::event::{AttemptCause, Fact};
use phasedeck::model::hash::ContentHash;
use phasedeck::model::id::{RunId, ThreadId, VersionedName};
use phasedeck::model::record::RunOptions;
use phasedeck::model::time::Timestamp;
use phasedeck::store::runs::{NewRun, RunPlace};

/// The row of a run in a plain folder.
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

/// It is made, and begins.
pub fn opening(new: &NewRun, phases: &[&str]) -> [Fact; 2] {
    let (workflow, thread) = (new.workflow.clone(), new.thread.clone());
    let phases = phases.iter().map(|phase| (*phase).into()).collect();
    let (workflow_hash, rehearsal) = (new.workflow_hash.clone(), new.rehearsal);
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

/// This persona works on its first phase.
pub fn first_phase(persona: &VersionedName) -> Fact {
    let (phase_key, role, persona) = ("first".into(), "maker".into(), persona.clone());
    Fact::PhaseStarted {
        phase_key,
        attempt: 1,
        role,
        persona,
        cause: AttemptCause::First,
    }
}
