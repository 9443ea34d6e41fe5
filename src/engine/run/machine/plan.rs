//! The frozen start data of a run: its workflow and agent assignments.

use crate::model::id::{GateKey, PhaseKey, RoleId, ThreadId, VersionedName};
use crate::model::persona::RoleBinding;
use crate::model::run_state::RunState;
use crate::model::workflow::{PhaseDefinition, Workflow};

/// Frozen plan of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhasePlan {
    pub workflow: Workflow,
    /// Agent assignments by role.
    pub bindings: Vec<RoleBinding>,
    pub thread: ThreadId,
    /// Whether the whole run is a dry run.
    pub rehearsal: bool,
}

impl PhasePlan {
    /// Substitute for an unreadable plan; sufficient only to pause or abort the run.
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

    /// Returns the phase with this key.
    #[must_use]
    pub fn phase(&self, key: &PhaseKey) -> Option<&PhaseDefinition> {
        self.workflow.phase(key)
    }

    /// Returns the gates of a phase, including the workflow's defaults.
    #[must_use]
    pub fn gates(&self, key: &PhaseKey) -> &[GateKey] {
        self.phase(key)
            .map_or(&[], |phase| self.workflow.gates(phase))
    }

    /// Returns the agent assigned to a role.
    #[must_use]
    pub fn binding(&self, role: &RoleId) -> Option<&RoleBinding> {
        self.bindings.iter().find(|binding| binding.role == *role)
    }

    /// Returns the agent of a phase: the one assigned after the start, or else the one assigned to
    /// its role.
    #[must_use]
    pub fn works_on<'a>(
        &'a self,
        phase: &PhaseDefinition,
        state: &'a RunState,
    ) -> Option<&'a RoleBinding> {
        state
            .new_seat(&phase.key)
            .or_else(|| self.binding(&phase.role))
    }

    /// Returns the current persona of a phase; loading a plan verifies that it exists.
    #[must_use]
    pub fn persona(&self, phase: &PhaseDefinition, state: &RunState) -> VersionedName {
        self.works_on(phase, state).map_or_else(
            || VersionedName {
                name: "unbound".to_owned(),
                version: 0,
            },
            |b| b.persona.clone(),
        )
    }
}
