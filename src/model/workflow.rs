//! The workflow file format: roles, and phases in order.
//!
//! Plain data only. The catalog finds, reads and validates the files.

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
    /// Increases when the meaning changes. Runs keep the version they started with.
    #[schemars(range(min = 1))]
    pub version: u32,
    /// What it is for, in a sentence.
    #[serde(default)]
    pub description: String,
    /// The roles to which personas are assigned.
    #[schemars(length(min = 1))]
    pub roles: Vec<RoleDefinition>,
    /// Gates of each phase that has no `gates`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("items" = { "type": "string", "pattern": NAME_PATTERN }))]
    pub default_gates: Vec<GateKey>,
    /// The phases, in order.
    #[schemars(length(min = 1, max = MAX_PHASES))]
    pub phases: Vec<PhaseDefinition>,
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
        ContentHash::from_canonical_json(self)
    }

    /// The phase with this key.
    #[must_use]
    pub fn phase(&self, key: &PhaseKey) -> Option<&PhaseDefinition> {
        self.phases.iter().find(|phase| phase.key == *key)
    }

    /// The gates of `phase`, the workflow's defaults included.
    #[must_use]
    pub fn gates<'a>(&'a self, phase: &'a PhaseDefinition) -> &'a [GateKey] {
        phase.gates.as_deref().unwrap_or(&self.default_gates)
    }
}

/// A role in a workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Role")]
pub struct RoleDefinition {
    /// Identifies the role within the workflow.
    #[schemars(extend("pattern" = NAME_PATTERN))]
    pub id: RoleId,
    /// Capabilities that a persona must have to be assigned.
    #[serde(default)]
    #[schemars(inner(regex(pattern = NAME_PATTERN)))]
    pub required_capabilities: Vec<String>,
    /// Backends to prefer, best first: `openai`, `acp`, `rehearsal`.
    #[serde(default)]
    #[schemars(extend("items" = { "type": "string", "enum": BACKENDS }))]
    pub preferred_backends: Vec<String>,
}

/// One phase of a workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Phase")]
pub struct PhaseDefinition {
    /// Identifies the phase within the workflow.
    #[schemars(extend("pattern" = NAME_PATTERN))]
    pub key: PhaseKey,
    /// Display name.
    #[serde(default)]
    pub title: String,
    /// Impact of a wrong decision in this phase.
    #[serde(default = "default_risk")]
    pub risk: Risk,
    /// The `id` of the role that runs the phase.
    pub role: RoleId,
    /// Instructions for the agent.
    #[serde(default)]
    pub instructions: String,
    /// Timeout of one attempt, in seconds.
    #[serde(default = "default_timeout")]
    #[schemars(range(min = 1, max = MAX_TIMEOUT_SECONDS))]
    pub timeout_seconds: u64,
    /// The artifact that the phase must produce, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ExpectedArtifact")]
    pub expected_artifact: Option<ExpectedArtifact>,
    /// Approval gates, in order. Absent: the workflow's `default_gates`. Empty: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<GateKey>", extend("items" = { "type": "string", "pattern": NAME_PATTERN }))]
    pub gates: Option<Vec<GateKey>>,
    /// Repair attempts after a missing or invalid artifact.
    #[serde(default = "default_repairs")]
    #[schemars(range(max = MAX_REPAIRS))]
    pub max_repairs: u32,
}

impl PhaseDefinition {
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
    /// Path relative to the worktree, separated by `/`; never inside `.git`.
    #[schemars(length(min = 1))]
    pub path: String,
    /// Schema that the artifact must match, such as `dev/spec@1`.
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
