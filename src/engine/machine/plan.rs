//! What a run was begun with and keeps: its workflow and who fills each seat.

use crate::model::id::{GateKey, PhaseKey, RoleId, ThreadId, VersionedName};
use crate::model::persona::Binding;
use crate::model::run_state::RunState;
use crate::model::workflow::{Phase, Workflow};

/// The frozen plan of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The workflow as it was at the start.
    pub workflow: Workflow,
    /// Who fills each seat.
    pub bindings: Vec<Binding>,
    /// The run's lane.
    pub thread: ThreadId,
    /// Whether everything is rehearsal.
    pub rehearsal: bool,
}

impl Plan {
    /// The plan of a run whose own cannot be read: enough to rest or to end it, and for nothing else.
    #[must_use]
    pub fn unreadable(thread: ThreadId) -> Self {
        let (name, description) = ("unreadable".to_owned(), String::new());
        let workflow = Workflow {
            name,
            version: 0,
            description,
            roles: Vec::new(),
            default_gates: Vec::new(),
            phases: Vec::new(),
        };
        Self {
            workflow,
            bindings: Vec::new(),
            thread,
            rehearsal: false,
        }
    }

    /// The phase with this key.
    #[must_use]
    pub fn phase(&self, key: &PhaseKey) -> Option<&Phase> {
        self.workflow.phase(key)
    }

    /// The gates of a phase, the workflow's defaults included.
    #[must_use]
    pub fn gates(&self, key: &PhaseKey) -> &[GateKey] {
        self.phase(key)
            .map_or(&[], |phase| self.workflow.gates(phase))
    }

    /// Who fills a seat.
    #[must_use]
    pub fn binding(&self, role: &RoleId) -> Option<&Binding> {
        self.bindings.iter().find(|binding| binding.role == *role)
    }

    /// Who works on a phase now: who was named for it since the start, else who fills its seat.
    #[must_use]
    pub fn works_on<'a>(&'a self, phase: &Phase, state: &'a RunState) -> Option<&'a Binding> {
        state
            .new_seat(&phase.key)
            .or_else(|| self.binding(&phase.role))
    }

    /// The persona of a phase now; a plan is checked for it when it is loaded.
    #[must_use]
    pub fn persona(&self, phase: &Phase, state: &RunState) -> VersionedName {
        self.works_on(phase, state).map_or_else(
            || VersionedName {
                name: "unbound".to_owned(),
                version: 0,
            },
            |b| b.persona.clone(),
        )
    }
}
