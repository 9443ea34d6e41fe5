//! Workflows as their files say them: roles, and phases in order.
//!
//! Reading, checking and finding the files is the catalog's work; this is the shape.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::hash::ContentHash;
use super::id::{GateKey, PhaseKey, RoleId, SchemaId, VersionedName};
use super::persona::BACKENDS;
use super::state::Risk;

/// The most phases a workflow may have.
pub const MAX_PHASES: usize = 64;
/// The longest time one attempt may take, in seconds: a day.
pub const MAX_TIMEOUT_SECONDS: u64 = 86_400;
/// The most repairs a phase may allow.
pub const MAX_REPAIRS: u32 = 10;
/// The grammar of [`is_name`](super::id::is_name), for editors.
pub(super) const NAME_PATTERN: &str = "^[A-Za-z][A-Za-z0-9_-]{0,63}$";

/// A list of phases that agents work through, each with its artifact and its gates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Workflow {
    /// The name that `phasedeck run` takes.
    #[schemars(regex(pattern = NAME_PATTERN))]
    pub name: String,
    /// Counts up when the meaning changes; runs keep the version they began with.
    #[schemars(range(min = 1))]
    pub version: u32,
    /// What it is for, in a sentence.
    #[serde(default)]
    pub description: String,
    /// The seats that personas fill.
    #[schemars(length(min = 1))]
    pub roles: Vec<Role>,
    /// Gates of every phase that names none of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("items" = { "type": "string", "pattern": NAME_PATTERN }))]
    pub default_gates: Vec<GateKey>,
    /// The steps, in order.
    #[schemars(length(min = 1, max = MAX_PHASES))]
    pub phases: Vec<Phase>,
}

impl Workflow {
    /// `name@version`.
    #[must_use]
    pub fn versioned_name(&self) -> VersionedName {
        VersionedName {
            name: self.name.clone(),
            version: self.version,
        }
    }

    /// The identity of the workflow: SHA-256 of its canonical JSON.
    ///
    /// # Errors
    /// Never for a workflow that was read from a file; the JSON library's error otherwise.
    pub fn hash(&self) -> Result<ContentHash, serde_json::Error> {
        ContentHash::of_canonical(self)
    }

    /// The phase with this key.
    #[must_use]
    pub fn phase(&self, key: &PhaseKey) -> Option<&Phase> {
        self.phases.iter().find(|phase| phase.key == *key)
    }

    /// The gates of `phase`, the workflow's defaults included.
    #[must_use]
    pub fn gates<'a>(&'a self, phase: &'a Phase) -> &'a [GateKey] {
        phase.gates.as_deref().unwrap_or(&self.default_gates)
    }
}

/// A seat in a workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Names the seat.
    #[schemars(extend("pattern" = NAME_PATTERN))]
    pub id: RoleId,
    /// What a persona must be able to do to take it.
    #[serde(default)]
    #[schemars(inner(regex(pattern = NAME_PATTERN)))]
    pub required_capabilities: Vec<String>,
    /// Backends to prefer, best first: `openai`, `acp`, `rehearsal`.
    #[serde(default)]
    #[schemars(extend("items" = { "type": "string", "enum": BACKENDS }))]
    pub preferred_backends: Vec<String>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// Names the step within the workflow.
    #[schemars(extend("pattern" = NAME_PATTERN))]
    pub key: PhaseKey,
    /// What people read.
    #[serde(default)]
    pub title: String,
    /// How far a wrong decision here reaches.
    #[serde(default = "default_risk")]
    pub risk: Risk,
    /// Who does it: the `id` of one of the roles.
    pub role: RoleId,
    /// What the agent is told to do.
    #[serde(default)]
    pub instructions: String,
    /// How long one attempt may take, in seconds.
    #[serde(default = "default_timeout")]
    #[schemars(range(min = 1, max = MAX_TIMEOUT_SECONDS))]
    pub timeout_seconds: u64,
    /// The file that must exist at the end, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ExpectedArtifact")]
    pub expected_artifact: Option<ExpectedArtifact>,
    /// Questions to the operator, in order. Absent: the workflow's `default_gates`. Empty: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<GateKey>", extend("items" = { "type": "string", "pattern": NAME_PATTERN }))]
    pub gates: Option<Vec<GateKey>>,
    /// Further attempts after a missing or invalid artifact.
    #[serde(default = "default_repairs")]
    #[schemars(range(max = MAX_REPAIRS))]
    pub max_repairs: u32,
}

impl Phase {
    /// The title, or the key where there is none.
    #[must_use]
    pub fn label(&self) -> &str {
        if self.title.is_empty() {
            self.key.as_str()
        } else {
            &self.title
        }
    }
}

/// The file a phase must produce.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectedArtifact {
    /// Where, relative to the worktree, divided by `/`; never beneath `.git`.
    #[schemars(length(min = 1))]
    pub path: String,
    /// What it must look like: the id of an artifact schema, such as `dev/spec@1`.
    #[schemars(extend("pattern" = "^[A-Za-z][A-Za-z0-9_-]*/[A-Za-z][A-Za-z0-9_-]*@[1-9][0-9]*$"))]
    pub schema: SchemaId,
}

fn default_risk() -> Risk {
    Risk::Medium
}

fn default_timeout() -> u64 {
    300
}

fn default_repairs() -> u32 {
    1
}
